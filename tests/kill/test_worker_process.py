"""Workers as processes: `timmy worker` killed with -9 at each thing it says or waits for, stopped for long, doubled, and ended.

The hub is real and in this process, so that the kill comes at that very moment; another worker, in this test, does what is left.
At last the hub is a process too, and is killed as often as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sqlite3
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from adapters.clockwork import SystemClock, running
from adapters.console.client import request
from core.errors import HubError, Unavailable
from tests.kill.hub_process import hub_process
from tests.ollama_server import OllamaServer
from tests.program import Program
from tests.scenario.bot import NOBODY, balances, hub, prove
from tests.scenario.crew import workers
from tests.scenario.test_outpost import process, status, wait

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from tests.kill.hub_process import HubProcess
    from tests.scenario.bot import Bot
    from tests.scenario.crew import Worker

pytestmark = [pytest.mark.long, pytest.mark.timeout(60)]

LEASE = 3
ASKS, MORE = 40, 90
"""What quill asks wherever it works, and what the other worker does."""

PAGE = "# A\n\nOne is here. Two is there. " * 20
QUICK, SLOW = "/task writing: summarise a.md max=100", "/task writing: write a poem max=100"
"""What a skill does at once, and what the model does, for as long as it is let."""


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Bot, Worker, Worker]]:
    """A hub by the real clock, the token of a worker that is a process, and another worker."""
    rules = {"window": 2, "lease": LEASE}
    async with (
        hub(folder, clock=SystemClock(), personas=(), auction=rules) as bot,  # type: ignore[arg-type]
        workers(bot, "box", "boy") as (box, boy),
        asyncio.timeout(40),
    ):
        (folder / "token").write_text(box.token)
        (folder / "far" / "workspace").mkdir(parents=True)
        (folder / "far" / "workspace" / "a.md").write_text(PAGE)
        yield bot, box, boy


class Unheard(Unavailable):
    """It was never said."""


class At:
    """Sends a process a signal in place of its first call of one of the desk's functions, or after one that finds something."""

    def __init__(self, bot: Bot, monkeypatch: pytest.MonkeyPatch, call: str, when: str, number: signal.Signals) -> None:
        self.done = asyncio.Event()
        self.refused: list[str] = []
        self.process: Process | None = None
        self._number = number
        desk = bot.app.hub.coordinator.desk
        real: Callable[..., Any] = getattr(desk, call)

        async def hooked(who: str, *given: Any, **more: Any) -> Any:
            if who != "box":
                return await real(who, *given, **more)
            if when == "before" and self._do():
                raise Unheard
            try:
                found = await real(who, *given, **more)
            except HubError as error:
                self.refused.append(type(error).__name__)
                raise
            if when == "after" and (found or call not in {"tasks", "given"}):
                self._do()
            return found

        monkeypatch.setattr(desk, call, hooked)

    def _do(self) -> bool:
        if self.done.is_set() or self.process is None:
            return False
        self.done.set()
        self.process.send_signal(self._number)
        return True


async def works(boy: Worker) -> None:
    """The other worker: it bids on all, and does what it wins."""
    await boy.enrol("any")
    while True:
        for task in await boy.tasks():
            await boy.ask("POST", "bids", {"task_id": task, "agent_id": "boy", "bid_sats": MORE})
        if given := await boy.given():
            await boy.deliver(given["task_id"], given["lease_token"], "boy did it")
        await asyncio.sleep(0.05)  # noqa: TID251 - real processes take real time


@asynccontextmanager
async def beside(work: Any) -> AsyncIterator[None]:
    """Something that goes on for as long as the block, and is then cancelled."""
    async with running(_until_cancelled(work), "the other worker") as task:
        try:
            yield
        finally:
            task.cancel()


async def _until_cancelled(work: Any) -> None:
    with suppress(asyncio.CancelledError):
        await work


async def once(bot: Bot, task: str, does: str, failed: int) -> None:
    """A task was done and is paid for once, and counts once against whoever did not do it."""
    await bot.data(f"/accept {task}")
    assert (await bot.data(f"/show {task}"))["winner"] == does
    paid = {"boy": ("agent:boy", MORE), "box": ("agent:box", ASKS)}[does]
    found = balances(bot.app.settings)
    assert [(name, posted) for name, (posted, _) in found.items() if name.startswith("agent:")] == [paid]
    assert bot.rows("SELECT coalesce(sum(failed), 0) FROM reputation WHERE agent = 'box'") == [(failed,)]
    for kind in ("TaskDelivered", "TaskSettled"):
        assert bot.rows("SELECT count(*) FROM event WHERE kind = ?", kind) == [(1,)]
    prove(bot.app.settings)


