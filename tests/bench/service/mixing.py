"""Who is asked for in which order: mostly whoever asks, and some users that nobody asked for before."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import cycle

BLOCK, COLD_IN_BLOCK = 20, 3  # 15 % of every twenty requests, so a short run has the same share as a long one
HITS_LEAST, HITS_MOST = 0.84, 0.86


def mixed(callers: Sequence[int], cold: Sequence[int], seed: int) -> Iterator[int]:
    """Ids in the order in which `callers`, in turn, ask for them: their own, or one of `cold`, in turn; ends with
    those."""
    chance = random.Random(seed)
    left = iter(cold)
    asking = cycle(callers)
    while True:
        at = set(chance.sample(range(BLOCK), COLD_IN_BLOCK))
        for place in range(BLOCK):
            caller = next(asking)
            if place not in at:
                yield caller
                continue
            one = next(left, None)
            if one is None:
                return
            yield one


def hits_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """The share of hits among reads of a cache, from its (hits, misses) before and after. 0 where nothing was read."""
    hits, misses = after[0] - before[0], after[1] - before[1]
    return hits / (hits + misses) if hits + misses else 0.0
