"""Sessions: what decides over a user's tokens, copied to Redis, and told of every change there."""

from __future__ import annotations

from typing import Any

from backend.cache.versioned import NoCache, Question, VersionedCache
from backend.entities import Session
from backend.repository.accounts import AccountRepository


class Sessions:
    """Methods raise DatabaseUnavailable."""

    def __init__(self, accounts: AccountRepository, cache: VersionedCache[Session] | NoCache[Session]) -> None:
        self._accounts = accounts
        self._cache = cache

    def of(self, user_id: int) -> Session | None:
        """The user's session, None where there is no account."""
        copy = self._cache.get(user_id)
        return copy if isinstance(copy, Session) else self._load(user_id)

    def near(self, user_id: int, now: float) -> Session | None:
        """The session, where it is in memory."""
        return self._cache.near(user_id, now)

    def question(self, user_id: int) -> Question | None:
        """What to ask Redis for the session; None where it must not be asked now."""
        return self._cache.question(user_id)

    def found(self, user_id: int, question: Question | None, answer: Any) -> Session | None:
        """The session by Redis' answer, or else by the database; None where there is no account."""
        copy = self._cache.read(question, answer)
        return copy if isinstance(copy, Session) else self._load(user_id)

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

    def _load(self, user_id: int) -> Session | None:
        session = self._accounts.session(user_id)
        if session is not None:
            self._cache.put(session)
        return session
