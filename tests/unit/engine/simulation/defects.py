"""Planted defects: (name, file of the engine, text, what it becomes). The simulation has to find every one of them."""

from __future__ import annotations

from pathlib import Path

DEFECTS: dict[str, tuple[str, str, str]] = {
    "the client token is left out": ("names.py", "token=token,", 'token="",'),
    "no note before a create that nothing else makes unique": (
        "apply.py",
        "lease.note(change.address, mark.token)",
        "pass",
    ),
    "the notes of a killed run are not polled": ("run.py", "while True:", "while False:"),
    "no read after a lost create": ("apply.py", "mine = self._settle(change)", "mine = None"),
    "the lease is not checked before a write": ("run.py", "            lease.check()", "            pass"),
    "a renewal counts from its end": (
        "lease.py",
        '        self._store.put(f"{_LOCK}{mine.number}", renewed.text())\n',
        '        self._store.put(f"{_LOCK}{mine.number}", renewed.text())\n'
        "        wall, monotonic = self._runtime.wall(), self._runtime.monotonic()\n"
        "        renewed = Holder(mine.number, mine.run, mine.process, mine.since, wall + LEASE_S, False)\n",
    ),
    "a lease that is held is taken": ("lease.py", "return top.released or", "return True or top.released or"),
    "the lease is not released": ("run.py", "            lease.release()", "            pass"),
    "a delete does not wait for the users": (
        "operations.py",
        "waits |= _users(change, plan, needs, deletes, doing)",
        "pass",
    ),
    "a delete does not wait for the update that lets go": (
        "operations.py",
        'elif other.action == "update" and not (',
        'elif other.action == "adopt" and not (',
    ),
    "what the create call did not take is forgotten": (
        "apply.py",
        "if type(resource).creates_whole or change.mark is None:",
        "if True:",
    ),
    "no read after an update": (
        "apply.py",
        "live, rest = self._taken(change, resource, sent, frozenset(later))",
        "return live",
    ),
    "what lies in something that is replaced stays behind": (
        "planning.py",
        "return None if gone else live",
        "return live",
    ),
    "a leftover is taken for the way in": (
        "reading.py",
        "return choose_live(resource.with_values(resolve(resource.values(), lookup)), lives)[0]",
        "return lives[0]",
    ),
    "the way into what was replaced is kept": (
        "apply.py",
        "self._planner.sessions.forget(change.address)",
        "pass",
    ),
    "nothing is finished": ("operations.py", "type(change.resource).finishes()", "False"),
    "it is finished before the rest": (
        "operations.py",
        'before = {op for op in found if op.verb != "finish"}',
        "before: set[Operation] = set()",
    ),
    "prune takes components that were not described": (
        "planning.py",
        "and seen.live.component in self.options.complete",
        "and True",
    ),
    "the owner is compared by prefix": (
        "reading.py",
        "if live.address == address and live.owner == owner",
        "if live.address == address and live.owner.startswith(owner)",
    ),
    "a settled creation may belong to somebody else": (
        "apply.py",
        "if (live.address, live.owner) == (change.address, change.owner) and live.id != old:",
        "if live.address == change.address and live.id != old:",
    ),
    "an unknown counts as equal": (
        "diff.py",
        "    if contains(after, Unknown):\n        return False",
        "    if contains(after, Unknown):\n        return True",
    ),
    "an initial field is moved back": ("diff.py", "elif meaning.initial:", "elif False:"),
    "storage that grew is shrunk": ("diff.py", "return before >= after", "return before == after"),
    "a minor upgrade is undone": (
        "diff.py",
        'return before == after or before.startswith(f"{after}.")',
        "return before == after",
    ),
    "unreadable is taken for absent": (
        "reading.py",
        "return Snapshot({group: []}, unreadable=",
        "return Snapshot({group: []}) or dict(unreadable=",
    ),
    "protection is not asked": ("plan.py", '    if not protect:\n        return ""', '    return ""'),
    "marks are not kept up": ("plan.py", "if before == after and not live.adopt:", "if True:"),
    "leftovers of a replacement stay": ("planning.py", "for seen in self.leftovers]", "for seen in []]"),
    "the plan is not made again under the lock": (
        "run.py",
        "snapshot = self._reader.read(touched, before)",
        "snapshot = before",
    ),
    "one after the other": ("graph.py", "if inline(key):", "if True:"),
    "nothing waits until it is ready": ("apply.py", 'if state[0].readiness.state == "ready":', "if True:"),
}


def plant(name: str, engine: Path, into: Path) -> None:
    """A copy of the engine with the one defect, as the package `engine` in `into`."""
    file, text, becomes = DEFECTS[name]
    target = into / "engine"
    target.mkdir(parents=True)
    for source in engine.glob("*.py"):
        code = source.read_text()
        if source.name == file:
            if code.count(text) != 1:
                raise AssertionError(f"{name}: the text stands {code.count(text)} times in {file}")
            code = code.replace(text, becomes)
        (target / source.name).write_text(code)
