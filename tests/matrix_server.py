"""A homeserver of our own making that speaks Matrix's client-server API over real loopback HTTP, for one bot and its people.

A real `nio.AsyncClient` talks to it. Tests make its people act (`say`, `react`, `invite`), order faults (`flood`, `down`,
`hold`) and look at what stands in a room (`messages`). It outlives the hubs it serves. Source: https://spec.matrix.org/v1.11.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from aiohttp import web
from nio.crypto import decrypt_attachment, encrypt_attachment

from adapters.clockwork import SystemClock
from tests.matrix_keys import KeyServer, Peer

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

BOT = "@timmy:localhost"
PASSWORD = "correct horse"
MAX_EVENT = 65_536
HURRY = 50
"""A sync that brings nothing ends that many times sooner than it was asked to, as a server may."""

DEFAULT_LIMIT = 10
_API = "/_matrix/client/v3/"
_MEDIA = "/_matrix/media/v3/"


class Refused(Exception):
    """An error of the API."""

    def __init__(self, status: int, code: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"errcode": code, "error": more.pop("error", code), **more}


@dataclass
class Room:
    """A room: its events in order with their place in the stream, its members, and who was invited by whom."""

    id: str
    name: str
    events: list[tuple[int, Json]] = field(default_factory=list)
    members: dict[str, str] = field(default_factory=dict)
    invited: dict[str, str] = field(default_factory=dict)
    encrypted: bool = False
    stateless: bool = False


@dataclass
class Message:
    """What stands in a room: a message of the bot as it was edited last, and the reactions of the bot under it."""

    id: str
    content: Json
    edits: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Its words."""
        return str(self.content["body"])

    @property
    def thread(self) -> str | None:
        """The first event of the thread it is in."""
        relation = self.content.get("m.relates_to", {})
        return relation.get("event_id") if relation.get("rel_type") == "m.thread" else None


