"""Schedules, from the line that makes one to what comes back when its time has come, and all that may come between."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bot import scheduling, views
from core.automation import schedules
from core.automation.schedule import UnknownZone
from core.automation.when import read_line
from core.chat import CommandCall, Inbound, Reply, Role
from core.swarm.stuck import KINDS
from tests.depth import first
from tests.fakes import EPOCH, FakeClock
from tests.kill.story import Parrot
from tests.scenario.bot import OWNER, hub, let_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.agent.model import ChatMessage
    from tests.scenario.bot import Bot

MINUTE, HOUR, DAY = 60, 3600, 86400
RUNS = "SELECT schedule, (due - 1750000000000) / 60000, state FROM schedule_run ORDER BY schedule, due"


async def said_by(bot: Bot, actor: str, text: str, *, private: bool = True, where: str = "") -> dict[str, Any]:
    """What somebody else is answered, in private or in a place that others read."""
    number = len(bot.rows("SELECT id FROM inbound"))
    message = Inbound(
        "console", "another", str(number), where or f"console:{actor}", actor, text, private=private, name=actor
    )
    await bot.app.dispatcher.receive(message)
    return await bot.until(kind="more")


async def passed(bot: Bot, seconds: float) -> None:
    """Let time pass, and everything happen that it brings."""
    bot.pass_time(seconds)
    now = bot.clock.now()
    late = "SELECT (SELECT count(*) FROM schedule WHERE state = 'active' AND due <= ?)"
    late += " + (SELECT count(*) FROM inbound WHERE done = 0 AND account GLOB 'schedule:*')"
    await bot.see(lambda: bot.rows(late, now) == [(0,)], "all that was due", pace=0)
    await bot.barrier()


def paused(name: str, why: str) -> str:
    """What is told of a schedule that may not go on."""
    return f"{name} is paused: {why}\n/schedules resume={name} lets it go on, /unschedule {name} ends it."


def told(bot: Bot) -> list[str]:
    """What came by itself and was not looked at yet."""
    found = [frame["text"] for frame in bot.unread if frame["kind"] == "more"]
    bot.unread.clear()
    return found


async def test_a_command_is_run_each_time_it_comes_round(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        made = await bot.say("/every 2 hours /agents", id="once")
        assert made["text"] == (
            "S-1 is planned: every 2 hours, first at Sun 15 Jun 2025 17:06 (Etc/UTC): /agents\n/unschedule S-1 ends it."
        )
        for _ in range(2):
            await passed(bot, 2 * HOUR)
            (answer,) = told(bot)
            assert answer.startswith("2 of 2 agents can take work now\n")
            assert answer.endswith("\n\nS-1, every 2 hours")
        assert bot.rows(RUNS) == [(1, 120, "done"), (1, 240, "done")]
        (listed,) = (await bot.data("/schedules"))["schedules"]
        assert listed == {
            "schedule": "S-1", "state": "active", "when": "every 2 hours", "what": "command", "command": "/agents",
            "next": 1750021600000, "zone": "Etc/UTC", "last": "done",
        }  # fmt: skip
        ended = await bot.say("/unschedule s1")
        assert ended["text"] == (
            "S-1 is ended: every 2 hours: /agents. It would have come round at Sun 15 Jun 2025 21:06."
        )
        assert (await bot.data("/unschedule S-1"))["error"] == "no_such_schedule"
        await passed(bot, 9 * HOUR)
        assert told(bot) == []
        assert (await bot.data("/schedules"))["schedules"] == []


async def test_a_reminder_comes_back_once_as_words_and_text_goes_to_the_agent(tmp_path: Path) -> None:
    async with hub(tmp_path, model=Parrot()) as bot:
        asked = await bot.say("remind me to water the plants")
        assert asked["text"] == (
            "When shall I remind you to water the plants? For example: remind me tomorrow at 9 to water the plants"
        )
        assert asked["data"] == {"ok": False, "error": "half_said"}
        await bot.say("/at in 10 minutes remind me to water the plants")
        await bot.say("/at in 20 minutes \u201cstand up\u201d")
        await bot.say("/at in 30 minutes what is up?")
        await passed(bot, 10 * MINUTE)
        assert told(bot) == ["Reminder: water the plants\n\nS-1"]
        await passed(bot, 10 * MINUTE)
        assert told(bot) == ["Reminder: stand up\n\nS-2"]
        await passed(bot, 10 * MINUTE)
        assert told(bot) == ["what is up?\n\nS-3"]
        assert bot.rows("SELECT state, due FROM schedule") == [("over", None)] * 3
        assert bot.rows("SELECT text FROM inbound WHERE account = 'schedule:3'") == [("/ask what is up?",)]


@pytest.mark.long
async def test_a_time_alone_is_of_the_reminder_that_was_just_asked_for_and_else_talk(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for first_words, time, meant in (
            ("remind me to call the bank", "in 1 minute", "/at in 1 minute remind me: call the bank"),
            ("remind me about the dentist.", "on monday at 8, please", "/at on monday at 8 remind me: the dentist"),
            ("wake me tomorrow", "at 7", "/at tomorrow at 7 remind me: wake up"),
            ("Timmy, can you remind me to call mum?", "7:30 please", "/at 7:30 remind me: call mum"),
            ("wake me tomorrow", "tomorrow at 9", "/at tomorrow at 9 remind me: wake up"),
        ):
            assert (await bot.data(first_words))["error"] == "half_said"
            asked = await bot.say(time)
            assert asked["text"] == f"Shall I do this? Yes or no:\n{meant}"
            assert "asks" not in await bot.data(time), "it was given its time"
        assert "wake you" in (await bot.say("wake me"))["text"]
        assert "tomorrow" in (await bot.say("tomorrow"))["text"]
        assert (await bot.data("7:30"))["asks"] == "/at tomorrow at 7:30 remind me: wake up"
        await bot.say("remind me to call the bank")
        bot.pass_time(601)
        assert "asks" not in await bot.data("in 1 minute"), "that was long ago"
        assert (await bot.data("every morning"))["error"] != "half_said"


@pytest.mark.long
async def test_what_a_schedule_says_for_somebody_is_not_taken_for_what_they_said_last(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/at in 1 minute /balance")
        await bot.say("remind me to call the bank")
        bot.pass_time(MINUTE)
        await bot.until(kind="more")
        assert (await bot.data("in 1 hour"))["asks"] == "/at in 1 hour remind me: call the bank"
        await bot.say("/at in 1 minute /balance")
        await bot.say("remind me in 1 hour to call mum")
        bot.pass_time(MINUTE)
        await bot.until(kind="more")
        assert (await bot.say("yes"))["text"].startswith("S-3 is planned")


@pytest.mark.long
async def test_free_text_with_a_time_is_asked_back_and_then_planned(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        asked = await bot.say("remind me in ten minutes to turn the oven off")
        assert asked["data"]["asks"] == "/at in ten minutes remind me: turn the oven off"
        await bot.say("yes")
        assert (await bot.say("please don't remind me in ten minutes to run"))["data"].get("asks") is None
        for phrase, error in (
            ("today at eight show my balance", "past_time"),
            ("every day at nine freeze the wallet", "not_allowed"),
        ):
            assert (await bot.data(phrase)) == {"ok": False, "error": error}, "it is not asked back first"
        assert (await bot.say("every morning at eight check my balance"))["data"]["asks"] == (
            "/every morning at eight /balance"
        )
        await bot.say("yes")
        await passed(bot, 10 * MINUTE)
        assert told(bot) == ["Reminder: turn the oven off\n\nS-1"]
        (listed,) = (await bot.data("show my schedules"))["schedules"]
        assert (listed["when"], listed["command"]) == ("every morning at eight", "/balance")


@pytest.mark.parametrize(
    ("line", "error"),
    first(
        1,
        [
            ("/every 5th monday of february /status", "not_for_years"),
            ("/at today at 8 /status", "past_time"), ("/every second /status", "too_frequent"),
            ("/every year on 30 february /status", "never_comes"), ("/at 2099-01-01 /status", "too_far"),
            ("/every day at 9 /pay telegram:5 10", "not_allowed"), ("/every day at 9 /every day at 9 /status", "not_allowed"),
            ("/every 30 seconds /status", "too_frequent"), ('/every "0 9 30 2 *" /status', "never_comes"),
            ('/every "* * * * * *" /status', "bad_cron"), ("/every day at 25:00 /status", "bad_tail"),
            ("/every 0s /status", "no_count"), ("/every day at 9:75 /status", "bad_tail"), ("/every banana /status", "unread_time"),
            ("/at 2027-02-29 /status", "never_comes"), ("/at every day /status", "repeats"),
            ("/every tomorrow at 9 /status", "comes_once"), ("/at tomorrow at nine", "nothing_to_run"),
            ("/every", "missing_argument"), ("/every day at 9 /nosuch", "unknown_command"),
            ("/every day at 9 /task", "missing_argument"), ("/every day at 9 in berlin /status", "command_inside"),
            ("/every day at 9 /approve A-1", "not_allowed"), ("/every day at 9 /deny A-1", "not_allowed"),
            ("/every day at 9 /pair ABCD2345", "not_allowed"), ("/every day at 9 /link", "not_allowed"),
            ("/every day at 9 /freeze", "not_allowed"), ("/every day at 9 /unfreeze", "not_allowed"),
            ("/every day at 9 /limits day off", "not_allowed"), ("/every day at 9 /treasury in 5", "not_allowed"),
            ("/every day at 9 /accept 1", "not_allowed"), ("/every day at 9 /unschedule S-1", "not_allowed"),
            ("/every day at 9 /schedules resume=S-1", "not_allowed"), ("/every day at 9 /stop", "not_allowed"),
            ("/every day at 9 /new", "not_allowed"), ("/every day at 9 /voice on", "not_allowed"),
            ("/every day at 9 /continue A-1", "not_allowed"), ("/every day at 9 /retry 1", "not_allowed"),
        ],
    ),
)  # fmt: skip
async def test_what_never_comes_or_may_never_be_is_refused_at_once(tmp_path: Path, line: str, error: str) -> None:
    async with hub(tmp_path) as bot:
        refused = await bot.say(line)
        assert refused["data"] == {"ok": False, "error": error}
        assert len(refused["text"]) > 30
        assert bot.rows("SELECT * FROM schedule") == []


@pytest.mark.long
async def test_a_task_that_a_schedule_posts_is_its_persons_and_recorded_as_the_schedules(tmp_path: Path) -> None:
    async with hub(tmp_path, model=Parrot()) as bot:
        assert (await bot.data("/at in 10 minutes /task write a letter model=-"))["error"] == "bad_model_name"
        await bot.say("/at in 10 minutes /task write a letter max=60 model=parrot")
        await passed(bot, 10 * MINUTE)
        assert (await bot.settled("T-1"))["data"]["model"] == "parrot:latest"
        assert bot.rows("SELECT requester, conversation FROM task") == [(OWNER, OWNER)]
        by = "SELECT data ->> 'by' FROM event WHERE kind = 'TaskPosted'"
        assert bot.rows(by) == [(f"{OWNER} via schedule:1",)]
        assert bot.rows("SELECT surface, account, update_id FROM inbound WHERE text GLOB '/task*'") == [
            ("console", "schedule:1", "1750000600000")
        ]


# What a hub that was off makes up for ---------------------------------------------------------------------------


async def test_what_comes_once_is_made_up_for_within_a_day_and_said_to_be_late(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/at in 10 minutes /status")
        await bot.say("/at in 10 minutes remind me to eat")
    async with hub(tmp_path, clock=FakeClock(EPOCH + 3 * HOUR * 1000)) as bot:
        await passed(bot, 0)
        answer, reminder = sorted(told(bot))
        assert reminder == "Reminder: eat\n\nS-2, 3 h late: it was due Sun 15 Jun 2025 15:16"
        assert answer.startswith("All parts are up")
        assert answer.endswith("\n\nS-1, 3 h late: it was due Sun 15 Jun 2025 15:16")
        assert bot.rows(RUNS) == [(1, 10, "done"), (2, 10, "done")]


@pytest.mark.parametrize(
    ("late", "said"),
    first(
        1,
        [
            (90, ", 90 s late: it was due Sun 15 Jun 2025 15:16"),
            (16, ", 16 s late: it was due Sun 15 Jun 2025 15:16"),
            (15, ""),
        ],
    ),
)
async def test_what_came_due_while_a_hub_was_off_for_a_moment_is_said_to_be_late_too(
    tmp_path: Path, late: int, said: str
) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/at in 10 minutes remind me to eat")
    async with hub(tmp_path, clock=FakeClock(EPOCH + (10 * MINUTE + late) * 1000)) as bot:
        await passed(bot, 0)
        assert told(bot) == [f"Reminder: eat\n\nS-1{said}"]


async def test_what_is_later_than_a_day_is_told_as_missed_and_not_run(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/at in 10 minutes /task write a letter")
        await bot.say("/every month on the 16th at 9 /status")
    async with hub(tmp_path, clock=FakeClock(EPOCH + 3 * DAY * 1000)) as bot:
        await passed(bot, 0)
        assert sorted(told(bot)) == [
            (
                "S-1 was missed: it was due Sun 15 Jun 2025 15:16, and the hub was off for more than a day after that.\n"
                "/task write a letter\nIt does not come round again."
            ),
            (
                "S-2 was missed: it was due Mon 16 Jun 2025 09:00, and the hub was off for more than a day after that.\n"
                "/status\nNext: Wed 16 Jul 2025 09:00."
            ),
        ]
        assert bot.rows("SELECT schedule, state FROM schedule_run ORDER BY schedule") == [(1, "missed"), (2, "missed")]
        assert bot.rows("SELECT count(*) FROM task") == [(0,)]


async def test_of_what_came_round_meanwhile_only_the_latest_is_run(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every 10 minutes remind me to stretch")
        await passed(bot, 10 * MINUTE)
        told(bot)
    async with hub(tmp_path, clock=FakeClock(EPOCH + 5 * DAY * 1000 + 7 * 60_000)) as bot:
        await passed(bot, 0)
        assert told(bot) == [
            (
                "Reminder: stretch\n\nS-1, every 10 minutes, 7 min late: it was due Fri 20 Jun 2025 15:06. What was due before"
                " that was left out"
            )
        ]
        await passed(bot, 3 * MINUTE)
        assert told(bot) == ["Reminder: stretch\n\nS-1, every 10 minutes"]
        assert bot.rows(RUNS) == [(1, 10, "done"), (1, 7200, "done"), (1, 7210, "done")]


@pytest.mark.parametrize(
    "rule",
    first(
        2,
        [
            "[]", '["wall", "99", "9", "*", "*", "*", false]', "garbage", '["lunar", 1]', '["interval", 0, 0]', "null",
            "{}", '["wall", "0"]',
            '["interval", "x", 0]', '["interval", 3, 0]', '["steps", 1, 0, "never"]', '["steps", 0, 0, "2025-06-15"]',
            '["interval", 1e400, 0]', '["interval", 99999999999999999999, 0]', '["once", null]', '["once", 9e15]', '[["once"], 1]',
        ],
    ),
)  # fmt: skip
async def test_one_that_cannot_be_read_is_set_aside_and_said_so_and_the_others_go_on(tmp_path: Path, rule: str) -> None:
    """Another version wrote it, or a hand."""
    async with hub(tmp_path) as bot:
        for _ in range(3):
            await bot.say("/every 2 hours remind me to blink")
    with closing(sqlite3.connect(tmp_path / "data" / "hub.db")) as book, book:
        book.execute("UPDATE schedule SET rule = ? WHERE id = 1", (rule,))
        book.execute("UPDATE schedule SET zone = 'Atlantis/Old_Town' WHERE id = 2")
    async with hub(tmp_path) as bot:
        listed = await bot.say("/schedules")
        assert "S-1  every 2 hours: remind: blink" in listed["text"]
        await passed(bot, 2 * HOUR)
        assert sorted(told(bot)) == [
            "Reminder: blink\n\nS-3, every 2 hours",
            paused("S-1", "'every 2 hours' cannot be read as a time any more. End it, and plan it anew."),
            paused("S-2", f"{UnknownZone(zone=repr('Atlantis/Old_Town'))}"),
        ]
        states = [(one["schedule"], one["state"]) for one in (await bot.data("/schedules"))["schedules"]]
        assert states == [("S-1", "paused"), ("S-2", "paused"), ("S-3", "active")]
        assert (await bot.data("/schedules resume=S-1"))["error"] == "unread_rule"
        assert (await bot.data("/schedules resume=S-2"))["error"] == "unknown_zone"
        assert (await bot.data("/unschedule S-1"))["ok"]


# Rights and places ----------------------------------------------------------------------------------------------


async def test_whoever_has_no_role_any_more_is_told_and_their_schedule_waits(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, "console:ann", "member")
        assert (await said_by(bot, "console:ann", "/every hour /agents"))["data"]["ok"]
        await said_by(bot, "console:ann", "/every hour remind me to blink")
        await bot.say("/unpair console:ann")
        await passed(bot, HOUR)
        assert sorted(told(bot)) == [
            paused(f"S-{number}", "console:ann has no role here any more.") for number in (1, 2)
        ]
        await passed(bot, 3 * HOUR)
        assert told(bot) == []
        await let_in(bot, "console:ann", "member")
        again = await said_by(bot, "console:ann", "/schedules resume=S-1")
        assert again["text"] == "S-1 goes on, next at Sun 15 Jun 2025 20:06: /agents"
        assert (await said_by(bot, "console:ann", "/schedules resume=S-1"))["data"]["error"] == "not_paused"
        await passed(bot, HOUR)
        assert len(told(bot)) == 1


async def test_whoever_lost_the_right_by_the_time_it_is_run_is_told_the_rule_and_it_is_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the time and the run the role is taken away."""
    async with hub(tmp_path) as bot:
        await let_in(bot, "console:ann", "member")
        await said_by(bot, "console:ann", "/every hour /agents")
        take = bot.app.hub.schedules()._take

        def taken(message: Inbound) -> None:
            async def late() -> None:
                await bot.app.store.write(lambda tx: tx._connection.execute("DELETE FROM actor").rowcount)
                take(message)

            gone.append(asyncio.get_running_loop().create_task(late()))

        gone: list[asyncio.Task[None]] = []
        monkeypatch.setattr(bot.app.hub.schedules(), "_take", taken)
        await passed(bot, HOUR)
        (refused,) = told(bot)
        assert refused == (
            "You may not look at tasks and agents: this hub does not know you. Ask its owner to let you in.\n"
            "S-1 is paused.\n/schedules resume=S-1 lets it go on, /unschedule S-1 ends it."
        )
        assert bot.rows("SELECT state FROM schedule_run") == [("refused",)]
        (listed,) = (await bot.data("/schedules"))["schedules"]
        assert (listed["state"], listed["last"], listed["command"]) == ("paused", "refused", None)


