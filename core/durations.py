"""How long something is, in words. Times are in ms."""

from __future__ import annotations

SECOND = 1000


def exactly(time: int) -> str:
    """A time as people write it: `31d`, `90s`."""
    seconds = time // SECOND
    size, unit = next(one for one in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")) if seconds % one[0] == 0)
    return f"{seconds // size}{unit}"


def about(time: int) -> str:
    """A time, roughly: `40 s`, `3 min`, `5 h`."""
    seconds = max(1, round(time / SECOND))
    size, unit = next((one for one in ((86_400, "d"), (3600, "h"), (60, "min")) if seconds >= 2 * one[0]), (1, "s"))
    return f"{round(seconds / size)} {unit}"
