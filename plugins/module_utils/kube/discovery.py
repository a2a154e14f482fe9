"""What the API server serves: each kind's plural and scope, read once a run in two requests (aggregated discovery)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True)
class Served:
    """A kind as the server serves it."""

    api_version: str  # "apps/v1"
    kind: str
    plural: str
    namespaced: bool

    def collection(self, namespace: str) -> str:
        """The path of all objects of the kind; of one namespace when it is namespaced and `namespace` is given."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{inside}/{self.plural}"

    def path(self, namespace: str, name: str) -> str:
        """The path of one object: its id."""
        return f"{self.collection(namespace)}/{name}"


class Discovery:
    """The kinds of one API server. `fetch`: path -> answer's body; asked again only by `refresh`."""

    def __init__(self, fetch: Callable[[str], bytes]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str], Served] | None = None
        self._preferred: dict[tuple[str, str], Served] = {}

    def kind(self, api_version: str, kind: str) -> Served | None:
        """How this kind is served; None when the server does not know it."""
        return self._known().get((api_version, kind))

    def preferred(self, group: str, kind: str) -> Served | None:
        """The kind in the version that the server prefers."""
        self._known()
        return self._preferred.get((group, kind))

    def of_path(self, path: str) -> tuple[Served, str] | None:
        """The kind and namespace of the object at `path`; None when the server does not serve it."""
        parts = path.strip("/").split("/")
        api_version, rest = (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        namespace = ""
        if len(rest) == 4 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        known = self._known().values()
        found = (entry for entry in known if (entry.api_version, entry.plural) == (api_version, rest[0]))
        served = next(found, None)
        return None if served is None else (served, namespace)

    def refresh(self) -> None:
        """Forget: a CRD was made since."""
        with self._lock:
            self._kinds = None

    def _known(self) -> Mapping[tuple[str, str], Served]:
        with self._lock:
            if self._kinds is None:
                documents = [json.loads(self._fetch(path)) for path in ("/api", "/apis")]
                items = [item for document in documents for item in document.get("items") or ()]
                served = list(served_from_api(items))
                self._kinds = {(entry.api_version, entry.kind): entry for entry in served}
                self._preferred = {}
                for entry in served:
                    group = entry.api_version.rpartition("/")[0]
                    self._preferred.setdefault((group, entry.kind), entry)
            return self._kinds


def served_from_api(items: Iterable[Mapping[str, Any]]) -> Iterable[Served]:
    """The kinds in an aggregated discovery document, preferred versions first (the API's own order)."""
    for group in items:
        name = (group.get("metadata") or {}).get("name", "")
        for version in group.get("versions") or ():
            api_version = f"{name}/{version['version']}" if name else version["version"]
            for resource in version.get("resources") or ():
                kind = (resource.get("responseKind") or {}).get("kind", "")
                yield Served(api_version, kind, resource["resource"], resource.get("scope") == "Namespaced")
