"""Plays seeds: `python -m simulation --seeds 0:10000 --workers 2`, or one again: `--seeds 4711:4712`."""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import sys
import time
import traceback
from collections import Counter

from .story import play


def one(seed: int) -> tuple[int, dict[str, int], str]:
    try:
        return seed, dict(play(seed)), ""
    except Exception:
        return seed, {}, traceback.format_exc()


def _collect_rarely() -> None:
    """A seed's world is small and soon forgotten: looking for cycles in it took a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="first:end")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stop-at", type=int, default=3, help="end after so many failing seeds")
    options = parser.parse_args()
    first, end = map(int, options.seeds.split(":"))
    began = time.monotonic()
    hits: Counter[str] = Counter()
    failures: list[dict[str, object]] = []
    played = 0
    with multiprocessing.get_context("fork").Pool(options.workers, _collect_rarely, maxtasksperchild=8) as pool:
        for seed, found, problem in pool.imap_unordered(one, range(first, end), chunksize=16):
            played += 1
            hits.update(found)
            if problem:
                failures.append({"seed": seed, "problem": problem})
                if len(failures) >= options.stop_at:
                    pool.terminate()
                    break
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"played": played, "seconds": seconds, "hits": hits, "failures": failures}))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
