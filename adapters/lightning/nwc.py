"""`core.wallet.lightning.Lightning` on a wallet over Nostr Wallet Connect (NIP-47).

NIP-47 promises little, so little is believed. A silence says nothing of a payment, and most errors do not either: wallets answer
INTERNAL for a payment that failed, for one that was made before, and for one that they lost sight of. So after every such answer
the wallet is asked how the payment stands. Whether it pays the same invoice twice is its own affair: `Traits.once` is denied.

NIP-47 has no fee limit. Wallets keep a reserve for the way: the most used one, Alby Hub, 1 % and 10 sats at least. An order whose
limit is below that is refused beforehand, and what the way really cost is told as it was.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters.lightning.bolt11 import decode
from adapters.lightning.nwc_keys import NwcKeys
from adapters.lightning.nwc_wire import BACKEND, SAID, Answered, Patience, Wire
from adapters.lightning.unheld import Unheld
from core.money import MSAT, format_cost, format_sats
from core.wallet.lightning import InvoiceState, NodeDown, NodeInfo, NodeInvoice, NotBegun, Outcome, PayState, Traits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from adapters.lightning.nwc_wire import Talk
    from core.ports import Clock
    from core.wallet.lightning import PaymentRequest

_NETWORKS = {"mainnet": "bitcoin", "bitcoin": "bitcoin", "testnet": "testnet", "signet": "signet", "regtest": "regtest"}
_LEAST_RESERVE, _RESERVE_PARTS = 10 * MSAT, 100
_NOT_BEGUN = frozenset({
    "RATE_LIMITED", "NOT_IMPLEMENTED", "INSUFFICIENT_BALANCE", "QUOTA_EXCEEDED", "RESTRICTED", "UNAUTHORIZED",
    "UNSUPPORTED_ENCRYPTION",
})  # fmt: skip
"""Errors that a wallet gives before it does anything. What INTERNAL, OTHER and NOT_FOUND mean is not known."""

_PAGE = 20
"""Transactions that are asked for at once: a longer answer may not fit through a relay (NIP-47, "Metadata")."""

_GRACE = 3_600_000
"""Ms for which an expired invoice is still looked at: a payment may have come in its last moment."""

_WIDE = 25 * 3_600_000
"""Ms by which a wide look goes back: other users of the wallet make invoices that are good for a day."""

_WIDE_EVERY = 3_600_000
"""Ms. How often a look is wide."""

_SKEW = 600
"""Seconds by which the wallet's clock may be behind ours."""


