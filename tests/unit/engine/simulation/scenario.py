"""One seeded story: a graph is described, converged under faults, changed, converged again, and judged."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from engine.calls import Patience
from engine.description import Raw, describe
from engine.lease import Process as Holder
from engine.run import Engine, Options, Outcome, Stack
from engine.values import Reference, references_in

from .cloud import Cloud, CloudStore, Faults, Violation, living
from .inner import HOST, RECORD, PodProvider
from .kinds import BUSY, KINDS, SLOW, UNIQUE, SimProvider
from .virtual import Hub, Process, VirtualRuntime

STACK = "prod"
COMPONENTS = ("one", "two", "three")
HORIZON_S = 40_000.0


@dataclass
class Story:
    """Everything that one seed decides, and what was seen of it."""

    seed: int
    rng: random.Random = field(init=False)
    hub: Hub = field(init=False)
    cloud: Cloud = field(init=False)
    runs: int = 0
    processes: dict[str, Process] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.hub = Hub(self.seed)
        self.cloud = Cloud(self.hub, UNIQUE, SLOW, BUSY)

    # -- runs ---------------------------------------------------------------------------------------------------
    def engine(
        self,
        process: Process,
        raws: dict[str, Raw],
        *,
        prune: bool = True,
        digest: str = "",
        complete: tuple[str, ...] = COMPONENTS,
    ) -> Engine:
        runtime = VirtualRuntime(self.hub, process)
        providers = [SimProvider(self.cloud), PodProvider(self.cloud)]
        options = Options(
            version="sim",
            prune=prune,
            prune_limit=1000,
            expected_digest=digest,
            complete=frozenset(complete),
            narrowed=complete != COMPONENTS,
            consistency_s=10.0,
            vias={"pod": HOST},
        )
        return Engine(
            description=describe(raws.values(), providers),
            stack=Stack(STACK),
            providers=providers,
            stores=lambda stack: CloudStore(self.cloud, stack),
            runtime=runtime,
            emit=lambda event: None,
            process=Holder(who=process.name, host="host", pid=self.runs),
            is_dead=lambda holder: self.processes[holder.who].dead,
            options=options,
            patience=Patience(),
        )

    def start(self, raws: dict[str, Raw], verb: str = "converge", **options: Any) -> Process:
        self.runs += 1
        process = Process(f"run-{self.runs}")
        self.processes[process.name] = process

        def work() -> Any:
            return getattr(self.engine(process, raws, **options), verb)()

        self.hub.launch(process, work)
        return process

    def wait(self, *processes: Process) -> None:
        limit = self.hub.now + HORIZON_S

        def over() -> bool:
            if self.hub.now > limit:
                raise Violation(f"no end after {HORIZON_S} s")
            return all(not living(process) for process in processes)

        self.hub.run(over)

    def settled(self, raws: dict[str, Raw], **options: Any) -> Outcome:
        """A run without faults, long after everything else: it must succeed."""
        self.hits.update(self.cloud.hits)
        self.cloud.hits.clear()
        self.cloud.faults = Faults()
        idle = Process("idle")
        late = any(process.frozen_until for process in self.processes.values())  # its lease has to run out
        self.hub.launch(idle, lambda: self.hub.sleep(200.0 if late else 30.0))
        self.wait(idle)
        process = self.start(raws, **options)
        self.wait(process)
        return outcome_of(process)


def outcome_of(process: Process) -> Any:
    if process.error is not None:
        raise process.error
    if isinstance(process.result, Outcome) and process.result.error is not None:
        raise process.result.error
    return process.result


# -- descriptions -----------------------------------------------------------------------------------------------
def graph_size(rng: random.Random) -> int:
    chance = rng.random()
    if chance < 0.90:
        return rng.randint(5, 10)
    return rng.randint(11, 40) if chance < 0.995 else rng.randint(41, 200)


def random_graph(rng: random.Random) -> dict[str, Raw]:
    """A random graph: every node may use earlier ones, in any of the ways in which kinds can."""
    raws: dict[str, Raw] = {}
    kinds = list(KINDS)
    for number in range(graph_size(rng)):
        kind = rng.choice(kinds)
        raws[f"{kind}/n{number}"] = node(rng, kind, f"n{number}", list(raws))
    return hosted(rng, raws) if rng.random() < 0.3 else raws


def hosted(rng: random.Random, raws: dict[str, Raw]) -> dict[str, Raw]:
    """`raws` with a host, a record in it, and a few pods; the pods come first, so that all may go together."""
    found: dict[str, Raw] = {}
    for number in range(rng.randint(1, 4)):
        fields: dict[str, Any] = {"fixed": f"f{rng.randint(0, 2)}", "size": rng.randint(1, 9)}
        if rng.random() < 0.3:
            fields["text"] = f"http://{Reference(rng.choice(list(raws)), 'endpoint').marker()}/x"
        fields |= {"via": HOST, "depends_on": [RECORD]}
        found[f"pod.pod/p{number}"] = Raw(f"pod.pod/p{number}", fields, rng.choice(COMPONENTS), STACK, "simulation")
    record = Raw(RECORD, {"members": [], "via": HOST}, rng.choice(COMPONENTS), STACK, "simulation")
    host = Raw(HOST, {"fixed": f"f{rng.randint(0, 2)}"}, rng.choice(COMPONENTS), STACK, "simulation")
    return recorded({**found, RECORD: record, HOST: host, **raws})


def recorded(raws: dict[str, Raw]) -> dict[str, Raw]:
    """`raws` with a record that names the pods among them."""
    if RECORD not in raws:
        return raws
    members = [f"{STACK}-{address.partition('/')[2]}" for address in raws if address.startswith("pod.pod/")]
    return raws | {RECORD: replace(raws[RECORD], fields={**raws[RECORD].fields, "members": members})}


def node(rng: random.Random, kind: str, name: str, earlier: list[str]) -> Raw:
    fields: dict[str, Any] = {"fixed": f"f{rng.randint(0, 2)}"}
    if rng.random() < 0.6:
        fields["size"] = rng.randint(1, 9)
    if rng.random() < 0.4:
        fields["extra"] = f"x{rng.randint(0, 9)}"
    if rng.random() < 0.3:
        fields["note"] = f"y{rng.randint(0, 9)}"
    if earlier and rng.random() < 0.5:
        fields["uses"] = rng.sample(earlier, rng.randint(1, min(3, len(earlier))))
    if earlier and kind != "sim.zone" and rng.random() < 0.25:
        fields["inside"] = rng.choice(earlier)
    if earlier and rng.random() < 0.3:
        fields["text"] = f"http://{Reference(rng.choice(earlier), 'endpoint').marker()}/x"
    if kind == "sim.rules":
        fields["entries"] = rng.sample(["a", "b", "c", "d"], rng.randint(1, 3))
        fields["exclusive"] = rng.random() < 0.3
    if kind == "sim.scaled":
        fields |= {"replicas": rng.randint(1, 3), "storage_gib": rng.randint(10, 20), "version": "15"}
    if rng.random() < 0.05:
        fields["protect"] = True
    return Raw(f"{kind}/{name}", fields, rng.choice(COMPONENTS), STACK, "simulation")


def direct_needs(raw: Raw) -> list[str]:
    """The addresses that a resource names, besides those in its text."""
    fields = raw.fields
    single = [fields[name] for name in ("inside", "via") if fields.get(name)]
    return [*fields.get("uses", ()), *fields.get("depends_on", ()), *single]


def users_of(raws: dict[str, Raw], address: str) -> list[str]:
    return [
        other for other, raw in raws.items() if address in direct_needs(raw) or address in raw.fields.get("text", "")
    ]


def changed_graph(rng: random.Random, before: dict[str, Raw], live_protected: set[str]) -> dict[str, Raw]:
    """A later description: fields changed, nodes replaced, removed, added, moved to another component."""
    raws = dict(before)
    for address in list(raws):
        raw = raws[address]
        chance = rng.random()
        if chance < 0.12 and not users_of(raws, address) and address not in live_protected:
            del raws[address]
        elif chance < 0.3 and "fixed" in raw.fields and not raw.fields.get("protect"):
            raws[address] = Raw(
                address, {**raw.fields, "fixed": f"g{rng.randint(0, 2)}"}, raw.component, STACK, raw.source
            )
        elif chance < 0.45 and "fixed" in raw.fields:
            cleared = {} if address.startswith("pod.") else {"note": None}
            raws[address] = Raw(address, {**raw.fields, "size": 77, **cleared}, raw.component, STACK, raw.source)
        elif chance < 0.5:
            raws[address] = Raw(address, raw.fields, rng.choice(COMPONENTS), STACK, raw.source)
        elif chance < 0.55 and raw.fields.get("uses"):
            raws[address] = Raw(
                address, {**raw.fields, "uses": raw.fields["uses"][:-1]}, raw.component, STACK, raw.source
            )
    for number in range(rng.randint(0, 3)):
        kind = rng.choice(list(KINDS))
        raws[f"{kind}/m{number}"] = node(
            rng, kind, f"m{number}", [a for a in raws if a in before and not a.startswith(("pod.", "sim.host/"))]
        )
    for address in protected_chain(before, live_protected):
        raws[address] = before[address]
    return completed(raws, before)


def completed(raws: dict[str, Raw], before: dict[str, Raw]) -> dict[str, Raw]:
    """Whatever is still referred to comes back."""
    needed = [address for raw in raws.values() for address in direct_needs(raw)]
    needed += [ref.address for raw in raws.values() for ref in references_in(raw.fields.get("text", ""))]
    missing = [address for address in needed if address not in raws]
    if not missing:
        return recorded(raws)
    return completed(raws | {address: before[address] for address in missing}, before)


def protected_chain(before: dict[str, Raw], protected: set[str]) -> set[str]:
    """What must stay as it was, so that nothing protected has to be replaced along a chain of `inside`."""
    stay: set[str] = set()
    for address in protected:
        walk: str | None = address
        while walk is not None and walk not in stay:
            stay.add(walk)
            walk = before[walk].fields.get("inside")
    return stay
