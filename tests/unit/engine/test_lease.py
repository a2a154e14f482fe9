"""What of the lease the simulation does not reach: a run that ends because its parent is gone."""

from __future__ import annotations

import threading

from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import Stopped
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.lease import Lease, Process
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads


class Parameters:
    """A store in memory; `gone`: from then on nothing may be written."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.gone = False

    def entries(self) -> dict[str, str]:
        return dict(self.held)

    def create(self, key: str, value: str) -> bool:
        return self.held.setdefault(key, value) is value

    def put(self, key: str, value: str) -> None:
        if self.gone:
            raise Stopped("the process that started this run is gone")
        self.held[key] = value

    def remove(self, key: str) -> None:
        self.held.pop(key, None)


def test_letting_go_says_nothing_where_it_is_not_allowed_any_more_and_ends_the_renewals() -> None:
    runtime, store = Threads(), Parameters()
    before = threading.active_count()
    leases = [Lease(name, store, runtime, Process("x", "host", "", 1, ""), lambda process: False) for name in "ab"]
    for lease in leases:
        store.held.clear()  # they share what would be two stores
        lease.acquire()
    store.gone = True
    for lease in leases:
        lease.release()
    runtime.close()
    for thread in threading.enumerate():
        if thread.name.startswith("capstan"):
            thread.join(5)
    assert threading.active_count() <= before
