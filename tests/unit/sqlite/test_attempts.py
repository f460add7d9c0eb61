"""Attempts of payments that are older than their table."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

from adapters.sqlite.connection import SCHEMA, connect
from adapters.sqlite.payment_store import PaymentRows

if TYPE_CHECKING:
    from pathlib import Path

OLD = (
    "INSERT INTO payment (payment_hash, bolt11, account, payee, amount, chosen, fee_limit, actor, conversation, reason, expires_at,"
    " at, attempt, state) VALUES (?, 'ln', 'user:a', '03', 1000, 0, 10, 'a', '', '', 9, 5, ?, ?)"
)


def test_payments_from_before_keep_their_place_and_what_may_have_been_begun_counts_as_begun(tmp_path: Path) -> None:
    schema, path = tmp_path / "schema", tmp_path / "data" / "hub.db"
    path.parent.mkdir()
    shutil.copytree(SCHEMA, schema, ignore=lambda _, names: [name for name in names if name[:4] > "0017"])
    rows = [(bytes([number]) * 32, attempt, state) for number, attempt, state in (
        (1, 1, "prepared"), (2, 1, "sending"), (3, 2, "failed"), (4, 1, "succeeded"),
    )]  # fmt: skip
    with closing(connect(path, schema)) as connection:
        connection.executemany(OLD, rows)
    with closing(connect(path)) as connection:
        store = PaymentRows(connection)
        found = [store.find(digest) for digest, *_ in rows]
        assert [one and (one.state.value, one.begun, one.given_up) for one in found] == [
            ("prepared", False, False), ("sending", True, False), ("failed", True, False), ("succeeded", True, False),
        ]  # fmt: skip
        before = [store.before(digest) for digest, *_ in rows]
        assert [len(some) for some in before] == [0, 0, 1, 0]
        (first,) = before[2]
        assert (first.attempt, first.amount, first.begun, first.state.value) == (1, 1000, True, "failed")
