"""What goes out on Matrix: messages and their files under names of their own, edits, buttons, and signs that one is at work.

A message goes out under transaction ids that are made of its row's number, so a send that is repeated shows it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError
from nio import ErrorResponse

from adapters.markup import Rich
from adapters.matrix import content
from adapters.matrix.calls import beside, bounded, is_misplaced, quietly, raise_for, why
from adapters.matrix.encryption import Refusal
from adapters.matrix.events import SURFACE, conversation, place
from core.chat import NotSent, Undeliverable
from core.errors import cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nio import AsyncClient

    from adapters.matrix.session import Parts, Session
    from core.chat import File, Outgoing, Reply
    from core.voice.hearing import Voice

log = logging.getLogger(__name__)

TYPING_SECONDS = 20.0
UPLOAD_BYTES = 50 * 2**20
"""What is uploaded at most where the server says nothing of its limit."""

_SHUT = frozenset({"M_FORBIDDEN", "M_NOT_FOUND"})


class Sender:
    """Sends for one signed-in session at a time, which each call names."""

    def __init__(self, parts: Parts) -> None:
        self._access = parts.access
        self._memory = parts.memory
        self._rooms = parts.rooms
        self._buttons = parts.buttons
        self._receipts = parts.receipts
        self._clock = parts.clock
        self._spawner = parts.spawner
        self._typing: dict[str, int] = {}
        self._limit = 0
        self._freed: OrderedDict[str, None] = OrderedDict()
        self._tried: OrderedDict[int, tuple[str, str | None]] = OrderedDict()

    async def send(self, session: Session, message: Outgoing) -> tuple[str, ...]:
        """See `core.chat.ChatAdapter`."""
        client, sent = session.client, list(message.sent)
        room_id, thread = await self._place(client, message)
        for number, body in enumerate(_bodies(message)):
            if number >= len(message.sent):
                made = body if isinstance(body, dict) else await self._filed(session, body, room_id, tuple(sent))
                if "m.relates_to" not in made:
                    content.placed(made, thread, self._answered(thread, message))
                event = await self._put(session, room_id, made, message, tuple(sent))
                sent.append(message.replaces if message.replaces and content.replaces(made) else event)
                self._rooms.sent(conversation(place(message.conversation)[0], thread), room_id, event)
        self._receipts.answered(room_id)
        if sent and (message.taps or message.replaces):
            under = sent[max(0, len(content.texts(message.reply)) - 1)]
            labels = content.buttons(message.reply, message.taps)
            await self._buttons.show(client, room_id, under, labels, self._memory.mark.salt)
        if self._typing.pop(message.conversation, None) is not None:
            self._spawner.spawn(beside(partial(client.room_typing, room_id, typing_state=False)), "typing")
        return tuple(sent)

    async def _place(self, client: AsyncClient, message: Outgoing) -> tuple[str, str | None]:
        """The room and the thread of a message: where a part of it may stand already, if its person may still be reached there."""
        found = await self._rooms.find(client, message.conversation, message.sent)
        tried = self._tried.get(message.id)
        if tried is not None and self._rooms.reaches(client, message.conversation, tried[0]):
            found = tried
        if message.id:
            bounded(self._tried, message.id, found)
        return found

    def _answered(self, thread: str | None, message: Outgoing) -> str | None:
        """What a message points to: among others what it answers, and in a thread (for clients that show none) its newest event."""
        cause = self._buttons.stands_for((message.cause or "").rpartition("/")[2])
        alone = place(message.conversation)[0].startswith("@")
        if cause.startswith("$") and (thread or not alone):
            return cause
        return self._rooms.newest(message.conversation) if thread else None

    async def _filed(self, session: Session, file: File, room_id: str, sent: tuple[str, ...]) -> dict[str, Any]:
        """The content of an event with a file, once it is uploaded; one that cannot be is said to be so in its place."""
        path, client = Path(file.path), session.client
        limit = await self._upload_limit(client, sent)
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
            data = b"" if size > limit else await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            log.warning("%s cannot be read: %s", file.name, error.strerror)
            return _instead(f"{file.name} is no longer here.")
        too_large = _instead(f"{file.name} is larger than the {limit / 2**20:.3g} MB that this Matrix server takes.")
        if size > limit:
            return too_large
        try:
            answer, keys = await self._uploaded(
                session, room_id, data, (content.media_type(file.name), file.name), sent
            )
        except (ClientError, TimeoutError, Refusal) as error:
            raise NotSent(surface=SURFACE, why=cause(error), sent=sent) from None
        if isinstance(answer, ErrorResponse) and answer.status_code == "M_TOO_LARGE":
            return too_large
        raise_for(answer, sent)
        return content.file(file.name, answer.content_uri, len(data), keys)

    async def _uploaded(
        self, session: Session, room_id: str, data: bytes, named: tuple[str, str], sent: tuple[str, ...]
    ) -> tuple[Any, dict[str, Any] | None]:
        """Upload for a room; returns the answer, and the keys where it is encrypted. `named`: the media type and the name.

        Whether it is encrypted is known only once the room is locked, and may change until the file is there.
        """
        await self.lock(session, room_id, sent)
        encryption = session.encryption
        encrypt = encryption is not None and encryption.is_sealed(room_id)
        kind, name = named
        answer, keys = await session.client.upload(lambda *_: data, kind, name, filesize=len(data), encrypt=encrypt)
        if encryption is not None and encryption.is_sealed(room_id) != encrypt:
            raise NotSent(surface=SURFACE, why="the room is encrypted since a moment ago", wait=0.0, sent=sent)
        return answer, keys

    async def _upload_limit(self, client: AsyncClient, sent: tuple[str, ...]) -> int:
        """The largest file that the server takes, in bytes; asked once."""
        if not self._limit:
            try:
                answer = await client.content_repository_config()
            except (ClientError, TimeoutError) as error:
                raise NotSent(surface=SURFACE, why=cause(error), sent=sent) from None
            said = getattr(answer, "upload_size", None)
            if not isinstance(said, int):
                return UPLOAD_BYTES
            self._limit = said
        return self._limit

    async def _put(
        self, session: Session, room_id: str, body: dict[str, Any], message: Outgoing, sent: tuple[str, ...]
    ) -> str:
        """One event; returns its id. The same transaction id is the same event, however often it is sent.

        What was once sent without what it refers to stays so: it may stand there, though nobody heard that.
        """
        name = f"{self._memory.mark.salt}-{message.id or f'x{self._clock.now()}'}-{len(sent)}"
        try:
            await self.lock(session, room_id, sent)
            answer = None if name in self._freed else await _sent(session.client, room_id, body, name)
            if answer is None or ("m.relates_to" in body and is_misplaced(answer)):
                log.info(
                    "what a message refers to is not in its room any more: %s", why(answer) if answer else "as before"
                )
                bounded(self._freed, name, None)
                content.free(body)
                answer = await _sent(session.client, room_id, body, f"{name}-room")
        except (ClientError, TimeoutError, Refusal) as error:
            raise NotSent(surface=SURFACE, why=cause(error), sent=sent) from None
        is_shut = isinstance(answer, ErrorResponse) and answer.status_code in _SHUT
        if is_shut and place(message.conversation)[0].startswith("@") and self._rooms.close(room_id):
            raise NotSent(surface=SURFACE, why=why(answer), wait=0.0, sent=sent)  # they are reached in another room
        raise_for(answer, sent)
        return str(answer.event_id)

    async def lock(self, session: Session, room_id: str, sent: tuple[str, ...]) -> None:
        """See that what is sent to a room next is encrypted where it must be. Raises rather than let it go in clear."""
        room = session.client.rooms.get(room_id)
        if session.encryption is None:
            if room_id in self._memory.latched or (room is not None and room.encrypted):
                raise Undeliverable(surface=SURFACE, why="the room is encrypted, and TIMMY_MATRIX_ENCRYPTION is off")
            return
        if room is None:
            raise_for(await session.client.joined_members(room_id), sent)
            raise NotSent(surface=SURFACE, why="the room is still unknown", wait=1.0, sent=sent)
        if room.encrypted:
            await session.encryption.share(room_id)
        elif session.encryption.is_sealed(room_id) and self._rooms.is_young(room_id):
            raise NotSent(surface=SURFACE, why="the room's encryption is not told yet", wait=1.0, sent=sent)
        elif session.encryption.is_sealed(room_id):
            raise Undeliverable(
                surface=SURFACE,
                why="the room was encrypted, and the server says that it is not: nothing is sent there in clear",
            )
        elif self._access.encryption == "required":
            raise Undeliverable(
                surface=SURFACE, why="the room is not encrypted, and TIMMY_MATRIX_ENCRYPTION requires it"
            )

    async def edit(
        self, session: Session, where: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]
    ) -> None:
        """See `core.chat.Editor`."""
        if not (texts := content.texts(reply)):
            return
        client, labels = session.client, content.buttons(reply, taps)
        try:
            room_id = await self._rooms.holding(client, where, sent[0])
            await self.lock(session, room_id, ())
        except (ClientError, TimeoutError, Refusal, NotSent, Undeliverable) as error:
            log.debug("an edit is dropped: %s", cause(error))
            return
        edited = content.replacing(sent[0], content.message(texts[0], notice=False, buttons=labels))
        await quietly(client.room_send(room_id, "m.room.message", edited, ignore_unverified_devices=True))
        await self._buttons.show(client, room_id, sent[0], labels, self._memory.mark.salt)

    async def relabel(
        self, session: Session, where: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]
    ) -> None:
        """See `core.chat.Editor`. The buttons stand under the last text; files come after it."""
        try:
            room_id = await self._rooms.holding(session.client, where, sent[0])
        except (NotSent, Undeliverable) as error:
            log.debug("buttons stay as they are: %s", cause(error))
            return
        under = sent[max(0, min(len(content.texts(reply)), len(sent)) - 1)]
        labels = content.buttons(reply, taps)
        await self._buttons.show(session.client, room_id, under, labels, self._memory.mark.salt)

    async def speak(self, session: Session, where: str, voice: Voice) -> None:
        """See `core.voice.hearing.Speaks`."""
        client = session.client
        room_id, thread = await self._rooms.find(client, where, ())
        try:
            answer, keys = await self._uploaded(session, room_id, voice.ogg, ("audio/ogg", "answer.ogg"), ())
            raise_for(answer, ())
            await self.lock(session, room_id, ())
            body = content.placed(content.voice(answer.content_uri, voice, keys), thread, None)
            raise_for(await client.room_send(room_id, "m.room.message", body, ignore_unverified_devices=True), ())
        except (ClientError, TimeoutError, Refusal) as error:
            raise NotSent(surface=SURFACE, why=cause(error)) from None

    def draft(self, session: Session, where: str) -> None:
        """Typing, and nothing that stays: each edit stays in a room for ever."""
        now = self._clock.now()
        if now - self._typing.get(where, 0) > TYPING_SECONDS * 750:
            self._typing[where] = now
            self._spawner.spawn(self._type(session.client, where), f"typing {where}")

    async def _type(self, client: AsyncClient, where: str) -> None:
        with contextlib.suppress(NotSent, Undeliverable):
            room_id, _ = await self._rooms.find(client, where, ())
            await quietly(client.room_typing(room_id, timeout=round(TYPING_SECONDS * 1000)))


async def _sent(client: AsyncClient, room_id: str, body: dict[str, Any], name: str) -> Any:
    return await client.room_send(room_id, "m.room.message", body, tx_id=name, ignore_unverified_devices=True)


def _bodies(message: Outgoing) -> Sequence[dict[str, Any] | File]:
    """What each event of a message holds; files are uploaded in their turn."""
    notice, labels = content.is_notice(message), content.buttons(message.reply, message.taps)
    texts = content.texts(message.reply)
    bodies: list[dict[str, Any] | File] = []
    for number, rich in enumerate(texts):
        body = content.message(rich, notice=notice, buttons=labels if number == len(texts) - 1 else {})
        bodies.append(content.replacing(message.replaces, body) if message.replaces and number == 0 else body)
    return [*bodies, *message.reply.files]


def _instead(text: str) -> dict[str, Any]:
    """What stands in the place of a file that cannot be sent."""
    return content.message(Rich(text), notice=True, buttons={})
