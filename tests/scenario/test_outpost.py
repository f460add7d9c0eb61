"""`timmy worker` against a whole hub over HTTP: it bids honestly, works, comes back to a hub that was away, and ends well."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from adapters.clockwork import Nursery, SystemClock
from adapters.crew.client import HubClient
from config.settings import Http
from core.errors import HubError, Unavailable
from core.money import to_msat
from core.swarm.outpost import HubAway, Outpost, Rejected
from core.swarm.ports import Agent, Decline, Delivery, Offer, ResultFile
from tests.depth import first
from tests.fakes import FakeClock
from tests.scenario.bot import ECHO, NOBODY, PATIENCE, QUILL, balances, hub, prove
from tests.scenario.crew import workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.scenario.bot import Bot
    from tests.scenario.crew import Worker

FILE = ResultFile("a.txt", "0" * 64, 1)


class Lost(Unavailable):
    """The tool is out."""


@dataclass
class Hands:
    """What the far agents ask, and what their work comes to; `gate`: the work waits there."""

    asks: dict[str, int | Decline | Exception | None] = field(default_factory=dict)
    error: HubError | Exception | None = None
    result: str | None = None
    eta: int = 1_500
    gate: asyncio.Event | None = None
    began: list[tuple[str, str]] = field(default_factory=list)
    models: list[str | None] = field(default_factory=list)
    stopped: int = 0

    async def appraise(self, agent: Agent, description: str) -> Offer | Decline | None:
        self.models.append(agent.model)
        asks = self.asks.get(agent.name, agent.persona.rate)
        if isinstance(asks, Exception):
            raise asks
        return Offer(to_msat(asks), self.eta, note="far") if isinstance(asks, int) else asks

    async def do(self, agent: Agent, description: str) -> Delivery:
        self.began.append((agent.name, description))
        self.models.append(agent.model)
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if self.error is not None:
            raise self.error
        return Delivery(self.result or f"{agent.name} did it", (FILE,))


async def content(file: ResultFile) -> bytes:
    return b"x"


class Far:
    """A worker of the hub's own kind, and what becomes of it."""

    def __init__(self, hands: Hands, outpost: Outpost, nursery: Nursery) -> None:
        self.hands = hands
        self.stop = asyncio.Event()
        self.ended = asyncio.Event()
        self.why: HubError | None = None
        self.outpost = outpost
        nursery.spawn(self._run(), "the worker")

    async def _run(self) -> None:
        try:
            await self.outpost.run(self.stop)
        except HubError as error:
            self.why = error
        finally:
            self.ended.set()


@asynccontextmanager
async def far(
    bot: Bot, box: Worker, hands: Hands | None = None, *, capacity: int = 1, kind: type[HubClient] = HubClient,
    instance: str = "",
) -> AsyncIterator[Far]:  # fmt: skip
    """A worker of the hub's own kind at work."""
    hands = hands or Hands()
    agents = [Agent("echo", ECHO), Agent("quill", QUILL)]
    opened = kind.opened(bot.app.address, box.name, box.token, bot.clock, content, instance)
    async with Nursery() as nursery, opened as client:
        outpost = Outpost(
            client, hands, agents, capabilities=["any"], capacity=capacity, clock=bot.clock, spawner=nursery,
            chance=lambda: 1.0,
        )  # fmt: skip
        yield Far(hands, outpost, nursery)


async def here(bot: Bot) -> None:
    await bot.see(lambda: bot.rows("SELECT 1 FROM crew"), "the worker", pace=0)


def status(bot: Bot, task: str) -> str:
    ((found,),) = bot.rows("SELECT status FROM task WHERE id = ?", int(task[2:]))
    return str(found)


async def test_it_bids_what_its_cheapest_agent_asks_and_does_the_work(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box) as one:
        await here(bot)
        task = (await bot.data("/task write it max=100"))["task"]
        await bot.until(kind="more", task=task, status="delivered")
        assert one.hands.began == [("quill", "write it")]
        assert bot.rows("SELECT agent, price, eta, note FROM bid") == [("box", 40_000, 2_000, "far")]
        shown = await bot.say(f"/show {task}")
        assert "quill did it" in shown["text"]
        assert [file["name"] for file in shown["files"]] == ["a.txt"]
        await bot.say(f"/accept {task}")
        assert balances(bot.app.settings)["agent:box"] == (40, 0)
        prove(bot.app.settings)


@pytest.mark.long
async def test_it_keeps_to_the_model_that_is_wished_for(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box) as one:
        await here(bot)
        for wish, model in ((" model=big", "big"), ("", None)):
            one.hands.models.clear()
            task = (await bot.data(f"/task write it to=box max=100{wish}"))["task"]
            await bot.until(kind="more", task=task, status="delivered")
            assert len(one.hands.models) == 5, "two are asked when it bids, two when it begins, and one does it"
            assert {*one.hands.models} == {model}


