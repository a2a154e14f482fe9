"""Images on disk: the OCI image layout. Source: OCI image-spec 1.1, "Image Layout"."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..engine.errors import InvalidDescription

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MANIFEST_TYPES = (*_INDEXES, OCI_MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index: its exact bytes, and what it needs to be there before it is pushed."""

    digest: str
    media_type: str
    content: bytes

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """Descriptors of the manifests that an index lists."""
        return list(self._data.get("manifests", ())) if self.media_type in _INDEXES else []

    @property
    def blobs(self) -> list[dict[str, Any]]:
        """Descriptors of the configuration and the layers (those that live elsewhere left out)."""
        if self.media_type in _INDEXES:
            return []
        found = [self._data["config"], *self._data.get("layers", ())]
        return [one for one in found if not one.get("urls")]

    @property
    def _data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.content)
        return data


class Layout:
    """One image in a layout directory. Raises InvalidDescription when it is none, or holds several images."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        try:
            index = json.loads((self._path / "index.json").read_text())
            described = index["manifests"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidDescription(
                f"there is no OCI image layout at {path} ({type(error).__name__}). Build the image first."
            ) from None
        if len(described) != 1:
            raise InvalidDescription(f"the OCI image layout at {path} holds {len(described)} images; one is wanted.")
        self._top = described[0]

    @property
    def digest(self) -> str:
        """Digest of the image (of its index, when it is for several platforms)."""
        return str(self._top["digest"])

    def manifest(self, descriptor: dict[str, Any] | None = None) -> Manifest:
        """The image's manifest, or one that its index lists. Raises InvalidDescription when the bytes were altered."""
        wanted = descriptor or self._top
        content = self.blob_path(wanted["digest"]).read_bytes()
        if digest_of(content) != wanted["digest"]:
            raise InvalidDescription(f"{wanted['digest']} in {self._path} does not have this digest: it was altered.")
        kind = wanted.get("mediaType") or json.loads(content).get("mediaType") or OCI_MANIFEST
        return Manifest(wanted["digest"], kind, content)

    def blob_path(self, digest: str) -> Path:
        """The file that holds a blob."""
        algorithm, _sep, value = digest.partition(":")
        return self._path / "blobs" / algorithm / value


def digest_of(content: bytes) -> str:
    """The sha256 digest of `content`, as registries write it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def read_in_parts(file: IO[bytes], size: int = 1 << 20) -> Iterator[bytes]:
    """The file's content from its beginning, `size` bytes at a time."""
    file.seek(0)
    while part := file.read(size):
        yield part
