"""Talking to the agent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from bot.registry import command
from bot.routing import NO_TOOLS
from core.access import Action, authorize, judge
from core.agent.cascade import listening
from core.agent.model import UnknownModel
from core.agent.tool import Use
from core.chat import Reply

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.agent.session import Called
    from core.chat import CommandCall


@command("/ask TEXT", "ask the agent (plain text does the same)", group="agent", action=Action.TALK, talk=True)
async def ask(hub: Hub, call: CommandCall) -> Reply:
    """Ask the agent."""
    return await _turn(hub, call, cast("str", call.args["text"]))


@command(
    "/think WHAT",
    "let the agent think aloud at length: for and against, what would change its mind, next steps",
    group="agent",
    action=Action.TALK,
    talk=True,
)
async def think(hub: Hub, call: CommandCall) -> Reply:
    """Let the agent think aloud."""
    from bot import views_agent as views

    hub.draft(call, "")
    topic, tell = cast("str", call.args["what"]), partial(hub.draft, call)
    with listening() as others:
        answer = await hub.assistant().think(
            call.conversation, topic, call.key, tell, speakers=_speakers(call), use=_use(call)
        )
    return views.stood_in(views.answer(answer, hub.file_path), others)


@command(
    "/continue ID",
    "let the agent go on after what you agreed to; it does so by itself",
    group="agent",
    action=Action.TALK,
    talk=True,
)
async def go_on(hub: Hub, call: CommandCall) -> Reply:
    """Let the agent go on."""
    agreed = await hub.tooling().agreed(call.caller, call.conversation, cast("int", call.args["id"]))
    return await _turn(hub, call, f"I agreed to {agreed.name}. Go on with what I asked you for.", agreed.done)


@command(
    "/tools", "what the agent may call, and what it asks you for first", group="agent", action=Action.TALK, reads=True
)
async def tools(hub: Hub, call: CommandCall) -> Reply:
    """List the tools."""
    from bot import views_agent as views

    why = ""
    if not (await hub.brains.card(await hub.assistant().chosen(call.conversation))).tools:
        why = await hub.brains.check() or NO_TOOLS
    return views.tools(*hub.assistant().tools(_use(call)), why)


async def _turn(hub: Hub, call: CommandCall, text: str, done: Called | None = None) -> Reply:
    from bot import views_agent as views

    hub.draft(call, "")
    tell, speakers = partial(hub.draft, call), _speakers(call)
    window = await hub.assistant().window(call.conversation)
    known = await hub.notebook().notes(call.caller, call.conversation, text, window)
    notes = known.beside(await hub.summaries().notes(call.caller.name, call.conversation, window))
    with listening() as others:
        answer = await hub.assistant().turn(
            call.conversation, text, call.key, tell, speakers=speakers, use=_use(call), done=done, notes=notes
        )
    hub.summaries().look(call.conversation)
    return views.stood_in(views.answer(answer, hub.file_path), others)


def _speakers(call: CommandCall) -> set[str]:
    """Whoever hushes any of these ends what is said to the caller."""
    proxy = call.caller.proxy
    return {call.caller.actor} if proxy is None else {call.caller.actor, proxy.person}


def _use(call: CommandCall) -> Use:
    return Use(call.caller, call.conversation, call.key)


@command(
    "/new", "begin a new conversation with the agent", group="agent", action=Action.TALK, talk=True, interrupts=True
)
async def new(hub: Hub, call: CommandCall) -> Reply:
    """Begin afresh."""
    await hub.assistant().new(call.conversation)
    return Reply("A new conversation begins: the model is not given what was said before.")


@command("/model [NAME]", "the model of this conversation, or choose another", group="agent", action=Action.TALK)
async def model(hub: Hub, call: CommandCall) -> Reply:
    """Show or choose the model."""
    from bot import views_agent as views

    name = cast("str | None", call.args.get("name"))
    if name is None:
        found = await hub.assistant().models(call.conversation)
        used = found.chosen or found.default
        return views.models(used, await hub.brains.standings(listed=True), await hub.brains.card(used))
    authorize(call.caller, Action.MODEL)
    try:
        chosen = await hub.assistant().choose(call.conversation, name)
    except UnknownModel as error:
        if not (hub.pulls().can and judge(call.caller, Action.PULL).allowed):
            raise
        return views.offered(error, name)
    return views.chosen(cast("str", chosen), await hub.brains.card(chosen))


@command("/pull NAME", "get a model from Ollama's library", group="agent", action=Action.PULL, slow=True)
async def pull(hub: Hub, call: CommandCall) -> Reply:
    """Get a model."""
    from bot import views_agent as views

    hub.draft(call, "")
    name = await hub.pulls().get(cast("str", call.args["name"]), call.conversation, partial(hub.draft, call))
    return views.pulled(name)


@command("/stop", "stop what the agent is saying or getting here", group="agent", action=Action.TALK, control=True)
async def stop(hub: Hub, call: CommandCall) -> Reply:
    """Stop the agent's turn, and the models that are on their way."""
    stopped = [hub.assistant().stop(call.conversation), hub.pulls().stop(call.conversation)]
    return Reply("Stopped." if any(stopped) else "There is nothing to stop here.")
