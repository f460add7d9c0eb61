"""Starting on what the last stop left: nothing new comes in before what is old was taken up."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from adapters.console.link import dial
from adapters.folder import AlreadyRunning
from adapters.llm.ollama import OllamaModel
from bot.parts.skills import runner
from core.chat import Inbound
from core.errors import UserError
from core.swarm.ports import Decline
from tests.depth import first
from tests.fakes import FakeClock
from tests.scenario.bot import OWNER, Hands, hub
from tests.scenario.held_store import HeldDatabase, held

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.agent.skill import Skills
    from tests.scenario.bot import Bot
    from tests.scenario.held_store import R

ANN = "console:ann"


class _Slow(HeldDatabase):
    """Holds back the recovery of tasks at its start."""

    opened: asyncio.Future[_Slow]

    async def write(self, work: Callable[[UnitOfWork], R], /) -> R:
        if not self.opened.done():
            self.hold("Timing.recover", "Timing._tick")
            self.opened.set_result(self)
        return await super().write(work)


async def _until_slow(
    folder: Path, clock: FakeClock, then: Callable[[_Slow], None], started: Callable[[Bot], object]
) -> None:
    """Start a hub whose recovery is held up, and let `then` see it."""
    _Slow.opened = asyncio.get_running_loop().create_future()

    async def live() -> None:
        async with hub(folder, clock=clock, database=_Slow, auction={"lease": 60}) as bot:
            result = started(bot)
            assert asyncio.iscoroutine(result)
            await result

    async with asyncio.TaskGroup() as group:
        group.create_task(live())
        async with asyncio.timeout(10):
            store = await _Slow.opened
            async with store._changed:
                await store._changed.wait_for(lambda: "Timing.recover" in store.held)
            for _ in range(10):
                await store.read(lambda tx: tx.now)
        then(store)
        store.release()


async def _killed_as_it_answers(bot: Bot, line: str) -> None:
    """Say something that takes effect and is not answered before the next start."""
    store = held(bot.app.store)
    store.hold("Dispatcher._answer")
    await bot.post(line, id="old")
    await store.holding("Dispatcher._answer")
    bot.app.dispatcher._idle.set()  # a hub that is killed waits for no turn


async def _code(bot: Bot) -> str:
    """The pairing code of Ann, whom nobody knows yet."""
    await bot.app.dispatcher.receive(Inbound("console", "ann", "1", ANN, ANN, "let me in", name="Ann"))
    code: str = (await bot.until(kind="more", text="pairing code"))["text"].split("\n")[1]
    return code


async def test_the_clock_takes_no_task_away_before_its_lease_was_renewed(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()}), auction={"lease": 60}) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        clock = bot.clock
    clock.advance(3_600_000)

    def seen(store: _Slow) -> None:
        assert store.held == ["Timing.recover"]

    async def ends(bot: Bot) -> None:
        assert (await bot.settled("T-1"))["data"]["attempt"] == 1
        assert bot.hands.began == [("T-1", "quill", 1)]

    await _until_slow(tmp_path, clock, seen, ends)


async def test_no_message_comes_in_before_the_old_ones_were_taken_up(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Coordinator.post")
        await bot.post("/task write a poem", id="old")
        await store.holding("Coordinator.post")
        bot.app.dispatcher._idle.set()  # a hub that is killed waits for no turn
        data = bot.app.settings.data_dir

    reached = asyncio.Event()

    def seen(store: _Slow) -> None:
        reached.set()
        assert not (data / "hub.sock").exists()

    async def ends(bot: Bot) -> None:
        await bot.settled("T-1")
        assert bot.rows("SELECT count(*) FROM outgoing WHERE cause LIKE '%/old'") == [(1,)]
        async with dial(data, "hub.sock") as link:
            await link.send({"op": "say", "text": "/tasks"})
            frame = await link.receive()
            assert frame is not None
            assert [one["task"] for one in frame["data"]["tasks"]] == ["T-1"]

    await _until_slow(tmp_path, FakeClock(), seen, ends)
    assert reached.is_set()


async def test_a_second_hub_on_a_data_folder_is_refused_and_names_the_first(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        with pytest.raises(AlreadyRunning, match=rf"\(pid {os.getpid()}\)"):
            async with hub(tmp_path):
                pass
        assert (await bot.data("/whoami"))["ok"], "the first one goes on"
    async with hub(tmp_path) as bot:
        assert (await bot.data("/whoami"))["ok"], "the folder is free once it has ended"


async def test_a_grant_is_given_once_however_often_the_hub_starts(tmp_path: Path) -> None:
    for _ in range(3):
        async with hub(tmp_path) as bot:
            assert (await bot.data("/balance"))["balance_sats"] == 10_000
            assert len((await bot.data("/history"))["history"]) == 1


async def test_a_task_whose_post_was_not_answered_is_not_refused_afterwards(tmp_path: Path) -> None:
    """The file it names was there when it was posted; that it is gone when the answer is made is the worker's to say."""
    async with hub(tmp_path, database=HeldDatabase, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        await bot.say("/task shorten poem.md")
        await bot.say("/cancel 1")
        await _killed_as_it_answers(bot, "/retry 1")
        await bot.hands.at_work("T-2", "quill")
    fault = UserError(why="there is no file poem.md")
    hands = Hands(asks={"quill": Decline(str(fault), fault), "echo": None})
    async with hub(tmp_path, hands=hands) as bot:
        await bot.settled("T-2")
        assert bot.rows("SELECT body ->> '$.data.task' FROM outgoing WHERE cause LIKE '%/old'") == [("T-2",)]


PICKED, MINE = "/task write a poem pick=ask", f"/task paint the shed to={OWNER}"
WON = [MINE, "/bid T-1 5"]
ONCE: list[tuple[list[str], str, str]] = [
    ([PICKED], "/bid T-1 5", "BidPlaced"),
    ([PICKED], "/award T-1 quill", "TaskAwarded"),
    ([PICKED], "/cancel T-1", "TaskCancelled"),
    (WON, "/deliver T-1 it is green now", "TaskDelivered"),
    ([*WON, "/deliver T-1 it is green now"], "/accept T-1", "TaskSettled"),
    ([*WON, "/deliver T-1 it is blue now"], "/reject T-1 green was asked for", "TaskRejected"),
    ([], "/spawn quill", "AgentSpawned"),
    ([], "/dismiss quill", "AgentDismissed"),
]


@pytest.mark.parametrize(("before", "line", "event"), first(4, ONCE), ids=[line.split()[0] for _, line, _ in ONCE])
async def test_what_was_done_and_not_answered_is_answered_at_the_next_start_and_not_done_again(
    tmp_path: Path, before: list[str], line: str, event: str
) -> None:
    async with hub(tmp_path, database=HeldDatabase, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        for earlier in before:
            assert (await bot.data(earlier))["ok"]
            if earlier in {PICKED, MINE}:
                await bot.until(kind="more", status="bidding")
        await _killed_as_it_answers(bot, line)
    async with hub(tmp_path) as bot:
        answer = "SELECT body ->> '$.data.ok' FROM outgoing WHERE cause LIKE '%/old'"
        assert await bot.see(lambda: bot.rows(answer), "an answer") == [(1,)]
        done = "SELECT count(*) FROM event WHERE kind = ? AND data ->> 'by' = ?"
        assert bot.rows(done, event, OWNER) == [(1,)]


async def test_who_is_let_in_as_the_hub_stops_is_let_in_once(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        await _killed_as_it_answers(bot, f"/pair {await _code(bot)} role=operator")
    async with hub(tmp_path) as bot:
        await bot.until(kind="more", text=f"Ann is in, as operator ({ANN})")
        assert bot.rows("SELECT role FROM actor WHERE id = ?", ANN) == [("operator",)]
        assert bot.rows("SELECT count(*) FROM event WHERE kind = 'ActorPaired'") == [(1,)]
        assert bot.rows("SELECT count(*) FROM pairing_failure") == [(0,)], "its code is used up, and not a wrong one"
        welcome = "SELECT body ->> '$.text' LIKE 'You are in, as operator%' FROM outgoing WHERE conversation = ? AND cause IS NULL"
        assert bot.rows(welcome, ANN) == [(1,)]


@pytest.mark.parametrize("given", [ANN, "ann"], ids=["id", "name"])
async def test_who_is_sent_away_as_the_hub_stops_is_sent_away_once(tmp_path: Path, given: str) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        await bot.say(f"/pair {await _code(bot)}")
        await _killed_as_it_answers(bot, f"/unpair {given}")
    async with hub(tmp_path) as bot:
        await bot.until(kind="more", text=f"{ANN} has no role here any more")
        assert bot.rows("SELECT count(*) FROM event WHERE kind = 'ActorUnpaired'") == [(1,)]
        assert bot.rows("SELECT * FROM actor") == []


async def test_skills_work_where_the_next_start_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[Path | None] = []

    def noted(workspace: Path, closed: Sequence[Path], *, scratch: Path, **more: Any) -> Skills:
        places.append(scratch)
        return runner(workspace, closed, scratch=scratch, **more)

    monkeypatch.setattr("bot.app.runner", noted)
    left = tmp_path / "data" / "scratch" / "timmy-skill-left"
    async with hub(tmp_path):
        places.clear()
    left.mkdir(parents=True)
    async with hub(tmp_path):
        assert set(places) == {left.parent}
        assert not await asyncio.to_thread(left.exists)


async def test_what_works_with_the_model_has_ended_before_the_model_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, ended = Hands(does={"quill": asyncio.Event()}), []

    class Watched(OllamaModel):
        async def __aexit__(self, *_: object) -> None:
            ended.append(list(hands.stopped))
            await super().__aexit__()

    monkeypatch.setattr("bot.parts.models.OllamaModel", Watched)
    async with hub(tmp_path, hands=hands) as bot:
        await bot.say("/task write a letter")
        await hands.at_work("T-1", "quill")
    assert ended == [[("T-1", "quill")]]


@pytest.mark.parametrize("file", ["hub.db", "hub.db-wal", "node.db"])
async def test_a_hub_whose_file_was_removed_is_not_healthy_and_is_told_to_end(tmp_path: Path, file: str) -> None:
    async with hub(tmp_path) as bot:
        watch, told = bot.app.watch, asyncio.Event()
        watch.end = told.set
        bot.pass_time(6)
        await bot.say("/balance")
        assert (watch.lost, bot.app.health.faults()) == (None, [])
        (tmp_path / "data" / file).unlink()
        bot.pass_time(6)
        async with asyncio.timeout(5):
            await told.wait()
        assert f"{file} was removed or replaced" in str(watch.lost)
        assert "watch is down" in bot.app.health.faults()[0]
