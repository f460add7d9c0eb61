"""What goes wrong between a hub and its gateways: the hub goes on by itself, says so in one line, catches up, and loses nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError

from adapters.crew.client import HubClient
from adapters.redis import branch as branches
from adapters.redis import bulletin, office, service, wire
from adapters.redis.branch import HubNotReached
from adapters.redis.news import FIELD, Ask
from adapters.redis.wire import Link
from core.chat import MAX_TEXT
from core.errors import HubError
from core.swarm.crew import RETURN
from core.swarm.outpost import HubAway
from core.tokens import digest_of
from tests.fakes import FakeClock, outwait
from tests.redis_server import RedisServer
from tests.scenario import bot as near
from tests.scenario import crew
from tests.scenario.bot import PATIENCE, prove, settings
from tests.scenario.gateway import QUICK, gateway, told, worker
from tests.scenario.test_outpost import content
from tests.scenario.test_workers import posted, soon, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.scenario.bot import Bot
    from tests.scenario.gateway import Way


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds by the machine's own clock takes less."""
    monkeypatch.setattr(branches, "PULSE_SECONDS", QUICK)
    monkeypatch.setattr(branches, "LAST_PAUSE", 0.05)
    monkeypatch.setattr(office, "PULSE_SECONDS", QUICK)


@asynccontextmanager
async def hub(
    folder: Path, server: RedisServer, *, url: str = "", clock: FakeClock | None = None, **auction: Any
) -> AsyncIterator[Bot]:
    found = told(settings(folder, **auction), url or server.url)
    async with near.hub(folder, found=found, personas=(), clock=clock) as bot:
        yield bot


def why(bot: Bot) -> str:
    """Why Redis is down, as the hub says; empty where it is up."""
    part = bot.app.health.parts["redis"]
    return "" if part.up else part.why


async def until(true: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    """Wait until something is true that takes real time."""
    try:
        async with asyncio.timeout(patience):
            while not true():  # noqa: ASYNC110 - it is a matter of turns
                await asyncio.sleep(0.002)  # noqa: TID251
    except TimeoutError:
        raise AssertionError(what) from None


async def back(bot: Bot, way: Way) -> None:
    """Wait until the hub and its gateway have found each other again; the hub tries anew as its clock goes on."""
    await bot.see(lambda: not why(bot), "Redis")
    await way.there()


AILMENTS = {
    "old": "cannot do what is needed: unknown command 'XGROUP', with args beginning with:. It must be Redis 6.2 or newer",
    "full": "is full and takes nothing more. Raise its maxmemory, or give Timmy a Redis of its own",
    "replica": "is a replica and takes no writes. Name the primary in TIMMY_REDIS_URL",
    "unsaved": "takes no writes, as it cannot save to its disk. See to the disk of that machine",
    "gone": "does not answer: Connection refused. It is asked again",
    "taken": "holds something else under Timmy's keys",
    "wrong password": "refuses the name or password in TIMMY_REDIS_URL. Write there what its own settings say",
    "no password": "refuses the name or password in TIMMY_REDIS_URL. Write there what its own settings say",
}


def once(ails: str, *others: str) -> pytest.MarkDecorator:
    """One in `make test`, the others in depth."""
    return pytest.mark.parametrize(
        "ails", [ails, *(pytest.param(one, marks=pytest.mark.long) for one in others if one != ails)]
    )


@once("full", *AILMENTS)
async def test_a_redis_that_is_unwell_is_told_of_in_one_line_and_the_hub_works_without_it(
    tmp_path: Path, ails: str
) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RedisServer.running("sesame" if "password" in ails else ""))
        url = {
            "wrong password": server.url.replace("sesame", "s3same"),
            "no password": server.url.replace(":sesame@", ""),
        }
        if ails == "gone":
            await server.stop()
        server.ails = ails
        bot = await stack.enter_async_context(hub(tmp_path, server, url=url.get(ails, "")))
        (box,) = await stack.enter_async_context(crew.workers(bot, "box"))
        says = f"Redis at 127.0.0.1, port {server.port} {AILMENTS[ails]}"
        await until(lambda: why(bot).startswith(says), says)
        assert not bot.app.health.faults(), "to start the hub anew would not help"
        said = await bot.say("/status")
        (line,) = [line for line in said["text"].splitlines() if line.startswith("redis  ")]
        assert AILMENTS[ails] in line
        assert "same" not in said["text"], "no password is shown"
        await box.enrol()
        task = await posted(bot)
        await box.deliver(task, await box.won(task, 20), "done")
        if "password" in ails:
            return
        server.ails = ""
        server.kept.clear()
        if ails == "gone":
            await server.start()
        way = await stack.enter_async_context(gateway(server))
        await back(bot, way)
        assert await worker(way, box).tasks() == []


