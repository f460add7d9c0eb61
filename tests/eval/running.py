"""Runs tasks of the set through a whole hub: `build` with everything real but the web, which is the task's own pages.

Each hub has a data folder and a workspace of its own, which end with it, and simulated money.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from adapters.clockwork import SystemClock
from core.agent.loop import CALL
from core.errors import HubError, Unavailable
from core.ids import parse_task
from core.ports import Page
from tests.eval.expect import Outcome
from tests.eval.tasks import AGENT, ROSTER
from tests.ollama_server import Calls
from tests.scenario import bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.console.link import Frame
    from config.settings import Settings
    from core.swarm.task import Task
    from tests.eval.tasks import Case, Reference
    from tests.fakes import FakeClock
    from tests.ollama_server import OllamaServer
    from tests.scenario.bot import Bot

CLOCK = SystemClock()
LOOK_SECONDS = 0.05
BUDGET = 1000
"""Sats that a task may cost."""


class NoSuchPage(Unavailable):
    """There is no page {url} on this web."""


@dataclass
class Ran:
    """A task that was run: what is wrong with what came of it, and what that took."""

    case: Case
    outcome: Outcome
    wrong: list[str]
    seconds: float
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def verdict(self) -> str:
        """`passed`, `declined` where that was not expected, else `failed`."""
        if not self.wrong:
            return "passed"
        return "declined" if self.outcome.status == "declined" else "failed"

    @property
    def repaired(self) -> int:
        """Calls that could be read only otherwise than they were written, or were written as the answer."""
        return self.calls["repaired"] + self.calls["written"]


class Web:
    """`core.ports.Fetcher` of the pages of one task."""

    def __init__(self, case: Case) -> None:
        self._pages = case.pages

    def check(self, url: str) -> None:
        """See `Fetcher`."""

    async def get(self, url: str, *, authorization: str = "") -> Page:
        """See `Fetcher`."""
        if url not in self._pages:
            raise NoSuchPage(url=url.partition("?")[0])
        return Page(200, url, "text/html", "utf-8", self._pages[url].encode())


class _Noted(logging.Handler):
    """Counts how calls were read, by the log of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == CALL and isinstance(record.args, tuple):
            self.calls.append((str(record.args[0]), str(record.args[1])))


def script(server: OllamaServer, case: Case, reference: Reference) -> None:
    """Have the scripted model answer a task with one of its reference answers; the same again where it is to be mended."""
    server._scripts.clear()
    for call in reference.calls:
        server.says(Calls(call["name"], dict(call.get("arguments", {}))))
    for _ in range(1 if case.of == AGENT else 2):
        server.says(reference.text.strip())


async def run(case: Case, settings: Settings, folder: Path, seconds: float) -> Ran:
    """Run one task, for so many seconds at most."""
    noted, log = _Noted(), logging.getLogger("core.agent.loop")
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(noted)
    try:
        async with _hub(case, settings, folder) as one:
            began = time.monotonic()
            outcome = await (_asked(one, case, seconds) if case.of == AGENT else _posted(one, case, seconds))
            took = time.monotonic() - began
    finally:
        log.removeHandler(noted)
        log.setLevel(level)
    called = [name for name, became in noted.calls if became in {"read", "repaired"}]
    outcome = replace(outcome, called=called, tried=[name for name, _ in noted.calls])
    return Ran(case, outcome, case.expects.wrong(outcome), took, Counter(became for _, became in noted.calls))


@asynccontextmanager
async def _hub(case: Case, settings: Settings, folder: Path) -> AsyncIterator[Bot]:
    asked = {name: getattr(settings, name) for name in ("ollama", "openai", "model")}
    found = bot.settings(folder).model_copy(update=asked)
    for name, text in case.files.items():
        file = found.workspace / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    clock = cast("FakeClock", CLOCK)  # a real one: a model takes what it takes
    async with bot.hub(
        folder, clock=clock, worker=None, personas=tuple(ROSTER.values()), found=found, fetcher=Web(case)
    ) as one:
        yield one


async def _asked(one: Bot, case: Case, seconds: float) -> Outcome:
    """What the agent answers."""
    await one.post(f"/ask {case.task}")
    frame = await _reply(one, seconds)
    if frame is None:
        await one.post("/stop")
        return Outcome("failed", why=f"no answer after {seconds:g} s")
    data: dict[str, Any] = frame["data"]
    if not data.get("ok", True):
        return Outcome("failed", why=frame["text"])
    said = frame["text"]
    return Outcome("delivered", said.rpartition("\n\n(Called: ")[0] if data.get("called") else said)


async def _posted(one: Bot, case: Case, seconds: float) -> Outcome:
    """What a persona delivers."""
    await one.post(f"/task {case.task} max={BUDGET} to={case.of}")
    frame = await _reply(one, seconds)
    if frame is None or "task" not in frame:
        return Outcome("declined", why="no answer" if frame is None else frame["text"])
    number = parse_task(frame["task"])
    try:
        async with asyncio.timeout(seconds):
            task = await _over(one, number)
    except TimeoutError:
        await one.post(f"/cancel {frame['task']}")
        return Outcome("failed", why=f"not done after {seconds:g} s")
    if task.result is None:
        why = task.why or "nobody did it"
        return Outcome("declined" if "handed the task back" in why or not task.attempt else "failed", why=why)
    files = await one.app.hub.coordinator.files(number)
    return Outcome("delivered", task.result, {file.name: _content(one.app.hub.file_path(file)) for file in files})


def _content(place: str) -> bytes:
    return Path(place).read_bytes()


async def _over(one: Bot, number: int) -> Task:
    while not (task := await one.app.hub.coordinator.show(number)).over:
        await CLOCK.sleep(LOOK_SECONDS)
    return task


async def _reply(one: Bot, seconds: float) -> Frame | None:
    try:
        async with asyncio.timeout(seconds):
            while (frame := await one.link.receive()) is not None:
                if frame["kind"] == "reply":
                    return frame
    except (TimeoutError, HubError):
        pass
    return None
