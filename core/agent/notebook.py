"""Remembering, finding and forgetting facts on a person's word; what a question to the agent brings with it of them.

Whoever asks in private has what their own identities said, and nobody else's; in a group everybody has the group's, and no
private fact is ever read there. Whoever tries things out as somebody else (`--as`) has no memory, nor has a stranger.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.access import Action, authorize, judge
from core.agent.memory import (
    GIVEN,
    MAX_FACTS,
    NO_NOTES,
    UNDO_MS,
    WHOLE,
    Everywhere,
    Fact,
    How,
    KnownAlready,
    MemoryFull,
    NothingForgotten,
    Owner,
    Scope,
    Source,
    UnknownFact,
    best,
    fact_name,
    fused,
    kept,
    near,
    notes,
    said_as,
    terms,
    weigh,
    worths,
)
from core.agent.vectors import VectorTx
from core.agent.vectors import near as nearly
from core.chat import one_line
from core.tokens import TokenTx

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from core.agent.memory import MemoryStore, Notes
    from core.agent.vectors import Meant, Vectors
    from core.chat import Caller
    from core.store import Store
    from core.tokens import Identities

MEMORIES = 100
"""Memories whose words that are everywhere are kept in this process, at most."""

PART = 200
"""Facts that are forgotten, or come back, in one write at most."""


class MemoryTx(TokenTx, VectorTx, Protocol):
    """A unit of work over what is remembered, and who people are."""

    @property
    def memory(self) -> MemoryStore:
        """Facts."""


class Kept(NamedTuple):
    """A fact that is remembered now; `known`: it was before."""

    fact: Fact
    known: bool


class Found(NamedTuple):
    """Facts, the best or the newest first, of so many in this memory. `outside`: some were said by somebody else than who asks."""

    facts: list[Fact]
    total: int
    scope: Scope
    outside: bool = False


class Notebook:
    """What people had the agent keep. `window` is the most that a model has, in tokens: a share of its own is for facts."""

    def __init__(self, store: Store[MemoryTx], identities: Identities, vectors: Vectors, *, window: int) -> None:
        self._store = store
        self._identities = identities
        self._vectors = vectors
        self._everywhere: dict[tuple[int, ...], Everywhere] = {}
        self._window = window

    async def remember(self, caller: Caller, conversation: str, text: str, key: str, *, how: How = How.WRITTEN) -> Kept:
        """Keep a fact: in private the caller's own, in a group the group's. The same `key`, or the same words, once.

        Raises `NothingToKeep`, `TooLongToKeep`, `SecretNotKept`, `MemoryFull`.
        """
        authorize(caller, Action.REMEMBER)
        words = kept(text)
        owner = owner_of(caller, conversation)

        def work(tx: MemoryTx) -> Kept:
            self._identities.as_now(tx, caller)
            known = tx.memory.same(owner, words)
            if known is not None or tx.applied(key) is not None:
                # Of a key that was applied, and its fact forgotten since, nothing is kept again.
                return Kept(known or Fact(words, owner, _source(tx)), known=tx.applied(key) is None)
            if tx.memory.full(owner, MAX_FACTS):
                raise MemoryFull(count=f"{MAX_FACTS:,}")
            fact = tx.memory.add(Fact(words, owner, _source(tx)), terms(words))
            tx.mark(key, fact.name)
            return Kept(fact, known=False)

        def _source(tx: MemoryTx) -> Source:
            return Source(caller.recorded, tx.now, conversation, key, how)

        made = await self._store.write(work)
        self._vectors.look()
        return made

    async def look(self, caller: Caller, conversation: str, text: str) -> None:
        """Raise what keeps a fact from being kept as things are, that it is already included."""
        authorize(caller, Action.REMEMBER)
        owner, words = owner_of(caller, conversation), kept(text)

        def work(tx: MemoryTx) -> None:
            if (known := tx.memory.same(owner, words)) is not None:
                raise KnownAlready(name=known.name)
            if tx.memory.full(owner, MAX_FACTS):
                raise MemoryFull(count=f"{MAX_FACTS:,}")

        await self._store.read(work)

    async def listed(self, caller: Caller, conversation: str, *, limit: int, before: int | None = None) -> Found:
        """The newest facts, `limit` at most, from number `before` downwards where it is given."""
        authorize(caller, Action.RECALL)

        def work(tx: MemoryTx) -> Found:
            memories = self._readable(tx, caller, conversation)
            return self._found(tx, caller, tx.memory.newest(memories, limit, before), tx.memory.count(memories))

        return await self._store.read(work)

    async def search(self, caller: Caller, conversation: str, question: str, *, limit: int) -> Found:
        """The facts that fit some words, the best first, `limit` at most."""
        authorize(caller, Action.RECALL)
        self._vectors.glance()
        meant = await self._vectors.meaning(question)

        def work(tx: MemoryTx) -> Found:
            memories = self._readable(tx, caller, conversation)
            found, _ = self._ranked(tx, memories, question, limit)
            if meant is not None:
                found = _with_near(tx, memories, found, meant, limit)
            return self._found(tx, caller, found, len(found))

        return await self._store.read(work)

    async def exact(self, caller: Caller, conversation: str, text: str) -> list[Fact]:
        """The facts of these very words, as they were kept or in another case, in quotes and with another end."""
        authorize(caller, Action.RECALL)

        def work(tx: MemoryTx) -> list[Fact]:
            wanted = said_as(text)
            same = [tx.memory.same(owner, one_line(text)) for owner in self._owners(tx, caller, conversation)]
            found, _ = self._ranked(tx, self._readable(tx, caller, conversation), text, GIVEN)
            alike = [one for one in found if said_as(one.text) == wanted]
            return [one for one in same if one is not None] or alike

        return await self._store.read(work)

    async def notes(self, caller: Caller, conversation: str, question: str, num_ctx: int | None = None) -> Notes:
        """What the model, whose window this is, is given of this memory for a question; nothing where nothing is, or for nobody.

        What other members of a group had kept is from outside for whoever asks.
        """
        if not judge(caller, Action.RECALL).allowed:
            return NO_NOTES
        self._vectors.glance()

        def work(tx: MemoryTx, meant: Meant | None) -> Notes | None:
            memories = self._readable(tx, caller, conversation)
            few = tx.memory.newest(memories, WHOLE + 1) if memories else []
            if not few:
                return NO_NOTES
            whole = len(few) <= WHOLE
            if not whole and meant is None and self._vectors.ready:
                return None
            found, worth = self._ranked(tx, memories, question, GIVEN)
            given = [*found, *(one for one in few if one not in found)] if whole else near(found, worth)
            if meant is not None:
                given = _with_near(tx, memories, given, meant, GIVEN)
            outside = not all(self._said(tx, caller, one) for one in given)
            return notes(given, _scope(caller), num_ctx or self._window, outside=outside)

        found = await self._store.read(lambda tx: work(tx, None))
        if found is None:  # a model may know more of so many than their words say
            meant = await self._vectors.meaning(question)
            found = await self._store.read(lambda tx: work(tx, meant))
        return found or NO_NOTES

    async def forget(self, caller: Caller, conversation: str, numbers: Collection[int], *, key: str) -> list[Fact]:
        """Forget facts by their numbers; they can be had back for `UNDO_MS`. Returns them. Raises `UnknownFact`.

        A group's are forgotten by whoever said them, and by operators.
        """
        authorize(caller, Action.REMEMBER)

        def work(tx: MemoryTx) -> list[Fact]:
            self._identities.as_now(tx, caller)
            if tx.applied(key) is not None:
                return tx.memory.batch(key)
            found = {
                one.id: one for one in tx.memory.facts(numbers) if one.owner in self._owners(tx, caller, conversation)
            }
            for number in numbers:
                if number not in found:
                    raise UnknownFact(given=fact_name(number))
                self._check_theirs(tx, caller, found[number])
            tx.memory.forget(numbers, key, tx.now)
            self._everywhere.clear()
            tx.mark(key, "")
            return [found[number] for number in numbers]

        return await self._store.write(work)

    async def forget_all(self, caller: Caller, conversation: str, *, key: str) -> int:
        """Forget all facts of this memory that the caller may; returns how many. Part by part: other writes go between."""
        authorize(caller, Action.REMEMBER)

        def part(tx: MemoryTx, before: int | None) -> int | None:
            self._identities.as_now(tx, caller)
            some = tx.memory.newest(self._readable(tx, caller, conversation), PART, before)
            tx.memory.forget([one.id for one in some if self._may_forget(tx, caller, one)], key, tx.now)
            return some[-1].id - 1 if len(some) == PART else None

        before = await self._store.write(lambda tx: part(tx, None))
        while before is not None:
            before = await self._store.write(partial(part, before=before))
        self._everywhere.clear()
        return await self._store.read(lambda tx: len(tx.memory.batch(key)))

    async def forgotten(self, key: str) -> list[Fact]:
        """What was forgotten by this very message, before a restart."""
        return await self._store.read(lambda tx: tx.memory.batch(key))

    async def recover(self, caller: Caller, conversation: str, number: int | None = None) -> list[Fact]:
        """Have back what was forgotten last, or together with the fact `number`. Raises `NothingForgotten`."""
        authorize(caller, Action.REMEMBER)

        def work(tx: MemoryTx) -> list[Fact]:
            self._identities.as_now(tx, caller)
            memories = self._readable(tx, caller, conversation)
            some = tx.memory.forgotten(memories, tx.now - UNDO_MS, number)
            theirs = [one for one in some if self._may_forget(tx, caller, one)]
            tx.memory.recover([one.id for one in theirs])
            return theirs

        found = await self._store.write(work)
        if not found:
            raise NothingForgotten(hours=UNDO_MS // 3_600_000)
        self._vectors.look()
        return found

    def _ranked(
        self, tx: MemoryTx, memories: Sequence[int], question: str, limit: int
    ) -> tuple[list[Fact], dict[int, float]]:
        """The facts that fit, the best first, and what each is worth."""
        if len(self._everywhere) > MEMORIES:
            self._everywhere.clear()
        query = weigh(tx.memory, memories, question, self._everywhere.setdefault(tuple(memories), Everywhere()))
        first = sorted(query.guess, key=lambda number: (-query.guess[number], -number))[: 3 * limit]
        facts = tx.memory.facts(first)
        worth = worths(facts, query, question, tx.now)
        return best(facts, worth)[:limit], worth

    def _found(self, tx: MemoryTx, caller: Caller, facts: list[Fact], total: int) -> Found:
        return Found(facts, total, _scope(caller), outside=not all(self._said(tx, caller, one) for one in facts))

    def _owners(self, tx: MemoryTx, caller: Caller, conversation: str) -> list[Owner]:
        """Whose facts the caller may read here."""
        if not caller.private:
            return [owner_of(caller, conversation)]
        return [Owner(Scope.PERSON, one) for one in self._identities.person_in(tx, caller.actor)]

    def _readable(self, tx: MemoryTx, caller: Caller, conversation: str) -> list[int]:
        return tx.memory.numbers(self._owners(tx, caller, conversation))

    def _check_theirs(self, tx: MemoryTx, caller: Caller, fact: Fact) -> None:
        authorize(caller, Action.FORGET, own=self._said(tx, caller, fact))

    def _may_forget(self, tx: MemoryTx, caller: Caller, fact: Fact) -> bool:
        return judge(caller, Action.FORGET, own=self._said(tx, caller, fact)).allowed

    def _said(self, tx: MemoryTx, caller: Caller, fact: Fact) -> bool:
        """Whether it is the caller's own: what a person's memory holds is, whichever device said it."""
        if fact.owner.scope is Scope.PERSON:
            return True
        return fact.source.said_by in self._identities.person_in(tx, caller.actor)


def owner_of(caller: Caller, conversation: str) -> Owner:
    """Whose a fact is that the caller says here: a device says its person's; a group's threads are one group."""
    if caller.private:
        return Owner(Scope.PERSON, caller.proxy.person if caller.proxy else caller.actor)
    return Owner(Scope.PLACE, conversation.partition("/")[0])


def _scope(caller: Caller) -> Scope:
    return Scope.PERSON if caller.private else Scope.PLACE


def _with_near(tx: MemoryTx, memories: Sequence[int], found: Sequence[Fact], meant: Meant, limit: int) -> list[Fact]:
    """Both rankings as one: the facts that fit by their words, and those that mean nearly the same."""
    close = nearly(tx.vectors.nearest(memories, meant, limit))
    order = fused([fact.id for fact in found], close)[:limit]
    facts = {fact.id: fact for fact in (*tx.memory.facts(order),)}
    return [facts[number] for number in order if number in facts]
