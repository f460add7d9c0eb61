"""Later or again: reminders, schedules, and a command with a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.moments import FIXED, Moment, is_repeated, read_moment, read_when
from core.language.times import read_deadline
from core.language.words import Phrases, bag, join, split
from core.voice import own
from core.voice.frames import QUESTION
from core.voice.meaning import Intent, Unsaid, mean
from core.voice.said import Known, Said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from core.voice.meaning import Meaning

REMIND = Phrases(
    "buzz me, jog my memory, tell me to, i must remember, i must not forget, i mustnt forget, help me remember",
    "make me remember, leave me a reminder, drop me a reminder, drop me a note, put me down for a reminder",
    "remind me, nudge me, set a reminder, set up a reminder, make a reminder, create a reminder, add a reminder",
    "reminder, i need a reminder, a reminder, put a reminder, give me a reminder, set me a reminder, alert me",
    "dont let me forget, do not let me forget, put in a reminder, remind us, send me a reminder, give me a nudge",
    "notify me, poke me, schedule a reminder, new reminder, please remind me, a reminder please",
    "make sure i remember, i want a reminder, id like a reminder",
)
REMINDS = bag("buzz memory remind reminder nudge alert forget notify poke remember")
NOT = bag("dont not never didnt wont shouldnt wouldnt cannot cant no stop without")
"""Before what asks for a reminder they say that none is wanted."""
ASKED = bag("who what how why which whose where of when if whether")
OPENS = bag("to about for that")
REMINDING = bag("remind reminder remember forget memory")
"""What says for sure that a reminder is meant, though neither what nor when was said: `notify me` may mean much."""
SOMETIME = OPENS | bag("later soon sometime then someday")
WAKE = Phrases(
    "wake me, wake me up, wake us, wake us up, get me up, get me out of bed, set an alarm, set my alarm, set the alarm",
    "set me an alarm, i need an alarm",
)
EARLY = bag("up early please")
ALARM = bag("alarm")
UP_FOR = EARLY | bag("me us work school breakfast morning the")
"""What an alarm clock is set for, beside a time; `an alarm for the server` is another thing."""
SCHEDULES = bag("schedules scheduled scheduler reminders schedule reminder reminding")
AUTOMATIC = Phrases(
    "got planned, got scheduled, have planned, is planned, are planned, on the calendar, on my calendar",
    "what runs every, what runs each, what happens every, what is set to run, whats set to run, what is due to run",
    "what runs automatically, what will run, what is going to run, whats going to run, running on a timer",
    "set to repeat, runs by itself, run automatically, runs automatically, running automatically, run by themselves",
    "run on a schedule, runs on a schedule, happen automatically, happens automatically, run regularly",
    "coming up on the schedule, is automated, are automated, recurring commands, automatic commands",
    "repeating commands, timed commands, planned commands, is coming up, are coming up, recurring jobs, cron jobs",
)
CANCEL = Phrases(
    "cancel, delete, remove, clear, drop, stop, turn off, get rid of, wipe, erase, forget, kill, unschedule, end",
    "undo, change, move, edit, postpone, reschedule, pause, disable, scrap, call off",
)
PLAN = Phrases(
    "schedule, plan, set up a schedule, set a schedule, make a schedule, create a schedule, add a schedule",
    "put on the schedule, set up, arrange",
)
WITHOUT = ("/at", "/every", "/help", "/schedules", "/task what")
LATER = bag("something it that this anything")
NOW = bag("this today")
EDGES = bag("by before until since from after to the this that my a our")

REPEATED = bag("recurring repeating repeated daily weekly hourly nightly monthly timed automatic regular planned")
TIMED = bag("job jobs task tasks command commands run timer entry check balance status report")
OTHERS = bag("he she they it you that this")
REMIND_ME = Phrases(
    "remind me to, remind me about, remind me on, remind me at, remind me in, remind me every, remind me tomorrow",
)
OURS = bag("schedules scheduled scheduler reminders")
SHOWN = bag("show see list whats check on")
BRIEFING = bag("briefing")
BRIEFING_WITH = BRIEFING | bag("morning evening daily next give need want read hear let have i whats what is")
BRIEF_ME = Phrases("brief me, brief us, catch me up, bring me up to date, get me up to date, get me up to speed")
HEADING = bag("schedules scheduled scheduler reminders schedule reminder commands what whats is")


def read_briefing(said: Said) -> Meaning | None:
    """`brief me`, `give me my morning briefing`: said by itself."""
    if said.reported:
        return None
    named, act = said.has(BRIEFING) and said.heads(BRIEFING_WITH), said.act(BRIEF_ME)
    return mean(said, Intent.SCHEDULE, "/briefing") if named or (act and act[1] >= said.end) else None


def read(said: Said, understand: Callable[[Said], Meaning]) -> Meaning | None:
    """A list of what is scheduled, or a command that has a time."""
    if said.reported:
        return None
    return _schedules(said) or _timed(said, understand)


def read_reminder(said: Said) -> Meaning | None:
    """A reminder of words: no command, but what and when."""
    if said.reported or not said.has(REMINDS):
        return None
    rest = said if said.when is None else said.without(*said.when)
    when = "" if said.when is None else said.text(*said.when)
    act = rest.act(REMIND) or _anywhere(rest)
    if act is None or (act[1] < rest.end and rest.words[act[1]] in ASKED):
        return None
    what = _what(rest, act[1])
    found = mean(said, Intent.SCHEDULE, when=when, task_description=what, actor="", agent_name="")
    if not NOT.isdisjoint(said.words[: act[0]]):
        return found
    if not (when and what):
        return found._replace(unsaid=_unsaid(rest, when, what))
    return found._replace(reminder=_command(when, f"remind me: {what.removeprefix('to ')}"))


def _unsaid(rest: Said, when: str, what: str) -> Unsaid | None:
    """What a reminder lacks that is asked for; None where it may be something else: `remind me of that song`."""
    act = rest.act(REMIND)
    if act is None or rest.asks_first or REMINDING.isdisjoint(rest.words[act[0] : act[1]]):
        return None
    if what:
        start = next(place for place in range(act[1], rest.end) if rest.words[place] in OPENS)
        link = rest.words[start]
        if rest.words[start + 1] in ASKED:
            return None
        asked = f"When shall I remind you {'of' if link == 'for' else link} {what}?"
        return Unsaid(asked, f"remind me tomorrow at 9 {link} {what}")
    if not SOMETIME.issuperset(rest.words[act[1] : rest.end]):
        return None
    if when:
        return Unsaid(f"Of what shall I remind you {when}?", f"remind me {when} to call mum")
    return Unsaid("Of what shall I remind you, and when?", "remind me tomorrow at 9 to call mum")


def moment_alone(said: Said) -> str:
    """`tomorrow at 9`, `on monday please`, `9am`: a time, and nothing that is to be done then; else nothing."""
    if said.when is not None and (rest := said.without(*said.when)).start >= rest.end:
        return said.text(*said.when)
    words = ["at", *said.words[said.start : said.end]]
    return f"at {said.text(said.start, said.end)}" if len(words) > 1 and read_when(words, 0) == len(words) else ""


def completed(before: Iterable[str], time: str, understand: Callable[[str], Meaning]) -> str | None:
    """What was asked for without its time, with one that was said since; None where nothing was, or it has its time.

    `before`: what was said, the newest first. Times between them complete it too: `wake me`, `tomorrow`, `at 7`.
    """
    times = [understand(time).moment]
    for text in before:
        meaning = understand(text)
        if meaning.unsaid is None and not meaning.moment:
            return None
        if meaning.unsaid is None:
            times.append(meaning.moment)
            continue
        while times and understand(text).unsaid is not None:
            text = _with(text, times.pop())  # noqa: PLW2901 - it grows
        return None if times else text
    return None


def _with(asked: str, time: str) -> str:
    """A day that the time names takes the place of one that was said before."""
    first, then = (Said(*split(text), Known()) for text in (asked, time))
    rest, kept = first, ""
    if first.when is not None:
        rest = first.without(*first.when)
        kept = first.text(*first.when) if _names_no_day(then) and _names_no_hour(first) else ""
    waking = rest.act(WAKE)  # `for the game` is no time
    wish = rest.text(0, waking[1] if waking else rest.end)
    return " ".join(filter(None, (wish, kept, time)))


def _names_no_day(said: Said) -> bool:
    moment = said.when and read_moment(said.words, said.when[0])
    return not moment or moment._replace(end=0, hour=None, minute=0, half="", part="") == Moment(0)


def _names_no_hour(said: Said) -> bool:
    moment = said.when and read_moment(said.words, said.when[0])
    return not moment or moment.hour is None


def waking(said: Said, chat: Meaning) -> Meaning:
    """Talk, or a wish to be woken: a reminder, where it says at what time."""
    rest = said if said.when is None else said.without(*said.when)
    act = None if said.reported or said.asks_first else rest.act(WAKE)
    if act is None or not NOT.isdisjoint(said.words[: act[0]]):
        return chat
    more = rest.words[act[1] : rest.end]
    if more[:1] == ["for"] and rest.words[act[1] - 1] in ALARM:
        hours = [word for word in more if word.isdecimal()]
        if not UP_FOR.issuperset({*more[1:]}.difference(hours)):
            return chat
        more = more if hours else []
    elif not EARLY.issuperset(more) and more[0] != "for":
        return chat
    if said.when is None or more[:1] == ["for"]:
        return chat._replace(unsaid=Unsaid("At what time shall I wake you?", "wake me tomorrow at 7"))
    when, moment = said.text(*said.when), read_moment(said.words, said.when[0])
    if moment is not None and moment.hour is None and moment.delay is None and moment.part not in FIXED:
        return chat._replace(unsaid=Unsaid(f"At what time {when} shall I wake you?", f"wake me {when} at 7"))
    return chat._replace(reminder=_command(when, "remind me: wake up"))


def _anywhere(said: Said) -> tuple[int, int] | None:
    """`the dentist, remind me`: a reminder that is asked for behind what it is about."""
    found = None if said.first in OTHERS else REMIND_ME.find(said.words)
    return found and (found[0], found[0] + 2)


def _what(said: Said, at: int) -> str:
    """What the reminder is of: the words after "to" or "about", up to the next clause that only says when."""
    start = next((place + 1 for place in range(at, min(at + 3, said.end)) if said.words[place] in OPENS), 0)
    if not start:
        return ""
    end = next(
        (place for place in range(start, said.end) if said.words[place : place + 2] == ["remind", "me"]), said.end
    )
    return join(said.written[start:end])


def _schedules(said: Said) -> Meaning | None:
    asked = said.asks or said.heads(HEADING)
    if said.says(AUTOMATIC) and asked:
        return mean(said, Intent.SCHEDULE, "/schedules")
    if said.first == "unschedule" or (said.act(CANCEL) and said.has(REPEATED) and said.has(TIMED)):
        return mean(said, Intent.SCHEDULE)
    if not said.has(SCHEDULES):
        return None
    if said.act(CANCEL):
        return mean(said, Intent.SCHEDULE)
    owned = said.has(OURS) or said.heads(HEADING) or (said.has(SHOWN) and "my" in said.bag)
    listed = asked and owned
    return mean(said, Intent.SCHEDULE, "/schedules") if listed and not said.act(PLAN) else None


def _timed(said: Said, understand: Callable[[Said], Meaning]) -> Meaning | None:
    if said.when is None or said.words[slice(*said.when)] == ["today"]:
        return _unplanned(said)
    start = said.when[0]
    of_now = said.first in QUESTION and said.words[start] in NOW
    return None if of_now or (start and said.words[start - 1] in EDGES) else _with_time(said, understand)


def _with_time(said: Said, understand: Callable[[Said], Meaning]) -> Meaning | None:
    start, end = said.when or (0, 0)
    when = said.text(start, end)
    rest = said.without(start, end)
    if not rest.words:
        return None
    planned = rest.act(PLAN)
    rest = rest.without(0, planned[1]) if planned and planned[0] == rest.start else rest
    inner = understand(rest)
    if inner.command == "/limits" and said.first in QUESTION:
        return None
    if inner.command is None or inner.command.startswith(WITHOUT):
        vague = bool(planned) and not LATER.isdisjoint(rest.words)
        return mean(said, Intent.SCHEDULE, when=when) if vague or _lacks_something(inner) else None
    at_edge = start <= said.start or end >= said.end
    if inner.command.startswith("/task ") and (not at_edge or (not planned and _is_deadline(said, start, end))):
        return None
    entities = {**inner.entities, "when": when}
    asks = own.tools(rest, inner)  # nobody is paid at each time for what costs nothing now
    what = inner.command.replace("/task ", "/ask ", 1) if asks else inner.command
    return inner._replace(intent=Intent.SCHEDULE, entities=entities, command=_command(when, what))


def _is_deadline(said: Said, start: int, end: int) -> bool:
    """`chart sample.csv in ten minutes`: behind the work, how long it may take."""
    found = read_deadline(said.words, start) if start > said.start else None
    return found is not None and found.end == end


def _lacks_something(inner: Meaning) -> bool:
    return inner.intent in {Intent.MONEY, Intent.TASK, Intent.SWARM, Intent.VOICE} and not inner.entities.get(
        "target_file"
    )


def _unplanned(said: Said) -> Meaning | None:
    """`schedule something`: what, and when?"""
    act = said.act(PLAN)
    rest = said.words[act[1] : said.end] if act else []
    vague = act and (not LATER.isdisjoint(rest[:1]) or (not rest and "schedule" in said.words[act[0] : act[1]]))
    return mean(said, Intent.SCHEDULE) if vague else None


def _command(when: str, command: str) -> str:
    """`/every` or `/at`, WHEN without the word that the command says itself ("every morning at eight" -> morning ...)."""
    words = when.split()
    if not is_repeated([word.lower() for word in words]):
        return f"/at {' '.join(words[words[0].lower() == 'at' :])} {command}"
    turn = next((at for at, word in enumerate(words) if word.lower() in {"every", "each"}), 0)
    words = words[turn:] + words[:turn]
    return f"/every {' '.join(words[words[0].lower() in {'every', 'each'} :])} {command}"
