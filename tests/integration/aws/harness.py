"""Runs the whole engine with the AWS provider against one account of the sandbox, and says what was called."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.capstan.fullstack.plugins.module_utils.aws.api import Api
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.provider import AwsProvider, Location
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.store import ParameterStore
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.calls import Calls, Patience
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw, describe
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.lease import Process
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.plan import Change, Plan
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.run import Engine, Options, Outcome, Stack
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads

from sandbox.aws.testing import Account

REGION = "us-east-1"
LOCKING = frozenset({"PutParameter", "DeleteParameter"})  # the stack's own lock and journal
PATIENCE = Patience(retry_s=15.0, wait_s=15.0)
Description = Mapping[str, Mapping[str, Any]]


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The AWS variables of the process, exactly these, for as long as botocore looks at them."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass
class World:
    """One stack in one account of the sandbox. `component` is the one that every description belongs to."""

    account: Account
    stack: str = "shop"
    component: str = "network"
    runtime: Threads = field(default_factory=lambda: Threads(24))
    events: list[Any] = field(default_factory=list)
    provider: AwsProvider = None  # type: ignore[assignment]  # kept: making its clients costs most of a test

    def __post_init__(self) -> None:
        self.provider = self.provider or AwsProvider({"main": Location(self.account.id, REGION)})

    def engine(self, description: Description, **options: Any) -> Engine:
        """An engine as the action plugin makes one; `options` go into its Options."""
        raws = [Raw(address, fields, self.component, self.stack, "test") for address, fields in description.items()]
        free = Calls(self.runtime, lambda: None)

        def store(stack: str) -> ParameterStore:
            return ParameterStore(self.provider.open("main", None, free), stack)

        return Engine(
            description=describe(raws, [self.provider]),
            stack=Stack(self.stack, region=REGION),
            providers=[self.provider],
            stores=store,
            runtime=self.runtime,
            emit=self.events.append,
            process=Process("tester", "here", pid=os.getpid()),
            is_dead=lambda process: False,
            patience=PATIENCE,
            options=Options(consistency_s=2.0, complete=frozenset({self.component}), **options),
        )

    def engine_resources(self, description: Description) -> Mapping[str, Any]:
        """The described resources as the engine holds them, by address."""
        raws = [Raw(address, fields, self.component, self.stack, "test") for address, fields in description.items()]
        return describe(raws, [self.provider]).resources

    def plan(self, description: Description, **options: Any) -> Plan:
        with environment(self.account.environment()):
            return self.engine(description, **options).plan()

    def converge(self, description: Description, **options: Any) -> Outcome:
        """Makes it so; raises what went wrong on the way, too."""
        with environment(self.account.environment()):
            outcome = self.engine(description, **options).converge()
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def with_api(self, work: Callable[[Api], Any]) -> Any:
        """What `work` makes of the kinds' API: for tests of a single method."""
        with environment(self.account.environment()):
            return work(self.provider.open("main", None, Calls(self.runtime, lambda: None, PATIENCE)))

    # -- what was called ---------------------------------------------------------------------------------------
    def watch(self, action: Callable[[], Any]) -> list[dict[str, Any]]:
        """The calls that `action` made, the lock's and the check of the account left out."""
        mark = self.account.sandbox.mark()
        action()
        calls = self.account.calls(mark)
        return [call for call in calls if call["service"] not in ("sts", "ssm")]

    def writes(self, action: Callable[[], Any]) -> list[str]:
        """The operations that wrote, in their order."""
        return [call["operation"] for call in self.watch(action) if call["write"]]


def differences(plan: Plan) -> dict[str, tuple[str, set[str]]]:
    """Address -> (action, names of the fields that differ), of everything that is not as described."""
    return {change.address: (change.action, set(change.fields)) for change in plan.changes if _differs(change)}


def _differs(change: Change) -> bool:
    return change.action != "none"


def outputs(world: World, description: Description, address: str) -> dict[str, Any]:
    """What others may refer to of a live resource."""
    change = world.plan(description).of(address)
    assert change is not None and change.live is not None
    return {"id": change.live.id, **change.live.outputs}