async def test_in_a_group_operators_plan_and_members_see_and_end_their_own(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, "console:ann", "member")
        await let_in(bot, "console:olga", "operator")
        here: dict[str, Any] = {"private": False, "where": "console:group"}
        refused = await said_by(bot, "console:ann", "/every hour /agents", **here)
        assert refused["data"] == {"ok": False, "error": "not_allowed"}
        assert (await said_by(bot, "console:olga", "/every hour /agents", **here))["data"]["ok"]
        await said_by(bot, "console:ann", '/every hour "my own"')
        assert (await said_by(bot, "console:ann", "/schedules", **here))["data"]["schedules"] == []
        seen = (await said_by(bot, "console:olga", "/schedules", **here))["data"]["schedules"]
        assert [one["schedule"] for one in seen] == ["S-1"]
        for who, what, where in [("ann", "S-1", here), ("olga", "S-2", here), ("ann", "S-1", {}), ("olga", "S-2", {})]:
            answer = await said_by(bot, f"console:{who}", f"/unschedule {what}", **where)
            assert answer["data"]["error"] == "no_such_schedule", (who, what)
        everything = await bot.say("/schedules")
        assert [(one["schedule"], one["command"]) for one in everything["data"]["schedules"]] == [
            ("S-1", "/agents"), ("S-2", None),
        ]  # fmt: skip
        assert "my own" not in everything["text"]
        await let_in(bot, "console:olga", Role.MEMBER)
        await passed(bot, HOUR)
        set_aside, reminder = sorted(told(bot), reverse=True)
        assert reminder.startswith("Reminder: my own")
        assert set_aside.startswith("S-1 is paused: members may not. Ask the hub's owner.")
        await let_in(bot, "console:olga", Role.OPERATOR)
        assert (await said_by(bot, "console:olga", "/unschedule S-1", **here))["data"]["ok"]
        assert (await bot.data("/unschedule S-2"))["ok"]


