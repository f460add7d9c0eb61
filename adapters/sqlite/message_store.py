"""Inbox and outbox as rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.chat import Button, File, Inbound, Outgoing, Reply

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_INBOUND = "id, surface, account, update_id, conversation, actor, text, private, acting_for"


class MessageRows:
    """`core.messages.MessageStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def receive(self, message: Inbound, now: int) -> int:
        """See `MessageStore`."""
        row = self._connection.execute(
            "INSERT INTO inbound (surface, account, update_id, conversation, actor, acting_for, private, text, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (surface, account, update_id) DO NOTHING RETURNING id",
            (
                message.surface, message.account, message.update, message.conversation, message.actor,
                message.acting_for, int(message.private), message.text, now,
            ),
        ).fetchone()  # fmt: skip
        return 0 if row is None else int(row[0])

    def unanswered(self) -> list[Inbound]:
        """See `MessageStore`."""
        rows = self._connection.execute(f"SELECT {_INBOUND} FROM inbound WHERE done = 0 ORDER BY id")  # noqa: S608
        return [
            Inbound(
                surface, account, update, conversation, actor, text,
                private=bool(private), acting_for=acting_for, id=number,
            )
            for number, surface, account, update, conversation, actor, text, private, acting_for in rows
        ]  # fmt: skip

    def done(self, number: int) -> None:
        """See `MessageStore`."""
        self._connection.execute("UPDATE inbound SET done = 1 WHERE id = ?", (number,))

    def queue(self, surface: str, conversation: str, reply: Reply, cause: str | None, now: int) -> Outgoing:
        """See `MessageStore`."""
        cursor = self._connection.execute(
            "INSERT INTO outgoing (surface, conversation, cause, body, state, at) VALUES (?, ?, ?, ?, 'sending', ?)",
            (surface, conversation, cause, _dump(reply), now),
        )
        return Outgoing(cursor.lastrowid or 0, surface, conversation, reply, cause)

    def mark(self, numbers: Sequence[int], state: str, platform_id: str | None = None) -> None:
        """See `MessageStore`."""
        self._connection.executemany(
            "UPDATE outgoing SET state = ?1, tries = tries + (?1 = 'sending'), platform_id = ?2 WHERE id = ?3",
            [(state, platform_id, number) for number in numbers],
        )

    def waiting(self, surface: str, limit: int) -> list[Outgoing]:
        """See `MessageStore`."""
        rows = self._connection.execute(
            "SELECT id, surface, conversation, body, cause, state FROM outgoing WHERE state IN ('queued', 'sending')"
            " AND surface = ? ORDER BY id LIMIT ?",
            (surface, limit),
        )
        return [
            Outgoing(number, surface, conversation, _load(body), cause, again=state == "sending")
            for number, surface, conversation, body, cause, state in rows
        ]

    def backlog(self) -> int:
        """How many messages wait to be sent."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM outgoing WHERE state IN ('queued', 'sending')"
        ).fetchone()
        return int(count)


def _dump(reply: Reply) -> str:
    """Lists are for the program that asked, if it is still there: who comes later reads the text."""
    data = {key: value for key, value in reply.data.items() if not isinstance(value, list)}
    body: dict[str, object] = {"text": reply.text, "data": data}
    if reply.task is not None:
        body["task"] = reply.task
    if reply.buttons:
        body["buttons"] = [[button.label, button.command] for button in reply.buttons]
    if reply.files:
        body["files"] = [[file.name, file.path] for file in reply.files]
    return json.dumps(body, separators=(",", ":"))


def _load(text: str) -> Reply:
    body = json.loads(text)
    return Reply(
        body["text"], body["data"], body.get("task"),
        buttons=tuple(Button(*pair) for pair in body.get("buttons", ())),
        files=tuple(File(*pair) for pair in body.get("files", ())),
    )  # fmt: skip
