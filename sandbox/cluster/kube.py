"""A few plain calls to the sandbox's Kubernetes API, as its administrator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import urllib3

from sandbox.paths import KUBERNETES, Paths

USER_AGENT = "capstan-sandbox/0.1.0"
FIELD_MANAGER = "capstan-sandbox"
Object = Mapping[str, Any]

# kind -> (path of its group and version, plural, whether it lives in a namespace)
KINDS: Mapping[str, tuple[str, str, bool]] = {
    "Namespace": ("/api/v1", "namespaces", False),
    "Node": ("/api/v1", "nodes", False),
    "PersistentVolume": ("/api/v1", "persistentvolumes", False),
    "ServiceAccount": ("/api/v1", "serviceaccounts", True),
    "ConfigMap": ("/api/v1", "configmaps", True),
    "Service": ("/api/v1", "services", True),
    "Deployment": ("/apis/apps/v1", "deployments", True),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses", False),
    "APIService": ("/apis/apiregistration.k8s.io/v1", "apiservices", False),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
}


class KubeError(Exception):
    """The API refused a call: `status` is the HTTP status, the message the API's own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


def object_path(kind: str, name: str = "", namespace: str = "") -> str:
    """The path of an object, or of its list when `name` is empty."""
    group, plural, namespaced = KINDS[kind]
    middle = f"/namespaces/{namespace}" if namespaced else ""
    return f"{group}{middle}/{plural}" + (f"/{name}" if name else "")


class Kube:
    """The API, reached with the administrator's certificate."""

    def __init__(self, paths: Paths) -> None:
        authority, certificate, key = (str(path) for path in paths.admin_kubeconfig_client)
        self._pool = urllib3.PoolManager(ca_certs=authority, cert_file=certificate, key_file=key, retries=False,
                                         headers={"User-Agent": USER_AGENT})

    def status(self, path: str, timeout_s: float = 2) -> int:
        """The HTTP status that `path` answers with; 0 when nothing answers."""
        try:
            return self._pool.request("GET", KUBERNETES + path, timeout=timeout_s).status
        except urllib3.exceptions.HTTPError:
            return 0

    def get(self, path: str) -> Any:
        """The document at `path`. Raises KubeError, status 0 when nothing answers."""
        return self._call("GET", path)

    def apply(self, wanted: Object) -> Any:
        """Server-side apply of one object."""
        metadata = wanted["metadata"]
        path = object_path(wanted["kind"], metadata["name"], metadata.get("namespace", ""))
        return self._call("PATCH", f"{path}?fieldManager={FIELD_MANAGER}&force=true", wanted,
                          "application/apply-patch+yaml")

    def delete(self, path: str) -> None:
        """Deletes the object at `path`; one that is not there is no error."""
        try:
            self._call("DELETE", path)
        except KubeError as error:
            if error.status != 404:
                raise

    def watch(self, path: str, timeout_s: int) -> Iterator[Any]:
        """The events at `path`, first one for each object that is there, until the server ends it after `timeout_s`."""
        url = f"{KUBERNETES}{path}?watch=true&timeoutSeconds={timeout_s}"
        timeout = urllib3.Timeout(connect=5, read=timeout_s + 10)
        try:
            answer = self._pool.request("GET", url, preload_content=False, timeout=timeout)
            if answer.status != 200:
                raise KubeError(answer.status, _message(answer.data))
            rest = b""
            for chunk in answer.stream():
                *lines, rest = (rest + chunk).split(b"\n")
                for event in (json.loads(line) for line in lines if line):
                    if event["type"] == "ERROR":
                        raise KubeError(event["object"].get("code", 0), event["object"].get("message", ""))
                    yield event
        except urllib3.exceptions.HTTPError as error:
            raise KubeError(0, str(error)) from error

    def _call(self, method: str, path: str, body: Object | None = None, content_type: str = "application/json") -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"User-Agent": USER_AGENT, "Content-Type": content_type}
        try:
            answer = self._pool.request(method, KUBERNETES + path, body=content, headers=headers, timeout=30.0)
        except urllib3.exceptions.HTTPError as error:
            raise KubeError(0, str(error)) from error
        if answer.status >= 300:
            raise KubeError(answer.status, _message(answer.data))
        return json.loads(answer.data)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:500]
