"""A toolbox of tools that tests make: what each does is one function, and every call is noted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.agent.model import ToolSpec
from core.agent.tool import BadCall, Effect, Output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.agent.tool import Tool, Use
    from core.chat import Caller
    from core.events import Json


@dataclass
class Made:
    """A tool with text parameters, all required; `does` is given them and returns what the model reads.

    `bars` is what keeps it from being done, before its person is asked.
    """

    name: str
    does: Callable[..., Awaitable[Output | str]]
    effect: Effect = Effect.READ
    outward: str = ""
    takes: tuple[str, ...] = ()
    bars: Exception | None = None
    called: list[dict[str, Any]] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)

    @property
    def spec(self) -> ToolSpec:
        """See `Tool`."""
        fields: dict[str, Json] = {one: {"type": "string"} for one in self.takes}
        needs: list[Json] = [*self.takes]
        return ToolSpec(self.name, f"{self.name} it", {"type": "object", "properties": fields, "required": needs})

    def read(self, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        """See `Tool`."""
        for one in self.takes:
            if not isinstance(arguments.get(one), str):
                raise BadCall(tool=self.name, why=f"it needs {one}, a text.")
        return {one: arguments[one] for one in self.takes}

    def words(self, arguments: Mapping[str, Json]) -> str:
        """See `Tool`."""
        return " ".join([self.name, *(str(value) for value in arguments.values())])

    async def look(self, arguments: Mapping[str, Json], use: Use) -> None:
        """See `Tool`."""
        if self.bars is not None:
            raise self.bars

    async def run(self, arguments: Mapping[str, Json], use: Use) -> Output:
        """See `Tool`."""
        self.called.append(dict(arguments))
        self.uses.append(use)
        found = await self.does(**arguments)
        return found if isinstance(found, Output) else Output(found, outside=False)


@dataclass
class Box:
    """A toolbox of these, for everybody."""

    tools: Sequence[Tool]

    def offered(self, names: Sequence[str], caller: Caller) -> Sequence[Tool]:
        """See `Toolbox`."""
        return [tool for tool in self.tools if not names or tool.spec.name in names]

    def find(self, name: str) -> Tool | None:
        """See `Toolbox`."""
        return next((tool for tool in self.tools if tool.spec.name == name), None)

    def closed(self) -> Sequence[tuple[str, str]]:
        """See `Toolbox`."""
        return [("play_chess", "there is no board")]
