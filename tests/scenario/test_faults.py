"""A full disk, a lock of another program, a fault of our own: what was under way goes on, and holds up nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from adapters.sqlite.writer import Database, _Job
from core.store import DiskFull, StoreBusy
from tests.scenario.bot import ECHO, OWNER, PATIENCE, QUILL, Hands, balances, hub, prove
from tests.scenario.crew import workers
from tests.scenario.held_store import HeldDatabase, held

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from tests.scenario.bot import Bot
    from tests.scenario.held_store import R

HOUR = 3600
FAULTS = [DiskFull(why="it is full"), StoreBusy(why="it is locked"), RuntimeError("a bug")]
each_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)


async def _while_time_passes(bot: Bot, seconds: int, true: Callable[[], bool]) -> None:
    """Let time pass in steps until something is true."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await bot.barrier()
            bot.pass_time(seconds)


def _settled(bot: Bot, task: int) -> bool:
    return bot.rows("SELECT status FROM task WHERE id = ?", task) == [("settled",)]


async def _change(bot: Bot, sql: str) -> None:
    def work(tx: UnitOfWork) -> None:
        tx._connection.execute(sql)

    await bot.app.store.write(work)


async def test_a_result_is_told_once_the_disk_has_room_again(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), database=HeldDatabase) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.fail("Pump._some", *FAULTS[:2])
        store.fail("Pump._stubborn", *FAULTS[:1] * 3)
        gate.set()
        await _while_time_passes(bot, 1, lambda: bot.rows("SELECT 1 FROM outgoing WHERE cause IS NULL") != [])
        await bot.settled("T-1")
        assert bot.rows("SELECT * FROM dead_letter") == []


async def test_what_poisons_a_handler_is_found_though_the_disk_is_full_meanwhile(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        held(bot.app.store).fail("Pump._some", RuntimeError("a bug in the batch"))
        held(bot.app.store).fail("Pump._stubborn", *FAULTS)
        await bot.say("/task write a poem")
        await _while_time_passes(bot, 1, lambda: bot.rows("SELECT 1 FROM outgoing WHERE cause IS NULL") != [])
        await bot.settled("T-1")
        assert bot.rows("SELECT * FROM dead_letter") == []


@each_fault
async def test_an_auction_that_could_not_be_written_is_held_later(tmp_path: Path, fault: Exception) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        held(bot.app.store).fail("Walk._auction", fault, fault)
        await bot.say("/task write a poem")
        await _while_time_passes(bot, 30, lambda: _settled(bot, 1))
        assert (await bot.settled("T-1"))["data"]["attempt"] == 1


@each_fault
async def test_a_task_that_waits_is_not_forgotten_nor_are_those_behind_it(tmp_path: Path, fault: Exception) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), personas=[QUILL], database=HeldDatabase) as bot:
        for line in ("a poem", "another", "a third"):
            await bot.say(f"/task write {line}")
        await bot.hands.at_work("T-1", "quill")
        held(bot.app.store).fail("Walk._auction", fault, fault)
        gate.set()
        await bot.settled("T-3")
        await _while_time_passes(bot, 30, lambda: _settled(bot, 2))


async def test_what_waits_is_put_up_once_and_not_for_ever_while_the_disk_is_full(tmp_path: Path) -> None:
    """Then each waits for its own next try: by whoever got free, and by its walk at once."""
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), personas=[QUILL], database=HeldDatabase) as bot:
        for line in ("a poem", "another", "a third"):
            await bot.say(f"/task write {line}")
        await bot.hands.at_work("T-1", "quill")
        store, full = held(bot.app.store), [DiskFull(why="it is full")] * 1000
        store.fail("Walk._auction", *full)
        gate.set()
        await bot.settled("T-1")
        for _ in range(10):
            await bot.barrier()
        assert len(full) - len(store._faults["Walk._auction"]) == 2 * 2
        store.fail("Walk._auction")
        await _while_time_passes(bot, 1, lambda: _settled(bot, 2) and _settled(bot, 3))


