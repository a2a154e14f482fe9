"""Everything one sandbox knows: its settings, accounts, clock and the state of the services that are its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from .accounts import DEFAULT_ACCOUNT, Accounts, Principal
from .calls import CallLog
from .clock import Clock
from .faults import Faults
from .permissions import Permissions
from .protocol import Operation
from .signing import HttpRequest

DEFAULT_REGION = "us-east-1"
T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How a sandbox was started; addresses are "host:port"."""

    state: Path
    listen: str = "127.0.0.1:4566"
    kubernetes_endpoint: str | None = None  # URL of a real API server that every EKS cluster answers with
    kubernetes_ca: Path | None = None
    registry: str | None = None
    postgres_listen: str | None = None  # address on which database instances listen; None: no real databases
    speed: str = "fast"
    quirks: bool = True
    accounts: tuple[str, ...] = (DEFAULT_ACCOUNT,)
    with_parent: bool = False  # it ends when its standard input does


@dataclass
class Call:
    """One authenticated call on its way through the sandbox."""

    number: int
    operation: Operation
    request: HttpRequest
    principal: Principal
    region: str
    notes: dict[str, Any] = field(default_factory=dict)  # what hooks hand to each other

    @property
    def service(self) -> str:
        return self.operation.service

    @property
    def name(self) -> str:
        return self.operation.name

    @property
    def params(self) -> dict[str, Any]:
        return self.operation.params

    @property
    def account(self) -> str:
        return self.principal.account

    @property
    def place(self) -> tuple[str, str]:
        """(account, region): where regional things live."""
        return (self.account, self.region)


class World:
    """The state of one sandbox. `lock` is held while an operation or a transition runs."""

    def __init__(self, settings: Settings) -> None:
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.settings = settings
        self.lock = threading.RLock()
        self.clock = Clock(self.lock, settings.speed, self.report)
        self.calls = CallLog(settings.state / "calls.jsonl")
        self.accounts = Accounts()
        self.permissions = Permissions()
        self.faults = Faults()
        self.quirks_off: set[str] = set()
        self.quirks_on = settings.quirks
        self._stores: dict[str, Any] = {}
        self._closers: list[Callable[[], None]] = []
        for account in settings.accounts:
            self.accounts.add(account)

    def quirk(self, name: str) -> bool:
        """Whether the quirk `name` of the catalogue is in force."""
        return self.quirks_on and name not in self.quirks_off

    def store(self, make: Callable[[World], T]) -> T:
        """The one object that `make` (a class taking a World) gives for this world; made at first use."""
        name = f"{make.__module__}.{getattr(make, '__qualname__', make)}"
        with self.lock:
            if name not in self._stores:
                self._stores[name] = make(self)
            found: T = self._stores[name]
            return found

    def forget_stores(self) -> None:
        self._stores.clear()

    def on_close(self, action: Callable[[], None]) -> None:
        """Has `action` run when the sandbox stops or is reset."""
        self._closers.append(action)

    def close_resources(self) -> None:
        """Runs the closers once, whatever each of them raises."""
        closers, self._closers = self._closers, []
        for action in closers:
            try:
                action()
            except Exception as error:
                self.report(f"while closing: {error!r}")

    def report(self, text: str) -> None:
        """Writes an internal failure to errors.log in the state directory."""
        with (self.settings.state / "errors.log").open("a") as file:
            file.write(f"{datetime.now(UTC).isoformat()} {text}\n")
