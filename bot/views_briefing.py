"""The briefing as a person reads it and as a program does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.page import Page
from bot.views import moment
from core.automation.briefing import MOST
from core.chat import Button, Style
from core.money import format_sats, to_sats
from core.swarm.task import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from core.automation.briefing import Briefing
    from core.chat import Reply
    from core.events import Json
    from core.spark.forecast import Forecast
    from core.swarm.task import Task

_WIDTH = 44


def briefing(found: Briefing, zone: tzinfo | None, *, simulated: bool) -> Reply:
    """The answer to /briefing."""
    since = moment(found.since.at, zone)
    page = Page(_head(found, since))
    waits = [(task.name, command, _line(task)) for task, command in found.yours]
    waits += [(one.name, f"/approve {one.name}", _cut(one.words)) for one in found.approvals[:MOST]]
    _part(page, "Waits for you", waits, found.yours_in_all + len(found.approvals), "/tasks")
    ended = [(task.name, _end(task), _line(task)) for task in found.ended]
    _part(page, "Done", ended, found.ended_in_all, "/tasks")
    going = [(task.name, _progress(task, said, found.upto.at, zone), _line(task)) for task, said in found.under_way]
    _part(page, "Under way", going, found.under_way_in_all, "/tasks")
    plans = [(one.name, run.outcome.value, _cut(one.doing)) for one, run in found.schedules[:MOST]]
    _part(page, "Schedules", plans, len(found.schedules), "/schedules")
    if (money := found.money) is not None:
        page.add("").add("Money", Style.BOLD)
        free = format_sats(money.free, simulated=simulated)
        page.add(f"{free} free; {format_sats(money.earned)} earned, {format_sats(money.spent)} spent since")
    if (lines := _of_hub(found)) and found.worth_telling:
        page.add("").add("The hub", Style.BOLD)
        for line in lines[:MOST]:
            page.add(line)
    accepts = [Button(f"Accept {task.name}", f"/accept {task.name}") for task, what in found.yours if "accept" in what]
    return page.reply(_data(found), None, tuple(accepts[:4]))


def _head(found: Briefing, since: str) -> str:
    if not found.worth_telling:
        return f"Nothing new since {since}"
    waits = found.yours_in_all + len(found.approvals)
    parts = [
        f"{count} {words}"
        for count, words in (
            (waits, "waiting for you"), (found.ended_in_all, "done"), (found.under_way_in_all, "under way"),
        )
        if count
    ]  # fmt: skip
    return f"Since {since}: {', '.join(parts) or 'no tasks'}"


def _part(page: Page, head: str, rows: Sequence[tuple[str, str, str]], count: int, more: str) -> None:
    if not rows:
        return
    page.add("").add(head, Style.BOLD).table(rows)
    if count > len(rows):
        page.add(f"… and {count - len(rows):,} more: {more}")


def _line(task: Task) -> str:
    return _cut(task.description)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _end(task: Task) -> str:
    if task.status is Status.SETTLED:
        return f"{task.agent} for {format_sats(task.price or 0)}"
    return task.status.value


def _progress(task: Task, said: Forecast | None, now: int, zone: tzinfo | None) -> str:
    """Who does it, and when it should be done, as Spark foresaw; where that is past, that it is late."""
    who = f"{task.agent} at it" if task.agent else task.status.value
    if said is None or said.took is None:
        return f"{who}, until {moment(task.deadline, zone)}"
    low, high = (task.posted_at + time for time in said.took)
    if high < now:
        return f"{who}, late: was due by {moment(high, zone)}"
    return f"{who}, done by {moment(max(low, now), zone)} to {moment(high, zone)[6:]}"


def _of_hub(found: Briefing) -> list[str]:
    if (ours := found.ours) is None:
        return []
    lines = [*ours.troubles]
    if ours.given_up:
        lines.append(f"{ours.given_up:,} messages or events were given up; the log names each")
    if ours.away:
        more = len(ours.away) - MOST
        lines.append(f"workers away: {', '.join(ours.away[:MOST])}{f' and {more} more' if more > 0 else ''}")
    return lines


def _data(found: Briefing) -> dict[str, Json]:
    data: dict[str, Json] = {
        "ok": True, "news": found.worth_telling, "since": found.since.at,
        "ended": [task.name for task in found.ended], "ended_in_all": found.ended_in_all,
        "under_way": [task.name for task, _ in found.under_way], "under_way_in_all": found.under_way_in_all,
        "yours": [task.name for task, _ in found.yours], "approvals": [one.name for one in found.approvals],
        "schedules": [one.name for one, _ in found.schedules],
    }  # fmt: skip
    if found.money is not None:
        data["money"] = {
            "free_sats": to_sats(found.money.free), "earned_sats": to_sats(found.money.earned),
            "spent_sats": to_sats(found.money.spent),
        }  # fmt: skip
    if found.ours is not None:
        data["given_up"] = found.ours.given_up
        data["troubles"] = [*found.ours.troubles]
        data["away"] = [*found.ours.away]
    return data