@pytest.mark.long
async def test_owners_share_a_wallet_and_not_what_each_of_them_planned_in_private(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, "console:ann", "owner")
        await bot.app.hub.identities.refresh()
        await said_by(bot, "console:ann", "/every day at 9 remind me to call the doctor")
        (listed,) = (await bot.data("/schedules"))["schedules"]
        assert (listed["schedule"], listed["command"]) == ("S-1", None)
        failed = schedules.Run(1, 1, schedules.Outcome.FAILED, bot.clock.now())
        await bot.app.store.write(lambda tx: tx.schedules.note(failed))
        assert (await bot.data("/briefing"))["schedules"] == []
        assert (await said_by(bot, "console:ann", "/briefing"))["data"]["schedules"] == ["S-1"]
        (theirs,) = (await said_by(bot, "console:ann", "/schedules"))["data"]["schedules"]
        assert theirs["command"] == "call the doctor"


async def test_a_group_that_is_not_listed_any_more_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hub(tmp_path) as bot:
        await said_by(bot, OWNER, "/every hour /agents", private=False, where="console:group")
        monkeypatch.setattr(bot.app.hub.schedules(), "_listed", lambda place: place != "console:group")
        await passed(bot, HOUR)
        (only,) = told(bot)
        assert only.startswith("S-1 is paused: its group is not on my list any more.")
        assert bot.rows("SELECT conversation FROM outgoing ORDER BY id DESC LIMIT 2")[1] == (OWNER,)


