"""A worker and its parent as real processes: how they end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.lease import Process
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.process import is_dead, this_process

ROOT = Path(__file__).resolve().parents[3]

# The parent passes a SIGTERM on and then ends at once, as ansible-playbook does. The worker "writes" ticks; a call that
# it has begun takes one second; asked to stop it lets go of its lock.
PARENT = """
import os, signal, sys, time
sys.path.insert(0, {collections!r})
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import Stopped
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.lifetime import Lifetime
log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
say = lambda text: os.write(log, (text + "\\n").encode())
parent = os.getpid()
worker = os.fork()
if worker == 0:
    with Lifetime(parent, say, grace_s=2.0) as lifetime:
        say(f"worker {{os.getpid()}}")
        while True:
            try:
                lifetime.may_write()
            except Stopped as stopped:
                say(f"refused: {{stopped}}")
                break
            say("call")
            until = time.monotonic() + {call_s}
            while time.monotonic() < until:
                time.sleep(0.02)
            say("answer")
        lifetime.may_let_go()
        say("lock released")
        os._exit(0)
def passed_on(number, frame):
    signal.signal(number, signal.SIG_DFL)
    os.kill(worker, number)
    os.kill(os.getpid(), number)
signal.signal(signal.SIGTERM, passed_on)
os.waitpid(worker, 0)
"""


class Pair:
    """A parent and its worker. `log`: what the worker said."""

    def __init__(self, folder: Path, call_s: float) -> None:
        self.path = folder / "log"
        script = PARENT.format(collections=str(ROOT / "collections"), log=str(self.path), call_s=call_s)
        self.parent = subprocess.Popen([sys.executable, "-c", script])
        until(lambda: "call" in self.log)
        self.worker = int(self.log[0].split()[1])

    @property
    def log(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def is_over(self) -> bool:
        return not Path(f"/proc/{self.worker}/exe").exists()

    def end(self) -> None:
        for pid in (self.parent.pid, self.worker):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.parent.wait()


def until(condition: Callable[[], bool], limit_s: float = 10.0) -> float:
    """Waits for `condition`; the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < limit_s, "waited in vain"
        time.sleep(0.01)
    return time.monotonic() - started


@pytest.fixture
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    made = Pair(tmp_path, getattr(request, "param", 1.0))
    yield made
    made.end()


@pytest.mark.parametrize("pair", [30.0], indirect=True)
def test_a_killed_parent_takes_its_worker_along_in_the_middle_of_a_call(pair: Pair) -> None:
    os.kill(pair.parent.pid, signal.SIGKILL)
    assert until(pair.is_over) < 2.0
    assert pair.log[-1] == "call"


def test_asked_to_stop_the_worker_ends_its_call_writes_nothing_new_and_lets_go_though_its_parent_is_gone(
    pair: Pair,
) -> None:
    calls = pair.log.count("call")
    pair.parent.send_signal(signal.SIGTERM)
    assert pair.parent.wait(2.0) == -signal.SIGTERM
    until(pair.is_over)
    assert pair.log[-3:] == ["answer", "refused: the run was asked to stop", "lock released"]
    assert pair.log.count("call") == calls


@pytest.mark.parametrize("pair", [60.0], indirect=True)
def test_a_call_that_does_not_end_within_the_grace_is_given_up(pair: Pair) -> None:
    os.kill(pair.worker, signal.SIGTERM)
    took = until(pair.is_over, limit_s=15.0)
    assert 1.5 < took < 10.0
    assert pair.log[-1] == "capstan: calls did not end within 2 s; ended without letting go of the lock."


def test_a_process_is_dead_only_when_that_is_certain() -> None:
    mine = this_process()
    assert mine.pid == os.getpid() and mine.scope and mine.started
    assert not is_dead(mine)
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    assert is_dead(Process("x", mine.host, mine.scope, gone.pid, "123"))
    assert is_dead(Process("x", mine.host, mine.scope, mine.pid, "1"))  # the pid is another process's now
    assert not is_dead(Process("x", mine.host, "another boot", gone.pid, "123"))
    assert not is_dead(Process("x", mine.host, "", gone.pid, "123"))
    assert not is_dead(Process("x", mine.host, mine.scope, 0, ""))


def test_a_zombie_is_dead_though_the_kernel_still_knows_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    stat = Path(f"/proc/{child.pid}/stat")
    until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z")
    mine = this_process()
    assert is_dead(Process("x", mine.host, mine.scope, child.pid, stat.read_text().rpartition(")")[2].split()[19]))
    child.wait()


ALONE = """
import os, signal, sys, time
sys.path.insert(0, {collections!r})
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.lifetime import PARENT_DIED, Lifetime
with Lifetime({parent}) as lifetime:
    {body}
    print("over", lifetime.stopping(), flush=True)
print("went on", flush=True)
"""


def alone(parent: str, body: str) -> subprocess.CompletedProcess[str]:
    """A worker whose parent is `parent` (an expression), doing `body`."""
    script = ALONE.format(collections=str(ROOT / "collections"), parent=parent, body=body)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)


def test_a_parent_that_died_before_the_watch_began_is_noticed() -> None:
    ran = alone("os.getppid() + 1", "time.sleep(10)")
    assert (ran.returncode, ran.stdout) == (137, "")


def test_work_that_ends_as_its_parent_dies_is_not_gone_on_from() -> None:
    ran = alone("os.getppid() + 1", "pass")
    assert (ran.returncode, ran.stdout) == (137, "over False\n")


def test_a_request_to_stop_that_comes_together_with_the_parents_death_is_heard_first() -> None:
    both = "{PARENT_DIED, signal.SIGTERM}"
    me = "threading.main_thread().ident"  # a signal to the process might reach another thread, and so come alone
    ran = alone(
        "os.getppid()",
        f"import threading; signal.pthread_sigmask(signal.SIG_BLOCK, {both}); signal.pthread_kill({me}, PARENT_DIED); "
        f"signal.pthread_kill({me}, signal.SIGTERM); signal.pthread_sigmask(signal.SIG_UNBLOCK, {both}); "
        "lifetime.sleep(10)",
    )
    assert (ran.returncode, ran.stdout) == (0, "over True\nwent on\n")


def test_a_request_to_stop_is_heard_while_the_main_thread_waits_for_a_lock_and_the_signal_went_to_another() -> None:
    """The main thread blocks the signal, as if the kernel had chosen another thread for it, and waits without end."""
    ran = alone(
        "os.getppid()",
        "import threading; waits = lambda: (lifetime.sleep(5), print(lifetime.stopping())); "
        "other = threading.Thread(target=waits); other.start(); "
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); "
        "os.kill(os.getpid(), signal.SIGTERM); other.join()",
    )
    assert (ran.returncode, ran.stdout) == (0, "True\nover True\nwent on\n")


def test_afterwards_signals_mean_what_they_meant_before() -> None:
    ran = alone("os.getppid()", "pass\nos.kill(os.getpid(), signal.SIGTERM)\nif True:\n    pass")
    assert ran.returncode == -signal.SIGTERM
