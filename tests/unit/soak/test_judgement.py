"""The soak sees what it is there to see: a lost, a doubled and a misplaced answer, and memory that grows."""

from __future__ import annotations

import pytest

from tests.soak.gauge import Life, Sample
from tests.soak.report import MEGABYTES
from tests.soak.tally import AGAIN, DRAFT, Shown, Tally, counted

ANSWER = "You said: q000001 what is up"


@pytest.mark.parametrize(
    ("surface", "texts", "lost", "doubled", "copies"),
    [
        ("telegram", [(ANSWER,)], 0, 0, 0),
        ("telegram", [], 1, 0, 0),
        ("telegram", [(ANSWER + DRAFT,)], 1, 0, 0),
        ("telegram", [(ANSWER + DRAFT, ANSWER)], 0, 0, 0),
        ("telegram", [(ANSWER,), (ANSWER,)], 0, 1, 0),
        ("telegram", [(ANSWER,), (AGAIN + ANSWER,)], 0, 0, 1),
        ("telegram", [(ANSWER + DRAFT,), (ANSWER,)], 0, 0, 0),
        ("matrix", [(ANSWER,), (AGAIN + ANSWER,)], 0, 1, 1),
    ],
)
def test_answers_are_counted_by_their_sign(
    surface: str, texts: list[tuple[str, ...]], lost: int, doubled: int, copies: int
) -> None:
    tally = Tally()
    tally.note(surface, "11", "q000001")
    shown = [Shown(surface, "11", str(number), one) for number, one in enumerate(texts)]
    found = counted(tally.said, shown)
    assert (len(found[0]), len(found[1]), found[2]) == (lost, doubled, copies)


async def test_an_answer_in_another_chat_is_misplaced() -> None:
    tally = Tally()
    said = tally.note("telegram", "11", "q000001")
    tally.saw("telegram", "12", ANSWER)
    assert tally.misplaced
    assert not said.answered.is_set()
    tally.saw("telegram", "11", ANSWER)
    assert said.answered.is_set()


@pytest.mark.parametrize(("leak", "grows"), [(0.0, False), (0.002, True)])
def test_two_kilobytes_a_message_are_a_slope_and_a_chart_now_and_then_is_none(leak: float, grows: bool) -> None:
    samples = [
        Sample(20 * second, 100 + leak * 20 * second + (9 if second % 17 == 0 else 0.2 * (second % 3)), 40, 5, 0, 0)
        for second in range(240)
    ]
    life = Life(samples=samples)
    assert life.judged
    assert (life.slope("rss") > MEGABYTES) == grows
