"""One AWS sandbox with a registry for all tests of this folder; each test, or each kind's sample, has its account."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from sandbox.aws.testing import AwsSandbox

from .harness import World
from .samples_identity import until


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry on a free port: host:port."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}, "
        f"delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    binary = shutil.which("docker-registry")
    assert binary, "Debian's docker-registry is needed"
    process = subprocess.Popen(
        [binary, "serve", str(folder / "config.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(answers)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="session")
def sandbox(registry: str) -> Iterator[AwsSandbox]:
    with AwsSandbox(registry=registry) as aws:
        aws.durations(read__lag=0)
        yield aws


@pytest.fixture
def world(sandbox: AwsSandbox) -> Iterator[World]:
    """A stack in an empty account."""
    made = World(sandbox.account())
    yield made
    made.runtime.close()
    sandbox.clear_faults()
    sandbox.allow_all()
