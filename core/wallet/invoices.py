"""The service that takes sats in over Lightning: what a node says was settled is booked once, in the order of its settlements.

Booked is what was received, not what was asked. What was settled at the node under a hash that these books do not know (the node
has other users too) goes to `suspense`, so that the books always say what the node has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from core.chat import one_line
from core.errors import Unavailable
from core.events import Event, Kind
from core.money import MAX_SATS, to_msat, to_sats
from core.store import patiently
from core.wallet.ledger import TREASURY, Entry, transfer
from core.wallet.lightning import InvoiceState
from core.wallet.limits import DAY
from core.wallet.wallet import LedgerTx

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.events import Json
    from core.ports import Clock
    from core.store import Store
    from core.wallet.lightning import NodeInvoice
    from core.wallet.node import OwnNode

EXPIRY_SECONDS = 3600
"""How long an invoice can be paid, as most wallets expect."""

OVERLAP = 16
"""How many settlements a node is asked for again: it may have told of some before an earlier one, when the hub died."""

CAUGHT_UP_MS = 300_000
"""How long a node is listened to until it has told of all that was paid while it was not."""

SUSPENSE = "suspense"
SALES = "income:l402"
"""What strangers pay passes through here and is the treasury's."""


class Invoice(NamedTuple):
    """An invoice of ours as the books hold it. `received` is 0 until it is settled; amounts in msat, times Unix ms."""

    payment_hash: bytes
    bolt11: str
    account: str
    amount: int
    memo: str
    actor: str
    conversation: str
    expires_at: int
    at: int
    settled: bool = False
    received: int = 0


class InvoiceStore(Protocol):
    """Invoices, inside one unit of work."""

    def find(self, payment_hash: bytes) -> Invoice | None:
        """One by its hash."""

    def add(self, invoice: Invoice) -> None:
        """Keep a new one."""

    def settle(self, payment_hash: bytes, received: int, now: int) -> None:
        """It was paid."""

    def oldest_open(self, after: int) -> int | None:
        """When the oldest was made that is open and expires after a time, Unix ms; None: there is none."""

    def hand_over(self, source: str, target: str) -> None:
        """What is open of one account is paid to another from now on."""

    def last_settlement(self) -> int:
        """The place of the newest settlement that was booked, in the node's order."""

    def booked_to(self, settlement: int) -> None:
        """Everything up to this settlement is booked."""


class Opening(Protocol):
    """When the books began."""

    def opened_at(self) -> int:
        """Unix ms; 0 where they have not."""


class InvoiceTx(LedgerTx, Protocol):
    """A unit of work over the books and our invoices."""

    @property
    def books(self) -> Opening:
        """The books."""

    @property
    def invoices(self) -> InvoiceStore:
        """Invoices."""


class SettlementsEnded(Unavailable):
    """The node ({backend}) stopped telling what is paid. It is asked again."""


