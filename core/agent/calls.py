"""Calls of tools as small models write them, read as far as it is sure what is meant. Pure.

Models that were hardly taught to call write the call as their answer, wrap it in tags or a code block, give the arguments as
a text, or leave a bracket out. What is read otherwise than it was written says so in its result; what is not sure is refused.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from core.agent.model import ToolCall
from core.agent.tool import BadCall

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from core.events import Json

LONGEST = 64 * 1024
"""Characters of a call's arguments."""

MAX_DEPTH = 32
"""How deep a call's arguments may be nested: what reads or writes them goes as deep."""

MENDED = 4_000
"""Characters of what is mended, at most: the time that this may be made to take grows with their square."""

_WRAPPED = re.compile(
    r"<(tool_call|function_call|tool|function)>(?P<tag>.*)</\1>|```(?:json|tool_call)?(?P<code>.*)```", re.DOTALL
)
"""Blanks are taken off elsewhere: looked for at two places beside `.*`, they take for ever."""

_TOO_DEEP = "nested too deep"
_NAMES = ("name", "tool", "function", "tool_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "tool_input")


def seems_call(text: str) -> bool:
    """Whether an answer that has begun so may be a call, which is not shown to people."""
    return text.lstrip()[:1] in {"{", "["} or text.lstrip().startswith(("<tool", "<function", "```json", "```tool"))


def calls_in(text: str, known: Collection[str]) -> list[ToolCall]:
    """The calls that an answer consists of; none where it says anything else, or names a tool that was not offered."""
    body = text.strip()
    if not known or len(body) > LONGEST:
        return []
    if (wrapped := _WRAPPED.fullmatch(body)) is not None:
        body = (wrapped["tag"] or wrapped["code"] or "").strip()
    if body[:1] not in {"{", "["} or body[-1:] not in {"}", "]"}:
        return []  # what follows a call would be dropped by the mending
    try:
        found = _mended(body)
    except ValueError:
        return []
    entries = found if isinstance(found, list) else [found]
    calls = [_call(entry, known) for entry in entries]
    return [call for call in calls if call is not None] if calls and all(calls) else []


def name_of(given: str, known: Collection[str]) -> str | None:
    """The tool that a name means: itself, or written otherwise (`readFile`, `read-file`, `functions.read_file`)."""
    if given in known:
        return given
    plain = _folded(given.rpartition(".")[2] if "." in given else given)
    found = [name for name in known if _folded(name) == plain]
    return found[0] if len(found) == 1 else None


def arguments_of(call: ToolCall) -> Mapping[str, Json]:
    """The arguments as an object that every JSON can hold: it is kept, and given back to models. Raises `BadCall`."""
    given = call.arguments
    if isinstance(given, str):
        if len(given) > LONGEST:
            raise BadCall(tool=call.name, why=f"its arguments are longer than {LONGEST:,} characters.")
        try:
            given = cast("Mapping[str, Json]", _mended(given) if given.strip() else {})
        except ValueError as error:
            raise BadCall(tool=call.name, why=f"its arguments are {error}.") from None
    if not isinstance(given, dict):
        raise BadCall(tool=call.name, why="its arguments are no JSON object.")
    if _too_deep(given):
        raise BadCall(tool=call.name, why=f"its arguments are {_TOO_DEEP}.")
    try:
        size = len(json.dumps(given, allow_nan=False))
        json.dumps(given, ensure_ascii=False).encode()
    except ValueError:
        raise BadCall(tool=call.name, why="its arguments hold a number without end, or half of a character.") from None
    if size > LONGEST:
        raise BadCall(tool=call.name, why=f"its arguments are longer than {LONGEST:,} characters.")
    return given


def _call(entry: object, known: Collection[str]) -> ToolCall | None:
    if not isinstance(entry, dict):
        return None
    inner = entry.get("function")
    if isinstance(inner, dict):
        entry = inner
    given = next((entry[key] for key in _NAMES if isinstance(entry.get(key), str)), "")
    name = name_of(given, known)
    arguments = next((entry[key] for key in _ARGUMENTS if key in entry), None)
    if name is None or not isinstance(arguments, (dict, str)):
        return None
    return ToolCall(name, arguments)


def _mended(text: str) -> object:
    """What a text says; None where that is not sure. Raises ValueError, with words, for what is nested too deep."""
    if _nested(text):
        raise ValueError(_TOO_DEEP)
    with suppress(ValueError):
        return cast("object", json.loads(text, strict=False))  # most often wrong is a line break within a text
    if len(text) > MENDED:
        return None
    from json_repair import repair_json  # noqa: PLC0415 - for models that write it wrong

    with suppress(ValueError, RecursionError):  # too deep for it
        return cast("object", repair_json(text, return_objects=True))
    return None


def _nested(text: str) -> bool:
    """Whether more is open at once in a text than may be; what stands in strings is counted too."""
    depth = 0
    for sign in text:
        if sign in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif sign in "]}":
            depth -= 1
    return False


def _too_deep(value: Mapping[str, Json]) -> bool:
    """The same of what a model server has read already."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else cast("list[object]", one))
            if isinstance(inner, (dict, list))
        ]
    return bool(level)


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
