"""The user service as one would write it with Flask: `gunicorn --worker-class gthread --threads 8 flask_app:app`."""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any, Literal

import jwt
import redis
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from flask import Flask, Response, g, jsonify, request
from opentelemetry import context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from psycopg2.errors import UniqueViolation
from psycopg2.extras import RealDictCursor
from psycopg2.pool import ThreadedConnectionPool
from pydantic import BaseModel, ConfigDict, EmailStr, StringConstraints, ValidationError
from pythonjsonlogger.json import JsonFormatter
from werkzeug.exceptions import HTTPException

JWT_SECRET = base64.b64decode(os.environ["JWT_SECRET"])
ISSUER, AUDIENCE = "capstan", "capstan-api"
ACCESS_TTL_S, REFRESH_TTL_S = 3600, 7 * 86_400
USER_TTL_S, SESSION_TTL_S = 300, 1800
RATE_LIMIT = int(os.environ["RATE_LIMIT_USER"])
WRONG_PASSWORDS_MAX, WRONG_PASSWORDS_TTL_S = 5, 300
COLUMNS = "id, name, email, status, created_at, updated_at"
ID_MAX = 2**63 - 1

REQUESTS = Histogram("http_server_requests_seconds", "Requests.", ["method", "uri", "status"])
CACHE = Counter("cache_gets", "Reads of the cache.", ["cache", "result"])


