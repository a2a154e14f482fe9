"""What holds for every answer of the service port: limits, security headers, CORS, compression."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
import urllib3
from backend.environment import settings_from_env
from backend.observability.instruments import Instruments
from backend.observability.request_lines import RequestLines, shown_path
from backend.observability.tracing import Tracer
from backend.web.compression import SECRET
from backend.web.edge import Edge
from backend.web.json import is_deeper
from backend.web.lean import LeanBottle
from bottle import HTTPResponse, request

from app.backend.tests.conftest import Reply
from app.backend.tests.test_config import LEAST

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


class Own:
    """An edge around an application of the test's own, called without a socket."""

    def __init__(self, app: LeanBottle, **environment: str) -> None:
        self._edge = Edge(
            app, settings_from_env(LEAST | environment), Instruments(), Tracer(0, 1, None), RequestLines()
        )

    def __call__(self, path: str, method: str = "GET", peer: str = "192.0.2.1", **headers: str) -> Reply:
        said: dict[str, Any] = {}

        def start(status: str, names: list[tuple[str, str]]) -> None:
            said.update(status=int(status[:3]), headers=names)

        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "REMOTE_ADDR": peer}
        environ |= {"wsgi.input": io.BytesIO()} | {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        body = b"".join(self._edge(environ, start))
        return Reply(said["status"], urllib3.HTTPHeaderDict(said["headers"]), body)


@pytest.fixture
def tagged() -> LeanBottle:
    """An application with a long answer at each address: with a strong tag, a weak one, a secret."""
    app = LeanBottle()
    seen: dict[str, str | None] = {}

    def answer(**headers: str) -> HTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return HTTPResponse(b"x" * 5000, 200, named)

    @app.get("/strong")
    def strong() -> HTTPResponse:
        seen["if_none_match"] = request.get_header("If-None-Match")
        if request.get_header("If-None-Match") == '"v1"':
            return HTTPResponse(status=304, headers={"ETag": '"v1"'})
        return answer(ETag='"v1"')

    @app.put("/strong")
    def change() -> HTTPResponse:
        return HTTPResponse(status=204 if request.get_header("If-Match") in ('"v1"', 'W/"v0", "v1"') else 412)

    @app.get("/weak")
    def weak() -> HTTPResponse:
        return answer(ETag='W/"v1"')

    @app.get("/secret")
    def secret() -> HTTPResponse:
        return answer(Cache_Control=SECRET)

    return app


# -- limits


def test_an_address_above_the_limit_is_refused_and_one_at_the_limit_is_not(api: Any) -> None:
    at_limit = "/api/users?status=" + "x" * (8192 - len("/api/usersstatus="))
    assert api("GET", at_limit).json["code"] == "not_a_choice"
    answer = api("GET", at_limit + "x")
    assert (answer.status, answer.json["code"]) == (414, "target_too_long")


@pytest.mark.parametrize(("depth", "code"), [(32, "not_an_object"), (33, "too_deep"), (900, "too_deep")])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_may_be_nested_as_deeply_as_the_limit_says(
    api: Any, depth: int, code: str, opening: str, closing: str
) -> None:
    answer = api("POST", "/api/users", (opening * depth + "0" + closing * depth).encode())
    if opening == "[" or code == "too_deep":
        assert (answer.status, answer.json["code"]) == (400, code)
    else:
        assert answer.json["code"] != "too_deep"


def test_the_depth_is_a_setting(start: Any) -> None:
    api = start(MAX_JSON_DEPTH="2").api
    assert api("POST", "/api/users", {"name": {"a": 1}}).json["code"] != "too_deep"
    assert api("POST", "/api/users", {"name": {"a": {}}}).json["code"] == "too_deep"


def test_brackets_in_texts_are_not_depth_and_neither_are_brackets_side_by_side(api: Any) -> None:
    name = "[{" * 50
    created = api("POST", "/api/users", {"name": name, "email": "ada@example.com"})
    assert (created.status, created.json["name"]) == (201, name)
    assert api("POST", "/api/users", [[]] * 1000).json["code"] == "not_an_object"


def test_a_body_so_deep_that_the_parser_gives_up_is_too_deep(api: Any) -> None:
    assert api("POST", "/api/users", b"[" * 100_000).json["code"] == "too_deep"


@pytest.mark.parametrize(("value", "depth"), [(1, 0), ([], 1), ({}, 1), ([[1], {"a": [2]}], 3), ({"a": [{}]}, 3)])
def test_depth_counts_lists_and_objects_inside_each_other(value: Any, depth: int) -> None:
    assert not is_deeper(value, max(1, depth))
    assert depth < 2 or is_deeper(value, depth - 1)


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "0x10", "9" * 400, "٣"])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    app = LeanBottle()
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "CONTENT_LENGTH": length}
    environ["wsgi.input"] = io.BytesIO(b"x" * 100)
    said: list[str] = []
    edge = Edge(app, settings_from_env(LEAST), Instruments(), Tracer(0, 1, None), RequestLines())
    body = b"".join(edge(environ, lambda status, headers: said.append(status)))
    assert said[0].startswith("400") and json.loads(body)["code"] == "bad_length"


