"""The roster, tokens, roles and conversations as rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from core.agent.session import Called, Step, Turn
from core.chat import Role
from core.pairing import Pending
from core.swarm.ports import ResultFile
from core.tokens import Linked, Person, TokenRow, device_actor, device_ended

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from core.store import Tx


class AgentRows:
    """`core.swarm.ports.RosterStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self) -> list[tuple[str, str, bool]]:
        """See `RosterStore`."""
        rows = self._connection.execute("SELECT name, persona, live FROM agent ORDER BY spawned_at, name")
        return [(name, persona, bool(live)) for name, persona, live in rows]

    def put(self, name: str, persona: str, *, live: bool, now: int) -> None:
        """See `RosterStore`."""
        self._connection.execute(
            "INSERT INTO agent VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET live = excluded.live",
            (name, persona, int(live), now),
        )


_JOINS = (("link", "actor"), ("link_code", "actor"), ("link_wish", "actor"), ("link_wish", "maker"))
_STANDING = (("actor", "id"), *_JOINS)
"""(table, column) of what goes with an identity that is taken off, or let out."""


_FORGET = (
    "UPDATE fact SET forgotten_at = ?, batch = ? WHERE forgotten_at IS NULL"
    " AND memory = (SELECT id FROM memory WHERE scope = 'person' AND name = ?)"
)
"""What somebody who is let out had remembered goes as if they had said /forget all: who is let in again soon has it back."""


class TokenRows:
    """`core.tokens.TokenStore` on SQLite: credentials (hashed) and roles."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def standing(self, actor: str) -> tuple[str, Role | None]:
        """See `TokenStore`."""
        root, role = self._connection.execute(
            "SELECT o.id, (SELECT role FROM actor WHERE id = o.id)"
            " FROM (SELECT coalesce((SELECT account FROM link WHERE actor = ?1), ?1) AS id) o",
            (actor,),
        ).fetchone()
        return root, None if role is None else Role(role)

    def linked_to(self, account: str) -> list[str]:
        """See `TokenStore`."""
        return [actor for (actor,) in self._connection.execute("SELECT actor FROM link WHERE account = ?", (account,))]

    def links(self) -> list[Linked]:
        """See `TokenStore`."""
        rows = self._connection.execute("SELECT actor, account, name FROM link ORDER BY since, actor")
        return [Linked(*row) for row in rows]

    def give(self, actor: str, role: Role, name: str, now: int) -> None:
        """See `TokenStore`."""
        self._connection.execute(
            "INSERT INTO actor (id, role, since, name) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET role = excluded.role, name = excluded.name",
            (actor, role.value, now, name),
        )
        self._connection.execute("DELETE FROM link WHERE actor = ?", (actor,))

    def take_away(self, actor: str, now: int) -> list[str]:
        """See `TokenStore`."""
        query = "SELECT id FROM actor WHERE id = ?1 UNION SELECT actor FROM link WHERE ?1 IN (actor, account)"
        found = [one for (one,) in self._connection.execute(query, (actor,))]
        for table, column in _STANDING:
            gone = f"DELETE FROM {table} WHERE {column} = ?"  # noqa: S608 - constants
            self._connection.executemany(gone, [(one,) for one in found])
        self._connection.executemany(_FORGET, [(now, f"unpair/{actor}/{now}", one) for one in found])
        return [actor, *(one for one in found if one != actor)] if found else []

    def end_devices(self, actors: Collection[str], now: int) -> list[str]:
        """See `TokenStore`."""
        return [name for actor in actors for name in _end_devices(self._connection, actor, now)]

    def people(self) -> list[Person]:
        """See `TokenStore`."""
        rows = self._connection.execute("SELECT id, role, name FROM actor ORDER BY since, id")
        return [Person(actor, Role(role), name) for actor, role, name in rows]

    def add(self, row: TokenRow) -> None:
        """See `TokenStore`."""
        self._connection.execute(
            "INSERT INTO token (hash, kind, name, for_actor, task_limit, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            (row.hash, row.kind, row.name, row.for_actor, row.task_limit, row.created_at),
        )

    def by_hash(self, digest: str) -> TokenRow | None:
        """See `TokenStore`."""
        found = self._connection.execute(
            "SELECT hash, kind, name, for_actor, task_limit, created_at FROM token WHERE hash = ? AND revoked_at IS NULL",
            (digest,),
        ).fetchone()
        return None if found is None else TokenRow(*found)

    def live(self) -> list[TokenRow]:
        """See `TokenStore`."""
        rows = self._connection.execute(
            "SELECT hash, kind, name, for_actor, task_limit, created_at FROM token WHERE revoked_at IS NULL"
            " ORDER BY kind, name"
        )
        return [TokenRow(*row) for row in rows]

    def device(self, kind: str, name: str) -> TokenRow | None:
        """See `TokenStore`."""
        found = self._connection.execute(
            "SELECT hash, kind, name, for_actor, task_limit, created_at FROM token"
            " WHERE kind = ? AND name = ? AND revoked_at IS NULL",
            (kind, name),
        ).fetchone()
        return None if found is None else TokenRow(*found)

    def revoke(self, kind: str, name: str, now: int) -> bool:
        """See `TokenStore`."""
        changed = self._connection.execute(
            "UPDATE token SET revoked_at = ? WHERE kind = ? AND name = ? AND revoked_at IS NULL", (now, kind, name)
        )
        return changed.rowcount > 0


def _end_devices(connection: sqlite3.Connection, actor: str, now: int) -> list[str]:
    """End what speaks for an identity: who it is from now on is another, and gives its devices their tokens anew."""
    rows = connection.execute(
        "UPDATE token SET revoked_at = ? WHERE for_actor = ? AND revoked_at IS NULL RETURNING kind, name",
        (now, actor),
    ).fetchall()
    return sorted(device_actor(kind, name) for kind, name in rows)


class PairingRows:
    """`core.pairing.PairingStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, digest: str, pending: Pending) -> None:
        """See `PairingStore`."""
        self._connection.execute(
            "INSERT INTO pairing (hash, actor, name, home, expires) VALUES (?, ?, ?, ?, ?)",
            (digest, pending.actor, pending.name, pending.home, pending.expires),
        )

    def pending(self, actor: str, now: int) -> int:
        """See `PairingStore`."""
        query = "SELECT count(*) FROM pairing WHERE actor = ? AND expires > ?"
        (count,) = self._connection.execute(query, (actor, now)).fetchone()
        return int(count)

    def take(self, digest: str, now: int) -> Pending | None:
        """See `PairingStore`."""
        query = "SELECT actor, name, home, expires FROM pairing WHERE hash = ? AND expires > ?"
        row = self._connection.execute(query, (digest, now)).fetchone()
        if row is None:
            return None
        self._connection.execute("DELETE FROM pairing WHERE actor = ?", (row[0],))
        return Pending(*row)

    def fail(self, actor: str, kind: str, now: int) -> None:
        """See `PairingStore`."""
        query = "INSERT INTO pairing_failure (actor, kind, at) VALUES (?, ?, ?)"
        self._connection.execute(query, (actor, kind, now))

    def failures(self, actor: str, kind: str, since: int) -> int:
        """See `PairingStore`."""
        query = "SELECT count(*) FROM pairing_failure WHERE actor = ? AND at > ? AND kind = ?"
        (count,) = self._connection.execute(query, (actor, since, kind)).fetchone()
        return int(count)


