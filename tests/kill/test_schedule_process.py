"""`kill -9` of a real hub before, at and after a time that somebody planned: it is run once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.kill.hub_process import hub_process

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.timeout(120), pytest.mark.long]


async def test_a_task_that_was_planned_is_posted_once_whenever_the_hub_is_killed(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "http://127.0.0.1:9") as hub:
        await hub.say("/at in 2 seconds /task report on this machine")
        await hub.say("/at in 3 seconds remind me to look")
        await hub.again()
        async with asyncio.timeout(20):
            while not (await hub.data_of("/tasks"))["tasks"]:  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.05)  # noqa: TID251 - it is another process
        await hub.again()
        await hub.reaches("T-1", "settled")
        async with asyncio.timeout(20):
            while (await hub.data_of("/schedules"))["schedules"]:
                await hub.again()
        assert [one["task"] for one in (await hub.data_of("/tasks"))["tasks"]] == ["T-1"]
        assert (await hub.data_of("/balance"))["balance_sats"] == 10_000 - 30
        assert "The books balance" in await hub.timmy("ledger", "verify")
