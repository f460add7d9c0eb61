"""Which engines there are on this machine, and what to do where one is missing. Nothing heavy is imported to find out."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.speech.ear import LocalEar
from adapters.speech.mouth import ProgramMouth, espeak, piper
from adapters.speech.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable


def ear(engine: str, folder: Path | None) -> tuple[LocalEar, Worker]:
    """What hears, and the worker behind it, which must be closed."""
    free = engine == "whisper"
    worker = Worker("whisper", str(whisper_model(folder) or "")) if free else Worker("pocketsphinx")
    return LocalEar(worker, missing=ear_missing(engine, folder), bound=not free), worker


def ear_missing(engine: str, folder: Path | None) -> str:
    """Why the chosen engine cannot hear; empty if it can."""
    if engine == "off":
        return "the owner of this hub has turned that off (TIMMY_SPEECH_STT=off)"
    if engine == "whisper":
        if find_spec("faster_whisper") is None:
            return "faster-whisper is not installed; the hub's owner can: .venv/bin/pip install faster-whisper"
        if whisper_model(folder) is None:
            return f"there is no model of faster-whisper (a folder with model.bin) in {folder}"
    elif find_spec("pocketsphinx") is None or find_spec("av") is None:
        return "pocketsphinx or av is not installed; the hub's owner can: make install"
    return ""


def whisper_model(folder: Path | None) -> Path | None:
    """The folder of the user's model of faster-whisper: the one that was named, or one in it."""
    return _found(folder, "model.bin", lambda path: path.parent)


def piper_voice(folder: Path | None) -> Path | None:
    """The user's voice for Piper: a file NAME.onnx beside which NAME.onnx.json lies."""
    return _found(folder, "*.onnx", lambda path: path if Path(f"{path}.json").is_file() else None)


def _found(folder: Path | None, pattern: str, take: Callable[[Path], Path | None]) -> Path | None:
    """The first such file that is taken. A folder that cannot be read has none."""
    if folder is None:
        return None
    folder = folder.absolute()  # the children run elsewhere
    try:
        paths = sorted([*folder.glob(pattern), *folder.glob(f"*/{pattern}")])
        return next((found for path in paths if (found := take(path)) is not None), None)
    except OSError:
        return None


def mouth(engine: str, folder: Path | None) -> tuple[ProgramMouth, Worker]:
    """What speaks, and the worker that encodes it, which must be closed: its own, so that no answer waits for a hearing."""
    worker = Worker("encoder")
    command = piper(str(piper_voice(folder))) if engine == "piper" else espeak()
    return ProgramMouth(command, worker, missing=mouth_missing(engine, folder)), worker


def mouth_missing(engine: str, folder: Path | None) -> str:
    """Why the chosen engine cannot speak, and what to do about it; empty if it can."""
    if engine == "off":
        return "the owner of this hub has turned that off (TIMMY_SPEECH_TTS=off)"
    if engine == "piper":
        if find_spec("piper") is None:
            return "Piper is not installed; the hub's owner can: .venv/bin/pip install piper-tts"
        if piper_voice(folder) is None:
            return f"there is no voice of Piper (NAME.onnx with NAME.onnx.json) in {folder}"
    elif shutil.which("espeak-ng") is None:
        return "espeak-ng is not installed; the hub's owner can: apt install espeak-ng (Debian), brew install espeak-ng (macOS)"
    return ""
