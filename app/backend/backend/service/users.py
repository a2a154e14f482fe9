"""The users: the database decides, the cache only spares it single reads."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import threading
from collections.abc import Sequence

from backend.cache.versioned import Absent, NoCache, VersionedCache
from backend.entities import Listing, Origin, Page, Position, RequestKey, User, UserChange, UserCopy, UserFields
from backend.errors import NotFound, PreconditionFailed, ServiceError
from backend.observability.instruments import Instruments
from backend.observability.tracing import about_user, traced
from backend.repository.users import UserRepository
from backend.service.admission import Copies, Entry
from backend.service.sessions import Sessions

_LOCKS = 256


def request_key(owner: str, key: str, fields: UserFields) -> RequestKey:
    """What is kept of a request that may be sent again.

    Without the key, which only the client has, the fingerprint confirms no guess at what was sent.
    """
    content = json.dumps(dataclasses.astuple(fields)).encode()
    return RequestKey(
        owner=owner,
        key_hash=hashlib.sha256(key.encode()).digest(),
        fingerprint=hmac.digest(key.encode(), content, "sha256"),
    )


class UserService:
    """Methods raise the errors of `backend.errors`."""

    def __init__(
        self,
        repository: UserRepository,
        cache: VersionedCache[UserCopy] | NoCache[UserCopy],
        sessions: Sessions,
        instruments: Instruments,
    ) -> None:
        self._repository = repository
        self._cache = cache
        self._sessions = sessions
        self._instruments = instruments
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    @traced("UserService.list")
    def list(self, listing: Listing, limit: int, after: Position | None) -> Page:
        """A page of a list: what follows a position, or its beginning."""
        return self._repository.list(listing, limit, after)

    @property
    def copies(self) -> Copies:
        """Of which `get` will want that of the user."""
        return self._cache

    @traced("UserService.get")
    def get(self, user_id: int, entry: Entry | None = None) -> tuple[UserCopy, bool]:
        """The user, and whether it came from the cache, where `entry` may have looked already."""
        about_user(user_id)
        found = entry.found if entry is not None else self._cache.get(user_id)
        if found is None:
            return self._load(user_id)
        return self._known(user_id, found), True

    def _load(self, user_id: int) -> tuple[UserCopy, bool]:
        """From the database. Of many who miss the same user at once, one reads it and the others wait for its copy."""
        lock = self._locks[user_id % _LOCKS]
        at_once = lock.acquire(blocking=False)
        if not at_once:
            lock.acquire()
        try:
            # What was read for somebody else may be older than a write that this caller knows of; a copy never is.
            found = None if at_once else self._cache.get(user_id)
            if found is not None:
                return self._known(user_id, found), True
            copy = self._repository.get(user_id)
            if copy is None:
                self._cache.put_absent(user_id)
                raise NotFound(f"There is no user {user_id}.")
            self._cache.put(copy)
            return copy, False
        finally:
            lock.release()

    def _known(self, user_id: int, found: UserCopy | Absent) -> UserCopy:
        if isinstance(found, Absent):
            raise NotFound(f"There is no user {user_id}.")
        return found

    def created(self, user: User) -> None:
        """A user was created, here or by a registration: nobody is told any more that there is none."""
        self._cache.forget(user.id, user.version)
        self._instruments.users_created.add()

    @traced("UserService.create")
    def create(self, fields: UserFields, origin: Origin) -> User:
        """The new user."""
        user = self._repository.create(fields, origin)
        about_user(user.id)
        self.created(user)
        return user

    @traced("UserService.create_once")
    def create_once(self, fields: UserFields, key: str, origin: Origin) -> tuple[User, bool]:
        """(the user as it was created, whether an earlier request of the same caller with this key did that)."""
        owner = str(origin.actor or "")
        user, earlier = self._repository.create_once(fields, request_key(owner, key, fields), origin)
        if not earlier:
            self.created(user)
        return user, earlier

    @traced("UserService.update")
    def update(
        self, user_id: int, change: UserFields | UserChange, origin: Origin, if_match: Sequence[int] | None = None
    ) -> User:
        """The user after the change, which is made only to one of these versions where any are named."""
        about_user(user_id)
        user = self._repository.update(user_id, change, origin, if_match)
        if user is None:
            raise self._not_written(user_id, if_match)
        self._cache.forget(user_id, user.version)
        self._sessions.user_changed(user_id)
        return user

    @traced("UserService.delete")
    def delete(self, user_id: int, origin: Origin, if_match: Sequence[int] | None = None) -> None:
        """The user is gone afterwards, where it was one of these versions or none are named."""
        about_user(user_id)
        user = self._repository.delete(user_id, origin, if_match)
        if user is None:
            raise self._not_written(user_id, if_match)
        self._cache.forget(user_id, user.version, deleted=True)
        self._sessions.user_deleted(user_id)
        self._instruments.users_deleted.add()

    def _not_written(self, user_id: int, if_match: Sequence[int] | None) -> ServiceError:
        """Why a write found no row. The database has decided already; this only finds the words."""
        if if_match is None or self._repository.get(user_id) is None:
            return NotFound(f"There is no user {user_id}.")
        return PreconditionFailed("The user was changed in the meantime: read it again.")
