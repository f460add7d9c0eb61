"""The service behind `escrow=hold`: a task that is paid from outside, with sats that the node holds until it has ended.

An order waits with its invoice until the node says that it holds the payment; then its task is posted, in the commit that books
what is held. In the commit that ends the task it is decided whether the node takes the sats or gives them back (`wallet.held`), and
here it is told so until it has done it. What the node says of an invoice wins over what the books expect of it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from core.access import Action, authorize
from core.durations import exactly
from core.errors import HubError, Refused, Unavailable, UserError
from core.events import Kind
from core.ids import task_name
from core.money import MAX_SATS, to_msat
from core.store import patiently
from core.swarm.orders import Order, budget_of
from core.swarm.patience import PutOff
from core.tokens import NotAsYouWere
from core.wallet import held, limits
from core.wallet.hold import (
    EXPIRY_SECONDS,
    LONGEST_MS,
    UNPAID,
    UNPOSTED,
    HoldInvoice,
    Next,
    State,
    after_looking,
    room,
)
from core.wallet.ledger import held_account, user_account
from core.wallet.lightning import NodeRefused
from core.wallet.limits import Path, Spend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.chat import Caller
    from core.events import Event
    from core.ports import Clock, IdSource
    from core.store import Store
    from core.swarm.coordinator import Coordinator
    from core.swarm.ports import SwarmTx
    from core.tokens import Identities
    from core.wallet.held import Stuck
    from core.wallet.lightning import NodeInfo, NodeInvoice
    from core.wallet.node import OwnNode

log = logging.getLogger(__name__)

MOST_WAITING = 10
"""Orders of one person that wait to be paid."""

SOON_MS = 2_000
"""How often a node is asked whether an order was paid, or told again what it did not do."""

LATER_MS = 30_000
"""How often it is asked whether it still holds what it holds: often enough for blocks."""

_PRIVATE = "your limits on spending do not leave that much (/limits shows them)"
RAN_OUT = "what it is paid with could be held no longer"
GONE = "what it was to be paid with is no longer held: the node gave it back"


class CannotHold(UserError):
    """This hub's Lightning node ({backend}) cannot hold a payment. Leave escrow=hold out, and the task is paid from your wallet."""


class NoHeight(Unavailable):
    """The Lightning node ({backend}) does not say at which block it is, so nothing can be held safely. Try again later.

    Without escrow=hold the task is paid from your wallet.
    """


class TooLongToHold(UserError):
    """A payment is held for a task of {most} at most; this one has {given}. Write by={most} or less, or leave escrow=hold out."""


class NotFromDevice(Refused):
    """A task that is paid from outside is posted in your chat, where its invoice can be seen. Say it to me there."""


class TooManyWaiting(UserError):
    """You have {count} orders that wait to be paid: {orders}. Pay one, or call one off: /cancel order={first}.

    What nobody pays lapses after an hour.
    """

    status = 409


class NoSuchOrder(UserError):
    """There is no order {number} that waits to be paid."""

    status = 404


class PaidBy(UserError):
    """Order {number} was paid and is {task} now. /cancel {task} calls it off, and its sats go back."""

    status = 409


class TooShort(UserError):
    """The payment came too late to be held for as long as the task may take. It goes back."""


class CannotBe(UserError):
    """The node says that it holds none, or more sats than there are. What it holds goes back."""


class CalledOff(UserError):
    """This order was called off. Nothing was posted."""


