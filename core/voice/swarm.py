"""Agents and workers: list them, look at one, spawn, dismiss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.voice.meaning import Intent, mean
from core.voice.numbers import word_at
from core.voice.said import QUESTION
from core.voice.words import Phrases, bag

if TYPE_CHECKING:
    from core.voice.facts import Fact
    from core.voice.meaning import Meaning
    from core.voice.said import Said

SPAWN = Phrases(
    "bring another, bring ... on board, bring a, bring up a, spawn, add, hire, start, launch, fire up, bring in",
    "bring up, bring back, boot, boot up, spin up, deploy, recruit, summon, create, start up, need another",
    "get another, we could do with, could do with, i could use, put another, turn on, switch on, run another",
    "get ... into, bring ... into, put ... into, make another, invite, call in, wake up, set up, get me another",
    "need one more, need a second, employ, enlist, bring ... in, want a second, want another, i want another",
    "i need another, get a second, take on, add in, have another, i want a second, i want one more, start another",
    "need, want, run, give me another, throw in, crank up, stand up, bring ... online, get ... on board",
    "let ... join, have ... join",
)
DISMISS = Phrases(
    "dismiss, remove, fire, kick, kick out, shut down, get rid of, take ... off, take ... out, let ... go, stop",
    "kill, sack, terminate, retire, delete, drop, send ... away, send ... home, lay off, release, turn off",
    "switch off, close down, unload, despawn, take down, discharge, throw ... out, shut ... down, kick ... out",
    "ditch, boot out, shutdown, let go of, turn ... off, switch ... off, lay ... off, disconnect, expel",
    "boot ... out, put ... to sleep, bring down, cut, get ... out, wind down, we can let ... go, throw out",
    "pull ... out, evict, axe, end",
)
STARTS_WHAT = bag("need want run add start launch create set take put get make have deploy turn switch wake give")
ANOTHER = bag(
    "another more second new extra third one instance copy swarm team agent worker roster back up in into online",
    "board running fresh additional",
)
AGENT = bag("agent worker bot agents workers bots")
SWARM = bag("swarm agents workers roster bots crew")
AGENT_LIST = Phrases(
    "every agent, each agent, all the agent, every worker, each worker, agent list, worker list, list of agents",
    "agent roster, agent overview, agent status, worker status",
)
SWARM_HEADING = SWARM | bag("team health agent worker available online busy working how")
AGENT_HEADING = bag("agent worker about what health")
NOT_OURS = Phrases(
    "swarm of, estate agents, travel agents, secret agents, agents of, workers of, free agents, real estate",
    "social workers, swarms of, workers union, agents in, workers in",
)
WHO_WORKS = Phrases(
    "who is working, whos working, who is around, whos around, who is available, whos available, who is free",
    "whos free, who is online, whos online, who is busy, whos busy, who is idle, whos idle, who do we have",
    "who have we got, who is there, whos there, whos on the team, who is on the team, who is awake, whos awake",
    "on the team, who works for me, who works here, who works for us",
)
ASKED_BEFORE = bag(
    "would could should from what is are was has does did can will hows how about of on agent whos who whats with up",
    "to see show check status for more like named called know view inspect describe meet",
)
ASKED_AFTER = bag(
    "does can did and doing do going up working online busy awake idle free ok okay alive getting been good",
    "available able capable here there still now today please right currently at so lately ready offline down well",
    "in even really again agent these for any on alright healthy cost costs charge earning worth have know need want",
    "specialise specialize handle made like work feel running performing managing coping faring holding asleep",
    "finished done best actually known as offer thinking",
)
CLAUSES_BEFORE = bag("is has does did would can could how what whether if was will hows should")
ABOUT_ONE = bag("status info details report state update please")
CLAUSES = bag("how what whether if where")

ONE_OF_THEM = bag("one another more new it someone somebody")
GETS = Phrases(
    "id like, i would like, we would like, i want, give us, give me, get us, get me, put, get, need, want, have",
    "make, bring, use, could use, i need, we need, let there be",
)
MORE = bag("another second third more extra additional fresh")
LONGEST = 12


def read_act(said: Said) -> Meaning | None:
    """Spawn and dismiss; without a name the command is null."""
    if said.reported or said.files:
        return None
    return _spawn(said) or _dismiss(said)


def _spawn(said: Said) -> Meaning | None:
    act = said.act(SPAWN, mine=True)
    if act is None:
        return _one_more(said)
    plain = said.words[act[0]] not in STARTS_WHAT or act[1] > act[0] + 1
    name = next((one for one in said.names if _is_object(said, act, one)), None)
    if name is None or not (plain or _is_more(said, act, name)):
        if said.words[act[0]] == "spawn" and ONE_OF_THEM.issuperset(said.words[act[1] : said.end]):
            return mean(said, Intent.SWARM)
        noun = said.has(AGENT) and not AGENT.isdisjoint(said.words[act[1] : act[1] + 4]) and not said.names
        return mean(said, Intent.SWARM) if noun else None
    return mean(said, Intent.SWARM, f"/spawn {name.value}", agent_name=name.value)


def _one_more(said: Said) -> Meaning | None:
    """`give us a second forge`, `put one more lyra in the swarm`."""
    gets = said.act(GETS, mine=True)
    name = next((one for one in said.names if one.start and said.words[one.start - 1] in MORE), None)
    if gets is None or name is None or name.start > gets[1] + 3:
        return None
    return mean(said, Intent.SWARM, f"/spawn {name.value}", agent_name=name.value)


def _is_object(said: Said, act: tuple[int, int], name: Fact) -> bool:
    """Whether a name is what the verb is about: next to it or inside it, or named before ("a second echo, add it")."""
    near = act[0] <= name.start <= act[1] + 5
    pronoun = word_at(said.words, act[1]) in {"it", "one", "him", "her", "them", "that", "another"}
    return near or (name.start < act[0] and pronoun)


def _is_more(said: Said, act: tuple[int, int], name: Fact) -> bool:
    """`add echo`, `start a new seer agent`, but not `add pixel art to the page`."""
    near = said.words[act[1] : name.start] + said.words[name.end : name.end + 4]
    return name.end >= said.end or not ANOTHER.isdisjoint(near) or not ANOTHER.isdisjoint(said.words[: act[0]])


def _dismiss(said: Said) -> Meaning | None:
    act = said.act(DISMISS)
    if act is None:
        return None
    name = next((one for one in said.agents if _is_object(said, act, one)), None)
    if name:
        return mean(said, Intent.SWARM, f"/dismiss {name.value}")
    near = said.words[act[0] : act[1] + 5]
    return mean(said, Intent.SWARM) if not AGENT.isdisjoint(near) else None


def read_look(said: Said) -> Meaning | None:
    """One agent, or all of them."""
    if said.reported or said.says(NOT_OURS):
        return None
    name = next((one for one in said.agents if _is_asked_about(said, one)), None)
    if name and said.end - said.start <= LONGEST:
        return mean(said, Intent.SWARM, f"/agent {name.value}", agent_name=name.value)
    if ((said.has(SWARM) or said.says(AGENT_LIST)) and (said.asks or said.heads(SWARM_HEADING))) or (
        said.says(WHO_WORKS) and said.asks
    ):
        return mean(said, Intent.SWARM, "/agents")
    return None


def _is_asked_about(said: Said, name: Fact) -> bool:
    if name.start == said.start and ABOUT_ONE.issuperset(said.words[name.end : said.end]):
        return True
    before = said.words[name.start - 1] if name.start else ""
    after = word_at(said.words[: said.end], name.end)
    open_end = (
        not after or after in ASKED_AFTER or after.endswith("ing") or (before in CLAUSES and after in {"is", "has"})
    )
    open_end = open_end or (said.first in QUESTION and before in CLAUSES_BEFORE)
    return (said.asks or said.heads(AGENT_HEADING | said.known.agents)) and before in ASKED_BEFORE and open_end
