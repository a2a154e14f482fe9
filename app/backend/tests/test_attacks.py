"""Attacks on the process, over sockets: injection, mass assignment, traversal, methods and bodies that nobody has."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from app.backend.tests.conftest import Api
from app.backend.tests.contract import Contract
from app.backend.tests.wire import exchange, request, status

SQL = (
    "'",
    "''",
    '"',
    "' OR '1'='1",
    "' OR 1=1 --",
    "1 OR 1=1",
    "1; DROP TABLE users",
    "'; DROP TABLE users; --",
    "1'; DELETE FROM users WHERE 'a'='a",
    "' UNION SELECT usename, passwd FROM pg_shadow --",
    "1 UNION SELECT NULL, version(), NULL",
    "'; UPDATE users SET name = 'owned'; --",
    "1) OR (1=1",
    "$$; DROP TABLE users; $$",
    "\\'; DROP TABLE users; --",
    "%' OR name LIKE '%",
    "%s%s%(name)s",
    "{0}{users}",
    "'||(SELECT current_user)||'",
    "1/**/OR/**/1=1",
    "\u02bc; DROP TABLE users; --",
    "\uff07 OR 1=1",
    "-1",
    "NULL",
    "' AND 1=CAST((SELECT version()) AS int) --",
)
EXTRA = ("id", "version", "created_at", "updated_at", "role", "is_admin", "password", "__proto__", "__class__", "Name")


@dataclass(frozen=True)
class Target:
    """The service as a process: its port, its document, and what it logged (which ends it)."""

    port: int
    api: Api
    document: dict[str, Any]
    logged: Callable[[], list[dict[str, Any]]]


@pytest.fixture
def aim(launch: Any, until: Any, environment: dict[str, str]) -> Callable[[str], Target]:
    """Starts a service that trusts its neighbours as proxies, so that their headers are read, too."""

    def at(log_level: str) -> Target:
        process = launch(
            TRUSTED_PROXIES="127.0.0.0/8", MAX_UPLOAD_SIZE="10000", SHUTDOWN_DRAIN="0", LOG_LEVEL=log_level
        )
        until(process.ready)
        document = process.api("GET", "/api/openapi.json").json

        def logged() -> list[dict[str, Any]]:
            process.terminate()
            lines = [json.loads(line) for line in process.ended()[1].splitlines()]
            return [line for line in lines if line["message"] == "request"]

        port = int(environment["APP_PORT"])
        return Target(port, Api(port, Contract(document)), document, logged)

    return at


@pytest.fixture
def target(aim: Callable[[str], Target]) -> Target:
    """One that logs errors only: nobody reads its output, which may become long."""
    return aim("ERROR")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of all."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def fields(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """The fields of the operation's body: name to schema."""
    if "requestBody" not in operation:
        return {}
    (media,) = operation["requestBody"]["content"].values()
    found: dict[str, Any] = document["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]["properties"]
    return found


numbers = itertools.count(1)


def media_type(operation: dict[str, Any]) -> dict[str, str]:
    """The header that the operation's body wants."""
    return {"Content_Type": next(iter(operation["requestBody"]["content"]))} if "requestBody" in operation else {}


def acceptable(schemas: dict[str, Any]) -> dict[str, Any]:
    """A body that is taken, other than all before."""

    def value(schema: dict[str, Any]) -> Any:
        if "enum" in schema:
            return schema["enum"][0]
        if schema.get("type") == "boolean":
            return False
        if schema.get("format") == "email":
            return f"user{next(numbers)}@example.com"
        return "Ada".ljust(schema.get("minLength", 0), "!")

    return {name: value(schema) for name, schema in schemas.items()}


def test_no_parameter_and_no_field_of_any_operation_is_ever_sql(target: Target, sql: Any) -> None:
    sql("INSERT INTO users (id, name, email) OVERRIDING SYSTEM VALUE VALUES (900, 'Witness', 'witness@example.com')")
    witness = sql("SELECT * FROM users WHERE id = 900")
    columns = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
    tables = sorted(sql(columns))
    tried = 0
    for method, path, operation in operations(target.document):
        schemas = fields(target.document, operation)
        for parameter in operation.get("parameters", ()):
            for text in SQL:
                filled = path.replace("{" + parameter["name"] + "}", quote(text, safe=""))
                filled = filled.replace("{user_id}", "1")
                query = f"?{parameter['name']}={quote(text)}" if parameter["in"] == "query" else ""
                headers = media_type(operation)
                if parameter["in"] == "header":
                    headers[parameter["name"]] = text.encode().decode("latin-1")
                answer = target.api(method, filled + query, acceptable(schemas) if schemas else None, **headers)
                # A text to search for, and a key of the client's own, may be anything.
                free = (200, 201, 401) if parameter["name"] in ("search", "Idempotency-Key") else (401,)
                assert answer.status in (400, 404, 405, *free), f"{method} {filled}{query} {answer.status}"
                assert answer.status != 200 or answer.json["items"] == []
                tried += 1
        for name in schemas:
            for text in SQL:
                body = acceptable(schemas) | {name: text}
                answer = target.api(method, path.replace("{user_id}", "1"), body, **media_type(operation))
                assert answer.status in (200, 201, 400, 401, 404), f"{method} {path}, {name}: {text} {answer.status}"
                assert answer.status != 201 or answer.json.get(name, text.strip()) == text.strip()
                tried += 1
    assert tried > 200
    assert sql("SELECT * FROM users WHERE id = 900") == witness
    assert sorted(sql(columns)) == tables
    assert sql("SELECT count(*) FROM users WHERE name = 'owned'") == [(0,)]


def test_a_client_sets_no_field_that_is_not_its_own(target: Target, sql: Any) -> None:
    sql("INSERT INTO users (name, email) VALUES ('Witness', 'witness@example.com')")
    witness = sql("SELECT * FROM users")
    for method, path, operation in operations(target.document):
        schemas = fields(target.document, operation)
        for extra in [name for name in EXTRA if schemas and name not in schemas]:
            body = acceptable(schemas) | {extra: 7}
            answer = target.api(method, path.replace("{user_id}", "1"), body, **media_type(operation))
            assert answer.status == 400, f"{method} {path}: {extra}"
            assert ("unknown_field", extra) in [(error["code"], error["field"]) for error in answer.json["errors"]]
    assert sql("SELECT * FROM users") == witness


JSON_OF_26 = (b"Content-Type: application/json", b"Content-Length: 26")
INJECTED = (
    request("GET", b"/api/users/%0d%0aX-Injected:%20yes"),
    request("GET", b"/api/users/%0a{%22level%22:%22ERROR%22}"),
    request("GET", b'/api/users/","level":"ERROR'),
    request("GET", b"/api/users/%22%5c%22%7d%00%1b%5b2J%08%7f"),
    request("GET", b"/api/%c2%85%e2%80%a8%c2%9b%ff%fe"),
    request("GET", b"/api/users?status=%0d%0aX-Injected:%20yes"),
    request("GET", b"/api/users", b'X-Correlation-Id: a","level":"ERROR'),
    request("GET", b"/api/users", b"X-Correlation-Id: a\tb\xc2\x85\x1b[2J"),
    request("GET", b"/api/users", b"X-Correlation-Id: " + b"a" * 5000),
    request("GET", b"/api/users", b"X-Correlation-Id: a\r\n b"),
    request("GET", b"/api/users", b"X-Correlation-Id: a\rX-Injected: yes"),
    request("GET", b"/api/users", b'User-Agent: ${jndi:ldap://x}"}\x1b[2J'),
    request("GET", b"/api/users", b'X-Forwarded-For: 1.2.3.4","level":"ERROR'),
    request("GET", b"/api/users", b"X-Forwarded-For: fe80::1%\x1b[2J\xc2\x85"),
    request("GET", b"/api/users", b"X-Forwarded-Proto: https\tX-Injected: yes"),
    request("GET", b"/api/users", b"Origin: https://x\tX-Injected: yes"),
    request("G\"},{", b"/api/users"),
    request("GET", b"/api/users\x00\x85"),
    request("POST", b"/api/users", *JSON_OF_26, body=b'{"a\\r\\n\\u2028\\u001b\\"}":1} '),
)  # fmt: skip


def test_whatever_a_client_sends_a_line_of_the_log_is_one_json_object_and_no_header_is_added(
    aim: Callable[[str], Target],
) -> None:
    target = aim("INFO")
    answers = [exchange(target.port, sent) for sent in INJECTED]
    assert {status(answer) for answer in answers} <= {200, 400, 404, 405}
    for answer in answers:
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert b"\r\nx-injected" not in head and b"\x1b" not in head and b"\x85" not in head
    lines = target.logged()
    sent_ourselves = ("/api/settings", "/api/openapi.json")
    of_attacks = [line for line in lines if line["path"] not in sent_ourselves]
    # Granian refuses the others before there is a request.
    assert len(of_attacks) == len([answer for answer in answers if b"x-correlation-id" in answer])
    for line in of_attacks:
        assert (line["level"], line["logger"], line["remote"]) == ("INFO", "backend.requests", "127.0.0.1")
        shown = "".join(str(value) for value in line.values())
        assert shown.isascii() and shown.isprintable()


ELSEWHERE = (
    "/api/../../../../etc/passwd",
    "/api/docs/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/api/users/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/api/users/%252e%252e%252fetc%252fpasswd",
    "/api/users/..%5c..%5cetc%5cpasswd",
    "/api/docs.css%00.html",
    "/api/docs.css/..%c0%af",
    "//etc/passwd",
    "file:///etc/passwd",
    "/actuator",
    "/actuator/prometheus",
    "/actuator/health/../prometheus",
    "/actuator/health%2f..%2fprometheus",
    "/actuator/health;/prometheus",
    "/actuator/health/",
    "/ACTUATOR/health",
    "/api/users/1/..%2f..%2f..%2factuator%2floggers",
    "http://127.0.0.1:9090/actuator/prometheus",
    "/api/users/1%00",
    "/api/users/1%20",
    "/api/users/+1",
    "/api/users/01e0",
)


def test_no_address_leads_out_of_what_is_served(target: Target) -> None:
    for path in ELSEWHERE:
        answer = exchange(target.port, request("GET", path.encode()))
        assert status(answer) in (400, 404), path
        assert b"root:" not in answer and b"http_server_requests" not in answer, path


METHODS = ("FOO", "TRACE", "TRACK", "CONNECT", "PROPFIND", "get", "Post", "DEBUG", "M" * 400, "*", "G%T")


def test_a_method_that_is_not_there_is_refused_and_echoes_nothing(target: Target) -> None:
    for method in METHODS:
        answer = exchange(target.port, request(method, b"/api/users", b"Authorization: Bearer echo-me"))
        assert status(answer) in (400, 404, 405), method
        assert b"echo-me" not in answer, method


TOO_MUCH = (
    ([b"Content-Length: 1000000000000"], b"", 413),
    ([b"Content-Length: 10001"], b"", 413),
    ([b"Content-Length: " + b"9" * 30], b"", 400),
    ([b"Transfer-Encoding: chunked"], (b"1000\r\n" + b" " * 4096 + b"\r\n") * 3 + b"0\r\n\r\n", 413),
    ([b"Content-Length: 5000"], b"[" * 5000, 400),
    ([b"Content-Length: 9000"], b'{"a":' * 1800, 400),
    ([b"Content-Length: 9000"], b"9" * 9000, 400),
    ([b"Content-Length: 8", b"Content-Encoding: gzip"], b"\x1f\x8b\x08\x00\x00\x00\x00\x00", 400),
)


def test_a_body_that_is_too_much_is_refused_and_the_service_goes_on(target: Target) -> None:
    for headers, body, expected in TOO_MUCH:
        sent = request("POST", b"/api/users", b"Content-Type: application/json", *headers, body=body)
        assert status(exchange(target.port, sent)) == expected, headers
    assert target.api("GET", "/api/users").status == 200
