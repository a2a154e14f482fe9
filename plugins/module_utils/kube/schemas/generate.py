"""Writes the offline schema: `python -m plugins.module_utils.kube.schemas.generate FOLDER-OF-DOCUMENTS 1.36`.

The folder holds one JSON document a group and version, as the API server answers below `/openapi/v3`.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .trim import trim

WIDTH = 150
_STABLE = "v[0-9]_openapi.json", "v[0-9][0-9]_openapi.json"


def packed(bundle: Mapping[str, Any]) -> str:
    """The bundle as text: canonical JSON, deflated, base85."""
    text = json.dumps(bundle, sort_keys=True, separators=(",", ":"))
    return base64.b85encode(zlib.compress(text.encode(), 9)).decode()


def module(bundle: Mapping[str, Any], version: str) -> str:
    """The source of the module that carries the bundle: remote modules ship Python files only."""
    text = packed(bundle)
    lines = [f'    "{text[at : at + WIDTH]}"' for at in range(0, len(text), WIDTH)]
    head = f'"""Kubernetes {version}: what its objects may hold. Made by generate.py; not to be edited."""'
    return "\n".join([head, "", f'VERSION = "{version}"', "PACKED = (", *lines, ")", ""])


def main(folder: str, version: str) -> None:
    """Reads the stable versions' documents and writes `bundled.py` beside this file."""
    paths = sorted({path for pattern in _STABLE for path in Path(folder).glob(f"*__{pattern}")})
    bundle = trim(json.loads(path.read_text(encoding="utf-8")) for path in paths)
    target = Path(__file__).with_name("bundled.py")
    target.write_text(module(bundle, version), encoding="utf-8")
    sys.stdout.write(f"{len(bundle['kinds'])} kinds, {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
