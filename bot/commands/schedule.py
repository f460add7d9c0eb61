"""Later, and again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bot.registry import command
from core.access import Action

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import CommandCall, Reply

_COMMAND = (
    "COMMAND: a slash command that only reads, /task or /ask; other text is for the agent; and a reminder is words in quotes,"
    " or begins with: remind me"
)


@command(
    "/every WHEN COMMAND",
    "have something done again and again",
    group="time",
    action=Action.PLAN,
    notes=(
        "WHEN: day at 9, weekday at 7:30, monday and thursday at 18:00, 2 hours, month on the 1st at 8; once a minute at most",
        'or a cron line of five fields in quotes: /every "0 9 * * 1-5" /status',
        _COMMAND,
        "Where others read it, an operator says it; everybody in a private chat",
    ),
)
async def every(hub: Hub, call: CommandCall) -> Reply:
    """Plan what comes again."""
    from bot import scheduling

    return await scheduling.plan(hub, call)


@command(
    "/at WHEN COMMAND",
    "have something done once, later",
    group="time",
    action=Action.PLAN,
    notes=(
        "WHEN: 18:00, tomorrow at nine, in 20 minutes, friday 17:00, 24 december at 6pm, 2027-12-24T18:00",
        _COMMAND,
    ),
)
async def at(hub: Hub, call: CommandCall) -> Reply:
    """Plan what comes once."""
    from bot import scheduling

    return await scheduling.plan(hub, call)


@command(
    "/schedules [from=S] [resume=S]",
    "what is done at times: when next, and how it went last",
    group="time",
    action=Action.LOOK,
    bare=True,
    notes=("from=S: from this one on; ten are shown at a time", "resume=S: let a paused one go on, such as resume=S-3"),
)
async def schedules(hub: Hub, call: CommandCall) -> Reply:
    """List schedules, or resume one."""
    from bot import views_schedules

    number = cast("int | None", call.args.get("resume"))
    if number is not None:
        return views_schedules.resumed(await hub.schedules().resume(call, number), hub.schedules())
    found = await hub.schedules().listed(call.caller, call.conversation)
    return views_schedules.listed(found, hub.schedules(), cast("int", call.args.get("from", 1)))


@command("/unschedule ID", "end a schedule, such as S-3", group="time", action=Action.PLAN)
async def unschedule(hub: Hub, call: CommandCall) -> Reply:
    """End a schedule."""
    from bot import views_schedules

    return views_schedules.ended(await hub.schedules().end(call, cast("int", call.args["id"])), hub.schedules())
