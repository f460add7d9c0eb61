"""The child process of speech, and the ear and the mouth before it: it answers, dies, hangs, and is always gone in the end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from adapters.speech import engines
from adapters.speech.ear import MOST_WAITING, LocalEar
from adapters.speech.mouth import Command, ProgramMouth
from adapters.speech.worker import Worker
from core.voice.expected import Names, grammar
from core.voice.hearing import (
    BadAudio,
    EarFailed,
    Heard,
    MouthFailed,
    TooManyNotes,
)
from tests.depth import first
from tests.unit.speech.test_sound import tone

NOTES = Path(__file__).parents[2] / "voice/notes"
EXPECTED = grammar(frozenset({"balance", "status"}), Names())
WORDS = "\nimport json, sys\nline = json.loads(sys.stdin.buffer.readline())\nsys.stdin.buffer.read(line['size'])\n"


def scripted(code: str) -> Worker:
    """A worker whose child is a few lines."""
    return Worker("engine", program=(sys.executable, "-S", "-c", code))


@pytest.mark.long
async def test_the_real_child_hears_encodes_and_outlives_bad_audio() -> None:
    ear, worker = engines.ear("pocketsphinx", None)
    try:
        heard = await ear.hear((NOTES / "balance.ogg").read_bytes(), EXPECTED)
        assert heard.text == "show me my balance"
        with pytest.raises(BadAudio):
            await ear.hear(b"no audio", EXPECTED)
        answer, ogg = await worker.ask({"op": "encode"}, tone(1), 20)
        assert (round(answer["seconds"], 1), ogg[:4]) == (1.0, b"OggS")
        child = psutil.Process(worker._child.pid)  # type: ignore[union-attr]
        assert not any("TIMMY" in key for key in child.environ())
    finally:
        await worker.close()
    assert not child.is_running()


@pytest.mark.long
@pytest.mark.parametrize(
    ("code", "seconds", "words"),
    [
        ("import sys; sys.stdin.read()", 0.2, "longer than 0.2 s"),
        ("", 10, "broke off"),
        ("print('no json', flush=True)", 10, "broke off"),
        (f"{WORDS}print('{{\"size\": 99999999}}', flush=True); sys.stdin.read()", 10, "broke off"),
        (f"{WORDS}print('{{\"size\": null}}', flush=True); sys.stdin.read()", 10, "broke off"),
        (f"{WORDS}print('x' * 3_000_000, flush=True); sys.stdin.read()", 10, "broke off"),
        (f"{WORDS}import signal\nsignal.setitimer(signal.ITIMER_PROF, 0.02)\nwhile True: pass", 10, "too much work"),
    ],
    ids=["hangs", "dies", "babbles", "floods", "says no size", "never ends its line", "works too much"],
)
async def test_a_child_that_fails_is_killed_and_the_next_one_starts_afresh(
    code: str, seconds: float, words: str
) -> None:
    worker = scripted(code)
    for _ in range(2):
        with pytest.raises(EarFailed, match=words):
            await worker.ask({"op": "hear"}, b"x", seconds)
        assert worker._child is None


@pytest.mark.long
async def test_a_child_that_babbles_between_two_requests_is_gone_at_the_next() -> None:
    worker = scripted(f"{WORDS}print('{{}}', flush=True); print('x' * 5_000_000)")
    await worker.ask({"op": "hear"}, b"x", 10)
    reader: Any = worker._child.stdout  # type: ignore[union-attr]
    for _ in range(500):
        if len(reader._buffer) > 2 * 2**20:  # from there on nothing is read of it
            break
        await asyncio.sleep(0.01)  # noqa: TID251 - the child is a real one
    async with asyncio.timeout(5):
        with pytest.raises(EarFailed, match="broke off"):
            await worker.ask({"op": "hear"}, b"x", 10)
    assert worker._child is None


@pytest.mark.long
async def test_what_a_child_has_started_elsewhere_holds_nothing_up() -> None:
    flees = "import subprocess\nsubprocess.Popen(['sleep', '3'], start_new_session=True)\nprint('no', flush=True)"
    async with asyncio.timeout(2):
        with pytest.raises(EarFailed, match="broke off"):
            await scripted(flees).ask({"op": "hear"}, b"x", 10)


@pytest.mark.long
async def test_what_has_fled_and_leaves_unread_what_it_was_told_holds_nothing_up() -> None:
    flees = "import subprocess\nsubprocess.Popen(['sleep', '3'], start_new_session=True, stdin=0).wait()"
    async with asyncio.timeout(2):
        with pytest.raises(EarFailed, match="longer than"):
            await scripted(flees).ask({"op": "hear"}, bytes(2_000_000), 0.5)


@pytest.mark.long
@pytest.mark.parametrize("limit", first(1, ["WORK['pocketsphinx'] = (0.001, 0)", "OPENING = 0.001"]))
async def test_the_real_child_works_no_longer_than_it_may(limit: str) -> None:
    program = f"from adapters.speech import child; child.{limit}; child.main()"
    worker = Worker("pocketsphinx", program=(sys.executable, "-c", program))
    note = tone(50) if "OPENING" in limit else (NOTES / "balance.ogg").read_bytes()
    try:
        with pytest.raises(EarFailed, match="too much work"):
            await LocalEar(worker).hear(note, EXPECTED)
    finally:
        await worker.close()


class Scripted:
    """A worker that answers what it was told."""

    def __init__(self, answer: dict[str, object], ogg: bytes = b"") -> None:
        self.answer, self.ogg = answer, ogg

    async def ask(self, *_: object) -> tuple[dict[str, object], bytes]:
        """See `Worker`."""
        return self.answer, self.ogg


@pytest.mark.long
async def test_half_a_sentence_is_nothing_but_an_engine_without_a_grammar_is_taken_at_its_word() -> None:
    half = Scripted({"text": "show me my", "confidence": 0.9})
    assert await LocalEar(half).hear(b"x", EXPECTED) == Heard("", 0.0)  # type: ignore[arg-type]
    assert await LocalEar(half, bound=False).hear(b"x", EXPECTED) == Heard("show me my", 0.9)  # type: ignore[arg-type]


@pytest.mark.long
async def test_what_cannot_be_heard_is_said_so() -> None:
    assert "turned that off" in engines.ear("off", None)[0].missing
    with pytest.raises(EarFailed):
        await LocalEar(Scripted({"error": "memory_error"})).hear(b"x", EXPECTED)  # type: ignore[arg-type]
    for doubt in ({}, {"confidence": float("nan")}, {"confidence": None}, {"confidence": 7}):
        with pytest.raises(EarFailed):
            await LocalEar(Scripted({"text": "status", **doubt})).hear(b"x", EXPECTED)  # type: ignore[arg-type]
    busy = LocalEar(Scripted({}))  # type: ignore[arg-type]
    busy._waiting = MOST_WAITING
    with pytest.raises(TooManyNotes):
        await busy.hear(b"x", EXPECTED)


def mouth(*arguments: str, worker: object = None, missing: str = "") -> ProgramMouth:
    """A mouth over any program."""
    encodes: Any = worker or Scripted({"seconds": 2.5}, b"OggS")
    return ProgramMouth(Command("the program", arguments), encodes, missing=missing)


@pytest.mark.long
async def test_a_program_speaks_what_it_is_given() -> None:
    voice = await mouth("/bin/cat").say("hello")
    assert (voice.ogg, voice.seconds) == (b"OggS", 2.5)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_program_that_speaks_has_its_limits() -> None:
    spoken = await mouth("/bin/cat", "/proc/self/limits")._spoken("hello")
    limits = {line[:24].strip(): line[24:].split()[0] for line in spoken.decode().splitlines()}
    assert (limits["Max address space"], limits["Max file size"]) == (str(2**30), "0")


@pytest.mark.long
@pytest.mark.parametrize(
    ("speaks", "words"),
    [
        (mouth("/bin/cat", missing="it is away"), "it is away"),
        (mouth("/no/such/program"), "does not start"),
        (mouth("/bin/false"), "failed"),
        (mouth("/bin/cat", "/dev/zero"), "failed"),
        (mouth("/bin/cat", worker=Scripted({"error": "bad_audio"})), "made no sound"),
    ],
    ids=["missing", "no program", "fails", "never ends", "silent"],
)
async def test_what_cannot_be_spoken_is_said_so(speaks: ProgramMouth, words: str) -> None:
    with pytest.raises(MouthFailed, match=words):
        await speaks.say("hello")


@pytest.mark.long
async def test_an_answer_is_encoded_by_a_child_of_its_own_while_the_ear_is_at_work() -> None:
    _, listener = engines.ear("pocketsphinx", None)
    speaks, encoder = engines.mouth("espeak", None)
    speaks.missing = ""
    speaks._spoken = lambda _: _ready(tone(1))  # type: ignore[assignment, method-assign]
    try:
        async with listener._turn:
            assert (await speaks.say("hello")).ogg.startswith(b"OggS")
    finally:
        await encoder.close()


async def _ready(wav: bytes) -> bytes:
    return wav


@pytest.mark.long
async def test_a_model_of_the_users_is_found_or_asked_for(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small/model.bin").write_bytes(b"")
    (tmp_path / "amy.onnx").write_bytes(b"")
    assert engines.whisper_model(tmp_path) == tmp_path / "small"
    assert engines.whisper_model(tmp_path / "none") is None
    assert engines.piper_voice(tmp_path) is None
    (tmp_path / "amy.onnx.json").write_text("{}")
    assert engines.piper_voice(tmp_path) == tmp_path / "amy.onnx"
    unreadable = tmp_path / ("x" * 300)
    assert engines.whisper_model(unreadable) is None
    engines.ear("pocketsphinx", unreadable)
    assert "pip install faster-whisper" in engines.ear_missing("whisper", tmp_path)
    assert "pip install piper-tts" in engines.mouth_missing("piper", tmp_path)
