"""The way to Redis, and whether it is open at the moment: one for everything that this process keeps there."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import hiredis

from backend.cache.cluster import ClusterWire
from backend.cache.wire import Ask, Command, RedisError, SingleWire, accepted, command
from backend.config import Redis as RedisSettings

Wire = SingleWire | ClusterWire

log = logging.getLogger(__name__)

REST_S = 2.0  # after a failure Redis is left alone for this long
OFFERED_WITHIN_S = 0.1
_MOST_OFFERS, _RIDE_TOGETHER = 1_000, 64


def wire_to(settings: RedisSettings) -> Wire:
    """The way to one server, or to a cluster."""
    return ClusterWire(settings) if settings.cluster else SingleWire(settings)


class Script:
    """A Lua script that touches one key. Redis is told its text only where it does not know it."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._digest = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    def run(self, ask: Ask, key: bytes, *arguments: bytes) -> Any:
        """The script's answer. Raises RedisError."""
        (answer,) = self.run_each(ask, [(key, arguments)])
        return answer

    def run_each(self, ask: Ask, calls: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[Any]:
        """The answers to several calls, (key, arguments), that are sent together. Raises RedisError."""
        answers = ask([self.command(key, arguments) for key, arguments in calls])
        unknown = [at for at, answer in enumerate(answers) if _is_unknown(answer)]
        if unknown:
            again = ask([self.command(*calls[at], known=False) for at in unknown])
            for at, answer in zip(unknown, again, strict=True):
                answers[at] = answer
        return [accepted(answer) for answer in answers]

    def command(self, key: bytes, arguments: Sequence[bytes], *, known: bool = True) -> Command:
        """A call; not `known`: with the whole text."""
        name, script = (b"EVALSHA", self._digest) if known else (b"EVAL", self._text)
        return command(key, name, script, b"1", key, *arguments)


def _is_unknown(answer: Any) -> bool:
    return isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT")


class _Offer(NamedTuple):
    """A script's call that nobody waits for."""

    script: Script
    arguments: Sequence[bytes]


class Link:
    """The way, and until when it rests.

    What is only offered to Redis rides along with the next question of any thread to the same server, in front of it: a
    message of its own would cost more than all that leads to it. Where nobody asks anything it goes by itself, soon.
    """

    def __init__(self, wire: Wire, clock: Callable[[], float] = time.monotonic) -> None:
        self.wire = wire
        self._clock = clock
        self._rests_until = 0.0
        self._offers: dict[bytes, _Offer] = {}  # by their keys
        self._known: set[tuple[object, Script]] = set()  # which server was told which, and has not said that it forgot
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def start(self) -> None:
        """Sends offers from a thread from now on, those that do not ride along."""
        threading.Thread(target=self._work, name="offers", daemon=True).start()

    def ask(self, commands: Sequence[Command]) -> list[Any] | None:
        """The answers to commands that are sent together; None where Redis is away."""
        if not self.is_open():
            return None
        riding = self._board(commands) if self._offers else {}
        try:
            answers = self.wire.ask([*self._packed(riding), *commands] if riding else commands)
        except RedisError as error:
            self.failed(error)
            return None
        return self._settled(riding, answers) if riding else answers

    def offer(self, script: Script, key: bytes, *arguments: bytes) -> None:
        """A call of a script for whoever does not care what becomes of it; the latest for a key counts."""
        with self._lock:
            if len(self._offers) < _MOST_OFFERS:
                self._offers[key] = _Offer(script, arguments)

    def withdraw(self, key: bytes) -> None:
        """What was offered for a key, and is not on its way yet, is not wanted any more."""
        with self._lock:
            self._offers.pop(key, None)

    def is_open(self) -> bool:
        """Whether asking Redis is worth a try."""
        return self._clock() >= self._rests_until

    def failed(self, error: RedisError) -> None:
        """Redis did not answer: nobody asks it for a while."""
        if self.is_open():
            log.warning("cache: going on without Redis: %s", error)
        self._rests_until = self._clock() + REST_S
        with self._lock:
            self._offers.clear()  # old by the time that Redis is back, and maybe without what it knew of writes

    def ping(self) -> None:
        """Returns when Redis answers. Raises RedisError."""
        accepted(*self.wire.ask([command(b"", b"PING")]))

    def close(self) -> None:
        """Closes the connections."""
        self._stop.set()
        self.wire.close()

    # -- within

    def _board(self, commands: Sequence[Command]) -> dict[bytes, _Offer]:
        """Some of the oldest offers, those for the servers that these commands go to, or for all where there are none.
        They are not kept here any more."""
        going = {self.wire.place(one.key) for one in commands}
        with self._lock:
            some = dict(islice(self._offers.items(), _RIDE_TOGETHER))
            some = {key: offer for key, offer in some.items() if not going or self.wire.place(key) in going}
            for key in some:
                del self._offers[key]
        return some

    def _packed(self, riding: Mapping[bytes, _Offer]) -> list[Command]:
        return [
            offer.script.command(key, offer.arguments, known=(self.wire.place(key), offer.script) in self._known)
            for key, offer in riding.items()
        ]

    def _settled(self, riding: Mapping[bytes, _Offer], answers: list[Any]) -> list[Any]:
        """The answers to all else; offers whose script Redis has forgotten are made once more."""
        for (key, offer), answer in zip(riding.items(), answers, strict=False):
            told = (self.wire.place(key), offer.script)
            if not _is_unknown(answer):
                self._known.add(told)
                continue
            self._known.discard(told)
            with self._lock:
                self._offers.setdefault(key, offer)
        return answers[len(riding) :]

    def _work(self) -> None:
        while not self._stop.wait(OFFERED_WITHIN_S):
            while self._offers and self.is_open():
                self.ask(())
