"""The way to the AWS API of one location: one call, or all pages of a list; errors sorted once, here.

api.call("ec2", "CreateSubnet", VpcId="vpc-1", CidrBlock="10.0.1.0/24", rules=RULES)
api.pages("ec2", "DescribeSubnets", "Subnets", Filters=[...])
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from ..engine.calls import Calls, Rule, sorted_error
from ..engine.errors import ApiError, Category, Unreadable
from ..engine.values import Secret, known
from .rules import PROVIDER_RULES

T = TypeVar("T")
R = TypeVar("R")

_SIDE_BY_SIDE = 16  # calls of one resource at the same time
_READ_VERBS = ("Describe", "Get", "List", "BatchGet", "BatchCheck", "Lookup", "Test")
# What EC2 says before and after the sentence that tells who may not do what: nothing, and a page in a cipher.
_PADDING = re.compile(
    r"^You are not authorized to perform this operation\. (?=User: )|\s*Encoded authorization failure message: \S+"
)
# A 5xx answer or none at all leaves open whether a write was done; one that was never sent was not.
_NEVER_SENT = frozenset({"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"})
_UNANSWERED = frozenset(
    {
        "ReadTimeoutError",
        "ConnectionClosedError",
        "HTTPClientError",
        "ConnectionError",
        "IncompleteReadError",
        "ResponseStreamingError",
        "SSLError",
    }
)


class Clients(Protocol):
    """Where the botocore clients of one location come from."""

    account_id: str
    region: str
    user_agent: str
    caller: str  # ARN of whoever calls

    def client(self, service: str) -> Any:
        """The client of a service, made on first use."""

    def paginator_config(self, service: str, operation: str) -> Mapping[str, Any]:
        """How the pages of a list operation hang together."""


class Api:
    """What kinds get as `api`. Thread-safe. Raises ApiError; reads that cannot be answered raise Unreadable."""

    def __init__(self, clients: Clients, calls: Calls) -> None:
        self._clients = clients
        self._calls = calls

    @property
    def account_id(self) -> str:
        return self._clients.account_id

    @property
    def region(self) -> str:
        return self._clients.region

    @property
    def caller(self) -> str:
        """ARN of the user, or of the role's session, that calls."""
        return self._clients.caller

    @property
    def user_agent(self) -> str:
        return self._clients.user_agent

    @property
    def calls(self) -> Calls:
        """For the few requests that do not go to the AWS API itself (a registry's)."""
        return self._calls

    def call(
        self,
        service: str,
        operation: str,
        /,
        *,
        rules: tuple[Rule, ...] = (),
        done: Category | None = None,
        repeatable: bool = True,
        waits: int = 1,
        **params: Any,
    ) -> dict[str, Any]:
        """The answer of one operation.

        `rules`: the kind's own table of errors. `done`: the category of error that means there is nothing to do any
        more (ABSENT for a removal, EXISTS for an addition, ABSENT for a read): answered with an empty mapping.
        `repeatable`: see Calls.make. `waits`: how many times the usual patience an error of category WAIT is given.
        """
        write = not operation.startswith(_READ_VERBS)
        client = self._clients.client(service)
        request = _wire(known(params))

        def send() -> dict[str, Any]:
            return _send(client, operation, request, write, rules)

        for left in reversed(range(waits)):
            try:
                return self._calls.make(send, write=write, repeatable=repeatable)
            except ApiError as error:
                if error.category is done:
                    return {}
                if not write and error.category in (Category.DENIED, Category.RETRY):
                    raise unreadable(error) from error
                if error.category is not Category.WAIT or not left:
                    raise
        raise AssertionError("waits is at least 1")

    def pages(
        self,
        service: str,
        operation: str,
        key: str,
        /,
        *,
        rules: tuple[Rule, ...] = (),
        done: Category | None = None,
        **params: Any,
    ) -> Iterator[Any]:
        """All elements of the list `key` of all pages; each page is a call of its own, retried on its own."""
        from botocore.paginate import Paginator

        def page_of(**request: Any) -> dict[str, Any]:
            return self.call(service, operation, rules=rules, done=done, **request)

        model = self._clients.client(service).meta.service_model.operation_model(operation)
        paginator = Paginator(page_of, self._clients.paginator_config(service, operation), model)
        for page in paginator.paginate(**params):
            yield from page.get(key) or ()

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """`work` for every item, side by side; results in the items' order. The first error is raised after all ended.

        The caller works, too, and waits only for what somebody is working on: so it cannot wait for workers that all
        wait themselves, however many resources are under way.
        """
        if len(items) <= 1:
            return [work(item) for item in items]
        pending = deque(enumerate(items))
        mailbox = self._calls.runtime.mailbox()

        def drain() -> None:
            while pending:
                try:
                    position, item = pending.popleft()
                except IndexError:  # somebody else was faster
                    return
                try:
                    mailbox.put((position, work(item), None))
                except BaseException as error:
                    mailbox.put((position, None, error))

        for _turn in range(min(len(items), _SIDE_BY_SIDE) - 1):
            self._calls.runtime.start(drain)
        drain()
        answers = sorted((mailbox.get() for _unused in items), key=lambda answer: int(answer[0]))
        for _unused, _unused, error in answers:
            if error is not None:
                raise error
        return [result for _unused, result, _unused in answers]


def unreadable(error: ApiError) -> Unreadable:
    """The error of a read that says: this cannot be seen, so nothing may be concluded from it."""
    return Unreadable(error.operation, error.code, error.message, error.category, error.resource, error.remedy)


def _send(client: Any, operation: str, params: dict[str, Any], write: bool, rules: tuple[Rule, ...]) -> dict[str, Any]:
    from botocore import xform_name
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError  # none of BotoCoreError's family

    try:
        answer: dict[str, Any] = getattr(client, xform_name(operation))(**params)
    except ClientError as error:
        raise sorted_error(_refused(error.operation_name, error.response, write), rules, PROVIDER_RULES) from None
    except (BotoCoreError, ResponseParserError) as error:
        raise sorted_error(_unanswered(operation, error, write), rules, PROVIDER_RULES) from None
    return answer


def _refused(operation: str, response: Mapping[str, Any], write: bool) -> ApiError:
    details = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    category = Category.FATAL
    if status == 429:
        category = Category.RETRY
    elif status >= 500:
        category = Category.LOST if write else Category.RETRY
    code = str(details.get("Code", "")).removeprefix("Client.")
    return ApiError(operation, code or f"HTTP {status}", _PADDING.sub("", str(details.get("Message", ""))), category)


def _unanswered(operation: str, error: Exception, write: bool) -> ApiError:
    """A request without an answer. Only the kind of error is told: botocore's words may quote parameters."""
    name = type(error).__name__
    if name in _NEVER_SENT:
        return ApiError(operation, "Unreachable", str(error), Category.RETRY, remedy="Is the endpoint right, and up?")
    if name == "ResponseParserError":
        return ApiError(operation, "Garbled", "", Category.LOST if write else Category.RETRY)
    if name in _UNANSWERED:
        return ApiError(operation, "NoAnswer", name, Category.LOST if write else Category.RETRY)
    if "Credential" in name or name.startswith(("Token", "SSO", "Unauthorized", "RefreshWithMFA", "ProfileNotFound")):
        return ApiError(operation, "NoCredentials", str(error), Category.DENIED)
    return ApiError(operation, name, str(error))


def _wire(value: Any) -> Any:
    """`value` as a request holds it: secrets revealed, tuples as lists, absent (None) parameters left out."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: _wire(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_wire(item) for item in value]
    return value
