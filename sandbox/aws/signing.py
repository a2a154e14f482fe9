"""Verification of Signature Version 4, in the Authorization header or in the query string (presigned URLs).

Source: IAM User Guide, "AWS Signature Version 4 for API requests".
"""

from __future__ import annotations

import hashlib
import hmac
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

_ALGORITHM = "AWS4-HMAC-SHA256"
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class HttpRequest:
    """A request as it arrived. `path` and `query` are still percent-encoded; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    connection: socket.socket | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Claim:
    """What a request says about who signed it, not yet verified."""

    access_key: str
    date: str  # "20261122", of the credential scope
    region: str
    service: str  # signing name
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str  # "20261122T101112Z"
    token: str | None  # session token
    expires_s: int | None  # presigned only
    presigned: bool


class SignatureError(Exception):
    """The signature cannot be accepted; the text says why."""


def claim_of(request: HttpRequest) -> Claim | None:
    """The claim in the header or in the query string; None for an unsigned or unreadable one."""
    header = request.headers.get("authorization", "")
    try:
        if header.startswith(_ALGORITHM):
            return _claim_from_header(header, request.headers)
        query = dict(_query_pairs(request.query))
        if query.get("X-Amz-Algorithm") == _ALGORITHM:
            return _claim_from_query(query)
    except (ValueError, KeyError):
        return None
    return None


def _claim_from_header(header: str, headers: Mapping[str, str]) -> Claim:
    parts = dict(item.strip().split("=", 1) for item in header[len(_ALGORITHM):].split(","))
    access_key, date, region, service, _ = parts["Credential"].split("/")
    return Claim(
        access_key, date, region, service, tuple(parts["SignedHeaders"].split(";")), parts["Signature"],
        headers["x-amz-date"], headers.get("x-amz-security-token"), None, False,
    )


def _claim_from_query(query: Mapping[str, str]) -> Claim:
    access_key, date, region, service, _ = query["X-Amz-Credential"].split("/")
    return Claim(
        access_key, date, region, service, tuple(query["X-Amz-SignedHeaders"].split(";")), query["X-Amz-Signature"],
        query["X-Amz-Date"], query.get("X-Amz-Security-Token"), int(query["X-Amz-Expires"]), True,
    )


def verify(request: HttpRequest, claim: Claim, secret: str, now: datetime) -> None:
    """Accepts the claim or raises SignatureError. `now` is aware, in UTC."""
    _check_time(claim, now)
    scope = f"{claim.date}/{claim.region}/{claim.service}/aws4_request"
    canonical = _canonical_request(request, claim)
    to_sign = "\n".join([_ALGORITHM, claim.timestamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (claim.date, claim.region, claim.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, claim.signature):
        raise SignatureError("signature does not match")


def _check_time(claim: Claim, now: datetime) -> None:
    try:
        signed = datetime.strptime(claim.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise SignatureError("unreadable date") from error
    if not claim.timestamp.startswith(claim.date):
        raise SignatureError("the date differs from the credential scope's")
    lifetime = _SKEW if claim.expires_s is None else timedelta(seconds=claim.expires_s)
    if now > signed + lifetime:
        raise SignatureError("signature expired")
    if now < signed - _SKEW:
        raise SignatureError("signature not yet current")


def _canonical_request(request: HttpRequest, claim: Claim) -> str:
    headers = []
    for name in claim.signed_headers:
        if name not in request.headers:
            raise SignatureError(f"signed header {name} is missing")
        headers.append(f"{name}:{' '.join(request.headers[name].split())}")
    if "host" not in claim.signed_headers:
        raise SignatureError("the host header must be signed")
    # Every service but S3 encodes the path a second time.
    path = quote(request.path or "/", safe="/~")
    return "\n".join(
        [request.method, path, _canonical_query(request.query), *headers, "", ";".join(claim.signed_headers),
         _payload_hash(request, claim)]
    )


def _payload_hash(request: HttpRequest, claim: Claim) -> str:
    digest = hashlib.sha256(request.body).hexdigest()
    stated = request.headers.get("x-amz-content-sha256")
    if stated is None or claim.presigned:
        return digest
    if stated not in ("UNSIGNED-PAYLOAD", digest):
        raise SignatureError("the stated hash of the body is wrong")
    return stated


def _query_pairs(query: str) -> list[tuple[str, str]]:
    pairs = (item.partition("=") for item in query.split("&") if item)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _canonical_query(query: str) -> str:
    encoded = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in _query_pairs(query)
        if name != "X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in encoded)
