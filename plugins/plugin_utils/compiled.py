# Copyright: Contributors to the capstan project
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""This collection's modules compiled once for all runs.

Ansible's own loader compiles each module of a collection anew in every process. With a hundred modules that is a tenth
of a run that finds nothing to do, so they go through Python's own loader, which keeps bytecode beside the source
wherever it may write (and PYTHONDONTWRITEBYTECODE and PYTHONPYCACHEPREFIX work as everywhere).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

_PLUGINS = __name__.rpartition(".plugin_utils.")[0] + "."


class _Compiled:
    """Finds what lies under the collection's plugins; Ansible's finder has made the packages above, and their paths."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(_PLUGINS):
            return None
        for folder in path or ():
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def keep_compiled() -> None:
    """From here on, in this process and those forked from it; once is enough, twice does no harm."""
    if _Compiled not in sys.meta_path:
        sys.meta_path.insert(0, _Compiled)  # type: ignore[arg-type]
