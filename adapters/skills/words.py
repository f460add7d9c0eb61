"""From the words of a task to the skill that they mean and what it is to work on. Pure: no file is touched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from adapters.skills.catalogue import SKILLS, Takes
from adapters.skills.kinds import TABLES, kind_of
from core.agent.skill import Match

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapters.skills.catalogue import Skill

MOST_LETTERS = 2_000
"""How much of a task's text is looked at."""

_SMART = str.maketrans("“”„«»\u2018\u2019", '"""""\'\'')
_QUOTED = re.compile(r"\"([^\"]{1,300})\"|`([^`]{1,300})`|(?<!\w)'([^']{1,300})'(?!\w)")
_ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://\S+")
_BARE = re.compile(r"(?<![\w@:/])(?:[~.]{0,2}/|\.)?[\w.+~-]+(?:/[\w.+~-]+)*/?(?![\w@])")
_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,7}$")
_PATH_LIKE = re.compile(r"[/.~]|[^/]+/")
_VAGUE = re.compile(r"\b(?:the|my|our|this|that) ([\w-]{2,40}) (?:file|document|page|note|report|sheet|table|data)\b")
_FOLDER = re.compile(r"\b(?:the|my|our) ([\w./-]{1,80}) (?:folder|directory)\b|\b(?:folder|directory) ([\w./-]{1,80})")
_EVERYWHERE = re.compile(
    r"\b(?:(?:in|through|across|of) )?(?:the |my |our |all )*(?:workspace|files|documents|docs|notes)\b", re.IGNORECASE
)
_POLITE = re.compile(
    r"(?:please|kindly|can you|could you|would you|i want|i need|give|make|show|write|create|do|run|get|tell|me|us|an?"
    r"|the|of|to|short|quick|timmy|hey|hi|echo|mace|seer|quill|helm)\b[\s,:]*"
)
_POLITE_END = re.compile(r"[\s.,!?]*(?:(?:please|thanks|thank you|this|that|it|for|me|us|now)[\s.,!?]*)*")
_ASKS = re.compile(r"\b(?:how|much|free|full|report|state|status|health|check|show|doing|usage|left|enough|ok|okay)\b")
_SPOKEN = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SENTENCES = re.compile(rf"\b(\d{{1,2}}|{'|'.join(_SPOKEN)}) (?:sentences?|lines|points)\b")
_PLACE = re.compile(r"\b(?:in|inside|within|from)\s*[.?!]*\s*$", re.IGNORECASE)
_ABOUT = re.compile(r"^\s*(?:for|about|the (?:words?|phrase))\b", re.IGNORECASE)
_IN_QUOTES = re.compile(r"(\"[^\"]*\")")
_SECRETS = re.compile(r"\b(?:secrets?|passwords?|credentials?|tokens?|api keys?)\b")
_CODE = re.compile(r"\b(?:code|dangerous|bandit|vulnerabilit(?:y|ies)|insecure|unsafe|security)\b")
_LONGEST_QUESTION = 12

_SURE, _LIKELY, _MAYBE, _HARDLY = 1.0, 0.8, 0.6, 0.4


@dataclass(frozen=True, slots=True)
class Reading:
    """A task's text, taken apart once for all skills: the names of files in it, and its other words in lower case."""

    text: str
    files: tuple[str, ...]
    words: str
    vague: str
    address: str = ""

    @classmethod
    def of(cls, description: str) -> Reading:
        """Read a description; quoted names may hold blanks, bare ones need a suffix or a slash."""
        text = description[:MOST_LETTERS].translate(_SMART)
        quoted = [next(filter(None, found.groups())) for found in _QUOTED.finditer(text)]
        rest = _QUOTED.sub(lambda found: " " if _names_file(next(filter(None, found.groups()))) else found[0], text)
        address = _ADDRESS.search(text)
        bare = [found[0].rstrip(".,;:!?") for found in _BARE.finditer(_ADDRESS.sub(" ", rest))]
        files = tuple(dict.fromkeys(name for name in (*quoted, *bare) if _names_file(name)))
        for name in files:
            rest = rest.replace(name, " ", 1)
        words = " ".join(rest.casefold().split())
        vague = _VAGUE.search(words)
        return cls(text, files, words, vague[1] if vague else "", address[0].rstrip(".,;:!?\"'`") if address else "")

    def leads(self, place: int) -> bool:
        """Whether nothing but politeness stands before a place in `words`."""
        start = 0
        while polite := _POLITE.match(self.words, start):
            start = polite.end()
        return place <= start


