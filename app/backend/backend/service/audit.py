"""The audit log: what was done, which the repositories note with each write, who looked at whose data, and what failed.

Looks are noted in the background, so that none waits for the database: a request only puts one into a queue. A thread
writes what is there within half a second, many in one statement. Another one sees to the log's partitions.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from backend.entities import AuditListing, AuditLook, AuditPage, AuditPosition, Origin
from backend.errors import DatabaseUnavailable
from backend.observability.tracing import traced
from backend.repository.audit import AuditRepository

log = logging.getLogger(__name__)

WRITE_EVERY_S = 0.5
MAX_BATCH, MAX_QUEUE = 100, 20_000  # a larger batch would hold requests up while it is put together
FLUSH_S = 2.0
WARN_EVERY_S = 300.0
KEEP_EVERY_S, KEEP_AGAIN_S = 3_600.0, 60.0  # the second one after a failure

_Look = tuple[float, str, int | None, int | None, str | None, Mapping[str, Any]]  # an AuditLook that has no id yet


class AuditService:
    """`list` raises DatabaseUnavailable; what notes something neither raises nor waits."""

    def __init__(self, repository: AuditRepository, retention_months: int, lost: Callable[[int], None]) -> None:
        self._repository = repository
        self._retention_months = retention_months
        self._lost = lost  # told how many looks will never be in the log
        self._looks: deque[_Look] = deque()
        self._unwritten: Sequence[AuditLook] = ()  # a batch that the database has not confirmed
        self._stop = threading.Event()
        self._warned_at = float("-inf")
        self._writer = threading.Thread(target=self._write_looks, name="audit", daemon=True)

    def start(self) -> None:
        """From now on looks are written, and partitions made and dropped."""
        self._writer.start()
        threading.Thread(target=self._keep_partitions, name="audit-partitions", daemon=True).start()

    def close(self) -> None:
        """Writes what is left, for at most two seconds."""
        self._stop.set()
        self._writer.join(FLUSH_S)
        left = len(self._looks) + len(self._unwritten)
        if left:
            self._lose(left, "the process has to end")

    @traced("AuditService.list")
    def list(self, listing: AuditListing, limit: int, after: AuditPosition | None, origin: Origin) -> AuditPage:
        """A page of the log, which is itself a look at data."""
        page = self._repository.list(listing, limit, after)
        self._note("audit.listed", origin, listing.subject, {"entries": len(page.entries)})
        return page

    def user_read(self, origin: Origin, user_id: int) -> None:
        """Somebody has seen a user who is somebody else: for their own there is nothing to note."""
        self._note("user.read", origin, user_id, {})

    def user_exported(self, origin: Origin, user_id: int) -> None:
        """Somebody has taken all that is stored of a user with them, be it their own."""
        self._note("user.exported", origin, user_id, {})

    def users_listed(self, origin: Origin, narrowed_by: Collection[str], count: int) -> None:
        """Somebody has seen a page of users. Of what it was narrowed by, only the names of the parameters are kept."""
        self._note("users.listed", origin, None, {"parameters": sorted(narrowed_by), "users": count})

    def login_failed(self, origin: Origin, user_id: int | None) -> None:
        """Somebody could not log in. `user_id`: of whom they gave the address, None where it is nobody's."""
        self._put("login.failed", origin, user_id, {})

    def _note(self, action: str, origin: Origin, subject: int | None, details: Mapping[str, Any]) -> None:
        # AUTH_REQUIRED=false: nobody is known who could be told of.
        if origin.actor is not None:
            self._put(action, origin, subject, details)

    def _put(self, action: str, origin: Origin, subject: int | None, details: Mapping[str, Any]) -> None:
        if len(self._looks) >= MAX_QUEUE:
            self._lose(1, "the database does not keep up")
            return
        self._looks.append((time.time(), action, origin.actor, subject, origin.correlation_id, details))

    # -- in the threads

    def _write_looks(self) -> None:
        pause_s = WRITE_EVERY_S
        while not self._stop.wait(pause_s):
            waiting = len(self._looks)
            # Spread evenly: requests would wait for many batches in a row.
            answers = self._write_batch()
            pause_s = WRITE_EVERY_S * (min(1.0, MAX_BATCH / max(1, waiting)) if answers else 1.0)
        while (self._unwritten or self._looks) and self._write_batch():
            pass

    def _write_batch(self) -> bool:
        """Writes some of what is there; False where the database does not answer."""
        self._unwritten = self._unwritten or self._next_batch()
        if not self._unwritten:
            return True
        try:
            self._repository.append(self._unwritten)
        except DatabaseUnavailable:
            return False  # kept for the next time, under the same ids: nothing is noted twice
        except Exception:
            log.exception("audit: a batch cannot be written")
            self._lose(len(self._unwritten), "a batch cannot be written")
        self._unwritten = ()
        return True

    def _next_batch(self) -> Sequence[AuditLook]:
        ids = new_ids(min(MAX_BATCH, len(self._looks)))
        return [AuditLook(id_, *self._looks.popleft()) for id_ in ids]

    def _lose(self, looks: int, why: str) -> None:
        self._lost(looks)
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            log.warning("audit: looks at data are lost: %s", why, extra={"fields": {"looks": looks}})

    def _keep_partitions(self) -> None:
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            pause_s = KEEP_EVERY_S
            try:
                made, dropped = self._repository.keep(self._retention_months)
            except DatabaseUnavailable as error:
                # What is written meanwhile finds the months made ahead, or the default partition.
                pause_s = KEEP_AGAIN_S
                log.warning("audit: partitions: %s", error)
            except Exception:
                pause_s = KEEP_AGAIN_S
                log.exception("audit: partitions")
            else:
                if made or dropped:
                    log.info("audit: partitions", extra={"fields": {"made": made, "dropped": dropped}})


def new_ids(count: int) -> list[str]:
    """So many random UUIDs (RFC 9562, version 4), which take one call of the kernel."""
    digits = os.urandom(16 * count).hex()
    each = (digits[at : at + 32] for at in range(0, len(digits), 32))
    return [f"{one[:8]}-{one[8:12]}-4{one[13:16]}-8{one[17:20]}-{one[20:]}" for one in each]
