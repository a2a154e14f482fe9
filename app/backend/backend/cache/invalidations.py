"""How a write reaches the memories of all processes.

The writer tells them by a message on a channel of Redis, and answers its client once each of them has said that it has
dropped the row: whoever reads after that, wherever, does not get the old one. A process that says nothing is waited for
no longer than its lease: it uses its memory only if Redis answered it lately, over the connection by which it hears of
writes. What was told before that answer it has heard by then, and whatever it did not hear ends its lease.

The channels are those of a shard (Redis 7): in cluster mode everybody meets on the one node that has their slot.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from backend.cache.link import Link
from backend.cache.memory import NEVER, Lease, Memory
from backend.cache.wire import Connection, RedisError, accepted, command

log = logging.getLogger(__name__)

LEASE_S = 1.0
BEAT_S = 0.2  # between the end of one question to Redis and the next one
AGAIN_S = 0.25  # until the next try, where Redis is away
_CHANNEL = b"{capstan:written}"
_PING = command(b"", b"PING").packed


@dataclass(frozen=True, slots=True)
class Hearer:
    """What has to know of writes to rows of one kind: their memory, and `written`, which is given the row's id."""

    memory: Memory[Any]
    written: Callable[[int], None]


class Invalidations:
    """Tells of writes, and hears of them."""

    def __init__(self, link: Link, lease: Lease, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._lease = lease
        self.hearers: dict[str, Hearer] = {}  # by the kind of rows
        self._clock = clock
        self._own = _CHANNEL + b":" + uuid4().hex.encode()  # where others answer
        self._numbers = itertools.count()
        self._waiting: dict[bytes, threading.Semaphore] = {}  # number of a message -> released by each answer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="invalidations", daemon=True)
        self._connection: Connection | None = None

    def start(self) -> None:
        """Hears from now on."""
        self._thread.start()

    def close(self) -> None:
        """Hears no more."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.hang_up()
        if self._thread.is_alive():
            self._thread.join(LEASE_S)

    def told(self, kind: str, row_ids: Collection[int]) -> bool:
        """Returns when no process has the rows in its memory any more; False where they could not be told. Redis has to
        know of the writes already."""
        for row_id in row_ids:
            self.hearers[kind].memory.drop(row_id)
        number = b"%d" % next(self._numbers)
        message = b" ".join((self._own, number, kind.encode(), b",".join(b"%d" % row_id for row_id in row_ids)))
        answered = self._waiting[number] = threading.Semaphore(0)
        try:
            heard: int = accepted(*self._link.wire.ask([command(_CHANNEL, b"SPUBLISH", _CHANNEL, message)]))
            deadline = self._clock() + LEASE_S
            for _ in range(heard):
                if not answered.acquire(timeout=max(0.0, deadline - self._clock())):
                    break  # whoever has not answered by now has no lease any more
        except RedisError as error:
            self._link.failed(error)
            return False
        finally:
            del self._waiting[number]
        return True

    def missed(self) -> None:
        """Writes may not have been heard of: all that is in memory may be old."""
        for hearer in self.hearers.values():
            hearer.memory.clear()

    # -- in the thread

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(self._link.wire.connect(_CHANNEL)) as self._connection:
                    self._hear(self._connection)
            except RedisError as error:
                log.debug("cache: writes are not heard of: %s", error)
            except Exception:
                log.exception("cache: writes are not heard of")
            finally:
                self._lease.until = NEVER
            self._stop.wait(AGAIN_S)

    def _hear(self, connection: Connection) -> None:
        """Until the connection breaks. Raises RedisError."""
        connection.send(command(_CHANNEL, b"SSUBSCRIBE", _CHANNEL, self._own).packed)
        accepted(*connection.receive(1))
        self.missed()
        asked_at, is_asked, due = NEVER, False, NEVER
        while not self._stop.is_set():
            now = self._clock()
            if not is_asked and now >= due:
                connection.send(_PING)
                asked_at, is_asked = now, True
            if is_asked and now - asked_at > LEASE_S:
                raise RedisError("no answer in time")
            for message in connection.heard(LEASE_S if is_asked else max(0.0, due - now)):
                if accepted(message)[0] == b"pong":
                    self._lease.until = asked_at + LEASE_S
                    is_asked, due = False, self._clock() + BEAT_S
                else:
                    self._take(message)

    def _take(self, message: list[Any]) -> None:
        kind, channel, content = message
        if kind == b"sunsubscribe":
            raise RedisError("the channel has moved")
        if kind != b"smessage":
            return
        if channel == self._own:
            self._answered(content)
            return
        try:
            sender, number, name, row_ids = content.split()
            hearer = self.hearers.get(name.decode())
            if hearer is not None:
                for row_id in map(int, row_ids.split(b",")):
                    hearer.memory.drop(row_id)
                    hearer.written(row_id)
        except ValueError:
            # Whoever it is from means something that we do not understand.
            raise RedisError(f"a message of another form: {content!r}") from None
        if sender == self._own:
            self._answered(number)
        else:
            self._link.ask([command(sender, b"SPUBLISH", sender, number)])

    def _answered(self, number: bytes) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None:
            waiting.release()
