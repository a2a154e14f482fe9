"""The user service as one would write it with Falcon: `granian --interface wsgi --blocking-threads 8 falcon_app:app`"""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import falcon
import jwt
import redis
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
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


class UserIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    email: EmailStr
    status: Literal["active", "inactive", "suspended"] = "active"


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    email: EmailStr
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]


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


class Observed:
    """Middleware: correlation id, span, metrics and a log line for each request."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.started = time.perf_counter()
        req.context.correlation_id = req.get_header("X-Correlation-Id") or uuid.uuid4().hex

    def process_resource(self, req: falcon.Request, resp: falcon.Response, resource: Any, params: Any) -> None:
        req.context.span = tracer.start_span(
            f"{req.method} {req.uri_template}",
            context=propagate.extract(req.headers_lower),
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": req.method, "url.path": req.path},
        )
        req.context.token = context.attach(trace.set_span_in_context(req.context.span))

    def process_response(self, req: falcon.Request, resp: falcon.Response, resource: Any, succeeded: bool) -> None:
        took_s = time.perf_counter() - req.context.started
        status = resp.status_code
        resp.set_header("X-Correlation-Id", req.context.correlation_id)
        span = getattr(req.context, "span", None)
        if span is not None:
            span.set_attribute("http.response.status_code", status)
            span.end()
            context.detach(req.context.token)
        REQUESTS.labels(req.method, req.uri_template or "UNKNOWN", status).observe(took_s)
        log.info(
            "request",
            extra={
                "correlation_id": req.context.correlation_id,
                "method": req.method,
                "path": req.path,
                "status": status,
                "duration_ms": round(took_s * 1000, 2),
                "remote": req.remote_addr,
            },
        )


def session_of(user_id: int) -> dict[str, Any] | None:
    key = f"falcon:session:{user_id}"
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
    key = f"falcon:rate:{user_id}:{int(time.time() // 60)}"
    count, _ = cache.pipeline(transaction=False).incr(key).expire(key, 60).execute()
    if count > RATE_LIMIT:
        raise falcon.HTTPTooManyRequests(description="Too many requests.")


class SignedIn:
    """A hook: lets callers with one of `roles` in; with `own` also those whom the address names."""

    def __init__(self, *roles: str, own: bool = False) -> None:
        self.roles = roles
        self.own = own

    def __call__(self, req: falcon.Request, resp: falcon.Response, resource: Any, params: dict[str, Any]) -> None:
        scheme, _, token = (req.auth or "").partition(" ")
        if scheme.lower() != "bearer":
            raise falcon.HTTPUnauthorized(description="Please sign in.")
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
            raise falcon.HTTPUnauthorized(description="The token is not valid.") from None
        user_id = int(claims["sub"])
        check_rate(user_id)
        session = session_of(user_id)
        if session is None or not session["active"] or claims["sid"] not in session["logins"]:
            raise falcon.HTTPUnauthorized(description="The token is not valid.")
        if session["role"] not in self.roles and not (self.own and params["user_id"] == user_id):
            raise falcon.HTTPForbidden(description="You may not do this.")


def user_to_json(row: dict[str, Any]) -> dict[str, Any]:
    return dict(row) | {
        "created_at": row["created_at"].isoformat(),
        "updated_at": row["updated_at"].isoformat(),
    }


class Users:
    @falcon.before(SignedIn("auditor", "admin"))
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        limit = req.get_param_as_int("limit", min_value=1, max_value=200, default=50)
        cursor_id = req.get_param_as_int("cursor", default=ID_MAX)
        status = req.get_param("status")
        with cursor() as one:
            one.execute(
                f"SELECT {COLUMNS} FROM users WHERE id < %s AND (%s::text IS NULL OR status = %s)"
                " ORDER BY id DESC LIMIT %s",
                (cursor_id, status, status, limit + 1),
            )
            rows = one.fetchall()
        items = [user_to_json(row) for row in rows[:limit]]
        resp.media = {"items": items, "next_cursor": items[-1]["id"] if len(rows) > limit else None}

    @falcon.before(SignedIn("admin"))
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = UserIn.model_validate(req.get_media())
        try:
            with cursor() as one:
                one.execute(
                    f"INSERT INTO users (name, email, status) VALUES (%s, %s, %s) RETURNING {COLUMNS}",
                    (given.name, given.email, given.status),
                )
                row = one.fetchone()
        except UniqueViolation:
            raise falcon.HTTPConflict(description="This e-mail address belongs to another user.") from None
        resp.status = falcon.HTTP_201
        resp.location = f"/api/users/{row['id']}"
        resp.media = user_to_json(row)


class User:
    @falcon.before(SignedIn("auditor", "admin", own=True))
    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: int) -> None:
        key = f"falcon:user:{user_id}"
        text = cache.get(key)
        result = "miss" if text is None else "hit"
        CACHE.labels("users", result).inc()
        if text is None:
            with cursor() as one:
                one.execute(f"SELECT {COLUMNS} FROM users WHERE id = %s", (user_id,))
                row = one.fetchone()
            if row is None:
                raise falcon.HTTPNotFound(description=f"There is no user {user_id}.")
            text = json.dumps(user_to_json(row))
            cache.set(key, text, ex=USER_TTL_S)
        resp.set_header("X-Cache", result)
        resp.content_type = falcon.MEDIA_JSON
        resp.text = text


class Logins:
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = Login.model_validate(req.get_media())
        tries_key = f"falcon:tries:{given.email.lower()}"
        tries, _ = cache.pipeline(transaction=False).incr(tries_key).expire(tries_key, WRONG_PASSWORDS_TTL_S).execute()
        if tries > WRONG_PASSWORDS_MAX:
            raise falcon.HTTPTooManyRequests(description="Too many wrong passwords.")
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
            raise falcon.HTTPUnauthorized(description="The e-mail address or the password is wrong.")
        user_id, sid = found["user_id"], uuid.uuid4()
        with cursor() as one:
            one.execute(
                "WITH account AS (UPDATE accounts SET version = version + 1 WHERE user_id = %s RETURNING user_id)"
                " INSERT INTO logins (id, user_id, expires_at)"
                " SELECT %s, user_id, now() + %s * interval '1 second' FROM account",
                (user_id, str(sid), REFRESH_TTL_S),
            )
        cache.delete(f"falcon:session:{user_id}", tries_key)
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": str(user_id), "sid": sid.hex, "iat": now}
        resp.media = {
            "access_token": jwt.encode(claims | {"aud": AUDIENCE, "exp": now + ACCESS_TTL_S}, JWT_SECRET),
            "refresh_token": jwt.encode(claims | {"aud": "refresh", "exp": now + REFRESH_TTL_S}, JWT_SECRET),
            "token_type": "Bearer",
            "expires_in": ACCESS_TTL_S,
        }


class Metrics:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = CONTENT_TYPE_LATEST
        resp.data = generate_latest()


def invalid(req: falcon.Request, resp: falcon.Response, error: ValidationError, params: Any) -> None:
    resp.status = falcon.HTTP_422
    resp.media = {"detail": error.errors(include_url=False, include_context=False)}


app = falcon.App(middleware=[Observed()])
app.add_error_handler(ValidationError, invalid)
app.add_route("/api/users", Users())
app.add_route("/api/users/{user_id:int}", User())
app.add_route("/api/auth/login", Logins())
app.add_route("/metrics", Metrics())
