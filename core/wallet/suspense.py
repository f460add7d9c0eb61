"""What the node has and nobody here asked for, and how it gets to whom it belongs.

It comes there where a settlement is of no invoice that the books know: of another user of the node, or of somebody's invoice whose
row was forgotten. It also comes by an owner's word, where the node has more than the books say. Each such entry leaves `suspense`
whole and once, by an owner who says whose it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.access import Action, authorize
from core.chat import Role
from core.errors import UserError
from core.events import Event, Kind
from core.money import format_sats, to_sats
from core.tokens import TokenTx, account_of, home_of
from core.wallet.invoices import SUSPENSE
from core.wallet.ledger import TREASURY, transfer, user_account
from core.wallet.wallet import LedgerTx, NobodysWallet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.chat import Caller
    from core.events import Json
    from core.store import Store
    from core.wallet.wallet import People

SHOWN = 100
"""Entries that are listed."""


class SuspenseLacks(UserError):
    """Suspense has {left} in all, less than this: some left the node another way. If this hub is to bear that, add again=yes."""

    status = 409


class NotInSuspense(UserError):
    """Entry {entry} has nothing in suspense that was not given yet. /reconcile lists what has."""

    status = 404


class Unclaimed(NamedTuple):
    """An entry whose sats wait in suspense: when it was booked (Unix ms), msat, the payment if it was one, and why it is there."""

    entry: int
    at: int
    amount: int
    payment: bytes | None
    reason: str


class SuspenseStore(Protocol):
    """What waits in suspense, inside one unit of work."""

    def unclaimed(self, limit: int) -> Sequence[Unclaimed]:
        """What was not given yet, newest first."""

    def waiting(self, entry: int) -> Unclaimed | None:
        """An entry of these."""


class SuspenseTx(LedgerTx, TokenTx, Protocol):
    """A unit of work over the books and what waits in suspense, that knows who people are."""

    @property
    def suspense(self) -> SuspenseStore:
        """What waits in suspense."""


class Suspense:
    """Lists what waits, and gives it to whom it belongs."""

    def __init__(self, store: Store[SuspenseTx], people: People) -> None:
        self._store = store
        self._people = people

    async def unclaimed(self) -> Sequence[Unclaimed]:
        """What was not given yet, newest first, `SHOWN` at most."""
        return await self._store.read(lambda tx: tx.suspense.unclaimed(SHOWN))

    async def give(self, caller: Caller, entry: int, whom: str, *, key: str, short: bool = False) -> tuple[str, int]:
        """Move what an entry put into suspense to a person's wallet or the treasury; returns that account, and how much, msat.

        `short`: even where suspense has less than that in all, so that the hub owes more than its node has.
        Raises `NotInSuspense`, `SuspenseLacks` and `NobodysWallet`. No limit counts it: it was nobody's here.
        """
        authorize(caller, Action.RECONCILE)

        def work(tx: SuspenseTx) -> tuple[str, int]:
            if (done := tx.applied(key)) is not None:
                account, _, amount = done.rpartition(" ")
                return account, int(amount)
            now, account = self._people.as_now(tx, caller), self._account(tx, whom)
            found = tx.suspense.waiting(entry)
            if found is None:
                raise NotInSuspense(entry=entry)
            left = tx.ledger.account(SUSPENSE).posted
            if left < found.amount and not short:
                raise SuspenseLacks(left=format_sats(left))
            reason = f"{found.reason}; it is {whom}'s, says {now.recorded}"
            tx.ledger.append(
                transfer(
                    claim_key(entry), "claimed", SUSPENSE, account, found.amount, task=None, actor=now.recorded, reason=reason
                )
            )  # fmt: skip
            tx.mark(key, f"{account} {found.amount}")
            data: dict[str, Json] = {
                "to": whom,
                "amount_sats": to_sats(found.amount),
                "entry": entry,
                "by": now.recorded,
            }
            tx.emit(Event(Kind.SUSPENSE_GIVEN, data=data))
            return account, found.amount

        return await self._store.write(work)

    def _account(self, tx: SuspenseTx, whom: str) -> str:
        if whom == TREASURY:
            return TREASURY
        root, role = self._people.standing_in(tx, whom)
        if role is Role.GUEST or home_of(whom) is None:
            raise NobodysWallet(given=whom)
        return user_account(account_of(root, role))


def claim_key(entry: int | str) -> str:
    """Under which key what an entry put into suspense leaves it, once."""
    return f"{SUSPENSE}:{entry}"
