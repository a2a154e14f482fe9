"""From nothing to a cluster that answers: parts, keys, configuration, processes, add-ons."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox import process
from sandbox.cluster import addons, cgroups, config, machine, owner, pki, volumes
from sandbox.cluster.build import build_all
from sandbox.cluster.components import Component, components
from sandbox.cluster.kube import Kube, KubeError, object_path
from sandbox.console import Console, Step
from sandbox.images.build import Layout, build_images, build_program, push
from sandbox.images.catalogue import Image
from sandbox.paths import CLONE, DNS_IP, NODE_NAME, REGISTRY, Paths

IMAGE_PARTS = ("pause", "coredns", "metrics-server")
METRICS_API = "/apis/metrics.k8s.io/v1beta1/nodes"
READY_S = 90


class StartError(Exception):
    """The sandbox did not come up; the message names the component and holds the end of its log."""


@dataclass(frozen=True)
class Push:
    """An image of the sandbox's own, on its way into the registry."""

    layout: Layout
    tag: str


def prepare(paths: Paths, console: Console, images: Sequence[Image]) -> list[Push]:
    """Compiles the parts and builds `images` side by side; links both in the state. Answers what to push."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        building = pool.submit(build_images, paths, console, images)
        programs = _parts(paths, console)
        layouts = building.result()
    own = [Push(layouts[image.name], image.tag) for image in images if image.tag]
    return [*programs, *own]


def _parts(paths: Paths, console: Console) -> list[Push]:
    paths.bin.mkdir(parents=True, exist_ok=True)
    pushes = []
    for part, folder in build_all(paths, console):
        for name in part.programs:
            _link(paths.bin / name, folder / name)
        if part.name in IMAGE_PARTS:
            layout = build_program(paths, part.name, folder / part.name)
            pushes.append(Push(layout, part.version))
    return pushes


def _link(place: Path, target: Path) -> None:
    partial = place.with_name(f".{place.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(place)


def configure(paths: Paths) -> None:
    """Keys, certificates, kubeconfigs and configuration files. Keys that are there are kept."""
    for folder in (paths.run, paths.log, paths.config, paths.aws, paths.volumes):
        folder.mkdir(parents=True, exist_ok=True)
    if not pki.is_complete(paths.pki):
        pki.make(paths.pki)
    for path, text in config.files(paths).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        # kube-proxy ends when its file is written, changed or not.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for user in config.KUBECONFIG_USERS:
        place = paths.kubeconfig if user == "admin" else paths.config / f"{user}.kubeconfig"
        parts = ("ca.crt", f"{user}.crt", f"{user}.key")
        pki.write_private(place, config.kubeconfig(user, *((paths.pki / part).read_bytes() for part in parts)))


def launch(paths: Paths, console: Console, pushes: Iterable[Push]) -> None:
    """Starts what does not run yet and returns when the node is ready and cluster DNS has answered."""
    kube = Kube(paths)
    machine.remember(paths)
    machine.network_up()
    cgroups.create()
    first = [component for component in components(paths) if component.wave == 0]
    second = [component for component in components(paths) if component.wave == 1]
    with console.step("API server, registry, AWS API") as step:
        start(paths, first)
        _record_owner(paths)
        pushed = _in_background(lambda: _push_all(pushes))
        _wait(paths, step, first, lambda: kube.status("/readyz") == 200, "the API server's /readyz")
        _wait(paths, step, first, lambda: not _silent(first), "the daemons' addresses")
    with console.step("node and add-ons") as step:
        start(paths, second)
        addons.apply(kube, ("storage", "coredns"))
        pushed()
        addons.apply(kube, ("metrics-server",))
        volumes.reset(paths, kube)
        everything = [*first, *second]
        _wait(paths, step, everything, lambda: node_ready(kube), "the node")
        _wait(paths, step, everything, lambda: addons.dns_answers(DNS_IP), "cluster DNS")
        _wait(paths, step, everything, lambda: addons.deployment_ready(kube, "metrics-server"), "metrics-server")
        addons.apply(kube, ("metrics-api",))
        _wait(paths, step, everything, lambda: kube.status(METRICS_API) == 200, "the metrics API")


def start(paths: Paths, wanted: Iterable[Component]) -> list[str]:
    """Starts those components that do not live; answers their names."""
    started = []
    for component in wanted:
        pid_file = paths.run / f"{component.name}.pid"
        if process.is_alive(process.load(pid_file)):
            continue
        environ = {**os.environ, **component.environ, "CAPSTAN_SANDBOX_DIR": str(paths.state)}
        process.spawn(component.argv, log=paths.log / f"{component.name}.log", pid_file=pid_file,
                      mark=str(paths.state), cwd=CLONE if component.in_clone else None, environ=environ)
        started.append(component.name)
    return started


def node_ready(kube: Kube) -> bool:
    """Whether the one node says that it is ready for pods."""
    try:
        node = kube.get(object_path("Node", NODE_NAME))
    except KubeError:
        return False
    return any(condition["type"] == "Ready" and condition["status"] == "True"
               for condition in node.get("status", {}).get("conditions", []))


def unhealthy(paths: Paths) -> list[str]:
    """What does not serve in a sandbox that should, in words; empty when all is well. Well below a second."""
    dead = [c.name for c in components(paths) if not process.is_alive(process.load(paths.run / f"{c.name}.pid"))]
    if not machine.has_network():
        dead.append("the bridge")
    if dead:
        return dead
    kube = Kube(paths)
    silent = _silent(components(paths))
    if kube.status("/readyz") != 200:
        return [*silent, "the API server's /readyz"]
    if not node_ready(kube):
        silent.append("the node")
    if not addons.dns_answers(DNS_IP):
        silent.append("cluster DNS")
    return silent


def occupied(paths: Paths) -> list[str]:
    """Addresses that we need and someone else listens on, before anything of ours runs."""
    return [component.address for component in components(paths) if component.address and _taken(component.address)]


def _record_owner(paths: Paths) -> None:
    holder = process.load(paths.run / "containerd.pid")
    if holder:
        owner.write(paths, CLONE, holder)


def _push_all(pushes: Iterable[Push]) -> None:
    if not process.wait_until(lambda: _accepts(REGISTRY), READY_S):
        raise StartError("the registry does not accept connections")
    for each in pushes:
        push(each.layout, each.tag)


def _in_background(work: Callable[[], None]) -> Callable[[], None]:
    """Starts `work` in a thread; the answer waits for it and raises what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join() -> None:
        thread.join()
        if raised:
            raise raised[0]

    return join


def _wait(paths: Paths, step: Step, running: Sequence[Component], condition: Callable[[], bool], what: str) -> None:
    """Waits for `condition`; ends at once when a component has died."""
    step.say(f"waiting for {what}")

    def over() -> bool:
        dead = [c for c in running if not process.is_alive(process.load(paths.run / f"{c.name}.pid"))]
        if dead:
            raise StartError(f"{dead[0].name} ended:\n{_log_tail(paths, dead[0].name)}")
        return condition()

    if not process.wait_until(over, READY_S, every_s=0.1):
        raise StartError(f"{what} was not ready after {READY_S} s. Logs: {paths.log}")


def _silent(wanted: Iterable[Component]) -> list[str]:
    """The names of those that should accept connections and do not."""
    return [component.name for component in wanted if component.address and not _accepts(component.address)]


def _log_tail(paths: Paths, name: str, lines: int = 15) -> str:
    try:
        return "\n".join((paths.log / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def _taken(address: str) -> bool:
    """Whether someone listens on ``host:port``. Tried by binding: without our bridge, connecting would go elsewhere."""
    host, _, port = address.rpartition(":")
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, int(port)))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _accepts(address: str) -> bool:
    """Whether a TCP connection to ``host:port`` succeeds."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
