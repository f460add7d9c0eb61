"""Two people's memories never mix: whatever is said, linked, taken off, let out or forgotten, in any order."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adapters.clockwork import Nursery
from adapters.sqlite.connection import schema_files
from adapters.sqlite.unit_of_work import UnitOfWork
from core.agent.memory import Scope
from core.agent.notebook import Notebook
from core.agent.vectors import Vectors
from core.chat import Role
from core.errors import HubError
from core.tokens import CONSOLE_OWNER, Identities
from tests.depth import depth
from tests.fakes import FakeClock, FakeIds

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from core.chat import Caller

R = TypeVar("R")

NAMED = "telegram:1"
"""The owner elsewhere, by the settings."""

PEOPLE = ("telegram:2", "telegram:3", "matrix:@ann:example.org", "matrix:@ben:example.org")
SECOND_OWNER = "telegram:9"
"""Another person, who was let in as an owner and shares the owners' wallet."""

EVERYBODY = (CONSOLE_OWNER, NAMED, SECOND_OWNER, *PEOPLE)
GROUPS = ("telegram:-1", "telegram:-2")


@cache
def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for _, file in schema_files():
        connection.executescript(file.read_text(encoding="utf-8"))
    return connection


class Direct:
    """A store without a thread: each function runs at once."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        _empty().backup(self.connection)
        self.tx = UnitOfWork(self.connection)
        self.now = 0

    async def write(self, work: Callable[[UnitOfWork], R], /) -> R:
        self.now += 1
        self.tx.begin(self.now)
        return work(self.tx)

    read = read_apart = write


def _facts_in(given: str) -> set[str]:
    """The facts that a model is given."""
    return {line[2:] for line in given.split("\n") if line.startswith("- ")}


class Memories(RuleBasedStateMachine):
    """People, their links, and what each of them had kept, beside a hub's own rows."""

    @initialize()
    def begin(self) -> None:
        self.store = Direct()
        self.identities = Identities(self.store, FakeIds("x"), owners=(NAMED,), reserved=lambda _: False)
        self.notebook = Notebook(
            self.store, self.identities, Vectors(self.store, None, Nursery(), FakeClock()), window=100_000
        )
        self.said: dict[str, set[str]] = {one: set() for one in (*EVERYBODY, *GROUPS)}
        self.links: dict[str, str] = {}
        self.inside = {*PEOPLE, SECOND_OWNER}
        self.count = 0
        for person in self.inside:
            self.let_in(person)

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run(work)

    def let_in(self, person: str) -> None:
        role = Role.OWNER if person == SECOND_OWNER else Role.MEMBER
        self.run(self.store.write(lambda tx: tx.tokens.give(person, role, "", tx.now)))

    def caller(self, actor: str, group: str | None) -> Caller:
        async def found() -> Caller:
            await self.identities.refresh()
            return await self.identities.caller(actor, private=group is None)

        return self.run(found())

    def one_with(self, actor: str) -> set[str]:
        """The identities of the same person, as the model of this test has it."""

        def root(one: str) -> str:
            found = self.links.get(one, one)
            return CONSOLE_OWNER if found == NAMED else found

        return {one for one in EVERYBODY if root(one) == root(actor)}

    @rule(actor=st.sampled_from(EVERYBODY), group=st.none() | st.sampled_from(GROUPS))
    def remember(self, actor: str, group: str | None) -> None:
        self.count += 1
        text = f"fact{self.count} of everybody"
        try:
            self.run(self.notebook.remember(self.caller(actor, group), group or actor, text, f"k{self.count}"))
        except HubError:
            assert actor not in self.inside
        else:
            self.said[group or actor].add(text)

    @rule(joins=st.sampled_from(PEOPLE), account=st.sampled_from(EVERYBODY))
    def link(self, joins: str, account: str) -> None:
        if joins in {*self.links, *self.links.values(), account} or account in self.links or joins not in self.inside:
            return
        if account in self.inside or account in {CONSOLE_OWNER, NAMED}:
            self.run(self.store.write(lambda tx: tx.links.link(joins, account, "", tx.now)))
            self.links[joins] = account

    @precondition(lambda self: self.links)
    @rule(data=st.data())
    def unlink(self, data: st.DataObject) -> None:
        actor = data.draw(st.sampled_from(sorted(self.links)))
        self.run(self.store.write(lambda tx: tx.links.unlink(actor)))
        del self.links[actor]

    @rule(actor=st.sampled_from(PEOPLE), again=st.booleans())
    def let_out(self, actor: str, again: bool) -> None:
        gone = self.run(self.store.write(lambda tx: tx.tokens.take_away(actor, tx.now)))
        for one in gone:
            self.said[one] = set()
            self.links.pop(one, None)
            self.inside.discard(one)
        if again:
            self.let_in(actor)
            self.inside.add(actor)

    @rule(actor=st.sampled_from(EVERYBODY), data=st.data())
    def forget(self, actor: str, data: st.DataObject) -> None:
        if actor not in self.inside | {CONSOLE_OWNER, NAMED}:
            return
        number = data.draw(st.integers(1, max(1, self.count)))
        self.count += 1
        try:
            gone = self.run(self.notebook.forget(self.caller(actor, None), actor, [number], key=f"k{self.count}"))
        except HubError:
            return
        for fact in gone:
            assert fact.owner.name in self.one_with(actor), "only one's own can be forgotten"
            self.said[fact.owner.name].remove(fact.text)

    @invariant()
    def nobody_sees_what_is_not_theirs(self) -> None:
        for actor in sorted(self.inside | {CONSOLE_OWNER, NAMED}):
            caller = self.caller(actor, None)
            theirs = set().union(*(self.said[one] for one in self.one_with(actor)))
            listed = self.run(self.notebook.listed(caller, actor, limit=1000)).facts
            assert {fact.text for fact in listed} == theirs
            assert all(fact.owner.scope is Scope.PERSON for fact in listed)
            searched = self.run(self.notebook.search(caller, actor, "everybody", limit=1000)).facts
            assert {fact.text for fact in searched} == theirs
            given = self.run(self.notebook.notes(caller, actor, "everybody?")).text
            assert _facts_in(given) <= theirs
            for group in GROUPS:
                asks = self.caller(actor, group)
                there = self.run(self.notebook.listed(asks, group, limit=1000)).facts
                assert {fact.text for fact in there} == self.said[group]
                given = self.run(self.notebook.notes(asks, group, "everybody?")).text
                assert _facts_in(given) <= self.said[group]


@pytest.mark.deep
@pytest.mark.timeout(600)  # a red run shrinks its example
def test_memories_never_mix() -> None:
    run_state_machine_as_test(
        Memories, settings=settings(max_examples=depth(1, 20), stateful_step_count=depth(12, 20), deadline=None)
    )
