"""Selling to strangers by L402 (MONEY, "L402"; docs/adr/0016): offers, bundles of calls that were paid for, and their use.

An offer is an invoice with a token that names it. Its bundle is worth something once the node has the sats, which the cashier
says. A call is reserved before the work, used once the work has its effect, and returned where it has none; at a start, what
was left reserved is used if its effect is there, else returned. A task needs no reservation: its call is used in the unit of
work that posts it, and counts no more once the task came to nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from core.money import format_sats
from core.store import NotWritten, patiently
from core.wallet import l402
from core.wallet.l402 import Terms
from core.wallet.pace import Asker, Shares
from core.wallet.sales import (
    Bundle,
    Call,
    CallState,
    KeyOfAnother,
    NotPaid,
    OtherGoods,
    PaymentNeeded,
    StillWorking,
    TokenExpired,
    TokenSpent,
    TooManyOffers,
)

if TYPE_CHECKING:
    from core.ports import Clock, IdSource, Spawner
    from core.store import Store
    from core.wallet.invoices import InvoiceTx
    from core.wallet.l402 import Grant
    from core.wallet.lightning import NodeInvoice
    from core.wallet.sales import Cashier, Goods, SaleTx, Sold

OFFER_SECONDS = 600
"""How long an offer can be paid: its invoice expires then."""

BUNDLE_MS = 7 * 86_400_000
"""How long a bundle can be used, from the end of its offer."""

MOST_CALLS = 100
"""Calls of one bundle."""

FAILURES = 3
"""What came to nothing of a bundle (a task, an answer that broke off) is given back, but for so many a call.

Else who buys one call could have the model talk for ever, by asking for more than an answer may hold.
"""

MOST_RETURNED = 100
"""Calls of a bundle that were given back and are still known by their keys."""

ASK_AGAIN_MS = 1000
"""How often at most the cashier is asked whether an offer that is made again was paid meanwhile."""

REMEMBERED = 4096
"""Offers, tokens, and bundles that are known to be paid, that are kept at hand."""


def request_hash(*facts: object) -> str:
    """What tells one request from another."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()


