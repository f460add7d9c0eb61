"""Audio files in and out: real OGG/Opus, made here from tones."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import pytest

from adapters.speech.sound import RATE, decode, encode
from core.voice.hearing import BadAudio, NoteTooLong, NothingSaid

if TYPE_CHECKING:
    from pathlib import Path

    from av.audio.stream import AudioStream


def tone(seconds: float, *, rate: int = 22_050, loudness: int = 8000) -> bytes:
    """A WAV file of a tone at 440 Hz."""
    times = np.arange(round(seconds * rate)) / rate
    samples = (np.sin(2 * np.pi * 440 * times) * loudness).astype(np.int16)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return out.getvalue()


def test_speech_becomes_a_voice_note_and_a_voice_note_becomes_samples() -> None:
    voice = encode(tone(1.5))
    assert voice.ogg.startswith(b"OggS")
    assert b"OpusHead" in voice.ogg
    assert voice.seconds == pytest.approx(1.5, abs=0.05)
    samples = decode(voice.ogg)
    assert len(samples) == pytest.approx(1.5 * RATE, rel=0.03)
    strongest = int(np.argmax(np.abs(np.fft.rfft(samples[:RATE]))))
    assert strongest == pytest.approx(440, abs=2)


def test_other_formats_and_one_that_was_cut_short_are_read_too() -> None:
    assert len(decode(tone(0.5, rate=8000))) == pytest.approx(0.5 * RATE, rel=0.02)
    whole = encode(tone(3)).ogg
    assert RATE < len(decode(whole[: len(whole) * 2 // 3])) < 3 * RATE


@pytest.mark.parametrize("audio", [b"", b"OggS", b"no audio at all" * 100])
def test_what_is_no_audio_is_called_so(audio: bytes) -> None:
    with pytest.raises(BadAudio):
        decode(audio)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("ogg", "libopus"), ("mp4", "aac"), ("mov", "pcm_s16le"), ("matroska", "libopus"), ("webm", "libopus"),
        ("mp3", "libmp3lame"), ("adts", "aac"), ("flac", "flac"), ("caf", "pcm_s16be"), ("wav", "pcm_s16le"),
    ],
)  # fmt: skip
def test_each_usual_container_is_read(container: str, codec: str) -> None:
    out = io.BytesIO()
    with av.open(io.BytesIO(tone(0.5, rate=48_000)), "r") as source, av.open(out, "w", format=container) as target:
        stream = cast("AudioStream", target.add_stream(codec, rate=48_000, layout="mono"))
        for frame in source.decode(audio=0):
            frame.pts = None
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    assert len(decode(out.getvalue())) == pytest.approx(0.5 * RATE, rel=0.2)


def test_a_list_of_files_is_no_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.wav").write_bytes(tone(1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadAudio):
        decode(b"ffconcat version 1.0\nfile secret.wav\n")


def test_a_head_without_a_sound_is_no_audio() -> None:
    with pytest.raises((BadAudio, NothingSaid)):
        decode(encode(tone(1)).ogg[:150])


def test_silence_and_an_over_long_note_are_called_so() -> None:
    with pytest.raises(NothingSaid):
        decode(tone(1, loudness=50))
    with pytest.raises(NoteTooLong, match="60 seconds"):
        decode(tone(61, rate=8000))


def test_what_cannot_be_encoded_is_called_so() -> None:
    with pytest.raises(BadAudio):
        encode(b"no wav")
