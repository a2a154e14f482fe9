"""A sandbox for tests: `with AwsSandbox() as aws: aws.client("ec2").create_vpc(...)`.

Runs as a process of its own on a free port, so its state is nobody else's and it can be killed; it ends with the
process that started it, however that one ends. It is forked from one that has everything imported (`forkserver.py`):
the first start in a test session takes two seconds of processor, each further one some hundredths. A whole session may
also share one and give each test an account: `aws.account()` is empty and fresh in a millisecond.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import secrets
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.config import Config

from .forked import Forked, ForkServer, ForkServerEnded
from .state_folder import temporary_state

_fork_server = ForkServer()
_FAST_RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=2, read_timeout=60)


_session_lock = threading.Lock()


@functools.cache
def _session() -> Any:
    """One session for all clients: it reads each service's model once."""
    return boto3.session.Session()


class SandboxError(Exception):
    """The sandbox did not start, or refused a control request; the text says why."""


class Account:
    """One account of a sandbox: its keys and boto3 clients."""

    def __init__(self, sandbox: AwsSandbox, account_id: str, access_key_id: str, secret_access_key: str) -> None:
        self.sandbox = sandbox
        self.id = account_id
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self._clients: dict[tuple[str, str], Any] = {}

    def environment(self) -> dict[str, str]:
        """The variables that point any AWS client at this account."""
        return {
            "AWS_ENDPOINT_URL": self.sandbox.url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, region: str = "us-east-1", **overrides: Any) -> Any:
        """A boto3 client that never retries by itself; `overrides` go to boto3 (config, aws_secret_access_key …)."""
        key = (service, region)
        if overrides or key not in self._clients:
            with _session_lock:  # making clients is not thread-safe, using them is
                made = _session().client(
                    service,
                    **{
                        "region_name": region,
                        "endpoint_url": self.sandbox.url,
                        "aws_access_key_id": self.access_key_id,
                        "aws_secret_access_key": self.secret_access_key,
                        "config": _FAST_RETRIES,
                        **overrides,
                    },
                )
            if overrides:
                return made
            self._clients[key] = made
        return self._clients[key]

    def calls(self, since: int | None = None) -> list[dict[str, Any]]:
        """This account's finished calls after `since` (a mark of the sandbox; default: its last `mark()`)."""
        return [call for call in self.sandbox.calls(since) if call["account"] == self.id]


class AwsSandbox(Account):
    """A running AWS API; itself its default account. Arguments become command line options (quirks="off" …)."""

    _ids = itertools.count(secrets.randbelow(800_000_000_000) + 100_000_000_000)

    def __init__(
        self, state: Path | str | None = None, listen: str = "127.0.0.1:0", **options: str | Path | None
    ) -> None:
        self._made_state = temporary_state() if state is None else None
        self.state = Path(state if state is not None else self._made_state.name if self._made_state else ".")
        self._arguments = ["--listen", listen, "--state", str(self.state), "--with-parent"]
        for name, value in options.items():
            if value is not None:
                self._arguments += [f"--{name.replace('_', '-')}", str(value)]
        self._process: Forked | None = None
        self._mark = 0
        self.url = ""

    def start(self) -> Self:
        """Starts the process and waits until it answers. Raises SandboxError when it ends instead."""
        try:
            process = self._process = _fork_server.fork(self._arguments, os.environ)
        except ForkServerEnded as error:
            raise SandboxError(str(error)) from error
        line = process.stdout.readline()
        if " at " not in line:
            told = process.stderr.read().strip()
            self.stop()
            raise SandboxError(f"the AWS sandbox ended: {told}")
        # Nobody reads stderr further on; a full pipe would stop the process.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        self.url = line.strip().rpartition(" at ")[2]
        keys = json.loads((self.state / "credentials.json").read_text())
        super().__init__(self, "123456789012", keys["access_key_id"], keys["secret_access_key"])
        return self

    def stop(self) -> None:
        """Ends the process; its databases go with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)  # databases that are just being made end first
            self._process.close()
            self._process = None
        if self._made_state is not None:
            self._made_state.cleanup()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def credentials(self) -> dict[str, str]:
        return {"aws_access_key_id": self.access_key_id, "aws_secret_access_key": self.secret_access_key}

    def control(self, method: str, path: str, body: Any = None, timeout_s: float = 30) -> Any:
        """One request to the sandbox's own interface, e.g. control("GET", "faults"). Raises SandboxError."""
        request = urllib.request.Request(
            f"{self.url}/_sandbox/{path}", method=method, headers={"Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SandboxError(f"{method} {path}: {error.read().decode()}") from error

    def account(self, account_id: str | None = None) -> Account:
        """A further account, by default one that nobody used before."""
        made = self.control("POST", "accounts", {"id": account_id or str(next(self._ids))})
        return Account(self, made["id"], made["access_key_id"], made["secret_access_key"])

    def mark(self) -> int:
        """Remembers the present end of the call log; `calls()` begins there."""
        self._mark = int(self.control("GET", "calls?since=999999999")["last"])
        return self._mark

    def calls(self, since: int | None = None) -> list[dict[str, Any]]:
        """The finished calls of all accounts after `since` (default: the last `mark()`)."""
        answer = self.control("GET", f"calls?since={self._mark if since is None else since}")
        found: list[dict[str, Any]] = answer["calls"]
        return found

    def fault(self, kind: str, match: dict[str, Any] | None = None, **effect: Any) -> int:
        """Adds one fault rule: fault("drop_after", {"operation": "CreateVpc"}); its id."""
        rule = {"match": match or {}, "effect": {"kind": kind, **effect}}
        return int(self.control("POST", "faults", rule)["ids"][0])

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def fault_hits(self, rule: int) -> list[int]:
        """The numbers of the calls that a rule acted on."""
        return next(list(each["hits"]) for each in self.control("GET", "faults") if each["id"] == rule)

    def waiting(self, wait_s: float = 5.0) -> list[dict[str, Any]]:
        """The calls that wait at a barrier; waits up to `wait_s` for the first."""
        found: list[dict[str, Any]] = self.control("GET", f"barrier?wait_s={wait_s}", timeout_s=wait_s + 10)
        return found

    def decide(self, call: int, verdict: str) -> None:
        """Lets the waiting call number `call` "continue" or "drop"."""
        if not self.control("POST", "barrier", {"n": call, "verdict": verdict})["found"]:
            raise SandboxError(f"call {call} does not wait")

    def deny(self, actions: Iterable[str], access_key: str | None = None) -> None:
        self.control("POST", "deny", {"actions": list(actions), "access_key": access_key})

    def allow_all(self) -> None:
        self.control("DELETE", "deny")

    def durations(self, **seconds: float) -> None:
        """Changes transition times; dots of the names are written as double underscores: iam__propagation=0."""
        self.control("POST", "clock", {"durations": {n.replace("__", "."): s for n, s in seconds.items()}})

    def quirks(self, off: Iterable[str] = (), on: Iterable[str] = ()) -> None:
        """Switches quirks by name; "*" means all."""
        self.control("POST", "quirks", {"off": list(off), "on": list(on)})

    def reset(self) -> None:
        """Empties every account; faults, denials and call records go too."""
        self.control("POST", "reset")
