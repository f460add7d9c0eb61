"""The service that moves sats. Every move is part of a unit of work that somebody else began, so state and money agree.

A task's budget is held on its requester's account; the award turns the price into escrow and lets the rest go; the
escrow ends at the worker, or comes back (MONEY, "Ledger"). The hub's own personas earn for the treasury.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.access import Action, authorize
from core.chat import Role
from core.errors import UserError
from core.events import Event, Kind
from core.money import format_sats, to_sats
from core.tokens import CONSOLE_OWNER, TokenKind, TokenTx, account_of, check_actor, home_of
from core.wallet import limits
from core.wallet.ledger import (
    EXTERNAL,
    HoldState,
    KeyConflict,
    agent_account,
    escrow_account,
    transfer,
    user_account,
    wallet_of,
)
from core.wallet.limits import LimitTx, Path, Spend, task_key

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from core.chat import Caller
    from core.events import Json
    from core.store import Store
    from core.wallet.ledger import (
        AccountRow,
        Entry,
        NotEnoughSats,
        Proof,
    )


class LedgerStore(Protocol):
    """The books, inside one unit of work."""

    def append(self, entry: Entry) -> int:
        """Book an entry and return its number; the same key and request again return the first number. Raises `KeyConflict`."""

    def hold(self, account: str, target: str, amount: int, task: int | None) -> int:
        """Set `amount` msat aside and return the hold's number. Raises `NotEnoughSats`."""

    def close_hold(self, hold: int, state: HoldState) -> int:
        """Post or void an open hold, once, and return its amount. Raises `HoldClosed`."""

    def account(self, name: str) -> AccountRow:
        """An account's figures; zeros where it does not exist yet."""

    def short(self, account: str, needed: int) -> NotEnoughSats:
        """That an account has less than is `needed`, msat."""


class Books(Protocol):
    """Reading the books, from a snapshot."""

    def history(self, account: str, limit: int, start: int | None = None) -> list[HistoryLine]:
        """The newest movements of an account, newest first; from entry `start` on backwards, if given."""

    def in_escrow(self, account: str) -> int:
        """What an account's tasks under way have in escrow, msat."""

    def held_to_pay(self, account: str) -> int:
        """What is held of an account for payments under way, msat."""

    def accounts(self) -> list[AccountRow]:
        """Every account but finished escrows."""

    def prove(self) -> Proof:
        """Walk all entries and prove them. Raises `BooksBroken`."""


class LedgerTx(LimitTx, Protocol):
    """A unit of work that can move money, within the limits."""

    @property
    def ledger(self) -> LedgerStore:
        """The books."""


class NobodysWallet(UserError):
    """{given} was never let in here, and has no wallet. /pair lets people in."""

    status = 404


class OwnWallet(UserError):
    """{given} is of your own account, so its sats are yours already. Nothing was moved."""


class BooksTx(LedgerTx, TokenTx, Protocol):
    """A unit of work that can move money, read the books, and knows who people are."""

    @property
    def books(self) -> Books:
        """The books, read only."""


class People(Protocol):
    """Who people are."""

    def as_now(self, tx: TokenTx, caller: Caller, /) -> Caller:
        """Who asked, as they stand in this unit of work. Raises `NotAsYouWere`."""

    def standing_in(self, tx: TokenTx, actor: str, /) -> tuple[str, Role]:
        """The identity that an actor is linked to (itself if to none), and their role."""


class HistoryLine(NamedTuple):
    """A movement as its account's owner reads it; `amount` in msat, negative when it left.

    `payment` and `payee`: the hash of the Lightning payment that it books, and whom that paid (empty where it came in).
    """

    id: int
    at: int
    amount: int
    kind: str
    task: int | None
    reason: str
    other: str
    payment: bytes | None = None
    payee: str = ""


class Balance(NamedTuple):
    """What an account has, msat: everything, and the part of it that is held; apart from it, what is in escrow.

    `payments`: the part of what is held that is for payments under way; the rest is for open tasks.
    """

    posted: int
    held: int
    escrow: int
    simulated: bool
    payments: int = 0


def owner_of(account: str) -> str:
    """Whose an account is: a wallet its person's, everything else the owners'."""
    wallet = user_account("")
    return account.removeprefix(wallet) if account.startswith(wallet) else CONSOLE_OWNER


