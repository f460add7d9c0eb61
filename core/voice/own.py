"""What the agent's own tools are enough for: to look into a file, to look for something, to put a line into a file, to delete one.

A task is work for sats. The command of such a request stays a task, for where the agent cannot do it (no model answers, or
none that calls tools); a hub whose agent can need not ask anybody to be paid. In doubt it is work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.words import Phrases, bag
from core.voice.meaning import Intent
from core.voice.work import MORE_VERBS, VERBS

if TYPE_CHECKING:
    from core.voice.facts import Fact
    from core.voice.meaning import Meaning
    from core.voice.said import Said

LOOKS = ("read_file", "query_table", "list_files")
SEARCHES = ("search_files",)
WRITES = ("write_file", "edit_file")
DELETES = ("remove_file",)
"""The tools of which any one is enough, by their names. What deletes is no work for others: they reach no file here."""

LOOK = Phrases(
    "read, read me, read out, read aloud, open, open up, show, show me, show us, display, view, print, cat, look at, look in",
    "look into, look inside, have a look at, take a look at, have a look in, tell me, tell us, let me see, see, see what",
    "go and read, pull up, bring up, quote, quote from, get me, give me, find out, know, check what, check whats, check whether",
    "check if, check who, check when, check where",
)
ASKED = bag("what whats which who whos whose where wheres when why how is are was were does do did has have any")
SEARCH = Phrases("find, search for, search, search through, look for, grep for, grep, locate, look through, go through")
CHANGE = Phrases(
    "add, append, put, insert, note, note down, jot, jot down, save, write, write down, enter, strike, cross off, cross out",
    "tick off, take, remove, delete, replace, change, set, make a note, take a note, add a note",
)
DELETE = Phrases(
    "delete, remove, erase, get rid of, throw away, throw out, bin, trash, rm, del, unlink, wipe, clear, empty, destroy",
)
THE_FILE = bag(
    "the my our this file files called named and both permanently forever completely now for good from in of workspace"
)
"""What may stand beside the files that are to go."""
PLACED = bag("to on onto in into at from off of under")
"""What stands between what is changed and the file: `eggs to shopping.txt`, not `notes.txt`."""
A_FILE = bag("the my our a an file list note called named text new empty")
MAKE = bag("create make start begin write")
HOLDS = bag("with containing")
MADE_SO = HOLDS | bag("that saying in")
"""What may stand behind a file that is to be made: `make letter.md formal` is work."""

WRITTEN = bag("write save")
A_PIECE = bag("a an some me us about the all every")
"""`write milk into shopping.txt` is a line; `write a limerick into fun.md`, `save the rain in Berlin to rain.txt` are work ..."""
GIVEN = bag("word words text line sentence heading title name names number link url address date note following")
WHOSE = PLACED | bag("in of for")
"""... but for `save the address 5 High Street to bob.txt`: the words themselves are given, not whose they are."""
THE_WORDS = Phrases("the words")

THOUGHT = bag(
    "weather news headlines latest best ideas facts joke jokes recipe recipes tone style mood tense register wording layout",
)
"""What nobody gave the words of: it has to be looked up or thought of before it can be written."""

WORK = bag(
    "summary summaries summarise summarize summarising summarizing translate translation translated chart charts graph graphs",
    "plot plots diagram draw drawing analyse analyze analysis compare comparison review critique audit forecast predict",
    "proofread typo typos spelling grammar rewrite rephrase paraphrase shorten condense polish outline poem poems story song",
    "essay article report research convert transcribe improve outlier outliers anomalies duplicates secret secrets password",
    "passwords credentials leaks tokens vulnerabilities paragraph section chapter introduction conclusion words characters",
    "sentences paragraphs haiku limerick plan design mistakes errors bugs action",
)
"""What is to be made, or takes more than to look: work, wherever it is said."""

DUE = bag("by before until")
"""What has to be done by a time is work."""

THEN = bag("tell show say read list give let quote print find search look answer")
"""What may be wanted besides."""

MADE = bag("md txt csv tsv json log")
READ = MADE | bag("jsonl xml pdf docx xlsx xls sqlite db html htm")
_BESIDE = 5
"""How many words before a file say where in it something goes: `to my shopping list, shopping.txt`."""


def tools(said: Said, meaning: Meaning) -> tuple[str, ...]:
    """The tools of which one is enough for what is asked; none where it is work, or somebody is asked by name or for a price."""
    what = meaning.entities.get("task_description", "")
    if meaning.intent is not Intent.TASK or not what or meaning.command != f"/task {what}":
        return ()
    due = said.when is not None and said.words[said.when[0] - 1] in DUE
    if said.agents or said.amounts or due or _is_work(said) or not _plain(said, what):
        return ()
    if not said.files:
        return SEARCHES if SEARCH.at(said.words, said.start) and not _goes_on(said, said.start) else ()
    if _deletes(said):
        return DELETES
    if not all(_ending(file) in READ for file in said.files):
        return ()
    return _of_files(said)


def _is_work(said: Said) -> bool:
    """Whether a word says so; `the words` are said of what is given."""
    work = said.bag & WORK
    return bool(work) and not (work == {"words"} and said.says(THE_WORDS))


def _plain(said: Said, what: str) -> bool:
    """Whether the task is what was said, and nobody was to be found for it in so many words."""
    described = what == f"describe {said.files[0].value}" if said.files else False
    text = said.text(said.start, said.end)
    return described or text.startswith(what) or what.endswith(text)


def _of_files(said: Said) -> tuple[str, ...]:
    file = said.files[-1]
    if CHANGE.at(said.words, said.start) or said.first in MAKE:
        changed = (_puts(said, file) or _makes(said, file)) and not _goes_on(said, file.end)
        given = changed and len(said.files) == 1 and not said.has(THOUGHT)
        return WRITES if given and _ending(file) in MADE else ()
    if _goes_on(said, said.start):
        return ()
    alone = (said.start, said.end) == (file.start, file.end)
    if alone or said.first in ASKED or LOOK.at(said.words, said.start):
        return LOOKS
    return SEARCHES + LOOKS if SEARCH.at(said.words, said.start) and _searched(said, file) else ()


def _deletes(said: Said) -> bool:
    """`delete notes.txt`, `get rid of the files a.csv and b.csv`: files, and nothing of what is in them."""
    start = DELETE.at(said.words, said.start)
    named = {at for file in said.files for at in range(file.start, file.end)}
    return start > 0 and all(at in named or said.words[at] in THE_FILE for at in range(start, said.end))


def _puts(said: Said, file: Fact) -> bool:
    """`add eggs to shopping.txt`, `note in diary.md that it rained`: something, and where it goes."""
    start = CHANGE.at(said.words, said.start)
    first = start + (file.end == said.end)
    placed = not PLACED.isdisjoint(said.words[max(first, file.start - _BESIDE) : file.start])
    return start > 0 and placed and not (said.words[start - 1] in WRITTEN and _a_piece(said, start))


def _makes(said: Said, file: Fact) -> bool:
    """`create a file called shopping.txt with eggs and milk`."""
    if said.first not in MAKE or not A_FILE.issuperset(said.words[said.start + 1 : file.start]):
        return False
    more = said.words[file.end : said.end]
    return not more or (more[0] in MADE_SO and not (more[0] in HOLDS and _a_piece(said, file.end + 1)))


def _a_piece(said: Said, at: int) -> bool:
    """Whether what is to be written is named by what it is, not by its own words: `the ten best books`."""
    named, whose = said.words[at + 1 : at + 2], said.words[at + 2 : at + 3]
    given = not GIVEN.isdisjoint(named) and WHOSE.isdisjoint(whose)
    return not A_PIECE.isdisjoint(said.words[at : at + 1]) and not given


def _searched(said: Said, file: Fact) -> bool:
    """`search notes.md for bitcoin`, `find bitcoin in notes.md`."""
    return said.words[file.end : file.end + 1] == ["for"] or said.words[file.start - 1] in {"in", "through"}


def _goes_on(said: Said, start: int) -> bool:
    """Whether more is wanted behind a place, and that is work: `read notes.md and fix it`."""
    more = [said.words[at] for at in said.starts if start < at < said.end]
    return any(word in VERBS | MORE_VERBS and word not in THEN for word in more)


def _ending(file: Fact) -> str:
    return file.value.lower().rpartition(".")[2]
