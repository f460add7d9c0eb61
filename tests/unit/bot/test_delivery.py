"""The order of what goes out, where somebody comes back in the middle of it: as it was written, whatever the moment."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from adapters.clockwork import Nursery
from adapters.sqlite.writer import Database
from bot.delivery import Delivery
from core.chat import Attachment, NotFetched, NotSent, Reply
from core.store import StoreBusy
from core.swarm.task import Status, Task
from tests.blank import blank
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.chat import Outgoing

HERE = "console:owner"


class Door:
    """A surface that somebody is behind, or not; a send may be held in the middle."""

    name = "console"
    heard_at = None
    advice = ()

    def __init__(self) -> None:
        self.open = False
        self.shown: list[str] = []
        self.gate: asyncio.Event | None = None
        self.tried = asyncio.Event()
        self.copies = 0
        self.floods = False

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        there = self.open
        self.tried.set()
        if self.floods:
            raise NotSent(surface="console", why="it asks to wait", wait=2.0)
        if self.gate is not None:
            await self.gate.wait()
        if not there:
            return None
        self.shown.append(message.reply.text)
        self.copies += message.again
        return (str(message.id),)


class Slow(Database):
    """A database whose notes, and looks, wait for the test."""

    gate: asyncio.Event | None = None
    looks: asyncio.Event | None = None
    written = 0

    async def read(self, work: Any, /) -> Any:
        """See `core.store.Store`."""
        if self.looks is not None:
            await self.looks.wait()
        return await super().read(work)

    async def write(self, work: Any, /) -> Any:
        """See `core.store.Store`."""
        if self.gate is not None and "_mark" in getattr(work, "func", work).__qualname__:
            await self.gate.wait()
        self.written += 1
        return await super().write(work)


@pytest.mark.parametrize("moment", ["while it is sent", "while it is noted", "after both"])
async def test_whoever_comes_back_is_shown_what_waited_in_its_order(tmp_path: Path, moment: str) -> None:
    clock, door = FakeClock(), Door()
    async with Slow.open(blank(tmp_path / "hub.db"), clock) as store, Nursery() as nursery:
        assert isinstance(store, Slow)
        delivery = Delivery(store, clock, nursery)
        await delivery.begin()
        delivery.attach(door)  # type: ignore[arg-type]

        async def say(text: str) -> None:
            delivery.send(await store.write(lambda tx: tx.messages.queue("console", HERE, Reply(text), None, tx.now)))

        async def come() -> None:
            door.open = True
            await delivery.again("console")

        if moment == "while it is sent":
            door.gate = asyncio.Event()
        elif moment == "while it is noted":
            store.gate = asyncio.Event()
        await say("first")
        await door.tried.wait()
        if moment == "after both":
            await delivery.drain(5)
        coming = asyncio.ensure_future(come())  # noqa: TID251 - it overlaps with what is said next
        await say("second")
        if door.gate is not None:
            door.gate.set()
        if store.gate is not None:
            await asyncio.sleep(0.01)  # noqa: TID251 - what goes wrong needs a moment
            store.gate.set()
        await coming
        await delivery.drain(5)
        await say("third")
        await delivery.drain(5)
        assert door.shown == ["first", "second", "third"]


TASK = Task(
    id=1, requester=HERE, account=f"user:{HERE}", conversation=HERE, description="a poem", status=Status.BIDDING,
    budget=200_000, hold=None, pick="ask", only=None, attempt=1, attempts=3, posted_at=0, deadline=1,
)  # fmt: skip


class Branches:
    """Threads as Matrix names them."""

    def thread(self, conversation: str, root: str) -> str | None:
        return None if "/" in conversation else f"{conversation}/{root}"

    def above(self, conversation: str) -> str | None:
        above, slash, _ = conversation.partition("/")
        return above if slash else None


async def test_a_stop_sends_nothing_ahead_of_the_answer_it_breaks_off_and_marks_nothing_that_never_left(
    tmp_path: Path,
) -> None:
    clock, door = FakeClock(), Door()
    door.open = True
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        async with Nursery() as nursery:
            delivery = Delivery(store, clock, nursery)
            await delivery.begin()
            delivery.attach(door)  # type: ignore[arg-type]
            delivery.hold(HERE)
            delivery.send(
                await store.write(lambda tx: tx.messages.queue("console", HERE, Reply("it follows"), None, tx.now))
            )
            await delivery.stop(1)
            delivery.let_go("console", HERE)  # as a turn that is cancelled does
            await store.write(lambda tx: None)
        assert door.shown == []
        async with Nursery() as nursery:
            delivery = Delivery(store, clock, nursery)
            await delivery.begin()
            delivery.attach(door)  # type: ignore[arg-type]
            await delivery.again("console")
            await delivery.drain(5)
        assert door.shown == ["it follows"]
        assert door.copies == 0


async def test_what_follows_in_a_thread_waits_for_the_answer_above_it_and_an_answer_there_does_not(
    tmp_path: Path,
) -> None:
    clock, door = FakeClock(), Door()
    door.open, door.gate = True, asyncio.Event()
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store, Nursery() as nursery:
        delivery = Delivery(store, clock, nursery)
        delivery.attach(door)  # type: ignore[arg-type]
        delivery.branch("console", Branches())

        async def say(text: str, where: str, cause: str | None = None) -> None:
            delivery.send(await store.write(lambda tx: tx.messages.queue("console", where, Reply(text), cause, tx.now)))

        delivery.hold(HERE)
        await say("follows", f"{HERE}/1")
        await delivery.drain(5)
        assert not door.tried.is_set(), "a command is under way above"
        await say("answer", HERE, "k1")
        delivery.let_go("console", HERE)
        await door.tried.wait()
        await say("answer beneath", f"{HERE}/1", "k2")
        assert door.shown == [], "the answer is on its way"
        door.gate.set()
        await delivery.drain(5)
        assert sorted(door.shown[:2]) == ["answer", "answer beneath"]
        assert door.shown[2:] == ["follows"]


async def test_what_follows_of_a_task_goes_where_its_thread_is_and_none_before_another(tmp_path: Path) -> None:
    clock, door = FakeClock(), Door()
    door.open, door.gate = True, asyncio.Event()
    thread = f"{HERE}/1"
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store, Nursery() as nursery:
        delivery = Delivery(store, clock, nursery)
        delivery.attach(door)  # type: ignore[arg-type]
        delivery.branch("console", Branches())
        await store.write(lambda tx: tx.tasks.add(TASK))

        async def say(text: str, where: str, cause: str | None = None) -> None:
            words = Reply(text, task=1)
            delivery.send(await store.write(lambda tx: tx.messages.queue("console", where, words, cause, tx.now)))

        await say("posted", HERE, "k1")
        await say("bids", HERE)
        assert not await store.read(lambda tx: tx.messages.thread(1, HERE))
        door.gate.set()
        await delivery.drain(5)
        assert await store.read(lambda tx: tx.messages.thread(1, HERE)) == thread
        assert not await store.read(lambda tx: tx.messages.thread(1, "console:elsewhere"))
        assert not await store.read(lambda tx: tx.messages.waits(1, HERE))
        await store.write(lambda tx: tx.messages.queue("console", HERE, Reply("late", task=1), None, tx.now))
        assert await store.read(lambda tx: tx.messages.waits(1, HERE)), "what is newer goes after it"
        assert await store.read(lambda tx: [*tx.messages.places(1)]) == [HERE, thread]
        assert [one.board for one in await store.read(lambda tx: tx.messages.announced(1, HERE))] == [True]
        assert door.shown == ["posted", "bids"]


@asynccontextmanager
async def _process(store: Database, clock: FakeClock, door: Door) -> AsyncIterator[Delivery]:
    """One life of the hub, as far as what goes out."""
    async with Nursery() as nursery:
        delivery = Delivery(store, clock, nursery)
        await delivery.begin()
        delivery.attach(door)  # type: ignore[arg-type]
        yield delivery


async def _queued(store: Database, *texts: str) -> list[Outgoing]:
    """Messages that are written, and count as being sent."""
    return await store.write(
        lambda tx: [tx.messages.queue("console", HERE, Reply(text), f"k{text}", tx.now) for text in texts]
    )


@pytest.mark.parametrize("ends", ["while the first is sent", "with nobody there", "while the room must wait"])
async def test_what_may_have_arrived_before_a_crash_is_said_to_be_a_copy_also_after_a_stop(
    tmp_path: Path, ends: str
) -> None:
    clock, door = FakeClock(), Door()
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        await _queued(store, "one", "two")
        door.open = ends != "with nobody there"
        door.gate = asyncio.Event() if ends == "while the first is sent" else None
        door.floods = ends == "while the room must wait"
        async with _process(store, clock, door) as delivery:
            await delivery.again("console")
            await door.tried.wait()
            for _ in range(5):
                await store.write(lambda tx: None)
            await delivery.stop(0.05)
        door = Door()
        door.open = True
        async with _process(store, clock, door) as delivery:
            await delivery.again("console")
            await delivery.drain(5)
        assert door.shown == ["one", "two"]
        assert door.copies == 2


async def test_a_room_that_may_be_sent_to_again_after_a_stop_waits_for_the_next_start_with_what_was_said_last(
    tmp_path: Path,
) -> None:
    clock, door = FakeClock(), Door()
    door.open = door.floods = True
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        async with _process(store, clock, door) as delivery:
            for message in await _queued(store, "one", "two"):
                delivery.send(message)
            await door.tried.wait()
            for _ in range(5):
                await store.write(lambda tx: None)
            await delivery.stop(0.05)
            door.floods = False
            clock.advance(3_000)
            for message in await _queued(store, "three"):
                delivery.send(message)
            for _ in range(20):
                await asyncio.sleep(0)  # noqa: TID251 - what is sent wrongly needs a moment
                await store.write(lambda tx: None)
            assert door.shown == []
        async with _process(store, clock, door) as delivery:
            await delivery.again("console")
            await delivery.drain(5)
        assert door.shown == ["one", "two", "three"]
        assert door.copies == 0


async def test_where_what_follows_of_a_task_goes_is_only_read_and_a_stop_meanwhile_knows_that_it_has_not_left(
    tmp_path: Path,
) -> None:
    clock, door = FakeClock(), Door()
    door.open = True
    async with Slow.open(blank(tmp_path / "hub.db"), clock) as store:
        assert isinstance(store, Slow)
        async with _process(store, clock, door) as delivery:
            delivery.branch("console", Branches())

            async def follow(text: str) -> None:
                words = Reply(text, task=1)
                delivery.send(await store.write(lambda tx: tx.messages.queue("console", HERE, words, None, tx.now)))

            await follow("one")
            await delivery.drain(5)
            assert store.written == 2, (
                "a thread that there is none of costs no commit: the message and the note of it do"
            )
            store.looks = asyncio.Event()
            await follow("two")
            await asyncio.sleep(0)  # noqa: TID251 - its sender begins to look
            await delivery.stop(0.05)
        store.looks = None
        assert [
            one.again for one in await store.read(lambda tx: tx.messages.waiting("console", 9, after=0, lost=9))
        ] == [False]


@pytest.mark.parametrize(("held", "first"), [(False, "follows"), (True, "follows"), (True, "answer")])
async def test_what_follows_of_a_task_goes_after_its_answer_though_that_was_written_later(
    tmp_path: Path, held: bool, first: str
) -> None:
    clock, door = FakeClock(), Door()
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store, _process(store, clock, door) as delivery:

        async def written(text: str, task: int | None, cause: str | None = None) -> Outgoing:
            return await store.write(
                lambda tx: tx.messages.queue("console", HERE, Reply(text, task=task), cause, tx.now)
            )

        other, follows = await written("other", 2), await written("follows", 1)
        answer = await written("answer", 1, "k")  # a stop had broken off its turn
        door.open = True
        if held:
            delivery.hold(HERE)
        for message in (other, follows, answer) if first == "follows" else (answer, other, follows):
            delivery.send(message)
        if held:
            delivery.let_go("console", HERE)
        await delivery.drain(5)
        assert door.shown == ["other", "answer", "follows"]


async def test_an_answer_that_goes_before_what_follows_of_its_task_overtakes_no_other_answer(tmp_path: Path) -> None:
    clock, door = FakeClock(), Door()
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store, _process(store, clock, door) as delivery:
        door.open = True
        said = (("follows", 1, None), ("balance", None, "k1"), ("more", 1, None), ("answer", 1, "k2"))
        written = await store.write(
            lambda tx: [
                tx.messages.queue("console", HERE, Reply(text, task=task), key, tx.now) for text, task, key in said
            ]
        )
        for message in written:
            delivery.send(message)
        await delivery.drain(5)
        assert door.shown == ["balance", "answer", "follows", "more"]


@pytest.mark.parametrize(("wait", "asked"), [(0.0, 3), (20.0, 3), (1000.0, 1)])
async def test_a_file_is_asked_for_again_no_sooner_than_its_surface_wants(
    tmp_path: Path, wait: float, asked: int
) -> None:
    clock, door = FakeClock(), Door()
    tries: list[int] = []

    async def fetch(_: Attachment) -> bytes:
        tries.append(clock.now())
        if len(tries) < 3:
            raise NotFetched(surface="console", name="a", why="it asks to wait", wait=wait)
        return b"x"

    door.fetch = fetch  # type: ignore[attr-defined]
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store, _process(store, clock, door) as delivery:
        fetching = asyncio.ensure_future(delivery.fetch("console", Attachment("a", 1, "r")))  # noqa: TID251 - time passes meanwhile
        for _ in range(90):
            await asyncio.sleep(0)  # noqa: TID251 - its turn
            clock.advance(1000)
        (outcome,) = await asyncio.gather(fetching, return_exceptions=True)
    assert (len(tries), outcome == b"x") == (asked, asked == 3)
    assert all(after - before >= wait * 1000 for before, after in pairwise(tries))


class Blind(Database):
    """A database that cannot be looked into for a while."""

    fails = 0

    async def read(self, work: Any, /) -> Any:
        """See `core.store.Store`."""
        self.fails -= 1
        if self.fails >= 0:
            raise StoreBusy(why="locked")
        return await super().read(work)


async def test_what_follows_of_a_task_is_told_though_its_thread_could_not_be_looked_up_at_first(tmp_path: Path) -> None:
    clock, door = FakeClock(), Door()
    door.open = True
    async with Blind.open(blank(tmp_path / "hub.db"), clock) as store, _process(store, clock, door) as delivery:
        assert isinstance(store, Blind)
        delivery.branch("console", Branches())
        store.fails = 1
        words = Reply("it follows", task=1)
        delivery.send(await store.write(lambda tx: tx.messages.queue("console", HERE, words, None, tx.now)))
        await delivery.drain(5)
        assert door.shown == ["it follows"]


async def test_a_surface_that_comes_back_while_the_hub_stops_is_sent_nothing_and_what_waits_is_no_copy(
    tmp_path: Path,
) -> None:
    clock, door = FakeClock(), Door()
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        async with _process(store, clock, door) as delivery:
            for message in await _queued(store, "one"):
                delivery.send(message)
            await delivery.drain(5)
            await delivery.stop(0.05)
            door.open = True
            await delivery.again("console")
            waiting = await store.read(lambda tx: tx.messages.waiting("console", 9, after=0, lost=9))
        assert [one.again for one in waiting] == [False]
        assert door.shown == []


async def test_what_is_written_while_the_hub_stops_is_no_copy(tmp_path: Path) -> None:
    clock, door = FakeClock(), Door()
    door.open = True
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        async with _process(store, clock, door) as delivery:
            await delivery.stop(0.05)
            for message in await _queued(store, "late"):
                delivery.send(message)
            for _ in range(5):
                await asyncio.sleep(0)  # noqa: TID251 - the note of it needs a moment
                await store.write(lambda tx: None)
        assert door.shown == []
        async with _process(store, clock, door) as delivery:
            await delivery.again("console")
            await delivery.drain(5)
        assert (door.shown, door.copies) == (["late"], 0)


class Breaks(Door):
    """A surface that shows a message, or a part of it, and then breaks, or has to wait."""

    parts: tuple[str, ...] = ()

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        self.tried.set()
        if self.parts:
            raise NotSent(surface="console", why="it asks to wait", wait=60.0, sent=self.parts, doubtful=True)
        raise ValueError


@pytest.mark.parametrize("parts", [(), ("first", "second")])
async def test_what_broke_in_the_midst_of_being_sent_is_a_copy_after_a_stop_and_its_parts_are_known(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    clock, door = FakeClock(), Breaks()
    door.parts = parts
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        async with _process(store, clock, door) as delivery:
            for message in await _queued(store, "one"):
                delivery.send(message)
            await door.tried.wait()
            await store.write(lambda tx: None)
            waiting = await store.read(lambda tx: tx.messages.waiting("console", 9, after=0, lost=9))
            assert [(one.again, one.sent) for one in waiting] == [(True, parts)], "as a crash would find it"
            await delivery.stop(0.05)
            clock.advance(60_000)
            for _ in range(5):
                await asyncio.sleep(0)  # noqa: TID251 - what it comes to needs a moment
                await store.write(lambda tx: None)
        waiting = await store.read(lambda tx: tx.messages.waiting("console", 9, after=0, lost=9))
        assert [(one.again, one.sent) for one in waiting] == [(True, parts)]