@once("gone", "full", "replica", "unsaved", "emptied", "replaced", "cut")
async def test_a_redis_that_fails_under_way_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ails: str
) -> None:
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box", "boy") as (box, boy),
        gateway(server) as way, asyncio.TaskGroup() as nursery,
    ):  # fmt: skip
        await way.there()
        far = worker(way, box)
        await far.enrol()
        await boy.enrol()
        task, other = await posted(bot), await posted(bot)
        await boy.refuse(task)
        lease = await far.won(task, 20)
        rash = crew.Worker(box._session, "box", box.token, way.url)
        poll = nursery.create_task(rash.given(wait=20))
        await until(lambda: way.branch._board.who_waits() == ["box"], "it waits")
        if ails in {"gone", "replaced"}:
            await server.stop(forget=ails == "replaced")
        elif ails == "emptied":
            server.kept.clear()
        elif ails == "cut":
            server.cut()
        else:
            server.ails = ails
            server.cut()
        if ails not in {"emptied", "cut"}:
            await until(lambda: why(bot), "the hub notices")
            await until(lambda: way.branch.why, "the gateway notices")
            with monkeypatch.context() as quicker:
                quicker.setattr(branches, "ANSWER_SECONDS", 0.2)
                assert await rash.code("POST", f"tasks/{task}/heartbeat", {"lease_token": lease}) == (
                    503,
                    "hub_not_reached",
                )
            assert lease not in rash.said["error"]["message"], "nothing of what was asked is told"
            assert await far.ready() == (503, "no_way_to_hub")
        await boy.deliver(other, await boy.won(other, 10), "by hand")  # its own workers notice nothing
        server.ails = ""
        if ails in {"gone", "replaced"}:
            await server.start()
        await back(bot, way)
        assert not (await far.beat(task, lease))["cancel"]
        assert await far.deliver(task, lease, "done") == {"status": "delivered"}
        assert await far.deliver(task, lease, "done") == {"status": "delivered"}
        assert await far.ready() == (200, "")
        with monkeypatch.context() as fewer:
            fewer.setattr(branches, "MOST_WAITING", 0)
            assert await rash.code("POST", f"tasks/{task}/heartbeat", {"lease_token": lease}) == (503, "too_much")
        third = await posted(bot)
        await boy.refuse(third)
        await far.bid(third, 5)
        assert (await soon(poll))["task_id"] == third, "who waited all the time was not forgotten"
        prove(bot.app.settings)


@pytest.mark.long
async def test_what_somebody_else_writes_is_said_once_and_passed_over(tmp_path: Path) -> None:
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box") as (box,),
        gateway(server) as way,
    ):  # fmt: skip
        await way.there()
        far = worker(way, box)
        await far.enrol()
        task = await posted(bot)
        asks = server.key(":asks")
        bid = ["1", way.branch._session, "bid", "box", "0" * 64, [1, 5, None, ""]]
        for entry in (
            b"", b"\xff\xfe", b"[" * 100_000, b"{}", b"null", json.dumps([1] * 6).encode(), json.dumps(bid[:5]).encode(),
            json.dumps([*bid[:5], [1, "5", None, ""]]).encode(), json.dumps([*bid[:5], [1, True, None, ""]]).encode(),
            json.dumps(["2", "x", "pulse", "", "", [["box"]]]).encode(), json.dumps(["3", "x", "stop", "", "", []]).encode(),
            json.dumps(["4", "x", "deliver", "box", "", [1, "", "", [["a", "b", "c", "d"]]]]).encode(), json.dumps(bid).encode(),
            json.dumps(["5", "x", "check", "", "", []]).encode(),
        ):  # fmt: skip
            await server.put(asks, FIELD.encode(), entry)
        await server.put(asks, b"other", b"field")
        assert await far.tasks() == [task]
        await until(lambda: not server.stream(":asks").entries, "nothing of it stays")
        assert not bot.rows("SELECT 1 FROM bid")
        session = way.branch._session
        for entry in (
            b"",
            b"[" * 100_000,
            b'["x", 7, []]',
            b'["x", 1, [["end"], ["task", 1]]]',
            b'["x", 1, [[{}]]]',
            b"[1, 1, 5]",
        ):
            await server.put(server.key(f":to:{session}"), FIELD.encode(), entry)
            await until(lambda before=session: way.branch._session != before, "it begins anew")  # type: ignore[misc]
            session = way.branch._session
            await way.there()
        assert await far.tasks() == [task]
        assert not why(bot)


