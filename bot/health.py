"""How every part is: for /status, `timmy status`, /healthz, /readyz and the metrics, from one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from core.chat import Reply
from core.money import format_sats, to_sats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.events import Json
    from core.ports import Clock

STUCK_MS = 30_000
"""A writer busy this long with one batch is stuck."""


class Writer(Protocol):
    """What health asks of the database."""

    busy_since: int | None


@dataclass(slots=True)
class Part:
    """A supervised part: up, or down since when and why."""

    up: bool = False
    since: int = 0
    why: str = "starting"
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What the database knows: live tasks by state, all tasks ever, money in msat, messages waiting, events given up."""

    live: dict[str, int]
    tasks: int
    held: int
    escrow: int
    treasury: int
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
    parts: dict[str, Part] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """Why the hub is not healthy: a part that is down, or a stuck writer. A missing model is neither."""
        found = [f"{name} is down: {part.why}" for name, part in self.parts.items() if not part.up]
        since = self.writer.busy_since
        if since is not None and self.clock.now() - since > STUCK_MS:
            found.append("the database writer is stuck")
        return found

    async def data(self) -> dict[str, Json]:
        """Everything, for programs."""
        figures, model, now = await self.figures(), await self.model(), self.clock.now()
        faults = self.faults()
        return {
            "ok": not faults,
            "ready": self.ready,
            "faults": list(faults),
            "uptime_s": (now - self.started) // 1000,
            "parts": {name: {"up": part.up, "restarts": part.restarts, "why": part.why} for name, part in self.parts.items()},
            "model": {"up": model is None, "why": model},
            "tasks": {"live": dict(figures.live), "posted": figures.tasks},
            "money": {
                "held_sats": to_sats(figures.held), "escrow_sats": to_sats(figures.escrow),
                "treasury_sats": to_sats(figures.treasury), "simulated": self.simulated,
            },
            "messages_waiting": figures.backlog,
            "dead_letters": figures.dead_letters,
        }  # fmt: skip

    async def reply(self) -> Reply:
        """Everything, for people."""
        data, figures = await self.data(), await self.figures()
        why = await self.model()
        lines = ["All parts are up" if data["ok"] else "Something is down: " + "; ".join(self.faults())]
        lines += [f"{name}  {'up' if part.up else 'down: ' + part.why}" for name, part in self.parts.items()]
        lines.append(f"model  {why or 'up'}")
        live = ", ".join(f"{count} {status}" for status, count in figures.live.items()) or "none under way"
        lines.append(f"tasks  {live}; {figures.tasks:,} ever")
        kind = "simulated sats" if self.simulated else "sats"
        money = f"{format_sats(figures.held)} held, {format_sats(figures.escrow)} in escrow, {format_sats(figures.treasury)} earned"
        lines.append(f"money  {money} ({kind})")
        if figures.backlog or figures.dead_letters:
            lines.append(f"messages  {figures.backlog} waiting to be read, {figures.dead_letters} events given up")
        return Reply("\n".join(lines), data)
