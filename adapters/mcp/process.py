"""One MCP server as a process: begun with an environment of its own, read line by line within bounds, ended with all it began.

The official library has a transport for that, but hands the hub's HOME on, reads lines of any length, and leaves a server
behind that a killed hub had; so this is one of our own (`mcp.client.Transport`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage

from adapters.mcp.errors import ServerBabbles, ServerEnded, ServerNotFound

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.client._transport import TransportStreams as Streams

    from adapters.mcp.servers import ServerSpec

_IMPORTABLE = str(Path(__file__).resolve().parents[2])  # the folder that holds the package `adapters`
GUARD = f"import sys; sys.path.append({_IMPORTABLE!r}); from adapters.mcp.guard import main; sys.exit(main())"
MAX_LINE = 4 * 1024 * 1024
"""Bytes of one message."""

MAX_GARBAGE = 20
"""Lines that are no message: some programs greet on standard output."""

STOP_SECONDS = 2.0
"""How long the end of a server may take, told by the end of its input, then by its guard."""

_LAST_WORDS = 500
"""Characters of a line of standard error."""


def environment(spec: ServerSpec, home: Path) -> dict[str, str]:
    """What a server has: a home of its own, how to find programs, and what its owner gave it."""
    return {
        "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(home), "TMPDIR": str(home), **spec.env
    }  # fmt: skip


@contextlib.asynccontextmanager
async def process(
    name: str, spec: ServerSpec, home: Path, heard: Callable[[str], None], ended: Callable[[Exception], None]
) -> AsyncIterator[Streams]:
    """A server that runs until the block ends.

    `heard`: what it says on standard error; `ended`: that it is no use any more, and why.
    """
    home = await asyncio.to_thread(_made, home)
    env = environment(spec, home)
    program = shutil.which(spec.command, path=env["PATH"])
    if program is None:
        raise ServerNotFound(server=name, command=spec.command)
    life, ours = os.pipe()
    with contextlib.ExitStack() as unless_begun:
        unless_begun.callback(os.close, ours)
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", GUARD, str(life), program, *spec.args, env=env, cwd=home, pass_fds=(life,),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                process_group=0, limit=MAX_LINE,
            )  # fmt: skip
        finally:
            os.close(life)
        unless_begun.pop_all()
    incoming, reading = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    writing, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    pipes = _Pipes(name, child, incoming, outgoing, heard, ended)
    try:
        async with anyio.create_task_group() as group:
            for pump in (pipes.read, pipes.write, pipes.complain):
                group.start_soon(pump)
            try:
                yield reading, writing
            finally:
                group.cancel_scope.cancel()
    finally:
        for stream in (incoming, reading, writing, outgoing):
            stream.close()
        with anyio.CancelScope(shield=True):
            await _stop(child, ours)


def _made(home: Path) -> Path:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home.absolute()


async def _stop(child: Process, ours: int) -> None:
    """Close its input; a moment later its guard ends it, and all that it began."""
    with contextlib.suppress(OSError):
        child.stdin.close()  # type: ignore[union-attr]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS / 4):
            await _gone(child)
    os.close(ours)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await _gone(child)
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    child._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - there is no public way
    await child.wait()


async def _gone(child: Process) -> None:
    """Wait for its end, not for that of its pipes, which another may hold open."""
    while child.returncode is None:  # noqa: ASYNC110 - asyncio tells of the end only with the pipes'
        await anyio.sleep(0.01)


class _Pipes:
    def __init__(
        self, name: str, child: Process, incoming: MemoryObjectSendStream[SessionMessage | Exception],
        outgoing: MemoryObjectReceiveStream[SessionMessage], heard: Callable[[str], None], ended: Callable[[Exception], None],
    ) -> None:  # fmt: skip
        self._name = name
        self._child = child
        self._incoming = incoming
        self._outgoing = outgoing
        self._heard = heard
        self._ended = ended

    async def read(self) -> None:
        """Its messages, until it ends or is no use."""
        lines: Any = self._child.stdout
        garbage = 0
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError), self._incoming:
            while True:
                try:
                    line = await lines.readuntil(b"\n")
                except asyncio.IncompleteReadError:
                    return self._ended(ServerEnded(server=self._name, how=await self._how()))
                except (asyncio.LimitOverrunError, ConnectionError):
                    return self._ended(ServerBabbles(server=self._name, what=f"a line of more than {MAX_LINE:,} bytes"))
                try:
                    message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValueError:
                    garbage += bool(line.strip())
                    if garbage > MAX_GARBAGE:
                        return self._ended(ServerBabbles(server=self._name, what="lines that are no messages"))
                    continue
                await self._incoming.send(SessionMessage(message))

    async def write(self) -> None:
        """What it is told."""
        pipe: Any = self._child.stdin
        with contextlib.suppress(ConnectionError):
            async for message in self._outgoing:
                pipe.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                await pipe.drain()

    async def complain(self) -> None:
        """What it says on standard error, each line as far as it is short."""
        pipe: Any = self._child.stderr
        rest = b""
        while data := await pipe.read(4096):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[:_LAST_WORDS]
            for line in lines:
                self._heard(line[:_LAST_WORDS].decode(errors="replace"))
        if rest:
            self._heard(rest.decode(errors="replace"))

    async def _how(self) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await _gone(self._child)
        code = self._child.returncode
        return "and closed its output" if code is None else f"with exit code {code}"
