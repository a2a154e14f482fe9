"""The AWS provider: locations, credentials, the check of the account, and the clients of each service."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine.calls import Calls
from ..engine.errors import ApiError, CapstanError, Category, InvalidDescription, missing_library
from ..engine.fields import nearest
from ..engine.resource import Resource
from .api import Api
from .eks_token import VALID_FOR_S, eks_token
from .index import KINDS
from .rules import rules
from .sign_in import refusal, unusable

USER_AGENT = "capstan/0.1.0"
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 30
CONNECTIONS = 64  # at least as many as the engine has workers
# The first call of a run: say so at once, do not wait for it.
_IDENTITY_RULES = rules(Category.FATAL, "Unreachable", "Garbled")


@dataclass(frozen=True)
class Location:
    """Where resources live. `account_id`: 12 digits, compared with the caller's before anything else is called."""

    account_id: str
    region: str
    role_arn: str = ""  # assumed from the ambient credentials; "" uses these as they are


class AwsProvider:
    """All AWS kinds, and the API of each location. One for a run; thread-safe.

    Endpoints (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<SERVICE>) and credentials follow botocore's own rules.
    """

    name = "aws"

    def __init__(self, locations: Mapping[str, Location], user_agent: str = USER_AGENT) -> None:
        if not KINDS:
            raise CapstanError("no AWS kind was found: the collection is damaged; install it again.")
        self._locations = dict(locations)
        self._user_agent = user_agent
        self._lock = threading.Lock()
        self._opened: dict[str, _Clients | CapstanError] = {}

    def kind(self, name: str) -> type[Resource] | None:
        return KINDS.get(name)

    def kinds(self) -> Iterable[str]:
        return KINDS.keys()

    def open(self, location: str, connection: Mapping[str, Any] | None, calls: Calls) -> Api:
        """The API at `location`, its account verified once. Raises CapstanError for a wrong account or credentials."""
        with self._lock:
            if location not in self._opened:
                self._opened[location] = self._verified(location, calls)
            clients = self._opened[location]
        if isinstance(clients, CapstanError):
            raise clients
        return Api(clients, calls)

    def _verified(self, location: str, calls: Calls) -> _Clients | CapstanError:
        """The location's clients; the error is remembered, too, so that it is found and told once."""
        try:
            clients = _Clients(self._location(location), self._user_agent)
            clients.verify(calls)
        except CapstanError as error:
            return error
        return clients

    def eks_token(self, location: str, cluster: str) -> tuple[str, float]:
        """(token, seconds that it stays valid) for the API server of `cluster` (its name) at `location`."""
        with self._lock:
            known = self._opened.get(location)
        clients = known if isinstance(known, _Clients) else _Clients(self._location(location), self._user_agent)
        return eks_token(clients.client("sts"), cluster), float(VALID_FOR_S)

    def _location(self, alias: str) -> Location:
        if alias in self._locations:
            return self._locations[alias]
        hint = nearest(alias, self._locations)
        raise InvalidDescription(f'There is no location "{alias}".{hint} Known: {", ".join(sorted(self._locations))}.')


class _Clients:
    """The botocore clients of one location. Making one costs 5-130 ms of pure computing, so they are made one at a
    time (side by side they only fight for the interpreter: measured 0.8 s against 0.3 s for nine) and kept."""

    def __init__(self, location: Location, user_agent: str) -> None:
        self.location = location
        self.account_id = location.account_id
        self.region = location.region
        self.user_agent = user_agent
        self.caller = ""  # until `verify` has asked
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._session = self._signed_in()

    def client(self, service: str) -> Any:
        client = self._clients.get(service)
        if client is None:
            with self._lock:
                client = self._clients.get(service)
                if client is None:
                    client = self._clients[service] = self._make(self._session, service)
        return client

    def paginator_config(self, service: str, operation: str) -> Mapping[str, Any]:
        loader = self._session.get_component("data_loader")
        config: Mapping[str, Any] = loader.load_service_model(service, "paginators-1")["pagination"][operation]
        return config

    def verify(self, calls: Calls) -> None:
        """Compares the caller's account with the location's: the first call of every run."""
        asked = Api(self, calls)
        try:
            answer = asked.call("sts", "GetCallerIdentity", rules=_IDENTITY_RULES)
        except ApiError as error:
            endpoint = self.client("sts").meta.endpoint_url
            raise CapstanError(refusal(error, endpoint, self.location.role_arn)) from None
        if answer["Account"] != self.account_id:
            raise CapstanError(
                f"wrong AWS account: the credentials belong to {answer['Account']} ({answer['Arn']}), but account_id "
                f"is {self.account_id}. Use the credentials of {self.account_id}, or correct account_id."
            )
        self.caller = answer["Arn"]

    def _signed_in(self) -> Any:
        session = _new_session(self.region)
        if not self.location.role_arn:
            return session
        return self._assume(session, self.location.role_arn)

    def _assume(self, session: Any, role_arn: str) -> Any:
        """A session with the credentials of `role_arn`, renewed by botocore before they run out."""
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        with _usable_settings():
            source = session.get_credentials()
        if source is None:
            raise CapstanError(
                f"there are no AWS credentials to assume {role_arn} with. Set them in the environment or a profile."
            )
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=lambda service, **given: self._make(session, service, **given),
            source_credentials=source,
            role_arn=role_arn,
            extra_args={"RoleSessionName": "capstan"},
        )
        assumed = _new_session(self.region)
        assumed._credentials = DeferredRefreshableCredentials(  # botocore's only way to hand in refreshing ones
            refresh_using=fetcher.fetch_credentials, method="assume-role"
        )
        return assumed

    def _make(self, session: Any, service: str, **given: Any) -> Any:
        from botocore.config import Config

        config = Config(
            user_agent=self.user_agent,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=CONNECTIONS,
            retries={"total_max_attempts": 1, "mode": "standard"},  # the engine retries, and knows when to stop
        )
        given.setdefault("region_name", self.region)
        with _usable_settings():
            return session.create_client(service, config=config, **given)


def _new_session(region: str) -> Any:
    try:
        import botocore.session
    except ImportError as error:
        raise missing_library("botocore", error) from None
    session = botocore.session.get_session()
    session.set_config_variable("region", region)
    with _usable_settings():
        loader = session.get_component("data_loader")

    def services(_type_name: str) -> list[str]:
        return [each.name for path in map(Path, loader.search_paths) if path.is_dir() for each in path.iterdir()]

    # botocore's own looks into each of its 400 services' folders, for each type of file, before it loads one: 45 ms
    loader.list_available_services = services
    return session


@contextmanager
def _usable_settings() -> Iterator[None]:
    """Says what is wrong with the environment and the configuration files when botocore cannot use them."""
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except (BotoCoreError, ValueError) as error:
        raise CapstanError(unusable(error)) from None
