"""What the layers below raise, as answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from bottle import HTTPResponse

from backend.errors import (
    Busy,
    Conflict,
    DatabaseBusy,
    DatabaseUnavailable,
    FieldError,
    Forbidden,
    InProgress,
    InvalidRequest,
    KeyReused,
    NotFound,
    PreconditionFailed,
    ServiceError,
    TooManyRequests,
    Unauthorized,
)
from backend.web.json import problem
from backend.web.limits import Refused

log = logging.getLogger(__name__)

_STATUS: Mapping[type[ServiceError], int] = {
    InvalidRequest: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    InProgress: 409,
    PreconditionFailed: 412,
    KeyReused: 422,
    TooManyRequests: 429,
    Busy: 503,
    DatabaseBusy: 503,
    DatabaseUnavailable: 503,
}
_RETRY_AFTER_S: Mapping[type[ServiceError], int] = {InProgress: 1, Busy: 2, DatabaseBusy: 1, DatabaseUnavailable: 2}
# Their own messages are for the log.
_SAID: Mapping[type[ServiceError], str] = {
    Busy: "There is too much to do at the moment. Please try again.",
    DatabaseBusy: "The database has too much to do at the moment. Please try again.",
    DatabaseUnavailable: "The database does not answer at the moment. Please try again.",
}


def answer_to(error: ServiceError) -> HTTPResponse:
    """The problem document that tells a client of the error."""
    kind = next(kind for kind in type(error).__mro__ if kind in _STATUS)
    headers, fields = {}, []
    if kind in _RETRY_AFTER_S:
        headers["Retry_After"] = str(_RETRY_AFTER_S[kind])
    if kind in _SAID:
        log.error("%s: %s", error.code.replace("_", " "), error)
    if isinstance(error, TooManyRequests):
        headers["Retry_After"] = str(error.retry_after_s)
    elif isinstance(error, Unauthorized):
        headers["WWW_Authenticate"] = "Bearer"
    elif isinstance(error, InvalidRequest):
        fields = error.errors
    elif isinstance(error, Conflict):
        fields = [FieldError(error.field, error.code, str(error))]
    said = fields[0].message if fields else str(error)
    return problem(_STATUS[kind], error.code, _SAID.get(kind, said), fields, **headers)


def answer_errors(callback: Callable[..., Any]) -> Callable[..., Any]:
    """A Bottle plugin: turns what is raised into answers."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except ServiceError as error:
            return answer_to(error)
        except Refused as refused:
            return refused.answer()
        except HTTPResponse as answer:
            return answer
        except Exception:
            log.exception("unhandled error")
            return problem(500, "internal_error", "Something went wrong on our side.")

    return call
