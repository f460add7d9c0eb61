"""The rules of the books: zero-sum double entry over named accounts, in a hash chain (MONEY, "Ledger").

An entry's postings sum to zero. Each entry's hash covers the one before it, so a changed byte anywhere is found by
`verify`. Amounts are integers of msat; a positive `posted` on a user, agent, escrow or the treasury is what the
hub owes them, and the accounts that stand for the world outside go negative by the same amount.
"""

from __future__ import annotations

import hashlib
import struct
from enum import StrEnum
from json.encoder import encode_basestring_ascii as _text
from typing import TYPE_CHECKING, NamedTuple

from core.errors import Broken, HubError, UserError
from core.money import format_cost, format_sats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GENESIS = bytes(32)
_place = struct.Struct(">Qq").pack
EXTERNAL = "external"
TREASURY = "treasury"


class NotEnoughSats(UserError):
    """{who} {available} free, and this needs {needed}{routing}. Spend less{instead}."""

    private = True

    def with_routing(self, fee: int) -> NotEnoughSats:
        """The same, saying how much of it is set aside for routing, msat."""
        return NotEnoughSats(**{**self.facts, "routing": f" ({format_cost(fee)} of it for routing)"}) if fee else self


class KeyConflict(HubError):
    """The books already hold another entry under the key {key}. Nothing was booked."""


class Unbalanced(HubError):
    """The entry {key} does not sum to 0. Nothing was booked."""


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
    """What a worker of somebody else's has earned."""
    return f"agent:{name}"


def escrow_account(task: int) -> str:
    """Where a task's price waits; 0 whenever its task is over."""
    return f"escrow:{task}"


def held_account(person: str, task: int) -> str:
    """What is held at the node for a task of a person's: nobody's to spend before the task has ended."""
    return f"held:{task}:{person}"


def is_held(account: str) -> bool:
    """Whether a task's sats are held at the node, and in no wallet."""
    return account.startswith("held:")


def wallet_of(account: str) -> str:
    """The account whose limits count what is spent: for sats that are held, their person's wallet."""
    return user_account(account.split(":", 2)[2]) if is_held(account) else account


def at_node(backend: str) -> str:
    """The account that stands for what the node holds and does not have yet: it is in no balance of the node's."""
    return f"node:held:{backend}"


def not_enough(account: str, available: int, needed: int, *, tasks: bool) -> NotEnoughSats:
    """That an account has too little, msat. `tasks`: whether some of its sats are bound in tasks that can be called off."""
    kind, _, name = account.partition(":")
    own = kind not in {"agent", TREASURY}
    who = "You have" if own else f"The agent {name} has" if name else "The treasury has"
    return NotEnoughSats(
        who=who, available=format_sats(available), needed=format_cost(needed), routing="",
        instead=", or cancel a task that holds some" if own and tasks else "",
    )  # fmt: skip


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


class Entry(NamedTuple):
    """One transaction to book. `key` makes it happen once; `postings` are (account, msat), none zero, summing to zero.

    `payment` is the hash of the Lightning payment it books, if it books one.
    """

    key: str
    kind: str
    postings: tuple[tuple[str, int], ...]
    task: int | None
    actor: str
    reason: str
    payment: bytes | None = None

    @property
    def balanced(self) -> bool:
        """Whether it has postings, and they sum to zero."""
        return bool(self.postings) and sum(amount for _, amount in self.postings) == 0

    def request_hash(self) -> bytes:
        """What was asked, apart from when: the same key with another request hash is a conflict."""
        postings = ",".join([f"[{_text(account)},{amount}]" for account, amount in sorted(self.postings)])
        payment = "null" if self.payment is None else f'"{self.payment.hex()}"'
        return _sha256(
            f"[{_text(self.key)},{_text(self.kind)},{_number(self.task)},{_text(self.actor)},{_text(self.reason)},"
            f"[{postings}],{payment}]"
        )


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _sha256(facts: str) -> bytes:
    """Of a JSON array without spaces, as `json.dumps` writes it; spelled out where it is used, which takes a third of the time."""
    return hashlib.sha256(facts.encode()).digest()


def transfer(  # noqa: PLR0913 - an entry has this many facts
    key: str, kind: str, source: str, target: str, amount: int, *, task: int | None, actor: str, reason: str
) -> Entry:
    """Move `amount` msat (> 0) from `source` to `target`."""
    return Entry(key, kind, ((source, -amount), (target, amount)), task, actor, reason)


def chain_hash(previous: bytes, number: int, at: int, request: bytes) -> bytes:
    """SHA-256 over the previous hash, the entry's number and time (8 bytes each, big-endian), and its request hash."""
    return hashlib.sha256(previous + _place(number, at) + request).digest()


