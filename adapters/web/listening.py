"""What every server of the hub has in common: its address, the errors of binding it, and what is on each response."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.web import errors
from adapters.web.errors import CannotListen, PortInUse
from adapters.web.guard import HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web


@dataclass(frozen=True, slots=True)
class Site:
    """Where one listens and what it is called (CONTRACT, settings "http"). Port 0: any that is free.

    `group` is that of the settings which say so.
    """

    host: str
    port: int
    public_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxy: str | None = None
    group: str = "HTTP"


async def probe(site: Site) -> None:
    """See that one could listen there now, before anything is made. Raises `PortInUse`, `CannotListen`."""
    with bound(site):
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, site.host.strip("[]"), site.port)
        server.close()
        await server.wait_closed()


@contextlib.contextmanager
def bound(site: Site) -> Iterator[None]:
    """What goes wrong while one begins to listen, in words. Raises `PortInUse`, `CannotListen`."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(host=site.host, port=site.port, group=site.group) from None
        raise CannotListen(host=site.host, port=site.port, group=site.group, why=error.strerror or error) from None


async def label(_: web.Request, response: web.StreamResponse) -> None:
    """Every response carries the security headers."""
    response.headers.update(HEADERS)


async def expect(request: web.Request) -> web.Response | None:
    """`Expect: 100-continue` is met, anything else refused (RFC 9110, 10.1.1)."""
    if request.headers["Expect"].lower() != "100-continue":
        return errors.library_response(417)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0
    return None


def address(site: Site, runner: web.BaseRunner) -> str:
    """The URL of what listens, as seen from this machine."""
    port = runner.addresses[0][1]
    host = site.host.strip("[]")
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
