"""What a task of the set expects of a result, judged by a machine: nothing here asks a model, or believes one.

SQL is run on an empty database of its own that can only be read; a regular expression in a process that is killed if it takes
long. Program code is read and never run: what a model wrote runs in a container or not at all (GUARANTEES).
"""

from __future__ import annotations

import ast
import json
import re
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.agent.checks.draft import blocks, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REGEX_SECONDS = 5
SQL_STEPS = 100_000
_NUMBER = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:[.]\d+)?")
_LOOKS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


@dataclass(frozen=True)
class Outcome:
    """What came of a task: `delivered`, `failed` or `declined` (with `why`), what was called, and the files by name.

    `tried`: what the model wished to call, whether it could be or not.
    """

    status: str
    text: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    called: Sequence[str] = ()
    why: str = ""
    tried: Sequence[str] = ()


@dataclass(frozen=True)
class Expect:
    """What must be so. `has`, `lacks`, `file_has`: regular expressions, in any case, where ^ and $ are a line's.

    `declined`: it must be handed back. `called` must be among what was called, `untouched` not even tried. `asserts`: so many, or
    more.
    """

    declined: bool = False
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    words: tuple[int, ...] = ()
    file: str = ""
    file_has: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    defines: str = ""
    expression: tuple[str, ...] = ()
    asserts: int = 0
    sql: Mapping[str, Any] = field(default_factory=dict)
    regex: Mapping[str, Any] = field(default_factory=dict)
    data: Any = None

    def wrong(self, outcome: Outcome) -> list[str]:
        """Everything that is not as it must be."""
        if self.declined:
            return [] if outcome.status == "declined" else ["it was not handed back"]
        if outcome.status != "delivered":
            return [outcome.why or outcome.status]
        return [*self._text(outcome), *self._calls(outcome), *self._code(outcome.text)]

    def _text(self, outcome: Outcome) -> Iterator[str]:
        yield from (f"it lacks /{one}/" for one in self.has if not _found(one, outcome.text))
        yield from (f"it has /{one}/" for one in self.lacks if _found(one, outcome.text))
        said = [float(one.replace(",", "")) for one in _NUMBER.findall(outcome.text)]
        yield from (
            f"it lacks the number {one:g}" for one in self.numbers if not any(_close(one, number) for number in said)
        )
        if self.words and not self.words[0] <= (count := len(words(outcome.text))) <= self.words[1]:
            yield f"it has {count} words, not {self.words[0]} to {self.words[1]}"
        if self.file:
            content = next((body.decode() for name, body in outcome.files.items() if name.endswith(self.file)), None)
            if content is None:
                yield f"there is no {self.file} file"
            else:
                yield from (f"the file lacks /{one}/" for one in self.file_has if not _found(one, content))

    def _calls(self, outcome: Outcome) -> Iterator[str]:
        yield from (f"{one} was not called" for one in self.called if one not in outcome.called)
        yield from (f"it tried {one}" for one in self.untouched if one in outcome.tried)

    def _code(self, text: str) -> Iterator[str]:
        if self.defines or self.expression or self.asserts:
            yield from self._python(text)
        if self.sql:
            yield from _sql(_block(text, "sql"), self.sql)
        if self.regex:
            yield from _regex(_block(text, "regex", ""), self.regex)
        if self.data is not None:
            yield from _data(text, self.data)

    def _python(self, text: str) -> Iterator[str]:
        try:
            tree = ast.parse(_block(text, "python", "py"))
        except SyntaxError:
            yield "its Python does not parse"
            return
        nodes = list(ast.walk(tree))
        if self.defines and self.defines not in {_signature(one) for one in nodes if isinstance(one, ast.FunctionDef)}:
            yield f"it does not define {self.defines}"
        wanted = {ast.dump(ast.parse(one, mode="eval").body) for one in self.expression}
        if wanted and not any(ast.dump(one) in wanted for one in nodes if isinstance(one, ast.expr)):
            yield f"it has none of {', '.join(self.expression)}"
        if sum(isinstance(one, ast.Assert) for one in nodes) < self.asserts:
            yield f"it has fewer than {self.asserts} asserts"


def expect(given: Mapping[str, Any]) -> Expect:
    """An expectation as a file declares it. Raises `TypeError` for a key that there is not."""
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) and key != "data" else value for key, value in given.items()
    }
    return Expect(**plain)


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE | re.MULTILINE) is not None


def _close(wanted: float, said: float) -> bool:
    """Equal to within half a percent: people round."""
    return abs(wanted - said) <= abs(wanted) * 0.005


def _block(text: str, *languages: str) -> str:
    """All blocks in one of these languages, together."""
    return "\n".join(one.body for one in blocks(text) if one.language in languages)


def _signature(function: ast.FunctionDef) -> str:
    return f"{function.name}({', '.join(one.arg for one in function.args.args)})"


def _sql(query: str, given: Mapping[str, Any]) -> Iterator[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(given["schema"])
        connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _LOOKS else sqlite3.SQLITE_DENY)
        connection.set_progress_handler(lambda: 1, SQL_STEPS)
        try:
            rows = [list(row) for row in connection.execute(query.strip().rstrip(";"))]
        except (sqlite3.Error, sqlite3.Warning) as error:
            yield f"its SQL cannot be run: {error}"
            return
    if rows != given["rows"]:
        yield f"its SQL finds {rows}, not {given['rows']}"


_MATCH = "import json, re, sys; p, s = json.load(sys.stdin); print(json.dumps([re.fullmatch(p, one) is not None for one in s]))"


def _regex(pattern: str, given: Mapping[str, Any]) -> Iterator[str]:
    subjects = [*given["matches"], *given["refuses"]]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _MATCH], input=json.dumps([pattern.strip(), subjects]), capture_output=True,
            text=True, timeout=REGEX_SECONDS, check=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        yield "its expression takes for ever"
        return
    except subprocess.CalledProcessError:
        yield "its expression is none"
        return
    matched = dict(zip(subjects, json.loads(done.stdout), strict=True))
    yield from (f"its expression does not match {one!r}" for one in given["matches"] if not matched[one])
    yield from (f"its expression matches {one!r}" for one in given["refuses"] if matched[one])


def _data(text: str, wanted: object) -> Iterator[str]:
    for block in blocks(text):
        if block.language in {"json", "toml"}:
            try:
                found = json.loads(block.body) if block.language == "json" else tomllib.loads(block.body)
            except ValueError:
                continue
            if found == wanted:
                return
    yield "no block holds just the data that was asked for"
