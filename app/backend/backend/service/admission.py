"""Who is let in, and how often.

Most requests are decided by what this process knows. All that one still has to ask Redis for is asked together, and
waited for once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any

from backend.cache.link import Link
from backend.cache.rates import Limit, Rates, asks
from backend.cache.versioned import Absent, NoCache, VersionedCache
from backend.cache.wire import Command
from backend.config import RateLimits
from backend.entities import Caller, Session
from backend.errors import TooManyRequests, Unauthorized
from backend.observability.instruments import Instruments
from backend.observability.tracing import CLIENT, Tags, record
from backend.service.sessions import Sessions
from backend.service.tokens import AccessClaims, Tokens

_TAGS: Tags = {"db.system": "redis", "peer.service": "redis", "cache.key": "session:{id} rate:{id}"}

_REMEMBERED = 16_384  # callers whose limits need not be put together again

Copies = VersionedCache[Any] | NoCache[Any]


@dataclass(slots=True)
class Entry:
    """A request that was let in. `found`: the copy that was looked up for it, None for a miss. `left`: name and size of
    the limit that is closest to its end, and how many more it allows."""

    caller: Caller | None = None
    found: Any | Absent | None = None
    left: tuple[str, int, int] | None = None


class Admission:
    """Lets requests in. Methods raise Unauthorized, TooManyRequests and DatabaseUnavailable."""

    def __init__(
        self,
        tokens: Tokens | None,
        sessions: Sessions,
        rates: Rates,
        limits: RateLimits,
        link: Link | None,
        instruments: Instruments,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._sessions = sessions
        self._rates = rates
        self._limits = limits
        self._limits_of = lru_cache(_REMEMBERED)(self._limits_for)
        self._link = link
        self._instruments = instruments

    @property
    def knows_tokens(self) -> bool:
        """Whether there are any; without, nobody can show who they are."""
        return self._tokens is not None

    def is_csrf(self, token: str, login: str) -> bool:
        """Whether that is the login's CSRF token."""
        return self._tokens is not None and self._tokens.is_csrf(token, login)

    def enter(
        self, token: str | None, address: str | None, kind: str, copies: Copies | None = None, row_id: int = 0
    ) -> Entry:
        """Checks token and limits, and looks a row up in `copies`. `address`: of the client, None where it is not known
        for sure; `kind`: of the request, counted by itself. Without a token the caller is None."""
        claims = self._read(token) if token is not None else None
        user_id = claims.user_id if claims is not None else None
        now, entry = self._clock(), Entry()
        limits, counts, untold = self._limits_of(user_id, address, kind), [], False
        for limit in limits:
            count = self._rates.count(limit, now)
            counts.append(count)
            if count[1]:
                untold = True
        session = self._sessions.near(user_id, now) if user_id is not None else None
        if copies is not None:
            entry.found = copies.near(row_id, now)
        unseen = copies if entry.found is None else None
        if untold or (session is None and user_id is not None):
            session = self._ask(user_id, session, limits, counts, unseen, row_id, entry)
        elif unseen is not None:
            entry.found = unseen.far(row_id)
        if claims is not None:
            if session is None or not session.active or claims.login not in session.logins:
                raise self._refused()
            entry.caller = tuple.__new__(Caller, (claims.user_id, session.role, claims.login))
        for limit, (known, _) in zip(limits, counts, strict=True):
            left = limit.most - known
            if left < 0:
                raise self._too_many(limit)
            if entry.left is None or left < entry.left[2]:
                entry.left = (limit.policy, limit.most, left)
        return entry

    # -- within

    def _read(self, token: str) -> AccessClaims:
        claims = self._tokens.read_access(token) if self._tokens is not None else None
        if claims is None:
            raise self._refused()
        return claims

    def _limits_for(self, user_id: int | None, address: str | None, kind: str) -> tuple[Limit, ...]:
        limits = []
        if user_id is not None and self._limits.user:
            limits.append(Limit("user", b"rate:{%d}:%b" % (user_id, kind.encode()), self._limits.user))
        if address is not None and self._limits.address:
            limits.append(Limit("address", b"rate:{%b}" % address.encode(), self._limits.address))
        return tuple(limits)

    def _ask(
        self,
        user_id: int | None,
        session: Session | None,
        limits: Sequence[Limit],
        counts: list[tuple[int, int]],
        copies: Copies | None,
        row_id: int,
        entry: Entry,
    ) -> Session | None:
        """The session, and in `counts` and `entry` the counts and the copy: what is not known is asked of Redis, in one
        message."""
        asked: list[Command] = []
        for limit, (_, by) in zip(limits, counts, strict=True):
            if by:
                asked += asks(limit.key, by)
        copy = stored = None
        if copies is not None and (copy := copies.question(row_id)) is not None:
            asked.append(copy.command)
        if user_id is not None and session is None and (stored := self._sessions.question(user_id)) is not None:
            asked.append(stored.command)
        began = perf_counter()
        answers = self._link.ask(asked) if asked and self._link is not None else None
        left = iter(answers or ())
        for number, (limit, (known, by)) in enumerate(zip(limits, counts, strict=True)):
            if by:
                counts[number] = (self._rates.settled(limit, known, next(left, None)), 0)
                next(left, None)  # the answer to EXPIRE
        tags = _TAGS
        if copies is not None:
            entry.found = copies.read(copy, next(left, None) if copy is not None else None)
            tags = copies.hits if entry.found is not None else copies.misses
        record("cache get", began, CLIENT, tags)
        if user_id is not None and session is None:
            session = self._sessions.found(user_id, stored, next(left, None))
        return session

    def _too_many(self, limit: Limit) -> TooManyRequests:
        self._instruments.rate_limited.add(limit.policy)
        message = f"At most {limit.most} requests a minute. Please wait."
        return TooManyRequests(message, self._rates.left_s(limit))

    def _refused(self) -> Unauthorized:
        self._instruments.authentication("token", ok=False)
        return Unauthorized("bad_token", "The token is not valid, or not any more.")
