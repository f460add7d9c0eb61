"""What is wrong with a time that is none: what people write for one, and what they can write instead. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNIT = r"(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|months?|quarters?|years?)"
_COUNTED = re.compile(rf"(?:in |every |each )?([+-]?[0-9]+(?:[.,][0-9]+)? ?{_UNIT})(?: |$)")
_PAST = re.compile(r"(?:on |at )?(yesterday|last week)(?!\S)")
_NOW = re.compile(r"(?:right )?(now|immediately|at once|asap)(?: |$)")
_CLOCK = re.compile(r"(?<![0-9])([0-9]{1,3})[:.]([0-9]{2})(?![0-9])")
_ZONE = re.compile(
    r"(?:in )?((?:zone|tz)[=:]\S+"
    r"|(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific|US)/[\w/+-]+"
    r"|UTC|GMT|[CEMW]ES?T|BST|IST|[CEMP][SD]T)(?:\s|$)"
)
_FEW, _HOURS, _MINUTES = 6, 23, 59
"""Words that are looked at, and the last hour and minute of a clock."""
_NICKNAMES = {
    "@yearly": "/every year", "@annually": "/every year", "@monthly": "/every month at 0:00", "@weekly": "/every sunday at 0:00",
    "@daily": "/every day at 0:00", "@midnight": "/every day at 0:00", "@hourly": '/every "0 * * * *"',
}  # fmt: skip


class NoCount(UserError):
    """{given} is not so many of something: that is a whole number, 1 to 9999 (1.5 hours: 90 minutes). Write it so: {examples}."""


class IsOver(UserError):
    """{given} is over. Name a time that is still to come: {examples}."""


class IsNow(UserError):
    """{given} is no time to come: say the command without /at, or name one that is: {examples}."""


class Nickname(UserError):
    """{given} is no time here. Write it so: {instead}."""


class ZoneApart(UserError):
    """{given} is no part of a time: a schedule has the hub's zone (TIMMY_TIMEZONE). /at takes 2027-12-24T18:00+01:00 too."""


def refuse(words: Sequence[str], examples: str) -> None:
    """Raise what is wrong with words, in small letters, that are no time, where it is one of the things above."""
    text = " ".join(words)
    if found := _COUNTED.match(text):
        raise NoCount(given=repr(found[1]), examples=examples)
    if found := _PAST.match(text):
        raise IsOver(given=repr(found[1]), examples=examples)
    if found := _NOW.match(text):
        raise IsNow(given=repr(found[1]), examples=examples)
    if words and (instead := _NICKNAMES.get(words[0])):
        raise Nickname(given=repr(words[0]), instead=instead)


def refuse_tail(when: str, command: str, examples: str) -> None:
    """Raise what is wrong with a time for what follows it: it is over, or of another zone."""
    word = command.split(maxsplit=1)[0].lower().strip(".,;:")
    if word in {"ago", "yesterday"}:
        raise IsOver(given=repr(f"{when} {word}"), examples=examples)
    if found := _ZONE.match(command):
        raise ZoneApart(given=repr(found[1]))


def clock(words: Sequence[str]) -> str:
    """What is written as the time of a day and is none, such as 25:00; empty if nothing."""
    found = _CLOCK.finditer(" ".join(words[:_FEW]))
    return next((one[0] for one in found if int(one[1]) > _HOURS or int(one[2]) > _MINUTES), "")
