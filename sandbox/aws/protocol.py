"""From HTTP to (service, operation, parameters) and back, by botocore's service models.

Shapes: parameters and results are dicts as a boto3 client takes and returns them.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.parsers
from botocore.awsrequest import HeadersDict
from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from .errors import AwsError
from .signing import HttpRequest

# Signing name -> botocore's service name, where the two differ or several services share one name.
SERVICES = {
    "ec2": "ec2",
    "ecr": "ecr",
    "eks": "eks",
    "iam": "iam",
    "rds": "rds",
    "route53": "route53",
    "secretsmanager": "secretsmanager",
    "ssm": "ssm",
    "sts": "sts",
}


# moto and botocore keep an operation's model under one key, botocore's own first and moto's a moment later: a thread
# that asks in between gets the wrong one.
_models = threading.Lock()


@dataclass(frozen=True)
class Reply:
    """A finished answer. `code` is the error code, empty on success."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    code: str = ""


@dataclass(frozen=True)
class Operation:
    """What a request asks for. `protocol` is botocore's name of the wire protocol it came in."""

    service: str
    name: str
    protocol: str
    model: OperationModel
    params: dict[str, Any]
    uri_params: dict[str, Any]


@functools.cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of `service`."""
    return get_service_model(service)


def operation_model(service: str, name: str) -> OperationModel:
    """The model of one operation. Raises botocore's OperationNotFoundError."""
    with _models:
        return service_model(service).operation_model(name)


@functools.cache
def _router(service: str) -> Any:
    return get_service_router(service)


def moto_request(request: HttpRequest, account: str = "") -> Request:
    """The request object that moto's response classes take; `account` is the owner of what it touches."""
    target = request.path + (f"?{request.query}" if request.query else "")
    made = Request.from_primitives(
        request.method,
        f"http://{request.headers.get('host', 'localhost')}{target}",
        {**request.headers, **({"x-moto-account-id": account} if account else {})},
        request.body,
    )
    made.environ["RAW_URI"] = target
    return made


def operation_of(service: str, request: HttpRequest) -> Operation:
    """The operation that `request` names. Raises AwsError for one that the service does not have."""
    model = service_model(service)
    made = moto_request(request)
    uri_params: dict[str, Any] = {}
    name = made.values.get("Action") or request.headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        if name:
            operation = operation_model(service, name)
        else:
            with _models:
                operation, uri_params = _router(service).match(made)
    except Exception as error:  # botocore and werkzeug raise classes of their own for what is not there
        raise AwsError("InvalidAction", f"{service} has no such operation: {name or request.path}", 400) from error
    protocol = determine_request_protocol(model, request.headers.get("content-type"))
    params = PROTOCOL_PARSERS[protocol](operation, map_type=dict).parse(
        {
            "method": request.method,
            "values": made.values,
            "headers": made.headers,
            "body": request.body,
            "url_path": made.path,
            "url_params": uri_params,
        }
    )
    return Operation(service, operation.name, protocol, operation, params or {}, uri_params)


def success(operation: Operation, result: Mapping[str, Any]) -> Reply:
    """`result` as the wire form of a successful answer."""
    return _reply(operation, dict(result))


def failure(operation: Operation, error: AwsError) -> Reply:
    """`error` as the wire form of its protocol."""
    reply = _reply(operation, error)
    return Reply(error.status or reply.status, reply.headers, reply.body, error.code)


def unidentified_failure(service: str | None, error: AwsError) -> Reply:
    """An error for a request whose operation is not known: shaped by the service's protocol alone."""
    model = service_model(service or "sts")
    operation = OperationModel({"name": "Unknown", "http": {"method": "POST", "requestUri": "/"}}, model)
    return failure(Operation(service or "sts", "Unknown", str(model.protocol), operation, {}, {}), error)


def _reply(operation: Operation, result: Any) -> Reply:
    serializer = get_serializer_class(operation.service, operation.protocol)(operation_model=operation.model)
    done = serializer.serialize(result)
    body = done["body"]
    headers = dict(done["headers"])
    return Reply(int(done["status_code"]), headers, body.encode() if isinstance(body, str) else body)


def result_of(operation: Operation, reply: Reply) -> dict[str, Any]:
    """The dict that a boto3 client would return for `reply`, without ResponseMetadata."""
    parsed = _parsed(operation, reply)
    parsed.pop("ResponseMetadata", None)
    return parsed


def error_of(operation: Operation, reply: Reply) -> AwsError:
    """The error that a boto3 client would see in `reply`."""
    error = _parsed(operation, reply).get("Error", {})
    return AwsError(error.get("Code") or str(reply.status), error.get("Message", ""), reply.status)


def _parsed(operation: Operation, reply: Reply) -> dict[str, Any]:
    parser = botocore.parsers.create_parser(operation.protocol)
    headers = HeadersDict(reply.headers)
    parsed: dict[str, Any] = parser.parse(
        {"status_code": reply.status, "headers": headers, "body": reply.body}, operation.model.output_shape
    )
    return parsed


_SECRET_NAMES = ("password", "secretstring", "secretbinary", "tokencode", "clientsecret")
_HINT_CHARS = 1500


def resource_hint(operation: Operation) -> dict[str, Any]:
    """The parameters fit for a log: without secrets, long texts cut.

    A member is secret when its model marks it sensitive (a parameter's value is) or its name says so.
    """
    shape = operation.model.input_shape
    hint = _without_secrets(operation.params, shape)
    return hint if len(json.dumps(hint, default=str)) <= _HINT_CHARS else _shortened(hint)


def _without_secrets(value: Any, shape: Any) -> Any:
    if isinstance(value, dict):
        members = getattr(shape, "members", {}) if shape is not None else {}
        return {
            name: "***" if _is_secret(name, members.get(name)) else _without_secrets(item, members.get(name))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item, getattr(shape, "member", None)) for item in value]
    return value


def _is_secret(name: str, shape: Any) -> bool:
    plain = name.lower()
    if plain.startswith("manage"):  # ManageMasterUserPassword is a switch
        return False
    sensitive = shape is not None and shape.type_name in ("string", "blob") and bool(shape.metadata.get("sensitive"))
    return sensitive or any(word in plain for word in _SECRET_NAMES)


def _shortened(hint: dict[str, Any]) -> dict[str, Any]:
    def short(value: Any) -> Any:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        return value if len(text) <= 120 else text[:117] + "..."

    return {name: short(value) for name, value in hint.items()}