class Invoices:
    """Asks for sats, and books what comes."""

    def __init__(
        self,
        store: Store[InvoiceTx],
        own: OwnNode,
        clock: Clock,
        held: Callable[[Any, NodeInvoice], bool] | None = None,
    ) -> None:
        """`held`: books a settlement, in this unit of work, that is of what was held for a task; False where it is none."""
        self._held = held
        self._store = store
        self._own = own
        self._clock = clock
        self._listens: int | None = None

    async def create(  # noqa: PLR0913 - what an invoice is
        self, account: str, amount: int, memo: str, *, actor: str, conversation: str, key: str, expiry: int = EXPIRY_SECONDS
    ) -> Invoice:  # fmt: skip
        """Ask for `amount` msat, for `expiry` seconds, once for each key. Raises `NodeDown`, `OtherNode` and `NodeRefused`."""
        if (known := await self._store.read(lambda tx: _known(tx, key))) is not None:
            return known
        await self._own.verified()
        made = await self._own.node.create_invoice(amount, memo, expiry)

        def work(tx: InvoiceTx) -> Invoice:
            if (known := _known(tx, key)) is not None:
                return known
            invoice = Invoice(
                made.payment_hash, made.bolt11, account, amount, memo, actor, conversation, made.expires_at, tx.now
            )
            tx.invoices.add(invoice)
            tx.mark(key, invoice.payment_hash.hex())
            return invoice

        return await self._store.write(work)

    async def sell(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """Ask a stranger for `amount` msat, for the treasury. Raises as `create` does, and `NodeBehind`."""
        await self._own.in_step()
        made = await self._own.node.create_invoice(amount, memo, expiry)

        def work(tx: InvoiceTx) -> None:
            asked = Invoice(made.payment_hash, made.bolt11, SALES, amount, memo, "l402", "", made.expires_at, tx.now)
            tx.invoices.add(asked)

        await self._store.write(work)
        return made

    async def settled(self, payment_hash: bytes) -> bool:
        """Whether an invoice of ours was paid, as the books know it."""
        found = await self._store.read(lambda tx: tx.invoices.find(payment_hash))
        return found is not None and found.settled

    async def look(self, payment_hash: bytes) -> bool:
        """Whether it was paid, asking the node where the books do not know it yet. Raises `NodeDown` and `OtherNode`.

        A node that is behind the chain may not know yet that it was: `NodeBehind`.
        """
        if await self.settled(payment_hash):
            return True
        await self._own.verified()
        found = await self._own.node.lookup(payment_hash)
        if found is None or not _came(found):
            await self._own.in_step()
            return False
        await patiently(self._store, lambda tx: self._book(tx, found), self._clock)
        return True

    async def run(self) -> None:
        """Book what is settled, for ever. Raises `NodeDown` and `OtherNode`."""
        await self._own.verified()
        last = await self._store.read(lambda tx: tx.invoices.last_settlement())
        self._listens = self._clock.now()
        try:
            async for found in self._own.node.settled(max(0, last - OVERLAP)):
                await patiently(self._store, lambda tx, one=found: self._arrived(tx, one), self._clock)  # type: ignore[misc]
        finally:
            self._listens = None
        raise SettlementsEnded(backend=self._own.node.backend)

    def caught_up(self) -> bool:
        """Whether the node has told of all that was paid long ago: what is open then and over was never paid."""
        return self._listens is not None and not self._own.behind and self._clock.now() - self._listens >= CAUGHT_UP_MS

    def _arrived(self, tx: InvoiceTx, found: NodeInvoice) -> None:
        if _came(found):
            self._book(tx, found)
        if found.index > tx.invoices.last_settlement():
            tx.invoices.booked_to(found.index)

    def _book(self, tx: InvoiceTx, found: NodeInvoice) -> None:
        """Book a settlement; one that is booked already changes nothing."""
        if self._held is not None and self._held(tx, found):
            return
        invoice = tx.invoices.find(found.payment_hash)
        if invoice is not None and invoice.settled:
            return
        if invoice is None and 0 < found.settled_at < tx.books.opened_at():
            return  # it is in what the node had when the books were opened
        digest = found.payment_hash.hex()
        account = SUSPENSE if invoice is None else invoice.account
        reason = (
            "paid to the node, and not asked for by this hub"
            if invoice is None
            else one_line(invoice.memo) or "an invoice was paid"
        )
        actor = "node" if invoice is None else invoice.actor
        postings = ((self._own.account, -found.received), (account, found.received))
        number = tx.ledger.append(
            Entry(f"invoice:{digest}", "invoice", postings, None, actor, reason, found.payment_hash)
        )
        if account == SUSPENSE:
            _tell(tx, number, found.received)
        if account == SALES:
            tx.ledger.append(
                transfer(
                    f"sale:{digest}", "sale", SALES, TREASURY, found.received, task=None, actor=actor, reason=reason
                )
            )
        if invoice is not None:
            tx.invoices.settle(found.payment_hash, found.received, tx.now)
            tx.emit(Event(Kind.INVOICE_SETTLED, data={"invoice": digest, "sats": to_sats(found.received)}))


def _tell(tx: InvoiceTx, entry: int, received: int) -> None:
    """Tell the owners of sats that nobody here asked for: once a day, for the node may have other users."""
    key = f"{SUSPENSE}/came/{tx.now // DAY}"
    if tx.applied(key) is None:
        tx.mark(key, str(entry))
        data: dict[str, Json] = {
            "entry": entry, "sats": to_sats(received), "waiting_sats": to_sats(tx.ledger.account(SUSPENSE).posted),
        }  # fmt: skip
        tx.emit(Event(Kind.SUSPENSE_CAME, data=data))


class Till:
    """`core.wallet.sales.Cashier`: what strangers pay is booked for the treasury."""

    def __init__(self, invoices: Invoices) -> None:
        self._invoices = invoices

    async def ask(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """See `Cashier`."""
        return await self._invoices.sell(amount, memo, expiry)

    async def settled(self, payment_hash: bytes) -> bool:
        """See `Cashier`."""
        return await self._invoices.look(payment_hash)


def _came(found: NodeInvoice) -> bool:
    """Whether sats came for it: as many as there can be."""
    return found.state is InvoiceState.SETTLED and 0 < found.received <= to_msat(MAX_SATS)


def _known(tx: InvoiceTx, key: str) -> Invoice | None:
    done = tx.applied(key)
    return None if done is None else tx.invoices.find(bytes.fromhex(done))
