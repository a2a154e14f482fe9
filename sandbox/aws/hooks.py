"""The tables of what the sandbox does itself: whole operations, and what happens before and after them.

Service files and quirks register functions here when they are imported; `installed()` imports them all.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

from .world import Call, World

Result = dict[str, Any]
Handler = Callable[[World, Call], Result]
Before = Callable[[World, Call], None]
After = Callable[[World, Call, Result], Result]
F = TypeVar("F", bound=Callable[..., Any])

_handlers: dict[tuple[str, str], Handler] = {}
_prepare: dict[str, list[Before]] = {}
_before: dict[tuple[str, str], list[tuple[str | None, Before]]] = {}
_after: dict[tuple[str, str], list[tuple[str | None, After]]] = {}


def operation(service: str, *names: str) -> Callable[[F], F]:
    """The function is the operation: it takes (world, call) and returns the result or raises AwsError."""

    def register(function: F) -> F:
        for name in names:
            if (service, name) in _handlers:
                raise ValueError(f"{service}:{name} is handled twice")
            _handlers[service, name] = function
        return function

    return register


def before(service: str, *names: str, quirk: str | None = None) -> Callable[[F], F]:
    """The function runs before the operation ("*": every one of the service) and may raise AwsError.

    Only while `quirk` is on, if one is named.
    """

    def register(function: F) -> F:
        for name in names:
            _before.setdefault((service, name), []).append((quirk, function))
        return function

    return register


def after(service: str, *names: str, quirk: str | None = None) -> Callable[[F], F]:
    """The function takes (world, call, result) of a success and returns the result to answer with."""

    def register(function: F) -> F:
        for name in names:
            _after.setdefault((service, name), []).append((quirk, function))
        return function

    return register


def prepare(*services: str) -> Callable[[F], F]:
    """The function runs first in every call of these services: it brings a fresh account into its initial state."""

    def register(function: F) -> F:
        for service in services:
            _prepare.setdefault(service, []).append(function)
        return function

    return register


def prepare_of(call: Call) -> list[Before]:
    return _prepare.get(call.service, [])


def handler_of(call: Call) -> Handler | None:
    return _handlers.get((call.service, call.name))


def before_of(world: World, call: Call) -> list[Before]:
    registered = [*_before.get((call.service, "*"), ()), *_before.get((call.service, call.name), ())]
    return [f for quirk, f in registered if quirk is None or world.quirk(quirk)]


def after_of(world: World, call: Call) -> list[After]:
    return [f for quirk, f in _after.get((call.service, call.name), ()) if quirk is None or world.quirk(quirk)]


def installed() -> None:
    """Imports every service extension and quirk, which register themselves."""
    from . import quirks, services

    for package in (services, quirks):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
