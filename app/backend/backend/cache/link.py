"""The way to Redis, and whether it is open at the moment: one for everything that this process keeps there."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from backend.cache.cluster import ClusterWire
from backend.cache.wire import Ask, Command, RedisError, SingleWire, accepted, command, packed
from backend.config import Redis as RedisSettings

Wire = SingleWire | ClusterWire

log = logging.getLogger(__name__)

REST_S = 2.0  # after a failure Redis is left alone for this long


def wire_to(settings: RedisSettings) -> Wire:
    """The way to one server, or to a cluster."""
    return ClusterWire(settings) if settings.cluster else SingleWire(settings)


class Script:
    """A Lua script that touches one key. Redis is told its text only where it does not know it."""

    def __init__(self, text: str) -> None:
        whole = text.encode()
        digest = hashlib.sha1(whole, usedforsecurity=False).hexdigest().encode()
        self._by_digest, self._whole = packed(b"EVALSHA", digest, b"1"), packed(b"EVAL", whole, b"1")

    def run(self, ask: Ask, key: bytes, *arguments: bytes) -> Any:
        """The script's answer. Raises RedisError."""
        (answer,) = self.run_each(ask, [(key, arguments)])
        return answer

    def run_each(self, ask: Ask, calls: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[Any]:
        """The answers to several calls, (key, arguments), that are sent together. Raises RedisError, also for what
        Redis says of a single one."""
        return [accepted(answer) for answer in self.answers(ask, calls)]

    def answers(self, ask: Ask, calls: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[Any]:
        """The same; what Redis says of a single call is a hiredis.ReplyError among the answers."""
        answers = ask([self._command(key, arguments, known=True) for key, arguments in calls])
        unknown = [at for at, answer in enumerate(answers) if _is_unknown(answer)]
        if unknown:
            again = ask([self._command(*calls[at], known=False) for at in unknown])
            for at, answer in zip(unknown, again, strict=True):
                answers[at] = answer
        return answers

    def _command(self, key: bytes, arguments: Sequence[bytes], *, known: bool) -> Command:
        script = self._by_digest if known else self._whole
        return Command(key, b"*%d\r\n%b%b" % (4 + len(arguments), script, packed(key, *arguments)))


def _is_unknown(answer: Any) -> bool:
    return isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT")


class Link:
    """The way, and until when it rests."""

    def __init__(self, wire: Wire, clock: Callable[[], float] = time.monotonic) -> None:
        self.wire = wire
        self._clock = clock
        self._rests_until = 0.0

    def ask(self, commands: Sequence[Command]) -> list[Any] | None:
        """The answers to commands that are sent together; None where Redis is away."""
        if not self.is_open():
            return None
        try:
            return self.wire.ask(commands)
        except RedisError as error:
            self.failed(error)
            return None

    def is_open(self) -> bool:
        """Whether asking Redis is worth a try."""
        return self._clock() >= self._rests_until

    def failed(self, error: RedisError) -> None:
        """Redis did not answer: nobody asks it for a while."""
        if self.is_open():
            log.warning("cache: going on without Redis: %s", error)
        self._rests_until = self._clock() + REST_S

    def ping(self) -> None:
        """Returns when Redis answers. Raises RedisError."""
        accepted(*self.wire.ask([command(b"", b"PING")]))

    def close(self) -> None:
        """Closes the connections."""
        self.wire.close()
