"""An answer through the hub, against the same scripted model server asked directly with the same client.

The server is a process of its own, and so is the hub. Through the hub: from a line on the owner's socket to the first piece of its
answer that is shown there, and to its end; directly: from the question to the first piece, and to the last. With fifty
conversations streaming on Telegram, control commands are timed as people say them.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adapters.clockwork import SystemClock
from adapters.console.link import SOCKET, dial
from adapters.llm.ollama import OllamaModel
from core.agent.model import ChatMessage
from core.agent.prompt import agent_prompt
from tests.kill.hub_process import hub_process
from tests.program import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kill.hub_process import HubProcess

PAUSE = 0.02
"""Seconds before each word of the server: a fast model says fifty a second."""

WORDS = 60
QUESTION = "tell me " + "more " * (WORDS - 4)


class Heard(NamedTuple):
    """Milliseconds from a question to the first word and to the last."""

    first: float
    whole: float


def answers(count: int) -> tuple[list[Heard], list[Heard]]:
    """So many answers through the hub, and as many directly, one after the other in turn."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(_answers(Path(folder), count))


async def _answers(folder: Path, count: int) -> tuple[list[Heard], list[Heard]]:
    through, direct = [], []
    async with (
        model_server(PAUSE) as url,
        hub_process(folder, url, executed=True) as hub,
        OllamaModel(url, clock=SystemClock()) as model,
    ):
        for number in range(-1, count):
            await hub.say("/new")  # each is as long as the other
            ours, bare = await _asked(hub), await _direct(model)
            if number >= 0:  # the first loads the client
                through.append(ours)
                direct.append(bare)
    return through, direct


@contextlib.asynccontextmanager
async def model_server(pause: float) -> AsyncIterator[str]:
    """The scripted server in a process of its own; where it is."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.ollama_server", "--port", "0", "--pause", str(pause), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip().partition("=")[2]
    finally:
        process.kill()
        await process.wait()


async def _asked(hub: HubProcess) -> Heard:
    async with dial(hub.data, SOCKET) as link:
        began, first = time.perf_counter(), 0.0
        await link.send({"op": "say", "text": QUESTION, "wait": None})
        while (frame := await link.receive()) is not None:
            if frame["kind"] == "draft" and frame["text"] and not first:
                first = time.perf_counter() - began
            if frame["kind"] == "reply":
                assert frame["text"] == f"You said: {QUESTION}".strip(), frame
                return Heard(first * 1000, (time.perf_counter() - began) * 1000)
    raise AssertionError("the hub went away")


async def _direct(model: OllamaModel) -> Heard:
    messages = [ChatMessage("system", agent_prompt(calls=True)), ChatMessage("user", QUESTION)]
    began, first = time.perf_counter(), 0.0
    async with aclosing(model.chat(messages, model=None, num_ctx=8192)) as pieces:
        async for _ in pieces:
            first = first or time.perf_counter() - began
    return Heard(first * 1000, (time.perf_counter() - began) * 1000)
