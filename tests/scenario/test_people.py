"""People in the swarm: they pick bids, bid themselves, deliver, accept and reject."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from core.swarm.ports import Decline
from tests.scenario.bot import OWNER, Hands, balances, hub, prove

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenario.bot import Bot

HOUR = 3600


async def test_a_person_reads_the_bids_and_picks_one(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem pick=ask")
        told = await bot.until(kind="more", status="bidding")
        assert "/award T-1" in str(told)
        found = await bot.data("/bids T-1")
        assert [(one["agent"], one["price_sats"]) for one in found["bids"]] == [("quill", 40), ("echo", 45)]
        assert all(one["score"] >= one["price_sats"] for one in found["bids"])
        awarded = await bot.data("/award T-1 Echo")
        assert (awarded["winner"], awarded["price_sats"], awarded["status"]) == ("echo", 45, "awarded")
        assert (await bot.settled("T-1"))["data"]["winner"] == "echo"
        prove(bot.app.settings)


async def test_a_time_that_a_bid_promises_is_shown_beside_the_score_that_it_is_part_of(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        await bot.say("/bid T-1 10 eta=90m I rhyme")
        shown = (await bot.say("/bids T-1"))["text"].split("\n")
        assert [line for line in shown if "eta" in line] == [next(line for line in shown if "I rhyme" in line)]
        assert "score 10.7 (eta 90m)" in " ".join(shown)


async def test_pick_ask_never_closes_early_nor_after_the_window(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem pick=ask by=2h")
        await bot.until(kind="more", status="bidding")
        bot.pass_time(HOUR)
        assert (await bot.data("/show 1"))["status"] == "bidding"
        bot.pass_time(HOUR)
        assert (await bot.ends("T-1"))["data"]["status"] == "expired"
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 10_000, "held_sats": 0, "simulated": True}


async def _won_by_owner(bot: Bot, price: int = 30) -> None:
    """T-1, awarded to the owner in person."""
    await bot.say(f"/task paint the shed to={OWNER}")
    await bot.until(kind="more", status="bidding")
    won = await bot.say(f"/bid T-1 {price}")
    assert (won["data"]["winner"], won["data"]["price_sats"], won["data"]["status"]) == (OWNER, price, "awarded")


async def test_a_person_bids_delivers_and_is_paid_once_accepted(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _won_by_owner(bot)
        assert balances(bot.app.settings)["escrow:1"] == (30, 0)
        held = "9,970 simulated sats free, 0 sats held for open tasks"
        assert (await bot.say("/balance"))["text"] == f"{held}, 30 sats in escrow for tasks under way"
        assert (await bot.say("/balance", acting_for="telegram:7"))["text"].endswith("held for open tasks")
        assert (await bot.data("/deliver T-1 it is green now"))["status"] == "delivered"
        told = await bot.until(kind="more", status="delivered")
        assert told["text"].endswith("it is green now")
        assert told["buttons"][0]["command"] == "/accept T-1"
        assert balances(bot.app.settings)["escrow:1"] == (30, 0), "nobody is paid before the work is accepted"
        assert "30 sats in escrow" in (await bot.say("/balance"))["text"]
        assert (await bot.data("/accept T-1"))["status"] == "settled"
        assert (await bot.settled("T-1"))["data"]["result"] == "it is green now"
        assert "escrow" not in (await bot.say("/balance"))["text"]
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 10_000, "held_sats": 0, "simulated": True}
        prove(bot.app.settings)


async def test_what_nobody_judges_settles_when_the_review_time_is_over(tmp_path: Path) -> None:
    async with hub(tmp_path, auction={"review": HOUR}) as bot:
        await _won_by_owner(bot)
        await bot.say("/deliver T-1 it is green now")
        await bot.until(kind="more", status="delivered")
        bot.pass_time(HOUR - 1)
        assert (await bot.data("/show T-1"))["status"] == "delivered"
        bot.pass_time(1)
        await bot.settled("T-1")


async def test_a_rejected_result_is_auctioned_again_without_its_worker(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        await bot.say("/bid T-1 10 I rhyme")
        await bot.say(f"/award T-1 {OWNER}")
        await bot.say("/deliver T-1 roses are red")
        again = await bot.data("/reject T-1 that is not new")
        assert (again["status"], again["attempt"]) == ("open", 2)
        assert "winner" not in again
        assert "result" not in again, "what was rejected is no result"
        await bot.until(kind="more", status="bidding", attempt=2)
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 10_000, "held_sats": 200, "simulated": True}
        refused = await bot.data("/bid T-1 9")
        assert refused == {"ok": False, "error": "had_its_turn"}
        await bot.say("/award T-1 quill")
        await bot.settled("T-1")
        assert balances(bot.app.settings)["treasury"] == (40, 0)
        prove(bot.app.settings)


async def test_the_last_rejection_fails_the_task_and_gives_the_sats_back(tmp_path: Path) -> None:
    async with hub(tmp_path, auction={"attempts": 1}) as bot:
        await _won_by_owner(bot)
        await bot.say("/deliver T-1 it is blue now")
        assert (await bot.data("/reject T-1 green was asked for"))["status"] == "failed"
        told = await bot.ends("T-1")
        assert told["text"] == "T-1 failed and cost nothing: green was asked for"
        assert balances(bot.app.settings) == {"external": (-10_000, 0), f"user:{OWNER}": (10_000, 0)}
        prove(bot.app.settings)


async def test_what_a_crash_kept_from_being_noted_as_done_is_done_once(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _won_by_owner(bot)
        await bot.say("/deliver T-1 it is blue now")
        owner, coordinator = await bot.app.hub.identities.caller(OWNER, private=True), bot.app.hub.coordinator
        assert [(await coordinator.reject(owner, 1, "no", key="a")).attempt for _ in range(2)] == [2, 2]
        assert [await coordinator.spawn(owner, "quill", key="b") for _ in range(2)] == ["quill-2", "quill-2"]
        assert bot.rows("SELECT agent FROM event WHERE kind = 'AgentSpawned'") == [("quill-2",)]
        coordinator.desk.reports(1, "quill", " \n")
        assert coordinator._docket.progress == {}, "and nothing is told of no words"


async def test_what_was_accepted_before_a_crash_is_paid_once(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _won_by_owner(bot)
        await bot.say("/deliver T-1 it is blue now")
        owner = await bot.app.hub.identities.caller(OWNER, private=True)
        ended = [(await bot.app.hub.coordinator.accept(owner, 1, key="a")).status for _ in range(2)]
        assert ended == ["settled", "settled"]
        prove(bot.app.settings)


async def test_a_task_for_one_person_whose_result_was_rejected_does_not_wait_for_nobody(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _won_by_owner(bot)
        await bot.say("/deliver T-1 it is blue now")
        await bot.say("/reject T-1 green was asked for")
        assert (await bot.ends("T-1"))["data"]["status"] == "failed"
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 10_000, "held_sats": 0, "simulated": True}


async def test_bids_are_sealed_until_the_close_but_one_sees_ones_own(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot, bot.another() as other:
        await bot.say("/task paint the shed to=telegram:7")
        await bot.until(kind="more", status="bidding")
        assert (await bot.data("/bids T-1"))["bids"] == []
        await other.say("/task write a poem pick=ask", wait="people")
        await bot.until(kind="more", task="T-2", status="bidding")
        bid = await other.data("/bid T-2 5", acting_for="telegram:8")
        assert bid["ok"]
        assert [one["agent"] for one in (await bot.data("/bids T-2"))["bids"]] == ["telegram:8", "quill", "echo"]
        seen = await other.say("/bids T-2", acting_for="telegram:8")
        assert [one["agent"] for one in seen["data"]["bids"]] == ["telegram:8"]
        assert "sealed" in seen["text"]
        assert (await other.data("/bids T-2", acting_for="telegram:9"))["bids"] == []


async def test_a_later_bid_replaces_an_earlier_one(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        await bot.say("/bid 1 90 eta=2h slowly")
        await bot.say("/bid 1 35 gladly")
        mine = [one for one in (await bot.data("/bids 1"))["bids"] if one["agent"] == OWNER]
        assert [one["price_sats"] for one in mine] == [35]


REFUSED = [
    ("/bid T-1 201", "bid_out_of_range"),
    ("/bid T-1 0", "bad_amount"),
    ("/bid T-1 -1", "bad_amount"),
    ("/bid T-1 1.5", "bad_amount"),
    ("/bid T-2 5", "wrong_state"),
    ("/award T-1 nobody", "no_such_bid"),
    ("/deliver T-1 done", "wrong_state"),
    ("/accept T-1", "wrong_state"),
    ("/reject T-1 bad", "wrong_state"),
    ("/retry T-1", "not_over"),
    ("/accept T-2", "wrong_state"),
    ("/cancel T-2", "wrong_state"),
    ("/deliver T-3 done", "unknown_task"),
    ("/task paint to=nobody", "unknown_agent"),
]


async def test_what_the_table_of_states_has_no_edge_for_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        await bot.say("/task write a letter")
        await bot.settled("T-2")
        before = bot.tables()
        for line, code in REFUSED:
            answer = await bot.say(line)
            assert answer["data"] == {"ok": False, "error": code}, line
            assert "\n" not in answer["text"], line
            assert bot.tables() == before, line


@pytest.mark.parametrize("person", ["telegram:7", "matrix:@ann:example.org"])
async def test_it_is_said_when_the_one_who_may_bid_was_never_let_in(tmp_path: Path, person: str) -> None:
    async with hub(tmp_path) as bot:
        warning = f"{person} was never let in (/pair), and can neither read of it nor bid."
        posted = await bot.say(f"/task paint the shed to={person}")
        assert posted["text"].split("\n")[1:] == [f"Only {person} may bid.", warning]
        await bot.say("/cancel T-1")
        assert warning in (await bot.say("/retry T-1"))["text"]
        for other in (OWNER, "quill"):
            assert "let in" not in (await bot.say(f"/task paint the shed to={other}"))["text"]


async def test_a_bid_is_for_whoever_was_asked(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task paint the shed to=telegram:7")
        await bot.until(kind="more", status="bidding")
        before = bot.tables()
        assert await bot.data("/bid T-1 5") == {"ok": False, "error": "not_invited"}
        assert bot.tables() == before


async def test_a_bid_is_picked_while_its_agent_is_there_and_has_a_hand_free(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate})) as bot:
        for task in ("T-1", "T-2"):
            await bot.say("/task write a poem pick=ask")
            await bot.until(kind="more", task=task, status="bidding")
        await bot.say("/award T-1 quill")
        await bot.hands.at_work("T-1", "quill")
        before = bot.tables()
        assert await bot.data("/award T-2 quill") == {"ok": False, "error": "agent_busy"}
        assert bot.tables() == before
        gate.set()
        await bot.settled("T-1")
        await bot.say("/dismiss quill")
        assert await bot.data("/award T-2 quill") == {"ok": False, "error": "unknown_agent"}
        await bot.say("/spawn quill")
        assert (await bot.data("/award T-2 quill"))["winner"] == "quill"
        await bot.settled("T-2")


async def test_nobody_but_the_winner_delivers(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _won_by_owner(bot)
        before = bot.tables()
        assert await bot.data("/deliver T-1 mine", acting_for="telegram:7") == {"ok": False, "error": "not_yours"}
        assert bot.tables() == before


async def test_a_person_who_asked_nobody_else_can_still_be_declined_by_the_swarm(tmp_path: Path) -> None:
    hands = Hands(asks={"quill": Decline("no ink"), "echo": Decline("no paper")})
    async with hub(tmp_path, hands=hands) as bot:
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        shown = await bot.say("/bids T-1")
        assert shown["data"]["bids"] == []
        assert "quill declined: no ink" in shown["text"]
        await bot.say("/bid T-1 5")
        await bot.say(f"/award T-1 {OWNER}")
        await bot.say("/deliver T-1 done")
        await bot.say("/accept T-1")
        await bot.settled("T-1")
