"""Two runs at once, and a holder that was frozen for longer than its lease."""

from __future__ import annotations

import os
import time
from datetime import datetime

import pytest

from .frozen import NETWORK, TAKEN_OVER_AFTER_S, Holder, holder
from .world import World, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]


def test_the_second_of_two_runs_stops_before_any_write_and_names_the_holder(empty: World) -> None:
    with holder(empty) as first:
        mark = empty.aws.mark()
        second = empty.play(**NETWORK)
        ended = time.time()
        assert (second.code, second.writes) == (2, []), second.out
        assert f"stack {empty.stack}-platform is held by " in second.out
        assert f" on {os.uname().nodename} for " in second.out
        assert "Nothing was written" in second.out
        looks = [call for call in empty.aws.calls(mark) if call["operation"] == "GetParametersByPath"]
        assert ended - datetime.fromisoformat(looks[-1]["time"]).timestamp() < 2.0
        first.go_on()
        status, out = first.end()
        assert status == 0, out
    assert len(empty.aws.client("ec2").describe_subnets()["Subnets"]) == 9


def test_a_holder_frozen_for_longer_than_its_lease_writes_nothing_when_it_wakes_up(frozen: Holder) -> None:
    world = frozen.world
    until(lambda: frozen.frozen_s > TAKEN_OVER_AFTER_S, TAKEN_OVER_AFTER_S + 5)
    second = world.play(**NETWORK)
    assert second.code == 0, second.out
    assert "CreateSubnet" in second.aws and "CreateVpc" not in second.aws
    mark = world.aws.mark()
    frozen.wake()
    status, out = frozen.end()
    assert status == 2, out
    assert "the lease on stack" in out and "nothing more is written" in out
    assert [call["operation"] for call in world.aws.calls(mark) if call["write"]] == []
    ec2 = world.aws.client("ec2")
    assert (len(ec2.describe_vpcs()["Vpcs"]), len(ec2.describe_subnets()["Subnets"])) == (1, 9)
    again = world.play(**NETWORK)
    assert (again.code, again.changes, again.writes) == (0, {}, []), again.out
