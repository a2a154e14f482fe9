"""What parameters and bodies may hold: one declaration that checks them and writes their JSON Schema.

`parse` gives the value as the service uses it; what is wrong it adds to `errors`, so that a client hears of everything
at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from backend.errors import FieldError

Errors = list[FieldError]
Json = dict[str, Any]

ID_MAX = 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# The same for JSON Schema, whose text holds no half of a surrogate pair: something to see, and nothing of these.
_PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL = rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+"
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_FARTHEST = timedelta(hours=16)
EMAIL_MAX = 254  # RFC 5321, 4.5.3.1.3


class Kind(Protocol):
    """What a value may be."""

    def json_schema(self) -> Json:
        """In the words of JSON Schema 2020-12."""

    def parse(self, name: str, value: object, errors: Errors) -> Any:
        """The value of the field or parameter `name`; what it gives after it added to `errors` means nothing."""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text, trimmed."""

    what: str  # "The name": how messages begin
    longest: int
    example: str = ""

    def json_schema(self) -> Json:
        shown: Json = {"type": "string", "minLength": 1, "maxLength": self.longest}
        shown["allOf"] = [{"pattern": r"\S"}, {"pattern": _PRINTABLE}]
        return shown | ({"examples": [self.example]} if self.example else {})

    def parse(self, name: str, value: object, errors: Errors) -> str:
        if value is None or value == "":
            errors.append(FieldError(name, "required", f"{self.what} is required."))
        elif not isinstance(value, str):
            errors.append(FieldError(name, "not_a_text", f"{self.what} must be a text."))
        elif not value.strip():
            errors.append(FieldError(name, "required", f"{self.what} is required."))
        elif len(value) > self.longest:
            errors.append(FieldError(name, "too_long", f"{self.what} must have at most {self.longest} characters."))
        elif _CONTROL.search(value):
            errors.append(FieldError(name, "not_printable", f"{self.what} must not contain control characters."))
        else:
            return value.strip()
        return ""


@dataclass(frozen=True, slots=True)
class Email:
    """An e-mail address."""

    what: str = "The e-mail address"

    def json_schema(self) -> Json:
        shown: Json = {"type": "string", "format": "email", "maxLength": EMAIL_MAX, "examples": ["ada@example.com"]}
        return shown | {"pattern": rf"^\s*{EMAIL}\s*$"}

    def parse(self, name: str, value: object, errors: Errors) -> str:
        text = Text(self.what, EMAIL_MAX).parse(name, value, errors)
        if text and not re.fullmatch(EMAIL, text):
            errors.append(FieldError(name, "not_an_email", f"{self.what} must look like name@example.com."))
        return text


