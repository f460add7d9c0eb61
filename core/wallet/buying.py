"""The service that buys from servers by L402: ask, see the price, pay once, ask again with the receipt.

Every step is a row before it is taken (`core/wallet/purchase.py`). A payment is begun only for a row that is `paying`, and a row
leaves `paying` only by what the books of payments say of its invoice: a lost answer, of the server or of the node, is never a
reason to pay again. What servers say is data; the price is what the signed invoice says.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, assert_never
from weakref import WeakValueDictionary

from core.errors import Broken, HubError
from core.money import format_cost, format_sats
from core.wallet.challenge import BadChallenge, Unpayable, credential, price_of, read
from core.wallet.lightning import BadInvoice, PayState, proves
from core.wallet.purchase import (
    BoughtBefore,
    MayBePaid,
    NotServed,
    NotSold,
    OfferOver,
    OnItsWay,
    Order,
    State,
    TooDear,
    Unserved,
    host_of,
    must_ask,
    offered,
    origin_of,
    scope_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.ports import Clock, Fetcher, Page
    from core.store import Store
    from core.wallet.lightning import Outcome, PaymentRequest
    from core.wallet.purchase import Purchase, PurchaseTx

WANTS_MONEY = 402
_TOKEN_REFUSED = frozenset({401, WANTS_MONEY, 403})


class BadReceipt(Broken):
    """The payment to {host} came back with a receipt that does not fit its invoice. Ask the node's owner; it is not paid twice."""


class Pays(Protocol):
    """Paying an invoice from an account, at most once whatever happens, and within its limits."""

    async def cost(self, account: str, bolt11: str) -> int:
        """All that paying an invoice may cost, msat: its amount and the routing. Raises why it cannot be paid."""

    async def pay_invoice(self, account: str, bolt11: str, most: int, key: str, reason: str, by: str) -> bytes:
        """Pay an invoice over at most `most` msat (routing comes on top) and return the preimage; given again, its end.

        `by`: the account of whoever agreed, empty where nobody was asked.

        Raises `HubError`s, which do not tell whether it was paid: `outcome` does.
        """

    async def outcome(self, account: str, payment_hash: bytes) -> Outcome:
        """How this account's payment stands in the hub's books: `unknown` was never begun, `failed` will never be paid."""


class Bought(NamedTuple):
    """A page, and the purchase that it was had for (None: it costs nothing). `before`: with a token that had served before."""

    page: Page
    purchase: Purchase | None = None
    before: bool = False


class Asks(NamedTuple):
    """Nothing is paid yet: a person is to be asked whether `purchase` is worth its price; then `Buying.confirm`."""

    purchase: Purchase

    @property
    def words(self) -> str:
        """The price, for people."""
        return f"This costs {format_cost(self.purchase.amount)} from {self.purchase.host}."


