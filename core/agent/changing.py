"""Tasks that change code: what their words name, what the tests said, and what may be delivered. Pure.

The work is done at a bench: a worktree of the project, with tools that reach nothing else. What comes of it is a diff, which
a person reads before anything of theirs changes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.agent.checks.code import parsed
from core.agent.checks.draft import MOST_FAULTS, Checked, quote, words
from core.agent.worktree import DIFF
from core.chat import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from core.agent.box import Ran
    from core.agent.tool import Tool

MOST_NAMES = 20
"""Names of one task that are looked for."""

_VERBS = frozenset({
    "fix", "mend", "repair", "correct", "debug", "change", "edit", "modify", "update", "add", "implement", "write", "create",
    "extend", "support", "handle", "refactor", "rename", "remove", "delete", "drop", "replace", "move", "split", "simplify",
    "improve", "optimise", "optimize", "convert", "port", "rewrite", "make", "let",
    "behebe", "ändere", "ergänze", "schreibe", "füge", "entferne", "ersetze", "verbessere", "benenne",
})  # fmt: skip
_ASKS = frozenset({
    "explain", "describe", "review", "why", "what", "how", "where", "which", "who", "is", "are", "does", "do", "can", "summarise",
    "summarize", "compare", "erkläre", "warum", "was", "wie",
})  # fmt: skip
_KINDS = "py|pyi|js|mjs|cjs|jsx|ts|tsx|go|rs|c|h|cc|cpp|hpp|java|kt|rb|php|sh|sql|css|html|vue|svelte|swift|cs|lua"
_FOLDER = "folder|directory|repo|repository|project|package|ordner|verzeichnis|projekt"
_NAME = r"[\w-][\w.-]{0,100}(?:/[\w.-]{1,100}){0,20}"
_NAMES = (
    rf"(?<![\w./@:-])(?:[\w.-]{{1,100}}/){{0,20}}[\w-][\w.-]{{0,100}}\.(?:{_KINDS})(?![\w/]|\.\w)",
    rf"\b(?:{_FOLDER})\s+[\"'`]?({_NAME})",
    rf"(?<![\w./@:-])({_NAME})/?[\"'`]?\s+(?:{_FOLDER})\b",
    r"(?<![\w./@:-])[\w-][\w.-]{0,100}(?:/[\w.-]{1,100}){1,20}|(?<![\w./@:-])[\w-][\w.-]{0,100}(?=/(?:\s|$))",
)
_PLACES = tuple(re.compile(one, re.IGNORECASE) for one in _NAMES)
_WANTS_CODE = re.compile(
    r"\b(?:give|show|send|print|paste|answer with|zeig\w*|gib)\b[^.\n]{0,40}\b(?:code|whole|all|file|function|block|diff)\b",
    re.IGNORECASE,
)
"""What is to be in the answer, not in a file."""

_COUNTS = re.compile(r"\b(\d{1,6}) (passed|failed|errors?|skipped|xfailed|xpassed)\b")
_UNITTEST = re.compile(r"^Ran (\d{1,6}) tests? in ", re.MULTILINE)
_MUST_PASS = re.compile(r"\btests?\b[^.\n]{0,30}\b(?:pass|passes|green|succeed)\b|\bfailing tests?\b", re.IGNORECASE)
_FAILED = ("failed", "error")
_LAST_LINES = 3
_NO_MODULE = re.compile(r"\S{1,100}: No module named (\w{1,50})")
_NO_PROGRAM, _NONE_FOUND = 127, 5
"""Exit statuses: of a shell that has no such program, and of pytest and unittest where there is no test."""


class Verdict(NamedTuple):
    """What the tests said: `words` for people; `ok` None: they were not run. `said`: what they printed.

    `failed`: how many failed, by what they print; None where that does not say.
    """

    words: str
    ok: bool | None = None
    said: str = ""
    failed: int | None = None


class Work(NamedTuple):
    """What came of it: what was changed in `folder` of the workspace, in words and by name, the diff, and what the tests said.

    `before`: what they said of the project as it was, where they fail now. `sources`: the Python files that were changed.
    """

    folder: str
    words: str
    files: tuple[str, ...]
    diff: bytes
    tested: Verdict
    before: Verdict | None = None
    sources: tuple[tuple[str, str], ...] = ()


class Bench(Protocol):
    """A worktree that is open, as a model works in it."""

    @property
    def tools(self) -> Sequence[Tool]:
        """What reads and changes it, and nothing else."""

    async def work(self) -> Work:
        """All that was changed, tested as it is now."""


class Benches(Protocol):
    """Makes them."""

    async def project(self, names: Sequence[str]) -> str:
        """The folder of the project that one of these names of the workspace lies in; empty if none is there."""

    def open(self, folder: str, branch: str) -> AbstractAsyncContextManager[Bench]:
        """A bench for a folder of the workspace. Raises what `Worktrees` does; nothing of it is left after the block."""


def named(description: str) -> list[str]:
    """The files and folders that a task names, if it is one that changes code, the plainest first; else none."""
    said = words(description)
    if _VERBS.isdisjoint(said) or said[0] in _ASKS or _WANTS_CODE.search(description):
        return []
    found = (one[one.lastindex or 0] for place in _PLACES for one in place.finditer(description))
    return list(dict.fromkeys(name.rstrip(".") for name in found))[:MOST_NAMES]


def untested(why: str) -> Verdict:
    """Tests that could not be run."""
    return Verdict(f"Tests: not run: {one_line(why).rstrip('.')}.")


def verdict(command: Sequence[str], ran: Ran) -> Verdict:
    """What a run says. Counts are as the tests print them; whether they passed is the exit status alone."""
    if ran.ended:
        return Verdict(f"Tests: did not end by themselves: {ran.ended}.", ok=False, said=ran.said)
    if ran.status == _NO_PROGRAM:
        return untested(f"the image of the container has no {command[0]}")
    if ran.status and (lacks := _NO_MODULE.fullmatch(ran.said.strip())):
        return untested(f"the image of the container has no {lacks[1]}")
    if ran.status == _NONE_FOUND:
        return untested("there are none")
    counts = _counts(ran.said)
    told = ", ".join(f"{number} {what}" for number, what in counts)
    if ran.status:
        failed = sum(int(number) for number, what in counts if what.startswith(_FAILED)) or None
        told = told or f"failed with exit status {ran.status}"
        return Verdict(f"Tests: {told}, in a container.", ok=False, said=ran.said, failed=failed)
    return Verdict(f"Tests: {told or 'passed'}, in a container.", ok=True, said=ran.said)


def _counts(said: str) -> list[tuple[str, str]]:
    """How many passed and failed, by the last lines of pytest, or by unittest's."""
    last = "\n".join(said.strip().splitlines()[-_LAST_LINES:])
    ran = _UNITTEST.search(last)
    return _COUNTS.findall(last) or ([(ran[1], "run")] if ran else [])


