"""The table: which event is followed by what. Each handler has a cursor of its own and takes events in their order.

A handler is a plain function in a unit of work with its cursor, so that its effect and its progress are one. An event
it cannot take is tried a few times, then buried with an alarm, and stops nobody else. A store that cannot be written is
no event's fault: the handlers wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol, cast

from bot import views, views_escrow, views_lightning, views_money
from core.automation.notify import NoticeTx
from core.automation.topics import Notice, Topic
from core.errors import Unavailable
from core.events import TERMINAL, Event, Kind
from core.spark.spark import SparkTx
from core.store import pauses
from core.swarm.bidding import collects
from core.swarm.stuck import HANDLER, Stuck
from core.swarm.task import Status, is_person
from core.tokens import CONSOLE_OWNER, STRANGER, home_of, person_of
from core.wallet import held
from core.wallet.outgoing import PaymentTx, attempted
from core.wallet.wallet import owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from core.automation.notify import Notices
    from core.chat import Outgoing, Reply
    from core.events import Json
    from core.ports import Clock
    from core.store import Store
    from core.swarm.ports import ResultFile
    from core.swarm.task import Task
    from core.wallet.hold import HoldInvoice
    from core.wallet.invoices import Invoice
    from core.wallet.payment import Payment

log = logging.getLogger(__name__)

BATCH = 200
TRIES = 3


class EventTx(Protocol):
    """Reading events in order, with a cursor per handler."""

    def events_after(self, event: int, limit: int, kinds: Collection[Kind]) -> list[Event]:
        """The next events of these kinds."""

    def last_event(self) -> int:
        """The newest event's number, 0 if there is none."""

    def enroll(self, handler: str) -> None:
        """Give a new handler a cursor at the newest event."""

    def cursor(self, handler: str) -> int:
        """How far a handler has come."""

    def advance(self, handler: str, event: int) -> None:
        """Move a handler's cursor."""

    def bury(self, handler: str, event: int, error: str) -> None:
        """Give up on one event."""


class HandlerTx(SparkTx, NoticeTx, EventTx, PaymentTx, Protocol):
    """What handlers work on."""


class Handler(Protocol):
    """What follows from events of some `kinds`; its cursor is kept under its `name`."""

    @property
    def name(self) -> str:
        """Of this handler alone."""

    @property
    def kinds(self) -> Collection[Kind]:
        """What it is given."""

    async def load(self) -> None:
        """Begin, or begin anew after a fault: what was written last may or may not be durable."""

    def wants(self, event: Event) -> bool:
        """Whether it is for this one, of those kinds."""

    def __call__(self, tx: HandlerTx, events: Sequence[Event], /) -> list[Outgoing]:
        """Take these events, in one unit of work; returns the messages that it wrote."""

    def durable(self) -> None:
        """What the last call wrote is durable."""


NOTIFIED = frozenset({
    Kind.TASK_SETTLED, Kind.TASK_FAILED, Kind.TASK_EXPIRED, Kind.TASK_DELIVERED, Kind.TASK_AWARDED,
    Kind.ATTEMPT_FAILED, Kind.AUCTION_OPENED, Kind.TASK_CANCELLED, Kind.TASK_REJECTED, Kind.BID_PLACED,
    Kind.INVOICE_SETTLED, Kind.PAYMENT_SUCCEEDED, Kind.PAYMENT_FAILED, *views_money.TOLD,
    Kind.ESCROW_HELD, Kind.ESCROW_TAKEN, Kind.ESCROW_GIVEN, Kind.ESCROW_LOST,
    Kind.ESCROW_REFUSED, Kind.AGENT_DOWN, Kind.AGENT_UP,
})  # fmt: skip

_CONTAINED = frozenset({Kind.AGENT_DOWN, Kind.AGENT_UP})
_ESCROW = frozenset({Kind.ESCROW_HELD, Kind.ESCROW_TAKEN, Kind.ESCROW_GIVEN, Kind.ESCROW_LOST, Kind.ESCROW_REFUSED})
_TO_OWNERS = frozenset({Kind.ESCROW_LOST, Kind.ESCROW_REFUSED})


_OPEN = frozenset({"late", "by"})
"""What the event of a bid says that its requester sees before the close."""

_ANSWERED = frozenset({Kind.BID_PLACED, Kind.TASK_REJECTED, Kind.TASK_CANCELLED})
"""What says nothing that its own answer did not say, where it was done."""


_ENDS = TERMINAL | {Kind.TASK_DELIVERED}
"""What becomes of a task that is told elsewhere too, where its requester wants that."""


