"""Who may do what: every role at every address, and tokens that are not ours."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from backend.keys import Key, KeyRing
from backend.service.tokens import VERIFIED_MAX, Tokens
from hypothesis import given
from hypothesis import strategies as st

from app.backend.tests.auth_help import join, log_in

SECRET = b"a signing key, thirty-two bytes."
NEW = {"name": "New", "email": "new@example.com"}

# What each may do with its own data (own) and with others', by operation. 401: nobody may without signing in.
ALLOWED: dict[str, dict[str, set[str]]] = {
    "listUsers": {"others": {"auditor", "admin"}},
    "createUser": {"others": {"admin"}},
    "getUser": {"own": {"user", "auditor", "admin"}, "others": {"auditor", "admin"}},
    "replaceUser": {"own": {"user", "auditor", "admin"}, "others": {"admin"}},
    "changeUser": {"own": {"user", "auditor", "admin"}, "others": {"admin"}},
    "deleteUser": {"own": {"user", "auditor", "admin"}, "others": {"admin"}},
    "exportUser": {"own": {"user", "auditor", "admin"}, "others": {"admin"}},
    "setRole": {"own": {"admin"}, "others": {"admin"}},
    "listAudit": {"others": {"auditor", "admin"}},
    "getMe": {"others": {"user", "auditor", "admin"}},
    "changePassword": {"others": {"user", "auditor", "admin"}},
    "logout": {"others": {"user", "auditor", "admin"}},
}


@pytest.fixture
def api(start: Any) -> Any:
    """A service that asks who is there."""
    return start(AUTH_REQUIRED="true").api


def operations(document: Any) -> dict[str, tuple[str, str, Any]]:
    """operationId -> (method, path, what the document says)."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_address_that_is_not_public_has_its_rules_here(api: Any) -> None:
    known = operations(api("GET", "/api/openapi.json").json)
    assert {name for name, (_, _, said) in known.items() if "security" in said} == set(ALLOWED)


@pytest.mark.parametrize("role", ["user", "auditor", "admin"])
def test_a_role_may_do_what_it_may_and_nothing_else(api: Any, sql: Any, role: str) -> None:
    known = operations(api("GET", "/api/openapi.json").json)
    for name, rules in ALLOWED.items():
        method, path, said = known[name]
        for whose, roles in rules.items():
            sql("DELETE FROM users")
            caller, other = join(api, "Caller", sql, role), join(api, "Other")
            body = {} if "requestBody" in said else None  # refused with 400 once the caller may
            answer = caller(method, path.replace("{user_id}", str(caller.id if whose == "own" else other.id)), body)
            assert (answer.status != 403) == (role in roles), f"{role}, {name}, {whose}: {answer.status}"
            if role not in roles:
                assert answer.json["code"] == "forbidden"


def test_whether_somebody_elses_id_exists_is_not_told(api: Any) -> None:
    ada, bob = join(api, "Ada"), join(api, "Bob")
    for method, body in (("GET", None), ("PUT", NEW), ("DELETE", None)):
        there, nowhere = (ada(method, f"/api/users/{one}", body) for one in (bob.id, 999_999))
        assert (there.status, nowhere.status) == (403, 403)
        assert there.json | {"correlation_id": ""} == nowhere.json | {"correlation_id": ""}


def test_nobody_makes_themselves_more_than_they_are(api: Any, sql: Any) -> None:
    ada = join(api, "Ada")
    for extra in ({"role": "admin"}, {"id": 1}, {"version": 9}, {"created_at": "2020-01-01T00:00:00Z"}):
        answer = ada("PUT", f"/api/users/{ada.id}", {"name": "Ada", "email": ada.email} | extra)
        assert (answer.status, answer.json["code"]) == (400, "unknown_field")
    assert ada("PUT", f"/api/users/{ada.id}/role", {"role": "admin"}).status == 403
    assert sql("SELECT role FROM accounts") == [("user",)]


def test_where_nobody_has_to_sign_in_everybody_may_do_everything_and_a_token_still_counts(start: Any) -> None:
    api = start(AUTH_REQUIRED="false").api
    ada = join(api, "Ada")
    assert api("GET", "/api/users").status == 200
    assert ada("GET", "/api/users").status == 403
    assert api("GET", "/api/auth/me").status == 401
    assert api("GET", "/api/users", Authorization="Bearer x").status == 401


def test_without_keys_there_is_no_authentication_and_none_is_documented(start: Any) -> None:
    api = start(AUTH_REQUIRED="false", AUTH_KEYS="").api
    assert not [path for path in api("GET", "/api/openapi.json").json["paths"] if "/auth/" in path]
    assert log_in(api, "ada@example.com").status == 404


# -- tokens that are not ours


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def signing_secret() -> bytes:
    """What the key's access tokens are signed with."""
    return Key("k1", SECRET).mac(b"derive", b"access")


