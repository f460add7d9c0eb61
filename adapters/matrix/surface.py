"""The Matrix surface: one sync, one sender for each conversation (the hub's), edits, reactions as buttons, threads, and files.

What a sync brings is stored before its token is saved; `hearing` reads it, `sending` says what goes out.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError
from nio import EncryptionError, ErrorResponse, SyncResponse

from adapters.matrix import content
from adapters.matrix.buttons import Buttons
from adapters.matrix.calls import RETRY_SECONDS, may_pass, raise_for, why
from adapters.matrix.events import SURFACE, conversation, place
from adapters.matrix.hearing import KEY_SECONDS, Ear
from adapters.matrix.receipts import Receipts
from adapters.matrix.rooms import Rooms
from adapters.matrix.sending import Sender
from adapters.matrix.session import Access, Parts, SignInRefused, Told, signed_in
from adapters.matrix.verification import Ties, Verifications
from core.chat import NotFetched, NotSent
from core.errors import UserError, cause
from core.voice.hearing import NOTE_BYTES, refuse_longer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nio import AsyncClient

    from adapters.matrix.encryption import Encryption
    from adapters.matrix.identity import IdentityFile
    from adapters.matrix.memory import Memory
    from adapters.matrix.session import Session
    from adapters.matrix.verification import Flow
    from core.chat import Attachment, Inbound, Outgoing, Reply
    from core.ports import Clock, Spawner
    from core.voice.hearing import Voice

log = logging.getLogger(__name__)
for noisy in (
    "nio",
    "peewee",
):  # every event, a missing key at each look; every statement of the store, with what it holds
    logging.getLogger(noisy).setLevel(logging.ERROR)

SYNC_SECONDS = 25
KEY_SYNC_SECONDS = 2
TIMELINE = 50
"""Events of one room that a sync may bring at once; the others are fetched after it."""

FETCH_BYTES = 50 * 2**20
_FILTER = {
    "presence": {"types": []}, "account_data": {"types": []},
    "room": {"timeline": {"limit": TIMELINE}, "ephemeral": {"types": []}, "account_data": {"types": []}},
}  # fmt: skip


class TooLargeForMatrix(UserError):
    """{name} is larger than the {limit} MB that I take from Matrix. Put it into the hub's workspace folder instead."""

    status = 413


class NotOnMatrix(UserError):
    """{name} could not be fetched from Matrix ({why}). Send it again."""


