"""Sends traces to a collector: OTLP over HTTP, in its JSON form, in batches, from a thread of its own.

No request ever waits for that. While the collector is away, what has no room in the queue falls off and is counted.
Source: the OpenTelemetry Protocol specification 1.x (JSON encoding, responses, throttling).
"""

from __future__ import annotations

import email.utils
import gzip
import http.client
import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

from backend.observability.instruments import METHODS
from backend.observability.logs import redacted
from backend.observability.tracing import Kept, Span, Tags, is_failure, new_span_id, parse_tracestate

log = logging.getLogger(__name__)

MAX_QUEUE, MAX_BATCH = 2048, 512  # spans
BATCH_AFTER_S = 2.0
FLUSH_S = 2.0
SEND_TIMEOUT_S = 10.0
_PAUSE_AFTER, _PAUSE_S = 8, 0.0001  # traces, of about 30 microseconds each
_COMPRESSION = 1  # the fastest: names repeat so often that more gains little
_MOST_ANSWER = 65_536  # bytes
WARN_EVERY_S = 300.0

Json = dict[str, Any]

# -- what is sent: pure

_KINDS = {"internal": 1, "server": 2, "client": 3}
_ERROR = 2
_SAMPLED, _HAS_REMOTE, _REMOTE = 0x01, 0x100, 0x200


