"""Who may set limits and stop all spending, and how it all stands; the rules themselves are in `limits.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.access import Action, authorize
from core.chat import Role
from core.errors import UserError
from core.events import Event, Kind
from core.money import to_sats
from core.tokens import CONSOLE_OWNER, TokenKind, TokenTx, account_of
from core.wallet.ledger import TREASURY, user_account
from core.wallet.limits import (
    APPROVE,
    OF_TREASURY,
    Freeze,
    LimitTx,
    check_scope,
    is_person,
    people,
    standings,
)
from core.wallet.wallet import People

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from core.chat import Caller
    from core.store import Store
    from core.wallet.limits import Standing

MOST_NAMED = 12
"""As many names as a person reads."""


class NobodyToLimit(UserError):
    """There is no {what} {given} here, so that limit would hold nobody back. Known: {known}."""

    private = True
    status = 404


class Everybody(People, Protocol):
    """Who people are, and who owns the hub."""

    def everybody(self, account: str, /) -> Collection[str]:
        """All identities of an account."""


class Workers(Protocol):
    """The hub's own agents: those that there are, and those that there can be."""

    @property
    def names(self) -> Collection[str]:
        """The agents on the roster, and the personas that can join it."""

    @property
    def fields(self) -> Collection[str]:
        """The classes of their work."""

    def claims(self, name: str, /) -> bool:
        """Whether a name is an agent's, or can become one's."""


class SpendingTx(LimitTx, TokenTx, Protocol):
    """A unit of work over limits, that knows who people are."""


class Outlook(NamedTuple):
    """The limits of somebody's wallet, of the treasury (for its owner), and above which amount (msat) a person taps."""

    own: Sequence[Standing]
    treasury: Sequence[Standing]
    people: Sequence[Standing]
    approve: int | None
    freeze: Freeze | None


class Spending:
    """Limits and the freeze, for people."""

    def __init__(self, store: Store[SpendingTx], people: Everybody, workers: Workers) -> None:
        self._store = store
        self._people = people
        self._workers = workers

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

        Raises `UnknownScope`, and `NobodyToLimit` for a new limit on somebody who is not here; what holds can be changed.
        """
        authorize(caller, Action.LIMITS)
        scope = check_scope(given)

        def work(tx: SpendingTx) -> tuple[str, int | None]:
            kept = self._kept(tx, scope)
            if tx.applied(key) is None:
                now = self._people.as_now(tx, caller)
                if kept not in tx.limits.rules().amounts:
                    self._refuse_unknown(tx, kept)
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

    def _refuse_unknown(self, tx: SpendingTx, scope: str) -> None:
        """Raise `NobodyToLimit`. Of other hubs none is known before it is met, and anyone may be limited beforehand."""
        word, _, name = scope.removeprefix(OF_TREASURY).partition(":")
        if word == "class" and name not in self._workers.fields:
            raise NobodyToLimit(what="kind of work", given=name, known=_named(self._workers.fields))
        if word == "agent" and not self._can_win(tx, name):
            known = {*self._workers.names, *self._outside(tx), *self._paired(tx)}
            raise NobodyToLimit(what="agent", given=name, known=_named(known))
        if is_person(scope) and not self._is_in(tx, scope):
            raise NobodyToLimit(what="person", given=scope, known=_named(self._paired(tx)))

    def _can_win(self, tx: SpendingTx, name: str) -> bool:
        """Whether somebody of this name can win a task: people can, too."""
        return self._workers.claims(name) or name in self._outside(tx) or self._is_in(tx, name)

    def _is_in(self, tx: SpendingTx, actor: str) -> bool:
        return self._people.standing_in(tx, actor)[1] is not Role.GUEST

    @staticmethod
    def _outside(tx: SpendingTx) -> set[str]:
        """The workers of others that have a token."""
        return {row.name.lower() for row in tx.tokens.live() if row.kind == TokenKind.WORKER}

    def _paired(self, tx: SpendingTx) -> set[str]:
        return {*self._people.everybody(CONSOLE_OWNER), *(one.actor for one in tx.tokens.people())}


def _named(names: Collection[str]) -> str:
    """Names for a person to choose from."""
    found = sorted(names)
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more or "none yet"
