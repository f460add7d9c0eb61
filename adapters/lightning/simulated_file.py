"""What a simulated node keeps, and its rules: invoices, payments, what outside nodes ask, and every move of its balance.

One SQLite file, apart from the books: a node is another party, and the two are compared. All of it is plain code that runs on
one thread, inside a transaction that `SimulatedNode` begins and commits.
"""

from __future__ import annotations

import hashlib
import sqlite3
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from adapters.lightning.bolt11 import LONGEST_DESCRIPTION, Unsigned, decode, encode, public_key
from core.money import MAX_SATS, to_msat
from core.wallet.lightning import (
    HOLD_BLOCKS,
    PREFIXES,
    SIMULATED_SATS,
    BadInvoice,
    InvoiceState,
    NodeDown,
    NodeInfo,
    NodeInvoice,
    NodeRefused,
    Outcome,
    PayState,
)

if TYPE_CHECKING:
    from pathlib import Path

    from core.wallet.lightning import PaymentRequest

BACKEND = "simulated"
PREFIX = PREFIXES[BACKEND]
START = to_msat(SIMULATED_SATS)
"""What a new node has, msat."""

BLOCK_MS = 600_000

LATE_MS = 5_000
"""After how long a payment that fails later does so."""

LONGEST_EXPIRY = 31_536_000
"""Seconds: a year, as LND has it."""

VERSION = 1
_FULL = 2 * to_msat(MAX_SATS)
_AT_ONCE = 100