@pytest.mark.long
async def test_several_hubs_share_a_redis_and_a_gateway_says_whose_it_is(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RedisServer.running())
        early = await stack.enter_async_context(gateway(server))
        await until(lambda: "knows of no hub that is there now" in early.branch.why, "nobody is there yet")
        one = await stack.enter_async_context(hub(tmp_path / "one", server))
        await early.there()
        two = await stack.enter_async_context(hub(tmp_path / "two", server))
        names = [(bot.app.settings.data_dir / "hub.id").read_text()[:12] for bot in (one, two)]
        await until(lambda: sum(key.endswith(b":here") for key in server.kept) == 2, "both are there")
        either = await stack.enter_async_context(gateway(server))
        await until(lambda: "Several hubs" in either.branch.why, "it does not guess")
        assert ", ".join(sorted(names)) in either.branch.why
        for bot, name in ((one, names[0]), (two, names[1])):
            way = await stack.enter_async_context(gateway(server, hub=name))
            await way.there()
            (box,) = await stack.enter_async_context(crew.workers(bot, "box"))
            far = worker(way, box)
            await far.enrol()
            assert await far.tasks() == []
            assert await worker(early, box).ask("GET", "tasks") == (204 if bot is one else 401)


@pytest.mark.long
async def test_a_hub_and_a_copy_of_its_data_folder_both_serve_no_gateway_for_as_long_as_both_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "HERE_SECONDS", 1)
    monkeypatch.setattr(office, "BLOCK_MS", 100)
    monkeypatch.setattr(branches, "STALE_SECONDS", 0.2)
    says = "one's data folder is a copy"
    async with (
        RedisServer.running() as server, hub(tmp_path / "one", server) as one, gateway(server) as way,
        asyncio.TaskGroup() as nursery,
    ):  # fmt: skip
        await way.there()
        copy = tmp_path / "two" / "data"
        copy.mkdir(parents=True, mode=0o700)
        shutil.copy(one.app.settings.data_dir / "hub.id", copy)
        ticks = [nursery.create_task(_ticks(one))]
        async with hub(tmp_path / "two", server) as two:
            ticks.append(nursery.create_task(_ticks(two)))
            await until(lambda: says in why(one) and says in why(two) and way.branch.why, "they meet")
            asked = server.said.count("XGROUP")

            def again() -> bool:
                assert says in why(one), "to try anew proves nothing"
                assert says in why(two), "to try anew proves nothing"
                assert way.branch.why, "neither serves it"
                return server.said.count("XGROUP") > asked + 8

            await until(again, "they try anew")
            await outwait(1.5)  # as where this machine stands still
            asked = server.said.count("XGROUP")
            await until(again, "and then too")
            server.cut()
            await until(lambda: says in why(one) and says in why(two), "they meet again")
            ticks.pop().cancel()
        await until(lambda: not why(one), "it is alone")
        await way.there()
        ticks.pop().cancel()


