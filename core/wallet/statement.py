"""An account's balance explained to its postings: every movement with what the account had after it, and every open hold.

What is added up are the postings themselves, so that a statement agrees with the balance only where the books do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.wallet.ledger import AccountRow


@dataclass(frozen=True, slots=True)
class Movement:
    """One posting of an account with its entry, amounts in msat, time in Unix ms; `others` are the entry's other postings."""

    id: int
    at: int
    key: str
    kind: str
    task: int | None
    payment: bytes | None
    actor: str
    reason: str
    hash: bytes
    amount: int
    others: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class OpenHold:
    """Sats set aside since `at`: for a task or for a Lightning payment that stand as `state` says, or else for `target`."""

    id: int
    at: int
    amount: int
    target: str
    task: int | None
    payment: bytes | None
    payee: str | None
    state: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """What all of an account's movements of a kind, in or out, come to."""

    kind: str
    count: int
    amount: int


@dataclass(frozen=True, slots=True)
class Statement:
    """An account, some of its movements (newest first, each with the balance after it), and what its whole balance is made of.

    `before`: the balance before the oldest of `movements`; `older`: the next older entry, if there is one.
    """

    account: AccountRow
    movements: tuple[tuple[Movement, int], ...]
    before: int
    older: int | None
    parts: tuple[Part, ...]
    holds: tuple[OpenHold, ...]

    @property
    def count(self) -> int:
        """How many movements the account has had."""
        return sum(part.count for part in self.parts)

    @property
    def total(self) -> int:
        """What they come to, msat."""
        return sum(part.amount for part in self.parts)

    @property
    def agrees(self) -> bool:
        """Whether postings and open holds come to what the account shows."""
        held = sum(hold.amount for hold in self.holds)
        return (self.total, held) == (self.account.posted, self.account.held)


class Statements(Protocol):
    """An account's movements and holds, from a snapshot."""

    def postings(self, account: str) -> Iterable[tuple[int, str, int]]:
        """(entry, its kind, amount) of every posting."""

    def movements(self, account: str, limit: int, start: int | None) -> Sequence[Movement]:
        """The newest `limit` movements, newest first; from entry `start` on backwards, if given."""

    def holds(self, account: str) -> Sequence[OpenHold]:
        """Its open holds, oldest first."""


def explain(statements: Statements, account: AccountRow, limit: int, start: int | None = None) -> Statement:
    """The statement of an account, with the newest `limit` movements; from entry `start` on backwards, if given."""
    balance = 0
    parts: dict[tuple[str, bool], Part] = {}
    for entry, kind, amount in statements.postings(account.name):
        if start is None or entry <= start:
            balance += amount
        part = parts.get((kind, amount > 0), Part(kind, 0, 0))
        parts[kind, amount > 0] = Part(kind, part.count + 1, part.amount + amount)
    found = statements.movements(account.name, limit + 1, start)
    shown, more = found[:limit], found[limit:]
    balances = [balance]
    for movement in shown:
        balances.append(balances[-1] - movement.amount)
    return Statement(
        account, tuple(zip(shown, balances, strict=False)), balances[-1], more[0].id if more else None,
        tuple(sorted(parts.values(), key=lambda part: -part.amount)), tuple(statements.holds(account.name)),
    )  # fmt: skip
