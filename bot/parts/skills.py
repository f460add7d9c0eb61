"""The skills of this machine: which there are is known at once, what runs them is loaded for the first task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.skills.catalogue import offered
from bot.later import Later

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from core.agent.skill import Match, Outcome, Skills


def runner(
    workspace: Path, closed: Sequence[Path], *, cache: Path, scratch: Path, without: frozenset[str] = frozenset()
) -> Skills:
    """See `adapters.skills.runner.SkillRunner`, which this is from the first task on."""

    def make() -> Skills:
        from adapters.skills.runner import SkillRunner  # noqa: PLC0415 - see above

        return SkillRunner(workspace, closed, cache=cache, scratch=scratch, without=without)

    return _Skills(Later(make), without)


class _Skills:
    """`core.agent.skill.Skills`."""

    def __init__(self, skills: Later[Skills], without: frozenset[str]) -> None:
        self._skills = skills
        self._without = without

    def offered(self, skills: Sequence[str]) -> tuple[str, ...]:
        """See `Skills`."""
        return offered(skills, self._without)

    def match(self, skills: Sequence[str], description: str) -> Match | None:
        """See `Skills`."""
        return self._skills().match(skills, description)

    async def check(self, match: Match) -> None:
        """See `Skills`."""
        await self._skills().check(match)

    async def run(self, match: Match, out: Path) -> Outcome:
        """See `Skills`."""
        return await self._skills().run(match, out)