async def test_of_two_processes_of_one_name_at_two_gateways_the_last_to_enrol_works(tmp_path: Path) -> None:
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RedisServer.running())
        async with hub(tmp_path, server, clock=clock) as bot, crew.workers(bot, "box") as (box,):
            here, there = [await stack.enter_async_context(gateway(server)) for _ in range(2)]
            await here.there()
            await there.there()
            old, new = worker(here, box).process("one"), worker(there, box).process("two")
            await old.enrol(concurrency=2)
            task = await posted(bot)
            lease = await old.won(task, 10)
            await new.enrol(concurrency=2)
            assert await new.tasks() == []
            assert await old.code("GET", "tasks") == (409, "other_process")
            assert not (await old.beat(task, lease))["cancel"], "what it began is its own"
        # The hub knows nothing of processes after a restart: whom it hears of first works, at whichever gateway.
        async with hub(tmp_path, server, clock=clock) as bot, crew.back(bot, box) as (box,):
            old, new = worker(here, box).process("one"), worker(there, box).process("two")
            await here.there()
            await there.there()
            await new.tasks()
            await until(lambda: here.branch._roll.instance("box") == "two", "the other gateway hears of it")
            assert await old.code("GET", "tasks") == (409, "other_process")
            assert not (await old.beat(task, lease))["cancel"]


async def test_who_waits_at_a_gateway_while_its_hub_restarts_is_there_at_once(tmp_path: Path) -> None:
    clock = FakeClock()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as nursery:
        server = await stack.enter_async_context(RedisServer.running())
        async with hub(tmp_path, server, clock=clock) as bot, crew.workers(bot, "box") as (box,):
            way = await stack.enter_async_context(gateway(server))
            await way.there()
            session = await stack.enter_async_context(aiohttp.ClientSession())
            far = crew.Worker(session, "box", box.token, way.url)
            await far.enrol()
            poll = nursery.create_task(far.ask("GET", "tasks", wait=20))
            await until(lambda: way.branch._board.who_waits() == ["box"], "it waits")
        async with hub(tmp_path, server, clock=clock) as bot:
            crew_of = bot.app.hub.coordinator.crew
            await until(lambda: not crew_of._awaited, "the hub hears that it waits")
            bot.pass_time(RETURN / 1000)
            task = await posted(bot)
            await soon(poll)
            assert [one["task_id"] for one in far.said] == [task]
            assert status(bot, task) == "bidding"


@pytest.mark.parametrize("early", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_who_comes_by_a_gateway_is_expected_back_while_redis_is_away_for_as_long_as_after_a_start(
    tmp_path: Path, early: bool
) -> None:
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box") as (box,),
        gateway(server) as way,
    ):  # fmt: skip
        await way.there()
        far, crew_of = worker(way, box), bot.app.hub.coordinator.crew
        await far.enrol()
        task = ""
        for lasts in (RETURN // 1000 - 6, RETURN // 1000):
            assert await far.tasks() == ([task] if task else [])
            task = await posted(bot) if early else ""
            assert await far.tasks() == ([task] if early else [])
            await server.stop()
            await until(lambda: why(bot) and way.branch.why, "both notice")
            task = task or await posted(bot)
            bot.pass_time(5.5)
            other = await posted(bot)
            bot.pass_time(lasts - 5.5)
            assert await bot.data("/tasks")
            assert crew_of.here("box") == (lasts < RETURN // 1000)
            await server.start()
            if crew_of.here("box"):
                assert [status(bot, one) for one in (task, other)] == ["bidding", "bidding"]
                await back(bot, way)
                for one in (task, other):
                    await far.deliver(one, await far.won(one, 20), "done")
                task = ""
        await bot.see(
            lambda: [status(bot, one) for one in (task, other)] == ["failed", "failed"], "nobody came", pace=0
        )
        assert "did not answer in time" not in (await bot.say(f"/show {task}"))["text"]
        await back(bot, way)
        assert await far.tasks() == []
        assert crew_of.here("box")


@pytest.mark.long
async def test_who_came_by_a_gateway_that_is_gone_is_expected_back_by_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot,
        crew.workers(bot, "box", "boy") as (box, boy),
    ):  # fmt: skip
        async with gateway(server) as way:
            await way.there()
            for one in (box, boy):
                await worker(way, one).enrol()
            await boy.tasks()
        monkeypatch.setattr(bulletin, "SILENCE_SECONDS", 0.1)
        told: Any = bot.app.hub.coordinator.desk.board.onlooker
        await until(lambda: not told._sessions, "the hub notices")
        task = await posted(bot)
        await boy.refuse(task)
        bot.pass_time(6)
        assert await box.tasks() == [task]
        await box.deliver(task, await box.won(task, 20), "done")


@pytest.mark.long
async def test_files_that_are_lost_or_too_large_on_their_way_are_sent_again_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branches, "PIECE", 4)
    monkeypatch.setattr(service, "PIECE", 4)
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box") as (box,),
        gateway(server) as way,
    ):  # fmt: skip
        await way.there()
        far = worker(way, box)
        await far.enrol()
        task = await posted(bot)
        lease = await far.won(task, 10)
        file = {"name": "a.txt", "content_base64": "MDEyMzQ1Njc4OQ=="}
        body = {"lease_token": lease, "result": "done", "files": [file]}
        for spoil in (
            lambda pieces: pieces.clear(),
            lambda pieces: pieces.pop(),
            lambda pieces: pieces.append(pieces.pop(0)),
            lambda pieces: pieces.__setitem__(0, b"9876"),
        ):
            server.spoil = spoil
            assert await far.code("POST", f"tasks/{task}/result", body) == (503, "files_lost")
        server.spoil = None
        monkeypatch.setattr(service, "LARGEST_FILES", 9)
        assert await far.code("POST", f"tasks/{task}/result", body) == (413, "files_too_large")
        monkeypatch.setattr(service, "LARGEST_FILES", 10)
        assert await far.deliver(task, lease, "done", files=[file]) == {"status": "delivered"}
        assert [one["name"] for one in (await bot.say(f"/show {task}"))["files"]] == ["a.txt"]
        await until(lambda: not any(b":file:" in key for key in server.kept), "nothing of it stays")