def hold_budget(
    tx: LedgerTx, *, account: str, task: int, amount: int, agent: str | None = None, path: Path = Path.TASK
) -> int:
    """Set a new task's budget aside; returns the hold. `agent`: the only one that may win it; `path`: the way it is spent.

    Raises `NotEnoughSats`, and what `limits.spend` does.
    """
    limits.spend(tx, Spend(wallet_of(account), amount, path, task_key(task, 1), agent=agent))
    return tx.ledger.hold(account, escrow_account(task), amount, task)


def release(tx: LedgerTx, *, task: int, attempt: int, hold: int) -> None:
    """Give a held budget back."""
    limits.void(tx, task_key(task, attempt))
    tx.ledger.close_hold(hold, HoldState.VOID)


def price_of(  # noqa: PLR0913
    *, account: str, task: int, attempt: int, price: int, agent: str, kind: str, path: Path = Path.TASK
) -> Spend:
    """What the award of a task spends. `kind`: the class of the work, empty where it has none."""
    return Spend(wallet_of(account), price, path, task_key(task, attempt), agent=agent, kind=kind)


def to_escrow(tx: LedgerTx, *, account: str, hold: int, spent: Spend, task: int, attempt: int, actor: str) -> None:  # noqa: PLR0913
    """Spend a price (`price_of`) of a hold into the task's escrow and let the rest go. Raises what `limits.award` does."""
    limits.award(tx, spent)
    tx.ledger.close_hold(hold, HoldState.POSTED)
    tx.ledger.append(
        transfer(
            f"task:{task}:{attempt}:escrow", "escrow", account, escrow_account(task), spent.amount,
            task=task, actor=actor, reason="price of the winning bid",
        )
    )  # fmt: skip


def pay_worker(tx: LedgerTx, *, task: int, attempt: int, target: str, price: int, actor: str, worker: str) -> None:  # noqa: PLR0913
    """Pay the escrow out to the worker's account (or, for the hub's own personas, the treasury)."""
    tx.ledger.append(
        transfer(
            f"task:{task}:{attempt}:settle", "settle", escrow_account(task), target, price,
            task=task, actor=actor, reason=f"paid to {worker}",
        )
    )  # fmt: skip


def refund(tx: LedgerTx, *, account: str, task: int, attempt: int, price: int, actor: str, why: str) -> None:  # noqa: PLR0913
    """Give the escrow back to the requester."""
    limits.void(tx, task_key(task, attempt))
    tx.ledger.append(
        transfer(
            f"task:{task}:{attempt}:refund", "refund", escrow_account(task), account, price,
            task=task, actor=actor, reason=why,
        )
    )  # fmt: skip


def hold_again(
    tx: LedgerTx, *, account: str, task: int, attempt: int, budget: int, path: Path = Path.TASK
) -> tuple[int, int]:
    """Hold a refunded task's budget for its next auction, or as much of it as is left; returns (hold, msat held).

    The limits may leave less than there is.
    """
    amount = min(budget, tx.ledger.account(account).available)
    amount = limits.fit(tx, Spend(wallet_of(account), amount, path, task_key(task, attempt)))
    return tx.ledger.hold(account, escrow_account(task), amount, task), amount


def move_all(tx: LedgerTx, *, key: str, source: str, target: str, actor: str, reason: str) -> int:
    """Move everything that is in a person's account to another of theirs; returns it, msat.

    It stays theirs, so no limit counts it. Raises `NotEnoughSats` where some of it is held, and `Frozen`.
    """
    amount = tx.ledger.account(source).posted
    if amount:
        limits.refuse_frozen(tx)
        tx.ledger.append(transfer(key, "link", source, target, amount, task=None, actor=actor, reason=reason))
    return amount


