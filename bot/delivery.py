"""The one way out: a sender per conversation, over rows that say what was sent.

A message is a row before it is sent and counts as delivered only with the platform's ids. A conversation whose
surface cannot take it now parks alone and is tried again, later and later; nothing that follows from an event
overtakes the answer to the command that caused it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from core.chat import NotFetched, NotSent, Undeliverable
from core.store import FIRST_PAUSE, LAST_PAUSE, NotWritten, StoreClosed, patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.chat import Attachment, ChatAdapter, CommandCall, Outgoing, Threaded
    from core.messages import MessageTx
    from core.ports import Clock, Spawner
    from core.store import Store

log = logging.getLogger(__name__)

FETCH_SECONDS, FETCH_PAUSE = 60.0, 1.0
"""How long a file that came before a stop, or while its platform is away, is asked for again, and how often."""

PAGE = 1000
"""How many waiting messages of a surface are read at a time."""


@dataclass(slots=True)
class _Lane:
    """One conversation's messages; `held` while a command of it is being carried out, `parked` while it must wait.

    `above` is the conversation that it is a thread of, `leaving` the message that is being sent.
    """

    above: str | None = None
    waiting: deque[Outgoing] = field(default_factory=deque)
    leaving: Outgoing | None = None
    held: int = 0
    sending: bool = False
    parked: bool = False

    @property
    def owes(self) -> bool:
        """Whether an answer is still to come: what follows from a command goes after it, in its threads too."""
        answers = any(message.cause is not None for message in self.waiting)
        return answers or bool(self.held) or (self.leaving is not None and self.leaving.cause is not None)


class _Note(NamedTuple):
    """What became of a message: its state from now on, and its parts that arrived. `back`: see `again`."""

    message: Outgoing
    state: str
    sent: tuple[str, ...]
    back: int | None


class Delivery:
    """Sends what is queued, conversation by conversation. `told` hears of every message that arrived."""

    def __init__(
        self, store: Store[MessageTx], clock: Clock, spawner: Spawner, told: Callable[[Outgoing], None] | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._spawner = spawner
        self._told = told
        self._surfaces: dict[str, ChatAdapter] = {}
        self._threads: dict[str, Threaded] = {}
        self._lanes: dict[str, _Lane] = {}
        self._flying: set[int] = set()
        self._lost: int | None = None
        self._notes: list[_Note] = []
        self._noting = False
        self._busy = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._back: dict[str, int] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._returning: dict[str, int] = {}
        self._returned = asyncio.Condition()
        self._stopping = False

    async def begin(self) -> None:
        """Note what an earlier process left: only that can be on its way without this one knowing."""
        self._lost = await self._store.read(lambda tx: tx.messages.last())

    def attach(self, surface: ChatAdapter) -> None:
        """Send through this surface from now on."""
        self._surfaces[surface.name] = surface

    def branch(self, surface: str, threads: Threaded) -> None:
        """Tell what follows of a task beneath the message that first told of it, on this surface from now on."""
        self._threads[surface] = threads

    async def again(self, surface: str) -> None:
        """A surface is there (again): send what waits for it. It shows which may have arrived before a stop.

        What was decided meanwhile is not asked any more.
        """
        self._back[surface] = self._back.get(surface, 0) + 1
        self._wakes.pop(surface, asyncio.Event()).set()
        self._returning[surface] = self._returning.get(surface, 0) + 1
        try:
            await self._all_again(surface, 0)
        finally:
            self._returning[surface] -= 1
            async with self._returned:
                self._returned.notify_all()

    async def _all_again(self, surface: str, start: int) -> None:
        """Page after page; while the store cannot be written nobody waits for the rest, which follows once it can."""
        after: int | None = start
        while after is not None:
            start = after
            try:
                after = await self._again(surface, start)
            except NotWritten as error:
                log.warning("what waits for %s is sent later: %s", surface, error)
                self._spawner.spawn(self._later(surface, start), f"what waits for {surface}")
                return

    async def _later(self, surface: str, after: int) -> None:
        await self._clock.sleep(FIRST_PAUSE)
        await self._all_again(surface, after)

    async def _again(self, surface: str, after: int) -> int | None:
        """One page of what waits; returns where the next begins."""
        if self._stopping:
            return None

        def take(tx: MessageTx) -> tuple[list[Outgoing], int | None]:
            moot = tx.messages.overtaken(surface, tx.now, lost=self._lost or 0)
            tx.messages.withdraw([number for number in moot if number not in self._flying])
            page = tx.messages.waiting(surface, PAGE, after=after, lost=self._lost or 0)
            waiting = [one for one in page if one.id not in self._flying]
            tx.messages.mark([one.id for one in waiting], "sending")
            return waiting, page[-1].id if len(page) == PAGE else None

        waiting, further = await self._store.write(take)
        for message in waiting:
            if message.id not in self._flying:
                self.send(message)
        return further

    def send(self, message: Outgoing) -> None:
        """Queue a message that has been written; id 0 is progress, which is shown or dropped."""
        if message.id:
            self._flying.add(message.id)
        lane = self._lane(message.conversation)
        _in_order(lane.waiting, message)
        if (lane.parked or self._stopping) and message.id and not _doubtful(message):
            held = None if self._stopping else lane
            self._spawner.spawn(self._wait_too(message, held), "a note of what waits")
        self._kick(message.surface, message.conversation)

    def draft(self, call: CommandCall, text: str) -> None:
        """Show that a call is being answered, and the answer as far as it is made; it may be lost, the answer is not."""
        adapter = self._surfaces.get(call.conversation.partition(":")[0])
        if adapter is not None:
            adapter.draft(call.conversation, call.key, text)

    async def fetch(self, surface: str, attachment: Attachment) -> bytes:
        """A file that came with a message. Raises what its surface says of one that cannot be had, not even later."""
        until = self._clock.now() + FETCH_SECONDS * 1000
        while True:
            try:
                return await self._surfaces[surface].fetch(attachment)
            except NotFetched as error:
                pause = max(error.wait, FETCH_PAUSE)
                if self._clock.now() >= until or error.wait > FETCH_SECONDS:
                    raise
            await self._clock.sleep(pause)

    def hold(self, conversation: str) -> None:
        """A command begins: what follows from it waits for its answer."""
        self._lane(conversation).held += 1

    def let_go(self, surface: str, conversation: str) -> None:
        """The command's answer is queued."""
        self._lane(conversation).held -= 1
        self._kick(surface, conversation)
        self._kick_threads(surface, conversation)

    def _lane(self, conversation: str) -> _Lane:
        if conversation not in self._lanes:
            threads = self._threads.get(conversation.partition(":")[0])
            self._lanes[conversation] = _Lane(threads.above(conversation) if threads else None)
        return self._lanes[conversation]

    def _kick_threads(self, surface: str, conversation: str) -> None:
        """What follows may go on in the threads of a conversation that owes no answer any more."""
        if surface in self._threads:
            for name in [name for name, lane in self._lanes.items() if lane.above == conversation]:
                self._kick(surface, name)

    def _kick(self, surface: str, conversation: str) -> None:
        lane = self._lane(conversation)
        if lane.sending or self._stopping:
            return
        if not lane.waiting:
            if not lane.held:
                self._lanes.pop(conversation, None)
            return
        lane.sending = True
        self._begin()
        self._spawner.spawn(self._run(surface, conversation, lane), f"sender {conversation}")

    async def drain(self, seconds: float) -> None:
        """Let what is being sent arrive and be noted, for a while: what is not noted is shown once more, and marked, later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()

    async def stop(self, seconds: float) -> None:
        """The hub stops: drain, then begin nothing more, and note that what still waits has not left.

        What an earlier process may have sent goes on counting as that.
        """
        await self.drain(seconds)
        self._stopping = True
        waiting = [one for lane in self._lanes.values() for one in lane.waiting if one.id and not _doubtful(one)]
        if waiting:
            with contextlib.suppress(NotWritten, TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._store.write(partial(_mark, [_Note(one, "queued", one.sent, None) for one in waiting]))

    def _begin(self) -> None:
        self._busy += 1
        self._quiet.clear()

    def _end(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._quiet.set()

    async def _run(self, surface: str, conversation: str, lane: _Lane) -> None:
        try:
            while True:
                if self._returning.get(surface):  # what waited for it goes before what is newer
                    async with self._returned:
                        await self._returned.wait_for(lambda: not self._returning.get(surface))
                if self._stopping or (message := self._next(lane)) is None:
                    break
                moved = await self._moved(surface, message)
                lane.waiting.remove(message)  # only now: a stop before that finds it among what waits
                if moved is not None:
                    self.send(moved)
                    continue
                lane.leaving = message
                note = await self._send(surface, message, lane)
                lane.leaving = None
                if note.state == "queued" and message.id:
                    await self._put_back(note)
                elif (thread := self._thread(note)) is not None:
                    await self._branched(note, thread)
                else:
                    self._note(note)
                self._kick_threads(surface, conversation)
        finally:
            lane.sending, lane.leaving = False, None
            self._end()
            if not lane.waiting and not lane.held:
                self._lanes.pop(conversation, None)

    def _next(self, lane: _Lane) -> Outgoing | None:
        """The next to go: answers first while a command is under way; everything in order otherwise."""
        above = self._lanes.get(lane.above) if lane.above is not None else None
        held = bool(lane.held) or (above is not None and above.owes)
        ready = (message for message in lane.waiting if message.cause is not None or not held)
        return next(ready, None)

    def _note(self, note: _Note) -> None:
        """Have it noted beside what comes next: an answer does not wait for the note on the one before it."""
        if not note.message.id:
            return
        self._notes.append(note)
        if not self._noting:
            self._noting = True
            self._begin()
            self._spawner.spawn(self._write_notes(), "notes of what was sent")

    async def _put_back(self, note: _Note) -> None:
        """Nobody was there: what is newer waits until that is noted, and goes after it where somebody came meanwhile."""
        if _doubtful(note.message) and (self._stopping or note.message.id <= (self._lost or 0)):
            note = note._replace(state="sending")  # it may have arrived, and is found as such the next time
        await patiently(self._store, partial(_mark, [note]), self._clock)
        self._flying.discard(note.message.id)
        if self._back.get(note.message.surface) != note.back:
            await self.again(note.message.surface)

    async def _moved(self, surface: str, message: Outgoing) -> Outgoing | None:
        """What follows of a task and was written before its thread began, on its way there; None where it goes as it is."""
        task = message.reply.task
        if message.cause is not None or task is None or not message.id or surface not in self._threads:
            return None

        def look(tx: MessageTx) -> str | None:
            return tx.messages.thread(task, message.conversation)

        try:
            thread = await self._store.read(look)
        except NotWritten:
            thread = await patiently(self._store, look, self._clock)
        if thread is None:
            return None
        await patiently(self._store, lambda tx: tx.messages.place(message.id, thread), self._clock)
        return message._replace(conversation=thread)

    def _thread(self, note: _Note) -> str | None:
        """The thread that may begin beneath a message: it has arrived, and answers with a task."""
        message = note.message
        threads = self._threads.get(message.surface)
        if threads is None or note.state != "sent" or message.cause is None or message.reply.task is None:
            return None
        return threads.thread(message.conversation, note.sent[0])

    async def _branched(self, note: _Note, thread: str) -> None:
        """Noted at once, for what follows waits behind it in this lane to learn where it goes."""

        def mark(tx: MessageTx) -> None:
            _mark([note], tx)
            tx.messages.branch(cast("int", note.message.reply.task), note.message.conversation, thread)

        await patiently(self._store, mark, self._clock)
        self._arrived([note])

    def _arrived(self, notes: Sequence[_Note]) -> None:
        self._flying.difference_update(note.message.id for note in notes)
        for note in notes:
            if note.state == "sent" and self._told is not None:
                self._told(note.message)

    async def _write_notes(self) -> None:
        """Until it is noted, a message counts as one that may have arrived, and a crash shows it so."""
        try:
            while notes := self._notes:
                self._notes = []
                await patiently(self._store, partial(_mark, notes), self._clock)
                self._arrived(notes)
        finally:
            self._noting = False
            self._end()

    async def _send(self, surface: str, message: Outgoing, lane: _Lane) -> _Note:
        """Send until it arrived, or nobody is there, or it never can."""
        adapter, back, pause = self._surfaces.get(surface), self._back.get(surface), FIRST_PAUSE
        while adapter is not None and not self._stopping:
            wait: float | None = None
            try:
                sent = await adapter.send(message)
                return _Note(message, "queued" if sent is None else "sent", sent or message.sent, back)
            except Undeliverable as error:
                log.warning("message %s is given up: %s", message.id, error)
                return _Note(message, "dead", message.sent, back)
            except NotSent as error:
                wait, further = error.wait, error.sent != message.sent
                message = message._replace(sent=error.sent, again=error.doubtful or (message.again and not further))
                log.info("message %s waits: %s", message.id, error)
            except Exception:
                log.exception("%s failed at message %s", surface, message.id)
                message = message._replace(again=True)
            if not message.id:
                break
            if wait is None:
                await self._park(message, lane, pause, self._wakes.setdefault(surface, asyncio.Event()))
            else:
                await self._park(message, lane, wait, asyncio.Event())
            pause = min(pause * 2, LAST_PAUSE)
        return _Note(message, "queued", message.sent, back)

    async def _park(self, message: Outgoing, lane: _Lane, seconds: float, wake: asyncio.Event) -> None:
        """Wait, remembering over a crash what has arrived of a message, and that neither the rest nor what follows has."""
        until, lane.parked = self._clock.now() + round(seconds * 1000), bool(seconds)
        if lane.parked:
            await self._mark("queued", (message, *lane.waiting))
        await self._clock.until(until, wake)
        if lane.parked and not self._stopping:
            lane.parked = False
            await self._mark("sending", (message, *lane.waiting))

    async def _wait_too(self, message: Outgoing, lane: _Lane | None) -> None:
        """Remember that a message has not gone out, if it is written while its lane is still parked; without one it never goes."""

        def mark(tx: MessageTx) -> None:
            if lane is None or lane.parked:
                tx.messages.mark((message.id,), "queued", message.sent)

        with contextlib.suppress(StoreClosed):  # the next start takes it up as it stands
            await patiently(self._store, mark, self._clock)

    async def _mark(self, state: str, messages: Sequence[Outgoing]) -> None:
        """Of those that may have arrived only the parts are noted that have: they go on counting as that."""

        def mark(tx: MessageTx) -> None:
            for message in messages:
                if not _doubtful(message):
                    tx.messages.mark((message.id,), state, message.sent)
                elif message.sent:
                    tx.messages.mark((message.id,), "sending", message.sent)

        await patiently(self._store, mark, self._clock)


def _doubtful(message: Outgoing) -> bool:
    """Whether a message, or a part of it, may have arrived without anybody knowing."""
    return message.again or message.lost


def _in_order(waiting: deque[Outgoing], message: Outgoing) -> None:
    """Put a message where it was written, among those that wait; progress, which is not written, comes last.

    What follows of a task goes after its answer, also where that was written later: a stop had broken off its turn.
    """
    at = len(waiting)
    while message.id and at and waiting[at - 1].id > message.id:
        at -= 1
    task, answers = message.reply.task, message.cause is not None
    akin: list[Outgoing] = []
    if task is not None and message.id and (answers or at < len(waiting)):
        akin = [one for one in waiting if one.id and one.reply.task == task and answers is (one.cause is None)]
    if not answers:
        waiting.insert(max([at, *(waiting.index(one) + 1 for one in akin)]), message)
        return
    early = [one for one in akin if one.id < message.id]  # they make room: an answer overtakes no other
    for one in early:
        waiting.remove(one)
    for one in reversed([message, *early]):
        waiting.insert(at - len(early), one)


def _mark(notes: Sequence[_Note], tx: MessageTx) -> None:
    for note in notes:
        tx.messages.mark((note.message.id,), note.state, note.sent)
