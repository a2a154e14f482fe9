"""The way to moto: its response classes called in process, without its web server."""

from __future__ import annotations

import functools
import importlib
import json
import os
import threading
from typing import Any
from urllib.parse import urlencode

import botocore.serialize
import moto.core.responses
from moto.core.base_backend import BackendDict
from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from .errors import AwsError
from .protocol import (
    SERVICES,
    Operation,
    Reply,
    error_of,
    failure,
    moto_request,
    operation_model,
    result_of,
    service_model,
)
from .signing import HttpRequest
from .world import DEFAULT_REGION, Call

_RESPONSES = {
    "ec2": ("moto.ec2.responses", "EC2Response"),
    "ecr": ("moto.ecr.responses", "ECRResponse"),
    "iam": ("moto.iam.responses", "IamResponse"),
    "rds": ("moto.rds.responses", "RDSResponse"),
    "route53": ("moto.route53.responses", "Route53"),
    "secretsmanager": ("moto.secretsmanager.responses", "SecretsManagerResponse"),
    "ssm": ("moto.ssm.responses", "SimpleSystemManagerResponse"),
}
# A read of each of them that takes nothing.
_FIRST_CALLS = {
    "ec2": "DescribeVpcs",
    "ecr": "DescribeRepositories",
    "iam": "ListRoles",
    "rds": "DescribeDBParameterGroups",
    "route53": "ListHostedZones",
    "secretsmanager": "ListSecrets",
    "ssm": "DescribeParameters",
}
_import_lock = threading.Lock()
# moto looks through a class's members in every call, a quarter of the time of one; the classes do not change.
moto.core.responses.method_names_from_class = functools.cache(moto.core.responses.method_names_from_class)


@functools.cache
def _response_class(service: str) -> Any:
    module, name = _RESPONSES[service]
    with _import_lock:
        return getattr(importlib.import_module(module), name)


def prepare() -> None:
    """Has moto's accounts begin without machine images, which it looks up in the environment."""
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def preload() -> None:
    """Imports moto's services, the slow ones last, so that the first call of each need not wait."""
    for service in sorted(_RESPONSES, key=lambda name: name == "ec2"):
        _response_class(service)


def warm() -> None:
    """Does all that happens once in a process: imports, service models, what each service reads at its first call."""
    prepare()
    preload()
    for service in SERVICES.values():
        service_model(service)
    for service, name in _FIRST_CALLS.items():
        ask(("000000000000", DEFAULT_REGION), service, name)
    forget()


def forget() -> None:
    """Empties moto's stores of all accounts."""
    BackendDict.reset()


def dispatch(operation: Operation, request: HttpRequest, account: str) -> Reply:
    """moto's answer to `request`, made in `account`. Raises AwsError for an operation that moto lacks."""
    if operation.service not in _RESPONSES:
        raise AwsError("NotImplemented", f"the sandbox has no {operation.service}:{operation.name}", 501)
    try:
        status, headers, body = _response_class(operation.service).dispatch(moto_request(request, account))
    except NotImplementedError as error:
        raise AwsError("NotImplemented", f"the sandbox has no {operation.service}:{operation.name}", 501) from error
    except ServiceException as error:
        return failure(operation, AwsError(error.code, error.message))
    except HTTPException as error:
        status, headers, body = error.code or 500, dict(error.get_headers()), error.get_body()
    payload: bytes = body.encode() if isinstance(body, str) else body
    kept = {key: str(value) for key, value in headers.items() if key.lower() not in ("status", "content-length")}
    reply = Reply(int(status), kept, payload)
    return reply if reply.status < 400 else Reply(reply.status, kept, payload, error_of(operation, reply).code)


def ask(call_or_place: Call | tuple[str, str], service: str, name: str, **params: Any) -> dict[str, Any]:
    """What moto answers to an operation that the sandbox itself asks for: no log, no faults, no quirks.

    The caller's account and region are those of `call_or_place`. Raises AwsError when the answer is an error.
    """
    account, region = call_or_place.place if isinstance(call_or_place, Call) else call_or_place
    model = service_model(service)
    serializer = botocore.serialize.create_serializer(str(model.protocol), False)
    asked = operation_model(service, name)
    wire = serializer.serialize_to_request(params, asked)
    headers = {key.lower(): value for key, value in wire["headers"].items()}
    scope = f"AKIASANDBOXINTERNAL0/20260101/{region}/{service}/aws4_request"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}"  # moto takes the region from here
    headers["host"] = "localhost"
    body = wire["body"]
    if isinstance(body, dict):
        body = urlencode(body)
        headers.setdefault("content-type", "application/x-www-form-urlencoded; charset=utf-8")
    query = wire["query_string"]
    request = HttpRequest(
        wire["method"], wire["url_path"], query if isinstance(query, str) else _query(query), headers,
        body.encode() if isinstance(body, str) else body,
    )
    operation = Operation(service, name, str(model.protocol), asked, params, {})
    reply = dispatch(operation, request, account)
    if reply.status >= 400:
        raise error_of(operation, reply)
    return result_of(operation, reply)


def _query(query: dict[str, Any]) -> str:
    return urlencode({k: v if isinstance(v, str) else json.dumps(v) for k, v in query.items()})


def backend(service: str, place: tuple[str, str]) -> Any:
    """moto's store of `service` for (account, region); global services ignore the region."""
    from moto.backends import get_backend

    stores: Any = get_backend(service)  # type: ignore[call-overload]
    account, region = place
    return stores[account]["aws" if service in ("iam", "route53", "sts") else region]
