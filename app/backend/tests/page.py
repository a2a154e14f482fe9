"""The page's nginx in front of the service, as its container configures it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from app.backend.tests.servers import free_port, until
from app.backend.tests.wire import exchange, request, status

FRONTEND = Path(__file__).parents[2] / "frontend"


class Page:
    """nginx, with everything it writes below `folder`. `bundle`: the page itself, where one is needed."""

    def __init__(self, folder: Path, backend_port: int, bundle: Path | None = None) -> None:
        self.port = free_port()
        html = folder / "html"
        if bundle is None:
            html.mkdir()
            (html / "index.html").write_text("<!doctype html><title>page</title>")
        else:
            shutil.copytree(bundle, html)
        # As in its container it is not root; the folder is given to whom it runs as.
        run_as: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if run_as:
            shutil.chown(folder, "nobody", "nogroup")
        self._process = subprocess.Popen(
            ["sh", str(FRONTEND / "nginx" / "entrypoint.sh")],
            env={
                "PATH": f"{os.environ['PATH']}:/usr/sbin",
                "BACKEND_URL": f"http://127.0.0.1:{backend_port}",
                "LISTEN_PORT": str(self.port),
                "STATUS_PORT": str(free_port()),
                "WORKERS": "1",
                "RUN_DIR": str(folder / "run"),
                "ROOT": str(html),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **run_as,
        )
        try:
            until(self._answers)
        except AssertionError:
            self.stop()
            raise

    def _answers(self) -> bool:
        try:
            return status(exchange(self.port, request("GET", b"/"))) == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(20)
