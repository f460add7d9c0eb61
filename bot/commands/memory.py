"""What the agent remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bot.registry import command
from bot.views import PAGE
from core.access import Action

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import CommandCall, Reply


@command(
    "/remember TEXT",
    "have the agent remember a fact",
    group="agent",
    action=Action.REMEMBER,
    notes=(
        "In a private chat it is yours alone, from all your linked identities; in a group it is the group's, for everybody there",
        "What looks like a password, key, token or card number is not kept",
        "/memory lists what is remembered, /forget takes it back",
    ),
)
async def remember(hub: Hub, call: CommandCall) -> Reply:
    """Keep a fact."""
    from bot import views_memory

    text = cast("str", call.args["text"])
    return views_memory.kept(await hub.notebook().remember(call.caller, call.conversation, text, call.key))


@command(
    "/memory [TEXT] [from=FACT]",
    "what the agent remembers, or what fits some words",
    group="agent",
    action=Action.RECALL,
    reads=True,
    notes=("TEXT: words to look for; the best are shown", "from=FACT: list from this one downwards, such as from=M-12"),
)
async def memory(hub: Hub, call: CommandCall) -> Reply:
    """List or search."""
    from bot import views_memory

    text, before = cast("str", call.args.get("text", "")), cast("int | None", call.args.get("from"))
    if text:
        found = await hub.notebook().search(call.caller, call.conversation, text, limit=PAGE)
    else:
        found = await hub.notebook().listed(call.caller, call.conversation, limit=views_memory.LISTED, before=before)
    return views_memory.listed(found, text, hub.zone, before)


@command(
    "/forget TEXT",
    "have the agent forget a fact, or all",
    group="agent",
    action=Action.REMEMBER,
    notes=(
        "TEXT: an id such as M-12, words of the fact (of several it asks which), `all`, or `undo` for what was forgotten last",
        "What was forgotten comes back for 24 hours; then it is deleted",
        "In a group everybody forgets what they had kept themselves, operators anything",
    ),
)
async def forget(hub: Hub, call: CommandCall) -> Reply:
    """Forget, or take that back."""
    from bot import views_memory
    from core.agent.memory import UnknownFact, fact_number, parse_fact

    text, notebook, here = cast("str", call.args["text"]), hub.notebook(), (call.caller, call.conversation)
    word, _, rest = text.lower().partition(" ")
    if word == "undo":
        return views_memory.recovered(await notebook.recover(*here, parse_fact(rest) if rest else None))
    if text.lower() == "all":
        return views_memory.forgotten((), await notebook.forget_all(*here, key=call.key))
    if (number := fact_number(text)) is None:
        if done := await notebook.forgotten(call.key):
            return views_memory.forgotten(done)
        exact = await notebook.exact(*here, text)
        found = exact if len(exact) == 1 else (await notebook.search(*here, text, limit=PAGE)).facts
        if len(found) > 1:
            return views_memory.which(found)
        if not found:
            raise UnknownFact(given=f"with the words {text[:60]!r}")
        number = found[0].id
    return views_memory.forgotten(await notebook.forget(*here, [number], key=call.key))
