"""Who is told what, where and when: topics, places, quiet hours."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from core.automation.topics import Notice, Topic
from core.chat import Reply
from tests.fakes import FakeClock
from tests.scenario.bot import hub, let_in, settings

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from config.settings import Settings
    from tests.scenario.bot import Bot

BERLIN = ZoneInfo("Europe/Berlin")


def at(*when: int) -> int:
    """A wall clock's time in Berlin, Unix ms."""
    year, month, day, hour, minute = when
    return round(datetime(year, month, day, hour, minute, tzinfo=BERLIN).timestamp() * 1000)


def in_berlin(folder: Path) -> Settings:
    return settings(folder).model_copy(update={"timezone": "Europe/Berlin"})


async def told(bot: Bot, topic: Topic, words: str, **more: Any) -> None:
    """The hub tells its owner something, as any part of it does."""
    notices = bot.app.hub.notices

    def work(tx: UnitOfWork) -> list[Any]:
        return notices.tell(tx, Notice(topic, Reply(words), {"console:owner"}, **more))

    for message in await bot.app.store.write(work):
        bot.app.delivery.send(message)


async def test_what_comes_in_quiet_hours_is_told_together_at_their_end(tmp_path: Path) -> None:
    clock = FakeClock(at(2026, 3, 28, 21, 50))
    async with hub(tmp_path, clock=clock, found=in_berlin(tmp_path)) as bot:
        assert (await bot.data("/notify quiet 22:00-07:00"))["quiet"] == "22:00-07:00"
        await told(bot, Topic.MONEY, "before")
        await bot.until(text="before")
        clock.advance(20 * 60_000)
        await told(bot, Topic.MONEY, "the first")
        await told(bot, Topic.MONEY, "the second\nand more of it")
        await told(bot, Topic.SECURITY, "a warning")
        await bot.until(text="a warning")
        assert (await bot.data("/notify"))["waiting"] == 2
        clock.advance(at(2026, 3, 29, 6, 59) - clock.now())
        assert (await bot.data("/notify"))["waiting"] == 2, "the night was an hour shorter"
        clock.advance(60_000)
        listed = await bot.until(text="2 messages came while it was quiet")
        assert "22:10  the first" in listed["text"]
        assert (await bot.until(text="and more of it"))["text"].startswith("the second")
        assert (await bot.data("/notify"))["waiting"] == 0


async def test_a_topic_is_turned_off_at_home_and_on_again(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/notify report off")
        await told(bot, Topic.REPORT, "nobody reads this")
        await bot.barrier()
        assert "more" not in bot.kinds()
        assert (await bot.data("/notify"))["told"]["report"] == []
        await bot.say("/notify report on")
        await told(bot, Topic.REPORT, "the owner reads this")
        await bot.until(text="the owner reads this")
        assert bot.rows("SELECT * FROM notice_wish") == [], "it is as if nothing had been said"


async def test_what_nobody_must_miss_is_not_turned_off(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        assert "must not go unseen" in (await bot.say("/notify security off"))["text"]
        assert "no other owner would be told" in (await bot.say("/notify health off"))["text"]
        assert "Approvals asked of you" in (await bot.say("/notify approvals off"))["text"]
        assert (await bot.data("/notify tasks off"))["ok"], "what becomes of a task is told where it was posted"
        assert "not one of on or off" in (await bot.say("/notify money 22:00-07:00"))["text"]
        assert "no quiet hours" in (await bot.say("/notify quiet 25:00-07:00"))["text"]
        assert "no time zone" in (await bot.say("/notify quiet 22:00-07:00 zone=Mars/Olympus"))["text"]
        assert "no channel 'phone'. TIMMY_NOTIFY_CHANNELS" in (await bot.say("/notify money on to=phone"))["text"]
        assert bot.rows("SELECT topic FROM notice_wish UNION SELECT person FROM quiet_hours") == []


async def test_where_people_asked_to_bid_the_bidding_lasts_and_they_win(tmp_path: Path) -> None:
    async with hub(tmp_path, auction={"window": 60}) as bot:
        await let_in(bot, "telegram:5", "member")
        await bot.app.hub.identities.refresh()
        await bot.say("/task write the first")
        await bot.settled("T-1")
        assert "takes bids for its whole time" in (await bot.say("/notify bids on"))["text"]
        await bot.say("/task write the second")
        assert (await bot.data("/show T-2"))["status"] == "bidding"
        await bot.say("/bid T-2 3", acting_for="telegram:5")
        bot.pass_time(61)
        won = await bot.until(kind="more", task="T-2", status="awarded")
        assert won["data"]["winner"] == "telegram:5"
        await bot.say("/notify bids off")
        await bot.say("/task write the third")
        await bot.settled("T-3")