class NowhereExporter(SpanExporter):
    """Takes spans and keeps none."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(float(os.environ["TRACE_SAMPLING"]))))
provider.add_span_processor(BatchSpanProcessor(NowhereExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("users")

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
log = logging.getLogger("requests")
log.addHandler(handler)
log.setLevel(logging.INFO)
log.propagate = False

pool = ThreadedConnectionPool(
    10,  # what is given back beyond the least number is closed, so that is also the most
    10,
    host=os.environ["DATABASE_HOST"],
    port=os.environ["DATABASE_PORT"],
    dbname=os.environ["DATABASE_NAME"],
    user=os.environ["DATABASE_USER"],
    password=os.environ["DATABASE_PASSWORD"],
    options="-c timezone=UTC",
    cursor_factory=RealDictCursor,
)
cache = redis.Redis(
    host=os.environ["REDIS_HOST"],
    port=int(os.environ["REDIS_PORT"]),
    password=os.environ["REDIS_PASSWORD"],
    decode_responses=True,
)
hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
NOBODYS_HASH = hasher.hash(uuid.uuid4().hex)

app = Flask(__name__)


class UserIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    email: EmailStr
    status: Literal["active", "inactive", "suspended"] = "active"


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    email: EmailStr
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ApiError(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@contextmanager
def cursor() -> Iterator[Any]:
    """For one statement, which is its own transaction."""
    connection = pool.getconn()
    try:
        connection.autocommit = True
        with connection.cursor() as one:
            yield one
    finally:
        pool.putconn(connection)


@app.before_request
def begin() -> None:
    g.started = time.perf_counter()
    g.correlation_id = request.headers.get("X-Correlation-Id") or uuid.uuid4().hex
    g.span = tracer.start_span(
        f"{request.method} {request.url_rule or 'UNKNOWN'}",
        context=propagate.extract(request.headers),
        kind=trace.SpanKind.SERVER,
        attributes={"http.request.method": request.method, "url.path": request.path},
    )
    g.context = context.attach(trace.set_span_in_context(g.span))


@app.after_request
def finish(response: Response) -> Response:
    took_s = time.perf_counter() - g.started
    uri = str(request.url_rule or "UNKNOWN")
    response.headers["X-Correlation-Id"] = g.correlation_id
    g.span.set_attribute("http.response.status_code", response.status_code)
    REQUESTS.labels(request.method, uri, response.status_code).observe(took_s)
    log.info(
        "request",
        extra={
            "correlation_id": g.correlation_id,
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "duration_ms": round(took_s * 1000, 2),
            "bytes": response.content_length,
            "remote": request.remote_addr,
        },
    )
    return response


@app.teardown_request
def end(error: BaseException | None) -> None:
    g.span.end()
    context.detach(g.context)


@app.errorhandler(ApiError)
def api_error(error: ApiError) -> tuple[Response, int]:
    return jsonify(detail=str(error), correlation_id=g.correlation_id), error.status


@app.errorhandler(ValidationError)
def invalid(error: ValidationError) -> tuple[Response, int]:
    return jsonify(detail=error.errors(include_url=False, include_context=False)), 422


@app.errorhandler(HTTPException)
def http_error(error: HTTPException) -> tuple[Response, int]:
    return jsonify(detail=error.description, correlation_id=g.correlation_id), error.code or 500


def session_of(user_id: int) -> dict[str, Any] | None:
    key = f"flask:session:{user_id}"
    stored = cache.get(key)
    if stored is not None:
        return json.loads(stored)
    with cursor() as one:
        one.execute(
            "SELECT a.role, u.status = 'active' AS active, array(SELECT replace(l.id::text, '-', '') FROM logins l"
            " WHERE l.user_id = a.user_id AND l.expires_at > now()) AS logins"
            " FROM accounts a JOIN users u ON u.id = a.user_id WHERE a.user_id = %s",
            (user_id,),
        )
        row = one.fetchone()
    if row is None:
        return None
    cache.set(key, json.dumps(row), ex=SESSION_TTL_S)
    return dict(row)


def check_rate(user_id: int) -> None:
    key = f"flask:rate:{user_id}:{int(time.time() // 60)}"
    count, _ = cache.pipeline(transaction=False).incr(key).expire(key, 60).execute()
    if count > RATE_LIMIT:
        raise ApiError(429, "Too many requests.")


def signed_in(*roles: str, own: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Lets callers with one of `roles` in; with `own` also those whom the address names."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def checked(**path: Any) -> Any:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                raise ApiError(401, "Please sign in.")
            try:
                claims = jwt.decode(
                    token,
                    JWT_SECRET,
                    algorithms=["HS256"],
                    audience=AUDIENCE,
                    issuer=ISSUER,
                    options={"require": ["exp", "sub", "sid"]},
                )
            except jwt.InvalidTokenError:
                raise ApiError(401, "The token is not valid.") from None
            user_id = int(claims["sub"])
            check_rate(user_id)
            session = session_of(user_id)
            if session is None or not session["active"] or claims["sid"] not in session["logins"]:
                raise ApiError(401, "The token is not valid.")
            if session["role"] not in roles and not (own and path["user_id"] == user_id):
                raise ApiError(403, "You may not do this.")
            return view(**path)

        return checked

    return decorate


def user_to_json(row: dict[str, Any]) -> dict[str, Any]:
    return dict(row) | {
        "created_at": row["created_at"].isoformat(),
        "updated_at": row["updated_at"].isoformat(),
    }


@app.get("/api/users")
@signed_in("auditor", "admin")
def list_users() -> Response:
    limit = request.args.get("limit", 50, type=int)
    cursor_id = request.args.get("cursor", ID_MAX, type=int)
    status = request.args.get("status")
    if not 1 <= limit <= 200:
        raise ApiError(400, "limit must be from 1 to 200.")
    with cursor() as one:
        one.execute(
            f"SELECT {COLUMNS} FROM users WHERE id < %s AND (%s::text IS NULL OR status = %s)"
            " ORDER BY id DESC LIMIT %s",
            (cursor_id, status, status, limit + 1),
        )
        rows = one.fetchall()
    items = [user_to_json(row) for row in rows[:limit]]
    return jsonify(items=items, next_cursor=items[-1]["id"] if len(rows) > limit else None)


@app.get("/api/users/<int:user_id>")
@signed_in("auditor", "admin", own=True)
def get_user(user_id: int) -> Response:
    key = f"flask:user:{user_id}"
    stored = cache.get(key)
    CACHE.labels("users", "miss" if stored is None else "hit").inc()
    if stored is not None:
        return Response(stored, mimetype="application/json", headers={"X-Cache": "hit"})
    with cursor() as one:
        one.execute(f"SELECT {COLUMNS} FROM users WHERE id = %s", (user_id,))
        row = one.fetchone()
    if row is None:
        raise ApiError(404, f"There is no user {user_id}.")
    text = json.dumps(user_to_json(row))
    cache.set(key, text, ex=USER_TTL_S)
    return Response(text, mimetype="application/json", headers={"X-Cache": "miss"})


@app.post("/api/users")
@signed_in("admin")
def create_user() -> tuple[Response, int, dict[str, str]]:
    given = UserIn.model_validate(request.get_json())
    try:
        with cursor() as one:
            one.execute(
                f"INSERT INTO users (name, email, status) VALUES (%s, %s, %s) RETURNING {COLUMNS}",
                (given.name, given.email, given.status),
            )
            row = one.fetchone()
    except UniqueViolation:
        raise ApiError(409, "This e-mail address belongs to another user.") from None
    return jsonify(user_to_json(row)), 201, {"Location": f"/api/users/{row['id']}"}


@app.post("/api/auth/login")
def login() -> Response:
    given = Login.model_validate(request.get_json())
    tries_key = f"flask:tries:{given.email.lower()}"
    tries, _ = cache.pipeline(transaction=False).incr(tries_key).expire(tries_key, WRONG_PASSWORDS_TTL_S).execute()
    if tries > WRONG_PASSWORDS_MAX:
        raise ApiError(429, "Too many wrong passwords.")
    with cursor() as one:
        one.execute(
            "SELECT a.user_id, a.password, u.status = 'active' AS active FROM users u"
            " JOIN accounts a ON a.user_id = u.id WHERE lower(u.email) = lower(%s)",
            (given.email,),
        )
        found = one.fetchone()
    try:
        hasher.verify(found["password"] if found else NOBODYS_HASH, given.password)
    except VerificationError:
        found = None
    if not found or not found["active"]:
        raise ApiError(401, "The e-mail address or the password is wrong.")
    user_id, sid = found["user_id"], uuid.uuid4()
    with cursor() as one:
        one.execute(
            "WITH account AS (UPDATE accounts SET version = version + 1 WHERE user_id = %s RETURNING user_id)"
            " INSERT INTO logins (id, user_id, expires_at)"
            " SELECT %s, user_id, now() + %s * interval '1 second' FROM account",
            (user_id, str(sid), REFRESH_TTL_S),
        )
    cache.delete(f"flask:session:{user_id}", tries_key)
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": str(user_id), "sid": sid.hex, "iat": now}
    return jsonify(
        access_token=jwt.encode(claims | {"aud": AUDIENCE, "exp": now + ACCESS_TTL_S}, JWT_SECRET),
        refresh_token=jwt.encode(claims | {"aud": "refresh", "exp": now + REFRESH_TTL_S}, JWT_SECRET),
        token_type="Bearer",
        expires_in=ACCESS_TTL_S,
    )


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
