"""Sends one request to the API server and reads its answer; errors come out sorted. Nothing here retries or waits."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from ..engine.errors import ApiError, InvalidDescription, missing_library
from .access import Access
from .errors import error_from_answer, no_answer, unauthorized, unreachable, untrusted
from .names import USER_AGENT

try:
    import urllib3
    from urllib3.exceptions import (
        ConnectTimeoutError,
        HTTPError,
        LocationParseError,
        MaxRetryError,
        NewConnectionError,
        ProxyError,
        SSLError,
    )
except ImportError as error:
    _MISSING: ImportError | None = error
else:
    _MISSING = None

POOL = 48  # as many connections as the engine has workers
CONNECT_S, READ_S = 5.0, 60.0
APPLY = "application/apply-patch+yaml"  # JSON is YAML
JSON = "application/json"


class Client:
    """A pool of kept-alive connections to one API server."""

    def __init__(self, access: Access) -> None:
        """Raises CapstanError when urllib3 is not installed."""
        if _MISSING is not None:
            raise missing_library("urllib3", _MISSING)
        self._access = access
        self._pool = _pool(access)

    def request(
        self,
        operation: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> bytes:
        """The answer's body. `operation`: what to call it in an error. Raises ApiError."""
        headers = {"Accept": accept, **({"Content-Type": content_type} if body is not None else {})}
        data = None if body is None else json.dumps(body).encode()
        answer = self._send(operation, method, self._url(path, query), headers, data, stream=False)
        if answer.status >= 400:
            raise self._refused(operation, answer.status, answer.data)
        return bytes(answer.data)

    def stream(self, operation: str, path: str, query: Mapping[str, str], idle_s: float) -> Iterator[Any]:
        """The JSON lines of a watch until the server ends it. Raises ApiError; `idle_s` without a byte ends it, too."""
        url, headers = self._url(path, query), {"Accept": JSON}
        answer = self._send(operation, "GET", url, headers, None, stream=True, read_s=idle_s)
        try:
            if answer.status >= 400:
                raise self._refused(operation, answer.status, answer.read())
            rest = b""
            for chunk in answer.stream(65536, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())
        except (HTTPError, OSError) as error:
            raise no_answer(operation, type(error).__name__) from error
        finally:
            answer.close()

    def close(self) -> None:
        """Ends all connections."""
        self._pool.clear()

    def _refused(self, operation: str, status: int, body: bytes) -> ApiError:
        if status == 401:
            return unauthorized(self._access.server, self._access.identity, self._access.remedy)
        return error_from_answer(operation, status, body)

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self._access.server}{path}" + (f"?{urlencode(query)}" if query else "")

    def _send(
        self,
        operation: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: bytes | None,
        *,
        stream: bool,
        read_s: float = READ_S,
    ) -> urllib3.BaseHTTPResponse:
        for attempt in range(2):
            identity = self._access.headers()
            try:
                answer = self._pool.request(
                    method,
                    url,
                    body=data,
                    headers={**headers, **identity, "User-Agent": USER_AGENT},
                    timeout=urllib3.Timeout(connect=CONNECT_S, read=read_s),
                    preload_content=not stream,
                    retries=False,
                )
            except (HTTPError, OSError) as error:
                raise _sorted(operation, self._access.server, error) from error
            # A token may have been revoked or the clock been wrong: one fresh token, once.
            if answer.status == 401 and attempt == 0 and self._access.renew(identity):
                answer.release_conn()
                continue
            break
        return answer


def _pool(access: Access) -> urllib3.PoolManager:
    options: dict[str, Any] = {"maxsize": POOL, "num_pools": 2, "ssl_context": access.tls, "block": False}
    if access.server_name:
        options |= {"server_hostname": access.server_name, "assert_hostname": access.server_name}
    if not access.proxy:
        return urllib3.PoolManager(**options)
    try:
        if access.proxy.startswith("socks"):
            from urllib3.contrib.socks import SOCKSProxyManager

            return SOCKSProxyManager(access.proxy, **options)
        return urllib3.ProxyManager(access.proxy, **options)
    except ImportError as error:
        raise InvalidDescription("kube_proxy is a SOCKS proxy: install the Python package PySocks.") from error
    except (LocationParseError, ValueError) as error:
        raise InvalidDescription(f"kube_proxy is no proxy's address: {access.proxy}") from error


def _sorted(operation: str, server: str, error: BaseException) -> Exception:
    """Was it sent at all? That decides whether a write may have happened."""
    if isinstance(error, MaxRetryError) and error.reason is not None:
        error = error.reason
    if isinstance(error, SSLError) and isinstance(error.args[0] if error.args else None, ssl.SSLCertVerificationError):
        return untrusted(operation, str(error))
    if isinstance(error, (NewConnectionError, ConnectTimeoutError, ProxyError)):
        return unreachable(operation, f"{server}: {str(error).rpartition(': ')[2]}")
    return no_answer(operation, type(error).__name__)
