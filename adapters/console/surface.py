"""The console as a chat surface: sessions over links, each a person's terminal, a pipe, or one `timmy say`.

A session says messages and is shown their answers; it follows the tasks it started, and those of the whole
conversation while it is attached. What nobody is there to read stays queued until somebody attaches.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from adapters.console.link import BUFFER, MAX_FRAME, SOCKET, FrameTooLong, StreamLink, socket_path
from core.chat import Inbound
from core.errors import HubError, Unavailable, UserError
from core.events import Kind
from core.ids import task_name
from core.tokens import CONSOLE_OWNER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from adapters.console.link import Frame, Link
    from core.chat import Attachment, Outgoing, Reply
    from core.events import Event, Json
    from core.ports import IdSource

T = TypeVar("T")

OWNER = CONVERSATION = CONSOLE_OWNER
_RECENT = 512
_KEPT = 32
"""Questions, and answers that nobody waited for yet, that are kept for whoever is told of them by another message."""

DRAFT_SECONDS = 0.1
"""Between two drafts of an answer at least: each holds the whole of it so far."""
_OVER = frozenset({"settled", "failed", "cancelled", "expired"})


def frame_of(reply: Reply, kind: str) -> Frame:
    """A reply as a frame, and as a line of `timmy say --json` without its `kind` and how its text is set."""
    frame: Frame = {"kind": kind, "text": reply.text, "data": dict(reply.data)}
    if reply.task is not None:
        frame["task"] = task_name(reply.task)
    if reply.buttons:
        frame["buttons"] = [{"label": button.label, "command": button.command} for button in reply.buttons]
    if reply.files:
        frame["files"] = [{"name": file.name, "path": file.path} for file in reply.files]
    if reply.marks:
        frame["marks"] = [[mark.start, mark.end, mark.style.value] for mark in reply.marks]
    if reply.markdown:
        frame["markdown"] = True
    return frame


def error_frame(error: HubError) -> Frame:
    """A refusal as a frame."""
    return {"kind": "error", "error": error.code, "text": str(error)}


class UnknownRequest(UserError):
    """This hub does not know that request. Do the hub and this command have the same version?"""


class NoFiles(UserError):
    """{name} cannot come through a console. Put it into the workspace folder."""


class NoSocket(Unavailable):
    """The owner's socket {path} cannot be opened: {why}. Move away what is there, or set TIMMY_DATA_DIR."""


class ConsoleSurface:
    """See `core.chat.ChatAdapter`. `admin` are the owner's calls that are no chat: tokens, books, status.

    `ended` says how a task ended, None while it is under way. `left` is told of a message whose answer nobody waits for any more.
    """

    name = "console"
    heard_at = None
    advice = ()

    def __init__(
        self,
        folder: Path,
        ids: IdSource,
        admin: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Frame]]],
        attached: Callable[[], Awaitable[None]],
        ended: Callable[[int], Awaitable[str | None]],
        left: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._place = folder / SOCKET
        self._ids = ids
        self.admin = admin
        self.attached = attached
        self.ended = ended
        self.left = left
        self._sessions: set[Session] = set()
        self._receive: Callable[[Inbound], Awaitable[None]] | None = None
        self._listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.recent: deque[Event] = deque(maxlen=_RECENT)
        self._questions: dict[str, Reply] = {}
        self._early: dict[str, Outgoing] = {}

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """Listen on the owner's socket until cancelled. Raises `NoSocket`."""
        self._receive = receive
        try:
            server = await self._bind()
        except OSError as error:
            refused = NoSocket(path=self._place, why=error.strerror or error)
            if not self._listening.done():
                self._listening.set_exception(refused)
            raise refused from error
        try:
            if not self._listening.done():
                self._listening.set_result(None)
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
            self._place.unlink(missing_ok=True)

    async def _bind(self) -> asyncio.Server:
        with socket_path(self._folder, SOCKET) as path:
            self._place.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(self._connected, path, limit=BUFFER)
            self._place.chmod(0o600)  # in a folder of 0700
            return server

    async def listening(self) -> None:
        """Wait until the socket is there. Raises `NoSocket` when the first try failed."""
        await asyncio.shield(self._listening)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await self.serve(StreamLink(reader, writer, MAX_FRAME))
        writer.close()

    async def serve(self, link: Link) -> None:
        """Talk with one console until it hangs up."""
        session = Session(self, link, self._ids)
        self._sessions.add(session)
        try:
            while (frame := await link.receive()) is not None:
                await session.take(frame)
        except FrameTooLong as error:
            await link.send(error_frame(error))
        finally:
            self._sessions.discard(session)
            session.leave()
            session.drafts.end()

    async def receive(self, message: Inbound) -> None:
        """Pass a message on to the hub."""
        if self._receive is not None:
            await self._receive(message)

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        """See `ChatAdapter`: to the session that asked, or follows the task, and to whoever is attached."""
        taken = [session for session in list(self._sessions) if session.wants(message)]
        self._note(message, early=not taken)
        if not taken and message.cause is not None:
            taken = [session for session in list(self._sessions) if session.attached]
        done = False
        for session in [*taken, *(one for one in list(self._sessions) if one.awaits(message) and one not in taken)]:
            with contextlib.suppress(ConnectionError):
                await session.show(message)
                done = True
        return (f"console-{message.id}",) if done else None

    def _note(self, message: Outgoing, *, early: bool) -> None:
        """Keep what another message may lead to: an open question, what was told in a turn, and an answer that comes early."""
        data = message.reply.data
        if isinstance(turn := data.get("turn"), str):
            _keep(self._questions, turn, message.reply)
        name = data.get("approval")
        if isinstance(name, str):
            if data.get("state") != "open" or message.reply.buttons:  # an answer that it waits is no question
                self._questions.pop(name, None)
            if message.cause is None and data.get("state") == "open":
                _keep(self._questions, name, message.reply)
        if early and message.cause is not None:
            _keep(self._early, message.cause, message)

    def question(self, name: str) -> Reply | None:
        """What was asked as the approval of this name, while it is open; or told in the turn of this key."""
        return self._questions.get(name)

    def early(self, cause: str) -> Outgoing | None:
        """An answer that has come already."""
        return self._early.get(cause)

    async def fetch(self, attachment: Attachment) -> bytes:
        """See `ChatAdapter`."""
        raise NoFiles(name=attachment.name)

    def draft(self, conversation: str, cause: str, text: str) -> None:  # noqa: ARG002 - a console has one conversation
        """See `ChatAdapter`."""
        for session in self._sessions:
            session.draft(cause, text)

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed: those that follow a task see it move."""
        self.recent.extend(event for event in events if event.task is not None)
        for session in self._sessions:
            session.heard(events)


def _keep(kept: dict[str, T], key: str, value: T) -> None:
    """Keep a value as the newest of so many."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _KEPT:
        del kept[next(iter(kept))]


