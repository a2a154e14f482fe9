"""What must be true of the cloud, whatever happened on the way. Written from the description, not from the engine."""

from __future__ import annotations

from collections import Counter
from typing import Any

from engine.description import Raw
from engine.values import parse_markers

from .cloud import Cloud, Thing, Violation

PLAIN = ("fixed", "size", "extra", "exclusive")


def own_things(cloud: Cloud) -> list[Thing]:
    return [thing for thing in cloud.things.values() if not thing.gone and thing.maker == "run"]


def judge_world(cloud: Cloud, raws: dict[str, Raw], stack: str) -> None:
    """Exactly one object per described address, as described; nothing else of ours; nothing foreign touched."""
    by_address: dict[str, list[Thing]] = {}
    for thing in own_things(cloud):
        if not thing.marks:
            raise Violation(f"{thing.id} ({thing.name}) is an orphan without marks")
        by_address.setdefault(thing.marks["address"], []).append(thing)
    for address, things in by_address.items():
        if address not in raws:
            raise Violation(f"{address} is not described and still there")
        if len(things) > 1:
            raise Violation(f"{address} exists {len(things)} times: {[thing.id for thing in things]}")
    ids = {address: things[0].id for address, things in by_address.items()}
    for address, raw in raws.items():
        if address not in by_address:
            raise Violation(f"{address} is missing")
        judge_thing(by_address[address][0], address, raw, ids, stack)


def judge_record(cloud: Cloud) -> None:
    """After a run that wrote through a host, its record names its pods and no others."""
    pods = {thing.name for thing in own_things(cloud) if thing.kind == "pod.pod"}
    for thing in own_things(cloud):
        if thing.kind == "pod.record" and set(thing.fields["members"]) != pods:
            raise Violation(f"{thing.id} names {thing.fields['members']}, there are {sorted(pods)}")


def judge_single(cloud: Cloud) -> None:
    """No address exists twice, right after a run that said it succeeded and could see everything."""
    addresses = Counter((thing.marks or {}).get("address") for thing in own_things(cloud))
    twice = [address for address, number in addresses.items() if number > 1]
    if twice:
        raise Violation(f"{twice} exist more than once")


def judge_thing(thing: Thing, address: str, raw: Raw, ids: dict[str, str], stack: str) -> None:
    marks, fields = thing.marks or {}, thing.fields
    if (marks["stack"], marks["component"]) != (stack, raw.component):
        raise Violation(f"{address} carries {marks}")
    if bool(marks.get("protect")) != bool(raw.fields.get("protect")):
        raise Violation(f"{address}: the protect mark is {marks.get('protect')}")
    for name in PLAIN:
        if name in raw.fields and fields.get(name) != raw.fields[name]:
            raise Violation(f"{address}.{name} is {fields.get(name)!r}, described {raw.fields[name]!r}")
    if "note" in raw.fields and (fields.get("note") or None) != raw.fields["note"]:
        raise Violation(f"{address}.note is {fields.get('note')!r}, described {raw.fields['note']!r}")
    wanted: set[str] = {ids[used] for used in raw.fields.get("uses", ())}
    if "uses" in raw.fields and set(fields.get("uses") or ()) != wanted:
        raise Violation(f"{address}.uses is {fields.get('uses')}, described {sorted(wanted)}")
    if "via" in raw.fields and thing.host != ids[raw.fields["via"]]:
        raise Violation(f"{address} lies in {thing.host}, described {raw.fields['via']}")
    if not set(raw.fields.get("members", ())) <= set(fields.get("members", ())):
        raise Violation(f"{address} names {fields.get('members')}, described {raw.fields['members']}")
    if "inside" in raw.fields and fields.get("inside") != ids[raw.fields["inside"]]:
        raise Violation(f"{address} lies in {fields.get('inside')}, described {raw.fields['inside']}")
    judge_text(address, raw, fields, ids)
    judge_shared_hands(thing, address, raw)


def judge_text(address: str, raw: Raw, fields: dict[str, Any], ids: dict[str, str]) -> None:
    if "text" not in raw.fields:
        return
    text = raw.fields["text"]
    for reference in parse_markers(text):
        text = text.replace(reference.marker(), f"{ids[reference.address]}.example")
    if fields.get("text") != text:
        raise Violation(f"{address}.text is {fields.get('text')!r}, should be {text!r}")


def judge_shared_hands(thing: Thing, address: str, raw: Raw) -> None:
    """Fields and entries that others move as well."""
    described, fields = raw.fields, thing.fields
    if "entries" in described:
        mine = set(fields.get("entries") or ()) | (set(thing.foreign) & set(described["entries"]))
        if mine != set(described["entries"]):
            raise Violation(f"{address}.entries is {fields.get('entries')}, described {described['entries']}")
    if "storage_gib" in described and fields["storage_gib"] < described["storage_gib"]:
        raise Violation(f"{address}.storage_gib shrank to {fields['storage_gib']}")
    if "version" in described and not str(fields["version"]).startswith(described["version"]):
        raise Violation(f"{address}.version is {fields['version']}")


def others_at_work(cloud: Cloud) -> dict[str, tuple[str, Any]]:
    """An autoscaler, storage growth, a minor upgrade, a colleague's rule. Returns what stays: id -> (field, value)."""
    kept: dict[str, tuple[str, Any]] = {}
    for thing in own_things(cloud):
        if "replicas" in thing.fields:
            thing.fields |= {"replicas": 9, "storage_gib": thing.fields["storage_gib"] + 50, "version": "15.7"}
            kept[thing.id] = ("replicas", 9)
        elif thing.kind == "sim.rules" and not thing.fields.get("exclusive"):
            thing.foreign = ["colleague"]
            kept[thing.id] = ("foreign", ["colleague"])
        else:
            continue
        thing.history.append((cloud.hub.now, dict(thing.fields), dict(thing.marks or {}), False))
    return kept


def judge_kept(cloud: Cloud, kept: dict[str, tuple[str, Any]]) -> None:
    for thing_id, (name, value) in kept.items():
        thing = cloud.things[thing_id]
        now = thing.foreign if name == "foreign" else thing.fields[name]
        if now != value:
            raise Violation(f"{thing_id}: {name} was moved back from {value} to {now}")


def is_used(cloud: Cloud, thing: Thing) -> bool:
    return thing.kind == "pod.record" or any(
        thing.id in (*other.refs, other.host) or thing.id in str(other.fields.get("text"))
        for other in own_things(cloud)
    )


def drift(cloud: Cloud, rng: Any) -> list[str]:
    """Somebody changes things by hand; returns the addresses that a plan has to name."""
    touched = []
    for thing in own_things(cloud):
        chance = rng.random()
        address = (thing.marks or {})["address"]
        if chance < 0.1 and "size" in thing.fields:
            thing.fields = {**thing.fields, "size": -1}
            touched.append(address)
        elif chance < 0.15 and not is_used(cloud, thing):
            thing.gone = True
            touched.append(address)
        else:
            continue
        thing.history.append((cloud.hub.now, dict(thing.fields), dict(thing.marks or {}), thing.gone))
    return touched