@pytest.mark.long
async def test_under_as_a_schedule_stays_under_as(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every hour /task write a letter max=60", acting_for="telegram:7")
        await bot.say("/every hour /whoami")
        assert [one["schedule"] for one in (await bot.data("/schedules", acting_for="telegram:7"))["schedules"]] == [
            "S-1"
        ]
        assert (await bot.data("/unschedule S-2", acting_for="telegram:7"))["error"] == "no_such_schedule"
        await passed(bot, HOUR)
        assert bot.rows("SELECT requester, account FROM task") == [("telegram:7", f"user:{OWNER}")]
        assert bot.rows("SELECT data ->> 'by' FROM event WHERE kind = 'TaskPosted'") == [
            (f"{OWNER} as telegram:7 via schedule:1",)
        ]


async def test_the_same_message_plans_once_and_nobody_plans_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "MOST", 2)
    async with hub(tmp_path) as bot:
        call = "/every day at 9 /status"
        caller = await bot.app.hub.identities.caller(OWNER, private=True)
        line = read_line("day at 9 /status", every=True)
        for _ in range(2):
            again = await scheduling.plan(bot.app.hub, CommandCall("every", {"command": line}, caller, OWNER, "one"))
            assert again.data["schedule"] == "S-1", "the same message, after a crash"
        await bot.say(call)
        refused = await bot.say(call)
        assert refused["data"]["error"] == "too_many_schedules"
        assert refused["text"].startswith("You have 2 schedules")
        await bot.say("/unschedule S-1")
        assert (await bot.data(call))["schedule"] == "S-3", "a number is never given twice"


