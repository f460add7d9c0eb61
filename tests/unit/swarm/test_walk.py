"""Tasks that wait for somebody, as workers come and get free; and an agent of the hub's own that breaks when it is asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from adapters.clockwork import Nursery
from core.errors import Unavailable
from core.swarm.appraisal import Appraiser
from core.swarm.parking import Parking
from core.swarm.persona import Persona
from core.swarm.ports import Agent, Decline, Offer
from core.swarm.walk import Walk
from tests.fakes import FakeClock

if TYPE_CHECKING:
    import pytest

    from core.swarm.task import Task


def walk(nursery: Nursery, *waiting: int, hands: tuple[int, ...] = ()) -> Walk:
    """A walk with tasks that wait, some of which a worker that comes could do."""
    parking = Parking()
    for number in waiting:
        parking.park(number, ["quill"])

    async def tasks() -> list[Task]:
        return cast("list[Task]", [SimpleNamespace(id=number) for number in waiting])

    docket = SimpleNamespace(parking=parking, waiting=tasks)
    crew = SimpleNamespace(hands=lambda task: ["box"] if task.id in hands else [])
    terms = SimpleNamespace(crew=crew)
    nothing = cast("Any", None)
    return Walk(cast("Any", docket), nothing, nothing, cast("Any", terms), clock=FakeClock(), spawner=nursery)


async def test_of_what_waits_a_worker_that_comes_joins_what_it_can_do_and_the_rest_waits_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_up: list[Any] = []
    done = asyncio.Event()

    def freed(name: str) -> None:
        put_up.append(name)
        done.set()

    async with asyncio.timeout(5), Nursery() as nursery:
        one = walk(nursery, 1, 2, 3, hands=(2,))
        one._parking.park(3, ["quill", "box"])  # which it cannot do any more
        monkeypatch.setattr(one, "offer_again", put_up.append)
        monkeypatch.setattr(one, "_freed", freed)
        one.joined("box")
        await done.wait()
    assert put_up == [[3], "box"]
    assert [one._parking.whom(number) for number in (1, 2)] == [("quill",), ("quill", "box")]


async def test_who_gets_free_while_what_waits_is_put_up_is_looked_at_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[str] = []
    gate, twice = asyncio.Event(), asyncio.Event()

    async def put_up(agent: str) -> None:
        rounds.append(agent)
        if len(rounds) > 1:
            twice.set()
        await gate.wait()

    async with asyncio.timeout(5), Nursery() as nursery:
        one = walk(nursery, 1)
        monkeypatch.setattr(one, "_put_up", put_up)
        one._freed("echo")  # for which nothing waits
        one._freed("quill")
        while not rounds:
            await FakeClock().sleep(0)
        one._freed("quill")
        gate.set()
        await twice.wait()
    assert rounds == ["quill", "quill"]


class Down(Unavailable):
    """The model is out."""


async def test_an_agent_that_breaks_as_it_is_asked_has_declined_and_the_others_are_heard() -> None:
    agents = [Agent(name, Persona(name, "writing", ("writing",), 40, ())) for name in ("quill", "echo", "scout")]
    breaks = {"quill": Down(), "echo": ZeroDivisionError()}

    def appraise(agent: Agent, _: str) -> Offer:
        if agent.name in breaks:
            raise breaks[agent.name]
        return Offer(1)

    workers = SimpleNamespace(of=lambda _: SimpleNamespace(appraise=appraise))
    said = await Appraiser(cast("Any", agents), cast("Any", workers)).ask("write", None, (), "telegram:5")
    assert [answer for _, answer in said] == [
        Decline("The model is out."), Decline("could not look at it (the log says more)"), Offer(1)
    ]  # fmt: skip
