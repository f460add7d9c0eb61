"""An auction as one message: the message that told a chat of its task is edited as the task goes on.

Only the newest state is shown, at a pace that a chat bears; an edit may be dropped. What must be read (the result, a
question) is a message of its own. A board is computed from the task's rows, so a restart loses none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

from bot import views
from core.chat import Role
from core.messages import MessageTx
from core.swarm.ports import SwarmTx
from core.tokens import person_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.chat import Editor, Outgoing, Reply
    from core.events import Event
    from core.messages import Announcement
    from core.ports import Clock, Spawner
    from core.store import Store
    from core.swarm.ports import Answer
    from core.swarm.task import Task

PACE_SECONDS = 1.0
GROUP_PACE_SECONDS = 3.0
"""Between two edits in one conversation."""

_REMEMBERED = 1000
_NEWEST = 20
"""Tasks whose messages are looked at when a surface is there again."""


class BoardTx(SwarmTx, MessageTx, Protocol):
    """What a board is read from."""


class Boards:
    """Keeps the boards of every surface that can edit. Who is a stranger (`role_in`) is shown nothing new in their own chat."""

    def __init__(
        self,
        store: Store[BoardTx],
        clock: Clock,
        spawner: Spawner,
        role_in: Callable[[BoardTx, str], Role],
        progress: Callable[[int], str | None],
    ) -> None:
        """`progress`: what was last said of a task under way."""
        self._store = store
        self._role_in = role_in
        self._progress = progress
        self._clock = clock
        self._spawner = spawner
        self._editors: dict[str, Editor] = {}
        self._stale: dict[str, set[int]] = {}
        self._left: dict[tuple[str, str], tuple[str, ...]] = {}

    def attach(self, surface: str, editor: Editor) -> None:
        """Edit on this surface from now on."""
        self._editors[surface] = editor

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed: the boards of their tasks are stale."""
        tasks = {event.task for event in events if event.task is not None} if self._editors else set()
        if tasks:
            self._spawner.spawn(self._find(tasks), "boards")

    def told(self, message: Outgoing) -> None:
        """A message arrived: if it is about a task, what happened meanwhile is not on it yet."""
        if message.reply.task is not None and message.surface in self._editors:
            self._refresh(message.conversation, message.reply.task)

    def close(self, conversation: str, sent: tuple[str, ...], reply: Reply) -> None:
        """Take the buttons off a message whose question was answered in words."""
        editor = self._editors.get(conversation.partition(":")[0])
        if editor is not None:
            self._spawner.spawn(
                editor.relabel(conversation, sent, replace(reply, buttons=()), ()), f"closing {sent[-1]}"
            )

    async def again(self, surface: str) -> None:
        """A surface is there (again): what was not shown while it was away, or before a stop, is shown now."""
        await self._find(set(await self._store.read(lambda tx: tx.messages.newest_tasks(surface, _NEWEST))))

    async def _find(self, tasks: set[int]) -> None:
        found = await self._store.read(
            lambda tx: [(task, place) for task in tasks for place in tx.messages.places(task)]
        )
        for task, place in found:
            if place.partition(":")[0] in self._editors:
                self._refresh(place, task)

    def _refresh(self, conversation: str, task: int) -> None:
        stale = self._stale.get(conversation)
        if stale is not None:
            stale.add(task)
            return
        self._stale[conversation] = {task}
        self._spawner.spawn(self._run(conversation), f"boards of {conversation}")

    async def _run(self, conversation: str) -> None:
        surface, _, place = conversation.partition(":")
        try:
            while stale := self._stale[conversation]:
                await self._edit(self._editors[surface], conversation, stale.pop())
                await self._clock.sleep(GROUP_PACE_SECONDS if place.startswith("-") else PACE_SECONDS)
        finally:
            del self._stale[conversation]

    async def _edit(self, editor: Editor, conversation: str, number: int) -> None:
        person = person_of(conversation)

        def look(tx: BoardTx) -> tuple[Task | None, Sequence[Answer], Sequence[Announcement]]:
            task = tx.tasks.find(number)
            answers = tx.tasks.answers(number, task.attempt) if task else []
            found = tx.messages.announced(number, conversation)
            if person is not None and self._role_in(tx, person) is Role.GUEST:
                found = [one._replace(board=False) for one in found]
            return task, answers, found

        task, answers, found = await self._store.read(look)
        for one in found if task else ():
            await self._show(editor, conversation, one, cast("Task", task), answers)

    async def _show(
        self, editor: Editor, conversation: str, one: Announcement, task: Task, answers: Sequence[Answer]
    ) -> None:
        """The board as the task stands now; of any other message only the buttons that still mean something."""
        buttons = zip(one.reply.buttons, one.taps, strict=True)
        kept = [(button, tap) for button, tap in buttons if views.still_means(task, button)]
        taps = tuple(tap for _, tap in kept)
        left = tuple(button for button, _ in kept)
        if one.board and len(one.sent) == 1:
            await editor.edit(
                conversation, one.sent, replace(views.board(task, answers, self._progress(task.id)), buttons=left), taps
            )
        elif self._left.get((conversation, one.sent[0]), one.taps) != taps:
            self._left[conversation, one.sent[0]] = taps
            while len(self._left) > _REMEMBERED:
                del self._left[next(iter(self._left))]
            await editor.relabel(conversation, one.sent, replace(one.reply, buttons=left), taps)
