"""How long this run may work: no longer than its parent lives, and not on after it was asked to stop.

A worker of ansible outlives an `ansible-playbook` that is killed, and would go on writing where nobody watches.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from ..engine.errors import Stopped
from ..engine.runtime import Threads

GRACE_S = 10.0  # for calls in flight and for letting go of the lock
_LOOK_S = 0.25
_PR_SET_PDEATHSIG = 1
_NUDGE_S = 0.05
_LISTEN_S = 1.0
PARENT_DIED = signal.SIGRTMIN  # above SIGTERM: of signals that came together python handles the lowest first


class Lifetime:
    """Watches the parent and the signals of one process. `last_words` gets what has to be said when nobody may be
    listening any more."""

    def __init__(
        self, parent: int, last_words: Callable[[str], None] = lambda text: None, grace_s: float = GRACE_S
    ) -> None:
        self._parent = parent
        self._grace_s = grace_s
        self._last_words = last_words
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._before: dict[int, Any] = {}
        self.signal: int = 0

    def __enter__(self) -> Self:
        """From now on: die with the parent; on SIGTERM and SIGINT start nothing new and end within 10 s.

        Must be entered in the main thread. SIGKILL as the signal of the parent's death would be simplest, but ansible
        passes a SIGTERM on and then ends itself at once: that would be a kill in the middle of a call. So the parent's
        death raises a signal that ends this process on the spot unless it is stopping already, and a thread that looks
        after the parent by itself does the same.
        """
        handlers = {
            PARENT_DIED: self._orphaned,
            signal.SIGTERM: self._asked_to_stop,
            signal.SIGINT: self._asked_to_stop,
        }
        self._before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        _signal_of_parents_death(int(PARENT_DIED))
        threading.Thread(target=self._look_after_parent, name="capstan-parent", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        _signal_of_parents_death(0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stopping(self) -> bool:
        """Was this run asked to stop?"""
        return self._stop.is_set()

    def may_write(self) -> None:
        """Raises Stopped when nothing new may be written."""
        if self._stop.is_set():
            raise Stopped("the run was asked to stop")
        self.may_let_go()

    def may_let_go(self) -> None:
        """Raises Stopped when not even the lock may be released: nobody asked for an end, but the parent is gone."""
        if os.getppid() != self._parent and not self._stop.is_set():
            raise Stopped("the process that started this run is gone")

    def sleep(self, seconds: float) -> None:
        """Sleep; short naps once the run is stopping, so that its loops see that soon."""
        if self._stop.wait(seconds):
            time.sleep(min(seconds, _NUDGE_S))

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        with self._lock:
            if self._stop.is_set():
                return
            self.signal = number
            self._stop.set()
        timer = threading.Timer(self._grace_s, self._give_up)
        timer.daemon = True
        timer.start()

    def _give_up(self) -> None:
        if self._over.is_set():
            return
        words = f"capstan: calls did not end within {self._grace_s:.0f} s; ended without letting go of the lock."
        self._last_words(words)
        os._exit(128 + self.signal)

    def _orphaned(self, *_signal: Any) -> None:
        """Ends this process unless it is stopping. `may_write` holds back every write from the parent's death on, so
        there is time to hear a SIGTERM that was sent before, but reached a thread that has not run yet."""
        if not self._stop.is_set():
            time.sleep(_LISTEN_S)
        if not self._stop.is_set():
            os._exit(128 + signal.SIGKILL)

    def _look_after_parent(self) -> None:
        while not self._over.wait(_LOOK_S):
            if os.getppid() != self._parent:
                self._orphaned()
                return


def _signal_of_parents_death(number: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


class StoppableThreads(Threads):
    """The engine's real runtime, whose sleeps end when the run is asked to stop."""

    def __init__(self, lifetime: Lifetime) -> None:
        super().__init__()
        self._lifetime = lifetime

    def sleep(self, seconds: float) -> None:
        self._lifetime.sleep(seconds)


def words_to(descriptor: int) -> Callable[[str], None]:
    """Says a line through a file descriptor of the parent, where ansible's own way is closed already."""

    def say(text: str) -> None:
        try:
            os.write(descriptor, f"{text}\n".encode())
        except OSError:
            return

    return say


def errors_of(pid: int) -> Callable[[str], None]:
    """The way to another process's standard error, opened now so that it is there when that process is gone."""
    try:
        return words_to(os.open(f"/proc/{pid}/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:  # a socket, or no /proc
        return lambda text: None
