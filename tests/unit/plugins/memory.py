"""A small world in memory behind the engine's own interfaces: two kinds, a store, a clock."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.capstan.fullstack.plugins.module_utils.engine.calls import Calls
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import ApiError, Category, Unreadable
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.fields import attr
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.lease import Process
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.resource import Live, Mark, Resource, Scope
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import UNSET, Secret, Unset
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.progress import Progress
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.run import Task, World
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.secret_refs import GivenSecrets, Stored
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.settings import Settings, settings_from


@dataclass
class Cloud:
    """What exists: id -> (kind, mark, fields). `broken`: addresses whose create fails. `hidden`: unreadable kinds."""

    things: dict[str, tuple[str, Mark, dict[str, Any]]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    quota: str = "there are five already"
    strange: dict[str, Any] = field(default_factory=dict)  # fields that no kind declares
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def live(self, cls: type[Resource], scope: Scope) -> list[Live]:
        if cls.kind in self.hidden:
            raise Unreadable("List", "AccessDenied", f"not allowed to list {cls.kind}", Category.DENIED)
        with self.lock:
            found = [
                (i, m, f) for i, (kind, m, f) in self.things.items() if kind == cls.kind and m.stack in scope.stacks
            ]
        return [
            Live(
                address=mark.address,
                id=live_id,
                fields=fields | self.strange,
                outputs={"host": f"{live_id}.example", "password": Secret("hunter2-hunter2", "v1")},
                refs=frozenset({fields["net"]}) if fields.get("net") else frozenset(),
                owner=mark.stack,
                component=mark.component,
                protect=mark.protect,
            )
            for live_id, mark, fields in found
        ]


@dataclass
class CloudApi:
    cloud: Cloud
    calls: Calls


@dataclass(frozen=True, kw_only=True)
class Thing(Resource):
    """What the two kinds share."""

    @classmethod
    def read(cls, api: CloudApi, scope: Scope) -> list[Live]:
        return api.calls.make(lambda: api.cloud.live(cls, scope), write=False)

    def create(self, api: CloudApi, mark: Mark) -> str:
        def send() -> str:
            if mark.address in api.cloud.broken:
                raise ApiError("Create", "Quota", api.cloud.quota, remedy="Ask for more")
            live_id = f"{self.kind.partition('.')[2]}-{next(api.cloud.numbers)}"
            api.cloud.things[live_id] = (self.kind, mark, self.values())
            return live_id

        return api.calls.make(send, write=True)

    def update(self, api: CloudApi, live: Live, change: Any) -> None:
        def send() -> None:
            kind, mark, fields = api.cloud.things[live.id]
            new = {name: after for name, (_, after) in change.fields.items() if name != "marks"}
            api.cloud.things[live.id] = (kind, change.mark or mark, {**fields, **new})

        api.calls.make(send, write=True)

    @classmethod
    def delete(cls, api: CloudApi, live: Live) -> None:
        api.calls.make(lambda: api.cloud.things.pop(live.id), write=True)


@dataclass(frozen=True, kw_only=True)
class Net(Thing):
    kind = "mem.net"
    outputs = {"host": "its name", "password": "a secret"}

    cidr: str = attr("addresses", create_only=True)
    rules: list[str] | Unset = attr("who may enter", unordered=True, default=UNSET)


@dataclass(frozen=True, kw_only=True)
class Node(Thing):
    kind = "mem.node"
    outputs = {"host": "its name", "password": "a secret"}
    disruption = {"size": "reboot"}
    data_at_stake = "its disk"

    net: str = attr("where it lies", refers_to="mem.net", create_only=True)
    size: int = attr("how large")
    note: str | Unset = attr("anything", default=UNSET)
    token: str | Unset = attr("what nobody may see", secret=True, default=UNSET)


class Provider:
    """The two kinds over one cloud."""

    name = "mem"

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def kind(self, name: str) -> type[Resource] | None:
        return {"mem.net": Net, "mem.node": Node}.get(name)

    def kinds(self) -> Iterable[str]:
        return ("mem.net", "mem.node")

    def open(self, location: str, connection: Mapping[str, Any] | None, calls: Calls) -> CloudApi:
        return CloudApi(self.cloud, calls)


class Store:
    """A lock and a journal in memory."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.lock = threading.Lock()

    def entries(self) -> dict[str, str]:
        return dict(self.texts)

    def create(self, key: str, text: str) -> bool:
        with self.lock:
            return self.texts.setdefault(key, text) is text

    def put(self, key: str, text: str) -> None:
        self.texts[key] = text

    def remove(self, key: str) -> None:
        self.texts.pop(key, None)


class Bench:
    """One stack "shop" in one cloud, run as tasks run it. `said`: the lines of all runs."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        self.stores: dict[str, Store] = {}
        self.runtime = Threads(8)
        self.said: list[str] = []
        self.kept: dict[Stored, Secret | str] = {}  # what Secrets Manager holds
        self.asked: list[Stored] = []  # what it was asked for

    def read_stored(self, wanted: Sequence[Stored]) -> dict[Stored, Secret | str]:
        self.asked.extend(wanted)
        return {one: self.kept[one] for one in wanted}

    def world(self, **given: Any) -> World:
        return World(
            providers=(Provider(self.cloud),),
            stores=lambda name: self.stores.setdefault(name, Store()),
            read_stored=self.read_stored,
            runtime=self.runtime,
            process=Process("olga", "laptop"),
            is_dead=lambda process: False,
            **given,
        )

    def task(
        self,
        description: Mapping[str, Any],
        *,
        check: bool = False,
        given: GivenSecrets | None = None,
        **arguments: Any,
    ) -> Task:
        secrets = frozenset({"s3cret-argument"})
        raws = [Raw(address, fields, "app", "shop", f"app:{address}") for address, fields in description.items()]
        return Task(
            settings=settings(**arguments),
            raws=raws,
            complete=frozenset({"app"}),
            check=check,
            secrets=secrets,
            given=given or {},
        )

    def progress(self, **given: Any) -> Progress:
        return Progress(lambda line: self.said.append(line.text), secrets=frozenset({"s3cret-argument"}), **given)


def settings(**arguments: Any) -> Settings:
    """Settings of the stack "shop", as a task's arguments would give them."""
    base: dict[str, Any] = {
        "name": "shop",
        "platform": "own",
        "account_id": "123456789012",
        "region": "us-east-1",
        "roles": [{"role": "app"}],
        "progress": "auto",
        "cluster": "",
    }
    return settings_from(base | arguments)