class Wallet:
    """Balances, history and transfers, for people; grants, for a new simulated book."""

    def __init__(self, store: Store[BooksTx], people: People, *, simulated: bool) -> None:
        self._store = store
        self._people = people
        self.simulated = simulated

    async def grant(self, name: str, amount: int) -> bool:
        """Give a new simulated book's owner `amount` msat, once per book; True if it was given now."""

        def work(tx: BooksTx) -> bool:
            if tx.applied("book:grant") is not None:
                return False
            if amount:
                tx.ledger.append(
                    transfer(
                        "book:grant", "grant", EXTERNAL, user_account(name), amount,
                        task=None, actor="hub", reason="simulated sats to start with",
                    )
                )  # fmt: skip
            tx.mark("book:grant", str(amount))
            tx.emit(Event(Kind.BOOK_OPENED, data={"granted": format_sats(amount), "simulated": True}))
            return True

        return self.simulated and await self._store.write(work)

    async def balance(self, account: str) -> Balance:
        """The figures of an account."""

        def work(tx: BooksTx) -> Balance:
            row = tx.ledger.account(account)
            paying = tx.books.held_to_pay(account)
            return Balance(row.posted, row.held, tx.books.in_escrow(account), self.simulated, paying)

        return await self._store.read(work)

    async def history(self, account: str, limit: int, start: int | None = None) -> Sequence[HistoryLine]:
        """The newest `limit` movements, newest first; from entry `start` on backwards, if given."""
        return await self._store.read(lambda tx: tx.books.history(account, limit, start))

    async def transfer(self, caller: Caller, payee: str, amount: int, key: str, *, by: str = "") -> int:
        """Pay `amount` msat of the caller's to another person of this hub; returns the number of the entry.

        `by`: the account of whoever agreed, where that was another than the caller. The same key again pays nothing more.
        Raises what `limits.spend` does, `NobodysWallet`, `OwnWallet`, `NotEnoughSats`.
        """
        authorize(caller, Action.PAY)
        check_actor(payee)
        facts = f"{payee} {amount}"

        def work(tx: BooksTx) -> int:
            if (done := tx.applied(_made(key))) is not None:
                entry, _, paid = done.partition(" ")
                if paid != facts:
                    raise KeyConflict(key=key)
                return int(entry)
            now = self._people.as_now(tx, caller)
            number = move(
                tx, source=now.payer, target=self._payee(tx, now, payee), amount=amount, key=key, actor=now.recorded,
                by=by or now.payer,
            )  # fmt: skip
            tx.mark(_made(key), f"{number} {facts}")
            return number

        return await self._store.write(work)

    async def workers(self) -> Collection[str]:
        """Workers of others: those that have a token, and those that have an account."""

        def work(tx: BooksTx) -> Collection[str]:
            tokens = {row.name.lower() for row in tx.tokens.live() if row.kind == TokenKind.WORKER}
            accounts = {row.name for row in tx.books.accounts() if row.name.startswith(agent_account(""))}
            return tokens | {name.removeprefix(agent_account("")) for name in accounts}

        return await self._store.read(work)

    async def transferred(self, key: str) -> bool:
        """Whether `transfer` was made under this key."""
        return await self._store.read(lambda tx: tx.applied(_made(key))) is not None

    def _payee(self, tx: BooksTx, caller: Caller, payee: str) -> str:
        """Whose wallet it goes to."""
        root, role = self._people.standing_in(tx, payee)
        if role is Role.GUEST or home_of(payee) is None:
            raise NobodysWallet(given=payee)
        account = account_of(root, role)
        if account == caller.payer or caller.means(account):
            raise OwnWallet(given=payee)
        return account


def _made(key: str) -> str:
    """What a transfer that was made is kept under."""
    return f"{key}/transfer"


def move(tx: LedgerTx, *, source: str, target: str, amount: int, key: str, actor: str, by: str) -> int:  # noqa: PLR0913
    """Move msat from one person's wallet to another's, within the limits; returns the number of the entry.

    `by`: the account of whoever decides it. Raises `NotEnoughSats`, and what `limits.spend` does.
    """
    key = f"transfer:{key}"
    limits.spend(tx, Spend(user_account(source), amount, Path.TRANSFER, key, by=by))
    entry = transfer(
        key, "transfer", user_account(source), user_account(target), amount,
        task=None, actor=actor, reason=f"{source} to {target}",
    )  # fmt: skip
    number = tx.ledger.append(entry)
    data: dict[str, Json] = {
        "from": source, "to": target, "amount_sats": to_sats(amount), "entry": number, "by": actor,
    }  # fmt: skip
    tx.emit(Event(Kind.SATS_TRANSFERRED, data=data))
    return number
