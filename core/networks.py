"""Which addresses only a private network reaches. Pure.

Source: RFC 1918 and RFC 4193 (private), RFC 6598 (carrier-grade NAT, as VPNs use it), loopback and link-local.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address

_PRIVATE = tuple(
    ip_network(block)
    for block in (
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip

_PRIVATE_NAMES = ("localhost", "local", "lan", "internal", "home.arpa", "ts.net")
"""Names that no public server can have, and those of a Tailscale network, whose traffic is encrypted below HTTP."""

_LONGEST_LABEL = 63


def is_private_address(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is this machine's, or one of a private network."""
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return any(address in network for network in _PRIVATE)


def is_private_name(host: str) -> bool:
    """Whether a name, by its spelling alone, is one that only a private network has."""
    name = host.lower().rstrip(".")
    return "." not in name or name.endswith(tuple(f".{suffix}" for suffix in _PRIVATE_NAMES))


def is_host_name(host: str) -> bool:
    """Whether a name can be looked up: its parts are there, and none is too long (RFC 1035, 2.3.4; RFC 3490 beyond ASCII)."""
    if not host.isascii():  # the tables of letters take 150 KB, and a name in ASCII needs none of them
        try:
            host.encode("idna")
        except UnicodeError:
            return False
        return True
    *parts, last = host.split(".")
    return all(0 < len(part) <= _LONGEST_LABEL for part in parts) and len(last) <= _LONGEST_LABEL
