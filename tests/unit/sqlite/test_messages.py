"""Messages as rows: what is queued comes back whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
