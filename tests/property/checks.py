"""The invariants of any books, read from outside with SQL of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def balanced(view: sqlite3.Connection) -> set[str]:
    """1, 2, 3: zero sums; balances are the sums of postings and of open holds; floors hold. Returns who is below zero."""
    accounts = {name: tuple(row) for name, *row in view.execute("SELECT name, posted, held, floor FROM account")}
    entries: Counter[int] = Counter()
    sums: Counter[str] = Counter()
    for txn, account, amount in view.execute("SELECT txn, account, amount FROM posting"):
        assert amount != 0
        entries[txn] += amount
        sums[account] += amount
    assert not any(entries.values())
    held: Counter[str] = Counter()
    for account, amount in view.execute("SELECT account, amount FROM hold WHERE state = 'open'"):
        held[account] += amount
    assert {name: (sums[name], held[name]) for name in accounts} == {n: row[:2] for n, row in accounts.items()}
    assert set(sums) | set(held) <= set(accounts)
    assert all(floor is None or posted - aside >= floor for posted, aside, floor in accounts.values())
    return {name for name, (posted, aside, _) in accounts.items() if posted - aside < 0}