# Runs that do not end, and messages that do not leave -----------------------------------------------------------


@dataclass
class Slow(Parrot):
    """A model that thinks until it is told to speak."""

    speaks: asyncio.Event = field(default_factory=asyncio.Event)

    async def chat(self, messages: Sequence[ChatMessage], **how: Any) -> AsyncGenerator[Any, None]:
        await self.speaks.wait()
        async for piece in super().chat(messages, **how):
            yield piece


async def test_a_run_that_does_not_end_leaves_out_the_next_and_is_told_once(tmp_path: Path) -> None:
    async with hub(tmp_path, model=(model := Slow())) as bot:

        def seen(run: tuple[int, int, str]) -> bool:
            return run in bot.rows(RUNS)

        await bot.say("/every 10 minutes what is up?")
        bot.pass_time(10 * MINUTE)
        await bot.see(lambda: bot.rows(RUNS) == [(1, 10, "running")], "the first run", pace=0)
        for at in (20, 30):
            bot.pass_time(10 * MINUTE)
            await bot.see(partial(seen, (1, at, "skipped")), "the next is left out", pace=0)
        await bot.barrier()
        assert told(bot) == [
            (
                "S-1 is overdue: its run of Sun 15 Jun 2025 15:16 is still under way, so the one of Sun 15 Jun 2025 15:26 is left"
                " out, and so is each until it ends.\n"
                "/stop ends what the agent is doing here; /unschedule S-1 ends the schedule."
            )
        ]
        model.speaks.set()
        await bot.until(text="what is up?")
        await passed(bot, 10 * MINUTE)
        assert [state for *_, state in bot.rows(RUNS)] == ["done", "skipped", "skipped", "done"]