class Booked(NamedTuple):
    """An entry as the books hold it."""

    id: int
    at: int
    entry: Entry
    request: bytes
    previous: bytes
    hash: bytes


class AccountRow(NamedTuple):
    """An account as the books hold it, msat. `kind` and `floor` follow from its name."""

    name: str
    posted: int
    held: int
    floor: int | None
    kind: str

    @property
    def available(self) -> int:
        """What may be spent now."""
        return self.posted - self.held


class HoldRow(NamedTuple):
    """A hold as the books hold it; its hash covers all the rest of it and is renewed when it closes."""

    id: int
    account: str
    target: str
    amount: int
    task: int | None
    state: str
    expires: int | None
    at: int
    hash: bytes = b""

    def sealed(self) -> bytes:
        """The hash that it must have."""
        return _sha256(
            f"[{self.id},{_text(self.account)},{_text(self.target)},{self.amount},{_number(self.task)},{_text(self.state)},"
            f"{_number(self.expires)},{self.at}]"
        )


class Proof(NamedTuple):
    """What `verify` looked at and found in order."""

    entries: int
    postings: int
    accounts: int
    open_holds: int
    head: str


def verify(
    booked: Iterator[Booked],
    accounts: Iterable[AccountRow],
    holds: Iterable[HoldRow],
    strays: Iterable[int],
    unfinished: Iterable[int],
) -> Proof:
    """Prove the books: chain, zero sums, balances, holds, floors, and nothing left of tasks that are over.

    `booked` and `holds` come in the order of their numbers. `strays` are entries that postings name and nobody booked,
    `unfinished` the tasks that are over with sats still set aside; both are read last. Raises `BooksBroken` at the first
    thing that is wrong, saying where.
    """
    sums: dict[str, int] = {}
    entries = postings = 0
    head = GENESIS
    for row in booked:
        entries += 1
        _check_link(row, head, entries)
        for account, amount in row.entry.postings:
            sums[account] = sums.get(account, 0) + amount
        postings += len(row.entry.postings)
        head = row.hash
    for number in strays:
        raise BooksBroken(why=f"entry {number} is missing, and has postings")
    held, open_holds = _check_holds(holds)
    count = 0
    for account_row in accounts:
        _check_account(account_row, sums.pop(account_row.name, None), held.pop(account_row.name, 0))
        count += 1
    for orphan in (*sums, *held):
        raise BooksBroken(why=f"postings or holds name the account {orphan}, which does not exist")
    for task in unfinished:
        raise BooksBroken(why=f"task T-{task} is over or unknown, and sats are still set aside for it")
    return Proof(entries, postings, count, open_holds, head.hex())


def _check_holds(holds: Iterable[HoldRow]) -> tuple[dict[str, int], int]:
    """What is held of each account, and by how many open holds."""
    held: dict[str, int] = {}
    count = 0
    for number, row in enumerate(holds, 1):
        if row.id != number:
            raise BooksBroken(why=f"hold {number} is missing (the next one is {row.id})")
        if row.sealed() != row.hash:
            raise BooksBroken(why=f"hold {row.id} was changed after it was set or closed")
        if row.state == HoldState.OPEN:
            held[row.account] = held.get(row.account, 0) + row.amount
            count += 1
    return held, count


def _check_link(row: Booked, head: bytes, number: int) -> None:
    if row.id != number:
        raise BooksBroken(why=f"entry {number} is missing (the next one is {row.id})")
    if row.previous != head:
        raise BooksBroken(why=f"entry {row.id} does not follow the one before it")
    if row.entry.request_hash() != row.request:
        raise BooksBroken(why=f"entry {row.id} was changed after it was booked")
    if chain_hash(head, row.id, row.at, row.request) != row.hash:
        raise BooksBroken(why=f"the hash of entry {row.id} is wrong")
    if not row.entry.balanced:
        raise BooksBroken(why=f"the postings of entry {row.id} do not sum to 0")


def _check_account(row: AccountRow, posted: int | None, held: int) -> None:
    if row.kind != kind_of(row.name) or row.floor != floor_of(row.name):
        raise BooksBroken(why=f"{row.name} is kept as another kind of account, or with another floor")
    if posted is None:
        raise BooksBroken(why=f"no entry names {row.name}, and it has an account")
    if row.posted != posted:
        raise BooksBroken(why=f"{row.name} shows {row.posted} msat, its postings sum to {posted}")
    if row.held != held:
        raise BooksBroken(why=f"{row.name} shows {row.held} msat held, its open holds sum to {held}")
    if row.floor is not None and row.available < row.floor:
        raise BooksBroken(why=f"{row.name} is below its floor by {format_sats(row.floor - row.available)}")
