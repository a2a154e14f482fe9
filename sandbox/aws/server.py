"""The HTTP server around the gateway, and what it takes to start and stop one sandbox in a process."""

from __future__ import annotations

import threading
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from . import bridge, registration
from .control import Control
from .gateway import Gateway
from .world import DEFAULT_REGION, Settings, World


class _Handler(WSGIRequestHandler):
    """Keeps connections alive, answers without delay and prints nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one packet

    def log(self, type: str, message: str, *args: Any) -> None:
        pass

    def connection_dropped(self, error: BaseException, environ: dict[str, Any] | None = None) -> None:
        self.close_connection = True


class _Server(ThreadedWSGIServer):
    daemon_threads = True
    request_queue_size = 256


class SandboxServer:
    """One sandbox: its world, listening on `settings.listen` ("host:0" takes a free port)."""

    def __init__(self, settings: Settings) -> None:
        bridge.prepare()
        self.world = World(settings)
        host, _, port = settings.listen.rpartition(":")
        control = Control(self.world, self.reset, self.save_credentials)
        self._http = _Server(host, int(port), Gateway(self.world, control), handler=_Handler)
        self.port = int(self._http.server_port)
        self.url = f"http://{host}:{self.port}"
        self.save_credentials()
        self._record = registration.register(self.world.settings, self.port)
        threading.Thread(target=bridge.preload, name="preload", daemon=True).start()

    def save_credentials(self) -> None:
        self.world.accounts.save(self.world.settings.state / "credentials.json", self.url, DEFAULT_REGION)

    def reset(self) -> None:
        """Everything as just started, but for keys and quirks."""
        world = self.world
        with world.lock:
            world.faults.remove()
            world.permissions.clear()
            world.clock.forget()
            world.close_resources()
            world.forget_stores()
            bridge.forget()
            world.calls.clear()

    def serve(self) -> None:
        """Answers requests until `stop`."""
        self._http.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Stops listening and everything that was started for this sandbox."""
        self._http.shutdown()
        self._http.server_close()
        if self._record:
            self._record.unlink(missing_ok=True)
        self.world.faults.remove()
        self.world.clock.stop()
        self.world.close_resources()
        self.world.calls.close()
