"""Where the sandbox keeps things, and the addresses it is reached at.

Two places: the *state* (one environment, forgotten by ``down``) and the *cache* (compiled parts and images,
kept by version). Both can be moved by environment variables; sockets lie below the state, so its path must be short.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent

BRIDGE = "capbr0"
NODE_IP = "10.77.0.1"
POD_CIDR = "10.77.0.0/24"
SERVICE_CIDR = "10.78.0.0/24"
SERVICE_IP = "10.78.0.1"
DNS_IP = "10.78.0.10"
NODE_NAME = "sandbox"
NODE_PORTS = "30000-30999"
CLUSTER_DOMAIN = "cluster.local"

API_PORT = 16443
KUBERNETES = f"https://{NODE_IP}:{API_PORT}"
REGISTRY = "127.0.0.1:5000"
AWS_API = "127.0.0.1:4566"
AUTHENTICATOR = "127.0.0.1:21362"
ETCD_PORT, ETCD_PEER_PORT = 12379, 12380
APPLICATION_URL = "http://127.0.0.1:30080"
REGION = "us-east-1"

# A Unix socket's path holds at most 107 bytes (unix(7)); the longest one below the state is the shim's.
LONGEST_STATE = 60


class PathError(Exception):
    """The chosen state folder cannot hold a sandbox."""


@dataclass(frozen=True)
class Paths:
    """The folders of one sandbox: `state` goes with ``down``, `cache` stays."""

    state: Path
    cache: Path

    @property
    def run(self) -> Path:
        """Sockets, pid files and what else dies with the processes."""
        return self.state / "run"

    @property
    def log(self) -> Path:
        """One log file a component, the API server's audit log and the pods' logs."""
        return self.state / "log"

    @property
    def pki(self) -> Path:
        """Keys and certificates; files are 0600."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """Configuration files rendered at start."""
        return self.state / "config"

    @property
    def bin(self) -> Path:
        """Links to the compiled parts in use."""
        return self.state / "bin"

    @property
    def volumes(self) -> Path:
        """The folders behind the persistent volumes."""
        return self.state / "volumes"

    @property
    def images(self) -> Path:
        """Links to the OCI layouts in use, one an image name."""
        return self.state / "images"

    @property
    def aws(self) -> Path:
        """What the AWS API keeps: its call log, credentials and databases."""
        return self.state / "aws"

    @property
    def owner(self) -> Path:
        """Which clone made this sandbox."""
        return self.state / "owner.json"

    @property
    def before(self) -> Path:
        """What the machine's settings were before the sandbox changed them."""
        return self.state / "before.json"

    @property
    def lock(self) -> Path:
        """Held by the one ``up`` or ``down`` at work; beside the state, which comes and goes."""
        return self.state.parent / f"{self.state.name}.lock"

    @property
    def kubeconfig(self) -> Path:
        """The operator's access to the cluster, as administrator."""
        return self.state / "kubeconfig"

    @property
    def admin_kubeconfig_client(self) -> tuple[Path, Path, Path]:
        """CA, certificate and key of the administrator."""
        return self.pki / "ca.crt", self.pki / "admin.crt", self.pki / "admin.key"

    def socket(self) -> Path:
        """containerd's socket."""
        return self.run / "containerd.sock"


def paths_from(environ: Mapping[str, str] | None = None) -> Paths:
    """The folders that `environ` asks for (default: this process's). Raises PathError for a path that is too long."""
    environ = os.environ if environ is None else environ
    state = Path(environ.get("CAPSTAN_SANDBOX_DIR") or "/var/lib/capstan/sandbox")
    cache = Path(environ.get("CAPSTAN_CACHE_DIR") or "/var/cache/capstan")
    for name, path in (("CAPSTAN_SANDBOX_DIR", state), ("CAPSTAN_CACHE_DIR", cache)):
        if not path.is_absolute():
            raise PathError(f"{name}={path}: give an absolute path.")
    if len(str(state)) > LONGEST_STATE:
        raise PathError(
            f"CAPSTAN_SANDBOX_DIR={state}: longer than {LONGEST_STATE} characters, and socket paths are limited. "
            "Choose a shorter one."
        )
    return Paths(state=state, cache=cache)
