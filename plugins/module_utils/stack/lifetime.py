"""How long this run may work: no longer than its parent lives, and not on after it was asked to stop.

A worker of ansible outlives an `ansible-playbook` that is killed, and would go on writing where nobody watches.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from ..engine.errors import Stopped
from ..engine.runtime import Threads

GRACE_S = 10.0  # for calls in flight and for letting go of the lock
_LOOK_S = 0.25
_PR_SET_PDEATHSIG = 1
_NUDGE_S = 0.05
_LISTEN_S = 0.2
PARENT_DIED = signal.SIGRTMIN
_STOPPING = (signal.SIGTERM, signal.SIGINT)


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
        self._over = threading.Event()
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1
        self._hear, self._tell = -1, -1
        self._watcher = threading.Thread(target=self._watch, name="capstan-lifetime", daemon=True)
        self.signal: int = 0

    def __enter__(self) -> Self:
        """From now on: die with the parent; on SIGTERM and SIGINT start nothing new and end within 10 s.

        Must be entered in the main thread. SIGKILL as the signal of the parent's death would be simplest, but ansible
        passes a SIGTERM on and then ends itself at once: that would be a kill in the middle of a call. So the parent's
        death raises a signal that ends this process on the spot unless it is stopping already.

        A thread hears the signals, through a pipe that python's own handler writes to, and looks after the parent:
        the kernel may give two signals that come together to other threads than the main one, which then sleeps on.
        """
        self._hear, self._tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _heard_elsewhere) for number in (PARENT_DIED, *_STOPPING)}
        _signal_of_parents_death(int(PARENT_DIED))
        self._watcher.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if os.getppid() != self._parent:
            self._watcher.join()  # which ends this process, unless it was asked to stop
        _signal_of_parents_death(0)
        self._over.set()
        os.write(self._tell, b"\0")
        self._watcher.join()
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._hear)
        os.close(self._tell)

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

    def _asked_to_stop(self, number: int) -> None:
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

    def _watch(self) -> None:
        while True:
            self._listen(_LOOK_S)
            if self._over.is_set():
                return
            if os.getppid() != self._parent:
                self._orphaned()
                return

    def _listen(self, seconds: float) -> None:
        """Waits for a signal, and minds those that ask for an end."""
        if select.select([self._hear], [], [], seconds)[0]:
            for number in os.read(self._hear, 64):
                if number in _STOPPING:
                    self._asked_to_stop(number)

    def _orphaned(self) -> None:
        """Ends this process unless it is stopping. `may_write` holds back every write from the parent's death on, so
        there is time to hear a SIGTERM that was sent before, but waits for a thread that has not run yet."""
        deadline = time.monotonic() + _LISTEN_S
        while not (self._stop.is_set() or self._over.is_set()):
            left = deadline - time.monotonic()
            if left <= 0 and not _end_is_asked_for():
                os._exit(128 + signal.SIGKILL)
            self._listen(max(left, _NUDGE_S))


def _end_is_asked_for() -> bool:
    """Does the kernel hold a SIGTERM or SIGINT that no thread of this process has taken yet? Source: proc(5)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("ShdPnd:"):
            pending = int(line.split()[1], 16)
            return any(pending >> (number - 1) & 1 for number in _STOPPING)
    return False


def _heard_elsewhere(*_error: object) -> None:
    """Python writes to the pipe only for signals that have a handler."""


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
