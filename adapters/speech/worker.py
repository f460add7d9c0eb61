"""The child process of speech, as the hub sees it: started at its first request, kept, killed when it hangs, started anew."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.voice.hearing import EarFailed

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

IMPORTABLE = str(Path(__file__).resolve().parents[2])
"""Where a child finds this package."""

_LONGEST_LINE = 1 << 20
_MOST_BYTES = 8_000_000
_BROKEN = (OSError, EOFError, ValueError, TypeError, RecursionError, asyncio.LimitOverrunError)
"""What comes of a child that dies, or says what is no answer."""

_END_SECONDS = 0.5
"""From the end of what a child says to its own end."""


class Worker:
    """One child, one request at a time; the others wait. `program` is for tests."""

    def __init__(self, engine: str, model: str = "", *, program: Sequence[str] = ()) -> None:
        self._program = [
            *(program or (sys.executable, "-B", "-P", "-s", "-X", "utf8", "-m", "adapters.speech.child")), engine, model,
        ]  # fmt: skip
        self._child: Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, request: Mapping[str, Any], data: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        """The answer of the child and what comes with it. Raises `EarFailed` where it dies or takes longer than `seconds`."""
        async with self._turn:
            try:
                async with asyncio.timeout(seconds):
                    return await self._talk(request, data)
            except TimeoutError:
                await self.close()
                raise EarFailed(why=f"it took longer than {seconds:g} s") from None
            except _BROKEN as error:
                ended = isinstance(error, (OSError, EOFError))
                why = "it was too much work" if ended and await self._overworked() else "the engine broke off"
                await self.close()
                raise EarFailed(why=why) from None
            except BaseException:
                await self.close()  # half an answer may be on its way
                raise

    async def _talk(self, request: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        child = await self._started()
        assert child.stdin is not None  # noqa: S101 - both are pipes, as asked for below
        assert child.stdout is not None  # noqa: S101
        child.stdin.write(json.dumps({**request, "size": len(data)}).encode() + b"\n" + data)
        await child.stdin.drain()
        answer = json.loads(await child.stdout.readuntil())
        if not isinstance(answer, dict) or not 0 <= int(answer.get("size", 0)) <= _MOST_BYTES:
            raise ValueError("no answer of the child's")
        return answer, await child.stdout.readexactly(int(answer.get("size", 0)))

    async def _started(self) -> Process:
        if self._child is None or self._child.returncode is not None:
            await self.close()
            self._child = await asyncio.create_subprocess_exec(
                *self._program, str(os.getpid()),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                cwd="/", env=_environment(), process_group=0, limit=_LONGEST_LINE,
            )  # fmt: skip
        return self._child

    async def _overworked(self) -> bool:
        """Whether the child ended since it had used the processor for longer than it may."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                return self._child is not None and await self._child.wait() == -signal.SIGPROF
        return False

    async def close(self) -> None:
        """Kill the child with its group, and reap it."""
        child, self._child = self._child, None
        if child is not None:
            await end(child)


async def end(child: Process) -> None:
    """Kill a child with its group, and reap it.

    asyncio says that a child is gone only once its pipes ended too, which they do not where nobody reads what it said or was told,
    or where another that it started holds them: they are closed first, and what it was not told yet is dropped.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    if child.stdin is not None and child.stdin.transport.get_write_buffer_size():
        child.stdin.transport.abort()
    child._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - there is no public way
    await child.wait()


def _environment() -> dict[str, str]:
    """Nothing of the hub's own: its environment holds tokens."""
    return {
        "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent", "PYTHONPATH": IMPORTABLE,
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
