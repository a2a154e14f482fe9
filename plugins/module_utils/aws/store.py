"""Where a stack's lock and journal live: SSM parameters under /capstan/<stack>/, standard tier (at most 4 kB each).

PutParameter without Overwrite is the conditional create: of several callers exactly one succeeds. Cost: one page of
GetParametersByPath for `entries`, one call for everything else. Actions: ssm:GetParametersByPath, PutParameter,
DeleteParameter.
"""

from __future__ import annotations

from typing import Any

from ..engine.errors import ApiError, Category
from .api import Api
from .rules import rules

_ROOT = "/capstan"
LIMIT = 4096  # characters in a standard parameter
_RULES = (
    *rules(Category.EXISTS, "ParameterAlreadyExists"),
    *rules(Category.ABSENT, "ParameterNotFound"),
    *rules(Category.RETRY, "TooManyUpdates", "InternalServerError"),
)


class ParameterStore:
    """The engine's Store for one stack. Its `api` comes without the lease's guard: it is what makes the lease."""

    def __init__(self, api: Api, stack: str) -> None:
        self._api = api
        self._path = f"{_ROOT}/{stack}"

    def entries(self) -> dict[str, str]:
        """Everything of the stack, by key."""
        found = self._api.pages(
            "ssm", "GetParametersByPath", "Parameters", Path=f"{self._path}/", Recursive=True, MaxResults=10
        )
        return {item["Name"].removeprefix(f"{self._path}/"): item["Value"] for item in found}

    def create(self, key: str, text: str) -> bool:
        """Write `key` if it is not there; False when it is. A lost answer is settled by looking who is there."""
        try:
            self._put(key, text, Overwrite=False, repeatable=False)
        except ApiError as error:
            if error.category is Category.EXISTS:
                return False
            if error.category is Category.LOST:
                return self._settle(key, text)
            raise
        return True

    def put(self, key: str, text: str) -> None:
        self._put(key, text, Overwrite=True)

    def remove(self, key: str) -> None:
        self._api.call("ssm", "DeleteParameter", Name=self._name(key), rules=_RULES, done=Category.ABSENT)

    def _settle(self, key: str, text: str) -> bool:
        """A second conditional create: it wins, or finds ours (texts hold the run's own nonce), or somebody else's."""
        try:
            self._put(key, text, Overwrite=False)
        except ApiError as error:
            if error.category is Category.EXISTS:
                return self.entries().get(key) == text
            raise
        return True

    def _put(self, key: str, text: str, **how: Any) -> None:
        self._api.call(
            "ssm", "PutParameter", Name=self._name(key), Value=text, Type="String", Tier="Standard", rules=_RULES, **how
        )

    def _name(self, key: str) -> str:
        return f"{self._path}/{key}"
