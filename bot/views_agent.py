"""What the agent answers, and what it may call, as people are shown it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.agent.tool import Effect
from core.chat import Button, File, Reply, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.agent.agent import Answer
    from core.agent.cascade import Standing, StoodIn
    from core.agent.model import Card, UnknownModel
    from core.agent.tool import Tool
    from core.events import Json
    from core.swarm.ports import ResultFile

MOST_MODELS = 30
"""Of one server, in a list for people."""

_EFFECTS = {
    Effect.READ: "by itself",
    Effect.WRITE: "by itself, but asks you where it has read a text from outside",
    Effect.ASK: "asks you first",
    Effect.OWN: "by itself, in a copy of its own",
}


def answer(said: Answer, place: Callable[[ResultFile], str]) -> Reply:
    """An answer, with what was called for it in its last line, and its files."""
    ended: dict[str, Json] = {"broken_off": said.ended} if said.ended else {}
    if not said.called:
        return Reply(said.text, {"ok": True, **ended}, markdown=True)
    called: list[Json] = [*said.called]
    words = f"{said.text}\n\n(Called: {', '.join(dict.fromkeys(said.called))})"
    files = tuple(File(one.name, place(one)) for one in said.files)
    asks: dict[str, Json] = {"asks": [*said.asks]} if said.asks else {}
    return Reply(words, {"ok": True, "called": called, **asks, **ended}, files=files, markdown=True)


def tools(open_: Sequence[Tool], closed: Sequence[tuple[str, str]], why: str) -> Reply:
    """What the agent may call on somebody's behalf, and what not, with the reason; `why` it calls none now, if so."""
    lines = [f"{tool.spec.name}: {one_line(tool.spec.description)} ({_effect(tool)})" for tool in open_]
    off = [f"{name}: {why}" for name, why in closed]
    names: list[Json] = [tool.spec.name for tool in open_]
    head = f"The agent may call {len(lines)} tools{f', with a model that calls tools. {why}' if why else ':'}"
    text = "\n".join([head, *lines]) if lines else "The agent has no tools here."
    return Reply("\n".join([text, *(["Not now:", *off] if off else [])]), {"ok": True, "tools": names})


def models(used: str, servers: Sequence[Standing], card: Card) -> Reply:
    """The model of a conversation, what can be said of it, and the others by server."""
    lines = [f"This conversation uses {used}.{_limits(card)}"]
    for one in servers:
        lines.append(f"{one.name}, {one.where}: {one.why}" if one.why else f"{one.name}, {one.where}:")
        lines += [f"  {name}" for name in one.models[:MOST_MODELS]]
        if (more := len(one.models) - MOST_MODELS) > 0:
            lines.append(f"  and {more} more")
    names: list[Json] = [name for one in servers for name in one.models]
    where: list[Json] = [{"server": one.name, "url": one.where, "why": one.why or None} for one in servers]
    facts: dict[str, Json] = {"window_tokens": card.window, "tools": card.tools}
    return Reply("\n".join(lines), {"ok": True, "model": used, "models": names, "servers": where, **facts})


def chosen(name: str, card: Card) -> Reply:
    """That a conversation has another model now."""
    facts: dict[str, Json] = {"ok": True, "model": name, "window_tokens": card.window, "tools": card.tools}
    return Reply(f"This conversation uses {name} from now on.{_limits(card)}", facts)


def offered(error: UnknownModel, name: str) -> Reply:
    """That a model is not here, and a button that gets it."""
    facts: dict[str, Json] = {"ok": False, "error": error.code}
    return Reply(str(error), facts, buttons=(Button(f"Get {name}", f"/pull {name}"),))


def pulled(name: str) -> Reply:
    """That a model is here."""
    words = f"{name} is here. /model {name} has this conversation use it."
    return Reply(words, {"ok": True, "model": name}, buttons=(Button(f"Use {name}", f"/model {name}"),))


def stood_in(reply: Reply, others: Sequence[StoodIn]) -> Reply:
    """An answer that another than the chosen model gave, with that as its last line."""
    if not others:
        return reply
    said = "\n\n".join(f"(Answered by {one.model}. {one.why})" for one in others)
    models: list[Json] = [one.model for one in others]
    return replace(reply, text=f"{reply.text}\n\n{said}", data={**reply.data, "stood_in": models})


def _limits(card: Card) -> str:
    """What people should know of a model; of one that says nothing of itself, nothing."""
    if card.window is None:
        return ""
    return f" Its window: {card.window:,} tokens." + (
        "" if card.tools else " It cannot call tools: with it the agent only talks."
    )


def _effect(tool: Tool) -> str:
    asks = f"; asks you before it sends an address that nobody named ({tool.outward})" if tool.outward else ""
    return _EFFECTS[tool.effect] + asks
