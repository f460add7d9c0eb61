"""Approvals as rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from core.approval import Approval, State
from core.chat import Role

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = (
    "id, kind, action, digest, words, asked_by, conversation, approvers, needs, created_at, expires_at, state, decided_by,"
    " decided_at, outcome, exact, askers, error, tries"
)


class ApprovalRows:
    """`core.approval.ApprovalStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, approval: Approval) -> Approval:
        """See `ApprovalStore`."""
        cursor = self._connection.execute(
            f"INSERT INTO approval ({_COLUMNS.removeprefix('id, ')}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                approval.kind, approval.action, approval.digest, approval.words, approval.asked_by, approval.conversation,
                json.dumps(approval.approvers), approval.needs.value, approval.created_at, approval.expires_at,
                approval.state.value, approval.decided_by, approval.decided_at, approval.outcome,
                int(approval.exact), json.dumps(approval.askers), approval.error,
                approval.tries,
            ),
        )  # fmt: skip
        return approval._replace(id=cursor.lastrowid or 0)

    def find(self, number: int) -> Approval | None:
        """See `ApprovalStore`."""
        row = self._connection.execute(f"SELECT {_COLUMNS} FROM approval WHERE id = ?", (number,)).fetchone()  # noqa: S608
        return None if row is None else _approval(*row)

    def put(self, approval: Approval) -> None:
        """See `ApprovalStore`."""
        self._connection.execute(
            "UPDATE approval SET state = ?, decided_by = ?, decided_at = ?, outcome = ?, error = ?, tries = ? WHERE id = ?",
            (
                approval.state.value,
                approval.decided_by,
                approval.decided_at,
                approval.outcome,
                approval.error,
                approval.tries,
                approval.id,
            ),
        )

    def pending(self) -> list[Approval]:
        """See `ApprovalStore`."""
        query = f"SELECT {_COLUMNS} FROM approval WHERE state IN ('open', 'approved') ORDER BY id"  # noqa: S608
        return [_approval(*row) for row in self._connection.execute(query)]

    def shown(self, number: int, question: int) -> None:
        """See `ApprovalStore`."""
        self._connection.execute("INSERT OR IGNORE INTO approval_question VALUES (?, ?)", (number, question))

    def questions(self, number: int) -> list[int]:
        """See `ApprovalStore`."""
        query = "SELECT outgoing FROM approval_question WHERE approval = ? ORDER BY outgoing"
        return [outgoing for (outgoing,) in self._connection.execute(query, (number,))]


def _approval(*row: Any) -> Approval:
    number, kind, action, digest, words, asked_by, conversation, approvers, needs, created, expires, state, *rest = row
    decided_by, decided_at, outcome, exact, askers, error, tries = rest
    return Approval(
        number, kind, action, digest, words, asked_by, conversation, tuple(json.loads(approvers)), Role(needs), created, expires,
        State(state), decided_by, decided_at, outcome, bool(exact), tuple(json.loads(askers)),
        error, tries,
    )  # fmt: skip
