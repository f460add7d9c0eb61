"""The parts that move sats in and out of the hub, joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bot.approvals import PAYMENT
from bot.later import Later
from core.wallet import held
from core.wallet.guard import Consent, SpendGuard
from core.wallet.invoices import Invoices
from core.wallet.node import OwnNode
from core.wallet.payments import Payments
from core.wallet.reconcile import Reconciler
from core.wallet.suspense import Suspense

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from bot.agreed import Agreed
    from bot.approvals import Approvals
    from bot.goods import Keep
    from bot.paying import Paying
    from core.pairing import Pairing
    from core.ports import Clock, Fetcher, Spawner
    from core.store import Store
    from core.swarm.roster import Roster
    from core.tokens import Identities
    from core.treasury.treasury import Treasury
    from core.wallet.buying import Buying
    from core.wallet.lightning import Lightning, PaymentRequest
    from core.wallet.wallet import Wallet


@dataclass(frozen=True, slots=True)
class World:
    """What lies beyond the books: the node, how its invoices are read, and the pages that are sold."""

    node: Lightning
    decode: Callable[[str], Awaitable[PaymentRequest]]
    fetcher: Fetcher


@dataclass(frozen=True, slots=True)
class People:
    """Who pays and who agrees."""

    approvals: Approvals
    identities: Identities
    pairing: Pairing
    roster: Roster
    wallet: Wallet
    treasury: Treasury


class Money(NamedTuple):
    """Everything that moves sats."""

    own: OwnNode
    invoices: Invoices
    payments: Payments
    paying: Later[Paying]
    reconciler: Reconciler
    suspense: Suspense


def money(store: Store[Any], world: World, people: People, keep: Keep, clock: Clock, spawner: Spawner) -> Money:
    """Make it; what pays, for the first who does. `store` has every store in its unit of work."""
    own = OwnNode(store, world.node, clock)
    payments = Payments(store, own, clock, spawner, world.decode, SpendGuard(people.identities))
    invoices = Invoices(store, own, clock, lambda tx, found: held.settled(tx, found, people.identities))
    taps = Consent(store)

    def bought() -> Buying:
        from core.wallet.buying import Buying  # noqa: PLC0415 - for the first payment
        from core.wallet.purse import Purse  # noqa: PLC0415 - as above

        purse = Purse(store, payments, people.identities, own)
        return Buying(store, world.fetcher, purse, world.decode, clock, prefix=purse.prefix, limit=purse.unasked)

    buying = Later(bought)

    def pays() -> Paying:
        from bot.paying import Paying  # noqa: PLC0415 - as above
        from core.wallet.endings import Endings  # noqa: PLC0415 - as above

        return Paying(
            payments, invoices, buying(), keep=keep, approvals=people.approvals, identities=people.identities,
            pairing=people.pairing, roster=people.roster, wallet=people.wallet, treasury=people.treasury,
            taps=taps, endings=Endings(store, own, payments, clock, people.identities),
        )  # fmt: skip

    def carries() -> Agreed:
        from bot.agreed import Agreed  # noqa: PLC0415 - for the first that a person agrees to

        return Agreed(
            payments, buying(), keep=keep, identities=people.identities, wallet=people.wallet, treasury=people.treasury,
            taps=taps,
        )  # fmt: skip

    agreed = Later(carries)
    people.approvals.carries(PAYMENT, lambda approval: agreed().carry(approval))
    return Money(own, invoices, payments, Later(pays), Reconciler(store, own), Suspense(store, people.identities))
