"""Cursors: positions in a list as text that clients hand back unread, and the links made from them (RFC 8288)."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from backend.entities import AuditListing, AuditPosition, Listing, Position
from backend.errors import FieldError, InvalidRequest
from backend.web.schema import ID_MAX


def cursor_text(listing: Listing, position: Position) -> str:
    """The cursor of a position in this list."""
    key = position.key.isoformat() if isinstance(position.key, datetime) else position.key
    return _encoded(listing, key, position.id)


def audit_cursor_text(listing: AuditListing, position: AuditPosition) -> str:
    """The cursor of a position in the audit log."""
    return _encoded(listing, position.at.isoformat(), position.id)


def position_in(listing: Listing, cursor: str) -> Position:
    """The position that a cursor stands for. Raises InvalidRequest for one of another order or other filters: in this
    list it would lead to a place that the client has not come to."""
    key, user_id = _decoded(listing, cursor)
    if type(user_id) is not int or not 0 <= user_id <= ID_MAX:
        raise _not_a_cursor()
    if listing.sort.removeprefix("-") == "name":
        return Position(key, user_id)
    try:
        return Position(datetime.fromisoformat(key).astimezone(UTC), user_id)
    except (ValueError, OverflowError):
        raise _not_a_cursor() from None


def audit_position_in(listing: AuditListing, cursor: str) -> AuditPosition:
    """The same for the audit log."""
    at, entry_id = _decoded(listing, cursor)
    try:
        return AuditPosition(datetime.fromisoformat(at).astimezone(UTC), str(UUID(entry_id)))
    except (ValueError, OverflowError, AttributeError):
        raise _not_a_cursor() from None


def _encoded(listing: Listing | AuditListing, key: str, row_id: int | str) -> str:
    content = json.dumps([_mark(listing), key, row_id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _decoded(listing: Listing | AuditListing, cursor: str) -> tuple[str, Any]:
    """(key, id) of a cursor of this list; the key is fit to be the parameter of a statement."""
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        mark, key, row_id = json.loads(content)
        if not isinstance(key, str) or "\0" in key:
            raise ValueError
        key.encode()  # fails for half of a surrogate pair
    except (ValueError, TypeError, RecursionError):
        raise _not_a_cursor() from None
    if mark != _mark(listing):
        raise _refused("cursor_of_another_list", "The cursor belongs to another order or to other filters.")
    return key, row_id


def links(path: str, query: Mapping[str, str], next_cursor: str | None) -> str:
    """The value of a Link header: the first page and, where there is one, the next, both with what narrows the list."""
    kept = {name: value for name, value in query.items() if name != "cursor"}
    found = [(kept, "first")]
    if next_cursor is not None:
        found.insert(0, (kept | {"cursor": next_cursor}, "next"))
    return ", ".join(f'<{path}{"?" if given else ""}{urlencode(given)}>; rel="{relation}"' for given, relation in found)


def _mark(listing: Listing | AuditListing) -> str:
    """Tells lists apart, without showing what was searched for."""
    content = json.dumps(dataclasses.astuple(listing), default=datetime.isoformat)
    return base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()[:9]).decode()


def _not_a_cursor() -> InvalidRequest:
    return _refused("not_a_cursor", "This is no cursor that the service has given.")


def _refused(code: str, message: str) -> InvalidRequest:
    return InvalidRequest([FieldError("cursor", code, message)])
