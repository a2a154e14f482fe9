"""Takes kube-proxy's, the kubelet's and the CNI plugins' rules out of the host's tables again, and nothing else."""

from __future__ import annotations

import re
import subprocess

OURS = ("KUBE-", "CNI-")
FAMILIES = ("iptables", "ip6tables")
NFT_FAMILIES = {"iptables": "ip", "ip6tables": "ip6"}
_TARGET = re.compile(r"(?:^|\s)-[jg] (\S+)")


class FirewallError(Exception):
    """The host's packet filter could not be read or written."""


def removal(saved: str) -> str:
    """What to feed to ``iptables-restore --noflush`` so that nothing of ours is left, from ``iptables-save``'s text.

    Rules of foreign chains that jump into ours are deleted one by one, as they were written; then our chains are
    emptied (declaring them does that) and removed. Empty when there is nothing to do.
    """
    script: list[str] = []
    for table, lines in _tables(saved).items():
        chains = [line[1:].split()[0] for line in lines if line.startswith(":")]
        own = [chain for chain in chains if chain.startswith(OURS)]
        jumps = [line for line in lines if line.startswith("-A ") and _jumps_into_ours(line)]
        if own or jumps:
            script += [f"*{table}", *(f":{chain} - [0:0]" for chain in own)]
            script += [f"-D {jump.removeprefix('-A ')}" for jump in jumps]
            script += [f"-X {chain}" for chain in own] + ["COMMIT"]
    return "".join(f"{line}\n" for line in script)


def has_ours(saved: str) -> bool:
    """Whether any chain of a Kubernetes node stands in the tables."""
    return any(line.startswith(tuple(f":{prefix}" for prefix in OURS)) for line in saved.splitlines())


def _tables(saved: str) -> dict[str, list[str]]:
    tables: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            lines = tables.setdefault(line[1:].strip(), [])
        elif line.startswith((":", "-A ")):
            lines.append(line)
    return tables


def _jumps_into_ours(rule: str) -> bool:
    chain = rule.split()[1]
    target = _TARGET.search(rule)
    return not chain.startswith(OURS) and target is not None and target.group(1).startswith(OURS)


def snapshot() -> dict[str, str]:
    """The text of each family's tables, counters left out."""
    return {family: _run([f"{family}-save"]) for family in FAMILIES}


def clean() -> None:
    """Removes every rule and chain of ours, IPv4 and IPv6."""
    for family, saved in snapshot().items():
        script = removal(saved)
        if script:
            _run([f"{family}-restore", "--noflush", "--wait", "10"], script)


def drop_empty_tables(family: str, before: str) -> None:
    """Removes tables, with their built-in chains, that were not there `before` and hold nothing of anyone's now.

    ``iptables`` makes a table when it first looks at it and never removes one; ``nft``, which stands below it, does.
    """
    for table in tables_to_drop(before, _run([f"{family}-save"])):
        _run(["nft", "delete", "table", NFT_FAMILIES[family], table])


def tables_to_drop(before: str, now: str) -> list[str]:
    """The tables of `now` that were not there `before` and hold neither a rule nor a chain of anyone's."""
    return [table for table, lines in _tables(now).items()
            if table not in _tables(before) and all(_is_builtin_chain(line) for line in lines)]


def _is_builtin_chain(line: str) -> bool:
    """Whether this is the declaration of a built-in chain that lets everything pass: others have no policy."""
    return line.startswith(":") and line.split()[1] == "ACCEPT"


def _run(argv: list[str], text: str | None = None) -> str:
    answer = subprocess.run(argv, input=text, stdin=subprocess.DEVNULL if text is None else None, capture_output=True,
                            text=True, check=False)
    if answer.returncode:
        raise FirewallError(f"{argv[0]}: {answer.stderr.strip()}")
    return answer.stdout