class Notify:
    """Tells people what they must know or do: whoever posted a task, where they posted it; a person who won it, at home.

    So are whoever was paid by somebody, and the owners of a freeze or a limit that another of them set.
    Where it was posted by an identity that was taken off since, it is told at the homes of those that the account has now.
    Nobody is told in their own conversation what they did there themselves, and were answered.
    """

    name = "notify"
    kinds = NOTIFIED

    def __init__(
        self,
        place: Callable[[ResultFile], str],
        everybody: Callable[[HandlerTx, str], Collection[str]],
        notices: Notices,
        *,
        simulated: bool = True,
    ) -> None:
        self._place = place
        self._simulated = simulated
        self._everybody = everybody
        self._notices = notices

    def wants(self, event: Event) -> bool:
        """Whether somebody may have to be told. A bid that came with the opening is told with it, and a sealed one to nobody."""
        return event.kind in NOTIFIED and (event.kind is not Kind.BID_PLACED or not event.data.keys().isdisjoint(_OPEN))

    def __call__(self, tx: HandlerTx, events: Sequence[Event]) -> list[Outgoing]:
        """Write the messages that follow from events."""
        told: list[Outgoing] = []
        for event in events:
            for notice in (self._of_container if event.kind in _CONTAINED else self._told)(tx, event):
                told += self._notices.tell(tx, notice)
            if event.kind is Kind.AUCTION_OPENED:
                told += self._called_for(tx, event)
        return told

    async def load(self) -> None:
        """See `Handler`."""

    def durable(self) -> None:
        """See `Handler`."""

    def _of_container(self, tx: HandlerTx, event: Event) -> list[Notice]:
        """How an agent's container does is told to the owners."""
        return [Notice(Topic.AGENTS, views.contained(event), self._homes(tx, CONSOLE_OWNER))]

    def _told(self, tx: HandlerTx, event: Event) -> list[Notice]:
        """What is told, to whom and where."""
        if event.kind in views_money.TOLD:
            return [views_money.told(event, lambda person: self._everybody(tx, person), simulated=self._simulated)]
        if event.kind in _ESCROW:
            return self._of_escrow(tx, event)
        if receipt := _receipt(tx, event, simulated=self._simulated):
            money, reply = receipt
            homes = self._homes(tx, owner_of(money.account))
            return [Notice(Topic.MONEY, reply, homes, self._where(tx, money), since=money.at)]
        task = tx.tasks.find(event.task or 0)
        if task is None:
            return []
        doer = home_of(str(event.data.get("by", "")))
        notices: list[Notice] = []
        left = self._left(tx, task)
        places = [home for home in self._homes(tx, task.requester) if home != doer] if left else [_told_in(tx, task)]
        if places and _worth_telling(event, task, doer):
            reply = self._to_requester(tx, event, task)
            homes = self._homes(tx, task.requester) if event.kind in _ENDS else []
            notices.append(Notice(Topic.TASKS, reply, homes, places, since=task.posted_at))
        for home in self._homes(tx, event.agent or ""):
            if home not in {doer, *(places if left else [task.conversation])}:
                notices += [Notice(Topic.TASKS, reply, (), (home,)) for reply in views.told_to_worker(event, task)]
        return notices

    def _called_for(self, tx: HandlerTx, event: Event) -> list[Outgoing]:
        """A task that people can bid on is put to those who want that; one that is for somebody alone, to them."""
        task = tx.tasks.find(event.task or 0)
        if task is None or task.status is not Status.BIDDING or task.conversation.startswith(STRANGER):
            return []
        theirs = self._everybody(tx, task.requester)
        if (only := task.only) is not None:
            told = is_person(only) and only not in theirs and self._notices.knows(tx, only)
            return (
                self._notices.tell(tx, Notice(Topic.BIDS, views.asked(task, tx.now), self._homes(tx, only)))
                if told
                else []
            )
        if task.waits_for_people or self._notices.asked_to_bid(task.conversation):
            return self._notices.call_for_bids(tx, views.asked(task, tx.now), but=theirs)
        return []

    def _of_escrow(self, tx: HandlerTx, event: Event) -> list[Notice]:
        """What became of an order is told where it was given; what was lost or is refused, to the owners."""
        one = tx.holds.find(bytes.fromhex(str(event.data["invoice"])))
        task = tx.tasks.find(event.task or 0)
        if one is None:
            return []
        if event.kind is Kind.ESCROW_HELD:
            reply = None if task is None else views.posted(task, simulated=self._simulated, known=True)
        elif event.kind is Kind.ESCROW_REFUSED:
            reply = views_escrow.refused(held.refusal(tx, one), event, simulated=self._simulated)
        else:
            reply = views_lightning.escrow_told(
                event.kind, one, int(str(event.data["sats"])), simulated=self._simulated
            )
        if reply is None:
            return []
        if event.kind in _TO_OWNERS:
            return [Notice(Topic.TREASURY, reply, self._homes(tx, CONSOLE_OWNER))]
        here = [one.conversation if task is None else _told_in(tx, task)]
        places = self._homes(tx, one.requester) if self._left(tx, one) else here
        return [Notice(Topic.TASKS, reply, (), places, since=one.at)]

    def _where(self, tx: HandlerTx, money: Invoice | Payment) -> list[str]:
        """Where it is told of: where it was asked for, unless whoever is at home there is not of its account any more."""
        person, tried_out = person_of(money.conversation), " as " in money.actor
        owner = owner_of(money.account)
        if person is None or tried_out or person in self._everybody(tx, owner):
            return [money.conversation]
        return self._homes(tx, owner)

    def _homes(self, tx: HandlerTx, person: str) -> list[str]:
        """Where a person is told of their own work: wherever they are known."""
        everybody = self._everybody(tx, person) if home_of(person) else ()
        return [home for one in sorted(everybody) if (home := home_of(one)) is not None]

    def _left(self, tx: HandlerTx, one: Task | HoldInvoice) -> bool:
        """Whether a task was posted or ordered at the home of somebody who is not of its account any more."""
        person = person_of(one.conversation)
        return person not in {None, one.requester} and person not in self._everybody(tx, one.requester)

    def _to_requester(self, tx: HandlerTx, event: Event, task: Task) -> Reply:
        if event.kind is Kind.BID_PLACED or (event.kind is Kind.AUCTION_OPENED and task.pick == "ask"):
            return views.offers(task, tx.tasks.answers(task.id, task.attempt))
        waits = task.status is Status.DELIVERED or task.waits_for_people or is_person(event.agent)
        extra: dict[str, Json] = {"waits": "people"} if waits and not task.over else {}
        return views.told(event, task, tx.tasks.files(task.id), self._place, extra)


