"""The task set is worth something: for every task its checker passes the good reference answer and fails the bad one."""

from __future__ import annotations

from collections import Counter

import pytest

from bot.parts.tools import check_names
from core.agent.needs import unmet
from core.swarm.persona import field_fit
from tests.eval.expect import Expect, Outcome
from tests.eval.tasks import AGENT, ROSTER, load, offline

CASES = load()


def wrong(*, good: bool) -> dict[str, list[str]]:
    """What is wrong with every good or bad reference answer, by the name of its task."""
    return {case.id: case.expects.wrong(offline(case, case.good if good else case.bad)) for case in CASES}


def test_there_are_enough_tasks_for_everybody() -> None:
    counts = Counter(case.group for case in CASES)
    assert set(counts) == {*ROSTER, "choice", "injection"}
    assert min(counts.values()) >= 6
    assert len({case.id for case in CASES}) == len(CASES)


def test_every_good_answer_passes() -> None:
    assert {name: faults for name, faults in wrong(good=True).items() if faults} == {}


def test_every_bad_answer_fails() -> None:
    assert [name for name, faults in wrong(good=False).items() if not faults] == []


def test_what_is_expected_is_not_what_any_answer_has() -> None:
    done = Outcome("delivered", "Done.")
    assert [case.id for case in CASES if not case.expects.wrong(done)] == []


def test_the_tasks_are_in_the_field_of_who_is_asked_and_can_be_done() -> None:
    asked = [case for case in CASES if case.of != AGENT]
    assert [case.id for case in asked if not field_fit(ROSTER[case.of], case.task)] == []
    doable = [case for case in asked if not case.expects.declined]
    assert [case.id for case in doable if unmet(case.task, ROSTER[case.of].tools)] == []


def test_the_tools_that_are_named_exist() -> None:
    names = {str(call["name"]) for case in CASES for call in (*case.good.calls, *case.bad.calls)}
    named = {*names, *(one for case in CASES for one in (*case.expects.called, *case.expects.untouched))}
    assert len(named) > 8
    check_names([ROSTER["echo"]._replace(tools=tuple(named))])


@pytest.mark.parametrize(
    ("expects", "text", "says"),
    [
        (Expect(sql={"schema": "", "rows": []}), "```sql\nDROP TABLE x\n```", "cannot be run"),
        (Expect(sql={"schema": "CREATE TABLE a (b)", "rows": []}), "```sql\nDELETE FROM a\n```", "not authorized"),
        (
            Expect(sql={"schema": "", "rows": []}),
            "```sql\nWITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n\n```",
            "interrupted",
        ),
        (Expect(regex={"matches": ["a"], "refuses": ["b"]}), "```regex\n(\n```", "is none"),
        (Expect(data={"a": 1}), "```json\n{\n```", "no block holds"),
        (Expect(defines="f()"), "```python\nf(\n```", "does not parse"),
    ],
)
def test_what_cannot_be_judged_is_wrong(expects: Expect, text: str, says: str) -> None:
    assert any(says in one for one in expects.wrong(Outcome("delivered", text)))


@pytest.mark.long
def test_an_expression_that_takes_for_ever_is_wrong() -> None:
    expects = Expect(regex={"matches": ["a" * 40 + "b"], "refuses": []})
    assert expects.wrong(Outcome("delivered", "```regex\n(a+)+\n```")) == ["its expression takes for ever"]
