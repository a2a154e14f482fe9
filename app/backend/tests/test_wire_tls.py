"""Redis behind TLS, as ElastiCache has it: encrypted, and only where the certificate is the server's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from backend.cache.wire import RedisError, SingleWire, command, get
from backend.config import Redis

from app.backend.tests.servers import PASSWORD, free_port, scratch_folder


def certificate(folder: Path, name: str) -> None:
    """A certificate that vouches for itself, for an address of this machine."""
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(made, check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with scratch_folder("capstan-redis-tls-") as made:
        certificate(made, "redis")
        yield made


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """The port of a Redis that speaks nothing but TLS."""
    port = free_port()
    tls = ["--tls-port", str(port), "--port", "0", "--tls-auth-clients", "no"]
    for option, name in (("cert", "cert"), ("key", "key"), ("ca-cert", "cert")):
        tls += [f"--tls-{option}-file", str(folder / f"{name}.pem")]
    rest = ["--bind", "127.0.0.1", "--save", "", "--dir", str(folder), "--requirepass", PASSWORD]
    process = subprocess.Popen(["redis-server", *tls, *rest], stdout=subprocess.DEVNULL)
    yield port
    process.kill()
    process.wait()


def settings(port: int, tls: bool = True) -> Redis:
    return Redis(host="127.0.0.1", port=port, password=PASSWORD, tls=tls, timeout_s=2)


def answers(port: int) -> bool:
    try:
        with closing(SingleWire(settings(port))) as wire:
            return wire.ask([command(b"", b"PING")]) == [b"PONG"]
    except RedisError:
        return False


def test_a_trusted_server_is_asked(port: int, folder: Path, monkeypatch: pytest.MonkeyPatch, until: Any) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
    until(lambda: answers(port))
    with closing(SingleWire(settings(port))) as wire:
        value = b"x" * 200_000
        assert wire.ask([command(b"k", b"SET", b"k", value), get(b"k")]) == [b"OK", value]


def test_a_server_that_nobody_vouches_for_is_not(
    port: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
    until(lambda: answers(port))
    certificate(tmp_path, "another")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with pytest.raises(RedisError, match="certificate verify failed"):
        SingleWire(settings(port)).ask([get(b"k")])


def test_without_tls_it_says_nothing(port: int, folder: Path, monkeypatch: pytest.MonkeyPatch, until: Any) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
    until(lambda: answers(port))
    with pytest.raises(RedisError):
        SingleWire(settings(port, tls=False)).ask([get(b"k")])