_SCHEMA = (
    """CREATE TABLE node (
        id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL, public TEXT NOT NULL, born INTEGER NOT NULL
    ) STRICT""",
    # Every change of the balance, in order, with what it came to.
    """CREATE TABLE movement (
        id INTEGER PRIMARY KEY, payment_hash BLOB, amount INTEGER NOT NULL CHECK (amount <> 0),
        balance INTEGER NOT NULL CHECK (balance >= 0), at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX movement_of ON movement (payment_hash)",
    # Ours. `preimage` is NULL while only whoever made a hold invoice knows it; `due`: when an open or held one is cancelled.
    """CREATE TABLE invoice (
        payment_hash BLOB PRIMARY KEY, bolt11 TEXT NOT NULL, amount INTEGER NOT NULL, expires_at INTEGER NOT NULL,
        preimage BLOB, state TEXT NOT NULL DEFAULT 'open', received INTEGER NOT NULL DEFAULT 0, place INTEGER UNIQUE,
        due INTEGER
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX invoice_due ON invoice (due) WHERE due IS NOT NULL",
    """CREATE TABLE outside (
        payment_hash BLOB PRIMARY KEY, bolt11 TEXT NOT NULL, preimage BLOB NOT NULL, fee INTEGER, fails TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE payment (
        payment_hash BLOB PRIMARY KEY, state TEXT NOT NULL, preimage BLOB, amount INTEGER NOT NULL, fee INTEGER NOT NULL,
        why TEXT NOT NULL, due INTEGER
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX payment_due ON payment (due) WHERE due IS NOT NULL",
)


_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class NodeDamaged(NodeDown):
    """The simulated node cannot go on, since its {file} is damaged ({why}): no sats come in or go out until that is mended.

    Stop the hub and restore a backup of the whole data folder, or set TIMMY_DATA_DIR to a new one.
    """


class NodeGone(NodeDown):
    """The simulated node's {file} is not there, and these books belong to it.

    Put it back from a backup of the data folder, or set TIMMY_DATA_DIR to a new one.
    """


def refuse_gone(path: Path) -> None:
    """Raise `NodeGone` for the file of a node that has books: there must be something in it, or another node would be made."""
    if not path.exists() or not path.stat().st_size:
        raise NodeGone(file=path.name)


def unread(path: Path, error: sqlite3.Error | OSError) -> NodeDown:
    """Why a node's file could not be used."""
    garbled = isinstance(error, sqlite3.OperationalError) and "Could not decode" in str(
        error
    )  # Python's own, without a code
    if garbled or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
        return NodeDamaged(file=path.name, why=error)
    return NodeDown(backend=BACKEND, why=f"{path.name}: {error}")


class Fails(StrEnum):
    """How a payment to an outside invoice goes wrong, on request. `HANGS`: in flight until `land`."""

    NOT = ""
    NO_ROUTE = "no_route"
    HANGS = "hangs"
    LATER = "later"
    EXPIRED = "expired"
    PAID = "paid"


class Asked(NamedTuple):
    """What an outside node asks for. `amount` msat, None: the payer's choice; `fee` msat to it, None: `fee_of` the amount."""

    amount: int | None
    memo: str
    expiry: int
    fails: str
    fee: int | None


class Randomness(NamedTuple):
    """32 bytes each. `preimage` is empty where only the hash is known to the node."""

    key: bytes
    secret: bytes
    preimage: bytes


def fee_of(amount: int) -> int:
    """What a way to an outside node costs, msat: 1 sat and 0.1 %."""
    return 1_000 + amount // 1_000


def refused(why: str) -> NodeRefused:
    """The node's no."""
    return NodeRefused(backend=BACKEND, why=why)


class NodeFile:
    """The file inside one transaction, at the time `now`."""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._run = connection.execute
        self._now = now

    def found(self, key: bytes) -> None:
        """Make a new node with this private key, unless there is one."""
        (version,) = self._run("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _SCHEMA:
                self._run(statement)
            self._run("INSERT INTO node VALUES (1, ?, ?, ?)", (key, public_key(key), self._now))
            self._move(None, START)
            self._run(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise NodeDown(backend=BACKEND, why="its file was written by a newer Timmy")

    def catch_up(self) -> None:
        """What time alone does: invoices nobody paid are over, what was held too long goes back, late failures arrive."""
        self._run("UPDATE invoice SET state = 'cancelled', received = 0, due = NULL WHERE due <= ?", (self._now,))
        for (payment_hash,) in self._run("SELECT payment_hash FROM payment WHERE due <= ?", (self._now,)).fetchall():
            self.land(payment_hash, well=False)

    # The node ------------------------------------------------------------------------------------------------------

    def info(self) -> NodeInfo:
        """Who it is; a block is found every ten minutes since it was made."""
        public, born = self._run("SELECT public, born FROM node").fetchone()
        return NodeInfo(BACKEND, public, _height(self._now, born), synced=True)

    def balance(self) -> int:
        """What it has, msat."""
        (balance,) = self._run("SELECT balance FROM movement ORDER BY id DESC LIMIT 1").fetchone()
        return int(balance)

    def _move(self, payment_hash: bytes | None, amount: int) -> None:
        balance = amount + (self.balance() if payment_hash else 0)
        self._run(
            "INSERT INTO movement (payment_hash, amount, balance, at) VALUES (?, ?, ?, ?)",
            (payment_hash, amount, balance, self._now),
        )

    # Taking sats in ------------------------------------------------------------------------------------------------

    def ask(self, amount: int, memo: str, expiry: int, random: Randomness, payment_hash: bytes) -> NodeInvoice:
        """A new invoice of ours, one that is held where `random` has no preimage."""
        if not 0 < amount <= to_msat(MAX_SATS):
            raise refused("an invoice is for 1 msat at least, and for no more than there are")
        if self.invoice(payment_hash) is not None:
            raise refused("it has an invoice with this payment hash")
        (key,) = self._run("SELECT key FROM node").fetchone()
        unsigned = Unsigned(PREFIX, payment_hash, random.secret, amount, _memo(memo), self._now, _expiry(expiry))
        if not random.preimage:
            unsigned = unsigned._replace(final_blocks=HOLD_BLOCKS)
        made = NodeInvoice(payment_hash, encode(unsigned, key), amount, unsigned.expires_at)
        self._run(
            "INSERT INTO invoice (payment_hash, bolt11, amount, expires_at, preimage, due) VALUES (?, ?, ?, ?, ?, ?)",
            (payment_hash, made.bolt11, amount, made.expires_at, random.preimage or None, made.expires_at),
        )
        return made

    def invoice(self, payment_hash: bytes) -> NodeInvoice | None:
        """An invoice of ours."""
        found = self._invoices("payment_hash = ?", payment_hash)
        return found[0] if found else None

    def settled_after(self, place: int) -> list[NodeInvoice]:
        """The next settlements, in their order."""
        return self._invoices("place > ? ORDER BY place LIMIT ?", place, _AT_ONCE)

    def _invoices(self, where: str, *values: object) -> list[NodeInvoice]:
        rows = self._run(
            "SELECT payment_hash, bolt11, amount, expires_at, state, received, coalesce(place, 0), due, born"  # noqa: S608
            f" FROM invoice, node WHERE {where}",
            values,
        )
        return [
            NodeInvoice(
                payment_hash, bolt11, amount, expires_at, InvoiceState(state), received, place,
                held_until=_height(due, born) if state == InvoiceState.HELD else 0,
            )
            for payment_hash, bolt11, amount, expires_at, state, received, place, due, born in rows
        ]  # fmt: skip

    def receive(self, bolt11: str, amount: int | None) -> tuple[bytes, bytes | None]:
        """An outside wallet pays: (payment hash, preimage), and no preimage yet where the payment is held.

        Up to twice of what was asked is taken (BOLT 4, "Requirements" of the final node).
        """
        request = read(bolt11)
        found = self.invoice(request.payment_hash)
        if found is None or found.bolt11 != request.bolt11:
            raise refused("it has no such invoice")
        if found.state is not InvoiceState.OPEN:
            raise refused(f"the invoice is {'over' if found.state is InvoiceState.CANCELLED else 'paid already'}")
        received = found.amount if amount is None else amount
        if not found.amount <= received <= 2 * found.amount:
            raise refused("an invoice is paid with what it asks for, and with twice as much at most")
        query = "SELECT preimage FROM invoice WHERE payment_hash = ?"
        (preimage,) = self._run(query, (found.payment_hash,)).fetchone()
        if preimage is None:
            self._run(
                "UPDATE invoice SET state = 'held', received = ?, due = ? WHERE payment_hash = ?",
                (received, self._now + HOLD_BLOCKS * BLOCK_MS, found.payment_hash),  # then the node gives it back
            )
            return found.payment_hash, None
        self._settle(found.payment_hash, preimage, received)
        return found.payment_hash, preimage

    def _settle(self, payment_hash: bytes, preimage: bytes, received: int) -> None:
        if self.balance() + received > _FULL:
            raise refused("its channels are full")
        self._move(payment_hash, received)
        self._run(
            "UPDATE invoice SET state = 'settled', preimage = ?, received = ?, due = NULL,"
            " place = (SELECT coalesce(max(place), 0) + 1 FROM invoice) WHERE payment_hash = ?",
            (preimage, received, payment_hash),
        )

    def settle(self, preimage: bytes) -> None:
        """See `Holds.settle_hold`."""
        found = self.invoice(hashlib.sha256(preimage).digest())
        if found is None:
            raise refused("it has no invoice for this preimage")
        if found.state is InvoiceState.HELD:
            self._settle(found.payment_hash, preimage, found.received)
        elif found.state is not InvoiceState.SETTLED:
            raise refused("nothing is held for this invoice")

    def cancel(self, payment_hash: bytes) -> None:
        """See `Holds.cancel_invoice`."""
        found = self.invoice(payment_hash)
        if found is None:
            raise refused("it has no such invoice")
        if found.state is InvoiceState.SETTLED:
            raise refused("the invoice is settled")
        self._run(
            "UPDATE invoice SET state = 'cancelled', received = 0, due = NULL WHERE payment_hash = ?", (payment_hash,)
        )

    # Sending sats out ----------------------------------------------------------------------------------------------

    def outside_asks(self, asked: Asked, random: Randomness) -> str:
        """An invoice of an outside node, made by a key of its own."""
        if asked.amount is not None and not 0 < asked.amount <= to_msat(MAX_SATS):
            raise refused("an invoice is for 1 msat at least, and for no more than there are")
        if asked.fails not in set(Fails):
            raise refused(f"no payment fails like that: {asked.fails!r}")
        made_at = self._now
        expiry = _expiry(asked.expiry)
        if asked.fails == Fails.EXPIRED:
            made_at -= 1_000 * (expiry + 1)
        payment_hash = hashlib.sha256(random.preimage).digest()
        unsigned = Unsigned(PREFIX, payment_hash, random.secret, asked.amount, _memo(asked.memo), made_at, expiry)
        bolt11 = encode(unsigned, random.key)
        self._run(
            "INSERT INTO outside VALUES (?, ?, ?, ?, ?)",
            (payment_hash, bolt11, random.preimage, asked.fee, asked.fails),
        )
        return bolt11

    def send(self, bolt11: str, amount: int | None, fee_limit: int) -> tuple[bytes, Outcome]:
        """Pay an invoice: (payment hash, how it stands). One that was sent and has not failed is only looked at."""
        request = read(bolt11)
        before = self.outcome(request.payment_hash)
        if before.state in {PayState.SUCCEEDED, PayState.IN_FLIGHT}:
            return request.payment_hash, before
        self._refuse(request)
        whole = _whole(request, amount)
        row = self._run(
            "SELECT preimage, fee, fails FROM outside WHERE payment_hash = ? AND bolt11 = ?",
            (request.payment_hash, request.bolt11),
        ).fetchone()
        preimage, fee, fails = row or (None, None, Fails.NO_ROUTE)
        fee = fee_of(whole) if fee is None else fee
        if why := self._obstacle(Fails(fails), whole + fee, fee_limit - fee):
            self._record(request.payment_hash, Outcome(PayState.FAILED, why=why))
        else:
            self._move(request.payment_hash, -whole - fee)
            self._depart(request.payment_hash, Outcome(PayState.SUCCEEDED, preimage, whole, fee), Fails(fails))
        return request.payment_hash, self.outcome(request.payment_hash)

    def _refuse(self, request: PaymentRequest) -> None:
        """What a node does not even begin with."""
        if request.prefix != PREFIX:
            raise refused("the invoice is of another network, and this one is simulated")
        if self.invoice(request.payment_hash) is not None:
            raise refused("the invoice is its own, and a node does not pay itself")
        if request.expires_at <= self._now:
            raise refused("the invoice has expired")

    def _obstacle(self, fails: Fails, needed: int, spare: int) -> str:
        """Why a payment fails at once, if it does. `spare`: what the fee leaves of its limit, msat."""
        if fails is Fails.NO_ROUTE:
            return "there is no route to the payee"
        if fails is Fails.PAID:
            return "the payee has been paid for this already"
        if spare < 0:
            return "there is no route within the fee limit"
        if needed > self.balance():
            return "the node has not enough sats"
        return ""

    def _depart(self, payment_hash: bytes, well: Outcome, fails: Fails) -> None:
        """The sats have left; they arrive now, or not yet, or fail later."""
        match fails:
            case Fails.HANGS | Fails.LATER:
                due = self._now + LATE_MS if fails is Fails.LATER else None
                self._record(payment_hash, Outcome(PayState.IN_FLIGHT, None, well.amount, well.fee), due)
            case _:
                self._record(payment_hash, well)

    def _record(self, payment_hash: bytes, outcome: Outcome, due: int | None = None) -> None:
        self._run(
            "INSERT OR REPLACE INTO payment VALUES (?, ?, ?, ?, ?, ?, ?)",
            (payment_hash, outcome.state.value, outcome.preimage, outcome.amount, outcome.fee, outcome.why, due),
        )

    def land(self, payment_hash: bytes, *, well: bool) -> None:
        """What is in flight arrives, or comes back."""
        before = self.outcome(payment_hash)
        if before.state is not PayState.IN_FLIGHT:
            raise refused("no payment with this hash is in flight")
        if well:
            query = "SELECT preimage FROM outside WHERE payment_hash = ?"
            (preimage,) = self._run(query, (payment_hash,)).fetchone()
            self._record(payment_hash, Outcome(PayState.SUCCEEDED, preimage, before.amount, before.fee))
        else:
            self._move(payment_hash, before.amount + before.fee)
            self._record(payment_hash, Outcome(PayState.FAILED, why="the payment failed on its way"))

    def outcome(self, payment_hash: bytes) -> Outcome:
        """How a payment stands."""
        row = self._run(
            "SELECT state, preimage, amount, fee, why FROM payment WHERE payment_hash = ?", (payment_hash,)
        ).fetchone()
        if row is None:
            return Outcome(PayState.UNKNOWN)
        state, preimage, amount, fee, why = row
        return Outcome(PayState(state), preimage, amount, fee, why)

    def due(self, payment_hash: bytes) -> int | None:
        """When a payment in flight fails by itself."""
        row = self._run("SELECT due FROM payment WHERE payment_hash = ?", (payment_hash,)).fetchone()
        return None if row is None or row[0] is None else int(row[0])


def _height(at: int, born: int) -> int:
    """Of the best block at a time, for a node that was made at `born`."""
    return 1 + max(0, at - born) // BLOCK_MS


def read(bolt11: str) -> PaymentRequest:
    """A decoded invoice, or the node's no."""
    try:
        return decode(bolt11)
    except BadInvoice as error:
        raise refused(f"the invoice cannot be read, {error.facts['why']}") from error


def _whole(request: PaymentRequest, amount: int | None) -> int:
    if request.amount is None:
        if amount is None or not 0 < amount <= to_msat(MAX_SATS):
            raise refused("the invoice leaves the amount open, and none was named that can be paid")
        return amount
    if amount not in {None, request.amount}:
        raise refused("the invoice names another amount")
    return request.amount


def _memo(memo: str) -> str:
    written = memo.encode(errors="replace")
    if len(written) > LONGEST_DESCRIPTION:
        raise refused(f"a memo has {LONGEST_DESCRIPTION} bytes at most")
    return written.decode()


def _expiry(expiry: int) -> int:
    if not 0 < expiry <= LONGEST_EXPIRY:
        raise refused("an invoice lives for a second at least, and for a year at most")
    return expiry
