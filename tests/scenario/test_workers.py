"""Workers of other processes, over HTTP, against a whole hub: they bid, work and are paid; they die, lie, and come back."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from adapters.web.worker_api import AT_A_TIME, LARGEST
from core.chat import Caller, Role
from core.swarm import bidding
from core.swarm.crew import LIFE, RETURN, SILENCE, WasDismissed
from core.swarm.ports import Decline
from core.swarm.timing import Timing
from core.swarm.tray import MOST_ANSWERS
from tests.depth import first
from tests.fakes import FakeClock
from tests.scenario.bot import ECHO, OWNER, PATIENCE, Hands, balances, hub, prove
from tests.scenario.crew import back, workers
from tests.scenario.test_l402_gate import done, selling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator
    from pathlib import Path

    from core.swarm.auction import Bid
    from core.swarm.ports import Answer, SwarmTx
    from core.swarm.task import Task
    from tests.scenario.bot import Bot
    from tests.scenario.crew import Worker

T = TypeVar("T")

LEASE = 60


async def posted(bot: Bot, line: str = "/task find the answer max=100") -> str:
    """A task whose auction is open."""
    task: str = (await bot.data(line))["task"]
    await bot.see(lambda: status(bot, task) == "bidding", "its auction", pace=0)
    return task


def status(bot: Bot, task: str) -> str:
    ((found,),) = bot.rows("SELECT status FROM task WHERE id = ?", int(task[2:]))
    return str(found)


async def waits(bot: Bot, *names: str) -> None:
    """Wait until these wait."""
    board = bot.app.hub.coordinator._docket.board
    await bot.see(lambda: board._waiting.keys() >= {*names}, "their polls", pace=0)


async def soon(it: Awaitable[T]) -> T:
    """What comes long before a poll would end by itself."""
    async with asyncio.timeout(PATIENCE):
        return await it


@pytest.mark.long
async def test_a_worker_knows_of_a_wished_model_before_it_bids(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot, "/task find the answer to=box max=100 model=of-its-own")
        (seen,) = await box.get("tasks")
        assert seen["model"] == "of-its-own", "which models a worker has, the hub does not know"
        await box.bid(task, 30)
        given = await box.given()
        assert given["model"] == "of-its-own"
        await box.beat(task, given["lease_token"])
        assert await box.post(f"tasks/{task}/fail", lease_token=given["lease_token"], reason="I have none") == {
            "status": "open"
        }  # fmt: skip
        assert bot.rows("SELECT agent, failed FROM reputation") == [("box", 1)], "it was free to say no"


async def test_a_worker_bids_works_and_is_paid(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        (seen,) = await box.get("tasks")
        assert seen == {
            "task_id": task, "description": "find the answer", "status": "bidding", "budget_sats": 100,
            "closes_at": bot.clock.now() + 5_000, "capabilities": [],
        }  # fmt: skip
        assert await box.bid(task, 30, eta_s=60, note="soon") == {
            "accepted": True, "message": "your bid counts", "task_id": task, "agent_id": "box",
        }  # fmt: skip
        given = await box.given()
        assert given == {
            "task_id": task, "description": "find the answer", "attempt": 1, "lease_token": given["lease_token"],
            "lease_until": bot.clock.now() + LEASE * 1000,
        }  # fmt: skip
        assert await box.given() == given, "the same one until started"
        assert await box.beat(task, given["lease_token"]) == {
            "lease_until": bot.clock.now() + LEASE * 1000, "cancel": False
        }  # fmt: skip
        assert await box.given() is None
        assert status(bot, task) == "running"
        file = {"name": "../an swer.txt", "content_base64": base64.b64encode(b"42").decode()}
        assert await box.deliver(task, given["lease_token"], "It is 42.", files=[file]) == {"status": "delivered"}
        told = await bot.until(kind="more", task=task, status="delivered")
        assert "It is 42." in told["text"]
        assert (await bot.data(f"/accept {task}"))["status"] == "settled"
        assert balances(bot.app.settings)["agent:box"] == (30, 0)
        shown = await bot.say(f"/show {task}")
        assert [file["name"] for file in shown["files"]] == ["an-swer.txt"]
        prove(bot.app.settings)


async def test_whoever_waits_is_told_at_once(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), workers(bot, "boy") as (boy,):
        await box.enrol()
        await boy.enrol("writing")

        async def post() -> str:
            await waits(bot, "box", "boy")
            return await posted(bot)

        seen, idle, task = await soon(asyncio.gather(box.tasks(wait=20), boy.tasks(wait=1), post()))
        assert (seen, idle) == ([task], []), "it is not boy's work"

        async def bid() -> None:
            await waits(bot, "box")
            await box.bid(task, 10)

        given, _ = await soon(asyncio.gather(box.given(wait=20), bid()))
        assert given["task_id"] == task
        assert await box.tasks() == []


async def test_many_who_wait_are_woken_some_at_a_time_and_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.swarm.board.SLICE", 2)
    turns = 0
    async with hub(tmp_path, personas=()) as bot, workers(bot, *(f"w{number}" for number in range(5))) as them:
        for one in them:
            await one.enrol()
        board = bot.app.hub.coordinator._docket.board
        real = board._wake_some

        def woken(some: Iterator[asyncio.Future[None]]) -> None:
            nonlocal turns
            turns += 1
            real(some)

        monkeypatch.setattr(board, "_wake_some", woken)

        async def post() -> str:
            nonlocal turns
            await waits(bot, *(one.name for one in them))
            turns = 0
            return await posted(bot)

        *seen, task = await soon(asyncio.gather(*(one.tasks(wait=20) for one in them), post()))
        assert seen == [[task]] * 5
        assert turns == 3


async def test_whoever_waits_is_told_of_what_stands_open_once_a_hand_is_free(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        first, second = await posted(bot), await posted(bot)
        await boy.refuse(first)
        lease = await box.won(first, 10)

        async def deliver() -> None:
            await waits(bot, "box")
            await box.deliver(first, lease, "done")

        seen, _ = await soon(asyncio.gather(box.tasks(wait=20), deliver()))
        assert seen == [second]


async def test_whoever_refused_is_asked_again_about_another_attempt(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        task = await posted(bot)
        await boy.refuse(task)
        assert await boy.tasks() == []
        lease = await box.won(task, 10)
        await box.post(f"tasks/{task}/handback", lease_token=lease)
        assert await soon(boy.tasks(wait=20)) == [task]


@pytest.mark.long
async def test_workers_and_the_hubs_own_agents_bid_against_each_other_and_it_closes_with_the_last_answer(
    tmp_path: Path,
) -> None:
    async with hub(tmp_path) as bot, workers(bot, "box", "boy", "busy") as (box, boy, busy):
        for worker in (box, boy):
            await worker.enrol()
        await busy.enrol(concurrency=0)
        task = await posted(bot)
        assert (await bot.data(f"/bids {task}"))["bids"] == [], "sealed"
        await box.refuse(task)
        assert status(bot, task) == "bidding"
        assert await box.tasks() == [], "it has answered"
        await boy.bid(task, 39)
        assert (await boy.given())["task_id"] == task
        task = await posted(bot)
        await box.bid(task, 41)
        assert (await bot.settled(task))["data"]["winner"] == "quill", "boy is busy, and nobody waits for it"
        prove(bot.app.settings)


async def test_a_worker_that_never_answers_holds_an_auction_up_for_its_window_only(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        bot.pass_time(4.9)
        await bot.barrier()
        assert status(bot, task) == "bidding"
        bot.pass_time(0.2)
        assert (await bot.settled(task))["data"]["winner"] == "quill"
        bot.pass_time(SILENCE / 1000)
        assert (await bot.settled((await bot.data("/task write a letter"))["task"]))["data"]["winner"] == "quill"


async def test_nobody_answers_and_the_task_says_so(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        bot.pass_time(6)
        ended = await bot.ends(task)
        assert ended["data"]["status"] == "failed"
        assert "box: did not answer in time" in ended["text"]
        assert balances(bot.app.settings)["user:console:owner"] == (10_000, 0)


@pytest.mark.parametrize("how", first(2, ["fail", "handback", "silence"]))
async def test_what_one_does_not_finish_another_does(tmp_path: Path, how: str) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        task = await posted(bot)
        lease = await box.won(task, 30)
        await boy.enrol()
        match how:
            case "fail":
                assert await box.post(f"tasks/{task}/fail", lease_token=lease, reason="no\nidea") == {"status": "open"}
            case "handback":
                assert await box.post(f"tasks/{task}/handback", lease_token=lease) == {"status": "open"}
            case _:
                bot.pass_time(LEASE - 20)
                await boy.tasks()
                bot.pass_time(21)
        await bot.see(lambda: status(bot, task) == "bidding", "another auction", pace=0)
        assert await box.tasks() == [], "it had its turn"
        assert await box.code("POST", f"tasks/{task}/heartbeat", {"lease_token": lease}) == (409, "stale_lease")
        late = {"lease_token": lease, "result": "late"}
        assert await box.code("POST", f"tasks/{task}/result", late) == (409, "stale_lease")
        again = await boy.won(task, 40)
        assert again != lease
        await boy.deliver(task, again, "done")
        await bot.data(f"/accept {task}")
        found = balances(bot.app.settings)
        assert (found["agent:boy"], "agent:box" in found) == ((40, 0), False)
        blamed = [] if how == "handback" else [("box", 1)]
        assert bot.rows("SELECT agent, failed FROM reputation WHERE failed > 0") == blamed
        prove(bot.app.settings)


async def test_what_three_workers_died_at_has_failed_and_is_paid_back(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "one", "two", "three", "four") as crew:
        for worker in crew:
            await worker.enrol()
        task = await posted(bot)
        for number, dead in enumerate(crew[:3]):
            left = crew[number + 1 :]
            for worker in left:
                await worker.refuse(task)
            await dead.won(task, 10)
            for _ in range(2):
                bot.pass_time(LEASE / 2 + 1)
                for worker in left:
                    await worker.tasks()
            wanted = "failed" if dead is crew[2] else "bidding"
            await bot.see(lambda wanted=wanted: status(bot, task) == wanted, wanted, pace=0)  # type: ignore[misc]
        assert (await bot.data(f"/show {task}"))["attempt"] == 3
        assert "three went silent" in (await bot.say(f"/show {task}"))["text"]
        assert await crew[3].tasks() == []
        assert balances(bot.app.settings)["user:console:owner"] == (10_000, 0)
        prove(bot.app.settings)


async def test_a_long_job_is_kept_by_its_heartbeats_and_learns_that_it_was_called_off(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        lease = await box.won(task, 30)
        for _ in range(4):
            bot.pass_time(LEASE - 1)
            assert not (await box.beat(task, lease))["cancel"]
        assert status(bot, task) == "running"
        await bot.say(f"/cancel {task}")
        assert await box.beat(task, lease) == {"lease_until": bot.clock.now(), "cancel": True}
        assert await box.code("POST", f"tasks/{task}/result", {"lease_token": lease, "result": "x"}) == (
            409, "stale_lease"
        )  # fmt: skip
        assert balances(bot.app.settings)["user:console:owner"] == (10_000, 0)


async def test_a_result_that_is_sent_again_is_one_and_another_is_none(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        task = await posted(bot)
        await box.bid(task, 30)
        lease = (await box.given())["lease_token"]
        file = {"name": "a.txt", "content_base64": "QQ=="}
        assert (await box.deliver(task, lease, "done", files=[file]))["status"] == "delivered", "without a heartbeat"
        assert (await box.deliver(task, lease, "done", files=[file]))["status"] == "delivered"
        late = await box.code("POST", f"tasks/{task}/heartbeat", {"lease_token": lease})
        assert late == (409, "stale_lease"), "it is at it no more"
        for other in ({"result": "more"}, {"result": "done"}, {"result": "done", "files": [file, file]}):
            assert await box.code("POST", f"tasks/{task}/result", {"lease_token": lease, **other}) == (
                409, "stale_lease"
            )  # fmt: skip
        assert await boy.code("POST", f"tasks/{task}/result", {"lease_token": lease, "result": "done"}) == (
            409, "stale_lease"
        )  # fmt: skip
        await bot.data(f"/accept {task}")
        assert (await box.deliver(task, lease, "done", files=[file]))["status"] == "settled"
        assert bot.rows("SELECT count(*) FROM event WHERE kind = 'TaskDelivered'") == [(1,)]
        assert balances(bot.app.settings)["agent:box"] == (30, 0)


async def test_what_is_not_taken_leaves_no_file(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        lease = await box.won(task, 10)
        await box.deliver(task, lease, "done")
        late = {"lease_token": lease, "result": "done", "files": [{"name": "a.txt", "content_base64": "QQ=="}]}
        assert await box.code("POST", f"tasks/{task}/result", late) == (409, "stale_lease")
        assert not (bot.app.settings.data_dir / "files").exists()


@asynccontextmanager
async def slow(bot: Bot, worker: Worker, path: str, size: int) -> AsyncIterator[asyncio.StreamReader]:
    """A request of a worker whose body does not come."""
    host = bot.app.address.removeprefix("http://")
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    head = f"POST /internal/{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {worker.token}\r\n"
    writer.write(f"{head}Content-Length: {size}\r\n\r\n{{".encode())
    yield reader
    writer.close()
    await writer.wait_closed()


@pytest.mark.long
async def test_bodies_that_do_not_come_hold_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await boy.enrol()
        task = await posted(bot)
        lease = await boy.won(task, 10)
        large, small = "tasks/T-1/result", "tasks/T-1/heartbeat"
        async with AsyncExitStack() as stack:
            for _ in range(AT_A_TIME):
                await stack.enter_async_context(slow(bot, box, large, LARGEST + 1))
            file = {"name": "a.txt", "content_base64": "QUFB" * LARGEST}
            assert await soon(boy.deliver(task, lease, "done", files=[file])) == {"status": "delivered"}
        for seconds, path, size in (("RESULT_SECONDS", large, LARGEST + 1), ("BODY_SECONDS", small, 9)):
            monkeypatch.setattr(f"adapters.web.worker_api.{seconds}", 0.05)
            async with slow(bot, box, path, size) as reader:
                assert b" 400 " in await soon(reader.readline())


async def test_an_attempt_is_whose_it_is_by_its_very_lease(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol(concurrency=2)
        task, other = await posted(bot), await posted(bot)
        lease, another = await box.won(task, 10), await box.won(other, 10)
        more: dict[str, dict[str, str]] = {
            "heartbeat": {}, "progress": {"text": "x"}, "result": {"result": "x"}, "fail": {"reason": "x"}, "handback": {},
        }  # fmt: skip
        before = bot.tables()
        for who, given in ((boy, lease), (box, another), (box, ""), (box, lease[:-1])):
            for path, body in more.items():
                refused = await who.code("POST", f"tasks/{task}/{path}", {"lease_token": given, **body})
                assert refused == (409, "stale_lease"), (who.name, given, path)
        assert bot.tables() == before


@pytest.mark.long
async def test_what_strangers_bought_is_paid_for_at_once(tmp_path: Path) -> None:
    async with selling(tmp_path, personas=()) as (bot, stranger), workers(bot, "box") as (box,):
        await box.enrol()
        stranger.buy(await stranger.task("find the answer"))
        task = (await stranger.task("find the answer")).body["task_id"]
        assert await soon(box.tasks(wait=20)) == [task]
        lease = await box.won(task, 40)
        for _ in range(2):
            assert await box.deliver(task, lease, "It is 42.") == {"status": "settled"}
        assert (await done(bot, stranger, task))["result"] == "It is 42."
        assert [balances(bot.app.settings)[one] for one in ("agent:box", "treasury")] == [(40, 0), (60, 0)]
        prove(bot.app.settings)


@pytest.mark.long
async def test_what_is_delivered_can_be_rejected_and_is_paid_when_the_review_is_over(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        task = await posted(bot)
        await box.deliver(task, await box.won(task, 30), "rubbish")
        await boy.enrol()
        assert (await bot.data(f"/reject {task} it is rubbish"))["ok"]
        await bot.see(lambda: status(bot, task) == "bidding", "another auction", pace=0)
        await boy.deliver(task, await boy.won(task, 35), "good")
        bot.pass_time(24 * 3600 + 1)
        await bot.settled(task)
        assert balances(bot.app.settings)["agent:boy"] == (35, 0)


@pytest.mark.long
async def test_more_tasks_than_a_worker_does_at_a_time_wait_for_it(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol(concurrency=2)
        tasks = [await posted(bot) for _ in range(4)]
        assert await box.tasks() == tasks
        for task in tasks:
            assert (await box.bid(task, 10))["accepted"] == (task in tasks[:2])
        later = (await bot.data("/task find one more max=50"))["task"]
        await bot.barrier()
        assert status(bot, later) == "open", "everybody who could is busy"
        done: list[str] = []
        async with asyncio.timeout(20):
            while len(done) < 5:
                if given := await box.given():
                    await box.deliver(given["task_id"], given["lease_token"], "done")
                    done.append(given["task_id"])
                for task in await box.tasks():
                    await box.bid(task, 10)
        assert set(done) == {*tasks, later}


async def test_a_bid_from_before_wins_nothing_while_its_bidder_is_busy(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy", "no") as (box, boy, no):
        for worker in (box, boy, no):
            await worker.enrol()
        tasks = [await posted(bot) for _ in range(3)]
        for task in tasks:
            await box.bid(task, 10)
            await boy.bid(task, 20)
        for task in tasks:
            await no.refuse(task)
        first, second = await box.given(), await boy.given()
        assert [first["task_id"], second["task_id"], status(bot, tasks[2])] == [*tasks[:2], "open"]
        await boy.deliver(second["task_id"], second["lease_token"], "done")
        assert (await soon(boy.given(wait=20)))["task_id"] == tasks[2], "box bid less, and has one hand"


def auctions(bot: Bot, *tasks: str) -> int:
    """How often these were put up for bids."""
    numbers = ", ".join(task[2:] for task in tasks)
    ((count,),) = bot.rows(f"SELECT count(*) FROM event WHERE kind = 'AuctionOpened' AND task IN ({numbers})")  # noqa: S608
    return int(count)


@pytest.mark.parametrize("own", first(1, [False, True]))
async def test_ten_tasks_for_one_worker_are_put_up_twice_each_at_most(tmp_path: Path, *, own: bool) -> None:
    """Each as it is posted, and once more when its turn comes; or, `own`, in turn as it comes back."""
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        lease = ""
        if own:
            await boy.enrol()
            lease = await boy.won(await posted(bot), 1)
        await box.enrol()
        if own:
            bot.pass_time(SILENCE / 1000)
            await boy.tasks()
        tasks = [(await bot.data("/task find it max=50"))["task"] for _ in range(10)]
        await bot.barrier()
        done: list[str] = []
        async with asyncio.timeout(PATIENCE):
            while len(done) < len(tasks):
                for task in await box.tasks(wait=1):
                    await box.bid(task, 10)
                if given := await box.given():
                    if own:
                        await boy.beat("T-1", lease)
                    bot.pass_time(5)
                    await bot.see(
                        lambda: not bot.rows("SELECT 1 FROM task WHERE status = 'bidding'"), "all wait", pace=0
                    )
                    await box.deliver(given["task_id"], given["lease_token"], "done")
                    done.append(given["task_id"])
        assert sorted(done) == sorted(tasks)
        assert auctions(bot, *tasks) <= (10 if own else 20)
        prove(bot.app.settings)


async def test_what_waits_longest_comes_first_though_there_is_always_something_newer(tmp_path: Path) -> None:
    """A newer auction that its one worker may win too keeps it from nothing."""
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        only = "/task find it max=50 to=box"
        first = await posted(bot, only)
        lease = await box.won(first, 10)
        waiting = (await bot.data(only))["task"]
        newer = await posted(bot)
        await box.deliver(first, lease, "done")
        await bot.see(lambda: status(bot, waiting) == "bidding", "that it is put up", pace=0)
        assert await box.tasks() == [waiting, newer], "the oldest first, for who takes the first"
        await box.won(waiting, 10)
        assert status(bot, newer) == "bidding"


async def test_what_waits_is_not_put_up_for_a_hand_that_an_older_auction_may_take(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        first = await posted(bot, "/task find it max=50 to=box")
        lease = await box.won(first, 10)
        older = await posted(bot)
        waiting = (await bot.data("/task find it max=50 to=box"))["task"]
        await box.deliver(first, lease, "done")
        await box.bid(older, 10)
        await boy.refuse(await posted(bot, "/task find it max=50 to=boy"))  # an auction is over: who waits is looked at
        await bot.barrier()
        assert (status(bot, older), status(bot, waiting)) == ("bidding", "open")
        await boy.refuse(older)
        assert (await box.given())["task_id"] == older
        assert auctions(bot, waiting) == 0


async def test_who_answers_no_auction_is_not_asked_for_ever_while_another_is_busy(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "mute") as (box, mute):
        await box.enrol()
        first = await posted(bot)
        lease = await box.won(first, 10)
        await mute.enrol()
        task = await posted(bot)
        for _ in range(20):
            await mute.tasks()
            await box.beat(first, lease)
            bot.pass_time(5)
            await bot.barrier()
        assert (status(bot, task), auctions(bot, task)) == ("open", 1)
        await box.deliver(first, lease, "done")
        assert await soon(box.tasks(wait=20)) == await mute.tasks() == [task], "it is asked once more"
        await box.bid(task, 10)
        assert (await box.given())["task_id"] == task, "and not waited for"


async def test_a_hand_that_an_auction_did_not_take_takes_what_waits(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        lease = await box.won(await posted(bot), 10)
        tasks = [(await bot.data("/task find it max=50"))["task"] for _ in range(4)]
        await box.deliver("T-1", lease, "done")
        assert await soon(box.tasks(wait=20)) == tasks[:1], "as many as it has hands free"
        await box.refuse(tasks[0])
        assert await soon(box.tasks(wait=20)) == tasks[1:2], "it refused the first"
        await bot.say(f"/cancel {tasks[1]}")
        assert await soon(box.tasks(wait=20)) == tasks[2:3], "the second was called off"
        bot.pass_time(5)
        await bot.ends(tasks[2])
        assert await soon(box.tasks(wait=20)) == tasks[3:], "it said nothing of the third"
        assert auctions(bot, *tasks) == len(tasks)


async def test_a_worker_that_is_free_again_only_as_the_bidding_ends_is_asked_once_more(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        first, second = await posted(bot), await posted(bot)
        lease = await box.won(first, 10)
        bot.pass_time(4.9)
        await box.deliver(first, lease, "done")
        bot.pass_time(0.1)
        kinds = "SELECT kind FROM event WHERE task = ? AND kind = 'AuctionOpened'"
        await bot.see(lambda: len(bot.rows(kinds, int(second[2:]))) == 2, "another auction", pace=0)
        bot.pass_time(5)
        assert (await bot.ends(second))["data"]["status"] == "failed", "it had the time to answer"


@pytest.mark.long
async def test_a_bid_on_two_auctions_wins_one_at_a_time(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        first, second = await posted(bot), await posted(bot)
        for task in (first, second):
            await box.bid(task, 10)
        await boy.refuse(first)
        assert (await box.given())["task_id"] == first
        await boy.refuse(second)
        assert status(bot, second) == "open", "its one bidder is busy"
        lease = (await box.given())["lease_token"]
        await box.deliver(first, lease, "done")
        await bot.see(lambda: status(bot, second) == "awarded", "its turn", pace=0)
        assert (await box.given())["task_id"] == second


async def test_what_a_busy_agent_bid_when_it_was_free_counts_in_no_later_auction(tmp_path: Path) -> None:
    quills, echos = asyncio.Event(), asyncio.Event()
    hands = Hands(asks={"quill": 10, "echo": 30}, does={"quill": quills, "echo": echos})
    async with hub(tmp_path, hands=hands) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        for number, agent in ((2, "quill"), (3, "echo")):
            await bot.say(f"/task write a poem to={agent}")
            await bot.hands.at_work(f"T-{number}", agent)
        await bot.say("/dismiss box")
        bot.pass_time(5)
        await bot.see(lambda: status(bot, task) == "open", "all who bid are busy", pace=0)
        echos.set()
        assert (await bot.settled(task))["data"]["winner"] == "echo"
        quills.set()
        await bot.settled("T-2")


@pytest.mark.long
@pytest.mark.parametrize("away", [True, False])
async def test_a_bidder_that_went_away_is_awarded_nothing(tmp_path: Path, *, away: bool) -> None:
    async with hub(tmp_path, personas=(), auction={"window": 60}) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        task = await posted(bot)
        await box.bid(task, 10)
        bot.pass_time(SILENCE / 1000 if away else 20)
        await boy.bid(task, 20)
        assert (await (boy if away else box).given())["task_id"] == task


async def test_where_all_who_bid_went_away_the_task_says_so(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=(), auction={"window": 60}) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        task = await posted(bot)
        await box.bid(task, 10, note="soon")
        bot.pass_time(60)
        assert "box: bid, and went away" in (await bot.ends(task))["text"]


@pytest.mark.long
@pytest.mark.parametrize(("capabilities", "description", "told"), [
    (("writing",), "write a letter", True), (("write",), "write a letter", True), (("a letter",), "write A letter!", True),
    (("research",), "write a letter", False), (("let",), "write a letter", False), ((), "write a letter", False),
    (("any",), "write a letter", True), (("Writing ", "writing"), "write a letter", True),
])  # fmt: skip
async def test_a_worker_is_asked_about_its_field(
    tmp_path: Path, capabilities: tuple[str, ...], description: str, told: bool
) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate, "echo": gate})) as bot, workers(bot, "box") as (box,):
        await box.post("agents", name="box", capabilities=list(capabilities))
        task = (await bot.data(f"/task {description}"))["task"]
        await bot.see(lambda: status(bot, task) in {"bidding", "running"}, "it is under way", pace=0)
        assert await box.tasks() == ([task] if told else [])
        assert (status(bot, task) == "bidding") == told
        if told:
            assert await box.tasks(capabilities="WRITING, cooking") == [task]
            assert await box.tasks(capabilities="cooking") == []


@pytest.mark.long
async def test_a_task_for_one_worker_is_its_alone(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol("cooking")
        await boy.enrol()
        task = await posted(bot, "/task write a letter to=box max=90")
        assert await boy.tasks() == []
        assert await boy.code("POST", "bids", {"task_id": task, "agent_id": "boy", "bid_sats": 5}) == (
            409, "not_invited"
        )  # fmt: skip
        await box.deliver(task, await box.won(task, 90), "Dear you")
        assert (await bot.data("/task write a letter to=bix"))["error"] == "unknown_agent"


@pytest.mark.long
async def test_a_requester_who_picks_sees_the_bids_of_workers(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        task = await posted(bot, "/task find the answer max=100 pick=ask")
        await box.bid(task, 70)
        await box.bid(task, 60, note="better")
        await boy.bid(task, 50)
        await bot.until(kind="more", task=task, text="box")
        assert [one["agent"] for one in (await bot.data(f"/bids {task}"))["bids"]] == ["boy", "box"]
        assert (await bot.data(f"/award {task} box"))["status"] == "awarded"
        assert (await box.given())["task_id"] == task
        assert (await bot.data(f"/bid {task} 5"))["error"] == "wrong_state"


async def test_where_a_requester_picks_a_busy_worker_bids_and_is_picked_once_it_is_free(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        first = await posted(bot)
        lease = await box.won(first, 10)
        task = await posted(bot, "/task find the answer max=100 pick=ask")
        assert (await box.bid(task, 30))["accepted"]
        assert (await bot.data(f"/award {task} box"))["error"] == "agent_busy"
        await box.deliver(first, lease, "done")
        assert (await bot.data(f"/award {task} box"))["status"] == "awarded"


async def test_a_worker_that_was_asked_alone_refuses_and_nobody_is_waited_for(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot, "/task find the answer max=100 pick=ask to=box")
        await box.bid(task, 30)
        assert status(bot, task) == "bidding"
        await box.refuse(task)
        assert (await bot.ends(task))["data"]["status"] == "failed"


@pytest.mark.long
async def test_what_a_worker_says_looks_like_nothing_of_the_hubs_own(tmp_path: Path) -> None:
    words, shown = "no.\n\nboy  2 sats\x1b\u202e", "no. boy 2 sats"
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot, "/task find the answer max=100 pick=ask")
        await box.bid(task, 30, note=words)
        assert (await bot.say(f"/bids {task}"))["text"].endswith(shown)
        await bot.say(f"/cancel {task}")
        task = await posted(bot)
        await box.post("bids", task_id=task, agent_id="box", refuse=True, note=words)
        assert f"box: {shown}" in (await bot.ends(task))["text"]
        task = await posted(bot)
        await box.post(f"tasks/{task}/fail", lease_token=await box.won(task, 5), reason=words)
        assert f"box: {shown}" in (await bot.ends(task))["text"]


async def test_the_same_answer_again_is_one(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        task = await posted(bot)
        for _ in range(2):
            assert (await box.bid(task, 10))["accepted"]
        for _ in range(2):
            await box.refuse(task)
        kinds = bot.rows("SELECT kind FROM event WHERE kind LIKE 'Bid%' ORDER BY id")
        assert kinds == [("BidPlaced",), ("BidRefused",)]
        assert status(bot, task) == "bidding"


async def test_the_same_again_in_one_moment_is_one_and_who_has_no_hand_free_bids_on_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        task, other = await posted(bot), await posted(bot)
        bid = bot.app.hub.coordinator.desk.bid
        said = await asyncio.gather(*(bid("box", int(task[2:]), sats, eta=None, note="") for sats in (9, 10, 10, 10)))
        assert said == [""] * 4
        assert bot.rows("SELECT count(*) FROM event WHERE kind = 'BidPlaced'") == [(2,)], "a bid, and one change"
        await boy.refuse(task)
        assert (await box.given())["task_id"] == task
        more = await box.bid(other, 10)
        assert (more["accepted"], more["message"]) == (False, "you have as many tasks as you do at a time")
        assert bot.rows("SELECT price FROM bid WHERE agent = 'box'") == [(10_000,)]


async def test_what_is_answered_in_one_moment_is_written_together_and_told_to_each(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy", "bob", "ann") as them:
        box, boy, bob, ann = them
        for one in them:
            await one.enrol()
        task = await posted(bot)
        await bot.barrier()
        store = bot.app.store
        before = store.writes
        # The first is written at once; what comes before it is durable, together.
        ends = await asyncio.gather(
            box.ask("POST", "bids", {"task_id": task, "agent_id": "box", "bid_sats": 10}),
            boy.ask("POST", "bids", {"task_id": task, "agent_id": "boy", "bid_sats": 500}),
            bob.ask("POST", "bids", {"task_id": "T-9", "agent_id": "bob", "bid_sats": 5}),
            bob.ask("POST", "bids", {"task_id": task, "agent_id": "bob", "bid_sats": 9}),
            bob.ask("POST", "bids", {"task_id": task, "agent_id": "bob", "bid_sats": 8}),
        )
        assert [*ends] == [200, 422, 404, 200, 200]
        assert store.writes - before < len(ends)
        await ann.refuse(task)
        await boy.refuse(task)
        assert [row[0] for row in bot.rows("SELECT agent FROM task")] == ["bob"]


async def test_an_answer_that_breaks_a_unit_of_work_breaks_its_own_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy", "bob", "ann") as them:
        for one in them:
            await one.enrol()
        task = await posted(bot)
        real = bidding.scored

        def scored(tx: SwarmTx, task: Task, bid: Bid, known: int) -> Answer:
            if bid.agent == "boy":
                raise ZeroDivisionError
            return real(tx, task, bid, known)

        monkeypatch.setattr(bidding, "scored", scored)
        bodies = [{"task_id": task, "agent_id": one.name, "bid_sats": 5} for one in them[:3]]
        ends = await asyncio.gather(*(one.ask("POST", "bids", body) for one, body in zip(them, bodies, strict=False)))
        assert ends == [200, 500, 200]
        assert bot.rows("SELECT agent FROM bid ORDER BY agent") == [("bob",), ("box",)]


async def test_a_worker_changes_its_answer_some_times_and_no_more(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        task = await posted(bot)
        for sats in range(1, MOST_ANSWERS + 1):
            await box.bid(task, sats)
        again = {"task_id": task, "agent_id": "box"}
        assert await box.code("POST", "bids", {**again, "bid_sats": 50}) == (429, "too_many_changes")
        assert await box.code("POST", "bids", {**again, "refuse": True}) == (429, "too_many_changes")
        assert (await box.bid(task, MOST_ANSWERS))["accepted"], "the same again is the same"
        assert bot.rows("SELECT price FROM bid") == [(MOST_ANSWERS * 1000,)]
        assert bot.rows("SELECT count(*) FROM event WHERE kind LIKE 'Bid%'") == [(MOST_ANSWERS,)]
        await boy.bid(task, 99)
        assert bot.rows("SELECT agent FROM task") == [("box",)]


@pytest.mark.long
async def test_a_worker_is_told_of_some_auctions_at_a_time_and_waits_a_few_times_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.swarm.board.MOST_SHOWN", 2)
    monkeypatch.setattr("core.swarm.board.MOST_POLLS", 1)
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()

        async def refused() -> str:
            await waits(bot, "box")
            assert await box.code("GET", "tasks", wait=20) == (429, "too_many_polls")
            assert await boy.given(wait=1) is None
            return await posted(bot)

        seen, first = await soon(asyncio.gather(box.tasks(wait=20), refused()))
        assert seen == [first]
        second, third = await posted(bot), await posted(bot)
        assert await box.tasks() == [first, second]
        await box.refuse(first)
        assert await box.tasks() == [second, third]


async def test_people_do_not_bid_where_only_agents_are_asked(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        assert (await bot.data(f"/bid {task} 5"))["error"] == "agents_bid"


async def test_a_restart_keeps_leases_bids_and_those_who_come_back(tmp_path: Path) -> None:
    clock = FakeClock()
    async with hub(tmp_path, clock=clock, personas=()) as bot, workers(bot, "box", "boy") as found:
        box, boy = found
        await box.enrol()
        running = await posted(bot)
        lease = await box.won(running, 30)
        await boy.enrol()
        bidding = await posted(bot)
    clock.advance(3_600_000)
    async with hub(tmp_path, clock=clock, personas=()) as bot, back(bot, box, boy) as (box, boy):
        bot.pass_time(RETURN / 1000 - 1)
        await bot.barrier()
        opened = bot.rows("SELECT count(*) FROM event WHERE kind = 'AuctionOpened' AND task = ?", int(bidding[2:]))
        assert (status(bot, bidding), opened) == ("bidding", [(1,)]), "who was here has time to come back"
        assert await boy.tasks() == [bidding]
        await boy.bid(bidding, 40)
        assert (await boy.given())["task_id"] == bidding
        assert not (await box.beat(running, lease))["cancel"]
        await box.deliver(running, lease, "done")
        prove(bot.app.settings)


async def test_a_worker_that_takes_nothing_more_keeps_what_it_has_over_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    async with hub(tmp_path, clock=clock, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        lease = await box.won(task, 30)
        await box.enrol(concurrency=0)
    async with hub(tmp_path, clock=clock, personas=()) as bot, back(bot, box) as (box,):
        assert await box.deliver(task, lease, "done") == {"status": "delivered"}


@pytest.mark.long
async def test_a_worker_that_does_not_come_back_is_waited_for_once(tmp_path: Path) -> None:
    clock = FakeClock()
    async with hub(tmp_path, clock=clock, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
    async with hub(tmp_path, clock=clock, personas=()) as bot:
        task = await posted(bot)
        bot.pass_time(RETURN / 1000 - 1)
        await bot.barrier()
        assert status(bot, task) == "bidding"
        bot.pass_time(1)
        assert (await bot.ends(task))["data"]["status"] == "failed"
        assert (await bot.ends((await bot.data("/task find it"))["task"]))["data"]["status"] == "failed"


@pytest.mark.long
async def test_whoever_was_away_at_a_stop_or_takes_nothing_is_not_waited_for(tmp_path: Path) -> None:
    clock = FakeClock()
    async with hub(tmp_path, clock=clock, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        bot.pass_time(SILENCE / 1000)
        await bot.see(lambda: bot.rows("SELECT here FROM crew") == [(0,)], "that it is away", pace=1)
        await boy.enrol(concurrency=0)
        assert (await bot.ends((await bot.data("/task find it"))["task"]))["data"]["status"] == "failed"
    async with hub(tmp_path, clock=clock, personas=()) as bot:
        assert (await bot.ends((await bot.data("/task find it"))["task"]))["data"]["status"] == "failed"


@pytest.mark.long
async def test_what_cannot_be_taken_up_at_a_start_keeps_no_worker_from_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, real = FakeClock(), Timing._rearm
    async with hub(tmp_path, clock=clock, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol(concurrency=2)
        await boy.enrol()
        awarded, bidding, broken = [await posted(bot) for _ in range(3)]
        await box.bid(awarded, 10)
        await boy.refuse(awarded)
        await boy.refuse(bidding)

    def rearm(timing: Timing, tx: SwarmTx, task: Task) -> Task:
        if task.name == broken:
            raise ValueError(broken)
        return real(timing, tx, task)

    monkeypatch.setattr(Timing, "_rearm", rearm)
    async with hub(tmp_path, clock=clock, personas=()) as bot, back(bot, box, boy) as (box, boy):
        assert (await box.given())["task_id"] == awarded
        assert await box.tasks() == [bidding]
        assert await boy.tasks() == [], "it has answered"


async def test_a_result_in_the_midst_of_a_start_frees_its_worker(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task, later = await posted(bot), await posted(bot)
        lease = await box.won(task, 10)
        coordinator = bot.app.hub.coordinator
        await asyncio.gather(coordinator.recover(), coordinator.desk.deliver("box", int(task[2:]), lease, "done", ()))
        assert await box.tasks() == [later]


async def test_a_worker_that_joins_is_offered_what_waits_and_one_that_changes_strands_nothing(tmp_path: Path) -> None:
    hands = Hands(asks={"echo": Decline("is out")})
    async with hub(tmp_path, hands=hands, personas=(ECHO,)) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol("research")
        first = await posted(bot)
        lease = await box.won(first, 20)
        waits = (await bot.data("/task find more max=50"))["task"]
        await bot.barrier()
        assert status(bot, waits) == "open"
        await boy.enrol("research")
        await bot.see(lambda: status(bot, waits) == "bidding", "its auction", pace=0)
        await boy.refuse(waits)
        assert status(bot, waits) in {"open", "failed"}
        await box.enrol("cooking")
        await box.deliver(first, lease, "done")
        assert (await bot.ends(waits))["data"]["status"] == "failed"


@pytest.mark.long
async def test_a_worker_that_comes_back_is_offered_what_waits_for_others(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        await boy.enrol()
        bot.pass_time(SILENCE / 1000)
        await boy.tasks()
        await boy.won(await posted(bot), 10)
        task = (await bot.data("/task find two max=50"))["task"]
        await bot.barrier()
        assert status(bot, task) == "open"
        assert await soon(box.tasks(wait=20)) == [task]


async def test_a_clock_that_is_set_forward_sends_nobody_away(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        bot.clock.set_forward(24 * 3_600_000)
        task = await posted(bot)
        assert await box.tasks() == [task], "it asked a moment ago"


@pytest.mark.parametrize(("how", "body"), [("fail", {"reason": "no idea"}), ("handback", {})])
async def test_what_was_given_up_can_be_given_up_again(tmp_path: Path, how: str, body: dict[str, str]) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol()
        task = await posted(bot)
        lease = await box.won(task, 10)
        await boy.enrol()
        assert await box.post(f"tasks/{task}/{how}", lease_token=lease, **body) == {"status": "open"}
        await bot.see(lambda: status(bot, task) == "bidding", "another auction", pace=0)
        before = bot.tables()
        assert await box.post(f"tasks/{task}/{how}", lease_token=lease, **body) == {"status": "bidding"}
        other = {"fail": "handback", "handback": "fail"}[how]
        said = {"lease_token": lease} | ({} if other == "handback" else {"reason": "x"})
        assert await box.code("POST", f"tasks/{task}/{other}", said) == (409, "stale_lease")
        again = await boy.won(task, 20)
        assert await box.post(f"tasks/{task}/{how}", lease_token=lease, **body) == {"status": "running"}
        forged = await boy.code("POST", f"tasks/{task}/{how}", {"lease_token": lease, **body})
        assert forged == (409, "stale_lease"), "it is not its own"
        assert before["reputation"] == bot.tables()["reputation"]
        assert await boy.deliver(task, again, "done") == {"status": "delivered"}
        prove(bot.app.settings)


async def test_of_two_processes_of_one_name_the_last_to_enrol_works_and_the_other_ends_what_it_began(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with hub(tmp_path, clock=clock, personas=()) as bot, workers(bot, "box") as (box,):
        old, new = box.process("one"), box.process("two")
        await old.enrol(concurrency=3)
        task, other = await posted(bot), await posted(bot)
        lease = await old.won(task, 10)
        await old.bid(other, 10)
        another = (await old.given())["lease_token"]

        async def enrol() -> None:
            await waits(bot, "box")
            await new.enrol(concurrency=3)
            await posted(bot)

        said, _ = await soon(asyncio.gather(old.code("GET", "tasks", wait=20), enrol()))
        assert said == (409, "other_process")
        assert "token and a name of its own" in old.said["error"]["message"]
        bid = {"task_id": "T-3", "agent_id": "box", "bid_sats": 5}
        for method, path, body, query in (
            ("GET", "tasks", None, {}), ("GET", "assignments", None, {"agent_id": "box"}), ("POST", "bids", bid, {}),
            ("POST", f"tasks/{other}/heartbeat", {"lease_token": another}, {}),
            ("POST", "agents", {"name": "box", "capabilities": ["any"], "concurrency": 0}, {}),
        ):  # fmt: skip
            assert await old.code(method, path, body, **query) == (409, "other_process"), path
        assert not (await old.beat(task, lease))["cancel"], "what it began is its own"
        assert await old.deliver(task, lease, "done") == {"status": "delivered"}
        assert (await new.given())["lease_token"] == another
        assert not (await new.beat(other, another))["cancel"]
        assert await new.tasks() == await box.tasks() == ["T-3"], "who does not say which process it is works on"
    async with hub(tmp_path, clock=clock, personas=()) as bot, back(bot, box) as (box,):
        assert await box.process("two").tasks() == ["T-3"]
        assert await box.process("one").code("GET", "tasks") == (409, "other_process")


@pytest.mark.long
async def test_a_clock_that_is_set_back_keeps_nobody_here_and_no_auction_open(tmp_path: Path) -> None:
    clock, day = FakeClock(), 24 * 3_600_000
    async with hub(tmp_path, clock=clock, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
    async with hub(tmp_path, clock=clock, personas=()) as bot, back(bot, box) as (box,):
        clock.set_back(day)
        task = await posted(bot)
        bot.pass_time(RETURN / 1000)
        assert (await bot.ends(task))["data"]["status"] == "failed"
        await box.tasks()
        clock.set_back(day)
        crew = bot.app.hub.coordinator.crew
        assert crew.here("box")
        bot.pass_time(SILENCE / 1000)
        assert not crew.here("box")


async def test_a_token_that_is_revoked_ends_the_worker_and_what_it_waits_for(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()

        polls = bot.app.hub.coordinator._docket.board._waiting

        async def revoke() -> None:
            await bot.see(lambda: len(polls.get("box", ())) == 2, "its polls", pace=0)
            await bot.app.console.admin["token.revoke"]({"token_kind": "worker", "name": "box"})

        both = (box.ask("GET", "tasks", wait=20), box.ask("GET", "assignments", agent_id="box", wait=20))
        *said, _ = await soon(asyncio.gather(*both, revoke()))
        assert said == [401, 401]
        assert await box.code("GET", "tasks") == (401, "bad_token")
        bot.app.hub.coordinator.desk.seen([("box", ""), ("boy", "")])
        assert not bot.app.hub.coordinator.crew.here("box"), "that it was there a moment ago is no news any more"
        assert (await bot.ends((await bot.data("/task find it"))["task"]))["data"]["status"] == "failed"


@pytest.mark.parametrize("path", ["bids", "tasks/{task}/result"])
async def test_a_token_that_is_revoked_while_a_body_comes_in_does_nothing(tmp_path: Path, path: str) -> None:
    async with hub(tmp_path) as bot, workers(bot, "box") as (box,):
        await box.enrol(concurrency=2)
        task, other = await posted(bot), await posted(bot)
        lease = await box.won(task, 10)
        await box.beat(task, lease)

        async def slowly() -> AsyncIterator[bytes]:
            bid = {"task_id": other, "agent_id": "box", "bid_sats": 5}
            body = json.dumps(bid if path == "bids" else {"lease_token": lease, "result": "done"}).encode()
            yield body[:9]
            await box.tasks()  # by then the first of it is there
            await bot.app.console.admin["token.revoke"]({"token_kind": "worker", "name": "box"})
            yield body[9:]

        url, headers = f"{box._url}/internal/{path.format(task=task)}", {"Authorization": f"Bearer {box.token}"}
        async with box._session.post(url, data=slowly(), headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (401, "bad_token")
        assert status(bot, task) == "running"
        assert not bot.rows("SELECT 1 FROM bid WHERE task = ? AND agent = 'box'", int(other[2:]))


async def test_nothing_is_bid_while_spending_is_frozen(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        await bot.say("/freeze")
        await box.bid(task, 20)
        assert status(bot, task) == "bidding"
        bot.pass_time(6)
        await bot.see(lambda: status(bot, task) == "open", "it waits", pace=0)
        await bot.say("/unfreeze")
        await bot.see(lambda: status(bot, task) == "awarded", "it goes on", pace=0)


@pytest.mark.long
async def test_all_workers_are_limited_as_one_class(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "boy") as (box, boy):
        await bot.say("/limits class:workers 50")
        await box.enrol("research")
        await boy.enrol("any")
        task = await posted(bot)
        await box.bid(task, 30)
        await boy.bid(task, 60)
        assert (await box.given())["task_id"] == task
        task = await posted(bot)
        await boy.bid(task, 30)
        assert "limit" in (await bot.ends(task))["text"]


async def test_whoever_looks_on_reads_how_it_goes(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        lease = await box.won(task, 20)
        said = {"lease_token": lease, "text": "half\n of it \x1b[31mis done"}
        assert await box.post(f"tasks/{task}/progress", **said) == {"status": "running"}
        assert "box: half of it" in (await bot.until(kind="progress", text="box: half"))["text"]
        assert "box for 20 sats: half of it" in (await bot.say(f"/show {task}"))["text"]
        assert await box.code("POST", f"tasks/{task}/progress", {**said, "text": " \n"}) == (422, "no_words")
        await box.deliver(task, lease, "done")
        assert "half" not in (await bot.say(f"/show {task}"))["text"]
        assert await box.code("POST", f"tasks/{task}/progress", said) == (409, "stale_lease")


async def test_only_paid_work_and_attempts_that_failed_are_remembered_of_a_worker(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=(), auction={"review": 86_400}) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol(concurrency=9)
        await boy.enrol(concurrency=9)

        def kept() -> list[tuple[Any, ...]]:
            return bot.rows("SELECT agent, settled, failed, good, bad, earned FROM reputation")

        async def won(more: str = "") -> tuple[str, str]:
            await boy.refuse(task := await posted(bot, f"/task find the answer max=100{more}"))
            return task, await box.won(task, 10)

        late, lease = await won(" by=50s")
        bot.pass_time(51)
        await bot.see(lambda: status(bot, late) == "expired", "its end", pace=0)
        await boy.tasks()
        assert (await box.beat(late, lease))["cancel"]
        await box.refuse(await posted(bot))
        await bot.data(f"/cancel {(await won())[0]}")
        task, lease = await won()
        await box.post(f"tasks/{task}/handback", lease_token=lease)
        dear = await posted(bot)
        await box.bid(dear, 90)
        await boy.bid(dear, 10)
        task, lease = await won()
        await box.deliver(task, lease, "done")
        assert kept() == [], (
            "nothing of what came too late, was refused, called off, handed back, lost, or is not paid for yet"
        )
        await bot.data(f"/accept {task}")
        assert kept() == [("box", 1, 0, 1000, 0, 10_000)]
        again = await won()
        await box.post(f"tasks/{again[0]}/fail", lease_token=again[1], reason="no idea")
        assert kept() == [("box", 1, 1, 1000, 1000, 10_000)]
        task, lease = await won()
        await box.deliver(task, lease, "nothing")
        await bot.data(f"/reject {task} bad")
        assert kept() == [("box", 1, 2, 1000, 2000, 10_000)]


async def test_the_roster_shows_workers_too(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=(ECHO,)) as bot, workers(bot, "box", "boy") as (box, boy):
        await box.enrol("writing", "data", concurrency=2)
        await boy.enrol()
        shown = {one["name"]: one for one in (await bot.data("/agents"))["agents"]}
        assert shown["box"] == {"name": "box", "kind": "worker", "state": "free", "capabilities": ["writing", "data"]}
        assert shown["echo"]["kind"] == "persona"
        await boy.enrol(concurrency=0)
        bot.pass_time(600)
        await boy.tasks()
        found = await bot.say("/agents")
        assert found["text"].startswith("1 of 3 agents can take work now")
        shown = {one["name"]: one for one in found["data"]["agents"]}
        assert (shown["box"]["state"], shown["box"]["why"]) == ("unable", "away: silent for 10 min")
        assert shown["boy"]["why"] == "takes nothing more"
        one = await bot.say("/agent box")
        assert one["text"].splitlines()[1:] == [
            "bids as it likes; can writing, data; 2 tasks at a time", "0 settled, 0 failed, 0 sats earned"
        ]  # fmt: skip
        assert (await bot.data("/agent bix"))["error"] == "unknown_agent"


@pytest.mark.long
async def test_the_status_says_what_waits_for_whom_and_which_workers_are_here(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box", "old") as (box, old):
        await old.enrol("cooking")
        bot.pass_time(SILENCE / 1000)
        await box.enrol()
        await box.won(await posted(bot), 20)
        task = (await bot.data("/task find more max=50"))["task"]
        await bot.barrier()
        said = await bot.say("/status")
        assert f"\n{task}  waits for box to be free\n" in said["text"]
        assert "\nworkers  1 here; away: old\n" in said["text"]
        assert said["data"]["waiting"] == [{"task": task, "for": ["box"]}]
        await bot.say("/freeze")
        await bot.say("/cancel T-1")
        await bot.barrier()
        assert f"\n{task}  waits for spending to go on\n" in (await bot.say("/status"))["text"]


async def test_a_worker_that_never_comes_back_is_swept_out_and_may_join_again(tmp_path: Path) -> None:
    clock = FakeClock()

    def names(said: dict[str, Any]) -> list[str]:
        return [agent["name"] for agent in said["agents"]]

    async with (
        hub(tmp_path, clock=clock, personas=(), auction={"review": 50 * 86_400}) as bot,
        workers(bot, "box", "old") as (box, old),
    ):
        await old.enrol()
        await old.deliver(task := await posted(bot), await old.won(task, 10), "done")
        await box.enrol()
        for _ in range(5):
            bot.pass_time(8 * 86_400)
            await box.tasks()
            await bot.barrier()
        assert names(await bot.data("/agents")) == ["box"], "it was here all the time"
        assert (await bot.data("/agent old"))["error"] == "unknown_agent"
        assert await old.code("GET", "tasks") == (409, "not_enrolled")
        await bot.data(f"/accept {task}")
        assert balances(bot.app.settings)["agent:old"] == (10, 0), "it is paid all the same"
        await old.enrol()
        assert names(await bot.data("/agents")) == ["box", "old"]
        for _ in range(5):
            bot.pass_time(20)
            await box.tasks()
        noted = [("box", 1), ("old", 0)]
        await bot.see(lambda: bot.rows("SELECT name, here FROM crew") == noted, "that it is away", pace=0)
        await bot.data("/dismiss old")
    clock.advance(LIFE + 1)
    async with hub(tmp_path, clock=clock, personas=()) as bot:
        assert names(await bot.data("/agents")) == ["box"], "it was here at the stop"
        await bot.data("/spawn old")
        for _ in range(3):
            bot.pass_time(SILENCE / 1000)
            await bot.barrier()
        assert names(await bot.data("/agents")) == ["box", "old"], "it has as long to come as anybody"
        bot.pass_time(LIFE / 1000)
        await bot.see(lambda: not any(bot.app.hub.coordinator.crew), "that they are swept out", pace=40)


@pytest.mark.long
async def test_a_worker_that_is_dismissed_works_here_no_more_until_it_is_let_in_again(tmp_path: Path) -> None:
    clock = FakeClock()
    async with hub(tmp_path, clock=clock, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot)
        lease = await box.won(task, 20)

        async def dismiss() -> Any:
            await waits(bot, "box")
            return await bot.say("/dismiss box")

        polled, said = await soon(asyncio.gather(box.code("GET", "tasks", wait=20), dismiss()))
        assert polled == (409, "not_enrolled")
        assert said["text"] == "box left the roster; what it was doing goes to somebody else"
        assert (await bot.ends(task))["data"]["status"] == "failed"
        assert await box.code("POST", f"tasks/{task}/heartbeat", {"lease_token": lease}) == (409, "stale_lease")
        assert await box.code("GET", "tasks") == (409, "not_enrolled")
        again = {"name": "box", "capabilities": ["any"]}
        assert await box.code("POST", "agents", again) == (403, "was_dismissed")
        assert "/spawn box" in box.said["error"]["message"]
        assert (await bot.data("/agents"))["agents"] == []
    async with hub(tmp_path, clock=clock, personas=()) as bot, back(bot, box) as (box,):
        assert await box.code("POST", "agents", again) == (403, "was_dismissed")
        said = await bot.say("/spawn box")
        assert said["text"] == "box joined the roster; start it again where it lives, if it has ended there"
        assert said["data"] == {"ok": True, "agent": "box"}
        assert (await bot.data("/agent box"))["agent"]["why"] == "away: not heard from"
        await box.enrol()
        await box.won(await posted(bot), 20)
        assert bot.rows("SELECT kind, agent FROM event WHERE kind LIKE 'Agent%'") == [
            ("AgentDismissed", "box"), ("AgentSpawned", "box")
        ]  # fmt: skip


async def test_two_who_dismiss_a_worker_at_once_do_it_once(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), bot.another() as other:
        await box.enrol()
        said = await soon(asyncio.gather(bot.data("/dismiss box"), other.data("/dismiss box")))
        assert [one["ok"] for one in said] == [True, True]
        assert bot.rows("SELECT kind FROM event WHERE kind LIKE 'Agent%'") == [("AgentDismissed",)]


async def test_a_worker_that_enrols_while_it_is_dismissed_stays_dismissed(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        coordinator = bot.app.hub.coordinator
        owner = Caller(OWNER, Role.OWNER, private=True)
        dismissed = coordinator.dismiss(owner, "box", key="once")
        _, refused = await asyncio.gather(dismissed, coordinator.desk.enrol("box", ["any"], 2), return_exceptions=True)
        assert isinstance(refused, WasDismissed)
        assert not coordinator.crew.has("box")
        assert bot.rows("SELECT live FROM crew") == [(0,)]


async def test_who_goes_away_in_the_middle_of_a_request_is_no_error_of_the_hubs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        host = bot.app.address.removeprefix("http://")
        head = f"POST /internal/bids HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {box.token}\r\nContent-Length: 100\r\n\r\n"
        for _ in range(5):
            _, writer = await asyncio.open_connection(*host.split(":"))
            writer.write(f"{head}half of".encode())
            await writer.drain()
            await bot.barrier()
            writer.transport.abort()
        assert await box.tasks() == []
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_whoever_has_not_enrolled_or_has_no_token_gets_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        assert await box.code("GET", "tasks") == (409, "not_enrolled")
        assert await box.code("GET", "assignments", agent_id="box") == (409, "not_enrolled")
        body = {"task_id": "T-1", "agent_id": "box", "bid_sats": 1}
        assert await box.code("POST", "bids", body) == (409, "not_enrolled")
        for kind in ("owner", "read"):
            frame = {"token_kind": kind, "name": "other"}
            box.token = (await bot.app.console.admin["token.mint"](frame))["text"]
            assert await box.code("GET", "tasks") == (403, "wrong_scope")
        box.token = "timmy_worker_x"
        assert await box.code("GET", "tasks") == (401, "bad_token")
