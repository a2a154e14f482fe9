"""The work on another host: as the controller's, but nothing can be shown before it is over."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..engine.errors import InvalidDescription
from .lifetime import Lifetime
from .progress import Progress
from .results import failure
from .run import Task, World
from .transport import task_from
from .wiring import real_world

Work = Callable[[Task, World, Progress], dict[str, Any]]


def run_module(module: AnsibleModule, work: Work) -> None:
    """Does `work` with the module's arguments and ends the module. The description comes in a file."""
    arguments = dict(module.params)
    path = arguments.pop("rendered_description")
    try:
        task = task_from(arguments, path or "", check=module.check_mode)
    except InvalidDescription as error:
        module.fail_json(**failure(error, frozenset()))
    with Lifetime(os.getppid()) as lifetime, real_world(task.settings, lifetime) as world:
        result = work(task, world, Progress(lambda line: None, style="none"))
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)
