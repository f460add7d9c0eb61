"""Real speech, from end to end: espeak-ng speaks, the whole hub hears with its own engine, acts, and speaks its answer.

Telegram is the fake one; its notes are real OGG/Opus both ways. One of these chats is a page of the docs.
"""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.speech.sound import encode
from tests.real.synapse import missing as no_synapse
from tests.real.synapse import synapse
from tests.real.test_matrix import BOT, hub_on, people
from tests.scenario.bot import Hands
from tests.scenario.telegram import OLGA, on_telegram
from tests.telegram_server import TelegramServer
from tests.voice.hearing import speak

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from tests.scenario.telegram import Telegrams
    from tests.telegram_objects import Message

PAGE = Path(__file__).parents[2] / "docs/voice-transcript.md"
HEAD = """\
<!-- Written by `make test-real ARGS=--write-transcript`; change the code, not this file. -->

# Voice notes, as they are heard

espeak-ng says each line of "Olga" into an OGG/Opus voice note; the hub hears it with its built-in engine. `make test-real` holds
this page true.

```text
"""

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng (on Debian: apt install espeak-ng)"),
]


def note(words: str, voice: str = "en-us", speed: int = 165) -> bytes:
    """Words as a voice note."""
    return encode(speak(words, voice, speed)).ogg


@asynccontextmanager
async def telegram(folder: Path) -> AsyncIterator[Telegrams]:
    async with TelegramServer() as server, on_telegram(folder, server, hands=Hands(does={"quill": "done"})) as talk:
        yield talk


async def said(talk: Telegrams, words: str, answer: str) -> list[Message]:
    """Say something and wait for an answer; returns all that came."""
    before = max((one.id for one in talk.server.messages(talk.olga)), default=0)
    talk.server.voice(talk.olga, OLGA, note(words))
    await talk.until(
        lambda: any(answer in one.text for one in _since(talk, before)), f"{answer!r} to {words!r}", pace=0
    )
    return _since(talk, before)


def _since(talk: Telegrams, before: int) -> list[Message]:
    return [one for one in talk.server.messages(talk.olga) if one.id > before]


async def test_the_chat_of_the_docs(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    lines: list[str] = []
    async with telegram(tmp_path) as talk:
        for words, answer in (
            ("show me my balance", "10,000 simulated sats free"),
            ("summarise welcome dot m d", "/task summarise welcome.md"),
            ("yes please", "press the button under the question, or type yes"),
            ("what is quill doing", "writing"),
            ("i would like to order a pizza", "I did not understand what you said"),
        ):
            shown = await said(talk, words, answer)
            lines += [f'Olga    (voice note) "{words}"', *_told(shown)]
            if words == "yes please":
                before = max(one.id for one in talk.server.messages(talk.olga))
                talk.server.say(talk.olga, OLGA, "yes")
                await talk.told(talk.olga, "T-1 settled: quill was paid 40 sats\n\ndone")
                lines += ["Olga    yes", *_told(one for one in _since(talk, before) if one.mine)]
        assert talk.rows("SELECT count(*), max(status) FROM task") == [(1, "settled")]
    page = HEAD + "\n".join(lines) + "\n```\n"
    if request.config.getoption("--write-transcript"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "write it anew with: make test-real ARGS=--write-transcript"


def _told(shown: Iterable[Message]) -> Iterator[str]:
    for one in shown:
        first, *others = (one.edits[0] if one.edits else one.text).splitlines()
        yield f"Timmy   {first}"
        yield from (f"        {line}".rstrip() for line in others)


async def test_an_answer_is_spoken_and_what_is_spoken_is_the_answer(tmp_path: Path) -> None:
    async with telegram(tmp_path) as talk:
        await talk.says(talk.olga, OLGA, "/voice on")
        await said(talk, "show me the agents", "quill")
        spoken = await talk.until(
            lambda: [one for one in talk.server.messages(talk.olga) if "voice" in one.content], "a voice note", pace=0
        )
        ogg = spoken[-1].files[0].data
        assert b"OpusHead" in ogg[:100]
        assert spoken[-1].content["voice"]["duration"] >= 1


@pytest.mark.parametrize("words", ["open the garage door", "what is the weather like tomorrow", "thank you very much"])
async def test_other_speech_does_nothing(tmp_path: Path, words: str) -> None:
    async with telegram(tmp_path) as talk:
        before = talk.rows("SELECT count(*) FROM event")
        talk.server.voice(talk.olga, OLGA, note(words))
        answer = await talk.until(lambda: _since(talk, 0), "an answer", pace=0)
        assert answer[0].text.startswith(("I did not understand", "Did you say"))
        assert talk.rows("SELECT count(*) FROM event") == before


@no_synapse
async def test_a_voice_note_on_a_real_synapse_is_heard_and_answered_with_one(tmp_path: Path) -> None:
    async with synapse(tmp_path / "synapse") as server, people(server) as (olga, _), hub_on(tmp_path, server):
        room = await olga.room(BOT, is_direct=True)
        await olga.meets(room, BOT)
        await olga.say(room, "!voice on")
        await olga.hears(room, "I answer here by voice too")
        ogg = note("show me my balance")
        uploaded, _ = await olga.client.upload(lambda *_: ogg, "audio/ogg", "note.ogg", filesize=len(ogg))
        content = {
            "msgtype": "m.audio", "body": "Voice message", "url": uploaded.content_uri,
            "info": {"size": len(ogg), "mimetype": "audio/ogg"}, "org.matrix.msc3245.voice": {},
        }  # fmt: skip
        await olga.client.room_send(room, "m.room.message", content)
        await olga.hears(room, 'Heard: "show me my balance"')
        await olga.hears(room, "simulated sats free")
        await olga.hears(room, "Voice message")
