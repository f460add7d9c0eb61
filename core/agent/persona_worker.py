"""The work of the hub's own agents: a skill that understands the task, else the model with the persona's prompt.

An agent bids only on what it can really do now: the skill has looked at the very file the task names, or the model
answers, the task's words are in the persona's field, and what they name can be looked at. What a model says becomes the text of
a result, nothing else: once its checks have nothing against it. What they have is told to the model once; then the attempt fails.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

from core.agent.cascade import alone
from core.agent.loop import Loop, Scene, Turned
from core.agent.model import Bounds, ModelSaidNothing, ModelSlow, fitting, installed
from core.agent.needs import needs, unmet
from core.agent.prompt import CANNOT, TooLongForModel, persona_prompt, plain, window
from core.agent.session import Step, Turn
from core.agent.tool import Use
from core.agent.worktree import DIFF
from core.chat import Caller, Role
from core.errors import HubError, Unavailable, UserError
from core.money import to_msat
from core.swarm.persona import field_fit
from core.swarm.ports import Decline, Delivery, Offer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from core.agent.changing import Bench, Benches
    from core.agent.checks.draft import Checked
    from core.agent.model import Model
    from core.agent.skill import Match, Skills
    from core.agent.tool import Tool, Toolbox
    from core.swarm.persona import Persona
    from core.swarm.ports import Agent, ResultFile
    from core.swarm.task import Task

SKILL_ETA = 10_000
"""What a skill promises, ms; most take under a second."""

MODEL_ETA = 120_000
"""What a model promises, ms."""

MODEL_FIT = 400
"""The fit, in permille, of a model that knows the field at its best: below any skill that is sure of what is meant."""


_HANDED_BACK = re.compile(rf"[*_#>` ]{{0,6}}{CANNOT.removesuffix(':')}[*_ ]{{0,4}}:", re.IGNORECASE)
"""`CANNOT: why`, as models also write it."""


class BeyondWords(Unavailable):
    """{agent} handed the task back: {why}"""


class NotGood(Unavailable):
    """{agent}'s result was not good enough to be delivered, and was not mended: {why}"""


ROUNDS = 16
"""Rounds of calls where files are changed: to look, to change and to test takes more than to answer."""

_MEND = """\
Your result was checked by a program, and cannot be delivered as it is:
{faults}
Mend just that, and answer with the whole result once more, in the same form. Do not talk about the mending."""


class Shelf(Protocol):
    """Where result files are made and kept."""

    async def folder(self) -> Path:
        """A new empty folder to work in."""

    async def keep(self, paths: Sequence[Path]) -> tuple[ResultFile, ...]:
        """Move files out of a folder to where they stay, by their hash. A `UserError` if they are too large to keep."""

    async def put(self, files: Sequence[tuple[str, bytes]]) -> tuple[ResultFile, ...]:
        """Keep what is in memory, each under its name."""

    async def discard(self, folder: Path) -> None:
        """Remove a folder and what is left in it."""


