"""Runs one AWS API: python -m sandbox.aws --listen 127.0.0.1:4566 --state DIR [...]."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from .accounts import DEFAULT_ACCOUNT
from .server import SandboxServer
from .world import Settings


def settings_from(arguments: list[str]) -> Settings:
    """The settings that a command line describes; exits with a message for a wrong one."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.aws", description="A local AWS API.")
    parser.add_argument("--listen", default="127.0.0.1:4566", metavar="HOST:PORT", help="port 0 takes a free one")
    parser.add_argument("--state", required=True, type=Path, metavar="DIR", help="credentials, call log, databases")
    parser.add_argument("--account", action="append", default=[], metavar="ID", help="a further account (repeatable)")
    parser.add_argument("--kubernetes-endpoint", metavar="URL", help="the API server that EKS clusters answer with")
    parser.add_argument("--kubernetes-ca", type=Path, metavar="FILE", help="its certificate authority (PEM)")
    parser.add_argument("--registry", metavar="HOST:PORT", help="the registry behind ECR")
    parser.add_argument("--postgres-listen", metavar="ADDRESS", help="address of real database instances")
    parser.add_argument("--speed", choices=("fast", "real-ish"), default="fast", help="pace of transitions")
    parser.add_argument("--quirks", choices=("on", "off"), default="on", help="documented oddities of the real API")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input does")
    given = parser.parse_args(arguments)
    if (given.kubernetes_endpoint is None) != (given.kubernetes_ca is None):
        parser.error("--kubernetes-endpoint and --kubernetes-ca belong together")
    return Settings(
        state=given.state.resolve(),
        listen=given.listen,
        kubernetes_endpoint=given.kubernetes_endpoint,
        kubernetes_ca=given.kubernetes_ca,
        registry=given.registry,
        postgres_listen=given.postgres_listen,
        speed=given.speed,
        quirks=given.quirks == "on",
        with_parent=given.with_parent,
        accounts=tuple(dict.fromkeys([DEFAULT_ACCOUNT, *given.account])),
    )


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM or SIGINT, or until its parent is gone; prints the URL when it is ready."""
    settings = settings_from(arguments)
    os.umask(0o077)  # the state directory may have to be searchable; its files are the owner's only
    server = SandboxServer(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=server.serve, name="http", daemon=True).start()
    if settings.with_parent:
        threading.Thread(target=_until_end_of_input, args=(stopping,), name="parent", daemon=True).start()
    with suppress(BrokenPipeError):  # nobody listens any more
        print(f"AWS API at {server.url}", flush=True)
    stopping.wait()
    server.stop()
    # Threads of clients that still wait must not hold the process up.
    os._exit(0)


def _until_end_of_input(stopping: threading.Event) -> None:
    """Says so when the parent is gone: it holds the other end of standard input, which closes with it. The signal of a
    parent's death would come with the end of the thread that started this process, and never for an earlier death."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stopping.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
