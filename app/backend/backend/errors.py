"""What can go wrong with a request.

ServiceError
    InvalidRequest       the client sent something that cannot be accepted
    NotFound             there is no such thing
    PreconditionFailed   it was meant for another state of what is stored
    Conflict             it clashes with what is stored
    Unauthorized         nobody has shown who they are
    Forbidden            whoever asks may not do that
    TooManyRequests      too many tries in too short a time
    Busy                 more at once than can be done
    InProgress           the same request is being worked on
    KeyReused            its idempotency key belongs to another request
    DatabaseUnavailable  the database did not answer in time, or not at all
        DatabaseBusy     it is there, but something met its time limit
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field: a code for programs, a sentence for people."""

    field: str
    code: str
    message: str


class ServiceError(Exception):
    """Base of all errors that are answered with a message of their own."""

    code = "internal_error"


class InvalidRequest(ServiceError):
    """`errors` names every field at fault; `code` is that of the first one."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors
        self.code = errors[0].code


class NotFound(ServiceError):
    """There is no such user."""

    code = "not_found"


class PreconditionFailed(ServiceError):
    """The user is there, in a version that the client did not name."""

    code = "precondition_failed"


class Conflict(ServiceError):
    """The value of `field` is already taken."""

    code = "already_taken"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Unauthorized(ServiceError):
    """`code` tells a client what to do about it: sign in, or refresh its token."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Forbidden(ServiceError):
    """Who asks is known, and may not."""

    code = "forbidden"

    def __init__(self, message: str, code: str = "forbidden") -> None:
        super().__init__(message)
        self.code = code


class TooManyRequests(ServiceError):
    """To be tried again after `retry_after_s`."""

    code = "too_many_requests"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Busy(ServiceError):
    """The message says of what there is too much, for the log."""

    code = "busy"


class InProgress(ServiceError):
    """A request with the same idempotency key has not come to its end."""

    code = "in_progress"

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is being worked on. Please send it again.")


class KeyReused(ServiceError):
    """The idempotency key was used for another request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request: each request needs one of its own.")


class DatabaseUnavailable(ServiceError):
    """The message says why, for the log; clients are told only that it is so."""

    code = "database_unavailable"


class DatabaseBusy(DatabaseUnavailable):
    """A statement, or its wait for a lock, met its time limit; nothing was changed."""

    code = "database_busy"
