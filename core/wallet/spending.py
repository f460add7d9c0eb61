"""Who may set limits and stop all spending, and how it all stands; the rules themselves are in `limits.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.access import Action, authorize
from core.chat import Role
from core.events import Event, Kind
from core.money import to_sats
from core.tokens import TokenTx, account_of
from core.wallet.ledger import TREASURY, user_account
from core.wallet.limits import APPROVE, Freeze, LimitTx, check_scope, is_person, people, standings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.chat import Caller
    from core.store import Store
    from core.wallet.limits import Standing
    from core.wallet.wallet import People


class SpendingTx(LimitTx, TokenTx, Protocol):
    """A unit of work over limits, that knows who people are."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The limits of somebody's wallet, of the treasury (for its owner), and above which amount (msat) a person taps."""

    own: Sequence[Standing]
    treasury: Sequence[Standing]
    people: Sequence[Standing]
    approve: int | None
    freeze: Freeze | None


class Spending:
    """Limits and the freeze, for people."""

    def __init__(self, store: Store[SpendingTx], people: People) -> None:
        self._store = store
        self._people = people

    async def preset(self, amounts: Mapping[str, int | None]) -> None:
        """What the settings say, msat by scope: it holds where no owner has said otherwise."""

        def work(tx: SpendingTx) -> None:
            for scope, amount in amounts.items():
                tx.limits.preset(scope, amount)

        await self._store.write(work)

    async def freeze(self, caller: Caller, *, key: str) -> tuple[Freeze, bool]:
        """Stop all spending; returns since when it is, and whether that is new."""
        authorize(caller, Action.FREEZE)

        def work(tx: SpendingTx) -> tuple[Freeze, bool]:
            found, done = tx.limits.rules().freeze, tx.applied(key)
            if done is not None:
                return found or Freeze(int(done), caller.recorded), False
            now = self._people.as_now(tx, caller)
            made = found or Freeze(tx.now, now.recorded)
            if found is None:
                tx.limits.freeze(made.by, made.at)
                tx.emit(Event(Kind.SPENDING_FROZEN, data={"by": now.recorded}))
            tx.mark(key, str(made.at))
            return made, found is None

        return await self._store.write(work)

    async def unfreeze(self, caller: Caller, *, key: str) -> bool:
        """Let spending go on; whether it was frozen."""
        authorize(caller, Action.FREEZE)

        def work(tx: SpendingTx) -> bool:
            if (done := tx.applied(key)) is not None:
                return bool(done)
            now = self._people.as_now(tx, caller)
            frozen = tx.limits.rules().freeze is not None
            if frozen:
                tx.limits.thaw()
                tx.emit(Event(Kind.SPENDING_UNFROZEN, data={"by": now.recorded}))
            tx.mark(key, "frozen" if frozen else "")
            return frozen

        return await self._store.write(work)

    async def limit(self, caller: Caller, given: str, amount: int | None, *, key: str) -> tuple[str, int | None]:
        """Set a limit, msat, or take it off (None: what the settings say holds again); returns its scope and what holds now.

        Raises `UnknownScope`.
        """
        authorize(caller, Action.LIMITS)
        scope = check_scope(given)

        def work(tx: SpendingTx) -> tuple[str, int | None]:
            kept = self._kept(tx, scope)
            if tx.applied(key) is None:
                now = self._people.as_now(tx, caller)
                tx.limits.put_rule(kept, amount)
                holds = tx.limits.rules().amounts.get(kept)
                sats = None if holds is None else to_sats(holds)
                tx.emit(Event(Kind.LIMIT_CHANGED, data={"scope": kept, "limit_sats": sats, "by": now.recorded}))
                tx.mark(key, "")
            return kept, tx.limits.rules().amounts.get(kept)

        return await self._store.write(work)

    async def outlook(self, caller: Caller) -> Outlook:
        """How the limits of the caller's wallet stand; for an owner those of the treasury and of people too."""
        authorize(caller, Action.SEE_MONEY)
        owns = caller.role is Role.OWNER

        def work(tx: SpendingTx) -> Outlook:
            rules, own = tx.limits.rules(), standings(tx, user_account(caller.name))
            treasury, others = (standings(tx, TREASURY), people(tx)) if owns else ([], [])
            shown = {one.scope for one in own}
            others = [one for one in others if one.scope not in shown]
            return Outlook(own, treasury, others, rules.amounts.get(APPROVE), rules.freeze)

        return await self._store.read(work)

    def _kept(self, tx: SpendingTx, scope: str) -> str:
        """The name under which a limit is kept. A person's holds for all their identities, and has their account's."""
        return account_of(*self._people.standing_in(tx, scope)) if is_person(scope) else scope