class PersonaWorker:
    """`core.swarm.ports.Worker` for agents that live in this process. Holds no state between calls.

    `reports` is told how it goes with a task: its number, who is at it, and what is done just now.
    """

    def __init__(  # noqa: PLR0913 - the ports that agents work with
        self,
        skills: Skills,
        model: Model,
        shelf: Shelf,
        *,
        bounds: Bounds | None = None,
        toolbox: Toolbox | None = None,
        reports: Callable[[int, str, str], None] | None = None,
        benches: Benches | None = None,
    ) -> None:
        self._skills = skills
        self._model = model
        self._shelf = shelf
        self._bounds = bounds or Bounds()
        self._loop = Loop(model, self._bounds)
        self._toolbox = toolbox
        self._reports = reports
        self._benches = benches

    async def ready(self, agent: Agent) -> str | None:
        """See `Worker`: one skill that runs on this machine is enough, else the model must answer."""
        if self._skills.offered(agent.persona.skills):
            return None
        return _needs(await self._model.check())

    def appraise(self, agent: Agent, description: str) -> Awaitable[Offer | Decline] | None:
        """See `Worker`: what a skill understands is the skill's to do or decline; the rest may be the model's."""
        match = self._match(agent, description)
        if match is not None:
            return self._appraise_skill(agent.persona, match)
        fit = field_fit(agent.persona, description)
        return None if fit == 0 else self._appraise_model(agent, description, fit)

    async def work(self, agent: Agent, task: Task) -> Delivery:
        """See `Worker`."""
        match = self._match(agent, task.description)
        if match is not None:
            return await self._run(match)
        return await self._ask(agent, task.description, f"task/{task.id}/{task.attempt}", task.id)

    async def do(self, agent: Agent, description: str, key: str = "task") -> Delivery:
        """The same for who knows no more of the task than its words."""
        match = self._match(agent, description)
        if match is not None:
            return await self._run(match)
        return await self._ask(agent, description, key)

    def _match(self, agent: Agent, description: str) -> Match | None:
        """The skill that does it; none where it is to be done with a model."""
        return None if agent.model else self._skills.match(self._skills.offered(agent.persona.skills), description)

    async def _appraise_skill(self, persona: Persona, match: Match) -> Offer | Decline:
        try:
            await self._skills.check(match)
        except UserError as error:
            return Decline(str(error), fault=error)
        except HubError as error:
            return Decline(str(error))
        return Offer(to_msat(persona.rate), SKILL_ETA, round(match.fit * 1000), f"with the skill {match.skill}")

    async def _appraise_model(self, agent: Agent, description: str, fit: float) -> Offer | Decline:
        with alone(agent.model):
            try:
                why = await self._missing(agent) or await self._lacks(agent, description)
                if why is not None:
                    return Decline(why)
                window(persona_prompt(agent.persona), (), description, await self._window(agent))
            except UserError as error:
                return Decline(str(error), fault=error)
        note = "with the model" if agent.model is None else f"with the model {agent.model}"
        return Offer(to_msat(agent.persona.rate), MODEL_ETA, round(fit * MODEL_FIT), note)

    async def _missing(self, agent: Agent) -> str | None:
        """Why there is no model that an agent could ask. Raises `UnknownModel` where that of the task is not here."""
        if agent.model is None:
            return _needs(await self._model.check())
        try:
            await installed(self._model, agent.model)
        except Unavailable as error:
            return _needs(str(error))
        return None

    async def _window(self, agent: Agent) -> int:
        """The window of its model, as it would be asked."""
        return fitting(self._bounds.window, await self._model.card(_model_of(agent)))

    async def _lacks(self, agent: Agent, description: str) -> str | None:
        """What an agent cannot look at, though the task needs it to."""
        if not needs(description):
            return None
        need = unmet(description, [tool.spec.name for tool in self._tools(agent, "")[0]])
        if need is not None:
            return f"has no {' or '.join(need.tools)} here to look at {need.what}"
        if not (await self._model.card(_model_of(agent))).tools:
            return f"needs a model that can call tools, to look at {needs(description)[0].what}"
        return None

    async def _run(self, match: Match) -> Delivery:
        folder = await self._shelf.folder()
        try:
            outcome = await self._skills.run(match, folder)
            return Delivery(outcome.text, await self._shelf.keep(outcome.files))
        finally:
            await self._shelf.discard(folder)

    async def _ask(self, agent: Agent, description: str, key: str, number: int | None = None) -> Delivery:
        """The model's result, whole or not at all: a piece of a result is not paid for, nor one that fails its checks."""
        steps = list[Step]()
        try:
            async with asyncio.timeout(self._bounds.seconds), AsyncExitStack() as stack:
                stack.enter_context(alone(agent.model))
                bench = await self._bench(agent, description, key, stack)
                scene = self._scene(agent, description, key, bench)
                if number is not None and (reports := self._reports) is not None:
                    scene = scene._replace(doing=lambda what: reports(number, agent.name, what))
                found = await self._result(agent, scene, steps, bench)
        except TimeoutError:
            raise ModelSlow(seconds=round(self._bounds.seconds)) from None
        return Delivery(found.text, (*await self._shelf.put(found.files), *_handed(steps)))

    async def _bench(self, agent: Agent, description: str, key: str, stack: AsyncExitStack) -> Bench | None:
        """Where the files are changed that a task names; None where it is not one to change any, or the model calls no tools."""
        if self._benches is None or not agent.persona.change_prompt:
            return None
        from core.agent.changing import named  # noqa: PLC0415 - for the first task that may change code

        names = named(description)
        if not names or not (await self._model.card(_model_of(agent))).tools:
            return None
        folder = await self._benches.project(names)
        return await stack.enter_async_context(self._benches.open(folder, f"{agent.name}/{key}")) if folder else None

    async def _result(self, agent: Agent, scene: Scene, steps: list[Step], bench: Bench | None) -> Checked:
        """A result that has passed its checks. Raises `NotGood` where there is none."""
        said = await self._said(agent, scene, steps)
        found = await _checked(agent.persona, scene.text, said, steps, bench)
        if found.faults:
            if scene.doing is not None:
                scene.doing("mends its result")
            again = self._mending(scene, said, steps, found)
            if not _fits(again, said, await self._window(agent)):
                raise NotGood(agent=agent.name, why=" ".join(found.faults))
            said = await self._said(agent, again, steps)
            found = await _checked(agent.persona, scene.text, said, steps, bench)
        if found.faults:
            raise NotGood(agent=agent.name, why=" ".join(found.faults))
        return found

    async def _said(self, agent: Agent, scene: Scene, steps: list[Step]) -> str:
        """Let the model speak; what it calls is added to `steps`."""
        turned = Turned()
        await self._loop.run(scene, turned, _model_of(agent), _unwatched, _unkept)
        steps += turned.steps
        said = plain(turned.said).strip()
        if not said:
            raise ModelSaidNothing
        if (handed_back := _HANDED_BACK.match(said)) is not None:
            why = " ".join(said[handed_back.end() :].strip("*_ ").split())[:300]
            raise BeyondWords(agent=agent.name, why=why or "it cannot be done from its words alone")
        return said

    @staticmethod
    def _mending(scene: Scene, said: str, steps: Sequence[Step], found: Checked) -> Scene:
        """The second turn, which is all that a model is given to mend a result.

        What is wrong may quote the model, so an address in it is none: else it would be one that a person named.
        """
        wrong = "\n".join(f"- {fault}" for fault in found.faults).replace("://", ": //")
        text = _MEND.format(faults=wrong)
        outside = any(step.outside for step in steps)
        before = (Turn("user", scene.text, ""), Turn("assistant", said, "", tainted=outside, steps=tuple(steps)))
        again = scene._replace(turns=before, text=text, tainted=outside)
        if again.use is not None:
            again = again._replace(use=again.use._replace(key=f"{again.use.key}/mended"))
        return again

    def _scene(self, agent: Agent, description: str, key: str, bench: Bench | None) -> Scene:
        """A task has no conversation, and nobody is there who could agree to a call. At a bench only its tools are at hand."""
        persona = agent.persona
        if bench is None:
            tools, use = self._tools(agent, key)
            return Scene(lambda calls: persona_prompt(persona, calls=calls), (), description, tools, use)
        changes = persona._replace(prompt=persona.change_prompt)
        return Scene(
            lambda calls: persona_prompt(changes, calls=calls), (), description, bench.tools, self._use(agent, key),
            rounds=ROUNDS,
        )  # fmt: skip

    def _tools(self, agent: Agent, key: str) -> tuple[Sequence[Tool], Use | None]:
        """What an agent's model may call."""
        if self._toolbox is None or not agent.persona.tools:
            return (), None
        use = self._use(agent, key)
        return self._toolbox.offered(agent.persona.tools, use.caller), use

    @staticmethod
    def _use(agent: Agent, key: str) -> Use:
        return Use(Caller(f"agent:{agent.name}", Role.MEMBER, private=False), "", key)


