"""The Matrix surface: one sync, one sender for each conversation (the hub's), edits, reactions as buttons, and files.

What a sync brings is stored before its token is saved, and what a sync left out of a busy room is fetched first. A message
goes out under transaction ids that are made of its row's number, so a send that is repeated shows it once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from aiohttp import ClientError
from nio import (
    AsyncClientConfig,
    EnableEncryptionBuilder,
    EncryptionError,
    ErrorResponse,
    Event,
    InviteMemberEvent,
    MegolmEvent,
    MessageDirection,
    ReactionEvent,
    RoomMemberEvent,
    SyncResponse,
)

from adapters.matrix import content
from adapters.matrix.encryption import Encryption, Forged, Refusal, StoreLost
from adapters.matrix.events import SURFACE, conversation, is_private, place, read, sealed
from adapters.matrix.guard import Client, Store
from adapters.matrix.trust import CLEAR, FORGED, REACTION, UNKNOWABLE
from adapters.matrix.verification import Said, Ties, Verifications
from core.chat import NotSent, Undeliverable
from core.errors import Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from nio import AsyncClient, InviteInfo, MatrixRoom, Response, RoomInfo

    from adapters.matrix.identity import IdentityFile
    from adapters.matrix.memory import Memory
    from adapters.matrix.trust import Mode
    from adapters.matrix.verification import Flow
    from core.chat import Attachment, File, Inbound, Outgoing, Reply
    from core.ports import Clock, Spawner

log = logging.getLogger(__name__)
for noisy in (
    "nio",
    "peewee",
):  # every event, a missing key at each look; every statement of the store, with what it holds
    logging.getLogger(noisy).setLevel(logging.ERROR)

V = TypeVar("V")

SYNC_SECONDS = 25
PATIENCE_SECONDS = 30.0
RETRY_SECONDS = 3.0
TRIES = 5
"""Of one thing that the server refuses in a way that may pass, while others wait for it."""

TIMELINE = 50
"""Events of one room that a sync may bring at once; the others are fetched after it."""

BACKFILL = 100
MOST_MISSED = 10_000
"""Events of one room that are fetched after a long absence, at most."""

KEY_SECONDS = 15.0
"""How long a message waits for the key that opens it; it comes by another way, often a moment later."""

KEY_SYNC_SECONDS = 2
EXPLAINED = 5
"""Answers in an hour, at most, to one sender in one room whose keys do not come."""

HOUR_MS = 3_600_000
STORE = "keys.db"
TYPING_SECONDS = 20.0
FETCH_BYTES = 50 * 2**20
_RECENT = 1000
_NEVER = frozenset({"M_FORBIDDEN", "M_TOO_LARGE", "M_BAD_JSON", "M_INVALID_PARAM", "M_NOT_FOUND", "M_NOT_JSON"})
_FILTER = {
    "presence": {"types": []}, "account_data": {"types": []},
    "room": {"timeline": {"limit": TIMELINE}, "ephemeral": {"types": []}, "account_data": {"types": []}},
}  # fmt: skip


class SignInRefused(Unavailable):
    """{server} refuses the bot's {what} ({why}). Set TIMMY_MATRIX_USER and {setting} right, and start again."""


class NoHomeserver(Unavailable):
    """The Matrix server {server} cannot be reached ({why}). It is tried again; what you send there arrives once it is back."""


class TooLargeForMatrix(UserError):
    """{name} is larger than the {limit} MB that I take from Matrix. Put it into the hub's workspace folder instead."""

    status = 413


class NotOnMatrix(UserError):
    """{name} could not be fetched from Matrix ({why}). Send it again."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach Matrix, the rooms that are listed, whose invitations are taken, and what is encrypted and believed."""

    homeserver: str
    user: str
    password: str
    access_token: str
    device: str
    rooms: frozenset[str]
    inviters: frozenset[str]
    encryption: Literal["off", "optional", "required"]
    trust: Mode


