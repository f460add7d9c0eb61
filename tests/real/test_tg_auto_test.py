"""A real hub process on an emulator that knows files, formatting, menus and pop-ups; one chat of it is a page of the docs."""

from __future__ import annotations

import re
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kill.hub_process import hub_process
from tests.real.auto_test_chat import PERSON, TOKEN, chat, missing
from tests.real.transcript import TELEGRAM, Transcript
from tests.scenario.bot import NOBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.kill.hub_process import HubProcess
    from tests.real.auto_test_chat import Chat

OWNER = f"telegram:{PERSON}"
ERRANDS = b"# Errands\n\nBuy milk. Call the bank. Water the plants on Friday."
PNG = b"\x89PNG\r\n\x1a\n"
THREE_SECONDS = b"OggS\0\4" + struct.pack("<qIIIBB", 3 * 48_000, 1, 0, 0, 1, 4) + b"note"
"""The last page of a voice note of three seconds (RFC 3533, section 6): it holds no sound."""

pytestmark = [pytest.mark.timeout(120), missing]


@asynccontextmanager
async def hub_on(folder: Path, room: Chat, *, owner: str = OWNER) -> AsyncIterator[HubProcess]:
    environment = {"TIMMY_TELEGRAM_TOKEN": TOKEN, "TIMMY_TELEGRAM_BASE_URL": room.url, "TIMMY_OWNER": owner}
    async with hub_process(folder, NOBODY, executed=True, **environment) as hub:
        yield hub
    assert room.refused == []


async def test_the_chat_of_the_docs(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    page = Transcript("telegram-transcript.md", TELEGRAM)
    async with chat() as room:
        async with hub_on(tmp_path, room, owner="") as hub:
            await _let_in(room, page, hub)
        page.told(
            f"Ann is the owner, so she sets `TIMMY_OWNER={OWNER}` and starts the hub again: from now on she has its wallet."
        )
        async with hub_on(tmp_path, room):
            await _paid(room, page)
            await _picked(room, page)
            await _pictured(room, page)
    page.keep(write=request.config.getoption("--write-transcript"))


async def _let_in(room: Chat, page: Transcript, hub: HubProcess) -> None:
    page.scene("A stranger is let in")
    await _say(room, page, "/start")
    told = await room.hears("pairing code")
    page.answered([told])
    code = re.findall(r"^[A-Z2-9]{8}$", told.text, re.MULTILINE)[0]
    printed = await hub.timmy("pair", code)
    page.told(f"The owner of the hub, in a terminal:\n\n```text\n$ timmy pair {code}\n{printed}```")
    await room.hears("You are in, as member")
    page.answered(await room.shown())


async def _paid(room: Chat, page: Transcript) -> None:
    page.scene("A task, done and paid")
    await _say(room, page, "/task summarise welcome.md")
    await room.hears("T-1 settled: quill was paid 40 sats\n\n")
    await room.hears("T-1 settled: quill was paid 40 sats\nsummarise welcome.md")
    page.answered(await room.shown())
    await _say(room, page, "/balance")
    await room.hears("9,960 simulated sats free")
    page.answered(await room.shown())


async def _picked(room: Chat, page: Transcript) -> None:
    page.scene("A file, and picking the winner")
    page.said("(sends errands.md)")
    await room.sends("errands.md", ERRANDS)
    await room.hears("Saved errands.md")
    page.answered(await room.shown())
    await _say(room, page, "/task key points of errands.md pick=ask")
    bids = await room.hears("T-2 bids: quill 40, echo 45")
    await room.hears("bids from echo, quill", so=lambda one: one.text.startswith("T-2 is up for bids"))
    page.answered(await room.shown())
    page.said("(presses “echo 45”)")
    await room.presses(bids, "echo 45")
    await room.hears("T-2 settled: echo was paid 45 sats\n\n")
    await room.hears("T-2 settled: echo was paid 45 sats\nkey points")
    for words in ("T-2 bids", "T-2 awarded"):  # what can do nothing any more is gone
        await room.hears(words, so=lambda one: not one.buttons)
    page.answered(await room.shown())


async def _pictured(room: Chat, page: Transcript) -> None:
    page.scene("A picture")
    await _say(room, page, "/task chart sample.csv revenue by region")
    await room.hears("", so=lambda one: one.photo)
    await room.hears("T-3 settled: seer was paid 50 sats\nchart")
    page.answered(await room.shown())


async def _say(room: Chat, page: Transcript, text: str) -> None:
    page.said(text)
    await room.says(text)


async def test_files_go_both_ways_and_a_voice_note_is_declined_in_words(tmp_path: Path) -> None:
    async with chat() as room, hub_on(tmp_path, room):
        await room.says("/task chart sample.csv revenue by region")
        chart = await room.hears("", so=lambda one: one.photo)
        assert chart.content.startswith(PNG)
        assert chart.width
        await room.sends("chart.png", chart.content, kind="photo")
        saved = await room.hears("Saved photo-")
        kept = tmp_path / "workspace" / saved.text.split()[1]
        assert kept.read_bytes() == chart.content

        await room.sends("my notes <b>.md", b"# Notes\n\nBuy milk. Call the bank.")
        told = await room.hears("Saved my-notes")
        assert (tmp_path / "workspace" / told.text.split()[1]).read_bytes().startswith(b"# Notes")
        await room.presses(told, "Summarise")
        await room.hears("Buy milk.", so=lambda one: "settled" in one.text)

        await room.sends("more.md", b"# More\n\nWater the plants.", caption="/task outline this")
        await room.hears("more.md has", so=lambda one: "settled" in one.text)

        await room.sends("note.ogg", THREE_SECONDS, kind="voice")
        await room.hears("I cannot open this voice note")


async def test_the_menu_of_the_owner_is_the_registry(tmp_path: Path) -> None:
    async with chat() as room, hub_on(tmp_path, room):
        await room.says("/help")
        listed = await room.hears("What I can do")
        menu = await room.menu(PERSON)
        assert {"task", "pair", "balance"} <= menu.keys()
        assert set(re.findall(r"^  /(\w+)", listed.text, re.MULTILINE)) == menu.keys()
        assert all(help_ in listed.text for help_ in menu.values())
        assert "Bold" in listed.styles


async def test_what_people_write_is_shown_as_they_wrote_it(tmp_path: Path) -> None:
    async with chat() as room, hub_on(tmp_path, room):
        await room.says("/task bold <b>this</b> & <a href='x'>that</a> *now* to=echo pick=ask")
        shown = await room.hears("T-1 is up for bids")
        assert "<b>this</b> & <a href='x'>that</a> *now*" in shown.text
        await room.presses(shown, "Cancel")
        await room.hears("T-1 cancelled", so=lambda one: not one.buttons)