def best_match(skills: Iterable[str], description: str) -> Match | None:
    """The named skill that the description means most surely, or None; the first of equals."""
    reading = _reading(description)
    found = [match for name in skills if name in SKILLS and (match := _match(SKILLS[name], reading))]
    return max(found, key=lambda match: match.fit, default=None)


@lru_cache(maxsize=1)  # all agents are asked about a task, one after the other
def _reading(description: str) -> Reading:
    return Reading.of(description)


def _match(skill: Skill, reading: Reading) -> Match | None:
    if skill.takes is Takes.NOTHING:
        return _of_nothing(skill, reading)
    verb = skill.verbs.search(reading.words)
    if skill.takes is Takes.ANYTHING:
        return _of_anything(skill, reading, verb)
    if verb is None:
        return None
    if skill.takes is Takes.QUERY:
        return _of_query(skill, reading, verb)
    return _of_file(skill, reading, verb)


def _of_file(skill: Skill, reading: Reading, verb: re.Match[str]) -> Match | None:
    """A document or a table: named by its file name, or vaguely (`the welcome file`), or as the only other word."""
    is_table = skill.takes is Takes.TABLE
    suited = [name for name in reading.files if (kind_of(name) in TABLES) is is_table]
    options = _options(skill, reading, suited[0] if suited else "")
    if suited:
        return Match(skill.name, suited[0], _SURE if reading.leads(verb.start()) else _LIKELY, options)
    if reading.files or reading.address:
        return _of_unsuited(skill, reading, verb)
    if reading.vague:
        return Match(skill.name, reading.vague, _LIKELY if reading.leads(verb.start()) else _MAYBE, options)
    rest = reading.words[verb.end() :].split()
    if len(rest) == 1 and reading.leads(verb.start()):
        return Match(skill.name, rest[0].strip(".,!?"), _MAYBE)
    return _of_unsuited(skill, reading, verb) if _POLITE_END.fullmatch(" ".join(rest)) else None


def _of_unsuited(skill: Skill, reading: Reading, verb: re.Match[str]) -> Match | None:
    """A plain request that names a file of another kind, an address or nothing: meant, so that it is refused by name."""
    if not reading.leads(verb.start()):
        return None
    name = next(iter((*reading.files, reading.address)))
    owner = Takes.TABLE if kind_of(name) in TABLES else Takes.DOCUMENT
    owners = (other for other in SKILLS.values() if other.takes is owner is not skill.takes)
    if any(other.verbs.search(reading.words) for other in owners):
        return None
    return Match(skill.name, name, _HARDLY)


def _of_anything(skill: Skill, reading: Reading, verb: re.Match[str] | None) -> Match | None:
    """A file, a folder, or the whole workspace."""
    hint = skill.hints.search(reading.words)
    folder = _FOLDER.search(reading.words)
    everywhere = _EVERYWHERE.search(reading.words)
    named = next(filter(None, folder.groups())) if folder else reading.vague
    subject = next(filter(None, (*reading.files, reading.address, named)), ".")
    if verb and (reading.files or reading.address or folder or hint or everywhere):
        fit = _SURE if reading.leads(verb.start()) else _LIKELY
    elif hint and (reading.files or folder or everywhere):
        fit = _LIKELY
    elif verb and reading.leads(verb.start()) and len(reading.words.split()) == 1:
        fit = _MAYBE
    else:
        return None
    return Match(skill.name, subject, fit, _options(skill, reading, subject))


