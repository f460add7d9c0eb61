"""A job's whole way, against queues that others wrote doing empty jobs: so many jobs a second, sixteen under way.

Ours is posted, its budget held, auctioned, bid on, awarded, begun and delivered durably: in process, and over the worker API by a
raw asyncio client with a kept connection for each worker. Theirs is posted, run and done: huey on SQLite with fsync, Procrastinate
on a PostgreSQL of its own with synchronous_commit, which is started here where it is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import lives
from tests.bench.queues_peer import IN_FLIGHT
from tests.bench.workers import Server, connected
from tests.program import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.bench.workers import Connection

__all__ = ["IN_FLIGHT"]

QUEUES = ROOT / ".venv" / "queues"
"""Where the Makefile puts what they need."""

NO_QUEUES = "huey and Procrastinate are not installed: make .venv/.installed-queues"
NO_POSTGRES = "no PostgreSQL here (on Debian: apt install postgresql)"
_POSTGRES_HOMES = "/usr/lib/postgresql"


def is_installed() -> bool:
    """Whether the others are there."""
    return QUEUES.exists()


def postgres_programs() -> Path | None:
    """The folder with PostgreSQL's server and what makes its folder."""
    found = [*sorted(Path(_POSTGRES_HOMES).glob("*/bin"), reverse=True), *map(Path, os.get_exec_path())]
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def in_process(count: int) -> float:
    """Jobs a second of ours with the hub's own agents, paid for at once."""
    return lives.ours(count, IN_FLIGHT)


def over_http(count: int) -> float:
    """Jobs a second of ours by workers of another process."""

    async def measured(folder: Path) -> float:
        async with _hub(folder) as server:
            where = await server.said()
            async with contextlib.AsyncExitStack() as stack:
                group = await stack.enter_async_context(asyncio.TaskGroup())
                working = [
                    group.create_task(_work(name, await stack.enter_async_context(connected(where["hub"], token))))
                    for name, token in where["tokens"].items()
                ]
                await server.asked(count // 10)  # a warm one
                seconds: float = await server.asked(count)
                for one in working:
                    one.cancel()
        return count / seconds

    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(measured(Path(folder)))


async def _work(name: str, connection: Connection) -> None:
    """A worker: asks, bids, claims, delivers, for ever."""
    while True:
        for task in json.loads(await connection.get("tasks?wait=25")):
            await connection.post("bids", {"task_id": task["task_id"], "agent_id": name, "bid_sats": 1})
        given = json.loads(await connection.get(f"assignments?agent_id={name}&wait=25"))
        at, lease = f"tasks/{given['task_id']}", given["lease_token"]
        await connection.post(f"{at}/heartbeat", {"lease_token": lease})
        await connection.post(f"{at}/result", {"lease_token": lease, "result": "three words here"})


@contextlib.asynccontextmanager
async def _hub(folder: Path) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.queues_hub", str(folder), str(IN_FLIGHT), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    server = Server(process)
    try:
        yield server
    finally:
        await server.end()


def huey(count: int, *, apart: bool) -> float:
    """Jobs a second of huey, its worker where they are posted, or `apart`."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return _peer("apart" if apart else "huey", folder, count)


def procrastinate(connection: str, count: int) -> float:
    """Jobs a second of Procrastinate, in a database of its own."""
    return _peer("procrastinate", connection, count)


def _peer(which: str, where: str, count: int) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.queues_peer", which, where, str(count)], cwd=ROOT, check=True,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(QUEUES)},
    )  # fmt: skip
    return count / float(done.stdout)


@contextlib.contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """A server of our own, on loopback; how one connects to it. It refuses to be root's, so root gives it away."""
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    given: dict[str, Any] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder, socket.socket() as free:
        if user is not None:
            shutil.chown(folder, user.pw_uid, user.pw_gid)
        data = f"{folder}/data"
        made = [str(programs / "initdb"), "-D", data, "-U", "bench", "--auth=trust", "--no-sync"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=folder, **given)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        settings = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "on",
            "synchronous_commit": "on", "logging_collector": "off",
        }  # fmt: skip
        command = [str(programs / "postgres"), "-D", data, *(f"-c{name}={value}" for name, value in settings.items())]
        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **given)
            try:
                _await(port)
                yield f"host=127.0.0.1 port={port} user=bench dbname=postgres"
            finally:
                server.send_signal(2)  # "fast": it ends what runs
                server.wait()


def _await(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    message = "PostgreSQL does not listen"
    raise AssertionError(message)
