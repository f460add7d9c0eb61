"""Matrix, seen by the people in its rooms: the real surface against the fake homeserver."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from config.settings import Matrix
from tests.matrix_server import BOT, PASSWORD, MatrixServer
from tests.scenario.bot import Hands, hub, let_in, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.matrix_server import Message, Room
    from tests.scenario.bot import Bot

OLGA, BOB, EVE = "@olga:localhost", "@bob:localhost", "@eve:localhost"


@dataclass
class Matrixes:
    """A hub on Matrix, its owner there (Olga) with a room of her own, and a listed room with Bob."""

    server: MatrixServer
    bot: Bot
    olga: Room
    group: Room

    async def told(self, room: Room, words: str, *, pace: float = 0.05) -> Message:
        """Wait for a message with these words, while time passes."""
        found: Message = await self.bot.see(
            lambda: next((one for one in self.server.messages(room) if words in one.text), None),
            f"{words!r} in {room.name}: {[one.text for one in self.server.messages(room)]}",
            pace=pace,
        )
        return found

    async def up(self) -> None:
        """Wait until it has heard."""
        await self.bot.see(lambda: self.bot.rows("SELECT token FROM sync WHERE token <> ''"), "the first sync")


@asynccontextmanager
async def on_matrix(folder: Path, server: MatrixServer, **how: Any) -> AsyncIterator[Matrixes]:
    olga = server.rooms.get("!olga:localhost") or server.room("Olga", [OLGA])
    group = server.rooms.get("!group:localhost") or server.room("Group", [OLGA, BOB, EVE])
    given = {"homeserver": server.url, "user": BOT, "password": SecretStr(PASSWORD), "rooms": group.id}
    matrix = Matrix(**given | how.pop("matrix", {}))
    found = settings(folder).model_copy(update={"matrix": matrix, "owner": f"matrix:{OLGA}"})
    async with hub(folder, found=found, **how) as bot:
        yield Matrixes(server, bot, olga, group)


@pytest.fixture
async def server() -> AsyncIterator[MatrixServer]:
    async with MatrixServer() as server:
        yield server


async def test_what_was_said_before_it_ever_listened_is_none_of_its_business(
    tmp_path: Path, server: MatrixServer
) -> None:
    server.say(server.room("Olga", [OLGA]), OLGA, "!task write a poem")
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        server.say(talk.olga, OLGA, "!whoami")
        await talk.told(talk.olga, f"matrix:{OLGA}, owner")
        assert talk.bot.rows("SELECT count(*) FROM task") == [(0,)]


@pytest.mark.long
async def test_a_burst_while_it_was_away_is_answered_whole_and_in_order(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
    for number in range(1, 501):
        server.say(talk.group, BOB, "just talking") if number % 5 else server.say(talk.group, OLGA, f"!show {number}")
    async with on_matrix(tmp_path, server) as talk:
        await talk.told(talk.group, "There is no task T-500")
        wanted = [f"There is no task T-{number}." for number in range(5, 501, 5)]
        assert [one.text.partition(" /")[0] for one in server.messages(talk.group)] == wanted


@pytest.mark.long
async def test_among_others_it_hears_its_name_and_commands_and_nothing_else(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        server.say(talk.group, OLGA, "!help task")
        asked = await talk.told(talk.group, "post a task")
        assert asked.content["m.relates_to"]["m.in_reply_to"]
        server.say(talk.group, OLGA, "what do you think, Bob?")
        quoted = {"m.relates_to": {"m.in_reply_to": {"event_id": "$x"}}}
        edited = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$x"}}
        _say(talk, "> <@bob:localhost> !task steal\n\nno", quoted)
        server.say(talk.group, OLGA, "!task again", msgtype="m.notice")
        _say(talk, "* !task again", edited)
        server.post(talk.group, OLGA, "m.room.message", {"msgtype": "m.text"})
        server.post(talk.group, OLGA, "org.example.strange", {"body": ["!task strange"]})
        server.say(talk.group, OLGA, "Timmy: !task write a poem")
        await talk.told(talk.group, "T-1 posted")
        _say(talk, "please !help", {"m.mentions": {"user_ids": [BOT]}})
        wanted = [("/help task",), ("/task write a poem",), ("please !help",)]
        await talk.bot.see(lambda: talk.bot.rows("SELECT text FROM inbound ORDER BY id") == wanted, "the mention")


def _say(talk: Matrixes, body: str, more: dict[str, Any]) -> None:
    content = {"msgtype": "m.text", "body": body, **more}
    talk.server.post(talk.group, OLGA, "m.room.message", content)


@pytest.mark.long
async def test_a_button_that_came_with_an_edit_is_known_after_a_restart(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        server.say(talk.olga, OLGA, "have quill write a letter, let me pick")
        asked = await talk.told(talk.olga, "Shall I do this?")
        server.react(talk.olga, OLGA, asked.id, "Yes")
        posted = await talk.told(talk.olga, "up for bids")
        assert posted.id == asked.id
    server.react(talk.olga, OLGA, posted.id, "Cancel")
    async with on_matrix(tmp_path, server) as talk:
        await talk.told(talk.olga, "T-1 cancelled")


async def test_a_room_that_is_not_listed_is_told_so_by_its_owner_only(tmp_path: Path, server: MatrixServer) -> None:
    other = server.room("Other", [OLGA, BOB])
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        server.say(other, BOB, "!task write a poem")
        server.say(other, OLGA, "!task write a poem")
        told = await talk.told(other, "not on my list")
        assert f"Add {other.id} to TIMMY_MATRIX_ROOMS" in told.text
        assert len(server.messages(other)) == 1
        assert talk.bot.rows("SELECT count(*), max(text) FROM inbound") == [(2, "")]


async def test_invitations_of_the_owner_are_taken_and_others_declined(tmp_path: Path, server: MatrixServer) -> None:
    early, late, foreign = (server.room(name, [user], joined=False) for name, user in _INVITED)
    server.invite(early, OLGA)
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        server.invite(late, OLGA)
        server.invite(foreign, EVE)
        for room in (early, late):
            await talk.bot.see(lambda room=room: BOT in room.members, f"it join {room.name}")  # type: ignore[misc]
            server.say(room, OLGA, "!whoami")
            await talk.told(room, f"matrix:{OLGA}, owner")
        await talk.bot.see(lambda: BOT not in foreign.invited, "the other declined")
        assert BOT not in foreign.members


_INVITED = (("Early", OLGA), ("Late", OLGA), ("Foreign", EVE))


async def test_statuses_and_errors_are_notices_and_a_task_is_a_board(tmp_path: Path, server: MatrixServer) -> None:
    gate = asyncio.Event()
    async with on_matrix(tmp_path, server, hands=Hands(does={"quill": gate})) as talk:
        await talk.up()
        server.say(talk.olga, OLGA, "!frobnicate")
        refused = await talk.told(talk.olga, "There is no command")
        server.say(talk.olga, OLGA, "!task write a poem")
        board = await talk.told(talk.olga, "quill is at work")
        assert board.edits[0].startswith("T-1 posted")
        gate.set()
        over = await talk.told(talk.olga, "T-1 settled")
        assert [one.content["msgtype"] for one in (refused, board, over)] == ["m.notice", "m.text", "m.notice"]
        await talk.bot.see(
            lambda: not any("Cancel" in one.labels for one in server.messages(talk.olga)), "the button go"
        )


@pytest.mark.long
async def test_a_person_without_a_room_with_the_bot_is_told_in_a_new_one(tmp_path: Path, server: MatrixServer) -> None:
    server.meet(BOB)
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        await let_in(talk.bot, f"matrix:{BOB}", name="Bob")
        await talk.bot.say(f"/task paint the shed to=matrix:{BOB}")
        server.say(talk.group, BOB, "!bid 1 50")
        await talk.told(talk.group, "is yours for 50 sats")
        server.say(talk.group, BOB, "!deliver 1 it is red")
        await talk.told(talk.group, "delivered")
        await talk.bot.say("/accept 1")
        made = await talk.bot.see(lambda: [room for room in server.rooms.values() if room.name.startswith("made")])
        await talk.told(made[0], "you were paid 50 sats")
        assert set(made[0].members) == {BOB, BOT}


@pytest.mark.long
@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ({"password": SecretStr("wrong")}, "refuses the bot's password"),
        ({"password": None, "access_token": SecretStr("wrong")}, "refuses the bot's access token"),
        ({"homeserver": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
    ids=["password", "token", "server"],
)
async def test_a_surface_that_cannot_begin_says_why_and_the_hub_goes_on(
    tmp_path: Path, server: MatrixServer, matrix: dict[str, Any], words: str
) -> None:
    async with on_matrix(tmp_path, server, matrix=matrix) as talk:
        part = talk.bot.app.health.parts["matrix"]
        await talk.bot.see(lambda: not part.up and words in str(part.why), "it say why")
        assert (await talk.bot.data("/whoami"))["ok"]


@pytest.mark.long
async def test_a_token_that_is_revoked_takes_it_down_until_it_signs_in_anew(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        server.revoke()
        server.say(talk.olga, OLGA, "!whoami")
        await talk.told(talk.olga, f"matrix:{OLGA}, owner")
        assert server.logins >= 2
        assert server.devices == {"TIMMY"}
