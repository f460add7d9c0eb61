"""No statement on the way of a task reads through what history leaves: each is explained by SQLite, as it was asked.

The story is a task's life with the hub's own agents, with a worker and with a person, what people look at, and a restart. What is
asked apart, on a connection that nobody waits for (`read_apart`), may read on.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

from adapters.sqlite import writer
from adapters.sqlite.connection import connect, connect_reader
from adapters.sqlite.retention import DAY, Retention
from tests.scenario.bot import ECHO, hub
from tests.scenario.crew import back, workers

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    import pytest

    from tests.scenario.bot import Bot
    from tests.scenario.crew import Worker

GROWS = frozenset({
    "account", "txn", "posting", "hold", "task", "bid", "file", "inbound", "outgoing", "applied", "event", "turn", "thread",
    "spend", "payment", "invoice", "hold_invoice",
})  # fmt: skip
"""Tables with rows for each task, message or payment of the past."""

UNFINISHED = frozenset({
    "hold_open", "task_due", "task_at_work", "inbound_new", "outgoing_waiting", "outgoing_dead", "payment_unfinished",
    "hold_invoice_unfinished", "invoice_open",
})  # fmt: skip
"""Indexes of what is not done yet alone: those are read through."""

_READS = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
_FROM_THE_END = re.compile(r"SELECT [\w, ]+ FROM (?:\w+|txn NOT INDEXED WHERE at < \d+) ORDER BY id DESC LIMIT \d+$")
"""They end at the first row, or among those of a day."""
_ASKS = re.compile(r"SELECT|INSERT|UPDATE|DELETE|WITH")


class Asked:
    """What a hub asks of its two connections."""

    def __init__(self) -> None:
        self.statements: set[str] = set()
        self._opens = False

    def writer(self, path: Path) -> sqlite3.Connection:
        """The writer's, which is opened first."""
        self._opens = True
        return self._noted(connect(path))

    def reader(self, path: Path) -> sqlite3.Connection:
        """The reader's; those that come later are for one look apart."""
        kept, self._opens = self._opens, False
        return self._noted(connect_reader(path)) if kept else connect_reader(path)

    def _noted(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        connection.set_trace_callback(self._note)
        return connection

    def _note(self, statement: str) -> None:
        if _ASKS.match(statement):
            self.statements.add(statement)


def reads_through(connection: sqlite3.Connection, statement: str) -> list[str]:
    """The tables of the past that a statement reads from end to end."""
    if _FROM_THE_END.match(statement):
        return []
    found = [_READS.match(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    return [one[1] for one in found if one and one[1] in GROWS and one[2] not in UNFINISHED]


async def _lives(bot: Bot, box: Worker) -> None:
    """With a worker, with the hub's own, with a person, and not to the end; then people look."""
    await box.enrol()
    first = (await bot.data("/task find the answer max=100"))["task"]
    await box.bid(first, 1)
    lease = (await box.given())["lease_token"]
    await box.beat(first, lease)
    await box.deliver(first, lease, "It is 42.")
    await bot.until(kind="more", task=first, status="delivered")
    await bot.say(f"/accept {first}")
    await bot.settled((await bot.data("/task find the question max=100 to=echo"))["task"])
    lost = (await bot.data("/task write it down max=100 pick=ask"))["task"]
    await bot.say(f"/bid {lost} 5")
    await bot.data("/task tell nobody max=100 to=box")
    for line in (
        "/tasks", "/tasks settled", "/tasks bidding", f"/show {first}", f"/bids {first}", "/agents", "/agent echo", "/agent box",
        "/market", "/status", "/balance", "/history", "/treasury", "/limits", "/whoami", "/new", f"/cancel {lost}",
    ):  # fmt: skip
        await bot.say(line)


async def test_nothing_that_a_hub_asks_reads_through_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    monkeypatch.setattr(writer, "connect", asked.writer)
    monkeypatch.setattr(writer, "connect_reader", asked.reader)
    async with hub(tmp_path, personas=(ECHO,)) as bot, workers(bot, "box") as (box,):
        await _lives(bot, box)
    async with hub(tmp_path, personas=(ECHO,)) as bot, back(bot, box):
        await bot.say("/tasks")
        bot.clock.advance(400 * DAY)
        await Retention(bot.app.store, bot.clock).sweep()
    assert len(asked.statements) > 200, "it saw what was asked"
    assert any(one.startswith("DELETE FROM applied") for one in asked.statements), "and what was forgotten"
    with closing(connect_reader(bot.app.settings.data_dir / "hub.db")) as connection:
        assert reads_through(connection, "SELECT count(*) FROM event WHERE at < 5") == ["event"], "it would notice"
        wrong = {one: found for one in asked.statements if (found := reads_through(connection, one))}
    assert wrong == {}
