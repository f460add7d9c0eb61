"""A toolbox over a small real workspace, and a way to have its tools called as a model would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.shelf import Shelf
from adapters.skills.runner import SkillRunner
from adapters.skills.worktrees import Worktrees
from adapters.tools.here import Here
from adapters.tools.toolbox import Tools
from core.agent.tool import Use
from core.chat import Caller, Role
from core.errors import Unavailable
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo
    from pathlib import Path

    from core.agent.box import Box
    from core.agent.notebook import Notebook
    from core.agent.tool import Output
    from core.events import Json
    from core.ports import Fetcher, Page

ANN = Caller("telegram:5", Role.MEMBER)


def _forgetful() -> Notebook:
    raise Unavailable(why="a bench has no memory")


@dataclass
class Web:
    """`core.ports.Fetcher` over a few pages."""

    pages: dict[str, Page] = field(default_factory=dict)

    def check(self, url: str) -> None:
        assert url

    async def get(self, url: str, *, authorization: str = "") -> Page:
        assert not authorization
        return self.pages[url]


@dataclass
class Bench:
    """`call()` reads the arguments and runs the tool, as the loop does."""

    folder: Path
    workspace: Path
    zone: tzinfo | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    web: Fetcher = field(default_factory=Web)
    asked: list[str] = field(default_factory=list)
    box: Box | None = None

    def __post_init__(self) -> None:
        data = self.folder / "data-of-hub"
        data.mkdir(exist_ok=True)
        self.shelf = Shelf(data)
        runner = SkillRunner(self.workspace, [self.workspace / "data", data], scratch=self.shelf.scratch)

        async def reads(line: str, use: Use) -> str:
            self.asked.append(f"{use.caller.actor}: {line}")
            return f"what {line} says"

        self.here = Here(
            runner, self.shelf, self.web, reads, self.clock, self.zone, data, _forgetful, self.box,
            worktrees=lambda: Worktrees(runner, self.shelf.scratch),
        )  # fmt: skip
        self.tools = Tools(self.here)

    async def call(self, name: str, caller: Caller = ANN, key: str = "k1", again: int = 0, **arguments: Json) -> Output:
        return await self.given(name, arguments, caller, key, again)

    async def look(self, name: str, **arguments: Json) -> str:
        """Whether it could be done, as the loop asks before a person is asked; what is kept with the question."""
        tool = self.tools.find(name)
        assert tool is not None
        return await tool.look(tool.read(arguments), Use(ANN, "telegram:5", "k1")) or ""

    async def given(
        self, name: str, arguments: Mapping[str, Json], caller: Caller = ANN, key: str = "k1", again: int = 0, seen: str = "",
    ) -> Output:  # fmt: skip
        tool = self.tools.find(name)
        assert tool is not None
        return await tool.run(tool.read(arguments), Use(caller, "telegram:5", key, again, seen))