@dataclass(frozen=True, slots=True)
class Password:
    """A secret text, taken as it is: not trimmed, and whatever the characters. No message repeats it."""

    what: str
    shortest: int
    longest: int

    def json_schema(self) -> Json:
        shown = {"type": "string", "format": "password", "minLength": self.shortest, "maxLength": self.longest}
        return shown | {"pattern": _PRINTABLE, "writeOnly": True}

    def parse(self, name: str, value: object, errors: Errors) -> str:
        if value is None:
            errors.append(FieldError(name, "required", f"{self.what} is required."))
        elif not isinstance(value, str):
            errors.append(FieldError(name, "not_a_text", f"{self.what} must be a text."))
        elif not self.shortest <= len(value) <= self.longest:
            said = f"{self.what} must have {self.shortest} to {self.longest} characters."
            errors.append(FieldError(name, "wrong_length", said))
        elif _CONTROL.search(value):
            errors.append(FieldError(name, "not_printable", f"{self.what} must not contain control characters."))
        else:
            return value
        return ""


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false; in parameters the words."""

    what: str

    def json_schema(self) -> Json:
        return {"type": "boolean"}

    def parse(self, name: str, value: object, errors: Errors) -> bool:
        if value in ("true", "false"):
            return value == "true"
        if not isinstance(value, bool):
            errors.append(FieldError(name, "not_a_flag", f"{self.what}: true or false."))
        return value is True


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    what: str
    words: tuple[str, ...]

    def json_schema(self) -> Json:
        return {"type": "string", "enum": list(self.words)}

    def parse(self, name: str, value: object, errors: Errors) -> str:
        if value not in self.words:
            errors.append(FieldError(name, "not_a_choice", f"{self.what} must be one of {', '.join(self.words)}."))
            return ""
        return str(value)


@dataclass(frozen=True, slots=True)
class Several:
    """Some of a few words, between commas; their order means nothing."""

    what: str
    words: tuple[str, ...]

    def json_schema(self) -> Json:
        return {"type": "array", "items": {"type": "string", "enum": list(self.words)}, "minItems": 1}

    def parse(self, name: str, value: object, errors: Errors) -> tuple[str, ...]:
        found = {word.strip() for word in str(value).split(",")}
        if not found <= set(self.words):
            said = f"{self.what} must be one of {', '.join(self.words)}, or several of them with commas between."
            errors.append(FieldError(name, "not_a_choice", said))
        return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment, with its offset from UTC (RFC 3339)."""

    what: str

    def json_schema(self) -> Json:
        return {"type": "string", "format": "date-time", "examples": ["2026-01-31T00:00:00Z"]}

    def parse(self, name: str, value: object, errors: Errors) -> datetime:
        try:
            if not _RFC_3339.fullmatch(str(value)):
                raise ValueError
            found = datetime.fromisoformat(str(value).upper())
            # RFC 3339 allows it, the database does not.
            is_far = abs(found.utcoffset() or timedelta()) >= _FARTHEST
            return found.astimezone(UTC) if is_far else found
        except (ValueError, OverflowError):
            said = f"{self.what} must be a moment like 2026-01-31T00:00:00Z (in an address, + is written %2B)."
            errors.append(FieldError(name, "not_a_moment", said))
            return datetime.min


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, which parameters bring as text."""

    low: int
    high: int

    def json_schema(self) -> Json:
        return {"type": "integer", "format": "int64", "minimum": self.low, "maximum": self.high}

    def parse(self, name: str, value: object, errors: Errors) -> int:
        text = str(value)
        if text.isascii() and text.isdigit() and len(text) <= 19 and self.low <= (number := int(text)) <= self.high:
            return number
        said = f"{name} must be a whole number from {self.low} to {self.high}."
        errors.append(FieldError(name, "out_of_range", said))
        return self.low


@dataclass(frozen=True, slots=True)
class Shown:
    """What only answers hold: described, never parsed."""

    schema: Json

    def json_schema(self) -> Json:
        return self.schema

    def parse(self, name: str, value: object, errors: Errors) -> Any:
        raise TypeError(f"{name} is no input")


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object. `optional` fields have defaults, which `parse` gives where they are left out; None: nothing."""

    name: str  # under which the document knows it
    fields: Mapping[str, Kind]
    optional: Mapping[str, Any] = field(default_factory=dict)

    def json_schema(self) -> Json:
        properties = {name: kind.json_schema() for name, kind in self.fields.items()}
        for name, default in self.optional.items():
            if default is not None:
                properties[name] = properties[name] | {"default": default}
        required = [name for name in self.fields if name not in self.optional]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def parse(self, name: str, value: object, errors: Errors) -> Json:
        given = self._known(name, value, errors)
        if given is None:
            return {}
        return {
            key: kind.parse(key, given.get(key), errors)
            if key in given or key not in self.optional
            else self.optional[key]
            for key, kind in self.fields.items()
        }

    def _known(self, name: str, value: object, errors: Errors) -> Mapping[str, object] | None:
        """The value where it is an object; its fields that are not known are added to `errors`."""
        if not isinstance(value, Mapping):
            errors.append(FieldError(name, "not_an_object", "The body must be a JSON object."))
            return None
        errors += [
            FieldError(str(key), "unknown_field", f"There is no field {str(key)!r}.")
            for key in value
            if key not in self.fields
        ]
        return value


@dataclass(frozen=True, slots=True)
class Patch(Object):
    """Some fields of an object that can all not be removed (RFC 7396); `parse` gives None for what is left out."""

    def json_schema(self) -> Json:
        return Object.json_schema(self) | {"required": []}

    def parse(self, name: str, value: object, errors: Errors) -> Json:
        given = self._known(name, value, errors) or {}
        removed = [key for key in self.fields if key in given and given[key] is None]
        errors += [
            FieldError(key, "required", f"The field {key!r} cannot be removed: give it a value, or leave it out.")
            for key in removed
        ]
        return {
            key: kind.parse(key, given[key], errors) if key in given and key not in removed else None
            for key, kind in self.fields.items()
        }
