"""What the hub tells its gateways: the whole board to each that comes, then whatever changes on it, and what each has asked.

What changed is looked up when it is told: a task that came and went meanwhile is told of to nobody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from adapters.redis import news
from core.events import Kind
from core.tokens import TokenKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from core.events import Event
    from core.swarm.desk import Desk
    from core.swarm.task import Task

SILENCE_SECONDS = 5.0
"""A gateway that said nothing for so long, twice its pulse and more, is gone; when it comes back, it is told everything anew."""

MOST_SESSIONS = 256
"""Gateways, those counted that went away a moment ago. Whoever is one too many is not answered."""

PARTS = 500
"""Pieces of news in one entry."""


@dataclass(slots=True)
class Session:
    """A gateway for as long as it stays connected: when it was last heard, how many entries it was sent, what it is to be told."""

    heard: float = 0.0
    sent: int = 0
    knows: bool = False
    say: list[str] = field(default_factory=list)


class Letter(NamedTuple):
    """An entry for one gateway."""

    to: str
    text: str


class Bulletin:
    """Follows the desk's board, for as long as there is a gateway. `run`: a text that this start of the hub alone has."""

    def __init__(self, desk: Desk, run: str, wake: Callable[[], None]) -> None:
        """`wake` is called when there is something to tell."""
        self._desk = desk
        self._board = desk.board
        self._board.onlooker = self
        self._run = run
        self._wake = wake
        self._sessions: dict[str, Session] = {}
        self._shown: dict[int, tuple[object, ...]] = {}
        self._tasks: dict[int, None] = {}
        self._answers: list[tuple[int, str]] = []
        self._workers: dict[str, None] = {}
        self._revoked: list[str] = []

    # What happens ----------------------------------------------------------------------------------------------

    def noted(self, number: int) -> None:
        """See `Onlooker`."""
        if self._sessions:
            self._tasks[number] = None
            self._wake()

    def answered(self, number: int, name: str) -> None:
        """See `Onlooker`."""
        if self._sessions:
            self._answers.append((number, name))
            self._wake()

    def looked(self, name: str) -> None:
        """See `Onlooker`."""
        if self._sessions:
            self._workers[name] = None
            self._wake()

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed: whose token was revoked is let go of everywhere."""
        for event in events:
            if self._sessions and event.kind is Kind.TOKEN_REVOKED and event.data["kind"] == TokenKind.WORKER:
                self._revoked.append(str(event.data["name"]))
                self._wake()

    # Gateways --------------------------------------------------------------------------------------------------

    def pulse(self, name: str, now: float) -> None:
        """A gateway is there."""
        if name in self._sessions or len(self._sessions) < MOST_SESSIONS:
            self._sessions.setdefault(name, Session()).heard = now
            self.say(name, '["pulse"]')

    def say(self, name: str, words: str) -> None:
        """Tell one gateway something; one that is not connected now asks again once it is."""
        if (session := self._sessions.get(name)) is not None:
            session.say.append(words)
            self._wake()

    def gone(self, now: float) -> list[str]:
        """Forget, and name, those that were not heard for long."""
        gone = [name for name, session in self._sessions.items() if now - session.heard > SILENCE_SECONDS]
        for name in gone:
            self._lose(name)
        if not self._sessions:
            self.clear()
        return gone

    def clear(self) -> None:
        """Forget all of them."""
        for name in list(self._sessions):
            self._lose(name)
        self._shown.clear()
        self._tidy()

    def _lose(self, name: str) -> None:
        del self._sessions[name]
        self._desk.crew.lost(name)

    def _tidy(self) -> None:
        self._tasks.clear()
        self._answers.clear()
        self._workers.clear()
        self._revoked.clear()

    # What is told ----------------------------------------------------------------------------------------------

    def letters(self) -> Iterator[Letter]:
        """What each gateway is told now: first what changed, then what it asked, which goes by that."""
        changed, whole = self._changed(), list[str]()
        for name, session in self._sessions.items():
            said, session.say = session.say, []
            if session.knows:
                said = [*changed, *said]
            else:
                whole = whole or self._whole()
                session.knows, said = True, [*whole, *said]
            for at in range(0, len(said), PARTS):
                session.sent += 1
                yield Letter(name, f'["{self._run}",{session.sent},[{",".join(said[at : at + PARTS])}]]')

    def _changed(self) -> list[str]:
        """What changed on the board since it was last told."""
        found: list[Any] = [self._worker(name) for name in self._workers]
        found += [["revoked", name] for name in self._revoked]
        for number in self._tasks:
            task, before = self._board.shown(number), self._shown.get(number)
            if task is None:
                if before is not None:
                    del self._shown[number]
                    found.append(["gone", number])
            elif (now := _look(task)) != before:
                self._shown[number] = now
                found.append(self._facts(task))
        found += [["answered", *one] for one in self._answers if one[1] in self._board.who_answered(one[0])]
        self._tidy()
        return [*map(json.dumps, found)]

    def _whole(self) -> list[str]:
        """The board as it is, for one who knows nothing of it."""
        found: list[Any] = [["begin"], *(self._worker(one.name) for one in self._desk.crew)]
        for number in self._board.all():
            if (task := self._board.shown(number)) is not None:
                self._shown[number] = _look(task)
                found.append(self._facts(task))
        return [*map(json.dumps, [*found, ["end"]])]

    def _worker(self, name: str) -> list[Any]:
        crew = self._desk.crew
        return news.worker_facts(crew.get(name), crew.instance(name)) if crew.has(name) else ["left", name]

    def _facts(self, task: Task) -> list[Any]:
        return news.task_facts(task, self._desk.calls_for(task), self._board.who_answered(task.id))


def _look(task: Task) -> tuple[object, ...]:
    """What a gateway must be told of anew where it changed."""
    return task.status, task.attempt, task.closes_at, task.agent, task.lease
