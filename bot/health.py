"""How every part is: for /status, `timmy status`, /healthz, /readyz and the metrics, from one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.chat import Reply
from core.ids import task_name
from core.money import format_cost, format_sats, to_cost, to_sats
from core.swarm.coordinator import Waits
from core.swarm.parking import words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from core.agent.cascade import Standing
    from core.agent.pulling import Coming
    from core.events import Json
    from core.ports import Clock
    from core.swarm.stuck import Stuck

MOST_WAITING = 5
"""Tasks that are told to wait, and names that are told with each."""

STUCK_MS = 30_000
"""A writer busy this long with one batch is stuck."""

NODE_PART = "lightning"
"""The part that listens to the node."""

DEAF_MS = 120_000
"""A surface that completed no poll for this long is deaf, whatever else it says."""


class Writer(Protocol):
    """What health asks of the database."""

    busy_since: int | None


class Surface(Protocol):
    """What health asks of a chat surface."""

    name: str

    @property
    def heard_at(self) -> int | None:
        """When its platform last answered a poll, Unix ms; None where it is not polled."""

    @property
    def advice(self) -> tuple[str, ...]:
        """What is not as it should be though it works."""


@dataclass(slots=True)
class Part:
    """A supervised part: up, or down since when and why. One that was started again keeps the reason for which it fell.

    `abroad`: it stands for something outside, such as the Lightning node; that it is down is no fault of this process's.
    """

    up: bool = False
    since: int = 0
    why: str = "starting"
    restarts: int = 0
    abroad: bool = False


class Figures(NamedTuple):
    """What the database knows: live tasks by state, all tasks ever, money in msat, messages waiting, what was given up.

    `earned` and `spent`: the treasury's, since midnight; `frozen`: nothing may be spent.
    """

    live: dict[str, int]
    tasks: int
    held: int
    escrow: int
    treasury: int
    earned: int
    spent: int
    frozen: bool
    backlog: int
    dead_letters: int


@dataclass(slots=True)
class Health:
    """Collects the state of the parts."""

    clock: Clock
    writer: Writer
    figures: Callable[[], Awaitable[Figures]]
    model: Callable[[], Awaitable[str | None]]
    started: int
    simulated: bool = True
    ready: bool = False
    behind: Callable[[], str] = str
    """That the Lightning node is not in step with the chain, as it last said; empty where it is."""

    models: Callable[[], Awaitable[Sequence[Standing]]] | None = None
    """How each model server is."""

    coming: Callable[[], Sequence[Coming]] = tuple
    """The models that are being got."""

    waits: Callable[[], Waits] | None = None
    """What waits for whom, and which workers are here."""

    stuck: Callable[[], Sequence[Stuck]] = tuple
    """What nothing moves any more."""

    parts: dict[str, Part] = field(default_factory=dict)
    surfaces: list[Surface] = field(default_factory=list)

    def surface_fault(self, surface: Surface) -> str | None:
        """Why a surface does not hear its people, None if it does."""
        part, heard = self.parts.get(surface.name), surface.heard_at
        if part is not None and not (part.up and self._heard_since(part, heard)):
            return _down(surface.name, part)
        if heard is not None and self.clock.now() - heard > DEAF_MS:
            return f"{surface.name} is deaf: it answered no poll for {(self.clock.now() - heard) // 60_000} minutes"
        return None

    @staticmethod
    def _heard_since(part: Part, heard: int | None) -> bool:
        """Whether a surface that was started again has heard something: until then it only tries."""
        return not part.restarts or heard is None or heard >= part.since

    def faults(self) -> list[str]:
        """Why the hub is not healthy: a part that is down, a deaf surface, or a stuck writer.

        A missing model and an unreachable node are neither: to start the hub anew would not help.
        """
        names = {surface.name for surface in self.surfaces}
        down = [(name, part) for name, part in self.parts.items() if not part.up and name not in names]
        found = [_down(name, part) for name, part in down if not part.abroad]
        found += [fault for fault in map(self.surface_fault, self.surfaces) if fault]
        since = self.writer.busy_since
        if since is not None and self.clock.now() - since > STUCK_MS:
            found.append("the database writer is stuck")
        return found

    def troubles(self) -> list[str]:
        """Everything that is down: the faults, and what stands for something outside, such as the Lightning node."""
        return [
            *self.faults(),
            *(_down(name, part) for name, part in self.parts.items() if part.abroad and not part.up),
        ]

    def notes(self) -> list[str]:
        """What is not as it should be though the hub is healthy."""
        behind = self.behind()
        found = [f"the Lightning node is {behind}"] if behind else []
        stuck = [one.about for one in self.stuck()]
        return [*found, f"{_some(stuck)} {'is' if len(stuck) == 1 else 'are'} stuck"] if stuck else found

    def in_short(self) -> list[str]:
        """What is down or stuck, a line each."""
        return [*self.troubles(), *(f"{one.about} is stuck: {one.why}" for one in self.stuck())]

    async def data(self) -> dict[str, Json]:
        """Everything, for programs."""
        return await self._data(await self.figures())

    async def _data(self, figures: Figures) -> dict[str, Json]:
        model, behind, now = await self.model(), self.behind(), self.clock.now()
        faults, waits = [*self.troubles(), *self.notes()], self._waits()
        servers = await self._servers()
        return {
            "ok": not faults,
            "ready": self.ready,
            "faults": list(faults),
            "uptime_s": (now - self.started) // 1000,
            "parts": {
                name: {"up": part.up, "restarts": part.restarts, "why": "" if part.up else part.why}
                for name, part in self.parts.items()
            },
            "advice": {surface.name: list(surface.advice) for surface in self.surfaces},
            "node": {"synced": not behind, "why": behind},
            "model": {"up": model is None, "why": model, "servers": [{**one} for one in servers]},
            "coming": [{"model": one.model, "percent": one.percent} for one in self.coming()],
            "tasks": {"live": dict(figures.live), "posted": figures.tasks},
            "money": {
                "held_sats": to_cost(figures.held), "escrow_sats": to_sats(figures.escrow),
                "treasury_sats": to_sats(figures.treasury),
                "earned_today_sats": to_sats(figures.earned), "spent_today_sats": to_cost(figures.spent),
                "simulated": self.simulated, "frozen": figures.frozen,
            },
            "workers": {"here": [*waits.here], "away": [*waits.away]},
            "waiting": [{"task": task_name(number), "for": list(agents)} for number, agents in waits.tasks],
            "stuck": [{"kind": one.kind, "about": one.about, "why": one.why, "fix": one.fix} for one in self.stuck()],
            "messages_waiting": figures.backlog,
            "dead_letters": figures.dead_letters,
        }  # fmt: skip

    async def _servers(self) -> list[dict[str, str | bool | None]]:
        found = [] if self.models is None else await self.models()
        return [{"name": one.name, "url": one.where, "up": not one.why, "why": one.why or None} for one in found]

    def _waits(self) -> Waits:
        return Waits([], [], []) if self.waits is None else self.waits()

    async def reply(self) -> Reply:
        """Everything, for people."""
        figures = await self.figures()  # once: each look waits for what is being written
        data = await self._data(figures)
        why = await self.model()
        behind = self.behind()
        whats = [fault.partition(" is ")[0] for fault in self.troubles()]  # each has its line below
        if behind:
            whats.append("the Lightning node")
        stuck = self.stuck()
        but = [f"something is stuck: {_some([one.about for one in stuck])}"] if stuck else []
        but += ["no model answers"] if why is not None else []
        well = f"All parts are up{', but ' if but else ''}{'; '.join(but)}"
        lines = [f"Something is down: {', '.join(whats)}" if whats else well]
        faults = {one.name: fault for one in self.surfaces if (fault := self.surface_fault(one))}
        for name, part in self.parts.items():
            fault = faults.get(name, "" if part.up else f"{name} is down: {part.why}")
            lines.append(f"{name}  {fault.removeprefix(f'{name} is ') or _up(name, behind)}")
        servers = await self._servers()
        several = len(servers) > 1
        lines += [f"model of {one['name']}  {one['why'] or 'up'}" for one in servers if several]
        if not several:
            lines.append(f"model  {why or 'up'}")
        lines += [f"{one.model}  is being got: {one.words}" for one in self.coming()]
        live = ", ".join(f"{count} {status}" for status, count in figures.live.items()) or "none under way"
        lines.append(f"tasks  {live}; {figures.tasks:,} ever")
        lines += [f"{one.about}  is stuck: {one.why}. To do: {one.fix}" for one in stuck[:MOST_WAITING]]
        waits = self._waits()
        for number, agents in waits.tasks[:MOST_WAITING]:
            lines.append(f"{task_name(number)}  {words(agents)}")
        if waits.here or waits.away:
            gone = f"; away: {_some(waits.away)}" if waits.away else ""
            lines.append(f"workers  {len(waits.here)} here{gone}")
        kind = "simulated sats" if self.simulated else "sats"
        money = f"{format_cost(figures.held)} held, {format_sats(figures.escrow)} in escrow"
        lines.append(f"money  {money} ({kind})")
        today = f"today {format_sats(figures.earned)} earned, {format_cost(figures.spent)} spent"
        lines.append(f"treasury  {format_sats(figures.treasury)}; {today}")
        if figures.frozen:
            lines.append("spending  frozen; an owner ends that with /unfreeze")
        if figures.backlog or figures.dead_letters:
            lines.append(f"messages  {figures.backlog} waiting to be read, {figures.dead_letters} given up")
        return Reply("\n".join(lines), data)


def _up(name: str, behind: str) -> str:
    return f"up; its node is {behind}" if behind and name == NODE_PART else "up"


def _down(name: str, part: Part) -> str:
    """That a part is down and why, to stand in a sentence."""
    return f"{name} is down: {part.why.rstrip('.')}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_WAITING
    return ", ".join(names[:MOST_WAITING]) + (f" and {more} more" if more > 0 else "")
