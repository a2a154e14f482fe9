"""The process: Granian in front of the service, drained before it stops.

Granian's main process (pid 1 of the container) watches one worker process, which holds the applications. On SIGTERM
the main process tells the worker to be not ready, waits until the load balancers have noticed, then lets Granian finish
the requests in flight. It tells it through a pipe, not by a signal: the kernel hands a second signal that follows
closely to another thread, and Python's main thread sleeps on without having seen it.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing.util
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from backend.assembly import assemble
from backend.config import Settings
from backend.management import serve_in_background
from backend.observability.logs import configure, log_config

log = logging.getLogger(__name__)

# A request line and its headers, which are at most 100; more of either is 431 before any thread hears of it.
MAX_HEAD_BYTES = 16 * 1024
_M_ARENA_MAX = -8  # of mallopt(3)


class DrainingServer(MPServer):
    """Granian with a pause between "not ready" and "stop"; a second signal cuts it short."""

    def __init__(self, *arguments: Any, drain_s: float, notices: Connection, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.drain_s = drain_s
        self._notices = notices
        self._hurry = threading.Event()

    def signal_handler_interrupt(self, *arguments: Any, **options: Any) -> None:
        """The handler of SIGTERM and SIGINT."""
        if self.interrupt_signal:
            self._hurry.set()
        super().signal_handler_interrupt(*arguments, **options)

    def shutdown(self, exit_code: int = 0) -> None:
        """Drains, then stops. Called once, by Granian's own loop, after a signal or the worker's death."""
        alive = sum(worker.is_alive() for worker in self.wrks)
        if alive:
            log.info("draining", extra={"fields": {"seconds": self.drain_s}})
            os.write(self._notices.fileno(), b"." * alive)
            self._hurry.wait(self.drain_s)
        super().shutdown(exit_code)
        log.info("stopped")


def load_worker(settings: Settings, notices: Connection) -> Callable[..., Any]:
    """Runs in the worker: builds the applications, starts the management server, returns the service.

    A byte from `notices` means: say from now on that you are not ready.
    """
    keep_memory_small()
    configure(settings.log_level, settings.secrets())
    backend = assemble(settings)

    def drain() -> None:
        if os.read(notices.fileno(), 1):
            backend.health.drain()

    threading.Thread(target=drain, name="drain", daemon=True).start()
    serve_in_background(backend.management, settings.bind_address, settings.management_port)
    # Worker processes leave without running atexit's functions; these they do run.
    multiprocessing.util.Finalize(None, backend.close, exitpriority=10)
    # All that is there now stays, so no collection needs to look at it: each would hold all requests up for 10 ms.
    gc.collect()
    gc.freeze()
    log.info("started", extra={"fields": {"port": settings.app_port, "management_port": settings.management_port}})
    return backend.service


def keep_memory_small() -> None:
    """Threads share the memory that is free: glibc would give each an arena of its own, so that they do not wait for
    each other, which the interpreter's lock keeps them from anyway; the tables of caches, made anew by whichever thread
    comes along, would fill one arena after the other."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none, nor its habits
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; raises SystemExit(1) where the worker died."""
    notices, notify = multiprocessing.Pipe(duplex=False)
    server = DrainingServer(
        "backend.server:load_worker",
        address=settings.bind_address,
        port=settings.app_port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.http_threads,
        blocking_threads_idle_timeout=60,
        # Connections, idle ones included; who opens more waits. Each takes a few KB, and no thread.
        backpressure=16_384,
        # HTTP/2 without TLS would be a second way in, with limits of its own.
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(
            header_read_timeout=round(settings.keep_alive_s * 1000), max_buffer_size=MAX_HEAD_BYTES
        ),
        # Below that it warns of more threads than cores, which is right for threads that wait for a database.
        log_level=LogLevels.error,
        log_dictconfig=log_config(settings.log_level, settings.secrets()),
        workers_kill_timeout=max(1, round(settings.shutdown_timeout_s)),
        drain_s=settings.drain_s,
        notices=notify,
    )
    server.serve(target_loader=_Loader(settings, notices), wrap_loader=False)


class _Loader:
    """`load_worker` with its arguments, in a form that also a spawned worker can be handed."""

    def __init__(self, settings: Settings, notices: Connection) -> None:
        self._settings = settings
        self._notices = notices

    def __call__(self) -> Callable[..., Any]:
        return load_worker(self._settings, self._notices)
