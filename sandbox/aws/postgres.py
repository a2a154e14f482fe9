"""Real PostgreSQL servers behind RDS: one process, data directory and port an instance.

Source of the behaviour: RDS User Guide, "Using SSL with a PostgreSQL DB instance" (connections without TLS are
refused from version 15 on) and "Master user account privileges" (the master is no superuser).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg2 import sql

from .postgres_template import ADMIN, BINARIES, ENVIRONMENT, PostgresFailed, Template, as_postgres

_FIRST_PORT = 15432
_PORTS = 400

_CONFIGURATION = """
listen_addresses = '{address}'
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
ssl = on
ssl_cert_file = '{directory}/server.crt'
ssl_key_file = '{directory}/server.key'
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = 16MB
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = 1GB
logging_collector = off
log_timezone = 'UTC'
timezone = 'UTC'
"""
_ACCESS = f"""
local all {ADMIN} trust
hostssl all {ADMIN} all reject
hostssl all all all scram-sha-256
"""


class PostgresServers:
    """The servers of one sandbox, below `directory`, listening on `address` (an IP of this machine).

    The certificate authority that signs their certificates is `directory`/ca.pem. What all data folders begin with is
    kept below `cache`.
    """

    def __init__(self, directory: Path, address: str, cache: Path) -> None:
        self.directory = directory
        self.address = address
        self.sockets = directory / "s"
        self._lock = threading.Lock()
        self._servers: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}
        self._reserved: set[int] = set()
        # A server ends with the thread that started it (parent death signal), so that thread must live on.
        self._launcher = ThreadPoolExecutor(1, thread_name_prefix="postgres")
        _end_leftovers(directory)
        shutil.rmtree(directory, ignore_errors=True)
        self.sockets.mkdir(parents=True)
        _let_through(directory)
        shutil.chown(self.sockets, "postgres", "postgres")
        self.sockets.chmod(0o700)
        self._template = Template(cache / "postgres")
        self._ca = _Authority(directory / "ca.pem")

    def reserve_port(self, wanted: int | None) -> int:
        """A free port for a new server: `wanted` if nobody listens there, else one of 15432 to 15831."""
        with self._lock:
            # Sandboxes beside each other begin at ports far apart, also with pids in a row: the server itself binds a
            # while after this look.
            ports = [_FIRST_PORT + (os.getpid() * 37 + step) % _PORTS for step in range(_PORTS)]
            for port in [*([wanted] if wanted else []), *ports]:
                if port not in self._reserved and _is_free(self.address, port):
                    self._reserved.add(port)
                    return port
        raise PostgresFailed("no free port")

    def create(self, name: str, port: int, user: str, password: str, database: str | None) -> None:
        """Makes and starts a server; returns when it accepts connections. Takes about a second."""
        directory = self.directory / name
        _as_postgres_directory(directory)
        self._template.copy_to(directory / "data")
        certificate, key = self._ca.issue(self.address)
        for file, content in (("server.crt", certificate), ("server.key", key)):
            _write_for_postgres(directory / file, content)
        _write_for_postgres(directory / "data" / "pg_hba.conf", _ACCESS.encode())
        settings = _CONFIGURATION.format(
            address=self.address, port=port, sockets=self.sockets, directory=directory
        )
        _write_for_postgres(directory / "data" / "postgresql.auto.conf", settings.encode())
        self.start(name, port)
        self._found(port, user, password, database)

    def _found(self, port: int, user: str, password: str, database: str | None) -> None:
        role = sql.Identifier(user)
        with self._admin(port) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE ROLE rds_superuser NOLOGIN")
            cursor.execute("GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO rds_superuser WITH ADMIN OPTION")
            cursor.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE IN ROLE rds_superuser PASSWORD {}").format(
                    role, sql.Literal(password)
                )
            )
            if database and database != "postgres":
                cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), role))

    def _admin(self, port: int) -> Any:
        connection = psycopg2.connect(
            host=str(self.sockets), port=port, user=ADMIN, dbname="postgres", connect_timeout=5
        )
        connection.autocommit = True
        return _Closing(connection)

    def start(self, name: str, port: int) -> None:
        """Starts the server `name` of which the data are there; returns when it accepts connections."""
        process = self._launcher.submit(self._launch, name).result()
        with self._lock:
            self._servers[name] = (port, process)
        deadline = threading.Event()
        for _ in range(600):
            if process.poll() is not None:
                break
            with suppress(psycopg2.OperationalError), self._admin(port):
                return
            deadline.wait(0.05)
        raise PostgresFailed(f"{name} did not start: {_tail(self.directory / name / 'log')}")

    def _launch(self, name: str) -> subprocess.Popen[bytes]:
        directory = self.directory / name
        with (directory / "log").open("ab") as log:
            return subprocess.Popen(
                [*as_postgres("QUIT"), str(BINARIES / "postgres"), "-D", str(directory / "data")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=ENVIRONMENT, start_new_session=True,
            )

    def set_password(self, name: str, user: str, password: str) -> None:
        """Changes a user's password; running connections stay."""
        with self._admin(self._servers[name][0]) as connection, connection.cursor() as cursor:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(password))
            cursor.execute(statement)

    def stop(self, name: str, number: signal.Signals = signal.SIGINT) -> None:
        """Ends the server `name`: SIGINT closes its connections, SIGQUIT does not wait for anything."""
        with self._lock:
            _, process = self._servers.pop(name, (0, None))
        if process is not None:
            process.send_signal(number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def destroy(self, name: str, port: int) -> None:
        """Ends the server and removes its data."""
        self.stop(name, signal.SIGQUIT)
        shutil.rmtree(self.directory / name, ignore_errors=True)
        with self._lock:
            self._reserved.discard(port)

    def close(self) -> None:
        """Ends all servers at once and removes everything."""
        with self._lock:
            processes = [process for _, process in self._servers.values()]
            self._servers.clear()
        for process in processes:
            process.send_signal(signal.SIGQUIT)
        for process in processes:
            try:
                process.wait(1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._launcher.shutdown(wait=False)
        shutil.rmtree(self.directory, ignore_errors=True)


class _Closing:
    """A connection that is closed, not only committed, at the end of a with statement."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __enter__(self) -> Any:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


class _Authority:
    """A certificate authority of its own, made anew with each sandbox; its key stays in memory."""

    def __init__(self, path: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox RDS CA")])
        self._certificate = (
            _certificate(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        path.chmod(0o644)

    def issue(self, address: str) -> tuple[bytes, bytes]:
        """A server certificate for an IP address, and its key; PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        made = (
            _certificate(name, self._name, key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return made.public_bytes(serialization.Encoding.PEM), private


def _certificate(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365))
    )


def _as_postgres_directory(path: Path) -> None:
    path.mkdir(parents=True)
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")
    path.chmod(0o700)


def _write_for_postgres(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def _let_through(directory: Path) -> None:
    """Lets the user postgres reach `directory`: search permission on the state directory, and those above checked."""
    for path in (directory, directory.parent):
        path.chmod(path.stat().st_mode | 0o011)
    for path in directory.parent.parents:
        if not path.stat().st_mode & 0o001:
            raise PostgresFailed(f"{path} must be searchable for all (chmod o+x), or PostgreSQL cannot reach its data")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def _end_leftovers(directory: Path) -> None:
    """Ends servers that a killed sandbox left in `directory`."""
    for file in directory.glob("*/data/postmaster.pid"):
        with suppress(OSError, ValueError):
            pid = int(file.read_text().splitlines()[0])
            if str(file.parent) in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGQUIT)


def _tail(log: Path) -> str:
    with suppress(OSError):
        return log.read_text(errors="replace")[-800:]
    return "no log"
