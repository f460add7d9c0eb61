"""An outpost: agents that work for a hub from another process or host, as one worker of its crew (`timmy worker`).

It asks for auctions and answers them honestly, does what it wins, and says how it goes. Whatever is lost on the way is asked or
said again: a hub that is away is asked for ever, later and later, and each saying is one that the hub takes once.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from core.errors import HubError, Unavailable, UserError, WentWrong
from core.money import format_sats
from core.swarm.ports import Decline, Offer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from core.ports import Clock, Spawner
    from core.swarm.ports import Agent, Delivery, Said

T = TypeVar("T")

log = logging.getLogger(__name__)

POLL_SECONDS = 25
BEAT_SECONDS = 10.0
"""Between two heartbeats; shorter where a third of the lease is."""

FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0
"""Seconds until a hub that is away is asked again, the first time and at most; each is drawn from half of it to all of it."""

DRAIN_SECONDS = 10.0
"""At a stop: how long what is under way may take to end; then it is handed back."""


class HubAway(Unavailable):
    """The hub does not answer: {why}. It is asked again and again."""


class Rejected(UserError):
    """The hub refuses: {why}"""

    @property
    def lost(self) -> bool:
        """Whether what it was about is not this worker's any more, or never was."""
        return self.facts.get("status") in {404, 409}

    @property
    def replaced(self) -> bool:
        """Whether another process works under this worker's name now."""
        return self.facts.get("code") == "other_process"