class MatrixServer:
    """The server. Use `async with MatrixServer() as server`."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.typing: list[tuple[str, bool]] = []
        self.receipts: list[tuple[str, str]] = []
        self.logins = 0
        self.devices: set[str] = set()
        self.keys = KeyServer()
        self.peers: dict[str, Peer] = {}
        self.port = 0
        self._at = 0
        self._numbers = itertools.count(1)
        self._news = asyncio.Event()
        self._sent: dict[str, str] = {}
        self._files: dict[str, bytes] = {}
        self._opened: dict[str, Json] = {}
        self._flooded: dict[str, int] = {}
        self.silent = False
        """Whether syncs tell nothing of what has happened."""
        self._down = False
        self._broken: dict[str, int] = {}
        self._left: dict[str, int] = {}
        self.largest = 50 * 2**20
        self.asked: list[str] = []
        """The paths of all calls but syncs."""
        self._gate: asyncio.Event | None = None
        self._lost = 0
        self._token = ""
        self._device = ""
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """For `AsyncClient(homeserver=...)`."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        """Serve."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Go away."""
        await self.stop()

    async def start(self) -> None:
        """Serve on a free port, or on the one of before."""
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections; everything known stays, and `start` brings it back at the same port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # What people do ----------------------------------------------------------------------------------------------

    def room(self, name: str, members: Iterable[str], *, joined: bool = True, encrypted: bool = False) -> Room:
        """A room with these people, and with the bot in it, or not yet."""
        room = Room(f"!{name.lower()}:localhost", name, encrypted=encrypted)
        self.rooms[room.id] = room
        if encrypted:
            self._add(
                room, next(iter(members)), "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}, state_key=""
            )
        for user in [*members, *([BOT] if joined else [])]:
            self._member(room, user, "join")
        return room

    def invite(self, room: Room, by: str) -> None:
        """Invite the bot."""
        room.invited[BOT] = by
        self._tell()

    def say(self, room: Room, user: str, body: str, *, thread: str | None = None, **content: Any) -> Json:
        """Write a message."""
        relation = {"m.relates_to": {"rel_type": "m.thread", "event_id": thread}} if thread else {}
        return self.post(room, user, "m.room.message", {"msgtype": "m.text", "body": body, **relation, **content})

    def post(self, room: Room, user: str, kind: str, content: Json, **more: Any) -> Json:
        """Send any event; in an encrypted room whoever has keys uses them for messages, unless `clear`."""
        clear = more.pop("clear", False)
        peer = self.peers.get(user) if room.encrypted and not clear else None
        if peer is not None and kind == "m.room.message":
            mail, content = peer.sealed(room.id, BOT, kind, content)
            self._at += 1
            for (whose, device), one in mail.items():
                self.keys.send(user, "m.room.encrypted", {whose: {device: one}}, self._at)
            kind = "m.room.encrypted"
        return self._add(room, user, kind, content, **more)

    def mail(self, sender: str, user: str, device: str, content: Json) -> None:
        """Send a key from device to device."""
        self._at += 1
        self.keys.send(sender, "m.room.encrypted", {user: {device: content}}, self._at)
        self._tell()

    def changed(self, user: str) -> None:
        """Somebody's keys are not what they were."""
        self._at += 1
        self.keys.changed.append((self._at, user))
        self._tell()

    def join(self, room: Room, user: str) -> None:
        """Somebody comes in."""
        self._member(room, user, "join")

    @property
    def now(self) -> str:
        """The sync token of this moment."""
        return f"s{self._at}"

    @property
    def token(self) -> str:
        """The bot's access token."""
        return self._token

    def meet(self, user: str, **how: Any) -> Peer:
        """Give somebody keys."""
        self._at += 1
        self.peers[user] = Peer(self.keys, user, **how)
        self.keys.changed.append((self._at, user))
        return self.peers[user]

    def speak(self, room: Room, user: str, data: bytes, **content: Any) -> None:
        """Send a voice note, as Element does."""
        said: Json = {
            "msgtype": "m.audio",
            "org.matrix.msc3245.voice": {},
            "org.matrix.msc1767.audio": {"duration": 3000},
        }
        self.give(room, user, "Voice message.ogg", data, **said, **content)

    def give(self, room: Room, user: str, name: str, data: bytes, **content: Any) -> None:
        """Send a file."""
        if room.encrypted:
            sealed, keys = encrypt_attachment(data)
            file: Json = {"file": {**keys, "url": self._keep(sealed)}}
        else:
            file = {"url": self._keep(data)}
        more = {"msgtype": "m.file", "body": name, "info": {"size": len(data)}, "filename": name}
        self.post(room, user, "m.room.message", {**more, **file, **content})

    def react(self, room: Room, user: str, message: str, key: str) -> None:
        """Tap a reaction."""
        relation = {"rel_type": "m.annotation", "event_id": message, "key": key}
        self.post(room, user, "m.reaction", {"m.relates_to": relation})

    def forget(self, room: Room, event: str) -> None:
        """Know an event no more."""
        room.events[:] = [one for one in room.events if one[1]["event_id"] != event]

    def again(self, room: Room, event: Json) -> None:
        """Hand an event over once more."""
        self._at += 1
        room.events.append((self._at, event))
        self._tell()

    # What stands there -------------------------------------------------------------------------------------------

    def messages(self, room: Room) -> list[Message]:
        """The bot's messages as they stand now."""
        found: dict[str, Message] = {}
        gone = {event["redacts"] for _, event in room.events if event["type"] == "m.room.redaction"}
        for _, raw in room.events:
            if raw["sender"] != BOT:
                continue
            event = self._read(room, raw)
            content = event["content"]
            relation = content.get("m.relates_to", {})
            if event["type"] == "m.reaction" and event["event_id"] not in gone:
                found[relation["event_id"]].labels[relation["key"]] = event["event_id"]
            elif event["type"] == "m.room.message" and relation.get("rel_type") == "m.replace":
                old = found[relation["event_id"]]
                old.edits.append(old.text)
                old.content = {**content["m.new_content"], "m.relates_to": old.content.get("m.relates_to", {})}
            elif event["type"] == "m.room.message":
                found[event["event_id"]] = Message(event["event_id"], content)
        return list(found.values())

    def _read(self, room: Room, event: Json) -> Json:
        """An event as the first of its people with keys reads it."""
        if event["type"] != "m.room.encrypted":
            return event
        if event["event_id"] not in self._opened:
            peer = next(self.peers[user] for user in room.members if user in self.peers)
            found = peer.opened(room.id, event)
            assert found is not None, "the bot sent what nobody can read"
            self._opened[event["event_id"]] = found
        return self._opened[event["event_id"]]

    def file(self, content: Json) -> bytes:
        """What was uploaded for a message."""
        if "file" not in content:
            return self._files[content["url"].rpartition("/")[2]]
        keys = content["file"]
        data = self._files[keys["url"].rpartition("/")[2]]
        opened: bytes = decrypt_attachment(data, keys["key"]["k"], keys["hashes"]["sha256"], keys["iv"])
        return opened

    # Faults ------------------------------------------------------------------------------------------------------

    def flood(self, room: Room, seconds: int) -> None:
        """Ask to wait when something is sent to a room, until `calm`."""
        self._flooded[room.id] = seconds

    def calm(self, room: Room) -> None:
        """Take it again."""
        self._flooded.pop(room.id, None)

    def down(self) -> None:
        """Answer every call with a server's error, until `up`."""
        self._down = True
        self._tell()

    def up(self) -> None:
        """Be well again."""
        self._down = False

    def break_(self, part: str, times: int) -> None:
        """Fail at so many calls whose path holds this."""
        self._broken[part] = times

    def broken(self, part: str) -> int:
        """How many such calls are still to fail."""
        return self._broken.get(part, 0)

    def close(self, room: Room) -> None:
        """Delete a room: everybody is out of it."""
        self._at += 1
        room.members.clear()
        self._left[room.id] = self._at
        self._tell()

    def lose_state(self, room: Room) -> None:
        """Tell nothing of a room any more but what is said there."""
        room.events[:] = [one for one in room.events if "state_key" not in one[1]]
        room.stateless = True

    def hold(self) -> None:
        """Take what is sent and answer nothing, until `release`."""
        self._gate = asyncio.Event()

    def release(self) -> None:
        """End a `hold`."""
        if self._gate is not None:
            self._gate.set()
            self._gate = None

    def lose(self) -> None:
        """Take what is sent next, and close the connection without an answer."""
        self._lost += 1

    def revoke(self) -> None:
        """The access token is no more."""
        self._token = "revoked"
        self._tell()

    # The wire ----------------------------------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._down:
            return web.json_response({"errcode": "M_UNKNOWN", "error": "Internal server error"}, status=500)
        path = unquote(request.raw_path.partition("?")[0])
        for part in [part for part, times in self._broken.items() if times and part in path]:
            self._broken[part] -= 1
            return web.json_response({"errcode": "M_UNKNOWN", "error": "Internal server error"}, status=500)
        if not path.endswith("/sync"):
            self.asked.append(path)
        data = await request.read()
        try:
            answer = await self._call(request, path, data)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.status)
        if request.method == "PUT" and ("/send/m.room.message/" in path or "/send/m.room.encrypted/" in path):
            if self._lost:
                self._lost -= 1
                assert request.transport is not None
                request.transport.close()
            if self._gate is not None:
                await self._gate.wait()
        return answer if isinstance(answer, web.Response) else web.json_response(answer)

    async def _call(  # noqa: C901, PLR0911, PLR0912 - one case a route
        self, request: web.BaseRequest, path: str, data: bytes
    ) -> Json | web.Response:
        if path == f"{_API}login":
            return self._login(json.loads(data))
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            raise Refused(401, "M_UNKNOWN_TOKEN")
        if path == "/_matrix/client/v1/media/config":
            return {"m.upload.size": self.largest}
        if path == f"{_MEDIA}upload":
            if len(data) > self.largest:
                raise Refused(413, "M_TOO_LARGE")
            return {"content_uri": self._keep(data)}
        for prefix in (f"{_MEDIA}download/", "/_matrix/client/v1/media/download/"):
            if path.startswith(prefix):
                return self._download(path)
        words = path.removeprefix(_API).split("/")
        body: Json = json.loads(data) if data else {}
        match request.method, words:
            case "GET", ["account", "whoami"]:
                return {"user_id": BOT, "device_id": self._device}
            case "POST", ["logout"]:
                self.keys.forget(BOT, self._device, self._at)
                self._token = ""
                return {}
            case "POST", ["keys", "upload"]:
                return self.keys.upload(BOT, self._device, body, self._at)
            case "POST", ["keys", "query"]:
                return self.keys.query(body["device_keys"])
            case "POST", ["keys", "claim"]:
                return self.keys.claim(body["one_time_keys"])
            case "POST", ["keys", "device_signing", "upload"]:
                self.keys.identify(BOT, body, self._at)
                return {}
            case "POST", ["keys", "signatures", "upload"]:
                self.keys.sign(body, self._at)
                return {"failures": {}}
            case "PUT", ["sendToDevice", kind, _]:
                if self.keys.deaf:
                    self.keys.deaf -= 1
                    raise Refused(500, "M_UNKNOWN")
                self.keys.send(BOT, kind, body["messages"], self._at)
                return {}
            case "GET", ["rooms", room, "joined_members"]:
                return {"joined": {user: {} for user in self._joined(room).members}}
            case "GET", ["sync"]:
                return await self._sync(request.query)
            case "POST", ["createRoom"]:
                return {"room_id": self.room(
                    f"made-{next(self._numbers)}", body["invite"], encrypted=bool(body.get("initial_state"))
                ).id}  # fmt: skip
            case "PUT", ["rooms", room, "send", kind, transaction]:
                return {"event_id": self._send(self._joined(room), kind, transaction, body, len(data))}
            case "PUT", ["rooms", room, "redact", event, transaction]:
                content = {"redacts": event}
                return {"event_id": self._send(self._joined(room), "m.room.redaction", transaction, content, len(data))}
            case "PUT", ["rooms", room, "typing", _]:
                self.typing.append((room, bool(body["typing"])))
                return {}
            case "POST", ["rooms", room, "receipt", _, event]:
                self.receipts.append((room, event))
                return {}
            case ("POST", ["join", room]) | ("POST", ["rooms", room, "join"]):
                return self._join(room)
            case "POST", ["rooms", room, "leave"]:
                self.rooms[room].invited.pop(BOT, None)
                return {}
            case "GET", ["rooms", room, "messages"]:
                return self._messages(self._joined(room), request.query)
            case "GET", ["rooms", room, "event", event]:
                return self._event(self._joined(room), event)
            case _:
                raise Refused(404, "M_UNRECOGNIZED")

    def _login(self, body: Json) -> Json:
        self.logins += 1
        if body.get("password") != PASSWORD or body["identifier"]["user"] != BOT:
            raise Refused(403, "M_FORBIDDEN", error="Invalid username or password")
        self._device = body["device_id"]
        self.devices.add(self._device)
        self._token = f"token-{next(self._numbers)}"
        return {"user_id": BOT, "access_token": self._token, "device_id": body["device_id"]}

    async def _sync(self, query: Any) -> Json:
        since = int(query["since"].removeprefix("s")) if query.get("since") else None
        limit = json.loads(query.get("filter", "{}")).get("room", {}).get("timeline", {}).get("limit", DEFAULT_LIMIT)
        token = self._token
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(int(query.get("timeout", 0)) / 1000 / HURRY):
                while since is not None and (self.silent or (self._at <= since and not self._invitations())):
                    self._news.clear()
                    await self._news.wait()
                    if self._down:
                        raise Refused(500, "M_UNKNOWN")
                    if token != self._token:
                        raise Refused(401, "M_UNKNOWN_TOKEN")
        if since is not None and self.silent:
            return {"next_batch": f"s{since}"}
        full = query.get("full_state") == "true" or since is None
        joined = {
            room.id: found
            for room in self.rooms.values()
            if BOT in room.members and (found := self._since(room, since, limit, full=full))
        }
        gone: Json = {room: {} for room, at in self._left.items() if since is not None and at > since}
        rooms = {"join": joined, "invite": self._invitations(), "leave": gone}
        return {"next_batch": f"s{self._at}", "rooms": rooms, **self.keys.news(BOT, self._device, since)}

    def _since(self, room: Room, since: int | None, limit: int, *, full: bool) -> Json | None:
        new = [(at, event) for at, event in room.events if since is None or at > since]
        full = full or any(event.get("state_key") == BOT for _, event in new)
        if not new and not full:
            return None
        shown = new[-limit:]
        state = [event for _, event in room.events if "state_key" in event] if full else []
        first = shown[0][0] if shown else self._at + 1
        timeline = {
            "events": [event for _, event in shown], "limited": len(shown) < len(new), "prev_batch": f"p{first}",
        }  # fmt: skip
        return {
            "timeline": timeline, "state": {"events": state}, "ephemeral": {"events": []},
            "account_data": {"events": []},
            "summary": {} if room.stateless else {"m.joined_member_count": len(room.members)},
        }  # fmt: skip

    def _invitations(self) -> Json:
        invited = {"type": "m.room.member", "state_key": BOT, "content": {"membership": "invite"}}
        return {
            room.id: {"invite_state": {"events": [invited | {"sender": room.invited[BOT]}]}}
            for room in self.rooms.values()
            if BOT in room.invited
        }

    def _messages(self, room: Room, query: Any) -> Json:
        start, limit = int(query["from"][1:]), int(query.get("limit", DEFAULT_LIMIT))
        stop = int(query["to"][1:]) if query.get("to") else 0
        before = [(at, event) for at, event in room.events if stop < at < start][::-1]
        chunk = before[:limit]
        more = {"end": f"p{chunk[-1][0]}"} if len(chunk) < len(before) else {}
        return {"start": query["from"], "chunk": [event for _, event in chunk], "state": [], **more}

    def _event(self, room: Room, wanted: str) -> Json:
        found = next((event for _, event in room.events if event["event_id"] == wanted), None)
        if found is None:
            raise Refused(404, "M_NOT_FOUND")
        return {**found, "room_id": room.id, "unsigned": self._bundled(room, wanted)}

    def _bundled(self, room: Room, edited: str) -> Json:
        """The newest edit of an event, as servers hand it over with it (v1.11, 11.36.3)."""
        newest = None
        for _, event in room.events:
            relation = event["content"].get("m.relates_to", {})
            if relation.get("rel_type") == "m.replace" and relation.get("event_id") == edited:
                newest = event
        return {"m.relations": {"m.replace": newest}} if newest else {}

    def _send(self, room: Room, kind: str, transaction: str, content: Json, size: int) -> str:
        if transaction in self._sent:
            return self._sent[transaction]
        if (seconds := self._flooded.get(room.id)) is not None:
            raise Refused(429, "M_LIMIT_EXCEEDED", retry_after_ms=seconds * 1000)
        self._relates(room, content.get("m.relates_to", {}))
        if size > MAX_EVENT - 1000:
            raise Refused(413, "M_TOO_LARGE")
        event = self._add(room, BOT, kind, content)
        self._sent[transaction] = str(event["event_id"])
        return self._sent[transaction]

    def _relates(self, room: Room, relation: Json) -> None:
        """As Synapse has it: what relates to an event is in its room, and a thread begins beneath one that relates to none."""
        if "rel_type" not in relation:
            return
        root = next((event for _, event in room.events if event["event_id"] == relation["event_id"]), None)
        if root is None:
            raise Refused(400, "M_UNKNOWN", error="Can't send relation to unknown event")
        if relation["rel_type"] == "m.thread" and "rel_type" in root["content"].get("m.relates_to", {}):
            raise Refused(400, "M_UNKNOWN", error="Cannot start threads from an event with a relation")

    def _join(self, room_id: str) -> Json:
        room = self.rooms[room_id]
        if room.invited.pop(BOT, None) is None and BOT not in room.members:
            raise Refused(403, "M_FORBIDDEN")
        self._member(room, BOT, "join")
        return {"room_id": room_id}

    def _joined(self, room_id: str) -> Room:
        room = self.rooms.get(room_id)
        if room is None or BOT not in room.members:
            raise Refused(403, "M_FORBIDDEN", error="You are not in this room")
        return room

    def _download(self, path: str) -> web.Response:
        data = next((self._files[word] for word in path.split("/") if word in self._files), None)
        if data is None:
            raise Refused(404, "M_NOT_FOUND")
        return web.Response(body=data, content_type="application/octet-stream")

    def _keep(self, data: bytes) -> str:
        name = f"file{next(self._numbers)}"
        self._files[name] = data
        return f"mxc://localhost/{name}"

    def _member(self, room: Room, user: str, membership: str) -> None:
        room.members[user] = membership
        name = user.removeprefix("@").partition(":")[0].title()
        self._add(room, user, "m.room.member", {"membership": membership, "displayname": name}, state_key=user)

    def _add(self, room: Room, sender: str, kind: str, content: Json, **more: Any) -> Json:
        self._at += 1
        event = {
            "event_id": f"$event{next(self._numbers)}", "type": kind, "sender": sender, "content": content,
            "origin_server_ts": SystemClock().now(), "unsigned": {}, **more,
        }  # fmt: skip
        if kind == "m.room.redaction":
            event["redacts"] = content["redacts"]
        room.events.append((self._at, event))
        self._tell()
        return event

    def _tell(self) -> None:
        self._news.set()
