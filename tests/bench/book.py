"""Long books: transfers by many callers at once, and `ledger verify` over a million postings.

What both are held against is plain sqlite3, which decides and proves nothing: it writes the very rows that the wallet leaves, with
their hashes and by the same triggers; it reads the very rows that `verify` reads, and hashes each of them as text.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adapters.clockwork import SystemClock, SystemIds
from adapters.sqlite.connection import connect, connect_reader
from adapters.sqlite.unit_of_work import UnitOfWork
from adapters.sqlite.writer import Database
from core.tokens import Identities
from core.wallet.ledger import GENESIS, user_account
from core.wallet.wallet import Wallet
from tests.bench.lives import dump

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

CALLERS = 64
WALLETS = 1000
FUNDS = 10**9
BUDGET = 100_000
EPOCH = 1_750_000_000_000

_json = json.JSONEncoder(separators=(",", ":")).encode

_ACCOUNT = "INSERT INTO account (name, kind, floor) VALUES (?, 'liability', 0)"
_TXN = (
    "INSERT INTO txn (id, key, request, kind, task, payment_hash, actor, reason, at, prev, hash)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_POSTING = "INSERT INTO posting (txn, account, amount) VALUES (?, ?, ?)"
_SPEND = "INSERT INTO spend (key, scope, account, path, asked, amount, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
_MARK = "INSERT INTO applied (key, result, at) VALUES (?, ?, ?)"
_EVENT = "INSERT INTO event (kind, task, agent, at, data) VALUES ('SatsTransferred', NULL, NULL, ?, ?)"
_HOLD = "INSERT INTO hold (id, account, target, amount, task, at, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"

Posting = tuple[int, str, int]


class Facts(NamedTuple):
    """An entry before it is booked: `amount` msat move from `source` to `target`."""

    key: str
    kind: str
    source: str
    target: str
    amount: int
    task: int | None
    payment: bytes | None
    actor: str
    reason: str


class Chain:
    """Makes the rows of entries, each with its hashes, after entry `last`."""

    def __init__(self, last: int = 0, head: bytes = GENESIS) -> None:
        self._last = last
        self._head = head

    def link(self, facts: Facts, now: int) -> tuple[tuple[object, ...], tuple[Posting, Posting]]:
        """The next entry's row, and those of its postings."""
        key, kind, source, target, amount, task, payment, actor, reason = facts
        number = self._last + 1
        postings = sorted(((source, -amount), (target, amount)))
        request = _sha256(_json((key, kind, task, actor, reason, postings, payment and payment.hex())).encode())
        before = self._head
        digest = _sha256(before + number.to_bytes(8, "big") + now.to_bytes(8, "big", signed=True) + request)
        self._last, self._head = number, digest
        row = (number, key, request, kind, task, payment, actor, reason, now, before, digest)
        return row, ((number, source, -amount), (number, target, amount))


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _wallet(number: int) -> str:
    return f"user:telegram:{10_000_000 + number % WALLETS}"


def _funds(number: int) -> Facts:
    digest = _sha256(number.to_bytes(4, "big"))
    reason = "an invoice was paid"
    key = f"invoice:{digest.hex()}"
    return Facts(key, "invoice", "node:simulated", _wallet(number), FUNDS, None, digest, "hub", reason)


def _payment(number: int) -> Facts:
    """One person pays another."""
    source = _wallet(number)
    target, actor = _wallet(number + 1 + number % (WALLETS - 1)), source.partition(":")[2]
    return Facts(
        f"pay:{number}", "transfer", source, target, 1000, None, None, actor, f"half of the café’s bill {number}"
    )


def _transfer(number: int) -> tuple[str, str, Facts]:
    """One of the people who are known here pays another: both, and the entry that the wallet makes of it."""
    place = number % CALLERS
    one, other = _person(place), _person((place + 1 + number % (CALLERS - 1)) % CALLERS)
    source, target = user_account(one), user_account(other)
    return (
        one,
        other,
        Facts(f"transfer:pay:{number}", "transfer", source, target, 1000, None, None, one, f"{one} to {other}"),
    )


def _person(number: int) -> str:
    return _wallet(number).removeprefix(user_account(""))


def _task(number: int) -> tuple[Facts, Facts]:
    """A task's price goes into its escrow, and from there to the hub's own worker."""
    price, escrow = 1000 * (20 + number % 60), f"escrow:{number}"
    key, source = f"task:{number}:1", _wallet(number)
    return (
        Facts(f"{key}:escrow", "escrow", source, escrow, price, number, None, "hub", "price of the winning bid"),
        Facts(f"{key}:settle", "settle", escrow, "treasury", price, number, None, "echo", "paid to echo"),
    )


# Writing -----------------------------------------------------------------------------------------------------------


class Speed(NamedTuple):
    """Transfers a second, and how many were made durable together on the average."""

    rate: float
    together: float


async def _ours(path: Path, count: int, callers: int) -> Speed:
    async with Database.open(path, SystemClock()) as store:
        identities = Identities(store, SystemIds(), owners=frozenset(), reserved=lambda _: False)
        await identities.refresh()
        known = [await identities.caller(_person(number), private=True) for number in range(CALLERS)]
        wallet = Wallet(store, identities, simulated=True)
        numbers = iter(range(count))

        async def caller() -> None:
            for number in numbers:
                _, other, facts = _transfer(number)
                await wallet.transfer(known[number % CALLERS], other, facts.amount, f"pay:{number}")

        writes, commits = store.writes, store.commits
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(caller())
        seconds = time.perf_counter() - begun
        return Speed(count / seconds, (store.writes - writes) / (store.commits - commits))


