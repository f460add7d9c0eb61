"""The crew: workers of other processes and hosts. They enrol over the worker API, and bid and are paid like any agent.

Who is enrolled is rows. Who is here is memory: a worker is here for as long as it asks for something now and then. Those that
were here at a stop are waited for a while at the next start, as they come back by themselves.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, NamedTuple

from core.access import Action, authorize
from core.durations import about
from core.errors import Refused, UserError
from core.events import Event, Kind
from core.swarm.persona import says
from core.swarm.ports import Seat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from core.chat import Caller
    from core.ports import Clock
    from core.store import Store
    from core.swarm.ports import SwarmTx
    from core.swarm.task import Task

log = logging.getLogger(__name__)

ANYTHING = "any"
"""The capability of a worker that is asked about every task."""

FIELD = "workers"
"""The class of their work, for limits: the hub's, as no worker chooses by what it is limited."""

SILENCE = 35_000
"""ms: whoever asked for nothing for so long is away. A poll is answered after 25 s at most."""

RETURN = 15_000
"""ms: for so long those are waited for that were here at the stop, after a start, or that came by a way that was lost."""

LIFE = 30 * 86_400_000
"""ms: whoever was not here for so long is enrolled no more, until it enrols again."""

MOST_CAPABILITIES = 32
MOST_TASKS = 100
_CAPABILITY = re.compile(r"[a-z0-9]+(?:[ '-][a-z0-9]+){0,7}")
_LONGEST = 64


class BadCapability(UserError):
    """{given} is no capability: a few words of letters and digits, such as writing, or "any" for every task; at most {most}."""


class BadConcurrency(UserError):
    """A worker does 1 to {most} tasks at a time, or 0 to be given nothing more; you wrote {given}."""


class WasDismissed(Refused):
    """{agent} was dismissed from this hub. An operator lets it work here again: /spawn {agent}"""


class OtherProcess(UserError):
    """Another process works here as {agent} now: it enrolled last. Stop this one, or give it a token and a name of its own."""

    status = 409


class NotEnrolled(UserError):
    """{agent} is not enrolled. POST /internal/agents comes first."""

    status = 409


class Enrolled(NamedTuple):
    """A worker as it enrolled: what it can do, and how many tasks it does at a time (0: nothing more). `live`: not dismissed."""

    name: str
    capabilities: tuple[str, ...]
    concurrency: int = 1
    live: bool = True


class _Hands(NamedTuple):
    """Who is here of those who could do a task, as long as nobody comes or goes, and at least until then, by the steady clock."""

    could: list[Enrolled]
    presence: int
    until: int
    names: list[str]


