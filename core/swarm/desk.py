"""The desk: what workers of other processes say over the worker API, each saying one decision in one unit of work.

An attempt is its worker's as long as its lease is the task's own: what comes late, twice or from somebody else changes nothing.
"""

from __future__ import annotations

import contextlib
import hmac
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from core.chat import one_line
from core.errors import UserError
from core.events import Event, Kind
from core.money import to_msat
from core.swarm import attempt, orders
from core.swarm import task as life
from core.swarm.booking import take
from core.swarm.crew import OtherProcess
from core.swarm.docket import find
from core.swarm.task import AT_WORK, Status
from core.swarm.tray import Sealed, Tray
from core.tokens import TokenKind
from core.wallet.limits import Path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from core.ports import Spawner
    from core.store import Store
    from core.swarm.bidding import Terms
    from core.swarm.crew import Crew
    from core.swarm.docket import Docket
    from core.swarm.ports import ResultFile, SwarmTx
    from core.swarm.task import Task
    from core.swarm.walk import Walk

LONGEST_NOTE = 300
"""Characters of a note or a reason that are kept."""


Found = TypeVar("Found")


class NoWords(UserError):
    """There is nothing in it: a progress says in a few words how it goes, a result has a text or files."""


class StaleLease(UserError):
    """This lease of {task} is over, or was never yours. Stop that work; GET /internal/assignments has what is yours now."""

    status = 409


class Beat(NamedTuple):
    """What a heartbeat learns: until when the lease is good (Unix ms), and whether the work was called off."""

    lease_until: int
    cancel: bool


