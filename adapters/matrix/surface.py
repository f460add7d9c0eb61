"""The Matrix surface: one sync, one sender for each conversation (the hub's), edits, reactions as buttons, and files.

What a sync brings is stored before its token is saved, and what a sync left out of a busy room is fetched first. A message
goes out under transaction ids that are made of its row's number, so a send that is repeated shows it once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError
from nio import (
    AsyncClient,
    AsyncClientConfig,
    ErrorResponse,
    InviteMemberEvent,
    MessageDirection,
    ReactionEvent,
    RoomMemberEvent,
    SyncResponse,
)

from adapters.matrix import content
from adapters.matrix.events import SURFACE, conversation, is_private, place, read
from core.chat import NotSent, Undeliverable
from core.errors import Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from nio import Event, InviteInfo, MatrixRoom, Response, RoomInfo

    from core.chat import Attachment, File, Inbound, Outgoing, Reply
    from core.ports import Clock, Spawner

log = logging.getLogger(__name__)

SYNC_SECONDS = 25
PATIENCE_SECONDS = 30.0
RETRY_SECONDS = 3.0
TIMELINE = 50
"""Events of one room that a sync may bring at once; the others are fetched after it."""

BACKFILL = 100
MOST_MISSED = 10_000
"""Events of one room that are fetched after a long absence, at most."""

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
    """How to reach Matrix, the rooms that are listed, and whose invitations are taken."""

    homeserver: str
    user: str
    password: str
    access_token: str
    device: str
    rooms: frozenset[str]
    inviters: frozenset[str]


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the bot has heard: its sync token (empty: nothing yet), and the salt of its transaction ids."""

    token: str
    salt: str


