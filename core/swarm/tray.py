"""The tray: what workers answer to auctions while one commit is under way is written together in the next, each told of its own.

One answer that is refused holds up no other: it is refused before anything of it is written. A unit of work that breaks is done
again answer by answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from core.errors import HubError, Unavailable, UserError
from core.store import StoreClosed, gathered
from core.swarm import bidding
from core.swarm.auction import Bid
from core.swarm.docket import find
from core.swarm.task import Status, WrongState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.ports import Spawner
    from core.store import Store
    from core.swarm.bidding import Terms
    from core.swarm.docket import Docket
    from core.swarm.ports import Answer, SwarmTx
    from core.swarm.task import Task
    from core.swarm.walk import Walk

TOGETHER = 128
"""Answers that one unit of work writes at most."""

MOST_ANSWERS = 20
"""How often a worker may answer to one auction: its bid, and its changes. Counted anew after a restart."""

BUSY = "you have as many tasks as you do at a time"


class TooManyChanges(UserError):
    """You have answered to {task} {most} times, the most there may be in an auction. What you said last counts."""

    status = 429


@dataclass(eq=False, slots=True)
class Sealed:
    """What a worker answers: a bid of so many msat, or (None) a refusal, and a note. `eta` in ms; `done`: why it does not count."""

    name: str
    task: int
    price: int | None
    eta: int | None
    note: str
    done: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def is_said(self, known: Answer | None) -> bool:
        """Whether a worker has answered this very thing: it may not have heard that it did. Any refusal is as good as another."""
        if known is None or known.refused or self.price is None:
            return known is not None and known.refused and self.price is None
        return (known.bid.price, known.bid.eta, known.bid.note) == (self.price, self.eta, self.note)


@dataclass(eq=False, slots=True)
class Written:
    """What became of the answers to one task: how the task stands, and of each answer why it does not count, or its error."""

    task: Task | None
    said: list[tuple[Sealed, str | HubError]]
    new: list[Sealed] = field(default_factory=list)


class Known(NamedTuple):
    """What is known of those who answer to one task: what each said last and how often, its trust, and who has no hand free."""

    answers: dict[str, Answer]
    times: dict[str, int]
    trust: dict[str, int]
    full: set[str]


class Tray:
    """Takes answers and writes them, one unit of work at a time."""

    def __init__(self, store: Store[SwarmTx], docket: Docket, walk: Walk, terms: Terms, spawner: Spawner) -> None:
        self._store = store
        self._docket = docket
        self._walk = walk
        self._terms = terms
        self._spawner = spawner
        self._waiting: list[Sealed] = []
        self._writing = False

    async def put(self, answer: Sealed) -> str:
        """Answer to an auction; returns why that does not count, empty if it does. The same again is the same.

        Raises `UnknownTask`, `WrongState`, `TooManyChanges`, and what `bidding.place` does.
        """
        self._waiting.append(answer)
        if not self._writing:
            self._writing = True
            self._spawner.spawn(self._serve(), "answers to auctions")
        return await answer.done

    async def _serve(self) -> None:
        """Write until the tray is empty. At a stop whoever is not answered yet is told so."""
        some: list[Sealed] = []
        try:
            while self._waiting:
                await gathered(self._waiting, TOGETHER)
                some, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                await self._write(some)
        finally:
            self._writing = False
            left, self._waiting = self._waiting, []
            _end([*some, *left], StoreClosed())

    async def _write(self, some: Sequence[Sealed]) -> None:
        try:
            written = await self._store.write(lambda tx: self._taken(tx, some))
        except Exception as error:  # noqa: BLE001 - whose answer broke it gets it, and nobody else
            if isinstance(error, Unavailable) or len(some) == 1:
                _end(some, error)
            else:
                for one in some:
                    await self._write([one])
            return
        for about in written:
            self._note(about)

    def _note(self, about: Written) -> None:
        """Answers to one task are durable."""
        if (task := about.task) is not None:
            self._docket.note(task)
            if task.status is not Status.BIDDING:
                self._walk.closed(task)
            for one in about.new:
                self._docket.board.answered(task.id, one.name, bid=one.price is not None)
        for one, said in about.said:
            if isinstance(said, HubError):
                _end([one], said)
            elif not one.done.done():
                one.done.set_result(said)

    def _taken(self, tx: SwarmTx, some: Sequence[Sealed]) -> list[Written]:
        by_task: dict[int, list[Sealed]] = {}
        for one in some:
            by_task.setdefault(one.task, []).append(one)
        return [self._answered(tx, number, answers) for number, answers in by_task.items()]

    def _answered(self, tx: SwarmTx, number: int, answers: Sequence[Sealed]) -> Written:
        """Take what was answered to one task, in the order in which it came; close the auction if nobody is awaited any more."""
        try:
            task = find(tx, number)
        except UserError as error:
            return Written(None, [(one, error) for one in answers])
        known = self._known(tx, task, list(dict.fromkeys(one.name for one in answers)))
        taken: list[Answer] = []
        written = Written(task, [])
        for one in answers:
            try:
                why, answer = _judged(tx, task, one, known)
            except UserError as error:
                written.said.append((one, error))
                continue
            written.said.append((one, why))
            if answer is not None:
                known.answers[one.name] = answer
                taken.append(answer)
            if not why:
                written.new.append(one)
                known.times[one.name] += 1
        bidding.keep(tx, task, taken, {"late": True} if task.waits_for_people else {})
        if taken:
            written.task = bidding.settled(tx, task, self._terms)
        return written

    def _known(self, tx: SwarmTx, task: Task, names: list[str]) -> Known:
        loads = tx.tasks.loads(names)
        return Known(
            {answer.bid.agent: answer for answer in tx.tasks.answers_of(task.id, task.attempt, names)},
            {name: self._docket.board.times(task.id, name) for name in names},
            bidding.trusted(tx, names, self._terms.roster.field_of(task.description)),
            {name for name in names if loads[name] >= self._terms.capacity(name)},
        )


def _judged(tx: SwarmTx, task: Task, one: Sealed, known: Known) -> tuple[str, Answer | None]:
    """Why an answer does not count, if so, and what is to be kept of it. Raises what is wrong with it."""
    if one.is_said(known.answers.get(one.name)):
        return "", None
    if task.status is not Status.BIDDING:
        raise WrongState(task=task.name, status=task.status.value, verb="refused" if one.price is None else "bid on")
    if known.times[one.name] >= MOST_ANSWERS:
        raise TooManyChanges(task=task.name, most=MOST_ANSWERS)
    if one.price is None:
        bidding.check_asked(task, one.name)
        return "", bidding.declined(tx, one.name, one.note or "refused")
    if one.name in known.full and not task.waits_for_people:
        return BUSY, None
    bid = Bid(one.name, one.price, one.eta, one.note, 1000, tx.now)
    return "", bidding.scored(tx, task, bid, known.trust[one.name])


def _end(answers: Iterable[Sealed], error: Exception) -> None:
    """Refuse answers, unless they were answered already."""
    for one in answers:
        if not one.done.done():
            one.done.set_exception(error)
