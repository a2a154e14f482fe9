"""A client of a container registry's HTTP API, as far as ECR needs it.

Source: OCI distribution specification.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

_MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class RegistryError(Exception):
    """The registry cannot be reached or refused; the text says what."""


@dataclass(frozen=True)
class Manifest:
    """An image's manifest: its digest ("sha256:…"), media type and exact bytes."""

    digest: str
    media_type: str
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def size_bytes(self) -> int:
        """Configuration and layers together; of an index nothing."""
        document = self.document
        return sum(part.get("size", 0) for part in [document.get("config", {}), *document.get("layers", [])])


class Registry:
    """The registry at `address` ("host:port"), spoken to without TLS."""

    def __init__(self, address: str) -> None:
        self.address = address

    def tags(self, repository: str) -> list[str]:
        """All tags, sorted; none of a repository that was never pushed to."""
        status, _, body = self._send("GET", f"{repository}/tags/list")
        return sorted(json.loads(body).get("tags") or []) if status == 200 else []

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest of a tag or digest."""
        status, headers, body = self._send("GET", f"{repository}/manifests/{reference}")
        if status != 200:
            return None
        return Manifest(headers["docker-content-digest"], headers["content-type"], body)

    def put_manifest(self, repository: str, reference: str, media_type: str, body: bytes) -> str:
        """Stores a manifest under a tag or digest; its digest. Raises RegistryError for one with missing parts."""
        status, headers, answer = self._send("PUT", f"{repository}/manifests/{reference}", body, media_type)
        if status != 201:
            raise RegistryError(answer.decode(errors="replace")[:300])
        return headers["docker-content-digest"]

    def delete(self, repository: str, digest: str) -> bool:
        """Removes a manifest and all its tags; False when it is not there."""
        return self._send("DELETE", f"{repository}/manifests/{digest}")[0] == 202

    def delete_tag(self, repository: str, tag: str) -> Manifest | None:
        """Removes one tag, and the image with its last tag; the image it named.

        The registry deletes by digest only, and all tags with it, so the others are put back.
        """
        gone = self.manifest(repository, tag)
        if gone is None:
            return None
        others = [other for other in self.tags(repository) if other != tag]
        others = [other for other in others if self._digest(repository, other) == gone.digest]
        self.delete(repository, gone.digest)
        for other in others:
            self.put_manifest(repository, other, gone.media_type, gone.body)
        return gone

    def images(self, repository: str) -> dict[str, tuple[Manifest, list[str]]]:
        """The tagged images by digest, each with its tags."""
        found: dict[str, tuple[Manifest, list[str]]] = {}
        for tag in self.tags(repository):
            manifest = self.manifest(repository, tag)
            if manifest is not None:
                found.setdefault(manifest.digest, (manifest, []))[1].append(tag)
        return found

    def _digest(self, repository: str, reference: str) -> str | None:
        manifest = self.manifest(repository, reference)
        return manifest.digest if manifest else None

    def _send(
        self, method: str, path: str, body: bytes | None = None, content_type: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {"Accept": ", ".join(_MANIFEST_TYPES), **({"Content-Type": content_type} if content_type else {})}
        request = urllib.request.Request(f"http://{self.address}/v2/{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, {}, error.read()
        except OSError as error:
            raise RegistryError(f"registry {self.address}: {error}") from error
