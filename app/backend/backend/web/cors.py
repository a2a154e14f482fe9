"""Which pages of other origins may use the service, in the words of the Fetch standard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.observability.logs import CORRELATION_HEADER

Headers = list[tuple[str, str]]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ALLOWED = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-CSRF-Token"),
    CORRELATION_HEADER,
)
EXPOSED = (
    *("ETag", "Idempotency-Replayed", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Cache"),
    CORRELATION_HEADER,
)
ANY = "*"
_VARY = [("Vary", "Origin")]
_EXPOSE = [("Access-Control-Expose-Headers", ", ".join(EXPOSED))]
_PREFLIGHT = [
    ("Access-Control-Allow-Methods", ", ".join(METHODS)),
    ("Access-Control-Allow-Headers", ", ".join(ALLOWED)),
    ("Access-Control-Max-Age", "600"),
]


def is_preflight(environ: Mapping[str, Any]) -> bool:
    """Whether a browser asks what it may send."""
    return environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ


class Cors:
    """The headers for one list of origins. Listed ones may send credentials; where all may come (`*`), none may."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self.is_used = bool(origins)
        self._any = ANY in origins
        self._origins: dict[str, Headers] = {
            origin: [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"), *_VARY]
            for origin in origins
            if origin != ANY
        }

    def headers(self, environ: Mapping[str, Any]) -> Headers:
        """What an answer to this request needs, where there are any origins; no permission for one that has none."""
        permission = self._permission(environ.get("HTTP_ORIGIN"))
        if permission is None:
            return [] if self._any else _VARY
        return permission + (_PREFLIGHT if is_preflight(environ) else _EXPOSE)

    def _permission(self, origin: str | None) -> Headers | None:
        if self._any:
            # Sandboxed frames and local files call themselves "null": anyone can be that.
            return [("Access-Control-Allow-Origin", ANY)] if origin and origin != "null" else None
        return self._origins.get(origin or "")
