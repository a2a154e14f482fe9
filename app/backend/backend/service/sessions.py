"""Sessions: what decides over a user's tokens, copied to Redis, and told of every change there."""

from __future__ import annotations

from typing import Protocol

from backend.entities import Session
from backend.repository.accounts import AccountRepository


class SessionCache(Protocol):
    """Copies of sessions."""

    def get(self, row_id: int) -> Session | None: ...
    def put(self, row: Session) -> None: ...
    def forget(self, row_id: int, version: int, *, deleted: bool = False) -> None: ...


class Sessions:
    """Methods raise DatabaseUnavailable."""

    def __init__(self, accounts: AccountRepository, cache: SessionCache) -> None:
        self._accounts = accounts
        self._cache = cache

    def of(self, user_id: int) -> Session | None:
        """The user's session, None where there is no account."""
        session = self._cache.get(user_id)
        if session is None:
            session = self._accounts.session(user_id)
            if session is not None:
                self._cache.put(session)
        return session

    def changed(self, user_id: int, version: int) -> None:
        """The account has this version after a write."""
        self._cache.forget(user_id, version)

    def user_changed(self, user_id: int) -> None:
        """The user may have another status, which the database has told the account."""
        version = self._accounts.version(user_id)
        if version is not None:
            self._cache.forget(user_id, version)

    def user_deleted(self, user_id: int) -> None:
        """The user is gone, and so is the account."""
        self._cache.forget(user_id, 0, deleted=True)
