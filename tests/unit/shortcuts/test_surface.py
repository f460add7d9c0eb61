"""The desk of Shortcuts by itself, on a real database: what it does where a whole hub seldom brings it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from adapters.shortcuts import surface as desk
from adapters.shortcuts.answers import IN_CHAT
from adapters.shortcuts.recordings import RecordingGone, Recordings
from adapters.shortcuts.surface import Ask, ShortcutsDown, ShortcutsSurface, SpeaksForNobody, TooManyOpen
from adapters.sqlite.writer import Database
from bot.parts.looks import DATABASE
from core.chat import Attachment, Mark, Outgoing, Reply, Style, Undeliverable
from core.tokens import TokenRow
from tests.blank import blank
from tests.fakes import FakeClock, FakeIds, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from adapters.shortcuts.answers import Said
    from core.chat import Inbound

PHONE = TokenRow("a" * 64, "shortcut", "phone", "telegram:7", 200, 0)
CODE = Reply("Look:\nx = 1", marks=(Mark(6, 11, Style.PRE, "py"),))


class Desk:
    """A surface that runs, what it received, and what it sent elsewhere."""

    def __init__(self, folder: Path, store: Database, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.lives = True
        self.begins = asyncio.Event()
        self.received: list[Inbound] = []
        self.sent: list[Outgoing] = []
        self.surface = ShortcutsSurface(
            store, clock, FakeIds(), Recordings(folder / "recordings"), lives=lambda *_: self.lives,
            send=self.sent.append, back=self._back,
        )  # fmt: skip

    async def _back(self) -> None:
        await self.begins.wait()

    async def receive(self, message: Inbound) -> None:
        self.received.append(message)

    def ask(self, text: str = "hello", *, alive: bool = True) -> asyncio.Task[Said]:
        """Ask, and have it wait."""
        asked = Ask(PHONE, "/shortcuts/chat", text, lambda: alive)
        return asyncio.get_running_loop().create_task(self.surface.ask(asked))

    async def arrives(self, count: int = 1) -> None:
        """Wait until so many requests have come through to the hub."""
        await self.until(lambda: len(self.received) >= count)

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for what the next writes bring."""
        async with asyncio.timeout(10):
            while not true():
                await self.store.write(lambda tx: None)

    async def later(self, task: asyncio.Task[Said], seconds: float) -> Said:
        """What comes of a request once so much time has passed."""
        for _ in range(20):
            await self.store.write(lambda tx: None)
        self.clock.advance(round(seconds * 1000))
        return await task

    async def answer(self, reply: Reply) -> Outgoing:
        """Write an answer to the first request, and send it."""
        cause = self.received[0].key
        message = await self.store.write(
            lambda tx: tx.messages.queue("shortcuts", "shortcuts:phone/a", reply, cause, tx.now)
        )
        await self.surface.send(message)
        return message


@asynccontextmanager
async def at_desk(folder: Path, *, begins: bool = True) -> AsyncIterator[Desk]:
    clock = FakeClock()
    blank(folder / DATABASE)
    async with Database.open(folder / DATABASE, clock) as store:
        found = Desk(folder, store, clock)
        if begins:
            found.begins.set()
        runs = asyncio.get_running_loop().create_task(found.surface.run(found.receive))
        try:
            while found.surface._receive is None:
                await turn()
            yield found
        finally:
            runs.cancel()
            await asyncio.gather(runs, return_exceptions=True)


@pytest.mark.parametrize("begins", [True, False])
async def test_nobody_is_heard_before_it_runs_and_all_who_wait_are_answered_when_it_ends(
    tmp_path: Path, begins: bool
) -> None:
    async with at_desk(tmp_path, begins=begins) as found:
        asking = found.ask()
        await found.arrives()
    assert (await asking).done is False
    with pytest.raises(ShortcutsDown):
        await found.ask()


async def test_open_requests_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "MAX_OPEN", 1)
    async with at_desk(tmp_path) as found:
        first = found.ask()
        await found.arrives()
        with pytest.raises(TooManyOpen):
            await found.ask("more")
        assert (await found.later(first, 7)).done is False
        assert [one.text for one in found.received] == ["hello"], "the other was not taken in"


