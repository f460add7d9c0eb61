"""The briefing: what is new, what is under way, what waits; silent where there is nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.scenario.bot import OWNER, Hands, hub

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_is_new_is_told_once(tmp_path: Path) -> None:
    hands = Hands()
    async with hub(tmp_path, hands=hands) as bot:
        empty = await bot.say("/briefing")
        assert empty["text"].startswith("Nothing new since ")
        assert "10,000 simulated sats free; 0 sats earned, 0 sats spent since" in empty["text"]
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        hands.does["quill"] = asyncio.Event()
        await bot.say("/task find a rhyme")
        await hands.at_work("T-2", "quill")
        await bot.say(f"/task paint the shed to={OWNER}")
        await bot.until(kind="more", task="T-3", status="bidding")
        told = await bot.say("/briefing")
        assert told["data"] == {
            "ok": True, "news": True, "since": empty["data"]["since"] + 86_400_000, "ended": ["T-1"], "ended_in_all": 1,
            "under_way": ["T-2"], "under_way_in_all": 1, "yours": ["T-3"], "approvals": [],
            "money": {"free_sats": 9720, "earned_sats": 0, "spent_sats": 80}, "given_up": 0, "troubles": [], "away": [],
        }  # fmt: skip
        assert told["text"].splitlines()[0].endswith(": 1 waiting for you, 1 done, 1 under way")
        again = await bot.data("/briefing")
        assert (again["ended"], again["yours"], again["money"]["spent_sats"]) == ([], ["T-3"], 0)
