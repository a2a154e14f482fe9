"""The way of a call: identify, verify, authorise, inject faults, execute, answer, log."""

from __future__ import annotations

import socket
import struct
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from . import bridge, hooks
from .accounts import Principal
from .errors import AwsError, common_error, denied_error
from .faults import Candidate, Pause, Rule, kill
from .protocol import (
    SERVICES,
    Operation,
    Reply,
    error_of,
    failure,
    operation_of,
    resource_hint,
    result_of,
    service_model,
    success,
    unidentified_failure,
)
from .reads import is_write
from .registration import AUTHENTICATOR_AGENT
from .signing import Claim, HttpRequest, SignatureError, claim_of, verify
from .world import DEFAULT_REGION, Call, World

_INTERNAL = AwsError("InternalFailure", "The sandbox failed; see errors.log in its state directory.", 500)


class Dropped(ConnectionError):
    """The connection is to be closed without an answer."""


def request_from(environ: dict[str, Any]) -> HttpRequest:
    """The request of a WSGI environment, its body read."""
    headers = {k[5:].replace("_", "-").lower(): v for k, v in environ.items() if k.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    path, _, query = str(environ.get("RAW_URI") or environ["PATH_INFO"]).partition("?")
    body = environ["wsgi.input"].read(length) if length else b""
    return HttpRequest(environ["REQUEST_METHOD"], path, query, headers, body, environ.get("werkzeug.socket"))


class Gateway:
    """A WSGI application: the AWS API. `control` answers what lies below /_sandbox/."""

    def __init__(self, world: World, control: Any) -> None:
        hooks.installed()
        self.world = world
        self.control = control

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/_sandbox/"):
            reply: Reply = self.control(environ)
        else:
            try:
                reply = self.answer(request_from(environ))
            except Dropped:
                close_hard(environ.get("werkzeug.socket"))
                raise
            except Exception:
                self.world.report(traceback.format_exc())
                reply = unidentified_failure(None, _INTERNAL)
        headers = {"x-amzn-RequestId": str(uuid4()), "x-amz-request-id": str(uuid4()), **reply.headers}
        headers["Content-Length"] = str(len(reply.body))
        start_response(f"{reply.status} {'OK' if reply.status < 400 else 'Error'}", list(headers.items()))
        return [reply.body]

    def answer(self, request: HttpRequest) -> Reply:
        """The answer to an AWS request; logged whatever happens. Raises Dropped when there is to be none."""
        if request.headers.get("user-agent") == AUTHENTICATOR_AGENT:
            return self._identified(0, request, _new_record(request))
        number, started = self.world.calls.begin(), time.perf_counter()
        record = _new_record(request)
        try:
            reply = self._identified(number, request, record)
            record.update(status=reply.status, code=reply.code)
            return reply
        finally:
            self.world.calls.finish(number, started, record)

    def _identified(self, number: int, request: HttpRequest, record: dict[str, Any]) -> Reply:
        claim = claim_of(request)
        service = SERVICES.get(claim.service) if claim else None
        if claim is None or service is None:
            what = "missing_token" if claim is None else "unknown_key"
            return unidentified_failure(None, common_error("query", what))
        record.update(service=service, access_key=claim.access_key)
        protocol = str(service_model(service).protocol)
        try:
            principal = self._verified(request, claim, protocol)
            record["account"] = principal.account
            operation = operation_of(service, request)
        except AwsError as error:
            return unidentified_failure(service, error)
        dry_run = operation.params.get("DryRun") is True
        record.update(
            operation=operation.name, params=resource_hint(operation),
            write=is_write(service, operation.name) and not dry_run,
        )
        call = Call(number, operation, request, principal, claim.region or DEFAULT_REGION)
        try:
            self._authorise(call)
            if dry_run:
                raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
            return self._with_faults(call, record)
        except AwsError as error:
            return failure(operation, error)

    def _verified(self, request: HttpRequest, claim: Claim, protocol: str) -> Principal:
        principal = self.world.accounts.find(claim.access_key)
        if principal is None or principal.token != claim.token:
            raise common_error(protocol, "unknown_key")
        now = datetime.now(UTC)
        try:
            verify(request, claim, principal.secret, now)
        except SignatureError as error:
            told = common_error(protocol, "bad_signature")
            raise AwsError(told.code, f"{told.message} ({error})", told.status) from error
        if principal.expires is not None and now > principal.expires:
            raise common_error(protocol, "expired_token")
        return principal

    def _authorise(self, call: Call) -> None:
        action = f"{call.service}:{call.name}"
        # GetCallerIdentity needs no permission; even an explicit deny does not stop it.
        if action != "sts:GetCallerIdentity" and self.world.permissions.denies(action, call.principal.access_key):
            raise denied_error(call.operation.protocol, call.principal.arn, action)

    def _with_faults(self, call: Call, record: dict[str, Any]) -> Reply:
        candidate = Candidate(
            call.service, call.name, record["write"], call.principal.access_key, record["user_agent"]
        )
        rules = self.world.faults.due(call.number, candidate) if call.number else []
        for rule in rules:
            self._fault_before(rule, call)
        record["executed"] = True
        reply = self.execute(call)
        record.update(code=reply.code)
        for rule in rules:
            self._fault_after(rule, call)
        return reply

    def _fault_before(self, rule: Rule, call: Call) -> None:
        effect = rule.effect
        match effect["kind"]:
            case "delay_before":
                rule.released.wait(effect["seconds"])
            case "throttle":
                raise common_error(call.operation.protocol, "throttled")
            case "error":
                raise AwsError(effect["code"], effect.get("message", "injected"), effect.get("status"))
            case "drop_before":
                raise Dropped
            case "kill_before":
                kill(effect)
                raise Dropped
            case "hang":
                rule.released.wait()
                if not is_connected(call.request.connection):
                    raise Dropped  # nobody waits any more: what is not sent does not happen
            case "barrier_before":
                self._barrier(rule, call, "before")

    def _fault_after(self, rule: Rule, call: Call) -> None:
        match rule.effect["kind"]:
            case "delay_after":
                rule.released.wait(rule.effect["seconds"])
            case "drop_after":
                raise Dropped
            case "kill_after":
                kill(rule.effect)
                raise Dropped
            case "barrier_after":
                self._barrier(rule, call, "after")

    def _barrier(self, rule: Rule, call: Call, stage: str) -> None:
        if self.world.faults.wait_at_barrier(rule, Pause(call.number, call.service, call.name, stage)) == "drop":
            raise Dropped

    def execute(self, call: Call) -> Reply:
        """The operation itself, with its hooks, under the world's lock."""
        operation = call.operation
        try:
            with self.world.lock:
                for begin in hooks.prepare_of(call):
                    begin(self.world, call)
                for check in hooks.before_of(self.world, call):
                    check(self.world, call)
                return self._executed(call, operation)
        except AwsError as error:
            return failure(operation, error)
        except Exception:
            self.world.report(f"{call.service}:{call.name}\n{traceback.format_exc()}")
            return failure(operation, _INTERNAL)

    def _executed(self, call: Call, operation: Operation) -> Reply:
        handler, after = hooks.handler_of(call), hooks.after_of(self.world, call)
        if handler is None:
            reply = bridge.dispatch(operation, call.request, call.account)
            if reply.status >= 400:
                return failure(operation, error_of(operation, reply))
            if not after:
                return reply
            result = result_of(operation, reply)
        else:
            result = handler(self.world, call)
        for change in after:
            result = change(self.world, call, result)
        return success(operation, result)


def is_connected(connection: socket.socket | None) -> bool:
    """Whether the client still holds its end open."""
    if connection is None:
        return True
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _new_record(request: HttpRequest) -> dict[str, Any]:
    return {
        "service": None, "operation": None, "account": None, "access_key": None, "write": False,
        "user_agent": request.headers.get("user-agent", ""), "params": {}, "executed": False, "status": 0, "code": "",
    }


def close_hard(connection: socket.socket | None) -> None:
    """Closes a client's connection so that it sees a reset, not an answer."""
    if connection is None:
        return
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
