"""What the swarm needs from others: rows to keep tasks in, and somebody who does the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.tokens import STRANGER
from core.wallet.held import HoldTx

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Collection, Sequence

    from core.errors import UserError
    from core.swarm.auction import Bid
    from core.swarm.crew import Enrolled
    from core.swarm.persona import Persona
    from core.swarm.reputation import Record, Weight
    from core.swarm.task import Status, Task


class Agent(NamedTuple):
    """An agent on the roster: an instance of a persona (`quill`, `quill-2`), doing `capacity` tasks at a time.

    `model`: the one that a task is to be done with, in what is asked about that task: with it or not at all, and by no skill.
    """

    name: str
    persona: Persona
    capacity: int = 1
    model: str | None = None


class Seat(NamedTuple):
    """Who works here, as it is shown: what it does in words, its price in sats if it has one, and why it takes no work now."""

    name: str
    kind: str
    does: str
    capabilities: tuple[str, ...]
    load: int
    capacity: int
    rate: int | None = None
    why: str | None = None

    @property
    def state(self) -> str:
        """`unable`, `busy` or `free`."""
        return "unable" if self.why else "busy" if self.load >= self.capacity else "free"


def seated(agent: Agent, load: int, why: str | None) -> Seat:
    """One of the hub's own agents."""
    one = agent.persona
    return Seat(agent.name, "persona", one.role, one.capabilities, load, agent.capacity, one.rate, why)


class Answer(NamedTuple):
    """What an agent said to an auction: a bid, or a refusal (its reason is the bid's note)."""

    bid: Bid
    refused: bool = False


class Offer(NamedTuple):
    """An agent can do the task: `price` in msat, `eta` in ms, `fit` in permille, a note for people."""

    price: int
    eta: int | None = None
    fit: int = 1000
    note: str = ""


class Decline(NamedTuple):
    """An agent understands the task but cannot do it now. `fault`: the error when the task itself is at fault."""

    why: str
    fault: UserError | None = None


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A delivered file: its shown name, its SHA-256 (hex) under which it is kept, its size in bytes."""

    name: str
    sha256: str
    size: int


class Delivery(NamedTuple):
    """The work of one attempt."""

    text: str
    files: tuple[ResultFile, ...] = ()


Said = Offer | Decline | None
"""What an agent says to a task; nothing where the task is not in its field."""


class Worker(Protocol):
    """Does the work of agents that live in this process."""

    async def ready(self, agent: Agent) -> str | None:
        """None when the agent can work at all, else why not, as a sentence for its owner."""

    def appraise(self, agent: Agent, description: str) -> Said | Awaitable[Said]:
        """Honestly: what it would take, why it cannot, or None when the task is not in its field.

        At once where it needs to look at nothing, and quickly in any case.
        """

    async def work(self, agent: Agent, task: Task) -> Delivery:
        """Do it. A `HubError` ends the attempt with its sentence as the reason; cancellation stops the work at once.

        A `UserError` says that the task itself is at fault (its file, say): that is not held against the agent.
        """


class Workers(NamedTuple):
    """Who does the work: of the hub's own people, and of strangers, whose tasks must not reach what is its people's."""

    own: Worker
    sold: Worker

    def of(self, requester: str) -> Worker:
        """The worker for the tasks of somebody."""
        return self.sold if requester.startswith(STRANGER) else self.own


class TaskStore(Protocol):
    """Tasks, bids, standings and result files, inside one unit of work."""

    def next_id(self) -> int:
        """The number of the next task."""

    def add(self, task: Task) -> None:
        """Write a new task."""

    def save(self, task: Task, before: Task) -> None:
        """Write what of a task is other than it was `before`."""

    def find(self, number: int) -> Task | None:
        """A task by number."""

    def newest(
        self, status: Status | None, limit: int, *, start: int | None = None, results: bool = True
    ) -> list[Task]:
        """The newest tasks first, of one status or all, from number `start` down, with their `results` or without.

        A negative limit means every one.
        """

    def count(self, status: Status | None, *, start: int | None = None) -> int:
        """How many tasks of one status or all have at most the number `start`."""

    def live(self) -> list[Task]:
        """All tasks that are not over, oldest first."""

    def due(self, now: int, limit: int) -> list[Task]:
        """Tasks that time has something to do with, the most overdue first."""

    def counts(self) -> dict[str, int]:
        """How many live tasks there are of each status."""

    def loads(self, agents: Sequence[str] | None = None) -> Counter[str]:
        """How many tasks each agent, or each of these, has been awarded or is running; 0 for everyone else."""

    def load(self, agent: str) -> int:
        """How many tasks one agent has been awarded or is running."""

    def at_work(self, limit: int) -> list[tuple[str, int]]:
        """Who is at which tasks: (agent, number), by name, some at most."""

    def answered(self, task: int, attempt: int) -> set[str]:
        """Who has answered to an auction."""

    def answer(self, task: int, attempt: int, answers: Sequence[Answer]) -> None:
        """Keep agents' answers; a later one of the same agent replaces it."""

    def answers_of(self, task: int, attempt: int, agents: Sequence[str]) -> list[Answer]:
        """What these have answered to an auction."""

    def answers(self, task: int, attempt: int) -> list[Answer]:
        """All answers to one auction."""

    def records(self, agent: str) -> dict[str, Record]:
        """What an agent did, by field."""

    def weights(self, agents: Sequence[str]) -> dict[str, list[Weight]]:
        """What counts of what each of these did; of whoever did nothing, nothing."""

    def record(self, agent: str, field: str) -> Record:
        """What an agent did in one field."""

    def put_record(self, agent: str, field: str, record: Record) -> None:
        """What it did there is so now."""

    def reputation(self) -> list[tuple[str, str, Record]]:
        """What everybody did: (agent, field, record)."""

    def attach(self, task: int, files: Sequence[ResultFile], now: int) -> None:
        """Name a task's result files."""

    def files(self, task: int) -> list[ResultFile]:
        """A task's result files."""


class RosterStore(Protocol):
    """Which agents were spawned, inside one unit of work."""

    def all(self) -> list[tuple[str, str, bool]]:
        """Every agent: (name, persona, live)."""

    def put(self, name: str, persona: str, *, live: bool, now: int) -> None:
        """Add an agent, or change whether it is live."""


class CrewStore(Protocol):
    """Workers of other processes, inside one unit of work."""

    def all(self) -> list[tuple[Enrolled, bool, int]]:
        """Every one that enrolled, whether it was here when that was last noted, and when it last was (Unix ms)."""

    def has(self, name: str) -> bool:
        """Whether there is a worker of this name, dismissed or not."""

    def find(self, name: str) -> Enrolled | None:
        """A worker by name."""

    def put(self, worker: Enrolled, *, here: bool) -> None:
        """Enrol a worker, or change what it can do."""

    def note(self, here: Collection[str]) -> None:
        """Only these are here now."""


class SwarmTx(HoldTx, Protocol):
    """A unit of work over tasks and money, and who people are."""

    @property
    def tasks(self) -> TaskStore:
        """Tasks."""

    @property
    def agents(self) -> RosterStore:
        """The roster."""

    @property
    def crew(self) -> CrewStore:
        """The workers of other processes."""
