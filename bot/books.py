"""`timmy ledger …`: the books of a data folder, read and proved whether its hub runs or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot import statement
from bot.parts.looks import look_at_books
from bot.parts.nodes import SIMULATED
from core.errors import UserError
from core.money import MSAT, to_sats
from core.tokens import CONSOLE_OWNER
from core.wallet.ledger import user_account
from core.wallet.statement import explain

if TYPE_CHECKING:
    from config.settings import Settings


class UnknownAccount(UserError):
    """There is no account {given} in the books. timmy ledger balance lists them."""

    status = 404


def prove(settings: Settings, *, as_json: bool) -> str:
    """Walk the whole chain. Raises `BooksBroken`, saying where."""
    proof = look_at_books(settings, lambda tx: tx.books.prove())
    facts = {
        "ok": True, "entries": proof.entries, "postings": proof.postings, "accounts": proof.accounts,
        "open_holds": proof.open_holds, "head": proof.head,
    }  # fmt: skip
    counts = (
        (proof.entries, "entry", "entries"), (proof.postings, "posting", "postings"), (proof.accounts, "account", "accounts"),
        (proof.open_holds, "open hold", "open holds"),
    )  # fmt: skip
    said = ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in counts)
    words = f"The books balance: {said}\nhead {proof.head}"
    return json.dumps(facts) if as_json else words


def balances(settings: Settings, *, as_json: bool) -> str:
    """Every account that has or owes something."""
    rows, book = look_at_books(settings, lambda tx: (tx.books.accounts(), tx.books.identity()))
    facts = [
        {
            "account": row.name,
            "balance_sats": to_sats(row.posted),
            "balance_msat": row.posted,
            "held_sats": to_sats(row.held),
        }
        for row in rows
    ]
    lines = [f"{row.name:32} {_exact(row.posted):>22}  {_exact(row.held)} held" for row in rows]
    if as_json:
        return json.dumps({"ok": True, "simulated": _simulated(book), "accounts": facts})
    return "\n".join([*lines, *(["These sats are simulated"] if _simulated(book) else [])])


def movements(
    settings: Settings, account: str | None, limit: int, start: int | None = None, *, as_json: bool
) -> str:  # fmt: skip
    """Why an account has what it has: its movements, newest first (from entry `start` on back in time), holds, and their sum."""
    name = account or user_account(CONSOLE_OWNER)

    if account is not None and not look_at_books(settings, lambda tx: tx.books.has(account)):
        raise UnknownAccount(given=repr(account[:60]))
    found, book = look_at_books(
        settings,
        lambda tx: (explain(tx.statements, tx.ledger.account(name), limit, start), tx.books.identity()),
    )
    simulated = _simulated(book)
    if as_json:
        return json.dumps(statement.facts(found, simulated=simulated))
    zone = ZoneInfo(settings.timezone) if settings.timezone else None
    return "\n".join(statement.words(found, limit, zone, simulated=simulated))


def _exact(msat: int) -> str:
    """`1 sat`, `9,249.750 sats`."""
    return f"{statement.exact(msat)} {'sat' if msat == MSAT else 'sats'}"


def _simulated(book: tuple[str, str] | None) -> bool:
    return book is not None and book[0] == SIMULATED
