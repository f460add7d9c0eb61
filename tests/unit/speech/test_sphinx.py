"""The built-in engine: how sure it is, how unknown words sound, and real notes that it hears."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.speech.pronounce import pronounce
from adapters.speech.sound import decode
from adapters.speech.sphinx import Sphinx, confidence
from core.voice.expected import Names, grammar
from core.voice.hearing import Verdict, judge

if TYPE_CHECKING:
    from core.voice.hearing import Heard

NOTES = Path(__file__).parents[2] / "voice/notes"
EXPECTED = grammar(
    frozenset({"balance", "agent", "task", "status", "cancel"}),
    Names(agents=("quill", "quill-2", "xzq"), files=("welcome.md",), tasks=(1, 2, 12)),
)
SILENCE = [("<sil>", 0, 9, -10.0)]


@pytest.mark.parametrize(
    ("sentence", "phones", "wanted"),
    [
        ([("go", 0, 9, -50.0)], [("G", 0, 4, -25.0), ("OW", 5, 9, -25.0)], 1.0),
        ([("go", 0, 9, -90.0)], [("G", 0, 9, -50.0)], 1 - (4 + 4) / 20),
        # one word fits, the other does not: the worst counts beside the whole
        ([("go", 0, 9, -50.0), ("on", 10, 19, -150.0)], [("G", 0, 19, -100.0)], 1 - (5 + 10) / 20),
        ([("go", 0, 9, -500.0)], [("G", 0, 9, -50.0)], 0.0),
        (SILENCE, SILENCE, 0.0),
        ([("go", 0, 9, -50.0)], [], 0.0),
    ],
)
def test_confidence_is_how_little_worse_the_words_explain_it(
    sentence: list[tuple[str, int, int, float]], phones: list[tuple[str, int, int, float]], wanted: float
) -> None:
    assert confidence(sentence, phones) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("satoshis", "S AH T OW SH IY Z"),
        ("olga", "OW L G AH"),
        ("steve", "S T IY V"),
        ("quick", "K W IH K"),
        ("x", "K S"),
        ("4", ""),
    ],
)
def test_a_word_that_no_dictionary_has_sounds_as_its_letters(word: str, phones: str) -> None:
    assert pronounce(word) == phones


def test_a_command_is_heard_and_other_speech_is_not() -> None:
    engine = Sphinx()

    def hear(note: str) -> Heard:
        samples = decode((NOTES / note).read_bytes())
        return engine.hear(samples, EXPECTED.rules.text, EXPECTED.rules.words, EXPECTED.sounds)

    heard = hear("balance.ogg")
    assert (heard.text, judge(heard)) == ("show me my balance", Verdict.DO)
    assert judge(hear("pizza.ogg")) is Verdict.NOTHING