def _receipt(tx: HandlerTx, event: Event, *, simulated: bool) -> tuple[Invoice | Payment, Reply] | None:
    """That sats came that were asked for, or how a payment ended whose sender waits no more; None where nobody is to be told."""
    if event.kind is Kind.INVOICE_SETTLED:
        invoice = tx.invoices.find(bytes.fromhex(str(event.data["invoice"])))
        if invoice is not None and invoice.conversation:
            return invoice, views_lightning.received(invoice, simulated=simulated)
    elif event.kind in {Kind.PAYMENT_SUCCEEDED, Kind.PAYMENT_FAILED} and not event.data["answered"]:
        payment = attempted(tx, bytes.fromhex(str(event.data["payment"])), cast("int", event.data.get("attempt", 0)))
        if payment is not None and payment.conversation:
            return payment, views_lightning.payment(payment, simulated=simulated)
    return None


def _told_in(tx: HandlerTx, task: Task) -> str:
    """Where the requester is told: in the task's thread, unless what is older still waits to be sent there."""
    thread = tx.messages.thread(task.id, task.conversation)
    return task.conversation if thread is None or tx.messages.waits(task.id, task.conversation) else thread


def _worth_telling(event: Event, task: Task, doer: str | None) -> bool:  # noqa: PLR0911 - one line a kind
    """Whether an event is news to the requester. What has been overtaken since is not, and is told by what came after.

    A stranger who bought a task asks how it stands; the hub has no way to them.
    """
    if task.conversation.startswith(STRANGER) or (doer == task.conversation and event.kind in _ANSWERED):
        return False
    match event.kind:
        case Kind.AUCTION_OPENED:
            return task.waits_for_people and task.status is Status.BIDDING
        case Kind.BID_PLACED:
            return collects(task)
        case Kind.TASK_AWARDED:
            return is_person(event.agent) and task.status is Status.AWARDED
        case Kind.TASK_DELIVERED:
            return task.status is Status.DELIVERED
        case Kind.ATTEMPT_FAILED | Kind.TASK_REJECTED:
            return not task.over
        case _:
            return True


