"""What kinds see of a cluster: objects by path, read, applied, deleted, waited for; all calls go through the engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from ..engine.calls import Calls
from ..engine.errors import ApiError, Category, Unreadable
from .client import APPLY, Client
from .discovery import ACCEPT, Discovery, Served
from .errors import FieldConflict
from .names import MANAGER, STACK_LABEL
from .schema import Schemas, bundled_schemas
from .watch import WATCH_S, Cache, newer

T = TypeVar("T")
PAGE = 500
NAMES = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
READERS = 16
FIRST_ANSWER_S = 6.0  # a server that never answered is given up sooner than one that did and restarts
_UNREADABLE = (Category.DENIED, Category.RETRY, Category.LOST)
_SILENT = ("Unreachable", "NoAnswer", "UntrustedCertificate")
SHORTEST_MASKED = 4  # shorter secrets would blank half the message


class KubeApi:
    """One cluster. `cluster_id`: id of the resource that it is reached through, so that it outlives what lies in it."""

    def __init__(self, client: Client, calls: Calls, cluster_id: str = "", schemas: Schemas | None = None) -> None:
        self._client = client
        self._calls = calls
        self.cluster_id = cluster_id
        self.schemas = schemas or bundled_schemas()
        self.discovery = Discovery(lambda path: self._read(f"discover {path}", path, accept=ACCEPT))
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="capstan-kube")
        self._caches: dict[str, Cache] = {}
        self._written: dict[str, Mapping[str, Any]] = {}  # path -> the answer of our last write to it
        self._looks: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._told: dict[str, tuple[float, str]] = {}
        self._answered = False
        self._silent: ApiError | None = None  # why a server that never answered was given up
        self.without: set[str] = set()  # namespaces that were missing when something was tried out in them
        self._tried: dict[str, tuple[Any, dict[str, Any] | ApiError]] = {}
        self._secrets: set[str] = set()

    # -- reading -----------------------------------------------------------------------------------------------
    def served(self, api_version: str, kind: str) -> Served | None:
        """How a kind is served; None when the server does not know it."""
        return self.discovery.kind(api_version, kind)

    def get(self, path: str) -> dict[str, Any] | None:
        """One object; None when it is not there. Raises Unreadable."""
        try:
            found: dict[str, Any] = json.loads(self._read(f"get {_tail(path)}", path))
        except ApiError as error:
            if error.code == "NotFound":
                return None
            raise
        return found

    def listed(self, served: Served, namespace: str, selector: str, page: int = PAGE) -> list[dict[str, Any]]:
        """All objects that the label selector picks, `page` of them a request. Raises Unreadable."""
        try:
            items, _unused = self._list(served.collection(namespace), {"labelSelector": selector, "limit": str(page)})
        except ApiError as error:
            if error.code == "NotFound":
                return []  # its definition went meanwhile, and all its objects with it
            raise
        for item in items:  # lists leave these out
            item.setdefault("apiVersion", served.api_version)
            item.setdefault("kind", served.kind)
        return items

    def names(self, served: Served, namespace: str) -> set[str]:
        """The names of all objects of a kind in one place, whoever owns them. Raises Unreadable."""
        return {item["metadata"]["name"] for item in self._list(served.collection(namespace), {}, NAMES)[0]}

    def select(self, served: Served, namespace: str, fields: str) -> list[dict[str, Any]]:
        """The objects that a field selector picks; none when they may not be listed: for messages only."""
        try:
            return self._list(served.collection(namespace), {"fieldSelector": fields})[0]
        except ApiError:
            return []

    def require(self, api_version: str, kind: str) -> Served:
        """How a kind is served; waits for one whose definition was made in this run. Raises ApiError."""

        def look() -> Served:
            found = self.discovery.kind(api_version, kind)
            if found is None:
                self.discovery.refresh()
                words = f'the API server serves no {kind} in "{api_version}"'
                raise ApiError("discover", "NoKind", words, Category.WAIT, remedy="Describe its definition, too")
            return found

        return self.discovery.kind(api_version, kind) or self.patiently(look)

    def patiently(self, look: Callable[[], T]) -> T:
        """What `look` returns, asked again while it raises an ApiError to wait for."""
        return self._calls.make(look, write=False)

    def of_stacks(self, stacks: Iterable[str]) -> str:
        """The label selector for what these stacks own."""
        return f"{STACK_LABEL} in ({','.join(sorted(stacks))})"

    def side_by_side(self, work: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
        """`work` for all items at the same time; on threads of its own, as the engine's may all be waiting for us."""
        futures = [self._pool.submit(work, item) for item in items]
        return [future.result() for future in futures]

    def log_lines(self, pod: str, container: str, lines: int, *, previous: bool) -> list[str]:
        """The last log lines of a container (of its previous run); none when there is no log. `pod`: its path."""
        query = {"container": container, "tailLines": str(lines), **({"previous": "true"} if previous else {})}
        try:
            text = self._client.request(f"log {_tail(pod)}", "GET", f"{pod}/log", query)
        except ApiError:
            return []
        return self.masked(text.decode(errors="replace")).splitlines()

    def _list(self, path: str, query: Mapping[str, str], accept: str = "") -> tuple[list[dict[str, Any]], str]:
        items: list[dict[str, Any]] = []
        following = ""
        while True:
            page = {"limit": str(PAGE), **query, **({"continue": following} if following else {})}
            answer = json.loads(self._read(f"list {_tail(path)}", path, page, accept))
            items += answer.get("items") or []
            following = (answer.get("metadata") or {}).get("continue", "")
            if not following:
                return items, str((answer.get("metadata") or {}).get("resourceVersion", ""))

    def _read(self, operation: str, path: str, query: Mapping[str, str] | None = None, accept: str = "") -> bytes:
        started = self._calls.runtime.monotonic()

        def send() -> bytes:
            if self._silent is not None:  # dozens of reads must not each find out again
                raise self._silent
            try:
                answer = self._client.request(operation, "GET", path, query, accept=accept or "application/json")
            except ApiError as error:
                late = self._calls.runtime.monotonic() - started > FIRST_ANSWER_S
                if error.code in _SILENT and late and not self._answered:
                    self._silent = replace(error, category=Category.FATAL)
                    raise self._silent from None
                raise _at_once(error) from None
            self._answered = True
            return answer

        try:
            return self._calls.make(send, write=False)
        except ApiError as error:
            if error.category in _UNREADABLE or error.code in _SILENT:
                why = (error.operation, error.code, error.message, error.category, "", error.remedy)
                raise Unreadable(*why) from error
            raise

    # -- writing -----------------------------------------------------------------------------------------------
    def apply(
        self, path: str, body: Mapping[str, Any], *, dry_run: bool = False, force: bool = False
    ) -> dict[str, Any]:
        """Server-side apply; returns the object as it is (or, for a dry run, would be) afterwards."""
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
            remembered = self._tried_before(path, body)
            if remembered is not None:
                return remembered
        operation = f"{'try to apply' if dry_run else 'apply'} {_tail(path)}"

        def send() -> bytes:
            try:
                return self._client.request(operation, "PATCH", path, query, body, content_type=APPLY)
            except ApiError as error:
                raise (_at_once(error) if dry_run else error) from None

        try:
            answer: dict[str, Any] = json.loads(self._write(send, write=not dry_run))
        except ApiError as error:
            if dry_run and error.category is Category.ABSENT:
                self._remember_trial(path, body, error)
            raise
        if dry_run:
            self._remember_trial(path, body, answer)
        else:
            self._note(path, answer)
        return answer

    def _remember_trial(self, path: str, body: Mapping[str, Any], result: dict[str, Any] | ApiError) -> None:
        with self._lock:
            self._tried[path] = (body, result)

    def _tried_before(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the same dry run answered in this run, or its ApiError: each object is planned three times.

        Only for objects that are not there: what is there may have changed, and is asked for again.
        """
        with self._lock:
            tried, result = self._tried.get(path, (None, {}))
        if tried != body:
            return None
        if isinstance(result, ApiError):
            raise result
        return None if result["metadata"].get("resourceVersion") else result

    def delete(self, path: str, uid: str, propagation: str) -> None:
        """Delete exactly this object (by uid): not one that took its name meanwhile."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid:
            body |= {"preconditions": {"uid": uid}}  # type: ignore[dict-item]

        def send() -> bytes:
            return self._client.request(f"delete {_tail(path)}", "DELETE", path, None, body)

        with self._lock:
            self._written.pop(path, None)
            self._looks.pop(path, None)
        self._write(send, write=True)

    def _write(self, send: Callable[[], bytes], *, write: bool) -> bytes:
        """Applies and deletes by uid may be sent again after a lost answer: they say what is to be, not a step."""
        try:
            return self._calls.make(send, write=write)
        except ApiError as error:
            if isinstance(error, FieldConflict):
                raise
            raise replace(error, message=self.masked(error.message)) from None

    def _note(self, path: str, answer: Mapping[str, Any]) -> None:
        with self._lock:
            self._written[path] = answer
            self._tried.pop(path, None)
            self._looks.pop(path, None)
            self._since.pop(path, None)

    def wrote(self, path: str) -> bool:
        """Did this run apply the object at `path`?"""
        with self._lock:
            return path in self._written

    # -- waiting -----------------------------------------------------------------------------------------------
    def look(self, path: str, served: Served, namespace: str) -> Mapping[str, Any] | None:
        """One object for somebody who may look again and again: a write's answer first, then the watch of its kind."""
        with self._lock:
            looks = self._looks[path] = self._looks.get(path, 0) + 1
            written = self._written.get(path)
        if looks == 1:
            return written if written is not None else self.get(path)
        cache = self.cache(served, namespace)
        if not cache.ready():
            return self.get(path)
        seen = cache.object(path)
        if seen is None:
            return self.get(path)  # deleted, or the watch has not seen it yet
        return written if written is not None and newer(written, seen) else seen

    def cache(self, served: Served, namespace: str) -> Cache:
        """The watch of a collection, started when it is first asked for."""
        collection = served.collection(namespace)
        with self._lock:
            if collection not in self._caches:
                self._caches[collection] = self._watch(served, collection)
            return self._caches[collection]

    def _watch(self, served: Served, collection: str) -> Cache:
        operation = f"watch {_tail(collection)}"

        def list_all() -> tuple[list[Mapping[str, Any]], str]:
            answer = json.loads(self._client.request(operation, "GET", collection, {"limit": "0"}))
            for item in answer.get("items") or ():
                item.setdefault("apiVersion", served.api_version)
                item.setdefault("kind", served.kind)
            return answer.get("items") or [], str(answer["metadata"]["resourceVersion"])

        def stream(version: str) -> Iterator[Any]:
            query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
            query["timeoutSeconds"] = str(WATCH_S)
            return self._client.stream(operation, collection, query, WATCH_S + 10.0)

        def path_of(item: Mapping[str, Any]) -> str:
            metadata = item.get("metadata") or {}
            return served.path(metadata.get("namespace", ""), metadata.get("name", ""))

        return Cache(list_all, stream, path_of, self._closed)

    def seconds_since_first(self, what: str) -> float:
        """How long ago this was asked for the first time: how long a trouble has lasted."""
        now = self._calls.runtime.monotonic()
        with self._lock:
            return now - self._since.setdefault(what, now)

    def forget_since(self, prefix: str) -> None:
        """Troubles whose names begin so are over."""
        with self._lock:
            self._since = {what: at for what, at in self._since.items() if not what.startswith(prefix)}

    def remembered(self, what: str, seconds: float, make: Callable[[], str]) -> str:
        """What `make` said at most `seconds` ago."""
        now = self._calls.runtime.monotonic()
        with self._lock:
            at, text = self._told.get(what, (0.0, ""))
        if not text or now - at > seconds:
            text = make()
            with self._lock:
                self._told[what] = (now, text)
        return text

    def close(self) -> None:
        """Ends the watches; their threads are daemons that end with their connection."""
        self._closed.set()
        self._pool.shutdown(wait=False)

    # -- secrets -----------------------------------------------------------------------------------------------
    def hide(self, secrets: Iterable[str]) -> None:
        """From now on these never appear in what the cluster's words are quoted in."""
        with self._lock:
            self._secrets.update(text for text in secrets if len(text) >= SHORTEST_MASKED)

    def masked(self, text: str) -> str:
        """`text` without any secret that passed through here."""
        with self._lock:
            secrets = sorted(self._secrets, key=len, reverse=True)
        for secret in secrets:
            text = text.replace(secret, "***")
        return text


def _at_once(error: ApiError) -> ApiError:
    """For reads and dry runs: what a write would wait for is an answer already."""
    if error.category is not Category.WAIT:
        return error
    return replace(error, category=Category.ABSENT if error.code == "NotFound" else Category.FATAL)


def _tail(path: str) -> str:
    """ "deployments/backend in shop" for "/apis/apps/v1/namespaces/shop/deployments/backend"."""
    _head, found, rest = path.partition("/namespaces/")
    if found and "/" in rest:
        namespace, _sep, tail = rest.partition("/")
        return f"{tail} in {namespace}"
    return path.removeprefix("/apis/").removeprefix("/api/").partition("/")[2] if not found else f"namespaces/{rest}"
