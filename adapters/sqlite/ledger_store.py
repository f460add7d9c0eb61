"""The books as rows. Balances are kept by triggers, so no code path can move one without a posting or a hold."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Protocol

from core.wallet.ledger import (
    GENESIS,
    AccountRow,
    Booked,
    Entry,
    HoldClosed,
    HoldRow,
    HoldState,
    KeyConflict,
    Unbalanced,
    chain_hash,
    floor_of,
    kind_of,
    not_enough,
    verify,
)
from core.wallet.wallet import HistoryLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.wallet.ledger import NotEnoughSats, Proof

_HOLDS = "SELECT id, account, target, amount, task, state, expires, at, hash FROM hold"
_OVER = "('settled', 'failed', 'cancelled', 'expired')"


_UNFINISHED = (
    "SELECT CAST(substr(a.name, 8) AS INTEGER) FROM account a LEFT JOIN task t ON t.id = CAST(substr(a.name, 8) AS INTEGER)"  # noqa: S608
    f" WHERE a.name GLOB 'escrow:*' AND a.posted <> 0 AND (t.id IS NULL OR t.status IN {_OVER})"
    " UNION SELECT h.task FROM hold h LEFT JOIN task t ON t.id = h.task"
    f" WHERE h.state = 'open' AND h.task IS NOT NULL AND (t.id IS NULL OR t.status IN {_OVER})"
    " UNION SELECT CAST(substr(a.name, 6) AS INTEGER) FROM account a LEFT JOIN task t ON t.id = CAST(substr(a.name, 6) AS INTEGER)"
    f" WHERE a.name GLOB 'held:*' AND a.posted <> 0 AND (t.id IS NULL OR t.status IN {_OVER} AND t.status <> 'settled')"
)
"""Tasks that are over or unknown, with sats in escrow or held. What is left of one that settled waits for the node."""


_NEWEST = 2**63 - 1
_NO_MORE = (2**63, "", 0)
"""What comes after the last posting: of an entry that no entry can be."""


class _Now(Protocol):
    @property
    def now(self) -> int: ...


class LedgerRows:
    """`core.wallet.wallet.LedgerStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection, tx: _Now) -> None:
        self._connection = connection
        self._tx = tx
        self._known: set[str] = set()
        self._head: tuple[int, bytes] | None = None
        self._hold: int | None = None

    def renew(self) -> None:
        """Look again which accounts there are, and what was last: a transaction began, or something of it was undone."""
        self._known.clear()
        self._head = self._hold = None

    def append(self, entry: Entry) -> int:
        """See `LedgerStore`."""
        if not entry.balanced:
            raise Unbalanced(key=entry.key)
        request = entry.request_hash()
        run = self._connection.execute
        if (old := run("SELECT id, request FROM txn WHERE key = ?", (entry.key,)).fetchone()) is not None:
            if old[1] != request:
                raise KeyConflict(key=entry.key)
            return int(old[0])
        if self._head is None:
            self._head = run("SELECT id, hash FROM txn ORDER BY id DESC LIMIT 1").fetchone() or (0, GENESIS)
        number, previous = self._head[0] + 1, self._head[1]
        now = self._tx.now
        digest = chain_hash(previous, number, now, request)
        run(
            "INSERT INTO txn (id, key, request, kind, task, payment_hash, actor, reason, at, prev, hash)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (
                number, entry.key, request, entry.kind, entry.task, entry.payment, entry.actor, entry.reason, now,
                previous, digest,
            ),
        )  # fmt: skip
        self._head = (number, digest)
        for account, amount in entry.postings:
            self._post(number, account, amount)
        return number

    def _post(self, number: int, account: str, amount: int) -> None:
        post = "INSERT INTO posting (txn, account, amount) VALUES (?, ?, ?)"
        if amount > 0 or floor_of(account) is None:
            self._ensure(account)
        try:
            self._connection.execute(post, (number, account, amount))
        except sqlite3.IntegrityError as error:
            raise self._short(error, account, -amount) from error

    def _ensure(self, account: str) -> None:
        if account not in self._known:
            self._connection.execute(
                "INSERT OR IGNORE INTO account (name, kind, floor) VALUES (?, ?, ?)",
                (account, kind_of(account).value, floor_of(account)),
            )
            self._known.add(account)

    def _short(self, error: sqlite3.IntegrityError, account: str, needed: int) -> Exception:
        if "account_floor" in str(error) or "FOREIGN KEY" in str(error):
            return self.short(account, needed)
        return error

    def short(self, account: str, needed: int) -> NotEnoughSats:
        """See `LedgerStore`."""
        row = self.account(account)
        (tasks,) = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM hold WHERE account = ?1 AND state = 'open' AND task IS NOT NULL)"
            " OR EXISTS (SELECT 1 FROM task WHERE due IS NOT NULL AND account = ?1"
            " AND status IN ('awarded', 'running', 'delivered'))",
            (account,),
        ).fetchone()
        return not_enough(account, row.available, needed, tasks=bool(tasks))

    def hold(self, account: str, target: str, amount: int, task: int | None) -> int:
        """See `LedgerStore`."""
        if self._hold is None:
            (self._hold,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM hold").fetchone()
        row = HoldRow(self._hold + 1, account, target, amount, task, HoldState.OPEN.value, None, self._tx.now)
        try:
            self._connection.execute(
                "INSERT INTO hold (id, account, target, amount, task, at, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (row.id, account, target, amount, task, row.at, row.sealed()),
            )
        except sqlite3.IntegrityError as error:
            raise self._short(error, account, amount) from error
        self._hold = row.id
        return row.id

    def close_hold(self, hold: int, state: HoldState) -> int:
        """See `LedgerStore`."""
        found = self._connection.execute(_HOLDS + " WHERE id = ? AND state = 'open'", (hold,)).fetchone()
        if found is None:
            raise HoldClosed(hold=hold)
        row = HoldRow(*found)
        closed = row._replace(state=state.value)
        self._connection.execute(
            "UPDATE hold SET state = ?, hash = ? WHERE id = ?", (closed.state, closed.sealed(), hold)
        )
        return row.amount

    def account(self, name: str) -> AccountRow:
        """See `LedgerStore`."""
        row = self._connection.execute(
            "SELECT name, posted, held, floor, kind FROM account WHERE name = ?", (name,)
        ).fetchone()
        return AccountRow(name, 0, 0, floor_of(name), kind_of(name)) if row is None else AccountRow(*row)


class BookRows:
    """`core.wallet.wallet.Books` on SQLite, and the book's identity."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def identity(self) -> tuple[str, str] | None:
        """The (network, node) that this book belongs to."""
        row = self._connection.execute("SELECT network, node FROM book").fetchone()
        return None if row is None else (str(row[0]), str(row[1]))

    def found(self, network: str, node: str, now: int) -> None:
        """Bind a new book to its network and node, for ever."""
        self._connection.execute("INSERT INTO book VALUES (1, ?, ?, ?)", (network, node, now))

    def opened_at(self) -> int:
        """See `core.wallet.invoices.Opening`."""
        row = self._connection.execute("SELECT created_at FROM book").fetchone()
        return 0 if row is None else int(row[0])

    def newest_at(self) -> int:
        """When the newest entry was booked, Unix ms; 0 where there is none."""
        row = self._connection.execute("SELECT at FROM txn ORDER BY id DESC LIMIT 1").fetchone()
        return 0 if row is None else int(row[0])

    def known_as(self, node: str) -> None:
        """See `core.wallet.node.BookIdentity`."""
        self._connection.execute("UPDATE book SET node = ?", (node,))

    def history(self, account: str, limit: int, start: int | None = None) -> list[HistoryLine]:
        """See `Books`."""
        rows = self._connection.execute(
            "SELECT x.id, x.at, p.amount, x.kind, x.task, x.reason,"
            " (SELECT o.account FROM posting o WHERE o.txn = x.id AND o.account <> p.account LIMIT 1),"
            " x.payment_hash, coalesce((SELECT y.payee FROM payment y WHERE y.payment_hash = x.payment_hash AND p.amount < 0), '')"
            " FROM posting p JOIN txn x ON x.id = p.txn WHERE p.account = ? AND p.txn <= ? ORDER BY p.txn DESC LIMIT ?",
            (account, _NEWEST if start is None else start, limit),
        )
        return [HistoryLine(*row) for row in rows]

    def accounts(self) -> list[AccountRow]:
        """See `Books`."""
        rows = self._connection.execute(
            "SELECT name, posted, held, floor, kind FROM account"
            " WHERE name NOT GLOB 'escrow:*' AND name NOT GLOB 'held:*' OR posted <> 0 OR held <> 0"
        )
        return [AccountRow(*row) for row in rows]

    def has(self, account: str) -> bool:
        """Whether there is such an account."""
        return self._connection.execute("SELECT 1 FROM account WHERE name = ?", (account,)).fetchone() is not None

    def held(self) -> int:
        """All open holds together, msat."""
        (held,) = self._connection.execute("SELECT coalesce(sum(amount), 0) FROM hold WHERE state = 'open'").fetchone()
        return int(held)

    def held_to_pay(self, account: str) -> int:
        """See `Books`: a hold without a task is a payment's."""
        (held,) = self._connection.execute(
            "SELECT coalesce(sum(amount), 0) FROM hold WHERE account = ? AND state = 'open' AND task IS NULL",
            (account,),
        ).fetchone()
        return int(held)

    def in_escrow(self, account: str | None = None) -> int:
        """See `Books`; with no account, of all tasks under way."""
        (price,) = self._connection.execute(
            "SELECT coalesce(sum(price), 0) FROM task WHERE due IS NOT NULL"
            " AND status IN ('awarded', 'running', 'delivered') AND account = coalesce(?, account)",
            (account,),
        ).fetchone()
        return int(price)

    def prove(self) -> Proof:
        """See `Books`."""
        run = self._connection.execute
        accounts = (AccountRow(*row) for row in run("SELECT name, posted, held, floor, kind FROM account"))
        holds = (HoldRow(*row) for row in run(_HOLDS + " ORDER BY id"))
        strays: list[int] = []
        unfinished = run(_UNFINISHED)
        return verify(self._booked(strays), accounts, holds, strays, (row[0] for row in unfinished))

    def _booked(self, strays: list[int]) -> Iterator[Booked]:
        """All entries in order; the numbers that postings name and no entry has are put into `strays`."""
        postings = self._connection.execute("SELECT txn, account, amount FROM posting ORDER BY txn")
        owner, account, amount = next(postings, _NO_MORE)
        rows = self._connection.execute(
            "SELECT id, at, key, kind, task, actor, reason, payment_hash, request, prev, hash FROM txn ORDER BY id"
        )
        for number, at, key, kind, task, actor, reason, payment, request, previous, digest in rows:
            own: list[tuple[str, int]] = []
            while owner <= number:
                if owner == number:
                    own.append((account, amount))
                else:
                    strays.append(owner)
                owner, account, amount = next(postings, _NO_MORE)
            entry = Entry(key, kind, tuple(own), task, actor, reason, payment)
            yield Booked(number, at, entry, request, previous, digest)
        if owner != _NO_MORE[0]:
            strays.append(owner)
