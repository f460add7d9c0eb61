"""Hearing with faster-whisper and a model that the user brings: any sentence, not only what the grammar allows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from core.voice.hearing import Heard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

_SILENT = 0.6
"""How likely it is that nobody spoke from which on nothing was said (the library's own threshold)."""


class Whisper:
    """A loaded model, on one processor. Nothing is downloaded."""

    def __init__(self, folder: str) -> None:
        from faster_whisper import WhisperModel  # noqa: PLC0415 - an extra of pyproject.toml, in the child alone

        self._model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)

    def hear(self, samples: NDArray[np.int16], jsgf: str, words: Iterable[str], sounds: Mapping[str, str]) -> Heard:  # noqa: ARG002 - the engines' one shape
        """What is said; the names of the grammar are given as a hint."""
        hint = ", ".join(sounds)
        parts, _ = self._model.transcribe(samples.astype("float32") / 32768, beam_size=1, hotwords=hint or None)
        said = [part for part in parts if part.no_speech_prob < _SILENT]
        if not said:
            return Heard("", 0.0)
        surest = math.exp(sum(part.avg_logprob for part in said) / len(said))
        return Heard(" ".join(part.text.strip() for part in said), min(1.0, surest))
