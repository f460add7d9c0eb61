"""Channels that the owner's settings name, as a surface that only sends: each is a conversation, `apprise:NAME`.

Apprise runs in a child process for each message, which is killed when it takes too long. It is given the URL on its standard
input, so that this is in no argument list, no environment, no log and no error.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.apprise.child import BEGINS
from core.chat import NotFetched, NotSent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.chat import Attachment, Inbound, Outgoing

NAME = "apprise"
TITLE = "Timmy"
AGAIN = "(this may be a duplicate) "
SECONDS = 30.0
"""How long a channel may take for a message, once Apprise begins to send it."""

READY_SECONDS = 60.0
"""How long Apprise may take to come up: that is the machine's matter, which may be a small one, or have much else to do."""

FIRST_WAIT, LAST_WAIT = 2.0, 900.0
"""Seconds until a channel that fails is tried again, which double."""

_IMPORTABLE = str(Path(__file__).resolve().parents[2])
_PROGRAM = (sys.executable, "-B", "-P", "-s", "-X", "utf8", "-m", "adapters.apprise.child")


class Channels:
    """The surface. `urls`: by the names of the channels; `back` is called once, when it is there."""

    name = NAME
    heard_at: int | None = None

    def __init__(
        self,
        urls: Mapping[str, str],
        back: Callable[[], Awaitable[None]],
        *,
        seconds: float = SECONDS,
        program: Sequence[str] = _PROGRAM,
    ) -> None:
        self._urls = urls
        self._back = back
        self._seconds = seconds
        self._program = program
        self._failed: dict[str, int] = {}
        self._why: dict[str, str] = {}

    @property
    def advice(self) -> tuple[str, ...]:
        """Which channels took nothing at the last try, and why."""
        return tuple(f"the channel {name} takes no messages: {why}" for name, why in sorted(self._why.items()))

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:  # noqa: ARG002 - nobody answers here
        """Be there."""
        await self._back()
        await asyncio.Event().wait()

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        """See `ChatAdapter`. What is for a channel that the settings name no more waits for them to name it again."""
        name = message.conversation.partition(":")[2]
        url = self._urls.get(name)
        if url is None:
            return None
        text = message.reply.text.strip() or TITLE
        found = await ask(url, f"{AGAIN if message.again else ''}{text}", seconds=self._seconds, program=self._program)
        if found["sent"]:
            self._failed.pop(name, None)
            self._why.pop(name, None)
            return (f"{name}/{message.id}",)
        failed = self._failed[name] = self._failed.get(name, 0) + 1
        self._why[name] = found["why"]
        wait = min(FIRST_WAIT * 2 ** min(failed - 1, 16), LAST_WAIT)
        raise NotSent(surface=f"the channel {name}", why=found["why"], wait=wait, doubtful=found["doubtful"])

    def draft(self, conversation: str, cause: str, text: str) -> None:
        """Nothing is answered here."""

    async def fetch(self, attachment: Attachment) -> bytes:
        """Nothing comes from here."""
        raise NotFetched(name=attachment.name, surface=NAME, why="it only sends")


async def ask(
    url: str, body: str, *, seconds: float = SECONDS, ready: float = READY_SECONDS, program: Sequence[str] = _PROGRAM
) -> dict[str, Any]:
    """What came of a message, as `child` says; with an empty one whether Apprise knows what the URL means."""
    child = await asyncio.create_subprocess_exec(
        *program,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        cwd="/", env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent", "PYTHONPATH": _IMPORTABLE},
        process_group=0,
    )  # fmt: skip
    assert child.stdin is not None  # noqa: S101 - both are pipes, as asked for above
    assert child.stdout is not None  # noqa: S101
    begun = False
    try:
        async with asyncio.timeout(ready) as patience:
            child.stdin.write(json.dumps({"url": url, "title": TITLE, "body": body}).encode() + b"\n")
            child.stdin.close()
            said = await child.stdout.readline()
            if begun := said == BEGINS:
                patience.reschedule(asyncio.get_running_loop().time() + seconds)
                said = await child.stdout.readline()
            found: dict[str, Any] = json.loads(said)
            return found
    except TimeoutError:
        why = f"it took longer than {seconds:g} s" if begun else f"Apprise was not ready to send within {ready:g} s"
        return _lost(why, doubtful=begun)
    except (OSError, ValueError):
        return _lost("Apprise broke off", doubtful=begun)
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        child._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - its pipes too: there is no public way
        await child.wait()


def _lost(why: str, *, doubtful: bool) -> dict[str, Any]:
    return {"sent": False, "why": why, "doubtful": doubtful, "known": True}
