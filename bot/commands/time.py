"""What comes by itself: what people are told, where and when, and the briefing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from bot.registry import BadChoice, BadOption, command
from core.access import Action
from core.automation.quiet import parse_hours
from core.automation.topics import parse_topic
from core.chat import Reply

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import CommandCall

QUIET = "quiet"


@command(
    "/notify [TOPIC on|off|HOURS] [to=CHANNEL] [zone=ZONE]",
    "what you are told by itself, and where",
    group="time",
    action=Action.LOOK,
    bare=True,
    notes=(
        "TOPIC on: told here from now on; off: not here any more. /notify alone lists the topics, and what is told where",
        "bids on: what is posted here takes bids of people too, for its whole time",
        "quiet 22:00-07:00: what comes then waits for the end; quiet off ends that",
        "zone=ZONE: of the quiet hours, such as Europe/Berlin; the hub's if you say nothing",
        "to=CHANNEL: told by a channel that the owner's settings name (TIMMY_NOTIFY_CHANNELS)",
    ),
)
async def notify(hub: Hub, call: CommandCall) -> Reply:
    """Show or change what is told where."""
    from bot import views_notices

    given, what = cast("str | None", call.args.get("topic")), cast("str | None", call.args.get("on|off|hours"))
    zone, channel = (cast("str | None", call.args.get(key)) for key in ("zone", "to"))
    usage = hub.registry.get("notify").usage
    if (zone and (given or "").lower() != QUIET) or (channel and (given or QUIET).lower() == QUIET):
        option = f"to={channel}" if channel else f"zone={zone}"
        raise BadOption(command="notify", given=f"{option[:40]!r} there", instead="", usage=usage)
    if given is None or what is None:
        return views_notices.standing(
            await hub.notices.standing(call.caller, call.conversation), private=call.caller.private
        )
    if given.lower() == QUIET:
        hours = None if what == "off" else parse_hours(what, zone)
        await hub.notices.set_hours(call.caller, hours)
        return views_notices.quiet(hours)
    topic = parse_topic(given)
    if what not in {"on", "off"}:
        raise BadChoice(given=repr(what[:40]), choices="on or off", usage=usage)
    place = await hub.notices.set(call.caller, call.conversation, topic, on=what == "on", channel=channel)
    return views_notices.changed(topic, place, on=what == "on", here=place == call.conversation)


@command(
    "/briefing",
    "what is new since the last one, what is under way, and what waits for you",
    group="time",
    action=Action.LOOK,
    reads=True,
    notes=("In a group: of the tasks that were posted there", "Run at times, it says nothing where nothing is new"),
)
async def briefing(hub: Hub, call: CommandCall) -> Reply:
    """Brief somebody."""
    from bot import views_briefing

    words = partial(views_briefing.briefing, zone=hub.zone, simulated=hub.wallet.simulated)
    reply = await hub.briefings().brief(call, words)
    return Reply("", reply.data) if call.caller.schedule and not reply.data["news"] else reply
