"""The soak sees what it is there to see: a lost, a doubled and a misplaced answer, and memory that grows."""

from __future__ import annotations

import pytest

from tests.soak.gauge import Life, Sample
from tests.soak.report import MEGABYTES
from tests.soak.tally import AGAIN, DRAFT, HEARD, SIRI, Shown, Tally, counted, misheard

ANSWER = "You said: q000001 what is up"
AT_HOME = f"{SIRI}q000001 what is up\n{ANSWER}"
SPOKEN = ('Heard: "show me my balance"', " sats free, ")


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


@pytest.mark.parametrize(
    ("there", "home", "rest", "lost", "doubled"),
    [
        ([ANSWER], [], False, 0, 0),
        ([], [AT_HOME], False, 0, 0),
        ([], [], False, 1, 0),
        ([], ["Your Shortcut phone asks for: /ask q000001"], False, 1, 0),
        ([ANSWER], [AT_HOME], False, 0, 1),
        ([ANSWER], [AT_HOME + HEARD], False, 0, 0),
        ([ANSWER], [AT_HOME], True, 0, 0),
        ([ANSWER], [], True, 1, 0),
        ([ANSWER], [AT_HOME, AT_HOME], True, 0, 1),
        ([], [AT_HOME, AT_HOME], False, 0, 1),
        ([], [AT_HOME, AGAIN + AT_HOME], False, 0, 0),
    ],
)
def test_what_a_phone_asked_is_told_there_or_at_home(
    there: list[str], home: list[str], rest: bool, lost: int, doubled: int
) -> None:
    tally = Tally()
    said = tally.note("shortcuts", "phone", "q000001")
    said.home, said.rest = ("telegram", "11"), rest
    shown = [Shown("shortcuts", "phone", "", (one,)) for one in there]
    shown += [Shown("telegram", "11", str(number), (one,)) for number, one in enumerate(home)]
    found = counted(tally.said, shown)
    assert (len(found[0]), len(found[1])) == (lost, doubled)


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        ([SPOKEN[0], "5 sats free, 0"], 0),
        ([SPOKEN[0]], 1),
        (["I did not understand what you said"], 2),
        ([SPOKEN[0], "5 sats free, 0", "5 sats free, 0"], 1),
        ([SPOKEN[0], "5 sats free, 0", f"{AGAIN}5 sats free, 0"], 0),
    ],
)
async def test_a_voice_note_is_heard_and_answered_once_where_it_was_sent(texts: list[str], wrong: int) -> None:
    tally = Tally()
    note = tally.speak("telegram", "11", SPOKEN)
    for text in texts:
        tally.saw("telegram", "12", text)
    assert note in tally.open
    for text in texts:
        tally.saw("telegram", "11", text)
    assert note.answered.is_set() == any("sats free" in text for text in texts)
    shown = [Shown("telegram", "11", str(number), (one,)) for number, one in enumerate(texts)]
    assert len(misheard(tally.said, shown)) == wrong


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
        Sample(20 * second, 100 + leak * 20 * second + (9 if second % 17 == 0 else 0.2 * (second % 3)), 40, 5, 0, 0, 1)
        for second in range(240)
    ]
    life = Life(samples=samples)
    assert life.judged
    assert (life.slope("rss") > MEGABYTES) == grows
