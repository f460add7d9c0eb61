"""A tool of an MCP server as the agent has it (`core.agent.tool.Tool`): what the server says of it is somebody else's text."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.agent.model import ToolSpec
from core.agent.prompt import plain
from core.agent.tool import BadCall, Effect, Output
from core.chat import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from core.agent.tool import Use
    from core.events import Json

    Call = Callable[[str, Mapping[str, Json]], Awaitable[str]]

LONGEST_DESCRIPTION = 300
LONGEST_SCHEMA = 6000
"""Characters of a tool's schema, as the model is given it."""

_DEEPEST = 6
_NAME = re.compile(r"[^A-Za-z0-9_-]")
_KEPT = frozenset({
    "type", "properties", "required", "items", "enum", "description", "minimum", "maximum", "minItems", "maxItems", "minLength",
    "maxLength", "additionalProperties", "anyOf", "oneOf", "default", "const",
})  # fmt: skip
"""What is left of a schema: no references, and no patterns, which may be made to take for ever."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,), "object": (dict,),
    "null": (type(None),),
}  # fmt: skip


_WORDS = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "an object", "null": "null",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What a server says of a tool, as it came."""

    name: str
    description: str
    schema: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """What tells whether anything of it has changed."""
        whole = json.dumps([self.name, self.description, self.schema], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(whole.encode()).hexdigest()


def shown_name(server: str, tool: str) -> str:
    """Under which name the model has it."""
    return f"{server}__{_NAME.sub('_', tool)}"[:64]


class McpTool:
    """See `core.agent.tool.Tool`. `call` raises `HubError`s, and returns what the server answered, as text."""

    def __init__(self, server: str, told: Told, call: Call, *, reads: bool, outward: str) -> None:
        self.told = told
        self.spec = ToolSpec(
            shown_name(server, told.name),
            one_line(plain(told.description))[:LONGEST_DESCRIPTION],
            _schema(told.schema),
            outside=True,
        )
        self.effect = Effect.READ if reads else Effect.ASK
        self.outward = outward
        self._call = call

    def read(self, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        """See `Tool`: names and types are looked at here, the rest by the server."""
        schema: Any = self.spec.parameters
        fields = schema["properties"]
        for name in schema.get("required", ()):
            if name not in arguments:
                raise BadCall(tool=self.spec.name, why=f"it needs {name}.")
        for name, value in arguments.items():
            if name not in fields:
                known = ", ".join(fields) or "no arguments at all"
                raise BadCall(tool=self.spec.name, why=f"it has no argument {name[:60]}. It has {known}.")
            if not _fits(value, fields[name]):
                raise BadCall(tool=self.spec.name, why=f"{name} must be {_of_type(fields[name]['type'])}.")
        return dict(arguments)

    def words(self, arguments: Mapping[str, Json]) -> str:
        """See `Tool`: every argument, whole."""
        lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items()]
        return "\n".join([f"call {self.spec.name}{' with' if lines else ''}", *lines])

    async def look(self, arguments: Mapping[str, Json], use: Use) -> None:
        """See `Tool`: the server alone knows, and is told of nothing before a person has agreed."""

    async def run(self, arguments: Mapping[str, Json], use: Use) -> Output:  # noqa: ARG002 - it is the same for everybody
        """See `Tool`."""
        return Output(await self._call(self.told.name, arguments))


def _schema(told: Mapping[str, Any]) -> Mapping[str, Json]:
    """A schema of an object, with what a model needs of what was told."""
    kept = _kept(told, 0)
    fields = kept.get("properties")
    fields = (
        {name: value for name, value in fields.items() if isinstance(value, dict)} if isinstance(fields, dict) else {}
    )
    required = (
        [name for name in kept.get("required", ()) if name in fields] if isinstance(kept.get("required"), list) else []
    )
    return {"type": "object", "properties": fields, "required": required}


def _kept(told: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return {}
    if isinstance(told, str):
        return one_line(plain(told))[:LONGEST_DESCRIPTION]
    if isinstance(told, list):
        return [_kept(one, depth + 1) for one in told[:50]]
    if not isinstance(told, dict):
        return told
    found = {}
    for key, value in told.items():
        if key == "properties" and isinstance(value, dict):
            found[key] = {name: _kept(one, depth + 1) for name, one in list(value.items())[:50] if plain_name(name)}
        elif key in _KEPT:
            found[key] = _kept(value, depth + 1)
    return found


def plain_name(name: str) -> bool:
    """Whether an argument's name is a name, and no sentence."""
    return re.fullmatch(r"[A-Za-z0-9_.$-]{1,64}", name) is not None


def usable(told: Told) -> str:
    """Why a tool cannot be offered; empty if it can."""
    if not re.fullmatch(r"[A-Za-z0-9_./:-]{1,64}", told.name):
        return "its name is no name"
    if len(json.dumps(_schema(told.schema))) > LONGEST_SCHEMA:
        return f"its arguments take more than {LONGEST_SCHEMA:,} characters to describe"
    required = told.schema.get("required", [])
    fields = told.schema.get("properties", {})
    if (
        isinstance(required, list)
        and isinstance(fields, dict)
        and any(not isinstance(one, str) or (one in fields and not plain_name(one)) for one in required)
    ):
        return "an argument's name is no name"
    return ""


def _of_type(kinds: str | list[str]) -> str:
    """What a value must be, in words."""
    return " or ".join(_WORDS.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _fits(value: Json, field: Any) -> bool:
    """Whether a value is of the type that is told of it; what is told otherwise is the server's to judge."""
    kinds = field.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or not kinds or not all(isinstance(kind, str) for kind in kinds):
        return True
    if isinstance(value, bool):
        return "boolean" in kinds
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        return True
    return any(isinstance(value, _TYPES.get(kind, (object,))) for kind in kinds)
