"""Short names people can type: ids of tasks and schedules.

A task is an integer inside and `T-12` outside; `t12`, `T-12`, `#12` and `12` are all understood (CONTRACT, "Slash commands").
A schedule is `S-3` in the same way.
"""

from __future__ import annotations

import re

from core.errors import UserError

_TASK = re.compile(r"(?:[tT]-?|#)?0*([1-9][0-9]{0,17})")


_SCHEDULE = re.compile(r"(?:[sS]-?|#)?0*([1-9][0-9]{0,17})")


class BadTaskId(UserError):
    """{given} is not a task id. Ids look like T-12; {known}."""


def task_name(task: int) -> str:
    """The public name of a task: 12 -> `T-12`."""
    return f"T-{task}"


def parse_task(text: str, known: str = "/tasks lists them") -> int:
    """The task number of what a person typed. Raises `BadTaskId`, which says where ids are `known` from."""
    found = _TASK.fullmatch(text.strip())
    if found is None:
        raise BadTaskId(given=repr(text[:40]), known=known)
    return int(found.group(1))


class BadScheduleId(UserError):
    """{given} is not a schedule. Schedules look like S-3; /schedules lists them."""


def schedule_name(schedule: int) -> str:
    """The public name of a schedule: 3 -> `S-3`."""
    return f"S-{schedule}"


def parse_schedule(text: str) -> int:
    """The number of a schedule that a person typed. Raises `BadScheduleId`."""
    found = _SCHEDULE.fullmatch(text.strip())
    if found is None:
        raise BadScheduleId(given=repr(text[:40]))
    return int(found.group(1))
