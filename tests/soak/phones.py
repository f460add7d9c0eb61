"""Phones with Shortcuts: each speaks for somebody of the crowd, over real HTTP, and its answer is told there or at their home.

A phone sends the same request again, under the same key, when the connection broke or the hub was not there, as
`docs/shortcuts.md` has it; it fetches by its job what took longer, hangs up at times, and asks for what is tapped at home.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp

from adapters.clockwork import SystemClock
from adapters.shortcuts.answers import IN_CHAT
from tests.scenario.shortcuts import Phone
from tests.soak.crowd import LINGER, LONG, Person
from tests.soak.talks import LOOK, WordsOnly
from tests.soak.tally import Shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.scenario.shortcuts import Answer
    from tests.soak.soak import LoggedHub
    from tests.soak.talks import Desk, Talk
    from tests.soak.tally import Said, Tally
    from tests.soak.wires import BreakableModel

LIMIT = 50_000
"""What a task may cost that a phone asks for, sats: more than any that is posted at once, less than one that is tapped."""

OPEN_SECONDS = 15.0
"""How long a phone holds a connection open; the hub answers within 8."""

PAUSE = 0.2
"""Seconds before it tries again."""

BACK_SECONDS = 4.0
"""Within what time somebody who hung up comes back, if they do: before the answer is there, or while it waits for them."""

OK, STARTS_OR_STOPS = 200, 503
MORE = "in the chat"


class OnPhone(WordsOnly):
    """Somebody with a phone, `home` being where they talk in private otherwise."""

    surface = "shortcuts"

    def __init__(self, name: str, home: Talk, hub: LoggedHub, desk: Desk, tally: Tally) -> None:
        self.home = home
        self.place = name
        self.actor = f"shortcuts:{name}"
        self.owner = home.owner
        self.shown: list[Shown] = []
        self.wrong: list[str] = []
        self.again = 0
        """Requests that were sent again, for their connection broke or somebody was not sure."""

        self._hub = hub
        self._desk = desk
        self._tally = tally
        self._phone = Phone("")
        self._told: dict[str, Answer] = {}

    async def get_token(self) -> None:
        """Have one minted, as the owner of the data folder does."""
        whose = ("--for", self.home.actor, "--task-limit", str(LIMIT))
        self._phone.token = (await self._hub.timmy("token", "shortcut", self.place, *whose)).strip()

    def say(self, said: Said, text: str) -> None:
        self.begin(said, text)

    def begin(self, said: Said, text: str) -> asyncio.Task[None]:
        """Say it; whoever holds the task can hang up."""
        said.text, said.home = text, (self.home.surface, self.home.place)
        said.update = f"soak-{id(said)}-{said.at}"
        return self._desk.beside(self.ask(said))

    async def ask(self, said: Said) -> None:
        """Ask until it is told here, or that it was told at home; the same key again is told the same."""
        route, what = ("task", "description") if said.text.startswith("/task ") else ("chat", "message")
        post = f"/shortcuts/{route}", {what: said.text.removeprefix("/task ")}
        answer = await self._asked(said.update, *post)
        is_first = said.update not in self._told
        if (before := self._told.setdefault(said.update, answer)) != answer:
            self.wrong.append(f"{self.actor} was told {before}, and then {answer}")
        if is_first and answer["text"] != IN_CHAT:
            said.rest = MORE in answer["speech"]
            self.shown.append(Shown(self.surface, self.place, "", (answer["text"],)))
            self._tally.saw(self.surface, self.place, answer["text"])

    async def look(self) -> None:
        """How the hub is."""
        answer = await self._asked("", "/shortcuts/status", None)
        if not answer["text"].startswith(("All parts are up", "Something is down", IN_CHAT)):
            self.wrong.append(f"{self.actor} looked at {answer}")

    async def _asked(self, key: str, path: str, body: Any) -> Answer:
        job = ""
        while True:
            method, how = ("GET", {}) if job or body is None else ("POST", {"json": body, "key": key})
            status, answer = await self._once(method, f"/shortcuts/result/{job}" if job else path, how)
            if status == OK and answer["done"]:
                return answer
            if status == OK:
                job = answer["job"]
                continue
            if status not in {0, STARTS_OR_STOPS}:
                self.wrong.append(f"{self.actor} got {status} to {method} {path}: {answer}")
            job = ""
            self.again += 1
            await SystemClock().sleep(PAUSE)

    async def _once(self, method: str, path: str, how: dict[str, Any]) -> tuple[int, Answer]:
        """One request; status 0 where there was no answer."""
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                return await self._phone.at(self._hub.address).request(method, path, **how)
        return 0, {}


class Caller(Person):
    """Somebody who talks with their phone."""

    def __init__(self, talk: OnPhone, model: BreakableModel, tally: Tally, seed: str) -> None:
        super().__init__(talk, tally, seed)
        self._phone = talk
        self._model = model
        self.hung_up = self.tapped = 0

    def _deeds(self) -> Sequence[tuple[Callable[[], Awaitable[None]], int]]:
        dear = [(self._dear, 10)] if self._talk.owner else []
        return [*super()._deeds(), (self._hang_up, 10), (self._look, 5), (self._not_sure, 5), *dear]

    async def _look(self) -> None:
        await self._phone.look()

    async def _not_sure(self) -> None:
        """The same again, which is the same request."""
        said = self._said("T-{:07}", "/show {}", 9_000_000)
        self._phone.again += 1
        await self._phone.ask(said)

    async def _hang_up(self) -> None:
        """Put the phone down while the model is at it; some come back for the answer, the others find it at home."""
        said = self._tally.note(self._talk.surface, self._talk.place, f"q{self._tally.number():06}")
        asking = self._phone.begin(said, f"{said.sign} tell me a tale{LONG}")
        while said.sign not in self._model.at_it and not asking.done():
            await SystemClock().sleep(LOOK)
        if asking.cancel():
            self.hung_up += 1
            said.away = True
        with suppress(asyncio.CancelledError):
            await asking
        if self._dice.random() < 0.5:
            await SystemClock().sleep(self._dice.uniform(0, BACK_SECONDS))
            await self._phone.ask(said)

    async def _dear(self) -> None:
        """A task that costs more than the phone may: it is tapped at home."""
        number = LIMIT + self._tally.number()
        said = self._tally.note(self._talk.surface, self._talk.place, f"max={number}")
        self._talk.say(said, f"/task write a letter to=quill {said.sign}")
        await self._press(f"{number:,}", said.sign, "Approve", LINGER, self._phone.home)
        self.tapped += 1
