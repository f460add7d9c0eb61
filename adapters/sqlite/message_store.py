"""Inbox and outbox as rows. What only some messages have is kept as JSON, so that the usual one stays a short row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.chat import Attachment, Button, Choice, File, Inbound, Mark, Outgoing, Reply, Style
from core.messages import Announcement, Delivered, Tapped

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

MAX_TAP = 24
_DIGITS = 19
"""SQLite's integers have 18 digits and a little more."""

MAX_ANNOUNCED = 20

_INBOUND = "id, surface, account, update_id, conversation, actor, text, private, acting_for, more"
OUTGOING = "id, surface, conversation, body, cause, state, replaces, platform_id"
_OVERTAKEN = """
    SELECT id FROM outgoing
    WHERE state IN ('queued', 'sending') AND (state = 'queued' OR id <= ?) AND surface = ? AND cause IS NULL AND (
        json_extract(body, '$.choice[1]') <= ?
        OR (json_extract(body, '$.choice') IS NOT NULL AND chosen IS NOT NULL)
        OR EXISTS (
            SELECT 1 FROM approval_question AS asked JOIN approval ON approval.id = approval
            WHERE asked.outgoing = outgoing.id AND approval.state NOT IN ('open', 'approved')
        )
        OR EXISTS (
            SELECT 1 FROM task
            WHERE task.id = json_extract(body, '$.task') AND json_extract(body, '$.data.waits') = 'people'
            AND (status, attempt) <> (json_extract(body, '$.data.status'), json_extract(body, '$.data.attempt'))
        )
        OR EXISTS (
            SELECT 1 FROM task
            WHERE task.id = CAST(substr(json_extract(body, '$.data.about'), 3) AS INTEGER)
            AND status IN ('settled', 'failed', 'cancelled', 'expired')
        )
    )
"""
"""Questions that are none any more; `waits` and `about` say of which task one is (`bot/views.py`, `bot/proxies.py`)."""

_QUESTION = (
    "SELECT id, body FROM outgoing WHERE conversation = ? AND chosen IS NULL AND json_extract(body, '$.choice') IS NOT NULL"
    " AND state IN ('sent', 'sending') AND json_extract(body, '$.choice[0]') IN (SELECT value FROM json_each(?))"
    " AND json_extract(body, '$.choice[1]') > ?"
    " AND NOT EXISTS (SELECT 1 FROM json_each(body, '$.buttons') AS button, json_each(?) AS but"
    " WHERE (button.value ->> 1) || ' ' LIKE but.value || ' %')"
    " ORDER BY id DESC LIMIT 1"
)
_BEFORE = (
    f"SELECT {_INBOUND} FROM inbound WHERE id < ?1 AND conversation = ?3"  # noqa: S608
    " AND id > (SELECT coalesce(max(id), 0) FROM inbound WHERE id < ?1 AND at < ?2)"  # nothing older is read
    " AND actor IN (SELECT value FROM json_each(?4)) ORDER BY id DESC LIMIT ?5"
)
_TAP = (
    "SELECT body, coalesce(thread.conversation, outgoing.conversation), platform_id, cause FROM outgoing LEFT JOIN thread"
    " ON thread.task = outgoing.task AND thread.conversation = outgoing.conversation || '/' || platform_id WHERE id = ?1"
    " AND (outgoing.conversation = ?2 OR substr(outgoing.conversation, 1, length(?2) + 1) = ?2 || '/')"
)
_MOVE = "UPDATE OR IGNORE {} SET {} = ?2 || substr({}, length(?1) + 1) WHERE ({} = ?1 OR {} GLOB ?1 || '/*'){}"
_MOVED = (
    ("task", "conversation", ""), ("thread", "conversation", ""),
    ("outgoing", "conversation", " AND state IN ('queued', 'sending')"),
    ("notice_wish", "place", ""), ("held_notice", "place", ""),
    ("inbound", "conversation", " AND done = 0"), ("turn", "conversation", ""), ("conversation", "id", ""),
    ("summary", "conversation", ""),
    ("memory", "name", " AND scope = 'place'"),
    ("schedule", "conversation", ""), ("briefing", "reader", ""),
)  # fmt: skip


