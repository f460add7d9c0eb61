"""Siri Shortcuts as a chat surface: a request is a message, and its response the answer to it.

Who is told what: an answer is told once. Whoever holds a request open when it is ready, or asks for it within `GRACE_MS`,
gets it; else it is sent to the person's home chat, and the Shortcut that asks later is told so. What a voice leaves out of
an answer (a table, code, what is longer than a minute) is in the home chat too, whole, for the speech says "in the chat".
The same request again gets what the first one got, or would have got, and causes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from adapters.markup import of, whole
from adapters.shortcuts.answers import answered, at_home, in_chat, not_yet
from adapters.shortcuts.recordings import Recordings
from core.chat import Attachment, Inbound, Undeliverable
from core.errors import Refused, Unavailable, UserError
from core.messages import RECORDING, Job, MessageTx
from core.store import patiently
from core.tokens import SHORTCUTS, TokenTx, home_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from adapters.shortcuts.answers import Said
    from core.chat import Outgoing
    from core.messages import JobStore
    from core.ports import Clock, IdSource
    from core.store import Store
    from core.tokens import TokenRow

log = logging.getLogger(__name__)

WAIT_MS = 7000
"""How long a request is held open for its answer: a response comes within 8 s (CONTRACT)."""

GRACE_MS = 20_000
"""How long an answer that nobody waited for can be fetched before it is sent home."""

MAX_OPEN = 100
"""Requests that are held open at a time."""

MAX_EACH = 20
"""Of these, one device's: no device has all the room."""

MAX_WORDS = 120
TOLD, HOME = "shortcut", "home"
"""Where an answer was told: the ids of this surface's messages."""


class KeyReused(UserError):
    """This Idempotency-Key came with another request before. Use a new key for each new request."""


class UnknownJob(UserError):
    """There is no such job, or it was not asked by this device."""

    status = 404


class SpeaksForNobody(Refused):
    """This device speaks for nobody here any more: its token was revoked, or whoever it spoke for is not let in."""


class ShortcutsDown(Unavailable):
    """The hub is starting or stopping. Send it again, with the same Idempotency-Key."""


class TooManyOpen(Unavailable):
    """Too many requests wait for their answers ({limit}). Send it again in a moment, with the same Idempotency-Key."""


class DeskTx(MessageTx, TokenTx, Protocol):
    """A unit of work over what Shortcuts asked, and the answers."""

    @property
    def shortcuts(self) -> JobStore:
        """What they asked."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: whose `device`, its `route`, what it says, and its Idempotency-Key, if it has one.

    `recording` is what was said, where it is not yet words; `media` its type. `said` is the request as it came, where the
    hub reads its `text` out of it. `alive` says whether whoever asked is still there.
    """

    device: TokenRow
    route: str
    text: str
    alive: Callable[[], bool]
    key: str | None = None
    recording: bytes | None = None
    media: str = ""
    said: str | None = None

    @property
    def digest(self) -> str:
        """What stands for exactly this request, but for its key: as it came, for what it means may be read otherwise later."""
        said = self.text if self.said is None else self.said
        heard = hashlib.sha256(self.recording).hexdigest() if self.recording is not None else ""
        return hashlib.sha256(json.dumps([self.route, said, heard]).encode()).hexdigest()


@dataclass(slots=True, eq=False)
class _Waiter:
    """A request that is held open, and the answer it was given; `gone`: whoever asked is told nothing any more."""

    alive: Callable[[], bool]
    told: asyncio.Event = field(default_factory=asyncio.Event)
    message: Outgoing | None = None
    gone: bool = False


