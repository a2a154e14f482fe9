"""Access tokens (JWT, RFC 7519 and 9068, signed with HMAC-SHA-256), refresh tokens, and CSRF tokens.

Only tokens that this service has made are ever valid, so their first segment is one of a few known texts, one a key. It
is looked up, never decoded: there is no algorithm to choose for whoever forges one.
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from backend.cache.memory import PARTS, drop_oldest
from backend.keys import Key, KeyRing

ISSUER, AUDIENCE = "capstan", "capstan-api"
ACCESS_TTL_S = 3600
REFRESH_TTL_S = 7 * 86_400
VERIFIED_MAX = 16_384  # about 8 MB
_TOKEN_MAX = 1024
_ACCESS, _REFRESH, _CSRF = b"access", b"refresh", b"csrf"


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says: whose it is, by which login, and until when (seconds since the epoch)."""

    user_id: int
    login: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """What a refresh token says: the login, and how many came before it there."""

    login: str
    serial: int


class Tokens:
    """Makes and checks tokens. What is wrong with one is never told: None."""

    def __init__(self, ring: KeyRing, clock: Callable[[], float] = time.time) -> None:
        self._ring = ring
        self._clock = clock
        self._headers = {kid: _encode_json({"alg": "HS256", "kid": kid, "typ": "at+jwt"}) for kid in ring.by_kid}
        self._by_header = {header: ring.by_kid[kid] for kid, header in self._headers.items()}
        self._lock = threading.Lock()
        self._verified: dict[str, AccessClaims] = {}
        self._access_secrets = {kid: key.mac(b"derive", _ACCESS) for kid, key in ring.by_kid.items()}

    def access(self, user_id: int, login: str) -> str:
        """A new access token."""
        now = int(self._clock())
        key = self._ring.signing()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": login,
            "iat": now,
            "exp": now + ACCESS_TTL_S,
        }
        signed = f"{self._headers[key.kid]}.{_encode_json(claims)}"
        return f"{signed}.{self._signature(key, signed)}"

    def read_access(self, token: str) -> AccessClaims | None:
        """The claims of a token that is ours and has not expired."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify(token)
            if claims is None:
                return None
            self._remember(token, claims)
        return claims if claims.expires_at > self._clock() else None

    def _verify(self, token: str) -> AccessClaims | None:
        signed, _, signature = token.rpartition(".")
        header, _, body = signed.partition(".")
        key = self._by_header.get(header)
        if key is None or len(token) > _TOKEN_MAX or not token.isascii():
            return None
        # Compared as text: bits that decoding ignores could else be changed without harm.
        if not hmac.compare_digest(self._signature(key, signed), signature):
            return None
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if claims["iss"] != ISSUER or claims["aud"] != AUDIENCE:
            return None
        return AccessClaims(int(claims["sub"]), claims["sid"], claims["exp"])

    def _remember(self, token: str, claims: AccessClaims) -> None:
        """Signatures that were good once are good for ever; the oldest are forgotten."""
        with self._lock:
            if len(self._verified) >= VERIFIED_MAX:
                drop_oldest(self._verified, VERIFIED_MAX // PARTS)
            self._verified[token] = claims

    def refresh(self, login: str, serial: int) -> str:
        """The refresh token of this serial number; made again it is the same, with the same key."""
        key = self._ring.signing()
        content = UUID(login).bytes + serial.to_bytes(4, "big")
        return f"{key.kid}.{_encode(content + key.mac(_REFRESH, content))}"

    def read_refresh(self, token: str) -> RefreshClaims | None:
        """The claims of a refresh token that is ours; the database knows whether it is still good."""
        kid, _, encoded = token.partition(".")
        key = self._ring.by_kid.get(kid)
        if key is None or len(encoded) != 70 or not encoded.isascii():
            return None
        try:
            raw = base64.b64decode(encoded + "==", b"-_", validate=True)
        except ValueError:
            return None
        content, mac = raw[:20], raw[20:]
        if not hmac.compare_digest(mac, key.mac(_REFRESH, content)):
            return None
        return RefreshClaims(UUID(bytes=content[:16]).hex, int.from_bytes(content[16:], "big"))

    def csrf(self, login: str) -> str:
        """The token that a browser must repeat in a header, to show that its own page asks."""
        key = self._ring.signing()
        return f"{key.kid}.{_encode(key.mac(_CSRF, login.encode()))}"

    def is_csrf(self, token: str, login: str) -> bool:
        """Whether that is a CSRF token of this login."""
        key = self._ring.by_kid.get(token.partition(".")[0])
        if key is None or not token.isascii():
            return False
        return hmac.compare_digest(token, f"{key.kid}.{_encode(key.mac(_CSRF, login.encode()))}")

    def _signature(self, key: Key, signed: str) -> str:
        return _encode(hmac.digest(self._access_secrets[key.kid], signed.encode(), "sha256"))


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _encode_json(content: object) -> str:
    return _encode(json.dumps(content, separators=(",", ":")).encode())
