"""Which addresses may be fetched: those of the internet, over https, and what the owner allowed by name. Pure.

`ipaddress` knows IANA's registries of special addresses as they were when Python was made; what it lets through and
should not is listed here. Ports, user names in an address and ways of writing a number are refused here too.
Source: IANA "IPv4/IPv6 Special-Purpose Address Registry"; RFC 6052 (NAT64), RFC 6761 and 9476 (special names);
WHATWG URL, "ends in a number".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from yarl import URL

from core.errors import Refused, UserError

if TYPE_CHECKING:
    from ipaddress import IPv4Network

LONGEST = 2048
"""Characters of an address at most."""

_SPECIAL = tuple(
    ip_network(net)
    for net in (
        "192.0.0.0/24",  # protocol assignments; one cloud's metadata is in it
        "192.88.99.0/24",  # what was for relays of 6to4
        "168.63.129.16/32",  # another cloud's metadata, in the midst of the internet
        "2001::/23",  # protocol assignments, Teredo among them
        "2002::/16",  # 6to4, which holds any IPv4 address
        "3fff::/20",  # documentation
    )
)
_PRIVATE = "on this machine or in its network"
_OWN_NETS = tuple(
    ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_METADATA = tuple(ip_network(net) for net in ("100.100.100.200/32", "fd00:ec2::/32", "fd20:ce::/32"))
"""Where clouds answer their machines, inside of what is else a private network's."""

_UNICAST = IPv6Network("2000::/3")
"""All that was given out of IPv6 for the internet (RFC 4291)."""

_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "lan", "home", "corp", "intranet", "private", "arpa")
_HIDDEN_NAMES = ("onion", "test", "invalid", "alt")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_NAME = re.compile(
    r"(?:[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?\.)*[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?\.?"
)
_LONGEST_NAME = 253
_WEB_PORTS = frozenset({80, 443})
_FREE_PORTS = 1024
"""From here on a port belongs to nobody; below, all but the web's speak something else."""


class BadAddress(UserError):
    """This address cannot be fetched: {why}. Write it whole, such as https://example.org/page."""


class ClosedAddress(Refused):
    """{host} is not fetched: it is {what}. The hub fetches from the internet only, and over https."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be fetched beyond the internet.

    `hosts`: names or addresses that the owner allowed, with `:port` or for every port; they may be reached without TLS, and may lie
    in the private network, but be no metadata service. `loopback`: this machine too; for tests.
    """

    hosts: frozenset[str] = frozenset()
    loopback: bool = False

    def allows(self, url: URL) -> bool:
        """Whether the owner named the host of `url`."""
        return not self.hosts.isdisjoint({url.host or "", f"{url.host}:{url.port}"})


def checked(text: str, reach: Reach) -> URL:
    """The address to fetch, without its fragment. Raises `BadAddress` and `ClosedAddress`; it asks no name server."""
    url = _parsed(text)
    host = url.raw_host or ""
    if url.raw_user is not None or url.raw_password is not None:
        raise BadAddress(why="it holds a user name or a password")
    allowed = reach.allows(url)
    literal = _literal(host)
    if literal is None:
        _check_name(host, allowed=allowed)
    else:
        check_address(literal, host, reach, allowed=allowed)
    if url.scheme == "http" and not allowed and not (reach.loopback and literal is not None and literal.is_loopback):
        raise ClosedAddress(host=host, what="asked for without encryption (http)")
    if not _port_is_free(url.port) and not allowed:
        raise ClosedAddress(host=host, what="at a port that is not for web pages")
    return url.with_fragment(None)


def check_address(address: IPv4Address | IPv6Address, host: str, reach: Reach, *, allowed: bool) -> None:
    """Whether a connection for `host` may go to this address. Raises `ClosedAddress`."""
    if isinstance(address, IPv6Address):
        address = _embedded(address) or address
    if reach.loopback and address.is_loopback:
        return
    what = _special(address)
    if what and not (allowed and what == _PRIVATE):
        raise ClosedAddress(host=host, what=what)


def _special(address: IPv4Address | IPv6Address) -> str:
    """What sets an address apart from the internet's; empty for one of those."""
    if address.is_loopback or (_is_in(address, _OWN_NETS) and not _is_in(address, _METADATA)):
        return _PRIVATE
    listed = _is_in(address, _SPECIAL)
    outside = isinstance(address, IPv6Address) and address not in _UNICAST
    if listed or outside or address.is_multicast or not address.is_global:
        return "no address of the internet"
    return ""


def _is_in(address: IPv4Address | IPv6Address, nets: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in net for net in nets)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that is reached by an IPv6 one."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


def _parsed(text: str) -> URL:
    if len(text) > LONGEST:
        raise BadAddress(why=f"it is longer than {LONGEST} characters")
    if not text.isprintable() or set(text) & set(' \\"<>^`{|}'):
        raise BadAddress(why="it holds a space or another sign that no address has")
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise BadAddress(why="it is not written as an address") from None
    if url.scheme not in {"https", "http"}:
        raise BadAddress(why="it does not begin with https://")
    if not url.raw_host or not port:
        raise BadAddress(why="it names no host, or no port that there is")
    return url


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is, if it is one. An address in any other way of writing than the usual is refused."""
    last = host.rstrip(".").rpartition(".")[2]
    if ":" not in host and _NUMBER.fullmatch(last) is None:
        return None
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        raise BadAddress(why="its host is a number that is no usual address") from None
    if "%" in host:
        raise BadAddress(why="its host is an address of one connector of this machine")
    return found


def _check_name(host: str, *, allowed: bool) -> None:
    if len(host) > _LONGEST_NAME or _NAME.fullmatch(host) is None:
        raise BadAddress(why="its host is no name")
    labels = host.lower().rstrip(".").split(".")
    if labels[-1] in _HIDDEN_NAMES:
        raise ClosedAddress(host=host, what="a name that the internet does not have")
    if (labels[-1] in _LOCAL_NAMES or len(labels) == 1) and not allowed:
        raise ClosedAddress(host=host, what="a name of this machine or its network")


def _port_is_free(port: int | None) -> bool:
    return port in _WEB_PORTS or (port or 0) >= _FREE_PORTS
