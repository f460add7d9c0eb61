"""Schedules, from the line that makes one to what comes back when its time has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.scenario.bot import hub

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600


async def test_a_command_is_run_each_time_it_comes_round(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        made = await bot.say("/every 2 hours /agents")
        assert made["text"] == (
            "S-1: Every 2 hours, first at Sun 15 Jun 2025 17:06 (Etc/UTC): /agents\n/unschedule S-1 ends it."
        )
        for _ in range(2):
            bot.pass_time(2 * HOUR)
            told = await bot.until(kind="more")
            assert told["text"].startswith("2 of 2 agents can take work now\n")
            assert told["text"].endswith("\n\nS-1, every 2 hours")
        assert bot.rows("SELECT due, state FROM schedule_run ORDER BY due") == [
            (1750007200000, "done"), (1750014400000, "done"),
        ]  # fmt: skip
        (listed,) = (await bot.data("/schedules"))["schedules"]
        assert listed == {
            "schedule": "S-1", "state": "active", "when": "every 2 hours", "what": "command", "command": "/agents",
            "next": 1750021600000, "zone": "Etc/UTC", "last": "done",
        }  # fmt: skip
        ended = await bot.say("/unschedule s1")
        assert (
            ended["text"] == "S-1 is ended: every 2 hours: /agents. It would have come round at Sun 15 Jun 2025 21:06."
        )
        bot.pass_time(9 * HOUR)
        await bot.barrier()
        assert "more" not in bot.kinds()