class MessageRows:
    """`core.messages.MessageStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def receive(self, message: Inbound, now: int) -> int:
        """See `MessageStore`."""
        row = self._connection.execute(
            "INSERT INTO inbound (surface, account, update_id, conversation, actor, acting_for, private, text, at, more)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (surface, account, update_id) DO NOTHING RETURNING id",
            (
                message.surface, message.account, message.update, message.conversation, message.actor,
                message.acting_for, int(message.private), message.text, now, _dump_more(message),
            ),
        ).fetchone()  # fmt: skip
        return 0 if row is None else int(row[0])

    def unanswered(self) -> list[Inbound]:
        """See `MessageStore`."""
        rows = self._connection.execute(f"SELECT {_INBOUND} FROM inbound WHERE done = 0 ORDER BY id")  # noqa: S608
        return [_inbound(*row) for row in rows]

    def done(self, number: int) -> None:
        """See `MessageStore`."""
        self._connection.execute("UPDATE inbound SET done = 1 WHERE id = ?", (number,))

    def heard(self, number: int, text: str) -> None:
        """See `MessageStore`."""
        self._connection.execute(
            "UPDATE inbound SET text = ?, more = json_set(json_remove(more, '$.files'), '$.spoken', json('true')) WHERE id = ?",
            (text, number),
        )

    def speak(self, conversation: str, *, on: bool) -> None:
        """See `MessageStore`."""
        self._connection.execute(
            "INSERT INTO conversation (id, voice) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET voice = excluded.voice",
            (conversation, int(on)),
        )

    def speaks(self, conversation: str) -> bool:
        """See `MessageStore`."""
        row = self._connection.execute("SELECT voice FROM conversation WHERE id = ?", (conversation,)).fetchone()
        return row is not None and bool(row[0])

    def queue(
        self, surface: str, conversation: str, reply: Reply, cause: str | None, now: int, *, replaces: str | None = None
    ) -> Outgoing:
        """See `MessageStore`."""
        cursor = self._connection.execute(
            "INSERT INTO outgoing (surface, conversation, cause, body, state, at, task, replaces)"
            " VALUES (?, ?, ?, ?, 'sending', ?, ?, ?)",
            (surface, conversation, cause, dump(reply), now, reply.task, replaces),
        )
        number = cursor.lastrowid or 0
        return Outgoing(number, surface, conversation, reply, cause, taps=_taps(number, reply), replaces=replaces)

    def mark(self, numbers: Sequence[int], state: str, sent: Sequence[str] = ()) -> None:
        """See `MessageStore`."""
        self._connection.executemany(
            "UPDATE outgoing SET state = ?1, tries = tries + (?1 = 'sending'), platform_id = coalesce(?2, platform_id)"
            " WHERE id = ?3 AND (?1 <> 'queued' OR state NOT IN ('sent', 'dead'))",
            [(state, ",".join(sent) or None, number) for number in numbers],
        )

    def waiting(self, surface: str, limit: int, *, after: int, lost: int) -> list[Outgoing]:
        """See `MessageStore`."""
        rows = self._connection.execute(
            f"SELECT {OUTGOING} FROM outgoing WHERE state IN ('queued', 'sending') AND (state = 'queued' OR id <= ?)"  # noqa: S608
            " AND surface = ? AND id > ? ORDER BY id LIMIT ?",
            (lost, surface, after, limit),
        )
        return [outgoing(*row) for row in rows]

    def overtaken(self, surface: str, now: int, *, lost: int) -> list[int]:
        """See `MessageStore`. What is agreed to and not done yet may be open again."""
        rows = self._connection.execute(_OVERTAKEN, (lost, surface, now))
        return [number for (number,) in rows]

    def notices(self) -> list[tuple[int, str, str]]:
        """See `MessageStore`."""
        rows = self._connection.execute(
            "SELECT id, conversation, json_extract(body, '$.data.surface') FROM outgoing WHERE state IN ('queued', 'sending')"
            " AND cause IS NULL AND json_extract(body, '$.data.surface') IS NOT NULL"
        )
        return [(number, conversation, surface) for number, conversation, surface in rows]

    def withdraw(self, numbers: Sequence[int]) -> None:
        """See `MessageStore`."""
        self._connection.executemany(
            "DELETE FROM outgoing WHERE id = ? AND state IN ('queued', 'sending')", [(number,) for number in numbers]
        )

    def last(self) -> int:
        """See `MessageStore`."""
        (number,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM outgoing").fetchone()
        return int(number)

    def backlog(self) -> int:
        """How many messages wait to be sent."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM outgoing WHERE state IN ('queued', 'sending')"
        ).fetchone()
        return int(count)

    def given_up(self) -> int:
        """How many messages will never arrive."""
        (count,) = self._connection.execute("SELECT count(*) FROM outgoing WHERE state = 'dead'").fetchone()
        return int(count)

    def tap(self, tap: str, conversation: str) -> Tapped | None:
        """See `MessageStore`."""
        number, place = _number_and_place(tap)
        row = self._connection.execute(_TAP, (number, conversation)).fetchone()
        reply = load(row[0]) if row else Reply("")
        if not 0 <= place < len(reply.buttons):
            return None
        return Tapped(reply.buttons[place].command, row[1], reply, _ids(row[2]), row[3] or "")

    def question(
        self, conversation: str, actors: Collection[str], now: int, *, but: Collection[str] = ()
    ) -> Sequence[str]:
        """See `MessageStore`."""
        given = (conversation, json.dumps(sorted(actors)), now, json.dumps(sorted(but)))
        row = self._connection.execute(_QUESTION, given).fetchone()
        return () if row is None else _taps(row[0], load(row[1]))

    def before(self, message: Inbound, actors: Collection[str], since: int, limit: int) -> list[Inbound]:
        """See `MessageStore`."""
        given = message.id, since, message.conversation, json.dumps(sorted(actors)), limit
        return [_inbound(*row) for row in self._connection.execute(_BEFORE, given)]

    def answered_since(self, tap: str, causes: Collection[str]) -> bool:
        """See `MessageStore`."""
        row = self._connection.execute(
            "SELECT 1 FROM outgoing WHERE id > ? AND cause IN (SELECT value FROM json_each(?)) LIMIT 1",
            (_number_and_place(tap)[0], json.dumps(sorted(causes))),
        ).fetchone()
        return row is not None

    def bind(self, number: int, tap: str) -> None:
        """See `MessageStore`."""
        self._connection.execute("UPDATE inbound SET more = json_set(more, '$.tap', ?) WHERE id = ?", (tap, number))

    def choose(self, tap: str, now: int) -> bool:
        """See `MessageStore`."""
        number, place = _number_and_place(tap)
        changed = self._connection.execute(
            "UPDATE outgoing SET chosen = ?1 WHERE id = ?2 AND chosen IS NULL AND json_extract(body, '$.choice[1]') > ?3",
            (place, number, now),
        )
        if changed.rowcount:
            return True
        row = self._connection.execute("SELECT chosen FROM outgoing WHERE id = ?", (number,)).fetchone()
        return row is not None and row[0] == place

    def announced(self, task: int, conversation: str) -> list[Announcement]:
        """See `MessageStore`."""
        rows = self._connection.execute(
            "SELECT id, platform_id, body, cause IS NOT NULL FROM outgoing WHERE task = ? AND conversation = ?"
            " AND state = 'sent' AND platform_id IS NOT NULL ORDER BY id LIMIT ?",
            (task, conversation, MAX_ANNOUNCED),
        ).fetchall()
        beneath = self._connection.execute(
            "SELECT 1 FROM thread WHERE task = ? AND conversation = ?", (task, conversation)
        )
        answered = next((number for number, _, _, answers in rows if answers), None)
        board = None if beneath.fetchone() else answered
        found = [(number, _ids(sent), load(body)) for number, sent, body, _ in rows]
        return [
            Announcement(sent, reply, _taps(number, reply), number == board)
            for number, sent, reply in found
            if reply.buttons or number == board
        ]

    def delivered(self, number: int) -> Delivered | None:
        """See `MessageStore`."""
        row = self._connection.execute(
            "SELECT conversation, platform_id, body FROM outgoing WHERE id = ? AND state = 'sent' AND platform_id IS NOT NULL",
            (number,),
        ).fetchone()
        return None if row is None else Delivered(row[0], _ids(row[1]), load(row[2]))

    def places(self, task: int) -> list[str]:
        """See `MessageStore`."""
        rows = self._connection.execute("SELECT DISTINCT conversation FROM outgoing WHERE task = ?", (task,))
        return [conversation for (conversation,) in rows]

    def newest_tasks(self, surface: str, limit: int) -> list[int]:
        """See `MessageStore`."""
        query = "SELECT DISTINCT task FROM outgoing WHERE task IS NOT NULL AND surface = ? ORDER BY task DESC LIMIT ?"
        return [task for (task,) in self._connection.execute(query, (surface, limit))]

    def branch(self, task: int, conversation: str, thread: str) -> None:
        """See `MessageStore`."""
        self._connection.execute(
            "INSERT OR IGNORE INTO thread SELECT id, ? FROM task WHERE id = ? AND conversation = ?",
            (thread, task, conversation),
        )

    def thread(self, task: int, conversation: str) -> str | None:
        """See `MessageStore`."""
        row = self._connection.execute(
            "SELECT thread.conversation FROM thread JOIN task ON task.id = task WHERE task = ? AND task.conversation = ?",
            (task, conversation),
        ).fetchone()
        return None if row is None else str(row[0])

    def waits(self, task: int, conversation: str) -> bool:
        """See `MessageStore`."""
        row = self._connection.execute(
            "SELECT 1 FROM outgoing WHERE task = ? AND conversation = ? AND cause IS NULL AND state IN ('queued', 'sending')",
            (task, conversation),
        ).fetchone()
        return row is not None

    def place(self, number: int, conversation: str) -> None:
        """See `MessageStore`."""
        self._connection.execute("UPDATE outgoing SET conversation = ? WHERE id = ?", (conversation, number))

    def move(self, surface: str, old: str, new: str, now: int) -> None:
        """See `MessageStore`."""
        old, new = f"{surface}:{old}", f"{surface}:{new}"
        for table, column, condition in _MOVED:
            self._connection.execute(_MOVE.format(table, *[column] * 4, condition), (old, new))
        self._connection.execute("INSERT OR REPLACE INTO moved VALUES (?, ?, ?)", (old, new, now))

    def former(self, conversation: str) -> str:
        """See `MessageStore`."""
        place, slash, topic = conversation.partition("/")
        row = self._connection.execute("SELECT old FROM moved WHERE new = ?", (place,)).fetchone()
        return conversation if row is None else f"{row[0]}{slash}{topic}"

    def moved(self, surface: str) -> dict[str, str]:
        """Every conversation of a surface that has another name now: old -> new."""
        found = self._connection.execute("SELECT old, new FROM moved WHERE old GLOB ? || ':*'", (surface,))
        return {old.partition(":")[2]: new.partition(":")[2] for old, new in found}


