"""The peer of `tests/bench/matrix.py`: matrix-nio as its own examples set it up, echoing what is said."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

from nio import AsyncClient, AsyncClientConfig, InviteMemberEvent, RoomMessageText


async def main() -> None:
    """Sync until told to end. A whole burst fits into a timeline: the default of ten events a room would lose the rest."""
    logging.getLogger().setLevel(logging.ERROR)
    root, user, password, folder = sys.argv[1:]
    config = AsyncClientConfig(encryption_enabled=bool(folder))
    client = AsyncClient(root, user, device_id="ECHO", store_path=folder, config=config)

    async def join(room: Any, event: Any) -> None:
        if event.state_key == user and event.membership == "invite":
            await client.join(room.room_id)

    async def echo(room: Any, event: Any) -> None:
        if event.sender != user:
            said = {"msgtype": "m.text", "body": event.body}
            await client.room_send(room.room_id, "m.room.message", said, ignore_unverified_devices=True)

    await client.login(password)
    client.add_event_callback(join, InviteMemberEvent)
    client.add_event_callback(echo, RoomMessageText)
    print("ready", flush=True)
    await client.sync_forever(30_000, sync_filter={"room": {"timeline": {"limit": 1000}}}, full_state=True)


if __name__ == "__main__":
    asyncio.run(main())
