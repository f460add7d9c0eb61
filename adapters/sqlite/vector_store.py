"""Vectors of facts as rows: their signs to find some hundred that are near, one byte a number to tell which are the nearest.

The signs of a memory stay in this process until one of them changes: 100,000 of 768 numbers are 10 MB. numpy, 20 MB and a
tenth of a second to load, is only imported where there are vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from core.agent.vectors import Meant

_WORD = 8
"""Bytes of what is compared at once; codes are filled up with zeros to that."""

LOOKED_AT = 20
"""Facts of which the numbers are compared, for each that is wanted."""

MEMORIES = 8
CODES = 250_000
"""Memories whose signs are kept in this process, and signs of all of them, at most."""


class _Codes(NamedTuple):
    """The signs of some memories as they were after so many `changes`: numbers of facts, and a column of words each."""

    changes: int
    facts: Any
    codes: Any


class VectorRows:
    """`core.agent.vectors.VectorStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[int, ...], _Codes] = {}

    def any_facts(self) -> bool:
        """See `VectorStore`."""
        return self._connection.execute("SELECT 1 FROM fact WHERE forgotten_at IS NULL LIMIT 1").fetchone() is not None

    def lacking(self, model: str, limit: int) -> list[tuple[int, str]]:
        """See `VectorStore`. On the thread that looks for them numpy is loaded too, so that no write waits for that."""
        found = self._connection.execute(
            "SELECT fact.id, text FROM fact LEFT JOIN fact_vector ON fact = fact.id"
            " AND fact_vector.model = (SELECT id FROM embedding WHERE name = ?)"
            " WHERE forgotten_at IS NULL AND fact IS NULL ORDER BY fact.id DESC LIMIT ?",
            (model, limit),
        ).fetchall()
        if found:
            import numpy as np  # noqa: F401, PLC0415
        return found

    def put(self, fact: int, meant: Meant) -> None:
        """See `VectorStore`."""
        run = self._connection.execute
        row = run("SELECT memory FROM fact WHERE id = ? AND forgotten_at IS NULL", (fact,)).fetchone()
        if row is None:
            return
        run("INSERT OR IGNORE INTO embedding (name) VALUES (?)", (meant.model,))
        (model,) = run("SELECT id FROM embedding WHERE name = ?", (meant.model,)).fetchone()
        code, fine = _packed(meant.vector)
        run("INSERT OR REPLACE INTO fact_code VALUES (?, ?, ?, ?)", (*row, fact, model, code))
        run("INSERT OR REPLACE INTO fact_vector VALUES (?, ?, ?)", (fact, model, fine))
        run("UPDATE memory SET vectors = vectors + 1 WHERE id = ?", row)

    def nearest(self, memories: Sequence[int], meant: Meant, limit: int) -> list[tuple[int, float]]:
        """See `VectorStore`."""
        model = self._connection.execute("SELECT id FROM embedding WHERE name = ?", (meant.model,)).fetchone()
        if model is None or not memories:
            return []
        import numpy as np  # noqa: PLC0415 - see the module

        code, fine = _packed(meant.vector)
        known, asked = self._codes(memories, model[0], len(code)), np.frombuffer(code, np.uint64)
        if len(known.facts) == 0:
            return []
        apart = np.zeros(len(known.facts), np.uint16)
        for words, word in zip(known.codes, asked, strict=True):  # along the facts, of which there are many
            apart += np.bitwise_count(words ^ word)
        most = min(len(apart), LOOKED_AT * limit)
        some = known.facts[np.argpartition(apart, most - 1)[:most]].tolist()
        rows = self._connection.execute(
            f"SELECT fact, fine FROM fact_vector WHERE fact IN ({', '.join('?' * most)}) AND model = ? AND length(fine) = ?",  # noqa: S608 - marks
            (*some, *model, len(fine)),
        ).fetchall()
        if not rows:
            return []
        numbers = (
            np.frombuffer(b"".join(vector for _, vector in rows), np.int8).reshape(len(rows), -1).astype(np.float32)
        )
        question = np.frombuffer(fine, np.int8).astype(np.float32)
        cosines = numbers @ question / (np.linalg.norm(numbers, axis=1) * np.linalg.norm(question))
        found = sorted(zip(cosines.tolist(), (fact for fact, _ in rows), strict=True), reverse=True)
        return [(fact, cosine) for cosine, fact in found[:limit]]

    def _codes(self, memories: Sequence[int], model: int, length: int) -> _Codes:
        """All signs of these memories, as they are in this unit of work; a model of the same name may have had others before."""
        import numpy as np  # noqa: PLC0415 - see the module

        marks, key = ", ".join("?" * len(memories)), (model, length, *memories)
        changes = f"SELECT sum(vectors) FROM memory WHERE id IN ({marks})"  # noqa: S608 - marks
        (now,) = self._connection.execute(changes, memories).fetchone()
        known = self._known.pop(key, None)
        if known is None or known.changes != now:
            query = f"SELECT fact, code FROM fact_code WHERE memory IN ({marks}) AND model = ? AND length(code) = ?"  # noqa: S608 - marks
            rows = self._connection.execute(query, (*memories, model, length)).fetchall()
            facts = np.fromiter((fact for fact, _ in rows), np.int64, len(rows))
            words = np.frombuffer(b"".join(code for _, code in rows), np.uint64)
            codes = np.ascontiguousarray(words.reshape(len(rows), -1).T) if rows else facts
            known = _Codes(now, facts, codes)
        self._known[key] = known
        while len(self._known) > 1 and (
            len(self._known) > MEMORIES or sum(len(one.facts) for one in self._known.values()) > CODES
        ):
            del self._known[next(iter(self._known))]
        return known


def _packed(vector: Sequence[float]) -> tuple[bytes, bytes]:
    """The signs of a vector, in whole words, and its numbers as bytes: the largest is 127."""
    import numpy as np  # noqa: PLC0415 - see the module

    numbers = np.asarray(vector, np.float32)
    signs = np.packbits(numbers > 0).tobytes()
    fine = np.rint(numbers * (127 / np.abs(numbers).max())).astype(np.int8).tobytes()
    return signs + bytes(-len(signs) % _WORD), fine
