"""What the record of a field says that somebody can do something about. Pure.

A word of advice stands from when its pattern is plain until that has plainly gone: it begins above one line and ends below a
lower one. What it says stays as it was said, and is said anew only where things got worse by a step: nobody is told the same twice.
"""

from __future__ import annotations

import math
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, assert_never

from core.durations import about
from core.money import format_sats, to_sats
from core.spark.known import LATELY_VARIES, UNSEEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from core.spark.known import Known, Seen

ENOUGH = 5
"""Outcomes below which nothing is said of an agent or a field."""

ENOUGH_FOR_USUAL = 30
"""Tasks of a field before anything is said to be usual there."""

STALE = 30 * 24 * 3600 * 1000
"""ms after the last task of a field in which what was said of it still says something."""

_STEPS = (0.5, 0.8)
"""Parts of what was tried that came to nothing, from which on it is said, and said again."""

_ENDS = 0.1
_RATIOS = {"dear": (1.5, 2.5, 4.0), "slow": (2.0, 4.0, 8.0)}
_RATIO_ENDS = 1.25
_SURE = 3.0
"""Deviations that a change is apart from chance."""

_WELL = 0.8
_AT_IT = 30


class Topic(StrEnum):
    """What a word of advice is about."""

    FAILS = "fails"
    NOBODY = "nobody"
    DEAR = "dear"
    SLOW = "slow"


Key = tuple[Topic, str, str]


class Advice(NamedTuple):
    """One word: of an agent in a field (`where`), or of a field. `level` grows as it gets worse; `since`: Unix ms, 0 if not known.

    `other`: an agent that does better. `facts`: the numbers in it: `of` and `out_of`, `other_of` and `other_out_of` outcomes;
    `usual` and `lately` in msat or ms; `task` by number.
    """

    topic: Topic
    where: str
    agent: str
    level: int
    since: int = 0
    other: str = ""
    facts: Mapping[str, int] = MappingProxyType({})

    @property
    def key(self) -> Key:
        """What it is about: of that, one word stands at a time."""
        return self.topic, self.where, self.agent


def advise(where: str, known: Known, standing: Mapping[Key, Advice]) -> list[Advice]:
    """What is to be said of a field now, the gravest first: what stands already as it was said."""
    found = [*_nobody(where, known, standing), *_fails(where, known, standing), *_trends(where, known, standing)]
    return sorted((_as_said(one, standing.get(one.key)) for one in found), key=lambda one: -one.level)


def words(advice: Advice, there: Callable[[str], bool]) -> str:
    """One sentence, for who posts tasks. `there`: whether an agent is one to turn to."""
    facts, where = advice.facts, advice.where or "no field"
    other = advice.other if there(advice.other) else ""
    match advice.topic:
        case Topic.FAILS:
            missed = f"{facts['of']} of its last {facts['out_of']}"
            said = f"{advice.agent} did not finish {missed} tasks in {where}"
            did = f"{other} finished {facts['other_of']} of {facts['other_out_of']}: to={other}"
            does = did if other else "/market shows who else does that"
        case Topic.NOBODY:
            said = f"{facts['of']} of the last {facts['out_of']} tasks in {where} found nobody"
            does = f"/show T-{facts['task']} says why, /agents who could"
        case Topic.DEAR:
            usual = format_sats(facts["usual"])
            said = f"a task in {where} costs {format_sats(facts['lately'])} of late, {usual} before"
            does = f"max={to_sats(facts['usual'])} pays no more than that"
        case Topic.SLOW:
            said = f"a task in {where} takes {about(facts['lately'])} of late, {about(facts['usual'])} before"
            does = f"to={other} is faster" if other else "by=DURATION ends what takes too long"
        case _:
            assert_never(advice.topic)
    return f"{said}; {does}"


def at_it(known: Known, agent: str) -> bool:
    """Whether an agent had one of the latest tasks of a field: whom auctions pass over by themselves is no matter."""
    return known.ended - known.seen.get(agent, UNSEEN).latest <= _AT_IT


def _as_said(now: Advice, before: Advice | None) -> Advice:
    return before if before is not None and now.level <= before.level else now


def _level(share: float, standing: bool) -> int:  # noqa: FBT001 - of a pattern
    """How plain a pattern is: 0 where there is nothing to say."""
    level = sum(share >= step for step in _STEPS)
    return max(level, 1) if standing and share > _ENDS else level


def _nobody(where: str, known: Known, standing: Mapping[Key, Advice]) -> Iterator[Advice]:
    count, missed = len(known.found), known.found.count("0")
    if count >= ENOUGH and (level := _level(missed / count, (Topic.NOBODY, where, "") in standing)):
        facts = {"of": missed, "out_of": count, "task": known.lost}
        yield Advice(Topic.NOBODY, where, "", level + 1, known.since, facts=facts)


def _fails(where: str, known: Known, standing: Mapping[Key, Advice]) -> Iterator[Advice]:
    for name, one in known.seen.items():
        count, failed = len(one.last), one.last.count("0")
        before = (Topic.FAILS, where, name) in standing
        if count < ENOUGH or not (level := _level(failed / count, before)) or not (before or at_it(known, name)):
            continue
        other, did = _best(known, name)
        facts = {"of": failed, "out_of": count, "other_of": did.last.count("1"), "other_out_of": len(did.last)}
        yield Advice(Topic.FAILS, where, name, level, one.since, other, facts)


def _best(known: Known, but: str) -> tuple[str, Seen]:
    """Who does best of the others; nobody where none does well."""
    others = [(name, one) for name, one in known.seen.items() if name != but and _does_well(one)]
    return max(others, key=lambda one: (one[1].last.count("1"), one[0]), default=("", UNSEEN))


def _does_well(one: Seen) -> bool:
    return len(one.last) >= ENOUGH and one.last.count("1") >= _WELL * len(one.last)


def _trends(where: str, known: Known, standing: Mapping[Key, Advice]) -> Iterator[Advice]:
    whole = known.whole
    for topic, trend, line in ((Topic.DEAR, known.price, whole.price), (Topic.SLOW, known.took, whole.took)):
        if trend.n < ENOUGH_FOR_USUAL:
            continue
        more = trend.lately - trend.usual
        level = (
            sum(more >= math.log(step) for step in _RATIOS[topic]) if more > _SURE * line.spread * LATELY_VARIES else 0
        )
        if not level and (topic, where, "") in standing and more > math.log(_RATIO_ENDS):
            level = 1
        if level:
            usual, lately = round(math.exp(trend.usual)), round(math.exp(trend.lately))
            other = _fastest(known, usual) if topic is Topic.SLOW else ""
            yield Advice(topic, where, "", level, other=other, facts={"usual": usual, "lately": lately})


def _fastest(known: Known, usual: int) -> str:
    """Who finishes its work in about the usual time; nobody if none does."""
    others = {name: one.took.y for name, one in known.seen.items() if _does_well(one)}
    best = min(others, key=others.__getitem__, default="")
    return best if best and others[best] <= math.log(usual * _RATIO_ENDS) else ""
