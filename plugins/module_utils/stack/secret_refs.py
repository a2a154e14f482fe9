"""References to secrets: how a template's marker is written, and how the engine gets the secret in its place.

A secret that is kept elsewhere (Secrets Manager, the environment, a variable) never passes through a template: the
filter `secret_ref` leaves a marker, which is replaced here, after the description was checked and narrowed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

from ..engine.description import Description
from ..engine.errors import InvalidDescription
from ..engine.fields import nearest
from ..engine.resource import Resource
from ..engine.values import ENCODINGS, Secret, leaves_in, with_leaves
from ..kube.object import KubeObject

SECRETS_MANAGER, ENVIRONMENT, VARIABLE = "secretsmanager", "env", "variable"
SOURCES = (SECRETS_MANAGER, ENVIRONMENT, VARIABLE)
CURRENT = "AWSCURRENT"

_MARKER = re.compile(r"capstan-secret\(([^()\s]*)\|([0-9a-f]{8})\)")
_SAFE = "/:@._+=-"  # what of a name stays readable; nothing of it means anything to YAML, JSON or the marker itself


@dataclass(frozen=True, order=True)
class SecretRef:
    """One use of a secret. `stage`: of Secrets Manager; `key`: of the JSON mapping in it; `version`: as its user says.

    `serial`: which rendering of the marker; 0: settled.
    """

    source: str
    name: str
    key: str = ""
    stage: str = ""
    version: str = ""
    encode: str = "none"
    serial: int = 0

    def __str__(self) -> str:
        words = {ENVIRONMENT: "environment variable", VARIABLE: "variable", SECRETS_MANAGER: "Secrets Manager's"}
        return f"{words[self.source]} {self.name}"

    def marker(self) -> str:
        parts = (self.source, self.name, self.key, self.stage, self.version, self.encode, str(self.serial))
        body = "|".join(quote(part, safe=_SAFE) for part in parts)
        return f"capstan-secret({body}|{_checksum(body)})"


@dataclass(frozen=True)
class Given:
    """A secret that whoever starts the run has to give. `problem`: why there is none."""

    value: str = field(default="", repr=False)
    problem: str = ""


@dataclass(frozen=True)
class Stored:
    """Which version of which secret of Secrets Manager: `name` (or ARN) and staging label."""

    name: str
    stage: str = CURRENT


GivenSecrets = Mapping[tuple[str, str, str], Given]  # (component, source, name) -> it
ReadStored = Callable[[Sequence[Stored]], Mapping[Stored, "Secret | str"]]  # text: why it cannot be read


def _checksum(body: str) -> str:
    return hashlib.sha256(f"capstan secret {body}".encode()).hexdigest()[:8]


def parse_secret_markers(text: str) -> Iterator[SecretRef]:
    """The secrets that `text` uses. Raises InvalidDescription for a marker that was altered."""
    found = 0
    for match in _MARKER.finditer(text):
        found += 1
        body, checksum = match.groups()
        if checksum != _checksum(body):
            raise InvalidDescription(f"a secret_ref was altered by the template: {match.group(0)}.")
        source, name, key, stage, version, encode, serial = map(unquote, body.split("|"))
        yield SecretRef(source, name, key, stage, version, encode, int(serial))
    if text.lower().count("capstan-secret") > found:
        raise InvalidDescription("a secret_ref was transformed by the template.")


def secret_refs_in(value: Any) -> Iterator[SecretRef]:
    """Every use of a secret anywhere inside `value` (mapping keys included)."""
    for leaf in leaves_in(value):
        if isinstance(leaf, Secret):  # text that a Kubernetes Secret holds is sealed before it is looked through
            if "capstan-secret(" in leaf.reveal():
                yield from parse_secret_markers(leaf.reveal())
        elif isinstance(leaf, str) and "capstan-secret" in leaf.lower():
            yield from parse_secret_markers(leaf)


def uses_secret(value: Any) -> bool:
    """Is there a use of a secret anywhere inside `value`?"""
    return next(secret_refs_in(value), None) is not None


def placed(value: Any, lookup: Callable[[SecretRef], Secret]) -> Any:
    """`value` with every marker replaced; text that holds one is a Secret as a whole, references and all."""

    def place(leaf: Any) -> Any:
        text = leaf.reveal() if isinstance(leaf, Secret) else leaf
        return _placed_text(text, lookup) if isinstance(text, str) and "capstan-secret(" in text else leaf

    return with_leaves(value, place)


def _placed_text(text: str, lookup: Callable[[SecretRef], Secret]) -> Secret:
    refs = list(parse_secret_markers(text))
    secrets = [_encoded(lookup(ref), ENCODINGS[ref.encode]) for ref in refs]
    if len(refs) == 1 and text == refs[0].marker():
        return secrets[0]
    for ref, secret in zip(refs, secrets, strict=True):
        text = text.replace(ref.marker(), secret.reveal())
    # A version says nothing about the text around the secret: such text is compared by its value.
    return Secret(text, shown="+".join(secret.shown or secret.version for secret in secrets).strip("+"))


def _encoded(secret: Secret, encode: Callable[[str], str]) -> Secret:
    return secret.holding(encode(secret.reveal()))


def with_secrets(
    description: Description, given: GivenSecrets, read_stored: ReadStored
) -> tuple[Description, frozenset[str]]:
    """`description` with its secrets in place, and every text that must never be seen.

    Each secret is read once. Raises InvalidDescription with every secret that there is not, and who wants it.
    """
    users: dict[tuple[str, SecretRef], list[str]] = {}
    problems: list[str] = []
    for address, resource in description.resources.items():
        refs = set(secret_refs_in(resource.values()))
        problems += _misplaced(resource) if refs else ()
        for ref in sorted(refs):
            users.setdefault((resource.meta.component, ref), []).append(address)
    if not users:
        return description, frozenset()
    if problems:
        raise InvalidDescription(*problems)
    wanted = sorted({Stored(ref.name, ref.stage) for _unused, ref in users if ref.source == SECRETS_MANAGER}, key=str)
    stored = read_stored(wanted) if wanted else {}
    found: dict[tuple[str, SecretRef], Secret] = {}
    for (component, ref), addresses in users.items():
        try:
            found[component, ref] = _found(ref, given.get((component, ref.source, ref.name)), stored)
        except InvalidDescription as error:
            problems.append(f"{', '.join(sorted(addresses))}: {error}")
    if problems:
        raise InvalidDescription(*problems)
    resources = {address: _filled(resource, found) for address, resource in description.resources.items()}
    texts = (secret.reveal() for secret in found.values())
    hidden = frozenset(form for text in texts for form in (text, base64.b64encode(text.encode()).decode()))
    return replace(description, resources=resources), hidden


def _filled(resource: Resource, found: Mapping[tuple[str, SecretRef], Secret]) -> Resource:
    values = resource.values()
    if not uses_secret(values):
        return resource
    return resource.with_values(placed(values, lambda ref: found[resource.meta.component, ref]))


def _misplaced(resource: Resource) -> Iterator[str]:
    """Secrets where they would be seen: in fields that nobody masks, and in names."""
    for name, value in resource.values().items():
        if not uses_secret(value):
            continue
        if not isinstance(resource, KubeObject) and not resource.schema()[name].secret:
            takers = [other for other, meaning in resource.schema().items() if meaning.secret]
            can = f"only {', '.join(takers)} can" if takers else f"nothing of {resource.kind} can"
            yield f"{resource.address}: {name} cannot hold a secret, {can}."
        elif any(True for _unused in _keys_with_secrets(value)):
            yield f"{resource.address}: a secret_ref cannot be the name of a field."
        elif isinstance(resource, KubeObject) and uses_secret(value.get("metadata")):
            yield f"{resource.address}: labels and annotations cannot hold a secret: everybody may read them."


def _keys_with_secrets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (str(key) for key in value if uses_secret(key))
        for item in value.values():
            yield from _keys_with_secrets(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _keys_with_secrets(item)


def _found(ref: SecretRef, given: Given | None, stored: Mapping[Stored, Secret | str]) -> Secret:
    """Raises InvalidDescription with one sentence that does not name the user."""
    if ref.source == SECRETS_MANAGER:
        kept = stored[Stored(ref.name, ref.stage)]
        if not isinstance(kept, Secret):
            raise InvalidDescription(kept)
        secret = _picked(kept, ref) if ref.key else kept
    else:
        if given is None or given.problem:
            raise InvalidDescription(given.problem if given else f"{ref} was not given.")
        secret = Secret(given.value, ref.version)
    if not secret.reveal():
        raise InvalidDescription(f"{ref}{f', key {ref.key},' if ref.key else ''} is empty.")
    if "capstan-" in secret.reveal().lower():
        raise InvalidDescription(f'{ref} contains "capstan-", which would be taken for a marker; choose another value.')
    return secret


def _picked(kept: Secret, ref: SecretRef) -> Secret:
    """One entry of a stored JSON mapping, of the same version as the whole."""
    try:
        entries = json.loads(kept.reveal())
    except ValueError:
        entries = None
    if not isinstance(entries, dict):
        raise InvalidDescription(f'{ref} is no JSON mapping, so it has no key "{ref.key}"; leave key out.') from None
    if ref.key not in entries:
        raise InvalidDescription(f'{ref} has no key "{ref.key}".{nearest(ref.key, entries)}')
    value = entries[ref.key]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidDescription(f'{ref}: its key "{ref.key}" is neither text nor a number.')
    return kept.holding(str(value))
