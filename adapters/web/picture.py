"""A picture of the hub for its status page, and the words of its recent tasks; loaded when somebody looks.

Each section is small and whole, so that an update is "these sections are now so", and a slow reader skips versions,
never facts. No text that a person or a model wrote is in them, and no name of a person.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.ids import task_name
from core.money import to_cost, to_sats
from core.spark.advice import words
from core.swarm.ports import seated
from core.swarm.task import Status, is_person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapters.web.ports import Sources, WebTx
    from core.events import Event
    from core.swarm.ports import Seat
    from core.swarm.task import Task

RECENT_TASKS = 12
AUCTIONS = 8
ADVICE = 8
NEAREST = 300
"""Live tasks among which auctions are looked for: those that time changes first."""

MOST_WORDS = 600
"""Characters of a task's description and result that the page shows."""

MOST_LINES = 8
WORKERS = 40
"""Workers that are shown: those at work first."""

AT_WORK = 1000
"""Tasks at work that are looked at for it."""

MOST_AT_ONCE = 5
"""Tasks of one agent that are named."""

_FOR_EVER = 2**62


@dataclass(frozen=True, slots=True)
class HubState:
    """The hub itself. Times in Unix ms."""

    ok: bool
    ready: bool
    model: bool
    started: int


@dataclass(frozen=True, slots=True)
class PartState:
    """A surface or another supervised part."""

    name: str
    up: bool


@dataclass(frozen=True, slots=True)
class AgentState:
    """An agent: a `persona` of the hub's own or a `worker` of another process; free, busy or unable, and then why; its tasks."""

    name: str
    kind: str
    role: str
    state: str
    tasks: list[str]
    why: str | None = None


@dataclass(frozen=True, slots=True)
class CrewState:
    """How many workers are here and away, and how many of them are not among the agents that are shown."""

    here: int
    away: int
    more: int


@dataclass(frozen=True, slots=True)
class AuctionState:
    """An auction under way; it closes at this time (Unix ms), or when a person has picked."""

    task: str
    budget_sats: int
    bids: int
    closes: int
    asked: bool


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task without its words."""

    task: str
    status: str
    budget_sats: int
    attempt: int
    posted: int
    ended: int | None = None
    price_sats: int | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Tasks under way by status, and all that were ever posted."""

    live: dict[str, int]
    posted: int


@dataclass(frozen=True, slots=True)
class MoneyState:
    """What is set aside, what tasks under way have in escrow, what the treasury has and moved today; whether spending is frozen."""

    held_sats: int
    escrow_sats: int
    treasury_sats: int
    earned_today_sats: int
    spent_today_sats: int
    simulated: bool
    frozen: bool


@dataclass(frozen=True, slots=True)
class EventState:
    """An event without its data."""

    id: int
    type: str
    at: int
    task: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class AdviceState:
    """A word of advice; since when what it tells of is so (Unix ms)."""

    number: int
    text: str
    since: int


@dataclass(frozen=True, slots=True)
class SparkState:
    """How many forecasts were scored, how many of so many winners were right; and the advice that stands."""

    scored: int
    winners: int
    right: int
    advice: list[AdviceState]


@dataclass(frozen=True, slots=True)
class PageState:
    """The page. The first message of a stream holds every section, later ones those that changed.

    `session` says, in the first message only, whether the reader is logged in.
    """

    hub: HubState
    parts: list[PartState]
    agents: list[AgentState]
    crew: CrewState
    auctions: list[AuctionState]
    tasks: list[TaskState]
    totals: Totals
    money: MoneyState
    spark: SparkState
    events: list[EventState]
    session: bool | None = None


@dataclass(frozen=True, slots=True)
class TaskWords:
    """What a task says: the beginning of its description and result, or why it ended."""

    task: str
    description: str
    result: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class TaskTexts:
    """The texts of the recent tasks, newest first."""

    tasks: list[TaskWords]


@dataclass(frozen=True, slots=True)
class _Seen:
    newest: list[Task]
    auctions: list[tuple[Task, int]]
    work: dict[str, list[str]]


