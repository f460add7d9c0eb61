"""The swarm under load and mishap: busy agents wait their turn, what fails goes to somebody else, nothing is done twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from core.errors import Unavailable, UserError
from core.swarm.persona import Persona
from core.swarm.ports import Decline
from core.swarm.roster import MAX_AGENTS
from tests.depth import first
from tests.scenario.bot import ECHO, OWNER, PATIENCE, QUILL, Hands, balances, hub, prove
from tests.scenario.held_store import HeldDatabase, held

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.swarm.ports import Agent, Delivery
    from core.swarm.task import Task

UNTOUCHED = {"external": (-10_000, 0), f"user:{OWNER}": (10_000, 0)}


# Busy agents -------------------------------------------------------------------------------------------------------


async def test_ten_tasks_for_one_agent_that_does_one_at_a_time_all_settle_in_their_order(tmp_path: Path) -> None:
    gate = asyncio.Event()
    hands = Hands(does={"quill": gate})
    async with hub(tmp_path, hands=hands, personas=[QUILL]) as bot:
        for number in range(10):
            await bot.say(f"/task write poem {number}")
        await hands.at_work("T-1", "quill")
        assert len((await bot.data("/tasks running"))["tasks"]) == 1
        assert len((await bot.data("/tasks open"))["tasks"]) == 9
        assert "\nwaits for quill to be free" in (await bot.say("/show T-2"))["text"]
        gate.set()
        for number in range(1, 11):
            await bot.settled(f"T-{number}")
        assert hands.began == [(f"T-{number}", "quill", 1) for number in range(1, 11)]
        assert balances(bot.app.settings)["treasury"] == (400, 0)
        prove(bot.app.settings)


async def test_a_waiting_task_that_was_cancelled_does_not_hold_up_those_behind_it(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), personas=[QUILL]) as bot:
        for _ in range(3):
            await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/cancel T-2")
        gate.set()
        await bot.settled("T-3")


async def test_a_task_its_busy_agent_could_afford_waits_though_a_dear_one_is_free(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate})) as bot:
        await bot.say("/task write a poem to=quill")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/task write a poem max=41")
        assert (await bot.data("/show T-2"))["status"] in {"open", "bidding"}
        gate.set()
        await bot.settled("T-2")
        assert (await bot.data("/show T-2"))["winner"] == "quill"


async def test_an_agent_that_is_too_dear_for_one_waiting_task_takes_the_next(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(asks={"echo": 30}, does={"quill": gate, "echo": gate})) as bot:
        await bot.say("/task write a poem to=quill")
        await bot.say("/task find a poem to=echo")
        await bot.hands.at_work("T-1", "quill")
        await bot.hands.at_work("T-2", "echo")
        await bot.say("/task write another max=35")  # T-3, which only echo does for that
        await bot.say("/task write a third to=quill")
        await bot.say("/cancel T-1")
        await bot.hands.at_work("T-4", "quill")


async def test_a_task_that_wakes_while_its_first_auction_is_being_written_is_done_once(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), personas=[QUILL], database=HeldDatabase) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.hold("Walk._auction")
        await bot.say("/task write another")
        await store.holding("Walk._auction")
        gate.set()
        await bot.settled("T-1")
        await store.holding("Walk._auction", "Walk._auction")
        store.release()
        await bot.settled("T-2")
        await bot.say("/task write a third")
        await bot.settled("T-3")
        assert bot.hands.began == [("T-1", "quill", 1), ("T-2", "quill", 1), ("T-3", "quill", 1)]


async def test_an_agent_whose_task_is_cancelled_as_it_starts_is_free_for_the_next(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=[QUILL], database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Attempts._started", "Coordinator.cancel")
        await bot.say("/task write a poem")
        await store.holding("Attempts._started")
        await bot.say("/task write another")
        await bot.post("/cancel T-1")
        await store.holding("Attempts._started", "Coordinator.cancel")
        store.release()
        await bot.settled("T-2")
        assert (await bot.data("/show T-1"))["status"] == "cancelled"


async def test_a_task_that_is_lost_just_before_it_starts_goes_to_somebody_else(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Attempts._started", "Walk.lose")
        await bot.say("/task write a poem")
        await store.holding("Attempts._started")
        await bot.say("/dismiss quill")
        await store.holding("Attempts._started", "Walk.lose")
        store.release("Walk.lose")
        assert (await bot.settled("T-1"))["data"]["winner"] == "echo"


async def test_an_agent_whose_task_is_cancelled_before_it_starts_is_free_for_what_waits(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=[QUILL], database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Attempts._started")
        await bot.say("/task write a poem")
        await store.holding("Attempts._started")
        await bot.say("/task write another")
        await bot.say("/cancel T-1")
        store.release()
        await bot.settled("T-2")
        assert bot.hands.began == [("T-2", "quill", 1)]


async def test_work_that_was_called_off_as_it_started_is_not_gone_on_with(tmp_path: Path) -> None:
    hands = Hands(does={"quill": asyncio.Event()})
    async with hub(tmp_path, hands=hands, personas=[QUILL], database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Attempts._started", "Coordinator.cancel")
        await bot.say("/task write a poem")
        await store.holding("Attempts._started")
        await bot.say("/task write another")
        await bot.post("/cancel T-1")
        await store.holding("Attempts._started", "Coordinator.cancel")
        store.release()
        await hands.at_work("T-2", "quill")


async def test_what_is_cancelled_as_it_is_awarded_is_not_begun(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=[QUILL], database=HeldDatabase) as bot:
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        store = held(bot.app.store)
        store.hold("Coordinator.award", "Coordinator.cancel")
        await bot.post("/award T-1 quill")
        await store.holding("Coordinator.award")
        await bot.post("/cancel T-1")
        await store.holding("Coordinator.award", "Coordinator.cancel")
        store.release()
        await bot.until(kind="reply", status="cancelled")
        await bot.say("/task write another")
        await bot.settled("T-2")
        assert bot.hands.began == [("T-2", "quill", 1)]


async def test_what_two_end_at_once_is_stopped_once(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()}), database=HeldDatabase) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.hold("Walk.lose", "Coordinator.cancel")
        await bot.post("/cancel T-1")
        await store.holding("Coordinator.cancel")
        await bot.post("/dismiss quill")
        await store.holding("Coordinator.cancel", "Walk.lose")
        store.release()
        await bot.until(kind="reply", status="cancelled")
        await bot.hands.until(lambda: bot.hands.stopped == [("T-1", "quill")])
        await bot.barrier()
        assert bot.hands.began == [("T-1", "quill", 1)]


@dataclass
class _Slow(Hands):
    """Hands that take their time to stop."""

    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, agent: Agent, task: Task) -> Delivery:
        try:
            return await super().work(agent, task)
        except asyncio.CancelledError:
            await self.free.wait()
            raise


async def test_who_is_still_stopping_is_not_stopped_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hands = _Slow(does={"quill": asyncio.Event()})
    async with hub(tmp_path, hands=hands, database=HeldDatabase) as bot:
        await bot.say("/task write a poem")
        await hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.hold("Walk.lose")
        await bot.say("/dismiss quill")
        await store.holding("Walk.lose")
        await bot.say("/cancel T-1")
        await hands.until(lambda: hands.stopped == [("T-1", "quill")])
        store.release()
        await bot.barrier()
        hands.free.set()
        await bot.say("/task write another")
        await bot.settled("T-2")
        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_an_attempt_whose_lease_runs_out_before_it_starts_frees_its_agent(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=[QUILL], database=HeldDatabase, auction={"lease": 60}) as bot:
        store = held(bot.app.store)
        store.fail("Attempts._started", *[RuntimeError("a bug")] * 2)
        await bot.say("/task write a poem")
        await bot.say("/task write another")
        async with asyncio.timeout(PATIENCE):
            while (await bot.data("/show T-1"))["status"] != "failed":
                bot.pass_time(10)
        await bot.settled("T-2")


async def test_a_lease_that_ran_out_as_the_task_changed_hands_costs_its_next_worker_nothing(tmp_path: Path) -> None:
    hands = Hands(does={"quill": asyncio.Event()})
    async with hub(tmp_path, hands=hands, database=HeldDatabase, auction={"lease": 60}) as bot:
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        await bot.say("/award T-1 quill")
        await hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.hold("Timing._tick")
        bot.pass_time(60)
        await store.holding("Timing._tick")
        await bot.say("/dismiss quill")
        await bot.until(kind="more", status="bidding", attempt=2)
        await bot.say("/bid T-1 5")
        await bot.say(f"/award T-1 {OWNER}")
        store.release()
        await bot.barrier()
        shown = await bot.data("/show T-1")
        assert (shown["status"], shown["winner"], shown["attempt"]) == ("awarded", OWNER, 2)


async def test_a_busy_agent_bids_as_soon_as_it_is_free_where_the_requester_picks(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(asks={"echo": None}, does={"quill": gate})) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/task write another pick=ask")
        assert "none yet" in (await bot.until(kind="more", task="T-2", status="bidding"))["text"]
        await bot.say("/task write a third")
        gate.set()
        await bot.settled("T-1")
        assert "quill 40" in (await bot.until(kind="more", task="T-2", status="bidding"))["text"]
        await bot.settled("T-3")
        assert [one["agent"] for one in (await bot.data("/bids T-2"))["bids"]] == ["quill"]
        await bot.say("/award T-2 quill")
        await bot.settled("T-2")
        await bot.barrier()
        assert [frame for frame in bot.unread if frame["kind"] == "more"] == [], "each offer is told once"


async def test_an_agent_that_joins_bids_where_the_requester_picks(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(asks={"echo": None})) as bot:
        await bot.say("/task write a poem pick=ask")
        assert "quill 40" in (await bot.until(kind="more", status="bidding"))["text"]
        await bot.say("/spawn quill")
        assert "quill-2 40" in (await bot.until(kind="more", status="bidding"))["text"]


async def test_a_busy_agent_bids_after_a_restart_too(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()}), personas=[QUILL]) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/task write another pick=ask")
        await bot.until(kind="more", task="T-2", status="bidding")
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), personas=[QUILL]) as bot:
        await bot.hands.at_work("T-1", "quill")
        assert (await bot.data("/bids T-2"))["bids"] == []
        gate.set()
        await bot.until(kind="more", task="T-2", text="quill 40")


# Mishaps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mishap", [Unavailable(why="no ink"), RuntimeError("a bug")], ids=["declared", "bug"])
async def test_an_attempt_that_fails_goes_to_the_next_best(tmp_path: Path, mishap: Exception) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": mishap})) as bot:
        await bot.say("/task write a poem")
        told = await bot.settled("T-1")
        assert (told["data"]["winner"], told["data"]["price_sats"], told["data"]["attempt"]) == ("echo", 45, 2)
        assert bot.hands.began == [("T-1", "quill", 1), ("T-1", "echo", 2)]
        agent = await bot.say("/agent quill")
        assert "0 settled, 1 failed, 0 sats earned" in agent["text"]
        assert balances(bot.app.settings)["treasury"] == (45, 0)
        prove(bot.app.settings)


async def test_when_the_attempts_are_used_up_the_task_fails_and_costs_nothing(tmp_path: Path) -> None:
    mishap = Unavailable(why="no ink")
    hands = Hands(does={"quill": mishap, "echo": mishap})
    async with hub(tmp_path, hands=hands, auction={"attempts": 2}) as bot:
        await bot.say("/task write a poem")
        told = await bot.ends("T-1")
        assert (told["data"]["status"], told["data"]["attempt"]) == ("failed", 2)
        assert told["text"].endswith("A part the hub needs does not answer: no ink")
        assert balances(bot.app.settings) == UNTOUCHED
        prove(bot.app.settings)


async def test_when_all_who_can_have_failed_the_task_fails_before_its_attempts_are_used_up(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": Unavailable(why="no ink")}), personas=[QUILL]) as bot:
        await bot.say("/task write a poem")
        told = await bot.ends("T-1")
        assert told["data"]["status"] == "failed"
        assert told["text"].endswith("does not answer: no ink. Nobody else here can do it"), (
            "the reason is the first one"
        )
        assert bot.hands.began == [("T-1", "quill", 1)]
        assert balances(bot.app.settings) == UNTOUCHED


async def test_a_task_that_nobody_can_do_fails_with_everybodys_reasons_and_costs_nothing(tmp_path: Path) -> None:
    hands = Hands(asks={"quill": Decline("needs a model"), "echo": None})
    async with hub(tmp_path, hands=hands) as bot:
        await bot.say("/task write a poem")
        told = await bot.ends("T-1")
        assert told["text"] == "T-1 failed and cost nothing: quill: needs a model"
        assert balances(bot.app.settings) == UNTOUCHED
        shown = await bot.data("/agents")
        assert {one["name"]: (one["state"], one.get("why")) for one in shown["agents"]} == {
            "echo": ("free", None), "quill": ("unable", "needs a model"),
        }  # fmt: skip


async def test_a_task_whose_budget_is_below_every_price_fails_and_says_what_is_asked(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem max=39")
        assert "quill: asks 40 sats, more than the budget" in (await bot.ends("T-1"))["text"]
        assert balances(bot.app.settings) == UNTOUCHED


async def test_a_task_at_fault_itself_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    fault = UserError(why="there is no file poem.md")
    hands = Hands(asks={"quill": Decline(str(fault), fault), "echo": None})
    async with hub(tmp_path, hands=hands) as bot:
        before = bot.tables()
        refused = await bot.say("/task shorten poem.md")
        assert refused["data"] == {"ok": False, "error": "user_error"}
        assert "there is no file poem.md" in refused["text"]
        assert bot.tables() == before


async def test_a_fault_of_the_task_that_shows_in_the_work_ends_it_and_is_not_held_against_the_agent(
    tmp_path: Path,
) -> None:
    fault = UserError(why="poem.pdf is protected by a password")
    hands = Hands(asks={"echo": None}, does={"quill": fault})
    async with hub(tmp_path, hands=hands) as bot:
        await bot.say("/task shorten poem.pdf")
        told = await bot.ends("T-1")
        assert told["data"]["status"] == "failed"
        assert told["text"] == f"T-1 failed and cost nothing: {fault}. Nobody else here can do it"
        assert "0 settled, 0 failed, 0 sats earned" in (await bot.say("/agent quill"))["text"]
        assert balances(bot.app.settings) == UNTOUCHED
        prove(bot.app.settings)


async def test_when_everybody_meets_the_same_fault_it_is_told_once(tmp_path: Path) -> None:
    fault = UserError(why="poem.pdf is protected by a password")
    async with hub(tmp_path, hands=Hands(does={"quill": fault}), personas=[QUILL, ECHO]) as bot:
        bot.hands.asks["echo"] = Decline(str(fault), fault)
        await bot.say("/task shorten poem.pdf")
        assert (await bot.ends("T-1"))["text"] == f"T-1 failed and cost nothing: quill, echo: {fault}"
        assert bot.hands.began == [("T-1", "quill", 1)]


async def test_a_task_for_an_agent_that_does_no_such_work_is_refused_and_names_who_does(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(asks={"echo": None})) as bot:
        before = bot.tables()
        refused = await bot.say("/task outline welcome.md to=echo")
        assert refused["data"] == {"ok": False, "error": "not_their_work"}
        assert refused["text"].startswith("echo cannot do this, but quill can.")
        assert bot.tables() == before


async def test_a_task_for_an_agent_that_does_no_such_work_is_posted_where_nobody_else_does(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(asks={"echo": None, "quill": None})) as bot:
        await bot.say("/task outline welcome.md to=echo")
        told = (await bot.ends("T-1"))["text"]
        assert "no agent here can do this now: echo does research, and its words are not of that" in told
        assert "/task research: outline welcome.md to=echo" in told


async def test_an_agent_dismissed_in_mid_task_stops_and_somebody_else_takes_it_up(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()}), database=HeldDatabase) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.hold("Walk.lose")
        await bot.post("/dismiss quill")
        await store.holding("Walk.lose")
        store.release()
        assert (await bot.until(kind="reply"))["data"] == {"ok": True, "agent": "quill"}
        told = await bot.settled("T-1")
        assert (told["data"]["winner"], told["data"]["attempt"]) == ("echo", 2)
        assert bot.hands.stopped == [("T-1", "quill")]
        assert bot.rows("SELECT agent, settled, failed FROM reputation") == [("echo", 1, 0)]
        assert [one["name"] for one in (await bot.data("/agents"))["agents"]] == ["echo"]
        assert await bot.data("/agent quill") == {"ok": False, "error": "unknown_agent"}
        prove(bot.app.settings)


async def test_whoever_writes_first_that_an_agent_was_dismissed_before_it_began_it_is_not_held_against_it(
    tmp_path: Path,
) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Attempts._started", "Walk.lose")
        await bot.say("/task write a poem")
        await store.holding("Attempts._started")
        await bot.post("/dismiss quill")
        await store.holding("Attempts._started", "Walk.lose")
        store.let("Attempts._started")
        assert "quill was dismissed" in (await bot.until(status="open"))["text"]
        store.release()
        assert (await bot.settled("T-1"))["data"]["winner"] == "echo"
        assert bot.rows("SELECT agent, settled, failed FROM reputation") == [("echo", 1, 0)]
        assert bot.hands.began == [("T-1", "echo", 2)]


async def test_a_dismissal_does_not_stop_who_took_the_task_up_meanwhile(tmp_path: Path) -> None:
    gates = {"quill": asyncio.Event(), "echo": asyncio.Event()}
    hands = Hands(does=dict(gates))
    async with hub(tmp_path, hands=hands, database=HeldDatabase) as bot:
        await bot.say("/task write a poem")
        await hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.hold("Walk.lose")
        await bot.post("/dismiss quill")
        await store.holding("Walk.lose")
        hands.does["quill"] = Unavailable(why="no ink")
        gates["quill"].set()
        await hands.at_work("T-1", "echo")
        store.release()
        await bot.until(kind="reply", agent="quill")
        await bot.barrier()
        assert hands.stopped == []
        gates["echo"].set()
        told = await bot.settled("T-1")
        assert (told["data"]["winner"], told["data"]["attempt"]) == ("echo", 2)


@pytest.mark.parametrize("mishap", [Unavailable(why="no model"), RuntimeError("a bug")], ids=["declared", "bug"])
async def test_an_agent_that_cannot_say_what_a_task_would_take_keeps_nobody_else_from_it(
    tmp_path: Path, mishap: Exception
) -> None:
    async with hub(tmp_path, hands=Hands(asks={"quill": mishap})) as bot:
        await bot.say("/task write a poem")
        assert (await bot.settled("T-1"))["data"]["winner"] == "echo"
        assert "quill declined: " in (await bot.say("/bids T-1"))["text"]


async def test_who_is_dismissed_while_an_auction_is_being_written_does_not_win_it(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Walk._auction")
        await bot.say("/task write a poem")
        await store.holding("Walk._auction")
        await bot.say("/dismiss quill")
        store.release()
        assert (await bot.settled("T-1"))["data"]["winner"] == "echo"
        assert bot.hands.began == [("T-1", "echo", 1)], "and costs no attempt"


async def test_a_task_waits_for_who_is_busy_though_the_one_that_was_free_is_dismissed(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), database=HeldDatabase) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.hold("Walk._auction")
        await bot.say("/task write another")
        await store.holding("Walk._auction")
        await bot.say("/dismiss echo")
        store.release()
        await bot.barrier()
        gate.set()
        assert (await bot.settled("T-2"))["data"]["winner"] == "quill"


async def test_the_roster_takes_so_many_agents_and_no_more(tmp_path: Path) -> None:
    def crowd(tx: UnitOfWork) -> None:
        for number in range(2, MAX_AGENTS - 1):  # with echo and quill, all but one
            tx.agents.put(f"quill-{number}", "quill", live=True, now=tx.now)

    async with hub(tmp_path) as bot:
        await bot.app.store.write(crowd)
        assert (await bot.data("/spawn quill"))["agent"] == f"quill-{MAX_AGENTS - 1}"
        before = bot.tables()
        assert await bot.data("/spawn quill") == {"ok": False, "error": "roster_full"}
        assert bot.tables() == before
        await bot.say("/dismiss echo")
        assert (await bot.data("/spawn quill"))["agent"] == f"quill-{MAX_AGENTS}"


async def test_a_spawned_agent_takes_what_waits(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), personas=[QUILL]) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/task write another")
        assert await bot.data("/spawn quill") == {"ok": True, "agent": "quill-2"}
        assert (await bot.settled("T-2"))["data"]["winner"] == "quill-2"
        gate.set()
        await bot.settled("T-1")


async def test_an_agent_that_is_spawned_while_a_task_is_being_posted_takes_it(tmp_path: Path) -> None:
    hands = Hands(does={"quill": asyncio.Event()})
    async with hub(tmp_path, hands=hands, personas=[QUILL], database=HeldDatabase) as bot, bot.another() as other:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.hold("Coordinator.post")
        await bot.post("/task write another")
        await store.holding("Coordinator.post")
        await other.say("/spawn quill")
        store.release()
        assert (await bot.settled("T-2"))["data"]["winner"] == "quill-2"


async def test_a_dismissed_agent_is_still_known_by_name_in_plain_words(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/dismiss echo")
        assert (await bot.data("have echo summarise welcome.md"))["asks"] == "/task summarise welcome.md to=echo"
        assert await bot.data("yes") == {"ok": False, "error": "unknown_agent"}
        assert (await bot.data("spawn echo"))["asks"] == "/spawn echo"
        assert (await bot.data("yes"))["agent"] == "echo"


@pytest.mark.parametrize(
    "price", first(2, ["for 1.5 sats", "for minus 50 sats", "for 0 sats", "for zero sats", "for -50 sats"])
)
async def test_plain_words_with_a_price_that_is_none_are_refused_before_anything_is_asked(
    tmp_path: Path, price: str
) -> None:
    async with hub(tmp_path) as bot:
        for text in (f"summarise 'press release.md' {price}", f"have quill summarise welcome.md {price}"):
            refused = await bot.say(text)
            assert refused["data"] == {"ok": False, "error": "bad_option"}
            assert f"'{price}'. Write max=SATS" in refused["text"]


async def test_a_question_back_tells_the_budget_that_was_not_said(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        asked = await bot.say("summarise 'press release.md' for 40")
        assert asked["text"].endswith("\nNo max= was understood, so it may cost up to 200 sats.")
        for text in ("summarise welcome.md for 40 sats", "dismiss echo"):
            assert "cost" not in (await bot.say(text))["text"]


async def test_the_roster_outlives_a_restart(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/spawn quill")
        await bot.say("/dismiss echo")
    async with hub(tmp_path) as bot:
        assert [one["name"] for one in (await bot.data("/agents"))["agents"]] == ["quill", "quill-2"]


# Calling off, time, trying again -----------------------------------------------------------------------------------


async def test_cancel_gives_everything_back_in_every_state_that_has_it(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), personas=[QUILL]) as bot:
        await bot.say("/task write a poem")  # T-1 running
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/task write another")  # T-2 open
        await bot.say("/task write a third pick=ask")  # T-3 bidding
        await bot.until(kind="more", task="T-3", status="bidding")
        await bot.say(f"/task write a fourth to={OWNER}")  # T-4 awarded
        await bot.until(kind="more", task="T-4", status="bidding")
        await bot.say("/bid T-4 7")
        states = {one["task"]: one["status"] for one in (await bot.data("/tasks"))["tasks"]}
        assert states == {"T-1": "running", "T-2": "open", "T-3": "bidding", "T-4": "awarded"}
        for number in (4, 3, 2, 1):
            cancelled = await bot.data(f"/cancel {number}")
            assert (cancelled["ok"], cancelled["status"]) == (True, "cancelled")
            assert await bot.data(f"/cancel {number}") == {"ok": False, "error": "wrong_state"}
        await bot.hands.until(lambda: bot.hands.stopped == [("T-1", "quill")])
        assert balances(bot.app.settings) == UNTOUCHED
        prove(bot.app.settings)


async def test_the_deadline_ends_a_task_in_every_live_state_and_gives_everything_back(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), personas=[QUILL]) as bot:
        await bot.say("/task write a poem by=30s")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/task write another by=30s")
        await bot.say("/task write a third pick=ask by=30s")
        await bot.until(kind="more", task="T-3", status="bidding")
        bot.pass_time(30)
        for number in (1, 2, 3):
            assert (await bot.ends(f"T-{number}"))["data"]["status"] == "expired"
        await bot.hands.until(lambda: bot.hands.stopped == [("T-1", "quill")])
        assert balances(bot.app.settings) == UNTOUCHED


async def test_long_work_keeps_its_lease_as_long_as_it_is_at_it(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), auction={"lease": 60}) as bot:
        await bot.say("/task write a novel")
        await bot.hands.at_work("T-1", "quill")
        for _ in range(4):
            bot.pass_time(60)
            await bot.barrier()
        gate.set()
        assert (await bot.settled("T-1"))["data"]["attempt"] == 1
        assert bot.hands.began == [("T-1", "quill", 1)]


async def test_a_restart_after_the_lease_ran_out_costs_no_attempt(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()}), auction={"lease": 60}) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        clock = bot.clock
    clock.advance(600_000)
    async with hub(tmp_path, clock=clock, auction={"lease": 60}) as bot:
        assert (await bot.settled("T-1"))["data"]["attempt"] == 1
        assert bot.hands.began == [("T-1", "quill", 1)]
        prove(bot.app.settings)


async def test_a_task_whose_agent_is_gone_after_a_restart_goes_to_another(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
    async with hub(tmp_path, personas=[ECHO]) as bot:
        told = await bot.settled("T-1")
        assert (told["data"]["winner"], told["data"]["attempt"]) == ("echo", 2)


async def test_retry_posts_the_same_task_again_as_a_new_one(tmp_path: Path) -> None:
    hands = Hands(asks={"quill": Decline("no ink"), "echo": None})
    async with hub(tmp_path, hands=hands) as bot:
        await bot.say("/task write a poem max=77 by=2h")
        await bot.ends("T-1")
        del hands.asks["quill"]
        again = await bot.data("/retry T-1")
        assert (again["task"], again["budget_sats"]) == ("T-2", 77)
        await bot.settled("T-2")
        assert "tries T-1 again" in (await bot.say("/show T-2"))["text"]
        assert bot.rows("SELECT deadline - posted_at FROM task") == [(7_200_000,), (7_200_000,)]


async def test_words_are_matched_whole_by_the_real_agents(tmp_path: Path) -> None:
    personas = [Persona("quill", "writing", ("writing",), 40, ("text",), skills=("summarise",))]
    async with hub(tmp_path, worker=None, personas=personas) as bot:
        await bot.say("/task contextual pretexting")
        told = await bot.ends("T-1")
        assert told["data"]["status"] == "failed"
        assert balances(bot.app.settings) == UNTOUCHED


async def test_the_market_shows_what_was_done_for_how_much_and_how_well(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate})) as bot:
        assert (await bot.data("/market")) == {"ok": True, "market": []}
        task = (await bot.data("/task write a letter"))["task"]
        await bot.hands.at_work(task, "quill")
        bot.pass_time(9)
        gate.set()
        await bot.settled(task)
        bot.hands.does = {"echo": ValueError("broken"), "quill": "done"}
        await bot.ends((await bot.data("/task find it to=echo"))["task"])
        shown = await bot.say("/market")
        quills, echos = shown["data"]["market"]
        assert quills == {
            "agent": "quill", "field": "writing", "settled": 1, "failed": 0, "trust": 0.89, "earned_sats": 40, "price_sats": 40,
            "seconds": 9,
        }  # fmt: skip
        assert (echos["agent"], echos["field"], echos["failed"], echos["trust"]) == ("echo", "research", 1, 0.585)
        assert shown["text"].splitlines() == [
            "1 task paid for, 40 sats in all",
            "quill  writing   1 of 1  trust 89 %  40 sats each  9 s  40 sats earned",
            "echo   research  0 of 1  trust 58 %  - each        -    0 sats earned",
        ]  # fmt: skip
        assert "writing  1 of 1  trust 89 %" in (await bot.say("/agent quill"))["text"]


async def test_what_went_wrong_costs_an_agent_the_next_auction_in_its_field(tmp_path: Path) -> None:
    hands = Hands(asks={"echo": 42, "quill": 40}, does={"quill": ValueError("broken")})
    async with hub(tmp_path, hands=hands) as bot:
        for _ in range(2):
            assert (await bot.settled((await bot.data("/task write a letter"))["task"]))["data"]["winner"] == "echo"
        assert [one for one in hands.began if one[1] == "quill"] == [("T-1", "quill", 1)], (
            "it is dearer now by its score"
        )
