"""Sessions in Redis: key `session:{<user id>}`, half an hour: what decides whether a token of that user still holds."""

from __future__ import annotations

import json

from backend.cache.versioned import Form
from backend.entities import Session

TTL_S = 1800


def session_key(user_id: int) -> bytes:
    """The key of one user's session."""
    return b"session:{%d}" % user_id


def _write(session: Session) -> bytes:
    return json.dumps([session.id, session.role, session.active, sorted(session.logins)]).encode()


def _read(user_id: int, version: int, text: bytes) -> Session:
    stored_id, role, active, logins = json.loads(text)
    if stored_id != user_id:
        raise ValueError(text)
    return Session(id=user_id, role=role, active=active, logins=frozenset(logins), version=version)


SESSIONS = Form("sessions", session_key, TTL_S, _write, _read)
