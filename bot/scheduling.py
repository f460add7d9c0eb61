"""`/every` and `/at`: the time is read, and the command that it is for is looked at as it will be when the time comes.

What would be refused then is refused now, but for what only then can be known: rights change, and tasks end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from bot import views_schedules
from core.access import UNTIMED, NotAllowed, authorize
from core.automation.schedule import What
from core.chat import SCHEDULE, Inbound
from core.errors import UserError
from core.tokens import home_of

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.automation.schedule import Line, Rule
    from core.chat import CommandCall, Reply

_COMMAND = re.compile(r"\s/([A-Za-z_]+)(?=\s|$)")


class CommandInside(UserError):
    """I read {when} as the time and {what} as text. If {name} is to be run, put all of the time in quotes before it."""


async def plan(hub: Hub, call: CommandCall) -> Reply:
    """Keep a schedule, or say what is wrong with it."""
    from core.automation import when  # noqa: PLC0415 - for the first who plans

    line, rule = read(hub, call)
    schedules = hub.schedules()
    made = await schedules.make(call, line, rule)
    now = when.Now(made.made_at, schedules.calendar.zone(made.zone))
    note = when.left_out(line.when, rule, made.due or made.made_at, now, schedules.calendar)
    return views_schedules.made(made, schedules, note)


def read(hub: Hub, call: CommandCall) -> tuple[Line, Rule]:
    """What a call of one of them says. Raises what is wrong with it."""
    from core.automation import when  # noqa: PLC0415 - for the first who plans

    line = cast("Line", call.args["command"])
    now = when.Now(hub.clock.now(), hub.schedules().calendar.zone(hub.schedules().zone))
    rule = when.read_every(line.when, now) if call.name == "every" else when.read_at(line.when, now)
    if line.what is not What.REMINDER:
        _try(hub, call, line)
    return line, rule


def _try(hub: Hub, call: CommandCall, line: Line) -> None:
    """Raise what its command would be refused for."""
    if line.what is What.ASK:
        found = next((one for one in _COMMAND.finditer(line.text) if hub.registry.find(one[1])), None)
        if found is not None:
            raise CommandInside(when=repr(line.when), what=repr(line.text[:60]), name=f"/{found[1]}")
    text = line.text if line.what is What.COMMAND else f"/ask {line.text}"
    message = Inbound("", f"{SCHEDULE}0", "", call.conversation, call.caller.actor, text, private=call.caller.private)
    command = hub.registry.route(message)
    apart = command.private and home_of(call.caller.actor) is not None  # it is answered there
    caller = call.caller._replace(schedule=message.schedule, private=call.caller.private or apart)
    if not command.timed(text):
        raise NotAllowed(action=f"have /{command.name} run at times", rule=UNTIMED)
    if command.action is not None:
        authorize(caller, command.action, own=command.own)
    hub.registry.call(command, message, caller)
