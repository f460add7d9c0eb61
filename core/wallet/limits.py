"""How much may be spent, and the switch that stops it all: asked inside the unit of work that spends, on every path.

`spend` is the one way by which sats leave a wallet for somebody else; what it counts is corrected by `adjust` and `void` where
less was spent in the end. A window is rolling and read by the minute: the minute in which it begins counts whole. What lies in the
future counts too, so a clock that was put back makes no window wider, and one that was put forward and back forgets nothing.
Source: MONEY, "Limits and people".
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.errors import Refused, UserError
from core.money import MAX_SATS, BadAmount, format_cost, format_sats, to_msat
from core.store import Tx
from core.tokens import check_actor, home_of
from core.wallet.ledger import TREASURY, KeyConflict, user_account

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Ms. A day is the longest window; rows may be forgotten after two (`adapters/sqlite/retention.py`)."""

PAYMENT = "payment"
APPROVE = "approve"
OF_TREASURY = "treasury."
SOLD = "sold"
"""Towards this counts what the treasury has done for strangers, out of what they paid for it: they use up no budget of its own."""
_PERSON = user_account("")
_PLAIN = (PAYMENT, "hour", "day")
_KNOWN = (
    "payment, hour, day, agent:NAME, class:NAME, peer:NAME, the same of the treasury (such as treasury.day), treasury.sold, "
    "approve"
)
_NAMES = ("agent:", "class:", "peer:")
_NAMED = re.compile(r"(?:agent|class|peer):[a-z0-9][a-z0-9_.-]{0,63}")


class Frozen(Refused):
    """Spending is frozen: nothing is posted, awarded or paid until an owner says /unfreeze. Reading and /cancel go on."""


class OverLimit(Refused):
    """{needed} is over the limit {scope} of {limit}{window}{left}. Spend less{wait}, or let an owner say: /limits {scope} AMOUNT"""

    private = True


class UnknownScope(UserError):
    """There is no limit {given}. Limits are {known}, and a person's id such as telegram:12345."""


class Path(StrEnum):
    """The ways by which sats are spent."""

    TASK = "task"
    SOLD = "sold"
    TRANSFER = "transfer"
    PAYMENT = "payment"
    PAYOUT = "payout"
    SERVICE = "service"
    TREASURY = "treasury"


class Row(NamedTuple):
    """Whose spending is counted, and towards what.

    '' is all that an account spends of its own, `sold` what it does for those who paid it, `by` what a person spends of others'.
    """

    account: str
    scope: str


class Freeze(NamedTuple):
    """That spending is frozen: since when (Unix ms), and who did it."""

    at: int
    by: str


class Rules(NamedTuple):
    """Every limit that holds now, msat by scope, and the freeze. `bounds`: those of persons that let them approve nothing."""

    amounts: Mapping[str, int]
    freeze: Freeze | None = None
    bounds: frozenset[str] = frozenset()

    def approves(self, person: str) -> int:
        """The most that a payer may approve, msat: up to the limit that an owner gave them."""
        return 0 if person in self.bounds else self.amounts.get(person, 0)


class Counted(NamedTuple):
    """What is counted under a key: of which account, what was asked for, and what it has come to, msat."""

    account: str
    asked: int
    amount: int


class Spend(NamedTuple):
    """Sats (msat) that are to leave an account. `key` counts them once; a task's is `task_key`, a payment's its hash.

    `agent` is who is paid for work, `kind` the class of that work, `peer` another hub, as far as they are known; `by` is the
    account of whoever decides it, where that is a person.
    """

    account: str
    amount: int
    path: Path
    key: str
    agent: str | None = None
    kind: str | None = None
    peer: str | None = None
    by: str | None = None


class Standing(NamedTuple):
    """A limit and how much of it is used, msat. `limit` None: there is none. `paths`: what was spent, by the way it went."""

    scope: str
    limit: int | None
    window: int | None = None
    paths: Mapping[str, int] | None = None

    @property
    def spent(self) -> int:
        """What was spent within the window."""
        return sum((self.paths or {}).values())


