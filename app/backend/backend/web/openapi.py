"""The OpenAPI 3.1 document, made from the operations, and a page of it for people."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from backend import __version__
from backend.errors import DatabaseBusy, DatabaseUnavailable
from backend.observability.logs import CORRELATION_HEADER
from backend.web.access import CSRF_HEADER, Cookies
from backend.web.json import JSON_TYPE, PROBLEM_TYPE
from backend.web.operations import Operation, Parameter
from backend.web.schema import Json, Object

_STRING = {"type": "string"}
PROBLEM: Json = {
    "type": "object",
    "description": "A problem document, RFC 9457.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": _STRING,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "code": {"type": "string", "description": "For programs."},
        "errors": {
            "type": "array",
            "description": "Every field at fault.",
            "items": {
                "type": "object",
                "properties": {"field": {"type": ["string", "null"]}, "code": _STRING, "detail": _STRING},
                "required": ["field", "code", "detail"],
                "additionalProperties": False,
            },
        },
        "correlation_id": {"type": "string", "description": "Leads to the log."},
    },
    "required": ["type", "title", "status", "detail", "code", "errors"],
    "additionalProperties": False,
}


def document(operations: Sequence[Operation], cookies: Cookies) -> Json:
    """The OpenAPI document of these operations."""
    security_schemes = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookies.access,
            "description": f"For browsers. Whatever changes something also needs the header {CSRF_HEADER}.",
        },
    }
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    schemas = {one.name: one.json_schema() for one in sorted(_objects(operations), key=lambda one: one.name)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "capstan user service", "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas | {"Problem": PROBLEM}, "securitySchemes": security_schemes},
    }


def _objects(operations: Iterable[Operation]) -> list[Object]:
    found: dict[str, Object] = {}
    for operation in operations:
        bodies = [operation.body, *(answer.body for answer in operation.answers.values())]
        found |= {body.name: body for body in bodies if body is not None}
    return list(found.values())


def _operation(operation: Operation) -> Json:
    made: Json = {"operationId": operation.name, "summary": operation.summary}
    if not operation.access.public:
        made["security"] = [{"bearer": []}, {"cookie": []}]
        made["description"] = operation.access.said()
    parameters = [_parameter(name, "path", one) for name, one in operation.in_path.items()]
    parameters += [_parameter(name, "query", one) for name, one in operation.in_query.items()]
    parameters += [_parameter(name, "header", one) for name, one in operation.in_header.items()]
    if parameters:
        made["parameters"] = parameters
    if operation.body is not None:
        made["requestBody"] = {"required": True, "content": _content(operation.body_type, operation.body.name)}
    made["responses"] = {
        str(status): {
            "description": answer.text,
            "headers": {
                name: {"description": text, "schema": _STRING}
                for name, text in {**answer.headers, CORRELATION_HEADER: "Leads to the log."}.items()
            },
            **({"content": _content(JSON_TYPE, answer.body.name)} if answer.body else {}),
        }
        for status, answer in operation.answers.items()
    } | {str(status): _problem(status) for status in operation.all_problems if status not in operation.answers}
    return made


def _problem(status: int) -> Json:
    made: Json = {"description": HTTPStatus(status).phrase, "content": _content(PROBLEM_TYPE, "Problem")}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        codes = " or ".join(error.code for error in (DatabaseUnavailable, DatabaseBusy))
        made["description"] += f": {codes}"
        made["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}
    return made


def _parameter(name: str, place: str, parameter: Parameter) -> Json:
    schema = parameter.kind.json_schema()
    if parameter.default is not None:
        schema |= {"default": parameter.default}
    made = {"name": name, "in": place, "required": place == "path", "description": parameter.text, "schema": schema}
    # Several values of one parameter stand between commas, not in parameters of their own.
    return made | ({"style": "form", "explode": False} if schema.get("type") == "array" else {})


def _content(type_: str, name: str) -> Json:
    return {type_: {"schema": {"$ref": f"#/components/schemas/{name}"}}}


# -- for people: plain HTML, no script, so that the strictest content policy allows it

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; border-top: 1px solid #8884; padding-top: 1.5rem; font-size: 1.15rem }
h2 code { font-size: 1rem }
h2 b { display: inline-block; min-width: 5rem }
table { border-collapse: collapse; width: 100%; table-layout: fixed }
caption { text-align: left; font-weight: 600; padding: .6rem 0 .2rem }
td { border-bottom: 1px solid #8883; padding: .25rem .75rem .25rem 0; vertical-align: top }
td:first-child { width: 11rem }
td:last-child { width: 15rem }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
"""


def page(described: Json) -> str:
    """The document as a page."""
    title = html.escape(described["info"]["title"])
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><link rel=stylesheet href=/api/docs.css><h1>{title} {described['info']['version']}</h1>"
        "<p>For programs: <a href=/api/openapi.json>openapi.json</a>. Every error is a problem document (RFC 9457).</p>"
    ]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parts += _section(path, method, operation)
    parts.append("<h2>Types</h2>")
    for name, schema in described["components"]["schemas"].items():
        rows = [
            (f"<code>{html.escape(field)}</code>", _type(kind), "" if field in schema["required"] else "optional")
            for field, kind in schema["properties"].items()
        ]
        parts.append(_table(f"<span id=type-{name}>{name}</span>", rows))
    return "".join(parts)


def _section(path: str, method: str, operation: Json) -> list[str]:
    summary, name = html.escape(operation["summary"]), operation["operationId"]
    parts = [f"<h2 id={name}><b>{method.upper()}</b> <code>{html.escape(path)}</code></h2><p>{summary}</p>"]
    if "description" in operation:
        parts.append(f"<p>{html.escape(operation['description'])}</p>")
    rows = [
        (f"<code>{one['name']}</code>", f"{one['in']}, {_type(one['schema'])}", html.escape(one["description"]))
        for one in operation.get("parameters", ())
    ]
    parts.append(_table("Parameters", rows))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        parts.append(_table("Body", [(", ".join(content), _linked(content), "")]))
    rows = [
        (status, html.escape(answer["description"]), _linked(answer.get("content", {})))
        for status, answer in operation["responses"].items()
    ]
    return [*parts, _table("Answers", rows)]


def _table(caption: str, rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    body = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows)
    return f"<table><caption>{caption}</caption>{body}</table>"


def _linked(content: Json) -> str:
    names = [media["schema"]["$ref"].rpartition("/")[2] for media in content.values()]
    return ", ".join(f"<a href=#type-{name}>{name}</a>" for name in names)


def _type(schema: Json) -> str:
    """A schema in a few words."""
    said = schema.get("type", "")
    words = [" or ".join(said) if isinstance(said, list) else str(said)]
    if said == "array" and "enum" in schema.get("items", ()):
        return "some of " + _choices(schema["items"])
    if "enum" in schema:
        words = ["one of " + _choices(schema)]
    limits: list[tuple[str, Any]] = [
        ("format", schema.get("format")),
        ("from", schema.get("minimum")),
        ("to", schema.get("maximum")),
        ("at most", f"{schema['maxLength']} characters" if "maxLength" in schema else None),
        ("default", schema.get("default")),
    ]
    words += [f"{name} {html.escape(str(value))}" for name, value in limits if value is not None]
    return ", ".join(words)


def _choices(schema: Json) -> str:
    return ", ".join(f"<code>{html.escape(str(word))}</code>" for word in schema["enum"])
