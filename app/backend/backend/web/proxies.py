"""Who sent a request through proxies: X-Forwarded-For and X-Forwarded-Proto, as far as they can be trusted.

Each proxy adds at the right the address that it was called from; what stands further left was written by those before.
So the list is read from the right, past the addresses of trusted proxies, to the first that is none of them. RFC 7239's
Forwarded is not read: proxies that do not know it pass on what a client wrote there. For Granian an underscore in a
name is a hyphen, so the outermost proxy must drop `X_Forwarded_For`: nginx does; a load balancer of AWS has to be told
(`routing.http.drop_invalid_header_fields.enabled`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# More proxies than anybody has; a longer list is somebody's game.
_MAX_HOPS = 16
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Client:
    """The far end of a request: its address, whether it spoke HTTPS, and whether a trusted proxy says so."""

    address: str
    https: bool
    vouched: bool = False


class Proxies:
    """Knows the clients behind trusted proxies."""

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._trusted = trusted
        self._known = lru_cache(_REMEMBERED)(self._client)

    def client(self, peer: str, forwarded_for: str | None, forwarded_proto: str | None) -> Client:
        """The client of a request that came from `peer` with these headers."""
        if not self._trusted:
            return self._known(peer, None, None)
        return self._known(peer, forwarded_for, forwarded_proto)

    def _client(self, peer: str, forwarded_for: str | None, forwarded_proto: str | None) -> Client:
        return client_of(peer, forwarded_for, forwarded_proto, self._trusted)


def client_of(
    peer: str, forwarded_for: str | None, forwarded_proto: str | None, trusted: tuple[Network, ...]
) -> Client:
    """The client; nothing that a header says counts where `peer` is not trusted.

    Where a trusted proxy named what is no address, that proxy is as far as one can see.
    """
    nearest = address_in(peer)
    if nearest is None or not _is_in(nearest, trusted):
        return Client(peer, https=False)
    for text in reversed((forwarded_for or "").rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]):
        found = address_in(text)
        if found is None:
            break
        nearest = found
        if not _is_in(found, trusted):
            break
    protocol = (forwarded_proto or "").rpartition(",")[2].strip().lower()
    return Client(str(nearest), protocol == "https", vouched=True)


def address_in(text: str) -> Address | None:
    """The address in `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.

    None for anything else, zones (`fe80::1%eth0`) included: those are free text.
    """
    text = text.strip()
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port[1:] if port[0] == ":" else "")):
            return None
        text = host if ":" in host else ""
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(port):
            return None
    if "%" in text:
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # A socket that takes both families shows IPv4 clients this way.
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
