"""`timmy worker`: the hub's personas and skills in a process of their own, working for a hub anywhere."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from adapters import folder
from adapters.clockwork import Nursery, SystemClock, SystemIds, chance
from adapters.crew.client import HubClient
from adapters.shelf import Shelf
from adapters.skills.runner import SkillRunner
from bot.parts.models import brains
from config import personas
from core.agent.model import Bounds
from core.agent.persona_worker import PersonaWorker
from core.errors import UserError
from core.swarm.outpost import Outpost
from core.swarm.ports import Agent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.settings import Settings
    from core.swarm.ports import ResultFile


FIRST_LOOK_SECONDS = 1.2


class NothingToDo(UserError):
    """None of the personas has {given}. Their capabilities are {known}."""


async def work(settings: Settings, *, name: str, capabilities: Sequence[str], capacity: int) -> None:
    """Work until SIGTERM or Ctrl-C; then finish what is under way, or hand it back.

    `capabilities`: of these only; all that the personas here have, if none is said. Raises `NothingToDo`, and `Rejected` where the
    hub wants no such worker.
    """
    known = personas.load(models=settings.model.of)
    wanted = {one.lower() for one in capabilities}
    chosen = [one for one in known if not wanted or not wanted.isdisjoint(one.capabilities)]
    if not chosen:
        every = sorted({one for persona in known for one in persona.capabilities})
        raise NothingToDo(given=", ".join(capabilities), known=", ".join(every))
    can = sorted(wanted or {one for persona in chosen for one in persona.capabilities})
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="timmy-worker-") as place:
        shelf = Shelf(Path(place))
        folder.make(settings.workspace, "WORKSPACE", writes=False)
        skills = SkillRunner(settings.workspace, (settings.data_dir, Path(place)), scratch=shelf.scratch)

        async def content(file: ResultFile) -> bytes:
            return await asyncio.to_thread(shelf.path(file.sha256, file.name).read_bytes)

        token = settings.worker.token.get_secret_value() if settings.worker.token else ""
        opened = HubClient.opened(settings.hub.url, name, token, clock, content, SystemIds().token(9))
        async with brains(settings, clock) as models, Nursery() as nursery, opened as hub:
            await models.begin(nursery, FIRST_LOOK_SECONDS)
            hands = PersonaWorker(skills, models.model, shelf, bounds=Bounds(window=settings.ollama.num_ctx))
            outpost = Outpost(
                hub, hands, [Agent(one.name, one) for one in chosen], capabilities=can, capacity=capacity, clock=clock,
                spawner=nursery, chance=chance,
            )  # fmt: skip
            print(f"timmy: {name} asks {settings.hub.url} for work: {', '.join(can)}", file=sys.stderr, flush=True)  # noqa: T201
            await outpost.run(stop)
