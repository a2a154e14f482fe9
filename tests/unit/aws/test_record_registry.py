"""Whose a DNS record is."""

from __future__ import annotations

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws import record_registry as registry
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.record_registry import Entry
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.route53 import plain_name


@pytest.mark.parametrize(
    ("name", "kind", "identifier", "place"),
    [
        ("www.example.com", "A", "", "a.www._capstan.example.com"),
        ("example.com", "AAAA", "", "aaaa._capstan.example.com"),
        ("*.example.com", "CNAME", "", "cname._any._capstan.example.com"),
        ("WWW.example.com.", "A", "", "a.www._capstan.example.com"),
        ("a.b.example.com", "TXT", "", "txt.a.b._capstan.example.com"),
        ("www.example.com", "A", "blue", "a-16477688.www._capstan.example.com"),
    ],
)
def test_an_entry_stands_below_one_name_of_its_zone(name: str, kind: str, identifier: str, place: str) -> None:
    assert registry.registry_name("example.com", name, kind, identifier) == place


@pytest.mark.parametrize("address", ["aws.record/www", "aws.record/" + "a-rather-long-name-" * 15])
def test_an_entry_is_read_as_it_was_written(address: str) -> None:
    entry = Entry("www.example.com", "A", 'with "quotes" & signs', "shop", address, "dns", True)
    assert registry.from_record(registry.to_record("example.com", entry)) == entry


def test_no_string_of_an_entry_is_longer_than_dns_allows() -> None:
    entry = Entry("www.example.com", "A", "", "shop", "aws.record/" + "x" * 400, "dns")
    value = registry.to_record("example.com", entry)["ResourceRecords"][0]["Value"]
    assert max(len(string) for string in value.split('"')) <= 255


@pytest.mark.parametrize(
    "value", ['"v=spf1 -all"', '"heritage=external-dns,external-dns/owner=x"', '"heritage=capstan&stack=shop"']
)
def test_what_others_write_is_no_entry(value: str) -> None:
    assert registry.from_record({"Type": "TXT", "ResourceRecords": [{"Value": value}]}) is None


def test_names_are_compared_in_one_form() -> None:
    assert plain_name("\\052.Example.COM.") == "*.example.com"
    assert plain_name("a\\100b.example.com") == "a@b.example.com"
