"""The swarm: who is on the roster."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bot import views
from bot.registry import command
from core.access import Action
from core.chat import Reply

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import CommandCall


@command("/agents", "the roster: who can work now, and why not", group="swarm", action=Action.LOOK, reads=True)
async def agents(hub: Hub, call: CommandCall) -> Reply:  # noqa: ARG001 - every command has this shape
    """List agents."""
    return views.agents(await hub.coordinator.seats())


@command("/agent NAME", "one agent: its field, price and record", group="swarm", action=Action.LOOK, reads=True)
async def agent(hub: Hub, call: CommandCall) -> Reply:
    """Show an agent."""
    found = await hub.coordinator.seat(cast("str", call.args["name"]))
    ended = await hub.contained.ended(call.caller, found)
    return views.agent(found, await hub.coordinator.record(found.name), hub.clock.now(), *ended)


@command("/market", "who does what, for how much, how fast and how well", group="swarm", action=Action.LOOK, reads=True)
async def market(hub: Hub, call: CommandCall) -> Reply:  # noqa: ARG001 - as in `agents`
    """Show what agents did, by field."""
    return views.market(await hub.coordinator.market(), hub.clock.now())


@command(
    "/spark",
    "how well tasks are foreseen, and what could be done better",
    group="swarm",
    action=Action.LOOK,
    reads=True,
    notes=(
        "Advice is told once in each conversation, and again when it got worse; all that stands is on the status page",
    ),
)
async def spark(hub: Hub, call: CommandCall) -> Reply:
    """Show the record of the forecasts, and the advice that is new here."""
    from bot import views_spark

    here = hub.coordinator.is_here
    return views_spark.told(await hub.spark.tell(call.conversation, hub.clock.now(), here), here, hub.zone)


@command(
    "/spawn PERSONA [image=IMAGE] [does=CAPABILITIES]",
    "put one more agent to work",
    group="swarm",
    action=Action.ROSTER,
    notes=(
        "A worker that was dismissed works here again after /spawn and its name",
        "image=IMAGE: in a container of it, a persona or under another name; the owner's to choose, but for TIMMY_DOCKER_IMAGE",
        "image=none: in the hub's own process, where TIMMY_DOCKER_IMAGE would have it in a container",
        "does=CAPABILITIES: what it is told to do there, such as writing,data; else what a persona of the name can",
    ),
)
async def spawn(hub: Hub, call: CommandCall) -> Reply:
    """Spawn an agent."""
    given, image, does = (cast("str | None", call.args.get(key)) for key in ("persona", "image", "does"))
    found, where = await hub.contained.spawn(call.caller, given or "", image, does, key=call.key)
    if not where and not hub.coordinator.is_here(found):
        where = "; start it again where it lives, if it has ended there"
    return Reply(f"{found} joined the roster{where}", {"ok": True, "agent": found})


@command("/dismiss NAME", "take an agent off the roster", group="swarm", action=Action.ROSTER)
async def dismiss(hub: Hub, call: CommandCall) -> Reply:
    """Dismiss an agent."""
    found, load = await hub.contained.dismiss(call.caller, cast("str", call.args["name"]), key=call.key)
    rest = "; what it was doing goes to somebody else" if load else ""
    return Reply(f"{found} left the roster{rest}", {"ok": True, "agent": found})
