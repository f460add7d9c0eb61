"""Lightning as rows: what goes out and what comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.wallet.invoices import SUSPENSE, Invoice
from core.wallet.payment import Payment, State
from core.wallet.reconcile import Comparison
from core.wallet.suspense import Unclaimed, claim_key

if TYPE_CHECKING:
    import sqlite3

_PAYMENT = (
    "payment_hash, bolt11, account, payee, amount, chosen, fee_limit, actor, conversation, reason, expires_at, at, attempt, state,"
    " hold, preimage, fee, why, ended_at, begun, given_up"
)
_UNCLAIMED = (
    f"SELECT x.id, x.at, p.amount, x.payment_hash, x.reason FROM posting p JOIN txn x ON x.id = p.txn"  # noqa: S608 - constants
    f" WHERE p.account = '{SUSPENSE}' AND p.amount > 0"
    f" AND NOT EXISTS (SELECT 1 FROM txn given WHERE given.key = '{claim_key('')}' || x.id)"
)
_INVOICE = (
    "payment_hash, bolt11, account, amount, memo, actor, conversation, expires_at, at, state = 'settled', received"
)


class PaymentRows:
    """`core.wallet.outgoing.PaymentStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, payment_hash: bytes) -> Payment | None:
        """See `PaymentStore`."""
        query = f"SELECT {_PAYMENT} FROM payment WHERE payment_hash = ?"  # noqa: S608 - constants
        row = self._connection.execute(query, (payment_hash,)).fetchone()
        return None if row is None else _payment(*row)

    def before(self, payment_hash: bytes) -> list[Payment]:
        """See `PaymentStore`."""
        query = f"SELECT {_PAYMENT} FROM payment_before WHERE payment_hash = ? ORDER BY attempt DESC"  # noqa: S608 - constants
        return [_payment(*row) for row in self._connection.execute(query, (payment_hash,))]

    def put(self, payment: Payment) -> None:
        """See `PaymentStore`."""
        one = payment
        self._connection.execute(
            f"INSERT INTO payment ({_PAYMENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            " ON CONFLICT (payment_hash) DO UPDATE SET bolt11 = excluded.bolt11, account = excluded.account,"
            " payee = excluded.payee, amount = excluded.amount, chosen = excluded.chosen, expires_at = excluded.expires_at,"
            " fee_limit = excluded.fee_limit, actor = excluded.actor, conversation = excluded.conversation,"
            " reason = excluded.reason, at = excluded.at, attempt = excluded.attempt, state = excluded.state,"
            " hold = excluded.hold, preimage = excluded.preimage, fee = excluded.fee, why = excluded.why,"
            " ended_at = excluded.ended_at, begun = excluded.begun, given_up = excluded.given_up",
            (
                one.payment_hash, one.bolt11, one.account, one.payee, one.amount, int(one.chosen), one.fee_limit, one.actor,
                one.conversation, one.reason, one.expires_at, one.at, one.attempt, one.state.value, one.hold, one.preimage,
                one.fee, one.why, one.ended_at, int(one.begun), int(one.given_up),
            ),
        )  # fmt: skip

    def unfinished(self) -> list[Payment]:
        """See `PaymentStore`."""
        states = "('prepared', 'sending', 'unknown')"
        query = f"SELECT {_PAYMENT} FROM payment WHERE state IN {states} ORDER BY at"  # noqa: S608 - constants
        return [_payment(*row) for row in self._connection.execute(query)]


def _payment(*row: Any) -> Payment:
    digest, bolt11, account, payee, amount, chosen, limit, actor, place, reason, expires, at, attempt, state, *end = row
    hold, preimage, fee, why, ended, begun, given_up = end
    return Payment(
        digest, bolt11, account, payee, amount, bool(chosen), limit, actor, place, reason, expires, at, attempt, State(state),
        hold, preimage, fee, why, ended, bool(begun), bool(given_up),
    )  # fmt: skip


class InvoiceRows:
    """`core.wallet.invoices.InvoiceStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, payment_hash: bytes) -> Invoice | None:
        """See `InvoiceStore`."""
        query = f"SELECT {_INVOICE} FROM invoice WHERE payment_hash = ?"  # noqa: S608 - constants
        row = self._connection.execute(query, (payment_hash,)).fetchone()
        return None if row is None else _invoice(*row)

    def add(self, invoice: Invoice) -> None:
        """See `InvoiceStore`."""
        one = invoice
        self._connection.execute(
            "INSERT INTO invoice (payment_hash, bolt11, account, amount, memo, actor, conversation, expires_at, at, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')",
            (
                one.payment_hash, one.bolt11, one.account, one.amount, one.memo, one.actor, one.conversation,
                one.expires_at, one.at,
            ),
        )  # fmt: skip

    def settle(self, payment_hash: bytes, received: int, now: int) -> None:
        """See `InvoiceStore`."""
        self._connection.execute(
            "UPDATE invoice SET state = 'settled', received = ?, ended_at = ? WHERE payment_hash = ?",
            (received, now, payment_hash),
        )

    def oldest_open(self, after: int) -> int | None:
        """See `InvoiceStore`."""
        query = "SELECT min(at) FROM invoice WHERE state = 'open' AND expires_at > ?"
        (made,) = self._connection.execute(query, (after,)).fetchone()
        return None if made is None else int(made)

    def hand_over(self, source: str, target: str) -> None:
        """See `InvoiceStore`."""
        self._connection.execute(
            "UPDATE invoice SET account = ? WHERE account = ? AND state = 'open'", (target, source)
        )

    def last_settlement(self) -> int:
        """See `InvoiceStore`."""
        (last,) = self._connection.execute("SELECT last FROM settlement").fetchone()
        return int(last)

    def booked_to(self, settlement: int) -> None:
        """See `InvoiceStore`."""
        self._connection.execute("UPDATE settlement SET last = ?", (settlement,))


