"""Voice notes and spoken replies, from a person's side: what is heard acts as if it were typed, and nothing else acts."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import pytest

from adapters.llm.server import CARD_MS
from adapters.speech.ear import LocalEar
from adapters.speech.worker import Worker
from bot.delivery import FETCH_SECONDS
from bot.hearing import Hearing
from bot.parts.looks import DATABASE
from bot.registry import Registry
from config.settings import Speech
from core.chat import Attachment, Caller, Inbound, Role
from core.voice.expected import Names
from core.voice.hearing import NOTE_BYTES, NoteTooLong
from tests.matrix_server import BOT, MatrixServer
from tests.ollama_server import Fault, OllamaServer
from tests.scenario.bot import Hands
from tests.scenario.telegram import BOB, OLGA, on_telegram, telegram_settings
from tests.scenario.test_matrix import on_matrix
from tests.scenario.test_matrix_encrypted import on_matrix as on_sealed_matrix
from tests.speech import Ears, Mouths

if TYPE_CHECKING:
    from pathlib import Path

    from tests.matrix_server import Room
    from tests.telegram_server import TelegramServer

ANN_MX = "@olga:localhost"
VOICE = "org.matrix.msc3245.voice"


async def test_a_voice_note_is_shown_and_acts_as_its_words(tmp_path: Path, server: TelegramServer) -> None:
    ears = Ears()
    async with on_telegram(tmp_path, server, ear=ears, hands=Hands(does={"quill": asyncio.Event()})) as talk:
        server.voice(talk.olga, OLGA, b"what is my balance")
        shown = await talk.told(talk.olga, 'Heard: "what is my balance"')
        await talk.told(talk.olga, "10,000 simulated sats free", after=shown.id)
        assert {"balance", "quill", "welcome.md"} <= ears.expected[0].rules.words

        server.voice(talk.olga, OLGA, b"summarise welcome.md for at most fifty sats")
        asked = await talk.told(talk.olga, "Shall I do this")
        assert "/task summarise welcome.md max=50" in asked.text
        assert talk.rows("SELECT count(*) FROM task") == [(0,)]
        server.voice(talk.olga, OLGA, b"yes")
        await talk.told(talk.olga, "press the button under the question, or type yes")
        assert talk.rows("SELECT count(*) FROM task") == [(0,)]
        server.tap(asked, "Yes", OLGA)
        await talk.told(talk.olga, "T-1 posted")
        assert talk.rows("SELECT count(*) FROM inbound WHERE done = 0") == [(0,)]


async def test_a_spoken_no_is_an_answer_and_a_command_that_was_heard_is_asked_back_however_it_is_spelt(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with on_telegram(tmp_path, server, ear=Ears()) as talk:
        server.voice(talk.olga, OLGA, b"/task summarise welcome.md max=50")
        await talk.told(talk.olga, "Shall I do this? Yes or no:\n/task summarise welcome.md max=50")
        server.voice(talk.olga, OLGA, b"no")
        await talk.told(talk.olga, "Nothing was done")
        server.voice(talk.olga, OLGA, b"/whoami")
        await talk.told(talk.olga, "owner")
        assert talk.rows("SELECT count(*) FROM task") == [(0,)]


@pytest.mark.long
async def test_that_a_command_was_spoken_is_known_after_a_crash(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, ear=Ears()) as talk:
        server.voice(talk.olga, OLGA, b"summarise welcome.md")
        await talk.told(talk.olga, "Shall I do this")
        await talk.bot.app.store.write(lambda tx: tx.messages.heard(1, "/task summarise welcome.md max=50"))
        found = talk.bot.app.settings.data_dir / DATABASE
    with contextlib.closing(sqlite3.connect(found)) as connection, connection:
        connection.execute("UPDATE inbound SET done = 0")
    async with on_telegram(tmp_path, server, ear=Ears()) as talk:
        await talk.told(talk.olga, "Shall I do this? Yes or no:\n/task summarise welcome.md max=50")
        assert talk.rows("SELECT count(*) FROM task") == [(0,)]


async def test_what_is_not_heard_well_is_asked_back_or_does_nothing(tmp_path: Path, server: TelegramServer) -> None:
    ears = Ears(doubts=0.5)
    async with on_telegram(tmp_path, server, ear=ears) as talk:
        server.voice(talk.olga, OLGA, b"summarise welcome.md")
        asked = await talk.told(talk.olga, 'Did you say "summarise welcome.md"?')
        assert "/task summarise welcome.md" in asked.text
        server.tap(asked, "No", OLGA)
        await talk.told(talk.olga, "Nothing was done")
        server.voice(talk.olga, OLGA, b"yes")
        await talk.told(talk.olga, "I did not understand what you said")
        server.voice(talk.olga, OLGA, b"who is free")
        asked = await talk.told(talk.olga, 'Did you say "who is free"?')
        server.tap(asked, "Yes", OLGA)
        await talk.told(talk.olga, "quill")
        ears.doubts, before = 0.9, max(one.id for one in server.messages(talk.olga))
        server.voice(talk.olga, OLGA, b"summarise welcome.md")
        await talk.told(talk.olga, "I did not understand what you said", after=before)
        assert talk.rows("SELECT count(*) FROM task") == [(0,)]


@pytest.mark.long
async def test_what_the_agent_can_do_itself_goes_to_it_spoken_doubted_or_beside_a_file(
    tmp_path: Path, server: TelegramServer
) -> None:
    ears = Ears()
    async with (
        OllamaServer.running("qwen3:8b") as model,
        on_telegram(tmp_path, server, ear=ears, ollama=model.url) as talk,
    ):
        server.voice(talk.olga, OLGA, b"what does welcome.md say about rent")
        await talk.told(talk.olga, "You said: what does welcome.md say about rent")
        server.document(talk.olga, OLGA, "b.md", b"B", caption="what does this say")
        await talk.told(talk.olga, "You said: what does this say b.md")
        model.says(Fault(400, "no"))
        server.document(talk.olga, OLGA, "c.md", b"C", caption="what does this say")
        await talk.told(talk.olga, "Saved c.md in the workspace.\nThe model could not answer")
        assert server.messages(talk.olga)[-1].text.endswith(
            "Or have somebody paid for it: /task what does this say c.md"
        )
        ears.doubts = 0.5
        server.voice(talk.olga, OLGA, b"how big is sample.csv")
        asked = await talk.told(talk.olga, 'Did you say "how big is sample.csv"?')
        assert "/task" not in asked.text
        model.can = ["completion"]
        talk.bot.clock.advance(CARD_MS)
        server.tap(asked, "Yes", OLGA)
        await talk.told(talk.olga, "Shall I do this? Yes or no:\n/task how big is sample.csv")
        server.voice(talk.olga, OLGA, b"how big is sample.csv")
        asked = await talk.told(talk.olga, 'Did you say "how big is sample.csv"?', after=asked.id)
        assert "/task how big is sample.csv" in asked.text, "the agent cannot: it is what would be paid for"
        model.can = ["completion", "tools"]
        talk.bot.clock.advance(CARD_MS)
        server.voice(talk.olga, OLGA, b"how big is welcome.md")
        asked = await talk.told(talk.olga, 'Did you say "how big is welcome.md"?')
        server.tap(asked, "Yes", OLGA)
        await talk.told(talk.olga, "You said: how big is welcome.md")
        assert talk.rows("SELECT count(*) FROM task") == [(0,)]


async def test_notes_of_strangers_forwarded_ones_and_those_to_a_group_are_not_even_fetched(
    tmp_path: Path, server: TelegramServer
) -> None:
    ears = Ears()
    async with on_telegram(tmp_path, server, ear=ears) as talk:
        server.privacy = False
        server.voice(talk.bob, BOB, b"what is my balance")
        await talk.told(talk.bob, "I do not know you yet")
        server.voice(talk.olga, OLGA, b"what is my balance", forwarded=True)
        await talk.told(talk.olga, "I do not take forwarded messages")
        server.voice(talk.group, OLGA, b"who is free")
        server.voice(talk.olga, OLGA, 3_000_000)
        await talk.told(talk.olga, "longer than the 60 seconds or 2 MB")
        assert ears.heard == []
        assert not any(call.method == "getFile" for call in server.calls)
        said = await talk.says(talk.group, OLGA, "/whoami@timmy_bot")
        server.voice(talk.group, OLGA, b"who is free", reply_to=said)
        await talk.told(talk.group, 'Heard: "who is free"')


async def test_a_note_that_was_stored_before_a_crash_is_heard_once_after_it(
    tmp_path: Path, server: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0)
    ears = Ears(gate=asyncio.Event())
    async with on_telegram(tmp_path, server, ear=ears) as talk:
        server.voice(talk.olga, OLGA, b"what is my balance")
        await talk.until(lambda: ears.heard, "it listen")
    async with on_telegram(tmp_path, server, ear=Ears()) as talk:
        await talk.told(talk.olga, "10,000 simulated sats free")
        shown = [one.text for one in server.messages(talk.olga)]
        assert len(shown) == 2
        assert talk.rows("SELECT text, done FROM inbound") == [("what is my balance", 1)]


async def test_what_happens_while_a_note_is_listened_to_is_told_meanwhile(
    tmp_path: Path, server: TelegramServer
) -> None:
    gate, done = asyncio.Event(), asyncio.Event()
    ears = Ears(gate=gate)
    async with on_telegram(tmp_path, server, ear=ears, hands=Hands(does={"quill": done})) as talk:
        posted = await talk.says(talk.olga, OLGA, "/task write a poem skill=writing max=50")
        server.voice(talk.olga, OLGA, b"what is my balance")
        await talk.until(lambda: ears.heard, "it listen")
        done.set()
        await talk.told(talk.olga, "T-1 settled", after=posted.id)
        gate.set()  # a stop would wait for it


@pytest.mark.long
async def test_a_note_that_a_stop_finds_half_heard_is_heard_at_the_next_start(
    tmp_path: Path, server: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0)
    deaf = Worker("engine", program=(sys.executable, "-S", "-c", "import sys; sys.stdin.read()"))
    monkeypatch.setattr("bot.app.engines.ear", lambda *_: (LocalEar(deaf), deaf))
    async with on_telegram(tmp_path, server) as talk:
        server.voice(talk.olga, OLGA, b"what is my balance")
        await talk.until(lambda: deaf._child, "it listen")
    assert deaf._child is None
    async with on_telegram(tmp_path, server, ear=Ears()) as talk:
        await talk.told(talk.olga, "10,000 simulated sats free")
        assert not any("could not listen" in one.text for one in server.messages(talk.olga))


async def test_an_engine_that_breaks_off_costs_one_clear_sentence(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, ear=Ears(broken=True)) as talk:
        server.voice(talk.olga, OLGA, b"what is my balance")
        await talk.told(talk.olga, "I could not listen to this voice note (the engine broke off). Nothing was done")


async def test_where_voice_is_on_each_answer_is_spoken_too_over_restarts(
    tmp_path: Path, server: TelegramServer
) -> None:
    mouths = Mouths()
    async with on_telegram(tmp_path, server, mouth=mouths) as talk:
        await talk.says(talk.olga, OLGA, "/voice on")
    async with on_telegram(tmp_path, server, mouth=mouths, ear=Ears()) as talk:
        server.voice(talk.olga, OLGA, b"what is my balance")
        note = await talk.until(lambda: _spoken(server, talk.olga, b"10000 simulated sats"), "the voice note")
        assert note.content["voice"]["duration"] == 2
        assert not _spoken(server, talk.olga, b"Heard")
        mouths.broken = True
        notes = [one.id for one in server.messages(talk.olga) if "voice" in one.content]
        await talk.says(talk.olga, OLGA, "/whoami")
        await talk.says(talk.olga, OLGA, "stop talking")
        server.tap(await talk.told(talk.olga, "Shall I do this"), "Yes", OLGA)
        await talk.told(talk.olga, "I only write here from now on")
        assert notes == [one.id for one in server.messages(talk.olga) if "voice" in one.content]


def _spoken(server: TelegramServer, chat: Any, words: bytes) -> Any:
    notes = (one for one in server.messages(chat) if "voice" in one.content and one.mine)
    return next((one for one in notes if words in one.files[0].data), None)


async def test_the_console_says_that_it_has_no_voice_and_a_hub_what_it_lacks(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with on_telegram(tmp_path, server, mouth=Mouths(missing="espeak-ng is not installed")) as talk:
        assert "no voice notes on console" in (await talk.bot.say("/voice on"))["text"]
        await talk.bot.data("/voice off")
        told = await talk.says(talk.olga, OLGA, "/voice on")
        assert told.text.startswith("I cannot speak: espeak-ng is not installed")


async def test_on_matrix_a_voice_note_is_heard_and_answered_with_one(tmp_path: Path) -> None:
    async with MatrixServer() as server, on_matrix(tmp_path, server, ear=Ears(), mouth=Mouths()) as talk:
        await talk.up()
        server.say(talk.olga, ANN_MX, "!voice on")
        await talk.told(talk.olga, "I answer here by voice too")
        server.speak(talk.olga, ANN_MX, b"who is free")
        await talk.told(talk.olga, 'Heard: "who is free"')
        said = await talk.bot.see(lambda: _notes(server, talk.olga), "the spoken answer")
        assert said[-1].content["info"]["duration"] == 1500
        assert server.file(said[-1].content).startswith(b"OggS")
        server.speak(talk.group, ANN_MX, b"who is free")
        server.speak(talk.group, ANN_MX, b"who is free", **{"m.mentions": {"user_ids": [BOT]}})
        await talk.told(talk.group, 'Heard: "who is free"')
        assert talk.bot.rows("SELECT count(*) FROM inbound WHERE text = 'who is free'") == [(2,)]
        server.speak(talk.olga, ANN_MX, b" " * (NOTE_BYTES + 1), info={"size": 9})
        await talk.told(talk.olga, "longer than the 60 seconds or 2 MB")
        server.post(talk.olga, ANN_MX, "m.room.message", {
            "msgtype": "m.file", "body": "a.txt", "filename": "a.txt", "info": {"size": 1}, "url": "mxc://[none",
        })  # fmt: skip
        await talk.told(talk.olga, "a.txt could not be fetched from Matrix")


async def test_a_note_that_came_before_a_stop_or_cannot_be_fetched_for_a_while_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0)
    async with MatrixServer() as server:
        async with on_matrix(tmp_path, server, ear=(deaf := Ears(gate=asyncio.Event()))) as talk:
            await talk.up()
            server.speak(talk.olga, ANN_MX, b"who is free")
            await talk.bot.see(lambda: deaf.heard, "it listen", pace=0)
        async with on_matrix(tmp_path, server, ear=Ears()) as talk:
            await talk.told(talk.olga, 'Heard: "who is free"')
            server.break_("download", 3)
            server.speak(talk.olga, ANN_MX, b"my balance")
            await talk.told(talk.olga, 'Heard: "my balance"')
            server.break_("download", 1000)
            server.speak(talk.olga, ANN_MX, b"status")
            await talk.bot.see(lambda: server.broken("download") < 1000, "it fetch", pace=0)
            talk.bot.pass_time(FETCH_SECONDS)
            await talk.told(talk.olga, "Voice message.ogg could not be fetched from Matrix (M_UNKNOWN")
        assert not any("it is down" in one.text for one in server.messages(talk.olga))


def _notes(server: MatrixServer, room: Room) -> list[Any]:
    return [one for one in server.messages(room) if VOICE in one.content]


@pytest.mark.long
async def test_in_an_encrypted_room_notes_are_opened_and_sealed(tmp_path: Path) -> None:
    async with MatrixServer() as server:
        server.meet(ANN_MX)
        server.meet("@eve:localhost", seed=2)
        async with on_sealed_matrix(tmp_path, server, ear=Ears(), mouth=Mouths()) as talk:
            server.say(talk.olga, ANN_MX, "!voice on")
            await talk.told(talk.olga, "I answer here by voice too")
            server.speak(talk.olga, ANN_MX, b"who is free")
            await talk.told(talk.olga, 'Heard: "who is free"')
            said = await talk.bot.see(lambda: _notes(server, talk.olga), "the spoken answer")
            assert "url" not in said[-1].content
            assert server.file(said[-1].content).startswith(b"OggS")


async def test_a_hub_without_hearing_says_so(tmp_path: Path, server: TelegramServer) -> None:
    off = telegram_settings(tmp_path, server).model_copy(update={"speech": Speech(stt="off")})
    async with on_telegram(tmp_path, server, found=off) as talk:
        server.voice(talk.olga, OLGA, b"OggS")
        await talk.told(talk.olga, "I cannot hear voice notes: the owner of this hub has turned that off")
        assert not any(call.method == "getFile" for call in server.calls)


@pytest.mark.parametrize(("bytes_", "heard"), [(NOTE_BYTES, True), (NOTE_BYTES + 1, False)])
async def test_a_note_is_as_long_as_it_is_and_not_as_its_sender_says(bytes_: int, heard: bool) -> None:
    async def fetch(*_: object) -> bytes:
        return b" " * (bytes_ - 6) + b"status"

    async def names() -> Names:
        return Names()

    ears, note = Ears(), Attachment("voice.ogg", 10, "ref", spoken=True)
    hearing = Hearing(ears, fetch, names, Registry())
    message = Inbound("matrix", "bot", "1", "matrix:room", "matrix:ann", "", files=(note,))
    if heard:
        await hearing.take(message, Caller("matrix:ann", Role.MEMBER))
    else:
        with pytest.raises(NoteTooLong):
            await hearing.take(message, Caller("matrix:ann", Role.MEMBER))
    assert bool(ears.heard) is heard


@pytest.mark.long
async def test_a_group_is_answered_aloud_where_an_operator_wants_it(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, mouth=Mouths()) as talk:
        welcome = await talk.says(talk.bob, BOB, "hello")
        await talk.bot.data(f"/pair {welcome.text.splitlines()[1]}")
        await talk.told(talk.bob, "You are in")
        assert "You may not" in (await talk.says(talk.group, BOB, "/voice@timmy_bot on")).text
        assert "I answer here by voice too" in (await talk.says(talk.bob, BOB, "/voice on")).text
        assert "I answer here by voice too" in (await talk.says(talk.group, OLGA, "/voice@timmy_bot on")).text
        server.say(talk.group, BOB, "/voice@timmy_bot off")
        await talk.told(talk.group, "I only write here")