# -- security headers

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/users"),
        ("GET", "/api/users/1"),
        ("HEAD", "/api/users"),
        ("POST", "/api/users"),
        ("PATCH", "/api/users"),
        ("DELETE", "/api/nothing"),
        ("OPTIONS", "/api/users"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/docs.css"),
        ("GET", "/actuator/health"),
        ("GET", "/x" * 5000),
    ],
)
def test_every_answer_has_the_security_headers_once(api: Any, method: str, path: str) -> None:
    headers = api(method, path).headers
    assert {name: headers.getlist(name) for name in EVERYWHERE} == {name: [value] for name, value in EVERYWHERE.items()}
    assert "Strict-Transport-Security" not in headers


def test_json_is_never_stored(api: Any) -> None:
    for path in ("/api/users", "/api/users/1", "/api/settings", "/api/nothing"):
        assert api("GET", path).headers["Cache-Control"] == "no-store"


def test_the_documentation_may_load_its_own_style_and_nothing_else(api: Any) -> None:
    (policy,) = api("GET", "/api/docs").headers.getlist("Content-Security-Policy")
    assert "default-src 'none'" in policy and "style-src 'self'" in policy and "script-src" not in policy


def test_browsers_are_told_to_keep_to_https_where_a_trusted_proxy_spoke_it_or_a_setting_says_so(
    tagged: LeanBottle,
) -> None:
    proxied = Own(tagged, TRUSTED_PROXIES="10.0.0.0/8")
    https = {"x_forwarded_proto": "https", "x_forwarded_for": "203.0.113.9"}
    name, value = "Strict-Transport-Security", "max-age=63072000; includeSubDomains"
    assert proxied("/strong", peer="10.0.0.1", **https).headers[name] == value
    assert name not in proxied("/strong", peer="192.0.2.1", **https).headers
    assert name not in proxied("/strong", peer="10.0.0.1", x_forwarded_proto="http").headers
    assert name not in Own(tagged)("/strong", **https).headers
    assert Own(tagged, HSTS="true")("/strong").headers[name] == value


# -- CORS

LISTED = "https://app.example.com, https://admin.example.com:8443"


def preflight(api: Any, origin: str, method: str = "PATCH") -> Any:
    return api("OPTIONS", "/api/users/1", Origin=origin, Access_Control_Request_Method=method)


def test_a_listed_origin_may_use_every_method_and_header_with_credentials(start: Any) -> None:
    answer = preflight(start(CORS_ORIGINS=LISTED).api, "https://admin.example.com:8443")
    assert (answer.status, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://admin.example.com:8443"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Vary"] == "Origin"
    methods = answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert methods == ["GET", "POST", "PUT", "PATCH", "DELETE"]
    headers = {name.lower() for name in answer.headers["Access-Control-Allow-Headers"].split(", ")}
    assert headers >= {"authorization", "if-match", "if-none-match", "idempotency-key", "x-csrf-token", "content-type"}


def test_a_listed_origin_can_read_the_headers_that_clients_need(start: Any) -> None:
    answer = start(CORS_ORIGINS=LISTED).api("GET", "/api/users", Origin="https://app.example.com")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed >= {"ETag", "Link", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Correlation-Id"}


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "null",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.evil.io",
        "https://evil.io/https://app.example.com",
        "https://APP.example.com",
        "*",
        "",
    ],
)
def test_another_origin_gets_no_permission_and_the_answer_varies_by_origin(start: Any, origin: str) -> None:
    api = start(CORS_ORIGINS=LISTED).api
    for answer in (preflight(api, origin), api("GET", "/api/users", Origin=origin)):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert answer.headers["Vary"] == "Origin"