class Desk:
    """Where the crew is served. `review`: ms in which a requester may reject what was delivered."""

    def __init__(
        self, store: Store[SwarmTx], docket: Docket, walk: Walk, terms: Terms, spawner: Spawner, *, review: int
    ) -> None:
        self._store = store
        self._docket = docket
        self._walk = walk
        self._terms = terms
        self._review = review
        self._tray = Tray(store, docket, walk, terms, spawner)
        self.crew: Crew = terms.crew
        self.board = docket.board
        self.crew.changed = self.board.look
        self._looking_on: list[Callable[[Sequence[Event]], None]] = []
        self._revoked: set[str] = set()

    async def enrol(self, name: str, capabilities: Sequence[str], concurrency: int, instance: str = "") -> None:
        """Enrol a worker, or change it; tasks that wait for somebody capable are put up again. Raises what is wrong with it."""
        new = await self.crew.enrol(name, capabilities, concurrency, instance)
        self._revoked.discard(name)
        if new:
            self._docket.board.look(name)
            self._walk.joined(name)

    def check_instance(self, name: str, instance: str) -> None:
        """Raise `OtherProcess` where another process of a worker has enrolled since."""
        self.crew.check_instance(name, instance)

    def close(self) -> None:
        """The hub stops: whoever waits is answered."""
        self._docket.board.close()

    def _enrolled(self, name: str) -> None:
        """It asks for something. Raises `NotEnrolled`."""
        self.crew.get(name)
        self._seen(name)

    def _seen(self, name: str) -> None:
        """It is here; if it was away until now, tasks that wait are put up again."""
        self._revoked.discard(name)
        if self.crew.seen(name) and self.crew.has(name):
            self._walk.joined(name)

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed: whose token was revoked is not here any more, and waits for nothing."""
        for event in events:
            if event.kind is Kind.TOKEN_REVOKED and event.data["kind"] == TokenKind.WORKER:
                name = str(event.data["name"])
                self.crew.gone(name)
                self._revoked.add(name)
                self._docket.board.look(name)

    def seen(self, processes: Iterable[tuple[str, str]], way: str = "") -> None:
        """These have asked for something at the gateway `way`: each by its name, and which process of it that was, if known.

        It is not so new that a token may not have been revoked since: such a worker is back once it says something to the hub.
        """
        for name, instance in processes:
            if self.crew.has(name) and name not in self._revoked:
                self._seen(name)
                self.crew.came_by(name, way)
                if instance and self.crew.instance(name) != instance:  # one of the two does not know yet
                    with contextlib.suppress(OtherProcess):
                        self.crew.check_instance(name, instance)
                    self.board.look(name)

    # Bidding ---------------------------------------------------------------------------------------------------

    async def tasks(self, name: str, wanted: frozenset[str], seconds: float, instance: str = "") -> list[Task]:
        """The auctions that a worker may bid in, waiting so long for one. Raises `NotEnrolled`, `OtherProcess`."""
        self._enrolled(name)
        return await self._waited(name, instance, lambda: self._docket.board.tasks(name, wanted), seconds)

    async def bid(self, name: str, number: int, sats: int, *, eta: int | None, note: str) -> str:
        """A worker bids; returns why it does not count, empty if it does. `eta` in ms. The same bid again is the same.

        Raises `BidOutOfRange`, and what `Tray.put` does.
        """
        orders.check_eta(eta)
        self._enrolled(name)
        return await self._tray.put(Sealed(name, number, to_msat(sats), eta, _said(note)))

    async def refuse(self, name: str, number: int, note: str) -> None:
        """A worker will not do a task. Raises what `Tray.put` does."""
        self._enrolled(name)
        await self._tray.put(Sealed(name, number, None, None, _said(note)))

    # Work ------------------------------------------------------------------------------------------------------

    async def given(self, name: str, seconds: float, instance: str = "") -> Task | None:
        """The task that a worker is to begin now, waiting so long for one. Raises `NotEnrolled`, `OtherProcess`."""
        self._enrolled(name)
        return await self._waited(name, instance, lambda: self._docket.board.given(name), seconds)

    def calls_for(self, task: Task) -> list[str]:
        """The capabilities that a task calls for."""
        return sorted(self.crew.called_for(task.description))

    async def beat(self, name: str, number: int, lease: str, instance: str = "") -> Beat:
        """A worker is at it: its lease begins anew; the first time, its work does. Raises `StaleLease`, `UnknownTask`.

        `instance`: which process of it this is; only the last that enrolled begins anything, else this raises `OtherProcess`.
        """
        self._seen(name)
        until = 0

        def work(tx: SwarmTx) -> Task:
            nonlocal until
            task, until = _held(tx, number, name, lease), tx.now + self._terms.lease
            match task.status:
                case Status.AWARDED:
                    self.crew.check_instance(name, instance)
                    return take(tx, task, life.start(task, lease_until=until), name)
                case Status.RUNNING:
                    longer = task.but(lease_until=until)
                    tx.tasks.save(longer, task)
                    return longer
                case Status.CANCELLED | Status.EXPIRED:
                    until = task.ended_at or tx.now
                    return task
                case _:
                    raise StaleLease(task=task.name)

        task = await self._docket.write(work)
        return Beat(until, task.over)

    async def progress(self, name: str, number: int, lease: str, text: str) -> Task:
        """How the work goes, in words for who looks on. Raises `NoWords`, `StaleLease`, `UnknownTask`."""
        self._seen(name)
        if not (said := _said(text)):
            raise NoWords
        task = await self._store.read(lambda tx: _held(tx, number, name, lease))
        if task.status is not Status.RUNNING:
            raise StaleLease(task=task.name)
        self._tell(number, name, said)
        return task

    def reports(self, number: int, agent: str, text: str) -> None:
        """The same of an agent of the hub's own, which is believed."""
        if said := _said(text):
            self._tell(number, agent, said)

    def _tell(self, number: int, name: str, said: str) -> None:
        self._docket.progress[number] = said
        for told in self._looking_on:
            told([Event(Kind.TASK_PROGRESSED, number, name, {"text": said})])

    def listen(self, told: Callable[[Sequence[Event]], None]) -> None:
        """Be told of progress."""
        self._looking_on.append(told)

    async def holds(self, name: str, number: int, lease: str, text: str, digests: Sequence[str]) -> None:
        """Raise `StaleLease` or `UnknownTask` unless a worker may deliver this, or did: before its files are taken in.

        `digests`: the SHA-256 of each file.
        """
        self._seen(name)

        def work(tx: SwarmTx) -> None:
            task = _held(tx, number, name, lease)
            if task.status in {Status.DELIVERED, Status.SETTLED}:
                had = sorted(file.sha256 for file in tx.tasks.files(task.id))
                if (task.result, had) == (text, sorted(digests)):
                    return
            if task.status not in AT_WORK:
                raise StaleLease(task=task.name)

        await self._store.read(work)

    async def deliver(self, name: str, number: int, lease: str, text: str, files: Sequence[ResultFile]) -> Task:
        """A result; what strangers bought is paid for at once, anybody else has the review time. The same again changes nothing.

        Raises `NoWords`, `StaleLease`, `UnknownTask`.
        """
        self.crew.seen(name)
        if not text.strip() and not files:
            raise NoWords

        def work(tx: SwarmTx) -> Task:
            task = _held(tx, number, name, lease)
            if task.status in {Status.DELIVERED, Status.SETTLED}:
                if task.result == text and {*files} == {*tx.tasks.files(task.id)}:
                    return task
                raise StaleLease(task=task.name)
            if task.status is Status.AWARDED:
                task = take(tx, task, life.start(task, lease_until=tx.now + self._terms.lease), name)
            if task.status is not Status.RUNNING:
                raise StaleLease(task=task.name)
            tx.tasks.attach(task.id, files, tx.now)
            review_until = tx.now + self._review
            task = take(tx, task, life.deliver(task, result=text, now=tx.now, review_until=review_until), name)
            return take(tx, task, life.settle(task, how="auto"), name) if task.path is Path.SOLD else task

        task = await self._docket.write(work)
        self._walk.ended(task)
        return task

    async def give_up(self, name: str, number: int, lease: str, why: str, *, blame: bool) -> Task:
        """A worker failed, or hands the task back (which is no fault): it goes to somebody else, if attempts are left.

        The same again changes nothing. Raises `StaleLease`, `UnknownTask`.
        """
        self._seen(name)
        said = f"{name}: {_said(why)}" if why else f"{name} handed it back"
        key = f"{'failed' if blame else 'handed back'}/{number}/{name}/{lease}"
        held: Task | None = None

        def work(tx: SwarmTx) -> Task:
            nonlocal held
            held = None
            if tx.applied(key) is not None:
                return find(tx, number)
            task = _held(tx, number, name, lease)
            if task.status not in AT_WORK:
                raise StaleLease(task=task.name)
            tx.mark(key, "")
            held = task
            return attempt.lose(tx, task, said, blame=blame)

        task = await self._docket.write(work)
        if held is not None:
            self._walk.ended(held)
            self._walk.restart(task)
        return task

    async def _waited(self, name: str, instance: str, look: Callable[[], Found], seconds: float) -> Found:
        """What a process of a worker waits for, as long as no other takes its place."""

        def found() -> Found:
            self.crew.check_instance(name, instance)
            return look()

        return await self._docket.board.wait(name, found, seconds) if seconds else found()


def _said(words: str) -> str:
    """What a worker says, as it is kept and shown: on one line, so that it looks like nothing of the hub's own."""
    return one_line(words)[:LONGEST_NOTE]


def _held(tx: SwarmTx, number: int, name: str, lease: str) -> Task:
    """A task that a worker has, or had last, by its lease. Raises `StaleLease`, `UnknownTask`."""
    task = find(tx, number)
    if task.agent != name or not hmac.compare_digest((task.lease or "").encode(), lease.encode()):
        raise StaleLease(task=task.name)
    return task
