"""The facts of a sentence: which agents, people, tasks, amounts and files it names, each with its place.

Names are looked up word by word, so a hub may have as many as it likes. An agent's name is often an ordinary word too
("a strange echo", "quill pens"): behind an article it names nobody, unless it is called an agent there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core.ids import task_name
from core.language.numbers import digits, read_number, word_at
from core.language.words import bag
from core.money import MAX_SATS

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

SATS = bag("sat sats satoshi satoshis")
TASK = bag("task job")
PAYING = bag("pay send tip wire transfer")
NOBODY = bag(
    "me him her them us it the a an my back some to you everyone everybody somebody someone anyone anybody over",
    "about like only",
)
NUMBERED = bag("number no nr id")
ARTICLES = bag(
    "a an the my your his her their our single some any every each no this that another new old one strange more",
)
AGENT = bag("agent worker bot persona instance")
OWNED = bag("bid offer result delivery")
TASK_LETTERS = frozenset("tj#")

DATA_FILES = bag(
    "md txt csv tsv pdf doc docx odt rtf xls xlsx ods ppt pptx json jsonl xml log mp3 wav ogg flac m4a mp4 mov",
)
MORE_DATA_FILES = bag("avi mkv webm png jpg jpeg gif svg webp bmp zip eml ics epub tex srt vcf parquet sqlite db")
SOURCE_FILES = bag(
    "py js ts jsx tsx go rs java c h cpp hpp cc cs rb php swift kt scala lua sh bash sql css scss html htm vue",
)
MORE_SOURCE_FILES = bag("toml yaml yml ini cfg conf r pl pm ex exs hs dart zig asm bat ps1 lock")
DATA = DATA_FILES | MORE_DATA_FILES
SOURCE = SOURCE_FILES | MORE_SOURCE_FILES


class Fact(NamedTuple):
    """Something that a sentence names: its value, and the words that say so, from `start` to before `end`."""

    value: str
    start: int
    end: int


def find_names(words: Sequence[str], written: Sequence[str], known: frozenset[str]) -> list[Fact]:
    """Every word that is a known name; `quill's`, "quill two" and any `quill-N` beside quill included."""
    found = []
    for at, word in enumerate(words):
        if word in known:
            number = read_number(words, at + 1) if at + 1 < len(words) else None
            copy = f"{word}-{number.value}" if number else ""
            found.append(Fact(copy, at, number.end) if number and copy in known else Fact(word, at, at + 1))
        elif "-" in word and _is_copy(word, known):
            found.append(Fact(word, at, at + 1))
        elif word[:-1] in known and word.endswith("s") and _is_owner(words, written, at):
            found.append(Fact(word[:-1], at, at + 1))
    return found


def _is_owner(words: Sequence[str], written: Sequence[str], at: int) -> bool:
    """`quill's`; and `quills bid`, as a recogniser of speech may write it."""
    return len(written[at].strip(".,!?;:")) > len(words[at]) or word_at(words, at + 1) in OWNED


def _is_copy(word: str, known: frozenset[str]) -> bool:
    name, _, number = word.rpartition("-")
    return name in known and number.isdecimal()


def find_payees(words: Sequence[str]) -> list[Fact]:
    """Who is paid, where no people are known: `pay dave 500`, `send 500 sats to dave`."""
    found = []
    for at, word in enumerate(words):
        number = read_number(words, at + 1) if word in PAYING else None
        if number:
            end = number.end + (word_at(words, number.end) in SATS)
            place = end + 1 if word_at(words, end) == "to" else len(words)
        else:
            place = at + 1 if word in PAYING and read_number(words, at + 2) else len(words)
        name = word_at(words, place)
        if name.isalpha() and name not in NOBODY:
            found.append(Fact(name, place, place + 1))
    return found


def is_name(words: Sequence[str], name: Fact) -> bool:
    """Whether a word that could name an agent does: not "an echo", but "the agent echo" and "that echo agent"."""
    before = word_at(words, name.start - 1) if name.start else ""
    return before not in ARTICLES or word_at(words, name.end) in AGENT


def find_tasks(words: Sequence[str], known: Container[int] | None) -> list[Fact]:
    """`task 7`, `job number twelve`, `T-7`, `t24`, `#10`."""
    found, at = [], 0
    while at < len(words):
        one = _task(words, at, known) if words[at][:1] in TASK_LETTERS else None
        if one:
            found.append(one)
        at = one.end if one else at + 1
    return found


def _task(words: Sequence[str], at: int, known: Container[int] | None) -> Fact | None:
    word = words[at]
    if word in TASK:
        place = at + 1 + (word_at(words, at + 1) in NUMBERED)
        number = read_number(words, place)
        if number and number.value and word_at(words, number.end) not in SATS:
            return Fact(task_name(number.value), at, number.end)
        return _short(words, at, place) if word_at(words, place)[:1] in {"#", "t"} else None
    one = _short(words, at, at)
    plain = one is not None and word[0] == "#" and known is not None and int(one.value[2:]) not in known
    return None if plain else one


def _short(words: Sequence[str], start: int, at: int) -> Fact | None:
    """`T-7`, `t7`, `#7`; spoken, `t 7`."""
    word = words[at]
    if word == "t":
        number = read_number(words, at + 1)
        return Fact(task_name(number.value), start, number.end) if number and number.value else None
    if word[:1] not in {"t", "#"}:
        return None
    value = word[1:].removeprefix("-")
    number_said = value.isdecimal() and value.isascii() and len(value) < 18 and int(value) > 0  # noqa: PLR2004
    return Fact(task_name(int(value)), start, at + 1) if number_said else None


def find_amounts(words: Sequence[str]) -> list[Fact]:
    """Every number of sats: `500 sats`, `two k sats`, `500sats`."""
    if not any("sat" in word for word in words):
        return []
    found, at = [], 0
    while at < len(words):
        one = _amount(words, at)
        if one:
            found.append(one)
        at = one.end if one else at + 1
    return found


def _amount(words: Sequence[str], at: int) -> Fact | None:
    word = words[at]
    attached = digits(word.rstrip("s").removesuffix("sat")) if word.endswith(("sat", "sats")) else None
    if attached is not None:
        return _sats(attached, at, at + 1)
    number = read_number(words, at)
    return _sats(number.value, at, number.end + 1) if number and word_at(words, number.end) in SATS else None


def _sats(value: int, start: int, end: int) -> Fact | None:
    return Fact(str(value), start, end) if 1 <= value <= MAX_SATS else None


def find_numbers(words: Sequence[str], taken: Sequence[Fact]) -> list[Fact]:
    """The bare numbers: those that are no part of a fact already found."""
    used = {place for fact in taken for place in range(fact.start, fact.end)}
    found, at = [], 0
    while at < len(words):
        number = None if at in used else read_number(words, at)
        if number and 0 < number.value <= MAX_SATS:
            found.append(Fact(str(number.value), at, number.end))
        at = number.end if number else at + 1
    return found


def find_files(words: Sequence[str], written: Sequence[str]) -> list[Fact]:
    """Every file name: a word with an ending that workspaces and sources use."""
    return [
        Fact(written[at].strip(".,!?;:\"'()").removesuffix("'s").removesuffix("\u2019s"), at, at + 1)
        for at, word in enumerate(words)
        if "." in word and _is_file(word)
    ]


def _is_file(word: str) -> bool:
    stem, _, ending = word.rpartition(".")
    return bool(stem) and (ending in DATA or ending in SOURCE)


def is_source(file: Fact) -> bool:
    """Whether a file holds source code rather than what a workspace holds."""
    return file.value.lower().rpartition(".")[2] in SOURCE
