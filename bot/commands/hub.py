"""The hub itself: greeting, help, health, and who you are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from bot.approvals import TOOL, settled
from bot.page import Page
from bot.registry import command
from core.access import Action, judge
from core.chat import Reply, Role, Style
from core.tokens import device_of

if TYPE_CHECKING:
    from bot.hub import Hub
    from bot.registry import Command
    from core.chat import CommandCall
    from core.events import Json


@command("/start", "a greeting and first steps", group="hub", reads=True)
async def start(hub: Hub, call: CommandCall) -> Reply:  # noqa: ARG001 - every command has this shape
    """Greet."""
    return Reply(
        "Timmy is here.\nTry: /task summarise welcome.md\nThen: /agents, /balance, /help. Plain text goes to the agent."
    )


@command("/help [COMMAND]", "what I can do", group="hub", reads=True)
async def help_(hub: Hub, call: CommandCall) -> Reply:
    """List the commands, or explain one."""
    wanted = cast("str | None", call.args.get("command"))
    if wanted is not None:
        found = hub.registry.get(wanted)
        return Reply("\n".join([found.usage, found.help, *(f"  {note}" for note in found.notes)]))
    groups: dict[str, list[Command]] = {}
    known = [one for one in hub.registry if one.action is None or judge(call.caller, one.action, own=one.own).allowed]
    for one in known:
        groups.setdefault(one.group, []).append(one)
    page = Page("What I can do (plain text goes to the agent):")
    for group, commands in groups.items():
        page.add("").add(group, Style.BOLD)
        for one in commands:
            page.add(f"  {one.usage}  {one.help}")
    return page.reply({"ok": True, "commands": [one.name for one in known]})


@command("/status", "the health of every part", group="hub", action=Action.LOOK, reads=True, control=True)
async def status(hub: Hub, call: CommandCall) -> Reply:  # noqa: ARG001 - every command has this shape
    """Report health."""
    return await hub.health.reply()


@command("/whoami", "who you are to this hub", group="hub", reads=True)
async def whoami(hub: Hub, call: CommandCall) -> Reply:
    """Name the caller, and, where nobody else reads it, who they are elsewhere."""
    caller = call.caller
    page = Page(f"{caller.recorded}, {caller.role}")
    data: dict[str, Json] = {"ok": True, "actor": caller.name, "role": caller.role.value}
    if caller.private and any(one.actor in caller.linked for one in hub.identities.links):
        page.add(f"of the account {caller.name}, which has one wallet and is each of:")
        page.add("\n".join(f"  {one}" for one in sorted(caller.linked)))
        identities: list[Json] = [*sorted(caller.linked)]
        data |= {"account": caller.name, "identities": identities}
    return page.reply(data)


@command(
    "/pair CODE [role=member|operator|payer|owner]",
    "let in whoever was given this code",
    group="hub",
    action=Action.PAIR,
    notes=(
        "role=member|operator|payer|owner: what they may do; member if you say nothing",
        "owner: who has sats or work from before is let in as a member, and joins the owners' wallet with /link",
    ),
)
async def pair(hub: Hub, call: CommandCall) -> Reply:
    """Let somebody in."""
    role = Role(cast("str", call.args.get("role", "member")))
    actor, name = await hub.pairing.pair(call.caller, cast("str", call.args["code"]), role, key=call.key)
    return Reply(f"{name or actor} is in, as {role} ({actor})", {"ok": True, "actor": actor, "role": role.value})


@command(
    "/unpair ACTOR",
    "take somebody's role away",
    group="hub",
    action=Action.PAIR,
    notes=(
        'ACTOR: an id such as telegram:12345, or a name; one with blanks goes in quotes: /unpair "Ann Lee"',
        "Whoever is linked to it goes with it; of an identity that is itself linked, only that one goes",
        "The tokens of their devices end, for good: let in again, they need new ones",
    ),
)
async def unpair(hub: Hub, call: CommandCall) -> Reply:
    """Send somebody away."""
    actor, *others = await hub.pairing.unpair(call.caller, cast("str", call.args["actor"]), key=call.key)
    hub.hush({actor, *others})
    devices = [one for one in others if device_of(one) is not None]
    linked = [one for one in others if one not in devices]
    words = f", nor {', '.join(linked)} linked to it" if linked else ""
    if devices:
        words += f"\nTheir devices open nothing any more: {', '.join(one.partition(':')[2] for one in devices)}"
    return Reply(f"{actor} has no role here any more{words}", {"ok": True, "actor": actor})


@command("/voice on|off", "answer here by voice too, or no longer", group="hub", action=Action.LOOK)
async def voice(hub: Hub, call: CommandCall) -> Reply:
    """Speak, or be silent."""
    on = call.args["on|off"] == "on"
    await hub.speaking.switch(call, on=on)
    words = "I answer here by voice too, from now on. /voice off ends that." if on else "I only write here from now on."
    return Reply(words, {"ok": True, "voice": on})


@command("/approve ID", "agree to what you were asked", group="hub", action=Action.APPROVE, control=True)
async def approve(hub: Hub, call: CommandCall) -> Reply:
    """Let it be done."""
    return await _settled(hub, call, yes=True)


@command("/deny ID", "refuse what you were asked", group="hub", action=Action.APPROVE, control=True)
async def deny(hub: Hub, call: CommandCall) -> Reply:
    """Let it be."""
    return await _settled(hub, call, yes=False)


async def _settled(hub: Hub, call: CommandCall, *, yes: bool) -> Reply:
    found = await hub.approvals.settle(call.caller, cast("int", call.args["id"]), yes=yes, key=call.key)
    reply = settled(found, call.caller.recorded)
    if yes and found.kind == TOOL and found.conversation == call.conversation:
        goes_on = await hub.tooling().goes_on(found)
        return replace(reply, data={**reply.data, "goes_on": goes_on}) if goes_on else reply
    return reply


@command("/why", "the rule that decided what you asked last", group="hub", reads=True)
async def why(hub: Hub, call: CommandCall) -> Reply:
    """Name the rule."""
    found = hub.decisions.last(call.caller.actor, call.conversation)
    if found is None:
        return Reply("Nothing that needed a right was asked here since the hub started.", {"ok": True})
    name, action, verdict = found
    word = "allowed" if verdict.allowed else "refused"
    data: dict[str, Json] = {"ok": True, "command": name, "allowed": verdict.allowed, "rule": verdict.rule}
    return Reply(f"/{name} was {word}: {verdict.rule}\nIt needs the right to {action.value}.", data)
