"""Who depends on whom: pure functions over `address -> addresses it needs`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

from .runtime import Runtime

K = TypeVar("K", bound=Hashable)


def order(needs: Mapping[K, Iterable[K]]) -> list[K]:
    """Every key after what it needs; keys without a relation keep the mapping's order. Raises ValueError on a cycle."""
    done: dict[K, None] = {}
    for root in needs:
        stack: list[tuple[K, Iterator[K], bool]] = [(root, iter(()), False)] if root not in done else []
        path: set[K] = set()
        while stack:
            key, rest, entered = stack.pop()
            if not entered:
                if key in done or key not in needs:
                    continue
                if key in path:
                    raise ValueError(f"cycle through {key}")
                path.add(key)
                rest = iter(needs[key])
            following = next(rest, None)
            if following is None:
                path.discard(key)
                done[key] = None
                continue
            stack.append((key, rest, True))
            stack.append((following, iter(()), False))
    return list(done)


def cycle(needs: Mapping[K, Iterable[K]]) -> list[K]:
    """One cycle, its first key repeated at the end; empty when there is none."""
    open_: dict[K, None] = {}
    closed: set[K] = set()

    def visit(key: K) -> list[K]:
        stack = [(key, iter(list(needs.get(key, ()))))]
        open_[key] = None
        while stack:
            top, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                open_.pop(top)
                closed.add(top)
            elif following in open_:
                keys = list(open_)
                return [*keys[keys.index(following) :], following]
            elif following not in closed and following in needs:
                open_[following] = None
                stack.append((following, iter(list(needs[following]))))
        return []

    for key in needs:
        if key not in closed and (found := visit(key)):
            return found
    return []


def closure(wanted: Iterable[K], needs: Mapping[K, Iterable[K]]) -> set[K]:
    """`wanted` and everything they need, directly or not."""
    found: set[K] = set()
    waiting = list(wanted)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting.extend(needs.get(key, ()))
    return found


def walk(
    needs: Mapping[K, Iterable[K]],
    visit: Callable[[K], bool],
    runtime: Runtime,
    *,
    go_on: Callable[[], bool] = lambda: True,
    inline: Callable[[K], bool] = lambda _unused: False,
) -> list[K]:
    """Visits every key as soon as what it needs is done, side by side: no rounds, no barriers.

    `visit` says whether its dependents may go on; `inline` ones are visited by the coordinator itself (no waiting in
    them). Returns the keys that were not visited: their needs failed, or `go_on` said stop. The first exception of a
    visit is raised after the visits under way have ended.
    """
    left = {key: {need for need in needs[key] if need in needs} for key in needs}
    followers: dict[K, list[K]] = {key: [] for key in needs}
    for key, wanted in left.items():
        for need in wanted:
            followers[need].append(key)
    mailbox = runtime.mailbox()
    ready = [key for key, wanted in left.items() if not wanted]
    visited: set[K] = set()
    running = 0
    broken: BaseException | None = None

    def task(key: K) -> None:
        try:
            mailbox.put((key, visit(key), None))
        except BaseException as error:
            mailbox.put((key, False, error))

    while ready or running:
        while ready and broken is None and go_on():
            key = ready.pop(0)
            visited.add(key)
            running += 1
            if inline(key):
                task(key)
            else:
                runtime.start(lambda key=key: task(key))  # type: ignore[misc]
        if not running:
            break
        key, allowed, error = mailbox.get()
        running -= 1
        broken = broken or error
        if allowed:
            for follower in followers[key]:
                left[follower].discard(key)
                if not left[follower]:
                    ready.append(follower)
    if broken is not None:
        raise broken
    return [key for key in needs if key not in visited]
