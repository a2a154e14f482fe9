"""Who is let in, and how often.

Most requests are decided by what this process knows. All that one still has to ask Redis for is asked together, and
waited for once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from backend.cache.link import Link
from backend.cache.rates import Limit, Rates, asks
from backend.cache.versioned import Absent, NoCache, VersionedCache
from backend.config import RateLimits
from backend.entities import Caller, Session
from backend.errors import TooManyRequests, Unauthorized
from backend.observability.instruments import Instruments
from backend.observability.tracing import CLIENT, Span, Tags
from backend.service.sessions import Sessions
from backend.service.tokens import Tokens

Count = tuple[int, int]  # as `Rates.count` gives it
_TAGS: Tags = {"db.system": "redis", "peer.service": "redis", "cache.key": "session:{id} rate:{id}"}


class LookUp(NamedTuple):
    """A copy that an operation will want, in most cases."""

    cache: VersionedCache[Any] | NoCache[Any]
    row_id: int


@dataclass(slots=True)
class Entry:
    """A request that was let in. `looked`: whether the copy was looked for; `found`: that copy. `left`: name and size
    of the limit that is closest to its end, and how many more it allows."""

    caller: Caller | None
    looked: bool = False
    found: Any | Absent | None = None
    left: tuple[str, int, int] | None = None


@lru_cache(maxsize=16_384)
def _user_limit(user_id: int, kind: str, most: int) -> Limit:
    return Limit("user", b"rate:{%d}:%b" % (user_id, kind.encode()), most)


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
        self._link = link
        self._instruments = instruments

    @property
    def knows_tokens(self) -> bool:
        """Whether there are any; without, nobody can show who they are."""
        return self._tokens is not None

    def is_csrf(self, token: str, login: str) -> bool:
        """Whether that is the login's CSRF token."""
        return self._tokens is not None and self._tokens.is_csrf(token, login)

    def enter(self, token: str | None, address: str | None, kind: str, look_up: LookUp | None = None) -> Entry:
        """Checks token and limits, and looks a copy up. `address`: of the client, None where it is not known for sure;
        `kind`: of the request, counted by itself. Without a token the caller is None."""
        user_id, login = self._read(token) if token is not None else (None, "")
        now, entry = self._clock(), Entry(None)
        limits, counts, untold = self._limits_of(user_id, address, kind), [], False
        for limit in limits:
            counts.append(self._rates.count(limit, now))
            untold = untold or counts[-1][1] > 0
        session = self._sessions.near(user_id, now) if user_id is not None else None
        if look_up is not None:
            entry.found = look_up.cache.near(look_up.row_id, now)
            entry.looked = entry.found is not None
        unknown = (user_id is not None and session is None) or (look_up is not None and not entry.looked)
        if unknown or untold:
            session = self._ask(user_id, session, limits, counts, look_up, entry)
        if user_id is not None:
            entry.caller = self._caller(user_id, login, session)
        self._check(limits, counts, entry)
        return entry

    # -- within

    def _read(self, token: str) -> tuple[int, str]:
        claims = self._tokens.read_access(token) if self._tokens else None
        if claims is None:
            raise self._refused()
        return claims.user_id, claims.login

    def _limits_of(self, user_id: int | None, address: str | None, kind: str) -> list[Limit]:
        limits = []
        if user_id is not None and self._limits.user:
            limits.append(_user_limit(user_id, kind, self._limits.user))
        if address is not None and self._limits.address:
            limits.append(Limit("address", b"rate:{%b}" % address.encode(), self._limits.address))
        return limits

    def _ask(
        self,
        user_id: int | None,
        session: Session | None,
        limits: Sequence[Limit],
        counts: list[Count],
        look_up: LookUp | None,
        entry: Entry,
    ) -> Session | None:
        """The session, and in `counts` and `entry` the counts and the copy: what is not known is asked of Redis, in one
        message."""
        asked = [one for limit, (_, by) in zip(limits, counts, strict=True) if by for one in asks(limit.key, by)]
        copy = look_up.cache.question(look_up.row_id) if look_up is not None and not entry.looked else None
        stored = self._sessions.question(user_id) if user_id is not None and session is None else None
        asked += [question.command for question in (copy, stored) if question is not None]
        with Span("cache get", CLIENT, _TAGS) as check:
            answers = self._link.ask(asked) if asked and self._link is not None else None
            left = iter(answers or ())
            for number, (limit, (known, by)) in enumerate(zip(limits, counts, strict=True)):
                if by:
                    counts[number] = (self._rates.settled(limit, known, next(left, None)), 0)
                    next(left, None)  # the answer to EXPIRE
            if look_up is not None and copy is not None and answers is not None:
                entry.looked = True
                entry.found = look_up.cache.read(copy, next(left, None))
                check.tags = look_up.cache.hits if entry.found is not None else look_up.cache.misses
        if user_id is not None and session is None:
            session = self._sessions.found(user_id, stored, next(left, None))
        return session

    def _caller(self, user_id: int, login: str, session: Session | None) -> Caller:
        if session is None or not session.active or login not in session.logins:
            raise self._refused()
        return Caller(user_id=user_id, role=session.role, login=login)

    def _check(self, limits: Sequence[Limit], counts: Sequence[Count], entry: Entry) -> None:
        for limit, (count, _) in zip(limits, counts, strict=True):
            if count > limit.most:
                self._instruments.rate_limited.add(limit.policy)
                message = f"At most {limit.most} requests a minute. Please wait."
                raise TooManyRequests(message, self._rates.left_s(limit))
            left = limit.most - count
            if entry.left is None or left < entry.left[2]:
                entry.left = (limit.policy, limit.most, left)

    def _refused(self) -> Unauthorized:
        self._instruments.authentication("token", ok=False)
        return Unauthorized("bad_token", "The token is not valid, or not any more.")
