"""Hearing a voice note of 3 s: from its bytes to its words, with the engine loaded, and what the loop feels of it.

Everything, the child process too, is on one processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

from adapters.speech import engines
from core.voice.expected import Names, grammar
from core.voice.phrases import PHRASES

NOTE = Path(__file__).parents[1] / "voice/notes/task.ogg"
WORDS = "post a task to summarise welcome.md"
PERSONAS = ("echo", "mace", "helm", "seer", "forge", "quill", "pixel", "lyra", "reel")
NAMES = Names(PERSONAS, PERSONAS, ("ann", "bob", "olga"), ("welcome.md", "sample.csv"), tuple(range(1, 41)))


def seconds(rounds: int) -> list[tuple[float, float]]:
    """For each note: how long it took, and the longest that the loop stood still meanwhile; seconds."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        return asyncio.run(_measured(rounds))
    finally:
        os.sched_setaffinity(0, allowed)


async def _measured(rounds: int) -> list[tuple[float, float]]:
    ear, worker = engines.ear("pocketsphinx", None)
    audio, expected = NOTE.read_bytes(), grammar(frozenset(PHRASES), NAMES)
    found = []
    try:
        await ear.hear(audio, expected)
        for _ in range(rounds):
            pauses: list[float] = []
            watch = asyncio.create_task(_watch(pauses))
            start = time.perf_counter()
            heard = await ear.hear(audio, expected)
            took = time.perf_counter() - start
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            if heard.text != WORDS:
                raise RuntimeError(f"heard {heard}")
            found.append((took, max(pauses)))
    finally:
        await worker.close()
    return found


async def _watch(pauses: list[float]) -> None:
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        pauses.append(time.perf_counter() - start - 0.001)