def ours(count: int) -> Speed:
    """`count` transfers by `CALLERS` callers, each of whom waits for one before the next."""
    with _funded() as path:
        found = asyncio.run(_ours(path, count, CALLERS))
        _check(path, count)
        return found


def plain(count: int, together: int) -> float:
    """Transfers a second of the plain writer: `together` in each commit."""
    with _funded() as path:
        begun = time.perf_counter()
        _plainly(path, count, together)
        seconds = time.perf_counter() - begun
        _check(path, count)
        return count / seconds


def _plainly(path: Path, count: int, together: int) -> None:
    with closing(connect(path)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "the reference must be durable too"
        chain = Chain(*connection.execute("SELECT id, hash FROM txn ORDER BY id DESC LIMIT 1").fetchone())
        for start in range(0, count, together):
            connection.execute("BEGIN IMMEDIATE")
            now = time.time_ns() // 1_000_000
            for number in range(start, min(start + together, count)):
                one, other, facts = _transfer(number)
                row, postings = chain.link(facts, now)
                spend = (facts.key, "", facts.source, "transfer", facts.amount, facts.amount, now)
                told = {"from": one, "to": other, "amount_sats": facts.amount // 1000, "entry": row[0], "by": one}
                connection.execute(_SPEND, spend)
                connection.execute(_TXN, row)
                connection.executemany(_POSTING, postings)
                connection.execute(_MARK, (f"pay:{number}/transfer", f"{row[0]} {other} {facts.amount}", now))
                connection.execute(_EVENT, (now, _json(told)))
            connection.execute("COMMIT")


def same_rows(count: int = 7) -> int:
    """Prove that both write the same rows: every table, every column that holds no time. How many rows."""
    with _funded() as mine, _funded() as theirs:
        asyncio.run(_ours(mine, count, 1))
        _plainly(theirs, count, 1)
        dumps = [dump(path) for path in (mine, theirs)]
        for table, rows in dumps[0].items():
            assert rows == dumps[1][table], f"{table} differs: {rows} is not {dumps[1][table]}"
        return sum(len(rows) for rows in dumps[0].values())


def _check(path: Path, count: int) -> None:
    with closing(connect_reader(path)) as connection:
        assert UnitOfWork(connection).books.prove().entries == WALLETS + count


# Reading -----------------------------------------------------------------------------------------------------------

_READ = (
    "SELECT id, key, request, kind, task, payment_hash, actor, reason, at, prev, hash FROM txn",
    "SELECT txn, account, amount FROM posting",
    "SELECT id, account, target, amount, task, state, expires, at, hash FROM hold",
    "SELECT name, kind, posted, held, floor FROM account",
)


def verify_seconds(path: Path, postings: int) -> float:
    """How long `verify` takes."""
    with closing(connect_reader(path)) as connection:
        begun = time.perf_counter()
        connection.execute("BEGIN")
        proof = UnitOfWork(connection).books.prove()
        seconds = time.perf_counter() - begun
        assert proof.postings == postings
        return seconds


def scan_seconds(path: Path) -> float:
    """How long it takes to read the same rows, each table in the order in which it lies there, and to hash each row's text."""
    with closing(connect_reader(path)) as connection:
        begun = time.perf_counter()
        connection.execute("BEGIN")
        whole = hashlib.sha256()
        for sql in _READ:
            for row in connection.execute(sql):
                whole.update(repr(row).encode())
        return time.perf_counter() - begun


# Making them -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def long_book(postings: int) -> Iterator[Path]:
    """A database with so many postings (8 for each task): half of them of tasks, each with its closed hold, the rest transfers."""
    with _funded((postings - 2 * WALLETS) // 8) as path:
        yield path


@contextlib.contextmanager
def _funded(tasks: int = 0) -> Iterator[Path]:
    """A database in which every wallet has sats, and so many tasks were paid."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        path = Path(folder) / "hub.db"
        with closing(connect(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            _fill(connection, tasks)
            connection.execute("COMMIT")
        yield path


def _fill(connection: sqlite3.Connection, tasks: int) -> None:
    many = connection.executemany
    connection.execute("INSERT INTO account (name, kind) VALUES ('node:simulated', 'asset')")
    names = [_wallet(number) for number in range(WALLETS)]
    if tasks:
        names += ["treasury", *(f"escrow:{number}" for number in range(1, tasks + 1))]
    many(_ACCOUNT, ((name,) for name in names))
    many(
        "INSERT INTO actor (id, role, since, name) VALUES (?, 'member', 0, '')",
        ((_person(one),) for one in range(CALLERS)),
    )
    chain = Chain()
    postings: list[Posting] = []

    def entries() -> Iterator[tuple[object, ...]]:
        for facts, now in _history(tasks):
            row, moved = chain.link(facts, now)
            postings.extend(moved)
            yield row

    many(_TXN, entries())
    many(_POSTING, postings)
    many(_HOLD, map(_hold, range(1, tasks + 1)))
    connection.execute("UPDATE hold SET state = 'posted'")


def _history(tasks: int) -> Iterator[tuple[Facts, int]]:
    for number in range(WALLETS):
        yield _funds(number), EPOCH
    for number in range(1, tasks + 1):
        for facts in (_payment(2 * number), _payment(2 * number + 1), *_task(number)):
            yield facts, EPOCH + 1000 * number


def _hold(number: int) -> tuple[object, ...]:
    """A task's hold, sealed as it is once it is spent."""
    row = (number, _wallet(number), f"escrow:{number}", BUDGET, number)
    return (*row, EPOCH, _sha256(_json((*row, "posted", None, EPOCH)).encode()))
