"""A real hub process in encrypted rooms of a real Synapse: what is on the wire, restarts, lost keys, and whose device is whose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from nio import EnableEncryptionBuilder

from adapters.matrix.signing import claims
from tests.real.synapse import missing, synapse
from tests.real.test_matrix import BOT, asked, hub_on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.synapse import Person

pytestmark = [pytest.mark.timeout(180), missing]


async def sealed_room(olga: Person) -> str:
    """An encrypted room of Olga's with the bot in it."""
    room = await olga.room(BOT, is_direct=True, initial_state=[EnableEncryptionBuilder().as_dict()])
    await olga.meets(room, BOT)
    return room


async def test_a_task_is_done_and_paid_in_an_encrypted_room_over_restarts_and_a_lost_store(tmp_path: Path) -> None:
    async with synapse(tmp_path / "synapse") as server:
        await (await server.user("timmy")).client.close()
        olga = await server.user("olga", tmp_path / "olga")
        await olga.sign_in()
        try:
            async with hub_on(tmp_path, server) as hub:
                room = await sealed_room(olga)
                await olga.say(room, "!task summarise welcome.md")
                await olga.hears(room, "T-1 settled: quill was paid 40 sats")
                await olga.hears(room, "welcome.md in 5 of 33 sentences")
                await hub.kill()
                await olga.say(room, "!help task")
                await hub.start()
                await olga.hears(room, "post a task")
                await olga.say(room, "!balance")
                await olga.hears(room, "9,960 simulated sats free")
                events = (await asked(server, olga, "GET", f"/rooms/{room}/messages?dir=b&limit=200"))["chunk"]
                kinds = {event["type"] for event in events if event["sender"] == BOT}
                assert kinds <= {"m.room.member", "m.room.encrypted", "m.reaction"}
                assert "summar" not in str([event["content"] for event in events if event["sender"] == BOT])

                keys = await asked(server, olga, "POST", "/keys/query", {"device_keys": {BOT: []}})
                found = claims(keys, BOT)
                assert found.identity
                assert len(found.devices) == 1
                assert found.vouched == found.devices == found.endorsing

                await hub.stop()
                for path in (hub.data / "matrix").glob("*.db*"):
                    path.unlink()
                await hub.start()
                await olga.say(room, "!help tasks")  # under a key that the old device had, and exported
                await olga.hears(room, "/tasks [STATUS]")
                (hub.data / "matrix" / "room-keys.txt").unlink()
                await hub.stop()
                (hub.data / "matrix" / "keys.db").unlink()
                await hub.start()
                await olga.say(room, "!help agents")
                await olga.hears(room, "I could not read what you wrote: its key never came to me.")
                await olga.say(room, "!show 1")
                await olga.hears(room, "T-1 is settled")
                again = claims(await asked(server, olga, "POST", "/keys/query", {"device_keys": {BOT: []}}), BOT)
                assert again.identity == found.identity
                assert len(again.devices) == 1
                assert again.devices.isdisjoint(found.devices)
                assert again.vouched == again.devices
        finally:
            await olga.client.close()