def _model_of(agent: Agent) -> str | None:
    """What an agent works with: the model of the task, else of its persona, else (None) the hub's own."""
    return agent.model or agent.persona.model or None


def _fits(scene: Scene, said: str, num_ctx: int) -> bool:
    """Whether a model with this window can be given task, result and faults at once."""
    try:
        given = window(scene.system(bool(scene.tools)), scene.turns, scene.text, num_ctx,
                       tools=[tool.spec for tool in scene.tools])  # fmt: skip
    except TooLongForModel:
        return False
    return any(one.role == "assistant" and one.text == said for one in given)


def _handed(steps: Sequence[Step]) -> list[ResultFile]:
    """The files that its calls came to. A change that was mended is the last one alone."""
    files = list(dict.fromkeys(file for step in steps for call in step.calls for file in call.files))
    changes = [file for file in files if file.name == DIFF]
    return [file for file in files if file not in changes[:-1]]


async def _checked(
    persona: Persona, description: str, said: str, steps: Sequence[Step], bench: Bench | None
) -> Checked:  # fmt: skip
    if bench is not None:
        from core.agent.changing import delivered  # noqa: PLC0415 - for the first task that changes code

        return delivered(description, said, await bench.work())
    from core.agent.checks.catalogue import checked  # noqa: PLC0415 - for the first result of a model
    from core.agent.checks.draft import Draft  # noqa: PLC0415

    return checked(persona.checks, Draft(description, said, steps))


def _unwatched(_: str) -> None:
    """Nobody watches a task's result grow."""


async def _unkept(_: int, __: Step) -> None:
    """What is called for a task is called anew where it is begun anew."""


def _needs(why: str | None) -> str | None:
    """Why an agent that has nothing but the model cannot work."""
    return None if why is None else f"needs a model: {why}"
