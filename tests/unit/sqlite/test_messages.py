"""Messages as rows: what is queued comes back whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.automation.briefing import Point
from core.chat import Button, File, Inbound, Mark, Reply, Style

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database
    from tests.fakes import FakeClock

WHOLE = Reply(
    "a b\ncode", {"ok": True, "n": 1}, 7, (Button("Go", "/go"),), (File("f.txt", "/data/f"),),
    (Mark(0, 3, Style.BOLD), Mark(4, 8, Style.PRE, "py")), markdown=True,
)  # fmt: skip
REPLIES = [WHOLE, Reply("plain")]


def queue(tx: UnitOfWork) -> list[Reply]:
    for reply in REPLIES:
        message = tx.messages.queue("telegram", "telegram:1", reply, None, 0)
        tx.messages.mark((message.id,), "queued")
    return [message.reply for message in tx.messages.waiting("telegram", 9, after=0, lost=0)]


async def test_a_reply_keeps_its_marks(store: Database) -> None:
    assert await store.write(queue) == REPLIES


async def test_a_group_that_moves_is_briefed_from_where_it_was(store: Database) -> None:
    old, new = "telegram:-1", "telegram:-1001"

    def work(tx: UnitOfWork) -> list[Point | None]:
        tx.briefings.keep(old, Point(1, 2, 3))
        tx.briefings.keep(f"{old}/7", Point(4, 5, 6))
        tx.messages.move("telegram", "-1", "-1001", tx.now)
        return [tx.briefings.last(one) for one in (old, new, f"{new}/7")]

    assert await store.write(work) == [None, Point(1, 2, 3), Point(4, 5, 6)]


async def test_looking_back_ends_where_it_is_too_long_ago(store: Database, clock: FakeClock) -> None:
    """However much others wrote before that."""

    def received(update: int, actor: str) -> Callable[[UnitOfWork], int]:
        message = Inbound("telegram", "main", str(update), "telegram:1", actor, "Hello")
        return lambda tx: tx.messages.receive(message, tx.now)

    async def back(since: int) -> tuple[list[str], int]:
        """What is found, and how many hundred steps that took."""
        steps = []

        def work(tx: UnitOfWork) -> list[str]:
            connection = tx.messages._connection
            connection.set_progress_handler(lambda: steps.append(1), 100)
            asked = Inbound("telegram", "main", "", "telegram:1", "telegram:7", "", id=latest)
            try:
                return [one.update for one in tx.messages.before(asked, {"telegram:7", "matrix:@a:x"}, since, 2)]
            finally:
                connection.set_progress_handler(None, 0)

        return await store.write(work), len(steps)

    await store.write(received(1, "telegram:7"))
    clock.advance(1)
    since = clock.now()

    def others(tx: UnitOfWork) -> None:
        for update in range(2, 2000):
            tx.messages.receive(
                Inbound("telegram", "main", str(update), "telegram:1", "telegram:8", "Hello"), tx.now - 1
            )

    await store.write(others)
    latest = await store.write(received(2000, "telegram:7"))
    found, steps = await back(since)
    assert found == []
    assert steps < 10, "nothing older is read"
    assert (await back(since - 1))[0] == ["1"]
    clock.advance(1)
    latest = await store.write(received(2001, "telegram:7"))
    assert (await back(since))[0] == ["2000"]
    assert await back(clock.now()) == ([], 0), "it came before that"
    await store.write(received(2002, "telegram:7"))
    latest = await store.write(received(2003, "telegram:7"))
    assert (await back(since))[0] == ["2002", "2001"], "so many are enough"
