"""Agents and workers: list them, look at one, spawn, dismiss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.numbers import word_at
from core.language.words import Phrases, bag
from core.voice import fields
from core.voice.frames import QUESTION
from core.voice.grammar import GRAMMAR
from core.voice.meaning import Intent, mean
from core.voice.said import CLAUSE_ENDS

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
    "shut off, power down, shut ... off, turn ... away, show ... the door, give ... the boot, take ... offline",
    "put ... out, put ... down, send off, do away with, unhire, log ... off, kill off, oust, eject, banish, dismiss",
    "remove, fire, kick, kick out, shut down, get rid of, take ... off, take ... out, let ... go, stop, kill, sack",
    "terminate, retire, delete, drop, send ... away, send ... home, lay off, release, turn off, switch off",
    "close down, unload, despawn, take down, discharge, throw ... out, shut ... down, kick ... out, ditch, boot out",
    "shutdown, let go of, turn ... off, switch ... off, lay ... off, disconnect, expel, boot ... out",
    "put ... to sleep, bring down, cut, get ... out, wind down, we can let ... go, throw out, pull ... out, evict",
    "axe, end",
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
    "on duty, who is up, whos up, who can work, who could work, who can i hire, who is at work, whos at work",
    "who is on, who else is there, who all is there, who is in the team, whos in the team, whos around",
    "who is present, who is active, whos active, who is part of the team, who is working, whos working",
    "who is around, who is available, whos available, who is free, whos free, who is online, whos online",
    "who is busy, whos busy, who is idle, whos idle, who do we have, who have we got, who is there, whos there",
    "whos on the team, who is on the team, who is awake, whos awake, on the team, who works for me, who works here",
    "who works for us",
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

NOT = bag("dont not never no cant wont without stop")
GOES = bag(
    "wont needing using isnt gone out dont doesnt arent turn unemployed fired sacked kicked aint want wants anymore",
    "has had been was lay laid dismiss needed need longer done finished through rid remove fire home leave leaves go",
    "goes let goodbye bye away dismissed removed retired retire relieved relieve duty service services required use",
    "swarm team agent worker off him her it enough sent send pack packing rest quit part ways stopped released free",
    "around keep no more any day night",
)
LEAVING = bag(
    "gone fired sacked kicked go leave longer anymore any rid done finished home goodbye bye needed dismissed",
    "removed retire retired away packing rest off",
)
GONE = Phrases(
    "wont be needing, wont need, no longer needs, tell ... to go, tell ... to leave, ask ... to leave, ask ... to go",
    "tell ... to stop working, tell ... to quit, isnt needed, is not needed, is gone, want ... gone, want ... out",
    "want ... removed, want ... dismissed, want ... fired, like ... gone, like ... removed, like ... dismissed",
    "like ... out, need ... gone, is no longer required, isnt required, is unneeded, doesnt need to stay",
    "is finished, has finished, is out, is fired, are fired, youre fired, you are fired, you can go, is sacked",
    "can be let go, can be fired, can go, may go, should go, must go, needs to go, has to go, can leave, may leave",
    "should leave, no longer need, let him go, let her go, let it go, let them go, no longer needed",
    "is no longer needed, not needed anymore, not needed any more, dont need ... anymore, dont need ... any more",
    "dont need ... any longer, do not need ... anymore, do not need ... any more, isnt needed anymore",
    "isnt needed any more, is not needed anymore, is not needed any more, say goodbye to, wave goodbye to, done with",
    "finished with, through with, is done here, send ... home, send ... packing, send ... away, no more need for",
    "no more use for, no further need for, have no use for, can be dismissed, can be removed, should be dismissed",
    "may rest, should be removed, is dismissed, is relieved, can be retired, needs to leave, had enough of",
    "part ways with, can take the day off, can take the night off, can have the day off, can stop now, can quit",
    "can go home, is to be dismissed, has to leave, must leave, is to go, is to leave, be gone, be dismissed",
    "be removed, be retired, be let go, to be let go",
)
COMES = bag(
    "replicate part set recruit recruited enlist employ employed summon summoned invite invited call called rent",
    "rental online running board swarm team roster back another instance copy second new extra additional more agent",
    "worker crew join joined going started start awake life live ready available active duty work needed up in on",
    "fresh third one into spun spin fire fired bring brought needs need help helping fleet joins hired hire spawned",
    "spawn launched launch added add booted should hiring deploy deployed deployment service lineup instances copies",
    "duplicate clone cloned",
)
COME = Phrases(
    "clone, duplicate, copy, replicate, deploy, put ... to work, set ... to work, put ... on duty, bring ... aboard",
    "get ... aboard, want ... back, call ... in, sign ... up, get ... online, get ... running",
    "get ... up and running, get ... going, get ... started, get ... back, get ... on the team, get ... on board",
    "get ... in the swarm, get ... into the swarm, get ... on the job, have ... back, bring ... back",
    "bring ... online, bring ... in, bring ... on, bring ... up, bring ... to life, bring ... into",
    "put ... on the team, put ... in the swarm, put ... on the roster, put ... online, make ... join, should join",
    "to join, can join, needs to join, must join, join us, is needed in the swarm, is needed on the team, one more",
    "another, a second, a third, an extra, an additional, a new instance, a new copy, a fresh, an instance, a copy",
    "second copy, second instance, make ... available, hiring, hired, spawned, launched, added to, started up",
    "spun up, fired up, get ... up, spin ... up, fire ... up, start ... up, boot ... up, let ... in, let ... join",
    "have ... join, have ... on the team, a clone, a duplicate, wake ... up, spin me up, fire me up, spawn me",
    "add me, hire me, get me, bring me, find me, need ... on the team, need ... in the swarm, want ... on the team",
    "want ... in the swarm, like ... on the team, like ... in the swarm, need ... online, want ... online",
    "like ... online, need ... back, like ... back",
)
OF_ONE_HEAD = bag(
    "status state health agent worker bot capabilities skills profile card record reputation stats performance rates",
    "rate",
)
OF_ONE = bag(
    "anything anybody anyone everything nothing something seen friend pal hey free see meet learn learned skilled",
    "strong weak status state health agent worker bot persona doing working running busy idle available online",
    "offline active inactive charge charges cost costs rate rates price prices ask good specialise specialize",
    "speciality specialty skills skill abilities ability capable capabilities capability profile card bio record",
    "reputation score lowdown news new around alive awake asleep holding coping faring getting well healthy fine",
    "ready job work kind sort thing things role performing performance up down stuck ok broken swarm team still best",
    "specialism occupied task tasks jobs hows currently engaged unoccupied summary stats statistics talents",
    "strengths expertise background going happening earn earned earns fee fees handle handles know knows story deal",
    "alright okay help useful meant made used lately lineup part member supposed responding reachable connected",
    "moment taken spare time able field business",
)
BETWEEN = bag(
    "a an the another more second third one new extra our agent worker bot instance of copy back up me us in online",
    "my some additional fresh two persona number to have get see running it called named",
)
ONLY_OURS = bag("spawn dismiss despawn")
REASONS = bag("because since so as to for before after when until")
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


def read_closed(said: Said) -> Meaning | None:
    """`get quill online`, `we don't need lyra any more, let her go`: one agent, and no word but of coming and going."""
    if (
        said.reported
        or len(said.names) != 1
        or (said.asks_first and said.words[said.start : said.start + 2] not in (["how", "about"], ["what", "about"]))
        or said.end - said.start > LONGEST
    ):
        return None
    name = said.names[0].value
    rest = said.content - said.known.agents - {name, f"{name}s"}
    if rest <= GOES and said.agents and not said.bag.isdisjoint(LEAVING) and (said.says(GONE)):
        return mean(said, Intent.SWARM, f"/dismiss {name}")
    if rest <= COMES and said.says(COME) and not said.has(NOT):
        return mean(said, Intent.SWARM, f"/spawn {name}")
    return None


def _about_one(said: Said) -> bool:
    """`describe the seer agent to me`: a question of which every other word is of agents."""
    if len(said.agents) != 1 or said.end - said.start > LONGEST:
        return False
    name = said.agents[0]
    rest = said.content - {said.words[name.start], name.value}
    asked = (
        name.start == said.start
        and said.words[name.end : name.end + 1]
        and said.words[name.end] in QUESTION
        and "you" in said.bag
    )
    if asked:
        return rest <= OF_ONE
    return rest <= OF_ONE and (said.asks or (said.is_heading and not rest.isdisjoint(OF_ONE_HEAD)))


def _spawn(said: Said) -> Meaning | None:
    act = said.act(SPAWN, mine=True)
    if act is None:
        return _one_more(said)
    plain = said.words[act[0]] not in STARTS_WHAT or act[1] > act[0] + 1
    name = next((one for one in said.names if _is_object(said, act, one)), None)
    if name and _goes_on(said, act, name):
        return None
    if name is None or not (plain or _is_more(said, act, name)):
        if said.words[act[0]] == "spawn" and ONE_OF_THEM.issuperset(said.words[act[1] : said.end]):
            return mean(said, Intent.SWARM)
        noun = (
            said.has(AGENT)
            and not fields.is_foreign(said.without(*act), Intent.SWARM)
            and not AGENT.isdisjoint(said.words[act[1] : act[1] + 4])
            and not said.names
        )
        return mean(said, Intent.SWARM) if noun else None
    return mean(said, Intent.SWARM, f"/spawn {name.value}", agent_name=name.value)


def _one_more(said: Said) -> Meaning | None:
    """`give us a second forge`, `put one more lyra in the swarm`."""
    gets = said.act(GETS, mine=True)
    name = next((one for one in said.names if one.start and said.words[one.start - 1] in MORE), None)
    if gets is None or name is None or name.start > gets[1] + 3:
        return None
    return mean(said, Intent.SWARM, f"/spawn {name.value}", agent_name=name.value)


def _goes_on(said: Said, act: tuple[int, int], name: Fact) -> bool:
    """`remove pixel from the photo`: the clause goes on about something else, so the word names no agent."""
    if said.words[act[0]] in ONLY_OURS or "agent" in said.bag:
        return False
    after = max(name.end, act[1])
    stop = next((at for at in range(after, said.end) if said.words[at] in REASONS), said.end)
    stop = next((at + 1 for at in range(name.start, stop) if said.written[at][-1] in CLAUSE_ENDS), stop)
    rest = frozenset(said.words[after:stop]) - GRAMMAR - COMES - GOES - said.known.agents
    return bool(rest)


def _is_object(said: Said, act: tuple[int, int], name: Fact) -> bool:
    """Whether a name is what the verb is about: next to it or inside it, or named before ("a second echo, add it")."""
    near = act[0] <= name.start <= act[1] + 5
    pronoun = word_at(said.words, act[1]) in {"it", "one", "him", "her", "them", "that", "another"}
    return near or (name.start < act[0] and pronoun)


def _is_more(said: Said, act: tuple[int, int], name: Fact) -> bool:
    """`add echo`, `start a new seer agent`, but not `add pixel art to the page`."""
    if not BETWEEN.issuperset(said.words[act[1] : name.start]):
        return False
    near = said.words[act[1] : name.start] + said.words[name.end : name.end + 4]
    return name.end >= said.end or not ANOTHER.isdisjoint(near) or not ANOTHER.isdisjoint(said.words[: act[0]])


def _dismiss(said: Said) -> Meaning | None:
    act = said.act(DISMISS)
    if act is None:
        return None
    name = next((one for one in said.agents if _is_object(said, act, one)), None)
    if name and _goes_on(said, act, name):
        return None
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
    if _about_one(said):
        return mean(said, Intent.SWARM, f"/agent {said.agents[0].value}")
    if ((said.has(SWARM) or said.says(AGENT_LIST)) and (said.asks or said.heads(SWARM_HEADING))) or (
        said.says(WHO_WORKS) and said.asks
    ):
        if fields.is_foreign(said, Intent.SWARM):
            return None
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
