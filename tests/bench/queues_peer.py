"""Empty jobs through a queue that others wrote, in a process of its own: prints the seconds that so many took.

Usage: python -m tests.bench.queues_peer huey FOLDER COUNT | apart FOLDER COUNT | procrastinate CONNECTION COUNT

So many jobs are under way at a time. `huey` and Procrastinate run their worker in the process that posts, which spares them every
hop between processes, and a job is over once that process is told; `apart` is huey as it is usually run, its consumer in a process
of its own, and results asked for until they are there. The time ends when all are over durably.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

IN_FLIGHT = 16
WORKERS = 1
"""Threads of huey's consumer: each more waits for the same lock, and it gets slower."""

OFTEN = 0.001
"""Seconds after which huey looks again; its own 0.1 and more would make it look slow."""


def _jobs(folder: Path) -> tuple[Any, Any]:
    """A queue that is as durable as ours, SQLite with `fsync`, and a job that has a result, which is kept."""
    from huey import SqliteHuey  # noqa: PLC0415 - one of the two

    queue = SqliteHuey(filename=str(folder / "huey.db"), fsync=True, timeout=30)
    return queue, queue.task()(_nothing)


def _nothing() -> int:
    return 1


def _consumer(queue: Any) -> Any:
    return queue.create_consumer(
        workers=WORKERS, periodic=False, initial_delay=OFTEN, max_delay=OFTEN, check_worker_health=False
    )


def huey(folder: Path, count: int) -> float:
    """With its worker here."""
    queue, job = _jobs(folder)
    ends: dict[str, threading.Event] = {}

    @queue.signal("complete")  # type: ignore[untyped-decorator]
    def over(_: str, task: Any) -> None:
        ends.pop(task.id).set()

    def whole() -> None:
        task, end = job.s(), threading.Event()
        ends[task.id] = end
        queue.enqueue(task)
        end.wait()

    consumer = _consumer(queue)
    consumer.start()
    seconds = _together(whole, count)
    assert queue.result_count() == count
    consumer.stop(graceful=True)
    return seconds


def apart(folder: Path, count: int) -> float:
    """With its consumer in a process of its own."""
    _, job = _jobs(folder)
    with subprocess.Popen([sys.executable, "-m", "tests.bench.queues_peer", "consumer", str(folder), "0"]) as consumer:
        job().get(blocking=True)  # it has started
        seconds = _together(lambda: job().get(blocking=True, backoff=1, max_delay=5 * OFTEN), count)
        consumer.kill()
    return seconds


def consume(folder: Path) -> None:
    """Be that process."""
    queue, _ = _jobs(folder)
    _consumer(queue).run()


def _together(whole: Callable[[], object], count: int) -> float:
    """The seconds that so many jobs take, on threads."""
    left, lock = iter(range(count)), threading.Lock()

    def caller() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            whole()

    callers = [threading.Thread(target=caller) for _ in range(IN_FLIGHT)]
    begun = time.perf_counter()
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    return time.perf_counter() - begun


async def procrastinate(connection: str, count: int) -> float:
    """On PostgreSQL, told of new jobs by it."""
    from procrastinate import App, PsycopgConnector  # noqa: PLC0415 - one of the two
    from psycopg import AsyncConnection  # noqa: PLC0415

    database = f"jobs{time.monotonic_ns()}"
    async with await AsyncConnection.connect(connection, autocommit=True) as server:
        await server.execute(f"CREATE DATABASE {database}")
    connector = PsycopgConnector(conninfo=f"{connection} dbname={database}", min_size=IN_FLIGHT, max_size=2 * IN_FLIGHT)
    app = App(connector=connector)
    ends: dict[int, asyncio.Event] = {}

    @app.task  # type: ignore[untyped-decorator]
    async def nothing(number: int) -> None:
        ends.pop(number).set()

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(
            app.run_worker_async(concurrency=IN_FLIGHT, install_signal_handlers=False, update_heartbeat_interval=60)
        )
        numbers = iter(range(count))

        async def caller() -> None:
            for number in numbers:
                end = ends[number] = asyncio.Event()
                await nothing.defer_async(number=number)
                await end.wait()

        begun = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
        left = "SELECT count(*) AS left FROM procrastinate_jobs WHERE status <> 'succeeded'"
        while (await connector.execute_query_one_async(left))["left"]:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(OFTEN)
        seconds = time.perf_counter() - begun
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker
    return seconds


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    which, where, many = sys.argv[1], sys.argv[2], int(sys.argv[3])
    match which:
        case "consumer":
            consume(Path(where))
        case "procrastinate":
            print(asyncio.run(procrastinate(where, many)))
        case _:
            print((huey if which == "huey" else apart)(Path(where), many))