def encode(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def forged(good: str) -> dict[str, str]:
    """Tokens that must not be taken, by what is wrong with them."""
    said, secret, now = claims(good), signing_secret(), int(time.time())
    header, body, signature = good.split(".")
    headers = {"kid": "k1", "typ": "at+jwt"}

    def signed(key: bytes = secret, algorithm: str = "HS256", **changes: Any) -> str:
        return jwt.encode({**said, **changes}, key, algorithm, headers)

    return {
        "alg none": f"{encode({'alg': 'none', 'kid': 'k1', 'typ': 'at+jwt'})}.{body}.",
        "alg none, signed": f"{encode({'alg': 'none', 'kid': 'k1', 'typ': 'at+jwt'})}.{body}.{signature}",
        "another algorithm": signed(secret + b"\0" * 32, "HS512"),  # the same key to HMAC
        "the key itself, not derived": signed(SECRET),
        "another key": signed(b"x" * 32),
        "an empty key": f"{header}.{body}.",
        "an unknown kid": jwt.encode(said, secret, "HS256", {"kid": "k2", "typ": "at+jwt"}),
        "a kid that leads elsewhere": jwt.encode(said, b"\0" * 32, "HS256", {"kid": "../../dev/null", "typ": "at+jwt"}),
        "another's id": f"{header}.{encode(said | {'sub': '1'})}.{signature}",
        "expired": _resigned(header, said | {"exp": now - 1}, secret),
        "another audience": _resigned(header, said | {"aud": "someone-else"}, secret),
        "another issuer": _resigned(header, said | {"iss": "someone-else"}, secret),
        "a login that never was": _resigned(header, said | {"sid": "0" * 32}, secret),
        "a user that never was": _resigned(header, said | {"sub": "999999"}, secret),
        "other bits at the end": good[:-1] + ("B" if good[-1] == "A" else "A"),
        "a segment more": f"{good}.x",
        "nothing": "",
        "no token": "x",
        "very long": "x" * 5000,
    }


def _resigned(header: str, said: dict[str, Any], secret: bytes) -> str:
    """With our own header and signature: only the claims are wrong."""
    signed = f"{header}.{encode(said)}"
    mac = hmac.new(secret, signed.encode(), "sha256").digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_no_forged_token_is_taken(api: Any) -> None:
    ada = join(api, "Ada")
    good = ada.tokens["access_token"]
    same = _resigned(good.split(".")[0], claims(good), signing_secret())
    assert ada("GET", "/api/auth/me", Authorization=f"Bearer {same}").status == 200, "this is how they are made"
    for wrong, token in forged(good).items():
        answer = ada("GET", "/api/auth/me", Authorization=f"Bearer {token}")
        assert (answer.status, answer.json["code"]) == (401, "bad_token"), wrong
    assert ada("GET", "/api/auth/me", Authorization=f"Basic {good}").status == 401


def test_tokens_of_one_purpose_are_worth_nothing_for_another(api: Any) -> None:
    tokens = join(api, "Ada").tokens
    for kind in ("refresh_token", "csrf_token"):
        assert api("GET", "/api/auth/me", Authorization=f"Bearer {tokens[kind]}").status == 401
    for kind in ("access_token", "csrf_token"):
        assert api("POST", "/api/auth/refresh", {"refresh_token": tokens[kind]}).status in (400, 401)


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens(KeyRing([Key("k1", SECRET)]))


@given(st.text(max_size=200), st.integers(0, 2))
def test_no_text_at_all_upsets_the_reader_of_tokens(tokens: Tokens, text: str, at: int) -> None:
    parts = tokens.access(1, "0" * 32).split(".")
    parts[at] = text
    assert tokens.read_access(".".join(parts)) is None
    assert tokens.read_access(text) is None
    assert tokens.read_refresh(text) is None
    assert tokens.read_refresh(f"k1.{text}") is None
    assert tokens.is_csrf(text, "0" * 32) is False


@given(st.integers(1, 2**63 - 1), st.uuids(), st.integers(0, 2**31))
def test_what_is_written_is_read_again(tokens: Tokens, user_id: int, login: Any, serial: int) -> None:
    read = tokens.read_access(tokens.access(user_id, login.hex))
    assert read is not None and (read.user_id, read.login) == (user_id, login.hex)
    again = tokens.read_refresh(tokens.refresh(login.hex, serial))
    assert again is not None and (again.login, again.serial) == (login.hex, serial)
    assert tokens.is_csrf(tokens.csrf(login.hex), login.hex)


def test_any_changed_character_breaks_an_access_token(tokens: Tokens) -> None:
    good = tokens.access(7, "0" * 32)
    for at, character in enumerate(good):
        other = "A" if character != "A" else "B"
        assert tokens.read_access(good[:at] + other + good[at + 1 :]) is None


def test_an_independent_reader_of_jwt_agrees(tokens: Tokens) -> None:
    token = tokens.access(7, "0" * 32)
    said = jwt.decode(token, signing_secret(), ["HS256"], audience="capstan-api", issuer="capstan")
    assert said["sub"] == "7"


def test_a_token_is_over_at_its_second() -> None:
    now = [1000.0]
    tokens = Tokens(KeyRing([Key("k1", SECRET)]), clock=lambda: now[0])
    token = tokens.access(1, "0" * 32)
    now[0] = 4599.9
    assert tokens.read_access(token) is not None
    now[0] = 4600.0
    assert tokens.read_access(token) is None


def test_of_very_many_tokens_the_oldest_are_forgotten_and_verified_anew() -> None:
    tokens = Tokens(KeyRing([Key("k1", SECRET)]))
    given = [tokens.access(user_id, "login") for user_id in range(VERIFIED_MAX + 500)]
    for user_id, token in enumerate(given):
        claims = tokens.read_access(token)
        assert claims is not None and claims.user_id == user_id
        assert len(tokens._verified) <= VERIFIED_MAX
    first = tokens.read_access(given[0])
    assert first is not None and first.user_id == 0
