"""Whether what a client sent can become a user: pure, and naming every field at fault."""

from __future__ import annotations

import re
from collections.abc import Mapping

from backend.entities import STATUSES, UserFields
from backend.errors import FieldError, InvalidRequest

NAME_MAX = 100
EMAIL_MAX = 254  # RFC 5321, 4.5.3.1.3
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def user_fields(body: object) -> UserFields:
    """The fields of a user in a decoded JSON body; status is "active" where it is not given. Raises InvalidRequest."""
    if not isinstance(body, Mapping):
        raise InvalidRequest([FieldError("", "not_an_object", "The body must be a JSON object.")])
    errors = [
        FieldError(str(name), "unknown_field", f"There is no field {str(name)!r}.")
        for name in body
        if name not in ("name", "email", "status")
    ]
    name = _text(body, "name", "The name", NAME_MAX, errors)
    email = _text(body, "email", "The e-mail address", EMAIL_MAX, errors)
    if email and not _EMAIL.fullmatch(email):
        errors.append(FieldError("email", "not_an_email", "The e-mail address must look like name@example.com."))
    status = body.get("status", "active")
    if status not in STATUSES:
        errors.append(FieldError("status", "not_a_choice", f"The status must be one of {', '.join(STATUSES)}."))
    if errors:
        raise InvalidRequest(errors)
    return UserFields(name=name, email=email, status=str(status))


def _text(body: Mapping[str, object], field: str, what: str, longest: int, errors: list[FieldError]) -> str:
    """The trimmed text of a field; adds to `errors` and gives "" where it is not usable."""
    value = body.get(field)
    if value is None or value == "":
        errors.append(FieldError(field, "required", f"{what} is required."))
    elif not isinstance(value, str):
        errors.append(FieldError(field, "not_a_text", f"{what} must be a text."))
    elif not value.strip():
        errors.append(FieldError(field, "required", f"{what} is required."))
    elif len(value.strip()) > longest:
        errors.append(FieldError(field, "too_long", f"{what} must have at most {longest} characters."))
    elif _CONTROL.search(value):
        errors.append(FieldError(field, "not_printable", f"{what} must not contain control characters."))
    else:
        return value.strip()
    return ""
