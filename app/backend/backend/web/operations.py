"""Operations: each declared once, from which come its route, the checks of what it is given, and its documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from bottle import HTTPResponse, request

from backend.errors import InvalidRequest, NotFound
from backend.service.admission import Copies
from backend.web.access import ADMINS, Access, Gate
from backend.web.failures import answer_errors
from backend.web.json import JSON_TYPE, media_type, problem, read_json
from backend.web.lean import LeanBottle
from backend.web.schema import Errors, Kind, Object


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of the path, of the query or of the headers. `default`: what it is when it is not given."""

    kind: Kind
    text: str
    default: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: its body's type (None: there is no body) and the headers that it has besides the usual ones."""

    text: str
    body: Object | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one method of one address does.

    `run` takes the parameters by name, those in headers as `if_match` for "If-Match", and the body as `body`.
    """

    name: str  # operationId, "listUsers"
    method: str
    path: str  # "/api/users/{user_id}"
    summary: str
    run: Callable[..., HTTPResponse]
    answers: Mapping[int, Answer]
    access: Access = ADMINS
    copies: Copies | None = None  # of which `run` will want that of the user in the path, as `entry`
    limited: bool = True  # counted against the limits of requests a minute
    in_path: Mapping[str, Parameter] = field(default_factory=dict)
    in_query: Mapping[str, Parameter] = field(default_factory=dict)
    in_header: Mapping[str, Parameter] = field(default_factory=dict)
    body: Object | None = None
    body_type: str = JSON_TYPE
    problems: tuple[int, ...] = ()  # beyond 400 for what is given, 401 and 403, 414, 500; for a body 408, 413, 415, 503

    @property
    def kind(self) -> str:
        """What a caller's requests are counted by."""
        if self.path.startswith("/api/auth/"):
            return "auth"
        return "read" if self.method == "GET" else "write"

    @property
    def all_problems(self) -> list[int]:
        """The statuses of every problem document that it may answer with."""
        found = {*self.problems, 414, 500}
        if self.in_query or self.in_header:
            found.add(400)
        if not self.access.public:
            found |= {401, 403}
        if self.limited:
            found.add(429)
        if self.in_path:
            found.add(404)
        if self.body:
            found |= {400, 408, 413, 415, 503}
        return sorted(found)


def add(app: LeanBottle, operation: Operation, gate: Gate) -> None:
    """Makes the operation's route. Who asks is settled before anything else that they sent is looked at."""
    headers = [
        (f"HTTP_{name.upper().replace('-', '_')}", name.lower().replace("-", "_"), name, parameter)
        for name, parameter in operation.in_header.items()
    ]

    kind, access, copies, run = operation.kind, operation.access, operation.copies, operation.run
    guarded = operation.limited or not access.public
    in_path, in_query, body = operation.in_path, operation.in_query, operation.body

    def call(**path: str) -> HTTPResponse:
        environ = request.environ
        errors: Errors = []
        given: dict[str, Any] = {}
        for name, text in path.items():
            given[name] = in_path[name].kind.parse(name, text, errors)
            if errors:
                # What is wrong in an address leads nowhere.
                raise NotFound(f"There is no {name.removesuffix('_id')} {text[:40]!r}.")
        if copies is not None:
            given["entry"] = gate.admit(environ, access, kind, given, copies, given["user_id"])
        elif guarded:
            gate.admit(environ, access, kind, given)
        if in_query:
            query = given_query()
            for name, parameter in in_query.items():
                asked = query.get(name)
                given[name] = parameter.default if asked is None else parameter.kind.parse(name, asked, errors)
        for key, argument, name, parameter in headers:
            asked = environ.get(key)
            given[argument] = parameter.default if asked is None else parameter.kind.parse(name, asked, errors)
        if errors:
            raise InvalidRequest(errors)
        if body is not None:
            if media_type() != operation.body_type:
                raise _unsupported(operation)
            given["body"] = body.parse("", read_json(), errors)
            if errors:
                raise InvalidRequest(errors)
        return run(**given)

    app.add_operation(operation.method, operation.path, answer_errors(call))


def _unsupported(operation: Operation) -> HTTPResponse:
    """Says which type the body must have: RFC 9110, 15.5.16; for PATCH also RFC 5789, 2.2."""
    wanted = operation.body_type
    named = {"Accept": wanted} | ({"Accept_Patch": wanted} if operation.method == "PATCH" else {})
    return problem(415, "unsupported_media_type", f"The Content-Type must be {wanted}.", None, **named)


def given_query() -> dict[str, str]:
    """The query of the current request; what is no UTF-8 comes as halves of surrogate pairs, which no kind takes."""
    # Bottle's own reads it as Latin-1.
    return dict(parse_qsl(request.query_string, keep_blank_values=True, errors="surrogateescape"))
