"""What is said tells what can be done next, and says nothing that is not so."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from bot.books import UnknownAccount, balances, movements, prove
from core.swarm.ports import Decline
from tests.scenario.bot import OWNER, Hands, hub

if TYPE_CHECKING:
    from pathlib import Path

NO_MODEL = "no model answers"


async def test_the_one_agent_that_may_bid_and_cannot_is_not_waited_for(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(asks={"quill": Decline(NO_MODEL), "echo": 300})) as bot:
        await bot.say("/task write a poem to=quill pick=ask")
        assert (await bot.ends("T-1"))["text"] == f"T-1 failed and cost nothing: quill: {NO_MODEL}"
        await bot.say("/task find a poem to=echo pick=ask")
        assert "asks 300 sats, more than the budget" in (await bot.ends("T-2"))["text"]
        assert (await bot.data("/balance"))["held_sats"] == 0
        await bot.say("/task write a poem pick=ask")
        assert (await bot.until(kind="more", task="T-3", status="bidding"))["data"]["waits"] == "people"


async def test_the_one_agent_that_may_bid_and_is_busy_is_waited_for(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate})) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/task write a song to=quill pick=ask")
        told = await bot.until(kind="more", task="T-2", status="bidding")
        assert told["text"] == "T-2 bids: none yet", "nobody else may bid, and there is nobody to award it to"
        gate.set()
        assert "Pick one: /award T-2 AGENT" in (await bot.until(kind="more", task="T-2", text="quill 40"))["text"]


async def test_each_step_of_a_persons_task_names_the_next(tmp_path: Path) -> None:
    async with hub(tmp_path, personas=()) as bot:
        await bot.say("/task proofread it pick=ask")
        assert "/bid T-1 SATS" in (await bot.until(kind="more", status="bidding"))["text"]
        await bot.say("/bid 1 50 eta=2h")
        assert "/deliver T-1 RESULT" in (await bot.say(f"/award 1 {OWNER}"))["text"]
        assert "/accept T-1 or /reject T-1 WHY" in (await bot.say("/deliver 1 done"))["text"]
        told = await bot.until(kind="more", status="delivered")
        assert "/accept T-1 pays, /reject T-1 WHY does not" in told["text"].split("\n")[0]
        again = (await bot.say("/deliver 1 done"))["text"]
        assert again == "T-1 is delivered, so it cannot be delivered again. /show T-1 tells more."


async def test_a_time_that_is_too_long_is_refused_with_the_longest(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        assert "30 days at most" in (await bot.say("/task find it by=99999999999d"))["text"]
        assert (await bot.say("/task find it by=31d"))["text"] == "A task's time is from 1s to 30d; you wrote 31d."
        await bot.say("/task find it pick=ask")
        late = await bot.say("/bid 1 5 eta=800h")
        assert late["text"] == "The time that a bid promises is from 1s to 30d; you wrote 800h."
        assert "from 1 to 999,999" in (await bot.say("/history 99999999999999999999999"))["text"]


async def test_who_had_nothing_to_do_leaves_nothing_to_others(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        assert (await bot.say("/dismiss echo"))["text"] == "echo left the roster"
        assert (await bot.say("/dismiss quill"))["text"].endswith("; what it was doing goes to somebody else")


async def test_the_books_count_and_name_their_accounts(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        found = bot.app.settings
        assert "treasury  0 sats; today 0 sats earned, 0 sats spent" in (await bot.say("/status"))["text"]
    assert prove(found, as_json=False).startswith(
        "The books balance: 2 entries, 4 postings, 3 accounts, 0 open holds\n"
    )
    assert movements(found, None, 5, as_json=False).startswith("user:console:owner has 10,000 simulated sats\n")
    explained = json.loads(movements(found, "user:console:owner", 5, as_json=True))
    assert (explained["simulated"], explained["sum_msat"], explained["agrees"]) == (True, 10_000_000, True)
    assert balances(found, as_json=False).endswith("\nThese sats are simulated")
    assert json.loads(balances(found, as_json=True))["simulated"] is True
    with pytest.raises(UnknownAccount, match=r"no account 'nope'.*timmy ledger balance"):
        movements(found, "nope", 5, as_json=False)


async def test_long_lists_are_paged_by_a_button(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for number in range(1, 24):
            await bot.say("/task find it")
            await bot.settled(f"T-{number}")

        async def pages(command: str) -> list[str]:
            found: list[str] = []
            while True:
                frame = await bot.say(command)
                assert frame["data"]["ok"], frame
                found.append(frame["text"])
                if not frame.get("buttons"):
                    return found
                (button,) = frame["buttons"]
                assert button["label"] == "More"
                command = button["command"]
                assert command in frame["text"].split("\n")[-1]

        listed = await pages("/tasks settled")
        assert [text.count("settled · ") for text in listed] == [10, 10, 3]
        assert [text.split("\n")[0] for text in listed] == [
            "23 tasks, newest first", "13 tasks, newest first, from T-13 on", "3 tasks, newest first, from T-3 on",
        ]  # fmt: skip
        assert [text.count("find it") for text in await pages("/tasks")] == [10, 10, 3]
        assert (await bot.say("/tasks failed"))["text"] == "No such tasks. /tasks lists all."
        assert len((await bot.data("/tasks from=T-5"))["tasks"]) == 5
        assert [text.count(" sats)") for text in await pages("/history")] == [1] * 3
        assert [text.count("escrow T-") + text.count("grant") for text in await pages("/history")] == [10, 10, 4]
        assert [text.count("escrow T-") + text.count("grant") for text in await pages("/history 50")] == [20, 4]
        assert len((await bot.data("/history 50"))["history"]) == 24
        assert (await bot.data("/history from=x"))["error"] == "bad_entry"
