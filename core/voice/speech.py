"""How the hub speaks: aloud or not, louder, slower, another voice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.words import Phrases, bag
from core.voice.frames import QUESTION, STATED
from core.voice.grammar import GRAMMAR
from core.voice.meaning import Intent, mean

if TYPE_CHECKING:
    from core.voice.meaning import Meaning
    from core.voice.said import Said

OFF = Phrases(
    "no more voice, no more speech, switch to text, switch to text only, go text only, write only, mute, voice off",
    "stop talking, stop speaking, stop reading, go silent, be quiet, be silent, shut up, silence your voice",
    "silence yourself, silence, no more talking, no voice, no speech, turn off your voice, turn your voice off",
    "turn off the voice, turn the voice off, text only, only text, stay silent, no talking, go quiet",
    "switch off your voice, switch your voice off, switch off the voice, keep quiet, stay quiet, stop saying, shush",
    "hush, quit talking, no more speaking, dont speak, speech off, turn off speech, stop the voice",
    "disable your voice, disable the voice, disable speech, turn off voice, switch off voice, just text, just write",
    "only write, sound off, quiet, quit speaking, dont talk, turn off the sound, turn your sound off",
    "stop your voice, pipe down, answer in writing, no more reading, text mode",
)
ON = Phrases(
    "read your answers, read your replies, read your messages, read me your, turn your voice ... on",
    "switch your voice ... on, turn the voice ... on, unmute, voice on, speak up again, turn on your voice",
    "turn your voice on, turn on the voice, turn the voice on, switch on your voice, switch your voice on",
    "speak again, talk to me, speak to me, hear you speak, hear your voice, hear you talk, hear you",
    "speak your ... aloud, read your ... aloud, read ... aloud, read ... out loud, say your, say ... out loud",
    "say ... aloud, speak ... aloud, speak ... out loud, talk ... out loud, talk ... aloud, speak aloud",
    "speak out loud, talk out loud, talk aloud, answer aloud, answer out loud, answer ... aloud, answer ... out loud",
    "enable your voice, enable the voice, enable speech, speech on, turn on speech, start talking, start speaking",
    "use your voice, voice mode, turn on voice, switch on the voice, switch on voice, reply aloud, reply out loud",
    "answer me with your voice, answer with your voice, speak your replies, speak your responses, voice your answers",
    "voice your replies, speak the answers, speak your answers, start reading, give me voice, answer by voice",
    "reply by voice, speak to us, respond aloud, respond out loud, turn your sound on, sound on, activate your voice",
)
LEVEL = Phrases(
    "volume, turn your volume, set your volume, put your volume, turn the volume, set the volume, put the volume",
    "raise your volume, lower your volume, raise the volume, lower the volume, turn up, turn down, louder, quieter",
    "softer, more quietly, more loudly, turn it up, turn it down, speak, talk, slow down, speed up, slower, faster",
    "use a, use another voice, change your voice, change the voice, switch to a, lower your voice, raise your voice",
    "your voice, set your voice, make your voice, increase the volume, decrease the volume, reduce the volume",
    "increase your volume, reduce your volume, decrease your volume, read, keep your voice, drop the volume, sound",
    "adjust the volume, adjust your volume, set your speech, set the speech, set speech, read slower, read faster",
    "change your volume, change the volume, bump the volume, a bit louder, a bit slower, a little louder",
    "a little slower, a bit quieter, a little quieter, a bit faster, a little faster, not so loud, not so fast",
    "whisper, speak up, less loud, crank up, pick",
)
MANNER = bag(
    "volume louder quieter slower faster softer voice slowly quickly loudly quietly deeper higher lower speed slow",
    "pitch accent down up loud clearly whisper tempo rate pace softly fast",
)
ABOUT_SPEECH = bag(
    "volume louder quieter slower faster softer voice speak speaking talk talking speech loud slow sound accent",
    "pitch whisper slowly quietly loudly speed read reading",
)
ITSELF = bag(
    "yourself your voice aloud loud it please timmy the now you sound speech everything for a while until i me again",
    "answers replies today tonight and just silent completely",
)
OBJECTS = bag("mute unmute silence quiet hush shush")
LEVEL_ALONE = Phrases(
    "turn it up, turn it down, speak up, slow down, louder, quieter, a bit, a little, please, now, when you talk",
    "when you speak, more",
)
SPEECH = bag(
    "voice speech sound audio spoken speaking talking tts narration speak talk aloud loud audible audibly vocal",
    "out-loud narrate reading",
)
SWITCHES = bag(
    "answers answer replies reply respond responses response messages message output text only type typed written",
    "write writing instead turn switch set bring keep use disable enable activate deactivate start stop back restore",
    "resume continue prefer rather mode mute unmute via silence silent silently quit cease end drop kill cut no",
    "without again everything anything reading results result words permanently temporarily completely entirely",
    "responding answering replying make chat anymore while feature",
)
BEGINS = Phrases(
    "turn, switch, put, bring, get, disable, enable, activate, deactivate, start, stop, restore, resume, set, cut",
    "kill, drop, quit, cease, end, no, no more, use, give, give me, i want, i need, i would like, i prefer",
    "i would prefer, id prefer, i would rather have, id rather have, want, need, let me, let me have, answer, reply",
    "respond, speak, talk, say, read, tell me, narrate, voice, keep, hear, have, go, make, continue, without, mute",
    "unmute, silence, prefer, switch back to, go back to, i dont want, i do not want, i no longer want",
)
OFF_WORDS = bag(
    "off disable deactivate stop no mute silence quit cease end drop kill cut without silent silently dont longer",
    "not",
)
ON_WORDS = bag(
    "on enable activate aloud loud start back unmute restore resume spoken audible audibly vocal narrate hear",
)
LEVELS = bag(
    "quickly volume pitch tempo louder quieter softer slower faster deeper loudness slowly loudly quietly clearly",
    "softly accent slow fast loud soft whisper whispering shouting shout yelling yell mumbling",
)
LEVEL_WORDS = (
    LEVELS
    | SPEECH
    | bag(
        "speed rate tone pace turn raise lower increase decrease reduce bring set change adjust make drop bump crank",
        "notch percent level max maximum minimum half higher down try use different female male woman man british",
        "american english calmer warmer robotic nicer deep low high quickly bit little touch tad stop too slightly",
        "much keep cant cannot understand hardly barely loudest quietest normal full medium less bigger start quiet",
        "slowed pick replies answers answering replying natural friendlier double twice way somewhat clearer clear",
        "notches shade cut dial ease",
    )
)
YOURS = bag("you your yourself voice volume me")
READ_OUT = bag(
    "question questions answers replies response responses messages talking speaking hush shush quiet shut pipe say",
    "speech activate sound read",
)
CANT_HEAR = bag("cant cannot barely hardly")
LEVELLED = bag("thats its thatd you youre your i a the")
ELSEWHERE = bag("tv television radio music stereo phone speakers laptop computer bluetooth car spotify headphones")


def read(said: Said) -> Meaning | None:
    """Voice on or off; volume, speed and kind of voice, which no command sets yet."""
    if said.reported:
        return None
    if said.words[said.start + 1 : said.start + 2] in (["a"], ["an"]):
        return _level(said)
    for verbs, command in ((OFF, "/voice off"), (ON, "/voice on")):
        if any(_itself(said, act) for act in said.acts(verbs)):
            return mean(said, Intent.VOICE, command)
    if said.words[said.start : said.end] in (["speak"], ["talk"]):
        return mean(said, Intent.VOICE, "/voice on")
    switched = _switched(said)
    if switched:
        return mean(said, Intent.VOICE, switched)
    return _level(said)


def _switched(said: Said) -> str:
    """`disable the spoken answers`, `I'd like to have the voice back`: all its words are about speech."""
    if (
        not said.content <= SPEECH | SWITCHES
        or said.bag.isdisjoint(SPEECH)
        or said.has(CANT_HEAR)
        or not (said.is_heading or said.act(BEGINS))
    ):
        return ""
    if not said.bag.isdisjoint(OFF_WORDS):
        return "/voice off"
    return "/voice on" if not said.bag.isdisjoint(ON_WORDS) else ""


def _is_level(said: Said) -> bool:
    """`raise your speaking volume a notch`, `you talk too fast`: the same of how loud and how fast."""
    wanted = said.start < said.end and (said.first not in STATED or said.first in LEVELLED)
    return wanted and said.content <= LEVEL_WORDS and not said.bag.isdisjoint(LEVELS) and said.first not in QUESTION


def _itself(said: Said, act: tuple[int, int]) -> bool:
    """Whether the hub is to do it, and not the television: nothing else stands behind "mute"."""
    behind = said.words[act[1] : said.end]
    inside = frozenset(said.words[act[0] : act[1]]) - GRAMMAR - SPEECH - SWITCHES - ITSELF
    if inside - READ_OUT and not any("." in word for word in inside):
        return False
    return said.words[act[0]] not in OBJECTS or act[1] > act[0] + 1 or ITSELF.issuperset(behind[:3])


def _level(said: Said) -> Meaning | None:
    act = said.act(LEVEL)
    if _is_level(said):
        return mean(said, Intent.VOICE, number=said.numbers[0].value if said.numbers else "")
    if act and LEVEL_ALONE.covers(said.words[act[0] : said.end]):
        return mean(said, Intent.VOICE)
    if (
        act is None
        or (said.first == "your" and said.bag.isdisjoint(LEVELS))
        or not said.has(MANNER)
        or not said.has(ABOUT_SPEECH)
        or said.has(ELSEWHERE)
    ):
        return None
    wanted = frozenset(said.words[act[0] : said.end]) - GRAMMAR
    foreign = {word for word in wanted - LEVEL_WORDS - SWITCHES - ABOUT_SPEECH - MANNER if not word.isdecimal()}
    if len(foreign) > (not said.bag.isdisjoint(YOURS)):
        return None
    number = said.numbers[0].value if said.numbers else ""
    return mean(said, Intent.VOICE, number=number)
