"""A sentence, read once: its words, its facts, and the places where a request may begin.

A request begins where the frame words end ("hey timmy, could you please", "I'd like you to"): at the front, and again
behind each comma, "so", "and" or "please". What acts must stand at such a place; a word of that kind anywhere else
("Bob said I should cancel task 7") asks for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from core.voice import facts, times
from core.voice.grammar import FINITE, GRAMMAR
from core.voice.numbers import TENS, UNITS
from core.voice.words import Phrases, bag, join

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from core.voice.facts import Fact

FRAME = Phrases(
    "ugh, whatever you do, no wait, lemme, argh, huh, right then, alrighty, howdy, greetings, gday, eh, listen up",
    "quick one, one thing, one more thing, another thing, by the way, btw, fyi, in that case, all right, sorry",
    "excuse me, pardon me, im new here, im new, i am new here, i am new, im lost, i am lost, im stuck, i am stuck",
    "im confused, if i may, i am confused, when you get a chance, when you have a moment, if you have a moment",
    "if you have time, if you dont mind, if its not too much trouble, be a dear and, be a good bot and, be a pal and",
    "do me a favour, do me a favor, id appreciate it if you could, i would appreciate it if you could",
    "it would be great if you could, it would be lovely if you could, itd be great if you could",
    "it would be nice if you could, it would be good if you could, itd be nice if you could",
    "id be grateful if you could, would you care to, would it be ok to, would it be okay to, is it ok to",
    "is it okay to, i was hoping you could, i was hoping to, hoping you could, its high time to, i think its time to",
    "i think it is time to, it is time to, i suggest you, i suggest we, i propose we, i vote we, lets go ahead and",
    "you might want to, you may want to, you might, we might, might you, could we maybe, can we please",
    "can you please, i thought we could, i think we can, i think you can, i think i should, i suppose we should",
    "i feel we should, i insist you, i order you to, i command you to, i ask you to, i beg you to, im asking you to",
    "i am asking you to, see to it that you, dont forget to, remember to, for the love of god, for gods sake",
    "for heavens sake, honestly, seriously, basically, literally, obviously, first, first of all, second, next",
    "finally, then again, at last, as soon as possible, asap, immediately, right away, straight away, at once, today",
    "i would be happy to, id be happy to, im happy to, i am happy to, i am willing to, im willing to",
    "i am prepared to, im prepared to, i would be willing to, id be willing to, i am ready to, im ready to",
    "im here to, i am here to, i came to, how do you feel about, im trying to, i am trying to, trying to",
    "im looking to, i am looking to, looking to, i intend to, i plan to, i mean to, i meant to, hypothetically",
    "theoretically, just checking, just wondering, im curious, quick question, question, timmy, hey, hi, hello, yo",
    "uh, um, er, erm, hm, hmm, oh, ah, ok, okay, so, well, now, right, alright, please, pls, kindly, and, then, but",
    "just, also, maybe, perhaps, actually, quickly, good morning timmy, good evening timmy, good afternoon timmy",
    "dear, listen, can you, could you, would you, will you, can u, could u, can we, could we, can i, could i, may i",
    "might i, shall we, should we, you can, you could, you may, you should, you need to, you have to, you must",
    "we should, we can, we could, we need to, we want to, i want to, i want you to, i wanna, i need to",
    "i need you to, i would like to, i would like you to, id like to, id like you to, i wish to, i have to",
    "i do want you to, i do want to, we would like to, wed like to, id love to, id love you to, id want you to",
    "i wonder, i was wondering, im wondering, lets, let us, let me, let us just, ill, i will, i shall, i am going to",
    "im going to, im gonna, i think, i guess, i think we should, i think you should, go ahead and, go and",
    "feel free to, make sure to, make sure you, be sure to, be so kind as to, do me a favour and, do me a favor and",
    "would you mind, if you can, if you could, if possible, try to, time to, its time to, for me, hold on, wait",
    "hey there, hi there, hello there, cool, yes, yeah, sure, i decided to, i have decided to, ive decided to",
    "you know what, anyway, buddy, mate, is it possible to, is it possible for you to, would it be possible to",
    "are you able to, i was wondering if you could, emergency, urgent, i was wondering if you can",
    "any chance you could, any chance you can, any chance of, never mind, happy to, happily, lastly, quick",
    "could you maybe, can you maybe, would you be able to, would you be so kind as to, how about we, how about you",
    "why dont you, why dont we, i really want to, i really need to, id really like to, i just want to",
    "i just need to",
)
MINE = Phrases("im, i am, we are, i, we, i do, i hereby, i now, id, my")
"""What may still stand before a verb that does what it says: "I accept task 12", "I'd bid 40"."""

TRAILING = Phrases(
    "please, pls, thanks, thank you, timmy, will you, would you, can you, could you, cheers, ta, if you can",
    "if you could, if possible, if you dont mind, ok, okay, thx, would you kindly, if you would, mate, buddy, yeah",
    "many thanks, thank you very much",
)
WIDTHS = (1, 2, 3, 4)
LINKS = bag("and so then but please because since or timmy")
QUESTION = bag(
    "what whats which who whos whose how hows where wheres when why is are was were did does do has had any anything",
    "whove whatever whichever anyone am isnt arent whatre hasnt havent didnt doesnt",
)
STATED = bag(
    "i he she they we it its my his her their our your people nobody everybody everyone the that this these those",
    "there theres im ive hes shes theyre youre thats id you a an somebody someone",
)
HEADING = 6
SMALL = bag(
    "the my our all a an of on for in by with and please now current recent latest last past list status state",
    "overview report summary number show info details update quick full brief short whole complete so far me us to",
)
REPORTED = Phrases(
    "said, says, told, tells, asked me, asks me, heard, thinks, dreamt, dreamed, reckons, claims, claimed, mentioned",
    "wrote, believes, remember when, used to, yesterday, last week, last year, last month, last night, the other day",
    "ago, wonders, wondered, complained, was, were, had, i thought, thought, promised, wanted me, wanted us",
    "wanted to, wants me, reminds me of, always says, tried to, refused to, hates, loves",
)
CHECKING = Phrases(
    "just checking, checking, just making sure, making sure, i wonder if, i wonder whether, just wanted to know",
    "wanted to know, want to know, just wanted to check, wanted to check, just wanted to see if, wanted to see if",
    "just wanted to make sure, to make sure, just want to know, i want to know, i just want to know",
    "i want to be sure, just curious, curious, just curious if, curious if, i need to know, i need to know if",
    "i was wondering if, i was wondering whether, wondering if, wondering whether, i hope, hope, double checking",
    "just to be sure, im wondering if, im checking, i am checking, i just wanted to know, i just wanted to check",
)
SHOW = Phrases(
    "confirm that, confirm youre, confirm you, confirm whether, confirm if, verify, verify that, verify whether",
    "establish whether, compare, compare the, weigh up, rank, gimme, lemme see, lemme know, lemme have, have i",
    "have i got, have we got, am i, are we, do i, do we, got any, got, checking, checking if, checking that",
    "checking whether, just making sure, making sure, i wonder how, i wonder if, i wonder whether, curious, see how",
    "see what, see who, see which, see if, see whether, ask how, i wonder what, learn, understand, i wonder who",
    "care to tell me, mind telling me, fetch me, grab, grab me, hit me with, i forgot, throw up, lets have, run down",
    "point me to, talk me through, break down, wheres, where is, keen to see, name all, name the, name every, show",
    "show me, list, display, see, view, print, check, check on, tell me, tell us, give me, let me see, pull up",
    "look up, look at, bring up, get me, fetch, read me, read out, let me know, i need, i want, id like",
    "i would like, have a look at, take a look at, do we have, have there, have we, have you, have any, have the",
    "do i have, check up on, look into, open, whats, what is, what are, hows, how is, how are, let me look at",
    "give us, find me, know, hear about, show us, have a peek at, peek at, go over, go through, list out, know about",
    "know more about, hear, find out, report, report on, inspect, update me on, brief me on, fill me in on",
    "id like to know, query, describe, enumerate, count the, count my, count all, how many, overview of, details of",
    "details on, info on, status of, know if, know whether, an update on, update on, a list of, just, only, anything",
    "any, describe to me, run through, remind me of, could i get, get, a look at, state of",
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
            if self._turns(at) or self.words[at] in LINKS or self.written[at][-1] in CLAUSE_ENDS:
                starts.append(self.after_frame(at + 1))
            elif self._spoken_on(at + 1):
                starts.append(at + 1)
        return starts

    def _turns(self, at: int) -> bool:
        """Whether speech turns to the hub behind a word: `my hearing is bad could you talk louder`."""
        turned = self.words[at + 2 : at + 3] == ["you"] and self.words[at + 1] in TURNS and self.words[at] not in JOINS
        return turned and not self.asks_first

    def _spoken_on(self, at: int) -> bool:
        """Whether a request begins where speech has no comma: `I owe bob 300 sats pay him`."""
        verb, what = self.words[at], self.words[at + 1 : at + 2]
        return (
            verb in SPOKEN_ON
            and bool(what)
            and PRONOUNS.issuperset(what)
            and self.words[at - 1] not in BEFORE_VERBS
            and not self.asks_first
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
            end = times.read_when(self.words, at) if word in times.READERS and at not in self.priced else 0
            if end:
                return at, end
        return None


def _trailing(words: Sequence[str]) -> int:
    """The place after the last word that is more than politeness."""
    end = len(words)
    while narrower := next((end - width for width in WIDTHS if TRAILING.at(words, max(end - width, 0)) == end), 0):
        end = narrower
    return end
