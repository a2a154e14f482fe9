"""The real world of a task: AWS, the cluster, the lock in the account, the clock, this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..aws.provider import AwsProvider
from ..aws.store import ParameterStore
from ..aws.stored_secrets import read_secrets
from ..engine.calls import Calls
from ..engine.values import Secret
from ..kube.provider import KubeProvider
from .lifetime import Lifetime, StoppableThreads
from .process import is_dead, this_process
from .run import World
from .secret_refs import ReadStored, Stored
from .settings import MAIN, Settings


@contextmanager
def real_world(settings: Settings, lifetime: Lifetime) -> Iterator[World]:
    """What `settings` lead to. Nothing is called yet; at the end watches and threads are ended."""
    runtime = StoppableThreads(lifetime)
    aws = AwsProvider(settings.locations)

    def token(connection: Mapping[str, Any]) -> tuple[str, float]:
        text, valid_s = aws.eks_token(MAIN, str(connection["name"]))
        return text, runtime.wall() + valid_s

    kube = KubeProvider(
        token=token,
        kubeconfig=Path(settings.kubeconfig) if settings.kubeconfig else None,
        proxy=settings.kube_proxy,
        wall=runtime.wall,
    )
    world = World(
        providers=(aws, kube),
        stores=_stores(aws, Calls(runtime, lifetime.may_let_go)),
        read_stored=_read_stored(aws, Calls(runtime, lifetime.may_write)),
        runtime=runtime,
        process=this_process(),
        is_dead=is_dead,
        stopping=lifetime.stopping,
        may_write=lifetime.may_write,
    )
    try:
        yield world
    finally:
        kube.close()
        runtime.close()


def _stores(aws: AwsProvider, calls: Calls) -> Callable[[str], ParameterStore]:
    """Stack name -> its store. Its calls make the lease, so the lease does not guard them."""
    lock = threading.Lock()
    stores: dict[str, ParameterStore] = {}

    def store(stack: str) -> ParameterStore:
        with lock:
            if stack not in stores:
                stores[stack] = ParameterStore(aws.open(MAIN, None, calls), stack)
            return stores[stack]

    return store


def _read_stored(aws: AwsProvider, calls: Calls) -> ReadStored:
    """Secrets Manager's secrets, of the stack's own account and region."""

    def read(wanted: Sequence[Stored]) -> Mapping[Stored, Secret | str]:
        found = read_secrets(aws.open(MAIN, None, calls), [(one.name, one.stage) for one in wanted])
        return dict(zip(wanted, found, strict=True))

    return read