def _of_query(skill: Skill, reading: Reading, verb: re.Match[str]) -> Match | None:
    """What is written after the verb, without the place to look in."""
    asked = skill.verbs.search(reading.text)
    query, place = _placed(reading, reading.text[asked.end() :] if asked else "")
    pieces = _IN_QUOTES.split(query)
    pieces[::2] = [_EVERYWHERE.sub(" ", piece) for piece in pieces[::2]]
    query = _ABOUT.sub("", _PLACE.sub("", " ".join("".join(pieces).split()))).lstrip(" ,:").rstrip(" ,.?!:")
    if not query and not reading.leads(verb.start()):
        return None
    fit = _LIKELY if reading.leads(verb.start()) else _HARDLY
    is_surer = query and (place or reading.files or _EVERYWHERE.search(reading.words) or '"' in query)
    options = (("in", place),) if place else ()
    return Match(skill.name, query, min(_SURE, fit + (0.2 if is_surer else 0)), options)


def _placed(reading: Reading, query: str) -> tuple[str, str]:
    """A query without the file to look in, and that file: one after `in`, or before `for`, or bare beside other words."""
    for before, after in ((r"\b(?:in|inside|within|from|of|through)\s+(?:the\s+)?", ""), (r"^\s*", r"\s+for\b")):
        for name in reading.files:
            written = rf"{before}([\"'`]?){re.escape(name)}\1(?![\w/]){after}"
            if found := re.search(written, query, re.IGNORECASE):
                return f"{query[: found.start()]} {query[found.end() :]}", name
    bare = _QUOTED.sub(" ", query)
    for name in reading.files:
        is_path = _SUFFIX.search(name) or name.startswith(("/", ".", "~")) or name.endswith("/")
        if is_path and name in bare and query.replace(name, "", 1).strip(" ,.?!:"):
            return query.replace(name, " ", 1), name
    return query, ""


def _of_nothing(skill: Skill, reading: Reading) -> Match | None:
    """The machine: a plain report, or a short question with one of its parts in it."""
    verb, hint = skill.verbs.search(reading.words), skill.hints.search(reading.words)
    length = len(reading.words.split())
    if reading.files or length > _LONGEST_QUESTION or not (verb or hint):
        return None
    if verb:
        return Match(skill.name, "", _SURE if length <= _LONGEST_QUESTION // 2 else _LIKELY)
    if length == 1 or _ASKS.search(reading.words):
        return Match(skill.name, "", _MAYBE if length > 1 else _LIKELY)
    return None


def _options(skill: Skill, reading: Reading, subject: str = "") -> tuple[tuple[str, str], ...]:
    """What the words say beyond the subject; other files that they name are told, since a skill takes one."""
    also = "\n".join(name for name in reading.files if subject and name != subject)
    return (*_own_options(skill, reading), *([("also", also)] if also else []))


def _own_options(skill: Skill, reading: Reading) -> tuple[tuple[str, str], ...]:
    if skill.name == "summarise" and (asked := _SENTENCES.search(reading.words)):
        number = asked[1] if asked[1].isdecimal() else str(_SPOKEN.index(asked[1]) + 1)
        return (("sentences", number),)
    if skill.name == "chart":
        return (("words", reading.words if reading.files else _VAGUE.sub(" ", reading.words, count=1)),)
    if skill.name == "scan" and _SECRETS.search(reading.words) and not _CODE.search(reading.words):
        return (("for", "secrets"),)
    return ()


def _names_file(name: str) -> bool:
    """Whether a quoted or bare word is a file name rather than prose: it has a suffix, a slash or a leading dot."""
    if "://" in name or name in {".", "..", "/"}:
        return False
    return bool(_SUFFIX.search(name) or _PATH_LIKE.match(name))
