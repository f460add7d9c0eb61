"""A sentence, read once: its words, its facts, and the places where a request may begin.

A request begins where the frame words end ("hey timmy, could you please", "I'd like you to"): at the front, and again
behind each comma, "so", "and" or "please". What acts must stand at such a place; a word of that kind anywhere else
("Bob said I should cancel task 7") asks for nothing.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from core.language import moments
from core.language.numbers import TENS, UNITS
from core.language.words import bag, join
from core.voice import facts
from core.voice.frames import CHECKING, FRAME, MINE, QUESTION, REPORTED, SHOW, STATED, TRAILING
from core.voice.grammar import FINITE, GRAMMAR

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from core.language.words import Phrases
    from core.voice.facts import Fact


WIDTHS = (1, 2, 3, 4)
LINKS = bag("and so then but please because since or timmy")
BESIDE: tuple[list[str], ...] = ([], ["and"], ["or"])
HEADING = 6
SMALL = bag(
    "the my our all a an of on for in by with and please now current recent latest last past list status state",
    "overview report summary number show info details update quick full brief short whole complete so far me us to",
)

TURNS = bag("could can would will")
JOINS = bag("if whether what how who where when why which that as than i we nor all everything anything things")
SPOKEN_ON = bag("cancel accept reject award retry pay transfer send spawn dismiss add drop make stop read")
PRONOUNS = bag("it him her them one me reading talking speaking the")
BEFORE_VERBS = bag(
    "to should must can will would i we you they he she did not dont could may might shall never let do does cant",
    "wont doesnt didnt isnt wouldnt couldnt shouldnt havent hasnt who a an the my your his her and or always often",
    "people everybody anyone",
)
COLOUR = bag("actually really still just currently exactly basically simply even maybe already yet also possibly")
CLAUSE_ENDS = ",;:.!?-\u2013\u2014"


class Known(NamedTuple):
    """What the hub knows now: the names of its agents and people, and its task numbers (None: any will do)."""

    agents: frozenset[str] = frozenset()
    people: frozenset[str] | None = frozenset()
    tasks: Container[int] | None = None


T = TypeVar("T")


class found(Generic[T]):  # noqa: N801 - reads as @property does
    """A property that is worked out once. (`functools.cached_property` takes a lock each time, which costs a third here.)"""

    def __init__(self, read: Callable[[Said], T]) -> None:
        self.read, self.name = read, read.__name__
        self.__doc__ = read.__doc__

    def __get__(self, said: Said, owner: type[Said]) -> T:
        value = said.__dict__[self.name] = self.read(said)
        return value


class Said:
    """A sentence and what can be told of it. Facts are found when first asked for."""

    def __init__(self, words: list[str], written: list[str], known: Known) -> None:
        self.known = known
        self.words, self.written = words, written
        self.bag = frozenset(words)
        self.end = _trailing(words)
        self.start = self.after_frame(0)

    @found
    def starts(self) -> list[int]:
        """The places where a request may begin."""
        starts = [self.start]
        for at in range(self.start, self.end - 1):
            if at < starts[-1]:
                continue
            if (
                self.words[at] in LINKS
                or self.written[at][-1] in CLAUSE_ENDS
                or (self.words[at + 1] in TURNS and self._turns(at))
            ):
                starts.append(self.after_frame(at + 1))
            elif self.words[at + 1] in SPOKEN_ON and self._spoken_on(at + 1):
                starts.append(at + 1)
        return starts

    def _turns(self, at: int) -> bool:
        """Whether speech turns to the hub behind a word: `my hearing is bad could you talk louder`."""
        turned = self.words[at + 2 : at + 3] == ["you"] and self.words[at] not in JOINS
        return turned and not self.asks_first

    def _spoken_on(self, at: int) -> bool:
        """Whether a request begins where speech has no comma: `I owe bob 300 sats pay him`."""
        what = self.words[at + 1 : at + 2]
        return (
            bool(what) and PRONOUNS.issuperset(what) and self.words[at - 1] not in BEFORE_VERBS and not self.asks_first
        )

    @found
    def asks_first(self) -> bool:
        """Whether it opens as a question."""
        return self.first in QUESTION

    def after_frame(self, at: int) -> int:
        """The place after the frame words that begin at a word."""
        while (end := FRAME.at(self.words, at)) and end <= self.end:
            at = end
        return at

    def act(self, verbs: Phrases, *, mine: bool = False) -> tuple[int, int] | None:
        """Where the first request begins with one of the verbs; `mine`: also "I accept", which does what it says."""
        if self.bag.isdisjoint(verbs.firsts):
            return None
        for start in self.starts:
            end = verbs.at(self.words, start)
            if end:
                return start, end
            at = MINE.at(self.words, start) if mine else 0
            end = verbs.at(self.words, at) if at else 0
            if end:
                return at, end
        return None

    def acts(self, verbs: Phrases) -> list[tuple[int, int]]:
        """Every place where a request begins with one of the verbs."""
        if self.bag.isdisjoint(verbs.firsts):
            return []
        return [(start, end) for start in self.starts if (end := verbs.at(self.words, start))]

    def has(self, words: frozenset[str]) -> bool:
        """Whether one of some words was said."""
        return not self.bag.isdisjoint(words)

    def says(self, phrases: Phrases) -> bool:
        """Whether one of some phrases was said."""
        return not self.bag.isdisjoint(phrases.firsts) and phrases.find(self.plain) is not None

    @found
    def plain(self) -> list[str]:
        """The words without those that only colour them: `actually`, `still`."""
        return self.words if self.bag.isdisjoint(COLOUR) else [word for word in self.words if word not in COLOUR]

    @found
    def first(self) -> str:
        """The first word of what is wanted."""
        return self.words[self.start] if self.start < self.end else ""

    @found
    def asks(self) -> bool:
        """Whether it is a question, or wants something shown."""
        return (
            self.first in QUESTION
            or CHECKING.at(self.words, 0) > 0
            or any(SHOW.at(self.words, at) for at in self.starts)
        )

    @found
    def content(self) -> frozenset[str]:
        """The words that say what it is about."""
        wanted = frozenset(self.words[self.start : self.end]) - GRAMMAR
        return frozenset(word for word in wanted if not word.isdecimal())

    @found
    def is_heading(self) -> bool:
        """Whether it is no sentence, but the name of a thing: "the last ten payments"."""
        return FINITE.isdisjoint(self.words[self.start : self.end])

    def heads(self, vocabulary: frozenset[str], beside: Fact | None = None) -> bool:
        """Whether it is a heading rather than a sentence: no more than a few small words and words of its field."""
        wanted = self.words[self.start : self.end]
        if beside and beside.start >= self.start:
            wanted = self.words[self.start : beside.start] + self.words[beside.end : self.end]
        return len(wanted) <= HEADING and all(
            word in vocabulary or word in SMALL or word in UNITS or word in TENS or word.isdecimal() for word in wanted
        )

    @found
    def reported(self) -> bool:
        """Whether it tells what somebody said or what once was."""
        return (self.first in STATED or self.first in (self.known.people or ())) and self.says(REPORTED)

    def text(self, start: int, end: int) -> str:
        """A stretch as it was written, without what ends a clause."""
        return join(self.written[start:end])

    def without(self, start: int, end: int) -> Said:
        """The sentence without a stretch of it."""
        return Said(self.words[:start] + self.words[end:], self.written[:start] + self.written[end:], self.known)

    @found
    def names(self) -> list[Fact]:
        """Words that could name agents."""
        return facts.find_names(self.words, self.written, self.known.agents)

    @found
    def agents(self) -> list[Fact]:
        """Words that do name agents."""
        return [name for name in self.names if facts.is_name(self.words, name)]

    @found
    def agent_at(self) -> dict[int, Fact]:
        """The agents by the place where they are named."""
        return {name.start: name for name in self.agents}

    @found
    def together(self) -> frozenset[str]:
        """The agents that are named side by side: `quill and echo`."""
        pairs = (pair for pair in pairwise(self.agents) if self.words[pair[0].end : pair[1].start] in BESIDE)
        return frozenset(name.value for pair in pairs for name in pair)

    @found
    def priced(self) -> frozenset[int]:
        """The places of the words that say an amount."""
        return frozenset(at for one in self.amounts for at in range(one.start, one.end))

    @found
    def people(self) -> list[Fact]:
        """The people named."""
        if self.known.people is None:
            return facts.find_payees(self.words)
        return facts.find_names(self.words, self.written, self.known.people)

    @found
    def tasks(self) -> list[Fact]:
        """The tasks named, as `T-7`."""
        return facts.find_tasks(self.words, self.known.tasks)

    @found
    def amounts(self) -> list[Fact]:
        """The amounts of sats."""
        return facts.find_amounts(self.words)

    @found
    def numbers(self) -> list[Fact]:
        """The other numbers."""
        return facts.find_numbers(self.words, [*self.tasks, *self.amounts])

    @found
    def files(self) -> list[Fact]:
        """The files named."""
        return facts.find_files(self.words, self.written)

    @found
    def when(self) -> tuple[int, int] | None:
        """Where the first time stands."""
        for at, word in enumerate(self.words):
            end = moments.read_when(self.words, at) if moments.begins(word) and at not in self.priced else 0
            if end:
                return at, end
        return None


def _trailing(words: Sequence[str]) -> int:
    """The place after the last word that is more than politeness."""
    end = len(words)
    while end and words[end - 1] in TRAILING.lasts:
        narrower = next((end - width for width in WIDTHS if TRAILING.at(words, max(end - width, 0)) == end), 0)
        if not narrower:
            break
        end = narrower
    return end
