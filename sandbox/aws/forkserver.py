"""Forks sandboxes for one process of tests: `python -m sandbox.aws.forkserver`, started by `forked.py`.

Importing moto and reading the services' models takes a second or two of processor, the same in every sandbox. This
process does it once, and then nothing but forking: no thread, no account, no file of its own. Standard input is a
socket. Each byte that comes there brings three file descriptors, the new process's standard ones; the answer is its
pid, with a pidfd. The new process reads its command line and environment as one line of JSON from its standard input.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys


def warm() -> None:
    """Imports and reads what every sandbox needs, and leaves it to the forked ones' memory as it is."""
    from . import bridge, hooks

    hooks.installed()
    bridge.warm()
    gc.collect()
    gc.freeze()  # a collection in a forked process would touch, and so copy, all of it


def forked(client: socket.socket) -> list[int] | None:
    """Forks as often as `client` asks. In a new process: its three descriptors; here None, once `client` is gone."""
    children: dict[int, int] = {}  # pid of each by its pidfd
    ready = select.poll()
    ready.register(client, select.POLLIN)
    while True:
        for descriptor, _ in ready.poll():
            if descriptor in children:
                # At once: a zombie would still pass for a running sandbox.
                os.waitpid(children.pop(descriptor), 0)
                ready.unregister(descriptor)
                os.close(descriptor)
                continue
            message, standard, _, _ = socket.recv_fds(client, 1, 3)
            if not message:
                return None
            pid = os.fork()
            if pid == 0:
                return standard
            for each in standard:
                os.close(each)
            pidfd = os.pidfd_open(pid)
            children[pidfd] = pid
            ready.register(pidfd, select.POLLIN)
            socket.send_fds(client, [str(pid).encode()], [pidfd])


def become_sandbox(client: socket.socket, standard: list[int]) -> list[str]:
    """Turns this new process into one that was started like any other; its command line."""
    from moto.moto_api._internal import mock_random

    client.detach()  # its descriptor is standard input's, which is replaced now
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    asked = json.loads(sys.stdin.readline())
    os.environ.clear()
    os.environ.update(asked["environment"])
    mock_random.seed()  # all would give out the same ids otherwise
    arguments: list[str] = asked["arguments"]
    return arguments


def main() -> int:
    """Serves until the client is gone. Only new processes come back from it with a status: as sandboxes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it goes to all, and this one ends with its client
    warm()
    client = socket.socket(fileno=sys.stdin.fileno())
    standard = forked(client)
    if standard is None:
        os._exit(0)  # without taking down what was imported, object by object
    from .__main__ import main as sandbox

    return sandbox(become_sandbox(client, standard))


if __name__ == "__main__":
    sys.exit(main())
