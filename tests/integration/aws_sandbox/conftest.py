"""One AWS sandbox for all tests of this folder; each test has an empty account of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.testing import Account, AwsSandbox

# Seconds of read lag with which nothing fresh is seen while a test runs. A lag is drawn between 0 and this, so that the
# longest test time must be a negligible part of it.
UNSEEN_S = 10_000_000


@pytest.fixture(scope="session")
def shared_aws() -> Iterator[AwsSandbox]:
    with AwsSandbox() as aws:
        yield aws


@pytest.fixture
def aws(shared_aws: AwsSandbox) -> Iterator[AwsSandbox]:
    """The shared sandbox; faults, denials, times and switched quirks of a test end with it."""
    durations = shared_aws.control("GET", "clock")
    shared_aws.mark()
    yield shared_aws
    shared_aws.clear_faults()
    shared_aws.allow_all()
    shared_aws.control("POST", "clock", durations)
    shared_aws.quirks(on=["*"])


@pytest.fixture
def account(aws: AwsSandbox) -> Account:
    return aws.account()


@pytest.fixture
def calm(aws: AwsSandbox) -> AwsSandbox:
    """Without read lag and propagation delays, for tests that look at something else."""
    aws.durations(read__lag=0, iam__propagation=0)
    return aws


def code_of(call: Callable[..., Any], **params: Any) -> str:
    """The error code that a call ends with, "" when it succeeds."""
    try:
        call(**params)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def wait_for(what: Callable[[], Any], deadline_s: float = 10.0) -> Any:
    """The first true value that `what` returns; fails after `deadline_s` seconds."""
    end = time.monotonic() + deadline_s
    while not (value := what()):
        assert time.monotonic() < end, f"did not become true within {deadline_s} s"
        time.sleep(0.03)
    return value
