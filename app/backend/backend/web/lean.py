"""Bottle with a short way to operations: what they answer needs nothing of what Bottle puts around a handler."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from bottle import Bottle, HTTPResponse, request

from backend.web.json import ReadyReply

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
ROUTE_KEY = "capstan.route"  # where the path of the operation is left, "/api/users/{user_id}"


class LeanBottle(Bottle):
    """Everything has a route in Bottle, which finds what has none, and what is asked for by HEAD; a request for an
    operation by its own method does not go through it."""

    def __init__(self) -> None:
        super().__init__()
        self._literal: dict[tuple[str, str], Callable[..., HTTPResponse]] = {}
        self._short: dict[
            str, list[tuple[Callable[[str], re.Match[str] | None], Callable[..., HTTPResponse], str]]
        ] = {}

    def add_operation(self, method: str, path: str, handler: Callable[..., HTTPResponse]) -> None:
        """A handler that answers, whatever happens in it. `path`: "/api/users/{user_id}"."""
        self.route(path.replace("{", "<").replace("}", ">"), method, handler, skip=True)
        if "{" not in path:
            self._literal[method, path] = handler
            return
        pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))
        self._short.setdefault(method, []).append((pattern.fullmatch, handler, path))

    def answer(self, environ: Environ, method: str, path: str) -> tuple[str, Headers, bytes]:
        """Status line, headers and body for a request."""
        literal = self._literal.get((method, path))
        if literal is not None:
            return _answer_of(literal, environ, path, {})
        for match_whole, handler, route in self._short.get(method, ()):
            match = match_whole(path)
            if match is not None:
                return _answer_of(handler, environ, route, match.groupdict())
        return self._through_bottle(environ)

    def _through_bottle(self, environ: Environ) -> tuple[str, Headers, bytes]:
        caught: dict[str, Any] = {}

        def start(status: str, headers: Headers, exc_info: object = None) -> None:
            caught.update(status=status, headers=headers)

        parts: Iterable[bytes] = self.wsgi(environ, start)
        try:
            body = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        found = environ.get("bottle.route")
        if found is not None:
            environ[ROUTE_KEY] = found.rule.replace("<", "{").replace(">", "}")
        headers: Headers = caught["headers"]
        if environ["REQUEST_METHOD"] != "HEAD":
            # The edge counts bytes anew: it may compress them.
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
        return caught["status"], headers, body


def _answer_of(
    handler: Callable[..., HTTPResponse], environ: Environ, route: str, in_path: dict[str, str]
) -> tuple[str, Headers, bytes]:
    environ[ROUTE_KEY] = route
    request.bind(environ)
    made = handler(**in_path)
    if isinstance(made, ReadyReply):
        return made.ready
    return made.status_line, made.headerlist, made.body or b""
