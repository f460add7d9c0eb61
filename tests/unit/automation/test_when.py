"""WHEN, in words and as cron, made a rule; and where it ends and COMMAND begins."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import timer
from adapters.timer import WallCalendar
from core.automation import amiss, cron, when
from core.automation.schedule import (
    DAY_MS,
    Interval,
    Line,
    Once,
    Steps,
    UnknownZone,
    Wall,
    What,
    due_after,
    dump,
    load,
    moment,
    turn,
)
from core.automation.when import Now, read_at, read_every, read_line
from core.errors import UserError

BERLIN, CALENDAR = ZoneInfo("Europe/Berlin"), WallCalendar()
NOW = Now(moment(datetime(2026, 11, 26, 15, 30), BERLIN), BERLIN)  # noqa: DTZ001 - a Thursday afternoon there
WORKDAYS = "mon,tue,wed,thu,fri"


def at(text: str) -> str:
    (found,) = read_at(text, NOW)
    return f"{datetime.fromtimestamp(found / 1000, BERLIN):%a %Y-%m-%d %H:%M}"


def first(text: str) -> str:
    due = due_after(read_every(text, NOW), NOW.at, BERLIN, CALENDAR)
    assert due is not None
    return f"{datetime.fromtimestamp(due / 1000, BERLIN):%a %Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("day at 9", Wall("0", "9")),
        ("every day at 9", Wall("0", "9")),
        ("at nine every day", Wall("0", "9")),
        ("day", Wall("0", "9")),
        ("morning", Wall("0", "9")),
        ("afternoon", Wall("0", "15")),
        ("evening", Wall("0", "18")),
        ("evening at eight", Wall("0", "20")),
        ("night", Wall("0", "21")),
        ("night at eleven", Wall("0", "23")),
        ("night at twelve", Wall("0", "0")),
        ("night at two", Wall("0", "2")),
        ("day at noon", Wall("0", "12")),
        ("midnight", Wall("0", "0")),
        ("day at 12 am", Wall("0", "0")),
        ("day at 12 pm", Wall("0", "12")),
        ("day at 6pm", Wall("0", "18")),
        ("day at quarter to five", Wall("45", "4")),
        ("day at ten past midnight", None),
        ("day at half past six in the evening", Wall("30", "18")),
        ("weekday at 7:30", Wall("30", "7", weekday=WORKDAYS)),
        ("weekdays at 7:30", Wall("30", "7", weekday=WORKDAYS)),
        ("working day at 8", Wall("0", "8", weekday=WORKDAYS)),
        ("weekend", Wall("0", "9", weekday="sat,sun")),
        ("day on weekends at ten", Wall("0", "10", weekday="sat,sun")),
        ("day on weekdays", Wall("0", "9", weekday=WORKDAYS)),
        ("monday and thursday at 18:00", Wall("0", "18", weekday="mon,thu")),
        ("mondays, wednesdays and fridays", Wall("0", "9", weekday="mon,wed,fri")),
        ("monday to friday at 9", Wall("0", "9", weekday=WORKDAYS)),
        ("saturday to monday", Wall("0", "9", weekday="mon,sat,sun")),
        ("sun 17:00", Wall("0", "17", weekday="sun")),
        ("week", Wall("0", "9", weekday="thu")),
        ("week on monday", Wall("0", "9", weekday="mon")),
        ("month", Wall("0", "9", "1")),
        ("month on the 1st at 8", Wall("0", "8", "1")),
        ("month on the 31st", Wall("0", "9", "31")),
        ("month on the last day of the month", Wall("0", "9", "last")),
        ("first of the month at 8", Wall("0", "8", "1")),
        ("last day of the month", Wall("0", "9", "last")),
        ("first monday of the month at 10", Wall("0", "10", "1st mon")),
        ("last friday of the month", Wall("0", "9", "last fri")),
        ("quarter", Wall("0", "9", "1", "1,4,7,10")),
        ("year", Wall("0", "9", "1", "1")),
        ("year on december 24 at 18:00", Wall("0", "18", "24", "12")),
        ("3rd of march", Wall("0", "9", "3", "3")),
        ("2 hours", Interval(7_200_000, NOW.at)),
        ("minute", Interval(60_000, NOW.at)),
        ("other hour", Interval(7_200_000, NOW.at)),
        ("half hour", Interval(1_800_000, NOW.at)),
        ("90 minutes", Interval(5_400_000, NOW.at)),
        ("other day at 9", Steps(2, 0, "2026-11-26T09:00:00")),
        ("3 days", Steps(3, 0, "2026-11-26T09:00:00")),
        ("2 weeks", Steps(14, 0, "2026-11-26T09:00:00")),
        ("fortnight", Steps(14, 0, "2026-11-26T09:00:00")),
        ("other monday at 9", Steps(14, 0, "2026-11-30T09:00:00")),
        ("second week", Steps(14, 0, "2026-11-26T09:00:00")),
        ("3 months", Steps(0, 3, "2026-11-01T09:00:00")),
        ("other month on the 31st", Steps(0, 2, "2026-12-31T09:00:00")),
        ("2 years", Steps(0, 24, "2027-01-01T09:00:00")),
        ("0 9 * * 1-5", Wall("0", "9", weekday=WORKDAYS)),
        ("0 9 * * mon-fri", Wall("0", "9", weekday=WORKDAYS)),
        ("0 9 * * 0", Wall("0", "9", weekday="sun")),
        ("0 9 * * 7", Wall("0", "9", weekday="sun")),
        ("*/15 8-10 * * *", Wall("0,15,30,45", "8,9,10")),
        ("5/20 0 1,15 jan-mar/2 *", Wall("5,25,45", "0", "1,15", "1,3")),
        ("0 9 13 * 5", Wall("0", "9", "13", weekday="fri", either=True)),
        ("0 9 */2 * 5", Wall("0", "9", ",".join(str(day) for day in range(1, 32, 2)), weekday="fri")),
        ("0-59 0-23 1-31 1-12 0-7", Wall("*", "*", either=True)),
        ("59 23 31 12 6", Wall("59", "23", "31", "12", "sat", either=True)),
        ("0 9 30 2 1", Wall("0", "9", "30", "2", "mon", either=True)),
    ],
)
def test_what_comes_again(text: str, rule: Wall | Interval | Steps | None) -> None:
    if rule is None:
        with pytest.raises(UserError):
            read_every(text, NOW)
    else:
        assert read_every(text, NOW) == rule
        assert load(dump(rule)) == rule


@pytest.mark.parametrize(
    ("text", "comes"),
    [
        ("9", "Fri 2026-11-27 09:00"),
        ("at 16:15", "Thu 2026-11-26 16:15"),
        ("9pm", "Thu 2026-11-26 21:00"),
        ("noon", "Fri 2026-11-27 12:00"),
        ("tonight at ten", "Thu 2026-11-26 22:00"),
        ("tomorrow", "Fri 2026-11-27 09:00"),
        ("tomorrow at nine", "Fri 2026-11-27 09:00"),
        ("tomorrow afternoon at three", "Fri 2026-11-27 15:00"),
        ("the day after tomorrow at noon", "Sat 2026-11-28 12:00"),
        ("in 20 minutes", "Thu 2026-11-26 15:50"),
        ("20 minutes", "Thu 2026-11-26 15:50"),
        ("in half an hour", "Thu 2026-11-26 16:00"),
        ("in 2 days", "Sat 2026-11-28 15:30"),
        ("in 3 days at noon", "Sun 2026-11-29 12:00"),
        ("in a week in the evening", "Thu 2026-12-03 18:00"),
        ("friday 17:00", "Fri 2026-11-27 17:00"),
        ("thursday at 16:00", "Thu 2026-11-26 16:00"),
        ("thursday at 9", "Thu 2026-12-03 09:00"),
        ("next thursday at 16:00", "Thu 2026-12-03 16:00"),
        ("on next friday", "Fri 2026-11-27 09:00"),
        ("this evening", "Thu 2026-11-26 18:00"),
        ("next week", "Thu 2026-12-03 09:00"),
        ("next week on monday at 8", "Mon 2026-11-30 08:00"),
        ("24 december at 18:00", "Thu 2026-12-24 18:00"),
        ("december 24th 2027 at 6pm", "Fri 2027-12-24 18:00"),
        ("on the 3rd of march", "Wed 2027-03-03 09:00"),
        ("the 3rd", "Thu 2026-12-03 09:00"),
        ("the 31st", "Thu 2026-12-31 09:00"),
        ("29 february", "Tue 2028-02-29 09:00"),
        ("2026-12-24", "Thu 2026-12-24 09:00"),
        ("2026-12-24T18:00", "Thu 2026-12-24 18:00"),
        ("2026-12-24 18:00", "Thu 2026-12-24 18:00"),
        ("on 2026-12-24 at 6pm", "Thu 2026-12-24 18:00"),
        ("2026-12-24T18:00:30Z", "Thu 2026-12-24 19:00"),
        ("2026-12-24T18:00-0500", "Fri 2026-12-25 00:00"),
        ("2027-03-28T02:30", "Sun 2027-03-28 03:00"),
        ("2026-12-24T18:00+14:00", "Thu 2026-12-24 05:00"),
        ("in 3 months", "Fri 2027-02-26 15:30"),
        ("in a month at 18:00", "Sat 2026-12-26 18:00"),
        ("in two quarters", "Wed 2027-05-26 15:30"),
        ("in a year in the morning", "Fri 2027-11-26 09:00"),
        ("in 10 years", "Wed 2036-11-26 15:30"),
        ("in 2 months in 3 days", "Fri 2027-01-29 15:30"),
    ],
)
def test_what_comes_once(text: str, comes: str) -> None:
    assert at(text) == comes


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("/at 2027-03-28T02:30", "02:30"),
        ("/at 28 march at 2:15", "02:15"),
        ("/at 2027-03-28T03:00", ""),
        ("/at 2027-03-28T02:00+01:00", ""),
        ("/at 2027-03-28T04:00", ""),
        ("/every 30 2 28 3 *", "02:30"),
        ("/every 0 3 28 3 *", ""),
        ("/every 40 2 28 3 *", "02:40"),
        ("/every 2 hours", ""),
    ],
)
def test_what_no_clock_shows_is_told(text: str, wall: str) -> None:
    every, _, said = text.partition(" ")
    rule = (read_every if every == "/every" else read_at)(said, NOW)
    due = due_after(rule, NOW.at, BERLIN, CALENDAR)
    assert due is not None
    told = when.left_out(said, rule, due, NOW, CALENDAR)
    assert told[:5] == wall
    assert not told or told[5:].endswith("from 02:00 to 03:00, and that is taken for it.")


def test_time_that_passes_leaves_nothing_out() -> None:
    due = moment(datetime(2027, 3, 28, 3), BERLIN)  # noqa: DTZ001 - the clocks are put forward
    assert when.left_out("every hour", Interval(3_600_000, due), due, NOW, CALENDAR) == ""


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("second", when.TooFrequent), ("59 seconds", when.TooFrequent), ("30s", when.TooFrequent),
        ("100000 hours", when.TooFar), ("5000 days", when.TooFar), ("20 years", when.TooFar), ("99999 months", amiss.NoCount),
        ("tomorrow at 9", when.ComesOnce), ("monday at 9 and so on", when.UnreadTime), ("", when.UnreadTime),
        ("day at 9 at 10", when.Unclear), ("day tomorrow", when.Unclear), ("2 hours at nine", when.Unclear),
        ("day on the 3rd", when.Unclear), ("month on monday", when.Unclear), ("other day on monday", when.Unclear),
        ("other monday and friday", when.UnreadTime), ("day in 3 days", when.Unclear), ("day at 9:60", when.NoSuchTime),
        ("day at 24:00", when.NoSuchTime), ("sixth monday of the month", when.NoSuchTime),
        ("2 months on the last day of the month", when.UnreadTime), ("2 months on the first monday of the month", when.UnreadTime),
        ("30th of february", cron.NeverComes), ("april 31", cron.NeverComes), ("year on april 31", cron.NeverComes),
        ("month on the 32nd", cron.NeverComes),
        ("0 9 30 2 *", cron.NeverComes), ("0 9 31 2,4,6,9,11 *", cron.NeverComes),
        ("* * * *", cron.BadCron), ("* * * * * *", cron.BadCron), ("0 24 * * *", cron.BadCron), ("60 * * * *", cron.BadCron),
        ("0 0 0 * *", cron.BadCron), ("0 0 * 13 *", cron.BadCron), ("0 0 * * 8", cron.BadCron), ("*/0 * * * *", cron.BadCron),
        ("5-1 * * * *", cron.BadCron), ("0 0 * foo *", cron.BadCron), ("0 9 ? * *", cron.BadCron), ("0 9 1 2 x*", cron.BadCron),
        ("1 2 3 4 5 6", cron.BadCron), ("*/61 * * * *", cron.BadCron), ("0 9 * * 1#2", cron.BadCron), ("0 9 15W * *", cron.BadCron),
        ("0s", amiss.NoCount), ("0 minutes", amiss.NoCount), ("-1 hours", amiss.NoCount), ("1.5 hours", amiss.NoCount),
        ("@daily", amiss.Nickname), ("@reboot", when.UnreadTime), ("month on the 0th", when.UnreadTime), ("5", when.UnreadTime),
        ("29 february", when.EachYear), ("february 29 at 9", when.EachYear), ("30 february", cron.NeverComes),
        ("24 december 2027", when.ComesOnce), ("year on 0 march", when.UnreadTime), ("25:00", when.NoSuchTime),
    ],
)  # fmt: skip
def test_what_cannot_come_again(text: str, error: type[UserError]) -> None:
    with pytest.raises(error) as refused:
        read_every(text, NOW)
    assert type(refused.value) is error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("today at 8", when.PastTime), ("2020-01-01", when.PastTime), ("2026-11-26T15:30", when.PastTime),
        ("this morning", when.PastTime), ("2099-01-01", when.TooFar), ("in 9999 days", when.TooFar), ("99999h", when.TooFar),
        ("every day", when.Repeats), ("monday and friday", when.Repeats), ("next month", when.Unclear),
        ("tomorrow on monday", when.Unclear), ("banana", when.UnreadTime), ("", when.UnreadTime), ("at 25:00", when.NoSuchTime),
        ("on the first monday of the month", when.UnreadTime), ("on the last day of the month", when.UnreadTime),
        ("2027-13-01", when.NoSuchTime), ("2027-02-29", cron.NeverComes), ("30 february", cron.NeverComes),
        ("the 32nd", cron.NeverComes), ("2027-13-01T09:00Z", when.NoSuchTime), ("2027-04-31T09:00Z", cron.NeverComes),
        ("yesterday", amiss.IsOver), ("last week", amiss.IsOver), ("last day of the month", when.UnreadTime),
        ("last monday of the month", when.UnreadTime), ("now", amiss.IsNow), ("in 0 minutes", amiss.NoCount),
        ("in 20 years", when.TooFar), ("in 9999 years", when.TooFar), ("in 10000 years", amiss.NoCount),
        ("in 121 months", when.TooFar),
        ("in 3 days on monday", when.Unclear), ("in 20 minutes at 9", when.Unclear), ("in 20 minutes in 2 months", when.Unclear),
        ("0000-00-00", when.UnreadTime), ("2027-00-00", when.NoSuchTime), ("2026-12-24T10:00+15:00", when.NoSuchTime),
        ("on 0 march", when.UnreadTime), ("9.75", when.NoSuchTime), ("whenever at 9:15", when.UnreadTime),
        ("9:60", when.NoSuchTime), ("24 december on monday", when.UnreadTime), ("2027-00-10", when.NoSuchTime),
    ],
)  # fmt: skip
def test_what_cannot_come_once(text: str, error: type[UserError]) -> None:
    with pytest.raises(error) as refused:
        read_at(text, NOW)
    assert type(refused.value) is error


def test_the_end_of_a_shorter_month_is_its_last_day() -> None:
    last = Now(moment(datetime(2026, 12, 31, 8), BERLIN), BERLIN)  # noqa: DTZ001 - a clock there
    assert read_at("in 2 months", last) == Once(moment(datetime(2027, 2, 28, 8), BERLIN))  # noqa: DTZ001 - as above


def test_who_goes_too_far_is_told_how_far_they_may() -> None:
    for read, text in (
        (read_at, "in 20 years"),
        (read_at, "2099-01-01"),
        (read_every, "11 years"),
        (read_every, "5000 days"),
    ):
        with pytest.raises(when.TooFar) as refused:
            read(text, NOW)
        furthest = str(refused.value).partition(" The furthest is ")[2]
        assert furthest == ("/at 2036-12-02." if read is read_at else "/every 10 years.")
        read(furthest.rstrip(".").partition(" ")[2], NOW)


def test_what_other_crons_have_is_said_in_words() -> None:
    for line in ("0 9 L * *", "0 9 * * 5L", "0 9 * * 1#2", "0 9 15W * *", "0 9 ? * 1"):
        with pytest.raises(cron.BadCron, match="is of other crons; say it in words: /every last day of the month at 9"):
            read_every(line, NOW)
    with pytest.raises(cron.BadCron, match="it has 6 fields, not five, as seconds and years have none"):
        read_every("0 0 9 * * *", NOW)
    with pytest.raises(cron.NeverComes, match="no month has more than 31 days"):
        read_every("month on the 32nd", NOW)


def test_why_30_february_never_comes_is_said() -> None:
    with pytest.raises(cron.NeverComes, match="30 February never comes: February has 29 days at most"):
        read_every("0 9 30 2 *", NOW)
    with pytest.raises(cron.NeverComes, match="29 February 2027 never comes: February 2027 has 28 days"):
        read_at("2027-02-29", NOW)


@pytest.mark.parametrize(
    ("text", "every", "line"),
    [
        ("day at 9 /status", True, Line("every day at 9", What.COMMAND, "/status")),
        ("every day at 9 /status", True, Line("every day at 9", What.COMMAND, "/status")),
        ("at nine every day /status", True, Line("at nine every day", What.COMMAND, "/status")),
        ('"0 9 * * 1-5" /status', True, Line("0 9 * * 1-5", What.COMMAND, "/status")),
        ("\u201c0 9 * * 1-5\u201d /status", True, Line("0 9 * * 1-5", What.COMMAND, "/status")),
        ("0 9 * * 1-5 /status", True, Line("0 9 * * 1-5", What.COMMAND, "/status")),
        ("18:00 universal truths", False, Line("18:00", What.ASK, "universal truths")),
        ("*/5 * * * * what is up?", True, Line("*/5 * * * *", What.ASK, "what is up?")),
        ("'day at 9' tell me a joke", True, Line("every day at 9", What.ASK, "tell me a joke")),
        ("2 hours: /status", True, Line("every 2 hours", What.COMMAND, "/status")),
        ("day at 9, /task two\n  lines max=5", True, Line("every day at 9", What.COMMAND, "/task two\n  lines max=5")),
        ("six remind me to feed the cat", False, Line("six", What.REMINDER, "feed the cat")),
        ("six Reminder: feed the cat", False, Line("six", What.REMINDER, "feed the cat")),
        ("six remind us that it is late", False, Line("six", What.REMINDER, "it is late")),
        ("six please remind me about tea", False, Line("six", What.REMINDER, "tea")),
        ("six remind me", False, Line("six", What.ASK, "remind me")),
        ("six reminders are what?", False, Line("six", What.ASK, "reminders are what?")),
        ('noon "water the plants"', False, Line("noon", What.REMINDER, "water the plants")),
        ('noon "water" the plants', False, Line("noon", What.ASK, '"water" the plants')),
        ('day at 9 "morning pages"', True, Line("every day at 9", What.REMINDER, "morning pages")),
        ('friday "17:00 call"', False, Line("friday", What.REMINDER, "17:00 call")),
        ("tomorrow \u201cevening\u201d", False, Line("tomorrow", What.REMINDER, "evening")),
        ("tomorrow at nine /pay x", False, Line("tomorrow at nine", What.COMMAND, "/pay x")),
        ("at nine in the morning sing", False, Line("at nine in the morning", What.ASK, "sing")),
        ("tomorrow at 9 /status", True, Line("tomorrow at 9", What.COMMAND, "/status")),
    ],
)
def test_where_the_time_ends_and_what_is_to_be_done_begins(text: str, every: bool, line: Line) -> None:
    assert read_line(text, every=every) == line


@pytest.mark.parametrize(
    ("text", "every", "error"),
    [
        ("banana /status", True, when.UnreadTime), ("banana " * 30, False, when.UnreadTime), ("day at 9", True, when.NothingToRun),
        ("'day at 9'", True, when.NothingToRun), ("tomorrow", False, when.NothingToRun), ("day at 25:00 /x", True, when.BadTail),
        ('noon " "', False, when.NothingToRun), ('noon ""', False, when.NothingToRun), ('noon "', False, when.NothingToRun),
        ("5 minutes ago sing", False, amiss.IsOver), ("noon yesterday sing", False, amiss.IsOver),
        ("18:00 UTC sing", False, amiss.ZoneApart), ("18:00 Europe/Atlantis sing", False, amiss.ZoneApart),
        ("day at 9 in America/New_York /status", True, amiss.ZoneApart), ("day at 9 zone=Mars sing", True, amiss.ZoneApart),
        ('tomorrow "send the report', False, when.HalfQuoted), ("day at 9 'night", True, when.HalfQuoted),
    ],
)  # fmt: skip
def test_a_line_without_a_time_or_without_a_command(text: str, every: bool, error: type[UserError]) -> None:
    with pytest.raises(error):
        read_line(text, every=every)


def test_cron_takes_one_of_day_and_weekday_where_both_are_given() -> None:
    assert first("0 9 13 * 5") == "Fri 2026-11-27 09:00"
    assert first("0 9 28 * 1") == "Sat 2026-11-28 09:00"
    assert first("0 9 * * 1-5") == "Fri 2026-11-27 09:00"


def test_what_is_stepped_leaves_out_the_months_without_the_day() -> None:
    rule, day = read_every("other month on the 31st", NOW), NOW.at
    seen = []
    for _ in range(3):
        due = due_after(rule, day, BERLIN, CALENDAR)
        assert due is not None
        seen.append(f"{datetime.fromtimestamp(due / 1000, BERLIN):%Y-%m-%d}")
        day = due
    assert seen == ["2026-12-31", "2027-08-31", "2027-10-31"]


def test_a_rule_that_never_comes_again_says_so() -> None:
    assert due_after(Once(NOW.at), NOW.at, BERLIN, CALENDAR) is None
    assert due_after(Wall("0", "9", "30", "2"), NOW.at, BERLIN, CALENDAR) is None
    assert due_after(Interval(60_000, NOW.at), NOW.at - DAY_MS, BERLIN, CALENDAR) == NOW.at - DAY_MS + 60_000


def test_years_of_minutes_are_not_walked_through() -> None:
    late = NOW.at + 4000 * DAY_MS
    found = turn(cron.read("* * * * *"), NOW.at, late, BERLIN, CALENDAR)
    assert (found.due, found.late, found.runs, found.earlier, found.then) == (late, 0, True, True, late + 60_000)


def test_what_is_more_than_a_day_late_is_not_run() -> None:
    for more, runs in ((0, True), (1, False)):
        found = turn(Once(NOW.at), NOW.at, NOW.at + DAY_MS + more, BERLIN, CALENDAR)
        assert (found.runs, found.earlier, found.then) == (runs, False, None)
    weekly = turn(Wall("30", "15", weekday="thu"), NOW.at, NOW.at + 13 * DAY_MS, BERLIN, CALENDAR)
    assert (weekly.due, weekly.runs) == (NOW.at, False), "what would be found far back is not looked for"


def test_a_zone_has_a_name_of_this_machine() -> None:
    assert str(CALENDAR.zone("Europe/Berlin")) == "Europe/Berlin"
    assert str(CALENDAR.zone(CALENDAR.here())) == CALENDAR.here()
    for wrong in ("Atlantis/Old_Town", "", "../etc/passwd", "/etc/localtime"):
        with pytest.raises(UnknownZone):
            CALENDAR.zone(wrong)


@pytest.mark.parametrize("named", [None, "local", "", ZoneInfoNotFoundError("TZ"), ValueError("TZ")])
def test_a_machine_without_a_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch, named: str | Exception | None) -> None:
    def name() -> str | None:
        if isinstance(named, Exception):
            raise named
        return named

    monkeypatch.setattr(timer, "get_localzone_name", name)
    assert CALENDAR.here() == "UTC"


@pytest.mark.deep
@given(
    st.sampled_from([cron.read("*/20 * * * *"), Wall("30", "2"), Interval(7_000_000, NOW.at), Steps(2, 0, "2026-11-20T02:30:00")]),
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "UTC"]), st.integers(0, 300),
    st.lists(st.integers(0, 40 * 3600), min_size=1, max_size=20),
)  # fmt: skip
def test_whenever_a_hub_is_there_each_time_is_run_once_or_left_out_behind_a_later_one(
    rule: Interval | Wall | Steps, zone: str, day: int, away: list[int]
) -> None:
    there, now = ZoneInfo(zone), NOW.at + day * DAY_MS
    due, seen = due_after(rule, now, there, CALENDAR), [now]
    for seconds in away:
        now += seconds * 1000
        if due is None or due > now:
            continue
        found = turn(rule, due, now, there, CALENDAR)
        assert seen[-1] < found.due <= now
        between = due_after(rule, found.due, there, CALENDAR)
        assert between is not None
        assert between > now or not found.runs, "the latest of all that passed"
        assert found.earlier is (found.due != due)
        assert found.runs is (now - found.due <= DAY_MS)
        assert found.then == due_after(rule, now, there, CALENDAR)
        seen.append(found.due)
        due = found.then
