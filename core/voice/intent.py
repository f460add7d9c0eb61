"""`understand`: the one door of this room. A sentence goes past the readers in turn, and the first that knows it speaks.

Each reader (one file a field) gives a meaning or None. Where none does, it is chat. A sentence that takes back what it
says, or makes it depend on something, never acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from core.language.words import Phrases, bag, split
from core.voice import (
    approval,
    code,
    fields,
    help,  # noqa: A004
    money,
    own,
    posting,
    remembering,
    schedule,
    skills,
    speech,
    status,
    swarm,
    tasks,
)
from core.voice.commands import READS, typed
from core.voice.frames import MINE, QUESTION, SHOW
from core.voice.meaning import TALK, Intent, Meaning, named
from core.voice.said import Known, Said

if TYPE_CHECKING:
    from collections.abc import Callable

Readers: TypeAlias = "tuple[Callable[[Said], Meaning | None], ...]"

__all__ = ["Intent", "Known", "Meaning", "understand"]

LONGEST = 400
"""A text of more words is prose: it is chat, and no rule looks at it."""
LONGEST_TEXT = 32 * 1024

NEGATION = Phrases(
    "do not, dont, never, no need to, theres no need to, there is no need to, rather not, would rather not",
    "id rather not, dont want you to, do not want you to, dont want to, do not want to, shouldnt, should not",
    "you shouldnt, you should not, you must not, you mustnt, dont you dare, better not, not, please dont",
    "you dont need to, you dont have to, you do not need to, you do not have to, dont need to, dont have to",
    "dont need you to, wouldnt, would not, wont, will not, cant, cannot, mustnt, must not, no reason to",
    "you better not, under no circumstances, dont ever, on no account, refrain from, avoid, id prefer not to",
    "prefer not to, dont bother to, dont even, no dont, i would never, not to, lets not, you cant, no longer want to",
    "youd better not, dont let, it would be wrong to, can you not, could you not, would you not, id rather you didnt",
    "rather you didnt, hold off on, dont bother with, do not bother with, dont bother, no need for",
    "theres no need for, skip, there is no need for, we can skip, lets skip, you can skip, dont go, dont worry about",
    "not now, i wouldnt, i would not, let us not, please never, try not to, you neednt, neednt, dont you",
    "i dont wanna, dont you ever",
)
FEELINGS = bag("hear need like want know care mind love trust think understand remember have see let forget")
TAKEN_BACK = Phrases(
    "no dont, no wait, just kidding, on second thought, on second thoughts, scratch that, nevermind, or maybe not",
    "actually no, actually not, actually dont, no stop, wait no, or not, changed my mind",
)
CONDITIONS = bag("if when once unless until after before suppose imagine")

# In chat, an agent is named where it does something, or where somebody speaks to it or of it.
DOES = bag(
    "made make makes did does is was has had wrote writes says said thinks can should must will told and works",
    "worked finished looks sounds always never drew",
)
TOLD_OF = bag("that what told with by thank thanks love like to from for than when how asked says")
LATER = bag("tomorrow tonight next")


def understand(text: str, known: Known) -> Meaning:
    """What a text means to a hub that knows these names. Never raises; the time grows with the text's length at most."""
    if text.startswith("/"):
        return typed(text)
    words, written = split(text[: LONGEST_TEXT + 1])
    if not words:
        return Meaning(Intent.UNKNOWN, 0.0, {})
    if len(words) > LONGEST or len(text) > LONGEST_TEXT:
        return Meaning(Intent.CHAT, TALK, {})
    return _careful(Said(words, written, known))


def _careful(said: Said) -> Meaning:
    """A meaning that acts only on what is plainly asked for now."""
    meaning = _read(said, READERS)
    acts = meaning.command or meaning.reminder
    if (acts is None and meaning.unsaid is None) or (acts and acts[1:].partition(" ")[0] in READS):
        return meaning
    doubtful = (
        said.first in CONDITIONS or TAKEN_BACK.at(said.words, max(said.end - 2, 0)) or said.words[-1] in {"dont", "not"}
    )
    if doubtful:
        return meaning.idle()
    return meaning._replace(tools=own.tools(said, meaning))


