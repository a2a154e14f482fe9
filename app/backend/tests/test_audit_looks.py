"""Looks at data on their way to the audit log: the queue, and what is written of it at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from backend.entities import AuditListing, AuditLook, Origin
from backend.observability.instruments import Instruments
from backend.repository.audit import AuditRepository
from backend.repository.pool import Pool
from backend.service.audit import MAX_QUEUE, WRITE_EVERY_S, AuditService, new_ids


def test_what_does_not_fit_into_the_queue_is_counted_and_no_request_fails(database: Any) -> None:
    pool, lost = Pool(database), []
    pool.close()  # nothing can be written any more
    audit = AuditService(AuditRepository(pool, Instruments().invocations), 24, lost.append)
    for _ in range(MAX_QUEUE + 5):
        audit.user_read(Origin(1, "r"), 2)
    assert lost == [1] * 5
    audit.start()
    audit.close()
    assert sum(lost) == MAX_QUEUE + 5, "and so is what is left at the end"


class BusyLog(AuditRepository):
    """Each time that looks are written, somebody else looks at something."""

    def __init__(self) -> None:  # needs no database
        self.audit: AuditService | None = None
        self.written: list[tuple[float, int]] = []  # when, and how many

    def append(self, looks: Sequence[AuditLook]) -> None:
        self.written.append((time.monotonic(), len(looks)))
        assert self.audit is not None
        if len(self.written) < 3:
            self.audit.user_read(Origin(1, "r"), 2)

    def keep(self, retention_months: int) -> tuple[Sequence[str], Sequence[str]]:
        return (), ()


def test_what_comes_while_looks_are_written_waits_for_the_next_turn(until: Any) -> None:
    log = BusyLog()
    log.audit = audit = AuditService(log, 24, lambda looks: None)
    audit.user_read(Origin(1, "r"), 2)
    audit.start()
    until(lambda: len(log.written) == 3)
    times = [at for at, _ in log.written]
    assert all(later - earlier >= WRITE_EVERY_S for earlier, later in pairwise(times))
    audit.close()


def test_a_batch_that_is_sent_again_is_there_once(database: Any, sql: Any) -> None:
    pool = Pool(database)
    repository = AuditRepository(pool, Instruments().invocations)
    ids, at = new_ids(2), time.time()
    looks = [
        AuditLook(ids[0], at, "user.read", 1, 2, None, {}),
        AuditLook(ids[1], at - 1, "users.listed", 1, None, 'é"\\', {"parameters": ["search"], "users": 3}),
    ]
    repository.append(looks)
    repository.append(looks)
    found = repository.list(AuditListing(), 10).entries
    assert [(one.id, one.action, one.actor, one.subject, one.correlation_id, one.details) for one in found] == [
        (look.id, *look[2:]) for look in looks
    ]
    assert [one.at.timestamp() for one in found] == [pytest.approx(look.at, abs=1e-5) for look in looks]
    pool.close()


def test_ids_are_random_uuids_and_all_different() -> None:
    ids = new_ids(1000)
    assert len(set(ids)) == 1000
    assert {(UUID(one).version, UUID(one).variant, str(UUID(one)) == one) for one in ids} == {(4, RFC_4122, True)}
