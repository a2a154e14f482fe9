"""What tests of several folders here start."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from app.backend.tests.servers import free_port


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry on a free port, host:port, empty at first: each test takes repositories of its own."""
    folder = tmp_path_factory.mktemp("registry")
    port = free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}, "
        f"delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    binary = shutil.which("docker-registry")
    assert binary, "Debian's docker-registry is needed"
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", "--", binary, "serve", str(folder / "config.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while not _answers(port):
        assert process.poll() is None and time.monotonic() < deadline, "the registry did not start"
        time.sleep(0.03)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
