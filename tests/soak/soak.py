"""One hub with every surface on, its people and its troubles, from the first word to the last answer; and what is left."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from adapters.clockwork import SystemClock
from tests.kill.hub_process import HubProcess
from tests.matrix_server import BOT, PASSWORD
from tests.soak.crowd import Person, settle
from tests.soak.gauge import Gauge
from tests.soak.phones import Caller, OnPhone
from tests.soak.talks import Desk
from tests.soak.tally import Tally
from tests.soak.troubles import AFTERMATH_MS, Troubles
from tests.soak.wires import BreakableModel, WatchedMatrix, WatchedTelegram

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Self

    from tests.soak.crowd import World
    from tests.soak.talks import Talk
    from tests.soak.tally import Shown

GRANT = 1_000_000
SIGTERM_AT, KILL_AT = 0.25, 0.4
"""When the two stops come, as shares of the whole: the third life is the longest, for its memory to be judged."""

PHONES = {"phone": "telegram:101", "watch": "matrix:@p6:localhost", "speaker": "matrix:@p1:localhost"}
"""Devices by whom they speak for: an owner, a member, and an owner in an encrypted room."""

ORPHAN_SECONDS = 3.0
LAST_WORD_SECONDS = 90.0
CALM = re.compile(r"\S+ \S+ (DEBUG|INFO|WARNING) ")
CODE = re.compile(r"timmy pair ([A-Z2-9]{8})")


@dataclass(frozen=True)
class Mix:
    """How it is run: seconds of talk, a seed, and how many troubles at once."""

    seconds: float = 300.0
    seed: int = 1
    lanes: int = 1


class LoggedHub(HubProcess):
    """A hub process whose log is read all the time, or it would wait for a reader."""

    def __init__(self, folder: Path, model_url: str, **environment: str) -> None:
        super().__init__(folder, model_url, executed=True, **environment)
        self.log_file = folder / "hub.log"
        self.complaints: list[str] = []
        """Lines of the log that no trouble accounts for: errors, and what no logger wrote."""
        self.ready = False
        self._readers: list[asyncio.Task[None]] = []
        self.orphans: list[int] = []
        """Children of a killed hub that outlived it."""

    async def start(self) -> Self:
        """See `HubProcess`."""
        self.ready = False
        await super().start()
        self.ready = True
        assert self.process is not None
        read = self._read(self.process.stderr)
        self._readers.append(asyncio.get_running_loop().create_task(read))
        return self

    async def _read(self, stream: asyncio.StreamReader) -> None:
        with self.log_file.open("ab", buffering=0) as kept:
            while line := await stream.readline():
                kept.write(line)
                if not CALM.match(text := line.decode(errors="replace").rstrip()):
                    self.complaints.append(text)

    async def kill(self) -> None:
        """See `HubProcess`; what it had started must follow it soon."""
        children = psutil.Process(self.pid).children(recursive=True) if self.pid else []
        await super().kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, ORPHAN_SECONDS)
        self.orphans += [child.pid for child in alive]

    async def _end(self, number: Any) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        code = await process.wait()
        while self._readers:
            await self._readers.pop()
        return code


@dataclass
class Soak:
    """Everything that takes part."""

    mix: Mix
    hub: LoggedHub
    telegram: WatchedTelegram
    matrix: WatchedMatrix
    model: BreakableModel
    desk: Desk
    tally: Tally
    world: World
    troubles: Troubles
    gauge: Gauge
    people: list[Person]
    phones: list[OnPhone]
    begun: int = 0
    grant: int = GRANT
    down: list[tuple[int, int]] = field(default_factory=list)
    """When no hub was there, Unix ms."""
    exits: tuple[int, ...] = ()
    stops: tuple[float, ...] = ()
    """Seconds that each orderly stop took."""

    def over(self) -> bool:
        """Whether people stop talking."""
        return self._passed() >= self.mix.seconds

    def _passed(self) -> float:
        return (SystemClock().now() - self.begun) / 1000

    async def run(self) -> None:
        """Let everybody in, let them talk to the end, and wait for the last answer."""
        async with asyncio.TaskGroup() as beside:
            helpers = [beside.create_task(one) for one in (self.desk.run(), self.gauge.run(), self._write())]
            await self._let_in()
            self.begun = SystemClock().now()
            async with asyncio.TaskGroup() as talking:
                for person in self.people:
                    talking.create_task(person.live(self.over))
                for lane in range(self.mix.lanes):
                    talking.create_task(self.troubles.run(self.over, lane))
                talking.create_task(self._stops())
            await self._last_words()
            self.gauge.look()
            for helper in helpers:
                helper.cancel()

    async def _write(self) -> None:
        """Somebody writes on the file that voice notes name: an ear expects the names of the newest."""
        while True:
            (self.hub.data.parent / "workspace" / "welcome.md").touch()
            await SystemClock().sleep(1.0)

    async def _let_in(self) -> None:
        """Members are let in as anybody is: they write, get a code, and the owner types it."""
        for talk in self.world.members:
            said = self.tally.note(talk.surface, talk.place)
            talk.say(said, "hello")
            code = await self._code(talk)
            (frame,) = await self.hub.say(f"/pair {code}")
            assert frame["data"]["ok"], frame["text"]
        for phone in self.phones:
            await phone.get_token()

    async def _code(self, talk: Talk) -> str:
        async with asyncio.timeout(20):
            while True:
                for one in (self.telegram if talk.surface == "telegram" else self.matrix).shown():
                    if one.place == talk.place and (found := CODE.search(one.texts[-1])):
                        return found[1]
                await SystemClock().sleep(0.05)

    async def _stops(self) -> None:
        """An orderly stop, and one without a farewell."""
        for share, end in ((SIGTERM_AT, "SIGTERM"), (KILL_AT - SIGTERM_AT, "kill -9")):
            await SystemClock().sleep(self.mix.seconds * share)
            begun = SystemClock().now()
            self.gauge.lives[-1].end = end
            await (self.stop() if end == "SIGTERM" else self.hub.kill())
            await self.hub.start()
            self.down.append((begun, SystemClock().now()))

    async def stop(self) -> None:
        """SIGTERM."""
        begun = SystemClock().now()
        self.exits += (await self.hub.stop(),)
        self.stops += ((SystemClock().now() - begun) / 1000,)

    def spans(self) -> list[tuple[int, int]]:
        """When something was wrong or had just been, Unix ms."""
        stops = [(begun, ended + AFTERMATH_MS) for begun, ended in self.down]
        return [*stops, *(one.felt for one in self.troubles.made)]

    async def _last_words(self) -> None:
        """Wait until everything is answered and every task is over."""
        for _ in range(round(LAST_WORD_SECONDS / 0.5)):
            health = (await self.hub.say("/status"))[0]["data"]
            if not self.tally.open and not health["messages_waiting"] and not health["tasks"]["live"]:
                return
            await SystemClock().sleep(0.5)

    def shown(self) -> list[Shown]:
        """Everything that the hub has said."""
        phones = [one for phone in self.phones for one in phone.shown]
        return [*self.telegram.shown(), *self.matrix.shown(), *self.desk.frames, *phones]


@asynccontextmanager
async def soaking(folder: Path, mix: Mix) -> AsyncIterator[Soak]:
    """Everything that takes part, with the hub started."""
    tally = Tally()
    async with (
        BreakableModel.running("llama3.2:latest", pause=0.01) as model,
        WatchedTelegram(tally) as telegram,
        WatchedMatrix(tally) as matrix,
    ):
        assert isinstance(model, BreakableModel)
        desk = Desk(folder / "data", tally)
        world = settle(telegram, matrix, desk)
        hub = LoggedHub(folder, model.url, **_environment(telegram, matrix, world))
        people = [Person(talk, tally, f"{mix.seed} {place}") for place, talk in enumerate(world.talks)]
        phones = [OnPhone(name, world.home(actor), hub, desk, tally) for name, actor in PHONES.items()]
        people += [Caller(phone, model, tally, f"{mix.seed} {phone.place}") for phone in phones]
        gauge = Gauge(lambda: hub.pid if hub.ready else 0, lambda: len(tally.seen_at))
        troubles = Troubles(telegram, matrix, model, mix.seed)
        try:
            await hub.start()
            yield Soak(mix, hub, telegram, matrix, model, desk, tally, world, troubles, gauge, people, phones)
        finally:
            await hub.kill()


def _environment(telegram: WatchedTelegram, matrix: WatchedMatrix, world: World) -> dict[str, str]:
    """Every surface on; what may be short is short."""
    return {
        "TIMMY_OWNER": ",".join(world.owners), "TIMMY_WALLET_GRANT": str(GRANT), "TIMMY_AUCTION_WINDOW": "2s",
        "TIMMY_AUCTION_LEASE": "10s", "TIMMY_TELEGRAM_TOKEN": telegram.token,
        "TIMMY_TELEGRAM_BASE_URL": telegram.base_url.removesuffix("/bot"),
        "TIMMY_TELEGRAM_CHATS": ",".join(map(str, world.chats)), "TIMMY_MATRIX_HOMESERVER": matrix.url,
        "TIMMY_MATRIX_USER": BOT, "TIMMY_MATRIX_PASSWORD": PASSWORD, "TIMMY_MATRIX_ROOMS": ",".join(world.rooms),
        "TIMMY_SHORTCUTS_ENABLED": "true",
    }  # fmt: skip
