"""What ``up`` and ``down`` print: one line a step, with its duration, and a sign of life every few seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

SIGN_OF_LIFE_S = 8.0


class Step:
    """A step under way. `say` sets what its next sign of life tells, `done_as` what its last line says."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.state = ""
        self.outcome = title

    def say(self, state: str) -> None:
        """Where the step stands, such as ``812 of 2100 packages``."""
        self.state = state

    def done_as(self, outcome: str) -> None:
        """What the closing line says in place of the title."""
        self.outcome = outcome


@dataclass
class Console:
    """Prints steps to `stream`; safe to use from several threads, whose steps then interleave line by line."""

    stream: TextIO = field(default_factory=lambda: sys.stdout)
    every_s: float = SIGN_OF_LIFE_S
    quiet_below_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def line(self, text: str) -> None:
        """Prints one line at once."""
        with self._lock:
            print(text, file=self.stream, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Times what runs inside; says so every few seconds while it lasts, and how it ended."""
        step, began, over = Step(title), time.monotonic(), threading.Event()
        beat = threading.Thread(target=self._beat, args=(step, began, over), daemon=True)
        beat.start()
        try:
            yield step
        except BaseException:
            self.line(f"{_duration(began)}  {title}: failed")
            raise
        else:
            if time.monotonic() - began >= self.quiet_below_s:
                self.line(f"{_duration(began)}  {step.outcome}")
        finally:
            over.set()
            beat.join()

    def _beat(self, step: Step, began: float, over: threading.Event) -> None:
        while not over.wait(self.every_s):
            detail = f": {step.state}" if step.state else ""
            self.line(f"{_duration(began)}  … {step.title}{detail}")


def _duration(began: float) -> str:
    return f"{time.monotonic() - began:7.1f} s"
