"""Compiles the cluster's parts from their Go modules, once a version.

A part is a folder below ``parts/`` with its locked ``go.mod`` and ``go.sum``. Its programs end up in
``<cache>/parts/<name>-<version>-<hash of the inputs>/``, moved there in one step: a folder that exists is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.console import Console, Step
from sandbox.paths import CLONE, Paths

SOURCES = Path(__file__).parent / "parts"
VERSION_PACKAGE = "k8s.io/component-base/version"


class BuildError(Exception):
    """A part could not be compiled; the message holds the compiler's last lines."""


@dataclass(frozen=True)
class Part:
    """One go.mod and the programs made from it: `programs` maps a file name to its Go package."""

    name: str
    version: str
    programs: Mapping[str, str]
    stamp: tuple[str, ...] = ()  # linker variables, ``package.name=value``

    @property
    def folder(self) -> Path:
        """The part's locked sources in the checkout."""
        return SOURCES / self.name


def _kubernetes(version: str) -> Part:
    major, minor, _ = version.split(".")
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
    stamp = (f"gitVersion=v{version}", f"gitMajor={major}", f"gitMinor={minor}")
    return Part(
        name="kubernetes",
        version=version,
        programs={name: f"k8s.io/kubernetes/cmd/{name}" for name in names},
        stamp=tuple(f"{VERSION_PACKAGE}.{variable}" for variable in stamp),
    )


# In the order in which they are built: what the start needs first comes first.
PARTS = (
    _kubernetes("1.36.3"),
    Part("etcd", "3.6.16", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Part("pause", "1", {"pause": "."}),
    Part("coredns", "1.15.0", {"coredns": "."}),
    Part("metrics-server", "0.9.0", {"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"}),
)


def input_hash(part: Part, compiler: str) -> str:
    """What decides whether a part must be compiled anew: its sources, its lock, linker variables, the compiler."""
    digest = hashlib.sha256(json.dumps([compiler, sorted(part.programs.items()), part.stamp]).encode())
    for source in sorted(part.folder.iterdir()):
        digest.update(f"{source.name}\0".encode() + source.read_bytes() + b"\0")
    return digest.hexdigest()[:8]


def built_folder(part: Part, cache: Path, compiler: str) -> Path:
    """Where the part's programs are, or will be."""
    return cache / "parts" / f"{part.name}-{part.version}-{input_hash(part, compiler)}"


def compile_command(go: str, part: Part, out: Path) -> list[str]:
    """The one compiler call that makes all programs of a part."""
    flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in part.stamp)])
    return [go, "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", flags,
            "-o", f"{out}{os.sep}", *part.programs.values()]


def go_environment(cache: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The compiler's environment: caches of our own (removed after the build), no C, no other toolchain."""
    return {
        **environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOTELEMETRY": "off",
        "GOFLAGS": "-modcacherw",
        "GOPATH": str(cache / "go"),
        "GOMODCACHE": str(cache / "go/mod"),
        "GOCACHE": str(cache / "go/build"),
    }


def build_all(paths: Paths, console: Console, parts: Sequence[Part] = PARTS) -> Iterator[tuple[Part, Path]]:
    """Yields every part with its folder, compiling those that are missing; so a caller can go on early."""
    go = str(CLONE / ".venv/bin/go")
    environment = go_environment(paths.cache, os.environ)
    compiler = _compiler_version(go, environment)
    compiled = False
    _remove_partial(paths.cache / "parts")
    for part in parts:
        folder = built_folder(part, paths.cache, compiler)
        if not folder.is_dir():
            with console.step(f"compile {part.name} {part.version}") as step:
                _compile(go, part, folder, environment, step)
                step.done_as(f"{part.name} {part.version} compiled")
            compiled = True
        yield part, folder
    if compiled:
        # 3 GB that nothing reads again: the next version brings other sources.
        with console.step("clear the compiler's caches"):
            shutil.rmtree(paths.cache / "go", ignore_errors=True)


def _remove_partial(folder: Path) -> None:
    """Removes what a killed build left. The sandbox's lock is held: no other build is under way."""
    for left in folder.glob(".*"):
        shutil.rmtree(left, ignore_errors=True)


def _compiler_version(go: str, environment: Mapping[str, str]) -> str:
    try:
        answer = subprocess.run([go, "env", "GOVERSION", "GOARCH"], env=dict(environment), capture_output=True,
                                text=True, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(f"{go} does not run ({error}). Run sandbox/bootstrap.sh.") from error
    return answer.stdout.replace("\n", " ").strip()


def _compile(go: str, part: Part, folder: Path, environment: Mapping[str, str], step: Step) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{part.name}-", dir=folder.parent) as partial:
        out = Path(partial) / "out"
        out.mkdir()
        step.say("downloading modules")
        total = _package_count(go, part, environment)
        _run_compiler(compile_command(go, part, out), part, environment, step, total)
        _name_programs(part, out)
        out.replace(folder)


def _package_count(go: str, part: Part, environment: Mapping[str, str]) -> int:
    """How many packages the part consists of: the measure of progress. Downloads the modules."""
    answer = subprocess.run([go, "list", "-mod=readonly", "-deps", *part.programs.values()], cwd=part.folder,
                            env=dict(environment), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                            check=False)
    if answer.returncode:
        raise BuildError(f"{part.name}: its modules cannot be loaded:\n{_tail(answer.stderr.splitlines())}")
    return len(answer.stdout.splitlines())


def _run_compiler(command: Sequence[str], part: Part, environment: Mapping[str, str], step: Step, total: int) -> None:
    lines: list[str] = []
    with subprocess.Popen(command, cwd=part.folder, env=dict(environment), text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            step.say(f"{len(lines)} of {total} packages")
    if process.returncode:
        raise BuildError(f"{part.name} {part.version} does not compile:\n{_tail(lines)}")


def _name_programs(part: Part, out: Path) -> None:
    """Gives each program its name: Go names it after its package's last element, or its module's."""
    if len(part.programs) == 1:
        (name,), (made,) = part.programs, out.iterdir()
        made.rename(out / name)
    missing = [name for name in part.programs if not (out / name).is_file()]
    if missing:
        raise BuildError(f"{part.name} {part.version}: the compiler made no {', '.join(missing)}.")


def _tail(lines: Sequence[str], count: int = 20) -> str:
    return "\n".join(lines[-count:])
