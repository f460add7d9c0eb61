"""Audio files to samples and back, by PyAV. It opens what anybody may have sent, so it runs in the child only."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av
import numpy as np
from av.error import FFmpegError

from core.voice.hearing import NOTE_BYTES, NOTE_SECONDS, BadAudio, NoteTooLong, NothingSaid, Voice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE = 16_000
"""Samples a second of what is heard, mono, 16 bits: what the English model of pocketsphinx was trained on."""

OPUS_RATE = 48_000
QUIET = 200
"""The loudest sample of a recording in which nobody speaks, of 32767."""


def decode(audio: bytes) -> NDArray[np.int16]:
    """The samples of an audio file of any usual format. Raises `BadAudio`, `NoteTooLong`, `NothingSaid`."""
    most = RATE * NOTE_SECONDS
    pieces: list[NDArray[np.int16]] = []
    count = 0
    try:
        for piece in _pieces(audio):
            pieces.append(piece)
            count += len(piece)
            if count > most:
                raise NoteTooLong(seconds=NOTE_SECONDS, megabytes=NOTE_BYTES // 10**6)
    except (FFmpegError, IndexError, ValueError):
        if not count:
            raise BadAudio from None  # else it was cut short: what there is can be heard
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    if not len(samples) or int(np.abs(samples.astype(np.int32)).max()) < QUIET:
        raise NothingSaid
    return samples


def _pieces(audio: bytes) -> Iterator[NDArray[np.int16]]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(io.BytesIO(audio), "r", metadata_errors="ignore") as container:
        for frame in container.decode(container.streams.audio[0]):
            for resampled in resampler.resample(frame):
                yield resampled.to_ndarray().reshape(-1).astype(np.int16, copy=False)
    for resampled in resampler.resample(None):
        yield resampled.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def encode(audio: bytes) -> Voice:
    """An audio file as OGG/Opus, which is what chats play as a voice note. Raises `BadAudio`."""
    out = io.BytesIO()
    count = 0
    resampler = av.AudioResampler(format="s16", layout="mono", rate=OPUS_RATE)
    try:
        with av.open(io.BytesIO(audio), "r") as source, av.open(out, "w", format="ogg") as target:
            stream = target.add_stream("libopus", rate=OPUS_RATE)
            stream.bit_rate = 32_000
            stream.layout = "mono"
            for frame in (*source.decode(source.streams.audio[0]), None):
                for resampled in resampler.resample(frame):
                    count += resampled.samples
                    resampled.pts = None
                    target.mux(stream.encode(resampled))
            target.mux(stream.encode(None))
    except (FFmpegError, IndexError, ValueError):
        raise BadAudio from None
    return Voice(out.getvalue(), count / OPUS_RATE)
