"""A Docker server as its Engine API (1.41) describes it, on a Unix socket: it knows what a hub may ask of it, and refuses all else.

Nothing runs in it. A test says which images it has, ends what was begun, and reads the token that was put into a container.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import struct
import tarfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

NEVER = "0001-01-01T00:00:00Z"
VERSION = "v1.41"

_FIELDS = frozenset({
    "Image", "Hostname", "User", "Env", "Labels", "HostConfig", "Entrypoint", "Cmd", "WorkingDir", "OpenStdin", "StdinOnce",
    "AttachStdin", "AttachStdout", "AttachStderr", "NetworkDisabled",
})  # fmt: skip
_HOST_FIELDS = frozenset({
    "NetworkMode", "Mounts", "ReadonlyRootfs", "Tmpfs", "Memory", "MemorySwap", "NanoCpus", "PidsLimit", "CapDrop",
    "SecurityOpt", "Privileged", "Init", "RestartPolicy", "LogConfig",
})  # fmt: skip


@dataclass
class Box:
    """A container. `files`: what was put into its volumes: path -> (content, mode, owner, group)."""

    id: str
    name: str
    body: dict[str, Any]
    state: str = "created"
    code: int = 0
    starved: bool = False
    finished: str = NEVER
    begun: int = 0
    said: bytes = b""
    files: dict[str, tuple[bytes, int, int, int]] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """What its agent shows the hub."""
        return self.files["/run/timmy/token"][0].decode()


class _Sent:
    """What comes over a connection that was taken over, until it is all there."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.data = bytearray()
        self.whole = asyncio.Event()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        if len(self.data) >= self._size:
            self.whole.set()
        return False, b""

    def feed_eof(self) -> None:
        self.whole.set()


