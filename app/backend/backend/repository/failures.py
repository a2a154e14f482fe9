"""What errors of the database driver mean to the service.

DatabaseUnavailable
    ConnectionLost  the connection broke while it was lent: whether the server carried the statement out is unknown
    DatabaseBusy
        RolledBack  the statement clashed with others and was undone: it may be sent again
"""

from __future__ import annotations

import psycopg2
from psycopg2 import errors

from backend.errors import DatabaseBusy, DatabaseUnavailable, ServiceError


class ConnectionLost(DatabaseUnavailable):
    """The connection broke while it was lent."""


class RolledBack(DatabaseBusy):
    """A serialization failure or a deadlock: nothing of the statement is left."""


def failure(error: psycopg2.Error, *, broken: bool) -> ServiceError | None:
    """What `error` means; None where it is about the statement and not about the database.

    `broken`: the connection is of no use any more.
    """
    if broken:
        return ConnectionLost(reason(error))
    if isinstance(error, (errors.SerializationFailure, errors.DeadlockDetected)):
        return RolledBack(reason(error))
    if isinstance(error, (errors.QueryCanceled, errors.LockNotAvailable)):
        return DatabaseBusy(reason(error))
    if isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return DatabaseUnavailable(reason(error))
    return None


def reason(error: Exception) -> str:
    """The first line of the driver's message; the rest repeats the statement and its values."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
