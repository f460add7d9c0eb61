"""A tool is a plain typed function: its signature is the schema, its docstring what the model reads of it.

What a model gets wrong harmlessly is put right (a number in quotes, one word where a list is meant, a key by another spelling);
the rest is refused in a sentence that a model can mend its call by.
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from core.agent.model import ToolSpec
from core.agent.tool import BadCall, Effect
from core.chat import one_line, readable, spelt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from adapters.tools.here import Here
    from core.agent.tool import Output, Use
    from core.events import Json

    Run = Callable[..., Awaitable[Output]]
    Look = Callable[..., Awaitable[str | None]]

LONGEST = 12_000
"""The longest answer of any tool, in characters."""

_WRAPPERS = frozenset({"arguments", "parameters", "args", "input", "kwargs"})
"""What models put round the arguments of a call, though nobody asked them to."""

_EMPTY: tuple[Json, ...] = (None, "", [], {})

_ASIDE = frozenset({"encoding", "reason", "reasoning", "thought", "explanation", "purpose", "comment"})
"""What models add to a call, and whose loss changes nothing of it."""

_MOST_WRONG = 3
_LONGEST_SAID = 200


class _Arguments(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True, extra="forbid", hide_input_in_errors=True)


def said(value: object) -> str:
    """An argument as people are shown it: in one line, and not longer than a line."""
    text = one_line(str(value))
    return text if len(text) <= _LONGEST_SAID else f"{text[:_LONGEST_SAID]}… ({len(text):,} characters)"


def whole(value: object) -> str:
    """An argument of a call that asks, as people are shown it: all of it, and what nobody would see spelled out."""
    return spelt(str(value)).replace("\n", "\\n")


@dataclass(frozen=True, slots=True)
class Declared:
    """A tool before it knows the hub that it works in. `sold`: strangers who paid for a call may have it called.

    `privately`: only where nobody else reads what comes of it. `look` is given what `run` is; None: there is nothing to see.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    run: Run
    effect: Effect
    outward: str
    words: Callable[[Mapping[str, Any]], str]
    needs: Callable[[Here], str]
    sold: bool
    privately: bool = False
    look: Look | None = None

    def at(self, here: Here) -> Bound:
        """The tool in a hub."""
        return Bound(self, here)


