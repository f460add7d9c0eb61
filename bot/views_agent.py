"""What the agent answers, and what it may call, as people are shown it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.agent.tool import Effect
from core.chat import File, Reply, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.agent.agent import Answer
    from core.agent.tool import Tool
    from core.events import Json
    from core.swarm.ports import ResultFile

_EFFECTS = {
    Effect.READ: "by itself",
    Effect.WRITE: "by itself, but asks you where it has read a text from outside",
    Effect.ASK: "asks you first",
}


def answer(said: Answer, place: Callable[[ResultFile], str]) -> Reply:
    """An answer, with what was called for it in its last line, and its files."""
    if not said.called:
        return Reply(said.text, markdown=True)
    called: list[Json] = [*said.called]
    words = f"{said.text}\n\n(Called: {', '.join(dict.fromkeys(said.called))})"
    files = tuple(File(one.name, place(one)) for one in said.files)
    return Reply(words, {"ok": True, "called": called}, files=files, markdown=True)


def tools(open_: Sequence[Tool], closed: Sequence[tuple[str, str]]) -> Reply:
    """What the agent may call on somebody's behalf, and what not, with the reason."""
    lines = [f"{tool.spec.name}: {one_line(tool.spec.description)} ({_effect(tool)})" for tool in open_]
    off = [f"{name}: {why}" for name, why in closed]
    names: list[Json] = [tool.spec.name for tool in open_]
    text = "\n".join([f"The agent may call {len(lines)} tools:", *lines]) if lines else "The agent has no tools here."
    return Reply("\n".join([text, *(["Not now:", *off] if off else [])]), {"ok": True, "tools": names})


def _effect(tool: Tool) -> str:
    asks = f"; asks you before it sends an address that nobody named ({tool.outward})" if tool.outward else ""
    return _EFFECTS[tool.effect] + asks