async def test_what_it_cannot_do_it_refuses_and_says_why(tmp_path: Path) -> None:
    hands = Hands(asks={"echo": Decline("there is no file"), "quill": None})
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box, hands):
        await here(bot)
        ended = await bot.ends((await bot.data("/task write it max=100"))["task"])
        assert "box: echo: there is no file" in ended["text"]
        hands.asks = {"echo": None, "quill": 400}
        ended = await bot.ends((await bot.data("/task write it max=100"))["task"])
        assert "asks 400 sats, more than the budget" in ended["text"]


@pytest.mark.parametrize("error", [Lost(), ValueError("broken")])
async def test_an_agent_that_breaks_when_it_is_asked_has_refused_and_the_next_task_is_answered(
    tmp_path: Path, error: Exception
) -> None:
    hands = Hands(asks={"echo": error, "quill": error})
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box, hands):
        await here(bot)
        ended = await bot.ends((await bot.data("/task write it max=100"))["task"])
        assert ("The tool is out" if isinstance(error, Lost) else "could not look at it") in ended["text"]
        hands.asks = {"echo": error}
        task = (await bot.data("/task write it max=100"))["task"]
        await bot.until(kind="more", task=task, status="delivered")


async def test_a_bid_that_the_hub_cannot_take_is_a_refusal_and_the_next_task_is_answered(tmp_path: Path) -> None:
    hands = Hands(eta=10**15)
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box, hands):
        await here(bot)
        ended = await bot.ends((await bot.data("/task write it max=100"))["task"])
        assert "could not say what it would take" in ended["text"]
        hands.eta = 1_000
        task = (await bot.data("/task write it max=100"))["task"]
        await bot.until(kind="more", task=task, status="delivered")


class Deaf(HubClient):
    """Hears nothing of the first answer to some request."""

    to: ClassVar[set[str]] = set()

    async def _post(self, path: str, *, wait: int = 0, **body: Any) -> Any:
        said = await super()._post(path, wait=wait, **body)
        if (last := path.rpartition("/")[2]) in self.to:
            self.to.remove(last)
            raise HubAway(why="cut")
        return said


@pytest.mark.parametrize("path", first(2, ["agents", "bids", "heartbeat", "result"]))
async def test_whatever_answer_is_lost_the_task_is_done_once(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Deaf, "to", {path})
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box, kind=Deaf) as one:
        await here(bot)
        task = (await bot.data("/task write it max=100"))["task"]
        await bot.see(lambda: not Deaf.to and status(bot, task) in {"delivered", "failed"}, "its end")
        assert (status(bot, task), len(one.hands.began)) == ("delivered", 1)


async def test_a_result_that_the_hub_does_not_take_has_failed_and_says_why(tmp_path: Path) -> None:
    hands = Hands(result="x" * 100_001)
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box, hands):
        await here(bot)
        ended = await bot.ends((await bot.data("/task write it max=100"))["task"])
        assert "longer than the" in ended["text"]


@pytest.mark.parametrize("error", [Lost(), ValueError("broken")])
async def test_what_fails_is_said_and_another_attempt_is_somebody_elses(tmp_path: Path, error: Exception) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box, Hands(error=error)):
        await here(bot)
        ended = await bot.ends((await bot.data("/task write it max=100"))["task"])
        assert ended["data"]["status"] == "failed"
        assert ("The tool is out" in ended["text"]) == isinstance(error, Lost)
        assert bot.rows("SELECT failed FROM reputation WHERE agent = 'box'") == [(1,)]


async def test_what_was_called_off_is_stopped_at_the_next_heartbeat(tmp_path: Path) -> None:
    hands = Hands(gate=asyncio.Event())
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box, hands):
        await here(bot)
        task = (await bot.data("/task write it max=100"))["task"]
        await bot.see(lambda: hands.began, "its work")
        for _ in range(12):
            bot.pass_time(9)
            await bot.see(lambda: bot.clock.sleepers, "the heartbeat", pace=0)
            await bot.barrier()
        assert status(bot, task) == "running", "heartbeats keep its lease"
        await bot.say(f"/cancel {task}")
        await bot.see(lambda: hands.stopped, "its end", pace=1)


async def test_a_hub_that_was_away_is_asked_again_and_told_what_was_done_meanwhile(tmp_path: Path) -> None:
    clock, gate = FakeClock(), asyncio.Event()
    hands = Hands(gate=gate)
    async with AsyncExitStack() as first, AsyncExitStack() as life:
        bot = await first.enter_async_context(hub(tmp_path, clock=clock, personas=()))
        (box,) = await first.enter_async_context(workers(bot, "box"))
        port = int(bot.app.address.rpartition(":")[2])
        found = bot.app.settings.model_copy(update={"http": Http(port=port)})
        one = await life.enter_async_context(far(bot, box, hands))
        await here(bot)
        task = (await bot.data("/task write it max=100"))["task"]
        await bot.see(lambda: hands.began, "its work")
        await first.aclose()
        gate.set()
        for _ in range(5):
            clock.advance(2_000)
            await asyncio.sleep(0.02)  # noqa: TID251 - refused connections take real time
        async with hub(tmp_path, clock=clock, personas=(), found=found) as again:
            await again.see(lambda: status(again, task) == "delivered", "what was done meanwhile", pace=0.5)
            later = (await again.data("/task write more max=100"))["task"]
            await again.see(lambda: status(again, later) == "delivered", "what came later", pace=0.5)
        assert len(hands.began) == 2
        assert not one.ended.is_set()


