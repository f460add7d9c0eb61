"""Who is told what, where and when: topics, places, quiet hours."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from bot.views_notices import together
from core.automation import notify
from core.automation.notify import Held
from core.automation.topics import CHANNEL, Notice, Topic, Wish
from core.chat import Button, Inbound, Reply
from core.events import Kind
from core.wallet.ledger import EXTERNAL, transfer, user_account
from tests.fakes import FakeClock
from tests.scenario.bot import OWNER, Hands, hub, let_in, settings

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from config.settings import Settings
    from core.wallet.ledger import Entry
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
        for line in (
            "/notify money on zone=UTC",
            "/notify quiet 22:00-07:00 to=phone",
            "/notify to=phone",
            "/notify zone=UTC",
        ):
            assert "/notify has no option" in (await bot.say(line))["text"], line
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


ANN, BOB, GROUP = "telegram:5", "telegram:6", "telegram:-100"


async def said(bot: Bot, who: str, text: str, where: str = "") -> dict[str, Any]:
    """Somebody says something on Telegram; the facts of the answer, and its text."""
    ((count,),) = bot.rows("SELECT count(*) FROM inbound")
    message = Inbound("telegram", "x", str(count), where or who, who, text, private=not where, home=who)
    await bot.app.dispatcher.receive(message)
    query = "SELECT body ->> 'data', body ->> 'text' FROM outgoing WHERE cause = ?"
    found = await bot.see(lambda: bot.rows(query, message.key), pace=0)
    return {**json.loads(found[0][0]), "text": found[0][1]}


async def everybody(bot: Bot) -> None:
    for who, role in ((ANN, "member"), (BOB, "operator")):
        await let_in(bot, who, role)
    await bot.app.hub.identities.refresh()


def came(bot: Bot, where: str) -> list[str]:
    """The first lines of what was told somewhere, of no command's."""
    query = "SELECT body ->> 'text' FROM outgoing WHERE cause IS NULL AND conversation = ? ORDER BY id"
    return [str(text).split("\n")[0] for (text,) in bot.rows(query, where)]


async def test_in_a_group_an_operator_has_bids_told_and_nobody_has_what_is_private(tmp_path: Path) -> None:
    async with hub(tmp_path, auction={"window": 60}) as bot:
        await everybody(bot)
        assert (await said(bot, ANN, "/notify bids on", GROUP))["error"] == "not_allowed"
        assert (await said(bot, BOB, "/notify money on", GROUP))["error"] == "not_in_groups"
        assert (await said(bot, BOB, "/notify health on", GROUP))["error"] == "not_allowed"
        assert (await said(bot, BOB, "/notify bids on", GROUP))["ok"]
        assert (await said(bot, ANN, "/notify", GROUP))["text"].startswith("Told here: bids.")
        await bot.app.store.write(lambda tx: tx.ledger.append(_grant(ANN)))
        await said(bot, ANN, "/task write a poem", f"{GROUP}/7")
        await bot.see(lambda: came(bot, GROUP) == ["T-1 is up for bids, for 60 s"], pace=0)
        assert (await said(bot, BOB, "/bid T-1 3"))["ok"]
        bot.pass_time(61)
        await bot.see(lambda: any("T-1 is yours for 3 sats" in line for line in came(bot, BOB)), pace=0)
        assert (await said(bot, ANN, "/notify bids off", GROUP))["ok"], "anybody may end what a group is told"
        assert (await said(bot, ANN, "/notify", GROUP))["told"] == {}
        await said(bot, ANN, "/task write another", GROUP)
        await bot.see(lambda: any("T-2 settled" in line for line in came(bot, GROUP)), pace=0)


