"""What the sidecar looks at. `bot/parts/web.py` hands it the hub's own services, which fulfil these shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.swarm.ports import SwarmTx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from core.events import Event
    from core.ports import Clock, IdSource
    from core.spark.spark import Insight
    from core.store import Store
    from core.swarm.crew import Enrolled
    from core.swarm.ports import Agent, Seat
    from core.swarm.stuck import Stuck
    from core.tokens import TokenRow


class SessionStore(Protocol):
    """The page's logins, inside one unit of work: the hash of each session's secret, and when it ends (Unix ms)."""

    def live(self, now: int) -> list[tuple[str, int]]:
        """Those that go on, in the order of their ends."""

    def begin(self, digest: str, expires: int) -> None:
        """Keep one."""

    def end(self, digest: str) -> None:
        """Forget one."""


class WebTx(SwarmTx, Protocol):
    """A unit of work over logins, and over tasks and events, which are only ever read."""

    @property
    def sessions(self) -> SessionStore:
        """The page's logins."""

    def events_after(self, event: int, limit: int) -> list[Event]:
        """The next events after number `event`, oldest first."""

    def last_event(self) -> int:
        """The newest event's number, 0 if there is none."""


class Part(Protocol):
    """A supervised part of the hub."""

    @property
    def up(self) -> bool:
        """Whether it runs."""

    @property
    def restarts(self) -> int:
        """How often it was started again."""


class Figures(Protocol):
    """What the database knows. Amounts in msat."""

    @property
    def live(self) -> Mapping[str, int]:
        """Live tasks by status."""

    @property
    def tasks(self) -> int:
        """Tasks ever posted."""

    @property
    def held(self) -> int:
        """All open holds."""

    @property
    def escrow(self) -> int:
        """What the tasks under way have in escrow."""

    @property
    def treasury(self) -> int:
        """What the hub itself has."""

    @property
    def earned(self) -> int:
        """What the treasury earned since midnight."""

    @property
    def spent(self) -> int:
        """What it spent since midnight; negative where more came back."""

    @property
    def frozen(self) -> bool:
        """Whether nothing may be spent."""

    @property
    def backlog(self) -> int:
        """Messages waiting to be sent."""

    @property
    def dead_letters(self) -> int:
        """Events that a handler was unable to take."""


class Health(Protocol):
    """How the hub is."""

    @property
    def ready(self) -> bool:
        """Whether start-up is done, and the stop has not begun."""

    @property
    def started(self) -> int:
        """When the hub was started, Unix ms."""

    @property
    def simulated(self) -> bool:
        """Whether the sats are play money."""

    @property
    def parts(self) -> Mapping[str, Part]:
        """Every supervised part by name."""

    @property
    def figures(self) -> Callable[[], Awaitable[Figures]]:
        """Read the figures."""

    @property
    def model(self) -> Callable[[], Awaitable[str | None]]:
        """Why no model answers, None if one does."""

    @property
    def stuck(self) -> Callable[[], Sequence[Stuck]]:
        """What nothing moves any more."""

    def notes(self) -> list[str]:
        """What is not as it should be though the hub is healthy."""

    def faults(self) -> list[str]:
        """What is wrong, as sentences; empty when all is well."""


class Writer(Protocol):
    """The database's writer counts its work."""

    @property
    def hops(self) -> int:
        """How often it went to its thread."""

    @property
    def commits(self) -> int:
        """How many transactions it committed."""


class Roster(Protocol):
    """The hub's own agents."""

    def __iter__(self) -> Iterator[Agent]:
        """All live agents."""


class Crew(Protocol):
    """Workers of other processes."""

    def __iter__(self) -> Iterator[Enrolled]:
        """All that are enrolled, by name."""

    def here(self, name: str) -> bool:
        """Whether one is here."""

    def seat(self, worker: Enrolled, load: int) -> Seat:
        """One of them, as it is shown."""


class Spark(Protocol):
    """What foresees."""

    def insight(self, now: int, there: Callable[[str], bool]) -> Insight:
        """Its record, and the advice that stands; not about agents that are not `there`."""


class Sources(NamedTuple):
    """Everything the sidecar asks. `check` finds the live credential of a token; `able` says why an agent cannot work.

    `here`: whether there is an agent of that name now.
    """

    clock: Clock
    ids: IdSource
    store: Store[WebTx]
    writer: Writer
    health: Health
    roster: Roster
    crew: Crew
    check: Callable[[str], Awaitable[TokenRow | None]]
    able: Callable[[Agent], Awaitable[str | None]]
    spark: Spark
    here: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Readings:
    """All that `/metrics` shows, read on the loop; `events` by type since the start, `streams` open by path, `stuck` by kind."""

    uptime: float
    ready: bool
    parts: Mapping[str, Part]
    figures: Figures
    simulated: bool
    hops: int
    commits: int
    events: Mapping[str, int]
    streams: Mapping[str, int]
    stuck: Mapping[str, int] = field(default_factory=dict)
