"""An encrypted room of the docs: plain words and a reaction, a task and its thread, a winner and an approval by a reaction."""

from __future__ import annotations

from dataclasses import replace
from socket import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from nio import MessageDirection

from tests.real.auto_test_chat import Shown, Words
from tests.real.synapse import missing, synapse
from tests.real.test_matrix import BOT, hub_on
from tests.real.test_matrix_encrypted import sealed_room
from tests.real.transcript import WRITTEN, Transcript

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.synapse import Person

pytestmark = [pytest.mark.timeout(180), missing]

HEAD = f"""{WRITTEN}\
# An encrypted room with Timmy on Matrix

A real hub process on Synapse, read by a client that holds the room's keys; `make test-real` holds this page true. Reactions that
the bot put under its message stand in brackets; what stands in the thread of a message begins with └. Of a message that the hub
edited you see how it began and how it ended. No model was running: nothing here needs one.
"""


async def _shown(person: Person, room: str) -> list[Shown]:
    """The bot's messages as they stand, in their order: every event of the room, opened, edits and reactions applied."""
    answer = await person.client.room_messages(room, "", limit=500, direction=MessageDirection.front)
    found: dict[str, dict[str, Any]] = {}
    put: dict[str, tuple[str, str]] = {}
    for event in answer.chunk:
        content = event.source["content"]
        relation = content.get("m.relates_to", {})
        if event.source["type"] == "m.room.redaction" and event.source.get("redacts") in put:
            under, label = put[event.source["redacts"]]
            found[under]["labels"].remove(label)
        elif event.sender == BOT and event.source["type"] == "m.reaction" and relation:
            put[event.event_id] = (relation["event_id"], relation["key"])
            for kind in ("labels", "ever"):
                found[relation["event_id"]][kind].append(relation["key"])
        elif event.sender == BOT and relation.get("rel_type") == "m.replace":
            found[relation["event_id"]]["now"] = content["m.new_content"]["body"]
        elif event.sender == BOT and "body" in content:
            beneath = relation.get("rel_type") == "m.thread"
            body = content["body"]
            found[event.event_id] = {"began": body, "now": body, "labels": [], "ever": [], "beneath": beneath}
    return [
        Shown(
            one["now"], tuple(one["labels"]), id=number, began=Words(one["began"], tuple(one["ever"])),
            beneath=one["beneath"],
        )
        for number, one in enumerate(found.values(), 1)
    ]  # fmt: skip


async def test_the_room_of_the_docs(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    page = Transcript("matrix-transcript.md", HEAD)
    async with synapse(tmp_path / "synapse") as server:
        await (await server.user("timmy")).client.close()
        ann = await server.user("ann", tmp_path / "ann")
        await ann.sign_in()
        try:
            more = {"TIMMY_OWNER": f"matrix:{ann.user}", "TIMMY_SHORTCUTS_ENABLED": "true", "TIMMY_HTTP_PORT": _free()}
            async with hub_on(tmp_path, server, **more) as hub:
                room = await sealed_room(ann)
                await _asked(ann, room, page)
                await _picked(ann, room, page)
                token = (await hub.timmy("token", "shortcut", "phone", "--for", f"matrix:{ann.user}")).strip()
                await _approved(ann, room, page, f"http://127.0.0.1:{more['TIMMY_HTTP_PORT']}/shortcuts/chat", token)
        finally:
            await ann.client.close()
    page.keep(write=request.config.getoption("--write-transcript"))


async def _asked(ann: Person, room: str, page: Transcript) -> None:
    page.scene("Plain words, a yes by a reaction, and a task with its thread")
    await _say(ann, room, page, "summarise welcome.md")
    question = await ann.hears(room, "/task summarise welcome.md")
    page.answered(await _until(ann, room, lambda shown: shown[-1].buttons == ("Yes", "No")))
    page.said("(taps “Yes” under it)")
    await ann.reacts(room, question, "Yes")
    await ann.hears(room, "welcome.md in 5 of 33 sentences")
    await ann.hears(room, "T-1 settled: quill was paid 40 sats\nsummarise")
    shown = _later(await _until(ann, room, lambda shown: shown[-1].beneath and not shown[0].buttons))
    page.told(
        "Her tap turns the question into the task's message, which goes on to change; what follows stands in its thread."
    )
    page.answered([replace(shown[0], began=Words(shown[0].text)), *shown[1:]])


async def _picked(ann: Person, room: str, page: Transcript) -> None:
    page.scene("The winner, picked by a reaction in the thread")
    await _say(ann, room, page, "!task key points of welcome.md pick=ask")
    board = await ann.hears(room, "T-2 posted")
    offers = await ann.hears(room, "T-2 bids: quill 40, echo 45")
    await ann.hears(
        room, "T-2 is up for bids\nkey points of welcome.md\nbudget 200 sats, attempt 1\nbids from echo, quill"
    )
    labels = ("quill 40", "echo 45")
    page.answered(_later(await _until(ann, room, lambda shown: shown[-1].buttons == labels)))
    page.said("(taps “echo 45” under it)", beneath=True)
    await ann.reacts(room, offers, "echo 45")
    await ann.hears(room, "T-2 settled: echo was paid 45 sats\n\n")
    await ann.hears(room, "T-2 settled: echo was paid 45 sats\nkey points")
    is_over = lambda shown: "settled" in shown[-1].text and not any(one.buttons for one in shown)  # noqa: E731
    page.answered(_later(await _until(ann, room, is_over)))
    page.said("!bids T-2", beneath=True)
    await ann.say(room, "!bids T-2", thread=board)
    await ann.hears(room, "T-2 has 2 bids")
    page.answered(_later(await _shown(ann, room)))


async def _approved(ann: Person, room: str, page: Transcript, url: str, token: str) -> None:
    page.scene("An approval, given by a reaction")
    said = "have quill summarise welcome.md for at most five hundred sats"
    async with (
        aiohttp.ClientSession() as phone,
        phone.post(url, json={"message": said}, headers={"Authorization": f"Bearer {token}"}) as answer,
    ):
        speech = (await answer.json())["speech"]
    page.told(f"Ann says to Siri: “{said}.” Her phone's limit is 200 sats, so it answers: “{speech}”")
    question = await ann.hears(room, "Your Shortcut phone asks for")
    asked = await _until(ann, room, lambda shown: shown[-1].buttons == ("Approve", "Deny"))
    page.answered(_later(asked))
    page.said("(taps “Approve” under it)")
    await ann.reacts(room, question, "Approve")
    await ann.hears(room, "T-3 settled: quill was paid")
    is_over = lambda shown: "T-3 settled" in shown[-1].text and not any(one.buttons for one in shown)  # noqa: E731
    shown = await _until(ann, room, is_over)
    page.told(f"Her tap turns the question into its outcome, everywhere: “{shown[len(asked) - 1].text}”")
    page.answered(_later(shown))


def _free() -> str:
    """A port that nobody has."""
    with socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def _later(shown: list[Shown]) -> list[Shown]:
    """Numbered after what is on the page: the first message is there twice, before and after the tap."""
    return [replace(one, id=one.id + 1) for one in shown]


async def _until(ann: Person, room: str, so: Any) -> list[Shown]:
    """What stands in the room, once it is so."""
    while True:
        shown = await _shown(ann, room)
        if shown and so(shown):
            return shown
        await ann._look()


async def _say(ann: Person, room: str, page: Transcript, text: str) -> None:
    page.said(text)
    await ann.say(room, text)