@pytest.mark.long
async def test_a_gateway_that_was_frozen_serves_nobody_until_it_has_heard_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulletin, "SILENCE_SECONDS", 0.0)
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box") as (box,),
        gateway(server) as way,
    ):  # fmt: skip
        await way.there()
        far = worker(way, box)
        await far.enrol()
        way.branch._heard -= 7.0
        with pytest.raises(HubNotReached, match="the hub says nothing"):
            await way.branch._reached(0.0)
        way.branch._heard -= 60.0
        await back(bot, way)
        assert await far.tasks() == []


@pytest.mark.long
@pytest.mark.parametrize("every", [97, 149, 211, 293])
async def test_connections_that_break_at_any_command_lose_and_double_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """One command in some is not done, or done and its reply lost; two workers at two gateways say all until it is heard."""
    monkeypatch.setattr(branches, "ANSWER_SECONDS", 1.0)
    commands, count = itertools.count(1), 8

    def breaks() -> str:
        number = next(commands)
        return "" if number % every else "before" if number // every % 2 else "after"

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RedisServer.running())
        bot = await stack.enter_async_context(hub(tmp_path, server, window=3600, lease=3600))
        them = await stack.enter_async_context(crew.workers(bot, "box", "boy"))
        ways = [await stack.enter_async_context(gateway(server)) for _ in them]
        rash = [crew.Worker(one._session, one.name, one.token, way.url) for one, way in zip(them, ways, strict=True)]
        server.breaks = breaks
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(_toils(one)) for one in rash]
        tasks.append(group.create_task(_ticks(bot)))
        await until(lambda: bot.rows("SELECT count(*) FROM crew") == [(len(them),)], "they join")
        for _ in range(count):
            assert (await bot.data("/task find the answer max=100"))["ok"]
        done = [(number, f"done T-{number}") for number in range(1, count + 1)]
        try:
            await until(
                lambda: bot.rows("SELECT id, result FROM task WHERE status = 'delivered'") == done, "all is done", 40
            )
        finally:
            for task in tasks:
                task.cancel()
        delivered = bot.rows("SELECT task FROM event WHERE kind = 'TaskDelivered' ORDER BY task")
        assert delivered == [(number,) for number, _ in done]
        assert bot.rows("SELECT max(attempt) FROM task") == [(1,)], "nobody's work was taken away"
        prove(bot.app.settings)