def _last_clause(said: Said) -> Meaning | None:
    """`hope you are well, what's your status`: a question behind whatever leads to it."""
    last = said.starts[-1]
    if last <= said.start or said.asks_first or said.reported:
        return None
    rest = said.without(0, last)
    found = _read(rest, LOOKS) if rest.first in QUESTION or SHOW.at(rest.words, rest.start) else None
    return found if found and found.command else None


def _read(said: Said, readers: Readers) -> Meaning:
    for reader in readers:
        found = reader(said)
        if found:
            return found
    return _chat(said)


def _negated(said: Said) -> Meaning | None:
    """`don't cancel task 7`: about tasks, and nothing is to be done."""
    for start in said.starts:
        for at in dict.fromkeys((start, MINE.at(said.words, start) or start)):
            end = NEGATION.at(said.words, at)
            if end and not (end == at + 1 and FEELINGS.issuperset(said.words[end : end + 1])):
                return _instead(said, end) or _without_acting(said.without(0, end))
    return None


def _instead(said: Said, end: int) -> Meaning | None:
    """`don't spend any more, freeze the wallet`: the last clause, if it says what to do in its own right."""
    last = said.starts[-1]
    if last <= end or said.written[last - 1][-1] not in ",;.!":
        return None
    meaning = _read(said.without(0, last), UNTIMED)
    return meaning if meaning.command else None


def _without_acting(rest: Said) -> Meaning | None:
    meaning = _read(rest, (schedule.read_reminder, _schedule, *UNTIMED))
    if meaning.command == "/voice on":
        return meaning._replace(command="/voice off")
    kept = meaning.intent not in {Intent.CHAT, Intent.HELP}
    return meaning.idle() if kept else None


def _schedule(said: Said) -> Meaning | None:
    return schedule.read(said, lambda rest: _read(rest, UNTIMED))


# In this order, the particular before the general. What stands behind a "don't" or beside a time is read by UNTIMED
# alone: a sentence is never taken apart more than twice.
UNTIMED: Readers = (
    help.read,
    approval.read,
    schedule.read_briefing,
    tasks.read_one,
    posting.read_framed,
    money.read_act,
    swarm.read_act,
    skills.read,
    posting.read_plain,
    tasks.read_vague,
    swarm.read_look,
    money.read_look,
    tasks.read_list,
    code.read,
    speech.read,
    status.read,
    fields.read,
)
LOOKS: Readers = (status.read, swarm.read_look, money.read_look, tasks.read_list, fields.read)  # fmt: skip
READERS: Readers = (
    approval.read_bare,
    remembering.read,
    help.read,
    schedule.read_reminder,
    money.read_stop,
    swarm.read_closed,
    tasks.read_unneeded,
    _negated,
    approval.read,
    _schedule,
    *UNTIMED[2:],
    _last_clause,
)


def _chat(said: Said) -> Meaning:
    """Nothing is wanted of the hub; the names that were dropped are passed on."""
    facts = named(said)
    agent = next((name for name in said.agents if _speaks_of(said, name.start, name.end)), None)
    facts.pop("agent_name", None)
    if agent:
        facts["agent_name"] = agent.value
    if said.when and said.words[said.when[0]] in LATER:
        facts["when"] = said.text(*said.when)
    return schedule.waking(said, Meaning(Intent.CHAT, TALK, facts, moment=schedule.moment_alone(said)))


def _speaks_of(said: Said, start: int, end: int) -> bool:
    after = said.words[end] if end < len(said.words) else ""
    return after in DOES or (start > 0 and said.words[start - 1] in TOLD_OF and (not after or after in DOES))
