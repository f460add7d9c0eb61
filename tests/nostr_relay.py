"""A Nostr relay on the loopback (NIP-01): it checks events, keeps replaceable ones, and passes on the rest to whoever listens."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web
from nostr_sdk import Event, NostrSdkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LONGEST_SUBSCRIPTION = 64


@dataclass
class Client:
    """A connection and what it listens to."""

    socket: web.WebSocketResponse
    request: web.Request
    subscriptions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass
class NostrRelay:
    """The relay. `refuses`: what it says to the next event instead of taking it; `closes`: to the next subscription."""

    url: str = ""
    down: bool = False
    refuses: str = ""
    closes: str = ""
    says: str = ""
    """A line that is sent to whoever asks next."""

    stored: list[dict[str, Any]] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    on_event: list[Callable[[dict[str, Any]], Awaitable[None]]] = field(default_factory=list)
    heard: list[list[Any]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[NostrRelay]:
        """Serve on a free port of the loopback."""
        relay = cls()
        app = web.Application()
        app.add_routes([web.get("/", relay._serve)])
        runner = web.AppRunner(app, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        relay.url = f"ws://{host}:{port}"
        try:
            yield relay
        finally:
            for client in list(relay.clients):
                await client.socket.close()
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            _cut(request)
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = Client(socket, request)
        self.clients.append(client)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._hear(client, message.data)
        finally:
            self.clients.remove(client)
        return socket

    def cut_all(self) -> None:
        """Every connection breaks."""
        for client in self.clients:
            _cut(client.request)

    async def _hear(self, client: Client, text: str) -> None:
        if self.down:
            _cut(client.request)
            return
        message = json.loads(text)
        self.heard.append(message)
        if self.says:
            said, self.says = self.says, ""
            await client.socket.send_str(said)
        match message:
            case ["EVENT", dict(event)]:
                await self._take(client, event)
            case ["REQ", str(name), *filters] if 0 < len(name) <= LONGEST_SUBSCRIPTION and filters:
                await self._subscribe(client, name, filters)
            case ["CLOSE", str(name)]:
                client.subscriptions.pop(name, None)
            case _:
                await _say(client, "NOTICE", "ERROR: bad message")

    async def _take(self, client: Client, event: dict[str, Any]) -> None:
        if self.refuses:
            why, self.refuses = self.refuses, ""
            await _say(client, "OK", event["id"], False, why)
        elif not _sound(event):
            await _say(client, "OK", event.get("id", ""), False, "invalid: bad signature")
        else:
            await _say(client, "OK", event["id"], True, "")
            await self.publish(event)
            for told in self.on_event:
                await told(event)

    async def publish(self, event: dict[str, Any]) -> None:
        """Keep it if it is replaceable, and pass it on."""
        if 10_000 <= event["kind"] < 20_000:
            same = (event["kind"], event["pubkey"])
            self.stored = [one for one in self.stored if (one["kind"], one["pubkey"]) != same] + [event]
        for client in list(self.clients):
            for name, filters in list(client.subscriptions.items()):
                if any(_matches(event, one) for one in filters):
                    await _say(client, "EVENT", name, event)

    async def _subscribe(self, client: Client, name: str, filters: list[dict[str, Any]]) -> None:
        if self.closes:
            why, self.closes = self.closes, ""
            await _say(client, "CLOSED", name, why)
            return
        client.subscriptions[name] = filters
        for event in self.stored:
            if any(_matches(event, one) for one in filters):
                await _say(client, "EVENT", name, event)
        await _say(client, "EOSE", name)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _say(client: Client, *message: object) -> None:
    if not client.socket.closed:
        await client.socket.send_str(json.dumps(message))


def _sound(event: dict[str, Any]) -> bool:
    try:
        return bool(Event.from_json(json.dumps(event)).verify())
    except NostrSdkError:
        return False


def _matches(event: dict[str, Any], wanted: dict[str, Any]) -> bool:
    plain = {"ids": "id", "kinds": "kind", "authors": "pubkey"}
    for key, value in wanted.items():
        if key in plain and event[plain[key]] not in value:
            return False
        if key.startswith("#") and not any(tag[0] == key[1:] and tag[1] in value for tag in event["tags"]):
            return False
        if key == "since" and event["created_at"] < value:
            return False
    return True