async def _ticks(bot: Bot) -> None:
    """The hub's clock goes on, ten times as fast, however long a turn takes on a busy machine."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    while True:
        await asyncio.sleep(0.02)  # noqa: TID251 - real time
        now = loop.time()
        bot.pass_time(10 * (now - before))
        before = now


async def _toils(one: crew.Worker) -> None:
    """Bid on what is up, do what was won; and say again what was not heard."""

    async def sure(method: str, path: str, body: Any = None, **query: Any) -> Any:
        while await one.ask(method, path, body, **query) == 503:
            pass
        return one.said

    await sure("POST", "agents", {"name": one.name, "capabilities": ["any"], "concurrency": 3})
    while True:
        for task in await sure("GET", "tasks") or ():
            await sure("POST", "bids", {"task_id": task["task_id"], "agent_id": one.name, "bid_sats": 10})
        given = await sure("GET", "assignments", agent_id=one.name, wait=1)
        if given:
            task, lease = given["task_id"], {"lease_token": given["lease_token"]}
            await sure("POST", f"tasks/{task}/heartbeat", lease)
            await sure("POST", f"tasks/{task}/result", {**lease, "result": f"done {task}"})


@pytest.mark.long
@pytest.mark.parametrize("turns", range(40))
async def test_what_is_called_off_while_redis_is_asked_ends(turns: int) -> None:
    async def asks() -> None:
        async with Link(server.url, "test").opened() as (redis, _):
            while True:
                await redis.say("GET", "nothing")

    async with RedisServer.running() as server:
        task = asyncio.get_running_loop().create_task(asks())
        await until(lambda: "GET" in server.said, "it asks")
        for _ in range(turns):
            await asyncio.sleep(0)  # noqa: TID251 - turns of the loop
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE)
        assert task.cancelled()


@pytest.mark.long
async def test_a_redis_that_says_nothing_is_down_while_it_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "SOCKET_SECONDS", 0.05)
    async with RedisServer.running() as server:
        server.ails = "mute"
        async with hub(tmp_path, server) as bot:
            await until(lambda: "it took too long" in why(bot), "it is noticed")
            tries = len(server.said)

            def again() -> bool:
                assert "it took too long" in why(bot), "to ask again is no answer"
                return len(server.said) > tries + 2

            await bot.see(again, "more tries")
            server.ails = ""
            await bot.see(lambda: not why(bot), "Redis")


@pytest.mark.long
async def test_a_token_that_is_revoked_ends_its_worker_at_every_gateway(tmp_path: Path) -> None:
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box") as (box,),
        gateway(server) as way, asyncio.TaskGroup() as nursery,
    ):  # fmt: skip
        await way.there()
        far = worker(way, box)
        await far.enrol()
        crew_of, desk = bot.app.hub.coordinator.crew, bot.app.hub.coordinator.desk
        assert crew_of.here("box")
        rash = [crew.Worker(box._session, "box", box.token, way.url) for _ in range(2)]
        polls = [
            nursery.create_task(one.ask("GET", path, agent_id="box", wait=20))
            for one, path in zip(rash, ("tasks", "assignments"), strict=True)
        ]
        await until(lambda: len(way.branch._board._waiting.get("box", ())) == len(polls), "they wait")
        await bot.app.console.admin["token.revoke"]({"token_kind": "worker", "name": "box"})
        assert [await soon(poll) for poll in polls] == [401, 401]
        desk.seen([("box", ""), ("boy", "")])
        assert not crew_of.here("box"), "that it was there a moment ago is no news any more"
        assert await far.code("GET", "tasks") == (401, "bad_token")
        frame = {"token_kind": "worker", "name": "box"}
        far.token = (await bot.app.console.admin["token.mint"](frame))["text"]
        await far.enrol()
        desk.seen([("box", "")])
        assert crew_of.here("box")


async def test_what_is_written_past_every_gateway_is_held_to_what_workers_may(tmp_path: Path) -> None:
    """Whoever writes in Redis acts as any worker, and as no more than one."""
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box", "boy") as (box, boy),
        gateway(server) as way,
    ):  # fmt: skip
        await way.there()
        far = worker(way, box)
        await far.enrol()
        task = await posted(bot)
        lease = await far.won(task, 10)
        branch, number = way.branch, int(task.removeprefix("T-"))
        file = ("a.txt", b"0123456789")
        (sent,) = await branch.keep([file])
        with pytest.raises(HubError) as stale:
            await branch.deliver("box", number, "another lease", "done", [sent])
        assert stale.value.code == "stale_lease"
        assert not list((bot.app.settings.data_dir / "files").glob("*")), "nothing is kept of what nobody awaits"
        with pytest.raises(HubError) as long:
            await branch.deliver("box", number, lease, "x" * (MAX_TEXT + 1), ())
        assert (long.value.code, long.value.status) == ("result_too_long", 413)
        tricky = [branches._Sent(str(size), "0" * 64, size, "key") for size in (-(2**40), 2**40)]
        with pytest.raises(HubError) as large:
            await branch.deliver("box", number, lease, "done", tricky)
        assert large.value.code == "files_too_large"
        read = (await bot.app.console.admin["token.mint"]({"token_kind": "read", "name": "box"}))["text"]
        for token in (boy.token, read, "nobody's"):
            branch._digests["box"] = digest_of(token)
            with pytest.raises(HubError) as other:
                await branch.deliver("box", number, lease, "done", ())
            assert other.value.code == "bad_token"
        branch._digests["box"] = digest_of(box.token)
        assert await far.deliver(task, lease, "done") == {"status": "delivered"}


class Requests:
    """Requests as the hub does them: each is noted by its id, and waits until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.go = asyncio.Event()
        do = service.Service.do

        async def slowly(one: service.Service, ask: Ask) -> Any:
            if ask.id.startswith("x"):
                self.done.append(ask.id)
                await self.go.wait()
            return await do(one, ask)

        monkeypatch.setattr(service.Service, "do", slowly)

    async def ask(self, server: RedisServer, to: str) -> None:
        """The same request, whatever befell the one before."""
        await server.put(server.key(":asks"), FIELD.encode(), Ask("x", to, "check", "", "0" * 64, []).text().encode())


