"""The treasury, for its owners: what it has, earned and spent; sats moved in and out; and word to them of too small a budget."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.access import Action, authorize
from core.errors import UserError
from core.events import Event, Kind
from core.money import to_sats
from core.treasury.policy import MOVED, day_of, proposal, turnover
from core.wallet import limits
from core.wallet.ledger import TREASURY, KeyConflict, NotEnoughSats, transfer, user_account
from core.wallet.limits import DAY, OverLimit, Path, Spend
from core.wallet.wallet import BooksTx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from core.chat import Caller
    from core.errors import HubError, Refused
    from core.events import Json
    from core.store import Store
    from core.treasury.policy import Flow, Turnover
    from core.wallet.ledger import AccountRow
    from core.wallet.limits import Freeze, Standing
    from core.wallet.wallet import People


class TreasuryLacks(UserError):
    """The treasury has {available} free, and this needs {needed}. Move less, or wait until tasks that it pays are over."""


class Way(StrEnum):
    """Which way an owner moves sats, as the treasury sees it."""

    IN = "in"
    OUT = "out"


class FlowStore(Protocol):
    """The treasury's movements by kind of entry, inside one unit of work."""

    def between(self, since: int, until: int | None = None) -> Mapping[str, Flow]:
        """Those from one time to another (Unix ms, at quarters of an hour), without an end if `until` is None."""

    def whole(self) -> Mapping[str, Flow]:
        """All that there ever were."""


class TreasuryTx(BooksTx, Protocol):
    """A unit of work over the books and the treasury's movements."""

    @property
    def flows(self) -> FlowStore:
        """Movements."""


class Holdings(NamedTuple):
    """The treasury as it stands: its account, what it moved today (from midnight), in the last 24 hours and ever, its budgets."""

    account: AccountRow
    today: Turnover
    day: Turnover
    whole: Turnover
    budgets: Sequence[Standing]
    freeze: Freeze | None


class Treasury:
    """The service. `zone`: where its days begin."""

    def __init__(self, store: Store[TreasuryTx], people: People, zone: tzinfo | None) -> None:
        self._store = store
        self._people = people
        self._zone = zone

    async def holdings(self, caller: Caller) -> Holdings:
        """How it stands."""
        authorize(caller, Action.TREASURY)

        def work(tx: TreasuryTx) -> Holdings:
            return Holdings(
                tx.ledger.account(TREASURY), today(tx, self._zone), turnover(tx.flows.between(tx.now - DAY)),
                turnover(tx.flows.whole()), limits.standings(tx, TREASURY), tx.limits.rules().freeze,
            )  # fmt: skip

        return await self._store.read(work)

    async def move(self, caller: Caller, way: Way, amount: int, key: str) -> int:
        """Move `amount` msat between the caller's wallet and the treasury; returns the number of the entry.

        The same key again moves nothing more. Raises what `limits.spend` does, `NotEnoughSats` and `TreasuryLacks`.
        """
        authorize(caller, Action.TREASURY)
        facts = f"{way} {amount}"

        def work(tx: TreasuryTx) -> int:
            if (done := tx.applied(_made(key))) is not None:
                entry, _, moved = done.partition(" ")
                if moved != facts:
                    raise KeyConflict(key=key)
                return int(entry)
            number = _moved(tx, self._people.as_now(tx, caller), way, amount, key)
            tx.mark(_made(key), f"{number} {facts}")
            return number

        return await self._store.write(work)

    async def moved(self, key: str) -> bool:
        """Whether `move` was done under this key."""
        return await self._store.read(lambda tx: tx.applied(_made(key))) is not None

    async def refusal(self, needed: int) -> Refused | None:
        """Why it would not pay a stranger's task of `needed` msat now; None if it would. Whether it has so much is not asked."""
        one = Spend(TREASURY, needed, Path.SOLD, "")
        return await self._store.read(lambda tx: limits.refusal(tx, one))

    async def short(self, why: HubError, needed: int) -> None:
        """Tell the owners that a task of a stranger's was turned away, `needed` msat: once a day for each budget as it is now.

        `why`: `OverLimit`, or `NotEnoughSats` where there was a budget and no sats.
        """
        scope = str(why.facts["scope"]) if isinstance(why, OverLimit) else ""

        def look(tx: TreasuryTx) -> tuple[str, int | None]:
            limit = tx.limits.rules().amounts.get(scope)
            return f"treasury/short/{scope}/{limit}/{tx.now // DAY}", limit

        def work(tx: TreasuryTx) -> None:
            key, limit = look(tx)
            if tx.applied(key) is not None:
                return
            tx.mark(key, "")
            data: dict[str, Json] = {"scope": scope, "needed_sats": to_sats(needed)}
            if limit is not None:
                spent = next((one.spent for one in limits.standings(tx, TREASURY) if one.scope == scope), 0)
                data |= {"limit_sats": to_sats(limit), "proposed_sats": to_sats(proposal(limit, spent, needed))}
            tx.emit(Event(Kind.TREASURY_SHORT, data=data))

        if await self._store.read(lambda tx: tx.applied(look(tx)[0])) is None:
            await self._store.write(work)


def today(tx: TreasuryTx, zone: tzinfo | None) -> Turnover:
    """What the treasury earned and spent since midnight."""
    return turnover(tx.flows.between(day_of(tx.now, zone)[1]))


def _made(key: str) -> str:
    """What a move that was done is kept under."""
    return f"{key}/treasury"


def _moved(tx: TreasuryTx, caller: Caller, way: Way, amount: int, key: str) -> int:
    """Book it, within the limits of the account that pays."""
    own, key = user_account(caller.payer), f"treasury:{key}"
    source, target = (own, TREASURY) if way is Way.IN else (TREASURY, own)
    limits.spend(tx, Spend(source, amount, Path.TREASURY, key, by=caller.payer))
    reason = f"{caller.payer} to the treasury" if way is Way.IN else f"the treasury to {caller.payer}"
    entry = transfer(key, MOVED, source, target, amount, task=None, actor=caller.recorded, reason=reason)
    try:
        number = tx.ledger.append(entry)
    except NotEnoughSats as error:
        if way is Way.IN:
            raise
        raise TreasuryLacks(**error.facts) from None
    data: dict[str, Json] = {"way": way.value, "amount_sats": to_sats(amount), "entry": number, "by": caller.recorded}
    tx.emit(Event(Kind.TREASURY_MOVED, data=data))
    return number
