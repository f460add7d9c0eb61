"""What pytest's report says (`--junitxml`, the JUnit format as pytest writes it): which tests failed, and why, in a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 65_536
_LONGEST = 100_000
"""Characters of a failure's text that are kept, the last ones: what went wrong stands at its end."""

_FAILED = frozenset({"failure", "error"})


class Report(NamedTuple):
    """How many tests there were, and the ones that failed, by the name under which pytest runs one, with a reason."""

    tests: int
    failed: dict[str, str]


def read(file: Path, folder: Path) -> Report | None:
    """A report on tests of `folder`; None where there is none, or none that is whole."""
    reader = _Reader(folder)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = _refuse
    try:
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                parser.Parse(block, False)
        parser.Parse(b"", True)
    except (OSError, expat.ExpatError, _EntityFound):
        return None
    return Report(reader.tests, reader.failed)


class _EntityFound(Exception):
    """A report declares entities: pytest's have none, and they can be made to grow without end."""


def _refuse(*_: object) -> None:
    raise _EntityFound


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tests = 0
        self.failed: dict[str, str] = {}
        self._name = ""
        self._why: str | None = None
        self._text: str | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "testcase":
            self.tests += 1
            self._name = self._named(attributes.get("classname", ""), attributes.get("name", ""))
        elif tag in _FAILED and self._name:
            self._why, self._text = attributes.get("message", ""), ""

    def text(self, piece: str) -> None:
        if self._text is not None:
            self._text = (self._text + piece)[-_LONGEST:]

    def end(self, tag: str) -> None:
        if tag in _FAILED and self._text is not None:
            self.failed.setdefault(self._name, _reason(self._why or "", self._text))
            self._text = None

    def _named(self, classname: str, name: str) -> str:
        """The JUnit format knows classes; pytest's names begin with the file. A file that could not be read is named alone."""
        parts = [*classname.split("."), name] if classname else [name]
        for count in range(len(parts) - bool(classname), 0, -1):
            file = "/".join(parts[:count]) + ".py"
            if (self._folder / file).is_file():
                return "::".join([file, *parts[count:]])
        file = name.replace(".", "/") + ".py"
        return file if not classname and (self._folder / file).is_file() else "::".join(filter(None, (classname, name)))


def _reason(message: str, text: str) -> str:
    """What went wrong, in a line. pytest marks the lines of an error with E; of a file that it cannot read it says no more."""
    if message == "collection failure" or message.startswith("failed on "):
        marked = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
        message = marked[-1] if marked else message
    return next((line.strip() for line in message.splitlines() if line.strip()), "")
