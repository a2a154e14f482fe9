"""The sandbox's own interface below /_sandbox/: health, calls, accounts, denials, faults, barriers, clock, quirks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from .accounts import UnknownAccount, keys_of
from .faults import BadRule
from .permissions import Denial
from .protocol import Reply
from .quirks.catalogue import CATALOGUE
from .services.eks_access import identity_in
from .services.eks_store import EksStore
from .services.rds_modify import run_maintenance
from .world import World

Answer = dict[str, Any] | list[Any]


class Control:
    """Answers WSGI environments whose path begins with /_sandbox/, with JSON."""

    def __init__(self, world: World, reset: Callable[[], None], save_credentials: Callable[[], None]) -> None:
        self.world = world
        self._reset = reset
        self._save_credentials = save_credentials

    def __call__(self, environ: dict[str, Any]) -> Reply:
        method, name = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix("/_sandbox/").strip("/")
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        length = int(environ.get("CONTENT_LENGTH") or 0)
        function = getattr(self, f"{method.lower()}_{name.replace('-', '_').replace('/', '_')}", None)
        if function is None:
            return _json({"error": f"no {method} {environ['PATH_INFO']}"}, 404)
        try:
            body = json.loads(environ["wsgi.input"].read(length)) if length else {}
            return _json(function(query, body))
        except (BadRule, UnknownAccount, KeyError, ValueError, TypeError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)

    def get_health(self, query: dict[str, str], body: Any) -> Answer:
        settings = self.world.settings
        return {"status": "ok", "registry": settings.registry, "kubernetes_endpoint": settings.kubernetes_endpoint,
                "quirks": self.world.quirks_on}

    def get_calls(self, query: dict[str, str], body: Any) -> Answer:
        return self.world.calls.since(int(query.get("since", "0")), query.get("access_key"))

    def delete_calls(self, query: dict[str, str], body: Any) -> Answer:
        self.world.calls.clear()
        return {}

    def post_accounts(self, query: dict[str, str], body: Any) -> Answer:
        """{"id"} -> keys of that account's operator; a new account is empty."""
        principal = self.world.accounts.add(str(body["id"]))
        self._save_credentials()
        return {"id": principal.account, **keys_of(principal)}

    def get_deny(self, query: dict[str, str], body: Any) -> Answer:
        return self.world.permissions.listed()

    def post_deny(self, query: dict[str, str], body: Any) -> Answer:
        self.world.permissions.deny(Denial(tuple(body["actions"]), body.get("access_key")))
        return self.get_deny(query, body)

    def delete_deny(self, query: dict[str, str], body: Any) -> Answer:
        self.world.permissions.clear(query.get("access_key"))
        return self.get_deny(query, body)

    def get_faults(self, query: dict[str, str], body: Any) -> Answer:
        return self.world.faults.listed()

    def post_faults(self, query: dict[str, str], body: Any) -> Answer:
        return {"ids": self.world.faults.add(body if isinstance(body, list) else [body])}

    def delete_faults(self, query: dict[str, str], body: Any) -> Answer:
        self.world.faults.remove(int(query["id"]) if "id" in query else None)
        return self.get_faults(query, body)

    def get_barrier(self, query: dict[str, str], body: Any) -> Answer:
        return self.world.faults.waiting(float(query.get("wait_s", "0")))

    def post_barrier(self, query: dict[str, str], body: Any) -> Answer:
        return {"found": self.world.faults.decide(int(body["n"]), str(body["verdict"]))}

    def get_clock(self, query: dict[str, str], body: Any) -> Answer:
        return {"durations": self.world.clock.durations}

    def post_clock(self, query: dict[str, str], body: Any) -> Answer:
        """{"durations": {transition: seconds}} changes these, for transitions that begin from now on."""
        durations = self.world.clock.durations
        for name, seconds in body["durations"].items():
            if name not in durations:
                raise KeyError(f"no transition {name}; there are {', '.join(sorted(durations))}")
            durations[name] = float(seconds)
        return self.get_clock(query, body)

    def get_quirks(self, query: dict[str, str], body: Any) -> Answer:
        return [
            {"name": q.name, "source": q.source, "summary": q.summary, "on": self.world.quirk(q.name)}
            for q in CATALOGUE.values()
        ]

    def post_quirks(self, query: dict[str, str], body: Any) -> Answer:
        """{"off": [names], "on": [names]} switches quirks by name; "*" means all."""
        for key, change in (("off", self.world.quirks_off.add), ("on", self.world.quirks_off.discard)):
            for name in body.get(key, []):
                if name != "*" and name not in CATALOGUE:
                    raise KeyError(f"no quirk {name}; there are {', '.join(sorted(CATALOGUE))}")
                for each in CATALOGUE if name == "*" else [name]:
                    change(each)
        return self.get_quirks(query, body)

    def get_clusters(self, query: dict[str, str], body: Any) -> Answer:
        """The names of the EKS clusters in the account of `access_key`, for the token authenticator."""
        principal = self.world.accounts.find(query["access_key"])
        with self.world.lock:
            places = self.world.store(EksStore).places.items()
            return sorted({n for (owner, _), all_ in places if principal and owner == principal.account for n in all_})

    def get_identity(self, query: dict[str, str], body: Any) -> Answer:
        """Who the IAM caller `arn` is in `cluster`: {"username", "groups"}, or {}."""
        with self.world.lock:
            return identity_in(self.world, query["cluster"], query["arn"]) or {}

    def post_maintenance(self, query: dict[str, str], body: Any) -> Answer:
        """Opens the maintenance window of all database instances; {"instances": those with pending changes}."""
        with self.world.lock:
            return {"instances": run_maintenance(self.world)}

    def post_reset(self, query: dict[str, str], body: Any) -> Answer:
        """Empties every account and drops faults, denials and finished call records; keys and quirks stay."""
        self._reset()
        return {}


def _json(document: Answer, status: int = 200) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(document, default=str).encode())
