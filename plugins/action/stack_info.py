# Copyright: Contributors to the capstan project
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action `stack_info`: its documentation is the module's."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.process import compiled, print_by_line

with compiled():
    from ..module_utils.stack.progress import Progress
    from ..module_utils.stack.run import Task, World, run_info
    from ..module_utils.stack.settings import INFO_ARGUMENTS, Settings
    from ..plugin_utils.stack_action import StackAction

print_by_line()


class ActionModule(StackAction):
    """Tells what is live of a stack; writes nothing."""

    arguments = INFO_ARGUMENTS
    module = "stack_info"

    def renders(self, settings: Settings) -> bool:
        return "drift" in settings.gather

    def work(self, task: Task, world: World, progress: Progress) -> dict[str, Any]:
        return run_info(task, world, progress)
