"""What people are told by themselves: where, and what waited for the end of their quiet hours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.page import Page
from core.automation.topics import ABOUT, CHANNEL, Topic
from core.chat import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from core.automation.notify import Held, Standing
    from core.automation.quiet import Hours
    from core.events import Json

LINES = 10
"""What one message lists."""

_WIDTH = 200


def together(found: Sequence[Held], zone: tzinfo | None) -> Sequence[Reply]:
    """What waited for one conversation: a list, then each that has more than its line. One alone is told as it is."""
    if len(found) == 1:
        return [found[0].reply]
    lines = [f"{_clock(one.at, zone)}  {_head(one.reply)}" for one in found]
    pages: list[Reply] = []
    for start in range(0, len(lines), LINES):
        head = f"{len(lines)} messages came while it was quiet" if not start else "and"
        page = Page(head)
        for line in lines[start : start + LINES]:
            page.add(line)
        pages.append(page.reply({"ok": True, "waited": len(lines)}))
    return [*pages, *(one.reply for one in found if _more(one.reply))]


def _clock(at: int, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).strftime("%H:%M")


def _head(reply: Reply) -> str:
    line = reply.text.strip().partition("\n")[0]
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _more(reply: Reply) -> bool:
    """Whether a reply says or does more than its line."""
    return bool(reply.text.strip() != _head(reply) or reply.buttons or reply.files)


def standing(found: Standing, *, private: bool) -> Reply:
    """The answer to /notify."""
    data: dict[str, Json] = {"ok": True, "told": {topic.value: list(where) for topic, where in found.told.items()}}
    if not private:
        words = ", ".join(found.told) or "nothing but what is asked and posted here"
        return Reply(f"Told here: {words}. In a private chat /notify shows what you are told.", data)
    page = Page("What you are told by itself, and where")
    page.table([(topic.value, _places(topic, where), ABOUT[topic]) for topic, where in found.told.items()])
    page.add("Approvals asked of you, and answers to what you say, always come.")
    page.add(f"quiet hours: {_hours(found.hours)}{f', {found.waiting} waiting' if found.waiting else ''}")
    if found.channels:
        page.add(f"channels: {', '.join(found.channels)} (/notify TOPIC on to=CHANNEL)")
    hours = found.hours.words if found.hours else None
    channels: list[Json] = list(found.channels)
    return page.reply({**data, "quiet": hours, "waiting": found.waiting, "channels": channels})


def _places(topic: Topic, where: Sequence[str]) -> str:
    named = ", ".join(place.removeprefix(CHANNEL) for place in where)
    if topic is Topic.TASKS:
        return f"where posted{f', {named}' if where else ''}"
    if topic is Topic.BIDS and not where:
        return "if asked by name"
    return named or "nowhere"


def _hours(hours: Hours | None) -> str:
    if hours is None:
        return "none (/notify quiet 22:00-07:00)"
    return hours.said


def changed(topic: Topic, place: str, *, on: bool, here: bool) -> Reply:
    """The answer to /notify TOPIC on|off."""
    data: dict[str, Json] = {"ok": True, "topic": topic.value, "place": place, "on": on}
    where, ends = "here" if here else f"in your private chat ({place})", f"/notify {topic.value} off"
    if place.startswith(CHANNEL):
        name = place.removeprefix(CHANNEL)
        where, ends = f"by {name}", f"{ends} to={name}"
    if on:
        words = f"{topic.value} is told {where} from now on: {ABOUT[topic]}."
        if topic is Topic.BIDS:
            words += "\nWhat is posted here takes bids for its whole time. /bid T SATS bids." if here else ""
        return Reply(f"{words}\n{ends} ends that.", data)
    words = f"{topic.value} is not told {where} any more."
    if topic is Topic.TASKS:
        words += " What becomes of a task is told where it was posted, as ever."
    return Reply(words, data)


def quiet(hours: Hours | None) -> Reply:
    """The answer to /notify quiet."""
    if hours is None:
        return Reply("No quiet hours any more: what waited is told now.", {"ok": True, "quiet": None})
    words = f"From {hours.words.replace('-', ' to ')} it is quiet{f' ({hours.zone})' if hours.zone else ''}."
    rest = "What comes then waits and is told together at the end; approvals, answers, and security are told at once."
    return Reply(f"{words}\n{rest}", {"ok": True, "quiet": hours.words})


def joined(person: str, had: Hours | None, theirs: Hours | None) -> str:
    """What an identity that joins another person's is told of quiet hours: those that it had, and those that they had."""
    if theirs is not None:
        instead = f", in place of your {had.said}" if had and had != theirs else ""
        return f"\nYour quiet hours are those of {person} from now on, {theirs.said}{instead}; /notify shows them."
    return f"\nYour quiet hours, {had.said}, are those of {person}, too, from now on." if had else ""


def brought(person: str, had: Hours | None, theirs: Hours | None) -> str:
    """What the account is told of the same."""
    if had is None or theirs is not None:
        return ""
    return f"\nIts quiet hours, {had.said}, are those of {person}, too, from now on: /notify quiet off there ends them."


def parted(kept: Hours | None) -> str:
    """What one that is taken off is told of the same."""
    return f"\nYou keep the quiet hours {kept.said}; /notify quiet off ends them." if kept else ""
