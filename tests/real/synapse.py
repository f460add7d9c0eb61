"""Synapse (PyPI, Element), started here on a free port of the loopback, with people who talk to it by nio's own client.

Its limits are far out of the way, so that a test meets only those it asks for (`low_limits`).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from nio import AsyncClient, AsyncClientConfig, SyncResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nio import RoomMessageText

ROOT = Path(__file__).parents[2]
LIBRARIES = ROOT / ".venv" / "synapse"
PATIENCE = 30.0
PASSWORD = "a long enough password"

missing = pytest.mark.skipif(
    not (LIBRARIES / "synapse").is_dir(), reason="Synapse is not installed (make test-real does it)"
)

_FAR = {"per_second": 10_000, "burst_count": 10_000}
_LIMITS: dict[str, Any] = {
    "rc_message": _FAR, "rc_registration": _FAR, "rc_login": dict.fromkeys(("address", "account", "failed_attempts"), _FAR),
    "rc_joins": dict.fromkeys(("local", "remote"), _FAR), "rc_joins_per_room": _FAR, "rc_room_creation": _FAR,
    "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), _FAR),
}  # fmt: skip


class Synapse:
    """A homeserver on a folder: it can be stopped and started again, and keeps what it knows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def start(self, **limits: Any) -> None:
        """Serve; `limits` as in Synapse's configuration."""
        listener = {
            "port": self.port,
            "type": "http",
            "bind_addresses": ["127.0.0.1"],
            "resources": [{"names": ["client"]}],
        }
        settings = {
            "server_name": "localhost", "public_baseurl": f"{self.url}/", "pid_file": str(self._folder / "pid"),
            "listeners": [listener], "database": {"name": "sqlite3", "args": {"database": str(self._folder / "db")}},
            "media_store_path": str(self._folder / "media"), "signing_key_path": str(self._folder / "key"),
            "log_config": str(self._log()), "trusted_key_servers": [], "url_preview_enabled": False, "report_stats": False,
            "enable_registration": True, "enable_registration_without_verification": True, "macaroon_secret_key": "loopback",
            "federation_domain_whitelist": [], "presence": {"enabled": False}, "bcrypt_rounds": 4, **_LIMITS, **limits,
        }  # fmt: skip
        config = self._folder / "homeserver.yaml"
        config.write_text(json.dumps(settings))  # which is YAML
        environment = {**os.environ, "PYTHONPATH": str(LIBRARIES)}
        command = [sys.executable, "-m", "synapse.app.homeserver", "-c", str(config)]
        if not (self._folder / "key").exists():
            making = await asyncio.create_subprocess_exec(
                *command, "--generate-keys", env=environment, cwd=self._folder, stdout=asyncio.subprocess.DEVNULL
            )
            assert await making.wait() == 0
        self._process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=self._folder)
        async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE):
            while not await self._is_up(session):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.1)  # noqa: TID251 - another process starts

    async def _is_up(self, session: aiohttp.ClientSession) -> bool:
        with suppress(aiohttp.ClientError):
            async with session.get(f"{self.url}/health") as answer:
                return answer.status == 200
        return False

    def _log(self) -> Path:
        path = self._folder / "log.yaml"
        handler = {"class": "logging.FileHandler", "filename": str(self._folder / "log")}
        path.write_text(
            json.dumps(
                {"version": 1, "handlers": {"file": handler}, "root": {"level": "WARNING", "handlers": ["file"]}}
            )
        )
        return path

    async def stop(self) -> None:
        """Stop serving."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()

    async def user(self, name: str, folder: Path | None = None) -> Person:
        """A new person; one with a `folder` has keys there."""
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}, "inhibit_login": True}
        url = f"{self.url}/_matrix/client/v3/register"
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            assert answer.status == 200, await answer.text()
        return Person(self.url, f"@{name}:localhost", folder)


class Person:
    """Somebody with a client of their own."""

    def __init__(self, url: str, user: str, folder: Path | None = None) -> None:
        self.user = user
        config = AsyncClientConfig(encryption_enabled=folder is not None)
        if folder is not None:
            folder.mkdir()
        self.client = AsyncClient(url, user, config=config, store_path=str(folder or ""))
        self.seen: list[RoomMessageText] = []

    async def sign_in(self) -> None:
        """Sign in and look once."""
        await self.client.login(PASSWORD)
        await self.tend()
        await self.client.sync(0, full_state=True)

    async def tend(self) -> None:
        """What a client with keys does between two syncs."""
        if self.client.olm is None:
            return
        if self.client.should_upload_keys:
            await self.client.keys_upload()
        if self.client.should_query_keys:
            await self.client.keys_query()
        if self.client.should_claim_keys:
            await self.client.keys_claim(self.client.get_users_for_key_claiming())
        await self.client.send_to_device_messages()

    async def room(self, *others: str, **how: Any) -> str:
        """Make a room and invite others."""
        made = await self.client.room_create(invite=list(others), **how)
        return str(made.room_id)

    async def say(self, room: str, body: str, *, thread: str | None = None) -> str:
        """Write a message; returns its id."""
        content: dict[str, Any] = {"msgtype": "m.text", "body": body}
        if thread is not None:
            content["m.relates_to"] = {"rel_type": "m.thread", "event_id": thread}
        sent = await self.client.room_send(room, "m.room.message", content, ignore_unverified_devices=True)
        return str(sent.event_id)

    async def reacts(self, room: str, event: str, key: str) -> None:
        """Tap a reaction."""
        content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": key}}
        await self.client.room_send(room, "m.reaction", content, ignore_unverified_devices=True)

    async def hears(self, room: str, words: str) -> str:
        """Wait for a message of somebody else with these words, also by an edit; returns the event's id."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = next((event for event in self.said(room) if words in event[1]), None)
                if found is not None:
                    return found[0]
                await self._look()

    def threads(self, room: str) -> list[tuple[str | None, str]]:
        """What others said in a room, without its edits: (the first event of the thread, the first line)."""
        found = []
        for event in self.seen:
            relation = event.source["content"].get("m.relates_to", {})
            if getattr(event, "room", "") == room and relation.get("rel_type") != "m.replace":
                root = relation["event_id"] if relation.get("rel_type") == "m.thread" else None
                found.append((root, event.body.partition("\n")[0]))
        return found

    def said(self, room: str) -> list[tuple[str, str]]:
        """What others said in a room: (event, text)."""
        return [(event.event_id, event.body) for event in self.seen if getattr(event, "room", "") == room]

    async def meets(self, room: str, user: str) -> None:
        """Wait until somebody has come into a room."""
        async with asyncio.timeout(PATIENCE):
            while not self._is_there(room, user):
                await self._look()

    def _is_there(self, room: str, user: str) -> bool:
        known = self.client.rooms.get(room)
        return known is not None and user in known.users and user not in known.invited_users

    async def _look(self) -> None:
        await self.tend()
        answer = await self.client.sync(2000, {"room": {"timeline": {"limit": 1000}}})
        assert isinstance(answer, SyncResponse), answer
        for room, info in answer.rooms.join.items():
            for event in info.timeline.events:
                if event.sender != self.user and hasattr(event, "body"):
                    event.room = room
                    self.seen.append(event)


@asynccontextmanager
async def synapse(folder: Path) -> AsyncIterator[Synapse]:
    """A fresh homeserver; whatever the test did to it, nothing of it is left running."""
    await asyncio.to_thread(folder.mkdir)
    server = Synapse(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
