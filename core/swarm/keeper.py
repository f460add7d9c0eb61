"""Keeps agents of this hub in containers: what the rows want is what runs, whatever happened to either meanwhile.

Rows are written before a container runs, and after it was made: one that has no row is removed at the next look, one that a row
lacks is made then. So a crash between the two leaves neither an orphan nor a gap. A stop of the hub lets containers run on.

A dismissal waits for no Docker: it is decided by the rows, may come between any two steps of a look, and the next look removes what
is left. So whatever a look writes, it writes of an agent that is still wanted.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, cast

from core.access import Action, authorize
from core.chat import one_line
from core.errors import HubError, UserError
from core.events import Event, Kind
from core.swarm import container as rules
from core.swarm.container import (
    CALM,
    MOST_CONTAINERS,
    BadImage,
    Container,
    DockerAway,
    NoImage,
    NotStarted,
    OtherHub,
    State,
    Trouble,
    check_image,
    check_name,
)
from core.swarm.crew import Enrolled, check_capabilities
from core.swarm.ports import SwarmTx
from core.tokens import NameReserved, TokenKind, TokenRow, digest_of, token_revoked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from core.chat import Caller
    from core.ports import Clock, IdSource
    from core.store import Store
    from core.swarm.container import Engine, Found, Home
    from core.swarm.coordinator import Coordinator

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
"""Between two looks at what runs."""

LAST_LINES = 10
_LONGEST_WHY = 300


class NoContainer(UserError):
    """There is no agent {given} in a container. /agents lists all; timmy agents spawn --image IMAGE NAME begins one."""

    status = 404


class RunsAlready(UserError):
    """{agent} is in a container already. /dismiss {agent} ends it."""

    status = 409


class NameTaken(UserError):
    """{agent} is a worker of another machine, or has a token of its own. Give the container another name."""

    status = 409


class TooManyContainers(UserError):
    """There are {count} agents in containers, the most this hub keeps. /dismiss one first."""

    status = 409


class ContainerStore(Protocol):
    """Agents in containers, inside one unit of work."""

    def mark(self, fresh: str) -> str:
        """What all containers of this hub are marked with: what was kept, or else this, from now on."""

    def all(self) -> list[Container]:
        """Every one, dismissed or not."""

    def put(self, one: Container) -> None:
        """Keep one, or what is new of it."""


class KeeperTx(SwarmTx, Protocol):
    """A unit of work over containers, the crew, and tokens."""

    @property
    def containers(self) -> ContainerStore:
        """Agents in containers."""


class Keeper:
    """Begins, watches and ends the containers of this hub. `load` before use.

    `claims`: whether a name is the hub's own.
    `mask` takes secrets out of a text.
    """

    def __init__(  # noqa: PLR0913 - its ports
        self,
        store: Store[KeeperTx],
        engine: Engine,
        coordinator: Coordinator,
        *,
        clock: Clock,
        ids: IdSource,
        chance: Callable[[], float],
        claims: Callable[[str], bool],
        as_now: Callable[[SwarmTx, Caller], Caller],
        home: Home,
        mask: Callable[[str], str],
    ) -> None:
        self._store = store
        self._engine = engine
        self._coordinator = coordinator
        self._clock = clock
        self._ids = ids
        self._chance = chance
        self._claims = claims
        self._as_now = as_now
        self._home = home
        self._mask = mask
        self._lock = asyncio.Lock()
        self._away: DockerAway | None = None
        self._me = ids.token(9)
        self._runs: set[str] = set()
        self._other: OtherHub | None = None
        self._wake = asyncio.Event()
        self._due: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._known: dict[str, Container] = {}

    async def load(self) -> None:
        """Read whom it keeps."""
        self._known = {one.name: one for one in await self._store.read(lambda tx: tx.containers.all())}

    def kept(self, name: str) -> Container | None:
        """The agent of this name that is in a container, or was."""
        return self._known.get(name.lower())

    @property
    def _live(self) -> list[Container]:
        return [one for one in self._known.values() if one.live]

    # What people decide ----------------------------------------------------------------------------------------

    async def spawn(
        self, caller: Caller, given: Sequence[str], image: str, capabilities: Sequence[str], *, key: str
    ) -> str:
        """Begin an agent under the first of these names that is free, in a container of `image`; returns its name.

        Raises what keeps it from running; then there is none. One that was dismissed comes back.
        """
        authorize(caller, Action.ROSTER)
        candidates, image = [self._checked(one) for one in given], check_image(image)
        can = check_capabilities(capabilities)
        async with self._turn():
            if (done := await self._store.read(lambda tx: tx.applied(key))) is not None:
                return done
            name = await self._store.read(lambda tx: self._free(tx, candidates))
            one, token = Container(name, image, can), self._token()
            try:
                await self._engine.remove(name)
                await self._engine.make(rules.wanted(one, self._home), token, self._me)

                def work(tx: KeeperTx) -> None:
                    self._as_now(tx, caller)
                    self._free(tx, [name])
                    tx.containers.put(one)
                    tx.crew.put(Enrolled(name, one.capabilities), here=False)
                    self._give(tx, name, token)
                    tx.emit(Event(Kind.AGENT_SPAWNED, agent=name, data={"by": caller.recorded}))
                    tx.mark(key, name)

                await self._store.write(work)
                self._coordinator.crew.admit(Enrolled(name, one.capabilities))
                self._forget(one)
                self._remember(one, 0)
                try:
                    await self._engine.start(name)
                except HubError:
                    await self.dismiss(caller, name, key=f"{key} in vain")
                    raise
            finally:
                self._wake.set()
        return name

    async def dismiss(self, caller: Caller, name: str, *, key: str) -> tuple[str, int]:
        """End an agent and its token at once, and its container at the next look; as `Coordinator.dismiss`."""
        one = rules.dismissed(self._known[name.lower()])

        def work(tx: SwarmTx) -> None:
            cast("KeeperTx", tx).containers.put(one)
            if tx.tokens.revoke(TokenKind.WORKER, one.name, tx.now):
                tx.emit(token_revoked(TokenKind.WORKER, one.name, caller.recorded))

        found = await self._coordinator.dismiss(caller, one.name, key=key, also=work)
        self._forget(one)
        self._wake.set()
        return found

    def _checked(self, given: str) -> str:
        name = check_name(given)
        if self._claims(name):
            raise NameReserved(given=name)
        return name

    def _free(self, tx: KeeperTx, candidates: Sequence[str]) -> str:
        """The first name that no agent has. Raises what is in the way of the last of them."""
        rows = {one.name: one for one in tx.containers.all()}
        if sum(one.live for one in rows.values()) >= MOST_CONTAINERS:
            raise TooManyContainers(count=MOST_CONTAINERS)
        tokens = {row.name for row in tx.tokens.live() if row.kind == TokenKind.WORKER}
        wrong: HubError = RunsAlready(agent=candidates[-1])
        for name in candidates:
            row = rows.get(name)
            if row is not None and row.live and row.trouble is not Trouble.REVOKED:
                continue
            if name not in tokens and (row is not None or not tx.crew.has(name)):
                return name
            wrong = NameTaken(agent=name)
        raise wrong

    # What runs -------------------------------------------------------------------------------------------------

    async def run(self, reached: Callable[[], None]) -> None:
        """See, for ever, that what runs is what is wanted; `reached` is called whenever it is. Raises `DockerAway`, `OtherHub`."""
        while True:
            self._wake.clear()
            try:
                await self.look()
            except DockerAway as error:
                if self._live:
                    raise
                log.info("%s", error)
            reached()
            soon = self._clock.now() + round(EVERY_SECONDS * 1000)
            await self._clock.until(min([soon, *self._due.values()]) if self._live else None, self._wake)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One at a time. Whoever waited for one that Docker left without an answer has had to wait for that long enough."""
        waited = self._lock.locked()
        async with self._lock:
            if waited and self._away is not None:
                raise self._away
            self._away = None
            if self._other is not None:
                raise self._other
            try:
                yield
            except DockerAway as error:
                self._away = error
                raise

    async def look(self) -> None:
        """Compare once, and do what follows."""
        async with self._turn():
            rows = self._live
            found = {one.name: one for one in await self._engine.found()}
            await self._check_alone(found)
            for name in sorted(found.keys() - {one.name for one in rows}):
                log.info("the container %s is nobody's any more", name)
                await self._engine.remove(name)
            for one in rows:
                if self._known[one.name].live:
                    await self._keep(one, found.get(one.name))

    async def _check_alone(self, found: Mapping[str, Found]) -> None:
        """Raise `OtherHub` for what was begun since the first look, and not by this hub; its owners are told, once.

        What a hub that was killed had asked of Docker may be done after that look, too, but is not begun then.
        """
        if not self._runs:
            self._runs = {self._me, *(one.run for one in found.values())}
        strange = {name for name, one in found.items() if one.run not in self._runs and one.state is not State.MADE}
        if not strange:
            return
        name = min(strange)
        self._other = other = OtherHub(agent=name)
        data = {"trouble": Trouble.COPIED.value, "why": str(other)}
        await self._store.write(lambda tx: tx.emit(Event(Kind.AGENT_DOWN, agent=name, data=data)))
        for one in self._live:
            self._coordinator.crew.troubles[one.name] = str(other)
            if one.name in strange or one.name not in found:
                self._coordinator.lose(one.name, f"the container of {one.name} was taken away by another hub")
        raise other

    async def _keep(self, one: Container, seen: Found | None) -> None:
        """Do for one what it lacks."""
        now, fits = self._clock.now(), seen is not None and seen.mark == rules.wanted(one, self._home).mark
        if seen is not None and seen.state is State.RUNS and fits:
            since = self._since.setdefault(one.name, now)
            self._coordinator.crew.troubles.pop(one.name, None)
            if one.ends and now - since >= CALM:
                await self._note(one, rules.calm(one), None)
            return
        self._since.pop(one.name, None)
        if seen is not None and seen.state is State.ENDED and seen.ended != one.ended:
            one = await self._ended(one, seen)
        if one.trouble is Trouble.REVOKED:
            self._remember(one, None)
        elif (due := self._due.setdefault(one.name, self._again(one))) > now:
            self._remember(one, due)
        else:
            await self._begin(one, seen if fits else None)

    async def _ended(self, one: Container, seen: Found) -> Container:
        """Count an end that was not seen before."""
        if await self._store.read(lambda tx: self._has_token(tx, one.name)):
            new = rules.ended(one, seen, rules.reason(seen, self._home.limits))
        else:
            new = rules.revoked(one, seen)
        self._due.pop(one.name, None)
        await self._note(one, new, None)
        self._coordinator.lose(one.name, f"the container of {one.name} does not run: {new.why}")
        return new

    async def _begin(self, one: Container, seen: Found | None) -> None:
        """Begin one that ended, with the token that it has; or make it, with another."""
        try:
            if seen is None or seen.state is not State.ENDED:
                self._coordinator.lose(one.name, f"the container of {one.name} was made anew")
                token = self._token()

                def work(tx: KeeperTx) -> bool:
                    if wanted := self._wanted(tx, one):
                        self._give(tx, one.name, token)
                    return wanted

                if not await self._store.write(work):
                    return
                await self._engine.remove(one.name)
                await self._engine.make(rules.wanted(one, self._home), token, self._me)
            await self._engine.start(one.name)
        except (NoImage, BadImage, NotStarted) as error:
            new = rules.refused(one, one_line(self._mask(str(error)))[:_LONGEST_WHY])
            self._due[one.name] = self._again(new)
            await self._note(one, new, self._due[one.name])
        else:
            self._due.pop(one.name, None)
            self._since[one.name] = self._clock.now()
            self._coordinator.crew.troubles.pop(one.name, None)

    def _again(self, one: Container) -> int:
        """When one that does not run is begun."""
        return self._clock.now() + (rules.pause(one.ends, self._chance()) if one.ends else 0)

    async def _note(self, was: Container, new: Container, due: int | None) -> None:
        """Keep what is new of one; its owners are told where its trouble is another."""

        def work(tx: KeeperTx) -> None:
            if not self._wanted(tx, new):
                return
            tx.containers.put(new)
            if new.trouble is not was.trouble:
                kind = Kind.AGENT_DOWN if new.trouble else Kind.AGENT_UP
                tx.emit(Event(kind, agent=new.name, data={"trouble": new.trouble.value, "why": new.why}))

        await self._store.write(work)
        self._remember(new, due)

    def _remember(self, one: Container, due: int | None) -> None:
        """How one is as kept, if it is wanted still; `due`: when it is begun, if that is known."""
        if self._known[one.name].live:
            self._known[one.name] = one
            wait = None if due is None else max(0, due - self._clock.now())
            self._coordinator.crew.troubles[one.name] = rules.standing(one, wait)

    def _forget(self, one: Container) -> None:
        """It begins, or is wanted no more: what was seen of it is of the past."""
        self._known[one.name] = one
        self._due.pop(one.name, None)
        self._since.pop(one.name, None)
        self._coordinator.crew.troubles.pop(one.name, None)

    @staticmethod
    def _wanted(tx: KeeperTx, one: Container) -> bool:
        """Whether it is not dismissed."""
        return any(row.name == one.name and row.live for row in tx.containers.all())

    # Tokens ----------------------------------------------------------------------------------------------------

    def _token(self) -> str:
        return f"timmy_{TokenKind.WORKER}_{self._ids.token(32)}"

    @staticmethod
    def _give(tx: SwarmTx, name: str, token: str) -> None:
        """This is the one token of an agent from now on."""
        if tx.tokens.revoke(TokenKind.WORKER, name, tx.now):
            tx.emit(token_revoked(TokenKind.WORKER, name, "hub"))
        tx.tokens.add(TokenRow(digest_of(token), TokenKind.WORKER, name, None, None, tx.now))

    @staticmethod
    def _has_token(tx: SwarmTx, name: str) -> bool:
        return any((row.kind, row.name) == (TokenKind.WORKER, name) for row in tx.tokens.live())

    # Looking ---------------------------------------------------------------------------------------------------

    async def log(self, given: str, lines: int = LAST_LINES) -> list[str]:
        """What an agent's container said last, without secrets, and without what a terminal would obey.

        Raises `NoContainer`, `DockerAway`.
        """
        if (one := self.kept(given)) is None:
            raise NoContainer(given=repr(given[:40]))
        return [rules.shown(self._mask(line)) for line in await self._engine.log(one.name, lines)]