def to_request(parts: Iterable[str], resource: Tags) -> str:
    """An export request (ExportTraceServiceRequest). `parts`: spans in JSON, separated by commas."""
    scope: Json = {"scope": {"name": "backend"}, "spans": []}
    around = _to_text({"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]})
    head, _, tail = around.rpartition("[]")
    return f"{head}[{','.join(parts)}]{tail}"


def to_part(kept: Kept) -> str:
    """A trace's spans in JSON, separated by commas."""
    return _to_text(to_spans(kept))[1:-1]


def to_spans(kept: Kept) -> list[Json]:
    """The request's own span, then those within it."""
    trace = kept.trace
    ids = [new_span_id() for _ in trace.spans]
    spans = [_request_span(kept)]
    for span, span_id, around in zip(trace.spans, ids, parents(trace.spans), strict=True):
        failure = span.error.__name__ if span.error and is_failure(span.error) else ""
        parent_id = trace.span_id if around is None else ids[around]
        spans.append(_span(kept, span.name, span.kind, span_id, parent_id, span.began, span.ended, span.tags, failure))
    return spans


def parents(spans: list[Span]) -> list[int | None]:
    """For each span the place of the one around it. `spans` are of one thread, in the order in which they ended."""
    found: list[int | None] = [None] * len(spans)
    open_ended: list[int] = []  # have nothing around them yet
    for place, span in enumerate(spans):
        while open_ended and spans[open_ended[-1]].began >= span.began:
            found[open_ended.pop()] = place
        open_ended.append(place)
    return found


def _request_span(kept: Kept) -> Json:
    trace = kept.trace
    method = kept.method if kept.method in METHODS else "_OTHER"
    path = redacted(kept.path[:500])
    tags: dict[str, str | int | bool] = {
        "http.method": method,
        "http.request.method": method,
        "http.url": path,
        "url.path": path,
        "http.status_code": kept.status,
        "http.response.status_code": kept.status,
    }
    name = "HTTP" if method == "_OTHER" else method
    if kept.route != "UNKNOWN":
        name = f"{name} {kept.route}"
        tags["http.route"] = kept.route
    if trace.user_id is not None:
        tags["user.id"] = str(trace.user_id)
    failure = str(kept.status) if kept.status >= 500 else ""
    parent_id = trace.parent.span_id if trace.parent else ""
    span = _span(kept, name, "server", trace.span_id, parent_id, kept.began, kept.ended, tags, failure)
    span["flags"] |= _HAS_REMOTE | (_REMOTE if trace.parent else 0)
    return span


def _span(
    kept: Kept, name: str, kind: str, span_id: str, parent_id: str, began: float, ended: float, tags: Tags, failure: str
) -> Json:
    """A span in OTLP's JSON. `failure`: what kind of error it ended with; empty for none."""
    every: dict[str, str | int | bool] = {**tags, "span.kind": kind}
    if failure:
        every |= {"error": True, "error.type": failure}
    span = {
        "traceId": kept.trace.trace_id,
        "spanId": span_id,
        "name": name,
        "kind": _KINDS[kind],
        "startTimeUnixNano": str(kept.epoch_ns + round(began * 1e9)),
        "endTimeUnixNano": str(kept.epoch_ns + round(ended * 1e9)),
        "attributes": _attributes(every),
        "flags": _SAMPLED if kept.trace.sampled else 0,
    }
    if parent_id:
        span["parentSpanId"] = parent_id
    state = parse_tracestate(kept.trace.state)
    if state:
        span["traceState"] = state
    if failure:
        span["status"] = {"code": _ERROR}
    return span


def _attributes(tags: Tags) -> list[Json]:
    return [{"key": name, "value": _value(value)} for name, value in tags.items()]


def _value(value: str | int | bool) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def _to_text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


# -- when it is sent again: pure

_AGAIN = frozenset({429, 502, 503, 504})
MOST_TRIES = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_WISH_S = 1.0, 30.0, 300.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a batch did not arrive. `status`: 0 where there was no answer; `wish_s`: how long to wait, if told."""

    why: str
    status: int = 0
    wish_s: float | None = None


def pause_s(failure: Failure, tries: int, spread: float) -> float | None:
    """How long to wait after `tries` failed ones; None: give the batch up. `spread` (0 to 1) keeps senders apart."""
    if failure.status not in (0, *_AGAIN) or tries >= MOST_TRIES:
        return None
    if failure.wish_s is not None:
        return min(failure.wish_s, _LONGEST_WISH_S)
    return min(_FIRST_PAUSE_S * 2.0 ** (tries - 1), _LONGEST_PAUSE_S) * (0.5 + spread / 2)


def parse_refused(answer: bytes) -> int:
    """How many spans a collector refused of a batch that it took, by its answer (ExportTraceServiceResponse)."""
    try:
        return int(json.loads(answer)["partialSuccess"]["rejectedSpans"])
    except (ValueError, KeyError, TypeError):
        return 0


def parse_retry_after(header: str | None, now_s: float) -> float | None:
    """Seconds to wait; None where nothing that can be understood is said. Source: RFC 9110, 10.2.3."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now_s)
    except ValueError:
        return None


# -- sending


class Exporter:
    """Takes traces that are kept, and sends them every two seconds, or as soon as there are enough for a batch."""

    def __init__(
        self,
        url: SplitResult,
        headers: Mapping[str, str],
        resource: Tags,
        exported: Callable[[int], None],
        dropped: Callable[[int], None],
    ) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", **headers}
        self._resource = resource
        self._exported = exported  # told how many spans arrived
        self._dropped = dropped  # and how many never will
        self._queue: deque[Kept] = deque()
        self._spans = 0  # in the queue
        self._changed = threading.Condition()
        self._stopping = False
        self._warned_at = float("-inf")
        self._thread = threading.Thread(target=self._work, name="otlp", daemon=True)

    def start(self) -> None:
        """From now on what is kept is sent."""
        self._thread.start()

    def keep(self, kept: Kept) -> None:
        """Takes a trace, or counts it as dropped where the queue is full. Never waits."""
        size = _size(kept)
        with self._changed:
            fits = self._spans + size <= MAX_QUEUE and not self._stopping
            if fits:
                self._queue.append(kept)
                self._spans += size
                if self._spans >= MAX_BATCH:
                    self._changed.notify()
        if not fits:
            self._dropped(size)

    def close(self) -> None:
        """Sends what is left, for at most two seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(FLUSH_S)
        if self._thread.is_alive():
            log.warning("traces: the collector did not take the last ones in time")

    # -- in the thread

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._spans >= MAX_BATCH, BATCH_AFTER_S)
                stopping = self._stopping
                batch = self._next()
            if batch:
                self._deliver(batch)
            elif stopping:
                return

    def _next(self) -> list[Kept]:
        """What is sent together: whole traces, of 512 spans at most unless one alone has more."""
        batch: list[Kept] = []
        spans = 0
        while self._queue and (not batch or spans + _size(self._queue[0]) <= MAX_BATCH):
            batch.append(self._queue.popleft())
            spans += _size(batch[-1])
        self._spans -= spans
        return batch

    def _deliver(self, batch: list[Kept]) -> None:
        """Sends a batch until it has arrived, was refused, or there is no time left."""
        spans = sum(map(_size, batch))
        body = gzip.compress(to_request(_unhurried(batch), self._resource).encode(), _COMPRESSION)
        tries = 0
        while True:
            refused, failure = self._send(body)
            if failure is None:
                self._exported(spans - refused)
                self._dropped(refused)
                return
            tries += 1
            self._warn(failure.why)
            pause = None if self._stopping else pause_s(failure, tries, random.random())
            if pause is None:
                self._dropped(spans)
                return
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, pause)

    def _send(self, body: bytes) -> tuple[int, Failure | None]:
        """How many spans the collector refused of those that it took, and why it took none."""
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=SEND_TIMEOUT_S)
        try:
            connection.request("POST", self._url.path, body, self._headers)
            answer = connection.getresponse()
            if 200 <= answer.status < 300:
                return parse_refused(answer.read(_MOST_ANSWER)), None
            wish_s = parse_retry_after(answer.headers["Retry-After"], time.time())
            return 0, Failure(f"HTTP {answer.status}", answer.status, wish_s)
        except (OSError, http.client.HTTPException) as error:
            return 0, Failure(str(error) or type(error).__name__)
        finally:
            connection.close()

    def _warn(self, why: str) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            log.warning("traces: the collector does not take them: %s", why)


def _unhurried(batch: list[Kept]) -> Iterator[str]:
    """The parts of a request, made with pauses: Python lets a busy thread keep others waiting for 5 ms at a time."""
    for number, kept in enumerate(batch, 1):
        yield to_part(kept)
        if number % _PAUSE_AFTER == 0:
            time.sleep(_PAUSE_S)


def _size(kept: Kept) -> int:
    return 1 + len(kept.trace.spans)