def _taps(number: int, reply: Reply) -> tuple[str, ...]:
    """The ids of a message's buttons: at most 24 bytes, and they say nothing of what they do."""
    return tuple(f"{number}-{place}" for place in range(len(reply.buttons)))


def _ids(sent: str | None) -> tuple[str, ...]:
    return tuple(sent.split(",")) if sent else ()


def _number_and_place(tap: str) -> tuple[int, int]:
    """What a button's id says; nothing for one that is spelt otherwise, since a button acts once under its id."""
    number, _, place = tap.partition("-")
    fits = len(tap) <= MAX_TAP and len(number) < _DIGITS
    if not (fits and number.isdecimal() and place.isdecimal() and tap == f"{int(number)}-{int(place)}"):
        return 0, -1
    return int(number), int(place)


def _inbound(  # noqa: PLR0913, PLR0917 - a row
    number: int, surface: str, account: str, update: str, conversation: str, actor: str, text: str, private: int,
    acting_for: str | None, more: str,
) -> Inbound:  # fmt: skip
    found = json.loads(more)
    files = tuple(Attachment(*one) for one in found.pop("files", ()))
    return Inbound(
        surface, account, update, conversation, actor, text,
        private=bool(private), acting_for=acting_for, id=number, files=files, **found,
    )  # fmt: skip


