"""Where an image comes from: an OCI layout on disk, or another registry."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import IO, Any, Protocol

from ..engine.errors import InvalidDescription
from ..engine.values import Secret
from .api import Api
from .oci import Layout, Manifest
from .registry import Registry

_REMOTE = re.compile(r"^(?P<host>[\w.-]+(:\d+)?)/(?P<name>[a-z0-9._/-]+)(:[\w.-]+)?@(?P<digest>sha256:[0-9a-f]{64})$")


class Source(Protocol):
    """One image to be pushed."""

    @property
    def digest(self) -> str:
        """The image's digest."""

    def manifest(self, descriptor: dict[str, Any] | None = None) -> Manifest:
        """The image's manifest, or one that its index lists."""

    def blob(self, digest: str) -> IO[bytes]:
        """An open file with the blob. One that had to be fetched has no name: whatever ends this run, it is gone."""


class _OnDisk:
    def __init__(self, path: str) -> None:
        self._layout = Layout(path)

    @property
    def digest(self) -> str:
        return self._layout.digest

    def manifest(self, descriptor: dict[str, Any] | None = None) -> Manifest:
        return self._layout.manifest(descriptor)

    def blob(self, digest: str) -> IO[bytes]:
        return self._layout.blob_path(digest).open("rb")


class _Remote:
    def __init__(self, digest: str, registry: Registry | None) -> None:
        self.digest = digest
        self._registry = registry

    def _open(self) -> Registry:
        if self._registry is None:
            raise AssertionError("a source that was opened for its digest only")
        return self._registry

    def manifest(self, descriptor: dict[str, Any] | None = None) -> Manifest:
        return self._open().manifest(descriptor["digest"] if descriptor else self.digest)

    def blob(self, digest: str) -> IO[bytes]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever asked for it
        try:
            self._open().download(digest, file)
        except BaseException:
            file.close()
            raise
        return file


def open_source(source: str, api: Api | None = None, ecr_login: Secret | None = None) -> Source:
    """What `source` names: a path (with a slash or dot in front), or registry/repository@sha256:….

    Without `api` only the digest can be asked for, and no call is made. Raises InvalidDescription.
    """
    if source.startswith(("/", "./", "../", "~")):
        return _OnDisk(str(Path(source).expanduser()))
    match = _REMOTE.match(source)
    if match is None:
        raise InvalidDescription(
            f'the source "{source}" is neither the path of an OCI image layout nor registry/repository@sha256:… '
            "(a tag alone may move, so a digest is wanted)."
        )
    registry = None
    if api is not None:
        host = match["host"]
        login = ecr_login if ".dkr.ecr." in host else docker_login(host)
        registry = Registry(api.calls, host, match["name"], api.user_agent, login)
    return _Remote(match["digest"], registry)


def docker_login(host: str) -> Secret | None:
    """The login that `docker login` stored in plain for `host`; None when there is none."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        auth = json.loads((folder / "config.json").read_text())["auths"][host]["auth"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Secret(f"Basic {auth}")
