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

    from av.container import InputContainer
    from numpy.typing import NDArray

RATE = 16_000
"""Samples a second of what is heard, mono, 16 bits: what the English model of pocketsphinx was trained on."""

OPUS_RATE = 48_000
_MAGIC = (
    (0, b"OggS", "ogg"), (8, b"WAVE", "wav"), (0, b"fLaC", "flac"), (0, b"caff", "caf"), (0, b"ID3", "mp3"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"), (4, b"ftyp", "mov"), (4, b"moov", "mov"), (4, b"wide", "mov"), (4, b"mdat", "mov"),
)  # fmt: skip
"""Where a container begins with what, and FFmpeg's name of it: OGG, WAV, FLAC, CAF, MP3, Matroska with WebM, MP4 with MOV."""

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
    with _opened(audio) as container:
        for frame in container.decode(container.streams.audio[0]):
            for resampled in resampler.resample(frame):
                yield resampled.to_ndarray().reshape(-1).astype(np.int16, copy=False)
    for resampled in resampler.resample(None):
        yield resampled.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def _opened(audio: bytes) -> InputContainer:
    """A file, as what its first bytes say it is: some formats are lists of other files, which would be opened too."""
    return av.open(
        io.BytesIO(audio), "r", format=_format(audio), metadata_errors="ignore",
        options={"protocol_whitelist": "none"},
    )  # fmt: skip


def _format(audio: bytes) -> str:
    """FFmpeg's name of the container. Raises `BadAudio` for any that is not of voices."""
    for at, magic, name in _MAGIC:
        if audio.startswith(magic, at):
            return name
    if len(audio) > 1 and audio[0] == 0xFF and audio[1] & 0xE0 == 0xE0:  # noqa: PLR2004 - MPEG's eleven set bits
        return "mp3" if audio[1] & 0x06 else "aac"  # its layer, none in ADTS
    raise BadAudio


def encode(audio: bytes) -> Voice:
    """An audio file as OGG/Opus, which is what chats play as a voice note. Raises `BadAudio`."""
    out = io.BytesIO()
    count = 0
    resampler = av.AudioResampler(format="s16", layout="mono", rate=OPUS_RATE)
    try:
        with _opened(audio) as source, av.open(out, "w", format="ogg") as target:
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