def _dump_more(message: Inbound) -> str:
    more: dict[str, object] = {
        key: value
        for key in ("home", "tap", "tapped", "name", "unread", "sealed", "doubt")
        if (value := getattr(message, key))
    }
    if not message.admitted:
        more["admitted"] = False
    if message.files:
        more["files"] = [[file.name, file.size, file.ref, file.spoken] for file in message.files]
    return json.dumps(more) if more else "{}"


def outgoing(  # noqa: PLR0913, PLR0917 - a row
    number: int, surface: str, conversation: str, body: str, cause: str | None, state: str, replaces: str | None,
    platform_id: str | None,
) -> Outgoing:  # fmt: skip
    """A row of `OUTGOING`."""
    reply = load(body)
    return Outgoing(
        number, surface, conversation, reply, cause, again=state == "sending", taps=_taps(number, reply),
        replaces=replaces, sent=_ids(platform_id), lost=state == "sending",
    )  # fmt: skip


def dump(reply: Reply) -> str:
    """A reply as it is kept. Lists are for the program that asked, if it is still there: who comes later reads the text."""
    data = {key: value for key, value in reply.data.items() if not isinstance(value, list)}
    body: dict[str, object] = {"text": reply.text, "data": data}
    if reply.task is not None:
        body["task"] = reply.task
    if reply.buttons:
        body["buttons"] = [[button.label, button.command] for button in reply.buttons]
    if reply.files:
        body["files"] = [[file.name, file.path] for file in reply.files]
    if reply.marks:
        body["marks"] = [[mark.start, mark.end, mark.style.value, mark.language] for mark in reply.marks]
    if reply.markdown:
        body["markdown"] = True
    if reply.choice:
        body["choice"] = [reply.choice.actor, reply.choice.expires]
    return json.dumps(body, separators=(",", ":"))


def load(text: str) -> Reply:
    """A reply that was kept."""
    body = json.loads(text)
    return Reply(
        body["text"], body["data"], body.get("task"),
        buttons=tuple(Button(*pair) for pair in body.get("buttons", ())),
        files=tuple(File(*pair) for pair in body.get("files", ())),
        marks=tuple(Mark(start, end, Style(style), language) for start, end, style, language in body.get("marks", ())),
        markdown=body.get("markdown", False),
        choice=Choice(*body["choice"]) if "choice" in body else None,
    )  # fmt: skip
