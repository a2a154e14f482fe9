"""One run at a time: a lock that is a chain of conditional creates in the account itself, and the journal beside it.

`lock/<n>` is made by a create that only one caller can win; the highest number is the holder. A takeover creates
`lock/<n+1>`, so however many try, one wins, and a holder that wakes up late can overwrite its own record without harm.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from .errors import ApiError, LeaseLost, LockHeld, Stopped
from .runtime import Mailbox, Runtime

LEASE_S = 120.0
RENEW_S = 25.0
SAFE_S = 30.0  # no write when less than this is left
_LOCK = "lock/"
_JOURNAL = "journal/"


class Store(Protocol):
    """A few small texts of one stack, kept in the account."""

    def entries(self) -> dict[str, str]:
        """Everything there, by key."""

    def create(self, key: str, text: str) -> bool:
        """Write `key` if it is not there; False when it is. Of several at once exactly one gets True."""

    def put(self, key: str, text: str) -> None: ...

    def remove(self, key: str) -> None: ...


@dataclass(frozen=True)
class Process:
    """Who holds a lease: enough to say whether that very process still lives, when asked on the same machine."""

    who: str  # user, for people
    host: str
    scope: str = ""  # boot id and pid namespace: only inside the same one a pid means the same
    pid: int = 0
    started: str = ""  # the process's start time, so that a reused pid is not mistaken


@dataclass(frozen=True)
class Holder:
    """The newest record of a lock."""

    number: int
    run: str
    process: Process
    since: float  # wall clock, seconds since the epoch
    until: float
    released: bool

    @classmethod
    def parse(cls, number: int, text: str) -> Holder:
        data = json.loads(text)
        return cls(number, data["run"], Process(**data["process"]), data["since"], data["until"], data["released"])

    def text(self) -> str:
        return json.dumps({key: value for key, value in asdict(self).items() if key != "number"})


@dataclass(frozen=True)
class Note:
    """A create that was about to be sent. It stays until a later run has seen what became of it."""

    address: str
    token: str
    at: float  # wall clock


def holder_of(entries: Mapping[str, str]) -> Holder | None:
    """Who holds, or held last."""
    numbers = [int(key.removeprefix(_LOCK)) for key in entries if key.startswith(_LOCK)]
    return Holder.parse(max(numbers), entries[f"{_LOCK}{max(numbers)}"]) if numbers else None


def notes_in(entries: Mapping[str, str]) -> dict[str, Note]:
    """The journal's unresolved notes, by address."""
    notes = {}
    for key, text in entries.items():
        if key.startswith(_JOURNAL):
            data = json.loads(text)
            address = key.removeprefix(_JOURNAL)
            notes[address] = Note(address, data["token"], data["at"])
    return notes


class Lease:
    """This run's hold on one stack. `is_dead(process)`: True only when that process certainly lives no more."""

    def __init__(
        self, stack: str, store: Store, runtime: Runtime, process: Process, is_dead: Callable[[Process], bool]
    ) -> None:
        self.stack = stack
        self._store = store
        self._runtime = runtime
        self._process = process
        self._is_dead = is_dead
        self._lock = threading.Lock()
        self._mine: Holder | None = None
        self._until_monotonic = 0.0
        self._wake: Mailbox = runtime.mailbox()
        self._turn: Mailbox = runtime.mailbox()  # one writer at a time: a late renewal must not undo a release
        self._turn.put("free")

    def acquire(self) -> dict[str, str]:
        """Take the lease; returns what was in the store (see `notes_in`). Raises LockHeld when somebody else has it."""
        entries = self._store.entries()
        top = holder_of(entries)
        if top is not None and not self._is_free(top):
            raise self._held_by(top)
        wall, monotonic = self._runtime.wall(), self._runtime.monotonic()
        number = top.number + 1 if top else 1
        mine = Holder(number, self._runtime.nonce(), self._process, wall, wall + LEASE_S, False)
        if not self._store.create(f"{_LOCK}{number}", mine.text()):
            winner = holder_of(self._store.entries())
            if winner is None:
                raise LeaseLost(f"the lock of stack {self.stack} changed hands")
            if winner.run != mine.run:  # else it was our own create, repeated after a lost answer
                raise self._held_by(winner)
        with self._lock:
            self._mine, self._until_monotonic = mine, monotonic + LEASE_S
        self._runtime.start(self._keep)
        for key in entries:
            if key.startswith(_LOCK):
                self._store.remove(key)
        return entries

    def _is_free(self, top: Holder) -> bool:
        return top.released or top.until + SAFE_S < self._runtime.wall() or self._is_dead(top.process)

    def _held_by(self, top: Holder) -> LockHeld:
        return LockHeld(self.stack, top.process.who, top.process.host, max(0.0, self._runtime.wall() - top.since))

    def check(self) -> None:
        """Raises LeaseLost unless more than 30 s are left by both clocks. Called before every write."""
        with self._lock:
            mine, until = self._mine, self._until_monotonic
        if mine is None:
            raise LeaseLost(f"this run does not hold stack {self.stack}")
        if min(mine.until - self._runtime.wall(), until - self._runtime.monotonic()) <= SAFE_S:
            raise LeaseLost(
                f"the lease on stack {self.stack} ran out (this run was frozen or cut off); nothing more is written. "
                "Run again to converge."
            )

    def _keep(self) -> None:
        while not self._wake.get(RENEW_S):
            self._turn.get()
            try:
                self._renew()
            except LeaseLost:
                return
            except ApiError:
                continue  # check() refuses writes when no renewal gets through in time
            finally:
                self._turn.put("free")

    def _renew(self) -> None:
        self.check()
        wall, monotonic = self._runtime.wall(), self._runtime.monotonic()
        with self._lock:
            mine = self._mine
        if mine is None:
            raise LeaseLost(self.stack)
        renewed = Holder(mine.number, mine.run, mine.process, mine.since, wall + LEASE_S, False)
        self._store.put(f"{_LOCK}{mine.number}", renewed.text())
        with self._lock:
            if self._mine is mine:
                self._mine, self._until_monotonic = renewed, monotonic + LEASE_S

    def release(self) -> None:
        """Let go, so that the next run starts at once. Never raises: an unreleased lease runs out by itself."""
        self._wake.put("stop")
        self._turn.get()
        with self._lock:
            mine, self._mine = self._mine, None
        if mine is None or mine.until - self._runtime.wall() <= SAFE_S:
            return
        over = Holder(mine.number, mine.run, mine.process, mine.since, mine.until, True)
        try:
            self._store.put(f"{_LOCK}{mine.number}", over.text())
        except (ApiError, Stopped):
            return

    # -- the journal -------------------------------------------------------------------------------------------
    def note(self, address: str, token: str) -> None:
        """Write down that `address` is about to be created."""
        self.check()
        self._store.put(f"{_JOURNAL}{address}", json.dumps({"token": token, "at": self._runtime.wall()}))

    def resolve(self, address: str) -> None:
        """What was noted is seen by everybody, or certainly never happened."""
        self._store.remove(f"{_JOURNAL}{address}")


def describe_holder(entries: Mapping[str, str]) -> dict[str, Any] | None:
    """The holder as plain data, for stack_info; None when nobody ever held."""
    top = holder_of(entries)
    return None if top is None else {**asdict(top), "process": asdict(top.process)}
