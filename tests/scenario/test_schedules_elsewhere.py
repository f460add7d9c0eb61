"""Schedules of people on Telegram, of a phone, and of who is one with whom: where they answer, and whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scenario.bot import OWNER
from tests.scenario.shortcuts import phone_and_hub
from tests.scenario.telegram import ANN, GROUP, OLGA, on_telegram

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telegram_server import TelegramServer

HOUR = 3600


@pytest.mark.long
async def test_a_group_is_answered_in_its_topic_and_money_in_private(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        forum = server.group(GROUP, "Forum", forum=True, members=(ANN, OLGA))
        topic = server.topic(forum, "Mornings")
        made = await talk.says(forum, OLGA, "/every hour /agents", thread=topic)
        assert (made.thread, made.text.startswith("S-1 is planned")) == (topic, True)
        await talk.says(forum, OLGA, "/every hour /balance", thread=topic)
        await talk.says(talk.ann, ANN, "/every hour remind me to blink")
        refused = await talk.says(forum, ANN, "/every hour /agents", thread=topic)
        assert refused.text.startswith("You may not have something done at times where others read it")
        talk.bot.pass_time(HOUR)
        assert (await talk.told(forum, "agents can take work now")).thread == topic
        assert (await talk.told(forum, "I answered you in private", after=made.id)).thread == topic
        assert "sats" in (await talk.told(talk.olga, "S-2, every hour")).text
        assert (await talk.told(talk.ann, "Reminder: blink")).text.endswith("S-3, every hour")


@pytest.mark.long
async def test_a_group_that_moves_takes_its_schedules_along(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.group, OLGA, "/every hour /agents")
        moved = server.migrate(talk.group, GROUP - 1)
        await talk.says(moved, OLGA, "/whoami")
        assert talk.rows("SELECT conversation FROM schedule") == [(f"telegram:{GROUP - 1}",)]
        talk.bot.pass_time(HOUR)
        await talk.told(moved, "agents can take work now")


@pytest.mark.long
async def test_a_button_ends_it(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        made = await talk.says(talk.olga, OLGA, "/every hour /agents")
        server.tap(made, "End it", OLGA)
        await talk.told(talk.olga, "S-1 is ended: every hour: /agents.")


@pytest.mark.long
async def test_who_is_linked_has_the_same_schedules_here_and_there(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.olga, OLGA, "/every hour /agents")
        assert [one["schedule"] for one in (await talk.bot.data("/schedules"))["schedules"]] == ["S-1"]
        assert (await talk.bot.data("/unschedule S-1"))["ok"]


@pytest.mark.long
async def test_what_a_phone_plans_is_tapped_at_home_and_runs_there(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        asked = await phone.chat("every morning at eight show the agents")
        assert "Nothing is done until you tap Approve there" in asked["text"]
        assert bot.rows("SELECT count(*) FROM schedule") == [(0,)]
        assert "S-1 is planned: every morning at eight" in (await bot.say("/approve A-1"))["text"]
        assert bot.rows("SELECT actor, conversation, private FROM schedule") == [(OWNER, OWNER, 1)]
        bot.pass_time(24 * HOUR)
        assert "agents can take work now" in (await bot.until(kind="more", text="S-1"))["text"]