class Seller:
    """Makes offers, knows who paid, and counts calls. `master` is the hub's secret for tokens; nothing else may know it."""

    def __init__(
        self, store: Store[SaleTx], cashier: Cashier, master: bytes, *, clock: Clock, ids: IdSource, spawner: Spawner
    ) -> None:
        self._store = store
        self._cashier = cashier
        self._master = master
        self._clock = clock
        self._ids = ids
        self._spawner = spawner
        self._offers: OrderedDict[tuple[str, Goods, int], tuple[Bundle, int]] = OrderedDict()
        self._paid: OrderedDict[bytes, None] = OrderedDict()
        self._known: OrderedDict[bytes, Grant] = OrderedDict()
        self._alone: WeakValueDictionary[tuple[str, Goods, int], asyncio.Lock] = WeakValueDictionary()
        self._shares = Shares()

    # Offers ----------------------------------------------------------------------------------------------------

    async def offer(self, goods: Goods, calls: int, client: str, network: str = "", header: str | None = None) -> str:
        """The WWW-Authenticate header of an offer: the one that the client did not pay yet, or a new one.

        `network`: that the client is of, where it is of one with many clients. `header`: their Authorization, which opens nothing
        here any more. Raises `TooManyOffers`, and what the cashier does.
        """
        key = (client, goods, calls)
        lock = self._alone.setdefault(key, asyncio.Lock())
        async with lock:
            bundle = await self._open_offer(key) or await self._new_offer(key, network or client, header)
        return l402.challenge(l402.mint(self._master, bundle.payment_hash, bundle.token, bundle.terms), bundle.bolt11)

    async def _open_offer(self, key: tuple[str, Goods, int]) -> Bundle | None:
        """The client's offer that can still be paid."""
        now = self._clock.now()
        known, asked = self._offers.get(key, (None, 0))
        if known is None:
            client, goods, calls = key
            known = await self._store.read(lambda tx: tx.sales.offered(client, goods, calls, now))
        if known is None or known.payable <= now or known.token in self._paid:
            return None
        if now - asked >= ASK_AGAIN_MS:
            if await self._cashier.settled(known.payment_hash):
                await self._settle(known)
                return None
            self._remember(key, known)
        return known

    async def _new_offer(self, key: tuple[str, Goods, int], network: str, header: str | None) -> Bundle:
        client, goods, calls = key
        asker = Asker(client, network, await self._paid_for(header))
        if wait := self._shares.take(asker, self._clock.now()):
            raise TooManyOffers(seconds=-(-wait // 1000))
        invoice = await self._cashier.ask(goods.price * calls, _memo(goods, calls), OFFER_SECONDS)
        until = (invoice.expires_at + BUNDLE_MS) // l402.SECOND * l402.SECOND
        terms = Terms(goods.service, goods.price, calls, until, goods.resource)
        token = hashlib.sha256(self._ids.token(32).encode()).digest()
        bundle = Bundle(token, invoice.payment_hash, terms, client, invoice.bolt11, invoice.expires_at)
        await self._store.write(lambda tx: tx.sales.keep(bundle))
        self._remember(key, bundle)
        return bundle

    async def _paid_for(self, header: str | None) -> str:
        """Which token a header holds that was paid, spent or not; empty for none."""
        grant = self._read(header) if header else None
        if grant is None:
            return ""
        bundle = await self._store.read(lambda tx: tx.sales.bundle(grant.token))
        return "" if bundle is None or bundle.settled_at is None else grant.name

    def _remember(self, key: tuple[str, Goods, int], bundle: Bundle) -> None:
        self._offers[key] = (bundle, self._clock.now())
        self._offers.move_to_end(key)
        if len(self._offers) > REMEMBERED:
            self._offers.popitem(last=False)

    # Tokens ----------------------------------------------------------------------------------------------------

    async def admit(self, header: str | None, goods: Goods, path: str) -> Grant:
        """What an Authorization header opens here, in MONEY's order of checks.

        Raises `BadCredential` (401), a `PaymentNeeded` (402), and what the cashier does.
        """
        price = format_sats(goods.price)
        grant = self._read(header)
        if grant is None:
            raise PaymentNeeded(price=price)
        if not grant.terms.cover(goods.service, path):
            raise OtherGoods(price=price)
        if grant.terms.expires <= self._clock.now():
            raise TokenExpired(price=price)
        if grant.token not in self._paid and not await self._is_paid(grant):
            raise NotPaid(price=price)
        return grant

    def _read(self, header: str | None) -> Grant | None:
        """What a header says that was made here, whatever is left of it by now; None where it holds no credential of ours.

        A bundle comes again and again with the same header, and what that says never changes: it is kept under its digest.
        """
        digest = hashlib.sha256((header or "").encode(errors="surrogateescape")).digest()
        if grant := self._known.get(digest):
            return grant
        credential = l402.read_authorization(header)
        if credential is None:
            return None
        grant = self._known[digest] = l402.examine(self._master, credential)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return grant

    async def _is_paid(self, grant: Grant) -> bool:
        bundle = await self._store.read(lambda tx: tx.sales.bundle(grant.token))
        if bundle is None:  # its offer was forgotten, unpaid; the token says itself what it was
            bundle = Bundle(grant.token, grant.payment_hash, grant.sold, "", "", 0)
        if bundle.settled_at is None:
            if not await self._cashier.settled(bundle.payment_hash):
                return False
            await self._settle(bundle)
        self._know(grant.token)
        return True

    async def _settle(self, bundle: Bundle) -> None:
        def work(tx: SaleTx) -> None:
            found = tx.sales.bundle(bundle.token)
            if found is None or found.settled_at is None:
                tx.sales.keep(bundle._replace(settled_at=tx.now))

        await self._store.write(work)
        self._know(bundle.token)

    def _know(self, token: bytes) -> None:
        self._paid[token] = None
        if len(self._paid) > REMEMBERED:
            self._paid.popitem(last=False)

    # Calls -----------------------------------------------------------------------------------------------------

    async def reserve(self, grant: Grant, key: str | None, request: str) -> Call:
        """Set a call aside for work that begins now; one that was used under this key already is returned as it is.

        Without a key it is like no other. Raises `TokenSpent`, `KeyOfAnother`, `StillWorking`.
        """
        named = key or self._own_key()

        def work(tx: SaleTx) -> Call:
            call, new = _next_call(tx, grant, named, request)
            if new:
                tx.sales.put(call, tx.now)
            return call

        return await self._store.write(work)

    def _own_key(self) -> str:
        return f"-{self._ids.token(12)}"

    async def look(self, grant: Grant, key: str | None, request: str) -> Call:
        """The call that this would be, nothing written. Raises as `reserve`; without a key, `use` alone does that."""
        if key is None:
            return Call(grant.token, self._own_key(), request)
        return await self._store.read(lambda tx: _next_call(tx, grant, key, request)[0])

    async def used(self, call: Call) -> None:
        """The work has had its effect: the call counts."""
        await self._close(call._replace(state=CallState.USED))

    async def give_back(self, call: Call) -> None:
        """The work came to nothing on our side: the call does not count."""
        await self._close(call._replace(state=CallState.RETURNED))

    async def _close(self, call: Call) -> None:
        """Write it now, or as soon as something can be written; a stop before that is what `recover` is for."""
        try:
            await self._store.write(partial(_closed, call))
        except NotWritten:
            self._spawner.spawn(patiently(self._store, partial(_closed, call), self._clock), "a call of L402")

    async def bought(self, grant: Grant, task: int) -> bool:
        """Whether this bundle paid for the task."""
        return await self._store.read(lambda tx: tx.sales.bought(grant.token, task))

    async def recover(self) -> int:
        """Close what the last stop left reserved: used where its effect was written, else returned. Says how many."""

        def work(tx: SaleTx) -> int:
            left = tx.sales.reserved()
            for call in left:
                done = tx.applied(call.cause) is not None
                _closed(call._replace(state=CallState.USED if done else CallState.RETURNED), tx)
            return len(left)

        return await self._store.write(work)

    # The owner's -----------------------------------------------------------------------------------------------

    async def sold(self) -> Sold:
        """What was sold so far."""
        return await self._store.read(lambda tx: tx.sales.sold())

    async def invoice(self, amount: int, memo: str) -> NodeInvoice:
        """An invoice over `amount` msat for whatever the owner says. Raises what the cashier does."""
        return await self._cashier.ask(amount, memo, OFFER_SECONDS)


def _memo(goods: Goods, calls: int) -> str:
    return f"{goods.words}, {calls} call{'' if calls == 1 else 's'}"


def _closed(call: Call, tx: SaleTx) -> None:
    tx.sales.put(call, tx.now)
    if call.state is CallState.RETURNED:
        tx.sales.forget_returned(
            call.token, MOST_RETURNED
        )  # whoever asks for ever while we cannot answer fills no disk


def _next_call(tx: SaleTx, grant: Grant, key: str, request: str, *, posted: int = 0) -> tuple[Call, bool]:
    """The call of this key, and whether it is to be made now: a new one, or one that came to nothing before.

    `posted`: 1 where this unit of work has posted its task, whose key is among the effects already.
    """
    call = tx.sales.call(grant.token, key)
    if call is not None and call.request != request:
        raise KeyOfAnother
    if call is not None and call.state is CallState.USED:
        return call, False
    if call is not None and call.state is CallState.RESERVED:
        raise StillWorking
    if _spent(tx, grant, posted):
        raise TokenSpent(price=format_sats(grant.sold.price))
    return Call(grant.token, key, request, attempt=call.attempt + 1 if call else 1), True


def _spent(tx: SaleTx, grant: Grant, posted: int) -> bool:
    known, most = tx.sales.known(grant.token), FAILURES * grant.sold.calls
    answers = tx.sales.answers(grant.token) - posted
    if known < grant.terms.calls and known + answers < most:
        return False  # whatever came of them
    count, in_vain = tx.sales.tally(grant.token, answers)
    return count >= grant.terms.calls or in_vain >= most


def worth(tx: InvoiceTx, grant: Grant) -> int:
    """What came for one call of a bundle, msat: its price, or less where a node kept a part of the payment for itself."""
    paid = tx.invoices.find(grant.payment_hash)
    return grant.sold.price if paid is None else min(grant.sold.price, paid.received // grant.sold.calls)


def use(tx: SaleTx, grant: Grant, call: Call, task: int) -> bool:
    """Use a call for the task that this unit of work posts; whether it was not used before.

    Raises as `Seller.reserve`: then nothing was posted.
    """
    now, new = _next_call(tx, grant, call.key, call.request, posted=1)
    if new:
        tx.sales.put(now._replace(state=CallState.USED, task=task), tx.now)
    return new
