"""`core.chat.ChatAdapter`, seen by people: one suite over whole hubs, for every surface. A new one is one more driver."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

import bot.app
import core.voice.intent
from adapters.shelf import Shelf
from bot.registry import registry
from core.errors import Unavailable
from core.swarm.ports import Delivery
from core.voice.intent import Intent, Meaning
from tests.contract.surfaces.console import ConsoleDriver
from tests.contract.surfaces.driver import Feat, Where
from tests.contract.surfaces.matrix import EncryptedMatrixDriver, MatrixDriver
from tests.contract.surfaces.shortcuts import ShortcutsDriver
from tests.contract.surfaces.telegram import TelegramDriver
from tests.depth import first
from tests.ollama_server import OllamaServer
from tests.scenario.bot import Hands
from tests.scenario.held_store import HeldDatabase, held

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.approval import Approval
    from core.swarm.ports import Agent
    from core.swarm.task import Task
    from tests.contract.surfaces.driver import Driver, Shown

DRIVERS: dict[str, Any] = {
    "console": ConsoleDriver, "telegram": TelegramDriver, "matrix": MatrixDriver, "matrix-encrypted": EncryptedMatrixDriver,
    "shortcuts": ShortcutsDriver,
}  # fmt: skip
NEEDED = {"show": " T-1", "bids": " T-1", "agent": " quill"}
LONG = "".join(f"{number} 🏴󠁧󠁢󠁷󠁬󠁳󠁿 <b>&amp; `ends`\n" for number in range(3_000)) + "\n" * 12_000 + "the end"
"""Far over 100 kB of UTF-8, with what must not be divided, what looks like markup, and a stretch of nothing to see."""


# Matrix takes twice as long as the others: all of this in test-deep, in plain and in encrypted rooms, and over shortcuts.
@pytest.fixture(params=first(2, DRIVERS))
async def surface(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Driver]:
    async with DRIVERS[request.param].ready(tmp_path) as driver:
        yield driver


def needs(surface: Driver, feat: Feat) -> None:
    """Skip what a surface declares that it cannot do."""
    if feat in surface.lacks:
        pytest.skip(f"{surface.name} {surface.lacks[feat]}")


async def told(surface: Driver, words: str, where: Where = Where.HOME, *, pace: float = 0.05) -> Shown:
    """Wait for a message that holds these words."""
    found: Shown = await surface.bot.see(
        lambda: next((one for one in surface.shown(where) if words in one.text), None),
        f"{words!r} {where.value} on {surface.name}",
        pace=pace,
    )
    return found


async def ask(surface: Driver, line: str, where: Where = Where.HOME) -> Shown:
    """Say something and wait for the next message."""
    before = len(surface.shown(where))
    surface.say(line, where)
    await surface.bot.see(lambda: len(surface.shown(where)) > before, f"an answer to {line[:40]!r}", pace=0)
    return surface.shown(where)[before]


async def answers(surface: Driver, where: Where, count: int) -> list[Shown]:
    """Wait for so many messages in a place."""
    await surface.bot.see(lambda: len(surface.shown(where)) >= count, f"{count} messages {where.value}", pace=0)
    return surface.shown(where)


async def rows(surface: Driver, query: str, wanted: Any) -> None:
    """Wait until the database says so."""
    await surface.bot.see(lambda: surface.bot.rows(query) == wanted, f"{wanted} from {query}")


def test_what_a_surface_lacks_it_says_with_a_reason_and_some_other_has_it() -> None:
    assert len(DRIVERS) > 1
    for feat in Feat:
        assert any(feat not in driver.lacks for driver in DRIVERS.values()), f"nobody tests that {feat}"
    assert all(len(reason.split()) > 3 for driver in DRIVERS.values() for reason in driver.lacks.values())


# Commands and who gives them -----------------------------------------------------------------------------------------


async def test_every_command_that_reads_answers_in_any_case_and_the_nearest_is_named(surface: Driver) -> None:
    async with surface.hub(hands=Hands(does={"quill": asyncio.Event()})):
        assert (await ask(surface, "/WhoAmI")).text == f"{surface.owner}, owner"
        await ask(surface, "/task write a poem")
        reading = [one.name for one in registry if one.reads]
        assert len(reading) > 7
        for name in reading:
            answer = await ask(surface, f"/{name.upper()}{NEEDED.get(name, '')}")
            assert not re.search("no command|needs|went wrong|not allowed", answer.text.split("\n")[0]), name
        assert "Did you mean /task?" in (await ask(surface, "/tsak write a poem")).text
        assert surface.bot.rows("SELECT count(*) FROM task") == [(1,)]


@pytest.mark.parametrize(
    ("text", "words", "feat"),
    first(
        1,
        [
            ("x" * 40_000, "longer than the 32,768 bytes", None),
            ("/task " + "ä" * 20_000, "longer than the 32,768 bytes", None),
            (" ", "The message is empty", Feat.EMPTY),
        ],
    ),
    ids=["long", "wide", "empty"],
)
async def test_what_cannot_be_taken_is_refused_and_the_next_is_answered(
    surface: Driver, text: str, words: str, feat: Feat | None
) -> None:
    if feat is not None:
        needs(surface, feat)
    async with surface.hub():
        assert words in (await ask(surface, text)).text
        assert (await ask(surface, "/whoami")).text.startswith(surface.owner)
        assert surface.bot.rows("SELECT count(*) FROM task") == [(0,)]


async def test_a_stranger_is_refused_and_what_they_wrote_is_not_kept(surface: Driver) -> None:
    needs(surface, Feat.STRANGERS)
    async with surface.hub():
        for line in ("/task steal everything", "what is up?", "/pair ABCD2345"):
            assert "I do not know you yet" in (await ask(surface, line, Where.STRANGER)).text
        assert surface.bot.rows("SELECT count(*), max(text) FROM inbound") == [(3, "")]


# Conversations and their order ---------------------------------------------------------------------------------------


async def test_conversations_are_apart_and_each_is_answered_in_its_order(surface: Driver) -> None:
    places = [Where.HOME, Where.OTHER, *([] if Feat.THREADS in surface.lacks else [Where.THREAD])]
    async with surface.hub():
        names = [one.name for one in registry][:10]
        wanted = {place: names[turn:] + names[:turn] for turn, place in enumerate(places)}
        for asked in zip(*wanted.values(), strict=True):
            for place, name in zip(places, asked, strict=True):
                surface.say(f"/help {name}", place)
        for place in places:
            found = [one.text.split()[0].removeprefix("/") for one in await answers(surface, place, len(names))]
            assert found == wanted[place]


async def test_what_was_said_while_the_hub_was_down_is_answered_in_its_order(surface: Driver) -> None:
    needs(surface, Feat.OFFLINE)
    names = [one.name for one in registry][:20]
    for name in names:
        surface.say(f"/help {name}")
    async with surface.hub():
        found = [one.text.split()[0].removeprefix("/") for one in await answers(surface, Where.HOME, len(names))]
        assert found == names


async def test_the_same_message_twice_is_one_turn(surface: Driver) -> None:
    async with surface.hub():
        surface.say("/task write a poem")
        await told(surface, "quill did write a poem")
        surface.repeat()
        await ask(surface, "/whoami")
        assert surface.bot.rows("SELECT count(*) FROM task") == [(1,)]
        assert surface.bot.rows("SELECT count(*) FROM inbound") == [(2,)]


# What is shown -------------------------------------------------------------------------------------------------------


async def test_a_task_is_followed_and_its_button_acts_once(surface: Driver) -> None:
    needs(surface, Feat.BUTTONS)
    async with surface.hub(hands=Hands(does={"quill": asyncio.Event()})) as hub:
        surface.say("/task write a poem")
        posted = await told(surface, "T-1")
        await hub.see(lambda: "Cancel" in surface.shown()[0].labels, "the button", pace=0)
        await hub.see(lambda: any("quill is at work" in line for line in surface.progress()), "the work begin")
        surface.press(posted, "Cancel")
        surface.press(posted, "Cancel")
        await told(surface, "T-1 cancelled; its sats came back")
        surface.say("/balance")
        await told(surface, "10,000 simulated sats free, 0 sats held")
        assert hub.rows("SELECT count(*) FROM event WHERE kind = 'TaskCancelled'") == [(1,)]


async def test_what_acts_is_asked_back_and_one_yes_does_it_once(
    surface: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(surface, Feat.BUTTONS)

    def understand(text: str, _: object) -> Meaning:
        asks = text.startswith("please ")
        intent = Intent.TASK if asks else Intent.APPROVAL if text in {"yes", "no"} else Intent.CHAT
        return Meaning(intent, 0.9, {}, f"/task {text.removeprefix('please ')}" if asks else None)

    monkeypatch.setattr(core.voice.intent, "understand", understand)
    async with surface.hub(hands=Hands(does={"quill": asyncio.Event()})) as hub:
        for answer, tasks in (("no", 0), ("yes", 1), ("yes", 1)):
            if answer != "yes" or not hub.rows("SELECT id FROM task"):
                await ask(surface, "please write a poem")
                await hub.see(lambda: list(surface.shown()[-1].labels) == ["Yes", "No"], "the buttons", pace=0)
                assert hub.rows("SELECT count(*) FROM task") == [(0,)]
            await ask(surface, answer)
            assert hub.rows("SELECT count(*) FROM task") == [(tasks,)]


class _Maker(Hands):
    """Its work is a file."""

    async def work(self, agent: Agent, task: Task) -> Delivery:
        """See `Worker`."""
        shelf = Shelf(self.data)
        path = await shelf.folder() / "chart.csv"
        path.write_bytes(b"a,b\n1,2\n")
        return Delivery("a table", tuple(await shelf.keep([path])))

    data: Path


async def test_a_result_brings_its_files(surface: Driver) -> None:
    hands = _Maker()
    async with surface.hub(hands=hands) as hub:
        hands.data = hub.app.settings.data_dir
        surface.say("/task write a table")
        await told(surface, "T-1 settled")
        files = await hub.see(lambda: [one.files for one in surface.shown() if one.files], "the file")
        assert files == [{"chart.csv": b"a,b\n1,2\n"}]


async def test_a_file_that_is_sent_is_kept_and_offered(surface: Driver) -> None:
    needs(surface, Feat.FILES_IN)
    async with surface.hub() as hub:
        surface.give("notes.csv", b"a,b\n1,2\n")
        saved = await told(surface, "Saved notes.csv")
        assert (hub.app.settings.workspace / "notes.csv").read_bytes() == b"a,b\n1,2\n"
        surface.press(saved, "Describe")
        await told(surface, "quill did describe notes.csv")


async def test_a_long_answer_is_shown_whole_and_in_order(surface: Driver) -> None:
    assert len(LONG.encode()) > 100_000
    async with surface.hub(hands=Hands(does={"quill": LONG})):
        surface.say("/task write a lot")
        await told(surface, "the end")
        whole = "".join(
            one.text for one in surface.shown() if not one.text.startswith("T-1 settled: quill was paid 40 sats\nwrite")
        )
        assert "".join(whole.partition("paid 40 sats\n")[2].split()) == "".join(LONG.split())


async def test_a_slow_model_gives_a_sign_at_once_and_its_answer_is_a_message(surface: Driver) -> None:
    needs(surface, Feat.LIFE)
    first, rest = asyncio.Event(), asyncio.Event()
    async with OllamaServer.running("slow:latest") as model, surface.hub(ollama=model.url) as hub:
        model.says(first, "Once upon a time there was", *(f" {word}" for word in range(200)), rest, ". The end.")
        surface.say("tell me a story")
        await hub.see(surface.alive, "a sign of life", pace=0)
        assert not surface.shown()
        first.set()
        if Feat.DRAFTS not in surface.lacks:
            draft = await told(surface, "Once upon a time", pace=0)
            await told(surface, " 199")
            assert 0 < len(draft.ref.edits) < 20
        rest.set()
        answer = await told(surface, "The end.")
        assert answer.text.startswith("Once upon a time there was 0 1")
        assert len(surface.shown()) == 1
        await rows(surface, "SELECT state FROM outgoing", [("sent",)])


# When something breaks -----------------------------------------------------------------------------------------------


async def test_a_stop_in_mid_turn_repeats_the_turn_and_not_its_effect(
    surface: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(surface, Feat.ACTS)
    monkeypatch.setattr(bot.app, "DRAIN_SECONDS", 0)
    async with surface.hub(database=HeldDatabase, hands=Hands(does={"quill": asyncio.Event()})) as hub:
        await ask(surface, "/task write a poem pick=ask")
        await told(surface, "quill")
        store = held(hub.app.store)
        store.hold("Dispatcher._answer")
        surface.say("/award 1 quill")
        await store.holding("Dispatcher._answer")
        assert not any("awarded" in one.text for one in surface.shown())
    async with surface.hub() as hub:
        await told(surface, "quill did write a poem")
        *_, answer, result = surface.shown()
        assert "awarded to quill" in answer.text, "the answer comes before what follows from it"
        assert "quill did write a poem" in result.text
        assert not answer.again
        assert not result.again
        assert hub.rows("SELECT count(*) FROM event WHERE kind = 'TaskAwarded'") == [(1,)]


async def test_a_stop_in_mid_send_loses_nothing_and_marks_what_may_be_a_copy(
    surface: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(surface, Feat.RECEIPTS)
    monkeypatch.setattr("bot.app.LAST_WORDS_SECONDS", 0.05)  # no send ends by itself here
    async with surface.hub() as hub:
        await ask(surface, "/whoami")
        await rows(surface, "SELECT state FROM outgoing", [("sent",)])
        surface.stick()
        surface.say("/help task")
        surface.say("/help tasks")
        await told(surface, "post a task", pace=0)
        await hub.see(lambda: hub.rows("SELECT count(*) FROM outgoing") == [(3,)], "both answers written", pace=0)
    surface.unstick()
    async with surface.hub():
        await told(surface, "/tasks [STATUS]")
        found = [(one.text.split()[0], one.again) for one in surface.shown()]
        assert found[:2] == [(f"{surface.owner},", False), ("/task", False)]
        if Feat.COPIES not in surface.lacks:
            assert found.pop(2) == ("/task", True)
        assert {name for name, _ in found[2:]} == {"/tasks"}
        await ask(surface, "/whoami")
        await rows(surface, "SELECT DISTINCT state FROM outgoing", [("sent",)])


async def test_what_is_to_be_told_while_the_platform_is_away_is_told_when_it_is_back(surface: Driver) -> None:
    gate = asyncio.Event()
    async with surface.hub(hands=Hands(does={"quill": gate})) as hub:
        surface.say("/task write a poem")
        await told(surface, "T-1")
        await hub.hands.at_work("T-1", "quill")
        await rows(surface, "SELECT state FROM outgoing", [("sent",)])
        surface.down()
        gate.set()
        await rows(surface, "SELECT count(*) FROM outgoing WHERE state IN ('queued', 'sending')", [(1,)])
        for _ in range(20):
            hub.pass_time(10)
            await hub.app.store.read(lambda tx: tx.now)
        assert "quill did write a poem" not in str(surface.shown())
        surface.up()
        await told(surface, "quill did write a poem")
        assert hub.hands.began == [("T-1", "quill", 1)]
        surface.say("/help task")
        await told(surface, "post a task")


async def test_a_lost_reply_of_the_platform_is_sent_again_and_says_so(surface: Driver) -> None:
    needs(surface, Feat.LOST)
    async with surface.hub():
        surface.lose()
        surface.say("/whoami")
        await rows(surface, "SELECT state FROM outgoing", [("sent",)])
        copies = [False] if Feat.COPIES in surface.lacks else [False, True]
        assert [(one.text, one.again) for one in surface.shown()] == [
            (f"{surface.owner}, owner", again) for again in copies
        ]


async def test_a_flood_wait_parks_one_conversation_and_loses_nothing_of_it(surface: Driver) -> None:
    needs(surface, Feat.FLOOD)
    async with surface.hub() as hub:
        surface.flood(Where.HOME, 1000)
        for name in ("task", "tasks", "show"):
            surface.say(f"/help {name}")
        for _ in range(3):
            await ask(surface, "/whoami", Where.OTHER)
        assert surface.shown() == []
        surface.calm(Where.HOME)
        hub.pass_time(900)
        await ask(surface, "/whoami", Where.OTHER)
        assert surface.shown() == []
        hub.pass_time(101)
        await told(surface, "/show T")
        assert [one.text.split()[0] for one in surface.shown()] == ["/task", "/tasks", "/show"]
        assert not any(one.again for one in surface.shown())


# Approvals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("label", "words"), [("Approve", "was approved by"), ("Deny", "was denied by")])
async def test_an_approval_is_settled_by_its_button_once_and_its_outcome_stands_in_its_place(
    surface: Driver, label: str, words: str
) -> None:
    needs(surface, Feat.BUTTONS)
    did: list[str] = []

    async def carry(approval: Approval) -> str:
        did.append(approval.action)
        raise Unavailable(why="its voice is gone")  # a failure stands there too

    async with surface.hub() as hub:
        await ask(surface, "/whoami")
        hub.app.hub.approvals.carries("try", carry)
        await hub.app.hub.approvals.ask(
            "try", "sing", "Shall I sing?", asked_by=surface.owner, where=surface.owner, approvers=(surface.owner,), seconds=600,
            key="first",
        )  # fmt: skip
        await hub.see(lambda: ["Approve", "Deny"] in [list(one.labels) for one in surface.shown()], "both buttons")
        surface.press(await told(surface, "Shall I sing?"), label)
        await told(surface, words)
        if Feat.EDITS not in surface.lacks:
            await hub.see(lambda: not any(one.labels for one in surface.shown()), "no buttons")
            assert not any("Shall I sing?\n" in one.text for one in surface.shown()), "the outcome stands in its place"
        surface.say("/approve A-1")
        await told(surface, "already")
        assert did == (["sing"] if label == "Approve" else [])
        assert sum(words in one.text for one in surface.shown()) == 1
