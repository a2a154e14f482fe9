"""The call log: every call as one record, in memory and as JSON lines in a file."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_KEPT = 200_000  # records in memory; the file has all


class CallLog:
    """Records of all calls, numbered from 1 in the order in which they arrived.

    A record: n, time (ISO 8601, UTC), service, operation, account, access_key, user_agent, write (false for a dry
    run), params (without secrets), executed (false when a fault or a refusal came first), status (0 when no answer
    was sent), code (error code, empty on success), duration_ms. Records become visible when their call is over.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Condition()
        self._records: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._open: set[int] = set()
        self._last = 0
        self._file = path.open("a", buffering=1)

    def begin(self) -> int:
        """The number of a call that just arrived."""
        with self._lock:
            self._last += 1
            self._open.add(self._last)
            return self._last

    def finish(self, number: int, started: float, record: dict[str, Any]) -> None:
        """Completes call `number`, begun at `started` (time.perf_counter seconds)."""
        done = {
            "n": number,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **record,
            "duration_ms": round((time.perf_counter() - started) * 1000, 2),
        }
        with self._lock:
            self._open.discard(number)
            self._records.append(done)
            self._file.write(json.dumps(done, default=str) + "\n")
            self._lock.notify_all()

    def since(self, number: int, access_key: str | None = None) -> dict[str, Any]:
        """{"calls": records with n > `number`, by n; "last": highest number given out; "in_flight": count}."""
        with self._lock:
            calls = [r for r in self._records if r["n"] > number and access_key in (None, r.get("access_key"))]
            return {"calls": sorted(calls, key=lambda r: r["n"]), "last": self._last, "in_flight": len(self._open)}

    def clear(self) -> None:
        """Forgets the finished records; numbers go on."""
        with self._lock:
            self._records.clear()

    def close(self) -> None:
        with self._lock:
            self._file.close()
