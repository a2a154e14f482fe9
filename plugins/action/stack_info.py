# Copyright: Contributors to the capstan project
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action `stack_info`: its documentation is the module's."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.process import prepare_process

prepare_process()

from ..module_utils.stack.progress import Progress  # noqa: E402
from ..module_utils.stack.run import Task, World, run_info  # noqa: E402
from ..module_utils.stack.settings import INFO_ARGUMENTS, Settings  # noqa: E402
from ..plugin_utils.stack_action import StackAction  # noqa: E402


class ActionModule(StackAction):
    """Tells what is live of a stack; writes nothing."""

    arguments = INFO_ARGUMENTS
    module = "stack_info"

    def renders(self, settings: Settings) -> bool:
        return "drift" in settings.gather

    def work(self, task: Task, world: World, progress: Progress) -> dict[str, Any]:
        return run_info(task, world, progress)
