"""The agent: what answers people, what it remembers of them, and what works on tasks; each loaded for the first who needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.later import Later

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from adapters.shelf import Shelf
    from adapters.sqlite.writer import Database
    from bot.approvals import Approvals
    from bot.parts.models import Brains
    from bot.tooling import Tooling
    from core.agent.agent import Assistant
    from core.agent.changing import Benches
    from core.agent.model import Bounds, Model
    from core.agent.notebook import Notebook
    from core.agent.persona_worker import PersonaWorker
    from core.agent.pulling import Coming, Pulls
    from core.agent.skill import Skills
    from core.agent.summaries import Summaries
    from core.agent.tool import Toolbox
    from core.agent.vectors import Vectors
    from core.ports import Clock, Spawner
    from core.swarm.ports import Agent, Delivery, Said
    from core.swarm.task import Task
    from core.tokens import Identities


class Mind(NamedTuple):
    """The parts that talk."""

    assistant: Later[Assistant]
    tooling: Later[Tooling]
    notebook: Later[Notebook]
    summaries: Later[Summaries]
    vectors: Later[Vectors]
    pulls: Later[Pulls]

    def coming(self) -> Sequence[Coming]:
        """The models that are being got."""
        return () if self.pulls.made is None else self.pulls.made.coming()

    async def begin(self, store: Database) -> None:
        """Have vectors made of what is remembered, where anything is."""
        if await store.read(lambda tx: tx.keeps_facts()):
            self.vectors().look()


def mind(  # noqa: PLR0913 - what it works with
    store: Database,
    clock: Clock,
    nursery: Spawner,
    identities: Identities,
    approvals: Approvals,
    *,
    models: Brains,
    bounds: Bounds,
    toolbox: Toolbox,
) -> Mind:
    """All of it, none made."""

    def tooling() -> Tooling:
        from bot.tooling import Tooling  # noqa: PLC0415 - see the module

        return Tooling(store, clock, approvals, identities, toolbox)

    def assistant() -> Assistant:
        from core.agent.agent import Assistant  # noqa: PLC0415 - as above

        made = Assistant(store, models.model, bounds=bounds, toolbox=toolbox)
        made.asker = parts.tooling()
        return made

    def vectors() -> Vectors:
        from core.agent.vectors import Vectors  # noqa: PLC0415 - as above

        return Vectors(store, models.embedder, nursery, clock)

    def notebook() -> Notebook:
        from core.agent.notebook import Notebook  # noqa: PLC0415 - as above

        return Notebook(store, identities, parts.vectors(), window=bounds.window)

    def summaries() -> Summaries:
        from core.agent.summaries import Summaries  # noqa: PLC0415 - as above

        return Summaries(store, models.model, nursery, bounds=bounds)

    def pulls() -> Pulls:
        from core.agent.pulling import Pulls  # noqa: PLC0415 - as above

        return Pulls(models.library)

    parts = Mind(Later(assistant), Later(tooling), Later(notebook), Later(summaries), Later(vectors), Later(pulls))
    return parts


class Hands:
    """`core.swarm.ports.Worker`: a `PersonaWorker` with what it is given, made for the first task."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        skills: Skills,
        model: Model,
        shelf: Shelf,
        *,
        bounds: Bounds,
        reports: Callable[[int, str, str], None],
        toolbox: Toolbox | None = None,
        benches: Benches | None = None,
    ) -> None:
        def make() -> PersonaWorker:
            from core.agent.persona_worker import PersonaWorker  # noqa: PLC0415 - see the module

            return PersonaWorker(skills, model, shelf, bounds=bounds, toolbox=toolbox, reports=reports, benches=benches)

        self._worker = Later(make)

    async def ready(self, agent: Agent) -> str | None:
        """See `Worker`."""
        return await self._worker().ready(agent)

    def appraise(self, agent: Agent, description: str) -> Said | Awaitable[Said]:
        """See `Worker`."""
        return self._worker().appraise(agent, description)

    async def work(self, agent: Agent, task: Task) -> Delivery:
        """See `Worker`."""
        return await self._worker().work(agent, task)
