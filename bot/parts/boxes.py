"""What keeps agents in containers; imported when the first is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from adapters import folder
from adapters.clockwork import chance
from adapters.console.link import socket_path
from adapters.containers.engine import SOCKETS, Containers
from config.log import mask
from core.errors import UserError
from core.swarm.container import Home, Limits
from core.swarm.keeper import Keeper

if TYPE_CHECKING:
    import contextlib

    from adapters.sqlite.writer import Database
    from adapters.web.server import Sidecar
    from config.settings import Settings
    from core.ports import Clock, IdSource
    from core.swarm.coordinator import Coordinator
    from core.tokens import Identities

PROCESSES = 256
SOCKET = "hub.sock"


class NoPublicUrl(UserError):
    """Agents on the network {network} do not reach a hub without TIMMY_HTTP_PUBLIC_URL. Set it, or TIMMY_DOCKER_NETWORK=none."""


async def keeper(  # noqa: PLR0913, PLR0917 - what it joins
    settings: Settings, stack: contextlib.AsyncExitStack, store: Database, web: Sidecar, coordinator: Coordinator,
    identities: Identities, clock: Clock, ids: IdSource,
) -> Keeper:  # fmt: skip
    """What keeps them, on the Docker that the settings name; nothing is asked of it yet. Raises `NoPublicUrl`, `NoFolder`."""
    home = await _home(settings, web)
    mark = await store.write(lambda tx: tx.containers.mark(ids.token(9)))
    engine = await stack.enter_async_context(Containers.opened(settings.docker.url, mark))
    return Keeper(
        store, engine, coordinator, clock=clock, ids=ids, chance=chance, claims=identities.reserves, as_now=identities.as_now,
        home=home, mask=mask,
    )  # fmt: skip


async def look_at_docker(settings: Settings, image: str | None) -> str:
    """The version of the Docker that the settings name, not asked for no image. Raises why it can begin no agents of this one."""
    _check_network(settings)
    if image is None:
        return ""
    async with Containers.opened(settings.docker.url, "") as docker:
        return await docker.suits(image)


async def _home(settings: Settings, web: Sidecar) -> Home:
    """Where agents within find the hub: on a socket of its own where they have no network."""
    docker = settings.docker
    limits = Limits(docker.memory << 20, round(docker.cpus * 1000), PROCESSES)
    if docker.network == "none":
        place = _sockets(settings.data_dir)
        with socket_path(place, SOCKET) as path:
            await web.also_at(path)
        return Home(f"unix://{SOCKETS}/{SOCKET}", docker.network, limits, str(place))
    if docker.network == "host":
        return Home(web.address, docker.network, limits)
    return Home(_check_network(settings), docker.network, limits)


def _check_network(settings: Settings) -> str:
    """Where agents on Docker's network find the hub; empty where it is none of Docker's. Raises `NoPublicUrl`."""
    network, public = settings.docker.network, settings.http.public_url
    if public is None and network not in {"none", "host"}:
        raise NoPublicUrl(network=network)
    return (public or "").rstrip("/")


def _sockets(data: Path) -> Path:
    """The folder with the hub's socket: beside the data folder, of which nothing is ever mounted."""
    data = Path(os.path.realpath(data))
    place = data.with_name(f"{data.name}.agents")
    folder.make(place, "DATA_DIR")
    place.chmod(0o755)
    return place
