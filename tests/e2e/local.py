"""The application as plain processes of this checkout, without a cluster: to try the page and its tests quickly.

    python -m tests.e2e.local                          until Ctrl-C
    python -m tests.e2e.local pytest tests/e2e         for the length of a command, with CAPSTAN_URL set

PostgreSQL, Redis, the migrations, the backend under Granian, and nginx with the page's own configuration. The bundle
must have been built (app/frontend/build.sh).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "app/backend"))

from app.backend.tests.servers import (  # noqa: E402  (needs the path above)
    PASSWORD,
    Postgres,
    RedisServer,
    free_port,
    scratch_folder,
    until,
)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def application() -> Iterator[str]:
    """The URL of a running application."""
    with (
        scratch_folder("capstan-pg-") as data,
        scratch_folder("capstan-redis-") as cache,
        scratch_folder("web-") as web,
    ):
        postgres, redis = Postgres(data), RedisServer(cache)
        backend_port, page_port = free_port(), free_port()
        backend = {
            "PYTHONPATH": str(ROOT / "app/backend"),
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(postgres.port),
            "DATABASE_NAME": "postgres",
            "DATABASE_USER": "app",
            "DATABASE_PASSWORD": PASSWORD,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(redis.port),
            "REDIS_PASSWORD": PASSWORD,
            "BIND_ADDRESS": "127.0.0.1",
            "APP_PORT": str(backend_port),
            "MANAGEMENT_PORT": str(free_port()),
            "SHUTDOWN_DRAIN": "0",
        }
        web.chmod(0o755)
        frontend = {
            "BACKEND_URL": f"http://127.0.0.1:{backend_port}",
            "LISTEN_PORT": str(page_port),
            "STATUS_PORT": str(free_port()),
            "RUN_DIR": str(web / "run"),
            "ROOT": str(ROOT / "app/frontend/dist"),
        }
        url = f"http://127.0.0.1:{page_port}"
        migrate = [sys.executable, "-m", "backend.migrations", "migrate"]
        subprocess.run(migrate, env=os.environ | backend, check=True, stdout=subprocess.DEVNULL)
        with (
            _process([sys.executable, "-m", "backend"], backend),
            _process([str(ROOT / "app/frontend/nginx/entrypoint.sh")], frontend),
        ):
            # The backend first: nginx would log every attempt.
            until(lambda: _answers(f"http://127.0.0.1:{backend_port}/actuator/health") and _answers(url))
            yield url
        redis.kill()
        postgres.stop()


def main(command: list[str]) -> int:
    """Runs the application for the length of `command`, or until interrupted."""
    with application() as url:
        if command:
            return subprocess.run(command, env=os.environ | {"CAPSTAN_URL": url}, check=False).returncode
        print(url, flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
