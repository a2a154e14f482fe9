"""The stack's lock and journal in the account's own parameter store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.capstan.fullstack.plugins.module_utils.aws.store import ParameterStore

from sandbox.aws.testing import AwsSandbox

from .harness import World


def with_store(world: World, work: Any, stack: str = "shop") -> Any:
    return world.with_api(lambda api: work(ParameterStore(api, stack)))


def test_what_is_written_is_there_until_it_is_removed(world: World) -> None:
    def work(store: ParameterStore) -> list[dict[str, str]]:
        assert store.create("lock/1", "mine")
        store.put("journal/aws.vpc/main", "note")
        store.put("journal/aws.vpc/main", "another note")
        seen = [store.entries()]
        store.remove("lock/1")
        store.remove("lock/1")
        return [*seen, store.entries()]

    assert with_store(world, work) == [
        {"lock/1": "mine", "journal/aws.vpc/main": "another note"},
        {"journal/aws.vpc/main": "another note"},
    ]


def test_of_many_at_once_exactly_one_creates(world: World) -> None:
    def work(store: ParameterStore) -> tuple[list[bool], str]:
        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(lambda number: store.create("lock/1", f"run {number}"), range(16)))
        return won, store.entries()["lock/1"]

    won, text = with_store(world, work)
    assert won.count(True) == 1
    assert text == f"run {won.index(True)}"


def test_the_loser_of_a_lost_answer_is_told_and_so_is_the_winner(sandbox: AwsSandbox, world: World) -> None:
    match = {"operation": "PutParameter", "access_key": world.account.access_key_id}
    sandbox.fault("drop_after", match)
    assert with_store(world, lambda store: store.create("lock/1", "mine")) is True
    sandbox.clear_faults()
    sandbox.fault("drop_before", match)
    assert with_store(world, lambda store: store.create("lock/1", "theirs")) is False
    assert with_store(world, lambda store: store.entries()) == {"lock/1": "mine"}


def test_stacks_do_not_see_each_other_however_alike_their_names(world: World) -> None:
    with_store(world, lambda store: store.put("lock/1", "x"), "shop")
    with_store(world, lambda store: store.put("lock/1", "y"), "shop-2")
    assert with_store(world, lambda store: store.entries(), "shop") == {"lock/1": "x"}


def test_more_entries_than_one_page_holds_are_all_found(world: World) -> None:
    def work(store: ParameterStore) -> int:
        for number in range(23):
            store.put(f"journal/{number}", "note")
        return len(store.entries())

    assert with_store(world, work) == 23
