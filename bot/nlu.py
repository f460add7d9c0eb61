"""`timmy nlu`: what the hub understands of a text, without a hub."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from config import personas
from core.voice.intent import Known, understand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.voice.intent import Meaning


def known() -> Known:
    """What can be known without a hub: the declared personas, whose copies are `quill-2` and so on. People and tasks may be any."""
    return Known(frozenset(one.name for one in personas.load()), people=None)


def lines(text: str | None, *, as_json: bool) -> Iterator[str]:
    """The answer to a text, or to each line of standard input as it comes."""
    names = known()
    for line in [text] if text is not None else _input():
        meaning = understand(line, names)
        yield json.dumps(meaning.data()) if as_json else readable(meaning)


def readable(meaning: Meaning) -> str:
    """One line for a person: `task 0.95  /show T-7  (task_id T-7)`."""
    facts = ", ".join(f"{name} {value}" for name, value in meaning.entities.items())
    parts = (f"{meaning.intent.value} {meaning.confidence:.2f}", meaning.command or "-", facts and f"({facts})")
    return "  ".join(" ".join(part.split()) for part in parts if part)


def _input() -> Iterator[str]:
    """Lines of standard input; bytes that are no UTF-8 become replacement characters."""
    for line in sys.stdin.buffer:
        yield line.decode(errors="replace").rstrip("\r\n")
