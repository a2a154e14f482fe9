"""Who may come in: registration, logins and what they lead to."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from backend.entities import Caller, Origin, User, UserFields
from backend.errors import NotFound, TooManyRequests, Unauthorized
from backend.observability.instruments import Instruments
from backend.observability.tracing import traced
from backend.repository.accounts import AccountRepository
from backend.service.passwords import Passwords
from backend.service.sessions import Sessions
from backend.service.tokens import REFRESH_TTL_S, Tokens

log = logging.getLogger(__name__)


class Throttle(Protocol):
    """Counts wrong passwords."""

    def attempt(self, who: str) -> float: ...
    def succeeded(self, who: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Issued:
    """What a login or a refresh gives."""

    access: str
    refresh: str
    csrf: str


class AuthService:
    """Methods raise Unauthorized, TooManyRequests, Busy and DatabaseUnavailable."""

    def __init__(
        self,
        accounts: AccountRepository,
        sessions: Sessions,
        tokens: Tokens,
        throttle: Throttle,
        instruments: Instruments,
        created: Callable[[User], None],
        failed: Callable[[Origin, int | None], None],
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._tokens = tokens
        self._throttle = throttle
        self._instruments = instruments
        self._created = created  # told of each new user
        self._failed = failed  # told of each login that was refused, and of whom the address was
        self._passwords = Passwords(instruments.password_hashed)

    @traced("AuthService.register")
    def register(self, fields: UserFields, password: str, origin: Origin) -> User:
        """A new user who can log in. Raises Conflict."""
        user = self._accounts.register(fields, self._passwords.hash(password), origin)
        self._created(user)
        self._instruments.authentication("register", ok=True)
        return user

    @traced("AuthService.login")
    def login(self, email: str, password: str, origin: Origin) -> Issued:
        """Tokens for whoever knows the password. An unknown address gets the answer of a wrong password, no sooner."""
        who = hashlib.sha256(email.lower().encode()).hexdigest()[:32]  # no address is readable in Redis
        self._wait_for_turn(who)
        found = self._accounts.credentials(email)
        right = self._passwords.verify(found.password if found else None, password)
        if found is None or not right or not found.active:
            self._failed(origin, found.user_id if found else None)
            raise self._refused("login")
        login = uuid4().hex
        version = self._accounts.log_in(login, found, REFRESH_TTL_S, origin)
        if version is None:
            self._failed(origin, found.user_id)
            raise self._refused("login")
        self._sessions.changed(found.user_id, version)
        self._throttle.succeeded(who)
        if self._passwords.is_outdated(found.password):
            self._accounts.rehash(found.user_id, found.password, self._passwords.hash(password))
        self._instruments.authentication("login", ok=True)
        return self._issue(found.user_id, login, 0)

    @traced("AuthService.refresh")
    def refresh(self, token: str, origin: Origin) -> Issued:
        """New tokens for a refresh token, which is good once. One that was used before is a copy in wrong hands: the
        login ends, for whoever holds one."""
        claims = self._tokens.read_refresh(token)
        if claims is None:
            raise self._token_refused("refresh")
        rotated = self._accounts.rotate(claims.login, claims.serial, REFRESH_TTL_S)
        if rotated is None:
            ended = self._accounts.log_out(claims.login, origin, reused=True)
            if ended is not None:
                self._sessions.changed(*ended)
                fields = {"user_id": ended[0]}
                log.warning("a refresh token was used again: its login is over", extra={"fields": fields})
            raise self._token_refused("refresh")
        user_id, serial = rotated
        session = self._sessions.of(user_id)
        if session is None or not session.active:
            raise self._token_refused("refresh")
        self._instruments.authentication("refresh", ok=True)
        return self._issue(user_id, claims.login, serial)

    @traced("AuthService.logout")
    def logout(self, caller: Caller, origin: Origin, *, everywhere: bool) -> None:
        """The caller's tokens are worth nothing from now on; `everywhere`: those of all its logins."""
        if caller.user_id is None:
            return
        if everywhere:
            ended = self._accounts.log_out_everywhere(caller.user_id, origin)
        else:
            ended = self._accounts.log_out(caller.login, origin)
        if ended is not None:
            self._sessions.changed(*ended)

    @traced("AuthService.change_password")
    def change_password(self, caller: Caller, current: str, new: str, origin: Origin) -> None:
        """Another password; the caller stays logged in, everybody else with this account does not."""
        assert caller.user_id is not None
        who = f"user-{caller.user_id}"
        self._wait_for_turn(who)
        stored = self._accounts.password(caller.user_id)
        if not self._passwords.verify(stored, current) or stored is None:
            raise self._refused("password")
        hashed = self._passwords.hash(new)
        version = self._accounts.change_password(caller.user_id, stored, hashed, caller.login, origin)
        if version is None:
            raise self._refused("password")
        self._throttle.succeeded(who)
        self._sessions.changed(caller.user_id, version)
        self._instruments.authentication("password", ok=True)

    @traced("AuthService.set_role")
    def set_role(self, user_id: int, role: str, origin: Origin) -> None:
        """Another role, which counts from the next request on. Raises NotFound."""
        version = self._accounts.set_role(user_id, role, origin)
        if version is None:
            raise NotFound(f"User {user_id} has no account.")
        self._sessions.changed(user_id, version)

    def login_of(self, refresh_token: str) -> str:
        """The login of a refresh token that is ours, '' for any other."""
        claims = self._tokens.read_refresh(refresh_token)
        return claims.login if claims else ""

    def _issue(self, user_id: int, login: str, serial: int) -> Issued:
        tokens = self._tokens
        return Issued(tokens.access(user_id, login), tokens.refresh(login, serial), tokens.csrf(login))

    def _wait_for_turn(self, who: str) -> None:
        wait_s = self._throttle.attempt(who)
        if wait_s > 0:
            self._instruments.authentication("throttled", ok=False)
            raise TooManyRequests("Too many wrong passwords. Please wait before the next try.", math.ceil(wait_s))

    def _refused(self, event: str) -> Unauthorized:
        self._instruments.authentication(event, ok=False)
        return Unauthorized("bad_credentials", "The e-mail address or the password is wrong.")

    def _token_refused(self, event: str) -> Unauthorized:
        self._instruments.authentication(event, ok=False)
        return Unauthorized("bad_token", "The token is not valid, or not any more.")
