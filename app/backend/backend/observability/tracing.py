"""Traces: what a request did and for how long, in the terms of the W3C (Trace Context) and of OpenTelemetry.

Every request is recorded, which costs about two microseconds; whether its trace is kept is decided at its end, when it
is known whether it failed or was slow. What is kept goes to the exporter as it was recorded: making it into what a
collector reads is the exporter's work, in a thread of its own.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from time import perf_counter
from typing import NamedTuple, ParamSpec, TypeVar

from backend.errors import DatabaseUnavailable, ServiceError

P = ParamSpec("P")
R = TypeVar("R")

INTERNAL, SERVER, CLIENT = "internal", "server", "client"
MOST_SPANS = 256  # of one request; what it does beyond that is not recorded
# Probes come every few seconds: their lines and traces would drown the others.
QUIET_PATHS = ("/actuator/health",)

Tags = Mapping[str, str | int | bool]
NO_TAGS: Tags = {}

# -- context


class Parent(NamedTuple):
    """The caller's span, from a `traceparent` header; ids in lower-case hex."""

    trace_id: str
    span_id: str
    sampled: bool


_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_ODD = "13579bdf"  # the last digit of flags with the bit "sampled"
_STATE_KEY = r"[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}|[a-z][a-z0-9_*/-]{0,255}"
# A value is printable ASCII but "," and "=", and does not end with a space.
_STATE_MEMBER = re.compile(rf"(?P<key>{_STATE_KEY})=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]")
_MOST_STATES = 32


def parse_traceparent(header: str) -> Parent | None:
    """The caller's span; None for what is not a valid header. Source: W3C Trace Context, 3.2 and 4.

    A version from the future may have more fields behind those of version 00, which itself may not.
    """
    match = _TRACEPARENT.fullmatch(header)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Parent(trace_id, span_id, flags[1] in _ODD)


def parse_tracestate(header: str) -> str:
    """The header as it is handed on; empty where one of its members is not valid. Source: W3C Trace Context, 3.3."""
    members = [member.strip(" \t") for member in header.split(",")]
    members = [member for member in members if member]
    matches = [_STATE_MEMBER.fullmatch(member) for member in members]
    keys = {match["key"] for match in matches if match}
    return ",".join(members) if len(members) <= _MOST_STATES and len(keys) == len(members) else ""


# -- recording


class Trace:
    """One request's part of a trace. `spans`: what was done in it, each appended when it ended, as long as there is
    `room`. `correlation_id`: the client's own, or the trace's."""

    __slots__ = ("correlation_id", "parent", "room", "sampled", "span_id", "spans", "state", "trace_id", "user_id")

    def __init__(
        self, trace_id: str, span_id: str, sampled: bool, parent: Parent | None, state: str, room: int
    ) -> None:
        self.trace_id = self.correlation_id = trace_id
        self.span_id = span_id
        self.sampled = sampled
        self.parent = parent
        self.state = state  # `tracestate` as the client wrote it
        self.spans: list[Span] = []
        self.room = room
        self.user_id: int | None = None


# Granian runs a WSGI call from start to end on one thread, so a context variable is the request's own.
current: ContextVar[Trace | None] = ContextVar("trace", default=None)


class Span(NamedTuple):
    """Something that was done for a request, by times of `perf_counter`. `error`: the exception that left it.

    Spans of a request are made on one thread and end before those around them: that is how they are nested later.
    """

    name: str
    kind: str
    tags: Tags
    began: float
    ended: float
    error: type[BaseException] | None


def record(
    name: str, began: float, kind: str = INTERNAL, tags: Tags = NO_TAGS, error: type[BaseException] | None = None
) -> float:
    """Adds a span that ends now to the current trace, if there is one. Returns its end."""
    ended = perf_counter()
    trace = current.get()
    if trace is not None and trace.room:
        trace.room -= 1
        trace.spans.append(tuple.__new__(Span, (name, kind, tags, began, ended, error)))
    return ended


def traced(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A span around each call of a function."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            began, error = perf_counter(), None
            try:
                return function(*args, **kwargs)
            except BaseException as raised:
                error = type(raised)
                raise
            finally:
                record(name, began, error=error)

        return call

    return decorate


def correlation_id() -> str | None:
    """Under which id the logs tell of the current request; None outside of requests."""
    trace = current.get()
    return trace.correlation_id if trace is not None else None


def about_user(user_id: int) -> None:
    """The current request is this user's, or about it: told in its trace and in its log line. Who is told first counts,
    which is the caller where it is known."""
    trace = current.get()
    if trace is not None and trace.user_id is None:
        trace.user_id = user_id


def is_failure(error: type[BaseException] | None) -> bool:
    """Whether a span that this left went wrong: a refusal of ours, such as "not found", is an answer like another."""
    return error is not None and (issubclass(error, DatabaseUnavailable) or not issubclass(error, ServiceError))


# -- sampling

_random = random.Random()
# Otherwise processes forked from one another would give the same ids.
os.register_at_fork(after_in_child=_random.seed)


def new_span_id() -> str:
    """16 hex digits. Not a secret: from a fast source, which others could predict."""
    return _random.getrandbits(64).to_bytes(8, "big").hex()


_SAMPLE_BITS = 56  # of the trace id, its right end: the part that W3C and OpenTelemetry want to be random
_SAMPLE_MASK = 2**_SAMPLE_BITS - 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A trace that is kept, with its request. `route`: "UNKNOWN" where there was none; times of `perf_counter`."""

    trace: Trace
    method: str
    route: str
    path: str
    status: int
    began: float
    ended: float
    epoch_ns: int  # when `perf_counter` was zero, since 1970


class Tracer:
    """Begins traces, and gives those that are worth it to `keep` (None: nobody wants any).

    Kept is a `share` of all traces, the same ones as every service with this share keeps; a caller's decision goes
    before that. Whatever they say, what failed (5xx) or took longer than `slow_s` is kept.
    """

    def __init__(self, share: float, slow_s: float, keep: Callable[[Kept], None] | None) -> None:
        self._refused = round((1 - share) * 2**_SAMPLE_BITS)  # ids below that
        self._slow_s = slow_s
        self._keep = keep
        self._room = MOST_SPANS if keep is not None else 0

    def begin(self, traceparent: str | None, tracestate: str = "") -> Trace:
        """The trace of a request with these headers."""
        parent = parse_traceparent(traceparent) if traceparent else None
        if parent is not None:
            return Trace(parent.trace_id, new_span_id(), parent.sampled, parent, tracestate, self._room)
        bits = _random.getrandbits(192)  # the trace's id, and behind it that of the span
        ids = f"{bits:048x}"
        return Trace(ids[:32], ids[32:], bits >> 64 & _SAMPLE_MASK >= self._refused, None, "", self._room)

    def end(self, trace: Trace, method: str, route: str, path: str, status: int, began: float, took_s: float) -> None:
        """The request is answered."""
        if self._keep is None:
            return
        wanted = trace.sampled and (trace.parent is not None or path not in QUIET_PATHS)
        if wanted or status >= 500 or took_s > self._slow_s:
            epoch_ns = time.time_ns() - time.perf_counter_ns()
            self._keep(Kept(trace, method, route, path, status, began, began + took_s, epoch_ns))
