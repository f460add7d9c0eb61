"""Messages as rows: what is queued comes back whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.automation.briefing import Point
from core.chat import Button, File, Mark, Reply, Style

if TYPE_CHECKING:
    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database

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
