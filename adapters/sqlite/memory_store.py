"""Facts that people had the agent keep, as rows, and the index of their words (FTS5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.agent.memory import Fact, How, Owner, Posting, Scope, Source

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

_SIGN = "\ue000"
"""Before the number of a memory, as one of its facts' terms: a sign for private use, which no word has."""

_FACT = "SELECT fact.id, text, scope, name, said_by, at, conversation, cause, how FROM fact JOIN memory ON memory.id = memory"
_KNOWN = "forgotten_at IS NULL"
_NEWEST = "SELECT rowid FROM fact_term WHERE fact_term MATCH ? ORDER BY rowid DESC LIMIT ?"

_SEPARATES = re.compile(r"[\x00-/:-@\[-`{-\x7f]")
"""What FTS5's `ascii` tokenizer takes for a gap between words: no term of a fact has it."""

MERGED = 64
"""Pages of the index that one step of a merge writes, about: some milliseconds."""


class MemoryRows:
    """`core.agent.memory.MemoryStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def numbers(self, owners: Collection[Owner]) -> list[int]:
        """See `MemoryStore`."""
        query = "SELECT id FROM memory WHERE scope = ? AND name = ?"
        found = (self._connection.execute(query, owner).fetchone() for owner in sorted(owners))
        return [row[0] for row in found if row is not None]

    def add(self, fact: Fact, terms: Sequence[str]) -> Fact:
        """See `MemoryStore`."""
        self._connection.execute("INSERT OR IGNORE INTO memory (scope, name) VALUES (?, ?)", fact.owner)
        (memory,) = self.numbers([fact.owner])
        source = fact.source
        made = self._connection.execute(
            "INSERT INTO fact (memory, text, terms, said_by, at, conversation, cause, how) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                memory, fact.text, " ".join([f"{_SIGN}{memory}", *terms]), source.said_by, source.at, source.conversation,
                source.cause, source.how,
            ),
        )  # fmt: skip
        return fact._replace(id=made.lastrowid or 0)

    def same(self, owner: Owner, text: str) -> Fact | None:
        """See `MemoryStore`."""
        row = self._connection.execute(
            f"{_FACT} WHERE scope = ? AND name = ? AND text = ? AND {_KNOWN}", (*owner, text)
        ).fetchone()
        return None if row is None else _fact(*row)

    def full(self, owner: Owner, limit: int) -> bool:
        """See `MemoryStore`."""
        query = f"SELECT 1 FROM fact WHERE memory = ? AND {_KNOWN} LIMIT 1 OFFSET ?"  # noqa: S608 - constants
        return any(self._connection.execute(query, (one, limit - 1)).fetchone() for one in self.numbers([owner]))

    def having(self, memories: Sequence[int], terms: Sequence[str], limit: int) -> Posting:
        """See `MemoryStore`. A term that few facts have is looked for in all memories: to go through all of one takes longer."""
        if any(_SEPARATES.search(term) for term in terms):
            return Posting(())
        every = " AND ".join(map(_quoted, terms))
        found = [row for (row,) in self._connection.execute(_NEWEST, (every, limit + 1))]
        if len(found) <= limit:
            theirs = f"SELECT id FROM fact WHERE id IN ({_marks(found)}) AND memory IN ({_marks(memories)})"  # noqa: S608 - marks
            known = {row for (row,) in self._connection.execute(theirs, (*found, *memories))}
            return Posting(tuple(row for row in found if row in known))
        signs = " OR ".join(_quoted(f"{_SIGN}{one}") for one in memories)
        found = [row for (row,) in self._connection.execute(_NEWEST, (f"({signs}) AND {every}", limit + 1))]
        return Posting(tuple(found[:limit]), more=len(found) > limit)

    def facts(self, numbers: Collection[int]) -> list[Fact]:
        """See `MemoryStore`."""
        query = f"{_FACT} WHERE fact.id IN ({_marks(numbers)}) AND {_KNOWN}"
        return [_fact(*row) for row in self._connection.execute(query, tuple(numbers))]

    def newest(self, memories: Sequence[int], limit: int, before: int | None = None) -> list[Fact]:
        """See `MemoryStore`."""
        query = (
            f"{_FACT} WHERE memory IN ({_marks(memories)}) AND {_KNOWN} AND fact.id <= ? ORDER BY fact.id DESC LIMIT ?"
        )
        rows = self._connection.execute(query, (*memories, 2**62 if before is None else before, limit))
        return [_fact(*row) for row in rows]

    def count(self, memories: Sequence[int]) -> int:
        """See `MemoryStore`."""
        query = f"SELECT count(*) FROM fact WHERE memory IN ({_marks(memories)}) AND {_KNOWN}"  # noqa: S608 - marks
        return int(self._connection.execute(query, memories).fetchone()[0])

    def forget(self, numbers: Collection[int], batch: str, now: int) -> None:
        """See `MemoryStore`."""
        query = f"UPDATE fact SET forgotten_at = ?, batch = ? WHERE id = ? AND {_KNOWN}"  # noqa: S608 - constants
        self._connection.executemany(query, [(now, batch, one) for one in numbers])

    def forgotten(self, memories: Sequence[int], since: int, number: int | None = None) -> list[Fact]:
        """See `MemoryStore`."""
        gone = f"memory IN ({_marks(memories)}) AND forgotten_at > ?"
        newest = f"SELECT batch FROM fact WHERE {gone} AND ? IN (id, 0) ORDER BY forgotten_at DESC, id DESC LIMIT 1"  # noqa: S608 - marks
        query = f"{_FACT} WHERE {gone} AND batch = ({newest}) ORDER BY fact.id DESC"
        bound = (*memories, since)
        return [_fact(*row) for row in self._connection.execute(query, (*bound, *bound, number or 0))]

    def batch(self, name: str) -> list[Fact]:
        """See `MemoryStore`."""
        return [
            _fact(*row) for row in self._connection.execute(f"{_FACT} WHERE batch = ? ORDER BY fact.id DESC", (name,))
        ]

    def merge(self, *, begun: bool) -> bool:
        """Merge some of the index's parts into one, which has nothing of what was forgotten; whether some are left.

        Source: sqlite.org/fts5.html, "The 'merge' Command": a negative number begins, positive ones go on while rows change.
        """
        before = self._connection.total_changes
        pages = MERGED if begun else -MERGED
        self._connection.execute("INSERT INTO fact_term (fact_term, rank) VALUES ('merge', ?)", (pages,))
        return self._connection.total_changes - before > 1

    def recover(self, numbers: Collection[int]) -> None:
        """See `MemoryStore`."""
        query = "UPDATE fact SET forgotten_at = NULL, batch = NULL WHERE id = ?"
        self._connection.executemany(query, [(one,) for one in numbers])


def _quoted(term: str) -> str:
    """A term as FTS5's query language takes it: a string, never a word of that language."""
    return f'"{term}"'


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _fact(  # noqa: PLR0913, PLR0917 - a row
    number: int, text: str, scope: str, name: str, said_by: str, at: int, conversation: str, cause: str, how: str
) -> Fact:
    return Fact(text, Owner(Scope(scope), name), Source(said_by, at, conversation, cause, How(how)), number)
