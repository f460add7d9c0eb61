"""The hub itself: is it up, is it well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.words import Phrases, bag
from core.voice.grammar import GRAMMAR
from core.voice.meaning import Intent, mean

if TYPE_CHECKING:
    from core.voice.meaning import Meaning
    from core.voice.said import Said

HOW = Phrases(
    "do you feel ok, do you feel okay, do you feel well, do you feel alright, do you feel good, are you feeling ok",
    "are all systems go, all systems go, are all systems a go, can you hear me, do you hear me, do you read me",
    "you hear me, do you copy, hows tricks, hows your morning, hows your evening, whats your condition",
    "hows yourself, how is your morning, how is your evening, hows your night, you with me, you still with me",
    "how are you getting on, how are you holding up, how are you keeping, how are you going, how are you coping",
    "did you crash, are you there, you there, still there, are you still there, you still there, are you still alive",
    "you still around, are you around, are you still around, are you here, anybody there, anyone there",
    "is anybody there, is anyone there, are you still with us, are you still here, are you with us, are you with me",
    "how is the hub, hows the hub, how is timmy, hows timmy, how is the system, hows the system, how is the server",
    "hows the server, how is your day, how are you, how are you doing, how are you feeling, how are things",
    "hows it going, how is it going, how do you feel, how you doing, hows everything, hows things",
    "how are things going, how youre doing, how you are doing, how you are, are you all right, are you ok",
    "are you okay, are you well, how have you been, hows life, how is everything, how r u, how are we doing",
    "how goes it, how you feeling, hows your day, how you been, how did you sleep",
)
CHECK = Phrases(
    "status, status report, status update, status check, system status, health check, self check, self test",
    "selftest, diagnostics, system check, health report, system health, hub status, ping, self-check, self-test",
    "overall health, health of, state of, state is, system report, health status, server status, check yourself",
    "check your health, systems check, selfcheck, heartbeat, a status, the status, your status, your health",
    "hub health, uptime, sanity check",
)
HUB = bag("hub timmy server system you youre yourself bot u your systems everything daemon ya things")
STATES = bag(
    "up down online offline alive awake ok okay alright healthy working running operational ready well fine",
    "available responding reachable live functioning broken asleep crashed dead listening health there problems",
    "trouble wrong issues errors holding crash crashing stable state sick unwell load overloaded functional good",
)
FILLER = bag(
    "order is are the a still you youre timmy hub server system so everything all it or did do does been have has",
    "long again just and kicking properly with over there right now at moment any of having hey today doing alright",
    "buddy me gone go how hows what state crash in on my ok up down online r u your yourself bot whether if",
    "correctly feeling well currently really back yet systems things going everything's that ya mate whats no",
    "problems issues trouble errors wrong anything not this morning evening fully actually by chance responding be",
    "to ever",
)
ABOUT_HUB = bag(
    "report update check please quick short your the a of hub system give me show server for full on do run now",
    "today tell overall what is right get see current whats how timmy an and moment at you with yourself some latest",
    "brief i id wanna could lets have us want need like to about status health",
)

FRIENDLY = bag(
    "today doing feeling timmy holding up now this morning evening buddy mate going getting on tonight then my",
    "friend afternoon old pal so far over there",
)
ENDS = (STATES | bag("now today currently again still yet moment tonight too")) - bag("there good well live sick")
STARTERS = bag("you everything r u")
SHOWN = bag("tell me check see if whether let know show could can look")


def read(said: Said) -> Meaning | None:
    """A question after the hub's own health."""
    if said.reported:
        return None
    asked = HOW.find(said.words, said.start)
    if asked and len(said.words) - asked[1] <= 3 and FRIENDLY.issuperset(said.words[asked[1] : said.end]):  # noqa: PLR2004
        return mean(said, Intent.STATUS, "/status")
    return mean(said, Intent.STATUS, "/status") if _checks(said) or _state(said) else None


def _checks(said: Said) -> bool:
    """`status`, `run a self check`, `what is the overall health of the hub`."""
    found = CHECK.find(said.words, said.start)
    if found is None:
        return False
    rest = said.words[said.start : found[0]] + said.words[found[1] : said.end]
    return ABOUT_HUB.issuperset(rest)


def _fills(wanted: list[str]) -> bool:
    return all(word in FILLER or word in STATES or word in SHOWN or word.endswith("ly") for word in wanted)


def _state(said: Said) -> bool:
    """`are you online`, `is the server up or did it crash again`, `any problems with the hub`."""
    wanted = said.words[said.start : said.end]
    opens = (said.first in STARTERS and "did" not in said.bag) or said.written[-1][-1] == "?"
    asks = said.asks or (opens and len(wanted) <= 4)  # noqa: PLR2004
    return (
        asks
        and wanted[:2] != ["whats", "up"]
        and wanted[-2:] != ["up", "to"]
        and said.has(HUB)
        and said.has(STATES)
        and (_fills(wanted) or (wanted[-1] in ENDS and GRAMMAR.issuperset(said.content - STATES - HUB)))
    )