class MatrixSurface:
    """See `core.chat.ChatAdapter`, `Editor` and `Threaded`."""

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
        self._clock = clock
        self._told = told
        self._token = memory.mark.token
        rooms, receipts = Rooms(memory, encrypts=access.encryption != "off"), Receipts(clock, spawner)
        self._parts = Parts(access, memory, rooms, Buttons(clock), receipts, clock, spawner)
        self._sender = Sender(self._parts)
        self._session: Session | None = None
        self._ear: Ear | None = None
        self._verifications: Verifications | None = None
        self._held_since = 0
        self.heard_at: int | None = None

    @property
    def advice(self) -> tuple[str, ...]:
        """See `ChatAdapter`."""
        encryption = self._session.encryption if self._session is not None else None
        return (encryption.fault,) if encryption is not None and encryption.fault else ()

    # In ----------------------------------------------------------------------------------------------------------

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """Sync until cancelled. Raises `SignInRefused` or `NoHomeserver` where it cannot begin."""
        self.heard_at = self.heard_at or self._clock.now()
        session = await signed_in(self._access, self._identity, self._memory, self._told)
        client, encryption = session.client, session.encryption
        try:
            if encryption is not None:
                self._verifications = Verifications(encryption.who(), self._ties(session, encryption), self._clock)
            self._ear = ear = Ear(self._parts, session, self._verifications, receive)
            first = await self._synced(client, ear, full=True)
            self._session = session
            await self._take(ear, first)
            await self._told.back()
            while True:
                if encryption is not None:
                    await encryption.tend()
                await self._take(ear, await self._synced(client, ear))
        finally:
            self._session = self._ear = self._verifications = None
            self._token = self._memory.mark.token
            await client.close()

    async def _synced(self, client: AsyncClient, ear: Ear, *, full: bool = False) -> SyncResponse:
        """The next sync; the first of a process brings the whole state of every room, and waits for nothing."""
        while True:
            try:
                wait = 0 if full else (KEY_SYNC_SECONDS if ear.waiting else SYNC_SECONDS) * 1000
                answer = await client.sync(wait, _FILTER, since=self._token or None, full_state=full or None)
            except (ClientError, TimeoutError) as error:
                log.info("a sync with Matrix failed: %s", cause(error))
            else:
                if isinstance(answer, SyncResponse):
                    self.heard_at = self._clock.now()
                    return answer
                if answer.status_code in {"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"}:
                    raise SignInRefused(
                        server=self._access.homeserver, what="access token", why=why(answer),
                        setting="TIMMY_MATRIX_ACCESS_TOKEN",
                    )  # fmt: skip
                log.info("a sync with Matrix failed: %s", why(answer))
            await self._clock.sleep(RETRY_SECONDS)

    async def _take(self, ear: Ear, answer: SyncResponse) -> None:
        """Make what a sync brought durable, then save how far that is; messages whose keys may come hold that back for a while."""
        await ear.take(answer, self._token)
        self._token = answer.next_batch
        self._held_since = (self._held_since or self._clock.now()) if ear.waiting else 0
        is_held = ear.waiting and self._clock.now() - self._held_since < 2 * KEY_SECONDS * 1000
        if answer.next_batch != self._memory.mark.token and not is_held:
            await self._memory.save(answer.next_batch)

    def _ties(self, session: Session, encryption: Encryption) -> Ties:
        """What a verification reaches."""

        async def send(room: str, kind: str, said: dict[str, Any]) -> None:
            await self._sender.lock(session, room, ())
            raise_for(await session.client.room_send(room, kind, said, ignore_unverified_devices=True), ())

        async def ask(flow: Flow) -> None:
            question = f"{flow.user} wants to verify me on Matrix. Does their screen show exactly this?\n{flow.shown}"
            await self._told.ask(flow.shown_as, question, flow.user)

        return Ties(send, ask, encryption.keys, encryption.verified, self._told.known)

    async def confirm(self, shown: str) -> str:
        """The owner says that somebody sees what the bot shows. Returns what came of it, in words."""
        if self._verifications is None:
            raise NotOnMatrix(name="The verification", why="it is down")
        return await self._verifications.confirm(shown)

    async def fetch(self, attachment: Attachment) -> bytes:
        """See `ChatAdapter`."""
        if attachment.size > FETCH_BYTES:
            raise TooLargeForMatrix(name=attachment.name, limit=FETCH_BYTES // 2**20)
        if self._session is None:
            raise NotFetched(surface="Matrix", name=attachment.name, why="it is down")
        try:
            url, opens = content.referred(attachment.ref)
            body = await self._session.client.file(url, NOTE_BYTES if attachment.spoken else FETCH_BYTES)
        except ValueError as error:
            raise NotOnMatrix(name=attachment.name, why=cause(error)) from None
        except (ClientError, TimeoutError) as error:
            raise NotFetched(surface="Matrix", name=attachment.name, why=cause(error)) from None
        if isinstance(body, ErrorResponse):
            if may_pass(body):
                wait = (body.retry_after_ms or 0) / 1000
                raise NotFetched(surface="Matrix", name=attachment.name, why=why(body), wait=wait)
            raise NotOnMatrix(name=attachment.name, why=why(body))
        if attachment.spoken:
            refuse_longer(len(body))
        if len(body) > FETCH_BYTES:
            raise TooLargeForMatrix(name=attachment.name, limit=FETCH_BYTES // 2**20)
        try:
            return await asyncio.to_thread(opens, body)
        except (EncryptionError, ValueError):
            raise NotOnMatrix(name=attachment.name, why="its content is not what was sent") from None

    # Out ---------------------------------------------------------------------------------------------------------

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        """See `ChatAdapter`."""
        if self._session is None:
            raise NotSent(surface=SURFACE, why="it is down", sent=message.sent)
        return await self._sender.send(self._session, message)

    def thread(self, where: str, root: str) -> str | None:
        """See `core.chat.Threaded`: a thread has none beneath it."""
        return None if place(where)[1] else conversation(place(where)[0], root)

    def above(self, where: str) -> str | None:
        """See `core.chat.Threaded`."""
        target, thread = place(where)
        return conversation(target) if thread else None

    async def speak(self, where: str, voice: Voice) -> None:
        """See `core.voice.hearing.Speaks`."""
        if self._session is None:
            raise NotSent(surface=SURFACE, why="it is down")
        await self._sender.speak(self._session, where, voice)

    async def edit(self, where: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]) -> None:
        """See `core.chat.Editor`."""
        if self._session is not None:
            await self._sender.edit(self._session, where, sent, reply, taps)

    async def relabel(self, where: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]) -> None:
        """See `core.chat.Editor`."""
        if self._session is not None:
            await self._sender.relabel(self._session, where, sent, reply, taps)

    def draft(self, where: str, cause: str, text: str) -> None:  # noqa: ARG002 - Matrix shows only that one is at work
        """See `ChatAdapter`."""
        if self._session is not None:
            self._sender.draft(self._session, where)


__all__ = ["SURFACE", "Access", "MatrixSurface", "Told", "conversation"]