def test_where_all_origins_may_come_none_sends_credentials_and_null_is_refused(start: Any) -> None:
    api = start(CORS_ORIGINS="*").api
    for answer in (preflight(api, "https://any.example"), api("GET", "/api/users", Origin="https://any.example")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    for answer in (preflight(api, "null"), api("GET", "/api/users", Origin="null")):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_without_origins_there_is_no_word_of_cors(api: Any) -> None:
    answer = preflight(api, "https://app.example.com")
    assert answer.status == 204
    assert not [name for name in answer.headers if name.lower().startswith("access-control") or name == "Vary"]


# -- compression


def test_a_long_answer_is_compressed_for_who_takes_it(api: Any) -> None:
    for number in range(20):
        api("POST", "/api/users", {"name": f"User {number}", "email": f"user{number}@example.com"})
    plain = api("GET", "/api/users")
    assert "Content-Encoding" not in plain.headers
    packed = api("GET", "/api/users", Accept_Encoding="br, gzip;q=0.8")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < 0.4 * len(plain.content)
    assert packed.json == plain.json
    assert "Content-Encoding" not in api("GET", "/api/users", Accept_Encoding="gzip;q=0, br").headers


def test_an_answer_with_a_secret_is_never_compressed(tagged: LeanBottle) -> None:
    answer = Own(tagged)("/secret", accept_encoding="gzip")
    assert "Content-Encoding" not in answer.headers and answer.content == b"x" * 5000
    assert answer.headers["Cache-Control"] == "no-store, no-transform"


def test_the_compressed_form_has_a_strong_tag_of_its_own(tagged: LeanBottle) -> None:
    own = Own(tagged)
    packed, plain = own("/strong", accept_encoding="gzip"), own("/strong")
    assert (packed.headers["ETag"], plain.headers["ETag"]) == ('"v1-gzip"', '"v1"')
    assert gzip.decompress(packed.content) == plain.content
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"


def test_a_weak_tag_stands_for_both_forms(tagged: LeanBottle) -> None:
    assert Own(tagged)("/weak", accept_encoding="gzip").headers["ETag"] == 'W/"v1"'


def test_a_condition_with_the_tag_of_either_form_is_met(tagged: LeanBottle) -> None:
    own = Own(tagged)
    for tag in ('"v1"', '"v1-gzip"', 'W/"v0", "v1-gzip"'):
        assert own("/strong", "PUT", if_match=tag).status == 204
    assert own("/strong", "PUT", if_match='"v2-gzip"').status == 412


def test_an_answer_that_nothing_changed_names_the_form_that_the_client_has(tagged: LeanBottle) -> None:
    own = Own(tagged)
    for tag in ('"v1"', '"v1-gzip"'):
        answer = own("/strong", accept_encoding="gzip", if_none_match=tag)
        assert (answer.status, answer.content) == (304, b"")
        assert answer.headers["ETag"] == tag


# -- the log


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/api/users/1", "/api/users/1"),
        ('/api/"}{', '/api/"}{'),
        ("/a\r\nb", "/a%0D%0Ab"),
        ("/a\x1b[2J", "/a%1B%5B2J"),
        ("/a\x85b\x9b", "/a%85b%9B"),
        ("/\xc3\xbc", "/%C3%BC"),
        ("/" + "x" * 600, "/" + "x" * 499),
    ],
)
def test_a_path_is_logged_without_anything_that_a_terminal_obeys(path: str, shown: str) -> None:
    assert shown_path(path) == shown
