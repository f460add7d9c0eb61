"""Talking to the agent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from bot.registry import command
from core.access import Action, authorize
from core.chat import Reply

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import CommandCall


@command("/ask TEXT", "ask the agent (plain text does the same)", group="agent", action=Action.TALK, talk=True)
async def ask(hub: Hub, call: CommandCall) -> Reply:
    """Ask the agent."""
    text = cast("str", call.args["text"])
    hub.draft(call, "")
    tell, speakers = partial(hub.draft, call), {call.caller.actor}
    if call.caller.proxy is not None:
        speakers.add(call.caller.proxy.person)
    answer = await hub.assistant.answer(call.conversation, text, call.key, tell, speakers=speakers)
    return Reply(answer, markdown=True)


@command(
    "/new", "begin a new conversation with the agent", group="agent", action=Action.TALK, talk=True, interrupts=True
)
async def new(hub: Hub, call: CommandCall) -> Reply:
    """Begin afresh."""
    await hub.assistant.new(call.conversation)
    return Reply("A new conversation begins: the model is not given what was said before.")


@command("/model [NAME]", "the model of this conversation, or choose another", group="agent", action=Action.TALK)
async def model(hub: Hub, call: CommandCall) -> Reply:
    """Show or choose the model."""
    name = cast("str | None", call.args.get("name"))
    if name is None:
        found = await hub.assistant.models(call.conversation)
        installed = "\n".join(f"  {one}" for one in found.installed)
        return Reply(f"This conversation uses {found.chosen or found.default}. Installed:\n{installed}")
    authorize(call.caller, Action.MODEL)
    return Reply(f"This conversation uses {await hub.assistant.choose(call.conversation, name)} from now on.")


@command("/stop", "stop what the agent is saying here", group="agent", action=Action.TALK, control=True)
async def stop(hub: Hub, call: CommandCall) -> Reply:
    """Stop the agent's turn."""
    return Reply("Stopped." if hub.assistant.stop(call.conversation) else "There is nothing to stop here.")