@dataclass(frozen=True, slots=True)
class Notice:
    """An auction as the hub tells of it. `budget` in msat; `model`: the one that it is to be done with, None: whichever."""

    task: str
    description: str
    budget: int
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What was awarded. `seconds`: how long the lease lasts, at most."""

    task: str
    description: str
    attempt: int
    lease: str
    seconds: float
    model: str | None = None


class Hub(Protocol):
    """The worker API, seen from a worker. Everything raises `HubAway` and `Rejected`."""

    async def enrol(self, capabilities: Sequence[str], concurrency: int) -> None:
        """Join, or change what one does; 0 at a time: nothing more."""

    async def tasks(self, wait: int) -> list[Notice]:
        """Auctions to answer."""

    async def bid(self, task: str, price: int, eta: int | None, note: str) -> None:
        """Bid; `price` in msat, `eta` in ms."""

    async def refuse(self, task: str, why: str) -> None:
        """Say no."""

    async def given(self, wait: int) -> Given | None:
        """What to begin."""

    async def beat(self, task: str, lease: str) -> bool:
        """Be at it; whether it was called off."""

    async def deliver(self, task: str, lease: str, delivery: Delivery) -> None:
        """Hand in the work."""

    async def fail(self, task: str, lease: str, why: str) -> None:
        """Say that it failed."""

    async def hand_back(self, task: str, lease: str) -> None:
        """Let somebody else do it."""


class Hands(Protocol):
    """What does the work (`core.agent.persona_worker`)."""

    def appraise(self, agent: Agent, description: str) -> Said | Awaitable[Said]:
        """What an agent would ask."""

    async def do(self, agent: Agent, description: str) -> Delivery:
        """Do it."""


class Outpost:
    """The life of a worker. `agents` do the work, `capacity` tasks at a time; `chance` is drawn anew at each call, 0 to 1."""

    def __init__(  # noqa: PLR0913 - its ports
        self,
        hub: Hub,
        hands: Hands,
        agents: Sequence[Agent],
        *,
        capabilities: Sequence[str],
        capacity: int,
        clock: Clock,
        spawner: Spawner,
        chance: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._hands = hands
        self._agents = agents
        self._capabilities = capabilities
        self._capacity = capacity
        self._clock = clock
        self._spawner = spawner
        self._chance = chance
        self._at: dict[tuple[str, int], asyncio.Timeout] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._heard = asyncio.Event()
        self._draining = False
        self.hired = True
        """Whether the hub still gives work to this process."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish, or hand back. Raises `Rejected` where the hub wants no such worker.

        One that was replaced by another process of its name finishes first, too.
        """
        ended: asyncio.Future[Rejected | None] = asyncio.get_running_loop().create_future()
        cancels = [
            self._spawner.spawn(self._surely(turn, ended), name)
            for turn, name in ((self._bid, "bidding"), (self._begin, "assignments"))
        ]
        self._spawner.spawn(_set_at(stop, ended), "the stop")
        try:
            error = await ended
        finally:
            for cancel in cancels:
                cancel()
        self.hired = error is None
        if error is None or error.replaced:
            await self._drain()
        if error is not None:
            raise error

    async def _surely(self, turn: Callable[[], Awaitable[None]], ended: asyncio.Future[Rejected | None]) -> None:
        """Take turns until the hub wants no such worker. One that does not know it is told again who it is."""
        while True:
            try:
                await self._patiently(lambda: self._hub.enrol(self._capabilities, self._capacity))
            except Rejected as error:
                return _set(ended, error)
            try:
                while True:
                    await self._patiently(turn)
            except Rejected as error:
                log.info("%s", error)
                if error.replaced:  # to enrol again would take the place of the other
                    return _set(ended, error)
            await self._clock.sleep(FIRST_PAUSE)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer, and at once where the hub answers something else. Raises `Rejected`."""
        pause = FIRST_PAUSE
        while True:
            try:
                found = await ask()
            except HubAway as error:
                log.log(logging.WARNING if pause == FIRST_PAUSE else logging.DEBUG, "%s", error)
            else:
                self._heard.set()
                return found
            self._heard.clear()
            await self._clock.until(self._clock.now() + round(500 * pause * (1 + self._chance())), self._heard)
            pause = min(pause * 2, LAST_PAUSE)

    # Bidding ---------------------------------------------------------------------------------------------------

    async def _bid(self) -> None:
        for notice in await self._hub.tasks(POLL_SECONDS):
            try:
                await self._answer(notice)
            except Rejected as error:
                log.info("%s: %s", notice.task, error)
                if not error.lost:  # else it would be asked about again at once, and nothing behind it answered
                    await self._hub.refuse(notice.task, "could not say what it would take")

    async def _answer(self, notice: Notice) -> None:
        """Bid what the cheapest of the agents asks who can do it, or say why none does."""
        found, whys = await self._appraised(notice.description, notice.model)
        if found is None:
            return await self._hub.refuse(notice.task, "; ".join(dict.fromkeys(whys)) or "it is not my field")
        _, offer = found
        if offer.price > notice.budget:
            return await self._hub.refuse(notice.task, f"asks {format_sats(offer.price)}, more than the budget")
        return await self._hub.bid(notice.task, offer.price, offer.eta, offer.note)

    async def _appraised(
        self, description: str, model: str | None
    ) -> tuple[tuple[Agent, Offer] | None, list[str]]:  # fmt: skip
        offers: list[tuple[Agent, Offer]] = []
        whys: list[str] = []
        for one in self._agents:
            agent = one._replace(model=model)
            try:
                answer = self._hands.appraise(agent, description)
                said = answer if answer is None or isinstance(answer, Offer | Decline) else await answer
            except HubError as error:
                said = Decline(str(error))
            except Exception:
                log.exception("%s cannot say what a task would take", agent.name)
                said = Decline("could not look at it")
            if isinstance(said, Offer):
                offers.append((agent, said))
            elif isinstance(said, Decline):
                whys.append(f"{agent.name}: {said.why}")
        return min(offers, key=lambda one: one[1].price, default=None), whys

    # Working ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        given = await self._hub.given(POLL_SECONDS)
        if given is None or (given.task, given.attempt) in self._at:
            return
        try:
            # Until it is heard: a task that the hub has begun is given to nobody again.
            if await self._patiently(lambda: self._hub.beat(given.task, given.lease)):
                return
        except Rejected as error:
            if not error.lost:
                raise
            return
        started = asyncio.Event()
        self._spawner.spawn(self._job(given, started), given.task)
        await started.wait()

    async def _job(self, given: Given, started: asyncio.Event) -> None:
        """One task, from its start to what came of it; stopped where it is not this worker's any more."""
        place = (given.task, given.attempt)
        try:
            async with asyncio.timeout(None) as scope:
                self._at[place] = scope
                self._idle.clear()
                started.set()
                cancel = self._spawner.spawn(self._beat(given, scope), f"heartbeat of {given.task}")
                try:
                    await self._tell(given, await self._outcome(given))
                finally:
                    cancel()
        except TimeoutError:
            log.info("stopped at %s", given.task)
            if self._draining:
                with suppress(HubError):
                    await self._hub.hand_back(given.task, given.lease)
        except Rejected as error:
            log.info("%s: %s", given.task, error)
        finally:
            del self._at[place]
            if not self._at:
                self._idle.set()

    async def _outcome(self, given: Given) -> Delivery | HubError | None:
        """The work; or why there is none; or None: it is nobody's work here any more."""
        try:
            found, _ = await self._appraised(given.description, given.model)
            return None if found is None else await self._hands.do(found[0], given.description)
        except HubError as error:
            return error
        except Exception:
            log.exception("broke off at %s", given.task)
            return WentWrong()

    async def _tell(self, given: Given, outcome: Delivery | HubError | None) -> None:
        if outcome is None:
            await self._patiently(lambda: self._hub.hand_back(given.task, given.lease))
        elif isinstance(outcome, HubError):
            await self._patiently(lambda: self._hub.fail(given.task, given.lease, str(outcome)))
        else:
            try:
                await self._patiently(lambda: self._hub.deliver(given.task, given.lease, outcome))
            except Rejected as error:
                if error.lost:
                    raise
                why = str(error)
                await self._patiently(lambda: self._hub.fail(given.task, given.lease, why))
            else:
                log.info("delivered %s", given.task)

    async def _beat(self, given: Given, scope: asyncio.Timeout) -> None:
        """Keep the lease, until the work ends or is another's; a hub that is away may be back before the lease is over."""
        while True:
            await self._clock.sleep(min(BEAT_SECONDS, max(given.seconds, 1) / 3))
            with suppress(HubAway):
                try:
                    off = await self._hub.beat(given.task, given.lease)
                except Rejected:
                    off = True
                if off:
                    break
        if not scope.expired():
            scope.reschedule(0)

    async def _drain(self) -> None:
        """Take nothing more, and let what is under way end; what does not is handed back."""
        with suppress(HubError):
            if self.hired:
                await self._hub.enrol(self._capabilities, 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._idle.wait()
        self._draining = True
        for scope in self._at.values():
            if not scope.expired():
                scope.reschedule(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS / 2):
                await self._idle.wait()


async def _set_at(stop: asyncio.Event, ended: asyncio.Future[Rejected | None]) -> None:
    await stop.wait()
    _set(ended, None)


def _set(ended: asyncio.Future[Rejected | None], why: Rejected | None) -> None:
    if not ended.done():
        ended.set_result(why)
