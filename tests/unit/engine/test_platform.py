"""A platform that environments of other inventories use: they register there, and it does not go before them."""

from __future__ import annotations

from collections import defaultdict

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw, describe
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription, Refused
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.lease import Process, holder_of
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.run import Engine, Options, Outcome, Stack
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads

from ..plugins.memory import Cloud, Provider, Store

PLATFORM = Stack("prod", platform="prod-platform")
ENVIRONMENT = Stack("dev", platform="prod-platform", shared=True)
NET = Raw("mem.net/main", {"cidr": "10.0.0.0/16"}, "network", "prod-platform")
NODE = Raw("mem.node/web", {"net": "main", "size": 1}, "web", "dev")


class Account:
    """One cloud and the stores of its stacks."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        self.stores: dict[str, Store] = defaultdict(Store)

    def converge(self, stack: Stack, *raws: Raw, absent: bool = False) -> Outcome:
        provider = Provider(self.cloud)
        platform = stack.platform if stack.shared else ""
        return Engine(
            description=describe(raws, [provider], shared_platform=platform),
            stack=stack,
            providers=[provider],
            stores=self.stores.__getitem__,
            runtime=Threads(8),
            emit=lambda event: None,
            process=Process("me", "here"),
            is_dead=lambda process: False,
            options=Options(absent=absent, complete=frozenset({"network", "web"})),
        ).converge()


def test_a_platform_in_use_refuses_to_go_and_lists_who_uses_it() -> None:
    account = Account()
    account.converge(PLATFORM, NET)
    account.converge(ENVIRONMENT, NODE)
    with pytest.raises(Refused, match="prod-platform is still used by dev"):
        account.converge(PLATFORM, NET, absent=True)
    assert sorted(account.cloud.things) == ["net-1", "node-2"]
    holder = holder_of(account.stores["prod-platform"].entries())
    assert holder is not None and holder.released


def test_a_platform_goes_once_its_environments_are_gone() -> None:
    account = Account()
    account.converge(PLATFORM, NET)
    account.converge(ENVIRONMENT, NODE)
    account.converge(ENVIRONMENT, NODE, absent=True)
    assert sorted(account.cloud.things) == ["net-1"]
    account.converge(PLATFORM, NET, absent=True)
    assert account.cloud.things == {}


def test_what_a_platform_does_not_have_comes_with_the_nearest_thing_it_has() -> None:
    account = Account()
    account.converge(PLATFORM, NET)
    mistyped = Raw("mem.node/web", {"net": "mian", "size": 1}, "web", "dev")
    with pytest.raises(InvalidDescription, match=r'prod-platform has no mem.net/mian .* Did you mean "mem.net/main"\?'):
        account.converge(ENVIRONMENT, mistyped)
