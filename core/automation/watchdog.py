"""When the test watchdog runs a suite, and when it speaks: `decide(dog, event) -> (dog, acts)`, and nothing but that.

It runs at its start, after a change, and when told that it is time. A change during a run breaks it off and begins anew, a few
times in a row; then the run is finished first, so that a long suite comes to its end whoever saves meanwhile.

What a suite writes itself must not run it for ever. A file that changed in two runs in a row and never between runs is the
suite's own from the third on. Where each run writes another file, only so many runs follow one another; what changes in the last
waits for the next run by time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, assert_never

from core.automation.verdict import Standing, judge, paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.automation.verdict import Ran

SETTLE_MS = 1500
"""News of a change takes up to a second: where it is not known when that was, what is heard so soon after a run is the run's."""

BREAKS = 3
"""How many runs in a row are broken off."""

ECHOES = 3
"""How many runs in a row follow from nothing but what changed while the one before ran."""

OWN = 2
"""A file that changed in so many runs in a row is the suite's own, unless it ever changed between runs."""

MOST_PATHS = 1000
"""How many files are remembered to have changed between runs."""


@dataclass(frozen=True, slots=True)
class Begin:
    """It is time for a run: the watchdog starts, or nothing has changed for a while."""


class Changed(NamedTuple):
    """Files changed, were made or are gone, each so many ms before `now` (steady ms); None where that is not known."""

    files: Mapping[str, int | None]
    now: int


class Over(NamedTuple):
    """The run has ended; `now` as above."""

    ran: Ran
    now: int


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """The run has been broken off, as asked."""


Event: TypeAlias = Begin | Changed | Over | BrokenOff


@dataclass(frozen=True, slots=True)
class Start:
    """Run the suite."""


@dataclass(frozen=True, slots=True)
class Break:
    """Break the run off."""


class Say(NamedTuple):
    """Say this. A `note` is for whoever is at the terminal alone."""

    words: str
    note: bool = False


Act: TypeAlias = Start | Break | Say


@dataclass(frozen=True, slots=True)
class Watchdog:
    """What is known.

    `covers`: what changed before the run that is on, or the last one, and since the one before began; `waits`: what changed
    since. `wrote`: what changed during it, `streaks`: in how many runs in a row before it that was so; `edited`: what ever
    changed between runs. `ended`: when the last run did, steady ms. `hushed`: that a suite writes too much was said.
    """

    standing: Standing = field(default_factory=Standing)
    running: bool = False
    breaking: bool = False
    ended: int | None = None
    covers: frozenset[str] = frozenset()
    waits: frozenset[str] = frozenset()
    wrote: frozenset[str] = frozenset()
    streaks: Mapping[str, int] = field(default_factory=dict)
    edited: frozenset[str] = frozenset()
    breaks: int = 0
    echoes: int = 0
    hushed: bool = False

    def is_own(self, file: str, runs: int = OWN) -> bool:
        """Whether a file changes in every run, and in none but those."""
        return self.streaks.get(file, 0) >= runs and file not in self.edited


def decide(dog: Watchdog, event: Event) -> tuple[Watchdog, tuple[Act, ...]]:
    """What becomes of the watchdog, and what is to be done. Whatever runs is told of by `Over`, or `BrokenOff`."""
    match event:
        case Begin():
            return (dog, ()) if dog.running else _start(dog, dog.waits)
        case Changed():
            return _changed(dog, event)
        case Over():
            return _over(dog, event)
        case BrokenOff():
            return _start(dog, dog.covers | dog.waits)
        case _:
            assert_never(event)


def _changed(dog: Watchdog, event: Changed) -> tuple[Watchdog, tuple[Act, ...]]:
    edited = frozenset(file for file, age in event.files.items() if not _is_by_run(dog, event.now, age))
    written = frozenset(event.files) - edited
    if not edited:
        return _written(dog, written)
    known = dog.edited | edited if len(dog.edited) < MOST_PATHS else edited
    dog = replace(dog, edited=known, wrote=dog.wrote | written, breaks=0, echoes=0, hushed=False)
    return _start(dog, edited | {file for file in written if not dog.is_own(file)})


def _is_by_run(dog: Watchdog, now: int, age: int | None) -> bool:
    """Whether a run is to be taken for what changed a file: it is on, or it was."""
    if dog.running or dog.ended is None:
        return dog.running
    return now - age <= dog.ended if age is not None else now <= dog.ended + SETTLE_MS


def _start(dog: Watchdog, covers: Iterable[str]) -> tuple[Watchdog, tuple[Act, ...]]:
    streaks = {file: dog.streaks.get(file, 0) + 1 for file in dog.wrote}
    begun = replace(
        dog,
        running=True,
        breaking=False,
        covers=frozenset(covers),
        waits=frozenset(),
        wrote=frozenset(),
        streaks=streaks,
    )
    return begun, (Start(),)


def _written(dog: Watchdog, files: frozenset[str]) -> tuple[Watchdog, tuple[Act, ...]]:
    """Files changed during a run: by it, or by somebody."""
    fresh = frozenset(file for file in files if not dog.is_own(file))
    dog = replace(dog, wrote=dog.wrote | files, waits=dog.waits | fresh)
    if not dog.running:
        return _again(dog)
    if dog.breaking or dog.breaks == BREAKS or all(dog.is_own(file, 1) for file in fresh):
        return dog, ()
    return replace(dog, breaking=True, breaks=dog.breaks + 1), (Break(),)


def _over(dog: Watchdog, event: Over) -> tuple[Watchdog, tuple[Act, ...]]:
    verdict = judge(dog.standing, event.ran, dog.covers, meanwhile=bool(dog.waits))
    said = (Say(verdict.words),) if verdict.words else ()
    dog = replace(dog, running=False, breaking=False, ended=event.now, standing=verdict.standing)
    if verdict.again and not dog.waits:
        dog, acts = _start(dog, frozenset())
        return dog, (*said, *acts)
    dog, acts = _again(dog)
    return dog, (*said, *acts)


def _again(dog: Watchdog) -> tuple[Watchdog, tuple[Act, ...]]:
    """A run is over: what changed during it wants another one."""
    if not dog.waits:
        return dog, ()
    if dog.echoes < ECHOES:
        return _start(replace(dog, echoes=dog.echoes + 1), dog.waits)
    if dog.hushed:
        return dog, ()
    words = f"the tests write into the project ({paths(dog.waits)}): what changes while they run waits for the next run"
    return replace(dog, hushed=True), (Say(words, note=True),)
