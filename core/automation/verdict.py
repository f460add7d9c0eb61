"""What the test watchdog says of a run: on red, on green again, and when no run can be had; and nothing in between.

A test that failed and then passed with nothing changed is flaky, and named as such. Where nothing but such tests fail, the suite
is run once more before anything is said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from core.chat import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MOST_NAMES = 5
"""How many tests are named; of the rest it is said how many they are."""

MOST_FILES = 2
MOST_LINES = 5
WIDTH = 200
"""Characters of a line that somebody else wrote."""

MOST_FLAKY = 100


class Ran(NamedTuple):
    """How a run of a suite ended.

    `name`: the command, in words. `tests`: how many there were, `failed`: which did, and why, in a line; None where only the exit
    code is known, and the last lines of what was printed (`tail`). `trouble`: why there is no verdict, in words.
    """

    name: str
    seconds: float
    ok: bool = False
    tests: int | None = None
    failed: Mapping[str, str] | None = None
    tail: Sequence[str] = ()
    trouble: str = ""


class Colour(StrEnum):
    """How a suite stands."""

    GREEN = "green"
    RED = "red"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the suite stood after the last run.

    `failing`: the tests that failed then (None: not known), `trouble`: what kept it from being run. `flaky`: the tests that ever
    failed and passed with nothing changed; `doubted`: nothing but such tests failed, after green, and it runs once more.
    """

    colour: Colour | None = None
    failing: frozenset[str] | None = None
    trouble: str = ""
    flaky: frozenset[str] = frozenset()
    doubted: bool = False


class Verdict(NamedTuple):
    """What is known now, what is said of it ("": nothing), and whether the suite is to be run again at once."""

    standing: Standing
    words: str = ""
    again: bool = False


def judge(before: Standing, ran: Ran, covers: Collection[str], *, meanwhile: bool) -> Verdict:
    """What a run says. `covers`: what changed since the one before; `meanwhile`: something changed while it ran."""
    if ran.trouble:
        known = before.colour is Colour.NONE and before.trouble == ran.trouble
        after = Standing(Colour.NONE, trouble=ran.trouble, flaky=before.flaky)
        return Verdict(after, "" if known else f"cannot be tested: {ran.trouble}")
    since = _since(covers, meanwhile=meanwhile)
    if ran.ok:
        return _green(before, ran, since, changed=bool(covers))
    return _red(before, ran, since, changed=bool(covers))


def _green(before: Standing, ran: Ran, since: str, *, changed: bool) -> Verdict:
    passed = frozenset() if changed or before.colour is not Colour.RED else before.failing or frozenset()
    after = Standing(Colour.GREEN, frozenset(), flaky=_flaky(before, passed))
    if before.colour in {None, Colour.GREEN}:
        return Verdict(after)
    words = f"green again: {_count(ran)} in {_seconds(ran.seconds)}"
    if before.colour is not Colour.RED or changed:
        return Verdict(after, words + since)
    words += f", with nothing changed{since}"
    if passed:
        words += f". Flaky: {_listed(sorted(passed), MOST_NAMES)}"
    return Verdict(after, words)


def _red(before: Standing, ran: Ran, since: str, *, changed: bool) -> Verdict:
    failing = None if ran.failed is None else frozenset(ran.failed)
    was_red = before.colour is Colour.RED
    passed = before.failing - failing if was_red and not changed and before.failing and failing else frozenset()
    after = Standing(Colour.RED, failing, flaky=_flaky(before, passed))
    if before.colour is Colour.GREEN and not before.doubted and failing and failing <= before.flaky:
        return Verdict(replace(before, doubted=True), again=True)
    if was_red and (failing is None or before.failing is None or failing <= before.failing):
        return Verdict(after)
    since = since if changed or before.colour in {None, Colour.NONE} else f", with nothing changed{since}"
    return Verdict(after, _red_words(before, ran, since))


def _red_words(before: Standing, ran: Ran, since: str) -> str:
    took = f"in {_seconds(ran.seconds)}"
    if ran.failed is None:
        tail = [_line(line) for line in ran.tail if line.strip()][-MOST_LINES:]
        return "\n".join([f"red: {ran.name} failed {took}{since}", *(f"  {line}" for line in tail)])
    new = sorted(ran.failed if before.failing is None else ran.failed.keys() - before.failing)
    head = f"red: {len(ran.failed)} of {_count(ran)} {'fails' if len(ran.failed) == 1 else 'fail'}"
    if len(new) < len(ran.failed):
        head += f", {len(new)} more than before,"
    lines = [f"  {_line(name)}{_because(ran.failed[name])}" for name in new[:MOST_NAMES]]
    if len(new) > MOST_NAMES:
        lines.append(f"  and {len(new) - MOST_NAMES} more")
    return "\n".join([f"{head} {took}{since}", *lines])


def _flaky(before: Standing, more: Collection[str]) -> frozenset[str]:
    known = before.flaky | frozenset(more)
    return known if len(known) <= MOST_FLAKY else frozenset(more)


def _because(why: str) -> str:
    return f": {_line(why)}" if why else ""


def _line(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _count(ran: Ran) -> str:
    if ran.tests is None:
        return ran.name
    return "1 test" if ran.tests == 1 else f"{ran.tests:,} tests"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"  # noqa: PLR2004 - where a tenth says nothing


def _since(covers: Collection[str], *, meanwhile: bool) -> str:
    words = f", after a change to {paths(covers)}" if covers else ""
    return words + (" (more changed meanwhile)" if meanwhile else "")


def paths(files: Collection[str]) -> str:
    """A few of them by name."""
    return _listed(sorted(files), MOST_FILES)


def _listed(names: Sequence[str], most: int) -> str:
    shown = ", ".join(_line(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