@dataclass(frozen=True, slots=True)
class Told:
    """Whom the surface tells: `back`, that messages can be sent (again); `once` (key, words), the owner, once for each key.

    `ask` (what was shown, words, user) has the owner say whether somebody sees it; `MatrixSurface.confirm` is told. `known` says
    whether a user was let in.
    """

    back: Callable[[], Awaitable[None]]
    once: Callable[[str, str], Awaitable[None]]
    ask: Callable[[str, str, str], Awaitable[None]]
    known: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A message whose key has not come yet, and until when it is waited for, Unix ms."""

    room: str
    event: MegolmEvent
    until: int


class MatrixSurface:
    """See `core.chat.ChatAdapter`."""

    name = SURFACE

    def __init__(
        self,
        access: Access,
        identity: IdentityFile,
        memory: Memory,
        *,
        clock: Clock,
        spawner: Spawner,
        told: Told,
    ) -> None:
        self._access = access
        self._identity = identity
        self._memory = memory
        self._token = memory.mark.token
        self._clock = clock
        self._spawner = spawner
        self._told = told
        self._client: AsyncClient | None = None
        self._encryption: Encryption | None = None
        self._verifications: Verifications | None = None
        self._sealed: dict[str, _Sealed] = {}
        self._held_since = 0
        self._direct: dict[str, str] = {}
        self._buttons: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._chips: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._typing: dict[str, int] = {}
        self._explained: OrderedDict[str, list[int]] = OrderedDict()
        self.heard_at: int | None = None

    @property
    def advice(self) -> tuple[str, ...]:
        """See `ChatAdapter`."""
        fault = self._encryption.fault if self._encryption is not None else ""
        return (fault,) if fault else ()

    # In ----------------------------------------------------------------------------------------------------------

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """Sync until cancelled. Raises `SignInRefused` or `NoHomeserver` where it cannot begin."""
        self.heard_at = self.heard_at or self._clock.now()
        client = await self._signed_in()
        try:
            first = await self._synced(client, full=True)
            self._client = client
            await self._take(client, first, receive)
            await self._told.back()
            while True:
                if self._encryption is not None:
                    await self._encryption.tend()
                await self._take(client, await self._synced(client), receive)
        finally:
            self._client = self._encryption = self._verifications = None
            self._token = self._memory.mark.token
            self._sealed.clear()
            await client.close()

    async def _signed_in(self) -> AsyncClient:
        """A client that is signed in, and whose keys are on the server. One whose keys are lost comes back as a new device."""
        device = self._identity.kept.device or self._access.device
        while True:
            client = self._made_client(device)
            try:
                await self._sign_in(client)
                if self._access.encryption != "off":
                    self._encryption = Encryption(
                        client, self._identity, self._memory,
                        mode=self._access.trust, password=self._access.password, tell=self._told.once,
                    )  # fmt: skip
                    await self._encryption.begin()
                    self._verifications = Verifications(
                        self._encryption.who(), self._ties(client, self._encryption), self._clock
                    )
            except StoreLost as lost:
                if self._access.access_token:
                    await client.close()
                    raise
                log.warning(
                    "the keys of the Matrix device %s are lost; the bot comes back as a new device",
                    lost.facts["device"],
                )
                await self._quietly(client.logout())
                await client.close()
                device = self._identity.move(self._access.device)
            except (ClientError, TimeoutError, Refusal) as error:
                await client.close()
                raise NoHomeserver(server=self._access.homeserver, why=_words(error)) from None
            except BaseException:
                await client.close()
                raise
            else:
                return client

    def _made_client(self, device: str) -> AsyncClient:
        """A client that does nothing by itself: a limit, a silence and a retry are the hub's to deal with."""
        (self._identity.folder / STORE).touch(mode=0o600)
        config = AsyncClientConfig(
            encryption_enabled=self._access.encryption != "off", pickle_key=self._identity.kept.key,
            store=Store, store_name=STORE,
            max_limit_exceeded=0, max_timeouts=0, request_timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        return Client(
            self._access.homeserver, self._access.user, device, store_path=str(self._identity.folder), config=config
        )

    async def _sign_in(self, client: AsyncClient) -> None:
        server, access = self._access.homeserver, self._access
        try:
            if access.access_token:
                client.user_id, client.access_token = access.user, access.access_token
                answer: Response = await client.whoami()
            else:
                answer = await client.login(access.password, device_name="Timmy")
        except (ClientError, TimeoutError) as error:
            raise NoHomeserver(server=server, why=_words(error)) from None
        if not isinstance(answer, ErrorResponse):
            if access.access_token:
                client.restore_login(answer.user_id, answer.device_id or client.device_id, access.access_token)
            return
        if answer.status_code in {"M_FORBIDDEN", "M_UNKNOWN_TOKEN", "M_USER_DEACTIVATED", "M_MISSING_TOKEN"}:
            what = "access token" if access.access_token else "password"
            setting = f"TIMMY_MATRIX_{what.replace(' ', '_').upper()}"
            raise SignInRefused(server=server, what=what, why=_why(answer), setting=setting)
        raise NoHomeserver(server=server, why=_why(answer))

    async def _synced(self, client: AsyncClient, *, full: bool = False) -> SyncResponse:
        """The next sync; the first of a process brings the whole state of every room, and waits for nothing."""
        while True:
            try:
                wait = 0 if full else (KEY_SYNC_SECONDS if self._sealed else SYNC_SECONDS) * 1000
                answer = await client.sync(wait, _FILTER, since=self._token or None, full_state=full or None)
            except (ClientError, TimeoutError) as error:
                log.info("a sync with Matrix failed: %s", _words(error))
            else:
                if isinstance(answer, SyncResponse):
                    self.heard_at = self._clock.now()
                    return answer
                if answer.status_code in {"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"}:
                    raise SignInRefused(
                        server=self._access.homeserver, what="access token", why=_why(answer),
                        setting="TIMMY_MATRIX_ACCESS_TOKEN",
                    )  # fmt: skip
                log.info("a sync with Matrix failed: %s", _why(answer))
            await self._clock.sleep(RETRY_SECONDS)

    async def _take(
        self, client: AsyncClient, answer: SyncResponse, receive: Callable[[Inbound], Awaitable[None]]
    ) -> None:
        """Make what a sync brought durable, room by room in its order, then save how far that is."""
        for room_id, invite in answer.rooms.invite.items():
            await self._invited(client, room_id, invite)
        if self._encryption is not None:
            await self._encryption.latch(room.room_id for room in client.rooms.values() if room.encrypted)
        known = bool(self._token)
        async with asyncio.TaskGroup() as rooms:
            for room, info in answer.rooms.join.items():
                rooms.create_task(self._take_room(client, room, info, receive, known=known))
        await self._open_late(client, receive)
        self._token = answer.next_batch
        self._held_since = (self._held_since or self._clock.now()) if self._sealed else 0
        is_held = self._sealed and self._clock.now() - self._held_since < 2 * KEY_SECONDS * 1000
        if answer.next_batch != self._memory.mark.token and not is_held:
            await self._memory.save(answer.next_batch)

    async def _take_room(
        self,
        client: AsyncClient,
        room_id: str,
        info: RoomInfo,
        receive: Callable[[Inbound], Awaitable[None]],
        *,
        known: bool,
    ) -> None:
        """The messages of one room. What was said before the bot joined, or before it ever listened, is none of its."""
        if not known:
            return
        room: MatrixRoom = client.rooms[room_id]
        events: list[Event] = list(info.timeline.events)
        joined = next((at for at, event in enumerate(events) if _joins(event, client.user_id)), None)
        if joined is not None:
            events = events[joined + 1 :]
        elif info.timeline.limited:
            events = await self._missed(client, room_id, info.timeline.prev_batch) + events
        last = None
        for event in events:
            if isinstance(event, MegolmEvent) and self._encryption is not None:
                opened = self._encryption.opened(room_id, event)
                if opened is None:
                    until = self._clock.now() + round(KEY_SECONDS * 1000)
                    self._sealed.setdefault(event.event_id, _Sealed(room_id, event, until))
                    continue
                event = opened  # noqa: PLW2901
            if await self._heard(client, room, event, receive):
                last = event.event_id
        if last is not None:
            self._spawner.spawn(self._beside(partial(client.update_receipt_marker, room_id, last)), "receipt")

    async def _heard(
        self, client: AsyncClient, room: MatrixRoom, event: Event, receive: Callable[[Inbound], Awaitable[None]]
    ) -> bool:
        """Hand on what an event says to the hub; false if that is nothing."""
        if self._encryption is not None and event.decrypted and await self._encryption.is_replay(event):
            log.warning("%s repeats an encrypted message that was read before; it is passed over", event.event_id)
            return False
        if self._verifications is not None and is_private(room) and event.sender != client.user_id:
            said = Said(room.room_id, event.sender, event.event_id, event.server_timestamp)
            if await self._verifications.take(said, event.source):
                return False
        tap = await self._tapped(client, room.room_id, event) if isinstance(event, ReactionEvent) else ""
        try:
            inbound = read(event, room, self._access.rooms, tap)
        except Exception:
            log.exception("Matrix sent an event that cannot be read; it is passed over")
            return False
        if inbound is None:
            return False
        if self._encryption is not None:
            found = await self._doubted(self._encryption, room, event, inbound)
            if found is None:
                return False
            inbound = found
        if inbound.private and not inbound.sealed:
            self._met(client, event.sender, room)
        await receive(inbound)
        return True

    def _met(self, client: AsyncClient, user: str, room: MatrixRoom) -> None:
        """Somebody is reached where they spoke last; but who ever spoke in an encrypted room is not answered in a plain one."""
        known = self._direct.get(user)
        if room.encrypted or known not in client.rooms or not client.rooms[known].encrypted:
            self._direct[user] = room.room_id

    async def _doubted(
        self, encryption: Encryption, room: MatrixRoom, event: Event, inbound: Inbound
    ) -> Inbound | None:
        """A message with what is to be doubted about it. In an encrypted room nobody speaks in clear, but by reactions."""
        is_sealed = encryption.is_sealed(room.room_id)
        if not is_sealed and self._access.encryption == "required":
            log.info(
                "%s is not encrypted, and TIMMY_MATRIX_ENCRYPTION requires it: what is said there is not heard",
                room.room_id,
            )
            return None
        if is_sealed and isinstance(event, ReactionEvent):
            return replace(inbound, doubt=REACTION if self._access.trust == "verified" else "")
        if is_sealed and not event.decrypted:
            return replace(inbound, text="", files=(), sealed=CLEAR)
        for _ in range(TRIES):
            try:
                return replace(inbound, doubt=await encryption.doubt(room.room_id, event))
            except Forged as forged:
                log.warning("Matrix: %s", forged)
                return replace(inbound, text="", files=(), sealed=FORGED)
            except (ClientError, TimeoutError, Refusal) as error:
                log.info("whose message it is cannot be found out yet: %s", _words(error))
                await self._clock.sleep(RETRY_SECONDS)
        return replace(inbound, doubt=UNKNOWABLE)

    def _ties(self, client: AsyncClient, encryption: Encryption) -> Ties:
        """What a verification reaches."""

        async def send(room: str, kind: str, said: dict[str, Any]) -> None:
            await self._locked(client, room, ())
            _raise_for(await client.room_send(room, kind, said, ignore_unverified_devices=True), ())

        async def ask(flow: Flow) -> None:
            words = f"{flow.user} wants to verify me on Matrix. Does their screen show exactly this?\n{flow.shown}"
            await self._told.ask(flow.shown_as, words, flow.user)

        return Ties(send, ask, encryption.keys, encryption.verified, self._told.known)

    async def confirm(self, shown: str) -> str:
        """The owner says that somebody sees what the bot shows. Returns what came of it, in words."""
        if self._verifications is None:
            raise NotOnMatrix(name="The verification", why="it is down")
        return await self._verifications.confirm(shown)

    async def _open_late(self, client: AsyncClient, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """Open what has its key by now; what has waited too long is answered with the cause, once for its key."""
        for name, waiting in list(self._sealed.items()):
            room, encryption = client.rooms.get(waiting.room), self._encryption
            if room is None or encryption is None:
                del self._sealed[name]
            elif (opened := encryption.opened(waiting.room, waiting.event)) is not None:
                del self._sealed[name]
                await self._heard(client, room, opened, receive)
            elif self._clock.now() >= waiting.until:
                del self._sealed[name]
                message = sealed(waiting.event, room, self._access.rooms)
                if message is not None and self._may_explain(message):
                    await receive(message)

    def _may_explain(self, message: Inbound) -> bool:
        """Whether a sender is told once more that something cannot be read: who makes up keys is not answered for each."""
        who, hour_ago = f"{message.actor} {message.conversation}", self._clock.now() - HOUR_MS
        recent = [at for at in self._explained.get(who, ()) if at > hour_ago]
        if len(recent) >= EXPLAINED:
            return False
        _bounded(self._explained, who, [*recent, self._clock.now()])
        return True

    async def _missed(self, client: AsyncClient, room_id: str, start: str | None) -> list[Event]:
        """The events between the last sync and what this one brought of a busy room, oldest first."""
        found: list[Event] = []
        while start and len(found) < MOST_MISSED:
            answer = await self._surely(
                partial(client.room_messages, room_id, start, self._token, MessageDirection.back, BACKFILL)
            )
            if isinstance(answer, ErrorResponse):
                log.warning("what was missed of %s cannot be fetched: %s", room_id, _why(answer))
                break
            for event in answer.chunk:
                if _joins(event, client.user_id):
                    return found[::-1]
                found.append(event)
            start = answer.end if answer.chunk else None
        return found[::-1]

    async def _surely(self, ask: Callable[[], Coroutine[Any, Any, Response]]) -> Response:
        """An answer of the server, which may be away or ask to wait; what it refuses, or goes on failing, is returned."""
        tries = 0
        while True:
            tries += 1
            try:
                answer = await ask()
            except (ClientError, TimeoutError) as error:
                log.info("Matrix is asked again: %s", _words(error))
                tries -= 1  # it is the whole server that is away: nothing else goes on either
            else:
                if not isinstance(answer, ErrorResponse) or not _may_pass(answer) or tries >= TRIES:
                    return answer
                if answer.status_code == "M_LIMIT_EXCEEDED":
                    await self._clock.sleep((answer.retry_after_ms or 1000) / 1000)
                    continue
            await self._clock.sleep(RETRY_SECONDS)

    async def _invited(self, client: AsyncClient, room_id: str, invite: InviteInfo) -> None:
        """Join where somebody invites who may; other invitations are declined."""
        who = next(
            (
                event.sender
                for event in invite.invite_state
                if isinstance(event, InviteMemberEvent) and event.state_key == client.user_id
            ),
            "",
        )
        if who in self._access.inviters:
            answer: Response = await self._surely(lambda: client.join(room_id))
            log.info(
                "joined %s, where %s invited: %s", room_id, who, "no" if isinstance(answer, ErrorResponse) else "yes"
            )
        else:
            log.info("an invitation of %s to %s is declined; TIMMY_MATRIX_INVITERS names who may", who, room_id)
            await self._quietly(client.room_leave(room_id))

    async def _tapped(self, client: AsyncClient, room_id: str, event: ReactionEvent) -> str:
        """The button that a reaction presses, from what this hub wrote into the message that it stands under."""
        if event.sender == client.user_id or not event.reacts_to.startswith("$"):
            return ""
        buttons = self._buttons.get(event.reacts_to)
        if buttons is None:
            buttons = await self._written(client, room_id, event.reacts_to)
        return buttons.get(event.key, "")

    async def _written(self, client: AsyncClient, room_id: str, name: str) -> dict[str, str]:
        """The buttons that the hub wrote into an event, or into its newest edit, which a server hands over with it."""
        found = await self._surely(lambda: client.room_get_event(room_id, name))
        if isinstance(found, ErrorResponse) or found.event.sender != client.user_id:
            return {}
        newest: Event = found.event
        edit = content.newest_edit(newest.source)
        if edit is not None and edit.get("sender") == client.user_id:
            newest = self._read(room_id, edit) or newest
        return content.labels(newest.source)

    def _read(self, room_id: str, raw: dict[str, Any]) -> Event | None:
        """An event that came with another, as it was before it was encrypted; None if it cannot be read."""
        event = Event.parse_event(raw)
        if isinstance(event, MegolmEvent):
            return None if self._encryption is None else self._encryption.opened(room_id, event)
        return event if isinstance(event, Event) else None

    async def fetch(self, attachment: Attachment) -> bytes:
        """See `ChatAdapter`."""
        if attachment.size > FETCH_BYTES:
            raise TooLargeForMatrix(name=attachment.name, limit=FETCH_BYTES // 2**20)
        if self._client is None:
            raise NotOnMatrix(name=attachment.name, why="it is down")
        try:
            url, opens = content.referred(attachment.ref)
            answer = await self._client.download(url)
        except (ClientError, TimeoutError) as error:
            raise NotOnMatrix(name=attachment.name, why=_words(error)) from None
        if isinstance(answer, ErrorResponse):
            raise NotOnMatrix(name=attachment.name, why=_why(answer))
        body = answer.body
        if not isinstance(body, bytes) or len(body) > FETCH_BYTES:
            raise TooLargeForMatrix(name=attachment.name, limit=FETCH_BYTES // 2**20)
        try:
            return await asyncio.to_thread(opens, body)
        except (EncryptionError, ValueError):
            raise NotOnMatrix(name=attachment.name, why="its content is not what was sent") from None

    # Out ---------------------------------------------------------------------------------------------------------

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        """See `ChatAdapter`."""
        client = self._client
        if client is None:
            raise NotSent(surface=SURFACE, why="it is down", sent=message.sent)
        sent = list(message.sent)
        room_id, thread = await self._room(client, message.conversation, message.sent)
        for number, body in enumerate(self._bodies(client, room_id, thread, message)):
            if number >= len(message.sent):
                event = await self._put(client, room_id, await self._made(client, body, message, sent), message, sent)
                sent.append(message.replaces if message.replaces and number == 0 else event)
        if sent and (message.taps or message.replaces):
            under = sent[max(0, len(content.texts(message.reply)) - 1)]
            await self._relabelled(client, room_id, under, content.buttons(message.reply, message.taps))
        self._typing.pop(message.conversation, None)
        self._spawner.spawn(self._beside(partial(client.room_typing, room_id, typing_state=False)), "typing")
        return tuple(sent)

    @staticmethod
    def _bodies(
        client: AsyncClient, room_id: str, thread: str | None, message: Outgoing
    ) -> Sequence[dict[str, Any] | File]:
        """What each event of a message holds; files are uploaded in their turn. Among others it points to what it answers."""
        notice, labels = content.is_notice(message), content.buttons(message.reply, message.taps)
        texts = content.texts(message.reply)
        room, cause = client.rooms.get(room_id), (message.cause or "").rpartition("/")[2]
        points = cause if cause.startswith("$") and (thread or room is None or not is_private(room)) else None
        bodies: list[dict[str, Any] | File] = []
        for number, rich in enumerate(texts):
            own = labels if number == len(texts) - 1 else {}
            body = content.message(rich, notice=notice, buttons=own)
            stands = message.replaces if number == 0 else None
            bodies.append(content.replacing(stands, body) if stands else content.placed(body, thread, points))
        return [*bodies, *message.reply.files]

    async def _made(
        self, client: AsyncClient, body: dict[str, Any] | File, message: Outgoing, sent: Sequence[str]
    ) -> dict[str, Any]:
        if isinstance(body, dict):
            return body
        path, room_id = Path(body.path), (await self._room(client, message.conversation, tuple(sent)))[0]
        encrypted = self._encryption is not None and self._encryption.is_sealed(room_id)
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise Undeliverable(surface=SURFACE, why=f"{body.name} cannot be read: {error.strerror}") from None
        try:
            answer, keys = await client.upload(
                lambda *_: data, content.media_type(body.name), body.name, filesize=len(data), encrypt=encrypted
            )
        except (ClientError, TimeoutError) as error:
            raise NotSent(surface=SURFACE, why=_words(error), sent=tuple(sent)) from None
        _raise_for(answer, tuple(sent))
        thread = place(message.conversation)[1]
        return content.placed(content.file(body.name, answer.content_uri, len(data), keys), thread, None)

    async def _put(
        self, client: AsyncClient, room_id: str, body: dict[str, Any], message: Outgoing, sent: Sequence[str]
    ) -> str:
        """One event; returns its id. The same transaction id is the same event, however often it is sent."""
        name = f"{self._memory.mark.salt}-{message.id or f'x{self._clock.now()}'}-{len(sent)}"
        try:
            await self._locked(client, room_id, tuple(sent))
            answer = await client.room_send(room_id, "m.room.message", body, tx_id=name, ignore_unverified_devices=True)
        except (ClientError, TimeoutError, Refusal) as error:
            raise NotSent(surface=SURFACE, why=_words(error), sent=tuple(sent)) from None
        _raise_for(answer, tuple(sent))
        return str(answer.event_id)

    async def _locked(self, client: AsyncClient, room_id: str, sent: tuple[str, ...]) -> None:
        """See that what is sent to a room next is encrypted where it must be. Raises rather than let it go in clear."""
        room = client.rooms.get(room_id)
        if self._encryption is None:
            if room_id in self._memory.latched or (room is not None and room.encrypted):
                raise Undeliverable(surface=SURFACE, why="the room is encrypted, and TIMMY_MATRIX_ENCRYPTION is off")
            return
        if room is None:
            _raise_for(await client.joined_members(room_id), sent)
            raise NotSent(surface=SURFACE, why="the room is still unknown", wait=1.0, sent=sent)
        if room.encrypted:
            await self._encryption.share(room_id)
        elif self._encryption.is_sealed(room_id):
            raise Undeliverable(
                surface=SURFACE,
                why="the room was encrypted, and the server says that it is not: nothing is sent there in clear",
            )
        elif self._access.encryption == "required":
            raise Undeliverable(
                surface=SURFACE, why="the room is not encrypted, and TIMMY_MATRIX_ENCRYPTION requires it"
            )

    async def _relabelled(self, client: AsyncClient, room_id: str, under: str, labels: Mapping[str, str]) -> None:
        """The names of these buttons stand under an event, where one tap says the same: Matrix has no other buttons.

        They are a help, since everything can be typed too: a server that does not take them loses no message.
        """
        shown = self._chips.setdefault(under, {})
        _bounded(self._buttons, under, dict(labels))
        _bounded(self._chips, under, shown)
        for label in [label for label in shown if label not in labels]:
            await self._quietly(client.room_redact(room_id, shown.pop(label)))
        for label in [label for label in labels if label not in shown]:
            relation = {"rel_type": "m.annotation", "event_id": under, "key": label}
            name = f"{self._memory.mark.salt}-{under}-{labels[label]}"
            answer = await self._quietly(
                client.room_send(
                    room_id, "m.reaction", {"m.relates_to": relation}, tx_id=name.replace("$", ""),
                    ignore_unverified_devices=True,
                )
            )  # fmt: skip
            if answer is not None:
                shown[label] = str(answer.event_id)

    async def edit(self, where: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]) -> None:
        """See `core.chat.Editor`."""
        if (client := self._client) is None or not (texts := content.texts(reply)):
            return
        room_id, _ = await self._room(client, where, ())
        body = content.message(texts[0], notice=False, buttons=content.buttons(reply, taps))
        try:
            await self._locked(client, room_id, ())
        except (ClientError, TimeoutError, Refusal, NotSent, Undeliverable) as error:
            log.debug("an edit is dropped: %s", _words(error))
            return
        edited = content.replacing(sent[0], body)
        await self._quietly(client.room_send(room_id, "m.room.message", edited, ignore_unverified_devices=True))
        await self._relabelled(client, room_id, sent[0], content.buttons(reply, taps))

    async def relabel(self, where: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]) -> None:
        """See `core.chat.Editor`. The buttons stand under the last text; files come after it."""
        if (client := self._client) is not None:
            room_id, _ = await self._room(client, where, ())
            under = sent[max(0, min(len(content.texts(reply)), len(sent)) - 1)]
            await self._relabelled(client, room_id, under, content.buttons(reply, taps))

    def draft(self, where: str, cause: str, text: str) -> None:  # noqa: ARG002 - each edit stays in a room for ever
        """See `ChatAdapter`: typing, and nothing that stays."""
        client, now = self._client, self._clock.now()
        if client is not None and now - self._typing.get(where, 0) > TYPING_SECONDS * 750:
            self._typing[where] = now
            self._spawner.spawn(self._type(client, where), f"typing {where}")

    async def _type(self, client: AsyncClient, where: str) -> None:
        room_id, _ = await self._room(client, where, ())
        await self._quietly(client.room_typing(room_id, timeout=round(TYPING_SECONDS * 1000)))

    async def _room(self, client: AsyncClient, where: str, sent: tuple[str, ...]) -> tuple[str, str | None]:
        """The room (made, where a person has none with the bot yet) and the thread that a conversation's name means."""
        target, thread = place(where)
        if not target.startswith("@"):
            return target, thread
        room_id = self._direct.get(target)
        if room_id is None or room_id not in client.rooms:
            shared = [room for room in client.rooms.values() if is_private(room) and target in room.users]
            sealed_first = sorted(shared, key=lambda room: not room.encrypted)
            room_id = sealed_first[0].room_id if sealed_first else None
        if room_id is None:
            try:
                locks = [] if self._encryption is None else [EnableEncryptionBuilder().as_dict()]
                answer = await client.room_create(is_direct=True, invite=[target], initial_state=locks)
            except (ClientError, TimeoutError) as error:
                raise NotSent(surface=SURFACE, why=_words(error), sent=sent) from None
            _raise_for(answer, sent)
            room_id = str(answer.room_id)
        self._direct[target] = room_id
        return room_id, thread

    async def _beside(self, ask: Callable[[], Coroutine[Any, Any, Response]]) -> None:
        """Ask for what may be dropped, once this has its turn: a stop before that leaves no call half begun."""
        await self._quietly(ask())

    @staticmethod
    async def _quietly(asked: Coroutine[Any, Any, Response]) -> Response | None:
        """What may be dropped: receipts, typing, edits, buttons."""
        try:
            answer = await asked
        except (ClientError, TimeoutError) as error:
            log.debug("dropped: %s", _words(error))
            return None
        if isinstance(answer, ErrorResponse):
            log.debug("dropped: %s", _why(answer))
            return None
        return answer


def _raise_for(answer: object, sent: tuple[str, ...]) -> None:
    """Raise what a refusal means for a message: `NotSent` if it may be taken later, `Undeliverable` if it never is."""
    if not isinstance(answer, ErrorResponse):
        return
    if answer.status_code == "M_LIMIT_EXCEEDED":
        wait = (answer.retry_after_ms or 1000) / 1000
        raise NotSent(surface=SURFACE, why="it asks to wait", wait=wait, sent=sent)
    if answer.status_code in _NEVER:
        raise Undeliverable(surface=SURFACE, why=_why(answer))
    raise NotSent(surface=SURFACE, why=_why(answer), sent=sent)


def _may_pass(answer: ErrorResponse) -> bool:
    """Whether a refusal may be none later: the server's own faults and limits, but nothing that it says of the request."""
    response = getattr(answer, "transport_response", None)
    status = response.status if response is not None else 0
    return answer.status_code == "M_LIMIT_EXCEEDED" or not 400 <= status < 500  # noqa: PLR2004


def _joins(event: object, user: str) -> bool:
    """Whether an event is the bot's own entry into a room."""
    return (
        isinstance(event, RoomMemberEvent)
        and event.state_key == user
        and event.membership == "join"
        and event.prev_membership != "join"
    )


def _bounded(kept: OrderedDict[str, V], key: str, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _RECENT:
        kept.popitem(last=False)


def _why(answer: ErrorResponse) -> str:
    return f"{answer.status_code or ''} {answer.message or ''}".strip()


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


__all__ = ["SURFACE", "Access", "MatrixSurface", "conversation"]
