"""The program that hears and encodes: `python -m adapters.speech.child ENGINE MODEL PARENT`, started by `worker.Worker` only.

It binds itself to its limits first, reads requests from standard input one after the other (a line of JSON, then `size` bytes),
and answers each the same way on what was standard output. An engine is loaded at its first request and stays.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Protocol

from adapters.speech import sound
from adapters.speech.limits import confine
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from core.voice.hearing import Heard

MEMORY = {"pocketsphinx": 2 * 2**30, "whisper": 12 * 2**30, "encoder": 2 * 2**30}
"""Address space of the child, bytes."""

WORK = {"pocketsphinx": (3.0, 0.5), "whisper": (15.0, 1.0)}
"""Seconds of the processor that a note may take, in all and for each second of it: noise costs ten times what speech does."""

OPENING = 5.0
"""Seconds of the processor to open a file."""


class Engine(Protocol):
    """What hears."""

    def hear(self, samples: NDArray[np.int16], jsgf: str, words: Iterable[str], sounds: Mapping[str, str]) -> Heard:
        """What is said in these samples."""


def load(name: str, model: str) -> Engine:
    """The engine of this name."""
    if name == "whisper":
        from adapters.speech.whisper import Whisper  # noqa: PLC0415 - each engine is heavy, and one is used

        return Whisper(model)
    from adapters.speech.sphinx import Sphinx  # noqa: PLC0415

    return Sphinx()


def main() -> None:
    """Serve until standard input ends."""
    name, model, parent = sys.argv[1:4]
    confine(MEMORY[name], int(parent))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    engine: Engine | None = None
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        data = sys.stdin.buffer.read(asked["size"])
        body, answer = b"", dict[str, Any]()
        try:
            if asked["op"] == "encode":
                voice = sound.encode(data)
                body, answer = voice.ogg, {"seconds": voice.seconds}
            else:
                _bound(OPENING)
                samples = sound.decode(data)
                _bound(WORK[name][0] + WORK[name][1] * len(samples) / sound.RATE)
                engine = engine or load(name, model)
                heard = engine.hear(samples, asked["jsgf"], asked["words"], asked["sounds"])
                answer = {"text": heard.text, "confidence": heard.confidence}
        except HubError as error:
            answer = {"error": error.code, "facts": error.facts}
        finally:
            _bound(0)
        answers.write(json.dumps(answer | {"size": len(body)}).encode() + b"\n" + body)
        answers.flush()


def _bound(seconds: float) -> None:
    """End this process, by SIGPROF, once it has used the processor for so long from now on; 0: it may go on."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
