"""`make bench`: what a run costs that has nothing to do, beside the same work done by the tools that people use today.

Compared are whole fresh processes on the same APIs: this collection's playbook, all of it and narrowed to the AWS part
and to the Kubernetes part; a playbook of amazon.aws and community.aws for the same AWS resources in an account of its
own; and for the same Kubernetes objects kubectl (alone, and called by a playbook) and kubernetes.core. They take turns,
a round each; everything was converged and run once before. The AWS API answers at the pace of this machine, then with a
delay for each call, as a real one has. The cluster is the sandbox's (`make up` first); AWS API and namespace are the
benchmark's own.

    python -m tests.bench --rounds 5 --delay-ms 0 50 --only aws kubernetes all
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .contest import Contestant, Logs, RunFailed, Taken, measured, table
from .ground import MANAGER, ROOT, BenchError, Ground
from .programs import PLAYBOOKS, installed

AWS_ROLES = ("network", "identity", "cluster", "registry", "database", "dns")
KUBERNETES_ROLES = ("namespace", "settings", "redis", "backend", "frontend")
GROUPS = ("all", "aws", "kubernetes")


def own(ground: Ground) -> dict[str, list[Contestant]]:
    """This collection's runs, by group; and the floor, which is what an `ansible-playbook` costs that does nothing."""
    operator = f"arn:aws:iam::{ground.ours.id}:user/operator"

    def contestant(group: str, title: str, *components: str, ours: bool = True, check: bool = False) -> Contestant:
        return Contestant(
            group=group,
            title=title,
            command=(*ground.site(*components), *(["--check"] if check else [])),
            environment=ground.environment(ground.ours) | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            folder=ROOT,
            account=ground.ours.id,
            kube_user=operator,
            ours=ours,
        )

    return {
        "all": [contestant("all", "site.yml"), contestant("all", "site.yml --check", ours=False, check=True)],
        "aws": [contestant("aws", "site.yml, its AWS roles", *AWS_ROLES)],
        "kubernetes": [contestant("kubernetes", "site.yml, its Kubernetes roles", *KUBERNETES_ROLES)],
    }


def peers(ground: Ground, programs: Path, manifests: Path | None) -> dict[str, list[Contestant]]:
    """What is measured beside them."""
    playbook = (str(programs / "ansible-playbook"), "-i", "localhost,")
    variables = json.dumps({"manager": MANAGER, "manifests": str(manifests), "kubectl": ground.kubectl_as_peer})
    environment = ground.environment(ground.theirs) | {"ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg")}

    def contestant(group: str, title: str, command: Iterable[str], kube: bool = False) -> Contestant:
        return Contestant(
            group=group,
            title=title,
            command=tuple(command),
            environment=environment,
            folder=PLAYBOOKS,
            account="" if kube else ground.theirs.id,
            kube_user=ground.peer if kube else "",
            aws_matters=not kube,
        )

    def kube(title: str, name: str) -> Contestant:
        return contestant("kubernetes", title, (*playbook, name, "-e", variables), kube=True)

    apply = ("apply", "--server-side", "--field-manager", MANAGER, "-f", str(manifests))
    return {
        "all": [contestant("all", "a playbook that does nothing", (*playbook, "nothing.yml"))],
        "aws": [contestant("aws", "amazon.aws", (*playbook, "amazon_aws.yml", "-e", f"stack={ground.stack}"))],
        "kubernetes": [
            contestant("kubernetes", "kubectl apply --server-side", (*ground.kubectl_as_peer, *apply), kube=True),
            kube("kubectl apply --server-side in a playbook", "kubectl.yml"),
            kube("kubernetes.core, one task", "kubernetes_core.yml"),
            kube("kubernetes.core, a step each", "kubernetes_core_each.yml"),
        ],
    }


def nothing_changed(contestant: Contestant, taken: Taken) -> Taken:
    """`taken`. Raises RunFailed when a run of ours wrote or says that it changed something."""
    if contestant.account and contestant.kube_user and (taken.changed or taken.writes):
        raise RunFailed(f"{contestant.title}: {taken.writes} writes, {taken.changed} changed, with nothing to do.")
    return taken


def bench(ground: Ground, programs: Path, groups: list[str], delays_ms: list[int], rounds: int) -> None:
    """Converges, measures and prints a table for each delay."""
    logs = Logs(ground.aws.mark, ground.aws.calls, ground.audit_log, ground.folder / "output")
    mine = own(ground)
    print("Converging the environment, which takes a minute or two …", flush=True)
    measured(mine["all"][0], logs)
    manifests = ground.write_manifests() if "kubernetes" in groups else None
    theirs = peers(ground, programs, manifests)
    contestants = [one for group in groups for one in (*mine[group], *theirs[group])]
    before = ground.as_applied()
    for number, delay_ms in enumerate(delays_ms):
        ground.delay(delay_ms / 1000)
        taking_part = [one for one in contestants if one.aws_matters or not number]
        results: dict[Contestant, list[Taken]] = {one: [] for one in taking_part}
        # The very first turn is for caches, and for amazon.aws to converge.
        for turn in range(0 if number else -1, rounds):
            for one in taking_part:
                taken = measured(one, logs)
                print(f"  {one.group}: {one.title}: {taken}", flush=True)
                if turn >= 0:
                    results[one].append(nothing_changed(one, taken))
        print(f"\nMedians of {rounds}; each AWS call takes {delay_ms} ms more\n\n{table(results)}\n", flush=True)
    after = ground.as_applied()
    touched = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if touched:
        raise BenchError(f"A run that had nothing to do left a trace in {', '.join(touched)}.")


def main() -> int:
    """Measures and prints; 1 with a message when it cannot."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--delay-ms", type=int, nargs="+", default=[0, 50], help="how much longer each AWS call takes")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), help="what to measure")
    given = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="capstan-bench-") as name, Ground(Path(name)) as ground:
            bench(ground, installed(), given.only, given.delay_ms, given.rounds)
    except (BenchError, RunFailed) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
