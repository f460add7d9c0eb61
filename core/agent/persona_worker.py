"""The work of the hub's own agents: a skill that understands the task, else the model with the persona's prompt.

An agent bids only on what it can really do now: the skill has looked at the very file the task names, or the model
answers and the task's words are in the persona's field. What a model says becomes the text of a result, nothing else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from core.agent.loop import Loop, Scene, Turned
from core.agent.model import Bounds, ModelSaidNothing, ModelSlow
from core.agent.prompt import CANNOT, persona_prompt, plain, window
from core.agent.tool import Use
from core.chat import Caller, Role
from core.errors import HubError, Unavailable, UserError
from core.money import to_msat
from core.swarm.persona import field_fit
from core.swarm.ports import Decline, Delivery, Offer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from pathlib import Path

    from core.agent.model import ChatMessage, Model
    from core.agent.session import Step
    from core.agent.skill import Match, Skills
    from core.agent.tool import Toolbox
    from core.swarm.persona import Persona
    from core.swarm.ports import Agent, ResultFile
    from core.swarm.task import Task

SKILL_ETA = 10_000
"""What a skill promises, ms; most take under a second."""

MODEL_ETA = 120_000
"""What a model promises, ms."""

MODEL_FIT = 400
"""The fit, in permille, of a model that knows the field at its best: below any skill that is sure of what is meant."""


class BeyondWords(Unavailable):
    """{agent} handed the task back: {why}"""


class Shelf(Protocol):
    """Where result files are made and kept."""

    async def folder(self) -> Path:
        """A new empty folder to work in."""

    async def keep(self, paths: Sequence[Path]) -> tuple[ResultFile, ...]:
        """Move files out of a folder to where they stay, by their hash. A `UserError` if they are too large to keep."""

    async def discard(self, folder: Path) -> None:
        """Remove a folder and what is left in it."""


class PersonaWorker:
    """`core.swarm.ports.Worker` for agents that live in this process. Holds no state between calls."""

    def __init__(
        self,
        skills: Skills,
        model: Model,
        shelf: Shelf,
        *,
        bounds: Bounds | None = None,
        toolbox: Toolbox | None = None,
    ) -> None:
        self._skills = skills
        self._model = model
        self._shelf = shelf
        self._bounds = bounds or Bounds()
        self._loop = Loop(model, self._bounds)
        self._toolbox = toolbox

    async def ready(self, agent: Agent) -> str | None:
        """See `Worker`: one skill that runs on this machine is enough, else the model must answer."""
        if self._skills.offered(agent.persona.skills):
            return None
        return _needs(await self._model.check())

    def appraise(self, agent: Agent, description: str) -> Awaitable[Offer | Decline] | None:
        """See `Worker`: what a skill understands is the skill's to do or decline; the rest may be the model's."""
        match = self._match(agent.persona, description)
        if match is not None:
            return self._appraise_skill(agent.persona, match)
        fit = field_fit(agent.persona, description)
        return None if fit == 0 else self._appraise_model(agent.persona, description, fit)

    async def work(self, agent: Agent, task: Task) -> Delivery:
        """See `Worker`."""
        return await self.do(agent, task.description, f"task/{task.id}/{task.attempt}")

    async def do(self, agent: Agent, description: str, key: str = "task") -> Delivery:
        """The same for who knows no more of the task than its words."""
        match = self._match(agent.persona, description)
        if match is not None:
            return await self._run(match)
        return await self._ask(agent, description, key)

    def _match(self, persona: Persona, description: str) -> Match | None:
        return self._skills.match(self._skills.offered(persona.skills), description)

    async def _appraise_skill(self, persona: Persona, match: Match) -> Offer | Decline:
        try:
            await self._skills.check(match)
        except UserError as error:
            return Decline(str(error), fault=error)
        except HubError as error:
            return Decline(str(error))
        return Offer(to_msat(persona.rate), SKILL_ETA, round(match.fit * 1000), f"with the skill {match.skill}")

    async def _appraise_model(self, persona: Persona, description: str, fit: float) -> Offer | Decline:
        why = _needs(await self._model.check())
        if why is not None:
            return Decline(why)
        try:
            self._messages(persona, description)
        except UserError as error:
            return Decline(str(error), fault=error)
        return Offer(to_msat(persona.rate), MODEL_ETA, round(fit * MODEL_FIT), "with the model")

    async def _run(self, match: Match) -> Delivery:
        folder = await self._shelf.folder()
        try:
            outcome = await self._skills.run(match, folder)
            return Delivery(outcome.text, await self._shelf.keep(outcome.files))
        finally:
            await self._shelf.discard(folder)

    async def _ask(self, agent: Agent, description: str, key: str) -> Delivery:
        """The model's result, whole or not at all: a piece of a result is not paid for."""
        turned = Turned()
        try:
            async with asyncio.timeout(self._bounds.seconds):
                await self._loop.run(self._scene(agent, description, key), turned, None, _unwatched, _unkept)
        except TimeoutError:
            raise ModelSlow(seconds=round(self._bounds.seconds)) from None
        said = plain(turned.said).strip()
        if not said:
            raise ModelSaidNothing
        if said.startswith(CANNOT):
            why = " ".join(said.removeprefix(CANNOT).split())[:300]
            raise BeyondWords(agent=agent.name, why=why or "it cannot be done from its words alone")
        files = tuple(dict.fromkeys(file for step in turned.steps for call in step.calls for file in call.files))
        return Delivery(said, files)

    def _scene(self, agent: Agent, description: str, key: str) -> Scene:
        """A task has no conversation, and nobody is there who could agree to a call."""
        persona = agent.persona
        if self._toolbox is None or not persona.tools:
            return Scene(lambda calls: persona_prompt(persona, calls=calls), (), description)
        use = Use(Caller(f"agent:{agent.name}", Role.MEMBER, private=False), "", key)
        tools = self._toolbox.offered(persona.tools, use.caller)
        return Scene(lambda calls: persona_prompt(persona, calls=calls), (), description, tools, use)

    def _messages(self, persona: Persona, description: str) -> list[ChatMessage]:
        return window(persona_prompt(persona), (), description, self._bounds.window)


def _unwatched(_: str) -> None:
    """Nobody watches a task's result grow."""


async def _unkept(_: int, __: Step) -> None:
    """What is called for a task is called anew where it is begun anew."""


def _needs(why: str | None) -> str | None:
    """Why an agent that has nothing but the model cannot work."""
    return None if why is None else f"needs a model: {why}"
