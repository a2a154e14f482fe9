"""The WSGI application of the service port, and what it shares with that of the management port."""

from __future__ import annotations

import logging
from typing import Any

from bottle import Bottle, HTTPError, HTTPResponse, response

from backend import __version__
from backend.config import Settings
from backend.errors import Conflict, DatabaseUnavailable, FieldError, InvalidRequest, NotFound
from backend.observability.health import Answer, Health
from backend.observability.instruments import Instruments
from backend.service.users import UserService
from backend.web import openapi
from backend.web import users as user_routes
from backend.web.edge import Edge
from backend.web.json import problem, reply
from backend.web.limits import Refused
from backend.web.operations import Answer as Described
from backend.web.operations import Operation, add
from backend.web.schema import Object, Shown
from backend.web.security_headers import PAGE_POLICY, POLICY

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


def answer_errors(callback: Any) -> Any:
    """A Bottle plugin: turns what the layers below raise into answers."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except InvalidRequest as error:
            return problem(400, error.code, error.errors[0].message, error.errors)
        except NotFound as error:
            return problem(404, error.code, str(error))
        except Conflict as error:
            return problem(409, error.code, str(error), [FieldError(error.field, error.code, str(error))])
        except DatabaseUnavailable as error:
            log.error("database unavailable: %s", error)
            message = "The database does not answer at the moment. Please try again."
            return problem(503, error.code, message, Retry_After="2")
        except Refused as refused:
            return refused.answer()
        except HTTPResponse:
            raise
        except Exception:
            log.exception("unhandled error")
            return problem(500, "internal_error", "Something went wrong on our side.")

    return call


def new_app() -> Bottle:
    """An application that answers errors with problem documents."""
    app = Bottle()
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


def service_app(settings: Settings, users: UserService, health: Health, instruments: Instruments) -> Edge:
    """The application on the service port: /api, its documentation, and /actuator/health for the load balancer."""
    app = new_app()
    operations = [*user_routes.operations(users), *_general(settings, health)]
    for operation in operations:
        add(app, operation)
    described = openapi.document(operations)
    page = openapi.page(described).encode()

    @app.get("/api/openapi.json")
    def show_document() -> HTTPResponse:
        return reply(described)

    @app.get("/api/docs")
    def show_page() -> HTTPResponse:
        return HTTPResponse(page, 200, {"Content-Type": "text/html; charset=utf-8", POLICY: PAGE_POLICY})

    @app.get("/api/docs.css")
    def show_style() -> HTTPResponse:
        return HTTPResponse(openapi.STYLE.encode(), 200, {"Content-Type": "text/css; charset=utf-8"})

    return Edge(app, settings, instruments)


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
            summary="What a client may know of the configuration",
            run=lambda: reply(known),
            answers={200: Described("Version, features, and the largest body that is taken.", _SETTINGS)},
        ),
        Operation(
            name="getHealth",
            method="GET",
            path="/actuator/health",
            summary="Whether the service can do its work: for load balancers",
            run=lambda: health_reply(health.whole(details=False)),
            answers={200: Described("UP or DEGRADED.", _HEALTH), 503: Described("DOWN or OUT_OF_SERVICE.", _HEALTH)},
        ),
    ]
