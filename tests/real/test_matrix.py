"""A real hub process on a real Synapse: rooms without encryption, restarts of both, a burst, and a limit."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from nio import EnableEncryptionBuilder

from tests.kill.hub_process import hub_process
from tests.real.synapse import PASSWORD, missing, synapse
from tests.scenario.bot import NOBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.kill.hub_process import HubProcess
    from tests.real.synapse import Person, Synapse

BOT = "@timmy:localhost"

pytestmark = [pytest.mark.timeout(180), missing]


@asynccontextmanager
async def hub_on(folder: Path, server: Synapse, **more: str) -> AsyncIterator[HubProcess]:
    environment = {
        "TIMMY_MATRIX_HOMESERVER": server.url, "TIMMY_MATRIX_USER": BOT, "TIMMY_MATRIX_PASSWORD": PASSWORD,
        "TIMMY_OWNER": "matrix:@olga:localhost", **more,
    }  # fmt: skip
    async with hub_process(folder, NOBODY, executed=True, **environment) as hub:
        yield hub


@asynccontextmanager
async def people(server: Synapse) -> AsyncIterator[tuple[Person, Person]]:
    """The owner and somebody else, signed in; the bot has an account."""
    bot = await server.user("timmy")
    await bot.client.close()
    olga, bob = await server.user("olga"), await server.user("bob")
    try:
        for person in (olga, bob):
            await person.sign_in()
        yield olga, bob
    finally:
        await olga.client.close()
        await bob.client.close()


async def asked(
    server: Synapse, person: Person, method: str, path: str, body: Any = None, *, version: str = "v3"
) -> Any:
    """What the server says, with nobody's library in between."""
    headers = {"Authorization": f"Bearer {person.client.access_token}"}
    url = f"{server.url}/_matrix/client/{version}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_a_task_is_done_and_paid_in_a_room_over_restarts_of_both(tmp_path: Path) -> None:
    async with synapse(tmp_path / "synapse") as server, people(server) as (olga, _):
        async with hub_on(tmp_path, server) as hub:
            room = await olga.room(BOT, is_direct=True)
            await olga.meets(room, BOT)
            await olga.say(room, "!task summarise welcome.md")
            await olga.hears(room, "T-1 settled: quill was paid 40 sats")
            await olga.hears(room, "welcome.md in 5 of 33 sentences")
            await server.stop()
            await hub.say("/whoami")
            await server.start()
            await olga.say(room, "!balance")
            await olga.hears(room, "9,960 simulated sats free")
            await olga.say(room, "!help task")
            await hub.kill()
            await olga.say(room, "!help tasks")
            await hub.start()
            await olga.hears(room, "/tasks [STATUS]")
        texts = [text for _, text in olga.said(room)]
        assert sum(text.startswith("9,960") for text in texts) == 1
        assert sum(text.startswith("/task WHAT") for text in texts) <= 1, "sent again, it is the same event"


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_a_task_has_a_thread_beneath_its_board_over_a_restart_and_when_the_board_is_gone(
    tmp_path: Path, encrypted: bool
) -> None:
    async with synapse(tmp_path / "synapse") as server:
        await (await server.user("timmy")).client.close()
        olga = await server.user("olga", tmp_path / "olga" if encrypted else None)
        await olga.sign_in()
        try:
            async with hub_on(tmp_path, server) as hub:
                await _threaded(server, olga, hub, [EnableEncryptionBuilder().as_dict()] if encrypted else [])
        finally:
            await olga.client.close()


async def _threaded(server: Synapse, olga: Person, hub: HubProcess, state: list[dict[str, Any]]) -> None:
    room = await olga.room(BOT, is_direct=True, initial_state=state)
    await olga.meets(room, BOT)
    await olga.say(room, "!task key points of welcome.md pick=ask")
    board = await olga.hears(room, "T-1 posted")
    offers = await olga.hears(room, "T-1 bids: quill 40, echo 45")
    await olga.say(room, "!bids 1", thread=board)
    await olga.hears(room, "T-1 has 2 bids")
    await olga.say(room, "!balance")
    await olga.hears(room, "9,800 simulated sats free")
    await hub.kill()
    await hub.start()
    await olga.reacts(room, offers, "echo 45")
    await olga.hears(room, "T-1 settled: echo was paid 45 sats\n\n")
    assert olga.threads(room) == [
        (None, "T-1 posted with a budget of 200 simulated sats."), (board, "T-1 bids: quill 40, echo 45"),
        (board, "T-1 has 2 bids"), (None, "9,800 simulated sats free, 200 sats held for open tasks"),
        (board, "T-1 awarded to echo"), (board, "T-1 settled: echo was paid 45 sats"),
    ]  # fmt: skip
    (root,) = (await asked(server, olga, "GET", f"/rooms/{room}/threads", version="v1"))["chunk"]
    assert root["event_id"] == board
    assert root["unsigned"]["m.relations"]["m.thread"]["count"] == 5
    await olga.client.room_redact(room, board)
    await olga.say(room, "!show 1", thread=board)
    await olga.hears(room, "T-1 is settled")
    assert olga.threads(room)[-1][0] == board


async def test_a_burst_while_it_is_away_is_answered_whole_and_in_order(tmp_path: Path) -> None:
    async with synapse(tmp_path / "synapse") as server, people(server) as (olga, bob):
        room = await olga.room(bob.user, BOT)
        await bob.client.join(room)
        async with hub_on(tmp_path, server, TIMMY_MATRIX_ROOMS=room) as hub:
            await olga.meets(room, BOT)
            await olga.say(room, "!whoami")
            await olga.hears(room, "owner")
            await hub.kill()
            for number in range(0, 500, 5):
                await olga.say(room, f"!show {number + 1}")
                await asyncio.gather(*(bob.say(room, f"chatter {number + more}") for more in range(1, 5)))
            await hub.start()
            await olga.hears(room, "There is no task T-496")
        wanted = [f"There is no task T-{number + 1}" for number in range(0, 500, 5)]
        said = [text.partition(".")[0] for _, text in olga.said(room) if text.startswith("There is no task")]
        assert said == wanted


async def test_a_limit_of_the_server_parks_what_is_sent_and_loses_nothing(tmp_path: Path) -> None:
    async with synapse(tmp_path / "synapse") as server, people(server) as (olga, _), hub_on(tmp_path, server):
        room = await olga.room(BOT, is_direct=True)
        await olga.meets(room, BOT)
        await olga.say(room, "!whoami")
        await olga.hears(room, "owner")
        await server.stop()
        await server.start(rc_message={"per_second": 2, "burst_count": 3})
        for number in range(1, 9):
            await olga.say(room, f"!show {number}")
        await olga.hears(room, "There is no task T-8")
        said = [text.partition(".")[0] for _, text in olga.said(room) if text.startswith("There is no task")]
        assert said == [f"There is no task T-{number}" for number in range(1, 9)]
