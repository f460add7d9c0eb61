"""The walk of a task, as whoever posted it sees it: posted, bid on, awarded, worked at, told, paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config import personas
from tests.scenario.bot import balances, hub, prove

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_task_walks_from_a_line_of_chat_to_a_paid_result(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        posted = await bot.say("/task summarise welcome.md max=100")
        assert posted["text"].startswith("T-1 posted with a budget of 100 simulated sats.")
        assert posted["task"] == "T-1"
        assert posted["data"] == {"ok": True, "task": "T-1", "status": "open", "budget_sats": 100, "attempt": 1}
        told = await bot.settled("T-1")
        assert told["text"] == "T-1 settled: quill was paid 40 sats\n\nquill did summarise welcome.md"
        assert told["data"] == {
            "ok": True, "task": "T-1", "status": "settled", "budget_sats": 100, "attempt": 1, "winner": "quill",
            "price_sats": 40, "result": "quill did summarise welcome.md",
        }  # fmt: skip
        steps = [frame["text"] for frame in bot.unread if frame["kind"] == "progress"]
        assert steps == [
            "T-1  echo bids",
            "T-1  quill bids",
            "T-1  awarded to quill for 40 sats; its price is in escrow",
            "T-1  quill is at work",
        ]
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 9960, "held_sats": 0, "simulated": True}
        history = (await bot.data("/history"))["history"]
        assert [(line["kind"], line["amount_sats"], line["task"]) for line in history] == [
            ("escrow", -40, "T-1"),
            ("grant", 10_000, None),
        ]
        assert balances(bot.app.settings) == {
            "external": (-10_000, 0), "treasury": (40, 0), "user:console:owner": (9960, 0),
        }  # fmt: skip
        prove(bot.app.settings)


async def test_the_whole_budget_is_held_until_the_award_and_only_the_price_is_spent(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem max=300 pick=ask")
        await bot.until(kind="more", status="bidding")
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 10_000, "held_sats": 300, "simulated": True}
        await bot.say("/award T-1 echo")
        await bot.settled("T-1")
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 9955, "held_sats": 0, "simulated": True}


async def test_the_real_agents_summarise_the_sample_for_sats(tmp_path: Path) -> None:
    async with hub(tmp_path, worker=None, personas=personas.load()) as bot:
        await bot.say("/task summarise welcome.md")
        told = await bot.settled("T-1")
        assert told["data"]["winner"] == "quill"
        assert "Welcome to Timmy" in told["data"]["result"]
        prove(bot.app.settings)
