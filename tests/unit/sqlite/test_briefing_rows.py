"""What a briefing reads of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.automation.briefing import Point

if TYPE_CHECKING:
    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database

PLACES = (
    "!a:b.c",
    "!a:b.c/$1",
    "![a]:b.c",
    "![a]:b.c/$1",
    "!*:b.c/$1",
    "!?:b.c/$1",
    "!_:b.c/$1",
    "!A:b.c/$1",
    "!a:b.cd/$1",
)


@pytest.mark.parametrize("room", ["!a:b.c", "![a]:b.c", "!*:b.c", "!?:b.c", "!_:b.c", "!%:b.c"])
async def test_a_place_is_its_rooms_and_threads_and_no_pattern_of_others(store: Database, room: str) -> None:
    def work(tx: UnitOfWork) -> None:
        for number, place in enumerate(PLACES, 1):
            tx._connection.execute(
                "INSERT INTO task (id, requester, account, conversation, description, status, budget, pick, attempt, attempts,"
                " posted_at, deadline) VALUES (?, 'a', 'user:a', ?, 'd', 'settled', 1, 'auto', 1, 1, 1, 1)",
                (number, place),
            )
            tx._connection.execute(
                "INSERT INTO event (kind, task, at, data) VALUES ('TaskSettled', ?, 1, '{}')", (number,)
            )

    await store.write(work)
    upto = Point(1, 99, 0)
    found, count = await store.read(lambda tx: tx.briefings.ended(Point(0, 0, 0), upto, (), room, 9))
    there = [PLACES[number - 1] for number in reversed(found)]
    assert there == [place for place in PLACES if place == room or place.startswith(f"{room}/")]
    assert count == len(there)
