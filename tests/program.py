"""`timmy` in a process of its own, forked off one that has imported it: a start then costs a tenth of the CPU.

It is the program and a real process, to be killed like any other. What a test says about the start itself, or about streams
that close in odd ways, belongs to a process that is executed: `python -m bot.cli`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli import main

if TYPE_CHECKING:
    import signal
    from collections.abc import Awaitable, Callable, Mapping
    from multiprocessing.connection import Connection

ROOT = Path(__file__).parents[1]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["bot.run", "adapters.console.client", "adapters.console.terminal", "ollama", "tests.program"]
)


class Program:
    """A `timmy` that runs, with nothing on its standard input."""

    def __init__(
        self, pid: int, out: asyncio.StreamReader, err: asyncio.StreamReader, wait: Callable[[], Awaitable[int]]
    ) -> None:
        self.pid = pid
        self.stdout = out
        self.stderr = err
        self.wait = wait
        """Waits for its end; its exit code, or minus the signal."""

    @classmethod
    async def execute(cls, *words: str, env: Mapping[str, str]) -> Program:
        """Run it as a shell does; for what is measured, and what is said about the start."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot.cli", *words, env=env, cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        return cls(process.pid, process.stdout, process.stderr, process.wait)

    @classmethod
    async def fork(cls, *words: str, env: Mapping[str, str]) -> Program:
        """Run it off the process that has imported it."""
        read_out, write_out = _FORKS.Pipe(duplex=False)
        read_err, write_err = _FORKS.Pipe(duplex=False)
        process = _FORKS.Process(target=_main, args=(words, dict(env), write_out, write_err))
        await asyncio.to_thread(process.start)  # the first waits until all is imported
        write_out.close()
        write_err.close()

        async def wait() -> int:
            await asyncio.to_thread(process.join)
            code = process.exitcode
            assert code is not None
            process.close()
            return code

        assert process.pid is not None
        return cls(process.pid, await _reader(read_out), await _reader(read_err), wait)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def communicate(self) -> tuple[bytes, bytes, int]:
        """Read to the end what it prints, and wait for its own: (output, errors, exit code or minus the signal)."""
        out, err = await asyncio.gather(self.stdout.read(), self.stderr.read())
        return out, err, await self.wait()


async def _reader(pipe: Connection) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    file = os.fdopen(os.dup(pipe.fileno()), "rb", buffering=0)
    pipe.close()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), file)
    return stream


def _main(words: tuple[str, ...], env: dict[str, str], out: Connection, err: Connection) -> None:
    """What the forked process does."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), out.fileno(), err.fileno())):
        os.dup2(file, number)
    out.close()
    err.close()
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in enumerate("rww"))  # noqa: PTH123, SIM115
    sys.argv = ["timmy", *words]
    main()
