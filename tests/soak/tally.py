"""What was said to the hub and what came back, message by message: each has a sign of its own that its answer repeats.

Four signs, for four ways of speaking: `q000017` (the scripted model repeats what it was asked, a file is saved by its name),
`T-9000017` (a task that there is not), `max=10017` (a question back repeats the command that was understood), and the
budget of 10,017 sats that a posted task is answered with. A command without a sign is counted by the hub's rows alone, a voice
note by the words of its answer. What a phone asked may be answered at home, under a line that says so.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from adapters.clockwork import SystemClock

SIGN = re.compile(r"\bq\d{6}\b|\bT-9\d{6}\b|\bmax=\d{5}\b|(?<=budget of )\d\d,\d{3}(?= )")
AGAIN = "(this may be a duplicate) "
HEARD = "\n(You may have heard this already.)"
SIRI = "You asked by Siri: "
"""How an answer begins that a phone was not told."""

DRAFT = " …"
"""How an answer ends that is still being made."""


@dataclass(eq=False)
class Said:
    """Something that a person said or pressed. `update` is its name at its surface; times in Unix ms."""

    surface: str
    place: str
    sign: str
    at: int
    update: str = ""
    text: str = ""
    late: bool = False
    """Whether it may come too late to be heard: a button on Matrix that is gone by then means nothing."""

    home: tuple[str, str] | None = None
    """Of what a phone asks: the surface and the place where else it may be answered."""

    away: bool = False
    """Whether whoever asked hung up, so that the answer is not in a hurry."""

    rest: bool = False
    """Whether the answer said that there is more at home."""

    spoken: tuple[str, ...] = ()
    """Of a voice note: words of each message that it is answered with, in order."""

    answered_at: int = 0
    told: str = ""
    """The answer, as it was seen first."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def took(self) -> float:
        """Milliseconds to the answer."""
        return self.answered_at - self.at

    def answer(self, text: str) -> None:
        """It is answered, as far as anybody sees."""
        self.answered_at, self.told = SystemClock().now(), text.removeprefix(AGAIN)
        self.answered.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for the answer; false if it does not come in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.answered.wait()
        return self.answered.is_set()


@dataclass(frozen=True)
class Shown:
    """A message of the hub as it stands on a surface, with every text that it ever had."""

    surface: str
    place: str
    name: str
    texts: tuple[str, ...]

    @property
    def marked(self) -> bool:
        """Whether it says that it may be a copy."""
        return any(text.startswith(AGAIN) for text in self.texts)

    @property
    def heard(self) -> bool:
        """Whether it says that a phone may have told it."""
        return any(text.endswith(HEARD) for text in self.texts)

    @property
    def by_siri(self) -> bool:
        """Whether it answers a phone."""
        return _by_siri(self.texts[0])

    @property
    def unfinished(self) -> bool:
        """Whether nothing but a piece of an answer ever stood there: a stop came between."""
        return all(text.endswith(DRAFT) for text in self.texts)

    @property
    def signs(self) -> set[str]:
        """What it answers."""
        return {sign for text in self.texts if not text.endswith(DRAFT) for sign in SIGN.findall(text)}


class Tally:
    """Everything that was said, and the first time that each answer was seen."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.misplaced: list[str] = []
        self.seen_at: list[int] = []
        """When answers were seen, Unix ms, in order."""
        self._by_sign: dict[str, Said] = {}
        self._notes: dict[tuple[str, str], list[Said]] = defaultdict(list)
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """A number that no other message has."""
        return next(self._numbers)

    def note(self, surface: str, place: str, sign: str = "") -> Said:
        """Somebody is about to say something."""
        said = Said(surface, place, sign, SystemClock().now())
        self.said.append(said)
        if sign:
            self._by_sign[sign] = said
        return said

    def speak(self, surface: str, place: str, spoken: tuple[str, ...]) -> Said:
        """Somebody is about to send a voice note; `spoken` as in `Said`."""
        said = self.note(surface, place)
        said.spoken = spoken
        self._notes[surface, place].append(said)
        return said

    def take_back(self, said: Said) -> None:
        """It was not said after all."""
        self.said.remove(said)
        self._by_sign.pop(said.sign, None)

    def saw(self, surface: str, place: str, text: str) -> None:
        """A message of the hub came, or was changed."""
        if text.endswith(DRAFT):
            return
        for sign in SIGN.findall(text):
            said = self._by_sign.get(sign)
            if said is None or (said.home == (surface, place) and not _by_siri(text)):
                continue
            if (surface, place) not in {(said.surface, said.place), said.home}:
                self.misplaced.append(f"{sign}, said in {said.place}, answered in {place}")
            elif not said.answered.is_set():
                said.answer(text)
                self.seen_at.append(said.answered_at)
        for note in self._notes[surface, place]:
            if not note.answered.is_set() and note.spoken[-1] in text:
                note.answer(text)
                break

    @property
    def open(self) -> list[Said]:
        """What can be told from the rest, and has no answer yet."""
        return [said for said in self.said if (said.sign or said.spoken) and not said.answered.is_set()]


def counted(said: list[Said], shown: list[Shown]) -> tuple[list[str], list[str], int]:
    """Which messages were not answered, which were answered twice, and how many copies were marked as such."""
    answers: dict[tuple[str, str, str], list[Shown]] = defaultdict(list)
    for message in shown:
        for sign in message.signs:
            answers[message.surface, message.place, sign].append(message)
    lost, doubled, copies = [], [], 0
    for one in said:
        if not one.sign:
            continue
        at_home = [answer for answer in answers[(*one.home, one.sign)] if answer.by_siri] if one.home else []
        found = answers[one.surface, one.place, one.sign] + at_home
        marked = sum(answer.marked for answer in found)
        copies += min(marked, len(found) - 1) if found else 0
        told = len(found) - sum(answer.marked or answer.heard for answer in found)
        what = f"{one.surface} {one.place}: {one.sign} {[answer.texts for answer in found]}"
        if not found or (one.rest and not at_home):
            lost.append(what)
        elif told > 1 + one.rest or (marked and one.surface == "matrix"):  # whose transaction ids show it once
            doubled.append(what)
    return lost, doubled, copies


def misheard(said: list[Said], shown: list[Shown]) -> list[str]:
    """Which voice notes were not heard rightly, or not answered once where they were sent."""
    notes = Counter((one.surface, one.place, words) for one in said for words in one.spoken)
    wrong = []
    for (surface, place, words), count in notes.items():
        here = [one for one in shown if (one.surface, one.place) == (surface, place)]
        found = [one for one in here if any(words in text for text in one.texts)]
        if not len(found) - sum(one.marked for one in found) <= count <= len(found):
            wrong.append(
                f"{surface} {place}: {words!r} {len(found)} times for {count} notes: {[one.texts for one in found]}"
            )
    return wrong


def _by_siri(text: str) -> bool:
    return text.removeprefix(AGAIN).startswith(SIRI)