class Crew:
    """Who is enrolled, who is here, and who could do what. `called_for` names the capabilities that a task calls for."""

    def __init__(self, store: Store[SwarmTx], clock: Clock, called_for: Callable[[str], frozenset[str]]) -> None:
        self._store = store
        self._clock = clock
        self.called_for = called_for
        self._enrolled: dict[str, Enrolled] = {}
        self._dismissed: dict[str, Enrolled] = {}
        self._seen: dict[str, int] = {}
        self._loads: dict[str, int] = {}
        self._freed: dict[str, int] = {}
        self._instances: dict[str, str] = {}
        self._awaited: dict[str, int] = {}
        self._ways: dict[str, str] = {}
        self._old: set[str] = set()
        self._begun = 0
        self._noted: set[str] = set()
        self._left: dict[str, int] = {}
        self._version = 0
        self._fitting: tuple[object, list[Enrolled]] = (None, [])
        self.changed: Callable[[str], object] = str
        """Is told whose enrolment began or ended without its asking."""
        self._presence = 0
        """How often somebody came or went: on the loop; `hands` is asked by the writer's thread too."""
        self._hands = _Hands([], 0, 0, [])
        self.troubles: dict[str, str] = {}
        """Why those cannot be here that this hub keeps in containers, by name."""

    def __iter__(self) -> Iterator[Enrolled]:
        """All that are enrolled, by name."""
        return iter(sorted(self._enrolled.values(), key=lambda one: one.name))

    async def load(self) -> None:
        """Read who is enrolled; those that were here at the stop count as here until they have had time to come back."""
        rows = await self._store.read(lambda tx: tx.crew.all())
        self._begun = self._clock.steady()
        self._enrolled = {worker.name: worker for worker, _, _ in rows if worker.live}
        self._dismissed = {worker.name: worker for worker, _, _ in rows if not worker.live}
        self._version += 1
        self._noted = {worker.name for worker, here, _ in rows if here and worker.live}
        self._old = set(self._enrolled)
        self._left = {worker.name: seen for worker, here, seen in rows if not here}
        self._sweep()
        self._awaited = dict.fromkeys(self._noted, self._begun + RETURN)
        self._presence += 1

    def has(self, name: str | None) -> bool:
        """Whether a worker of this name is enrolled."""
        return name in self._enrolled

    def get(self, name: str) -> Enrolled:
        """Raises `NotEnrolled`."""
        if (found := self._enrolled.get(name)) is None:
            raise NotEnrolled(agent=name)
        return found

    def seat(self, worker: Enrolled, load: int) -> Seat:
        """One of them, as it is shown."""
        why = None if worker.concurrency else "takes nothing more"
        if not self.here(worker.name):
            seen = self._seen.get(worker.name)
            gone = "" if seen is None else about(self._clock.steady() - seen)
            since = "away since the hub's start" if worker.name in self._old else "away: not heard from"
            why = f"away: silent for {gone}" if gone else since
        why = self.troubles.get(worker.name, why)
        can = worker.capabilities
        return Seat(
            worker.name,
            "worker",
            "its own work" if not can else ", ".join(can),
            can,
            load,
            worker.concurrency,
            None,
            why,
        )

    def capacity(self, name: str) -> int:
        """How many tasks a worker does at a time; 0 for one that is not enrolled."""
        found = self._enrolled.get(name)
        return 0 if found is None else found.concurrency

    def seen(self, name: str) -> bool:
        """It has asked for something; returns whether it was away until now."""
        if back := not self.here(name):
            self._left.pop(name, None)
            self._freed[name] = self._clock.now()
        self._seen[name] = self._clock.steady()
        self._awaited.pop(name, None)
        self._ways.pop(name, None)
        self._presence += back
        return back

    def came_by(self, name: str, way: str) -> None:
        """What a worker has asked for, it asked for by this way, which may be lost; by any other, it reaches the hub itself."""
        if name in self._enrolled:
            self._ways[name] = way

    def lost(self, way: str) -> None:
        """Whoever is here by this way cannot be heard now: it is expected back, for as long as after a start."""
        now = self._clock.steady()
        for name in [name for name, by in self._ways.items() if by == way]:
            del self._ways[name]
            if self.here(name):
                self._awaited[name] = now + RETURN
        self._presence += 1

    def loaded(self, name: str, load: int) -> None:
        """A worker has so many tasks now."""
        if load < self._loads.get(name, 0):
            self._freed[name] = self._clock.now()
        self._loads[name] = load

    def had_no_time(self, name: str, since: int) -> bool:
        """Whether a worker had no hand free at this time, Unix ms, or has none: it could not answer what was asked then.

        As far as was noted: whoever is free by the rows and was not until a moment ago could not either.
        """
        return self._freed.get(name, 0) > since or self._loads.get(name, 0) >= self.capacity(name)

    def here(self, name: str) -> bool:
        """Whether a worker is here, or is expected back; whatever the clock of the machine is set to."""
        return self._clock.steady() < self._until(name)

    def _until(self, name: str) -> int:
        """Until when it counts as here if it asks for nothing, by the steady clock."""
        if (back := self._awaited.get(name)) is not None:
            return back
        seen = self._seen.get(name)
        return self._begun if seen is None else seen + SILENCE

    def fitting(self, task: Task) -> list[Enrolled]:
        """Those who may bid on a task and are asked to, here or not."""
        asked = (self._version, task.description, task.only, task.excluded)
        if self._fitting[0] != asked:  # several ask in a row
            called = self.called_for(task.description)
            self._fitting = (asked, [worker for worker in self._enrolled.values() if fits(worker, task, called)])
        return self._fitting[1]

    def fits(self, name: str, task: Task) -> bool:
        """Whether a worker may bid on a task, and is asked to."""
        return fits(self._enrolled[name], task, self.called_for(task.description))

    def hands(self, task: Task) -> list[str]:
        """Those who are here and could do a task, busy or not."""
        if not self._enrolled:
            return []
        presence, now, could, known = self._presence, self._clock.steady(), self.fitting(task), self._hands
        if known.could is not could or known.presence != presence or now >= known.until:  # several ask in a row
            ends = {one.name: end for one in could if one.concurrency and now < (end := self._until(one.name))}
            known = self._hands = _Hands(could, presence, min(ends.values(), default=now), [*ends])
        return known.names

    def closing(self, names: Sequence[str], now: int, window: int) -> int:
        """When an auction that waits for these closes, Unix ms: whoever is expected back gets the time to come."""
        if not self._awaited:
            return now + window
        steady = self._clock.steady()
        return now + max(window, *(self._awaited.get(name, steady) - steady for name in names), 0)

    def check_instance(self, name: str, instance: str) -> None:
        """Raise `OtherProcess` where another process of this name has enrolled since; one that does not say which it is passes."""
        if instance and self._instances.setdefault(name, instance) != instance:
            raise OtherProcess(agent=name)

    def instance(self, name: str) -> str:
        """The process that works under this name, as far as it is known."""
        return self._instances.get(name, "")

    async def enrol(self, name: str, capabilities: Sequence[str], concurrency: int, instance: str = "") -> bool:
        """Enrol a worker, or change what it can do; returns whether anything is new. `instance`: which process of it this is.

        Raises `BadCapability`, `BadConcurrency`, `WasDismissed`, and `OtherProcess` where one that was replaced wants nothing more.
        """
        if not concurrency:
            self.check_instance(name, instance)
        can = check_capabilities(capabilities)
        if not 0 <= concurrency <= MOST_TASKS:
            raise BadConcurrency(most=MOST_TASKS, given=concurrency)
        if name in self._dismissed:
            raise WasDismissed(agent=name)
        worker = Enrolled(name, can, concurrency)

        def work(tx: SwarmTx) -> None:
            known = tx.crew.find(name)
            if known is not None and not known.live:
                raise WasDismissed(agent=name)
            tx.crew.put(worker, here=True)

        if new := self._enrolled.get(name) != worker:
            await self._store.write(work)
            self._enrolled[name] = worker
            self._version += 1
            self._noted.add(name)
        if instance:
            new = self._instances.get(name, instance) != instance or new
            self._instances[name] = instance
        back = self.seen(name)
        return new or back

    def admit(self, worker: Enrolled) -> None:
        """One that the hub itself begins was enrolled; it is not here yet."""
        self._dismissed.pop(worker.name, None)
        self._left.pop(worker.name, None)
        self._enrolled[worker.name] = worker
        self._version += 1
        self.changed(worker.name)

    def knows(self, name: str) -> bool:
        """Whether a worker of this name is enrolled, or was dismissed."""
        return name in self._enrolled or name in self._dismissed

    async def turn(
        self, caller: Caller, name: str, *, live: bool, key: str, as_now: Callable[[SwarmTx, Caller], Caller],
        also: Callable[[SwarmTx], None] | None = None,
    ) -> bool:  # fmt: skip
        """Dismiss a worker, or let it work here again, and whatever is `also` done then; returns whether that was done now."""
        authorize(caller, Action.ROSTER)

        def work(tx: SwarmTx) -> Enrolled | None:
            known = tx.crew.find(name)
            if known is None or known.live == live or tx.applied(key) is not None:
                return None
            as_now(tx, caller)
            worker = known._replace(live=live)
            tx.crew.put(worker, here=False)
            if also is not None:
                also(tx)
            kind = Kind.AGENT_SPAWNED if live else Kind.AGENT_DISMISSED
            tx.emit(Event(kind, agent=name, data={"by": caller.recorded}))
            tx.mark(key, name)
            return worker

        worker = await self._store.write(work)
        if worker is None:
            return False
        into, out = (self._enrolled, self._dismissed) if live else (self._dismissed, self._enrolled)
        out.pop(name, None)
        into[name] = worker
        self._version += 1
        self._noted.discard(name)
        self._left.pop(name, None)
        self.gone(name)
        self.changed(name)
        return True

    def gone(self, name: str) -> None:
        """It is not here any more: its token was revoked, or it was dismissed."""
        self._old.discard(name)
        self._seen.pop(name, None)
        self._instances.pop(name, None)
        self._awaited.pop(name, None)
        self._ways.pop(name, None)
        self._presence += 1

    async def run(self) -> None:
        """Note now and then who is here, for the next start."""
        while True:
            await self._clock.sleep(SILENCE / 1000)
            here = {name for name in self._enrolled if self.here(name)}
            if here != self._noted:
                self._noted = here
                await self._store.write(lambda tx, here=here: tx.crew.note(here))  # type: ignore[misc]
            self._sweep()

    def _sweep(self) -> None:
        """Whoever has not been here for long is enrolled no more; its row stays, for what it is still owed."""
        now = self._clock.now()
        for name in self._enrolled.keys() - self._noted:
            if now - self._left.setdefault(name, now) > LIFE:
                log.info("%s was not here for %d days, and is enrolled no more", name, LIFE // 86_400_000)
                del self._enrolled[name]
                self._version += 1
                self.changed(name)


def check_capabilities(given: Iterable[str]) -> tuple[str, ...]:
    """Capabilities as they are kept. Raises `BadCapability`."""
    can = tuple(dict.fromkeys(one.strip().lower() for one in given))
    if wrong := [one for one in can if len(one) > _LONGEST or not _CAPABILITY.fullmatch(one)]:
        raise BadCapability(given=repr(wrong[0][:80]), most=MOST_CAPABILITIES)
    if len(can) > MOST_CAPABILITIES:
        raise BadCapability(given=f"A list of {len(can):,}", most=MOST_CAPABILITIES)
    return can


def fits(worker: Enrolled, task: Task, called: frozenset[str]) -> bool:
    """Whether a worker may bid on a task, and is asked to. `called`: the capabilities that the task calls for."""
    if worker.name in task.excluded or task.only not in {None, worker.name}:
        return False
    if task.only is not None or ANYTHING in worker.capabilities:
        return True
    return any(one in called or says(one, task.description) for one in worker.capabilities)