class Drafts:
    """An answer that is being made: only its newest draft waits, and none is shown soon after another.

    The first word follows the empty draft at once, which only says that there will be some.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._newest: str | None = None
        self._pause: asyncio.TimerHandle | None = None

    def show(self, text: str) -> None:
        """Show this, now or in a moment."""
        self._newest = text
        if self._pause is None:
            self._next()

    def end(self) -> None:
        """The answer is there, or nobody."""
        self._newest = None
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _next(self) -> None:
        self._pause = None
        if self._newest is not None:
            shown, self._newest = self._newest, None
            self._link.post({"kind": "draft", "text": shown})
            if shown:
                self._pause = asyncio.get_running_loop().call_later(DRAFT_SECONDS, self._next)


class Session:
    """One console at the other end of a link."""

    def __init__(self, surface: ConsoleSurface, link: Link, ids: IdSource) -> None:
        self._surface = surface
        self._link = link
        self._ids = ids
        self._lane = f"{OWNER} {ids.token(6)}"
        self._asked: dict[str, str | None] = {}
        self._here: set[str] = set()
        self._awaited: dict[str, str] = {}
        self._followed: dict[int, str | None] = {}
        self._since = 0
        self._shown: set[int] = set()
        self.attached = False
        self.drafts = Drafts(link)

    async def take(self, frame: Frame) -> None:
        """Do what a console asks."""
        match frame.get("op"):
            case "hello":
                await self._link.send({"kind": "hello"})
            case "say":
                await self._say(frame)
            case "leave":
                self.leave()
            case "attach":
                self.attached = True
                await self._surface.attached()
            case str(name) if name in self._surface.admin:
                await self._link.send(await self._admin(name, frame))
            case _:
                await self._link.send(error_frame(UnknownRequest()))

    async def _admin(self, name: str, frame: Frame) -> Frame:
        try:
            return {"kind": "result", **await self._surface.admin[name](frame)}
        except HubError as error:
            return error_frame(error)
        except (KeyError, TypeError, ValueError):
            return error_frame(UnknownRequest())

    async def _say(self, frame: Frame) -> None:
        acting_for = frame.get("as")
        message = Inbound(
            "console", "owner", _text(frame.get("id") or self._ids.token(12)), CONVERSATION, OWNER,
            _text(frame.get("text", "")), acting_for=None if acting_for is None else _text(acting_for),
            lane="" if self.attached else self._lane,
        )  # fmt: skip
        self._asked[message.key] = frame.get("wait")
        if frame.get("here"):
            self._here.add(message.key)
        self._since = self._surface.recent[-1].id if self._surface.recent else 0
        try:
            await self._surface.receive(message)
        except HubError as error:
            self._asked.pop(message.key, None)
            await self._link.send({"kind": "reply", "text": str(error), "data": {"ok": False, "error": error.code}})
            await self._link.send({"kind": "end"})

    def leave(self) -> None:
        """Whoever asked waits no longer for what is of use only to who is here."""
        for key in self._here:
            self._surface.left(key)
        self._here.clear()

    def wants(self, message: Outgoing) -> bool:
        """Whether a message is for this session."""
        if message.cause is not None:
            return message.cause in self._asked
        return self.attached or message.reply.task in self._followed

    def awaits(self, message: Outgoing) -> bool:
        """Whether a message is what follows of one that this session said."""
        return message.cause is not None and message.cause in self._awaited

    async def show(self, message: Outgoing) -> None:
        """Send a message to the console, and the end of the turn when nothing more is to come."""
        asked = message.cause is not None and message.cause in self._asked
        frame = frame_of(message.reply, "reply" if asked else "more")
        if message.again:
            frame["again"] = True
        if asked:
            self._here.discard(message.cause or "")
            self.drafts.end()
        await self._link.send(frame)
        await self._keep_true(message.reply)
        if asked:
            await self._answered(message, self._asked.pop(message.cause or "", None))
        elif self.awaits(message):
            await self._answered(message, self._awaited.pop(message.cause or ""))
        elif self._over(message.reply) and self._followed.pop(message.reply.task or 0, None) is not None:
            await self._link.send({"kind": "end"})

    async def _keep_true(self, reply: Reply) -> None:
        """Whoever is attached keeps what they saw of a task in view: they hear of its end, if it has not come already."""
        if not self.attached or reply.task is None or self._over(reply):
            return
        self._shown.add(reply.task)
        if (status := await self._surface.ended(reply.task)) is not None:
            self._close(reply.task, status)

    def _close(self, task: int, status: str) -> None:
        if task in self._shown:
            self._shown.discard(task)
            data: Frame = {"ok": True, "task": task_name(task), "status": status}
            self._link.post({"kind": "state", "text": "", "data": data}, sure=True)

    async def _answered(self, message: Outgoing, wait: str | None) -> None:
        reply = message.reply
        if not self.attached:
            asks = reply.data.get("asks")
            await self._ask([*(asks if isinstance(asks, list) else ()), reply.data.get("approval"), message.cause])
        if wait and isinstance(goes_on := reply.data.get("goes_on"), str):
            self._awaited[goes_on] = wait
            if (early := self._surface.early(goes_on)) is not None:
                await self.show(early)
            return
        if reply.task is not None and (wait or self.attached):
            self._followed[reply.task] = wait
            for event in [one for one in self._surface.recent if one.task == reply.task and one.id > self._since]:
                self._tell(event)
            if wait:
                return
        await self._link.send({"kind": "end"})

    async def _ask(self, asks: Sequence[Json]) -> None:
        """Show what was asked and told on the way to an answer, as whoever is attached was shown it."""
        for name in asks:
            if (question := self._surface.question(str(name))) is not None:
                await self._link.send(frame_of(question, "more"))

    def _over(self, reply: Reply) -> bool:
        return reply.data.get("status") in _OVER or (
            self._followed.get(reply.task or 0) == "people" and reply.data.get("waits") == "people"
        )

    def draft(self, cause: str, text: str) -> None:
        """An answer is being made ("": not begun)."""
        if cause in self._asked:
            self.drafts.show(text)

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed."""
        for event in events:
            if event.task in self._followed:
                self._tell(event)
                if event.kind is Kind.TASK_CANCELLED and self._followed.pop(event.task) is not None:
                    self._link.post({"kind": "end"}, sure=True)
            if event.task is not None and (status := ENDS.get(event.kind)) is not None:
                self._close(event.task, status)

    def _tell(self, event: Event) -> None:
        if (line := progress_line(event)) is not None:
            frame: Frame = {"kind": "progress", "text": line, "data": progress_data(event)}
            self._link.post(frame, sure=event.kind is Kind.TASK_CANCELLED)


