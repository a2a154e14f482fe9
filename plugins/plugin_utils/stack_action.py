"""What the actions `stack` and `stack_info` share: arguments, rendering, and doing the work here or on another host."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.engine.description import Raw
from ..module_utils.engine.errors import InvalidDescription
from ..module_utils.kube.manifests import link_objects, parse_manifests
from ..module_utils.stack.lifetime import Lifetime, errors_of
from ..module_utils.stack.plan_text import Line
from ..module_utils.stack.progress import Progress
from ..module_utils.stack.results import failure
from ..module_utils.stack.run import Task, World
from ..module_utils.stack.settings import Settings, narrowed_by_tags, settings_from
from ..module_utils.stack.transport import description_text
from ..module_utils.stack.wiring import real_world
from .process import collect_rarely
from .rendering import Renderer, Rendering

_AWX_VARIABLES = ("awx_job_id", "tower_job_id")
_display = Display()


class StackAction(ActionBase):
    """Validates, renders, and runs; a subclass says which arguments there are, whether to render, and what to run."""

    arguments: ClassVar[dict[str, dict[str, Any]]]
    module: ClassVar[str]
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        collect_rarely()
        variables = task_vars or {}
        if self._task.async_val:
            raise AnsibleActionFail(
                f"{self.module} cannot run with async: the run would outlive whoever watches it and holds its lock. "
                "It shows its progress live; start it without async."
            )
        result = super().run(tmp, task_vars)
        _unused, arguments = self.validate_argument_spec(argument_spec=self.arguments)
        try:
            settings = self._narrowed(settings_from(arguments), variables)
            if settings is None:
                return {**result, "changed": False, "skipped": True, "msg": "no tag of this run names a component"}
            rendering = self._rendering(settings, variables)
        except InvalidDescription as error:
            return {**result, "changed": False, **failure(error, frozenset())}
        task = Task(
            settings=settings,
            raws=rendering.raws,
            complete=rendering.complete,
            check=bool(self._task.check_mode),
            secrets=rendering.secrets,
            given=rendering.given,
        )
        if self._connection.transport == "local":
            return {**result, **self._here(task, variables)}
        return {**result, **self._elsewhere(task, arguments, variables)}

    def renders(self, settings: Settings) -> bool:
        """Does this task need the description?"""
        raise NotImplementedError

    def work(self, task: Task, world: World, progress: Progress) -> dict[str, Any]:
        """Do it, in this process."""
        raise NotImplementedError

    # -- before ------------------------------------------------------------------------------------------------
    def _narrowed(self, settings: Settings, variables: Mapping[str, Any]) -> Settings | None:
        known = frozenset(use.component for use in settings.roles)
        run, skip = (frozenset(map(str, variables.get(f"ansible_{which}_tags") or ())) for which in ("run", "skip"))
        components = narrowed_by_tags(settings.components, run, skip, known)
        return None if components is None else replace(settings, components=components)

    def _rendering(self, settings: Settings, variables: Mapping[str, Any]) -> Rendering:
        if not self.renders(settings):
            return Rendering((), frozenset(), frozenset())

        def manifests(text: str, component: str, owner: str, source: str) -> Sequence[Raw]:
            return parse_manifests(text, component=component, owner=owner, source=source, via=settings.via)

        rendering = Renderer(self._loader, variables, settings.names, manifests).render(settings.roles)
        return replace(rendering, raws=link_objects(rendering.raws))

    # -- the work ----------------------------------------------------------------------------------------------
    def _here(self, task: Task, variables: Mapping[str, Any]) -> dict[str, Any]:
        parent = multiprocessing.parent_process()
        parent_id = parent.pid if parent is not None and parent.pid else os.getppid()
        last_words = errors_of(parent_id)
        style = self._style(task.settings, variables)
        hosts = variables.get("ansible_play_hosts_all") or ()
        prefix = f"[{variables.get('inventory_hostname')}] " if style == "text" and len(hosts) > 1 else ""
        with Lifetime(parent_id, last_words) as lifetime:

            def say(line: Line) -> None:
                if lifetime.stopping():  # ansible's own way may be closed already, and would block
                    last_words(prefix + line.text)
                else:
                    _display.display(prefix + line.text, color=line.color or None)

            progress = Progress(
                say,
                style=style,
                with_fields=not self._task.diff,
                secrets=task.secrets,
            )
            with progress, real_world(task.settings, lifetime) as world:
                result = self.work(task, world, progress)
            if lifetime.stopping():
                last_words(_farewell(result))
                os._exit(128 + lifetime.signal)  # returning would wait for a reader that may be gone
        return result

    def _style(self, settings: Settings, variables: Mapping[str, Any]) -> str:
        if self._task.no_log:
            return "none"
        if settings.progress != "auto":
            return settings.progress
        return "json" if any(name in variables for name in _AWX_VARIABLES) else "text"

    def _elsewhere(self, task: Task, arguments: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The module of the same name does it there; the description travels in a file, not in its arguments."""
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        path = self._connection._shell.join_path(self._connection._shell.tmpdir, "description.json")
        self._transfer_data(path, description_text(task))
        self._fixup_perms2((self._connection._shell.tmpdir, path))
        given = {**arguments, "rendered_description": path}
        if "components" in self.arguments:
            given["components"] = sorted(task.settings.components)  # tags may have narrowed them
        result: dict[str, Any] = self._execute_module(
            module_name=f"capstan.fullstack.{self.module}", module_args=given, task_vars=variables
        )
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return result


def _farewell(result: Mapping[str, Any]) -> str:
    left = ", ".join(result.get("left", ())) or "nothing"
    return (
        f"capstan: stopped. {result.get('msg', '')} Not done: {left}. "
        "The lock is released; the next run starts at once and converges."
    )
