"""Denied actions: enough of IAM to see what a caller without a permission sees."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Denial:
    """Actions as IAM writes them ("rds:DescribeDBInstances", "ec2:*"); for one access key, or for all."""

    actions: tuple[str, ...]
    access_key: str | None = None

    def covers(self, action: str, access_key: str) -> bool:
        mine = self.access_key is None or self.access_key == access_key
        return mine and any(fnmatchcase(action.lower(), pattern.lower()) for pattern in self.actions)


class Permissions:
    """The denials in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._denials: tuple[Denial, ...] = ()

    def deny(self, denial: Denial) -> None:
        with self._lock:
            self._denials = (*self._denials, denial)

    def clear(self, access_key: str | None = None) -> None:
        """Lifts all denials, or those of one access key."""
        with self._lock:
            self._denials = tuple(d for d in self._denials if access_key is not None and d.access_key != access_key)

    def listed(self) -> list[dict[str, object]]:
        return [{"actions": list(d.actions), "access_key": d.access_key} for d in self._denials]

    def denies(self, action: str, access_key: str) -> bool:
        return any(denial.covers(action, access_key) for denial in self._denials)
