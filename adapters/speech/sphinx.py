"""Hearing with pocketsphinx and the English model that it carries: the sentence of a grammar that fits best, and how well.

Everything fits some sentence, so the same sound is heard a second time as mere phones, in any order. How much worse the
sentence explains it than the phones do, in all and in its worst word, tells speech that is in the grammar from speech that
is not (a phone-loop filler; ADR 0013 has the figures).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
from pocketsphinx import Decoder, get_model_path

from adapters.speech.pronounce import pronounce
from adapters.speech.sound import RATE
from core.voice.hearing import Heard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Segment = tuple[str, int, int, float]

_PAD = round(0.4 * RATE)
_LOUDEST = 16_000
_HISS = 60.0
"""Of the noise under everything (standard deviation): to digital silence, which no microphone makes, the model is deaf."""

_SCALE = 1024
"""The score of a phone comes without the shift (SENSCR_SHIFT, 10 bits) that the score of a word has."""

_GAP_RANGE = 20.0
"""The gap, nats a frame, at which nothing is believed any more."""

_FRAME = 512
"""Samples of a spectrum, 32 ms: its lines are 31 Hz apart."""

_BAND = slice(10, 120)
"""The lines from 300 to 3750 Hz, where a voice has its formants."""

_FAINT = 0.05
_TONAL, _FLAT = 0.85, 0.4
"""The share of the power within 60 Hz of the strongest line, and the flatness (geometric by arithmetic mean), of no voice."""

_MARK = re.compile(r"\(\d+\)")
_LOWEST = -1e6


class Sphinx:
    """A loaded model. Loading takes 0.1 to 0.3 s; not to be used by two at a time."""

    def __init__(self) -> None:
        self._decoder = Decoder(lm=None, samprate=RATE, loglevel="FATAL", beam=1e-50, pbeam=1e-50, wbeam=1e-32)
        self._decoder.add_allphone_file("phones", get_model_path("en-us/en-us-phone.lm.bin"))
        self._jsgf = ""

    def hear(self, samples: NDArray[np.int16], jsgf: str, words: Iterable[str], sounds: Mapping[str, str]) -> Heard:
        """What is said, of what the grammar allows. It may end in the middle of a sentence."""
        if not voiced(samples):
            return Heard("", 0.0)
        if jsgf != self._jsgf:
            self._expect(jsgf, words, sounds)
        data = padded(samples)
        said, sentence = self._run("grammar", data, 1)
        _, phones = self._run("phones", data, _SCALE)
        return Heard(said, confidence(sentence, phones)) if said else Heard("", 0.0)

    def _expect(self, jsgf: str, words: Iterable[str], sounds: Mapping[str, str]) -> None:
        for word in words:
            if self._decoder.lookup_word(word) is None:
                said = sounds.get(word, word).split()
                phones = [self._decoder.lookup_word(one) or pronounce(one) for one in said]
                self._decoder.add_word(word, " ".join(filter(None, phones)) or "SIL", update=False)
        self._decoder.add_jsgf_string("grammar", jsgf)
        self._jsgf = jsgf

    def _run(self, search: str, data: bytes, scale: int) -> tuple[str, list[Segment]]:
        """The words, and each word or phone with its first and last frame and its score in nats."""
        decoder = self._decoder
        decoder.activate_search(search)
        decoder.start_utt()
        decoder.process_raw(data, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        if found is None:
            return "", []
        parts = [
            (one.word, one.start_frame, one.end_frame, math.log(one.ascore) * scale if one.ascore else _LOWEST)
            for one in decoder.seg()
        ]
        return " ".join(_MARK.sub("", found.hypstr).split()), parts


def voiced(samples: NDArray[np.int16]) -> bool:
    """Whether it may be a voice: in a quarter of its loud frames it is neither one tone nor a hiss.

    In these the phones explain no more than the words do, so that a beep can be a command as well as any. ADR 0013 has the figures.
    """
    if len(samples) < _FRAME:
        return False
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float32), _FRAME)[:: _FRAME // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME).astype(np.float32))) ** 2 + 1
    whole = power.sum(axis=1)
    power, whole = power[whole > whole.max() * _FAINT], whole[whole > whole.max() * _FAINT]
    around = sum(np.roll(power, by, axis=1) for by in range(-2, 3)).max(axis=1) / whole
    band = power[:, _BAND]
    flat = np.exp(np.log(band).mean(axis=1)) / band.mean(axis=1)
    return bool(np.percentile(around, 25) < _TONAL and np.percentile(flat, 25) < _FLAT)


def padded(samples: NDArray[np.int16]) -> bytes:
    """Samples at one loudness, with a little noise under them and 0.4 s of it at both ends."""
    loud = samples.astype(np.float64) * (_LOUDEST / max(1, int(np.abs(samples.astype(np.int32)).max())))
    whole = np.concatenate([np.zeros(_PAD), loud, np.zeros(_PAD)])
    whole += np.random.default_rng(1).normal(0, _HISS, len(whole))
    return whole.clip(-32768, 32767).astype(np.int16).tobytes()


def confidence(sentence: list[Segment], phones: list[Segment]) -> float:
    """From 0 to 1: 1 where the words explain the sound as well as its phones do."""
    spoken = [part for part in sentence if part[0][0] not in "<[+("]
    if not spoken or not phones:
        return 0.0
    last = max(sentence[-1][2], phones[-1][2])
    apart = _gained(sentence, last) - _gained(phones, last)
    frames = sum(end - start + 1 for _, start, end, _ in spoken)
    whole = float(apart[-1]) / frames
    worst = min(float(apart[end + 1] - apart[start]) / (end - start + 1) for _, start, end, _ in spoken)
    return min(1.0, max(0.0, 1 + (whole + worst) / _GAP_RANGE))


def _gained(parts: list[Segment], last: int) -> NDArray[np.float64]:
    """The score up to the beginning of each frame, shared out evenly within a part."""
    steps = np.zeros(last + 2)
    for _, start, end, score in parts:
        if end >= start:
            steps[start + 1 : end + 2] += score / (end - start + 1)
    return np.cumsum(steps)
