"""Spark in a hub: each task is foreseen with its post and learned from once it is over; what can be done better is told once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from bot.views_spark import ENOUGH
from core.events import Event, Kind
from core.spark.spark import AT_ONCE, Spark
from core.swarm.persona import Persona
from tests.fakes import FakeClock
from tests.scenario.bot import Hands, hub

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.spark.record import Record
    from tests.scenario.bot import Bot


class Fault(Exception):
    """A test's own."""


def record(bot: Bot) -> Record:
    return bot.app.hub.spark.insight(bot.clock.now(), bool).record


async def scored(bot: Bot, ends: int) -> Record:
    """The record once so many forecasts are in it."""
    await bot.see(lambda: record(bot).ends >= ends, f"{ends} scored", pace=0)
    assert record(bot).ends == ends
    return record(bot)


async def do(bot: Bot, *lines: str) -> None:
    """Tasks, one after the other, each to its end and learned from."""
    for line in lines:
        before = record(bot).ends
        task = (await bot.data(line))["task"]
        await bot.ends(task)
        await scored(bot, before + 1)


async def test_a_task_is_foreseen_with_its_post_and_scored_when_it_is_over(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(asks={"quill": 40, "echo": 400})) as bot:
        said = await bot.data("/task write a poem max=100")
        assert bot.rows("SELECT task, field, odds, price_low FROM forecast") == [(1, "writing", '{"quill":1.0}', None)]
        assert said["task"] == "T-1"
        await bot.settled("T-1")
        found = await scored(bot, 1)
        assert (found.winners, found.prices) == (0, 0), "there was nothing to choose, and no price was known"
        bot.hands.asks["echo"] = 60
        await do(bot, *["/task write a poem max=100"] * 9)
        told = await bot.say("/show T-10")
        assert told["data"]["forecast"]["odds"].keys() == {"quill", "echo"}
        assert told["data"]["forecast"]["done"] > 0.8
        low, high = told["data"]["forecast"]["price_sats"]
        assert low <= 40 <= high <= 100
        assert "foreseen: quill " in told["text"]
        assert "; done 100%; " in told["text"]
        assert (record(bot).winners, record(bot).prices, record(bot).ends) == (9, 9, 10)


@pytest.mark.parametrize(
    "line", ["/task write a poem pick=ask", "/task write a poem to=console:owner"], ids=["picked", "a person's"]
)
async def test_people_are_not_judged(tmp_path: Path, line: str) -> None:
    async with hub(tmp_path) as bot:
        await bot.say(line)
        assert bot.rows("SELECT count(*) FROM forecast") == [(0,)]
        assert "foreseen" not in (await bot.say("/show T-1"))["text"]


