"""A thread for each task on Matrix: beneath the message that told of it, over floods and restarts, and never in another one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from core.chat import NotSent, Outgoing, Reply
from tests.depth import first
from tests.matrix_server import BOT, MatrixServer
from tests.scenario.bot import Hands
from tests.scenario.test_matrix import BOB, EVE, OLGA, on_matrix
from tests.scenario.test_matrix_encrypted import surface_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.matrix_server import Message, Room
    from tests.scenario.test_matrix import Matrixes


@pytest.fixture
async def server() -> AsyncIterator[MatrixServer]:
    """A homeserver with two rooms of Olga's, one of them with others."""
    async with MatrixServer() as server:
        yield server


def _places(talk: Matrixes, room: Room) -> list[tuple[str, str | None]]:
    """(the first line, the thread) of every message of the bot's."""
    return [(one.text.partition("\n")[0], one.thread) for one in talk.server.messages(room)]


async def _posted(talk: Matrixes, room: Room, line: str = "!task write a poem", name: str = "T-1") -> Message:
    talk.server.say(room, OLGA, line)
    return await talk.told(room, name)


async def _in_thread(talk: Matrixes, room: Room, root: str, words: str) -> Message:
    """Wait for a message in a thread."""
    found: Message = await talk.bot.see(
        lambda: next((one for one in talk.server.messages(room) if one.thread == root and words in one.text), None),
        f"{words!r} beneath {root}: {_places(talk, room)}",
    )
    return found


@pytest.mark.parametrize(
    ("kind", "encrypted"), first(2, [("Olga", False), ("Group", True), ("Olga", True), ("Group", False)])
)
async def test_what_follows_of_a_task_is_told_beneath_its_board_and_what_is_done_there_is_answered_there(
    tmp_path: Path, server: MatrixServer, kind: str, encrypted: bool
) -> None:
    if encrypted:
        server.meet(OLGA)
    server.room(kind, [OLGA] if kind == "Olga" else [OLGA, BOB, EVE], encrypted=encrypted)
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        room = talk.olga if kind == "Olga" else talk.group
        board = await _posted(talk, room, "!task write a poem pick=ask")
        offers = await _in_thread(talk, room, board.id, "T-1 bids: quill 40, echo 45")
        assert offers.content["m.relates_to"] == {
            "rel_type": "m.thread", "event_id": board.id, "is_falling_back": True, "m.in_reply_to": {"event_id": board.id},
        }  # fmt: skip
        server.say(room, OLGA, "!bids T-1")
        above = await talk.told(room, "T-1 has 2 bids")
        said = server.say(room, OLGA, "!show T-1", thread=board.id)
        shown = await _in_thread(talk, room, board.id, "T-1 is bidding")
        assert shown.content["m.relates_to"]["m.in_reply_to"] == {"event_id": said["event_id"]}
    async with on_matrix(tmp_path, server) as talk:
        server.react(room, OLGA, offers.id, "quill 40")
        await _in_thread(talk, room, board.id, "T-1 settled")
        assert board.thread is None
        assert above.thread is None
        told = [line for line, thread in _places(talk, room) if thread == board.id]
        assert told == [
            "T-1 bids: quill 40, echo 45", shown.text.partition("\n")[0], "T-1 awarded to quill",
            "T-1 settled: quill was paid 40 sats",
        ]  # fmt: skip
        await talk.bot.see(lambda: board_of(talk, room).text.startswith("T-1 settled"), "the board go on, at its place")


def board_of(talk: Matrixes, room: Room) -> Message:
    """The first message of the bot's."""
    return talk.server.messages(room)[0]


