"""An encrypted room of the docs: plain words and a reaction, a task and its thread, a winner picked by a reaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
            async with hub_on(tmp_path, server, TIMMY_OWNER=f"matrix:{ann.user}"):
                room = await sealed_room(ann)
                await _asked(ann, room, page)
                await _picked(ann, room, page)
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
