"""Logs as JSON, one object a line on standard output, with the ids of the request and nothing secret or personal."""

from __future__ import annotations

import json
import logging
import logging.config
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from backend.observability.tracing import current

CORRELATION_HEADER = "X-Correlation-Id"
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def is_acceptable(correlation_id: str) -> bool:
    """Whether a client's id is safe to repeat in logs and headers."""
    return _ACCEPTABLE_ID.fullmatch(correlation_id) is not None


# What people and programs are known by: what a text must hold to be worth a search, what is sought, what is left of it.
# A search starts at the first letter of a word only, and never goes back: its time grows as the text does.
_LOCAL = r"[\w.!#$%&'+?^`{|}~-]"
_REDACTIONS = (
    # scheme://user:password@host
    ("://", re.compile(r"(?<![\w+.-])([\w+.-]++://[^\s:/@]*+):[^\s\"'<>/@]++(@[^\s\"'<>/@]++)*@"), r"\1:***@"),
    # A JSON web token: its header begins with {"
    ("eyJ", re.compile(r"(?<![\w-])eyJ[\w-]++\.[\w-]++(\.[\w-]*+)?"), "eyJ***"),
    ("earer ", re.compile(r"\b(bearer) +[\w.~+/=-]{6,}", re.IGNORECASE), r"\1 ***"),
    ("=", re.compile(r"\b(password|passwd|pwd|token|secret|api_?key)=[^\s&,;\"']+", re.IGNORECASE), r"\1=***"),
    # An e-mail address keeps its first letter and its domain.
    ("@", re.compile(rf"(?<!{_LOCAL})({_LOCAL}){_LOCAL}*+@(\w[\w-]*+\.\w[\w.-]*+)"), r"\1***@\2"),
)


def redacted(text: str) -> str:
    """`text` without e-mail addresses, tokens and passwords."""
    for needed, pattern, instead in _REDACTIONS:
        if needed in text:
            text = pattern.sub(instead, text)
    return text


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _redacted(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner) for inner in value]
    return value


def _may_hold_personal(level: int, line: str) -> bool:
    """Whether a line is worth looking through: most lines of requests are not, and this costs next to nothing."""
    return level >= logging.WARNING or "@" in line or "eyJ" in line or "earer " in line


# Made once: `json.dumps` with options makes one for each line.
_to_line = json.JSONEncoder(ensure_ascii=False, default=lambda value: redacted(str(value))).encode


class JsonFormatter(logging.Formatter):
    """Renders a record, its `fields` (``extra={"fields": {...}}``) and its traceback; `hide` is blanked everywhere."""

    def __init__(self, hide: Iterable[str] = ()) -> None:
        super().__init__()
        # As they are, and as JSON writes them; the longest first, so that no part of one is left over.
        forms = {form for secret in hide for form in (secret, json.dumps(secret, ensure_ascii=False)[1:-1])}
        self._hide = sorted((form for form in forms if form), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        entry: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = current.get()
        if trace is not None:
            entry["correlation_id"] = trace.correlation_id
            entry["trace_id"], entry["span_id"] = trace.trace_id, trace.span_id
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        line = _to_line(entry)
        if _may_hold_personal(record.levelno, line):
            line = _to_line(_redacted(entry))
        for form in self._hide:
            line = line.replace(form, "***")
        return line


def log_config(level: str, hide: Iterable[str] = ()) -> dict[str, Any]:
    """A logging configuration (`logging.config.dictConfig`) with which everything, Granian included, writes JSON."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "backend.observability.logs.JsonFormatter", "hide": list(hide)}},
        "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
        "root": {"level": level, "handlers": ["stdout"]},
        "loggers": {
            "_granian": {"level": "WARNING", "handlers": ["stdout"], "propagate": False},
            "granian.access": {"level": "WARNING", "handlers": ["stdout"], "propagate": False},
        },
    }


def configure(level: str, hide: Iterable[str] = ()) -> None:
    """Sets up logging for this process."""
    logging.config.dictConfig(log_config(level, hide))
