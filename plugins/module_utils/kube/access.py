"""How a cluster is reached and who we are there: a cluster's outputs with minted tokens, or a kubeconfig."""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..engine.errors import InvalidDescription, Unreadable

RENEW_S = 60.0  # a token with less left is not used any more
Token = tuple[str, float]  # the token, and when it expires in seconds since the epoch


@dataclass
class Access:
    """One way into one cluster. `mint`: makes a fresh token (None: certificates or a fixed header are enough).

    `identity`: where our credentials come from, `remedy`: what to do when the cluster does not accept them; for people.
    """

    server: str
    tls: ssl.SSLContext
    mint: Callable[[], Token] | None = None
    header: str = ""
    server_name: str = ""  # the name in the server's certificate, where it is not the address
    proxy: str = ""
    identity: str = "the given credentials"
    remedy: str = ""
    wall: Callable[[], float] = field(default=lambda: 0.0)
    _token: Token = ("", 0.0)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def headers(self) -> dict[str, str]:
        """The request headers that say who we are; mints a token when the last one is about to expire."""
        if self.mint is None:
            return {"Authorization": self.header} if self.header else {}
        with self._lock:
            if self._token[1] - self.wall() < RENEW_S:
                self._token = self.mint()
            return {"Authorization": f"Bearer {self._token[0]}"}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """After "unauthorized" for these headers: is there another token to try?"""
        if self.mint is None:
            return False
        with self._lock:
            if refused.get("Authorization") == f"Bearer {self._token[0]}":
                self._token = self.mint()
        return True


def from_cluster(
    connection: Mapping[str, Any],
    token: Callable[[Mapping[str, Any]], Token],
    wall: Callable[[], float],
    proxy: str = "",
) -> Access:
    """Access to the cluster whose outputs `connection` holds: `endpoint`, `ca` (PEM or base64 of it)."""
    server, ca = str(connection.get("endpoint") or ""), str(connection.get("ca") or "")
    if not server or not ca:
        raise Unreadable("connect", "NoEndpoint", "the cluster has no endpoint and CA yet")
    return Access(
        server.rstrip("/"),
        _context(_pem(ca)),
        mint=lambda: token(connection),
        proxy=proxy,
        identity=f"the token that this run's AWS identity got for the cluster {connection.get('name', '')}".rstrip(),
        remedy="Give that identity (aws sts get-caller-identity) an access entry in the cluster, or run as another",
        wall=wall,
    )


def from_kubeconfig(path: Path, wall: Callable[[], float], proxy: str = "", context: str = "") -> Access:
    """Access as a kubeconfig describes it: certificates, a token, a token file or a command. Its current context."""
    config = _loaded(path)
    name = context or str(config.get("current-context") or "")
    chosen = _named(config, "contexts", "context", name, path)
    cluster = _named(config, "clusters", "cluster", str(chosen.get("cluster")), path)
    user = _named(config, "users", "user", str(chosen.get("user")), path)
    folder = path.parent
    tls = _context(_data(cluster, "certificate-authority", folder))
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    _load_client(tls, user, folder)
    return Access(
        str(cluster["server"]).rstrip("/"),
        tls,
        mint=_mint(user, folder, wall),
        header=_basic(user),
        server_name=str(cluster.get("tls-server-name") or ""),
        proxy=proxy or str(cluster.get("proxy-url") or ""),
        identity=f'the user "{chosen.get("user")}" of {path}',
        remedy="Renew that user's credentials, or give a kubeconfig whose current context has another user",
        wall=wall,
    )


def _loaded(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable("connect", "NoKubeconfig", f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InvalidDescription(f"{path} is no YAML: {error}") from error
    if not isinstance(config, Mapping):
        raise InvalidDescription(f"{path} is no kubeconfig.")
    return config


def _named(config: Mapping[str, Any], section: str, key: str, name: str, path: Path) -> Mapping[str, Any]:
    for entry in config.get(section) or ():
        if entry.get("name") == name:
            return dict(entry.get(key) or {})
    raise InvalidDescription(f'{path} has no "{name}" among its {section}.')


def _data(section: Mapping[str, Any], key: str, folder: Path) -> str:
    """The PEM in `<key>-data`, or in the file that `<key>` names; empty when there is neither."""
    if section.get(f"{key}-data"):
        return _pem(str(section[f"{key}-data"]))
    return (folder / str(section[key])).read_text(encoding="utf-8") if section.get(key) else ""


def _pem(text: str) -> str:
    if "-----BEGIN" in text:
        return text
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    if "-----BEGIN" not in decoded:
        raise InvalidDescription("a certificate or key of the cluster is neither PEM nor base64 of it.")
    return decoded


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load_client(tls: ssl.SSLContext, user: Mapping[str, Any], folder: Path) -> None:
    certificate, key = _data(user, "client-certificate", folder), _data(user, "client-key", folder)
    if certificate and key:
        with _secret_file(certificate + "\n" + key) as name:  # the ssl module takes files only
            tls.load_cert_chain(name)


@contextmanager
def _secret_file(text: str) -> Iterator[str]:
    descriptor, name = tempfile.mkstemp(prefix="capstan-")  # 0600
    try:
        os.write(descriptor, text.encode())
        os.close(descriptor)
        yield name
    finally:
        Path(name).unlink()


def _basic(user: Mapping[str, Any]) -> str:
    if not user.get("username"):
        return ""
    pair = f"{user['username']}:{user.get('password', '')}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _mint(user: Mapping[str, Any], folder: Path, wall: Callable[[], float]) -> Callable[[], Token] | None:
    if user.get("token"):
        return lambda: (str(user["token"]), float("inf"))
    if user.get("tokenFile"):
        path = folder / str(user["tokenFile"])
        return lambda: (path.read_text(encoding="utf-8").strip(), wall() + 10 * 60.0)
    if user.get("exec"):
        return lambda: _token_of_command(dict(user["exec"]), wall)
    return None


def _token_of_command(command: Mapping[str, Any], wall: Callable[[], float]) -> Token:
    """What a credential command prints: an ExecCredential. Its token is good for as long as it says, or ten minutes."""
    environment = os.environ | {str(item["name"]): str(item["value"]) for item in command.get("env") or ()}
    arguments = [str(command["command"]), *(str(item) for item in command.get("args") or ())]
    try:
        done = subprocess.run(arguments, env=environment, capture_output=True, check=True, timeout=60)
        status = json.loads(done.stdout)["status"]
        return str(status["token"]), _expiry(status.get("expirationTimestamp"), wall() + 10 * 60.0)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        what = f"{arguments[0]} gave no credentials: {type(error).__name__}"
        raise Unreadable("connect", "NoCredentials", what) from None


def _expiry(text: Any, otherwise: float) -> float:
    from datetime import datetime

    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp() if text else otherwise
