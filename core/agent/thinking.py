"""Thinking aloud: a topic in four rounds, each with what the rounds before it came to. Pure.

The rounds are the hub's own, so that what comes out has its form whatever the model is like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core.agent.loop import Scene
from core.agent.prompt import agent_prompt, plain
from core.agent.session import Turn
from core.agent.tool import Effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.agent.loop import Turned
    from core.agent.tool import Tool, Use


class Round(NamedTuple):
    """One round: its heading, and what the model is asked for."""

    heading: str
    asks: str


ROUNDS = (
    Round(
        "Outline",
        "What is really asked here, and what does the answer depend on? Name three to six points that matter, what you know of "
        "each, and what you do not. If files or pages can tell, read them now.",
    ),
    Round(
        "For and against",
        "Go through the points one by one. Give the strongest reasons for and the strongest against, as somebody would who holds "
        "them. Then say where you stand, and how sure you are.",
    ),
    Round(
        "What would change my mind",
        "Attack what you just said. Which of it rests on something that you have not seen? Name what would prove it wrong, and how "
        "one could find out.",
    ),
    Round(
        "Next steps",
        "In view of all this: three to five steps, the smallest and most telling first, each of which can be begun today. End with "
        "one sentence that sums up what you think.",
    ),
)

_THINK = """\
You think aloud about a topic, thoroughly and in full sentences, in the language of the topic. You are led through it in rounds; \
answer only the round you are asked for, without a heading, and do not repeat what you said."""


class Thoughts:
    """What was thought so far about a topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._turns: list[Turn] = []
        self._text = ""
        self.last = ""
        self.tainted = False

    def scene(self, one: Round, tools: Sequence[Tool], use: Use | None) -> Scene:
        """What the model is given in a round. It may only look: nobody is asked while it thinks."""
        looks = [tool for tool in tools if tool.effect is Effect.READ]
        return Scene(
            lambda calls: f"{agent_prompt(calls=calls)}\n{_THINK}", self._turns, self._asked(one), looks, use,
            tainted=self.tainted,
        )  # fmt: skip

    def so_far(self, one: Round, turned: Turned, said: str) -> str:
        """Everything, with a round that is under way and what it has `said` by now."""
        parts = [plain(piece).strip() for piece in (*(step.said for step in turned.steps), said)]
        return "\n\n".join(filter(None, (self._text, f"## {one.heading}", *parts)))

    def add(self, one: Round, turned: Turned) -> None:
        """A round is over; one in which nothing was said leaves nothing."""
        if not turned.said.strip() and not turned.steps:
            return
        self._text = self.so_far(one, turned, turned.said)
        self.tainted = self.tainted or turned.outside
        self.last = plain(turned.said).strip()
        said = Turn("assistant", self.last, "", tainted=turned.outside, steps=tuple(turned.steps))
        self._turns += [Turn("user", self._asked(one), ""), said]

    @property
    def text(self) -> str:
        """All rounds that are over."""
        return self._text

    def _asked(self, one: Round) -> str:
        return f"Topic: {self._topic}\n\n{one.heading}. {one.asks}"
