"""The user service as one would write it with FastAPI: `uvicorn --loop uvloop --http httptools fastapi_app:app`."""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal

import asyncpg
import jwt
import redis.asyncio as redis
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, EmailStr, StringConstraints
from pythonjsonlogger.json import JsonFormatter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class User(BaseModel):
    id: int
    name: str
    email: str
    status: Literal["active", "inactive", "suspended"]
    created_at: datetime
    updated_at: datetime


class Page(BaseModel):
    items: list[User]
    next_cursor: int | None


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    email: EmailStr
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Tokens(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "Bearer"
    expires_in: int = ACCESS_TTL_S


class Observed:
    """Middleware: correlation id, span, metrics and a log line for each request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        correlation_id = headers.get("X-Correlation-Id") or uuid.uuid4().hex
        status, method, path = 500, scope["method"], scope["path"]

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Correlation-Id"] = correlation_id
            await send(message)

        with tracer.start_as_current_span(
            method,
            context=propagate.extract(headers),
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": path},
        ) as span:
            try:
                await self.app(scope, receive, answered)
            finally:
                took_s = time.perf_counter() - started
                uri = getattr(scope.get("route"), "path", "UNKNOWN")
                span.update_name(f"{method} {uri}")
                span.set_attribute("http.response.status_code", status)
                REQUESTS.labels(method, uri, status).observe(took_s)
                log.info(
                    "request",
                    extra={
                        "correlation_id": correlation_id,
                        "method": method,
                        "path": path,
                        "status": status,
                        "duration_ms": round(took_s * 1000, 2),
                        "remote": scope["client"][0],
                    },
                )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        host=os.environ["DATABASE_HOST"],
        port=int(os.environ["DATABASE_PORT"]),
        database=os.environ["DATABASE_NAME"],
        user=os.environ["DATABASE_USER"],
        password=os.environ["DATABASE_PASSWORD"],
        min_size=2,
        max_size=10,
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(Observed)


def pool_of(request: Request) -> asyncpg.Pool:
    return request.app.state.pool


Pool = Annotated[asyncpg.Pool, Depends(pool_of)]


async def session_of(pool: asyncpg.Pool, user_id: int) -> dict[str, Any] | None:
    key = f"fastapi:session:{user_id}"
    stored = await cache.get(key)
    if stored is not None:
        return json.loads(stored)
    row = await pool.fetchrow(
        "SELECT a.role, u.status = 'active' AS active, array(SELECT replace(l.id::text, '-', '') FROM logins l"
        " WHERE l.user_id = a.user_id AND l.expires_at > now()) AS logins"
        " FROM accounts a JOIN users u ON u.id = a.user_id WHERE a.user_id = $1",
        user_id,
    )
    if row is None:
        return None
    await cache.set(key, json.dumps(dict(row)), ex=SESSION_TTL_S)
    return dict(row)


async def check_rate(user_id: int) -> None:
    key = f"fastapi:rate:{user_id}:{int(time.time() // 60)}"
    count, _ = await cache.pipeline(transaction=False).incr(key).expire(key, 60).execute()
    if count > RATE_LIMIT:
        raise HTTPException(429, "Too many requests.")


class SignedIn:
    """A dependency: lets callers with one of `roles` in; with `own` also those whom the address names."""

    def __init__(self, *roles: str, own: bool = False) -> None:
        self.roles = roles
        self.own = own

    async def __call__(self, request: Request, pool: Pool, authorization: Annotated[str, Header()] = "") -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise HTTPException(401, "Please sign in.")
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
            raise HTTPException(401, "The token is not valid.") from None
        user_id = int(claims["sub"])
        await check_rate(user_id)
        session = await session_of(pool, user_id)
        if session is None or not session["active"] or claims["sid"] not in session["logins"]:
            raise HTTPException(401, "The token is not valid.")
        if session["role"] not in self.roles and not (self.own and request.path_params["user_id"] == str(user_id)):
            raise HTTPException(403, "You may not do this.")


@app.get("/api/users", dependencies=[Depends(SignedIn("auditor", "admin"))])
async def list_users(
    pool: Pool,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[int, Query(ge=1, le=ID_MAX)] = ID_MAX,
    status: Literal["active", "inactive", "suspended"] | None = None,
) -> Page:
    rows = await pool.fetch(
        f"SELECT {COLUMNS} FROM users WHERE id < $1 AND ($2::text IS NULL OR status = $2) ORDER BY id DESC LIMIT $3",
        cursor,
        status,
        limit + 1,
    )
    items = [User.model_validate(dict(row)) for row in rows[:limit]]
    return Page(items=items, next_cursor=items[-1].id if len(rows) > limit else None)


@app.get("/api/users/{user_id}", dependencies=[Depends(SignedIn("auditor", "admin", own=True))])
async def get_user(user_id: int, pool: Pool, response: Response) -> User:
    key = f"fastapi:user:{user_id}"
    stored = await cache.get(key)
    result = "miss" if stored is None else "hit"
    CACHE.labels("users", result).inc()
    response.headers["X-Cache"] = result
    if stored is not None:
        return User.model_validate_json(stored)
    row = await pool.fetchrow(f"SELECT {COLUMNS} FROM users WHERE id = $1", user_id)
    if row is None:
        raise HTTPException(404, f"There is no user {user_id}.")
    user = User.model_validate(dict(row))
    await cache.set(key, user.model_dump_json(), ex=USER_TTL_S)
    return user


@app.post("/api/users", status_code=201, dependencies=[Depends(SignedIn("admin"))])
async def create_user(given: UserIn, pool: Pool, response: Response) -> User:
    try:
        row = await pool.fetchrow(
            f"INSERT INTO users (name, email, status) VALUES ($1, $2, $3) RETURNING {COLUMNS}",
            given.name,
            given.email,
            given.status,
        )
    except asyncpg.UniqueViolationError:
        raise HTTPException(409, "This e-mail address belongs to another user.") from None
    response.headers["Location"] = f"/api/users/{row['id']}"
    return User.model_validate(dict(row))


def is_right(stored: str, password: str) -> bool:
    try:
        return hasher.verify(stored, password)
    except VerificationError:
        return False


@app.post("/api/auth/login")
async def login(given: Login, pool: Pool) -> Tokens:
    tries_key = f"fastapi:tries:{given.email.lower()}"
    pipeline = cache.pipeline(transaction=False)
    tries, _ = await pipeline.incr(tries_key).expire(tries_key, WRONG_PASSWORDS_TTL_S).execute()
    if tries > WRONG_PASSWORDS_MAX:
        raise HTTPException(429, "Too many wrong passwords.")
    found = await pool.fetchrow(
        "SELECT a.user_id, a.password, u.status = 'active' AS active FROM users u"
        " JOIN accounts a ON a.user_id = u.id WHERE lower(u.email) = lower($1)",
        given.email,
    )
    right = await run_in_threadpool(is_right, found["password"] if found else NOBODYS_HASH, given.password)
    if not found or not right or not found["active"]:
        raise HTTPException(401, "The e-mail address or the password is wrong.")
    user_id, sid = found["user_id"], uuid.uuid4()
    await pool.execute(
        "WITH account AS (UPDATE accounts SET version = version + 1 WHERE user_id = $1 RETURNING user_id)"
        " INSERT INTO logins (id, user_id, expires_at)"
        " SELECT $2, user_id, now() + $3 * interval '1 second' FROM account",
        user_id,
        sid,
        REFRESH_TTL_S,
    )
    await cache.delete(f"fastapi:session:{user_id}", tries_key)
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": str(user_id), "sid": sid.hex, "iat": now}
    return Tokens(
        access_token=jwt.encode(claims | {"aud": AUDIENCE, "exp": now + ACCESS_TTL_S}, JWT_SECRET),
        refresh_token=jwt.encode(claims | {"aud": "refresh", "exp": now + REFRESH_TTL_S}, JWT_SECRET),
    )


@app.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
