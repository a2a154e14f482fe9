"""Logs as JSON, one object a line on standard output, with the correlation id of the request and no secrets."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

CORRELATION_HEADER = "X-Correlation-Id"
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

# Granian runs a WSGI call from start to end on one thread, so a context variable is the request's own.
correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)


def correlation_id_from(header: str | None) -> str:
    """The caller's id where it is safe to repeat in logs and headers, else a new one of 32 hex digits."""
    if header and _ACCEPTABLE_ID.fullmatch(header):
        return header
    return secrets.token_hex(16)


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
        if correlation_id.get():
            entry["correlation_id"] = correlation_id.get()
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        line = json.dumps(entry, ensure_ascii=False, default=str)
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