def _text(value: object) -> str:
    """What a console sent, as text that can be stored: bytes that were none arrive as halves of surrogate pairs."""
    return str(value).encode(errors="replace").decode()


def progress_data(event: Event) -> Frame:
    """The facts of a step on a task's way."""
    data: Frame = {"ok": True, "task": task_name(event.task or 0), "event": event.kind.value, **event.data}
    if event.kind is Kind.TASK_CANCELLED:
        data["status"] = "cancelled"
    return data | ({"agent": event.agent} if event.agent else {})


ENDS = {
    Kind.TASK_SETTLED: "settled",
    Kind.TASK_FAILED: "failed",
    Kind.TASK_CANCELLED: "cancelled",
    Kind.TASK_EXPIRED: "expired",
}
"""The events that end a task, and how it ended. They reach whoever has it in view as `state`, which is not shown."""

LINES = {
    Kind.BID_PLACED: "{agent} bids",
    Kind.BID_REFUSED: "{agent} declines",
    Kind.TASK_AWARDED: "awarded to {agent} for {price_sats} sats; its price is in escrow",
    Kind.TASK_STARTED: "{agent} is at work",
    Kind.TASK_PROGRESSED: "{agent}: {text}",
    Kind.TASK_CANCELLED: "cancelled; its sats came back",
    Kind.TASK_WAITING: "waits: {reason}",
}
"""The steps on a task's way that no message tells, as a person reads them."""


def progress_line(event: Event) -> str | None:
    """A step on a task's way, for people; None for those that a message tells anyway."""
    line = LINES.get(event.kind)
    return line and f"{task_name(event.task or 0)}  {line.format_map({'agent': event.agent, **event.data})}"
