"""How the tests of a project are run, by what lies in its folder; a list of arguments, never a line for a shell."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TARGET = re.compile(r"^test\s*:(?!=)", re.MULTILINE)
_NO_TESTS_YET = "no test specified"
"""What `npm init` writes."""

_LARGEST = 2_000_000
_TEST_FILES = ("test_*.py", "*_test.py", "tests/**/test_*.py", "tests/**/*_test.py", "test/**/test_*.py")
_CONFIGURED = (
    ("pytest.ini", ""), (".pytest.ini", ""), ("pytest.toml", ""), ("conftest.py", ""), ("tests/conftest.py", ""),
    ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"),
)  # fmt: skip


class NoTestCommand(UserError):
    """Nothing in {folder} says how its tests are run. Say it: self-tdd watch --command "make check"."""


class NoSuchProgram(UserError):
    """{program} is not installed, or not on the PATH. Install it, or name another: self-tdd watch --command "..."."""


def found(folder: Path) -> list[str]:
    """The command of a project's tests. Raises `NoTestCommand`; the first of several ways, Python's before others."""
    for look in (_pytest, _cargo, _go, _npm, _make):
        if command := look(folder):
            return command
    raise NoTestCommand(folder=folder)


def in_a_box(folder: Path) -> list[str]:
    """The same in a container, which has this folder alone, and pytest only as a module. Empty where nothing says it."""
    try:
        command = found(folder)
    except NoTestCommand:
        return []
    return ["python3", "-m", "pytest", "-q"] if is_pytest(command) else command


def check(command: Sequence[str], folder: Path) -> None:
    """Raise `NoSuchProgram` for one that cannot be started in a folder."""
    program = command[0]
    place = str(folder / program) if os.sep in program else program  # where it has a path, that begins at the folder
    if shutil.which(place) is None:
        raise NoSuchProgram(program=program)


def is_pytest(command: Sequence[str]) -> int:
    """How many of the arguments start pytest; 0 where that is not what is started."""
    for place, word in enumerate(command):
        if Path(word).name in {"pytest", "py.test", "pytest.exe"} and (
            place == 0 or command[place - 1] in {"-m", "run"}
        ):
            return place + 1
    return 0


def _pytest(folder: Path) -> list[str]:
    if not (_says_pytest(folder) or any(_tests(folder))):
        return []
    for name in (".venv", "venv"):
        if (folder / name / "bin" / "pytest").exists():
            return [str(Path(name, "bin", "python")), "-m", "pytest", "-q"]
    return ["pytest", "-q"]


def _says_pytest(folder: Path) -> bool:
    for name, section in _CONFIGURED:
        if (folder / name).is_file() and (not section or _has_section(folder / name, section)):
            return True
    try:
        tools = tomllib.loads(_text(folder / "pyproject.toml")).get("tool", {})
    except tomllib.TOMLDecodeError:
        return False
    return isinstance(tools, dict) and "pytest" in tools


def _has_section(file: Path, section: str) -> bool:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(_text(file))
    except configparser.Error:
        return False
    return parser.has_section(section)


def _tests(folder: Path) -> Iterator[Path]:
    for pattern in _TEST_FILES:
        yield from folder.glob(pattern)


def _cargo(folder: Path) -> list[str]:
    return ["cargo", "test"] if (folder / "Cargo.toml").is_file() else []


def _go(folder: Path) -> list[str]:
    return ["go", "test", "./..."] if (folder / "go.mod").is_file() else []


def _npm(folder: Path) -> list[str]:
    try:
        package = json.loads(_text(folder / "package.json") or "null")
        script = package["scripts"]["test"]
    except (ValueError, KeyError, TypeError):
        return []
    return ["npm", "test"] if isinstance(script, str) and _NO_TESTS_YET not in script else []


def _make(folder: Path) -> list[str]:
    names = ("GNUmakefile", "makefile", "Makefile")
    return ["make", "test"] if any(_TARGET.search(_text(folder / name)) for name in names) else []


def _text(file: Path) -> str:
    """What a file says; nothing where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(_LARGEST).decode(errors="replace")
    except OSError:
        return ""
