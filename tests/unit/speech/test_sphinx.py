"""The built-in engine: how sure it is, how unknown words sound, and real notes that it hears."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from adapters.speech.pronounce import pronounce
from adapters.speech.sound import RATE, decode
from adapters.speech.sphinx import Sphinx, confidence, voiced
from core.voice.expected import Names, grammar
from core.voice.hearing import Verdict, judge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.voice.hearing import Heard

TIMES = np.arange(round(0.6 * RATE)) / RATE
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


@pytest.mark.parametrize(
    "samples",
    [
        np.sin(2 * np.pi * 600 * TIMES),
        np.sin(2 * np.pi * (300 * TIMES + 300 * TIMES**2)),
        np.sin(2 * np.pi * 2400 * TIMES) * np.hanning(len(TIMES)),
        np.random.default_rng(3).normal(0, 0.3, len(TIMES)),
        np.zeros(100),
    ],
    ids=["tone", "chirp", "blip", "hiss", "click"],
)
def test_what_is_no_voice_is_told_by_its_spectrum(samples: NDArray[np.float64]) -> None:
    assert not voiced((samples * 8000).astype(np.int16))


@pytest.mark.parametrize("note", sorted(NOTES.glob("*.ogg")), ids=lambda note: note.stem)
def test_a_voice_is_one(note: Path) -> None:
    assert voiced(decode(note.read_bytes()))


def test_a_command_is_heard_and_other_speech_is_not() -> None:
    engine = Sphinx()

    def hear(note: str) -> Heard:
        samples = decode((NOTES / note).read_bytes())
        return engine.hear(samples, EXPECTED.rules.text, EXPECTED.rules.words, EXPECTED.sounds)

    heard = hear("balance.ogg")
    assert (heard.text, judge(heard)) == ("show me my balance", Verdict.DO)
    assert judge(hear("pizza.ogg")) is Verdict.NOTHING


@pytest.mark.long
def test_a_long_hiss_is_no_work() -> None:
    hiss, engine = np.random.default_rng(1).normal(0, 5000, 30 * RATE).astype(np.int16), Sphinx()
    begun = time.process_time()
    assert engine.hear(hiss, EXPECTED.rules.text, EXPECTED.rules.words, EXPECTED.sounds).text == ""
    assert time.process_time() - begun < 2
