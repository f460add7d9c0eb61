"""Why the hub did, or refused, what somebody asked last: the rule that decided, for `/why`."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.access import Action, Verdict

_MANY = 1000


class Decisions:
    """The last decided command of each person in each place, since the hub started."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[str, Action, Verdict]] = OrderedDict()

    def note(self, actor: str, where: str, command: str, decided: list[tuple[Action, Verdict]]) -> None:
        """Remember what decided: a refusal ends it, so it is always the last."""
        if not decided:
            return
        self._last[actor, where] = (command, *decided[-1])
        self._last.move_to_end((actor, where))
        while len(self._last) > _MANY:
            self._last.popitem(last=False)

    def last(self, actor: str, where: str) -> tuple[str, Action, Verdict] | None:
        """The command, what it wanted to do, and the verdict with its rule."""
        return self._last.get((actor, where))
