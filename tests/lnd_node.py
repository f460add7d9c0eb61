"""What stands behind `tests/lnd_server.py`: a node's books as LND keeps them, and the people beyond it.

Rules and words from lnrpc/*.proto and LND's servers (invoices_server.go, router_backend.go, invoiceregistry.go). Amounts in
msat, times in Unix seconds. A refusal carries LND's gRPC code: 2, unknown, wherever LND gives none.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bolt11 import (
    Bolt11,
    Bolt11Exception,
    Feature,
    Features,
    FeatureState,
    MilliSatoshi,
    Signature,
    TagChar,
    Tags,
)
from bolt11 import decode as read
from bolt11 import encode as sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from bolt11 import FeatureExtra

INVALID, NOT_FOUND, ALREADY_EXISTS, UNKNOWN = 3, 5, 6, 2
LARGEST = 100_000 * 100_000_000 * 1000
"""The largest invoice, msat: 100,000 bitcoin (addinvoice.go)."""

YEAR = 365 * 86400
REASONS = {
    "no_route": "FAILURE_REASON_NO_ROUTE", "timeout": "FAILURE_REASON_TIMEOUT", "error": "FAILURE_REASON_ERROR",
    "details": "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS", "canceled": "FAILURE_REASON_CANCELED",
}  # fmt: skip


class Refusal(Exception):
    """LND's error."""

    def __init__(self, message: str, code: int = UNKNOWN) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


class Unpaid(Exception):
    """What a payer outside hears."""


