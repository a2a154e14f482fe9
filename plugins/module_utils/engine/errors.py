"""What can go wrong, as types: helpers raise these, plugins report them.

CapstanError
├── InvalidDescription   the inventory or a template is wrong: found before anything is touched
├── ApiError             an API refused, lost or never answered a call
│   └── Unreadable       a kind cannot be read: never taken for "absent"; UnreadablePlan: so nothing is done
├── Conflict             something that is not ours stands where we would create
├── PlanMoved            the world moved since the plan was made or approved
├── LockHeld             another run holds the stack
├── LeaseLost            this run no longer holds it: nothing may be written any more
└── Refused              a safeguard (protect, prune limit, shared platform) says no
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import Enum


class CapstanError(Exception):
    """Base of every error that capstan reports to its user."""


def missing_library(package: str, error: ImportError) -> CapstanError:
    """What to raise where a Python package is needed that is not there. `package`: as pip knows it."""
    return CapstanError(
        f"the Python package {package} is missing ({error}). Install it for {sys.executable}, which runs this task."
    )


class Category(Enum):
    """What to do about an API's error; tables of (operation, code, message) in the kinds' files decide."""

    RETRY = "retry"  # throttled, 5xx, a read that lost its answer: the same call again, soon
    WAIT = "wait"  # something else must become ready first (a fresh role, a lingering interface)
    LOST = "lost"  # a write without an answer: it may or may not have happened
    ABSENT = "absent"  # the thing is not there: the API's own not-found
    EXISTS = "exists"  # the name is taken, perhaps by our own earlier attempt
    DENIED = "denied"  # no permission
    FATAL = "fatal"  # anything else


class InvalidDescription(CapstanError):
    """The description is wrong. `problems`: one sentence each, every one found in one go."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(eq=False)
class ApiError(CapstanError):
    """An API call that failed for good. `code` is the API's own, `message` its own words."""

    operation: str
    code: str
    message: str = ""
    category: Category = Category.FATAL
    resource: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        subject = f"{self.resource}: " if self.resource else ""
        parts = [f"{subject}{self.operation}: {self.code}", self.message.strip(), self.remedy.strip()]
        return ". ".join(part.rstrip(".") for part in parts if part) + "."


class Unreadable(ApiError):
    """What is live cannot be seen: denied, disabled or unreachable. Nothing that depends on it is planned."""


class UnreadablePlan(Unreadable):
    """A plan with gaps is not carried out. `message`: whole sentences that say which, and why."""

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class Conflict(CapstanError):
    """`resource` cannot be created: something that this stack does not own is in its place."""

    resource: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.resource}: conflict: {self.found}. {self.remedy}".strip()


class PlanMoved(CapstanError):
    """What the plan showed as known is different now; apply stopped there."""


@dataclass(eq=False)
class LockHeld(CapstanError):
    """Another run holds `stack`."""

    stack: str
    owner: str
    host: str
    age_s: float

    def __str__(self) -> str:
        return (
            f"stack {self.stack} is held by {self.owner} on {self.host} for {self.age_s:.0f} s. "
            "Nothing was written. Wait for that run to end; one that died is taken over by itself."
        )


class LeaseLost(CapstanError):
    """The lease on the stack ran out or was taken over: this run must not write."""


class Refused(CapstanError):
    """A safeguard says no; the message names what and how to allow it."""


class Stopped(CapstanError):
    """The run was asked to stop (SIGTERM, SIGINT, or its parent died): nothing new is started."""


@dataclass(eq=False)
class ApplyFailed(CapstanError):
    """Some resources failed. `failures`: (address, message); `skipped`: addresses that depend on them."""

    failures: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [message for _unused, message in self.failures]
        if self.skipped:
            lines.append(f"not attempted, because they depend on these: {', '.join(self.skipped)}")
        return "\n".join(lines)
