"""Whether tests ran enough of a package: `python -m tests.covered REPORT LINES BRANCHES`.

REPORT is what `coverage json` writes; LINES and BRANCHES are the percentages that have to be exceeded, each by itself:
the one figure that coverage.py can be told to insist on mixes them. What runs in a process of its own is not counted.
Exit status 1 where too little was run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SHOWN = 8  # files that most is missing of


def least_run(files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The files that most is missing of, that one first, and how much."""
    missing = {
        name: (of["summary"]["missing_lines"], of["summary"]["missing_branches"])
        for name, of in files.items()
        if of["summary"]["missing_lines"] or of["summary"]["missing_branches"]
    }
    ordered = sorted(missing, key=lambda name: (-sum(missing[name]), name))[:_SHOWN]
    return [f"{name}: {missing[name][0]} lines, {missing[name][1]} branches" for name in ordered]


def main(arguments: list[str]) -> int:
    """Prints the two figures, and where too little was run, what was not."""
    report = json.loads(Path(arguments[0]).read_text())
    found = [report["totals"][share] for share in ("percent_statements_covered", "percent_branches_covered")]
    wanted = [float(text) for text in arguments[1:3]]
    figures = ", ".join(
        f"{share:.1f} % of the {what} (more than {least:g} % are wanted)"
        for what, share, least in zip(("lines", "branches"), found, wanted, strict=True)
    )
    print(f"covered by tests: {figures}")
    if all(share > least for share, least in zip(found, wanted, strict=True)):
        return 0
    missing = least_run(report["files"])
    print("ERROR: tests run too little of the code. Most is missing of:", *missing, sep="\n  ", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