@dataclass
class Invoice:
    """`lnrpc.Invoice`. Without a preimage it is held until somebody brings one."""

    payment_hash: bytes
    preimage: bytes | None
    bolt11: str
    memo: str
    value: int
    made: int
    expiry: int
    add_index: int
    final_blocks: int = 80
    state: str = "OPEN"
    paid: int = 0
    settle_index: int = 0
    accepted_at: int = 0

    def told(self) -> dict[str, Any]:
        return {
            "memo": self.memo, "r_preimage": base64.b64encode(self.preimage or b"").decode(),
            "r_hash": base64.b64encode(self.payment_hash).decode(), "value": str(self.value // 1000),
            "value_msat": str(self.value), "settled": self.state == "SETTLED", "creation_date": str(self.made),
            "settle_date": "0", "payment_request": self.bolt11, "expiry": str(self.expiry), "cltv_expiry": str(self.final_blocks),
            "add_index": str(self.add_index), "settle_index": str(self.settle_index), "amt_paid": str(self.paid),
            "amt_paid_sat": str(self.paid // 1000), "amt_paid_msat": str(self.paid), "state": self.state, "htlcs": self._htlcs(),
            "is_keysend": False, "is_amp": False, "payment_addr": base64.b64encode(bytes(32)).decode(),
        }  # fmt: skip

    def _htlcs(self) -> list[dict[str, Any]]:
        """`lnrpc.InvoiceHTLC`: in two parts, of which the payer's nodes gave the second more blocks than they had to."""
        if not self.accepted_at:
            return []
        state = {"ACCEPTED": "ACCEPTED", "SETTLED": "SETTLED"}.get(self.state, "CANCELED")
        return [
            {
                "chan_id": str(860_000 << 40), "htlc_index": str(part), "amt_msat": "1", "accept_height": self.accepted_at,
                "accept_time": str(self.made), "resolve_time": "0", "expiry_height": self.accepted_at + self.final_blocks + part,
                "state": state, "custom_records": {}, "mpp_total_amt_msat": str(self.paid), "amp": None,
            }
            for part in (0, 3)
        ]  # fmt: skip


@dataclass
class Payment:
    """`lnrpc.Payment`. `changes`: every state it was in, as it was told."""

    payment_hash: bytes
    bolt11: str
    value: int
    index: int
    status: str = "IN_FLIGHT"
    reason: str = "FAILURE_REASON_NONE"
    fee: int = 0
    out: int = 0
    preimage: bytes = bytes(32)
    changes: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        paid = self.status == "SUCCEEDED"
        fee = self.fee if paid else 0
        self.changes.append({
            "payment_hash": self.payment_hash.hex(), "value": str(self.value // 1000),
            "value_sat": str(self.value // 1000), "value_msat": str(self.value), "fee": str(fee // 1000),
            "fee_sat": str(fee // 1000), "fee_msat": str(fee),
            "payment_preimage": (self.preimage if paid else bytes(32)).hex(), "payment_request": self.bolt11,
            "status": self.status, "htlcs": [], "payment_index": str(self.index), "failure_reason": self.reason,
        })  # fmt: skip
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def final(self) -> bool:
        return self.status != "IN_FLIGHT"


@dataclass(frozen=True)
class Asked:
    """An invoice of somebody outside."""

    preimage: bytes
    fails: str
    fee: int


class Node:
    """One node. `now` gives Unix seconds."""

    def __init__(self, now: Callable[[], int], *, name: str = "alice", local: int = 1_000_000_000) -> None:
        self.now = now
        self.local = local
        self.network = "regtest"
        self.height = 840_000
        self.synced = True
        self.invoices: dict[bytes, Invoice] = {}
        self.settlements: list[Invoice] = []
        self.payments: dict[bytes, Payment] = {}
        self.asked: dict[bytes, Asked] = {}
        self.left: list[bytes] = []
        """The hashes for which sats went out for good, each time they did."""
        self.listeners: list[asyncio.Queue[Invoice]] = []
        self.neighbour: Node | None = None
        """Another node of ours with a channel to this one: `connect`."""
        self._key = hashlib.sha256(name.encode()).hexdigest()
        self._outside = hashlib.sha256(b"somebody outside").hexdigest()
        self._made = 0
        self.identity = Signature.from_private_key(
            hrp="", private_key=self._key, signing_data=b"lnd"
        ).recover_public_key()

    # What is asked of the node ------------------------------------------------------------------------------------

    def add_invoice(self, order: dict[str, Any], payment_hash: bytes | None = None) -> Invoice:
        """`AddInvoice`, and `AddHoldInvoice` for a hash."""
        value = _amount(order, "value", "value_msat")
        memo, expiry = order.get("memo", ""), int(order.get("expiry", 0)) or 86400
        if len(memo.encode()) > 1024:
            raise Refusal(f"memo too large: {len(memo.encode())} bytes (maxsize=1024)")
        if value > LARGEST:
            raise Refusal(f"invoice amount {value // 1000} BTC is too large, max is {LARGEST // 1000} BTC")
        if expiry > YEAR:
            raise Refusal(f"expiry of {expiry} seconds greater than max expiry of {YEAR} seconds")
        preimage = None if payment_hash else self._secret()
        found = payment_hash or hashlib.sha256(preimage or b"").digest()
        if found in self.invoices:
            raise Refusal("invoice with payment hash already exists")
        bolt11 = self._signed(self._key, found, value or None, memo, expiry)
        blocks = int(order.get("cltv_expiry", 0)) or 80
        made = Invoice(found, preimage, bolt11, memo, value, self.now(), expiry, len(self.invoices) + 1, blocks)
        self.invoices[found] = made
        self._notify(made)
        return made

    def lookup(self, payment_hash: bytes) -> Invoice:
        """`LookupInvoiceV2`. What has expired was cancelled by then (invoice_expiry_watcher.go)."""
        if (found := self.invoices.get(payment_hash)) is None:
            raise Refusal("unable to locate invoice", NOT_FOUND)
        if found.state == "OPEN" and self.now() > found.made + found.expiry:
            found.state = "CANCELED"
        return found

    def settle(self, preimage: bytes) -> None:
        """`SettleInvoice`."""
        found = self._ours(hashlib.sha256(preimage).digest())
        if found.state == "OPEN":
            raise Refusal("invoice still open")
        if found.state == "CANCELED":
            raise Refusal("invoice already canceled")
        if found.state == "ACCEPTED":
            found.preimage = preimage
            self._settled(found)

    def cancel(self, payment_hash: bytes) -> None:
        """`CancelInvoice`."""
        found = self._ours(payment_hash)
        if found.state == "SETTLED":
            raise Refusal("invoice already settled")
        found.state, found.paid = "CANCELED", 0
        self._answer(found, "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS")

    def send(self, order: dict[str, Any]) -> Payment:
        """`SendPaymentV2`: everything that it refuses before a payment begins, then the payment."""
        limit = _amount(order, "fee_limit_sat", "fee_limit_msat")
        given = _amount(order, "amt", "amt_msat")
        if not int(order.get("timeout_seconds", 0)):
            raise Refusal("timeout_seconds must be specified")  # until 0.20, which takes it for 60
        if not order.get("payment_request"):
            raise Refusal("invalid vertex length of 0, want 33")
        request = self._decoded(order["payment_request"])
        if self.now() > request.date + request.expiry:
            raise Refusal(f"invoice expired. Valid until {request.date + request.expiry}")
        if request.amount_msat is None and not given:
            raise Refusal("amount must be specified when paying a zero amount invoice")
        if request.amount_msat is not None and given:
            raise Refusal("amount must not be specified when paying a non-zero amount invoice")
        if request.payee == self.identity and not order.get("allow_self_payment"):
            raise Refusal("self-payments not allowed")
        return self._begun(
            bytes.fromhex(request.payment_hash), order["payment_request"], given or int(request.amount_msat or 0), limit
        )

    def track(self, payment_hash: bytes) -> Payment:
        """`TrackPaymentV2`."""
        if (found := self.payments.get(payment_hash)) is None:
            raise Refusal("payment isn't initiated", NOT_FOUND)
        return found

    def subscribe(self, settle_index: int) -> tuple[list[Invoice], asyncio.Queue[Invoice]]:
        """`SubscribeInvoices`: what was settled after an index, unless it is 0; then what is, and what is made."""
        queue: asyncio.Queue[Invoice] = asyncio.Queue()
        self.listeners.append(queue)
        return self.settlements[settle_index:] if settle_index else [], queue

    # What happens beyond it ---------------------------------------------------------------------------------------

    def ask(self, amount: int | None, fails: str, fee: int) -> str:
        """Somebody outside makes an invoice."""
        preimage = self._secret()
        payment_hash = hashlib.sha256(preimage).digest()
        self.asked[payment_hash] = Asked(preimage, fails, fee)
        return self._signed(self._outside, payment_hash, amount, "from outside", 3600)

    def land(self, payment_hash: bytes, *, well: bool) -> None:
        """What hangs out there comes back."""
        payment = self.payments[payment_hash]
        self._ended(payment, "" if well else "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS")

    def pay_in(self, bolt11: str, amount: int | None) -> None:
        """Somebody outside pays an invoice of ours. Raises `Unpaid`."""
        payment_hash = bytes.fromhex(read(bolt11).payment_hash)
        try:
            found = self.lookup(payment_hash)
        except Refusal:
            raise Unpaid("unknown") from None
        sent = found.value if amount is None else amount
        if found.state != "OPEN" or sent < max(1, found.value):
            raise Unpaid(found.state)
        found.paid = sent
        if found.preimage is None:
            found.state, found.accepted_at = "ACCEPTED", self.height
        else:
            self._settled(found)

    def connect(self, other: Node) -> None:
        """Open a channel with another node, which each then pays over."""
        self.neighbour, other.neighbour = other, self

    # Inside -------------------------------------------------------------------------------------------------------

    def _ours(self, payment_hash: bytes) -> Invoice:
        """For those of LND's servers that give this error no code."""
        if payment_hash not in self.invoices:
            raise Refusal("unable to locate invoice")
        return self.lookup(payment_hash)

    def _settled(self, invoice: Invoice) -> None:
        self.local += invoice.paid
        invoice.state = "SETTLED"
        self.settlements.append(invoice)
        invoice.settle_index = len(self.settlements)
        self._notify(invoice)
        self._answer(invoice, "")

    def _answer(self, invoice: Invoice, reason: str) -> None:
        """What becomes of an invoice becomes of the neighbour's payment of it."""
        payment = self.neighbour.payments.get(invoice.payment_hash) if self.neighbour else None
        if payment is not None and self.neighbour is not None and not payment.final:
            payment.preimage = invoice.preimage or payment.preimage
            self.neighbour._ended(payment, reason)

    def _notify(self, invoice: Invoice) -> None:
        for queue in self.listeners:
            queue.put_nowait(invoice)

    def _begun(self, payment_hash: bytes, bolt11: str, value: int, limit: int) -> Payment:
        before = self.payments.get(payment_hash)
        if before is not None and before.status == "SUCCEEDED":
            raise Refusal("invoice is already paid", ALREADY_EXISTS)
        if before is not None and not before.final:
            raise Refusal("payment is in transition", ALREADY_EXISTS)
        payment = self.payments[payment_hash] = Payment(payment_hash, bolt11, value, len(self.payments) + 1)
        payment.tell()
        asked = self.asked.get(payment_hash)
        if asked is None and self.neighbour is not None and value <= self.local:
            self.local, payment.out = self.local - value, value
            try:
                self.neighbour.pay_in(bolt11, value)
            except Unpaid:
                self._ended(payment, "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS")
        elif asked is None or asked.fee > limit:
            self._ended(payment, "FAILURE_REASON_NO_ROUTE")
        elif value + asked.fee > self.local:
            self._ended(payment, "FAILURE_REASON_INSUFFICIENT_BALANCE")
        else:
            payment.fee, payment.preimage = asked.fee, asked.preimage
            payment.out = value + asked.fee
            self.local -= payment.out
            if asked.fails != "hangs":
                self._ended(payment, REASONS.get(asked.fails, asked.fails))
        return payment

    def _ended(self, payment: Payment, reason: str) -> None:
        if reason:
            self.local += payment.out
            payment.status, payment.reason = "FAILED", reason
        else:
            payment.status = "SUCCEEDED"
            self.left.append(payment.payment_hash)
        payment.tell()

    def _decoded(self, bolt11: str) -> Bolt11:
        if not bolt11.startswith("lnbcrt"):
            raise Refusal(f"invoice not for current active network '{self.network}'")
        try:
            return read(bolt11)
        except (Bolt11Exception, ValueError) as error:
            raise Refusal(f"checksum failed. {error}") from None

    def _secret(self) -> bytes:
        self._made += 1
        return hashlib.sha256(f"{self._key}/{self._made}".encode()).digest()

    def _signed(self, key: str, payment_hash: bytes, amount: int | None, memo: str, expiry: int) -> str:
        tags = Tags()
        tags.add(TagChar.payment_hash, payment_hash.hex())
        tags.add(TagChar.payment_secret, hashlib.sha256(payment_hash).hexdigest())
        tags.add(TagChar.description, memo)
        tags.add(TagChar.expire_time, expiry)
        tags.add(TagChar.min_final_cltv_expiry, 80)
        needed: dict[Feature | FeatureExtra, FeatureState] = dict.fromkeys(
            (Feature.var_onion_optin, Feature.payment_secret), FeatureState.required
        )
        tags.add(TagChar.features, Features.from_feature_list({**needed, Feature.basic_mpp: FeatureState.supported}))
        return sign(Bolt11("bcrt", self.now(), tags, None if amount is None else MilliSatoshi(amount)), key)


def _amount(order: dict[str, Any], sat: str, msat: str) -> int:
    """Both fields of an amount (`UnmarshallAmt`)."""
    sats, msats = int(order.get(sat, 0)), int(order.get(msat, 0))
    if sats and msats:
        raise Refusal("sat and msat arguments are mutually exclusive")
    if sats < 0 or msats < 0:
        raise Refusal("amount cannot be negative")
    return sats * 1000 or msats