@pytest.mark.parametrize(
    ("call", "when", "does", "failed"),
    [
        pytest.param("enrol", "after", "boy", 0, id="enrolled, and not told so"),
        pytest.param("tasks", "after", "boy", 0, id="polling, with an auction to answer"),
        pytest.param("bid", "before", "boy", 0, id="about to bid"),
        pytest.param("bid", "after", "boy", 1, id="has bid, and is not told that it counts"),
        pytest.param("given", "after", "boy", 1, id="awarded"),
        pytest.param("beat", "before", "boy", 1, id="about to begin"),
        pytest.param("beat", "after", "boy", 1, id="has begun"),
        pytest.param("deliver", "before", "boy", 1, id="its result under way"),
        pytest.param("deliver", "after", "box", 0, id="its result taken, and not told so"),
    ],
)
async def test_a_worker_killed_at_any_moment_costs_an_attempt_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, when: str, does: str, failed: int
) -> None:
    async with two(tmp_path) as (bot, _, boy):
        at = At(bot, monkeypatch, call, when, signal.SIGKILL)
        async with process(tmp_path, bot.app.address) as at.process:
            await wait(lambda: bot.rows("SELECT 1 FROM crew"))
            async with beside(works(boy)):
                await wait(lambda: bot.rows("SELECT 1 FROM crew WHERE name = 'boy'"))
                task = (await bot.data(QUICK))["task"]
                await at.done.wait()
                assert await at.process.wait() == -signal.SIGKILL
                await wait(lambda: status(bot, task) == "delivered")
        await once(bot, task, does, failed)


async def test_a_worker_killed_at_work_is_another_ones_task(tmp_path: Path) -> None:
    async with two(tmp_path) as (bot, _, boy), OllamaServer.running("llama3.2:latest") as model:
        model.says("Roses are", asyncio.Event())
        async with process(tmp_path, bot.app.address, model=model.url) as box:
            await wait(lambda: bot.rows("SELECT 1 FROM crew"))
            task = (await bot.data(SLOW))["task"]
            await model.begun.wait()
            await asyncio.sleep(LEASE + 1)  # noqa: TID251 - by the real clock
            assert status(bot, task) == "running", "its heartbeats keep it"
            box.kill()
            async with beside(works(boy)):
                await wait(lambda: status(bot, task) == "delivered")
        await once(bot, task, "boy", 1)


async def test_a_worker_that_came_back_after_a_kill_is_not_given_what_it_lost(tmp_path: Path) -> None:
    async with two(tmp_path) as (bot, _, boy), OllamaServer.running("llama3.2:latest") as model:
        model.says("Roses are", asyncio.Event())
        async with process(tmp_path, bot.app.address, model=model.url) as first:
            await wait(lambda: bot.rows("SELECT 1 FROM crew"))
            task = (await bot.data(SLOW))["task"]
            await model.begun.wait()
            crew = bot.app.hub.coordinator.crew
            was = crew.instance("box")
            first.kill()
        async with process(tmp_path, bot.app.address, model=model.url) as second:
            await wait(lambda: crew.instance("box") != was)
            async with beside(works(boy)):
                await wait(lambda: status(bot, task) == "delivered")
            other = (await bot.data(f"{QUICK} to=box"))["task"]
            await wait(lambda: status(bot, other) == "delivered")
            assert second.returncode is None
        assert [(await bot.data(f"/show {one}"))["winner"] for one in (task, other)] == ["boy", "box"]
        prove(bot.app.settings)


@pytest.mark.parametrize("ends", [True, False], ids=["finishes", "hands back"])
async def test_a_worker_that_is_told_to_end_does_so_in_time(tmp_path: Path, *, ends: bool) -> None:
    gate = asyncio.Event()
    async with two(tmp_path) as (bot, _, boy), OllamaServer.running("llama3.2:latest") as model:
        model.says("Roses are", gate, " red.")
        async with process(tmp_path, bot.app.address, model=model.url) as box:
            await wait(lambda: bot.rows("SELECT 1 FROM crew"))
            task = (await bot.data(SLOW))["task"]
            await model.begun.wait()
            box.terminate()
            await wait(lambda: bot.rows("SELECT 1 FROM crew WHERE concurrency = 0"))
            async with beside(works(boy)):
                if ends:
                    gate.set()
                assert await box.wait() == 0
                await wait(lambda: status(bot, task) == "delivered")
        await once(bot, task, "box" if ends else "boy", 0)


