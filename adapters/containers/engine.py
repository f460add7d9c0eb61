"""`core.swarm.container.Engine` on Docker's HTTP API (Engine API 1.41), with aiodocker.

All that a container may do is said when it is made: a read-only root with a small `/tmp` in memory, no capabilities, no new
privileges, one fixed user, limits, and one volume of its own for the one file that holds its token. The token is put there before
it begins, as part of an archive: what Docker tells of a container, or keeps of its environment, does not have it.
"""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiodocker import Docker, DockerError

from core.errors import cause
from core.swarm.container import BadImage, DockerAway, Found, NoImage, NotStarted, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from aiodocker.containers import DockerContainer

    from core.swarm.container import Wanted

HUB, NAME, MARK, RUN = "timmy.hub", "timmy.agent", "timmy.mark", "timmy.run"
"""Labels: whose container it is, which agent's, what of (`Wanted.mark`), and made in which run of the hub."""

USER = 10001
SECRETS, TOKEN = "/run/timmy", "token"
"""Where the token is, within."""

SOCKETS = "/run/hub"
"""Where the folder with the hub's own socket is, within, for those without a network."""

SCRATCH_MB = 128
ANSWER_SECONDS = 30
LOST = 900
"""How aiodocker numbers a server that is not reached."""

_STATES = {"running": State.RUNS, "paused": State.RUNS, "restarting": State.RUNS, "exited": State.ENDED}
"""The others were made and never ran, or could not be removed whole."""


class Containers:
    """The containers of the hub that is called `hub`, on the Docker at `url`."""

    def __init__(self, docker: Docker, url: str, hub: str) -> None:
        self._docker = docker
        self._url = url
        self._hub = hub

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, hub: str) -> AsyncIterator[Self]:
        """A connection until the block ends; nothing is asked yet."""
        async with Docker(url=url) as docker:
            yield cls(docker, url, hub)

    async def suits(self, image: str) -> str:
        """Docker's version, if it can begin agents of this image. Raises `DockerAway`, `NoImage`, `BadImage`."""
        async with self._answers():
            await fit(self._docker, image)
            return str((await self._docker.version())["Version"])

    async def found(self) -> list[Found]:
        """See `Engine`."""
        async with self._answers():
            listed = await self._docker.containers.list(all=True, filters=json.dumps({"label": [f"{HUB}={self._hub}"]}))
            rows = [one._container for one in listed]  # noqa: SLF001 - as listed; each by itself is another question
            return [await self._told(row) for row in rows if row["State"] != "removing"]

    async def _told(self, row: dict[str, Any]) -> Found:
        name, mark, run = (row["Labels"].get(label, "") for label in (NAME, MARK, RUN))
        state = _STATES.get(row["State"], State.MADE)
        if state is not State.ENDED:
            return Found(name, mark, state, run=run)
        ended = (await self._docker.containers.container(row["Id"]).show())["State"]
        return Found(name, mark, state, ended["FinishedAt"], ended["ExitCode"], ended["OOMKilled"], run)

    async def make(self, wanted: Wanted, token: str, run: str) -> None:
        """See `Engine`."""
        async with self._answers():
            try:
                await fit(self._docker, wanted.image)
                made = await self._docker.containers.create(_body(wanted, self._hub, run), name=self._name(wanted.name))
                await made.put_archive(SECRETS, _archive(token))  # type: ignore[no-untyped-call]
            except DockerError as error:
                if error.status == LOST:
                    raise
                raise BadImage(image=wanted.image, why=error.message) from None

    async def start(self, name: str) -> None:
        """See `Engine`."""
        async with self._answers():
            try:
                await self._one(name).start()
            except DockerError as error:
                if error.status == LOST:
                    raise
                raise NotStarted(agent=name, why=error.message) from None

    async def remove(self, name: str) -> None:
        """See `Engine`."""
        async with self._answers():
            try:
                await self._one(name).delete(force=True, v=True)
            except DockerError as error:
                if error.status not in {404, 409}:  # it is gone, or is just being removed
                    raise

    async def log(self, name: str, lines: int) -> list[str]:
        """See `Engine`."""
        async with self._answers():
            try:
                said = await self._one(name).log(stdout=True, stderr=True, tail=lines)
            except DockerError as error:
                if error.status == 404:  # noqa: PLR2004
                    return []
                raise
        return "".join(said).splitlines()[-lines:]

    def _name(self, name: str) -> str:
        return f"timmy-{self._hub}-{name}"

    def _one(self, name: str) -> DockerContainer:
        return self._docker.containers.container(self._name(name))

    def _answers(self) -> AbstractAsyncContextManager[None]:
        return answering(self._docker, self._url)