class LinkRows:
    """`core.linking.LinkStore` on SQLite. Whose account changes has no device from before: it would get another's rights."""

    def __init__(self, connection: sqlite3.Connection, tx: Tx) -> None:
        self._connection = connection
        self._tx = tx

    def add(self, digest: str, actor: str, expires: int) -> None:
        """See `LinkStore`."""
        self._connection.execute("DELETE FROM link_code WHERE actor = ?", (actor,))
        self._connection.execute("INSERT INTO link_code VALUES (?, ?, ?)", (digest, actor, expires))

    def maker(self, digest: str, now: int) -> str | None:
        """See `LinkStore`."""
        query = "SELECT actor FROM link_code WHERE hash = ? AND expires > ?"
        row = self._connection.execute(query, (digest, now)).fetchone()
        return None if row is None else str(row[0])

    def use(self, digest: str) -> None:
        """See `LinkStore`."""
        self._connection.execute("DELETE FROM link_code WHERE hash = ?", (digest,))

    def link(self, actor: str, account: str, name: str, now: int) -> None:
        """See `LinkStore`."""
        self._connection.execute("INSERT INTO link VALUES (?, ?, ?, ?)", (actor, account, name, now))
        for table in (
            "pairing",
            "link_code",
            "link_wish",
        ):  # what would let it in as another, or others into what was its own
            self._connection.execute(f"DELETE FROM {table} WHERE actor = ?", (actor,))  # noqa: S608 - constants
        self._end_devices(actor)

    def unlink(self, actor: str) -> None:
        """See `LinkStore`."""
        for table, column in _JOINS:
            self._connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (actor,))  # noqa: S608 - constants
        self._end_devices(actor)

    def wish(self, approval: int, actor: str, maker: str, expires: int) -> None:
        """See `LinkStore`."""
        self._connection.execute("INSERT INTO link_wish VALUES (?, ?, ?, ?)", (approval, actor, maker, expires))

    def wished(self, approval: int) -> bool:
        """See `LinkStore`."""
        return (
            self._connection.execute("SELECT 1 FROM link_wish WHERE approval = ?", (approval,)).fetchone() is not None
        )

    def _end_devices(self, actor: str) -> None:
        for device in _end_devices(self._connection, actor, self._tx.now):
            self._tx.emit(device_ended(device, actor))


