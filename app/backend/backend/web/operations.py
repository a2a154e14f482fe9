"""Operations: each declared once, from which come its route, the checks of what it is given, and its documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bottle import Bottle, HTTPResponse, request

from backend.errors import InvalidRequest, NotFound
from backend.web.json import read_json
from backend.web.schema import Errors, Kind, Object


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of the path or of the query. `default`: what a query parameter is when it is not given."""

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
    """What one method of one address does. `run` takes the parameters by name and the body as `body`."""

    name: str  # operationId, "listUsers"
    method: str
    path: str  # "/api/users/{user_id}"
    summary: str
    run: Callable[..., HTTPResponse]
    answers: Mapping[int, Answer]
    in_path: Mapping[str, Parameter] = field(default_factory=dict)
    in_query: Mapping[str, Parameter] = field(default_factory=dict)
    body: Object | None = None
    problems: tuple[int, ...] = ()  # beyond 400 for what is given, 414, 500; for a body 408, 413, 503

    @property
    def all_problems(self) -> list[int]:
        """The statuses of every problem document that it may answer with."""
        found = {*self.problems, 414, 500}
        if self.in_query:
            found.add(400)
        if self.in_path:
            found.add(404)
        if self.body:
            found |= {400, 408, 413, 503}
        return sorted(found)


def add(app: Bottle, operation: Operation) -> None:
    """Makes the operation's route."""

    def call(**path: str) -> HTTPResponse:
        given = {name: _in_path(name, text, operation.in_path[name]) for name, text in path.items()}
        errors: Errors = []
        for name, parameter in operation.in_query.items():
            text = request.query.get(name)
            given[name] = parameter.default if text is None else parameter.kind.parse(name, text, errors)
        if errors:
            raise InvalidRequest(errors)
        if operation.body is not None:
            given["body"] = operation.body.parse("", read_json(), errors)
            if errors:
                raise InvalidRequest(errors)
        return operation.run(**given)

    app.route(operation.path.replace("{", "<").replace("}", ">"), operation.method, call)


def _in_path(name: str, text: str, parameter: Parameter) -> Any:
    """What is wrong in an address leads nowhere."""
    errors: Errors = []
    value = parameter.kind.parse(name, text, errors)
    if errors:
        raise NotFound(f"There is no {name.removesuffix('_id')} {text[:40]!r}.")
    return value