async def test_a_worker_that_slept_over_its_lease_says_so_in_vain_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path) as (bot, _, boy):
        at = At(bot, monkeypatch, "beat", "after", signal.SIGSTOP)
        late = At(bot, monkeypatch, "deliver", "never", signal.SIGSTOP)
        async with process(tmp_path, bot.app.address) as at.process:
            await wait(lambda: bot.rows("SELECT 1 FROM crew"))
            task = (await bot.data(QUICK))["task"]
            await at.done.wait()
            async with beside(works(boy)):
                await wait(lambda: status(bot, task) == "delivered")
                before = bot.tables()["task"]
                at.process.send_signal(signal.SIGCONT)
                await wait(lambda: late.refused or at.refused)
            assert {*late.refused, *at.refused} == {"StaleLease"}
            assert bot.tables()["task"] == before
            other = (await bot.data(f"{QUICK} to=box"))["task"]
            await wait(lambda: status(bot, other) == "delivered")
        assert [(await bot.data(f"/show {one}"))["winner"] for one in (task, other)] == ["boy", "box"]
        prove(bot.app.settings)


async def test_a_second_process_of_one_name_takes_its_place_and_the_first_ends(tmp_path: Path) -> None:
    async with two(tmp_path) as (bot, box, _), process(tmp_path, bot.app.address) as first:
        await wait(lambda: bot.rows("SELECT 1 FROM crew"))
        async with process(tmp_path, bot.app.address) as second:
            assert await first.wait() == 1
            task = (await bot.data(QUICK))["task"]
            await wait(lambda: status(bot, task) == "delivered")
            assert second.returncode is None
            assert await box.tasks() == [], "a program that does not say which process it is works on"


# The hub is a process too ----------------------------------------------------------------------------------------

RULES = {
    "TIMMY_AUCTION_WINDOW": "2s", "TIMMY_AUCTION_LEASE": f"{LEASE}s", "TIMMY_AUCTION_REVIEW": "1s",
    "TIMMY_AUCTION_ATTEMPTS": "10", "TIMMY_LOG_LEVEL": "ERROR",
}  # fmt: skip
NAMES = ("box", "boy", "bob", "ever")
"""The last is never killed: whoever lost a task is not asked about it again, and somebody has to do it."""