class ConversationRows:
    """`core.agent.session.ConversationStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def model(self, conversation: str) -> str | None:
        """See `ConversationStore`."""
        row = self._connection.execute("SELECT model FROM conversation WHERE id = ?", (conversation,)).fetchone()
        return None if row is None else row[0]

    def choose(self, conversation: str, model: str | None) -> None:
        """See `ConversationStore`."""
        self._connection.execute(
            "INSERT INTO conversation (id, model) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET model = excluded.model",
            (conversation, model),
        )

    def renew(self, conversation: str) -> None:
        """See `ConversationStore`."""
        self._connection.execute(
            "INSERT INTO conversation (id, since) VALUES (?, (SELECT coalesce(max(id), 0) FROM turn))"
            " ON CONFLICT (id) DO UPDATE SET since = excluded.since",
            (conversation,),
        )
        self._connection.execute("DELETE FROM summary WHERE conversation = ?", (conversation,))

    def add(self, conversation: str, turn: Turn, now: int) -> None:
        """See `ConversationStore`."""
        self._connection.execute(
            "INSERT OR IGNORE INTO turn (conversation, role, text, cause, at, speaker, tainted) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (conversation, turn.role, turn.text, turn.cause, now, turn.speaker, int(turn.tainted)),
        )

    def recent(self, conversation: str, limit: int) -> list[Turn]:
        """See `ConversationStore`."""
        rows = self._connection.execute(
            "SELECT role, text, cause, speaker, tainted FROM turn WHERE conversation = ?1"
            " AND id > coalesce((SELECT since FROM conversation WHERE id = ?1), 0) ORDER BY id DESC LIMIT ?2",
            (conversation, limit),
        ).fetchall()
        return [
            Turn(role, text, cause, speaker, bool(tainted), tuple(self.steps(cause)) if role == "assistant" else ())
            for role, text, cause, speaker, tainted in reversed(rows)
        ]

    def keep(self, cause: str, number: int, step: Step, now: int) -> None:
        """See `ConversationStore`."""
        calls = [
            (*call[:4], [(file.name, file.sha256, file.size) for file in call.files], call.asked) for call in step.calls
        ]
        self._connection.execute(
            "INSERT OR IGNORE INTO step VALUES (?, ?, ?, ?, ?)",
            (cause, number, step.said, json.dumps(calls, ensure_ascii=False), now),
        )

    def steps(self, cause: str) -> list[Step]:
        """See `ConversationStore`."""
        rows = self._connection.execute("SELECT said, calls FROM step WHERE cause = ? ORDER BY number", (cause,))
        return [Step(said, tuple(map(_called, json.loads(calls)))) for said, calls in rows]


def _called(row: list[Any]) -> Called:
    name, arguments, result, outside, files, asked = row
    return Called(name, arguments, result, outside, tuple(ResultFile(*file) for file in files), asked)
