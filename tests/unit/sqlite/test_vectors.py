"""Vectors of facts as rows: the nearest are found, of these memories alone, and none is left of what was forgotten."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from core.agent.memory import Fact, Owner, Scope, Source, terms
from core.agent.vectors import Meant

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database

ANN, BEN = Owner(Scope.PERSON, "telegram:5"), Owner(Scope.PERSON, "telegram:6")
LENGTH = 100


def keep(tx: UnitOfWork, text: str, vector: list[float] | None, owner: Owner = ANN, model: str = "m") -> int:
    fact = tx.memory.add(Fact(text, owner, Source(owner.name, tx.now, owner.name, "k")), terms(text))
    if vector is not None:
        tx.vectors.put(fact.id, Meant(model, vector))
    return fact.id


def nearest(tx: UnitOfWork, vector: list[float], limit: int = 3, owner: Owner = ANN, model: str = "m") -> list[int]:
    found = tx.vectors.nearest(tx.memory.numbers([owner]), Meant(model, vector), limit)
    assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)
    return [fact for fact, _ in found]


def some(seed: str, near: list[float] | None = None) -> list[float]:
    numbers = hashlib.shake_256(seed.encode()).digest(LENGTH)
    return [number / 128 - 1 + (3 * near[place] if near else 0) for place, number in enumerate(numbers)]


async def test_the_nearest_are_found_and_of_these_memories_alone(store: Database) -> None:
    middle = some("middle")

    def many(tx: UnitOfWork) -> list[int]:
        for number in range(200):
            keep(tx, f"far {number}", some(f"far {number}"))
        keep(tx, "of another", middle, BEN)
        return [keep(tx, f"near {number}", some(f"near {number}", middle)) for number in range(3)]

    near = await store.write(many)
    assert set(await store.read(lambda tx: nearest(tx, middle))) == set(near)
    assert len(await store.read(lambda tx: nearest(tx, middle, 500))) == 203
    assert await store.read(lambda tx: nearest(tx, middle, owner=BEN)) == [201]
    await store.write(lambda tx: tx.memory.forget(near[:2], "b", tx.now))
    found = await store.read(lambda tx: nearest(tx, middle))
    assert found[0] == near[2]
    assert not set(near[:2]) & set(found)


async def test_what_is_kept_after_a_question_is_found_by_the_next(store: Database) -> None:
    middle = some("middle")
    await store.write(lambda tx: keep(tx, "far", some("far")))
    assert await store.read(lambda tx: nearest(tx, middle)) == [1]
    await store.write(lambda tx: keep(tx, "near", middle))
    assert await store.read(lambda tx: nearest(tx, middle)) == [2, 1]


async def test_without_vectors_nothing_is_near(store: Database) -> None:
    await store.write(lambda tx: keep(tx, "tea", None))
    assert await store.read(lambda tx: nearest(tx, [1.0, 2.0])) == []
    await store.write(lambda tx: keep(tx, "tea", [1.0] * 100, BEN))
    assert await store.read(lambda tx: nearest(tx, [1.0] * 100)) == []
    assert await store.read(lambda tx: tx.vectors.nearest([], Meant("m", [1.0] * 100), 3)) == []
    assert await store.read(lambda tx: nearest(tx, [1.0] * 300, owner=BEN)) == [], "of another length"


async def test_what_lacks_a_vector_is_told_and_another_models_count_for_nothing(store: Database) -> None:
    one = await store.write(lambda tx: keep(tx, "one", [1.0, -2.0]))
    two = await store.write(lambda tx: keep(tx, "two", None))
    assert await store.read(lambda tx: tx.vectors.lacking("m", 10)) == [(two, "two")]
    assert await store.read(lambda tx: tx.vectors.lacking("other", 10)) == [(two, "two"), (one, "one")]
    assert await store.read(lambda tx: nearest(tx, [1.0, -2.0], model="other")) == []
    await store.write(lambda tx: tx.vectors.put(one, Meant("other", [1.0, -2.0, 3.0])))
    assert await store.read(lambda tx: nearest(tx, [1.0, -2.0])) == []
    assert await store.read(lambda tx: nearest(tx, [1.0, -2.0, 3.0], model="other")) == [one]


async def test_vectors_of_another_length_under_the_same_name_count_for_nothing(store: Database) -> None:
    """A model was got anew, and has more numbers; of 100 the signs are as long as of 120."""
    lengths = (100, 120, 400)
    for length in lengths:
        await store.write(lambda tx, length=length: keep(tx, f"of {length}", [1.0, -2.0] * (length // 2)))  # type: ignore[misc]
    for place, length in enumerate(lengths):
        found = await store.read(lambda tx, length=length: nearest(tx, [1.0, -2.0] * (length // 2)))  # type: ignore[misc]
        assert found == [place + 1]
    assert await store.read(lambda tx: nearest(tx, [1.0, -2.0] * 55)) == []


async def test_nothing_is_left_of_what_was_forgotten(
    store: Database, look: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    assert not await store.read(lambda tx: tx.vectors.any_facts())
    one = await store.write(lambda tx: keep(tx, "one", [1.0, -2.0]))
    assert await store.read(lambda tx: tx.vectors.any_facts())
    await store.write(lambda tx: tx.memory.forget([one], "b", tx.now))
    await store.write(lambda tx: tx.vectors.put(one, Meant("m", [1.0, -2.0])))
    assert look("SELECT count(*) FROM fact_code") == look("SELECT count(*) FROM fact_vector") == [(0,)]
    assert not await store.read(lambda tx: tx.vectors.any_facts())
    await store.write(lambda tx: tx.memory.recover([one]))
    assert await store.read(lambda tx: tx.vectors.lacking("m", 10)) == [(one, "one")]


async def test_signs_of_few_memories_are_kept_in_the_process(store: Database) -> None:
    owners = [Owner(Scope.PERSON, f"telegram:{number}") for number in range(12)]
    for owner in owners:
        await store.write(lambda tx, owner=owner: keep(tx, "tea", [1.0, -2.0], owner))  # type: ignore[misc]
    for owner in (*owners, *owners):
        assert len(await store.read(lambda tx, owner=owner: nearest(tx, [1.0, -2.0], owner=owner))) == 1  # type: ignore[misc]
    assert len(await store.read(lambda tx: tx.vectors._known)) == 8
