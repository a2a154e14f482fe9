"""The WSGI application of the management port, in the shapes of Spring's actuator. Not for strangers."""

from __future__ import annotations

import logging
from typing import Any

from bottle import Bottle, HTTPResponse, request

from backend import __version__
from backend.config import Settings
from backend.errors import FieldError, InvalidRequest, NotFound
from backend.observability.health import Health
from backend.observability.instruments import Instruments
from backend.observability.metrics import Meter, Tags, Timed, to_prometheus
from backend.web.app import health_reply, new_app
from backend.web.json import json_from, reply
from backend.web.limits import read_body

PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LINKS = ("health", "health/liveness", "health/readiness", "info", "loggers", "metrics", "prometheus")
_LEVELS = {"OFF": logging.CRITICAL + 10, "ERROR": logging.ERROR, "WARN": logging.WARNING, "INFO": logging.INFO}
_LEVELS["DEBUG"] = logging.DEBUG
_MAX_BODY = 10_000


def management_app(settings: Settings, health: Health, instruments: Instruments) -> Bottle:
    """Health in detail, liveness, readiness, info, metrics and loggers."""
    app = new_app()

    @app.get("/actuator")
    def show_links() -> HTTPResponse:
        links = {"self": {"href": "/actuator"}} | {name: {"href": f"/actuator/{name}"} for name in _LINKS}
        return reply({"_links": links})

    @app.get("/actuator/health")
    def show_health() -> HTTPResponse:
        return health_reply(health.whole(details=True))

    @app.get("/actuator/health/liveness")
    def show_liveness() -> HTTPResponse:
        return health_reply(health.liveness())

    @app.get("/actuator/health/readiness")
    def show_readiness() -> HTTPResponse:
        return health_reply(health.readiness())

    @app.get("/actuator/info")
    def show_info() -> HTTPResponse:
        return reply(
            {"app": {"name": "capstan-user-service", "version": __version__}, "build": {"revision": settings.build}}
        )

    _add_metrics(app, instruments)
    _add_loggers(app)
    return app


# -- metrics


def _add_metrics(app: Bottle, instruments: Instruments) -> None:
    meters = instruments.registry.meters

    @app.get("/actuator/prometheus")
    def show_prometheus() -> HTTPResponse:
        return HTTPResponse(to_prometheus(meters.values()).encode(), 200, {"Content-Type": PROMETHEUS_TYPE})

    @app.get("/actuator/metrics")
    def show_names() -> HTTPResponse:
        return reply({"names": sorted(meters)})

    @app.get("/actuator/metrics/<name>")
    def show_metric(name: str) -> HTTPResponse:
        if name not in meters:
            raise NotFound(f"There is no metric {name[:80]!r}.")
        return reply(metric_to_json(meters[name], request.query.getall("tag")))


def metric_to_json(meter: Meter, wanted: list[str]) -> dict[str, Any]:
    """A meter, all series together or those with the tags `wanted` ("method:GET"). Raises InvalidRequest, NotFound."""
    names = meter.what.tags
    chosen = {}
    for text in wanted:
        name, colon, value = text.partition(":")
        if not colon or name not in names:
            known = ", ".join(names) or "none"
            raise InvalidRequest([FieldError("tag", "unknown_tag", f"tag must be NAME:VALUE; names here: {known}.")])
        chosen[names.index(name)] = value
    series = {
        tags: value
        for tags, value in meter.values().items()
        if all(tags[place] == wished for place, wished in chosen.items())
    }
    if chosen and not series:
        raise NotFound(f"Metric {meter.what.name!r} has no series with these tags.")
    return {
        "name": meter.what.name,
        "description": meter.what.text,
        "baseUnit": meter.what.unit or None,
        "measurements": _measurements(meter, list(series.values())),
        "availableTags": _tags(names, list(series), set(chosen)),
    }


def _measurements(meter: Meter, values: list[Any]) -> list[dict[str, Any]]:
    if meter.kind == "histogram":
        timed: list[Timed] = values
        return [
            {"statistic": "COUNT", "value": sum(one.count for one in timed)},
            {"statistic": "TOTAL_TIME", "value": sum(one.total_s for one in timed)},
        ]
    return [{"statistic": "VALUE" if meter.kind == "gauge" else "COUNT", "value": sum(values)}]


def _tags(names: tuple[str, ...], series: list[Tags], chosen: set[int]) -> list[dict[str, Any]]:
    return [
        {"tag": name, "values": sorted({tags[place] for tags in series})}
        for place, name in enumerate(names)
        if place not in chosen
    ]


# -- loggers


def _add_loggers(app: Bottle) -> None:
    @app.get("/actuator/loggers")
    def show_loggers() -> HTTPResponse:
        known = [name for name, found in logging.root.manager.loggerDict.items() if isinstance(found, logging.Logger)]
        shown = {name or "ROOT": logger_to_json(logging.getLogger(name)) for name in ["", *sorted(known)]}
        return reply({"levels": list(_LEVELS), "loggers": shown})

    @app.get("/actuator/loggers/<name>")
    def show_logger(name: str) -> HTTPResponse:
        return reply(logger_to_json(_logger(name)))

    @app.post("/actuator/loggers/<name>")
    def set_level(name: str) -> HTTPResponse:
        level = _configured_level()
        logger = _logger(name)
        if level is None and logger is logging.root:
            raise InvalidRequest([FieldError("configuredLevel", "required", "ROOT cannot do without a level.")])
        logger.setLevel(logging.NOTSET if level is None else _LEVELS[level])
        return HTTPResponse(status=204)


def logger_to_json(logger: logging.Logger) -> dict[str, Any]:
    """Its own level, where it has one, and the one that counts."""
    own = {} if logger.level == logging.NOTSET else {"configuredLevel": _level_name(logger.level)}
    return own | {"effectiveLevel": _level_name(logger.getEffectiveLevel())}


def _level_name(level: int) -> str:
    return next((name for name, value in _LEVELS.items() if level >= value), "DEBUG")


def _logger(name: str) -> logging.Logger:
    if name == "ROOT":
        return logging.root
    if name not in logging.root.manager.loggerDict:
        raise NotFound(f"There is no logger {name[:80]!r}.")
    return logging.getLogger(name)


def _configured_level() -> str | None:
    """The level in the body of the current request; None resets it. Raises InvalidRequest, Refused."""
    body = json_from(read_body(request.environ, _MAX_BODY))
    level = body.get("configuredLevel", "") if isinstance(body, dict) else ""
    if level is not None and level not in _LEVELS:
        message = f"configuredLevel must be one of {', '.join(_LEVELS)}, or null to inherit."
        raise InvalidRequest([FieldError("configuredLevel", "not_a_choice", message)])
    return level
