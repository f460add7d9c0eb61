"""The console off a terminal: every line is answered, and the task it started awaited, before the next is read."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from adapters.console.client import show
from core.chat import MAX_TEXT

if TYPE_CHECKING:
    from adapters.console.link import Link


async def talk(link: Link) -> None:
    """Feed standard input to the hub, line by line, until it ends."""
    while True:
        line = await asyncio.to_thread(sys.stdin.buffer.readline, MAX_TEXT * 8)
        if not line:
            return
        text = line.decode(errors="replace").rstrip("\r\n")
        if not text.strip():
            continue
        await link.send({"op": "say", "text": text, "wait": "people"})
        while (frame := await link.receive()) is not None and frame.get("kind") != "end":
            if frame.get("kind") == "draft":
                continue
            show(frame, as_json=False)
        if frame is None:
            return
