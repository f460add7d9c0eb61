"""Which tasks wait for which busy agents. Kept in memory only: a restart walks every task anew and finds it out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet


MOST_NAMED = 5


class Parking:
    """Tasks, by number, and the agents that each could be done by; the first of them that is free takes it."""

    def __init__(self) -> None:
        self._agents: dict[int, tuple[str, ...]] = {}
        self._tasks: dict[str, set[int]] = {}

    def park(self, number: int, agents: Sequence[str]) -> None:
        """Note whom a task waits for, in place of those it waited for before."""
        self.unpark(number)
        self._agents[number] = tuple(agents)
        for agent in agents:
            self._tasks.setdefault(agent, set()).add(number)

    def whom(self, number: int) -> tuple[str, ...] | None:
        """The agents that a task waits for; None where it does not wait."""
        return self._agents.get(number)

    def join(self, number: int, agent: str) -> None:
        """A task that waits could be done by this agent too."""
        if agent not in self._agents[number]:
            self._agents[number] += (agent,)
            self._tasks.setdefault(agent, set()).add(number)

    def unpark(self, number: int) -> None:
        """It waits for nobody any more."""
        for agent in self._agents.pop(number, ()):
            self._tasks[agent].discard(number)

    def waiting(self) -> AbstractSet[int]:
        """All that wait, also those that nobody here can do."""
        return self._agents.keys()

    def agents(self) -> list[str]:
        """All that something waits for."""
        return [agent for agent, numbers in self._tasks.items() if numbers]

    def all(self) -> list[tuple[int, tuple[str, ...]]]:
        """Each that waits, the oldest first, and for whom."""
        return sorted(self._agents.items())

    def waiting_for(self, agent: str) -> AbstractSet[int]:
        """Those that wait for this agent."""
        return self._tasks.get(agent, frozenset())


def words(agents: Sequence[str]) -> str:
    """Whom a task waits for, to stand behind its name; nobody: spending is frozen."""
    if not agents:
        return "waits for spending to go on"
    more = len(agents) - MOST_NAMED
    return f"waits for {', '.join(agents[:MOST_NAMED])}{f' and {more} more' if more > 0 else ''} to be free"
