"""A failed template in one sentence: file, line and reason; never a line of its source, which may hold secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible._internal._datatag._tags import Origin
from ansible.errors import AnsibleError
from jinja2 import TemplateSyntaxError

from ..module_utils.engine.errors import CapstanError
from .markers import MisusedReference
from .template_lines import line_naming

_QUOTED = re.compile(r"'([^']+)'")


def explain(error: Exception, text: str, shown: str) -> str:
    """Why the template `text`, which messages call `shown`, could not be rendered."""
    syntax = next((cause for cause in _causes(error) if isinstance(cause, TemplateSyntaxError)), None)
    if syntax is not None:
        return f"{shown}:{syntax.lineno}: {_one_line(syntax.message or 'syntax error')}."
    reason = _reason(error)
    obj = getattr(error, "obj", None)
    if isinstance(obj, str) and str(obj) != text and (origin := Origin.get_tag(obj)) is not None:
        return f"{shown}: {reason} (in {_place(origin)})."
    misused = next((cause for cause in _causes(error) if isinstance(cause, MisusedReference)), None)
    line = misused.line if misused else line_naming(_QUOTED.findall(reason), text)
    return f"{shown}:{line}: {reason}." if line else f"{shown}: {reason}."


def _reason(error: Exception) -> str:
    own = next((cause for cause in _causes(error) if isinstance(cause, CapstanError)), None)
    return _one_line(str(own or error))


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _place(origin: Origin) -> str:
    path = str(origin.path or origin.description)
    return f"{path}:{origin.line_num}" if origin.line_num else path


def variable_problem(error: AnsibleError, where: str) -> str:
    """Why a variable cannot be templated."""
    obj = getattr(error, "obj", None)
    origin = Origin.get_tag(obj) if isinstance(obj, str) else None
    place = f" (in {_place(origin)})" if origin is not None else ""
    return f"{where}: {_reason(error)}{place}."