def reserve(amount: int) -> int:
    """What the way of `amount` msat may cost: the reserve of a wallet that keeps one."""
    return max(_LEAST_RESERVE, -(-amount // _RESERVE_PARTS))


@dataclass(frozen=True, slots=True)
class Books:
    """What the books wait for.

    `oldest` says when the oldest open invoice was made that expires after a time, both Unix ms; None: there is none. `last`: when
    the newest entry was booked before this life of the hub.
    """

    oldest: Callable[[int], Awaitable[int | None]]
    last: int


class Nwc(Unheld):
    """The wallet at the other end of the connection `uri`. Raises `BadConnection`.

    Invoices that were made before `since` (Unix ms) are not told of: what came for them is in the balance that a book opened with.
    Without `books` every look is a wide one.
    """

    backend = BACKEND
    traits = Traits(hold=False, msat=True, track=True, stream=False, once=False)

    def __init__(
        self, uri: str, *, clock: Clock, since: int = 0, patience: Patience | None = None, books: Books | None = None
    ) -> None:
        self._keys = NwcKeys(uri)
        self._patience = patience or Patience()
        self._wire = Wire(self._keys, clock, self._patience)
        self._clock = clock
        self._since = since
        self._books = books
        self._told: dict[bytes, int] = {}
        self._wide_at: int | None = None

    async def close(self) -> None:
        """See `Node`."""
        await self._wire.close()

    async def info(self) -> NodeInfo:
        """See `Node`. A wallet that names no node is known by its own key; that it is in step is its affair."""
        answer = await self._query("get_info", {})
        network = SAID.field(answer, "network", str)
        if network not in _NETWORKS:
            raise SAID.down(f"it is on {network[:40] or 'no network'}, which is not known here")
        node = SAID.field(answer, "pubkey", str, "") or self._keys.wallet
        return NodeInfo(_NETWORKS[network], node, SAID.field(answer, "block_height", int, 0), synced=True)

    async def balance(self) -> int:
        """See `Node`."""
        return SAID.field(await self._query("get_balance", {}), "balance", int)

    async def create_invoice(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """See `Receiver`."""
        SAID.check(amount, self.traits)
        answer = await self._order("make_invoice", {"amount": amount, "description": memo, "expiry": expiry})
        made = SAID.invoice(SAID.field(answer, "invoice", str))
        if made.amount != amount or made.payment_hash != SAID.bytes32(answer, "payment_hash"):
            raise SAID.odd()
        return NodeInvoice(made.payment_hash, made.bolt11, amount, made.expires_at)

    async def lookup(self, payment_hash: bytes) -> NodeInvoice | None:
        """See `Receiver`."""
        found = await self._found(payment_hash)
        return None if found is None else _theirs(found)

    async def settled(self, after: int) -> AsyncGenerator[NodeInvoice, None]:  # noqa: ARG002 - it keeps no such order
        """See `Receiver`. It looks as often as the wallet tells or it is time; each is told once in a life of the hub."""
        async with self._wire.talk() as talk:
            pause = self._patience.told if await talk.listen() else self._patience.look
            while True:
                async with aclosing(self._came_in(talk)) as came_in:
                    async for invoice in came_in:
                        yield invoice
                await talk.news(pause)

    async def _came_in(self, talk: Talk) -> AsyncGenerator[NodeInvoice, None]:
        """What was settled of what can be by now, and was not told yet."""
        now = self._clock.now()
        wide = self._wide_at is None or not 0 <= now - self._wide_at < _WIDE_EVERY
        start = await self._start(now, wide=wide)
        if start is None:
            return
        async with aclosing(self._listed(talk, max(start // 1000 - _SKEW, self._since // 1000))) as listed:
            async for invoice in listed:
                if invoice.state is InvoiceState.SETTLED and invoice.payment_hash not in self._told:
                    yield invoice
                    self._told[invoice.payment_hash] = now
        if wide:
            self._wide_at = now
            self._told = {key: at for key, at in self._told.items() if at > now - 2 * _WIDE}

    async def _start(self, now: int, *, wide: bool) -> int | None:
        """From when on a look is at what was made, Unix ms; None where nothing can be paid now.

        The first goes back to the oldest invoice that the books wait for, however old, and to a day before their last entry.
        """
        if self._books is None:
            return now - _WIDE if self._wide_at is not None else 0
        if self._wide_at is None:
            return min(self._books.last - _WIDE, now - _WIDE, await self._books.oldest(0) or now)
        oldest = await self._books.oldest(now - _GRACE)
        return min(now - _WIDE, oldest or now) if wide else oldest

    async def _listed(self, talk: Talk, start: int) -> AsyncGenerator[NodeInvoice, None]:
        """Invoices that were paid, made since `start` (Unix seconds); the newest first.

        The last page is one that has none that is new, or none of that time, where a wallet lists older ones all the same.
        """
        offset, seen = 0, set[bytes]()
        while True:
            query = {"type": "incoming", "unpaid": False, "from": start, "limit": _PAGE, "offset": offset}
            try:
                rows = SAID.field(await talk.ask("list_transactions", query), "transactions", list)
            except Answered as refused:
                raise SAID.down(str(refused)) from None
            found = {one.payment_hash: (one, _ended(row)) for row in rows if (one := _theirs(row))}
            fresh = found.keys() - seen
            for key in (key for key in found if key in fresh and found[key][1] >= start):
                yield found[key][0]
            if not fresh or all(ended < start for _, ended in found.values()):
                return
            seen |= fresh
            offset += len(rows)

    def least_fee(self, amount: int) -> int:
        """See `Node`: what wallets keep back before they try."""
        return reserve(amount)

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: float) -> Outcome:
        """See `Payer`. After `timeout` the wallet may go on; a payment that it says is pending is in flight."""
        asked = decode(bolt11)
        due = SAID.due(asked, amount)
        SAID.check(due, self.traits)
        self._payable(asked, due, fee_limit)
        try:
            own = await self.lookup(asked.payment_hash)
        except NodeDown as error:
            raise NotBegun(**error.facts) from error
        if own is not None:
            raise SAID.refused("the invoice is its own")
        params: dict[str, object] = {"invoice": asked.bolt11, **({} if amount is None else {"amount": amount})}
        try:
            answer = await self._order("pay_invoice", params, timeout)
        except (Answered, TimeoutError) as unsure:
            return await self._unsure(asked.payment_hash, unsure)
        if "fees_paid" not in answer:
            return await self._unsure(asked.payment_hash, None)
        return Outcome(PayState.SUCCEEDED, SAID.bytes32(answer, "preimage"), due, SAID.field(answer, "fees_paid", int))

    def _payable(self, asked: PaymentRequest, due: int, fee_limit: int) -> None:
        """Raise `NodeRefused` for what may cost too much, and what a wallet would answer in a way that leaves us in doubt."""
        if asked.expires_at <= self._clock.now():
            raise SAID.refused("the invoice has expired")
        if (kept := reserve(due)) > fee_limit:
            limit, needed = format_sats(fee_limit), format_cost(kept)
            raise SAID.refused(f"sending {format_sats(due)} may cost {needed}, and the fee limit is {limit}")

    async def _unsure(self, payment_hash: bytes, said: Answered | TimeoutError | None) -> Outcome:
        """How a payment stands whose order got no answer, or one that leaves it open. Raises `NodeDown` where that cannot be told.

        A failure is believed only behind an answer: after a silence it may be of an attempt before this one.
        """
        found = await self.track(payment_hash)
        if found.state in {PayState.SUCCEEDED, PayState.IN_FLIGHT}:
            return found
        failed = isinstance(said, Answered) and (said.code == "PAYMENT_FAILED" or found.state is PayState.FAILED)
        if failed:
            return Outcome(PayState.FAILED, why=str(said))
        raise SAID.down(
            f"it does not say whether it paid ({said})"
            if isinstance(said, Answered)
            else "it does not say whether it pays"
        )

    async def track(self, payment_hash: bytes) -> Outcome:
        """See `Payer`. Only what the wallet calls failed is failed: to some a payment under way is expired when its invoice is."""
        found = await self._found(payment_hash)
        if found is None or _incoming(found):
            return Outcome(PayState.UNKNOWN)
        match _state(found):
            case "settled":
                amount, fees = SAID.field(found, "amount", int), SAID.field(found, "fees_paid", int, 0)
                return Outcome(PayState.SUCCEEDED, SAID.bytes32(found, "preimage"), amount, fees)
            case "failed":
                return Outcome(PayState.FAILED, why="it did not get through")
            case _:
                return Outcome(PayState.IN_FLIGHT)

    async def _found(self, payment_hash: bytes) -> dict[str, Any] | None:
        """What the wallet has under a hash. Raises `NodeDown`."""
        try:
            found = await self._wire.ask("lookup_invoice", {"payment_hash": payment_hash.hex()})
        except Answered as refused:
            if refused.code == "NOT_FOUND":
                return None
            raise SAID.down(str(refused)) from None
        SAID.check_hash(found, "payment_hash", payment_hash)
        return found

    async def _query(self, method: str, params: Mapping[str, object]) -> dict[str, Any]:
        try:
            return await self._wire.ask(method, params)
        except Answered as refused:
            raise SAID.down(str(refused)) from None

    async def _order(self, method: str, params: Mapping[str, object], seconds: float | None = None) -> dict[str, Any]:
        """Raises `NodeRefused` where the wallet did nothing; an error that leaves it open goes to who gave it time."""
        try:
            return await self._wire.ask(method, params, seconds)
        except Answered as refused:
            if refused.code in _NOT_BEGUN:
                raise SAID.refused(str(refused)) from None
            if seconds is not None:
                raise
            raise SAID.down(str(refused)) from None


def _incoming(found: object) -> bool:
    kind = SAID.field(found, "type", str)
    if kind not in {"incoming", "outgoing"}:
        raise SAID.odd()
    return kind == "incoming"


def _state(found: object) -> str:
    """Its state, or where a wallet does not say it, what its time of settlement means."""
    return SAID.field(found, "state", str, "settled" if SAID.field(found, "settled_at", int, 0) else "pending").lower()


def _ended(found: object) -> int:
    """When something was last done about it, Unix seconds: wallets order by when it was made, or by when it was paid."""
    return max(SAID.field(found, "created_at", int), SAID.field(found, "settled_at", int, 0))


def _theirs(found: object) -> NodeInvoice | None:
    """An incoming transaction; None of an outgoing one. `amount` is what came once it is settled; before, what is asked."""
    if not _incoming(found):
        return None
    bolt11, amount = SAID.field(found, "invoice", str, ""), SAID.field(found, "amount", int)
    asked = SAID.invoice(bolt11) if bolt11 else None
    state = {"settled": InvoiceState.SETTLED, "accepted": InvoiceState.HELD}.get(_state(found), InvoiceState.OPEN)
    return NodeInvoice(
        SAID.bytes32(found, "payment_hash"), bolt11, amount if asked is None or asked.amount is None else asked.amount,
        asked.expires_at if asked else SAID.field(found, "expires_at", int, 0) * 1000,
        state, 0 if state is InvoiceState.OPEN else amount,
    )  # fmt: skip
