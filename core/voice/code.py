"""Changes to source code. No command yet: the agent answers, with the file named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.words import Phrases, bag
from core.voice import facts
from core.voice.meaning import Intent, mean

if TYPE_CHECKING:
    from core.voice.meaning import Meaning
    from core.voice.said import Said

CHANGE = Phrases(
    "edit, fix, refactor, debug, patch, improve, change, modify, add, remove, rename, implement, update, extract",
    "inline, split, replace, rewrite, optimise, optimize, bump, delete, comment, document, clean up, simplify",
    "do a refactoring, do a refactor, get rid of, move, port, speed up, correct, repair, upgrade, make, touch",
    "adjust, wrap, convert, merge, write, tweak, reformat, format, lint, test, mend, reorganise, reorganize",
    "restructure, rework, extend, revert, undo, cover, hack, program, code, put, insert, set, sort out, drop, alter",
    "raise, lower, increase, turn, factor out, tidy, tidy up, work on",
)
THINGS = bag(
    "function functions method methods class classes module modules bug bugs source codebase script variable",
    "constant constants import imports handler refactoring refactor decorator parameter subroutine compiler regex",
    "unit-test endpoint traceback typo stacktrace api loop algorithm dataclass",
)
NO_CODE = bag("a an some another the up for at home")
"""`fix yourself a drink`, `make yourself at home`: not the hub's code."""
OWN = Phrases(
    "your code, your own code, your source, your own source, yourself, your own functions, your parser",
    "your programming, your own programming, the source code, your implementation, the code, the codebase, your own",
    "type hints, error handling, unit tests, your handler, your logic, your prompt, code of, your tests, the tests",
    "unit test, failing test, the test",
)


def read(said: Said) -> Meaning | None:
    """A change to a source file, to a function, or to the hub itself."""
    source = any(facts.is_source(file) for file in said.files)
    if said.reported:
        return None
    changes = said.act(CHANGE)
    code = said.has(THINGS) or said.says(OWN) or any("_" in word for word in said.words)
    if source or (changes and code and not _world(said)):
        return mean(said, Intent.CODE)
    return None


def _world(said: Said) -> bool:
    """`change yourself` is code; `add a class to my timetable` is not ours to see, so a bare verb needs a code word."""
    themselves = "yourself" in said.bag and not NO_CODE.isdisjoint(
        said.words[said.words.index("yourself") + 1 : said.words.index("yourself") + 2]
    )
    if themselves:
        return True
    new = not {"me", "a", "an", "us"}.isdisjoint(said.words[said.start + 1 : said.start + 2])
    return said.first in {"make", "write"} and new and not (said.says(OWN) or said.files)
