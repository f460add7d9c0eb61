"""Work for the swarm: from "have somebody summarise notes.md for at most 50 sats" to `/task summarise notes.md max=50`.

A request is a task when it talks of tasks or of somebody to do it, names an agent, a file of the workspace or a price.
The frame words come off layer by layer, then the clauses on price, time and agent; what is left is the description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core.language.numbers import word_at
from core.language.times import read_deadline
from core.language.words import Phrases, bag, join
from core.voice import clauses, facts
from core.voice.frames import QUESTION, STATED
from core.voice.meaning import Intent, mean
from core.voice.said import CLAUSE_ENDS
from core.voice.work import AFTER_NOUN, CAUSE, DELEGATE, MORE_VERBS, SHOULD, SOMEBODY, TO, VERBS, WANT, WHERE

if TYPE_CHECKING:
    from core.voice.facts import Fact
    from core.voice.meaning import Meaning
    from core.voice.said import Said

NOUN = bag("task job bounty gig assignment")
CREATE = bag(
    "create make add post put open new give want need start set submit file place publish announce queue got have",
    "list up offer raise log",
)
CREATE_MORE = bag(
    "theres heres assign hand delegate allot send pass launch another issue register advertise kick id like post",
)
BEFORE_NOUN = bag(
    "a an the another one new up out for me us agents workers swarm i we to want would like off please small quick",
    "little some this got",
)

BARE = bag("have let make id like see if whether")
"""`have quill write` needs no "to"; `ask quill` does."""
WHETHER = bag("whether if what why how when where who which")
NOT_WORK = bag(
    "hear feel believe imagine relate is are was were has be have know get you go help i he she they we not never",
    "think see win take",
)
AUXILIARY = bag("can could would will should might may does")
DO_IT = frozenset(
    {"", "it", "that", "this", "them", "so", "do it", "do that", "do this", "now", "right now", "instead", "for me"}
)

OFFERS = bag("spend offer offering")
PAYS = bag("offering paying pay give offer spend")
FIRST_PERSON = bag("im id ill i we wed")
NOWHERE = bag("on at in from with near because since")
COMPOUND = bag(
    "force forces application applications interview interviews offer offers market title titles description hunt",
    "hunting search seeker seekers fair centre center security satisfaction manager bar master rabbit",
)
MAKES = CREATE - bag("got have want need give get find")
CREATES = CREATE | CREATE_MORE
BEFORE_ANY = CREATES | BEFORE_NOUN
HEADED = bag("post task job new bounty todo wanted request gig assignment work")
POST_THIS = Phrases(
    "post this, post the following, put this up, put this out, give this to the swarm, publish this",
    "give the swarm this, for the swarm",
)
THAT = bag("it that this so them him her me us")
OPEN = bag("on to for with over about from of at by")
MODALS = bag("can could would should might may let have make must needs need has ought shall is will get gets")
FEELS = bag("make may might")
AWAY = OPEN | bag("over round around back some a an the")
POLITELY = bag("kindly please quickly just maybe double triple quick")
MADE = ("ise", "ize", "ises", "izes", "ify", "ifies", "ate", "ates", "ing", "en", "ens")
WORKERS = bag("agent agents worker workers swarm bot bots crew team")
GOING = (["over"], ["through"], ["find"], ["fetch"], ["get"])
JOINS = bag("and or")
ABLE = bag("able willing free up available around good ready")
NO_DOING = bag("being having everything nothing something anything morning evening wedding")
NO_WORK = bag("is are was were has be you i know go")


class Frame(NamedTuple):
    """Where a description begins once its frame words are off, and the agent that they name."""

    start: int
    agent: str = ""


def read_framed(said: Said) -> Meaning | None:
    """Work that is given out in so many words: a new task, somebody or an agent to do it."""
    frame = _unframe(said)
    if frame.start == said.start or said.reported:
        return None
    return post(said, frame)


def read_plain(said: Said) -> Meaning | None:
    """A request that names a file of the workspace or a price, whoever does it."""
    data = any(not facts.is_source(file) for file in said.files)
    price = bool(said.amounts) and clauses.price(said, 0) is not None
    wanted = WANT.at(said.words, said.start) or WANT.at(said.words, 0)
    asked = said.first in QUESTION or said.first not in STATED
    from_agent = (
        bool(wanted) and said.agents and said.agents[-1].end == said.end and said.words[said.end - 2] in {"from", "by"}
    )
    if (
        not (data or price or from_agent)
        or said.reported
        or not (wanted or (asked and (data or said.first not in QUESTION)))
    ):
        return None
    return post(said, Frame(wanted or said.start))


def _unframe(said: Said) -> Frame:
    """Every layer of frame words taken off: "create a task: somebody has to write ..."."""
    at, agent = said.start, ""
    after_price, named = _leading_price(said)
    hurry = read_deadline(said.words, at) if said.first in {"within", "in"} else None
    at = hurry.end if hurry and _layer(said, hurry.end) is not None else at
    if after_price and (named or _offers(said) or _layer(said, after_price) is not None):
        at = after_price
    while (found := _layer(said, at)) is not None:
        at, agent = found.start, found.agent or agent
    return Frame(at, agent)


def _offers(said: Said) -> bool:
    """`offer 100 sats for a haiku`, `I'd pay 90 sats for a painting`: a price that somebody else shall earn."""
    before = said.words[: said.amounts[0].start]
    return said.first in OFFERS or (not FIRST_PERSON.isdisjoint(before) and not PAYS.isdisjoint(before))


def _leading_price(said: Said) -> tuple[int, bool]:
    """`for 75 sats have anyone ...`: the place after the price in front, and whether whoever does the work is named."""
    clause = clauses.price(said, said.start) if said.amounts else None
    if clause is None and said.start in said.priced:
        clause = (said.start, said.amounts[0].end)
    if clause is None or clause[0] > said.start:
        return 0, False
    end = clause[1]
    end += said.words[end : end + 1] in (["to"], ["for"], ["on"])
    who = _who(said, end)
    if (
        who
        and said.words[who.start : who.start + 1] in (["who"], ["that"])
        and word_at(said.words, who.start + 1) not in AUXILIARY
    ):
        return who.start + 1, True
    return said.after_frame(end), False


def _layer(said: Said, at: int) -> Frame | None:
    at = said.after_frame(at)
    return (
        _new_task(said, at)
        or _delegates(said, at)
        or _rewards(said, at)
        or _causes(said, at)
        or _should(said, at)
        or _addressed(said, at)
    )


def _new_task(said: Said, at: int) -> Frame | None:
    """`create a task to ...`, `give the agents a task: ...`, `new job for ...`."""
    place, makes, agent = at, False, ""
    while place < said.end and (said.words[place] in BEFORE_ANY or _is_price(said, place) or _agent_at(said, place)):
        makes = makes or said.words[place] in CREATES
        name = _agent_at(said, place)
        agent, place = (name.value, name.end) if name else (agent, place + 1)
    if place >= said.end or said.words[place] not in NOUN:
        return _post_this(said, at)
    titled = (
        (said.words[place + 1 : place + 2] in (["for"], ["of"]) and bool(said.amounts))
        or said.written[place][-1] in ":,-"
        or said.words[place + 1 : place + 2] == ["to"]
        or _is_for_somebody(said, place + 1)
    )
    if not makes and not (titled and (place == at or said.words[at] in {"a", "an", "another", "one", "new"})):
        return None
    if word_at(said.words, place + 1) in COMPOUND and said.written[place][-1] not in CLAUSE_ENDS:
        return None
    found = _after_noun(said, place + 1, agent)
    if word_at(said.words, found.start) in NOWHERE and not (said.files or said.amounts):
        return None
    loose = found.start == place + 1 and makes and said.written[place][-1] not in CLAUSE_ENDS
    if loose and not _makes_new(said, at, place) and word_at(said.words, place + 1) not in VERBS:
        return None
    return found


def _makes_new(said: Said, at: int, end: int) -> bool:
    """Whether a verb that makes tasks is said, not only one that has them: `I got a job offer`."""
    return not MAKES.isdisjoint(said.words[at:end]) or (end + 1 >= said.end and said.words[end] == "task")


def _is_for_somebody(said: Said, at: int) -> bool:
    return said.words[at : at + 1] == ["for"] and _who(said, at + 1) is not None


def _post_this(said: Said, at: int) -> Frame | None:
    if at < said.end and said.words[at] in HEADED and said.written[at][-1] == ":":
        return _after_noun(said, at + 1)
    end = POST_THIS.at(said.words, at)
    return _after_noun(said, end) if end else None


def _after_noun(said: Said, at: int, agent: str = "") -> Frame:
    """The place after what links a new task to its description, and the agent named there (`a task for quill to ...`)."""
    while at < said.end:
        name = _agent_at(said, at + 1) if said.words[at] in {"for", "to"} else None
        price = _is_price(said, at)
        end = name.end if name else at + 1 if price else AFTER_NOUN.at(said.words, at)
        if not end or (end > at + 1 and said.words[end - 1] in WHETHER):
            break
        agent = name.value if name else agent
        at = end
        if said.words[at - 1] in {"to", "called", "named"} and not name:
            break
    return Frame(at, agent)


def _delegates(said: Said, at: int) -> Frame | None:
    """`delegate checking the logs to helm`, `outsource the translation of menu.txt to the swarm`."""
    end = DELEGATE.at(said.words, at)
    whom = clauses.delegated(said, end) if end else None
    return Frame(end, whom[0]) if whom else None


def _rewards(said: Said, at: int) -> Frame | None:
    """`give quill 100 sats to outline notes.md`: an agent, what it gets, and what for."""
    who = _who(said, at + 1) if word_at(said.words, at) in PAYS else None
    price = next((one for one in said.amounts if who and one.start == who.start), None)
    if who is None or price is None:
        return None
    link, verb = word_at(said.words, price.end), word_at(said.words, price.end + 1)
    works = verb not in NO_WORK if link == "to" else link == "for" and verb.endswith("ing") and verb not in NO_DOING
    return Frame(price.end + 1, who.agent) if works and price.end + 1 < said.end else None


def _causes(said: Said, at: int) -> Frame | None:
    """`have quill ...`, `get somebody to ...`, `can somebody ...`, `ask seer whether ...`."""
    who_at = CAUSE.at(said.words, at)
    auxiliary = said.words[at] in AUXILIARY if at < said.end else False
    who_at = at + 1 if auxiliary else who_at
    who = _who(said, who_at) if who_at else None
    if who is None or who.start >= said.end:
        return None
    price = next((one.end for one in said.amounts if one.start == who.start), who.start)
    end = TO.at(said.words, price)
    if not end:
        bare = (
            auxiliary
            or not BARE.isdisjoint(said.words[at:who_at])
            or said.written[who.start - 1][-1] in ":,"
            or (said.words[who.start] in WHETHER and (bool(who.agent) or said.words[who.start] not in {"who", "which"}))
        )
        end = who.start if bare else 0
    works = 0 < end < said.end and said.words[end] not in (NOT_WORK if auxiliary or end == who.start else NO_WORK)
    works = works or (word_at(said.words, end) == "go" and said.words[end + 1 : end + 2] in GOING)
    if said.words[at:who_at] == ["is"]:
        works = works and said.words[who.start] in ABLE
    works = works and not _is_idle_talk(said, who, end, said.words[at] if auxiliary or end == who.start else "")
    return Frame(end, who.agent) if works else None


def _should(said: Said, at: int) -> Frame | None:
    """`mace should ...`, `somebody has to ...`, `reel, could you ...`."""
    who = _who(said, at)
    if who is None:
        return None
    end = SHOULD.at(said.words, who.start) or (who.start if said.words[at] == "whoever" else 0)
    works = (
        0 < end < said.end
        and said.words[end] not in NOT_WORK
        and not _is_idle_talk(said, who, end, said.words[who.start])
    )
    return Frame(end, who.agent) if works else None


def _is_idle_talk(said: Said, who: Frame, at: int, modal: str) -> bool:
    """`someone should invent that`, `somebody to lean on`, `make pixel happy`: nobody is given work in so many words."""
    if said.files or said.amounts:
        return False
    if not who.agent and _leads_nowhere(said, at):
        return True
    if modal == "have" and who.agent:
        return said.words[at] in AWAY
    return modal in (FEELS if who.agent else MODALS) and not _is_work(said.words[at])


def _leads_nowhere(said: Said, at: int) -> bool:
    """`to love`, `invent that`, `lean on`, `arrest him`: one word, or a pronoun or a preposition that ends it."""
    last = said.words[said.end - 1]
    return said.end - at == 1 or last in OPEN or (last in THAT and said.end - at == 2)  # noqa: PLR2004


def _is_work(word: str) -> bool:
    """Whether a verb is of work that agents do: a known one, or one made as they are (`summarise`, `recount`)."""
    return (
        word in VERBS
        or word in MORE_VERBS
        or word in POLITELY
        or word.endswith(MADE)
        or word.removeprefix("re") in VERBS
        or "-" in word
    )


def _addressed(said: Said, at: int) -> Frame | None:
    """`quill, write me a poem`, and the same as a recogniser of speech writes it."""
    name = _agent_at(said, at)
    if name is None or name.end >= said.end:
        return None
    called = said.written[name.end - 1][-1] in ",:" and said.words[name.end] not in NOT_WORK | {"please"} | QUESTION
    return Frame(name.end, name.value) if called or said.words[name.end] in VERBS else None


def _who(said: Said, at: int) -> Frame | None:
    name = _agent_at(said, at)
    if name:
        return Frame(name.end, name.value)
    end = SOMEBODY.at(said.words, at)
    return Frame(WHERE.at(said.words, end) or end) if end else None


def _agent_at(said: Said, at: int) -> Fact | None:
    at += said.words[at : at + 1] == ["agent"]
    name = said.agent_at.get(at)
    if name is None or said.words[at] == f"{name.value}s":
        return None
    end = name.end
    while name.value in said.together and (more := said.agent_at.get(end + (word_at(said.words, end) in JOINS))):
        end = more.end
    return name._replace(end=end)


def _is_price(said: Said, at: int) -> bool:
    return at in said.priced


def post(said: Said, frame: Frame) -> Meaning | None:
    """The command: the description without its clauses, then max=, by=, to= and pick=."""
    picks = clauses.picking(said, frame.start)
    said = said.without(picks, len(said.words)) if picks else said
    agent, taken = clauses.handed_over(said, frame.start)
    several = (agent or frame.agent) in said.together or (agent and frame.agent not in {"", agent})
    if several:  # `to=` takes one agent, so they stay in the text and anybody may bid
        frame, agent, taken = Frame(said.start), "", set()
    price, until = clauses.price(said, frame.start), clauses.deadline(said, frame.start)
    whom = (
        clauses.delegated(said, frame.start)
        if said.words[frame.start - 1] in clauses.DELEGATED | {"of", "off", "out", "on", "over"}
        else None
    )
    if whom:
        taken |= {*range(whom[1], said.end)}
    for start, end in filter(None, (price, until and (until[0], until[1].end))):
        taken |= {*range(start, end)}
    what = join(_without_politeness([said.written[at] for at in range(frame.start, said.end) if at not in taken]))
    budget = clauses.price_said(said) if price else ""
    if what.lower() in DO_IT:
        return mean(said, Intent.TASK, amount_sats=budget)
    options = {
        "max": budget,
        "by": str(until[1]) if until else "",
        "to": agent or frame.agent,
        "pick": "ask" if picks else "",
    }
    command = " ".join([f"/task {what}", *(f"{key}={value}" for key, value in options.items() if value)])
    when = said.text(until[0], until[1].end) if until else ""
    named = "" if several or not said.agents else said.agents[0].value
    return mean(said, Intent.TASK, command, task_description=what, when=when, amount_sats=budget, agent_name=named)


def _without_politeness(written: list[str]) -> list[str]:
    while written and written[-1].lower().strip(".,!?") in {"please", "thanks", "and", "pls"}:
        written = written[:-1]
    return written
