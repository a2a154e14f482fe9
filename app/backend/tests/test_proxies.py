"""Who a request is from, where proxies stand between."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from backend.web.proxies import Client, Proxies, address_in, client_of
from hypothesis import given
from hypothesis import strategies as st

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8:aaaa::/48"))
ADDRESSES = st.ip_addresses()
STRANGERS = ADDRESSES.filter(lambda one: not any(one in network for network in TRUSTED)).filter(
    lambda one: getattr(one, "ipv4_mapped", None) is None
)
HOPS = st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="2001:db8:aaaa::/48")
ANYTHING = st.text(max_size=40)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::9]:4711, 10.0.0.2:80", "2001:db8::9"),
        ("10.0.0.1", "2001:DB8:0::9", "2001:db8::9"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:aaaa::1", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("192.0.2.1", "10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.9, ", "10.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    peer: str, forwarded_for: str | None, address: str
) -> None:
    assert client_of(peer, forwarded_for, None, TRUSTED).address == address


@pytest.mark.parametrize(
    ("protocol", "https"),
    [("https", True), ("HTTPS", True), ("http", False), (None, False), ("http, https", True), ("https,http", False)],
)
def test_the_protocol_is_what_the_nearest_proxy_says(protocol: str | None, https: bool) -> None:
    assert client_of("10.0.0.1", None, protocol, TRUSTED).https is https
    assert client_of("192.0.2.1", None, protocol, TRUSTED).https is False


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "unknown",
            "_hidden",
            "1.2.3",
            "1.2.3.4:",
            "1.2.3.4:http",
            "1.2.3.4:123456",
            "1.2.3.4\n5",
            "0x7f.1",
            "127.1",
        ),
        *("[::1", "::1]", "[1.2.3.4]", "[::1]x", "[::1]:x", "fe80::1%eth0", "fe80::1%\r\n{", "::ffff:1.2.3.4.5"),
        "\uff11.2.3.4",
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert address_in(text) is None


@given(peer=STRANGERS, header=ANYTHING, protocol=ANYTHING)
def test_no_header_of_a_stranger_counts(peer: object, header: str, protocol: str) -> None:
    assert client_of(str(peer), header, protocol, TRUSTED) == Client(str(peer), https=False)


@given(written=st.lists(ADDRESSES | ANYTHING, max_size=5), client=STRANGERS, hops=st.lists(HOPS, max_size=5), peer=HOPS)
def test_nothing_that_a_client_writes_itself_changes_who_it_is(
    written: list[object], client: object, hops: list[object], peer: object
) -> None:
    header = ", ".join(str(one) for one in (*written, client, *hops))
    assert client_of(str(peer), header, None, TRUSTED).address == str(client)


@given(header=ANYTHING | st.lists(ANYTHING | ADDRESSES).map(lambda parts: ",".join(map(str, parts))), peer=HOPS)
def test_whatever_a_header_holds_the_answer_is_an_address(header: str, peer: object) -> None:
    address = client_of(str(peer), header, header, TRUSTED).address
    assert str(ip_address(address)) == address and address.isascii() and "%" not in address


@given(address=ADDRESSES.filter(lambda one: getattr(one, "ipv4_mapped", None) is None), port=st.integers(0, 65535))
def test_an_address_is_found_with_and_without_port_and_brackets(address: object, port: int) -> None:
    texts = [str(address)]
    texts += [f"{address}:{port}"] if "." in str(address) else [f"[{address}]", f"[{address}]:{port}"]
    assert {address_in(f" {text} ") for text in texts} == {address}


@given(peer=ANYTHING)
def test_without_trusted_proxies_the_client_is_the_peer(peer: str) -> None:
    assert Proxies(()).client(peer, "203.0.113.9", "https") == Client(peer, https=False)


def test_a_list_longer_than_any_chain_of_proxies_is_not_read_to_its_end() -> None:
    assert client_of("10.0.0.1", "203.0.113.9" + ",10.0.0.2" * 5000, None, TRUSTED).address == "10.0.0.2"