class DockerServer:
    """`images`: name -> its `Config`. `broken`: name of an image -> what is said when a container of it is begun."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {"agents": {}}
        self.broken: dict[str, str] = {}
        self.boxes: dict[str, Box] = {}
        self.asked: list[str] = []
        self.before: Callable[[str], Awaitable[None]] | None = None
        """Called with each request before it is done, as `POST start`."""

        self.does: Callable[[Box, bytes], tuple[int, bytes, bytes]] | None = None
        """What an attached program does with what it is sent: its exit code, standard output and standard error."""

        self.wrong: web.Response | None = None
        """What is answered instead of everything."""

        self._count = 0

    @property
    def names(self) -> dict[str, str]:
        """The agents that there are containers of, and the state of each."""
        return {box.body["Labels"]["timmy.agent"]: box.state for box in self.boxes.values()}

    def of(self, agent: str) -> Box:
        """The one container of an agent."""
        (found,) = (box for box in self.boxes.values() if box.body["Labels"].get("timmy.agent") == agent)
        return found

    def end(self, agent: str, code: int = 1, *, starved: bool = False, said: str = "") -> None:
        """What runs in a container ends."""
        box = self.of(agent)
        assert box.state == "running"
        self._count += 1
        box.state, box.code, box.starved = "exited", code, starved
        box.said += said.encode()
        box.finished = f"2026-11-26T12:00:00.{self._count:09}Z"

    def put(self, name: str, *, hub: str, agent: str, mark: str = "", state: str = "created") -> Box:
        """A container that is there already."""
        labels = {"timmy.hub": hub, "timmy.agent": agent, "timmy.mark": mark}
        box = Box(f"{len(self.asked):032x}{len(self.boxes):032x}", name, {"Image": "agents", "Labels": labels}, state)
        self.boxes[box.id] = box
        return box

    @asynccontextmanager
    async def serving(self, socket: Path) -> AsyncIterator[None]:
        """Answer there until the block ends."""
        app = web.Application(middlewares=[self._edge])
        base = f"/{VERSION}"
        one = f"{base}/containers/{{name}}"
        app.router.add_get("/version", self._version)
        app.router.add_get(f"{base}/version", self._version)
        app.router.add_get(f"{base}/images/{{name:.+}}/json", self._image)
        app.router.add_get(f"{base}/containers/json", self._list)
        app.router.add_post(f"{base}/containers/create", self._create)
        app.router.add_get(f"{one}/json", self._show)
        app.router.add_put(f"{one}/archive", self._archive)
        app.router.add_post(f"{one}/start", self._start)
        app.router.add_get(f"{one}/logs", self._logs)
        app.router.add_post(f"{one}/attach", self._attach)
        app.router.add_delete(one, self._delete)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.UnixSite(runner, str(socket)).start()
        try:
            yield
        finally:
            await runner.cleanup()
            with suppress(FileNotFoundError):
                os.unlink(socket)  # noqa: PTH108 - pathlib's is refused here

    @web.middleware
    async def _edge(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        what = f"{request.method} {request.path.rpartition('/')[2]}"
        self.asked.append(what)
        if self.wrong is not None:
            return web.Response(status=self.wrong.status, body=self.wrong.body, headers=self.wrong.headers)
        if self.before is not None:
            await self.before(what)
        try:
            return await handler(request)
        except web.HTTPException as error:
            said = json.dumps({"message": error.text}).encode()
            return web.Response(body=said, status=error.status, content_type="application/json")

    def _found(self, request: web.Request) -> Box:
        given = request.match_info["name"]
        for box in self.boxes.values():
            if given in {box.id, box.name}:
                return box
        raise web.HTTPNotFound(text=f"No such container: {given}")

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"})

    async def _image(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.images:
            raise web.HTTPNotFound(text=f"No such image: {name}")
        return web.json_response({"Id": f"sha256:{name}", "RepoTags": [name], "Config": self.images[name]})

    async def _list(self, request: web.Request) -> web.Response:
        assert set(request.query) == {"all", "filters"}
        (label,) = json.loads(request.query["filters"])["label"]
        key, _, value = label.partition("=")
        return web.json_response([
            {
                "Id": box.id, "Names": [f"/{box.name}"], "Image": box.body["Image"], "Labels": box.body["Labels"],
                "State": box.state, "Status": box.state,
            }
            for box in self.boxes.values()
            if box.body["Labels"].get(key) == value
        ])  # fmt: skip

    async def _create(self, request: web.Request) -> web.Response:
        body, name = await request.json(), request.query["name"]
        host = body["HostConfig"]
        if unknown := (body.keys() - _FIELDS) | (host.keys() - _HOST_FIELDS):
            raise web.HTTPBadRequest(text=f"unknown: {sorted(unknown)}")
        if body["Image"] not in self.images:
            raise web.HTTPNotFound(text=f"No such image: {body['Image']}")
        if any(box.name == name for box in self.boxes.values()):
            raise web.HTTPConflict(text=f'Conflict. The container name "/{name}" is already in use')
        self._count += 1
        box = Box(f"{self._count:064x}", name, body)
        self.boxes[box.id] = box
        return web.json_response({"Id": box.id, "Warnings": []}, status=201)

    async def _archive(self, request: web.Request) -> web.Response:
        """Into a volume alone, where the root is read-only; as far as a container that has not begun has those."""
        box, place = self._found(request), request.query["path"]
        host = box.body["HostConfig"]
        volumes = {one["Target"] for one in host["Mounts"] if one["Type"] == "volume" and not one.get("ReadOnly")}
        if host["ReadonlyRootfs"] and place not in volumes:
            raise web.HTTPForbidden(text="container rootfs is marked read-only")
        with tarfile.open(fileobj=io.BytesIO(await request.read())) as archive:
            for entry in archive:
                content = archive.extractfile(entry)
                assert content is not None
                box.files[f"{place}/{entry.name}"] = (content.read(), entry.mode, entry.uid, entry.gid)
        return web.Response()

    async def _start(self, request: web.Request) -> web.Response:
        box = self._found(request)
        if (why := self.broken.get(box.body["Image"])) is not None:
            raise web.HTTPBadRequest(text=why)
        if box.state == "running":
            return web.Response(status=304)
        box.state, box.begun = "running", box.begun + 1
        return web.Response(status=204)

    async def _show(self, request: web.Request) -> web.Response:
        box = self._found(request)
        state = {
            "Status": box.state, "Running": box.state == "running", "ExitCode": box.code, "OOMKilled": box.starved,
            "FinishedAt": box.finished, "Error": "",
        }  # fmt: skip
        return web.json_response({
            "Id": box.id, "Name": f"/{box.name}", "State": state, "Config": {**box.body, "Tty": False},
        })  # fmt: skip

    async def _logs(self, request: web.Request) -> web.Response:
        box = self._found(request)
        lines = box.said.splitlines(keepends=True)[-int(request.query["tail"]) :]
        frames = b"".join(struct.pack(">BxxxL", 1, len(line)) + line for line in lines)
        return web.Response(body=frames, content_type="application/vnd.docker.raw-stream")

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        """The connection becomes the program's: what it is sent whole is what it reads, and its end is the connection's."""
        box = self._found(request)
        assert self.does is not None
        assert request.transport is not None
        answer = web.StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": "tcp"})
        await answer.prepare(request)
        sent = _Sent(int(json.loads(box.body["Cmd"][0])["bytes"]))  # as the program does, it reads what it was told of
        request.protocol.set_parser(sent)  # type: ignore[arg-type] # it is one as far as it is used
        await sent.whole.wait()
        box.code, out, said = self.does(box, bytes(sent.data))
        for stream, content in ((1, out), (2, said)):
            request.transport.write(struct.pack(">BxxxL", stream, len(content)) + content)
        box.state = "exited"
        request.transport.close()
        return answer

    async def _delete(self, request: web.Request) -> web.Response:
        box = self._found(request)
        assert request.query["v"] == "1", "its volume goes with it"
        if box.state == "running" and request.query.get("force") != "1":
            raise web.HTTPConflict(text="You cannot remove a running container")
        del self.boxes[box.id]
        return web.Response(status=204)
