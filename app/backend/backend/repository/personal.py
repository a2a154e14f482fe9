"""The personal columns of users: what is written into them, and those sealed that are not, or with an older key."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence

import psycopg2.errors

from backend.entities import UserChange, UserFields
from backend.errors import Conflict
from backend.repository.access import Rows, read, write
from backend.repository.pool import Pool
from backend.repository.search import beginnings
from backend.repository.statements import Statement
from backend.sealing import Sealer

BATCH = 500

Send = Callable[[Statement, Sequence[object]], Rows]

# With keys, the id is needed before the row is there: values are sealed for it. Rows that have no mark yet are compared
# as they are. Nobody who has keys makes new ones of that kind, so to look beforehand is enough.
_NEXT = Statement(
    "users_next",
    ("text",),
    "SELECT nextval('users_id_seq'), EXISTS (SELECT FROM users WHERE email_mark IS NULL AND lower(email) = lower($1))",
)
_UNMARKED = Statement(
    "users_unmarked",
    ("bigint", "text"),
    "SELECT id, name, email FROM users WHERE email_mark IS NULL AND (id = $1 OR lower(email) = lower($2))",
)
_OTHERWISE = "(email_mark IS NULL OR NOT (starts_with(name, $1) AND starts_with(email, $1)))"
_COUNT = Statement("users_count_unsealed", ("text",), f"SELECT count(*) FROM users WHERE {_OTHERWISE}")
_UNSEALED = Statement(
    "users_unsealed",
    ("text", "bigint", "integer"),
    f"SELECT id, name, email FROM users WHERE id > $2 AND {_OTHERWISE} ORDER BY id LIMIT $3",
)
# A row that somebody changed meanwhile stays as they left it.
_SEAL = Statement(
    "users_seal",
    ("jsonb",),
    "UPDATE users u SET name = r.name, email = r.email, beginnings = r.beginnings, name_mark = r.name_mark,"
    " email_mark = r.email_mark FROM jsonb_to_recordset($1) AS r (id bigint, old_name text, old_email text, name text,"
    " email text, beginnings text[], name_mark bytea, email_mark bytea)"
    " WHERE u.id = r.id AND u.name = r.old_name AND u.email = r.old_email RETURNING u.id",
)


def email_taken() -> Conflict:
    """What is raised where the address is another user's."""
    # The driver's own message repeats the address; `from None` keeps it out of logs.
    return Conflict("email", "This e-mail address belongs to another user.")


def of_new(send: Send, sealer: Sealer, fields: UserFields) -> tuple[object, ...]:
    """(id, name, email, status, beginnings, mark of the name, mark of the address) of a new row; the id is None where
    the database may choose it. Raises Conflict."""
    if not sealer.has_keys:
        return (None, fields.name, fields.email, fields.status, beginnings(fields.name), None, None)
    ((user_id, taken),) = send(_NEXT, (fields.email,))
    if taken:
        raise email_taken()
    return (user_id, *_values(sealer, user_id, fields))


def of_changed(send: Send, sealer: Sealer, user_id: int, change: UserFields | UserChange) -> tuple[object, ...]:
    """The same without the id for a row that is there; None for what stays."""
    if sealer.has_keys:
        for unmarked in send(_UNMARKED, (user_id, change.email)):
            # From here on marks tell which fields change, and that an address is taken. A row whose address is already
            # another's stays as it is until somebody settles that.
            with contextlib.suppress(psycopg2.errors.UniqueViolation):
                send(_SEAL, (_sealed(sealer, [unmarked]),))
    return _values(sealer, user_id, change)


def _values(sealer: Sealer, user_id: int, change: UserFields | UserChange) -> tuple[object, ...]:
    name = email = words = name_mark = email_mark = None
    if change.name is not None:
        found_by = beginnings(change.name)
        words = sealer.word_marks(found_by) if sealer.has_keys else found_by
        name, name_mark = sealer.seal("name", user_id, change.name), sealer.name_mark(change.name)
    if change.email is not None:
        email, email_mark = sealer.seal("email", user_id, change.email), sealer.email_mark(change.email)
    return name, email, change.status, words, name_mark, email_mark


def _sealed(sealer: Sealer, rows: Rows) -> str:
    """Rows of id, name and address as `_SEAL` takes them. Raises CannotOpen."""
    found = []
    for user_id, old_name, old_email in rows:
        opened = UserChange(
            name=sealer.open("name", user_id, old_name), email=sealer.open("email", user_id, old_email), status=None
        )
        name, email, _, words, *marks = _values(sealer, user_id, opened)
        name_mark, email_mark = (f"\\x{mark.hex()}" for mark in marks if isinstance(mark, bytes))
        found.append(
            {
                "id": user_id,
                "old_name": old_name,
                "old_email": old_email,
                "name": name,
                "email": email,
                "beginnings": words,
                "name_mark": name_mark,
                "email_mark": email_mark,
            }
        )
    return json.dumps(found)


def unsealed(pool: Pool, sealer: Sealer) -> int:
    """How many users are stored otherwise than with the key that seals now."""
    return int(read(pool, _COUNT, (sealer.prefix,))[0][0])


def seal_all(pool: Pool, sealer: Sealer) -> list[int]:
    """Seals them, a batch at a time; may be ended and begun again. The ids of those whose address is another's, too,
    which stay as they are. Raises DatabaseUnavailable and CannotOpen."""
    refused: list[int] = []
    last = 0
    while rows := read(pool, _UNSEALED, (sealer.prefix, last, BATCH)):
        last = rows[-1][0]
        try:
            write(pool, _SEAL, (_sealed(sealer, rows),))
        except psycopg2.errors.UniqueViolation:
            refused += [row[0] for row in rows if not _seal_one(pool, sealer, row)]
    return refused


def _seal_one(pool: Pool, sealer: Sealer, row: Sequence[object]) -> bool:
    try:
        write(pool, _SEAL, (_sealed(sealer, [tuple(row)]),))
    except psycopg2.errors.UniqueViolation:
        return False
    return True