class Pump:
    """Runs the handlers over the events, after every commit that wrote some, and after a restart from where they were."""

    def __init__(
        self, store: Store[HandlerTx], clock: Clock, handlers: Sequence[Handler], send: Callable[[Outgoing], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._handlers = handlers
        self._send = send
        self._wake = asyncio.Event()
        self.failed = 0

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed (called on the loop)."""
        kinds = {event.kind for event in events}
        for handler in self._handlers:
            if not kinds.isdisjoint(handler.kinds) and any(map(handler.wants, events)):
                self._wake.set()

    async def enroll(self) -> None:
        """Give every new handler its cursor, before the first event that it must not miss."""
        for handler in self._handlers:
            await self._store.write(lambda tx, name=handler.name: tx.enroll(name))  # type: ignore[misc]

    async def look(self) -> list[Stuck]:
        """Which handlers have events before them that they should have taken."""

        def work(tx: HandlerTx) -> list[tuple[str, int]]:
            at = [(handler, tx.cursor(handler.name)) for handler in self._handlers]
            return [
                (handler.name, event)
                for handler, event in at
                if any(handler.wants(one) for one in tx.events_after(event, BATCH, handler.kinds))
            ]

        return [
            Stuck(
                HANDLER, name, f"it does not go on after event {event}, so what follows from that is not done",
                "the log says why; stop the hub and start it anew", f"stuck/{name}/{event}",
            )
            for name, event in await self._store.read(work)
        ]  # fmt: skip

    async def run(self) -> None:
        """Serve for ever."""
        for handler in self._handlers:
            await handler.load()
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            for handler in self._handlers:
                await self._catch_up(handler)

    async def _catch_up(self, handler: Handler) -> None:
        """Take every event there is, however long the store cannot be written."""
        waits = pauses()
        while True:
            try:
                while await self._some(handler):
                    pass
            except Unavailable as error:
                log.warning("%s waits: %s", handler.name, error)
            else:
                return
            await self._clock.sleep(next(waits))

    async def _some(self, handler: Handler) -> bool:
        try:
            messages, more = await self._store.write(lambda tx: _handle(tx, handler))
        except Unavailable:
            raise
        except Exception:
            log.exception("%s failed on a batch; taking its events one by one", handler.name)
            return await self._one_by_one(handler)
        self._written(handler, messages)
        return more

    def _written(self, handler: Handler, messages: Sequence[Outgoing]) -> None:
        handler.durable()
        for message in messages:
            self._send(message)

    async def _one_by_one(self, handler: Handler) -> bool:
        """Find the event that cannot be taken: the others are handled, it is tried again and then buried."""
        start = await self._store.read(lambda tx: tx.cursor(handler.name))
        events = await self._store.read(lambda tx: tx.events_after(start, BATCH, handler.kinds))
        for event in events:
            await self._stubborn(handler, event)
        return len(events) == BATCH

    async def _stubborn(self, handler: Handler, event: Event) -> None:
        last = ""
        for attempt in range(TRIES):
            try:
                messages = await self._store.write(lambda tx: _one(tx, handler, event))
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - a handler's bug must stop nothing else
                last = repr(error)
                await self._clock.sleep(0.05 * 2**attempt)
            else:
                self._written(handler, messages)
                return
        self.failed += 1
        log.error("%s cannot take event %s (%s): buried", handler.name, event.id, last)

        def bury(tx: HandlerTx) -> None:
            tx.bury(handler.name, event.id, last)
            tx.advance(handler.name, event.id)
            tx.emit(Event(Kind.HANDLER_FAILED, data={"handler": handler.name, "event": event.id}))

        await self._store.write(bury)


def _handle(tx: HandlerTx, handler: Handler) -> tuple[list[Outgoing], bool]:
    start = tx.cursor(handler.name)
    events = tx.events_after(start, BATCH, handler.kinds)
    more = len(events) == BATCH
    upto = events[-1].id if more else tx.last_event()
    messages = handler(tx, [event for event in events if handler.wants(event)])
    if upto > start:
        tx.advance(handler.name, upto)
    return messages, more


def _one(tx: HandlerTx, handler: Handler, event: Event) -> list[Outgoing]:
    messages = handler(tx, [event] if handler.wants(event) else [])
    tx.advance(handler.name, event.id)
    return messages


def table(
    place: Callable[[ResultFile], str],
    everybody: Callable[[HandlerTx, str], Collection[str]],
    notices: Notices,
    *,
    simulated: bool = True,
) -> Sequence[Handler]:
    """Who tells people something. `everybody`: all identities of whoever one belongs to; `simulated`: its sats are no real ones."""
    return (Notify(place, everybody, notices, simulated=simulated),)
