"""Rules of security groups: description, comparison, API."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws import security_group_rules as wording
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Reference


@pytest.mark.parametrize(
    ("described", "shown"),
    [
        (
            {"port": 443, "cidr": "0.0.0.0/0", "description": "web"},
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv4": "0.0.0.0/0", "Description": "web"},
        ),
        (
            {"protocol": "all", "cidr": "10.0.0.0/8"},
            {"IpProtocol": "-1", "FromPort": -1, "ToPort": -1, "CidrIpv4": "10.0.0.0/8"},
        ),
        (
            {"protocol": "17", "from_port": 5000, "to_port": 5010, "cidr": "2001:db8::/32"},
            {"IpProtocol": "udp", "FromPort": 5000, "ToPort": 5010, "CidrIpv6": "2001:db8::/32"},
        ),
        (
            {"port": 5432, "security_group": "sg-1"},
            {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "ReferencedGroupInfo": {"GroupId": "sg-1"}},
        ),
        (
            {"port": 443, "prefix_list": "pl-1"},
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListId": "pl-1"},
        ),
        (
            {"port": 22, "self": True},
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "ReferencedGroupInfo": {"GroupId": "sg-own"}},
        ),
        (
            {"port": 80, "cidr": "10.1.2.3/16"},  # EC2 clears the host's bits
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIpv4": "10.1.0.0/16"},
        ),
    ],
    ids=["web", "all", "a range by number", "a group", "a prefix list", "itself", "host bits"],
)
def test_a_described_rule_equals_what_ec2_shows_of_it(described: dict[str, Any], shown: dict[str, Any]) -> None:
    assert wording.canonical(described, "sg-own") == wording.from_api(shown)


def test_a_rule_about_everything_is_sent_without_ports() -> None:
    rule = wording.canonical({"protocol": "all", "cidr": "::/0"}, "sg-own")
    assert wording.to_permission(rule) == {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}


def test_a_rule_from_a_group_is_sent_with_its_description() -> None:
    rule = wording.canonical({"port": 8080, "security_group": "sg-1", "description": "from the balancer"}, "sg-own")
    assert wording.to_permission(rule) == {
        "IpProtocol": "tcp",
        "FromPort": 8080,
        "ToPort": 8080,
        "UserIdGroupPairs": [{"GroupId": "sg-1", "Description": "from the balancer"}],
    }


def test_the_name_of_a_group_becomes_a_reference_and_an_id_stays() -> None:
    named = wording.link_rule({"port": 80, "security_group": "alb"})
    assert named["security_group"] == Reference("aws.security_group/alb")
    assert wording.link_rule({"port": 80, "security_group": "sg-1"})["security_group"] == "sg-1"


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (
            {"port": 80},
            "ingress[0] needs exactly one of cidr, security_group, prefix_list, self; it has none.",
        ),
        (
            {"port": 80, "cidr": "10.0.0.0/8", "self": True},
            "ingress[0] needs exactly one of cidr, security_group, prefix_list, self; it has cidr, self.",
        ),
        ({"port": 80, "from_port": 1, "self": True}, "ingress[0] has both port and a range; one of them is wanted."),
        ({"cidr": "10.0.0.0/8"}, "ingress[0] needs port, or from_port and to_port."),
        (
            {"port": 80, "cidr": "10.0.0/8"},
            'ingress[0].cidr is "10.0.0/8"; an IP block such as 10.0.0.0/16 is wanted.',
        ),
    ],
)
def test_a_wrong_rule_gets_one_clear_sentence(rule: dict[str, Any], problem: str) -> None:
    assert list(wording.rule_problems("ingress[0]", rule)) == [problem]
