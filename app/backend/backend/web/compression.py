"""Compressed answers, and what that means for their entity tags.

The compressed form of an answer is another representation, so a strong tag of it differs (RFC 9110, 8.8.3.3):
`"abc"` becomes `"abc-gzip"`. The layers below never see that: tags of conditional requests lose the suffix before they
get there.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

COMPRESS_FROM_BYTES = 1000
# For an answer with a secret in it: how well it compresses together with what a client sent would tell of the secret
# (BREACH). `reply(…, Cache_Control=SECRET)`.
SECRET = "no-store, no-transform"
_SUFFIX = '-gzip"'
_CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    for part in header.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def may_compress(named: Mapping[str, str], size: int) -> bool:
    """Whether a body of `size` bytes with these headers (lower-case names) is worth it and allowed."""
    return (
        size >= COMPRESS_FROM_BYTES
        and "content-encoding" not in named
        and "no-transform" not in named.get("cache-control", "")
    )


def compress(body: bytes) -> bytes:
    """The body in gzip's form; the same for the same body."""
    return gzip.compress(body, 5, mtime=0)


def compressed_tag(tag: str) -> str:
    """The entity tag of the compressed form. A weak tag stands for both."""
    return tag if tag.startswith("W/") else tag[:-1] + _SUFFIX


def uncompress_conditions(environ: dict[str, Any]) -> bool:
    """Takes the suffix off the tags of a conditional request; whether If-None-Match had one."""
    found = False
    for name in _CONDITIONS:
        tags = environ.get(name)
        if tags is not None and _SUFFIX in tags:
            environ[name] = tags.replace(_SUFFIX, '"')
            found = name == "HTTP_IF_NONE_MATCH"
    return found
