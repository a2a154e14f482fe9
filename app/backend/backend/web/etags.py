"""Entity tags (RFC 9110, 8.8.3): a user's version between quotes.

They are strong: the answer with one user is too short to be compressed, so it has one form.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from backend.entities import User, UserCopy
from backend.errors import FieldError
from backend.web.schema import Errors, Json

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = rf"[\s,]*{_TAG}(?:\s*,[\s,]*{_TAG})*[\s,]*"
_TAGS = re.compile(_LIST)
_VERSION = re.compile(r'(W/)?"([1-9][0-9]{0,17})"')


class Every:
    """What `*` stands for in If-None-Match: any version that there is."""

    def __contains__(self, version: object) -> bool:
        return True


def etag_of(user: User | UserCopy) -> str:
    """The tag of what is stored."""
    return f'"{user.version}"'


@dataclass(frozen=True, slots=True)
class NoneMatch:
    """If-None-Match: the versions that a client has, compared weakly."""

    def json_schema(self) -> Json:
        return _SCHEMA

    def parse(self, name: str, value: object, errors: Errors) -> Container[int]:
        found = _tags(name, str(value), errors)
        return Every() if found is None else {version for _, version in found}


@dataclass(frozen=True, slots=True)
class Match:
    """If-Match: the versions that a write is meant for, compared strongly; None for `*`, which asks only for a user."""

    def json_schema(self) -> Json:
        return _SCHEMA

    def parse(self, name: str, value: object, errors: Errors) -> list[int] | None:
        found = _tags(name, str(value), errors)
        return None if found is None else [version for weak, version in found if not weak]


_SCHEMA: Json = {"type": "string", "pattern": rf"^(\s*\*\s*|{_LIST})$", "examples": ['"7"', '"6", "7"', "*"]}


def _tags(name: str, text: str, errors: Errors) -> list[tuple[bool, int]] | None:
    """(weak, version) of each tag that can be one of ours, None for `*`."""
    if text.strip() == "*":
        return None
    if not _TAGS.fullmatch(text):
        errors.append(FieldError(name, "not_an_etag", f'{name} must be *, or tags between quotes such as "7".'))
        return []
    # Taken apart in order: a tag may hold what looks like another one.
    tags = (_VERSION.fullmatch(tag) for tag in re.findall(_TAG, text))
    return [(match[1] is not None, int(match[2])) for match in tags if match]
