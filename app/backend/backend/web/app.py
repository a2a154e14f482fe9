"""The WSGI application of the service port, and what it shares with that of the management port."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bottle import HTTPError, HTTPResponse, request, response

from backend import __version__
from backend.config import Settings
from backend.observability.health import Answer, Health
from backend.observability.instruments import Instruments
from backend.observability.request_lines import RequestLines
from backend.observability.tracing import Tracer
from backend.service.admission import Admission
from backend.service.audit import AuditService
from backend.service.auth import AuthService
from backend.service.exports import ExportService
from backend.service.users import UserService
from backend.web import audit as audit_routes
from backend.web import auth as auth_routes
from backend.web import exports as export_routes
from backend.web import openapi
from backend.web import users as user_routes
from backend.web.access import PUBLIC, Cookies, Gate
from backend.web.edge import Edge
from backend.web.failures import answer_errors
from backend.web.json import problem, reply
from backend.web.lean import LeanBottle
from backend.web.operations import Answer as Described
from backend.web.operations import Operation, add
from backend.web.schema import Object, Shown
from backend.web.security_headers import PAGE_POLICY, POLICY_KEY

log = logging.getLogger(__name__)

_SETTINGS = Object(
    "Settings",
    {
        "version": Shown({"type": "string"}),
        "features": Shown({"type": "object", "additionalProperties": {"type": "boolean"}}),
        "max_upload_bytes": Shown({"type": "integer"}),
    },
)
_HEALTH = Object(
    "Health",
    {
        "status": Shown({"type": "string", "enum": ["UP", "DEGRADED", "DOWN", "OUT_OF_SERVICE"]}),
        "components": Shown({"type": "object", "additionalProperties": {"type": "object"}}),
    },
)
_HTTP_ERRORS = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
}


def new_app() -> LeanBottle:
    """An application that answers errors with problem documents."""
    app = LeanBottle()
    app.config["json.enable"] = False  # answers are made by `reply`
    app.install(answer_errors)

    def http_error(error: HTTPError) -> bytes:
        # Raised by the router, so no plugin sees it. Bottle keeps the Allow header of a 405.
        code, message = _HTTP_ERRORS.get(error.status_code, ("bad_request", "The request cannot be understood."))
        made = problem(error.status_code, code, message)
        for name, value in made.headers.items():
            response.set_header(name, value)
        body: bytes = made.body
        return body

    app.default_error_handler = http_error
    return app


def health_reply(answer: Answer) -> HTTPResponse:
    """Health as HTTP."""
    status, body = answer
    return reply(body, status)


def service_app(
    settings: Settings,
    users: UserService,
    audit: AuditService,
    exports: ExportService,
    auth: AuthService | None,
    admission: Admission,
    health: Health,
    instruments: Instruments,
    tracer: Tracer,
    lines: RequestLines,
) -> Edge:
    """The application on the service port: /api, its documentation, and /actuator/health for the load balancer."""
    cookies = Cookies(secure=settings.auth.secure_cookies)
    gate = Gate(admission, cookies, required=settings.auth.required)
    operations = user_routes.operations(users, audit, by_name=not settings.pii_keys)
    operations += export_routes.operations(exports)
    operations += [*audit_routes.operations(audit), *_general(settings, health)]
    if auth is not None:
        operations += auth_routes.operations(auth, users, gate, cookies)
    app = operations_app(operations, gate, cookies)
    return Edge(app, settings, instruments, tracer, lines)


def operations_app(operations: Sequence[Operation], gate: Gate, cookies: Cookies) -> LeanBottle:
    """An application of these operations, and the document and page that tell of them."""
    app = new_app()
    for operation in operations:
        add(app, operation, gate)
    described = openapi.document(operations, cookies)
    page = openapi.page(described).encode()

    @app.get("/api/openapi.json")
    def show_document() -> HTTPResponse:
        return reply(described)

    @app.get("/api/docs")
    def show_page() -> HTTPResponse:
        request.environ[POLICY_KEY] = PAGE_POLICY
        return HTTPResponse(page, 200, {"Content-Type": "text/html; charset=utf-8"})

    @app.get("/api/docs.css")
    def show_style() -> HTTPResponse:
        return HTTPResponse(openapi.STYLE.encode(), 200, {"Content-Type": "text/css; charset=utf-8"})

    return app


def _general(settings: Settings, health: Health) -> list[Operation]:
    known = {
        "version": __version__,
        "features": {"new_ui": settings.new_ui},
        "max_upload_bytes": settings.max_upload_bytes,
    }
    return [
        Operation(
            name="getSettings",
            method="GET",
            path="/api/settings",
            access=PUBLIC,
            summary="What a client may know of the configuration",
            run=lambda: reply(known),
            answers={200: Described("Version, features, and the largest body that is taken.", _SETTINGS)},
        ),
        Operation(
            name="getHealth",
            method="GET",
            path="/actuator/health",
            access=PUBLIC,
            limited=False,
            summary="Whether the service can do its work: for load balancers",
            run=lambda: health_reply(health.whole(details=False)),
            answers={200: Described("UP or DEGRADED.", _HEALTH), 503: Described("DOWN or OUT_OF_SERVICE.", _HEALTH)},
        ),
    ]