class ShortcutsSurface:
    """See `core.chat.ChatAdapter`.

    `lives` says whether a token (its hash) is live and its person has a role; `send` hands on what was written for their
    home; `back` has what waits for this surface sent again.
    """

    name = "shortcuts"
    heard_at = None
    advice = ()

    def __init__(  # noqa: PLR0913 - its ports
        self, store: Store[DeskTx], clock: Clock, ids: IdSource, recordings: Recordings, *,
        lives: Callable[[TokenTx, str, str], bool], send: Callable[[Outgoing], None], back: Callable[[], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._ids = ids
        self._recordings = recordings
        self._lives = lives
        self._send = send
        self._back = back
        self._receive: Callable[[Inbound], Awaitable[None]] | None = None
        self._open: Counter[str] = Counter()  # requests, by the hash of their token
        self._desk: dict[str, list[_Waiter]] = {}
        self._left: dict[int, tuple[int, Outgoing]] = {}  # answers that nobody waited for, and until when they stay
        self._wake = asyncio.Event()

    # Requests --------------------------------------------------------------------------------------------------

    async def ask(self, ask: Ask) -> Said:
        """Take a request in and answer it. Raises this module's errors, and what a recording may."""
        until = self._clock.now() + WAIT_MS
        receive = self._receive
        if receive is None:
            raise ShortcutsDown
        with self.held(ask.device):
            return await self._asked(ask, receive, until)

    async def _asked(self, ask: Ask, receive: Callable[[Inbound], Awaitable[None]], until: int) -> Said:
        name, digest = self._ids.token(9), ask.digest

        def work(tx: DeskTx) -> tuple[Job, bool]:
            self._alive(tx, ask.device)
            words = " ".join(ask.text.split())[:MAX_WORDS] or RECORDING
            made = Job(name, ask.device.hash, ask.key or name, digest, ask.device.for_actor or "", words)
            return tx.shortcuts.open(made, tx.now), tx.shortcuts.received(made)

        job, received = await self._store.write(work)
        if job.request != digest:
            raise KeyReused
        message = await self._message(ask, job, received=received)
        with self._at_desk(message.key, ask.alive) as waiter:
            await receive(message)  # does nothing if it was received before
            if job.name != name and (told := await self._told(job, waiter)):
                return told
            return await self._waited(job, waiter, until)

    async def result(self, device: TokenRow, name: str, alive: Callable[[], bool]) -> Said:
        """The answer of a job, once there is one. Raises `TooManyOpen`, `UnknownJob` and `SpeaksForNobody`."""
        until = self._clock.now() + WAIT_MS

        def work(tx: DeskTx) -> Job | None:
            self._alive(tx, device)
            return tx.shortcuts.find(name)

        with self.held(device):
            job = await self._store.read(work)
            if job is None or job.token != device.hash:
                raise UnknownJob
            with self._at_desk(_key(job), alive) as waiter:
                return await self._told(job, waiter) or await self._waited(job, waiter, until)

    def _alive(self, tx: TokenTx, device: TokenRow) -> None:
        if not self._lives(tx, device.hash, device.for_actor or ""):
            raise SpeaksForNobody

    def _open_to(self, tx: TokenTx, job: Job) -> None:
        if not self._lives(tx, job.token, job.person):
            raise SpeaksForNobody

    async def _message(self, ask: Ask, job: Job, *, received: bool) -> Inbound:
        """The message that a request is. Its recording is kept until it was heard, and not again where it was received before."""
        actor = f"{SHORTCUTS}{ask.device.name}"
        files: tuple[Attachment, ...] = ()
        if ask.recording is not None and not received:
            ref = _recorded(_key(job))
            await self._recordings.keep(ref, ask.recording, self._clock.now())
            files = (Attachment(f"recording.{ask.media}", len(ask.recording), ref, spoken=True),)
        place = f"{actor}/{job.token[:12]}"  # another token of this name may be another person's
        return Inbound(self.name, job.token, job.key, place, actor, ask.text, files=files)

    @contextmanager
    def held(self, device: TokenRow) -> Iterator[None]:
        """Count a request from its first moment, before anything of it is awaited. Raises `TooManyOpen`."""
        for count, limit in ((self._open[device.hash], MAX_EACH), (self._open.total(), MAX_OPEN)):
            if count >= limit:
                raise TooManyOpen(limit=limit)
        self._open[device.hash] += 1
        try:
            yield
        finally:
            self._open[device.hash] -= 1
            if not self._open[device.hash]:
                del self._open[device.hash]

    @contextmanager
    def _at_desk(self, key: str, alive: Callable[[], bool]) -> Iterator[_Waiter]:
        waiter = _Waiter(alive)
        waiting = self._desk.setdefault(key, [])
        waiting.append(waiter)
        try:
            yield waiter
        finally:
            waiting.remove(waiter)
            if not waiting:
                self._desk.pop(key, None)

    async def _waited(self, job: Job, waiter: _Waiter, until: int) -> Said:
        """The answer, if it comes in time."""
        if self._receive is not None:
            await self._clock.until(until, waiter.told)
        if waiter.gone:
            raise SpeaksForNobody
        if waiter.message is None:
            return not_yet(job)

        def work(tx: DeskTx) -> Job:
            self._open_to(tx, job)
            return tx.shortcuts.find(job.name) or job  # a recording was heard by now

        return answered(waiter.message.reply, await self._store.read(work))

    async def _told(self, job: Job, waiter: _Waiter) -> Said | None:
        """The answer that is there already: whoever asks takes it, unless it was sent home. None if there is none."""
        key = _key(job)
        if await self._store.read(lambda tx: tx.shortcuts.answer(key)) is None:
            return None
        await self._recordings.discard(_recorded(key))  # it may have come again after the answer was sent
        if not waiter.alive():
            return not_yet(job)

        def work(tx: DeskTx) -> tuple[Outgoing, Outgoing | None]:
            self._open_to(tx, job)
            found = tx.shortcuts.answer(key)
            assert found is not None  # noqa: S101 - answers stay as long as jobs
            taken = found.waits and tx.shortcuts.take(found.message.id, TOLD)
            return found.message, self._rest(tx, job, found.message) if taken else None

        message, rest = await self._store.write(work)
        self._left.pop(message.id, None)
        if rest is not None:
            self._send(rest)
        return in_chat() if HOME in message.sent else answered(message.reply, job)

    # Answers ---------------------------------------------------------------------------------------------------

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """See `ChatAdapter`: requests come through the sidecar; here what nobody fetches is sent home."""
        self._receive = receive
        try:
            await self._recordings.sweep(self._clock.now())
            await self._back()
            while True:
                self._wake.clear()
                now = self._clock.now()
                for message in [message for until, message in self._left.values() if until <= now]:
                    await self._send_home(message)
                ends = [until for until, _ in self._left.values()]
                await self._clock.until(min(ends) if ends else None, self._wake)
        finally:
            self._receive = None
            for waiter in [one for waiting in self._desk.values() for one in waiting]:
                waiter.told.set()

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        """See `ChatAdapter`: to whoever holds a request open; else it waits to be fetched. Where a device ended, nobody is told.

        Whoever comes while this looks finds the answer by themselves, and what their speech points to is written then.
        """
        if message.cause is None:
            raise Undeliverable(surface=self.name, why="a Shortcut asks, and is told nothing else")
        if not message.id:
            return (TOLD,)  # a word on the way; the answer follows
        await self._recordings.discard(_recorded(message.cause))
        there = self._there(message.cause)
        if not await self._copied(message, copies=bool(there) and not whole(of(message.reply))):
            for waiter in self._desk.get(message.cause, ()):
                waiter.gone = True
                waiter.told.set()
            raise Undeliverable(surface=self.name, why="the device that asked speaks for nobody any more")
        if told := [waiter for waiter in self._there(message.cause) if waiter in there]:
            for waiter in told:
                waiter.message = message
                waiter.told.set()
            return (TOLD,)
        self._left[message.id] = (self._clock.now() + GRACE_MS, message)
        self._wake.set()
        return None

    def _there(self, cause: str) -> list[_Waiter]:
        return [waiter for waiter in self._desk.get(cause, ()) if waiter.alive()]

    async def _copied(self, message: Outgoing, *, copies: bool) -> bool:
        """Send home what the speech points to, if it `copies`; False where nobody may be told any more."""

        def work(tx: DeskTx) -> tuple[bool, Outgoing | None]:
            job = _job(tx, message)
            if job is None or not self._lives(tx, job.token, job.person):
                return False, None
            return True, _home(tx, job, message, heard=False) if copies else None

        told, rest = await (patiently(self._store, work, self._clock) if copies else self._store.read(work))
        if rest is not None:
            self._send(rest)
        return told

    async def _send_home(self, message: Outgoing) -> None:
        """Nobody asked for it in time: from now on it is in the chat, unless it was fetched in the meantime."""

        def work(tx: DeskTx) -> Outgoing | None:
            job = _job(tx, message)
            if job is None or not self._lives(tx, job.token, job.person):
                tx.messages.mark((message.id,), "dead")
                return None
            taken = tx.shortcuts.take(message.id, HOME)
            return _home(tx, job, message, heard=message.again) if taken else None

        home = await patiently(self._store, work, self._clock)
        self._left.pop(message.id, None)
        if home is not None:
            self._send(home)

    def _rest(self, tx: DeskTx, job: Job, message: Outgoing) -> Outgoing | None:
        """What the speech points to, written for the chat."""
        return None if whole(of(message.reply)) else _home(tx, job, message, heard=False)

    def draft(self, conversation: str, cause: str, text: str) -> None:
        """See `ChatAdapter`: a Shortcut shows nothing until it is answered."""

    async def fetch(self, attachment: Attachment) -> bytes:
        """See `ChatAdapter`."""
        return await self._recordings.read(attachment.ref)

    async def forget(self, attachment: Attachment) -> None:
        """It was heard: from now on its words are kept, and no longer the sound."""
        await self._recordings.discard(attachment.ref)


def _key(job: Job) -> str:
    """The key of the message that a job is."""
    return f"{ShortcutsSurface.name}/{job.token}/{job.key}"


def _recorded(cause: str) -> str:
    """The name of what was recorded with a message, if it was spoken."""
    _, token, key = cause.split("/", 2)
    return Recordings.ref(token, key)


def _job(tx: DeskTx, message: Outgoing) -> Job | None:
    """The job that a message answers."""
    _, token, key = (message.cause or "").split("/", 2)
    return tx.shortcuts.caused(token, key)


def _home(tx: DeskTx, job: Job, message: Outgoing, *, heard: bool) -> Outgoing | None:
    """Write an answer to the chat of whoever asked, once."""
    key, home = f"{message.cause}/home", home_of(job.person)
    if home is None or tx.applied(key) is not None:
        return None
    tx.mark(key, "")
    reply = at_home(message.reply, job, heard=heard)
    return tx.messages.queue(home.partition(":")[0], home, reply, None, tx.now)