@asynccontextmanager
async def answering(docker: Docker, url: str) -> AsyncIterator[None]:
    """What keeps Docker from answering, or what answers there from being Docker, as `DockerAway`."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):  # the library's own is none where it removes, or reads a log
            if docker.api_version == "auto":
                await docker.version()  # else another server's "not found" would be a container's, or an image's
            yield
    except DockerError as error:
        why = "there is no such server" if error.status == LOST else f"it says {error.message.strip()!r}"
        raise DockerAway(url=url, why=why) from None
    except TimeoutError:
        raise DockerAway(url=url, why=f"it took longer than {ANSWER_SECONDS} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise DockerAway(url=url, why=cause(error)) from None
    except (ValueError, TypeError, LookupError):
        raise DockerAway(url=url, why="what answers there is no Docker") from None


async def fit(docker: Docker, image: str) -> None:
    """Raise `NoImage`, and `BadImage` for one that would keep what it writes where no limit is."""
    try:
        found = await docker.images.inspect(image)
    except DockerError as error:
        if error.status == 404:  # noqa: PLR2004 - HTTP's
            raise NoImage(image=image) from None
        raise
    if volumes := found["Config"].get("Volumes"):
        places = ", ".join(sorted(volumes))
        why = f"it asks for volumes ({places}), and an agent keeps nothing. A hub's image does; its agents' is timmy-agent"
        raise BadImage(image=image, why=why)


def _archive(token: str) -> bytes:
    """The one file with the token, for its user to read. The user does not own it: owners can write, here without a limit."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry, content = tarfile.TarInfo(TOKEN), token.encode()
        entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o440, 0, USER
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _body(wanted: Wanted, hub: str, run: str) -> dict[str, Any]:
    """What is asked of Docker (Engine API, "Create a container")."""
    limits = wanted.limits
    environment = {
        "TIMMY_HUB_URL": wanted.hub,
        "TIMMY_WORKER_NAME": wanted.name,
        "TIMMY_WORKER_TOKEN_FILE": f"{SECRETS}/{TOKEN}",
        "TIMMY_WORKER_CAPABILITIES": ",".join(wanted.capabilities),
    }
    own = {"Type": "volume", "Target": SECRETS, "VolumeOptions": {"NoCopy": True}}  # else it is whose the image says
    mounts: list[dict[str, Any]] = [own]
    if wanted.sockets:
        mounts.append({"Type": "bind", "Source": wanted.sockets, "Target": SOCKETS, "ReadOnly": True})
    return {
        "Image": wanted.image,
        "Hostname": wanted.name,
        "User": f"{USER}:{USER}",
        "Env": [f"{key}={value}" for key, value in environment.items() if value],
        "Labels": {HUB: hub, NAME: wanted.name, MARK: wanted.mark, RUN: run},
        "HostConfig": {
            "NetworkMode": wanted.network,
            "Mounts": mounts,
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": f"rw,nosuid,nodev,size={SCRATCH_MB}m"},  # noqa: S108 - within
            "Memory": limits.memory,
            "MemorySwap": limits.memory,
            "NanoCpus": limits.cpu * 1_000_000,
            "PidsLimit": limits.processes,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Privileged": False,
            "Init": True,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
        },
    }