class Buying:
    """Buys for accounts. Two orders for the same address wait for each other, so that one payment serves both.

    `decode` reads an invoice and checks its signature, raising `BadInvoice`; `prefix` tells that of our network's invoices;
    `limit` is what an account may pay without asking, msat, None where nothing was set.
    """

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        store: Store[PurchaseTx],
        fetcher: Fetcher,
        pays: Pays,
        decode: Callable[[str], Awaitable[PaymentRequest]],
        clock: Clock,
        *,
        prefix: Callable[[], Awaitable[str]],
        limit: Callable[[str], Awaitable[int | None]],
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._pays = pays
        self._decode = decode
        self._clock = clock
        self._prefix = prefix
        self._limit = limit
        self._turns = WeakValueDictionary[tuple[str, str], asyncio.Lock]()

    async def buy(self, order: Order) -> Bought | Asks:
        """The page that is ordered, paid for if it must be. The same order again pays nothing more.

        Raises what fetching and paying raise, and the errors of `core/wallet/purchase.py` and `challenge.py`.
        """
        turn = self._turns.setdefault((order.account, scope_of(order.url)), asyncio.Lock())
        async with turn:
            held = await self._store.read(lambda tx: tx.purchases.held(order.account, order.url, order.key))
            return await (self._fresh(order) if held is None else self._go_on(held, order))

    async def confirm(self, number: int, agreed: int, by: str, *, again: bool) -> Bought | Asks:
        """Go on with the purchase `number`, for which a person (`by`, their account) agreed to pay `agreed` msat.

        `again`: as whoever ordered it said. Raises as `buy` does.
        """
        purchase = await self._store.read(lambda tx: tx.purchases.find(number))
        if purchase is None:
            raise OfferOver(host="this server")
        if purchase.state is State.FAILED:
            raise OfferOver(host=purchase.host)
        return await self.buy(
            Order(purchase.account, purchase.url, agreed, purchase.key, again=again, agreed=True, by=by)
        )

    async def _go_on(self, held: Purchase, order: Order) -> Bought | Asks:
        match held.state:
            case State.CHALLENGED:
                return await self._offer(held, order)
            case State.PAYING:
                return await self._resume(held, order)
            case State.PAID | State.USED:
                return await self._collect(held, order)
            case State.SPENT:
                raise BoughtBefore(host=held.host, price=format_sats(held.amount))
            case State.UNSERVED | State.FAILED:
                raise Unserved(host=held.host, price=format_sats(held.amount))
            case _:
                assert_never(held.state)

    # The price ---------------------------------------------------------------------------------------------------

    async def _fresh(self, order: Order) -> Bought | Asks:
        """Ask without a token."""
        await self._refuse_again(order, order.url)
        page = await self._fetcher.get(order.url)
        if page.status == WANTS_MONEY:
            return await self._challenged(order, page)
        if not _ok(page):
            raise NotSold(host=host_of(page.url), status=page.status)
        return Bought(page)

    async def _challenged(self, order: Order, page: Page) -> Bought | Asks:
        """Keep what a server wants, and see whether it may have it."""
        host, now = host_of(page.url), self._clock.now()
        challenge = read(page.challenges)
        if challenge is None:
            raise BadChallenge(host=host)
        try:
            request = await self._decode(challenge.invoice)
        except BadInvoice:
            raise Unpayable(host=host, why="its invoice cannot be read") from None
        price_of(request, host, await self._prefix(), now)
        offer = offered(order, page.url, challenge, request, now)
        return await self._offer(await self._store.write(lambda tx: tx.purchases.add(offer)), order)

    async def _refuse_again(self, order: Order, url: str) -> None:
        """Raise where this was, or may have been, paid in vain, unless a person says that it is to be paid again.

        What may have been is said again by another command than the one that bought it.
        """
        lost = await self._store.read(lambda tx: tx.purchases.given_up(order.account, order.url))
        if lost is not None and not (order.again and order.key != lost.key):
            raise MayBePaid(host=lost.host, price=format_sats(lost.amount), payment=lost.payment_hash.hex()[:8])
        if order.again:
            return
        origin = origin_of(url)
        if owed := await self._store.read(lambda tx: tx.purchases.unserved(order.account, origin, order.url)):
            raise Unserved(host=owed.host, price=format_sats(owed.amount))

    async def _offer(self, offer: Purchase, order: Order) -> Bought | Asks:
        """Pay the price, or ask for it, or let the offer go where it is too old."""
        if self._clock.now() >= offer.expires_at:
            await self._put(offer, State.FAILED)
            return await self._fresh(order)
        await self._refuse_again(order, offer.site)
        if order.most is not None and offer.amount > order.most:
            raise TooDear(host=offer.host, price=format_cost(offer.amount), most=format_sats(order.most))
        cost = await self._pays.cost(order.account, offer.invoice)
        if must_ask(order, cost, await self._limit(order.account)):
            return Asks(offer)
        return await self._send(await self._begin(offer, order), order)

    # The payment -------------------------------------------------------------------------------------------------

    async def _begin(self, offer: Purchase, order: Order) -> Purchase:
        """Say that it is being paid, before it is: not where a link took the offer away, for what was paid for already."""

        def work(tx: PurchaseTx) -> Purchase | None:
            there = tx.purchases.find(offer.id) is not None
            free = there and tx.purchases.begun(offer.payment_hash) in {None, offer.id}
            now = replace(offer, state=State.PAYING if free else State.FAILED, key=order.key)
            tx.purchases.put(now)
            return now if free else None

        begun = await self._store.write(work)
        if begun is None:
            raise OfferOver(host=offer.host)
        return begun

    async def _send(self, purchase: Purchase, order: Order) -> Bought | Asks:
        """Pay; given again, an invoice is not paid again."""
        preimage: bytes | None
        try:
            preimage = await self._pays.pay_invoice(
                purchase.account,
                purchase.invoice,
                purchase.amount,
                purchase.key,
                f"L402: {purchase.host}",
                order.by,
            )
        except HubError as error:
            preimage = await self._in_spite_of(error, purchase)
        return await self._receipt(purchase, preimage, order)

    async def _in_spite_of(self, error: HubError, purchase: Purchase) -> bytes | None:
        """The preimage of a payment that succeeded though it was not said; else the error, in the right words."""
        outcome = await self._pays.outcome(purchase.account, purchase.payment_hash)
        match outcome.state:
            case PayState.SUCCEEDED:
                return outcome.preimage
            case PayState.IN_FLIGHT:
                raise OnItsWay(host=purchase.host, price=format_sats(purchase.amount), why=error) from error
            case PayState.FAILED:
                await self._put(purchase, State.FAILED)
                raise error
            case PayState.UNKNOWN:
                await self._put(purchase, State.CHALLENGED)  # so that it keeps nobody else from paying this invoice
                raise error
            case _:
                assert_never(outcome.state)

    async def _resume(self, purchase: Purchase, order: Order) -> Bought | Asks:
        """Go on with a payment that may have been begun, by what the books say of it."""
        outcome = await self._pays.outcome(purchase.account, purchase.payment_hash)
        match outcome.state:
            case PayState.SUCCEEDED:
                return await self._receipt(purchase, outcome.preimage, order)
            case PayState.IN_FLIGHT:
                return await self._send(purchase, order)
            case PayState.FAILED:
                await self._put(purchase, State.FAILED)
                return await self._fresh(order)
            case PayState.UNKNOWN:
                return await self._offer(purchase, order)
            case _:
                assert_never(outcome.state)

    async def _receipt(self, purchase: Purchase, preimage: bytes | None, order: Order) -> Bought | Asks:
        """Keep the receipt before it is used."""
        if not proves(preimage, purchase.payment_hash):
            raise BadReceipt(host=purchase.host)
        paid = replace(purchase, preimage=preimage, key=order.key)
        return await self._collect(await self._put(paid, State.PAID), order)

    # The page ----------------------------------------------------------------------------------------------------

    async def _collect(self, purchase: Purchase, order: Order) -> Bought | Asks:
        """Ask with the token; it goes to the origin that it was bought from."""
        where = order.url if scope_of(order.url) == scope_of(purchase.site) else purchase.site
        proof = credential(purchase.scheme, purchase.token, purchase.preimage or b"")
        try:
            page = await self._fetcher.get(where, authorization=proof)
        except HubError as error:
            raise self._not_served(purchase, str(error)) from error
        if _ok(page):
            before = purchase.state is State.USED and purchase.key != order.key
            if purchase.state is State.PAID:
                purchase = await self._put(replace(purchase, key=order.key), State.USED)
            return Bought(page, purchase, before)
        if purchase.state is State.USED and page.status in _TOKEN_REFUSED:
            return await self._used_up(purchase, order, page)
        return await self._turned_away(purchase, order, page)

    async def _used_up(self, purchase: Purchase, order: Order, page: Page) -> Bought | Asks:
        """A token that has served is taken no more, or is not meant for this: buy anew, but for one command only once."""
        if purchase.url == order.url:
            await self._put(purchase, State.SPENT)
        if purchase.key == order.key:
            raise BoughtBefore(host=purchase.host, price=format_sats(purchase.amount))
        return await (self._challenged(order, page) if page.status == WANTS_MONEY else self._fresh(order))

    async def _turned_away(self, purchase: Purchase, order: Order, page: Page) -> Bought | Asks:
        """A server was paid and does not deliver: it gets nothing more, unless a person says so in another command."""
        forced = order.again and purchase.key != order.key and purchase.state is State.PAID
        if page.status != WANTS_MONEY and not forced:
            raise self._not_served(purchase, f"it answered with the status {page.status}.")
        await self._put(purchase, State.UNSERVED)
        if not forced:
            raise Unserved(host=purchase.host, price=format_sats(purchase.amount))
        return await self._fresh(order)

    def _not_served(self, purchase: Purchase, why: str) -> NotServed:
        return NotServed(host=purchase.host, price=format_sats(purchase.amount), why=why)

    async def _put(self, purchase: Purchase, state: State) -> Purchase:
        now = replace(purchase, state=state)
        await self._store.write(lambda tx: tx.purchases.put(now))
        return now


def _ok(page: Page) -> bool:
    return 200 <= page.status < 300  # noqa: PLR2004 - HTTP's
