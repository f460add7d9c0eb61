"""Asking the hub's own agents what a task would take, and refusing an order that none of them can do as it is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from core.errors import HubError, UserError
from core.swarm.ports import Decline, Offer
from core.swarm.task import is_person

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from core.swarm.orders import Order
    from core.swarm.ports import Agent, Said, Workers
    from core.swarm.roster import Roster

log = logging.getLogger(__name__)

APPRAISAL_SECONDS = 2.0


class NotTheirWork(UserError):
    """{agent} cannot do this, but {able} can. Leave out to={agent}, or name another agent."""

    status = 409


class NotWithModel(UserError):
    """No agent here can do this with {model}: {why}. Choose another model=, or leave it out."""

    status = 409


class Appraiser:
    """Asks the agents of a roster through the worker that does their work."""

    def __init__(self, roster: Roster, workers: Workers) -> None:
        self._roster = roster
        self._workers = workers

    async def examine(self, order: Order) -> list[tuple[Agent, Said]]:
        """What the agents say to an order. Raises where the task itself is at fault, or is for an agent that does no such work."""
        appraised = await self.ask(order.description, order.only, (), order.caller.name, order.model)
        _refuse_faulty(order, appraised)
        await self._refuse_wrong_agent(order, appraised)
        _refuse_model(order, appraised)
        if any(answer for _, answer in appraised):
            return appraised
        return [(agent, await self._unready(agent, order.caller.name)) for agent, _ in appraised]

    async def ask(
        self, description: str, only: str | None, excluded: Sequence[str], requester: str, model: str | None = None
    ) -> list[tuple[Agent, Said]]:
        """What each agent says to a task of `requester`, all asked at once; one that is late or breaks has declined.

        Where there is nobody to ask, it returns before anything else can happen.
        """
        agents = [agent for agent in self._roster if agent.name not in excluded and only in {None, agent.name}]
        if not agents:
            return []
        if model is not None:
            agents = [agent._replace(model=model) for agent in agents]
        said: dict[str, Said] = {}
        looking = []
        worker = self._workers.of(requester)

        async def look(agent: Agent, answer: Awaitable[Said]) -> None:
            try:
                said[agent.name] = await answer
            except Exception as error:  # noqa: BLE001 - whatever it is, it is an answer of this agent's alone
                said[agent.name] = _broken(agent, error)

        for agent in agents:
            try:
                answer = worker.appraise(agent, description)
            except Exception as error:  # noqa: BLE001 - the same
                answer = _broken(agent, error)
            if answer is None or isinstance(answer, Offer | Decline):
                said[agent.name] = answer
            else:
                looking.append(look(agent, answer))
        if looking:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(APPRAISAL_SECONDS):
                    await asyncio.gather(*looking)
        late = Decline("did not answer in time")
        return [(agent, said.get(agent.name, late)) for agent in agents]

    async def _unready(self, agent: Agent, requester: str) -> Decline | None:
        """Why an agent does nothing at all now, asked where a task is in nobody's field: it may be for want of that agent."""
        why = await self._workers.of(requester).ready(agent)
        return None if why is None else Decline(why)

    async def _refuse_wrong_agent(self, order: Order, appraised: Sequence[tuple[Agent, Said]]) -> None:
        """Refuse a task for an agent that does no such work, where others do."""
        if order.only is None or not self._roster.capacity(order.only) or any(answer for _, answer in appraised):
            return
        others = await self.ask(order.description, None, (order.only,), order.caller.name, order.model)
        able = [agent.name for agent, answer in others if isinstance(answer, Offer)]
        if able:
            raise NotTheirWork(agent=order.only, able=" and ".join(able))


def _broken(agent: Agent, error: Exception) -> Decline:
    """What an agent has said that broke when it was asked."""
    if isinstance(error, HubError):
        return Decline(str(error))
    log.error("%s cannot say what a task would take", agent.name, exc_info=error)
    return Decline("could not look at it (the log says more)")


def _refuse_faulty(order: Order, appraised: Sequence[tuple[Agent, Said]]) -> None:
    """Refuse a task that nobody can do because of what it names (a missing file, say), before anything is written."""
    if _may_be_done(order, appraised):
        return
    for _, answer in appraised:
        if isinstance(answer, Decline) and answer.fault is not None:
            raise answer.fault


def _refuse_model(order: Order, appraised: Sequence[tuple[Agent, Said]]) -> None:
    """Refuse a task that those in whose field it is cannot do with the model that it asks for."""
    whys = [f"{agent.name} {answer.why}" for agent, answer in appraised if isinstance(answer, Decline)]
    if order.model is not None and whys and not _may_be_done(order, appraised):
        raise NotWithModel(model=order.model, why="; ".join(whys).rstrip("."))


def _may_be_done(order: Order, appraised: Sequence[tuple[Agent, Said]]) -> bool:
    """Whether an agent would do it, or people may."""
    people = is_person(order.only) or (order.pick == "ask" and order.only is None)
    return people or any(isinstance(answer, Offer) for _, answer in appraised)
