"""How well commands are heard, and how well other speech is told from them: the figures of docs/adr/0013.

`python -m tests.voice.hearing` has espeak-ng speak phrases inside and outside of the grammar in several voices, and prints
what became of them. It takes some minutes and is no test.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adapters.speech import engines
from core.voice.expected import Names, grammar
from core.voice.hearing import DOUBTFUL, SURE, judge
from core.voice.phrases import PHRASES

if TYPE_CHECKING:
    from core.voice.expected import Grammar
    from core.voice.hearing import Heard

FOLDER = Path(__file__).parent
VOICES = (("en-us", 165), ("en-gb", 165), ("en-us+f3", 150), ("en-us+m3", 180))
PERSONAS = ("echo", "mace", "helm", "seer", "forge", "quill", "pixel", "lyra", "reel")
NAMES = Names(
    (*PERSONAS, "quill-2"), PERSONAS, ("ann", "bob", "olga"), ("welcome.md", "sample.csv"), tuple(range(1, 21))
)
COMMANDS = frozenset(PHRASES) - {"pay", "invoice"}
INSIDE = {
    "show me my balance": "", "what is my balance": "", "how many satoshis do i have": "", "status": "", "are you online": "",
    "help": "", "what can you do": "", "voice on": "", "turn off your voice": "", "stop talking": "",
    "show me the agents": "", "who is available": "", "what is quill doing": "", "tell me about mace": "",
    "show my tasks": "", "what tasks are there": "", "show the open tasks": "", "show me task twelve": "",
    "how is task seven going": "", "who bid on task three": "", "bid fifty sats on task four": "",
    "award task five to quill": "", "cancel task seventeen": "", "accept task nine": "", "retry task two": "",
    "spawn forge": "", "dismiss quill two": "dismiss quill-2", "hire pixel": "",
    "summarise welcome dot m d": "summarise welcome.md", "describe sample dot c s v": "describe sample.csv",
    "yes please": "", "no thanks": "", "show the last ten payments": "",
    "timmy show me my history please": "", "please cancel task eleven": "", "how do i create a task": "",
    "describe sample dot c s v for at most two hundred sats": "describe sample.csv for at most two hundred sats",
    "scan welcome dot m d for secrets": "scan welcome.md for secrets", "balance": "", "yes": "", "no": "",
}  # fmt: skip
"""What is spoken, and what is to be heard where that is written otherwise."""

OUTSIDE = (
    "what is the weather like tomorrow in berlin", "i would like to order a pizza", "the quick brown fox jumps over the lazy dog",
    "please call my mother this evening", "turn on the lights in the kitchen", "what is the capital of france",
    "my cat is sleeping on the sofa", "show me the way to the station", "how many people live in china", "can you tell me a joke",
    "we should go swimming on sunday", "the train leaves at half past nine", "buy milk and bread", "open the garage door",
    "play some music", "good morning how was your night", "who won the game last night", "the balance of nature is fragile",
    "cancel my dentist appointment", "give the dog a bone", "what did you eat for breakfast", "set a timer for ten minutes",
    "i do not know what you mean", "show my wife the pictures", "pay the electricity bill", "send an email to my boss",
    "jazz", "guess", "yet", "yell", "can fern", "oh hey", "ok google", "oak tree", "know", "now", "note", "nose",
    "summarise the history of rome", "maybe later", "thank you very much", "how tall is the eiffel tower", "wake me up at seven",
    "this is a test of the microphone", "he said that she would come", "please describe the painting", "are you hungry",
    "task force two is ready", "delete everything on my computer", "wie ist das wetter heute",
    "hola me llamo maria y vivo en madrid",
    "hello", "banana", "no one knows the trouble", "yesterday all my troubles seemed so far away", "why is the sky blue",
)  # fmt: skip


class Tried(NamedTuple):
    """One note and what was heard of it."""

    spoken: str
    voice: str
    inside: bool
    right: bool
    heard: Heard


def speak(words: str, voice: str, speed: int) -> bytes:
    """A WAV file of espeak-ng's."""
    program = ["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", words]
    return subprocess.run(program, check=True, capture_output=True).stdout


async def tried() -> list[Tried]:
    """Every phrase in every voice."""
    ear, worker = engines.ear("pocketsphinx", None)
    expected: Grammar = grammar(COMMANDS, NAMES)
    found = []
    try:
        for voice, speed in VOICES:
            for spoken in (*INSIDE, *OUTSIDE):
                heard = await ear.hear(speak(spoken, voice, speed), expected)
                right = heard.text == (INSIDE.get(spoken) or spoken)
                found.append(Tried(spoken, f"{voice} {speed}", spoken in INSIDE, right, heard))
    finally:
        await worker.close()
    return found


def main() -> None:
    """Print the table."""
    found = asyncio.run(tried())
    print(f"done at {SURE}, asked back at {DOUBTFUL}")
    for name, some in (
        ("inside", [one for one in found if one.inside]), ("outside", [one for one in found if not one.inside]),
    ):  # fmt: skip
        counted = Counter((judge(one.heard).name.lower(), one.right) for one in some)
        print(
            name,
            len(some),
            {f"{verdict} {'right' if right else 'wrong'}": n for (verdict, right), n in counted.items()},
        )
    for one in found:
        if not one.right and judge(one.heard).name == "DO":
            print(f"  wrong: {one.voice}: {one.spoken!r} -> {one.heard}")
    for low in range(30, 80, 5):
        at = low / 100
        right = sum(one.inside and one.right and one.heard.confidence >= at for one in found)
        wrong = sum(not one.right and one.heard.confidence >= at and bool(one.heard.text) for one in found)
        print(f"  {at:.2f}: right {right}, wrong {wrong}")


if __name__ == "__main__":
    main()
