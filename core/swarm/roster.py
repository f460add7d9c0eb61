"""Who is on the hub's own roster: personas as declared, agents as spawned and dismissed, over restarts."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from core.access import Action, authorize
from core.errors import UserError
from core.events import Event, Kind
from core.swarm.crew import FIELD
from core.swarm.persona import called_for, field_fit, field_of
from core.swarm.ports import Agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from core.chat import Caller
    from core.store import Store
    from core.swarm.persona import Persona
    from core.swarm.ports import SwarmTx

MAX_AGENTS = 100


class UnknownPersona(UserError):
    """There is no persona {given}. The personas are {known}."""

    status = 404


class UnknownAgent(UserError):
    """There is no agent {given} on the roster. /agents lists them; /spawn adds one."""

    status = 404


class RosterFull(UserError):
    """The roster has {count} agents, the most it takes. /dismiss one first."""

    status = 409


class Roster:
    """The live agents of this hub, in the order of their declaration. `load` before use."""

    def __init__(self, store: Store[SwarmTx], personas: Iterable[Persona]) -> None:
        self._store = store
        self.personas: Mapping[str, Persona] = {persona.name: persona for persona in personas}
        self._agents: dict[str, Agent] = {}
        self.field_of = lru_cache(256)(partial(field_of, tuple(self.personas.values())))
        """The field of a task's work, by its words; empty where it is in none's. Asked at each bid."""

    def __iter__(self) -> Iterator[Agent]:
        """All live agents."""
        return iter(list(self._agents.values()))

    @property
    def names(self) -> set[str]:
        """The agents on the roster, and the personas that can join it."""
        return {*self.personas, *self._agents}

    @property
    def fields(self) -> set[str]:
        """The classes of work, for limits, that its personas and the crew may be paid for."""
        return {FIELD, *(persona.capabilities[0] for persona in self.personas.values() if persona.capabilities)}

    def called_for(self, description: str) -> frozenset[str]:
        """The capabilities that a task's words call for."""
        return called_for(self.personas.values(), description)

    def away(self, description: str) -> list[str]:
        """The personas in whose field a task's words are, and of whom no agent is on the roster."""
        here = {agent.persona.name for agent in self._agents.values()}
        return [one.name for one in self.personas.values() if one.name not in here and field_fit(one, description)]

    def capacity(self, name: str) -> int:
        """How many tasks an agent takes at a time; 0 when it is not on the roster."""
        agent = self._agents.get(name)
        return 0 if agent is None else agent.capacity

    def field(self, name: str) -> str:
        """The class of an agent's work, for limits: its first capability. Empty for a person, who may do anything."""
        agent = self._agents.get(name)
        return agent.persona.capabilities[0] if agent is not None and agent.persona.capabilities else ""

    def get(self, name: str) -> Agent:
        """A live agent by name, in any case. Raises `UnknownAgent`."""
        agent = self._agents.get(name.lower())
        if agent is None:
            raise UnknownAgent(given=repr(name[:40]))
        return agent

    def claims(self, name: str) -> bool:
        """Whether a name is an agent's of this hub, or can become one's: a persona's, alone or with a number (`quill-2`)."""
        name = name.lower()
        return name in self._agents or re.sub(r"-[0-9]+\Z", "", name) in self.personas

    async def load(self) -> None:
        """Read the roster; personas that were never seen before join it."""

        def work(tx: SwarmTx) -> list[tuple[str, str]]:
            known = {name: (persona, live) for name, persona, live in tx.agents.all()}
            for name in self.personas:
                if name not in known:
                    tx.agents.put(name, name, live=True, now=tx.now)
                    known[name] = (name, True)
            return [(name, persona) for name, (persona, live) in known.items() if live and persona in self.personas]

        order = list(self.personas)
        rows = sorted(await self._store.write(work), key=lambda row: (order.index(row[1]), len(row[0]), row[0]))
        self._agents = {name: Agent(name, self.personas[persona]) for name, persona in rows}

    async def spawn(
        self, caller: Caller, given: str, *, key: str, as_now: Callable[[SwarmTx, Caller], Caller]
    ) -> tuple[Agent, bool]:
        """Put one more agent of a persona to work, under its own name, or `quill-2`, `quill-3` ...

        Returns it, and whether that was done now. Raises `UnknownPersona`.
        """
        authorize(caller, Action.ROSTER)
        persona = self.personas.get(given.lower())
        if persona is None:
            raise UnknownPersona(given=repr(given[:40]), known=", ".join(self.personas))
        names = (persona.name, *(f"{persona.name}-{number}" for number in range(2, MAX_AGENTS + 2)))

        def work(tx: SwarmTx) -> tuple[str, bool]:
            if (done := tx.applied(key)) is not None:
                return done, False
            as_now(tx, caller)
            live = {name for name, _, alive in tx.agents.all() if alive}
            if len(live) >= MAX_AGENTS:
                raise RosterFull(count=len(live))
            name = next(name for name in names if name not in live)
            tx.agents.put(name, persona.name, live=True, now=tx.now)
            tx.emit(Event(Kind.AGENT_SPAWNED, agent=name, data={"by": caller.recorded}))
            tx.mark(key, name)
            return name, True

        name, new = await self._store.write(work)
        agent = Agent(name, persona)
        if new:
            self._agents[name] = agent
        return agent, new

    async def dismiss(
        self, caller: Caller, given: str, *, key: str, as_now: Callable[[SwarmTx, Caller], Caller]
    ) -> tuple[str, bool]:
        """Take an agent off the roster; returns its name, and whether that was done now. Raises `UnknownAgent`."""
        authorize(caller, Action.ROSTER)

        def work(tx: SwarmTx) -> tuple[str, bool]:
            if (done := tx.applied(key)) is not None:
                return done, False
            as_now(tx, caller)
            agent = self.get(given)
            tx.agents.put(agent.name, agent.persona.name, live=False, now=tx.now)
            tx.emit(Event(Kind.AGENT_DISMISSED, agent=agent.name, data={"by": caller.recorded}))
            tx.mark(key, agent.name)
            return agent.name, True

        name, new = await self._store.write(work)
        if new:
            self._agents.pop(name, None)
        return name, new
