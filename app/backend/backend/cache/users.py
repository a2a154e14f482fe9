"""Users in Redis, cache-aside.

Key `user:{<id>}` (the braces are literal: they make the hash tag that keeps a user's keys on one shard), value
`<version>:<JSON>`, five minutes to live. A write leaves `<version>:` behind, which is a miss and at the same time a
mark that no reader who saw the row before that write may fill in: without it, a slow reader could put an old row
back for five minutes. A deleted user's mark carries a version that nothing exceeds.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend.config import Redis as RedisSettings
from backend.entities import User

log = logging.getLogger(__name__)

TTL_S = 300
REST_S = 2.0  # after a failure reads leave Redis alone for this long
MAX_OWED = 10_000
_DELETED = 2**53 - 1  # Redis scripts count in doubles

# KEYS[1] the user's key; ARGV: version, JSON or '' (a mark), seconds to live. What is stored gives way only to what is
# at least as new.
_PUT = """
local stored = redis.call('GET', KEYS[1])
if stored then
  local version = tonumber(string.match(stored, '^(%d+):'))
  if version and version > tonumber(ARGV[1]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'EX', ARGV[3])
return 1
"""


def user_key(user_id: int) -> str:
    """The key of one user."""
    return f"user:{{{user_id}}}"


def user_to_text(user: User) -> str:
    """The JSON that is stored for a user."""
    return json.dumps(
        [user.id, user.name, user.email, user.status, user.created_at.isoformat(), user.updated_at.isoformat()],
        ensure_ascii=False,
    )


def user_from_text(stored: str) -> User | None:
    """The user in a stored value; None for a mark, and for what some other version of the service left there."""
    version, _, body = stored.partition(":")
    if not body:
        return None
    try:
        user_id, name, email, status, created_at, updated_at = json.loads(body)
        return User(
            id=user_id,
            name=name,
            email=email,
            status=status,
            created_at=datetime.fromisoformat(created_at),
            updated_at=datetime.fromisoformat(updated_at),
            version=int(version),
        )
    except (ValueError, TypeError):
        return None


def client(settings: RedisSettings) -> redis.Redis:
    """A client with short timeouts and without retries: a cache that must be waited for is none."""
    return redis.Redis(
        host=settings.host,
        port=settings.port,
        password=settings.password,
        ssl=settings.tls,
        socket_timeout=settings.timeout_s,
        socket_connect_timeout=settings.timeout_s,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        client_name="capstan-backend",
        health_check_interval=15,
    )


class UserCache:
    """Never raises for a Redis that is away: a read is a miss, a write is owed until Redis is back."""

    def __init__(
        self,
        connection: redis.Redis,
        *,
        clock: Callable[[], float] = time.monotonic,
        was_read: Callable[[bool], None] = lambda hit: None,
    ) -> None:
        self._redis = connection
        self._was_read = was_read
        self._put = connection.register_script(_PUT)
        self._clock = clock
        self._lock = threading.Lock()
        self._rests_until = 0.0
        self._owed: dict[int, int] = {}  # user id -> version of a write that Redis has not heard of

    def get(self, user_id: int) -> User | None:
        """The cached user, None for a miss."""
        found = self._read(user_id)
        self._was_read(found is not None)
        return found

    def put(self, user: User) -> None:
        """Offers a row read from the database; an older one never replaces a newer one."""
        if self._reachable() and user.id not in self._owed:
            self._write(user.id, user.version, user_to_text(user))

    def forget(self, user: User, *, deleted: bool = False) -> None:
        """Tells that `user` is the row after a write, or the last one before it was deleted."""
        version = _DELETED if deleted else user.version
        # Tried even while reads rest: a copy that should be gone is worse than a slow write.
        if not self._write(user.id, version, ""):
            with self._lock:
                if len(self._owed) < MAX_OWED:
                    self._owed[user.id] = version

    def ping(self) -> None:
        """Returns when Redis answers. Raises redis.RedisError."""
        self._redis.ping()

    def close(self) -> None:
        """Closes the connections."""
        self._redis.close()

    # -- within

    def _read(self, user_id: int) -> User | None:
        if not self._reachable():
            return None
        try:
            self._pay()
            stored = self._redis.get(user_key(user_id))
        except redis.RedisError as error:
            self._rest(error)
            return None
        return user_from_text(str(stored)) if stored else None

    def _write(self, user_id: int, version: int, body: str) -> bool:
        try:
            self._put(keys=[user_key(user_id)], args=[version, body, TTL_S])
        except redis.RedisError as error:
            self._rest(error)
            return False
        return True

    def _pay(self) -> None:
        """Writes the marks that are owed, so that nothing stale is read once Redis is back."""
        if not self._owed:
            return
        with self._lock:
            owed = dict(self._owed)
        for user_id, version in owed.items():
            self._put(keys=[user_key(user_id)], args=[version, "", TTL_S])
            with self._lock:
                if self._owed.get(user_id) == version:
                    del self._owed[user_id]

    def _reachable(self) -> bool:
        return self._clock() >= self._rests_until

    def _rest(self, error: redis.RedisError) -> None:
        if self._reachable():
            log.warning("cache: going on without Redis: %s", error)
        self._rests_until = self._clock() + REST_S