class HoldEscrow:
    """Takes orders, posts what is paid for, and has the node take or give back what was held."""

    def __init__(
        self,
        store: Store[SwarmTx],
        own: OwnNode,
        coordinator: Coordinator,
        identities: Identities,
        *,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._store = store
        self._own = own
        self._coordinator = coordinator
        self._identities = identities
        self._clock = clock
        self._ids = ids
        self._wake = asyncio.Event()
        self._put_off = PutOff()
        self.looked = asyncio.Event()
        """Set once everything was followed for the first time, or the node did not answer."""

    # What people decide ----------------------------------------------------------------------------------------

    async def order(self, order: Order) -> HoldInvoice:
        """Ask for the budget of a task, once for each key; the task is posted when the node holds it.

        Raises what posting the task would, `CannotHold`, `TooLongToHold`, `NoHeight`, `NodeBehind`, `NotFromDevice`,
        `TooManyWaiting`, and what a node that is asked for an invoice does.
        """
        one = await self._store.read(lambda tx: _known(tx, order.key)) or await self._prepared(order)
        return await self._asked(one) if one.state is State.ASKING else one

    async def _prepared(self, order: Order) -> HoldInvoice:
        """The order and its secret, before the node hears of them."""
        node = self._own.node
        if order.caller.proxy is not None:
            raise NotFromDevice
        if not node.traits.hold:
            raise CannotHold(backend=node.backend)
        rules = self._coordinator.rules
        time = min(rules.deadline, LONGEST_MS) if order.time is None else order.time
        order = await self._coordinator.examine(order._replace(budget=budget_of(order, rules), time=time))
        if time > LONGEST_MS:
            raise TooLongToHold(most=exactly(LONGEST_MS), given=exactly(time))
        if (await self._own.in_step()).height <= 0:
            raise NoHeight(backend=node.backend)
        preimage = base64.urlsafe_b64decode(self._ids.token(32) + "=")
        return await self._store.write(lambda tx: self._prepare(tx, order, preimage))

    def _prepare(self, tx: SwarmTx, order: Order, preimage: bytes) -> HoldInvoice:
        if (known := _known(tx, order.key)) is not None:
            return known
        caller, budget = self._identities.as_now(tx, order.caller), order.budget or 0
        if len(found := tx.holds.waiting(caller.name)) >= MOST_WAITING:
            numbers = ", ".join(str(one.id) for one in found)
            raise TooManyWaiting(count=len(found), orders=numbers, first=found[0].id)
        spend = Spend(user_account(caller.payer), budget, Path.TASK, "", agent=order.only)
        if (why := limits.refusal(tx, spend)) is not None:
            raise why
        one = tx.holds.add(
            HoldInvoice(
                0, hashlib.sha256(preimage).digest(), preimage, self._own.node.backend, caller.name, caller.payer,
                order.conversation, _written(order), budget, tx.now + EXPIRY_SECONDS * 1000, tx.now,
            )
        )  # fmt: skip
        tx.mark(order.key, str(one.id))
        return one

    async def _asked(self, one: HoldInvoice) -> HoldInvoice:
        """The order with its invoice."""
        try:
            made = await self._invoice(one)
        except HubError as error:
            why = str(error)
            await self._book(one, lambda tx, now: held.call_off(tx, now, why))
            raise
        opened = replace(one, bolt11=made.bolt11, expires_at=made.expires_at, state=State.OPEN)
        await self._book(one, lambda tx, _: tx.holds.put(opened))
        self._wake.set()
        return opened

    async def _invoice(self, one: HoldInvoice) -> NodeInvoice:
        """Have the node make it; it may have made it already, for a hub that heard no more of it."""
        node = self._own.node
        try:
            return await node.create_hold(one.payment_hash, one.amount, f"Timmy, order {one.id}", EXPIRY_SECONDS)
        except NodeRefused:
            if (made := await node.lookup(one.payment_hash)) is None:
                raise
            return made

    async def cancel(self, caller: Caller, number: int, *, key: str) -> HoldInvoice:
        """Call off an order that was not paid; what is paid in the same moment goes back."""

        def work(tx: SwarmTx) -> HoldInvoice:
            one = tx.holds.numbered(number)
            if one is None:
                raise NoSuchOrder(number=number)
            if tx.applied(key) is not None:
                return one
            now = self._identities.as_now(tx, caller)
            authorize(now, Action.CANCEL, own=now.means(one.requester))
            if one.task is not None:
                raise PaidBy(number=number, task=task_name(one.task))
            if one.state not in UNPOSTED:
                raise NoSuchOrder(number=number)
            tx.mark(key, "")
            return held.call_off(tx, one, f"called off by {now.recorded}")

        return await self._store.write(work)

    async def waiting(self, caller: Caller) -> Sequence[HoldInvoice]:
        """The caller's orders that wait to be paid, oldest first."""
        return await self._store.read(lambda tx: tx.holds.waiting(caller.name))

    async def refusals(self) -> Sequence[Stuck]:
        """What the node was told to take or to give back, and refuses to."""
        return await self._store.read(held.refusals)

    # Going on --------------------------------------------------------------------------------------------------

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed: where it was decided what becomes of something held, the node is told at once."""
        if any(event.kind is Kind.ESCROW_ENDING for event in events):
            self._wake.set()

    async def run(self) -> None:
        """Follow every order to its end, for ever. Raises `NodeDown` and `OtherNode`."""
        while True:
            self._wake.clear()
            try:
                found = await self.look()
            finally:
                self.looked.set()
            soon = any(one.state is not State.HELD for one in found)
            pause = self._clock.now() + (SOON_MS if soon else LATER_MS)
            await self._clock.until(pause if found else None, self._wake)

    async def look(self) -> Sequence[HoldInvoice]:
        """Follow every order as far as it goes now; returns them as they were. Raises as `run` does.

        One that the node does not answer for is asked less and less, and holds up no other.
        """
        found = await self._store.read(lambda tx: tx.holds.unfinished())
        self._put_off.keep({one.id for one in found})
        due = [one.id for one in found if self._put_off.until(one.id) <= self._clock.now()]
        troubles = {one.id: why for one in found if one.id in due and (why := await self._follow(one)) is not None}
        if troubles and len(troubles) == len(due):  # it answers for none
            raise troubles[due[0]]
        for number in due:
            if (why := troubles.get(number)) is None:
                self._put_off.done(number)
            else:
                log.log(
                    logging.DEBUG if self._put_off.until(number) else logging.WARNING, "order %d waits: %s", number, why
                )
                self._put_off.put(number, why, self._clock.now())
        return found

    async def _follow(self, one: HoldInvoice) -> Unavailable | None:
        """One order, as far as it goes now. One that cannot be followed holds up no other, unless the node is down for all.

        Returns why it is to be tried again. Raises as `run` does.
        """
        info = await self._own.verified()
        try:
            await self._step(one, info)
        except Unavailable as error:
            self._own.doubt()
            return error
        except Exception:
            log.exception("order %d cannot be followed", one.id)
        return None

    async def _step(self, one: HoldInvoice, info: NodeInfo) -> None:
        height = info.height
        why = await self._refused(one)
        if why is None:
            await self._do(Next.TAKEN if one.state is State.TAKING else Next.GIVEN, one, None, height)
            return
        found = await self._own.node.lookup(one.payment_hash)
        what = after_looking(one, found, height, self._clock.now(), synced=info.synced)
        if why and what is Next.WAIT:
            await self._told_of(one, why, height)
        await self._do(what, one, found, height)

    async def _told_of(self, one: HoldInvoice, why: str, height: int) -> None:
        """The node still has what it was to take or to give back."""
        if not await self._store.read(lambda tx: held.is_told(tx, one, height)):
            log.warning("order %d: %s", one.id, why)
            await self._book(one, lambda tx, now: held.refused(tx, now, why, height))

    async def _refused(self, one: HoldInvoice) -> str | None:
        """Tell the node what was decided: None where it has done it, why it has not, or empty where nothing was decided."""
        node = self._own.node
        try:
            match one.state:
                case State.TAKING:
                    await node.settle_hold(one.preimage)
                case State.GIVING:
                    await node.cancel_invoice(one.payment_hash)
                case _:
                    return ""
        except NodeRefused as error:
            return str(error)
        return None

    async def _do(self, what: Next, one: HoldInvoice, found: NodeInvoice | None, height: int) -> None:
        match what:
            case Next.WAIT:
                pass
            case Next.POST:
                assert found is not None  # noqa: S101 - it is held
                await self._post(one, found, height)
            case Next.GIVE:
                await self._book(one, lambda tx, now: held.call_off(tx, now, UNPAID))
            case Next.GIVEN:
                await self._book(one, lambda tx, now: held.given(tx, now, UNPAID))
            case Next.RUN_OUT | Next.GONE:
                gone = what is Next.GONE
                await self._coordinator.run_out(one.task or 0, GONE if gone else RAN_OUT, gone=gone)
            case Next.TAKEN:
                received = one.received if found is None else found.received
                await self._book(one, lambda tx, now: held.taken(tx, now, received, self._identities))
            case Next.LOST:
                log.error("%s: the node let go of what its worker was paid with", task_name(one.task or 0))
                await self._book(one, held.lost)
            case _:
                assert_never(what)

    async def _post(self, one: HoldInvoice, found: NodeInvoice, height: int) -> None:
        """It is held: post its task. What cannot be posted now goes back."""

        def fund(tx: SwarmTx, order: Order) -> Order:
            now, number = tx.holds.find(one.payment_hash), tx.tasks.next_id()
            if now is None or now.state is not State.OPEN:
                raise CalledOff
            caller = order.caller  # they may have been linked since they ordered it
            now = replace(now, requester=caller.name, payer=caller.payer)
            held.arrived(tx, now, number, found.received, found.held_until)
            return order._replace(account=held_account(caller.payer, number))

        try:
            order = await self._read(one)
            if not 0 < found.received <= to_msat(MAX_SATS):
                raise CannotBe
            if room(found.held_until, height) < (order.time or 0):
                raise TooShort
            await self._coordinator.post(order, fund=fund)
        except (CalledOff, NotAsYouWere):
            return  # it is looked at again
        except Unavailable:
            raise
        except HubError as error:
            why = _PRIVATE if error.private else str(error)
            await self._book(one, lambda tx, now: held.call_off(tx, now, why))

    async def _read(self, one: HoldInvoice) -> Order:
        """What was ordered, by whoever that is now."""
        facts = json.loads(one.order)
        who = {name: facts.pop(name) for name in ("actor", "private", "acting_for")}
        caller = await self._identities.caller(who["actor"], private=who["private"], acting_for=who["acting_for"])
        return Order(caller, one.conversation, key=f"held/{one.payment_hash.hex()}", budget=one.amount, **facts)

    async def _book(self, one: HoldInvoice, work: Callable[[SwarmTx, HoldInvoice], object]) -> None:
        """Write what follows for one that still stands as it was read."""

        def writes(tx: SwarmTx) -> None:
            now = tx.holds.find(one.payment_hash)
            if now is not None and now.state is one.state:
                work(tx, now)

        await patiently(self._store, writes, self._clock)


def _known(tx: SwarmTx, key: str) -> HoldInvoice | None:
    done = tx.applied(key)
    return None if done is None else tx.holds.numbered(int(done))


def _written(order: Order) -> str:
    """An order as it is kept until it is paid."""
    caller = order.caller
    who = {"actor": caller.actor, "private": caller.private, "acting_for": caller.acting_for}
    what = {"description": order.description, "time": order.time, "only": order.only, "pick": order.pick}
    return json.dumps(who | what | ({} if order.model is None else {"model": order.model}))
