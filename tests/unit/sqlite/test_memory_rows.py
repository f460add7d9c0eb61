"""Facts as rows: their index is in step with them, no text is a query, and what was deleted is not in the file any more."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from adapters.sqlite.retention import Retention
from core.agent.memory import UNDO_MS, Fact, Owner, Scope, Source, terms

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database
    from tests.fakes import FakeClock

ANN, BEN = Owner(Scope.PERSON, "telegram:5"), Owner(Scope.PERSON, "telegram:6")


def keep(tx: UnitOfWork, text: str, owner: Owner = ANN) -> Fact:
    source = Source(owner.name, tx.now, owner.name, "k")
    return tx.memory.add(Fact(text, owner, source), terms(text))


def having(tx: UnitOfWork, *wanted: str, owner: Owner = ANN, limit: int = 10) -> tuple[int, ...]:
    return tx.memory.having(tx.memory.numbers([owner]), wanted, limit).facts


async def test_a_fact_is_found_until_it_is_forgotten_and_again_once_it_is_back(store: Database, path: Path) -> None:
    first = await store.write(lambda tx: keep(tx, "the printer is otto"))
    await store.write(lambda tx: keep(tx, "the printer is anna", BEN))
    assert await store.read(lambda tx: having(tx, "printer")) == (first.id,)
    await store.write(lambda tx: tx.memory.forget([first.id], "b", tx.now))
    assert await store.read(lambda tx: having(tx, "printer")) == ()
    assert await store.read(lambda tx: tx.memory.facts([first.id])) == []
    assert await store.read(lambda tx: tx.memory.same(ANN, first.text)) is None
    assert [one.id for one in await store.read(lambda tx: tx.memory.batch("b"))] == [first.id]
    for ago, back in ((0, []), (1, [first.id])):
        found = await store.read(lambda tx, ago=ago: tx.memory.forgotten(tx.memory.numbers([ANN]), tx.now - ago))  # type: ignore[misc]
        assert [one.id for one in found] == back
    await store.write(lambda tx: tx.memory.recover([first.id]))
    assert await store.read(lambda tx: having(tx, "printer", "otto")) == (first.id,)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO fact_term (fact_term, rank) VALUES ('integrity-check', 1)")


@pytest.mark.parametrize(
    "word",
    ['"', "'", "a OR b", "NOT", "otto*", "-otto", "terms:otto", "NEAR(a b)", "(", "^otto", "\x00", "\ue0001", ""],
)
async def test_no_word_is_a_query(store: Database, word: str) -> None:
    await store.write(lambda tx: keep(tx, "otto"))
    await store.write(lambda tx: keep(tx, "anna", BEN))
    found = await store.read(lambda tx: having(tx, word))
    assert found == ((1,) if word == "\ue0001" else ()), "nobody else's in any case"


async def test_a_memory_among_others_is_found_in_whole_or_its_newest(store: Database) -> None:
    def many(tx: UnitOfWork) -> None:
        for number in range(30):
            keep(tx, f"tea {number}", ANN if number % 3 else BEN)

    await store.write(many)
    posting = await store.read(lambda tx: tx.memory.having(tx.memory.numbers([BEN]), ("tea",), 4))
    assert (posting.facts, posting.more) == ((28, 25, 22, 19), True)
    posting = await store.read(lambda tx: tx.memory.having(tx.memory.numbers([ANN, BEN]), ("tea",), 30))
    assert (len(posting.facts), posting.more) == (30, False)
    assert await store.read(lambda tx: tx.memory.full(BEN, 10))
    assert not await store.read(lambda tx: tx.memory.full(BEN, 11))


async def test_a_fact_is_never_changed_and_is_forgotten_before_it_is_deleted(
    store: Database, look: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    await store.write(lambda tx: keep(tx, "otto"))
    for change in ("UPDATE fact SET text = 'anna'", "UPDATE fact SET memory = 2", "DELETE FROM fact"):
        with pytest.raises(sqlite3.IntegrityError, match="a fact is"):
            look(change)


async def test_what_was_forgotten_a_day_ago_is_nowhere_in_the_file(
    store: Database, clock: FakeClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.sqlite.memory_store.MERGED", 2)  # of very many facts, it takes several steps
    words = [sha256(bytes([number // 256, number % 256])).hexdigest() for number in range(400)]

    def many(tx: UnitOfWork) -> list[Fact]:
        return [keep(tx, f"the word is {word}, {'and more of it ' * 20}") for word in words]

    def seen() -> list[bool]:
        """Which words the file has some of: the index writes a word without what it shares with the one before it."""
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = path.read_bytes()
        return [word[6:].encode() in content for word in words]

    facts = await store.write(many)
    gone = [one.id for one in facts[100:300]]
    await store.write(lambda tx: tx.memory.forget(gone, "b", tx.now))
    retention = Retention(store, clock)
    assert await retention.sweep() == 0
    assert all(seen())
    clock.advance(UNDO_MS + 1)
    assert await retention.sweep() == len(gone)
    assert seen() == [not 100 <= number < 300 for number in range(400)]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO fact_term (fact_term, rank) VALUES ('integrity-check', 1)")
    assert await store.read(lambda tx: tx.memory.forgotten(tx.memory.numbers([ANN]), 0)) == []


async def test_what_a_group_has_kept_goes_with_it_where_it_moves(store: Database) -> None:
    old, new = (Owner(Scope.PLACE, f"telegram:-{number}") for number in (1, 1001))
    same = Owner(Scope.PERSON, "telegram:-1")

    def work(tx: UnitOfWork) -> list[list[str]]:
        keep(tx, "the group's", old)
        keep(tx, "somebody's", same)
        tx.messages.move("telegram", "-1", "-1001", tx.now)
        return [[fact.text for fact in tx.memory.newest(tx.memory.numbers([one]), 9)] for one in (old, new, same)]

    assert await store.write(work) == [[], ["the group's"], ["somebody's"]]
