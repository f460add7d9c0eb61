"""What must be true when all is over: of each message, of each task, of the books, and of what stands on the surfaces.

The signs prove what people saw. The hub's rows prove the rest, commands without a sign too: one row in for each message,
one row out for each row in, and each message that stands somewhere is one row's.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any

from adapters.sqlite.connection import connect_reader
from core.events import Kind
from core.tokens import CONSOLE_OWNER
from core.wallet.ledger import TREASURY, user_account
from tests.soak.tally import AGAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.soak.tally import Said, Shown

TOLD = re.compile(r"(T-\d+) (settled|failed|expired|was cancelled)\b")
"""How a message of its own begins that tells of a task's end."""


_PAID = "SELECT txn.task FROM txn JOIN posting ON posting.txn = txn.id WHERE posting.account = ?"


def turns(database: Path, said: Sequence[Said]) -> list[str]:
    """What is wrong with the rows in and out: what was said is in once, and is answered once."""
    with closing(connect_reader(database)) as connection:
        rows_in = Counter(connection.execute("SELECT surface, update_id FROM inbound WHERE done = 1").fetchall())
        undone = connection.execute("SELECT surface, update_id FROM inbound WHERE done = 0").fetchall()
        rows_out = Counter(connection.execute("SELECT cause FROM outgoing WHERE cause IS NOT NULL").fetchall())
        keys = dict(_keys(connection))
        waiting = connection.execute("SELECT id, state, body ->> 'text' FROM outgoing WHERE state <> 'sent'").fetchall()
        buried = connection.execute("SELECT * FROM dead_letter").fetchall()
    names = {(one.surface, one.update): one for one in said}
    missed = [one for name, one in names.items() if not rows_in[name] and not one.late]
    wrong = [f"not received: {one.surface} {one.update} in {one.place} at {one.at}: {one.text}" for one in missed]
    wrong += [f"no turn yet: {row}" for row in undone]
    wrong += [
        f"answered {rows_out[keys[name],]} times: {name}"
        for name, one in names.items()
        if name in keys and rows_out[keys[name],] != max(1, len(one.spoken))
    ]
    wrong += [f"not sent: {row}" for row in waiting]
    return wrong + [f"a dead letter: {row}" for row in buried]


def _keys(connection: Any) -> Iterator[tuple[tuple[str, str], str]]:
    for surface, account, update in connection.execute("SELECT surface, account, update_id FROM inbound"):
        yield (surface, update), f"{surface}/{account}/{update}"


def strays(database: Path, shown: Sequence[Shown]) -> tuple[int, int, list[str]]:
    """Messages that are no row's: how many drafts a stop left and copies somebody was warned of; and those that may not be.

    Of a message that arrived unseen the hub sends a copy, which says that it may be one, and only that is the row's.
    """
    with closing(connect_reader(database)) as connection:
        sent = connection.execute("SELECT surface, platform_id FROM outgoing WHERE platform_id IS NOT NULL").fetchall()
    known = {(surface, name) for surface, names in sent for name in names.split(",")}
    warned = {
        (one.place, one.texts[0].removeprefix(AGAIN)) for one in shown if one.surface == "telegram" and one.marked
    }
    drafts, copies, wrong = 0, 0, []
    for one in shown:
        if not one.name or (one.surface, one.name) in known:
            continue
        if one.unfinished:
            drafts += 1
        elif one.marked or any((one.place, text) in warned for text in one.texts):
            copies += 1
        else:
            wrong.append(f"no row knows {one}")
    return drafts, copies, wrong


def tasks(database: Path, shown: Sequence[Shown]) -> tuple[Counter[str], list[str]]:
    """How tasks ended; and what is wrong: one that is not over, was paid twice or not at all, or is told of more than once."""
    with closing(connect_reader(database)) as connection:
        rows = connection.execute("SELECT id, status, why FROM task").fetchall()
        settled = Counter(connection.execute("SELECT task FROM event WHERE kind = ?", (Kind.TASK_SETTLED,)).fetchall())
        paid = Counter(connection.execute(_PAID, (TREASURY,)).fetchall())
    told: dict[str, list[Shown]] = defaultdict(list)
    for one in shown:
        if found := TOLD.match(one.texts[0].removeprefix(AGAIN)):
            told[found[1]].append(one)
    wrong = []
    for number, status, why in rows:
        if status not in {"settled", "cancelled"}:
            wrong.append(f"T-{number} is {status}: {why}")
        if not settled[number,] == paid[number,] == (status == "settled"):
            wrong.append(f"T-{number}, {status}, settled {settled[number,]} times and paid {paid[number,]} times")
        unmarked = [one for one in told[f"T-{number}"] if not one.marked]
        if len(unmarked) > 1 or (status == "settled" and not told[f"T-{number}"]):
            wrong.append(f"T-{number}, {status}, told by {[one.texts for one in told[f'T-{number}']]}")
    return Counter(status for _, status, *_ in rows), wrong


def money(database: Path, grant: int) -> list[str]:
    """What is wrong with the sums: what was settled is what was paid, and nothing is held or on its way (sats)."""
    with closing(connect_reader(database)) as connection:
        (spent,) = connection.execute(
            "SELECT coalesce(sum(price), 0) / 1000 FROM task WHERE status = 'settled'"
        ).fetchone()
        accounts = {
            name: (posted // 1000, held // 1000)
            for name, posted, held in connection.execute("SELECT name, posted, held FROM account")
        }
    user, treasury = accounts[user_account(CONSOLE_OWNER)], accounts[TREASURY]
    found = []
    if user != (grant - spent, 0):
        found.append(f"the owner has {user}, not {(grant - spent, 0)}")
    if treasury != (spent, 0):
        found.append(f"the treasury has {treasury}, not {spent}")
    found += [f"{name} still holds {one}" for name, one in accounts.items() if one[1]]
    return found
