"""Where a model server may be: on this machine or in its private network, and what the owner allowed by name.

A name is looked up for each connection, all it leads to is judged, and the connection goes to an address that was judged: a
name that leads elsewhere tomorrow, or between the look and the connection, leads nowhere.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from core.errors import Unavailable
from core.networks import is_private_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


class ModelElsewhere(Unavailable):
    """{host} leads to {address}, outside of any private network: nothing was sent. If you mean it, set TIMMY_MODEL_HOSTS={host}"""


async def _look_up(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be connected to. `hosts`: what the owner allowed wherever it is, in small letters. `look_up` raises `OSError`."""

    hosts: frozenset[str] = frozenset()
    look_up: Callable[[str, int], Awaitable[Sequence[str]]] = _look_up

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses to try, in order. Raises `ModelElsewhere`: one that may not be reached closes the name; and `OSError`."""
        try:
            ip_address(host.partition("%")[0])
            found: Sequence[str] = [host]
        except ValueError:
            found = await self.look_up(host, port)
        if host.lower() not in self.hosts:
            for address in found:
                if not is_private_address(ip_address(address.partition("%")[0])):
                    raise ModelElsewhere(host=host, address=address)
        return list(dict.fromkeys(found))
