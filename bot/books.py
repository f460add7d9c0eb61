"""`timmy ledger …`: the books of a data folder, read and proved whether its hub runs or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.app import look_at_books
from core.errors import UserError
from core.money import format_sats, to_sats
from core.tokens import CONSOLE_OWNER
from core.wallet.ledger import user_account

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
    rows = look_at_books(settings, lambda tx: tx.books.accounts())
    facts = [
        {
            "account": row.name,
            "balance_sats": to_sats(row.posted),
            "balance_msat": row.posted,
            "held_sats": to_sats(row.held),
        }
        for row in rows
    ]
    lines = [f"{row.name:32} {format_sats(row.posted):>18}  {format_sats(row.held)} held" for row in rows]
    return json.dumps({"ok": True, "accounts": facts}) if as_json else "\n".join(lines)


def movements(settings: Settings, account: str | None, limit: int, *, as_json: bool) -> str:
    """An account's movements, newest first."""
    name = account or user_account(CONSOLE_OWNER)
    if account is not None and not look_at_books(settings, lambda tx: tx.books.has(account)):
        raise UnknownAccount(given=repr(account[:60]))
    lines = look_at_books(settings, lambda tx: tx.books.history(name, limit))
    facts = [
        {
            "id": line.id, "at": line.at, "amount_msat": line.amount, "kind": line.kind, "task": line.task,
            "reason": line.reason, "other": line.other,
        }
        for line in lines
    ]  # fmt: skip
    if as_json:
        return json.dumps({"ok": True, "account": name, "history": facts})
    words = [f"{to_sats(line.amount):+,} sats  {line.kind}  {line.reason}  ({line.other})" for line in lines]
    count = "1 movement" if len(lines) == 1 else f"{len(lines):,} movements"
    return "\n".join([f"{name}: the last {count}, newest first" if lines else f"{name}: no movements yet", *words])
