"""The error tree: every error that the hub can name has a sentence, a code of its own, and a status that HTTP knows."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import socket
import string
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import adapters
import bot
import config
import core
from adapters.markup import Rich, speech
from core.errors import Broken, HubError, Refused, Unavailable, UserError, cause
from tests.spoken import wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

PACKAGES: tuple[ModuleType, ...] = (core, adapters, config, bot)
STATUSES = {400, 401, 402, 403, 404, 409, 413, 415, 422, 429, 500, 503}
ROOT = Path(core.__file__).parents[1]


def everything() -> Iterator[str]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.rpartition(".")[2] != "__main__":
                yield module.name


def tree(error: type[HubError]) -> Iterator[type[HubError]]:
    yield error
    for child in error.__subclasses__():
        yield from tree(child)


@cache
def errors() -> tuple[type[HubError], ...]:
    """Every error of the hub, once every module is imported: that takes a second or two, in one process of the tests only."""
    for name in everything():
        importlib.import_module(name)
    found = (
        error
        for error in tree(HubError)
        if error.__module__.partition(".")[0] in {package.__name__ for package in PACKAGES}
        and not error.__name__.startswith("_")  # carries a refusal of the running hub to the exit code, as it was said
    )
    return tuple(sorted(found, key=lambda error: error.__qualname__))


def each(check: Callable[[type[HubError]], None]) -> Callable[[], None]:
    """A test of every error, that names all those it finds wrong."""

    def test() -> None:
        wrong = []
        for error in errors():
            try:
                check(error)
            except AssertionError as broken:
                wrong.append(f"{error.__qualname__}: {broken}")
        assert wrong == []

    return test


def placeholders(error: type[HubError]) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(error.__doc__ or "") if field is not None}


def test_the_tree_was_seen() -> None:
    assert len(errors()) > 60
    assert {UserError, Refused, Unavailable, Broken} <= set(errors())


@each
def test_its_docstring_is_a_sentence_for_its_user(error: type[HubError]) -> None:
    sentence = error.__dict__.get("__doc__")
    assert sentence, "it has no sentence of its own"
    assert sentence[0].isupper() or sentence[0] in "{/", "it begins like a sentence, with a fact or with a command"
    assert sentence.rstrip().endswith((".", "?", "}")) or ": " in sentence, (
        "it ends like one, with a fact or an example"
    )


@each
def test_its_sentence_takes_its_facts_by_name(error: type[HubError]) -> None:
    fields = placeholders(error)
    assert all(field.isidentifier() for field in fields), "a fact has a plain name"
    said = str(error(**{field: f"<{field}>" for field in fields}))
    assert all(f"<{field}>" in said for field in fields)
    assert "\n" not in said
    assert "  " not in said
    assert error(**dict.fromkeys(fields, "{curly} %s")).facts == dict.fromkeys(fields, "{curly} %s")
    if fields:
        with pytest.raises(KeyError):
            error()


@each
def test_a_voice_can_say_it(error: type[HubError]) -> None:
    facts = dict.fromkeys(placeholders(error), "'https://a.b/c' of telegram:12345 <T-3> (1,234 sats, 3f9a0c1d2e4b5a69)")
    assert wrong(speech(Rich(str(error(**facts))))) == []


@each
def test_its_branch_and_status_are_known(error: type[HubError]) -> None:
    assert error.status in STATUSES
    if issubclass(error, UserError):
        assert 400 <= error.status < 500
    if issubclass(error, Refused):
        assert error.status in {401, 402, 403}


def test_every_code_is_the_code_of_one_error() -> None:
    codes: dict[str, list[str]] = {}
    for error in errors():
        codes.setdefault(error(**dict.fromkeys(placeholders(error), "x")).code, []).append(error.__qualname__)
    assert {code: names for code, names in codes.items() if len(names) > 1} == {}


def test_a_code_is_the_name_in_small_letters() -> None:
    class OldSQLiteV2(UserError):
        """Old."""

    assert [OldSQLiteV2().code, UserError(why="").code] == ["old_sqlite_v2", "user_error"]


def raised() -> Iterator[tuple[str, int, str, set[str]]]:
    """Every `raise Name(fact=...)` and `Name(fact=...)` of an error in the code: (file, line, name, the facts given)."""
    names = {error.__name__ for error in errors()}
    for package in PACKAGES:
        for file in sorted(Path(package.__path__[0]).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id in names:
                    yield str(file.relative_to(ROOT)), node.lineno, node.exc.id, set()
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                    given = {keyword.arg for keyword in node.keywords}
                    if None not in given:  # **facts: only running it can tell
                        yield str(file.relative_to(ROOT)), node.lineno, node.func.id, {str(name) for name in given}


def test_wherever_an_error_is_made_it_gets_the_facts_that_its_sentence_needs() -> None:
    by_name = {error.__name__: error for error in errors()}
    made = list(raised())
    assert len(made) > 80
    short = [
        f"{file}:{line} {name} lacks {sorted(placeholders(by_name[name]) - given)}"
        for file, line, name, given in made
        if not placeholders(by_name[name]) <= given
    ]
    assert short == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)"), os.strerror(111)),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (OSError("it says so itself"), "it says so itself"),
        (TimeoutError(), "TimeoutError"),
        (TimeoutError("Connection timeout to host https://a.b/bot1:AA/getMe"), "TimeoutError"),
        (OSError(32, "Can not write request body for https://a.b/bot1:AA/sendDocument"), os.strerror(32)),
        (ValueError("https://a.b/sync?access_token=AA"), "ValueError"),
    ],
)
def test_why_a_connection_failed_is_said_in_plain_words(error: OSError, words: str) -> None:
    assert cause(error) == words