async def test_those_that_come_at_once_are_bounded_for_each_device_and_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MAX_OPEN", 5)
    monkeypatch.setattr(desk, "MAX_EACH", 2)
    async with at_desk(tmp_path) as found:
        job = (await found.later(found.ask(), 7)).job or ""
        phones = [PHONE._replace(hash=letter * 64) for letter in "bcd"]
        asked = [Ask(phone, "/shortcuts/chat", "hello", lambda: True) for phone in phones for _ in range(3)]
        asking = [asyncio.get_running_loop().create_task(found.surface.ask(one)) for one in asked]
        fetching = [
            asyncio.get_running_loop().create_task(found.surface.result(PHONE, job, lambda: True)) for _ in range(3)
        ]
        await found.arrives(6)
        assert sum(map(len, found.surface._desk.values())) == 5
        found.clock.advance(7000)
        came = await asyncio.gather(*asking, *fetching, return_exceptions=True)
        assert [isinstance(one, TooManyOpen) for one in came] == [False, False, True] * 2 + [False, True, True] + [
            True
        ] * 3
        assert (await found.later(found.ask(), 7)).done is False, "what is over counts no more"


async def test_a_late_answer_with_code_is_fetched_and_its_code_is_in_the_chat_once(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        job = (await found.later(found.ask(), 7)).job or ""
        await found.answer(CODE)
        for _ in range(2):
            said = await found.surface.result(PHONE, job, lambda: True)
            assert said.speech == "Look: There is code in the chat."
        assert [(one.conversation, one.reply.text) for one in found.sent] == [
            ("telegram:7", "You asked by Siri: hello\nLook:\nx = 1")
        ]
        assert found.sent[0].reply.marks == (Mark(31, 36, Style.PRE, "py"),)


async def test_an_answer_with_code_that_is_told_at_once_is_copied_once_too(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        asking = found.ask()
        await found.arrives()
        message = await found.answer(CODE)
        assert (await asking).text == "Look:\nx = 1"
        assert len(found.sent) == 1
        await found.surface.send(message._replace(again=True))  # as after a stop that came before its receipt
        found.clock.advance(20_000)
        await found.until(lambda: not found.surface._left)
        assert len(found.sent) == 1


async def test_who_comes_while_an_answer_with_code_is_on_its_way_finds_its_code_in_the_chat(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        job = (await found.later(found.ask(), 7)).job or ""
        message = await found.store.write(
            lambda tx: tx.messages.queue("shortcuts", "shortcuts:phone/a", CODE, found.received[0].key, tx.now)
        )
        fetching = asyncio.get_running_loop().create_task(found.surface.result(PHONE, job, lambda: True))
        await turn()
        if told := await found.surface.send(message):
            await found.store.write(lambda tx: tx.messages.mark((message.id,), "sent", told))
        assert (await fetching).speech == "Look: There is code in the chat."
        assert len(found.sent) == 1


async def test_what_was_fetched_late_does_not_go_home_as_well(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        job = (await found.later(found.ask(), 7)).job or ""
        await found.answer(Reply("there"))
        found.clock.advance(19_999)
        assert (await found.surface.result(PHONE, job, lambda: True)).text == "there"
        found.clock.advance(60_000)
        for _ in range(20):
            await found.store.write(lambda tx: None)
        assert found.sent == []
        assert await found.store.read(lambda tx: tx.messages.backlog()) == 0, "nor after a restart"


async def test_another_token_of_the_same_name_is_another_conversation(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        for token in (PHONE, PHONE._replace(hash="b" * 64, for_actor="telegram:8")):
            asked = Ask(token, "/shortcuts/chat", "hello", lambda: True, "k")
            said = asyncio.get_running_loop().create_task(found.surface.ask(asked))
            await found.arrives(1 + (token is not PHONE))
            await found.later(said, 7)
        first, second = found.received
        assert first.actor == second.actor == "shortcuts:phone"
        assert first.conversation != second.conversation, "the model is not given what somebody else had said"
        assert first.key != second.key


async def test_what_nobody_fetches_of_somebody_who_was_let_out_is_given_up(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        job = (await found.later(found.ask(), 7)).job or ""
        message = await found.answer(Reply("a secret"))
        found.lives = False
        found.clock.advance(20_000)
        await found.until(lambda: not found.surface._left)
        assert (found.sent, await found.store.read(lambda tx: tx.messages.given_up())) == ([], 1)
        found.lives = True
        assert (await found.surface.result(PHONE, job, lambda: True)).text == "a secret", "let in again, they may ask"
        assert message.id


async def test_who_has_hung_up_is_told_at_home(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        asking = found.ask(alive=False)
        await found.arrives()
        await found.answer(Reply("there"))
        job = (await found.later(asking, 7)).job or ""
        assert (await found.surface.result(PHONE, job, lambda: False)).done is False, (
            "nor does who hangs up again take it"
        )
        found.clock.advance(20_000)
        await found.until(lambda: found.sent)
        assert found.sent[0].reply.text == "You asked by Siri: hello\nthere"
        again = await found.surface.ask(Ask(PHONE, "/shortcuts/chat", "hello", lambda: True, found.received[0].update))
        assert again.speech == IN_CHAT


async def test_what_is_no_answer_is_not_spoken(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        with pytest.raises(Undeliverable, match="a Shortcut asks"):
            await found.surface.send(Outgoing(5, "shortcuts", "shortcuts:phone/a", Reply("by the way")))
        asking = found.ask()
        await found.arrives()
        progress = Outgoing(0, "shortcuts", "shortcuts:phone/a", Reply("it follows"), found.received[0].key)
        assert await found.surface.send(progress)
        await found.answer(Reply("here it is"))
        assert (await asking).speech == "here it is."


async def test_a_recording_is_read_by_its_ref_alone(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        asked = Ask(PHONE, "/shortcuts/audio", "", lambda: True, "k", b"sound", "m4a")
        asking = asyncio.get_running_loop().create_task(found.surface.ask(asked))
        await found.arrives()
        (file,) = found.received[0].files
        assert file == Attachment("recording.m4a", 5, Recordings.ref(PHONE.hash, "k"), spoken=True)
        assert await found.surface.fetch(file) == b"sound"
        await found.answer(Reply("heard"))
        assert (await asking).speech == "heard."
        with pytest.raises(RecordingGone):
            await found.surface.fetch(file)


async def test_a_recording_that_comes_again_while_it_is_answered_is_gone_with_the_answer(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        asked = Ask(PHONE, "/shortcuts/audio", "", lambda: True, "k", b"sound", "m4a")
        asking = [asyncio.get_running_loop().create_task(found.surface.ask(asked)) for _ in range(2)]
        await found.arrives(2)
        await found.answer(Reply("heard"))
        assert [(await one).speech for one in asking] == ["heard."] * 2
        assert (await found.surface.ask(asked)).speech == "heard."
        assert list((tmp_path / "recordings").iterdir()) == []


async def test_what_is_ready_when_a_device_ends_is_neither_told_nor_copied(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        asking = found.ask()
        await found.arrives()
        found.lives = False
        with pytest.raises(Undeliverable):
            await found.answer(CODE)
        with pytest.raises(SpeaksForNobody):
            await asking
        with pytest.raises(SpeaksForNobody):
            await found.surface.ask(Ask(PHONE, "/shortcuts/chat", "hello", lambda: True, found.received[0].update))
        assert found.sent == []


async def test_a_device_that_ends_in_the_moment_of_telling_is_told_nothing(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as found:
        asking = found.ask()
        await found.arrives()
        await found.answer(Reply("a secret"))
        found.lives = False  # the answer is at the desk, and whoever waits for it has not looked yet
        with pytest.raises(SpeaksForNobody):
            await asking
        lives = iter((True, False))  # when it asks, and when it is told
        found.surface._lives = lambda *_: next(lives)
        job = await found.store.read(
            lambda tx: tx.shortcuts.caused(found.received[0].account, found.received[0].update)
        )
        assert job is not None
        with pytest.raises(SpeaksForNobody):
            await found.surface.result(PHONE, job.name, lambda: True)
