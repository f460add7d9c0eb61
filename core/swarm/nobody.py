"""Why nobody does a task: what everybody said; where nobody said anything, what is lacking, who might have it, what to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.tokens import STRANGER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.swarm.ports import Answer
    from core.swarm.roster import Roster
    from core.swarm.task import Task

MOST_SHOWN = 80
"""Characters of a task that stand in a command to copy; of a longer one there is none."""


def nobody(task: Task, answers: Sequence[Answer], roster: Roster) -> str:
    """Why nobody does it, where nobody who bid is still there; what went wrong before comes first."""
    reasons: dict[str, list[str]] = {}
    for answer in sorted(answers, key=lambda one: one.bid.agent):
        reasons.setdefault(answer.bid.note if answer.refused else "bid, and went away", []).append(answer.bid.agent)
    if task.why in reasons:  # all who looked at it met the same
        reasons = {task.why: [*task.excluded[-1:], *reasons.pop(task.why)], **reasons}
    said = "; ".join(f"{', '.join(agents)}: {why}" for why, agents in reasons.items())
    if task.why is not None and task.why not in reasons:
        return f"{task.why.rstrip('.')}. Nobody else here can do it{': ' if said else ''}{said}"
    how = f" with {task.model}" if task.model else ""
    return said or f"no agent here can do this{how} now: {_lacking(task, roster)}"


def _lacking(task: Task, roster: Roster) -> str:
    """Nobody said anything: the task is in the field of none who is here, or was put to one whose field it is not."""
    for_people = not task.requester.startswith(STRANGER)
    away = roster.away(task.description)
    if away:
        names = " and ".join(away)
        join = f". Have one join with /spawn {away[0]}, then /retry {task.name}" if for_people else ""
        return f"it is work for {names}, of whom none is here{join}"
    roles = list(dict.fromkeys(one.persona.role for one in roster))
    why, first = "its words are in no agent's field", roles[:1]
    to = f" model={task.model}" if task.model else ""
    for one in roster:
        if one.name == task.only:
            why = f"{one.name} does {', '.join(one.persona.capabilities)}, and its words are not of that"
            first, to = [one.persona.role], f" to={one.name}{to}"
    if not (for_people and roles):
        return why
    short = " ".join(task.description.split())
    example = f", for example: /task {first[0]}: {short}{to}" if len(short) <= MOST_SHOWN else ""
    return (
        f"{why}. Say what kind of work it is ({', '.join(roles)}){example}. People may bid too where pick=ask is added"
    )
