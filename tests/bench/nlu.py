"""How fast phrases are understood, how fast the grammar loads, and how often the intent is right beside adapt-parser.

adapt-parser (keywords and rules, the parser of Mycroft) lives in a folder of its own, `.venv/adapt`, and is told what the
working phrases teach: see `adapt_intents.py`. It knows no commands, so only intents are compared.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core.voice.intent import understand
from tests.voice import score

ROOT = Path(__file__).parents[2]
ADAPT = ROOT / ".venv" / "adapt"
ADAPT_PINNED = Path(__file__).with_name("adapt.txt")
OPENINGS = ("", "timmy ", "please ", "hey timmy ", "ok so ", "uh ", "could you just ", "well ", "hello timmy ")
CLOSINGS = ("", " please", " thanks", " timmy")

LOAD = (
    "import enum, time, typing; begun = time.process_time()\n"
    "from core.voice.intent import Known, understand\n"
    "understand('what is the weather like', Known()); print(time.process_time() - begun)"
)


def distinct() -> list[str]:
    """At least 20,000 different phrases: the corpus, as people begin and end what they say."""
    texts = {phrase.text for phrase in score.corpus(score.WORK)}
    return sorted({f"{start}{text}{end}" for text, start, end in itertools.product(texts, OPENINGS, CLOSINGS)})


def phrases_a_second(texts: list[str]) -> float:
    """Phrases a second of one core's time, each seen once."""
    begun = time.process_time()
    for text in texts:
        understand(text, score.KNOWN)
    return len(texts) / (time.process_time() - begun)


def load_milliseconds(rounds: int) -> float:
    """To the first answer, from an interpreter that has the enums and types which every program here loads."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as cache:
        env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPYCACHEPREFIX"] = cache  # byte code is there from the second run on, as after make install
        command = [sys.executable, "-c", LOAD]
        runs = [float(_output(command, env)) for _ in range(rounds + 1)]
    return 1000 * statistics.median(runs[1:])


def intents_right(file: Path) -> tuple[float, float | None, int]:
    """The shares of intents that are right, ours and adapt-parser's (None: not to be had), and how many phrases."""
    phrases = score.corpus(file)
    ours = score.rate(one.intent for one in score.score(phrases))
    if not _has_adapt():
        return ours, None, len(phrases)
    told = {
        "learn": [(phrase.text, phrase.intent) for phrase in score.corpus(score.WORK)],
        "ask": [phrase.text for phrase in phrases],
    }
    script = str(Path(__file__).with_name("adapt_intents.py"))
    env = {**os.environ, "PYTHONPATH": str(ADAPT)}
    answers = json.loads(_output([sys.executable, script], env, json.dumps(told)))
    theirs = score.rate(answer == phrase.intent for answer, phrase in zip(answers, phrases, strict=True))
    return ours, theirs, len(phrases)


def _has_adapt() -> bool:
    """Whether adapt-parser is in its folder, put there if it can be."""
    if not ADAPT.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        wanted = ["--require-hashes", "--target", str(ADAPT), "-r", str(ADAPT_PINNED)]
        subprocess.run([*pip, *wanted], check=False)
    return ADAPT.exists()


def _output(command: list[str], env: dict[str, str], given: str = "") -> str:
    done = subprocess.run(command, cwd=ROOT, env=env, input=given, capture_output=True, text=True, check=True)
    return done.stdout