async def test_what_was_called_off_teaches_nothing_and_what_nobody_finished_does(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/cancel T-1")
        bot.hands.does = {"quill": Fault(), "echo": Fault()}
        await do(bot, "/task write a poem")
        (known,) = bot.app.hub.spark._fields.values()
        assert [(name, one.last) for name, one in known.seen.items()] == [("quill", "0"), ("echo", "0")]
        assert (known.ended, known.settled, known.found, known.whole.last) == (1, 0, "1", "00")


async def test_a_start_goes_on_from_what_was_known_and_learns_nothing_twice(tmp_path: Path) -> None:
    clock = FakeClock()
    async with hub(tmp_path, clock=clock) as bot:
        await do(bot, *["/task write a poem"] * 3)
        before = bot.app.hub.spark._fields
    async with hub(tmp_path, clock=clock) as bot:
        assert bot.app.hub.spark._fields == before
        await do(bot, "/task write a poem")
        (known,) = bot.app.hub.spark._fields.values()
        assert known.ended == 4


async def test_what_did_not_become_durable_was_not_learned(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        spark = bot.app.hub.spark
        await do(bot, "/task write a poem")

        def broken(tx: UnitOfWork) -> None:
            spark(tx, [Event(Kind.TASK_SETTLED, task=1)])
            raise Fault

        with pytest.raises(Fault):
            await bot.app.store.write(broken)
        assert record(bot).ends == 1
        await bot.app.store.write(lambda tx: spark(tx, [Event(Kind.TASK_POSTED)]))
        spark.durable()
        await do(bot, "/task write a poem")


@pytest.mark.long
async def test_what_cannot_be_read_is_learned_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    async with hub(tmp_path, clock=clock) as bot:
        await do(bot, "/task write a poem", "/task find a poem to=echo")

        def work(tx: UnitOfWork) -> None:
            tx._connection.execute("UPDATE spark_field SET known = '[1, 2]' WHERE field = 'writing'")

        await bot.app.store.write(work)
    with caplog.at_level(logging.CRITICAL):
        async with hub(tmp_path, clock=clock) as bot:
            assert list(bot.app.hub.spark._fields) == ["research"]
            await do(bot, "/task write a poem")


async def test_after_a_fault_it_begins_with_what_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it wrote last was written, and it was not told so."""
    async with hub(tmp_path) as bot:
        with caplog.at_level(logging.CRITICAL), monkeypatch.context() as patch:
            patch.setattr(Spark, "durable", _broken)
            await bot.data("/task write a poem")
            await bot.settled("T-1")
            await bot.see(lambda: bot.app.health.parts["spark"].restarts, "that it broke off", pace=0)
        await bot.see(lambda: record(bot).ends, "that it goes on", pace=1)
        await do(bot, "/task write a poem")


def _broken(_: Spark) -> None:
    raise Fault


async def test_advice_is_told_once_in_each_conversation(tmp_path: Path) -> None:
    clock = FakeClock()
    hands = Hands(asks={"quill": 20, "echo": 30}, does={"quill": Fault()})
    async with hub(tmp_path, hands=hands, clock=clock) as bot:
        first = await bot.say("/spark")
        assert first["text"].startswith("No forecast was scored yet")
        await do(bot, *["/task write a poem"] * 6)
        told = await bot.say("/spark")
        assert told["text"].startswith("Not enough yet: 6 of 20 forecasts")
        assert "quill did not finish 5 of its last 5 tasks in writing; " in told["text"]
        (one,) = told["data"]["advice"]
        assert (one["topic"], one["field"], one["agent"], one["new"]) == ("fails", "writing", "quill", True)
        again = await bot.say("/spark")
        assert "quill" not in again["text"]
        assert again["text"].endswith("1 word of advice stands that you were told before; the status page has all")
        assert [one["new"] for one in again["data"]["advice"]] == [False]
        async with bot.another() as other:
            assert "quill" not in (await other.say("/spark"))["text"], "it is the same conversation"
        there = await bot.app.hub.spark.tell("telegram:7", bot.clock.now(), bool)
        assert [word.advice.agent for word in there.new] == ["quill"], "and another one is told too"
        await do(bot, *["/task write a poem"] * (ENOUGH - 6))
        table = (await bot.say("/spark"))["text"].splitlines()
        assert table[0] == "20 forecasts scored"
        assert [line.split()[0] for line in table[2:5]] == ["winner", "done", "price"]
    async with hub(tmp_path, hands=hands, clock=clock) as bot:
        assert "quill" not in (await bot.say("/spark"))["text"], "nor after a start"
        await bot.say("/dismiss quill")
        assert "Nothing that needs your attention" in (await bot.say("/spark"))["text"], "nobody can turn to it"


async def test_advice_ends_with_what_it_is_about(tmp_path: Path) -> None:
    hands = Hands(asks={"quill": 20, "echo": 30}, does={"quill": Fault()})
    async with hub(tmp_path, hands=hands) as bot:
        await do(bot, *["/task write a poem to=quill"] * 5)
        assert bot.rows("SELECT topic, agent, level FROM spark_advice ORDER BY id") == [("fails", "quill", 2)]
        hands.does = {}
        await do(bot, *["/task write a poem to=quill"] * 9)
        assert bot.rows("SELECT count(*) FROM spark_advice") == [(0,)]
        assert (await bot.data("/spark"))["advice"] == []


@pytest.mark.long
async def test_advice_about_whoever_is_away_is_told_when_they_are_back(tmp_path: Path) -> None:
    hands = Hands(asks={"quill": 20, "echo": 400}, does={"quill": Fault()})
    async with hub(tmp_path, hands=hands) as bot:
        await do(bot, *["/task write a poem to=quill"] * 5, *["/task find a poem max=100 to=echo"] * 5)
        told = []
        for here in ({"echo"}, {"quill"}, {"quill", "echo"}):
            said = await bot.app.hub.spark.tell("telegram:7", bot.clock.now(), here.__contains__)
            told.append(([word.advice.topic for word in said.new], said.more, said.old))
        assert told == [(["nobody"], 0, 0), (["fails"], 0, 1), ([], 0, 2)]


@pytest.mark.long
async def test_no_more_than_a_few_are_told_at_once_and_none_is_lost(tmp_path: Path) -> None:
    fields = [f"craft{number}" for number in range(AT_ONCE + 2)]
    personas = [Persona(f"p{field}", field, (field,), 20, (field,)) for field in fields]
    async with hub(tmp_path, personas=personas, hands=Hands(asks={one.name: 400 for one in personas})) as bot:
        await do(bot, *(f"/task {field} max=100" for field in fields for _ in range(5)))
        first, second, third = [(await bot.say("/spark"))["text"] for _ in range(3)]
        assert first.count("found nobody") == AT_ONCE
        assert first.endswith("2 more: /spark")
        assert second.count("found nobody") == 2
        assert not {line for line in first.splitlines() if "nobody" in line} & set(second.splitlines())
        assert third.endswith(f"{AT_ONCE + 2} words of advice stand that you were told before; the status page has all")
        bot.pass_time(40 * 24 * 3600)
        assert "nobody" not in (await bot.say("/spark"))["text"], "that was long ago"
