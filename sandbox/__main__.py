"""``python -m sandbox up|down|status|env|volumes|restart``: the sandbox of this machine."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys

from sandbox import process
from sandbox.cluster import firewall, machine, owner, start, stop, volumes
from sandbox.cluster.build import BuildError
from sandbox.cluster.components import components
from sandbox.cluster.kube import Kube, KubeError
from sandbox.console import Console
from sandbox.images.build import ImageError
from sandbox.images.catalogue import APPLICATIONS, BASES
from sandbox.images.rootfs import RootfsError
from sandbox.paths import AWS_API, CLONE, REGION, PathError, Paths, paths_from

REPORTED = (BuildError, ImageError, KubeError, RootfsError, PathError, firewall.FirewallError, machine.MachineError,
            owner.OwnerError, start.StartError, stop.StopError)


def up(paths: Paths, console: Console, *, with_applications: bool) -> None:
    """Starts the sandbox, or mends and verifies the one of this clone that runs.

    `with_applications`: the application's images are built on the way, while the compiler is at work.
    """
    with owner.alone(paths):
        situation = _situation(paths)
        if situation == "ours":
            ailing = start.unhealthy(paths)
            if not ailing:
                console.line("           the sandbox runs already and is healthy")
                return
            console.line(f"           does not serve: {', '.join(ailing)}; starting it again")
        elif situation == "remains":
            console.line("           clearing away what a dead sandbox left")
            stop.remove(paths, console)
        if situation != "ours":
            _check_free(paths)
        paths.state.mkdir(parents=True, exist_ok=True)
        pushes = start.prepare(paths, console, [*BASES, *APPLICATIONS] if with_applications else BASES)
        start.configure(paths)
        start.launch(paths, console, pushes)


def down(paths: Paths, console: Console) -> None:
    """Takes the sandbox of this clone away, living or dead."""
    with owner.alone(paths):
        _situation(paths)
        stop.remove(paths, console)


def status(paths: Paths, console: Console) -> None:
    """Prints whose sandbox runs and how it is. Raises StartError when it does not serve."""
    found = owner.read(paths)
    if found is None or not owner.living(paths):
        raise start.StartError("No sandbox runs here. Start one: make up")
    console.line(f"clone    {found.clone}\nstarted  {found.started}\nstate    {paths.state}")
    for component in components(paths):
        running = process.load(paths.run / f"{component.name}.pid")
        state = f"pid {running.pid}" if running and process.is_alive(running) else "dead"
        console.line(f"{component.name:24} {state}")
    ailing = start.unhealthy(paths)
    if ailing:
        raise start.StartError(f"does not serve: {', '.join(ailing)}")


def environment(paths: Paths, console: Console) -> None:
    """Prints what points any AWS or Kubernetes client at the sandbox, as shell commands."""
    try:
        keys = json.loads((paths.aws / "credentials.json").read_text())
    except OSError:
        raise start.StartError("No sandbox runs here. Start one: make up") from None
    variables = {
        "AWS_ENDPOINT_URL": f"http://{AWS_API}",
        "AWS_ACCESS_KEY_ID": keys["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "KUBECONFIG": str(paths.kubeconfig),
    }
    for name, value in variables.items():
        console.line(f"export {name}={shlex.quote(value)}")


def _situation(paths: Paths) -> owner.Situation:
    found = owner.read(paths)
    situation = owner.situation(found, clone=str(CLONE), living=bool(owner.living(paths)),
                                state_exists=paths.state.exists())
    if situation == "foreign" and found:
        raise owner.OwnerError(owner.foreign_message(found))
    return situation


def _check_free(paths: Paths) -> None:
    occupied = start.occupied(paths)
    if occupied:
        raise start.StartError(f"Another program listens on {', '.join(occupied)}. The sandbox needs these addresses.")
    if any(firewall.has_ours(saved) for saved in firewall.snapshot().values()):
        raise start.StartError("Another Kubernetes node runs on this machine (its packet filter chains are there).")


def _restart(paths: Paths, console: Console, names: list[str]) -> None:
    """Ends the named components and starts them again with what the checkout says now."""
    wanted = [component for component in components(paths) if component.name in names]
    unknown = set(names) - {component.name for component in wanted}
    if unknown:
        known = ", ".join(component.name for component in components(paths))
        raise start.StartError(f"There is no component {', '.join(sorted(unknown))}. There are: {known}")
    with owner.alone(paths):
        if _situation(paths) != "ours":
            raise start.StartError("No sandbox of this clone runs. Start one: make up")
        for component in wanted:
            with console.step(f"restart {component.name}"):
                running = process.load(paths.run / f"{component.name}.pid")
                if running and process.is_alive(running):
                    process.end([running.pid], grace_s=5)
                start.start(paths, [component])


def _volumes(paths: Paths, console: Console, *, watch: bool) -> None:
    if watch:
        volumes.watch(paths, Kube(paths))
    for name in volumes.reset(paths, Kube(paths)):
        console.line(f"{name} is free again")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="The sandbox of this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    start_up = commands.add_parser("up", help="start it, or verify the one that runs")
    start_up.add_argument("--with-applications", action="store_true", help="build the application's images on the way")
    commands.add_parser("down", help="take it away; only the cache stays")
    commands.add_parser("status", help="whose it is, and whether it serves")
    commands.add_parser("env", help="print the variables that point clients at it")
    volume = commands.add_parser("volumes", help="clean released volumes and offer them again")
    volume.add_argument("--watch", action="store_true", help="go on doing so, for ever")
    restart = commands.add_parser("restart", help="start components anew")
    restart.add_argument("names", nargs="+", metavar="component")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Exit status 0, or 1 with one message."""
    arguments, console = _arguments().parse_args(argv), Console()
    simple = {"down": down, "status": status, "env": environment}
    try:
        paths = paths_from()
        if os.geteuid() != 0 and arguments.command not in ("status", "env"):
            raise start.StartError("The sandbox needs root: control groups, network namespaces, mounts.")
        if arguments.command == "up":
            up(paths, console, with_applications=arguments.with_applications)
        elif arguments.command == "volumes":
            _volumes(paths, console, watch=arguments.watch)
        elif arguments.command == "restart":
            _restart(paths, console, arguments.names)
        else:
            simple[arguments.command](paths, console)
    except REPORTED as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
