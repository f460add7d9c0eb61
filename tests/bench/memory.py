"""What a search of a memory of 100,000 facts takes, and how often it finds the fact that a question is about.

The facts are made from a seed: words as often as words occur (Zipf's law), between them facts with a question each: some have
a rare word in common with it, some only common ones, some another form of it. All are one person's, with a tenth more of others
between; they are read by way of the hub's own store, as a question to the agent reads them.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from adapters.clockwork import Nursery, SystemClock, SystemIds
from adapters.sqlite.connection import connect
from adapters.sqlite.unit_of_work import UnitOfWork
from adapters.sqlite.writer import Database
from core.agent.memory import TERMS, Fact, Owner, Scope, Source, terms
from core.agent.notebook import Notebook
from core.agent.vectors import Meant, Vectors
from core.chat import Caller, Role
from core.tokens import Identities

if TYPE_CHECKING:
    from collections.abc import Iterator

FACTS = 100_000
OTHERS = 50
"""People beside the one who asks."""

VOCABULARY = 30_000
LENGTH = 12
PROBES = 300
WINDOW = 8192
MOST = TERMS
DIMENSIONS = 768
ANN = "telegram:5"
AT = 1_790_000_000_000

_GLUE = "the is a to of and in my i it that for on with at was we have are be this not they as from you do an".split()  # noqa: SIM905


class Probe(NamedTuple):
    """A fact, a question about it, and what the two have in common."""

    text: str
    question: str
    kind: str


class Found(NamedTuple):
    """Milliseconds of each search, and of each kind of question the share whose fact was given to the model."""

    took: list[float]
    given: dict[str, float]
    worst: float


def _vocabulary(dice: random.Random) -> list[str]:
    """Words of the length and look of words; the first are the most common."""
    made: dict[str, None] = dict.fromkeys(_GLUE)
    while len(made) < VOCABULARY:
        made["".join(dice.choice("bcdfghklmnprstvw") + dice.choice("aeiou") for _ in range(dice.randint(2, 4)))] = None
    return list(made)


class _Corpus:
    def __init__(self) -> None:
        self.dice = random.Random(6)  # noqa: S311 - the same facts each time
        self.words = _vocabulary(self.dice)
        self._weights = list(itertools.accumulate(1 / (rank + 2) for rank in range(VOCABULARY)))

    def some(self, count: int) -> list[str]:
        return self.dice.choices(self.words, cum_weights=self._weights, k=count)

    def probe(self, number: int) -> Probe:
        """A fact as others are, and a question that begins as questions do."""
        dice, kind = self.dice, ("a rare word", "common words", "another form")[number % 3]
        rare, form = f"{self.words[-1 - number]}x", f"{self.words[-1 - number]}z"
        common = dice.sample(self.words[60:400], 3)
        ask = "what is it that i have for the"
        if kind == "a rare word":
            return Probe(" ".join([*self.some(5), rare, *self.some(5)]), f"{ask} {rare} {' '.join(self.some(2))}", kind)
        if kind == "common words":
            return Probe(" ".join([*self.some(4), *common, *self.some(4)]), f"{ask} {' '.join(common)}", kind)
        return Probe(" ".join([*self.some(5), f"{form}ing", *self.some(5)]), f"{ask} {form}ed", kind)


def load(path: Path, facts: int) -> list[Probe]:
    """Fill a database; returns the probes, spread among one person's facts."""
    corpus = _Corpus()
    probes = [corpus.probe(number) for number in range(PROBES)]
    every = facts // (PROBES + 1)
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        tx = UnitOfWork(connection)
        memory = tx.memory
        for number in range(facts + facts // 10):
            others, place = number % 11 == 10, number - number // 11
            owner = Owner(Scope.PERSON, f"telegram:{100 + number % OTHERS}" if others else ANN)
            at, left = divmod(place, every)
            asked = not others and not left and 0 < at <= PROBES
            text = probes[at - 1].text if asked else " ".join(corpus.some(LENGTH))
            memory.add(Fact(text, owner, Source(owner.name, AT, owner.name, "k")), terms(text))
        connection.execute("COMMIT")
    return probes


async def _measure(path: Path, probes: list[Probe]) -> Found:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Database.open(path, SystemClock()))
        identities = Identities(store, SystemIds(), owners=(), reserved=lambda _: False)
        notebook = Notebook(store, identities, Vectors(store, None, Nursery(), SystemClock()), window=WINDOW)
        caller, took = Caller(ANN, Role.MEMBER), []
        hits: dict[str, list[bool]] = {}
        for probe in probes:
            began = time.perf_counter()
            given = await notebook.notes(caller, ANN, probe.question)
            took.append((time.perf_counter() - began) * 1000)
            hits.setdefault(probe.kind, []).append(probe.text in given.text)
        worst = await _longest(notebook, caller)
    return Found(took, {kind: sum(found) / len(found) for kind, found in hits.items()}, worst)


async def _longest(notebook: Notebook, caller: Caller) -> float:
    """A question of nothing but the most common words, as many as are looked for."""
    began = time.perf_counter()
    await notebook.notes(caller, ANN, " ".join(_GLUE * 3))
    return (time.perf_counter() - began) * 1000


class Near(NamedTuple):
    """Milliseconds of each search by vectors, and how many of the ten nearest were found."""

    took: list[float]
    found: float


def nearest(facts: int, questions: int) -> Near:
    """Search by what facts mean: vectors of 768 numbers in clouds, as models make them; held against comparing all of them."""
    import numpy as np  # noqa: PLC0415 - for these lines alone

    dice = np.random.default_rng(6)
    clouds = dice.standard_normal((200, DIMENSIONS), np.float32)

    def some(count: int) -> Any:
        return clouds[dice.integers(0, len(clouds), count)] + 1.2 * dice.standard_normal(
            (count, DIMENSIONS), np.float32
        )

    vectors, asked = some(facts), some(questions)
    exact = (asked @ vectors.T) / np.linalg.norm(vectors, axis=1)
    with (
        tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder,
        closing(connect(Path(folder, "hub.db"))) as connection,
    ):
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        tx = UnitOfWork(connection)
        owner = Owner(Scope.PERSON, ANN)
        for number, vector in enumerate(vectors):
            fact = tx.memory.add(Fact(f"f{number}", owner, Source(ANN, AT, ANN, "k")), ())
            tx.vectors.put(fact.id, Meant("m", vector))
        connection.execute("COMMIT")
        memories, took, found = tx.memory.numbers([owner]), [], 0
        tx.vectors.nearest(memories, Meant("m", asked[0]), 10)  # the first reads the signs
        for place, vector in enumerate(asked):
            began = time.perf_counter()
            near = tx.vectors.nearest(memories, Meant("m", vector), 10)
            took.append((time.perf_counter() - began) * 1000)
            found += len({fact - 1 for fact, _ in near} & set(np.argsort(-exact[place])[:10].tolist()))
    return Near(took, found / (10 * questions))


def searches(facts: int, rounds: int) -> Iterator[Found]:
    """Several rounds over one database."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        path = Path(folder, "hub.db")
        probes = load(path, facts)
        for _ in range(rounds):
            yield asyncio.run(_measure(path, probes))
