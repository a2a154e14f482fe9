"""Kinds that lie inside a host and are reached through it, like objects in a cluster, with a record of the members.

The record is what finds members that nothing describes any more: it is widened before a member is made, and narrowed by
`finish` after the last write of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from engine.calls import Calls
from engine.errors import ApiError
from engine.fields import attr
from engine.resource import READY, Live, Mark, Resource, Scope
from engine.values import UNSET, Unset

from .cloud import Cloud, inner_id
from .kinds import SimApi, marks_of

HOST = "sim.host/h"
RECORD = "pod.record/r"


class PodApi(SimApi):
    """The way into one host."""

    def __init__(self, cloud: Cloud, calls: Calls, host: str) -> None:
        super().__init__(cloud, calls)
        self.host = host


@dataclass(frozen=True, kw_only=True)
class Inner(Resource):
    """What both kinds share: known by a name, applied as a whole."""

    name_seen: ClassVar[bool] = True
    creates_whole: ClassVar[bool] = True

    @classmethod
    def read(cls, api: PodApi, scope: Scope) -> list[Live]:
        answers = api.read(lambda: api.cloud.list(cls.kind, api.host))
        return [cls.live(api, answer) for answer in answers if answer["marks"]["stack"] in scope.stacks]

    @classmethod
    def get(cls, api: PodApi, live_id: str, scope: Scope) -> Live | None:
        answer = api.read(lambda: api.cloud.get(inner_id(api.host, live_id), api.host))
        return cls.live(api, answer) if answer is not None else None

    @classmethod
    def live(cls, api: PodApi, answer: dict[str, Any]) -> Live:
        marks = answer["marks"]
        return Live(
            address=marks["address"],
            id=answer["name"],
            name=answer["name"],
            fields=answer["fields"],
            refs=frozenset({api.host}),
            readiness=READY,
            owner=marks["stack"],
            component=marks["component"],
        )

    def create(self, api: PodApi, mark: Mark) -> str:
        self.put(api, mark.name, dict(self.values()), marks_of(mark))
        return mark.name

    def put(self, api: PodApi, name: str, fields: dict[str, Any], marks: dict[str, Any], verb: str = "create") -> None:
        api.write(
            lambda: api.cloud.put(self.kind, api.host, name, fields, marks, verb=verb),
            repeatable=True,
        )

    @classmethod
    def delete(cls, api: PodApi, live: Live) -> None:
        thing_id = inner_id(api.host, live.id)
        api.write(lambda: api.cloud.delete(thing_id, stack=live.owner, address=live.address), repeatable=True)


@dataclass(frozen=True, kw_only=True)
class Pod(Inner):
    """A member."""

    kind = "pod.pod"

    fixed: str = attr("create-only text", create_only=True)
    size: int | Unset = attr("a plain number", default=UNSET)
    text: str | Unset = attr("text that may hold references", default=UNSET)

    @classmethod
    def read(cls, api: PodApi, scope: Scope) -> list[Live]:
        """The described ones, and those that a record of ours names."""
        records = Record.read(api, scope)
        known = {name for record in records for name in record.fields["members"]} | set(scope.names.values())
        return [live for live in super().read(api, scope) if live.id in known]

    @classmethod
    def live(cls, api: PodApi, answer: dict[str, Any]) -> Live:
        live = super().live(api, answer)
        return Live(**{**vars(live), "refs": live.refs | {Record.its_name(live.owner)}})

    def update(self, api: PodApi, live: Live, change: Any) -> None:
        fields = {**live.fields, **self.values()}
        self.put(api, live.id, fields, marks_of(change.mark), verb="update")


@dataclass(frozen=True, kw_only=True)
class Record(Inner):
    """The names of a stack's pods: only ever wider, until `finish`."""

    kind = "pod.record"

    members: list[str] = attr("names of the pods", unordered=True)

    @staticmethod
    def its_name(stack: str) -> str:
        return f"{stack}-{RECORD.partition('/')[2]}"

    def propose(self, api: PodApi | None, live: Live | None) -> Mapping[str, Any]:
        return {"members": sorted({*self.members, *(live.fields["members"] if live else ())})}

    def update(self, api: PodApi, live: Live, change: Any) -> None:
        members = sorted({*self.members, *live.fields["members"]})
        self.put(api, live.id, {"members": members}, marks_of(change.mark), verb="update")

    def finish(self, api: PodApi, live: Live) -> None:
        gone = [
            name
            for name in sorted(set(live.fields["members"]) - set(self.members))
            if api.read(lambda name=name: api.cloud.get(inner_id(api.host, name), api.host)) is None
        ]
        if not gone:
            return
        marks = {"stack": live.owner, "address": live.address, "component": live.component, "protect": False}
        members = sorted(set(live.fields["members"]) - set(gone))
        self.put(api, live.id, {"members": members}, marks, verb="finish")


KINDS: dict[str, type[Inner]] = {cls.kind: cls for cls in (Pod, Record)}


class PodProvider:
    """The engine's Provider for what lies inside hosts."""

    name = "pod"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def kind(self, name: str) -> type[Resource] | None:
        return KINDS.get(name)

    def kinds(self) -> Iterable[str]:
        return KINDS

    def open(self, location: str, connection: Mapping[str, Any] | None, calls: Calls) -> PodApi:
        if connection is None:
            raise ApiError("Connect", "NoHost", "there is no way in")
        return PodApi(self._cloud, calls, connection["id"])