@pytest.mark.long
async def test_a_delivery_that_fails_runs_nothing_again(tmp_path: Path) -> None:
    async with hub(tmp_path, attach=False) as bot:
        await bot.say("/every 10 minutes /task write a letter max=60")
        bot.pass_time(10 * MINUTE)
        await bot.see(lambda: bot.rows(RUNS) == [(1, 10, "done")], "the run", pace=0)
        waits = "SELECT count(*) FROM outgoing WHERE state <> 'sent' AND cause = 'console/schedule:1/1750000600000'"
        await bot.see(lambda: bot.rows(waits) == [(1,)], "its answer waits", pace=0)
    async with hub(tmp_path, clock=FakeClock(EPOCH + 11 * 60_000)) as bot:
        await bot.until(kind="more", text="T-1 posted")
        assert bot.rows("SELECT count(*) FROM task") == [(1,)]
        assert bot.rows(RUNS) == [(1, 10, "done")]


@pytest.mark.long
async def test_an_answer_without_words_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "agents", lambda _: Reply(""))
    async with hub(tmp_path) as bot:
        await bot.say("/every hour /agents")
        await passed(bot, HOUR)
        assert told(bot) == []
        assert bot.rows(RUNS) == [(1, 60, "done")]


@pytest.mark.long
async def test_a_briefing_at_times_says_nothing_where_nothing_is_new(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every hour /briefing")
        await passed(bot, HOUR)
        await passed(bot, HOUR)
        assert told(bot) == []
        await bot.say("/task write a letter")
        await bot.settled("T-1")
        await passed(bot, HOUR)
        (only,) = [text for text in told(bot) if "S-1" in text]
        assert "1 done" in only.splitlines()[0]
        assert bot.rows(RUNS) == [(1, 60, "done"), (1, 120, "done"), (1, 180, "done")]


async def test_a_run_that_fails_is_told_once_a_day_and_the_next_comes_all_the_same(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every hour /show T-1")
        await passed(bot, HOUR)
        (answer,) = told(bot)
        assert answer.endswith("\n\nS-1, every hour. The same once more today is not told; /schedules shows it")
        for _ in range(7):
            await passed(bot, HOUR)
        assert told(bot) == []
        await passed(bot, HOUR)
        (answer,) = told(bot)
        assert answer.startswith("There is no task T-1."), "a new day (in UTC)"
        assert {state for *_, state in bot.rows(RUNS)} == {"failed"}
        await bot.say("/task write a letter")
        await bot.settled("T-1")
        await passed(bot, HOUR)
        assert [text for text in told(bot) if text.endswith("\n\nS-1, every hour")]


# Clocks ---------------------------------------------------------------------------------------------------------


async def test_a_clock_that_is_set_forward_is_late_and_one_set_back_does_nothing_twice(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say('/every "0 * * * *" remind me to look up')  # at each full hour; it is 15:06
        bot.clock.set_forward(100 * DAY * 1000)
        await passed(bot, MINUTE)
        (late,) = told(bot)
        assert "8 min late: it was due Tue 23 Sep 2025 15:00. What was due before that was left out" in late
        full = EPOCH // (HOUR * 1000) * HOUR * 1000
        for back, then in ((100 * DAY, full + HOUR * 1000), (2 * HOUR, full - HOUR * 1000)):
            bot.clock.set_back(back * 1000)
            due = [(then,)]
            await bot.see(lambda due=due: bot.rows("SELECT due FROM schedule") == due, "the next full hour", pace=5)  # type: ignore[misc]
        for _ in range(3):
            await passed(bot, HOUR)
        assert len(told(bot)) == 3
        due = [due for (due,) in bot.rows("SELECT due FROM schedule_run ORDER BY due")]
        assert len(due) == len(set(due)) == 4


async def test_what_was_missed_by_a_clock_that_was_a_year_ahead_comes_at_its_time_all_the_same(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/at in 3 days remind me to eat")
        await bot.say("/every year on 24 december remind me to sing")
        bot.clock.set_forward(400 * DAY * 1000)
        await passed(bot, MINUTE)
        assert [text.partition(" was missed")[0] for text in sorted(told(bot))] == ["S-1", "S-2"]
        bot.clock.set_back(400 * DAY * 1000)
        query = "SELECT state, due IS NOT NULL FROM schedule"
        await bot.see(lambda: bot.rows(query) == [("active", 1)] * 2 and not bot.rows(RUNS), "both wait again", pace=5)
        await passed(bot, 3 * DAY)
        (came,) = told(bot)
        assert came.startswith("Reminder: eat\n\nS-1")


@pytest.mark.long
async def test_of_what_a_clock_ahead_made_out_to_be_missed_only_what_is_to_come_does(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/at in 1 day remind me to drink")
        await bot.say("/at in 5 days remind me to eat")
        bot.clock.set_forward(400 * DAY * 1000)
        await passed(bot, MINUTE)
        assert sorted(text.partition(" was missed")[0] for text in told(bot)) == ["S-1", "S-2"]
        bot.clock.set_back(397 * DAY * 1000)
        query = "SELECT state FROM schedule ORDER BY id"
        await bot.see(lambda: bot.rows(query) == [("over",), ("active",)], "what is to come waits again", pace=5)
        await passed(bot, 2 * DAY)
        (came,) = told(bot)
        assert came.startswith("Reminder: eat\n\nS-2")


@pytest.mark.long
async def test_a_clock_that_had_run_ahead_when_it_was_planned_leaves_nothing_out(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every 5 minutes remind me to blink")
        for back in (2 * HOUR, 3 * MINUTE):
            bot.clock.set_back(back * 1000)
            soon = bot.clock.now() + 6 * MINUTE * 1000
            await bot.see(partial(bot.rows, "SELECT 1 FROM schedule WHERE due < ?", soon), "in time", pace=5)


@pytest.mark.long
async def test_what_came_round_is_not_carried_out_where_it_was_put_elsewhere_meanwhile(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every 2 hours remind me to blink")
        plans = bot.app.hub.schedules()
        seen = await bot.app.store.read(lambda tx: tx.schedules.find(1))
        assert seen is not None
        elsewhere = replace(seen, due=bot.clock.now() + 1)
        await bot.app.store.write(lambda tx: tx.schedules.put(elsewhere))
        assert await bot.app.store.write(plans._work(seen, bot.clock.now() + 7200_000)) == ((), None)
        assert bot.rows("SELECT count(*) FROM schedule_run") == [(0,)]


@pytest.mark.long
async def test_without_a_schedule_the_clock_waits_for_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        asked: list[Any] = []
        read = bot.app.store.read

        async def counted(work: Any) -> Any:
            asked.append(work)
            return await read(work)

        bot.app.store.read = counted  # type: ignore[method-assign]
        for _ in range(20):
            bot.pass_time(HOUR)
            await bot.barrier()
        assert not [work for work in asked if work.__qualname__.startswith(("Schedules", "Timetable"))]
        assert bot.app.hub.schedules.made is None


async def test_a_run_that_is_answered_with_nothing_is_over_and_the_next_one_comes(tmp_path: Path) -> None:
    """As one whose group is not listed any more by the time of a restart."""
    async with hub(tmp_path) as bot:
        await bot.say("/every hour /agents")
        plans = bot.app.hub.schedules()

        def run(tx: UnitOfWork) -> None:
            tx.schedules.note(schedules.Run(1, 1, schedules.Outcome.RUNNING, tx.now))
            assert plans.answered(tx, Inbound("console", "schedule:1", "1", OWNER, OWNER, "/agents"), ()) == ()

        await bot.app.store.write(run)
        assert bot.rows("SELECT state FROM schedule_run") == [("refused",)]
        await passed(bot, HOUR)
        assert len(told(bot)) == 1


async def test_who_works_through_very_many_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every hour /agents")
        plans = bot.app.hub.schedules()
        monkeypatch.setattr(plans, "_strike", lambda _: asyncio.Event().wait())
        bot.pass_time(HOUR + 200)
        plans._struck = bot.clock.steady()
        assert await plans.look() == []
        bot.pass_time(120)
        assert [one.about for one in await plans.look()] == ["S-1"]


async def test_where_very_many_times_were_run_already_a_clock_that_is_set_back_waits_for_the_next(
    tmp_path: Path,
) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every minute remind me to blink")

        def ran(tx: UnitOfWork) -> None:
            for number in range(1, 300):
                tx.schedules.note(schedules.Run(1, EPOCH + number * 60_000, schedules.Outcome.DONE, tx.now))
            tx._connection.execute("UPDATE schedule SET due = ?", (EPOCH + 300 * 60_000,))

        await bot.app.store.write(ran)
        await bot.app.hub.schedules()._straighten()
        assert bot.rows("SELECT due FROM schedule") == [(EPOCH + 300 * 60_000,)]
        await bot.app.store.write(
            lambda tx: tx._connection.execute("DELETE FROM schedule_run WHERE due > ?", (EPOCH + 3_600_000,)).rowcount
        )
        await bot.app.hub.schedules()._straighten()
        assert bot.rows("SELECT due FROM schedule") == [(EPOCH + 61 * 60_000,)]


async def test_a_clock_that_hangs_is_told_to_the_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/every hour /agents")
        monkeypatch.setattr(bot.app.hub.schedules(), "_strike", lambda _: asyncio.Event().wait())
        bot.pass_time(HOUR)
        await bot.see(bot.app.health.stuck, "it is stuck", pace=5)
        said = await bot.until(text="S-1 is stuck: its time is over, and it was not run.")
        assert "To do: look into the log" in said["text"]
        assert [(one.kind, one.about) for one in bot.app.health.stuck()] == [("schedule", "S-1")]
        assert "schedule" in KINDS, "it is counted in /metrics"


async def test_what_was_run_already_is_not_run_again_whatever_the_clock_says(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say('/every "0 * * * *" remind me to look up')
        await passed(bot, HOUR)
        bot.clock.set_back(HOUR * 1000)
        await passed(bot, MINUTE)
        assert bot.rows("SELECT due FROM schedule") == bot.rows("SELECT due + 3600000 FROM schedule_run")

        def again(tx: UnitOfWork) -> None:
            tx._connection.execute("UPDATE schedule SET due = due - 3600000")

        await bot.app.store.write(again)
        now = bot.clock.now()
    async with hub(tmp_path, clock=FakeClock(now + HOUR * 1000)) as bot:
        await passed(bot, 0)
        assert told(bot) == []
        assert bot.rows("SELECT count(*) FROM schedule_run") == [(1,)]


async def test_said_again_after_a_crash_it_is_ended_or_resumed_once(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for line in ("/every hour /agents", "/at in 2 hours /agents", "/every hour /agents"):
            await bot.say(line)

        def pause(tx: UnitOfWork) -> None:
            tx._connection.execute("UPDATE schedule SET state = 'paused' WHERE id < 3")

        await bot.app.store.write(pause)
        service, caller = bot.app.hub.schedules(), await bot.app.hub.identities.caller(OWNER, private=True)
        call = CommandCall("schedules", {}, caller, OWNER, "k")
        for _ in range(2):
            assert (await service.resume(call, 1)).state == "active"
        for _ in range(2):
            await service.end(replace(call, key="e"), 3)
        bot.pass_time(3 * HOUR)
        over = await bot.say("/schedules resume=S-2")
        assert over["text"] == "S-2 does not come round any more, so it is over."
        assert bot.rows("SELECT state FROM schedule") == [("active",), ("over",), ("ended",)]
        for unknown in ("S-77", "S-3"):
            assert (await bot.data(f"/unschedule {unknown}"))["error"] == "no_such_schedule"


async def test_a_run_whose_schedule_was_forgotten_meanwhile_is_answered_all_the_same(tmp_path: Path) -> None:
    async with hub(tmp_path, model=(model := Slow())) as bot:
        await bot.say("/at in 10 minutes what is up?")
        bot.pass_time(10 * MINUTE)
        await bot.see(lambda: bot.rows(RUNS) == [(1, 10, "running")], "the run", pace=0)
        await bot.app.store.write(lambda tx: tx._connection.execute("DELETE FROM schedule").rowcount)
        model.speaks.set()
        assert (await bot.until(kind="more"))["text"] == "what is up?"


@pytest.mark.long
async def test_a_list_has_ten_lines_and_says_how_many_more(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for number in range(12):
            await bot.say(f"/at in {number + 5} minutes remind me to {'stretch ' * 20}")
        found = await bot.say("/schedules")
        assert found["text"].startswith("12 schedules:\n  S-1  once: remind: stretch")
        assert found["text"].endswith("\n2 more: /schedules from=S-11")
        assert found["buttons"] == [{"label": "More", "command": "/schedules from=S-11"}]
        none = await bot.say("/schedules from=S-99")
        assert none["data"]["error"] == "none_from"
        assert none["text"].startswith("There is no schedule from S-99 on: the last that you see here is S-12.")
        rest = (await bot.say("/schedules from=S-11"))["text"].splitlines()
        assert [line.split()[0] for line in rest[1::2]] == ["S-11", "S-12"]
        assert max(map(len, found["text"].splitlines())) < 100
        assert len(found["data"]["schedules"]) == 12


@asynccontextmanager
async def in_zone(folder: Path, zone: str, at: int) -> AsyncIterator[Bot]:
    from tests.scenario.bot import settings  # noqa: PLC0415

    found = settings(folder).model_copy(update={"timezone": zone})
    async with hub(folder, found=found, clock=FakeClock(at)) as bot:
        yield bot


@pytest.mark.long
async def test_the_zone_is_kept_with_the_schedule(tmp_path: Path) -> None:
    night = 1_774_738_800_000  # 29 March 2026, 00:00 in Berlin: that night the clocks are put forward
    async with in_zone(tmp_path, "Europe/Berlin", night) as bot:
        made = await bot.say("/every day at 2:30 remind me to sleep")
        assert "first at Sun 29 Mar 2026 03:00 (Europe/Berlin)" in made["text"]
        assert "\n02:30 is on no clock there: the clocks are put forward then, from 02:00 to 03:00," in made["text"]
    async with in_zone(tmp_path, "Asia/Tokyo", night) as bot:
        await passed(bot, 2 * HOUR)
        assert told(bot) == ["Reminder: sleep\n\nS-1, every day at 2:30"]
        (listed,) = (await bot.data("/schedules"))["schedules"]
        assert (listed["zone"], listed["next"]) == ("Europe/Berlin", night + (24 + 1) * HOUR * 1000 + HOUR * 1000 // 2)
