"""The other commands' way to the running hub: one message or one request over the owner's socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

from adapters.console.link import SOCKET, dial
from adapters.console.screen import plain, write
from core.errors import Refused, Unavailable

__all__ = ["LEAVE", "Place", "chat", "plain", "request", "say", "show", "talk", "think"]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from adapters.console.link import Frame, Link

_NOT_SHOWN = frozenset({"kind", "again", "marks", "markdown"})
_FAILED = frozenset({"failed", "expired", "cancelled"})
_LOCK = "hub.lock"
"""Holds the hub's pid (adapters/folder)."""

HELLO_SECONDS = 10.0
"""How long a hub may take to say hello. Only then is anything sent to it, and what it answers may take longer."""

SIGNALLED = 128
"""What is added to a signal's number where it ended something: 130 for Ctrl-C."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

LEAVE = frozenset({"quit", "exit"})
"""Lines that end a chat."""


class NotRunning(Unavailable):
    """No hub runs on {folder}. Start one with: timmy run --console"""


class NoHubHere(Unavailable):
    """There is no {folder}. Call timmy where your hub's data folder is, or set TIMMY_DATA_DIR. A new hub: timmy run --console"""


class NotYourHub(Refused):
    """{folder} belongs to somebody else, and its hub is theirs. Run this as its owner, or set TIMMY_DATA_DIR."""


class NoHello(Unavailable):
    """The hub (pid {pid}) does not answer, and nothing was sent to it. Try again, or end that process and start it: timmy run"""


class HubGone(Unavailable):
    """The hub went away. If it got this, timmy console has the answer once it runs again; /tasks has tasks, /history payments."""


class HubGoneAtWork(Unavailable):
    """The hub went away. It knows {task}, which goes on at its next start; /show {task} tells how."""


def gone(task: str | None) -> Unavailable:
    """The hub's end, to whoever waits for an answer, or for the end of a task that the answer named."""
    return HubGone() if task is None else HubGoneAtWork(task=task)


class Place(NamedTuple):
    """Where a chat takes place: the data folder, the workspace, and whether its end is the hub's."""

    folder: Path
    workspace: Path
    hosts: bool = False


async def request(folder: Path, frame: Frame) -> Frame:
    """One request, one answer; an `error` frame is an answer too. Raises what `_hub` does, and `HubGone`."""
    async with _hub(folder) as link:
        await link.send(frame)
        answer = await link.receive()
    if answer is None:
        raise HubGone
    return answer


async def say(folder: Path, text: str, *, wait: float | None, acting_for: str | None, as_json: bool) -> int:
    """Send one message and print what comes back; with `wait`, also what follows, for so many seconds at most.

    They count from the answer on, and of one that takes its time from where that is seen. Ctrl-C ends the waiting alone.
    Returns the exit code: 1 if the message was refused, its answer was broken off, or the task it started did not settle.
    """
    async with _hub(folder) as link:
        code, task, loop = 0, None, asyncio.get_running_loop()
        try:
            await link.send(_message(text, waits=wait is not None, acting_for=acting_for))
            async with asyncio.timeout(None) as scope:
                while (answer := await link.receive()) is not None and answer.get("kind") != "end":
                    if answer.get("kind") == "draft":
                        if wait is not None and scope.when() is None:
                            scope.reschedule(loop.time() + wait)
                        continue
                    if answer.get("kind") == "error":
                        await show(answer, as_json=as_json)
                        return 1
                    task = task or answer.get("task")
                    await show(answer, as_json=as_json)
                    code = max(code, await _judged(answer))
                    if answer.get("kind") == "reply" and wait is not None:
                        scope.reschedule(loop.time() + wait)
        except TimeoutError:
            await write(f"timmy: not over after {wait:g} s, and it goes on: {_look(task)}\n", sys.stderr)
            return 1
        except asyncio.CancelledError:  # Ctrl-C
            await write(_left(task), sys.stderr)
            raise
    if answer is None:
        raise gone(task)
    return code


def _message(text: str, *, waits: bool, acting_for: str | None) -> Frame:
    frame: Frame = {"op": "say", "text": text}
    if waits:
        frame["wait"] = "over"
    if acting_for is not None:
        frame["as"] = acting_for
    return frame


def _left(task: str | None) -> str:
    """What becomes of what Ctrl-C waits for no longer, and how to end it; a terminal shows that key on a line without an end."""
    end = "/stop" if task is None else f'"/cancel {task}"'
    line = "\n" if sys.stderr.isatty() else ""
    return f"{line}timmy: this goes on in the hub: {_look(task)}; timmy say {end} ends it\n"


def _look(task: str | None) -> str:
    """How to see what becomes of what was not waited for any longer."""
    if task is not None:
        return f'timmy say "/show {task}" tells how'
    return "timmy console shows the answer, timmy status a model that is being got"