@pytest.mark.long
async def test_a_request_that_comes_again_is_done_once_and_answered_where_it_came_from_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = Requests(monkeypatch)
    async with RedisServer.running() as server, hub(tmp_path, server), gateway(server) as way:
        await way.there()
        await requests.ask(server, "a session that is gone")
        await until(lambda: requests.done, "it is taken")
        for _ in range(2):  # while it is under way, and after it was answered
            answer = asyncio.get_running_loop().create_future()
            way.branch._waiting["x"] = Ask("x", "", "check", "", "", []), answer
            await requests.ask(server, way.branch._session)
            await way.level()
            requests.go.set()
            assert await soon(answer) is None
        assert requests.done == ["x"]
        await until(lambda: not server.stream(":asks").entries, "nothing of it stays")


@pytest.mark.long
async def test_a_request_under_way_stays_in_redis_until_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    requests = Requests(monkeypatch)
    async with RedisServer.running() as server:
        async with hub(tmp_path, server, clock=clock) as bot:
            await until(lambda: any(key.endswith(b":asks") for key in server.kept), "the hub is there")
            await requests.ask(server, "nobody")
            await until(lambda: requests.done, "it is taken")
            begun = server.said.count("XGROUP")
            server.cut()
            await bot.see(lambda: server.said.count("XGROUP") > begun, "the hub is back")
            looked = server.said.count("SET")
            await until(
                lambda: server.said.count("SET") > looked + 2, "it looks at what was left, and writes what is new"
            )
            assert len(server.stream(":asks").entries) == 1, "it is not answered"
        assert requests.done == ["x"]
        async with hub(tmp_path, server, clock=clock) as bot:
            await until(lambda: len(requests.done) > 1, "the next start of the hub takes it up")
            server.ails = "replica"
            requests.go.set()
            await until(lambda: why(bot), "its end cannot be written")
            server.ails = ""
            await bot.see(lambda: not server.stream(":asks").entries, "it is written later")


@pytest.mark.long
async def test_what_ended_while_a_gateway_was_cut_off_is_not_there_any_more(tmp_path: Path) -> None:
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box", "old") as (box, old),
        gateway(server) as way,
    ):  # fmt: skip
        await way.there()
        far, gone = worker(way, box), worker(way, old)
        await far.enrol()
        await gone.enrol()
        task = await posted(bot)
        assert await far.tasks() == await gone.tasks() == [task]
        await server.stop()
        await until(lambda: why(bot) and way.branch.why, "both notice")
        await bot.say(f"/cancel {task}")
        await bot.say("/dismiss old")
        await server.start()
        await back(bot, way)
        assert await far.tasks() == []
        assert await gone.code("GET", "tasks") == (409, "not_enrolled")


