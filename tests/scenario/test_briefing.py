"""The briefing: what is new, what is under way, what waits; silent where there is nothing."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from bot.views_briefing import briefing
from core.chat import CommandCall, Inbound
from core.swarm.stuck import Stuck
from tests.scenario.bot import OWNER, Hands, hub, let_in

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.automation.briefing import Briefing
    from core.chat import Reply


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
            "under_way": ["T-2"], "under_way_in_all": 1, "yours": ["T-3"], "approvals": [], "schedules": [],
            "money": {"free_sats": 9720, "earned_sats": 0, "spent_sats": 80}, "given_up": 0, "troubles": [], "away": [],
        }  # fmt: skip
        assert told["text"].splitlines()[0].endswith(": 1 waiting for you, 1 done, 1 under way")
        again = await bot.data("/briefing")
        assert (again["ended"], again["yours"], again["money"]["spent_sats"]) == ([], ["T-3"], 0)


@pytest.mark.long
async def test_run_at_times_it_says_nothing_where_nothing_is_new(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every 2 hours /briefing")
        bot.pass_time(7200)
        await bot.see(lambda: bot.rows("SELECT state FROM schedule_run") == [("done",)], pace=0)
        assert "more" not in bot.kinds()
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        bot.pass_time(7200)
        told = await bot.until(kind="more", text="1 done")
        assert "S-1, every 2 hours" in told["text"]
        bot.pass_time(7200)
        await bot.see(lambda: bot.rows("SELECT count(*) FROM schedule_run WHERE state = 'done'") == [(3,)], pace=0)
        await bot.barrier()
        assert "more" not in bot.kinds()


async def test_everything_that_waits_or_went_wrong_is_told(tmp_path: Path) -> None:
    async with hub(tmp_path, auction={"attempts": 1}) as bot:
        await let_in(bot, "telegram:5", "member")
        await bot.app.hub.identities.refresh()
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", task="T-1", status="bidding")
        await bot.say(f"/task paint the shed to={OWNER}")
        await bot.until(kind="more", task="T-2", status="bidding")
        await bot.say("/bid T-2 5")
        await bot.say("/task paint the fence to=telegram:5 by=1h")
        await bot.until(kind="more", task="T-3", status="bidding")
        await bot.say("/bid T-3 5", acting_for="telegram:5")
        await bot.say("/deliver T-3 it is green", acting_for="telegram:5")
        await bot.until(kind="more", task="T-3", status="delivered")
        bot.hands.does["quill"] = RuntimeError("it broke")
        await bot.say("/task write a letter")
        await bot.ends("T-4")
        await bot.say("/every 2 hours /show T-99")
        bot.pass_time(7200)
        await bot.see(lambda: bot.rows("SELECT state FROM schedule_run") == [("failed",)], pace=0)
        await bot.app.store.write(_broken)
        await bot.app.hub.approvals.ask(
            "sing",
            "sing",
            "Sing?",
            asked_by="telegram:5",
            where="telegram:5",
            approvers=[OWNER],
            seconds=9999,
            key="sing",
        )
        bot.app.health.stuck = lambda: [Stuck("task", "T-9", "nobody moves it", "wait", "T-9")]
        found = await bot.say("/briefing")
        lines = found["text"].splitlines()
        assert lines[0].endswith(": 4 waiting for you, 1 done")
        shown = {line.split()[0]: line for line in lines if line[:2] in {"T-", "A-", "S-"}}
        assert "/award T-1 AGENT" in shown["T-1"]
        assert "/deliver T-2 RESULT" in shown["T-2"]
        assert "/accept T-3" in shown["T-3"]
        assert "failed" in shown["T-4"]
        assert "/approve A-1" in shown["A-1"]
        assert "failed" in shown["S-1"]
        assert "1 messages or events were given up; the log names each" in lines
        assert "T-9 is stuck: nobody moves it" in found["text"]
        assert found["data"]["troubles"] == ["T-9 is stuck: nobody moves it"]
        mine = bot.rows("SELECT * FROM briefing")
        bot.pass_time(1)
        theirs = await bot.say("/briefing", acting_for="telegram:5")
        assert theirs["data"].get("troubles") is None, "how the hub is, is the owners'"
        assert theirs["data"]["under_way"] == ["T-3"]
        assert theirs["data"]["schedules"] == [], "nor are their schedules"
        assert bot.rows("SELECT * FROM briefing") == mine, "what is tried out is told again to whom it is for"
        assert [reader for reader, *_ in mine] == [OWNER]


async def test_one_that_is_repeated_after_a_crash_tells_the_same(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        caller = await bot.app.hub.identities.caller(OWNER, private=True)
        for key, ended in (("one", ["T-1"]), ("one", ["T-1"]), ("another", [])):
            call = CommandCall("briefing", {}, caller, OWNER, key)
            assert (await bot.app.hub.briefings().brief(call, _words)).data["ended"] == ended


def _words(found: Briefing) -> Reply:
    return briefing(found, None, simulated=True)


def _broken(tx: UnitOfWork) -> None:
    tx.bury("notify", 1, "it broke")


async def test_in_a_group_it_tells_of_what_was_posted_there(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write in private")
        await bot.settled("T-1")
        await bot.say("/every 2 hours /show T-99")
        bot.pass_time(7200)
        await bot.see(lambda: bot.rows("SELECT state FROM schedule_run") == [("failed",)], pace=0)
        await bot.app.hub.approvals.ask(
            "sing", "sing", "Sing?", asked_by=OWNER, where=OWNER, approvers=[OWNER], seconds=99999, key="sing"
        )
        for number, line in enumerate(("/task write in a group", "/briefing")):
            message = Inbound("telegram", "x", str(number), "telegram:-100/7", OWNER, line, private=False, home=OWNER)
            await bot.app.dispatcher.receive(message)
            query = "SELECT 1 FROM outgoing WHERE cause = ?"
            await bot.see(partial(bot.rows, query, message.key), pace=0)
            await bot.see(lambda: bot.rows("SELECT status FROM task WHERE id = 2") == [("settled",)], pace=0)
        ((data,),) = bot.rows("SELECT body ->> 'data' FROM outgoing WHERE cause = 'telegram/x/1'")
        assert set(json.loads(data)) == {"ok", "news", "since", "ended_in_all", "under_way_in_all"}, (
            "no wallet, no approvals"
        )
        assert json.loads(data)["ended_in_all"] == 1
        assert bot.rows("SELECT reader FROM briefing") == [("telegram:-100/7",)], (
            "whoever asked there has read none of theirs"
        )


@pytest.mark.long
async def test_parts_have_ten_rows_and_what_is_late_is_said(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for _ in range(12):
            await bot.say("/task write a poem")
        for number in range(1, 13):
            await bot.settled(f"T-{number}")
        bot.hands.does["quill"] = asyncio.Event()
        await bot.say("/task write a long one by=1d")
        await bot.hands.at_work("T-13", "quill")
        told = await bot.say("/briefing")
        assert sum(" quill for 40 sats" in line for line in told["text"].splitlines()) == 10
        assert "… and 2 more: /tasks" in told["text"]
        assert "quill at it, done by" in told["text"]
        bot.pass_time(600)
        assert "quill at it, late: was due by" in (await bot.say("/briefing"))["text"]
