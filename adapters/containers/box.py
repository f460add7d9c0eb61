"""`core.agent.box.Box` on Docker: one container for one program, shut in as an agent's, without any network, and gone after it.

The files go in by standard input into memory (`inside.py` unpacks them), and come out by standard output: no folder of this machine
is ever mounted, and nothing that is written within reaches its disk. What a crash left is told by its label and removed.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import aiohttp
from aiodocker import Docker, DockerError

from adapters.containers.engine import LOST, RUN, SCRATCH_MB, USER, answering, fit
from adapters.containers.inside import NO_PROGRAM, TIMED_OUT
from core.agent.box import MOST_FILES, MOST_IN, MOST_OUT, MOST_SAID, Ran
from core.chat import readable
from core.errors import UserError
from core.swarm.container import NotStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from aiodocker.containers import DockerContainer
    from aiodocker.stream import Stream

    from core.ports import IdSource
    from core.swarm.container import Limits

BOX = "timmy.box"
"""The label of these containers: whose they are."""

WORK = "/work"
WORK_MB = 256
MOST_AT_ONCE = 2
_INSIDE = Path(__file__).with_name("inside.py")
_LATE = 15.0
"""Seconds that a container may take beyond its program: to begin, unpack, pack and end."""

_KILLED = 137
_LONGEST_NAME = 200
_ENVIRONMENT = (
    "HOME=/tmp",
    "MPLCONFIGDIR=/tmp",
    "MPLBACKEND=agg",
    "OMP_NUM_THREADS=1",
    "OPENBLAS_NUM_THREADS=1",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONUTF8=1",
)


class TooMuchIn(UserError):
    """The files to work on are larger than the {limit} that a box takes. Give fewer, or smaller ones."""


class Boxes:
    """Boxes of `image` on the Docker at `url`, for the hub that is called `hub`. `closed`: why a name of a folder is left out."""

    def __init__(
        self, url: str, image: str, hub: str, limits: Limits, *, ids: IdSource, closed: Callable[[str], str]
    ) -> None:  # fmt: skip
        self._url = url
        self._image = image
        self._hub = hub
        self._limits = limits
        self._ids = ids
        self._closed = closed
        self._run = ids.token(9)
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._swept = False

    async def run(self, command: Sequence[str], files: Sequence[tuple[str, bytes]], *, seconds: float = 60) -> Ran:
        """See `Box`."""
        return await self._boxed(command, await asyncio.to_thread(_packed, files), seconds, MOST_FILES)

    async def run_in(self, folder: Path, command: Sequence[str], *, seconds: float = 600) -> Ran:
        """See `Box`."""
        packed = await asyncio.to_thread(lambda: _packed(_files(folder, self._closed)))
        return await self._boxed(command, packed, seconds, 0)

    async def look(self) -> None:
        """Raise `DockerAway`, `NoImage` or `BadImage`, if no box can be made now."""
        async with Docker(url=self._url) as docker, answering(docker, self._url):
            await fit(docker, self._image)

    async def sweep(self) -> None:
        """Remove what other runs of this hub have left. Raises `DockerAway`."""
        async with Docker(url=self._url) as docker, answering(docker, self._url):
            await self._sweep(docker)

    async def _sweep(self, docker: Docker) -> None:
        listed = await docker.containers.list(all=True, filters=json.dumps({"label": [f"{BOX}={self._hub}"]}))
        for row in (one._container for one in listed):  # noqa: SLF001 - as listed
            if row["Labels"].get(RUN) != self._run:
                await _remove(docker.containers.container(row["Id"]))
        self._swept = True

    async def _boxed(self, command: Sequence[str], packed: bytes, seconds: float, files: int) -> Ran:
        order = {
            "command": list(command), "seconds": seconds, "bytes": len(packed), "work": WORK, "files": files, "most": MOST_OUT,
        }  # fmt: skip
        async with self._turns, Docker(url=self._url) as docker:
            name = f"timmy-box-{self._hub[:6]}-{self._ids.token(6)}"
            one = docker.containers.container(name)
            try:
                await self._make(docker, name, order)
                return await self._worked(docker, one, packed, seconds)
            finally:  # also of one that was being made when this turn was stopped
                async with answering(docker, self._url):
                    await _remove(one)

    async def _make(self, docker: Docker, name: str, order: dict[str, Any]) -> None:
        async with answering(docker, self._url):
            if not self._swept:
                await self._sweep(docker)
            await fit(docker, self._image)
            program = await asyncio.to_thread(_INSIDE.read_text, "utf-8")
            await docker.containers.create(self._body(program, order), name=name)

    async def _worked(self, docker: Docker, made: DockerContainer, packed: bytes, seconds: float) -> Ran:
        said, out = _Said(), bytearray()
        async with AsyncExitStack() as stack:
            async with answering(docker, self._url):
                attached = made.attach(stdin=True, stdout=True, stderr=True)
                stream: Stream = await stack.enter_async_context(attached)  # type: ignore[arg-type] # its types are narrower
                try:
                    await made.start()
                except DockerError as error:
                    if error.status == LOST:
                        raise
                    raise NotStarted(agent=self._image, why=error.message) from None
            try:
                async with asyncio.timeout(seconds + _LATE):
                    ended = await _exchanged(stream, packed, said, out)
            except TimeoutError:
                return Ran(TIMED_OUT, said.text, (), f"it took longer than {seconds:g} s and was ended")
            except (OSError, RuntimeError, aiohttp.ClientError):  # it ended before it had taken all in
                ended = ""
        if ended:
            return Ran(_KILLED, said.text, (), ended)
        async with answering(docker, self._url):
            state = (await made.show())["State"]
        status = int(state["ExitCode"])
        if status == NO_PROGRAM and "exec python3 failed" in said.text:  # so says Docker's own init
            raise NotStarted(agent=self._image, why="its image has no python3")
        if state["OOMKilled"] or status == _KILLED:
            ended = f"it needed more than the {self._limits.memory >> 20} MB of memory that it may have"
        elif status == TIMED_OUT:
            ended = f"it took longer than {seconds:g} s and was ended"
        return Ran(status, said.text, await asyncio.to_thread(lambda: tuple(_unpacked(bytes(out)))), ended)

    def _body(self, program: str, order: dict[str, Any]) -> dict[str, Any]:
        """What is asked of Docker (Engine API, "Create a container")."""
        owned = f"rw,nosuid,nodev,mode=0700,uid={USER},gid={USER}"
        return {
            "Image": self._image,
            "Entrypoint": ["python3", "-I", "-c", program],
            "Cmd": [json.dumps(order)],
            "Hostname": "box",
            "User": f"{USER}:{USER}",
            "WorkingDir": "/",
            "Env": list(_ENVIRONMENT),
            "Labels": {BOX: self._hub, RUN: self._run},
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "NetworkDisabled": True,
            "HostConfig": {
                "NetworkMode": "none",
                "ReadonlyRootfs": True,
                "Tmpfs": {WORK: f"{owned},exec,size={WORK_MB}m", "/tmp": f"{owned},size={SCRATCH_MB}m"},  # noqa: S108 - within
                "Memory": self._limits.memory,
                "MemorySwap": self._limits.memory,
                "NanoCpus": self._limits.cpu * 1_000_000,
                "PidsLimit": self._limits.processes,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges:true"],
                "Privileged": False,
                "Init": True,
                "RestartPolicy": {"Name": "no"},
                "LogConfig": {"Type": "none", "Config": {}},
            },
        }


class _Said:
    """What a program says, the first of it and the last."""

    def __init__(self) -> None:
        self._first, self._last, self._left_out = bytearray(), bytearray(), 0

    def add(self, piece: bytes) -> None:
        half = MOST_SAID // 2
        room = half - len(self._first)
        self._first += piece[: max(0, room)]
        self._last += piece[max(0, room) :]
        if len(self._last) > half:
            self._left_out += len(self._last) - half
            del self._last[:-half]

    @property
    def text(self) -> str:
        gap = f"\n[{self._left_out:,} bytes are left out here]\n".encode() if self._left_out else b""
        return readable((bytes(self._first) + gap + bytes(self._last)).decode("utf-8", "replace"))


async def _exchanged(stream: Stream, packed: bytes, said: _Said, out: bytearray) -> str:
    """Send what goes in and take what comes out, until it ends; why it was ended, if it was."""
    await stream.write_in(packed)
    while (message := await stream.read_out()) is not None:
        if message.stream == 1:
            out += message.data
            if len(out) > MOST_OUT + 2**20:
                return "it gave out more than it may and was ended"
        else:
            said.add(message.data)
    return ""


async def _remove(made: DockerContainer) -> None:
    with suppress(DockerError):  # gone, or just being removed; else the next sweep
        await made.delete(force=True, v=True)


def _packed(files: Iterable[tuple[str, bytes]]) -> bytes:
    packed, size = io.BytesIO(), 0
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files:
            size += len(content)
            if size > MOST_IN:
                raise TooMuchIn(limit=f"{MOST_IN // 2**20} MB")
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o755, USER, USER
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _files(folder: Path, closed: Callable[[str], str]) -> Iterator[tuple[str, bytes]]:
    """The plain files of a folder that are open by their names; no link is followed."""
    for top, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not closed(name) and not Path(top, name).is_symlink())
        for name in sorted(names):
            place = Path(top, name)
            if closed(name) or place.is_symlink() or not place.is_file():
                continue
            yield place.relative_to(folder).as_posix(), place.read_bytes()


def _unpacked(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """The files that came out, as the word of a stranger: plain ones, by their last names, as large as they claim to be."""
    with (
        suppress(tarfile.TarError, EOFError, ValueError, OverflowError),
        tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive,
    ):
        for number, entry in enumerate(archive):
            name = readable(PurePosixPath(entry.name).name)
            if number >= MOST_FILES or not entry.isreg() or entry.issparse() or entry.size > len(packed):
                continue
            if not name or name.startswith(".") or len(name.encode()) > _LONGEST_NAME:
                continue
            if (content := archive.extractfile(entry)) is not None:
                yield name, content.read()
