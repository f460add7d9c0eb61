"""What the hub's models may call. The tools themselves are loaded as they are offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters import folder
from adapters.clockwork import SystemIds
from adapters.containers.door import Door
from adapters.tools.benches import Benches
from adapters.tools.here import Here
from adapters.tools.toolbox import MODULES, Tools, declared
from config.settings import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import tzinfo
    from pathlib import Path

    from adapters.containers.box import Boxes
    from adapters.fetch.repositories import Repositories
    from adapters.shelf import Shelf
    from adapters.skills.worktrees import Worktrees
    from adapters.tools.here import Reader
    from config.settings import Settings
    from core.agent.box import Box
    from core.agent.notebook import Notebook
    from core.agent.skill import Skills
    from core.agent.tool import Effect, Toolbox
    from core.ports import Clock, Fetcher, IdSource, Spawner
    from core.swarm.persona import Persona

IMAGE = "timmy-agent"
"""The image of boxes where the settings name none: an agent's own, which `make docker-build` makes."""

PROCESSES = 128
BOX_ID = "box.id"
"""The file in the data folder that holds what this hub's boxes are marked with; there since the first of them."""


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
    box: Box | None = None,
) -> Tools:
    """All tools of a hub."""

    def worktrees() -> Worktrees:
        from adapters.skills.worktrees import Worktrees  # noqa: PLC0415 - for the first change of code

        return Worktrees(skills, shelf.scratch)

    cloner = _cloner(settings)
    return Tools(Here(skills, shelf, fetcher, reads, clock, zone, settings.data_dir, notebook, box, cloner, worktrees))


def benches(found: Toolbox) -> Benches | None:
    """Where personas change code, with the tools of a hub that has its own."""

    def command(folder: Path) -> list[str]:
        from adapters.suites.command import in_a_box  # noqa: PLC0415 - for the first tests in a box

        return in_a_box(folder)

    return Benches(found.here, command) if isinstance(found, Tools) else None


def boxes(settings: Settings, clock: Clock, ids: IdSource, spawner: Spawner) -> Door:
    """Where code runs that a model wrote or changed. What a killed hub left there is removed."""
    docker = settings.docker

    def make() -> Boxes:
        from adapters.containers.box import Boxes  # noqa: PLC0415 - for the first box
        from adapters.skills.closed import why_closed  # noqa: PLC0415 - as above
        from core.swarm.container import Limits  # noqa: PLC0415 - as above

        limits = Limits(docker.memory << 20, round(docker.cpus * 1000), PROCESSES)
        return Boxes(
            docker.url, docker.image or IMAGE, folder.secret(settings.data_dir, BOX_ID, ids), limits, ids=ids, closed=why_closed
        )  # fmt: skip

    door = Door(docker.url, make, clock, spawner)
    if (settings.data_dir / BOX_ID).exists():
        spawner.spawn(door.sweep(), "boxes left")
    return door


def described() -> Iterator[tuple[str, str, Effect, str]]:
    """Every tool for the docs: its name, what a model reads of it, its effect, and what it sends out."""
    for name in MODULES:
        one = declared(name)
        yield name, one.description, one.effect, one.outward


def _cloner(settings: Settings) -> Repositories | None:
    hosts = split(settings.git.hosts)
    if not hosts:
        return None
    from adapters.fetch.repositories import Repositories  # noqa: PLC0415 - few hubs clone anything

    return Repositories(settings.workspace, hosts, SystemIds())


def check_names(personas: Iterable[Persona]) -> None:
    """Raise ValueError for a tool that a persona names and that there is not."""
    for one in personas:
        if unknown := sorted(set(one.tools) - MODULES.keys()):
            raise ValueError(f"{one.name} names tools that there are not: {', '.join(unknown)}")
