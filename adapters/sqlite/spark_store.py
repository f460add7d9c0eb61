"""Forecasts, what was learned from them, and advice, as rows."""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core.spark.advice import Advice, Topic
from core.spark.forecast import Forecast, Outcome
from core.spark.known import Known, Line, Seen, Trend
from core.spark.record import Record
from core.spark.spark import Ended, Word
from core.swarm.task import Status

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from core.spark.advice import Key
    from core.store import Tx

_SAID = "odds, done, price_low, price_high, took_low, took_high"
_ENDED = (
    f"SELECT f.field, {_SAID}, t.status, t.id, t.budget, t.excluded, t.agent, t.price, t.posted_at, t.awarded_at, t.took,"  # noqa: S608
    " t.ended_at FROM json_each(?) AS j JOIN forecast AS f ON f.task = j.value JOIN task AS t ON t.id = f.task"
    " ORDER BY j.key"
)
_ADD = f"INSERT INTO forecast (task, field, {_SAID}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
_ADVICE = "topic, field, agent, level, since, other, facts"

log = logging.getLogger(__name__)

_encode = json.JSONEncoder(separators=(",", ":"), default=dict).encode  # `Known` begins with mappings that are no dict


class ForecastRows:
    """`core.spark.spark.ForecastStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last: tuple[Forecast | None, tuple[Any, ...]] = (None, ())

    def add(self, task: int, field: str, said: Forecast) -> None:
        """See `ForecastStore`. What is said of many tasks in turn is put into words once."""
        if self._last[0] is not said:
            odds = _encode({name: round(chance, 4) for name, chance in said.odds.items()})
            self._last = said, (odds, said.done, *(said.price or _NOT_SAID), *(said.took or _NOT_SAID))
        self._connection.execute(_ADD, (task, field, *self._last[1]))

    def find(self, task: int) -> Forecast | None:
        """See `ForecastStore`."""
        row = self._connection.execute(f"SELECT {_SAID} FROM forecast WHERE task = ?", (task,)).fetchone()  # noqa: S608
        return None if row is None else _said(*row)

    def ended(self, tasks: Sequence[int]) -> list[Ended]:
        """See `ForecastStore`."""
        return [_ended(*row) for row in self._connection.execute(_ENDED, (_encode([*tasks]),))]


class FieldRows:
    """`core.spark.spark.FieldStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self) -> dict[str, Known]:
        """See `FieldStore`. What another version wrote, or a damaged row, must not keep the hub from its start."""
        found = {}
        for field, text in self._connection.execute("SELECT field, known FROM spark_field"):
            try:
                found[field] = _known(text)
            except (ValueError, TypeError, AttributeError):
                log.warning("what is known of %r cannot be read; it is learned anew", field)
        return found

    def keep(self, fields: Mapping[str, Known]) -> None:
        """See `FieldStore`."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO spark_field VALUES (?, ?)",
            [(field, _encode(known)) for field, known in fields.items()],
        )


class AdviceRows:
    """`core.spark.spark.AdviceStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection, tx: Tx) -> None:
        self._connection = connection
        self._tx = tx

    def all(self) -> list[Word]:
        """See `AdviceStore`."""
        return [_word(*row) for row in self._connection.execute("SELECT * FROM spark_advice ORDER BY id")]

    def say(self, advice: Advice) -> Word:
        """See `AdviceStore`."""
        one = advice
        number = self._connection.execute(
            f"INSERT OR REPLACE INTO spark_advice ({_ADVICE}, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
            (one.topic.value, one.where, one.agent, one.level, one.since, one.other, _encode(one.facts), self._tx.now),
        ).lastrowid
        return Word(number or 0, advice, self._tx.now)

    def unsay(self, key: Key) -> None:
        """See `AdviceStore`."""
        self._connection.execute("DELETE FROM spark_advice WHERE topic = ? AND field = ? AND agent = ?", key)

    def told(self, conversation: str) -> tuple[int, frozenset[int]]:
        """See `AdviceStore`."""
        row = self._connection.execute(
            "SELECT advice, untold FROM spark_read WHERE conversation = ?", (conversation,)
        ).fetchone()
        return (0, frozenset()) if row is None else (int(row[0]), frozenset(json.loads(row[1])))

    def tell(self, conversation: str, number: int, untold: Sequence[int]) -> None:
        """See `AdviceStore`."""
        self._connection.execute(
            "INSERT OR REPLACE INTO spark_read (conversation, advice, at, untold) VALUES (?, ?, ?, ?)",
            (conversation, number, self._tx.now, _encode([*untold])),
        )


_NOT_SAID = (None, None)


@lru_cache(256)
def _odds(text: str) -> dict[str, float]:
    """The same is said of many tasks."""
    odds: dict[str, float] = json.loads(text)
    return odds


def _said(
    odds: str, done: float, price_low: int | None, price_high: int | None, took_low: int | None, took_high: int | None
) -> Forecast:  # fmt: skip
    price = None if price_low is None or price_high is None else (price_low, price_high)
    return Forecast(_odds(odds), done, price, None if took_low is None or took_high is None else (took_low, took_high))


def _ended(field: str, *row: Any) -> Ended:
    status, task, budget, excluded, agent, price, posted_at, awarded_at, took, ended_at = row[6:]
    had = tuple(excluded.split("\n")) if excluded else ()
    settled = status == Status.SETTLED
    outcome = Outcome(
        task, budget, had if settled or agent is None else (*had, agent), agent if settled else "", price if settled else 0,
        awarded_at + took - posted_at if settled else 0, ended_at,
    )  # fmt: skip
    return Ended(field, _said(*row[:6]), Status(status), outcome)


def _word(number: int, *row: Any) -> Word:
    topic, where, agent, level, since, other, facts, at = row
    return Word(number, Advice(Topic(topic), where, agent, level, since, other, json.loads(facts)), at)


def _known(text: str) -> Known:
    """What is known, as the list of its parts."""
    found: dict[str, Any] = dict(zip(Known._fields, json.loads(text), strict=True))
    for part, kind in (("price", Trend), ("took", Trend), ("record", Record)):
        found[part] = kind(*found[part])
    found |= {part: tuple(found[part]) for part in ("nobody", "stretch", "bend")}
    found["ratings"] = {name: tuple(row) for name, row in found["ratings"].items()}
    found["seen"] = {name: _seen(*row) for name, row in found["seen"].items()}
    found["whole"] = _seen(*found["whole"])
    return Known(**found)


def _seen(good: float, bad: float, price: list[float], took: list[float], *more: Any) -> Seen:
    return Seen(good, bad, Line(*price), Line(*took), *more)
