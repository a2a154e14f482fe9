"""Accounts of the sandbox, their access keys and the principals behind them."""

from __future__ import annotations

import json
import os
import secrets
import string
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

DEFAULT_ACCOUNT = "123456789012"
_KEY_ALPHABET = string.ascii_uppercase + "234567"


@dataclass(frozen=True)
class Principal:
    """Who signs: an IAM user or an assumed role session. `secret` and `token` are kept out of repr."""

    access_key: str
    account: str
    arn: str
    user_id: str
    secret: str = ""
    token: str | None = None
    expires: datetime | None = None

    def __repr__(self) -> str:
        return f"Principal({self.access_key}, {self.arn})"


class UnknownAccount(Exception):
    """An account id that the sandbox does not have."""


class Accounts:
    """All accounts and keys of one sandbox; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._principals: dict[str, Principal] = {}
        self._operators: dict[str, Principal] = {}

    def add(self, account: str) -> Principal:
        """The operator of `account` (12 digits); the account is made when it is new."""
        if len(account) != 12 or not account.isdigit():
            raise UnknownAccount(f"an account id has 12 digits, not {account!r}")
        with self._lock:
            if account not in self._operators:
                principal = Principal(
                    access_key=_new_key("AKIA"),
                    account=account,
                    arn=f"arn:aws:iam::{account}:user/operator",
                    user_id=_new_key("AIDA"),
                    secret=secrets.token_urlsafe(30),
                )
                self._operators[account] = self._principals[principal.access_key] = principal
            return self._operators[account]

    def knows(self, account: str) -> bool:
        return account in self._operators

    def find(self, access_key: str) -> Principal | None:
        return self._principals.get(access_key)

    def open_session(self, account: str, role: str, role_id: str, session: str, lifetime_s: int) -> Principal:
        """Temporary credentials of a role session, valid for `lifetime_s` seconds."""
        principal = Principal(
            access_key=_new_key("ASIA"),
            account=account,
            arn=f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
            user_id=f"{role_id}:{session}",
            secret=secrets.token_urlsafe(30),
            token=secrets.token_urlsafe(60),
            expires=datetime.now(UTC) + timedelta(seconds=lifetime_s),
        )
        with self._lock:
            self._principals[principal.access_key] = principal
        return principal

    def save(self, path: Path, endpoint_url: str, region: str) -> None:
        """Writes the operators' keys to `path`, readable by the owner only."""
        default = self._operators[DEFAULT_ACCOUNT]
        document = {
            "access_key_id": default.access_key,
            "secret_access_key": default.secret,
            "region": region,
            "endpoint_url": endpoint_url,
            "accounts": {account: keys_of(principal) for account, principal in sorted(self._operators.items())},
        }
        staged = path.with_suffix(".new")
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(document, file, indent=1)
        staged.replace(path)


def keys_of(principal: Principal) -> dict[str, str]:
    """What a client needs to sign as `principal`."""
    return {"access_key_id": principal.access_key, "secret_access_key": principal.secret}


def _new_key(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16))
