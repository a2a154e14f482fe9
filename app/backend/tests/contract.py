"""Answers held against the service's own OpenAPI document: every answer in every test is."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker

UNDOCUMENTED = ("/api/openapi.json", "/api/docs", "/api/docs.css")


class Contract:
    """What the document says of each address."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), methods) for path, methods in document["paths"].items()
        ]

    def check(self, method: str, target: str, status: int, headers: Any, content: bytes) -> None:
        """Raises AssertionError for an answer that the document does not know."""
        path, asked = urlsplit(target).path, "get" if method == "HEAD" else method.lower()
        methods = next((methods for pattern, methods in self._paths if pattern.fullmatch(path)), None)
        if path in UNDOCUMENTED:
            return
        if methods is None or asked not in methods:
            assert status in (204, 404, 405, 408, 413, 414), f"{method} {path}: {status}, and no operation"
            return
        responses = methods[asked]["responses"]
        assert str(status) in responses, f"{method} {path} answered {status}, documented are {', '.join(responses)}"
        described = responses[str(status)].get("content")
        if described is None or method == "HEAD":
            assert content == b"", f"{method} {path}: {status} has no body"
            return
        ((media_type, media),) = described.items()
        assert headers["Content-Type"] == media_type, f"documented is {media_type}"
        schema = {**media["schema"], "components": self._document["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(content))
