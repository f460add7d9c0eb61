"""Matrix where something is not as it should be: servers that fail, rooms that are gone, events that cannot be, stores in use."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from adapters.matrix.calls import TRIES
from adapters.shelf import Shelf
from core.swarm.ports import Delivery
from tests.depth import first
from tests.matrix_server import BOT, MatrixServer
from tests.scenario.bot import Hands
from tests.scenario.test_matrix import BOB, OLGA, on_matrix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.swarm.ports import Agent
    from core.swarm.task import Task
    from tests.scenario.test_matrix import Matrixes


@pytest.fixture
async def server() -> AsyncIterator[MatrixServer]:
    async with MatrixServer() as server:
        yield server


def _calls(server: MatrixServer, part: str) -> int:
    return sum(part in path for path in server.asked)


async def _works(talk: Matrixes) -> None:
    """It hears and answers its owner."""
    talk.server.say(talk.olga, OLGA, "!help task")
    await talk.told(talk.olga, "post a task")


# The server ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_server_that_fails_for_minutes_at_the_start_and_later_is_waited_for(
    tmp_path: Path, server: MatrixServer
) -> None:
    server.down()
    async with on_matrix(tmp_path, server) as talk:
        part = talk.bot.app.health.parts["matrix"]
        await talk.bot.see(lambda: part.restarts > 2 and "M_UNKNOWN" in part.why, "it say why, again and again", pace=1)
        server.up()
        await talk.bot.see(lambda: talk.bot.rows("SELECT token FROM sync WHERE token <> ''"), "the first sync", pace=1)
        restarts = part.restarts
        server.down()
        server.say(talk.olga, OLGA, "!task write a poem")
        talk.bot.pass_time(180)
        await talk.bot.see(talk.bot.app.health.faults, "deaf is down", pace=1)
        server.up()
        await talk.told(talk.olga, "quill did write a poem", pace=1)
        assert part.restarts == restarts, "a sync that fails is asked again"


async def test_a_server_that_is_no_homeserver_is_named(tmp_path: Path, server: MatrixServer) -> None:
    async def page(_: web.BaseRequest) -> web.Response:
        return web.Response(text="<html>hello</html>", content_type="text/html")

    runner = web.ServerRunner(web.Server(page))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with on_matrix(tmp_path, server, matrix={"homeserver": url}) as talk:
            part = talk.bot.app.health.parts["matrix"]
            await talk.bot.see(lambda: not part.up and part.why, "it say why")
            assert f"The Matrix server {url} cannot be reached (" in part.why
            assert "no homeserver" in part.why
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("times", first(1, [TRIES - 1, TRIES]), ids=["at-last", "never"])
async def test_an_invitation_that_the_server_fails_at_is_tried_again_and_stops_nobody(
    tmp_path: Path, server: MatrixServer, times: int
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        late = server.room("Late", [OLGA], joined=False)
        server.break_("/join/", times)
        server.invite(late, OLGA)
        await talk.bot.see(lambda: not server.broken("/join/"), "all tries")
        late.invited.clear() if times == TRIES else None
        await _works(talk)
        assert (BOT in late.members) == (times < TRIES)


@pytest.mark.long
@pytest.mark.parametrize("times", first(1, [TRIES - 1, TRIES]), ids=["at-last", "never"])
async def test_what_was_missed_is_asked_for_again_and_given_up_at_last(
    tmp_path: Path, server: MatrixServer, times: int
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
    server.say(talk.group, OLGA, "!show 1")
    for _ in range(60):
        server.say(talk.group, BOB, "just talking")
    server.say(talk.group, OLGA, "!show 2")
    server.break_("/messages", times)
    async with on_matrix(tmp_path, server) as talk:
        await talk.told(talk.group, "There is no task T-2")
        assert len(server.messages(talk.group)) == (2 if times < TRIES else 1)


# Rooms ---------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("heard", [True, False], ids=["heard-of", "found-out"])
async def test_what_is_told_to_somebody_whose_room_is_gone_is_told_in_another(
    tmp_path: Path, server: MatrixServer, heard: bool
) -> None:
    gate = asyncio.Event()
    server.meet(OLGA)
    async with on_matrix(tmp_path, server, hands=Hands(does={"quill": gate})) as talk:
        await talk.up()
        server.say(talk.olga, OLGA, "!task write a poem")
        await talk.told(talk.olga, "quill is at work")
        if heard:
            server.close(talk.olga)
            rooms = _session(talk).client.rooms
            await talk.bot.see(lambda: talk.olga.id not in rooms, "it hear of it", pace=0)
        else:
            talk.olga.members.pop(BOT)
        gate.set()
        made = await talk.bot.see(lambda: [room for room in server.rooms.values() if room.name.startswith("made")])
        told = await talk.told(made[0], "T-1 settled")
        assert told.thread is None
        assert len(made) == 1


def _session(talk: Matrixes) -> Any:
    surface: Any = next(one for one in talk.bot.app.health.surfaces if one.name == "matrix")
    return surface._session


async def test_a_room_whose_members_are_not_told_any_more_is_not_taken_for_a_private_one(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server, matrix={"rooms": ""}) as talk:
        await talk.up()
    server.lose_state(talk.group)
    async with on_matrix(tmp_path, server, matrix={"rooms": ""}) as talk:
        server.say(talk.group, OLGA, "!balance")
        await talk.told(talk.group, "not on my list")
        assert len(server.messages(talk.group)) == 1


# Events --------------------------------------------------------------------------------------------------------------


async def test_an_event_from_the_future_is_a_message_like_any_and_one_of_no_time_is_none(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
        for at in (-1, "soon", None, 9_000_000_000_000_000):
            said = {"msgtype": "m.text", "body": "!task write a poem by=1h"}
            server.post(talk.olga, OLGA, "m.room.message", said, origin_server_ts=at)
        await talk.told(talk.olga, "T-1 settled")
        ((posted, deadline),) = talk.bot.rows("SELECT posted_at, deadline FROM task")
        assert deadline - posted == 3_600_000


# The device and its store --------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_another_device_in_the_settings_is_a_new_device_of_the_same_bot(
    tmp_path: Path, server: MatrixServer
) -> None:
    server.meet(OLGA)
    server.room("Olga", [OLGA], encrypted=True)
    for device in ("TIMMY", "OTHER"):
        async with on_matrix(tmp_path, server, matrix={"device": device}) as talk:
            await talk.up()
            server.peers[OLGA].forget(talk.olga.id)
            before = len(server.messages(talk.olga))
            await talk.bot.see(lambda device=device: device in server.keys.devices[BOT], "its keys")  # type: ignore[misc]
            server.say(talk.olga, OLGA, "!whoami")
            await talk.bot.see(lambda before=before: len(server.messages(talk.olga)) > before, "an answer")  # type: ignore[misc]
            assert all("owner" in one.text for one in server.messages(talk.olga))


@pytest.mark.long
async def test_a_key_store_that_another_program_holds_is_waited_for(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        await talk.up()
    with closing(sqlite3.connect(tmp_path / "data" / "matrix" / "keys.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with on_matrix(tmp_path, server) as talk:
            part = talk.bot.app.health.parts["matrix"]
            await talk.bot.see(lambda: not part.up and "keys.db" in part.why, "it say why")
            other.execute("ROLLBACK")
            await _works(talk)


# Files ---------------------------------------------------------------------------------------------------------------


class _Maker(Hands):
    """Its work is two files."""

    async def work(self, agent: Agent, task: Task) -> Delivery:
        """See `Worker`."""
        shelf = Shelf(self.data)
        folder = await shelf.folder()
        for name, size in (("small.csv", 10), ("large.csv", 2_000_000)):
            (folder / name).write_bytes(b"x" * size)
        return Delivery("two tables", tuple(await shelf.keep([folder / "large.csv", folder / "small.csv"])))

    data: Path


@pytest.mark.long
async def test_a_file_that_the_server_does_not_take_is_said_in_its_place_and_not_read(
    tmp_path: Path, server: MatrixServer
) -> None:
    server.largest = 1_000_000
    hands = _Maker()
    async with on_matrix(tmp_path, server, hands=hands) as talk:
        hands.data = talk.bot.app.settings.data_dir
        await talk.up()
        server.say(talk.olga, OLGA, "!task write two tables")
        instead = await talk.told(talk.olga, "large.csv is larger than the 0.954 MB that this Matrix server takes.")
        assert instead.content["msgtype"] == "m.notice"
        files = await talk.bot.see(lambda: [one for one in server.messages(talk.olga) if "url" in one.content])
        assert [(one.text, one.thread == instead.thread) for one in files] == [("small.csv", True)]
        assert (_calls(server, "/config"), _calls(server, "/media/v3/upload")) == (1, 1)
