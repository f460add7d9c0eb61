"""`timmy gateway`: a further front end for workers, in a process of its own, for a hub that it reaches by way of Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, cast

from adapters.clockwork import Nursery, SystemClock, SystemIds, chance
from adapters.redis.branch import Branch
from adapters.web.gateway import Gateway
from adapters.web.listening import Site
from adapters.web.worker_routes import WorkerRoutes
from bot.descriptors import many_files
from bot.parts import far
from config.settings import split

if TYPE_CHECKING:
    from adapters.redis.wire import Link
    from config.settings import Settings


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; who waits is answered then. Raises `PortInUse`, `CannotListen`."""
    os.umask(0o077)
    many_files()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    http = settings.http
    branch = Branch(
        cast("Link", far.link(settings, "timmy-gateway")),
        settings.redis.hub,
        clock=SystemClock(),
        ids=SystemIds(),
        chance=chance,
    )
    routes = WorkerRoutes(branch, branch.check, branch.keep).routes()
    site = Site(http.host, http.port, http.public_url, split(http.allowed_hosts), http.trusted_proxy)
    gateway = Gateway(site, branch, routes)
    async with Nursery() as nursery:
        nursery.spawn(branch.run(), "the way to the hub")
        async with gateway.listening():
            print(f"timmy: gateway on {gateway.address}", file=sys.stderr, flush=True)  # noqa: T201 - for whoever started it
            await stop.wait()
            gateway.ends = True
            branch.close()
