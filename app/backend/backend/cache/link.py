"""The way to Redis, and whether it is open at the moment: one for everything that this process keeps there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend.config import Redis as RedisSettings

log = logging.getLogger(__name__)

REST_S = 2.0  # after a failure Redis is left alone for this long


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


class Link:
    """A client, and until when it rests."""

    def __init__(self, connection: redis.Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self.redis = connection
        self._clock = clock
        self._rests_until = 0.0

    def is_open(self) -> bool:
        """Whether asking Redis is worth a try."""
        return self._clock() >= self._rests_until

    def failed(self, error: redis.RedisError) -> None:
        """Redis did not answer: nobody asks it for a while."""
        if self.is_open():
            log.warning("cache: going on without Redis: %s", error)
        self._rests_until = self._clock() + REST_S

    def ping(self) -> None:
        """Returns when Redis answers. Raises redis.RedisError."""
        self.redis.ping()

    def close(self) -> None:
        """Closes the connections."""
        self.redis.close()
