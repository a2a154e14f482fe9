"""The family of Kubernetes kinds, and the way to their API: a cluster's outputs and minted tokens, or a kubeconfig."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..engine.calls import Calls
from ..engine.errors import Unreadable
from ..engine.resource import Resource
from .access import Access, Token, from_cluster, from_kubeconfig
from .api import KubeApi
from .applyset import ApplySet
from .client import Client
from .object import kind_class

_KIND = re.compile(r"^kube\.[A-Z][A-Za-z0-9]*(\.[a-z0-9.-]+)?$")


class KubeProvider:
    """`token`: connection -> (token, when it expires in seconds since the epoch); `proxy`: http:// or socks5h://."""

    name = "kube"

    def __init__(
        self,
        *,
        token: Callable[[Mapping[str, Any]], Token] | None = None,
        kubeconfig: Path | None = None,
        proxy: str = "",
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._token = token
        self._kubeconfig = kubeconfig
        self._proxy = proxy
        self._wall = wall
        self._lock = threading.Lock()
        self._named: dict[str, None] = {ApplySet.kind: None}
        self._open: list[KubeApi] = []

    def kind(self, name: str) -> type[Resource] | None:
        """Any kind that is written like one: which ones there are, only a cluster knows."""
        if name == ApplySet.kind:
            return ApplySet
        if not _KIND.match(name):
            return None
        with self._lock:
            self._named[name] = None
        return kind_class(name)

    def kinds(self) -> Iterable[str]:
        """The kinds that were asked for so far; objects of others are found through their apply set."""
        with self._lock:
            return list(self._named)

    def open(self, location: str, connection: Mapping[str, Any] | None, calls: Calls) -> KubeApi:
        """The API of the cluster that `connection` (outputs of a cluster) describes, else the kubeconfig's."""
        api = KubeApi(Client(self._access(connection)), calls, cluster_id=str((connection or {}).get("id", "")))
        with self._lock:
            self._open.append(api)
        return api

    def close(self) -> None:
        """Ends every watch."""
        with self._lock:
            for api in self._open:
                api.close()
            self._open.clear()

    def _access(self, connection: Mapping[str, Any] | None) -> Access:
        if connection is not None and self._token is not None:
            return from_cluster(connection, self._token, self._wall, self._proxy)
        if self._kubeconfig is not None:
            return from_kubeconfig(self._kubeconfig, self._wall, self._proxy)
        raise Unreadable("connect", "NoCluster", "no cluster is described and no kubeconfig is given")
