"""Parts of the service, put together for tests without a web server."""

from __future__ import annotations

from typing import Any

from backend.cache.link import Link
from backend.cache.memory import Memory
from backend.cache.offers import Offers
from backend.cache.rates import Rates
from backend.cache.sessions import SESSIONS
from backend.cache.users import users_form
from backend.cache.versioned import NoCache, VersionedCache
from backend.config import RateLimits, Redis
from backend.entities import UserCopy
from backend.observability.instruments import Instruments
from backend.repository.accounts import AccountRepository
from backend.repository.pool import Pool
from backend.repository.users import UserRepository
from backend.sealing import PLAIN
from backend.service.admission import Admission
from backend.service.sessions import Sessions
from backend.service.users import UserService

from app.backend.tests.servers import PASSWORD


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def open_admission() -> Admission:
    """Lets everybody in: there are no tokens, no limits and no Redis."""
    nowhere: Any = None
    sessions = Sessions(nowhere, NoCache())
    return Admission(None, sessions, Rates(None), RateLimits(user=0, address=0), None, Instruments())


def wire_settings(server: Any) -> Redis:
    """How to reach the tests' Redis."""
    return Redis(host="127.0.0.1", port=server.port, password=PASSWORD)


def service_of(
    pool: Pool,
    link: Link,
    repository: UserRepository | None = None,
    memory: Memory[UserCopy] | None = None,
    offers: Offers | None = None,
) -> UserService:
    """The service alone, without a web server."""
    instruments = Instruments()
    accounts = AccountRepository(pool, instruments.invocations)
    users = repository or UserRepository(pool, instruments.invocations)
    sessions = Sessions(accounts, VersionedCache(link, SESSIONS))
    copies = VersionedCache(link, users_form(PLAIN), memory=memory, offers=offers)
    return UserService(users, copies, sessions, instruments)