async def test_a_worker_that_was_dismissed_and_is_let_in_again_is_known_at_every_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box") as (box,),
        gateway(server) as way, gateway(server) as other,
    ):  # fmt: skip
        await way.there()
        await other.there()
        far, there = worker(way, box), worker(other, box)
        await far.enrol()
        await bot.say("/dismiss box")
        assert await far.code("GET", "tasks") == (409, "not_enrolled")
        await bot.say("/spawn box")
        for one in (far, there, box):
            assert await one.ask("GET", "tasks") == 204
        with monkeypatch.context() as patched:
            patched.setattr(bot.app.hub.coordinator.desk.board, "onlooker", None)
            await bot.say("/dismiss box")
            await bot.say("/spawn box")
            await box.enrol()
        there.way.branch._left("box")
        assert await there.code("GET", "tasks") == (409, "not_enrolled")
        await there.enrol()
        assert await there.ask("GET", "tasks") == 204, "who enrols is told of, though nothing about it is new"


@pytest.mark.long
async def test_a_token_that_is_revoked_while_a_gateway_asks_about_it_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        RedisServer.running() as server, hub(tmp_path, server) as bot, crew.workers(bot, "box") as (box,),
        gateway(server) as way,
    ):  # fmt: skip
        await way.there()
        ask = way.branch._ask

        async def slowly(*words: Any, **more: Any) -> Any:
            said = await ask(*words, **more)
            await bot.app.console.admin["token.revoke"]({"token_kind": "worker", "name": "box"})
            await ask("check", "", digest="0" * 64)  # the news comes before the answer
            return said

        with monkeypatch.context() as patched:
            patched.setattr(way.branch, "_ask", slowly)
            await way.branch.check(box.token)
        assert await way.branch.check(box.token) is None


def test_what_redis_says_to_one_of_several_commands_is_understood_as_what_it_says_to_one() -> None:
    link = Link("redis://127.0.0.1:1/0", "timmy")
    for said in ("MISCONF nothing is saved.", "NOGROUP no such key", "WRONGTYPE of value"):
        alone, of_several = (ResponseError(said) for _ in range(2))
        Pipeline.annotate_exception(cast("Any", None), of_several, 1, ["XADD", "key"])
        assert "pipeline" in str(of_several)
        assert type(link.told(of_several)) is type(link.told(alone)) is not wire.RedisUnfit
        assert str(link.told(of_several)) == str(link.told(alone))


async def test_a_worker_says_in_sentences_why_a_gateway_does_not_reach_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "ANSWER_SECONDS", 0.05)
    async with RedisServer.running() as server, gateway(server) as way:
        await server.stop()
        await until(lambda: "refused" in way.branch.why, "Redis is gone")
        async with HubClient.opened(way.url, "box", "token", FakeClock(), content) as client:
            with pytest.raises(HubAway) as away:
                await client.tasks(0)
    assert str(away.value) == (
        "The hub does not answer: The hub is not reached from here now (Redis at 127.0.0.1, port "
        f"{server.port} does not answer: Connection refused. It is asked again). Nothing is lost; ask again in a moment. "
        "It is asked again and again."
    )


async def test_the_hub_tells_only_so_many_gateways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulletin, "MOST_SESSIONS", 1)
    async with RedisServer.running() as server, hub(tmp_path, server), gateway(server) as way:
        await way.there()
        pulse = Ask("1", "more", "pulse", "", "", [[]]).text().encode()
        await server.put(server.key(":asks"), FIELD.encode(), pulse)
        await way.level()
        assert not [key for key in server.kept if key.endswith(b":to:more")]
        monkeypatch.setattr(bulletin, "MOST_SESSIONS", 2)
        await server.put(server.key(":asks"), FIELD.encode(), pulse)
        await way.level()
        await until(lambda: [key for key in server.kept if key.endswith(b":to:more")], "there is room for it")
