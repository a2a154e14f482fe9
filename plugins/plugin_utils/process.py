# Copyright: Contributors to the capstan project
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the processes that run a playbook need to be quick and to show progress as it happens."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

_PLUGINS = __name__.rpartition(".plugin_utils.")[0] + "."
_YOUNG_OBJECTS = 50_000


class _Compiled:
    """Finds what lies under the collection's plugins; Ansible's finder has made the packages above, and their paths.

    Ansible's own loader compiles each module of a collection anew in every process. With a hundred modules that is a
    tenth of a run that finds nothing to do, so they go through Python's own loader, which keeps bytecode beside the
    source wherever it may write (and PYTHONDONTWRITEBYTECODE and PYTHONPYCACHEPREFIX work as everywhere).
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(_PLUGINS):
            return None
        for folder in path or ():
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


@contextmanager
def compiled() -> Iterator[None]:
    """What is imported within the block is compiled once for all runs."""
    sys.meta_path.insert(0, _Compiled)
    try:
        yield
    finally:
        sys.meta_path.remove(_Compiled)


def print_by_line() -> None:
    """In `ansible-playbook` itself, which loads an action before it forks for a task; twice does no harm."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Into a pipe (a build server's log) Python would write blocks of 8 kB, and progress would come minutes late.
        sys.stdout.reconfigure(line_buffering=True)


def collect_rarely() -> None:
    """In the process of a task. A run makes a hundred thousand objects that live to its end; the collector would look
    through them, and through all that Ansible made before, forty times (a seventh of a run that finds nothing to do).
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