def delivered(task: str, said: str, work: Work) -> Checked:
    """What may be delivered of a summary and what was changed: both, and what the tests said; or what is wrong with it."""
    if not work.files:
        wrong = (
            "Nothing is changed yet. Change the files with edit_file or write_file: code in an answer changes nothing."
        )
        return Checked(said, (wrong,))
    tests = work.tested.words
    if work.tested.ok is False:
        if work.before is None or _worse(work.tested, work.before) or _MUST_PASS.search(task):
            wrong = f"The tests fail. {tests} Call run_tests to see what they say, and mend the code."
            return Checked(said, (wrong,))  # what they print is the project's own words, which a result alone may hold
        tests += f" Before the change: {work.before.words.removeprefix('Tests: ')}"
    if work.tested.ok is None and (broken := [fault for one in work.sources for fault in _broken(*one)]):
        return Checked(said, tuple(broken[:MOST_FAULTS]))
    how = f"{DIFF} has it: in {'the workspace' if work.folder == '.' else work.folder}, `git apply {DIFF}`."
    return Checked(f"{said}\n\n{work.words}\n{tests}\n{how}", files=((DIFF, work.diff),))


def _worse(now: Verdict, before: Verdict) -> bool:
    """Whether tests fail that did not before, as far as that is known."""
    return before.ok is not False or (now.failed or 0) > (before.failed or now.failed or 0)


def _broken(name: str, text: str) -> list[str]:
    try:
        parsed(text)
    except SyntaxError as error:
        return [f"{quote(name)} does not parse: line {error.lineno}: {error.msg}."]
    except (ValueError, RecursionError, MemoryError):
        return [f"{quote(name)} does not parse."]
    return []