class LimitStore(Protocol):
    """Rules, and what was spent, inside one unit of work."""

    def rules(self) -> Rules:
        """Everything that limits spending now."""

    def put_rule(self, scope: str, amount: int | None, *, grants: bool = True) -> None:
        """What an owner set; None: what the settings say holds again. A person's `grants` them to approve so much, or does not."""

    def preset(self, scope: str, amount: int | None) -> None:
        """What the settings say, None: nothing."""

    def freeze(self, by: str, now: int) -> None:
        """Stop all spending."""

    def thaw(self) -> None:
        """Let it go on."""

    def counted(self, key: str) -> Counted | None:
        """What is counted under a key."""

    def scopes(self, key: str) -> set[str]:
        """The scopes towards which a key is counted."""

    def count(self, key: str, path: Path, amount: int, rows: Sequence[Row], now: int) -> None:
        """Count an amount under a key, once for each row."""

    def change(self, key: str, amount: int) -> None:
        """What is counted under a key has come to this."""

    def void(self, key: str) -> None:
        """Nothing is counted under a key any more."""

    def bring_along(self, source: str, target: str) -> None:
        """All that is counted of one account is counted of another too."""

    def total(self, row: Row, since: int) -> int:
        """Msat spent from the minute of `since` on, without an end."""

    def spent(self, row: Row, since: int) -> list[tuple[int, int, str]]:
        """The same as (minute, msat, path), in the order of time."""


class LimitTx(Tx, Protocol):
    """A unit of work that can spend."""

    @property
    def limits(self) -> LimitStore:
        """Limits."""


class _Check(NamedTuple):
    """A rule that a spend is held against: what the `rows` together have spent within `window` ms."""

    rule: str
    window: int
    rows: tuple[Row, ...]


def task_key(task: int, attempt: int) -> str:
    """The key of what an attempt at a task costs."""
    return f"task:{task}:{attempt}"


def check_scope(text: str) -> str:
    """A scope as it is kept. Raises `UnknownScope`."""
    given = text.strip()
    lead = OF_TREASURY if given.lower().startswith(OF_TREASURY) else ""
    inner = given[len(lead) :]
    plain = inner.lower()
    if plain in _PLAIN or _NAMED.fullmatch(plain) or plain == (SOLD if lead else APPROVE):
        return lead + plain
    word = "agent:" if plain.startswith("agent:") else ""  # people are paid for work too
    if (word or not (lead or plain.startswith(_NAMES))) and _is_actor(inner[len(word) :]):
        return lead + word + inner[len(word) :]
    raise UnknownScope(given=repr(text[:60]), known=_KNOWN)


def _is_actor(text: str) -> bool:
    try:
        return home_of(check_actor(text)) is not None
    except UserError:
        return False


def refuse_frozen(tx: LimitTx) -> None:
    """Raise `Frozen` where spending is."""
    if tx.limits.rules().freeze is not None:
        raise Frozen


def needs_tap(tx: LimitTx, one: Spend) -> bool:
    """Whether a person taps first."""
    limit = tx.limits.rules().amounts.get(APPROVE)
    return limit is not None and one.amount > limit


def spend(tx: LimitTx, one: Spend) -> int:
    """Count what is being spent in this unit of work; returns what is counted under its key, msat.

    The same key again counts nothing and is refused by no limit, since it is the same spend.
    Raises `Frozen`, `OverLimit`, `BadAmount`, and `KeyConflict` for the same key with another amount or account.
    """
    if not 0 < one.amount <= to_msat(MAX_SATS):
        raise BadAmount(given=format_sats(one.amount))
    if (known := tx.limits.counted(one.key)) is not None:
        if (known.account, known.asked) != (one.account, one.amount):
            raise KeyConflict(key=one.key)
        return known.amount
    if (why := refusal(tx, one)) is not None:
        raise why
    tx.limits.count(one.key, one.path, one.amount, _rows(one), tx.now)
    return one.amount


