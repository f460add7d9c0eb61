"""What the hub's models may call. The tools themselves are loaded as they are offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.tools.here import Here
from adapters.tools.toolbox import MODULES, Tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import tzinfo

    from adapters.shelf import Shelf
    from adapters.tools.here import Reader
    from config.settings import Settings
    from core.agent.notebook import Notebook
    from core.agent.skill import Skills
    from core.ports import Clock, Fetcher
    from core.swarm.persona import Persona


def tools(  # noqa: PLR0913 - the ports that tools work with
    settings: Settings,
    *,
    skills: Skills,
    shelf: Shelf,
    fetcher: Fetcher,
    reads: Reader,
    clock: Clock,
    zone: tzinfo | None,
    notebook: Callable[[], Notebook],
) -> Tools:
    """All tools of a hub."""
    return Tools(Here(skills, shelf, fetcher, reads, clock, zone, settings.data_dir, notebook))


def check_names(personas: Iterable[Persona]) -> None:
    """Raise ValueError for a tool that a persona names and that there is not."""
    for one in personas:
        if unknown := sorted(set(one.tools) - MODULES.keys()):
            raise ValueError(f"{one.name} names tools that there are not: {', '.join(unknown)}")
