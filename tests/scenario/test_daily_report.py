"""The daily report of a whole hub: what it says, when, and that it is sent once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import pytest

from adapters.lightning.simulated_file import Fails
from bot.daily import Daily
from core.chat import Role
from core.wallet.lightning import NodeDown
from core.wallet.limits import DAY, HOUR
from tests.fakes import FakeClock
from tests.scenario.bot import balances, let_in, settings
from tests.scenario.test_payments import paying

if TYPE_CHECKING:
    from pathlib import Path

    from config.settings import Settings
    from tests.scenario.bot import Bot

ANN = "telegram:7"
BERLIN = 1_750_053_600_000
"""2025-06-16 at 8 o'clock in Berlin, Unix ms; a fake clock begins 15 hours before."""


def berlin(folder: Path) -> Settings:
    return settings(folder).model_copy(update={"timezone": "Europe/Berlin"})


def reports(bot: Bot, whom: str = "console:owner") -> list[Any]:
    query = "SELECT body ->> 'text' FROM outgoing WHERE body ->> '$.data.report' IS NOT NULL AND conversation = ? ORDER BY id"
    return [text for (text,) in bot.rows(query, whom)]


async def settle_down(bot: Bot) -> None:
    """Let the part that reports come to its rest again."""
    for _ in range(20):
        await bot.barrier()


async def test_the_money_of_a_day_is_told_at_eight_once_over_a_restart(tmp_path: Path) -> None:
    clock, found = FakeClock(), berlin(tmp_path)
    async with paying(tmp_path, clock, found=found) as (bot, node):
        await let_in(bot, ANN, Role.OWNER, "Ann")
        await bot.say(f"/pay {await node.outside_asks(300_000, 'a book', fee=1_000)}")
        asked = await bot.data("/invoice 500")
        await node.outside_pays(asked["bolt11"])
        await bot.until(kind="more", payment_hash=asked["payment_hash"])
        await bot.say("/treasury in 50")
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        clock.advance(BERLIN - clock.now() - 1)
        await settle_down(bot)
        assert reports(bot) == []
        clock.advance(1)
        (told,) = await bot.see(lambda: reports(bot), "the report", pace=0)
        head, span, *table, node_line, books = told.split("\n")
        assert head == "The money of the day (simulated sats)"
        assert span == "06-15 17:06 to 06-16 08:00"
        assert table == [
            "in        500 sats (invoices 500)",
            "out       301 sats (payments 301)",
            "inside    90 sats (work 40, in and out of the treasury 50)",
            "treasury  earned 40 sats (the hub's own agents 40), spent 0 sats; 90 sats free",
        ]
        assert node_line == "The node has what the books say: 1,000,199 simulated sats"
        assert books.startswith("The books balance: ")
        assert len(reports(bot, ANN)) == 1
    async with paying(tmp_path, clock, found=found) as (bot, _):
        clock.advance(HOUR)
        await settle_down(bot)
        assert len(reports(bot)) == 1
        clock.advance(DAY)
        await settle_down(bot)
        assert len(reports(bot)) == 1, "nothing moved, and nothing is wrong"


async def test_a_hub_that_was_off_reports_late_and_leaves_no_time_out(tmp_path: Path) -> None:
    clock, found = FakeClock(), berlin(tmp_path)
    async with paying(tmp_path, clock, found=found) as (bot, _):
        await bot.say("/treasury in 50")
    clock.advance(3 * DAY)
    async with paying(tmp_path, clock, found=found) as (bot, _):
        (told,) = await bot.see(lambda: reports(bot), "the report", pace=0)
        assert "06-15 17:06 to 06-18 08:00" in told
        assert "in and out of the treasury 50" in told
        await bot.say("/treasury out 20")
        clock.advance(DAY)
        _, second = await bot.see(lambda: (found := reports(bot))[1:] and found, "the next report", pace=0)
        assert "06-18 08:00 to 06-19 08:00" in second
        assert "in and out of the treasury 20" in second
        assert balances(bot.app.settings)["treasury"] == (30, 0)


async def test_what_is_wrong_is_told_though_nothing_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    async with paying(tmp_path, clock, found=berlin(tmp_path)) as (bot, node):
        await bot.post(f"/pay {await node.outside_asks(300_000, fails=Fails.HANGS)}")
        await bot.see(lambda: bot.rows("SELECT 1 FROM payment WHERE state = 'sending'"), "the payment")
        bot.pass_time(11)
        await bot.until(kind="reply")
        await bot.say("/limits day 310")
        await bot.say("/freeze")

        async def balance() -> int:
            raise NodeDown(backend="simulated", why="it is unplugged")

        monkeypatch.setattr(node, "balance", balance)
        clock.advance(BERLIN - clock.now())
        (told,) = await bot.see(lambda: reports(bot), "the report", pace=0)
        assert told.split("\n")[:6] == [
            "Something is wrong with the money (simulated sats)",
            f"The node was not compared with the books: {NodeDown(backend='simulated', why='it is unplugged')}",
            "1 payment of 303 sats did not end within an hour; the node is asked again and again",
            "The limit day is used: 303 of 310 sats in 24 hours",
            "Spending is frozen, 06-15 17:06 by console:owner. /unfreeze ends it",
            "06-15 17:06 to 06-16 08:00",
        ]
        assert "303 sats are set aside in 1 open hold" in told


async def test_a_node_that_has_less_than_the_books_say_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    async with paying(tmp_path, clock, found=berlin(tmp_path)) as (bot, node):

        async def balance() -> int:
            return 999_000_000

        monkeypatch.setattr(node, "balance", balance)
        monkeypatch.setattr("core.treasury.report.MOST_ENTRIES", 1)
        clock.advance(BERLIN - clock.now())
        (told,) = await bot.see(lambda: reports(bot), "the report", pace=0)
        assert "The node has 1,000,000 msat less than the books say. /reconcile says more" in told
        assert "timmy ledger verify does it" in told
        number = (await bot.data("/reconcile"))["comparison"]
        await bot.say(f"/reconcile book={number}")
        clock.advance(DAY)
        _, second = await bot.see(lambda: (found := reports(bot))[1:] and found, "the next report", pace=0)
        assert "The money of the day" in second
        assert "out       1,000 sats (nobody here asked for 1,000)" in second


class Looked(Exception):
    """The books are looked at after eight."""


async def test_eight_that_strikes_while_the_books_are_looked_at_is_not_missed() -> None:
    clock = FakeClock()

    class Striking:
        async def read(self, work: object) -> None:
            if clock.now() == BERLIN:
                raise Looked
            clock.advance(BERLIN - clock.now())

    store, nobody = cast("Any", Striking()), cast("Any", None)
    daily = Daily(store, clock, ZoneInfo("Europe/Berlin"), nobody, nobody, nobody, nobody, simulated=True)
    with pytest.raises(Looked):
        async with asyncio.timeout(1):
            await daily.run()
