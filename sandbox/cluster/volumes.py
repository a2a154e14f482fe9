"""Persistent volumes: a fixed number of folders, cleaned and offered again when their claim is gone.

The storage class has no provisioner and keeps what was written (Retain), so a volume whose claim was deleted stays
Released for ever. Here it is emptied and made anew.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sandbox.cluster.kube import Kube, KubeError, object_path
from sandbox.paths import NODE_NAME, Paths
from sandbox.process import wait_until

COUNT = 8
CAPACITY = "200Gi"  # a claim needs a volume at least as large; nothing is reserved on disk
WATCH_S = 300
GONE_S = 10
LABEL = "capstan.dev/sandbox-volume"


def names() -> list[str]:
    """The names of all volumes, which are their folders' names too."""
    return [f"local-{number}" for number in range(COUNT)]


def volume(name: str, folder: Path) -> dict[str, Any]:
    """The PersistentVolume over `folder` on the one node."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {LABEL: "true"}},
        "spec": {
            "capacity": {"storage": CAPACITY},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "local",
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def to_renew(live: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which volumes must be made anew: those that are not there, and those whose claim is gone.

    `live` maps names to PersistentVolumes. One that is being deleted comes back when it is gone.
    """
    return [name for name in names() if name not in live
            or live[name].get("status", {}).get("phase") in ("Released", "Failed")]


def reset(paths: Paths, kube: Kube) -> list[str]:
    """Cleans and offers again what is released; answers the names."""
    items = kube.get(object_path("PersistentVolume"))["items"]
    renewed = to_renew({item["metadata"]["name"]: item for item in items})
    for name in renewed:
        path, folder = object_path("PersistentVolume", name), paths.volumes / name
        kube.delete(path)
        # A controller takes its finalizer off first; applying to what is on its way out would be lost.
        wait_until(partial(_is_gone, kube, path), GONE_S)
        _empty(folder)
        kube.apply(volume(name, folder))
    return renewed


def watch(paths: Paths, kube: Kube) -> None:
    """Keeps resetting, for ever: at once when a volume changes, and after every lost connection."""
    path = object_path("PersistentVolume")
    while True:
        try:
            reset(paths, kube)
            for event in kube.watch(path, WATCH_S):
                if event["object"].get("status", {}).get("phase") in ("Released", "Failed"):
                    reset(paths, kube)
        except KubeError:
            time.sleep(2)  # the API server is away: nothing to wait on but time


def _is_gone(kube: Kube, path: str) -> bool:
    return kube.status(path) == 404


def _empty(folder: Path) -> None:
    """An empty folder that any user's pod can write to."""
    if folder.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