async def test_whatever_is_run_again_as_another_write_failed_has_one_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each commit is of a second run: a unit of work leaves nothing behind when its first one is undone."""

    async def story(folder: Path) -> tuple[list[tuple[Any, ...]], dict[str, tuple[int, int]]]:
        async with hub(folder) as bot, workers(bot, "box") as (box,):
            await box.enrol()
            task = (await bot.data("/task find it"))["task"]
            await bot.see(lambda: bot.rows("SELECT 1 FROM bid"), "the bid of another", pace=0)
            lease = await box.won(task, 10)
            await box.deliver(task, lease, "done")
            await bot.until(kind="more", task=task, status="delivered")
            await bot.say(f"/accept {task}")
            await bot.settled(task)
            await bot.settled((await bot.data("/task write a poem to=quill"))["task"])
            await bot.see(lambda: bot.app.hub.spark.insight(bot.clock.now(), bool).record.ends == 2, "both", pace=0)
            prove(bot.app.settings)
            kinds = bot.rows("SELECT kind, count(*) FROM event GROUP BY kind ORDER BY kind")
            told = bot.rows("SELECT count(*) FROM outgoing WHERE cause IS NULL")
            return [*kinds, *told], balances(bot.app.settings)

    def failing(tx: UnitOfWork) -> None:
        tx.mark("undone", "")
        raise ZeroDivisionError

    once = await story(tmp_path / "once")
    run, fails = Database._run, _Job(failing, asyncio.get_running_loop().create_future())
    monkeypatch.setattr(Database, "_run", lambda store, connection, jobs: run(store, connection, [*jobs, fails]))
    assert await story(tmp_path / "again") == once


async def test_an_attempt_that_could_not_be_started_starts_later(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        held(bot.app.store).fail("Attempts._started", *FAULTS[:2])
        await bot.say("/task write a poem")
        await _while_time_passes(bot, 1, lambda: _settled(bot, 1))
        assert bot.hands.began == [("T-1", "quill", 1)]


@pytest.mark.parametrize("does", ["", RuntimeError("a bug")], ids=["done", "failed"])
async def test_work_that_is_over_is_written_later_and_not_done_again(tmp_path: Path, does: str | Exception) -> None:
    hands = Hands(does={"quill": does})
    async with hub(tmp_path, hands=hands, database=HeldDatabase, auction={"lease": 60}) as bot:
        held(bot.app.store).fail("Attempts._attempt", *FAULTS[:2] * 4)
        await bot.say("/task write a poem")
        await hands.at_work("T-1", "quill")
        await _while_time_passes(bot, 20, lambda: _settled(bot, 1))
        again = [("T-1", "echo", 2)] if does else []
        assert hands.began == [("T-1", "quill", 1), *again]
        prove(bot.app.settings)


async def test_work_whose_result_cannot_be_taken_goes_to_somebody_else(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase, auction={"lease": 60}) as bot:
        held(bot.app.store).fail("Attempts._attempt", RuntimeError("a bug"))
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        await _while_time_passes(bot, 20, lambda: _settled(bot, 1))
        assert bot.hands.began == [("T-1", "quill", 1), ("T-1", "echo", 2)]


async def test_a_task_that_the_clock_cannot_see_to_does_not_stop_it_for_the_others(tmp_path: Path) -> None:
    async with hub(tmp_path, auction={"review": HOUR}) as bot:
        await bot.say(f"/task paint the shed to={OWNER}")
        await bot.until(kind="more", status="bidding")
        await bot.say("/bid T-1 30")
        await bot.say("/deliver T-1 done")
        await _change(bot, "UPDATE task SET price = NULL WHERE id = 1")  # it cannot be paid like this
        await bot.say("/task write a poem pick=ask by=2h")
        bot.pass_time(HOUR)
        await bot.barrier()
        bot.pass_time(HOUR)
        assert (await bot.ends("T-2"))["data"]["status"] == "expired"
        assert (await bot.data("/show T-1"))["status"] == "delivered"
        await _change(bot, "UPDATE task SET price = 30000 WHERE id = 1")
        await _while_time_passes(bot, HOUR, lambda: _settled(bot, 1))
        prove(bot.app.settings)


class _Full(HeldDatabase):
    """No task can be taken up: the disk is full."""

    _faults: Mapping[str, list[Exception]] = {"Timing.recover": [DiskFull(why="it is full")]}


async def test_a_hub_that_cannot_write_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(DiskFull):
        async with hub(tmp_path, database=_Full):
            pytest.fail("it started")


async def test_a_task_that_cannot_be_taken_up_keeps_no_other_from_it(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()}, asks={"echo": None})) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/task write another")
        await _change(bot, "UPDATE task SET price = NULL WHERE id = 1")  # nothing can be given back like this
    async with hub(tmp_path, personas=[ECHO]) as bot:
        await bot.settled("T-2")
        await _change(bot, "UPDATE task SET price = 40000 WHERE id = 1")
        await _while_time_passes(bot, HOUR, lambda: _settled(bot, 1))
        assert balances(bot.app.settings)["treasury"] == (90, 0)
        prove(bot.app.settings)


async def test_an_event_that_cannot_be_read_keeps_nobody_from_hearing_of_the_others(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _change(
            bot, "INSERT INTO event (kind, at, data) VALUES ('FromTheFuture', 1, '{}'), ('TaskPosted', 1, 'x')"
        )
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        assert bot.app.health.parts["events"].up


async def test_a_console_that_comes_while_the_disk_is_full_is_served_and_gets_what_waited(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase, attach=False) as bot:
        await _change(
            bot, "INSERT INTO outgoing (surface, conversation, body, state, at) VALUES"
            " ('console', 'console:owner', '{\"text\":\"it waited\",\"data\":{}}', 'queued', 1)",
        )  # fmt: skip
        held(bot.app.store).fail("Delivery._again", *FAULTS[:2])
        async with bot.another(attach=True) as other:
            assert (await other.say("/whoami"))["text"] == f"{OWNER}, owner"
            async with asyncio.timeout(PATIENCE):
                while not any("it waited" in frame["text"] for frame in other.unread if "text" in frame):
                    bot.pass_time(1)
                    await other.say("/whoami")


class _SlowLook(HeldDatabase):
    """Holds up the clock's look at what comes next, once the snapshot is taken."""

    slow: asyncio.Event | None = None
    looked: asyncio.Event

    async def read(self, work: Callable[[UnitOfWork], R], /) -> R:
        found = await super().read(work)
        if self.slow is not None and "Timing._upcoming" in work.__qualname__:
            self.looked.set()
            await self.slow.wait()
        return found


async def test_a_task_that_is_posted_while_the_clock_looks_is_seen_to_in_time(tmp_path: Path) -> None:
    async with hub(tmp_path, database=_SlowLook) as bot:
        await bot.say("/task paint the shed pick=ask by=1m")
        store = bot.app.store
        assert isinstance(store, _SlowLook)
        await bot.see(lambda: bot.rows("SELECT status FROM task") == [("bidding",)], "its auction", pace=0)
        for _ in range(10):  # by then the clock sleeps
            await store.read(lambda tx: tx.now)
        store.looked, store.slow = asyncio.Event(), asyncio.Event()
        bot.pass_time(61)
        async with asyncio.timeout(PATIENCE):
            await store.looked.wait()

        await bot.say("/task paint the fence pick=ask by=2m")

        await bot.see(lambda: bot.rows("SELECT status FROM task WHERE id = 2") == [("bidding",)], "its auction", pace=0)
        await bot.barrier()
        store.slow.set()
        store.slow = None
        await bot.barrier()
        bot.pass_time(121)
        await bot.see(lambda: bot.rows("SELECT DISTINCT status FROM task") == [("expired",)], "its end", pace=0)
