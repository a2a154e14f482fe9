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
        self._short: dict[str, list[tuple[re.Pattern[str], Callable[..., HTTPResponse], str]]] = {}

    def add_operation(self, method: str, path: str, handler: Callable[..., HTTPResponse]) -> None:
        """A handler that answers, whatever happens in it. `path`: "/api/users/{user_id}"."""
        self.route(path.replace("{", "<").replace("}", ">"), method, handler, skip=True)
        pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))
        self._short.setdefault(method, []).append((pattern, handler, path))

    def answer(self, environ: Environ) -> tuple[str, Headers, bytes]:
        """Status line, headers and body for a request."""
        path = environ.get("PATH_INFO", "")
        for pattern, handler, route in self._short.get(environ["REQUEST_METHOD"], ()):
            match = pattern.fullmatch(path)
            if match is not None:
                environ[ROUTE_KEY] = route
                request.bind(environ)
                made = handler(**match.groupdict())
                return made.status_line, pairs_of(made), made.body or b""
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


def pairs_of(answer: HTTPResponse) -> Headers:
    """The answer's headers."""
    pairs: Headers = answer.pairs if isinstance(answer, ReadyReply) else answer.headerlist
    return pairs