@pytest.mark.long
async def test_a_button_of_the_board_is_answered_beneath_it_and_a_yes_there_answers_what_was_asked_there(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server, hands=Hands(does={"quill": asyncio.Event()})) as talk:
        await talk.up()
        board = await _posted(talk, talk.group)
        await talk.bot.see(lambda: "Cancel" in board_of(talk, talk.group).labels, "the button")
        server.react(talk.group, OLGA, board.id, "Cancel")
        answer = await _in_thread(talk, talk.group, board.id, "T-1 cancelled; its sats came back")
        assert answer.content["m.relates_to"]["m.in_reply_to"] == {"event_id": board.id}, "and not to the reaction"
        await _in_thread(talk, talk.group, board.id, "was cancelled by")
        server.say(talk.group, OLGA, "Timmy: summarise welcome.md", thread=board.id)
        await _in_thread(talk, talk.group, board.id, "/task summarise welcome.md")
        server.say(talk.group, OLGA, "Timmy: yes", thread=board.id)
        await _in_thread(talk, talk.group, board.id, "T-2")


@pytest.mark.long
async def test_a_room_that_must_wait_keeps_its_thread_waiting_and_loses_nothing_of_either(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        server.flood(talk.olga, 60)
        server.say(talk.olga, OLGA, "!task write a poem")
        await talk.bot.see(
            lambda: talk.bot.rows("SELECT state FROM outgoing") == [("queued",)] * 2, "both wait", pace=0
        )
        assert server.messages(talk.olga) == []
        server.calm(talk.olga)
        talk.bot.pass_time(61)
        board = await talk.told(talk.olga, "T-1")
        await _in_thread(talk, talk.olga, board.id, "T-1 settled")
        server.flood(talk.olga, 60)
        server.say(talk.olga, OLGA, "!show T-1", thread=board.id)
        server.say(talk.olga, OLGA, "!bids T-1")
        waits = [("sent",), ("sent",), ("queued",), ("queued",)]
        await talk.bot.see(
            lambda: talk.bot.rows("SELECT state FROM outgoing ORDER BY id") == waits, "both wait", pace=0
        )
        server.calm(talk.olga)
        talk.bot.pass_time(61)
        await _in_thread(talk, talk.olga, board.id, "T-1 is settled")
        assert (await talk.told(talk.olga, "T-1 has 2 bids")).thread is None
        assert len(server.messages(talk.olga)) == 4


@pytest.mark.long
async def test_what_was_written_before_the_board_arrived_is_told_beneath_it_after_a_restart(
    tmp_path: Path, server: MatrixServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.LAST_WORDS_SECONDS", 0.05)
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        server.hold()
        board = await _posted(talk, talk.olga)
        await talk.bot.see(
            lambda: talk.bot.rows("SELECT count(*) FROM outgoing") == [(2,)], "the result written", pace=0
        )
    server.release()
    async with on_matrix(tmp_path, server) as talk:
        await _in_thread(talk, talk.olga, board.id, "T-1 settled")
        assert [thread for _, thread in _places(talk, talk.olga)] == [None, board.id]


@pytest.mark.long
async def test_a_task_that_is_posted_in_a_thread_stays_there(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        root = str(server.say(talk.group, BOB, "poems here")["event_id"])
        server.say(talk.group, OLGA, "!task write a poem", thread=root)
        await _in_thread(talk, talk.group, root, "T-1 settled: quill was paid 40 sats\n\nquill did")
        assert {thread for _, thread in _places(talk, talk.group)} == {root}


@pytest.mark.long
async def test_where_the_server_knows_the_board_no_more_it_is_told_in_the_room(
    tmp_path: Path, server: MatrixServer
) -> None:
    gate = asyncio.Event()
    async with on_matrix(tmp_path, server, hands=Hands(does={"quill": gate})) as talk:
        await talk.up()
        board = await _posted(talk, talk.olga)
        await talk.told(talk.olga, "quill is at work")
        server.forget(talk.olga, board.id)
        for _, event in list(talk.olga.events):
            if board.id in str(event["content"]):
                server.forget(talk.olga, event["event_id"])
        gate.set()
        assert (await talk.told(talk.olga, "T-1 settled")).thread is None


@pytest.mark.long
async def test_what_was_sent_outside_its_thread_without_an_answer_stands_there_once_though_the_thread_is_known_again(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        root = server.say(talk.group, BOB, "poems here")
        await talk.bot.see(lambda: talk.group.id in surface_of(talk)._session.client.rooms, "the room", pace=0)
        kept = list(talk.group.events)
        server.forget(talk.group, root["event_id"])
        follows = Outgoing(7, "matrix", f"matrix:{talk.group.id}/{root['event_id']}", Reply("it follows"))
        server.lose()
        server.lose()  # the client asks once more by itself
        with pytest.raises(NotSent):
            await surface_of(talk).send(follows)
        talk.group.events[:0] = [one for one in kept if one[1] is root]
        await surface_of(talk).send(follows)
        assert [one.text for one in server.messages(talk.group)] == ["it follows"]


@pytest.mark.long
@pytest.mark.parametrize("encrypted", first(1, [True, False]))
async def test_a_task_of_a_room_that_others_came_into_is_told_where_its_person_is_alone(
    tmp_path: Path, server: MatrixServer, encrypted: bool
) -> None:
    gate = asyncio.Event()
    server.meet(OLGA)
    server.room("Olga", [OLGA], encrypted=encrypted)
    async with on_matrix(tmp_path, server, hands=Hands(does={"quill": gate})) as talk:
        await talk.up()
        await _posted(talk, talk.olga)
        server.join(talk.olga, BOB)
        server.say(talk.group, BOB, "hello")
        await talk.bot.see(lambda: talk.bot.rows("SELECT 1 FROM thread"), "the thread")
        await talk.bot.see(lambda: len(_known(talk, talk.olga.id).users) == 3, "it hear of Bob", pace=0)
        stands = board_of(talk, talk.olga).text
        gate.set()
        made = await talk.bot.see(lambda: [room for room in server.rooms.values() if room.name.startswith("made")])
        assert OLGA in made[0].members
        await talk.told(made[0], "T-1 settled")
        for _ in range(20):  # an edit would be due by now
            talk.bot.pass_time(0.2)
            await talk.bot.app.store.write(lambda tx: None)
        assert not any("settled: " in line for line, _ in _places(talk, talk.olga))
        assert board_of(talk, talk.olga).text == stands, "Bob reads no private message as it goes on"


def _known(talk: Matrixes, room: str) -> Any:
    surface: Any = next(one for one in talk.bot.app.health.surfaces if one.name == "matrix")
    return surface._session.client.rooms[room]


@pytest.mark.long
@pytest.mark.parametrize("who", first(1, [EVE, OLGA]))
async def test_no_event_of_another_room_moves_what_was_told_in_an_encrypted_one(
    tmp_path: Path, server: MatrixServer, who: str
) -> None:
    server.meet(OLGA)
    server.room("Olga", [OLGA], encrypted=True)
    plain = server.room("Group", [OLGA, EVE])
    gate = asyncio.Event()
    async with on_matrix(tmp_path, server, hands=Hands(does={"quill": gate})) as talk:
        await talk.up()
        board = await _posted(talk, talk.olga)
        plain = talk.group if who == EVE else server.room("Plain", [OLGA])
        await talk.bot.see(lambda: plain.id in surface_of(talk)._session.client.rooms, "the room", pace=0)
        server.post(plain, who, "m.room.message", {
            "msgtype": "m.text", "body": "hello", "m.relates_to": {"rel_type": "m.thread", "event_id": board.id},
        })  # fmt: skip
        server.say(plain, OLGA, "!help task")
        await talk.told(plain if who == EVE else talk.olga, "post a task")
        said = len(plain.events)
        await surface_of(talk).edit(f"matrix:{OLGA}", (board.id,), Reply("a secret"), ())
        gate.set()
        await _in_thread(talk, talk.olga, board.id, "T-1 settled")
        await talk.bot.app.delivery.drain(5)
        assert [event["content"] for _, event in plain.events[said:] if event["sender"] == BOT] == []