class Site:
    """A hub and its workers, each a process that is killed and begun again."""

    def __init__(self, folder: Path, hub: HubProcess, model: str) -> None:
        self.hub = hub
        self._folder = folder
        self._model = model
        self._workers: dict[str, Program] = {}
        self.posted = 0

    async def join(self, name: str) -> None:
        """Mint a token, and begin."""
        frame = {"op": "token.mint", "token_kind": "worker", "name": name, "for": None, "task_limit": None}
        (self._folder / name).write_text((await request(self.hub.data, frame))["text"])
        await self.begin(name)

    async def begin(self, name: str) -> None:
        """Begin a worker's process."""
        env = {
            "TIMMY_HUB_URL": self.hub.address, "TIMMY_WORKER_TOKEN_FILE": str(self._folder / name), "TIMMY_OLLAMA_URL": self._model,
            "TIMMY_WORKSPACE": str(self._folder / "far"), "TIMMY_DATA_DIR": str(self._folder / f"data of {name}"),
        }  # fmt: skip
        self._workers[name] = await Program.fork("worker", "--name", name, "--concurrency", "2", env=env)

    async def end(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """End a worker's process; its exit code."""
        worker = self._workers.pop(name)
        worker.send_signal(number)
        return (await worker.communicate())[2]

    async def end_all(self) -> None:
        """Leave nothing running."""
        for name in list(self._workers):
            await self.end(name)

    async def blow(self, *whom: str) -> None:
        """Kill these, then begin them again."""
        for one in whom:
            await (self.hub.kill() if one == "hub" else self.end(one))
        for one in whom:
            await (self.hub.start() if one == "hub" else self.begin(one))

    async def post(self, count: int, line: str = QUICK) -> None:
        """Have so much done."""
        for _ in range(count):
            assert (await self.hub.data_of(line))["ok"]
            self.posted += 1

    async def settle(self) -> None:
        """Wait until all is settled, and see that each was done and paid for once."""
        async with asyncio.timeout(60):
            while any(one["status"] != "settled" for one in await self.tasks()):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.1)  # noqa: TID251 - real processes take real time
        tasks = await self.tasks()
        assert len(tasks) == self.posted
        assert "The books balance" in await self.hub.timmy("ledger", "verify")
        paid = sum(task["price_sats"] for task in tasks)
        assert await self.hub.data_of("/balance") == {
            "ok": True, "balance_sats": 10_000 - paid, "held_sats": 0, "simulated": True,
        }  # fmt: skip
        won = {name: [task["price_sats"] for task in tasks if task["winner"] == name] for name in NAMES}
        earned = self.rows("SELECT name, posted / 1000 FROM account WHERE name LIKE 'agent:%'")
        assert dict(earned) == {f"agent:{name}": sum(prices) for name, prices in won.items() if prices}
        for kind in ("TaskDelivered", "TaskSettled"):
            told = self.rows("SELECT task FROM event WHERE kind = ? ORDER BY task", kind)
            assert told == [(number + 1,) for number in range(self.posted)], f"each is {kind} once"

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """What the hub's database holds."""
        with contextlib.closing(sqlite3.connect(f"file:{self.hub.data}/hub.db?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()

    async def tasks(self) -> list[dict[str, Any]]:
        """Whatever was posted."""
        found: list[dict[str, Any]] = (await self.hub.data_of("/tasks"))["tasks"]
        return found


@asynccontextmanager
async def site(folder: Path, model: str = NOBODY) -> AsyncIterator[Site]:
    """All of it, at work; none of the hub's own agents. `model`: where that of the workers is."""
    (folder / "far").mkdir()
    (folder / "far" / "a.md").write_text(PAGE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    async with hub_process(folder, NOBODY, executed=False, TIMMY_HTTP_PORT=port, **RULES) as running_hub:
        some = Site(folder, running_hub, model)
        for agent in (await running_hub.data_of("/agents"))["agents"]:
            await running_hub.say(f"/dismiss {agent['name']}")
        try:
            for name in NAMES:
                await some.join(name)
            async with asyncio.timeout(30):
                await wait(lambda: some.rows("SELECT count(*) FROM crew") == [(len(NAMES),)])
            yield some
        finally:
            await some.end_all()


@pytest.mark.timeout(150)
@pytest.mark.parametrize("away", [True, False], ids=["ends while the hub is away", "ends after it came back"])
async def test_what_a_worker_is_at_outlives_a_killed_hub_and_is_done_once(tmp_path: Path, *, away: bool) -> None:
    gate = asyncio.Event()
    async with OllamaServer.running("llama3.2:latest") as model, site(tmp_path, model.url) as some:
        model.says("Roses are", gate, " red.")
        await some.post(1, SLOW)
        async with asyncio.timeout(20):
            await model.begun.wait()
        await some.hub.kill()
        if away:
            gate.set()
            await asyncio.sleep(LEASE + 1)  # noqa: TID251 - its lease would be over by now
        await some.hub.start()
        gate.set()
        await some.settle()
        assert some.rows("SELECT attempt, result FROM task") == [(1, "Roses are red.")]
        assert len(model.asked) == 1


BLOWS: Sequence[Sequence[str]] = (("box",), ("hub",), ("hub", "boy"), ("box", "boy"), ("hub", "box", "boy", "bob"))


@pytest.mark.parametrize(
    "pause", [0.1, *(pytest.param(pause / 100, marks=pytest.mark.kill_sweep) for pause in range(0, 120, 15))]
)
@pytest.mark.timeout(150)
async def test_hub_and_workers_are_killed_and_each_task_is_done_and_paid_for_once(tmp_path: Path, pause: float) -> None:
    async with site(tmp_path) as some:
        for whom in BLOWS:
            await some.post(4)
            await asyncio.sleep(pause)  # noqa: TID251 - real processes take real time
            await some.blow(*whom)
        await some.post(2)
        await some.settle()
        assert await some.end("bob", signal.SIGTERM) == 0