async def think(folder: Path, topic: str) -> int:
    """Have the agent think aloud, and print it as it comes. Returns the exit code.

    A signal that ends programs ends it where it is, with the signal's code; without whoever listens the hub ends it too.
    """
    aloud, loop = _Aloud(), asyncio.get_running_loop()
    async with _hub(folder) as link:

        def stop(number: signal.Signals) -> None:
            loop.remove_signal_handler(number)  # the next one ends this at once
            aloud.code = aloud.code or SIGNALLED + number
            link.post({"op": "leave"}, sure=True)

        for number in _ENDING:
            loop.add_signal_handler(number, stop, number)
        try:
            await link.send({"op": "say", "text": f"/think {topic}", "here": True})
            while (answer := await link.receive()) is not None:
                if (code := await aloud.take(answer)) is not None:
                    return code
        finally:
            for number in _ENDING:
                loop.remove_signal_handler(number)
    raise HubGone


class _Aloud:
    """An answer that is printed while it is being made."""

    def __init__(self) -> None:
        self.code = 0
        self._printed = ""

    async def take(self, frame: Frame) -> int | None:
        """Print what is new in a frame; returns the exit code once there is nothing more."""
        kind = frame.get("kind")
        if kind == "draft":
            await self._more(_without_doing(frame["text"]))
            return None
        if _refused(frame):
            await show(frame, as_json=False)
            return 1
        if kind != "reply":
            return None
        if not frame["text"].startswith(self._printed):  # what models should not say has been taken out of it
            await write("\n\n", sys.stdout)
            self._printed = ""
        await self._more(frame["text"])
        await write("\n", sys.stdout)
        return self.code or await _judged(frame)

    async def _more(self, text: str) -> None:
        if text.startswith(self._printed) and text != self._printed:
            await write(plain(text[len(self._printed) :]), sys.stdout)
            self._printed = text


def _without_doing(text: str) -> str:
    """A draft without the line that says what is called just now."""
    before, _, last = text.rpartition("\n\n")
    return before.rstrip() if last.startswith("… ") else text.rstrip()


async def talk(link: Link, commands: Sequence[tuple[str, str]], place: Place) -> None:
    """A chat on standard input: a prompt on a terminal, else plain lines."""
    if sys.stdin is None:
        return
    if sys.stdin.isatty() and sys.stdout.isatty():
        from adapters.console.terminal import Terminal  # noqa: PLC0415 - a pipe does without it

        await Terminal(link, commands, place).talk()
    else:
        from adapters.console.pipe import talk as pipe  # noqa: PLC0415 - a terminal does without it

        await pipe(link)


async def chat(place: Place) -> None:
    """`timmy console`: a chat with the running hub. Raises what `_hub` does, and `HubGone`."""
    commands = (await request(place.folder, {"op": "commands"})).get("data", {}).get("commands", [])
    async with _hub(place.folder) as link:
        await talk(link, [(usage, words) for usage, words in commands], place)


async def show(frame: Frame, *, as_json: bool) -> None:
    """Print a frame as its text, or as one JSON object a line."""
    if as_json:
        facts = {key: value for key, value in frame.items() if key not in _NOT_SHOWN}
        await write(json.dumps(facts) + "\n", sys.stdout)
        return
    again = "(you may have seen this before) " if frame.get("again") else ""
    await write(plain(again + frame["text"]) + "\n", sys.stderr if _refused(frame) else sys.stdout)
    for file in frame.get("files", ()):
        await write(plain(f"file: {file['name']}  {file['path']}") + "\n", sys.stdout)


def _refused(frame: Frame) -> bool:
    return frame.get("kind") == "error" or (frame.get("kind") == "reply" and not frame["data"].get("ok", True))


async def _judged(frame: Frame) -> int:
    """The exit code by a frame that was shown; what went wrong has its line on standard error."""
    data = frame.get("data", {})
    wrong = ""
    if frame.get("kind") in {"more", "progress"} and data.get("status") in _FAILED:
        wrong = f"{data.get('task')} did not settle: it is {data['status']}"
    elif why := data.get("broken_off"):
        wrong = f"the answer was broken off: {why}"
    if wrong:
        await write(plain(f"timmy: {wrong}\n"), sys.stderr)
    return int(_refused(frame) or bool(wrong))


@contextlib.asynccontextmanager
async def _hub(folder: Path) -> AsyncIterator[Link]:
    """A link to the hub on `folder`, which has said hello.

    Raises `NotRunning`, `NoHubHere`, `NotYourHub`, `NoHello`, later `HubGone`.
    """
    with _reachable(folder):
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(HELLO_SECONDS):
                    link = await stack.enter_async_context(dial(folder, SOCKET))
                    await link.send({"op": "hello"})
                    if await link.receive() is None:
                        raise ConnectionRefusedError  # it stops just now
            except TimeoutError:
                raise NoHello(pid=_pid(folder)) from None
            except BrokenPipeError:
                raise ConnectionRefusedError from None  # as above: nothing was asked yet
            yield link


def _pid(folder: Path) -> str:
    try:
        return (folder / _LOCK).read_text() or "unknown"
    except OSError:
        return "unknown"


@contextlib.contextmanager
def _reachable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise (NotRunning if folder.is_dir() else NoHubHere)(folder=folder.absolute()) from None
    except PermissionError:
        raise NotYourHub(folder=folder.absolute()) from None
    except BrokenPipeError:
        raise  # standard output's: whoever read it has enough
    except ConnectionError as error:
        raise HubGone from error
