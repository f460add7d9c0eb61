"""Schedules as a person reads them and as a program does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.page import Page
from core.automation.schedule import Once
from core.automation.schedules import NoneFrom, State
from core.chat import Button, Reply
from core.ids import schedule_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.automation.schedules import Listed, Schedule, Schedules
    from core.events import Json

PAGE = 10
_WIDTH = 60


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def data(one: Schedule) -> dict[str, Json]:
    """A schedule's facts."""
    return {
        "schedule": one.name, "state": one.state.value, "when": one.when, "what": one.what.value, "command": one.words,
        "next": one.due, "zone": one.zone,
    }  # fmt: skip


def made(one: Schedule, schedules: Schedules, note: str) -> Reply:
    """It was kept. `note`: what is to be known of its first time."""
    when = "" if isinstance(one.rule, Once) else f"{one.when}, first "
    due = schedules.shown(one, one.due or 0)
    planned = f"{one.name} is planned: {when}at {due} ({one.zone}): {one.doing}"
    return Reply(
        "\n".join(filter(None, (planned, note, f"/unschedule {one.name} ends it."))),
        {"ok": True, **data(one)},
        buttons=(Button("End it", f"/unschedule {one.name}"),),
    )  # fmt: skip


def ended(one: Schedule, schedules: Schedules) -> Reply:
    """It was ended."""
    due = (
        f" It would have come round at {schedules.shown(one, one.due)}."
        if one.due and one.state is State.ACTIVE
        else ""
    )
    return Reply(
        f"{one.name} is ended: {one.when}: {one.doing}.{due}", {"ok": True, "schedule": one.name, "state": "ended"}
    )


def resumed(one: Schedule, schedules: Schedules) -> Reply:
    """It goes on."""
    if one.due is None:
        return Reply(f"{one.name} does not come round any more, so it is over.", {"ok": True, **data(one)})
    return Reply(f"{one.name} goes on, next at {schedules.shown(one, one.due)}: {one.doing}", {"ok": True, **data(one)})


def listed(found: Sequence[Listed], schedules: Schedules, start: int = 1) -> Reply:
    """Which there are, ten of them from a number on; `data` has them all. Raises `NoneFrom`."""
    if found and found[-1].schedule.id < start:
        raise NoneFrom(given=schedule_name(start), last=found[-1].schedule.name)
    page = Page(
        "Nothing is planned." if not found else f"{len(found)} {'schedule' if len(found) == 1 else 'schedules'}:"
    )
    if not found:
        page.add("Try: /every weekday at 8 /status, or: /at in 20 minutes remind me to stretch")
    shown, further = _page([one for one in found if one.schedule.id >= start])
    for one, last, mine in shown:
        secret = one.private and not mine
        doing = "what is theirs to know" if secret else _line(one.doing)
        whose = "" if mine else f" ({one.called or one.actor})"
        page.add(f"  {one.name}  {one.when}: {doing}{whose}")
        due = f"next {schedules.shown(one, one.due)}" if one.state is State.ACTIVE and one.due else one.state.value
        why = f": {_line(one.why)}" if one.state is State.PAUSED and one.why else ""
        was = f"; last {schedules.shown(one, last.due)}: {last.outcome}" if last else ""
        page.add(f"      {due}{why}{was}")
    buttons: tuple[Button, ...] = ()
    if further:
        page.add(f"{len(further)} more: /schedules from={further[0].schedule.name}")
        buttons = (Button("More", f"/schedules from={further[0].schedule.name}"),)
    facts: list[Json] = [
        {
            **data(one),
            **({"last": last.outcome.value} if last else {}),
            **({"command": None} if one.private and not mine else {}),
        }
        for one, last, mine in found
    ]
    return replace(page.reply({"ok": True, "schedules": facts}), buttons=buttons)


def _page(found: list[Listed]) -> tuple[list[Listed], list[Listed]]:
    return found[:PAGE], found[PAGE:]