def refusal(tx: LimitTx, one: Spend) -> Refused | None:
    """Why this may not be spent now; None if it may. Towards what its key is counted already is no reason."""
    rules = tx.limits.rules()
    if rules.freeze is not None:
        return Frozen()
    single = _lead(one.account) + PAYMENT
    if one.amount > rules.amounts.get(single, one.amount):
        return _over_single(one, single, rules.amounts[single])
    checks = [check for check in _checks(one) if check.rule in rules.amounts] if rules.amounts else []
    if checks:
        known = tx.limits.scopes(one.key)
        fresh = {row for row in _rows(one) if row.scope not in known}
        over = (
            _over(tx, one, check, rules.amounts[check.rule]) for check in checks if not fresh.isdisjoint(check.rows)
        )
        return next((why for why in over if why is not None), None)
    return None


def award(tx: LimitTx, one: Spend) -> None:
    """A budget that was set aside under this key becomes a price, and it is known now who gets it, for what.

    The wallet's own windows have counted it since it was set aside; those of the agent and the class count it from now on.
    Raises `Frozen` and `OverLimit`.
    """
    if (why := refusal(tx, one)) is not None:
        raise why
    known = tx.limits.scopes(one.key)
    tx.limits.change(one.key, one.amount)
    tx.limits.count(one.key, one.path, one.amount, [row for row in _rows(one) if row.scope not in known], tx.now)


def fit(tx: LimitTx, one: Spend) -> int:
    """Count as much of it as the limits leave, and return that. It sets aside again what came back, so no freeze stops it."""
    amounts = tx.limits.rules().amounts
    checks = [check for check in _checks(one) if check.rule in amounts]
    rooms = [amounts[check.rule] - _total(tx, check) for check in checks]
    amount = max(0, min(one.amount, amounts.get(_lead(one.account) + PAYMENT, one.amount), *rooms))
    if amount:
        tx.limits.count(one.key, one.path, amount, _rows(one), tx.now)
    return amount


def adjust(tx: LimitTx, key: str, amount: int) -> None:
    """What was set aside under a key has come to `amount` msat."""
    tx.limits.change(key, amount)


def void(tx: LimitTx, key: str) -> None:
    """What was set aside under a key was not spent. The same key later is a new spend."""
    tx.limits.void(key)


def bring_along(tx: LimitTx, person: str, account: str) -> None:
    """What a person has spent is spent by the account that they are of from now on: their sats are its too.

    It stays spent by themselves as well: else whoever was taken off again had new room. Linked again, it counts twice.
    """
    tx.limits.bring_along(user_account(person), user_account(account))
    tx.limits.bring_along(person, account)


def is_person(scope: str) -> bool:
    """Whether a rule is a person's own."""
    return ":" in scope and not scope.removeprefix(OF_TREASURY).startswith(_NAMES)


def people(tx: LimitTx) -> list[Standing]:
    """How the limits of persons stand: what they pay and approve, from whatever wallet."""
    amounts = tx.limits.rules().amounts
    return [_standing(tx, _of_person(scope), amounts[scope]) for scope in sorted(amounts) if is_person(scope)]


def standings(tx: LimitTx, account: str) -> list[Standing]:
    """How the limits of a wallet stand: those of one spend, hour and day, and whatever else of it is limited."""
    amounts, lead = tx.limits.rules().amounts, _lead(account)
    single = [Standing(lead + PAYMENT, amounts.get(lead + PAYMENT))]
    named = [scope for rule in sorted(amounts) if (scope := rule.removeprefix(lead)).startswith(_NAMES)]
    more = [_Check(lead + scope, DAY, (Row(account, scope),)) for scope in named if lead + scope in amounts]
    paths = (Path.TASK, Path.SOLD) if account == TREASURY else (Path.TASK,)
    checks = (*(check for path in paths for check in _checks(Spend(account, 0, path, ""))), *more)
    own = {(Row(account, ""),), (Row(account, SOLD),)}
    shown = [check for check in checks if check.rule in amounts or check.rows in own]
    return [*single, *(_standing(tx, check, amounts.get(check.rule)) for check in shown)]


