"""What tools work with: the ports of the hub that they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.agent.skill import Match
from core.agent.tool import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from pathlib import Path

    from core.agent.box import Box
    from core.agent.notebook import Notebook
    from core.agent.persona_worker import Shelf
    from core.agent.skill import Skills
    from core.agent.tool import Use
    from core.agent.worktree import Worktrees
    from core.ports import Clock, Fetcher


class Reader(Protocol):
    """The hub's own views, for whoever may see them."""

    async def __call__(self, line: str, use: Use) -> str:
        """What the slash command `line`, one that only reads, says to the caller. Raises what it would say instead."""


class Cloner(Protocol):
    """Git repositories of the internet."""

    @property
    def hosts(self) -> frozenset[str]:
        """Where they may come from."""

    async def look(self, url: str, name: str = "") -> None:
        """Raise what keeps it from being cloned, as far as that can be seen without asking anybody."""

    async def clone(self, url: str, name: str = "", *, again: bool = False) -> str:
        """Clone one into a folder of the workspace; returns its name. Raises why it cannot be had.

        `again`: it was begun before, by a hub that was stopped; it may be there already.
        """


@dataclass(frozen=True, slots=True)
class Here:
    """The ports. `skills`: what works on the files of the workspace; `data`: the hub's own folder.

    `cloner`: None where the owner allows no host.
    """

    skills: Skills
    shelf: Shelf
    fetcher: Fetcher
    reads: Reader
    clock: Clock
    zone: tzinfo | None
    data: Path
    notebook: Callable[[], Notebook]
    box: Box | None = None
    cloner: Cloner | None = None
    worktrees: Callable[[], Worktrees] | None = None

    def knows(self, *skills: str) -> str:
        """What to do where one of the skills cannot be used on this machine; empty if all can."""
        offered = self.skills.offered(skills)
        return "" if len(offered) == len(skills) else "its libraries are not installed. Run make install"

    async def ask(self, skill: str, subject: str = "", **options: str) -> Output:
        """What a skill makes of a subject in the workspace; what it wrote is kept."""
        match = Match(skill, subject, 1.0, tuple(options.items()))
        await self.skills.check(match)
        folder = await self.shelf.folder()
        try:
            outcome = await self.skills.run(match, folder)
            files = await self.shelf.keep(outcome.files)
        finally:
            await self.shelf.discard(folder)
        return Output(outcome.text, files=files)

    async def look(self, skill: str, subject: str = "", **options: str) -> str:
        """Raise what would keep a skill that changes something from it, which does all but the change; returns what it saw."""
        return (await self.ask(skill, subject, dry="1", **options)).text
