"""A client of container registries: the few requests that pushing and copying an image needs.

Every request is one call of the engine's: guarded when it writes, retried when that helps. Source: OCI
distribution-spec 1.1; Docker "token authentication".
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

from ..engine.calls import Calls
from ..engine.errors import ApiError, Category
from ..engine.values import Secret
from .oci import MANIFEST_TYPES, Manifest, digest_of

_TIMEOUT_S = 120.0
_PART = 1 << 20
_LOCAL = re.compile(r"^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$")


class Registry:
    """One repository at one registry. `login`: the value of its Authorization header, None for anonymous."""

    def __init__(self, calls: Calls, host: str, repository: str, user_agent: str, login: Secret | None = None) -> None:
        import urllib3

        scheme = "http" if _LOCAL.match(host) else "https"
        self._base = f"{scheme}://{host}"
        self._url = f"{self._base}/v2/{repository}"
        self._calls = calls
        self._login = login
        self._user_agent = user_agent
        self._pool = urllib3.PoolManager(
            maxsize=16, timeout=urllib3.Timeout(connect=10, read=_TIMEOUT_S), retries=False
        )

    # -- reading -----------------------------------------------------------------------------------------------
    def digest(self, reference: str) -> str | None:
        """The digest of a manifest by digest or tag; None when it is not there."""
        answer = self._request("HEAD", f"{self._url}/manifests/{reference}", accept=(200, 404), headers=_ACCEPT)
        return str(answer.headers.get("Docker-Content-Digest") or reference) if answer.status == 200 else None

    def manifest(self, digest: str) -> Manifest:
        """The manifest with this digest; its bytes are checked."""
        answer = self._request("GET", f"{self._url}/manifests/{digest}", headers=_ACCEPT)
        if digest_of(answer.data) != digest:
            raise ApiError("GetManifest", "DigestMismatch", f"{self._url} answered other bytes than {digest}")
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        return Manifest(digest, kind, answer.data)

    def has_blob(self, digest: str) -> bool:
        """Is the blob there?"""
        return bool(self._request("HEAD", f"{self._url}/blobs/{digest}", accept=(200, 404)).status == 200)

    def download(self, digest: str, file: IO[bytes]) -> None:
        """The blob into an empty file; its bytes are checked."""
        import hashlib

        def store(answer: Any) -> None:
            found = hashlib.sha256()
            file.seek(0)
            file.truncate()  # of a try before this one
            for part in answer.stream(_PART):
                found.update(part)
                file.write(part)
            if f"sha256:{found.hexdigest()}" != digest:
                raise ApiError("GetBlob", "DigestMismatch", f"{digest} came altered", Category.RETRY)

        self._request("GET", f"{self._url}/blobs/{digest}", consume=store)

    # -- writing -----------------------------------------------------------------------------------------------
    def upload(self, digest: str, parts: Callable[[], Iterable[bytes]], size: int) -> None:
        """A blob of `size` bytes; `parts` gives its content anew for every attempt. Being there already is fine."""

        def send() -> None:
            place = self._once("POST", f"{self._url}/blobs/uploads/", accept=(202,)).headers["Location"]
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            sent = self._once("PATCH", self._absolute(place), accept=(202, 204), headers=headers, body=parts())
            place = self._absolute(sent.headers.get("Location", place))
            separator = "&" if "?" in place else "?"
            closing = f"{place}{separator}{urllib.parse.urlencode({'digest': digest})}"
            self._once("PUT", closing, accept=(201, 204), headers={"Content-Length": "0"})

        self._calls.make(send, write=True)

    def put_manifest(self, reference: str, manifest: Manifest) -> None:
        """Stores `manifest` under its digest or a tag."""
        self._request(
            "PUT",
            f"{self._url}/manifests/{reference}",
            accept=(200, 201),
            headers={"Content-Type": manifest.media_type},
            body=manifest.content,
            write=True,
        )

    # -- requests ----------------------------------------------------------------------------------------------
    def _request(self, method: str, url: str, *, write: bool = False, **how: Any) -> Any:
        return self._calls.make(lambda: self._once(method, url, **how), write=write)

    def _once(
        self,
        method: str,
        url: str,
        *,
        accept: tuple[int, ...] = (200,),
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        consume: Callable[[Any], None] | None = None,
    ) -> Any:
        answer = self._send(method, url, headers, body, streamed=consume is not None)
        if answer.status == 401 and self._sign_in(answer.headers.get("WWW-Authenticate", "")) and _is_plain(body):
            answer.release_conn()
            answer = self._send(method, url, headers, body, streamed=consume is not None)
        if answer.status not in accept:
            raise _refused(method, url, answer)
        if consume is not None:
            consume(answer)
            answer.release_conn()
        return answer

    def _send(self, method: str, url: str, headers: Mapping[str, str] | None, body: Any, *, streamed: bool) -> Any:
        import urllib3

        own = {"User-Agent": self._user_agent, **(headers or {})}
        if self._login is not None and url.startswith(self._base):
            own["Authorization"] = self._login.reveal()
        try:
            return self._pool.request(
                method, url, headers=own, body=body, preload_content=not streamed, redirect=method in ("GET", "HEAD")
            )
        except urllib3.exceptions.HTTPError as error:
            code = type(error).__name__
            raise ApiError(f"{method} registry", code, f"{self._base} did not answer", Category.RETRY) from None

    def _sign_in(self, challenge: str) -> bool:
        """Fetches a bearer token when the registry asks for one; False when there is nothing to be had."""
        facts = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if not challenge.lower().startswith("bearer") or "realm" not in facts:
            return False
        query = urllib.parse.urlencode({key: facts[key] for key in ("service", "scope") if key in facts})
        own = {"User-Agent": self._user_agent}
        if self._login is not None and self._login.reveal().startswith("Basic "):
            own["Authorization"] = self._login.reveal()
        answer = self._pool.request("GET", f"{facts['realm']}?{query}", headers=own)
        if answer.status != 200:
            return False
        data = json.loads(answer.data)
        self._login = Secret(f"Bearer {data.get('token') or data['access_token']}")
        return True

    def _absolute(self, place: str) -> str:
        return urllib.parse.urljoin(self._base, place)


_ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}


def basic(user: str, password: str) -> Secret:
    """The Authorization header for a name and a password."""
    return Secret("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


def _is_plain(body: Any) -> bool:
    """Can the body be sent a second time?"""
    return body is None or isinstance(body, bytes)


def _refused(method: str, url: str, answer: Any) -> ApiError:
    try:
        error = json.loads(answer.data)["errors"][0]
        code, message = str(error.get("code", "")), str(error.get("message", ""))
    except (ValueError, KeyError, IndexError, TypeError):
        code, message = "", ""
    category = Category.FATAL
    if answer.status == 429 or answer.status >= 500:
        category = Category.RETRY
    elif answer.status in (401, 403):
        category = Category.DENIED
    elif answer.status == 404:
        category = Category.ABSENT
    path = urllib.parse.urlsplit(url).path
    return ApiError(f"{method} {path}", code or f"HTTP {answer.status}", message, category)
