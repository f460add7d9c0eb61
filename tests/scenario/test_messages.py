"""Messages: one turn each, in order, answered once, kept while nobody is there, and none in the way of another."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import bot.app
from bot.subscriptions import NOTIFIED, Notify, table
from core.chat import NotSent, Reply
from core.errors import Unavailable
from core.events import Kind
from core.store import DiskFull
from tests.ollama_server import OllamaServer
from tests.scenario.bot import Hands, hub
from tests.scenario.held_store import HeldDatabase, held

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from adapters.console.surface import ConsoleSurface
    from bot.subscriptions import Handler, HandlerTx
    from core.chat import Attachment, Inbound, Outgoing
    from core.events import Event


# Once, and in order ------------------------------------------------------------------------------------------------


async def test_the_same_update_twice_is_one_turn(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot, bot.another() as other:
        await bot.say("/task write a poem", id="update-1")
        await bot.settled("T-1")
        for console in (bot, other):
            await console.post("/task write a poem", id="update-1")
        await bot.barrier()
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 9_960, "held_sats": 0, "simulated": True}
        assert bot.rows("SELECT count(*) FROM task") == [(1,)]
        assert bot.rows("SELECT count(*) FROM inbound WHERE update_id = 'update-1'") == [(1,)]
        assert bot.rows("SELECT count(*) FROM outgoing WHERE cause LIKE '%/update-1'") == [(1,)]


async def test_the_same_words_twice_are_two_messages(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        assert (await bot.data("/task write a poem"))["task"] == "T-1"
        assert (await bot.data("/task write a poem"))["task"] == "T-2"


async def test_a_conversation_is_answered_in_its_order(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for number in range(1, 30):
            await bot.post(f"/task write poem {number} pick=ask max=1")
            await bot.post(f"/show {number}")
        answers = [(await bot.until(kind="reply"))["data"] for _ in range(58)]
        assert [one["task"] for one in answers] == [f"T-{number}" for number in range(1, 30) for _ in "ab"]


async def test_the_answer_to_a_post_is_written_with_the_task(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Dispatcher._answer")
        assert (await bot.data("/task write a poem"))["task"] == "T-1"
        assert bot.rows("SELECT done FROM inbound") == [(1,)]
        assert store.held == []
        await bot.settled("T-1")


@pytest.mark.long
async def test_what_is_too_much_at_once_is_refused_and_the_rest_answered(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Dispatcher._answer")
        for _ in range(205):
            await bot.post("/whoami")
        async with asyncio.timeout(10):
            while bot.rows("SELECT count(*) FROM inbound") != [(205,)]:
                await store.read(lambda tx: tx.now)
        store.release()
        answers = [(await bot.until(kind="reply"))["data"] for _ in range(205)]
        assert Counter(one.get("error") for one in answers) == {None: 200, "too_busy": 5}


async def test_one_console_does_not_wait_for_another(tmp_path: Path) -> None:
    async with hub(tmp_path, database=HeldDatabase) as bot, bot.another() as other:
        store = held(bot.app.store)
        store.hold("Coordinator.post")
        await other.post("/task write a poem")
        await store.holding("Coordinator.post")
        assert (await bot.data("/whoami"))["ok"]
        store.release()
        assert (await other.until(kind="reply"))["task"] == "T-1"


async def test_status_and_cancel_overtake_a_busy_conversation(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()}), database=HeldDatabase) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        store = held(bot.app.store)
        store.hold("Coordinator.post")
        await bot.post("/task write another")
        await store.holding("Coordinator.post")
        assert (await bot.data("/status"))["ready"]
        assert (await bot.data("/cancel T-1"))["status"] == "cancelled"
        store.release()
        assert (await bot.until(kind="reply"))["task"] == "T-2"


# The agent ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_command_never_waits_for_a_model_that_talks(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with OllamaServer.running("tiny:latest") as model, hub(tmp_path, ollama=model.url) as bot:
        model.says("Once upon ", gate, "a time.")
        await bot.post("tell me a story")
        await bot.until(kind="draft", text="Once upon")
        assert (await bot.data("/balance"))["ok"]
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        gate.set()
        answer = await bot.until(kind="reply")
        assert (answer["text"], answer["markdown"]) == ("Once upon a time.", True)


@pytest.mark.long
async def test_questions_of_a_conversation_are_asked_one_after_the_other(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with OllamaServer.running("tiny:latest") as model, hub(tmp_path, ollama=model.url) as bot:
        model.says("one", gate)
        model.says("two")
        await bot.post("first?")
        await bot.post("second?")
        await bot.until(kind="draft", text="one")
        assert len(model.asked) == 1
        gate.set()
        assert [(await bot.until(kind="reply"))["text"] for _ in range(2)] == ["one", "two"]
        assert [one["content"] for one in model.last["messages"][1:]] == ["first?", "one", "second?"]


async def test_questions_of_several_consoles_are_of_one_conversation_and_wait_for_each_other(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with (
        OllamaServer.running("tiny:latest") as model,
        hub(tmp_path, ollama=model.url, attach=False) as bot,
        bot.another() as other,
    ):
        model.says("one", gate)
        model.says("two")
        await bot.post("first?")
        await bot.until(kind="draft", text="one")
        await other.post("second?")
        assert (await other.say("/balance"))["data"]["ok"], "a command waits for no model"
        assert len(model.asked) == 1
        gate.set()
        assert (await other.until(kind="reply"))["text"] == "two"
        assert [one["content"] for one in model.last["messages"][1:]] == ["first?", "one", "second?"]


async def test_stop_ends_the_answer_at_once_and_keeps_what_was_said(tmp_path: Path) -> None:
    async with OllamaServer.running("tiny:latest") as model, hub(tmp_path, ollama=model.url) as bot:
        model.says("Once upon ", asyncio.Event())
        await bot.post("tell me a story")
        await bot.until(kind="draft", text="Once upon")
        assert {(await bot.say("/stop"))["text"], (await bot.until(kind="reply"))["text"]} == {
            "Stopped.", "Once upon\n\n(stopped)",
        }  # fmt: skip
        async with asyncio.timeout(10):
            await model.hung_up.wait()
        assert (await bot.say("/stop"))["text"] == "There is nothing to stop here."


@pytest.mark.long
async def test_new_interrupts_the_answer_and_forgets(tmp_path: Path) -> None:
    async with OllamaServer.running("tiny:latest") as model, hub(tmp_path, ollama=model.url) as bot:
        model.says("Hello Ann")
        await bot.say("I am Ann")
        model.says("Once upon ", asyncio.Event())
        await bot.post("tell me a story")
        await bot.until(kind="draft", text="Once upon")
        await bot.post("/new")
        assert [(await bot.until(kind="reply"))["text"][:8] for _ in range(2)] == ["Once upo", "A new co"]
        model.says("I do not know")
        await bot.say("who am I?")
        assert "Ann" not in str(model.last["messages"])


async def test_a_conversation_outlives_a_restart(tmp_path: Path) -> None:
    async with OllamaServer.running("tiny:latest", "big:latest") as model:
        async with hub(tmp_path, ollama=model.url) as bot:
            model.says("Hello Ann")
            await bot.say("/model big")
            await bot.say("I am Ann")
        async with hub(tmp_path, ollama=model.url) as bot:
            model.says("You are Ann")
            assert (await bot.say("who am I?"))["text"] == "You are Ann"
        assert [one["content"] for one in model.last["messages"][1:]] == ["I am Ann", "Hello Ann", "who am I?"]
        assert model.last["model"] == "big:latest"


async def test_without_a_model_every_command_works_and_the_agent_says_what_to_do(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        answer = await bot.say("what is up?")
        assert answer["data"] == {"ok": False, "error": "model_unreachable"}
        assert "ollama serve" in answer["text"]
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        assert (await bot.data("/status"))["ok"], "a missing model is no fault"


# While nobody is there ---------------------------------------------------------------------------------------------


async def test_what_nobody_is_there_to_read_is_shown_to_who_comes_next_once(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"quill": gate}), attach=False) as bot:
        async with bot.another() as gone:
            await gone.say("/task write a poem")
        gate.set()
        async with asyncio.timeout(10):
            while bot.rows("SELECT state FROM outgoing WHERE cause IS NULL") != [("queued",)]:
                await bot.barrier()
        await bot.link.send({"op": "attach"})
        told = await bot.settled("T-1")
        assert "again" not in told, "it was never shown, and it is known that it was not"
        async with bot.another(attach=True) as later:
            await later.say("/whoami")
            assert later.kinds() == []


async def test_what_waits_outlives_a_restart(tmp_path: Path) -> None:
    async with hub(tmp_path, attach=False) as bot:
        await bot.say("/task write a poem")
        async with asyncio.timeout(10):
            while bot.rows("SELECT state FROM outgoing WHERE cause IS NULL") != [("queued",)]:
                await bot.barrier()
    async with hub(tmp_path) as bot:
        assert "again" not in await bot.settled("T-1")


async def test_a_console_that_waits_is_told_the_end_and_that_it_is_the_end(tmp_path: Path) -> None:
    async with hub(tmp_path, attach=False) as bot:
        await bot.post("/task write a poem", wait="over")
        assert (await bot.until(kind="reply"))["task"] == "T-1"
        await bot.settled("T-1")
        await bot.until(kind="end")
        assert bot.kinds() == ["progress"] * 4
        await bot.post("/task paint the shed to=telegram:7", wait="people")
        await bot.until(kind="more", waits="people")
        await bot.until(kind="end")
        await bot.post("/task write it pick=ask", wait="over")
        await bot.until(kind="more", waits="people")
        await bot.say("/cancel T-3")
        await bot.until(kind="progress", status="cancelled")


# When something breaks ---------------------------------------------------------------------------------------------


class _Poisoned(Notify):
    """Tells everything but one event, which it cannot take."""

    def __init__(self, *parts: Any, name: str, task: int) -> None:
        super().__init__(*parts)
        self.name = name
        self._task = task

    def __call__(self, tx: HandlerTx, events: Sequence[Event]) -> list[Outgoing]:
        if any(event.task == self._task and event.kind is Kind.TASK_SETTLED for event in events):
            raise ZeroDivisionError
        return super().__call__(tx, events) if self.name == "notify" else []


@pytest.mark.long
@pytest.mark.parametrize("poisoned", ["notify", "another"])
async def test_an_event_that_cannot_be_taken_is_buried_and_stops_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poisoned: str
) -> None:
    def handlers(*parts: Any, **_: object) -> Sequence[Handler]:
        own = [] if poisoned == "notify" else table(*parts)
        return [_Poisoned(*parts, name=poisoned, task=1), *own]

    assert Kind.TASK_SETTLED in NOTIFIED
    monkeypatch.setattr(bot.app, "table", handlers)
    async with hub(tmp_path) as told:
        await told.say("/task write a poem")
        await told.say("/task write another")
        async with asyncio.timeout(10):
            while not (buried := told.rows("SELECT handler, error FROM dead_letter")):
                await told.barrier()
                told.pass_time(1)
        assert buried == [(poisoned, "ZeroDivisionError()")]
        await told.settled("T-2")
        if poisoned == "another":
            await told.settled("T-1")
        await told.say("/task write a third")
        await told.settled("T-3")
        assert (await told.data("/status"))["dead_letters"] == 1
        assert told.rows("SELECT count(*) FROM event WHERE kind = 'HandlerFailed'") == [(1,)]
        ((cursor, newest),) = told.rows(
            "SELECT event, (SELECT max(id) FROM event) FROM cursor WHERE handler = ?", poisoned
        )
        assert newest - cursor <= 1, "it goes on behind what it could not take"


class _Flaky:
    """The console, on a platform that answers nothing until it is back."""

    name = "console"
    heard_at = None
    advice = ()

    def __init__(self, console: ConsoleSurface) -> None:
        self._console = console
        self.back = False
        self.tries: list[int] = []
        self.tried = asyncio.Event()

    async def run(self, receive: object) -> None:
        """Listen to nobody."""

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        """See `ChatAdapter`."""
        if self.back:
            return await self._console.send(message)
        self.tries.append(message.id)
        self.tried.set()
        raise Unavailable(why="the platform is down")

    def draft(self, conversation: str, cause: str, text: str) -> None:
        """Show nothing."""

    async def fetch(self, attachment: Attachment) -> bytes:
        """Have nothing."""
        raise Unavailable(why=attachment.name)


async def test_a_dead_surface_runs_no_work_twice_and_its_messages_arrive_once_it_is_back(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        platform = _Flaky(bot.app.console)
        bot.app.delivery.attach(platform)
        await bot.post("/task write a poem")
        async with asyncio.timeout(10):
            while bot.rows("SELECT count(*) FROM outgoing WHERE cause IS NULL") != [(1,)]:
                await bot.app.store.read(lambda tx: tx.now)
            while len(platform.tries) < 4:
                await platform.tried.wait()
                platform.tried.clear()
                bot.pass_time(60)
        assert set(platform.tries) == {1}, "a conversation is sent in order"
        platform.back = True
        bot.pass_time(60)
        await bot.until(kind="reply")
        await bot.settled("T-1")
        assert bot.hands.began == [("T-1", "quill", 1)]
        assert bot.rows("SELECT count(*) FROM task") == [(1,)]
        async with asyncio.timeout(10):
            while bot.rows("SELECT cause IS NULL, state FROM outgoing ORDER BY id") != [(0, "sent"), (1, "sent")]:
                await bot.app.store.read(lambda tx: tx.now)


class _Phone:
    """A surface that asks to wait once, for ten seconds."""

    name = "phone"
    heard_at = None
    advice = ()

    def __init__(self) -> None:
        self.shown: list[tuple[str, bool]] = []
        self.patience = 1

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """See `ChatAdapter`."""

    async def send(self, message: Outgoing) -> tuple[str, ...]:
        """See `ChatAdapter`."""
        if self.patience:
            self.patience -= 1
            raise NotSent(surface=self.name, why="it asks to wait", wait=10.0)
        self.shown.append((message.reply.text, message.again))
        return (str(message.id),)

    def draft(self, conversation: str, cause: str, text: str) -> None:
        """See `ChatAdapter`."""

    async def fetch(self, attachment: Attachment) -> bytes:
        """See `ChatAdapter`."""
        raise NotImplementedError


async def test_a_late_note_that_a_message_waits_does_not_send_it_again(tmp_path: Path) -> None:
    """The note meets a full disk, and is written after the message has gone out."""
    async with hub(tmp_path, database=HeldDatabase) as bot:
        store, phone, delivery = held(bot.app.store), _Phone(), bot.app.delivery
        delivery.attach(phone)
        await delivery.again(phone.name)
        for text in ("one", "two"):
            reply = Reply(text)
            delivery.send(
                await store.write(lambda tx, reply=reply: tx.messages.queue("phone", "phone:1", reply, None, tx.now))  # type: ignore[misc]
            )
            await bot.see(lambda: bot.rows("SELECT 1 FROM outgoing WHERE id = 1 AND state = 'queued'"), pace=0)
            store.fail("Delivery._wait_too", *[DiskFull(why="it is full")] * 4)
        await bot.see(lambda: len(phone.shown) == 2, pace=1)
        bot.pass_time(60)
        await bot.barrier()
        await delivery.again(phone.name)
        await bot.barrier()
        assert phone.shown == [("one", False), ("two", False)]
        assert bot.rows("SELECT DISTINCT state FROM outgoing WHERE surface = 'phone'") == [("sent",)]