async def test_who_wants_to_bid_is_told_of_what_people_can_bid_on_but_not_of_their_own(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await everybody(bot)
        for who in (ANN, BOB):
            await said(bot, who, "/notify bids on")
        await bot.app.store.write(lambda tx: tx.ledger.append(_grant(ANN)))
        await said(bot, ANN, "/task write a poem pick=ask by=2h")
        await bot.see(lambda: came(bot, BOB) == ["T-1 is up for bids, for 2 h"], pace=0)
        await said(bot, ANN, f"/task paint the shed to={BOB}")
        await bot.see(lambda: len(came(bot, BOB)) == 2, pace=0)
        assert came(bot, BOB)[1] == "T-2 is up for bids by telegram:6, for 24 h"
        assert not [line for line in came(bot, ANN) if "is up for bids" in line]
        await said(bot, BOB, "/notify bids off")
        await said(bot, ANN, f"/task paint the fence to={BOB}")
        await said(bot, ANN, "/task sing to=telegram:999")
        await bot.see(lambda: any("T-4 waits for a bid" in line for line in came(bot, ANN)), pace=0)
        assert len(came(bot, BOB)) == 2, "who wants to hear of none hears of none"
        assert came(bot, "telegram:999") == [], "nor does who has no role here"
        assert (await said(bot, BOB, "/notify"))["text"].count("nowhere") == 0


def _grant(who: str) -> Entry:
    return transfer(f"to {who}", "grant", EXTERNAL, user_account(who), 900_000, task=None, actor="hub", reason="")


@pytest.mark.long
async def test_what_follows_from_what_is_done_in_quiet_hours_is_not_held(tmp_path: Path) -> None:
    clock, hands = FakeClock(at(2026, 6, 1, 21, 0)), Hands()
    async with hub(tmp_path, clock=clock, found=in_berlin(tmp_path), hands=hands) as bot:
        await bot.say("/notify quiet 22:00-07:00")
        gate = hands.does["quill"] = asyncio.Event()
        await bot.say("/task write the first by=1d")
        await hands.at_work("T-1", "quill")
        bot.pass_time(3660)
        await bot.say("/notify tasks on")
        gate.set()
        await bot.see(lambda: bot.rows("SELECT place FROM held_notice") == [("console:owner",)], pace=0)
        await bot.say("/task write the second")
        await bot.settled("T-2")
        assert "more" not in bot.kinds()
        assert "what waited is told now" in (await bot.say("/notify quiet off"))["text"]
        await bot.settled("T-1")


async def test_ones_tasks_are_told_at_home_too_wherever_they_were_posted(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await everybody(bot)
        await said(bot, ANN, "/notify tasks on")
        await bot.app.store.write(lambda tx: tx.ledger.append(_grant(ANN)))
        await said(bot, ANN, "/task write a poem", GROUP)
        await bot.see(lambda: came(bot, ANN) and came(bot, GROUP), pace=0)
        assert came(bot, ANN) == came(bot, GROUP) == ["T-1 settled: quill was paid 40 sats"]
        assert (await said(bot, ANN, "/notify"))["told"]["tasks"] == [ANN]
        await said(bot, ANN, "/notify tasks off")
        await said(bot, ANN, "/task write another", GROUP)
        await bot.see(lambda: len(came(bot, GROUP)) == 2, pace=0)
        assert len(came(bot, ANN)) == 1


async def test_an_owner_is_silent_where_another_hears(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for who in (ANN, BOB):
            await let_in(bot, who, "owner")
        await bot.app.hub.identities.refresh()
        assert (await said(bot, ANN, "/notify health off"))["ok"]
        assert (await said(bot, BOB, "/notify health off"))["error"] == "nobody_else_hears"
        assert (await said(bot, BOB, "/notify health on", GROUP))["ok"]
        assert (await said(bot, BOB, "/notify health off"))["ok"]
        await bot.app.watch._tell("matrix", Kind.SURFACE_DOWN, "matrix is down.")
        assert (came(bot, ANN), came(bot, BOB), came(bot, GROUP)) == ([], [], ["matrix is down."])
        await bot.app.watch._tell("telegram", Kind.SURFACE_DOWN, "telegram is down.")
        assert came(bot, GROUP) == ["matrix is down."], "nobody is told of a surface on it"
        assert (await said(bot, ANN, "/notify"))["told"]["health"] == ["console:owner", GROUP]


@pytest.mark.long
async def test_the_wish_of_a_former_owner_is_nobody_elses_ear(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for who in (ANN, BOB):
            await let_in(bot, who, "owner")
        await bot.app.hub.identities.refresh()
        await said(bot, ANN, "/notify health on", GROUP)
        await bot.say(f"/unpair {ANN}")
        assert (await said(bot, BOB, "/notify health off"))["error"] == "nobody_else_hears"


@pytest.mark.long
async def test_ones_own_task_is_called_out_in_no_channel_of_ones_own(tmp_path: Path) -> None:
    channel = f"{CHANNEL}phone"
    async with hub(tmp_path) as bot:
        notices = bot.app.hub.notices
        notices._channels = frozenset({"phone"})
        await bot.app.store.write(lambda tx: tx.notices.wish(Wish(Topic.BIDS, channel, OWNER, on=True), tx.now))
        await notices.load()
        for who, told in ((OWNER, []), (BOB, [channel])):
            but = {who}
            called = await bot.app.store.write(lambda tx, but=but: notices.call_for_bids(tx, Reply("bid"), but=but))  # type: ignore[misc]
            assert [one.conversation for one in called] == told


@pytest.mark.long
async def test_a_notice_of_a_surface_waits_for_a_group_over_a_start(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await said(bot, "console:owner", "/notify health on", GROUP)
        await bot.app.watch._tell("console", Kind.SURFACE_DOWN, "the console is deaf.")
        assert came(bot, GROUP) == ["the console is deaf."]
    async with hub(tmp_path) as bot:
        assert came(bot, GROUP) == ["the console is deaf."]


async def test_a_wish_goes_with_the_role_of_whoever_had_it(tmp_path: Path) -> None:
    async with hub(tmp_path, auction={"window": 60}) as bot:
        await everybody(bot)
        await said(bot, BOB, "/notify bids on", GROUP)
        await said(bot, BOB, "/notify bids on")
        await bot.say(f"/unpair {BOB}")
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        assert not bot.app.hub.notices.asked_to_bid(GROUP)
        assert came(bot, BOB) == came(bot, GROUP) == []


def test_many_are_listed_ten_at_a_time_and_what_has_more_follows() -> None:
    replies = [Reply(f"line {number}") for number in range(12)]
    replies[3] = Reply("T-1 delivered\n\nthe whole result", buttons=(Button("Accept", "/accept T-1"),))
    replies[4] = Reply("x" * 300)
    told = together([Held("telegram:5", at(2026, 6, 1, 23, 0), reply) for reply in replies], BERLIN)
    first, second, *whole = told
    assert first.text.splitlines()[0] == "12 messages came while it was quiet"
    assert len(first.text.splitlines()) == 11
    assert second.text.splitlines() == ["and", "23:00  line 10", "23:00  line 11"]
    assert whole == [replies[3], replies[4]], "with buttons, or longer than its line"
    assert together([Held("telegram:5", 0, replies[3])], BERLIN) == [replies[3]], "one alone is told as it is"


async def test_a_group_that_is_called_otherwise_keeps_what_it_is_told(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await everybody(bot)
        await said(bot, BOB, "/notify bids on", GROUP)
        await bot.app.store.write(lambda tx: tx.messages.move("telegram", "-100", "-200", tx.now))
        bot.pass_time(900)
        await bot.see(lambda: bot.app.hub.notices.asked_to_bid("telegram:-200"), pace=0)
        assert not bot.app.hub.notices.asked_to_bid(GROUP)


@pytest.mark.long
async def test_what_people_set_up_who_left_is_forgotten_after_90_days_unless_they_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "LOOK_MS", 10**12)  # nothing else has memory read again
    days = 86_400
    whose = (
        "SELECT actor FROM notice_wish UNION ALL SELECT person FROM quiet_hours UNION ALL SELECT actor FROM schedule"
    )
    async with hub(tmp_path) as bot:
        await everybody(bot)
        for who in (ANN, BOB):
            for line in ("/notify tasks on", "/notify quiet 22:00-07:00", "/every month /status"):
                assert (await said(bot, who, line))["ok"]
        await bot.say(f"/unpair {ANN}")
        await bot.see(lambda: bot.rows("SELECT actor FROM absent") == [(ANN,)], "that she left", pace=60)
        await let_in(bot, ANN, "member")
        await bot.say(f"/unpair {BOB}")
        await bot.see(
            lambda: bot.rows("SELECT actor FROM absent") == [(BOB,)], "that he left, and she came back", pace=60
        )
        bot.pass_time(88 * days)
        await bot.see(lambda: bot.rows("SELECT state FROM schedule") == [("active",), ("paused",)], pace=0)
        assert len(bot.rows(whose)) == 6
        bot.pass_time(3 * days)
        await bot.see(lambda: bot.rows(whose) == [(ANN,)] * 3, pace=60)
        await bot.see(lambda: bot.rows("SELECT actor FROM absent") == [], pace=60)
        notices = bot.app.hub.notices
        await bot.see(lambda: set(notices._hours) == {ANN}, "that memory has what the rows have", pace=0)
        assert [notices.wanted_in(who) for who in (ANN, BOB)] == [True, False]


async def test_a_group_is_told_whoever_wanted_it_there_and_is_quiet_now(tmp_path: Path) -> None:
    async with hub(tmp_path, auction={"window": 60}) as bot:
        await everybody(bot)
        await said(bot, BOB, "/notify bids on", GROUP)
        await said(bot, BOB, "/notify bids on")
        await said(bot, BOB, "/notify quiet 15:00-17:00 zone=UTC")
        bot.pass_time(1)
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        assert came(bot, GROUP) == ["T-1 is up for bids, for 24 h"]
        assert came(bot, BOB) == []
        assert (await said(bot, BOB, "/notify"))["waiting"] == 1


@pytest.mark.long
async def test_quiet_hours_in_a_zone_that_is_no_more_are_by_the_hubs_clock(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/notify quiet 15:00-17:00 zone=Europe/Berlin")
        await bot.app.store.write(
            lambda tx: tx._connection.execute("UPDATE quiet_hours SET zone = 'Atlantis/Old_Town'").rowcount
        )
        await bot.app.hub.notices.load()
        await told(bot, Topic.MONEY, "in the afternoon")
        standing = await bot.say("/notify")
        assert standing["data"]["waiting"] == 1
        assert (
            "quiet hours: 15:00-17:00 Atlantis/Old_Town (not known here any more: the hub's zone counts), 1 waiting"
            in standing["text"]
        )
        bot.pass_time(2 * 3600)
        await bot.until(text="in the afternoon")