def _standing(tx: LimitTx, check: _Check, limit: int | None) -> Standing:
    paths: dict[str, int] = {}
    for _, amount, path in _spent(tx, check):
        paths[path] = paths.get(path, 0) + amount
    return Standing(check.rule, limit, check.window, paths)


def _of_person(person: str) -> _Check:
    """What a person may spend: of their own wallet, and of others'."""
    return _Check(person, DAY, (Row(user_account(person), ""), Row(person, "by")))


def _lead(account: str) -> str:
    """What the names of an account's rules begin with: the treasury has a budget of its own."""
    return OF_TREASURY if account == TREASURY else ""


def _named(one: Spend) -> Iterator[str]:
    """The scopes of a spend beside the wallet's own."""
    for word, name in (("agent", one.agent), ("class", one.kind), ("peer", one.peer)):
        if name:
            yield f"{word}:{name}"


def _own(one: Spend) -> Row:
    return Row(one.account, SOLD if one.path is Path.SOLD else "")


def _rows(one: Spend) -> list[Row]:
    """Towards what a spend counts."""
    rows = [_own(one), *(Row(one.account, scope) for scope in _named(one))]
    if one.by and one.account != user_account(one.by):
        rows.append(Row(one.by, "by"))
    return rows


def _checks(one: Spend) -> Iterator[_Check]:
    """Every rule with a window that a spend could break."""
    lead, own = _lead(one.account), (_own(one),)
    if one.path is Path.SOLD:
        yield _Check(f"{lead}{SOLD}", DAY, own)
    else:
        yield _Check(f"{lead}hour", HOUR, own)
        yield _Check(f"{lead}day", DAY, own)
    for scope in _named(one):
        yield _Check(lead + scope, DAY, (Row(one.account, scope),))
    owner = one.account.removeprefix(_PERSON) if one.account.startswith(_PERSON) else ""
    for person in sorted({owner, one.by or ""} - {""}):
        yield _of_person(person)


def _total(tx: LimitTx, check: _Check) -> int:
    return sum(tx.limits.total(row, tx.now - check.window) for row in check.rows)


def _spent(tx: LimitTx, check: _Check) -> list[tuple[int, int, str]]:
    return sorted(part for row in check.rows for part in tx.limits.spent(row, tx.now - check.window))


def _over(tx: LimitTx, one: Spend, check: _Check, limit: int) -> OverLimit | None:
    excess = _total(tx, check) + one.amount - limit
    if excess <= 0:
        return None
    free, later = excess, ""
    for minute, amount, _ in _spent(tx, check) if one.amount <= limit else ():
        free -= amount
        if free <= 0:
            wait = _span((minute + 1) * MINUTE + check.window - tx.now)
            later = f", enough again in {wait}"
            break
    return OverLimit(
        needed=format_cost(one.amount), scope=check.rule, limit=format_sats(limit),
        window=" an hour" if check.window == HOUR else " a day",
        left=f": {format_sats(max(0, one.amount - excess))} left{later}", wait=", wait" if later else "",
    )  # fmt: skip


def _over_single(one: Spend, scope: str, limit: int) -> OverLimit:
    return OverLimit(
        needed=format_cost(one.amount), scope=scope, limit=format_sats(limit), window=" for one spend", left="", wait=""
    )


def _span(ms: int) -> str:
    """A time to wait, in whole minutes upwards: `42 min`, `3 h 5 min`."""
    hours, minutes = divmod(-(-ms // MINUTE), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
