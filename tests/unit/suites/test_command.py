"""How a project's tests are run, by what lies in its folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from adapters.suites.command import NoSuchProgram, NoTestCommand, check, found, in_a_box, is_pytest

if TYPE_CHECKING:
    from pathlib import Path

PYTEST = ["pytest", "-q"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pytest.ini": ""}, PYTEST),
        ({"pyproject.toml": "[tool.pytest.ini_options]"}, PYTEST),
        ({"setup.cfg": "[tool:pytest]\na=1\na=2"}, PYTEST),
        ({"tox.ini": "[pytest]"}, PYTEST),
        ({"conftest.py": ""}, PYTEST),
        ({"test_a.py": ""}, PYTEST),
        ({"tests/deep/a_test.py": "", "Makefile": "test:\n"}, PYTEST),
        ({"test_a.py": "", ".venv/bin/pytest": ""}, [".venv/bin/python", "-m", "pytest", "-q"]),
        ({"Cargo.toml": ""}, ["cargo", "test"]),
        ({"go.mod": "", "Makefile": "test:\n"}, ["go", "test", "./..."]),
        ({"package.json": '{"scripts": {"test": "vitest run"}}'}, ["npm", "test"]),
        ({"Makefile": "all:\n\ntest : all\n\ttrue\n"}, ["make", "test"]),
        ({"pyproject.toml": "[tool.pytest", "tox.ini": "[pytest", "GNUmakefile": "test:"}, ["make", "test"]),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, None),
        ({"package.json": "[1"}, None),
        ({"package.json": "[]"}, None),
        ({"Makefile": "test := 1\nlatest: all\n"}, None),
        ({"pyproject.toml": "tool = 1"}, None),
        ({"setup.cfg": "[metadata]", "tox.ini": "[tox]"}, None),
        ({}, None),
    ],
)
def test_the_folder_says_how(files: dict[str, str], expected: list[str] | None, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    if expected is None:
        with pytest.raises(NoTestCommand, match="Say it"):
            found(tmp_path)
    else:
        assert found(tmp_path) == expected


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("pytest -q", 1),
        (".venv/bin/pytest", 1),
        (".venv/bin/python -m pytest -q", 3),
        ("uv run pytest", 3),
        ("grep pytest", 0),
        ("make test", 0),
    ],
)
def test_pytest_is_known_where_it_is_what_is_started(command: str, words: int) -> None:
    assert is_pytest(command.split()) == words


def test_what_cannot_be_started_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    for program in ("no-such-program", "./no-such-program", "./plain", "/nowhere/at/all"):
        with pytest.raises(NoSuchProgram, match=program):
            check([program], tmp_path)
    (tmp_path / "plain").chmod(0o755)
    check(["./plain"], tmp_path)
    check([sys.executable], tmp_path)


def test_in_a_container_pytest_is_a_module_and_nothing_of_this_machine_is_started(tmp_path: Path) -> None:
    assert in_a_box(tmp_path) == []
    (tmp_path / "Makefile").write_text("test:\n\ttrue\n")
    assert in_a_box(tmp_path) == ["make", "test"]
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/pytest").touch()
    (tmp_path / "test_it.py").touch()
    assert in_a_box(tmp_path) == ["python3", "-m", "pytest", "-q"]
