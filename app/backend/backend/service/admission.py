"""Who is let in, and how often: all that a request has to ask Redis for is asked together, and waited for once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.cache.link import Link
from backend.cache.rates import Limit, Rates, asks
from backend.cache.versioned import Absent, NoCache, VersionedCache
from backend.cache.wire import Command
from backend.config import RateLimits
from backend.entities import Caller, Session
from backend.errors import TooManyRequests, Unauthorized
from backend.observability.instruments import Instruments
from backend.observability.tracing import CLIENT, Span, Tags
from backend.service.sessions import Sessions
from backend.service.tokens import Tokens

_TAGS: Tags = {"db.system": "redis", "peer.service": "redis", "cache.key": "session:{id} rate:{id}"}


@dataclass(frozen=True, slots=True)
class LookUp:
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
    ) -> None:
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
        limits = self._limits_of(user_id, address, kind)
        session, counts, entry = self._ask(user_id, limits, look_up)
        if user_id is not None:
            entry.caller = self._caller(user_id, login, session)
        self._count(limits, counts, entry)
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
            limits.append(Limit("user", b"rate:{%d}:%b" % (user_id, kind.encode()), self._limits.user))
        if address is not None and self._limits.address:
            limits.append(Limit("address", b"rate:{%b}" % address.encode(), self._limits.address))
        return limits

    def _ask(
        self, user_id: int | None, limits: Sequence[Limit], look_up: LookUp | None
    ) -> tuple[Session | None, list[int], Entry]:
        """The session, the counts and the copy: in one message where Redis is there."""
        asked: list[Command] = [each for limit in limits for each in asks(limit)]
        copy = look_up.cache.asks(look_up.row_id) if look_up is not None else None
        session = self._sessions.asks(user_id) if user_id is not None else None
        asked += [each for each in (copy, session) if each is not None]
        entry, answers = Entry(None), None
        if asked and self._link is not None:
            with Span("cache get", CLIENT, _TAGS) as check:
                answers = self._link.ask(asked)
                if look_up is not None and copy is not None and answers is not None:
                    entry.looked = True
                    entry.found = look_up.cache.read(look_up.row_id, answers[2 * len(limits)])
                    check.tags = look_up.cache.hits if entry.found is not None else look_up.cache.misses
        counts = self._rates.counts(limits, answers[: 2 * len(limits)] if answers is not None else None)
        if user_id is None:
            return None, counts, entry
        stored = answers[-1] if answers is not None and session is not None else None
        return self._sessions.found(user_id, stored), counts, entry

    def _caller(self, user_id: int, login: str, session: Session | None) -> Caller:
        if session is None or not session.active or login not in session.logins:
            raise self._refused()
        return Caller(user_id=user_id, role=session.role, login=login)

    def _count(self, limits: Sequence[Limit], counts: Sequence[int], entry: Entry) -> None:
        for limit, count in zip(limits, counts, strict=True):
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