@pytest.mark.parametrize("ends", [True, False])
async def test_at_a_stop_it_ends_what_it_can_and_hands_back_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    monkeypatch.setattr("core.swarm.outpost.DRAIN_SECONDS", PATIENCE if ends else 0.2)
    hands = Hands(gate=asyncio.Event())
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,), far(bot, box, hands) as one:
        await here(bot)
        task = (await bot.data("/task write it max=100"))["task"]
        await bot.see(lambda: hands.began, "its work")
        one.stop.set()
        await bot.see(lambda: bot.rows("SELECT 1 FROM crew WHERE concurrency = 0"), "that it takes nothing more")
        if ends:
            assert hands.gate is not None
            hands.gate.set()
        async with asyncio.timeout(PATIENCE):
            await one.ended.wait()
        assert one.why is None
        wanted = "delivered" if ends else "failed"
        await bot.see(lambda: status(bot, task) == wanted, wanted)
        assert bot.rows("SELECT failed FROM reputation WHERE failed > 0") == []


@pytest.mark.parametrize("how", ["revoked", "dismissed", "another name"])
async def test_a_worker_that_is_not_wanted_ends_and_says_why(tmp_path: Path, how: str) -> None:
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        if how == "another name":
            box.name = "boy"
        async with far(bot, box) as one:
            if how != "another name":
                await here(bot)
                if how == "revoked":
                    await bot.app.console.admin["token.revoke"]({"token_kind": "worker", "name": "box"})
                else:
                    await bot.say("/dismiss box")
            await bot.see(one.ended.is_set, "its end", pace=0.5)
            assert isinstance(one.why, Rejected)
            wanted = {"revoked": "timmy token list", "dismissed": "/spawn box", "another name": "the agent box's"}[how]
            assert wanted in str(one.why)


async def test_of_two_of_one_name_the_first_ends_once_it_has_finished(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with (
        hub(tmp_path, personas=()) as bot,
        workers(bot, "box") as (box,),
        far(bot, box, Hands(gate=gate), instance="one") as first,
    ):
        await here(bot)
        task = (await bot.data("/task find it"))["task"]
        await bot.see(lambda: status(bot, task) == "running", "its work")
        async with far(bot, box, instance="two") as second:
            await bot.see(lambda: not first.outpost.hired, "that it is not wanted", pace=0.5)
            other = (await bot.data("/task find it to=box"))["task"]
            await bot.barrier()
            assert (status(bot, other), second.hands.began) == ("open", []), "it has one hand, wherever it works"
            gate.set()
            await bot.see(first.ended.is_set, "its end", pace=0.5)
            assert isinstance(first.why, Rejected)
            assert first.why.replaced
            await bot.see(lambda: status(bot, other) == "delivered", "the work of the second", pace=0.5)
            assert (status(bot, task), len(first.hands.began), len(second.hands.began)) == ("delivered", 1, 1)
            assert not second.ended.is_set()


@asynccontextmanager
async def process(folder: Path, url: str, *more: str, model: str = NOBODY) -> AsyncIterator[asyncio.subprocess.Process]:
    """`timmy worker` for real; it is gone after the block."""
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "worker", "--hub", url, "--token-file", str(folder / "token"), "--name", "box", *more,
        cwd=folder / "far", stderr=asyncio.subprocess.DEVNULL, env=os.environ | {"TIMMY_OLLAMA_URL": model},
    )  # fmt: skip
    try:
        yield made
    finally:
        if made.returncode is None:
            made.kill()
        await made.wait()


@pytest.mark.long
async def test_the_real_process_works_is_killed_comes_back_and_stops(tmp_path: Path) -> None:
    async with (
        hub(tmp_path, clock=SystemClock(), personas=()) as bot,  # type: ignore[arg-type]
        workers(bot, "box") as (box,),
        asyncio.timeout(40),
    ):
        (tmp_path / "token").write_text(box.token)
        (tmp_path / "far").mkdir()
        async with process(tmp_path, bot.app.address):
            await wait(lambda: bot.rows("SELECT 1 FROM crew"))
            (tmp_path / "far" / "workspace" / "a.md").write_text("# A\n\nOne is here. Two is there. " * 20)
            task = (await bot.data("/task summarise a.md to=box"))["task"]
            await wait(lambda: status(bot, task) == "delivered")
        async with process(tmp_path, bot.app.address, "--capabilities", "writing", "--concurrency", "2") as second:
            task = (await bot.data("/task summarise a.md to=box"))["task"]
            await wait(lambda: status(bot, task) == "delivered")
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
        assert (await bot.data("/agent box"))["agent"]["why"] == "takes nothing more"
        prove(bot.app.settings)


async def wait(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.05)  # noqa: TID251 - real processes take real time
