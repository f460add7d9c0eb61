"""The roll: the crew as a gateway knows it, by what the hub says. Who is here is for the hub to judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.swarm.crew import NotEnrolled, OtherProcess, fits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.swarm.crew import Enrolled
    from core.swarm.task import Task


class Roll:
    """Who is enrolled, and what the tasks on the board call for."""

    def __init__(self) -> None:
        self._enrolled: dict[str, Enrolled] = {}
        self._called: dict[str, tuple[frozenset[str], set[int]]] = {}
        self._of: dict[int, str] = {}
        self._gone: set[str] = set()
        self._instances: dict[str, str] = {}

    def __iter__(self) -> Iterator[str]:
        """All that are enrolled."""
        return iter(list(self._enrolled))

    def put(self, worker: Enrolled, instance: str) -> None:
        """A worker is so now, and works as this process, if that is known."""
        self._enrolled[worker.name] = worker
        if instance:
            self._instances[worker.name] = instance

    def check_instance(self, name: str, instance: str) -> None:
        """See `Crew`; where the hub knows of none, the first that asks here works until the hub says otherwise."""
        if instance and self._instances.setdefault(name, instance) != instance:
            raise OtherProcess(agent=name)

    def instance(self, name: str) -> str:
        """See `Crew`."""
        return self._instances.get(name, "")

    def drop(self, name: str) -> None:
        """A worker is not enrolled any more."""
        self._enrolled.pop(name, None)
        self._instances.pop(name, None)
        self._gone.discard(name)

    def calls(self, task: Task, called: frozenset[str]) -> None:
        """A task that is on the board calls for these."""
        self.forget(task.id)
        self._of[task.id] = task.description
        self._called.setdefault(task.description, (called, set()))[1].add(task.id)

    def forget(self, number: int) -> None:
        """A task is not on the board any more."""
        if (description := self._of.pop(number, None)) is not None:
            _, those = self._called[description]
            those.remove(number)
            if not those:
                del self._called[description]

    def has(self, name: str | None) -> bool:
        """See `Workforce`."""
        return name in self._enrolled

    def get(self, name: str) -> Enrolled:
        """See `Workforce`."""
        if (found := self._enrolled.get(name)) is None:
            raise NotEnrolled(agent=name)
        return found

    def here(self, name: str) -> bool:
        """Whoever asks a gateway is there as long as it is enrolled, and its token good."""
        return name in self._enrolled and name not in self._gone

    def seen(self, name: str) -> None:
        """It has asked for something. Raises `NotEnrolled`."""
        self.get(name)
        self._gone.discard(name)

    def gone(self, name: str) -> None:
        """Its token was revoked."""
        self._gone.add(name)
        self._instances.pop(name, None)

    def fitting(self, task: Task) -> list[Enrolled]:
        """See `Workforce`."""
        called = self.called_for(task.description)
        return [one for one in self._enrolled.values() if fits(one, task, called)]

    def fits(self, name: str, task: Task) -> bool:
        """See `Workforce`."""
        return fits(self._enrolled[name], task, self.called_for(task.description))

    def called_for(self, description: str) -> frozenset[str]:
        """See `Workforce`."""
        return self._called.get(description, (frozenset(), ()))[0]

    def loaded(self, name: str, load: int) -> None:
        """The hub knows how much each has to do."""
