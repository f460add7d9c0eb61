"""A crash at every point of a tool task with an approval: in mid-tool, before and after each step, the yes, and the going on.

Nothing is lost, what was agreed to is done once, and no history holds a call without its result.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from core.agent.model import Card, ToolCall
from core.agent.tool import Effect, Output
from tests.kill.story import QUIET, Parrot, calmly, crashed
from tests.kill.test_points import ConsoleStory
from tests.toolbox import Box, Made

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from bot.app import App
    from core.agent.model import ChatMessage, ToolSpec
    from core.agent.tool import Use
    from core.events import Json
    from tests.fakes import FakeClock
    from tests.kill.crash import Fate

LINES = ("/ask Write my plan down", "/approve A-1")
LOOK, WRITE = ToolCall("look", {"what": "plan"}), ToolCall("write", {"what": "plan"})


@dataclass
class Planner(Parrot):
    """A model that looks, writes, and says so."""

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str | None, num_ctx: int, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[str | ToolCall, None]:
        """See `Model`."""
        last = messages[-1]
        if last.role == "tool":
            yield WRITE if last.name == "look" else "I asked." if "asked" in last.text else "It is written."
        else:
            yield LOOK

    async def card(self, model: str | None) -> Card:
        """See `Model`."""
        return Card(tools=True)


class Keyed(Made):
    """A tool that does what it does once for each key, as tools of the hub do; the life may end before and after."""

    fate: Fate
    done: Path

    async def run(self, arguments: Mapping[str, Json], use: Use) -> Output:
        """See `Tool`."""
        names = [] if self.fate.dead else [self.fate.name(f"tool {self.name}")]
        if self.fate.dead or self.fate.strikes("before", names):
            await asyncio.Event().wait()
        known = self.done.read_text().splitlines() if self.done.exists() else []
        if use.key not in known:
            self.done.write_text("\n".join([*known, use.key]))
        if self.fate.strikes("after", names):
            await asyncio.Event().wait()
        return Output(f"{self.name} was done", outside=self.name == "look")


class PlanStory(ConsoleStory):
    """The owner has a plan written, and agrees."""

    facts: dict[str, str] = {  # noqa: RUF012 - a constant
        **ConsoleStory.facts,
        "steps": "SELECT cause, number, said, calls FROM step ORDER BY cause, number",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, LINES)
        self.said = ["line-0", "line-1", "A-1"]

    def _parts(self, fate: Fate) -> dict[str, Any]:
        return {"model": Planner(), "toolbox": Box([self._tool(fate, "look"), self._tool(fate, "write")])}

    async def _goes_on(self, app: App, fate: Fate, clock: FakeClock) -> None:
        await self._until(app, fate, clock, QUIET, "A-1")

    def _tool(self, fate: Fate, name: str) -> Keyed:
        async def nothing(what: str) -> str:
            return what

        tool = Keyed(name, nothing, Effect.ASK if name == "write" else Effect.READ, takes=("what",))
        tool.fate, tool.done = fate, self.folder / f"{name}.done"
        return tool

    def amiss(self) -> str | None:
        """See `Story`."""
        done = (self.folder / "write.done").read_text().splitlines()
        if done != ["approval/1/tool"]:
            return f"written for {done}"
        calls: list[Any] = [call for *_, calls in self.ended["steps"] for call in json.loads(calls)]
        if [call[0] for call in calls] != ["look", "write", "write"] or not all(call[2] for call in calls):
            return f"its history holds {calls}"
        return super().amiss()


POINTS = ("tool look 1", "tool write 1", "Assistant._speak 1", "Assistant._speak 2", "Assistant.turn 1", "Assistant.turn 2",
          "Approvals.ask 1", "Approvals.settle 1", "Tooling._output 1", "Approvals._carried 1")  # fmt: skip
"""Mid-tool, a step, the answer, the question, the yes, the doing, its outcome."""


@pytest.mark.long
@pytest.mark.kill
@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_any_point_of_a_tool_task(tmp_path: Path, when: str) -> None:
    calm = PlanStory(tmp_path / "calm")
    points = await calmly(calm, 20)
    assert set(POINTS) <= set(points)
    wrong, deaths = {}, 0
    for number, point in enumerate(dict.fromkeys(points)):
        story = PlanStory(tmp_path / f"{number}")
        wrong[point] = await crashed(story, calm, f"{when} {point}")
        deaths += story.deaths
    assert {point: what for point, what in wrong.items() if what} == {}
    assert deaths > len(points) // 2, "some points do or do not come, as the loop has it"


@pytest.mark.long
@pytest.mark.kill
async def test_a_crash_while_the_tool_works(tmp_path: Path) -> None:
    calm = PlanStory(tmp_path / "calm")
    await calmly(calm, 20)
    story = PlanStory(tmp_path / "crashed")
    assert await crashed(story, calm, "after tool write 1", "before Tooling._output 1") is None
    assert story.deaths == 2