def _invoice(*row: Any) -> Invoice:
    digest, bolt11, account, amount, memo, actor, place, expires, at, settled, received = row
    return Invoice(digest, bolt11, account, amount, memo, actor, place, expires, at, bool(settled), received)


class ReconRows:
    """`core.wallet.reconcile.ReconStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, made: Comparison) -> Comparison:
        """See `ReconStore`."""
        row = (made.at, made.node, made.in_flight, made.books, made.coming)
        insert = "INSERT INTO recon (at, node, in_flight, books, coming) VALUES (?, ?, ?, ?, ?)"
        return made._replace(id=self._connection.execute(insert, row).lastrowid or 0)

    def newest(self) -> Comparison | None:
        """See `ReconStore`."""
        query = "SELECT at, node, in_flight, books, id, booked, coming FROM recon ORDER BY id DESC LIMIT 1"
        row = self._connection.execute(query).fetchone()
        return None if row is None else _comparison(*row)

    def booked(self, number: int) -> None:
        """See `ReconStore`."""
        self._connection.execute("UPDATE recon SET booked = 1 WHERE id = ?", (number,))


class SuspenseRows:
    """`core.wallet.suspense.SuspenseStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def unclaimed(self, limit: int) -> list[Unclaimed]:
        """See `SuspenseStore`."""
        rows = self._connection.execute(f"{_UNCLAIMED} ORDER BY p.txn DESC LIMIT ?", (limit,))
        return [Unclaimed(*row) for row in rows]

    def waiting(self, entry: int) -> Unclaimed | None:
        """See `SuspenseStore`."""
        row = self._connection.execute(f"{_UNCLAIMED} AND p.txn = ?", (entry,)).fetchone()
        return None if row is None else Unclaimed(*row)


def _comparison(at: int, node: int, in_flight: int, books: int, *rest: int) -> Comparison:
    number, booked, coming = rest
    return Comparison(at, node, in_flight, books, number, bool(booked), coming)
