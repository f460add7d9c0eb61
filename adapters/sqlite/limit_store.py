"""Limits, the freeze, and what was spent, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.wallet.limits import MINUTE, SOLD, Counted, Freeze, Rules

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from core.wallet.limits import Path, Row

_FROZEN = "frozen"
_RULES = (
    "SELECT scope, coalesce(amount, preset), '', grants FROM limit_rule WHERE coalesce(amount, preset) IS NOT NULL"  # noqa: S608
    f" UNION ALL SELECT '{_FROZEN}', at, by, 0 FROM freeze"
)


class LimitRows:
    """`core.wallet.limits.LimitStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rules: Rules | None = None

    def renew(self) -> None:
        """Look again at the next question: a transaction began, or something of it was undone."""
        self._rules = None

    def rules(self) -> Rules:
        """See `LimitStore`. Asked at every step that spends, so read once a transaction."""
        if self._rules is None:
            self._rules = self._read()
        return self._rules

    def _read(self) -> Rules:
        freeze, amounts, bounds = None, {}, []
        for scope, amount, by, grants in self._connection.execute(_RULES):
            if scope == _FROZEN:
                freeze = Freeze(amount, by)
            else:
                amounts[scope] = amount
                bounds += [] if grants else [scope]
        return Rules(amounts, freeze, frozenset(bounds))

    def put_rule(self, scope: str, amount: int | None, *, grants: bool = True) -> None:
        """See `LimitStore`."""
        self._put("amount", scope, amount)
        self._connection.execute("UPDATE limit_rule SET grants = ? WHERE scope = ?", (int(grants), scope))

    def preset(self, scope: str, amount: int | None) -> None:
        """See `LimitStore`."""
        self._put("preset", scope, amount)

    def _put(self, column: str, scope: str, amount: int | None) -> None:
        self.renew()
        self._connection.execute(
            f"INSERT INTO limit_rule (scope, {column}) VALUES (?, ?)"  # noqa: S608 - constants
            f" ON CONFLICT (scope) DO UPDATE SET {column} = excluded.{column}",
            (scope, amount),
        )

    def freeze(self, by: str, now: int) -> None:
        """See `LimitStore`."""
        self.renew()
        self._connection.execute("INSERT INTO freeze VALUES (1, ?, ?)", (now, by))

    def thaw(self) -> None:
        """See `LimitStore`."""
        self.renew()
        self._connection.execute("DELETE FROM freeze")

    def counted(self, key: str) -> Counted | None:
        """See `LimitStore`."""
        row = self._connection.execute(
            "SELECT account, asked, amount FROM spend WHERE key = ? AND scope IN ('', ?)", (key, SOLD)
        ).fetchone()
        return None if row is None else Counted(*row)

    def scopes(self, key: str) -> set[str]:
        """See `LimitStore`."""
        return {scope for (scope,) in self._connection.execute("SELECT scope FROM spend WHERE key = ?", (key,))}

    def count(self, key: str, path: Path, amount: int, rows: Sequence[Row], now: int) -> None:
        """See `LimitStore`."""
        self._connection.executemany(
            "INSERT INTO spend (key, scope, account, path, asked, amount, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(key, scope, account, path.value, amount, amount, now) for account, scope in rows],
        )

    def change(self, key: str, amount: int) -> None:
        """See `LimitStore`."""
        self._connection.execute("UPDATE spend SET amount = ? WHERE key = ?", (amount, key))

    def void(self, key: str) -> None:
        """See `LimitStore`."""
        self._connection.execute("DELETE FROM spend WHERE key = ?", (key,))

    def bring_along(self, source: str, target: str) -> None:
        """See `LimitStore`."""
        self._connection.execute(
            "INSERT INTO spent SELECT ?, scope, minute, path, amount FROM spent WHERE account = ?"
            " ON CONFLICT DO UPDATE SET amount = min(amount + excluded.amount, 9000000000000000000)",
            (target, source),
        )

    def total(self, row: Row, since: int) -> int:
        """See `LimitStore`. In two parts, as the sum of many amounts may be more than 63 bits hold."""
        whole, rest = self._connection.execute(
            "SELECT coalesce(sum(amount / 1000000), 0), coalesce(sum(amount % 1000000), 0) FROM spent"
            " WHERE account = ? AND scope = ? AND minute >= ?",
            (*row, since // MINUTE),
        ).fetchone()
        return int(whole) * 1_000_000 + int(rest)

    def spent(self, row: Row, since: int) -> list[tuple[int, int, str]]:
        """See `LimitStore`."""
        return self._connection.execute(
            "SELECT minute, amount, path FROM spent WHERE account = ? AND scope = ? AND minute >= ? AND amount > 0"
            " ORDER BY minute",
            (*row, since // MINUTE),
        ).fetchall()