async def take(sources: Sources, events: Iterable[Event]) -> PageState:
    """All sections as they are now; `events`: the newest."""
    agents = list(sources.roster)
    figures = await sources.health.figures()
    seen = await sources.store.read(_look)
    crew, workers = _crew(sources, seen)
    why, *whys = await asyncio.gather(sources.health.model(), *(sources.able(agent) for agent in agents))
    return PageState(
        hub=HubState(
            ok=not sources.health.faults(), ready=sources.health.ready, model=why is None,
            started=sources.health.started,
        ),
        parts=[PartState(name, part.up) for name, part in sources.health.parts.items()],
        agents=[
            *(
                _agent(seated(agent, len(seen.work.get(agent.name, ())), why), seen)
                for agent, why in zip(agents, whys, strict=True)
            ),
            *workers,
        ],
        crew=crew,
        auctions=[
            AuctionState(
                task.name, to_sats(task.budget), bids, task.closes_at or task.deadline, asked=task.pick == "ask"
            )
            for task, bids in seen.auctions
        ],
        tasks=[_task(task) for task in seen.newest],
        totals=Totals(dict(figures.live), figures.tasks),
        money=MoneyState(
            to_cost(figures.held), to_sats(figures.escrow), to_sats(figures.treasury), to_sats(figures.earned),
            to_cost(figures.spent), sources.health.simulated, figures.frozen,
        ),
        spark=_spark(sources),
        events=[_event(event) for event in events],
    )  # fmt: skip


def _spark(sources: Sources) -> SparkState:
    here = sources.here
    found = sources.spark.insight(sources.clock.now(), here)
    advice = [
        AdviceState(word.number, words(word.advice, here), word.advice.since or word.at)
        for word in found.words[:ADVICE]
    ]
    return SparkState(found.record.ends, found.record.winners, found.record.right, advice)


def _crew(sources: Sources, seen: _Seen) -> tuple[CrewState, list[AgentState]]:
    """The crew, and those of it that are shown: those at work before others, those that are here before those away."""
    workers = list(sources.crew)
    here = {worker.name for worker in workers if sources.crew.here(worker.name)}
    first = sorted(workers, key=lambda one: (one.name not in seen.work, one.name not in here, one.name))[:WORKERS]
    seats = [sources.crew.seat(worker, len(seen.work.get(worker.name, ()))) for worker in first]
    counts = CrewState(len(here), len(workers) - len(here), len(workers) - len(first))
    return counts, [_agent(seat, seen) for seat in sorted(seats, key=lambda seat: seat.name)]


async def recent(sources: Sources) -> TaskTexts:
    """What the recent tasks say."""
    tasks = await sources.store.read(lambda tx: tx.tasks.newest(None, RECENT_TASKS))
    return TaskTexts([_words(task) for task in tasks])


def _task(task: Task) -> TaskState:
    price = None if task.price is None else to_sats(task.price)
    return TaskState(
        task.name, task.status.value, to_sats(task.budget), task.attempt, task.posted_at, task.ended_at, price,
        _who(task.agent),
    )  # fmt: skip


def _event(event: Event) -> EventState:
    task = None if event.task is None else task_name(event.task)
    return EventState(event.id, event.kind.value, event.at, task, _who(event.agent))


def _who(agent: str | None) -> str | None:
    """An agent by name; of a person only that it is one."""
    return "a person" if is_person(agent) else agent


def _look(tx: WebTx) -> _Seen:
    work: dict[str, list[str]] = {}
    for agent, number in tx.tasks.at_work(AT_WORK):
        work.setdefault(agent, []).append(task_name(number))
    bidding = [task for task in tx.tasks.due(_FOR_EVER, NEAREST) if task.status is Status.BIDDING]
    return _Seen(
        tx.tasks.newest(None, RECENT_TASKS),
        [(task, _bids(tx, task)) for task in bidding[:AUCTIONS]],
        work,
    )


def _bids(tx: WebTx, task: Task) -> int:
    return sum(1 for given in tx.tasks.answers(task.id, task.attempt) if not given.refused)


def _agent(seat: Seat, seen: _Seen) -> AgentState:
    """The reason only up to its first colon: what follows may name addresses of this machine. A worker's words are not shown."""
    role = "worker" if seat.kind == "worker" else seat.does
    why = seat.why.partition(":")[0] if seat.why else None
    return AgentState(seat.name, seat.kind, role, seat.state, seen.work.get(seat.name, [])[:MOST_AT_ONCE], why)


def _words(task: Task) -> TaskWords:
    result = None if task.result is None else _beginning(task.result)
    why = _beginning(task.why) if task.why is not None and task.over and task.status is not Status.SETTLED else None
    return TaskWords(task.name, _beginning(task.description), result, why)


def _beginning(text: str) -> str:
    lines = text.strip()[: MOST_WORDS + 1].splitlines()
    shown = "\n".join(lines[:MOST_LINES])
    return f"{shown[:MOST_WORDS].rstrip()} …" if len(lines) > MOST_LINES or len(shown) > MOST_WORDS else shown
