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
from backend.web import users as user_routes
from backend.web.edge import Edge
from backend.web.json import problem, reply

log = logging.getLogger(__name__)

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
    """The application on the service port: /api, and /actuator/health for the load balancer."""
    app = new_app()
    user_routes.add_routes(app, users)

    @app.get("/api/settings")
    def show_settings() -> HTTPResponse:
        """What a client may know of the configuration."""
        return reply(
            {
                "version": __version__,
                "features": {"new_ui": settings.new_ui},
                "max_upload_bytes": settings.max_upload_bytes,
            }
        )

    @app.get("/actuator/health")
    def show_health() -> HTTPResponse:
        return health_reply(health.whole(details=False))

    return Edge(app, settings.max_upload_bytes, settings.cors_origins, instruments)
