"""`core.voice.hearing.Mouth` over a program that speaks: espeak-ng, or Piper with a voice of the user's."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

from adapters.speech.limits import NO_PROGRAM
from adapters.speech.worker import IMPORTABLE, end
from core.voice.hearing import EarFailed, MouthFailed, Voice

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from adapters.speech.worker import Worker

SPEAK_SECONDS = 20.0
ENCODE_SECONDS = 20.0
MOST_BYTES = 12_000_000
"""Of the samples of a speech: two minutes at 48 kHz; 60 words take half a minute."""

MOST_WAITING = 20


class Command(NamedTuple):
    """A program that reads words on standard input and writes a WAV file to standard output."""

    name: str
    arguments: tuple[str, ...]
    memory: int = 2**30
    """Its address space, bytes."""


def espeak() -> Command:
    """Debian's espeak-ng: UTF-8 in (`-b 1`), 165 words a minute."""
    program = shutil.which("espeak-ng") or "espeak-ng"
    return Command("espeak-ng", (program, "-v", "en-us", "-s", "165", "-b", "1", "--stdin", "--stdout"))


def piper(voice: str) -> Command:
    """Piper, as the package of that name installs it."""
    return Command("Piper", (sys.executable, "-m", "piper", "--model", voice, "--output-file", "-"), 4 * 2**30)


class ProgramMouth:
    """Speaks with a program, one speech at a time. `missing`: why it cannot, and what to do about it."""

    def __init__(self, command: Command, worker: Worker, *, missing: str = "") -> None:
        self._command = command
        self._worker = worker
        self._turn = asyncio.Lock()
        self._waiting = 0
        self.missing = missing

    async def say(self, words: str) -> Voice:
        """See `Mouth`."""
        if self.missing:
            raise MouthFailed(why=self.missing)
        if self._waiting >= MOST_WAITING:
            raise MouthFailed(why="too much is to be spoken at once")
        self._waiting += 1
        try:
            async with self._turn:
                wav = await self._spoken(words)
        finally:
            self._waiting -= 1
        try:
            answer, ogg = await self._worker.ask({"op": "encode"}, wav, ENCODE_SECONDS)
        except EarFailed as error:
            raise MouthFailed(why=error.facts["why"]) from None
        if not ogg:
            raise MouthFailed(why=f"{self._command.name} made no sound")
        return Voice(ogg, float(answer["seconds"]))

    async def _spoken(self, words: str) -> bytes:
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-B", "-P", "-s", "-S", "-m", "adapters.speech.limits", str(self._command.memory), str(os.getpid()),
                *self._command.arguments,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                cwd="/", process_group=0,
                env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent", "PYTHONPATH": IMPORTABLE},
            )  # fmt: skip
        except OSError as error:
            raise MouthFailed(why=f"{self._command.name} does not start: {error.strerror}") from None
        try:
            async with asyncio.timeout(SPEAK_SECONDS):
                wav = await _talk(child, words.encode())
                status = await child.wait() if len(wav) <= MOST_BYTES else -signal.SIGKILL
        except TimeoutError:
            raise MouthFailed(why=f"{self._command.name} took longer than {SPEAK_SECONDS:g} s") from None
        finally:
            await end(child)
        if status == NO_PROGRAM:
            raise MouthFailed(why=f"{self._command.name} does not start")
        if status or not wav:
            raise MouthFailed(why=f"{self._command.name} failed")
        return wav


async def _talk(child: Process, words: bytes) -> bytes:
    """What the program writes, no more than is taken."""
    assert child.stdin is not None  # noqa: S101 - both are pipes, as asked for above
    assert child.stdout is not None  # noqa: S101
    child.stdin.write(words)
    child.stdin.close()
    wav = bytearray()
    while len(wav) <= MOST_BYTES and (piece := await child.stdout.read(65_536)):
        wav += piece
    return bytes(wav)
