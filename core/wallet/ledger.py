"""The rules of the books: zero-sum double entry over named accounts, in a hash chain (MONEY, "Ledger").

An entry's postings sum to zero. Each entry's hash covers the one before it, so a changed byte anywhere is found by
`verify`. Amounts are integers of msat; a positive `posted` on a user, agent, escrow or the treasury is what the
hub owes them, and the accounts that stand for the world outside go negative by the same amount.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from core.errors import Broken, HubError, UserError
from core.money import format_sats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GENESIS = bytes(32)
EXTERNAL = "external"
TREASURY = "treasury"


class NotEnoughSats(UserError):
    """You have {available} free, and this needs {needed}. Give it a smaller budget with max=, or cancel a task that holds some."""


class KeyConflict(HubError):
    """The books already hold another entry under the key {key}. Nothing was booked."""


class HoldClosed(HubError):
    """The hold {hold} was closed before. Nothing was booked."""


class BooksBroken(Broken):
    """The books do not balance: {why}. Stop spending, keep a copy of the data folder, and compare with a backup."""


class Kind(StrEnum):
    """Account kinds, in the accountant's words."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"


class HoldState(StrEnum):
    """A hold is open until it is posted (spent) or void (given back), once."""

    OPEN = "open"
    POSTED = "posted"
    VOID = "void"


def user_account(name: str) -> str:
    """The wallet of an identity."""
    return f"user:{name}"


def agent_account(name: str) -> str:
    """The earnings of an agent that is not the hub's own."""
    return f"agent:{name}"


def escrow_account(task: int) -> str:
    """Where a task's price waits; 0 whenever its task is over."""
    return f"escrow:{task}"


def kind_of(account: str) -> Kind:
    """The kind of an account, told by its name."""
    match account.partition(":")[0]:
        case "external" | "node":
            return Kind.ASSET
        case "income":
            return Kind.INCOME
        case "fees":
            return Kind.EXPENSE
        case _:
            return Kind.LIABILITY


def floor_of(account: str) -> int | None:
    """The least that `posted - held` may be: 0 for whoever the hub owes, none for the world outside."""
    return 0 if kind_of(account) is Kind.LIABILITY and account != "suspense" else None


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction to book. `key` makes it happen once; `postings` are (account, msat), none zero, summing to zero."""

    key: str
    kind: str
    postings: tuple[tuple[str, int], ...]
    task: int | None
    actor: str
    reason: str

    def request_hash(self) -> bytes:
        """What was asked, apart from when: the same key with another request hash is a conflict."""
        asked = (self.key, self.kind, self.task, self.actor, self.reason, sorted(self.postings))
        return hashlib.sha256(json.dumps(asked, separators=(",", ":")).encode()).digest()


def transfer(  # noqa: PLR0913 - an entry has this many facts
    key: str, kind: str, source: str, target: str, amount: int, *, task: int | None, actor: str, reason: str
) -> Entry:
    """Move `amount` msat (> 0) from `source` to `target`."""
    return Entry(key, kind, ((source, -amount), (target, amount)), task, actor, reason)


def chain_hash(previous: bytes, number: int, at: int, request: bytes) -> bytes:
    """SHA-256 over the previous hash, the entry's number and time (8 bytes each, big-endian), and its request hash."""
    return hashlib.sha256(previous + number.to_bytes(8, "big") + at.to_bytes(8, "big", signed=True) + request).digest()


@dataclass(frozen=True, slots=True)
class Booked:
    """An entry as the books hold it."""

    id: int
    at: int
    entry: Entry
    request: bytes
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as the books hold it, msat."""

    name: str
    posted: int
    held: int
    floor: int | None

    @property
    def available(self) -> int:
        """What may be spent now."""
        return self.posted - self.held


@dataclass(frozen=True, slots=True)
class Proof:
    """What `verify` looked at and found in order."""

    entries: int
    postings: int
    accounts: int
    open_holds: int
    head: str


def verify(
    booked: Iterator[Booked],
    accounts: Iterable[AccountRow],
    open_holds: Iterable[tuple[str, int]],
    finished: Iterable[int],
) -> Proof:
    """Prove the books: chain, zero sums, balances, holds, floors, and no escrow left for the `finished` task ids.

    `open_holds` are (account, msat). Raises `BooksBroken` at the first thing that is wrong, saying where.
    """
    sums: dict[str, int] = {}
    entries = postings = 0
    head = GENESIS
    for row in booked:
        _check_link(row, head, entries + 1)
        for account, amount in row.entry.postings:
            sums[account] = sums.get(account, 0) + amount
            postings += 1
        entries, head = entries + 1, row.hash
    held: dict[str, int] = {}
    holds = 0
    for account, amount in open_holds:
        held[account] = held.get(account, 0) + amount
        holds += 1
    count = 0
    for account_row in accounts:
        _check_account(account_row, sums.pop(account_row.name, 0), held.pop(account_row.name, 0))
        count += 1
    for orphan in (*sums, *held):
        raise BooksBroken(why=f"postings or holds name the account {orphan}, which does not exist")
    for task in finished:
        raise BooksBroken(why=f"task T-{task} is over and its escrow is not empty")
    return Proof(entries, postings, count, holds, head.hex())


def _check_link(row: Booked, head: bytes, number: int) -> None:
    if row.id != number:
        raise BooksBroken(why=f"entry {number} is missing (the next one is {row.id})")
    if row.previous != head:
        raise BooksBroken(why=f"entry {row.id} does not follow the one before it")
    if row.entry.request_hash() != row.request:
        raise BooksBroken(why=f"entry {row.id} was changed after it was booked")
    if chain_hash(head, row.id, row.at, row.request) != row.hash:
        raise BooksBroken(why=f"the hash of entry {row.id} is wrong")
    if sum(amount for _, amount in row.entry.postings) != 0 or not row.entry.postings:
        raise BooksBroken(why=f"the postings of entry {row.id} do not sum to 0")


def _check_account(row: AccountRow, posted: int, held: int) -> None:
    if row.posted != posted:
        raise BooksBroken(why=f"{row.name} shows {row.posted} msat, its postings sum to {posted}")
    if row.held != held:
        raise BooksBroken(why=f"{row.name} shows {row.held} msat held, its open holds sum to {held}")
    if row.floor is not None and row.available < row.floor:
        raise BooksBroken(why=f"{row.name} is below its floor by {format_sats(row.floor - row.available)}")