class Bound:
    """`core.agent.tool.Tool`."""

    def __init__(self, declared: Declared, here: Here) -> None:
        self._declared = declared
        self._here = here
        self._spec = ToolSpec(declared.name, declared.description, _schema(declared.arguments))

    @property
    def spec(self) -> ToolSpec:
        """See `Tool`."""
        return self._spec

    @property
    def effect(self) -> Effect:
        """See `Tool`."""
        return self._declared.effect

    @property
    def outward(self) -> str:
        """See `Tool`."""
        return self._declared.outward

    @property
    def sold(self) -> bool:
        """Whether strangers may have it called."""
        return self._declared.sold

    @property
    def privately(self) -> bool:
        """Whether it is for private chats alone."""
        return self._declared.privately

    def lacks(self) -> str:
        """What it lacks here and now to be of use, in words; empty if nothing."""
        return self._declared.needs(self._here)

    def read(self, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        """See `Tool`."""
        given = self._tidied(arguments)
        try:
            return self._declared.arguments.model_validate(given).model_dump()
        except ValidationError as error:
            raise BadCall(tool=self.spec.name, why=self._why(error)) from None

    def words(self, arguments: Mapping[str, Json]) -> str:
        """See `Tool`."""
        return self._declared.words(arguments)

    async def look(self, arguments: Mapping[str, Json], use: Use) -> str | None:
        """See `Tool`."""
        look = self._declared.look
        return None if look is None else await look(self._here, use, **arguments)

    async def run(self, arguments: Mapping[str, Json], use: Use) -> Output:
        """See `Tool`."""
        output = await self._declared.run(self._here, use, **arguments)
        return output._replace(text=_bounded(readable(output.text)))

    def _tidied(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """The arguments under their own names, and as what they are meant to be, as far as that is plain."""
        fields = self._declared.arguments.model_fields
        if len(arguments) == 1 and not fields.keys() & arguments.keys():
            (key, inner), *_ = arguments.items()
            arguments = inner if key in _WRAPPERS and isinstance(inner, dict) else arguments
        spelt = {name.replace("_", ""): name for name in fields}
        known: dict[str, Json] = {}
        strange: dict[str, Json] = {}
        for key, value in arguments.items():
            name = key if key in fields else spelt.get(re.sub(r"[-_ ]", "", key).lower(), "")
            if name and name not in known:
                known[name] = value
            else:
                strange[key] = value
        if strange and self.effect is not Effect.READ:  # what is left out may be what matters of it
            raise BadCall(tool=self.spec.name, why=f"it takes no {_listed(strange)}. {self._takes()}")
        missing = [name for name, field in fields.items() if field.is_required() and name not in known]
        if len(missing) == len(strange) == 1:
            known[missing[0]] = strange.popitem()[1]
        missing = [name for name in missing if name not in known]
        strange = {key: value for key, value in strange.items() if value not in _EMPTY and key not in _ASIDE}
        if strange and not missing:  # an answer to half of what was asked would pass for a whole one
            raise BadCall(tool=self.spec.name, why=f"it takes no {_listed(strange)}. {self._takes()}")
        return {name: meant for name, value in known.items() if (meant := _meant(value, fields[name])) is not None}

    def _takes(self) -> str:
        fields = self._declared.arguments.model_fields.items()
        named = (name if field.is_required() else f"{name} (may be left out)" for name, field in fields)
        return f"It takes {', '.join(named)}." if fields else "It takes nothing."

    def _why(self, error: ValidationError) -> str:
        wrong = error.errors(include_url=False, include_context=False)
        told = []
        for one in wrong[:_MOST_WRONG]:
            name = str(one["loc"][0]) if one["loc"] else "it"
            missing = one["type"] == "missing"
            told.append(f"{name} is missing" if missing else f"{name}: {one['msg'][0].lower()}{one['msg'][1:]}")
        return f"{'; '.join(told)}. {self._takes()}"


def _nothing(_: Here) -> str:
    return ""


def tool(  # noqa: PLR0913 - all that a tool is
    words: Callable[[Mapping[str, Any]], str],
    *,
    effect: Effect = Effect.READ,
    outward: str = "",
    needs: Callable[[Here], str] = _nothing,
    sold: bool = False,
    privately: bool = False,
    look: Look | None = None,
) -> Callable[[Run], Declared]:
    """Declare a tool: a function of `Here`, `Use`, and its arguments by name, each with a description (`Annotated`, `Field`)."""

    def declare(run: Run) -> Declared:
        hints = get_type_hints(run, include_extras=True)
        fields = {
            name: (hints[name], ... if one.default is inspect.Parameter.empty else one.default)
            for name, one in inspect.signature(run).parameters.items()
            if one.kind is inspect.Parameter.KEYWORD_ONLY
        }
        name = run.__name__
        model = create_model(name, __base__=_Arguments, **cast("dict[str, Any]", fields))
        description = " ".join(inspect.getdoc(run).split())  # type: ignore[union-attr] # ruff sees to it
        return Declared(name, description, model, run, effect, outward, words, needs, sold, privately, look)

    return declare


def _schema(model: type[BaseModel]) -> dict[str, Json]:
    """The JSON schema of the arguments, without what no model needs."""
    found = model.model_json_schema()
    properties = {
        name: {key: value for key, value in one.items() if key != "title"}
        for name, one in found.get("properties", {}).items()
    }
    return {"type": "object", "properties": properties, "required": found.get("required", [])}


def _meant(value: Json, field: Any) -> Json:
    """What a value is meant to be; None: it is not given."""
    is_text, is_list = field.annotation is str, get_origin(field.annotation) is list
    if isinstance(value, list) and len(value) == 1 and not is_list:
        value = value[0]
    if isinstance(value, str) and not is_text:
        if value.strip().lower() in {"", "null", "none"} and not field.is_required():
            return None
        if is_list:
            return _list(value)
    return value


def _list(text: str) -> Json:
    """A list that came as text; a text that is none is its one entry."""
    if text.lstrip().startswith("["):
        try:
            return cast("Json", json.loads(text))
        except ValueError:
            pass
    return [text]


def _listed(names: Mapping[str, Json]) -> str:
    return ", ".join(said(name) for name in list(names)[:_MOST_WRONG])


def _bounded(text: str) -> str:
    """An answer, or its beginning; tools that can say how to ask for the rest are shorter by themselves."""
    if len(text) <= LONGEST:
        return text
    end = f"\n(cut here: {{left:,}} of {len(text):,} characters are left out. Ask for less, or for another part.)"
    room = LONGEST - len(end) - 10
    return text[:room] + end.format(left=len(text) - room)