class MatrixSurface:
    """See `core.chat.ChatAdapter`. `back` is told when messages can be sent (again); `save` keeps the sync token."""

    name = SURFACE

    def __init__(
        self,
        access: Access,
        mark: Mark,
        *,
        clock: Clock,
        spawner: Spawner,
        back: Callable[[], Awaitable[None]],
        save: Callable[[str], Awaitable[None]],
    ) -> None:
        self._access = access
        self._mark = mark
        self._token = mark.token
        self._clock = clock
        self._spawner = spawner
        self._back = back
        self._save = save
        self._client: AsyncClient | None = None
        self._direct: dict[str, str] = {}
        self._buttons: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._chips: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._typing: dict[str, int] = {}
        self.heard_at: int | None = None

    # In ----------------------------------------------------------------------------------------------------------

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """Sync until cancelled. Raises `SignInRefused` or `NoHomeserver` where it cannot begin."""
        self.heard_at = self.heard_at or self._clock.now()
        config = AsyncClientConfig(
            encryption_enabled=False, max_limit_exceeded=0, max_timeouts=0, request_timeout=PATIENCE_SECONDS
        )
        client = AsyncClient(self._access.homeserver, self._access.user, self._access.device, config=config)
        try:
            await self._sign_in(client)
            first = await self._synced(client, full=True)
            self._client = client
            await self._take(client, first, receive)
            await self._back()
            while True:
                await self._take(client, await self._synced(client), receive)
        finally:
            self._client = None
            await client.close()

    async def _sign_in(self, client: AsyncClient) -> None:
        server, access = self._access.homeserver, self._access
        try:
            if access.access_token:
                client.restore_login(access.user, access.device, access.access_token)
                answer: Response = await client.whoami()
            else:
                answer = await client.login(access.password, device_name="Timmy")
        except (ClientError, TimeoutError) as error:
            raise NoHomeserver(server=server, why=_words(error)) from None
        if not isinstance(answer, ErrorResponse):
            if access.access_token:
                client.restore_login(answer.user_id, answer.device_id or access.device, access.access_token)
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
                wait = 0 if full else SYNC_SECONDS * 1000
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
        known = bool(self._token)
        await asyncio.gather(
            *(self._take_room(client, room, info, receive, known=known) for room, info in answer.rooms.join.items())
        )
        if answer.next_batch != self._token:
            await self._save(answer.next_batch)
            self._token = answer.next_batch

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
            tap = await self._tapped(client, room_id, event) if isinstance(event, ReactionEvent) else ""
            try:
                inbound = read(event, room, self._access.rooms, tap)
            except Exception:
                log.exception("Matrix sent an event that cannot be read; it is passed over")
                continue
            if inbound is None:
                continue
            if inbound.private:
                self._direct[event.sender] = room_id
            await receive(inbound)
            last = event.event_id
        if last is not None:
            self._spawner.spawn(self._quietly(client.update_receipt_marker(room_id, last)), "receipt")

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
        """An answer of the server, however long it is away or asks to wait; what it refuses is returned."""
        while True:
            try:
                answer = await ask()
            except (ClientError, TimeoutError) as error:
                log.info("Matrix is asked again: %s", _words(error))
            else:
                if not isinstance(answer, ErrorResponse) or answer.status_code in _NEVER:
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
        if event.sender == client.user_id:
            return ""
        buttons = self._buttons.get(event.reacts_to)
        if buttons is None:
            found = await self._surely(lambda: client.room_get_event(room_id, event.reacts_to))
            if isinstance(found, ErrorResponse) or found.event.sender != client.user_id:
                return ""
            said = found.event.source.get("content", {}).get(content.BUTTONS)
            buttons = {str(label): str(tap) for label, tap in said.items()} if isinstance(said, dict) else {}
        return buttons.get(event.key, "")

    async def fetch(self, attachment: Attachment) -> bytes:
        """See `ChatAdapter`."""
        if attachment.size > FETCH_BYTES:
            raise TooLargeForMatrix(name=attachment.name, limit=FETCH_BYTES // 2**20)
        if self._client is None:
            raise NotOnMatrix(name=attachment.name, why="it is down")
        try:
            answer = await self._client.download(attachment.ref)
        except (ClientError, TimeoutError) as error:
            raise NotOnMatrix(name=attachment.name, why=_words(error)) from None
        if isinstance(answer, ErrorResponse):
            raise NotOnMatrix(name=attachment.name, why=_why(answer))
        body = answer.body
        if not isinstance(body, bytes) or len(body) > FETCH_BYTES:
            raise TooLargeForMatrix(name=attachment.name, limit=FETCH_BYTES // 2**20)
        return body

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
        self._spawner.spawn(self._quietly(client.room_typing(room_id, typing_state=False)), "typing")
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
        path = Path(body.path)
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise Undeliverable(surface=SURFACE, why=f"{body.name} cannot be read: {error.strerror}") from None
        try:
            answer, _ = await client.upload(
                lambda *_: data, content.media_type(body.name), body.name, filesize=len(data)
            )
        except (ClientError, TimeoutError) as error:
            raise NotSent(surface=SURFACE, why=_words(error), sent=tuple(sent)) from None
        _raise_for(answer, tuple(sent))
        thread = place(message.conversation)[1]
        return content.placed(content.file(body.name, answer.content_uri, len(data)), thread, None)

    async def _put(
        self, client: AsyncClient, room_id: str, body: dict[str, Any], message: Outgoing, sent: Sequence[str]
    ) -> str:
        """One event; returns its id. The same transaction id is the same event, however often it is sent."""
        room = client.rooms.get(room_id)
        if room is not None and room.encrypted:
            raise Undeliverable(
                surface=SURFACE, why="the room is encrypted, and this version writes in plain rooms only"
            )
        name = f"{self._mark.salt}-{message.id or f'x{self._clock.now()}'}-{len(sent)}"
        try:
            answer = await client.room_send(room_id, "m.room.message", body, tx_id=name)
        except (ClientError, TimeoutError) as error:
            raise NotSent(surface=SURFACE, why=_words(error), sent=tuple(sent)) from None
        _raise_for(answer, tuple(sent))
        return str(answer.event_id)

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
            name = f"{self._mark.salt}-{under}-{labels[label]}"
            answer = await self._quietly(
                client.room_send(room_id, "m.reaction", {"m.relates_to": relation}, tx_id=name.replace("$", ""))
            )
            if answer is not None:
                shown[label] = str(answer.event_id)

    async def edit(self, where: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]) -> None:
        """See `core.chat.Editor`."""
        if (client := self._client) is None or not (texts := content.texts(reply)):
            return
        room_id, _ = await self._room(client, where, ())
        body = content.message(texts[0], notice=False, buttons=content.buttons(reply, taps))
        await self._quietly(client.room_send(room_id, "m.room.message", content.replacing(sent[0], body)))
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
            room_id = next(
                (room.room_id for room in client.rooms.values() if is_private(room) and target in room.users), None
            )
        if room_id is None:
            try:
                answer = await client.room_create(is_direct=True, invite=[target])
            except (ClientError, TimeoutError) as error:
                raise NotSent(surface=SURFACE, why=_words(error), sent=sent) from None
            _raise_for(answer, sent)
            room_id = str(answer.room_id)
        self._direct[target] = room_id
        return room_id, thread

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


def _joins(event: object, user: str) -> bool:
    """Whether an event is the bot's own entry into a room."""
    return (
        isinstance(event, RoomMemberEvent)
        and event.state_key == user
        and event.membership == "join"
        and event.prev_membership != "join"
    )


def _bounded(kept: OrderedDict[str, dict[str, str]], key: str, value: dict[str, str]) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _RECENT:
        kept.popitem(last=False)


def _why(answer: ErrorResponse) -> str:
    return f"{answer.status_code or ''} {answer.message or ''}".strip()


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


__all__ = ["SURFACE", "Access", "Mark", "MatrixSurface", "conversation"]
