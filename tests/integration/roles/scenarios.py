"""Runs Molecule scenarios against an AWS API of their own and the machine's cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.aws.testing import AwsSandbox
from sandbox.cluster.components import KUBERNETES
from sandbox.paths import NODE_IP, REGISTRY, Paths, paths_from

ROOT = Path(__file__).resolve().parents[3]
NAMES = tuple(sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")))
_TIMEOUT_S = 420


@dataclass(frozen=True)
class Ended:
    """How a command ended. `text`: everything that it printed."""

    code: int
    text: str


def aws_beside_the_cluster(paths: Paths) -> AwsSandbox:
    """An AWS API on a free port, whose clusters, images and databases are real ones on this machine."""
    return AwsSandbox(
        kubernetes_endpoint=KUBERNETES,
        kubernetes_ca=paths.pki / "ca.crt",
        registry=REGISTRY,
        postgres_listen=NODE_IP,
    )


def machine() -> Paths:
    """Where this machine's sandbox is."""
    return paths_from(os.environ)


def environment(aws: AwsSandbox, paths: Paths) -> dict[str, str]:
    """The variables that a scenario needs."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "ANSIBLE_", "MOLECULE_"))}
    tools = (str(Path(sys.executable).parent), str(paths.bin))
    return {
        **kept,
        **aws.environment(),
        "KUBECONFIG": str(paths.kubeconfig),
        "CAPSTAN_SANDBOX_DIR": str(paths.state),
        "PATH": ":".join((*tools, os.environ.get("PATH", ""))),
        "NO_COLOR": "1",
    }


def molecule(tree: Path, action: str, scenario: str, variables: Mapping[str, str], ephemeral: Path) -> Ended:
    """`molecule ACTION -s SCENARIO` in a checkout. `ephemeral`: a folder for its own state."""
    done = subprocess.run(
        ["molecule", action, "-s", scenario],
        cwd=tree,
        env={**variables, "MOLECULE_EPHEMERAL_DIRECTORY": str(ephemeral)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout)


def copy_of_the_collection(folder: Path) -> Path:
    """A checkout whose roles can be spoiled: everything else is the one that is tested."""
    tree = folder / "tree"
    tree.mkdir()
    for name in ("plugins", "meta", "galaxy.yml", "pyproject.toml"):
        (tree / name).symlink_to(ROOT / name)
    for name in ("roles", "molecule"):
        shutil.copytree(ROOT / name, tree / name)
    home = tree / "collections/ansible_collections/capstan"
    home.mkdir(parents=True)
    (home / "fullstack").symlink_to(tree)
    return tree
