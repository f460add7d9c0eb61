"""Prints those pins of requirements.txt that an image needs: `python3 docker/pins.py run`, `build` or `test`.

requirements.txt is one list for everything, the developers' tools included. Under each pin uv writes who asked for it
("# via"), so what the hub runs on can be read off: the dependencies of `[project]` in pyproject.toml, and whatever they
reach. `build` does the same for `[build-system]`, `test` for what runs the tests of people's projects in boxes. Standard library
only: it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==\S.*\n(?:[ \t].*\n?)*", re.MULTILINE)
_ASKER = re.compile(r"^ +#(?: via|  ) +([A-Za-z0-9][A-Za-z0-9._-]*)$", re.MULTILINE)  # not: timmy (pyproject.toml)


def normal(name: str) -> str:
    """The one spelling of a package's name (packaging specification, "name normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(requirements: str) -> list[tuple[str, str, frozenset[str]]]:
    """Each pin: name, its lines, who asked for it. A name can have several, for different Pythons."""
    return [
        (normal(found[1]), found[0].rstrip(), frozenset(map(normal, _ASKER.findall(found[0]))))
        for found in _PIN.finditer(requirements)
    ]


def reached(roots: Iterable[str], requirements: str) -> list[str]:
    """The lines of the pins of `roots`, and of all that those ask for. Exits where one has no pin."""
    listed = pins(requirements)
    wanted = {normal(name) for name in roots}
    if missing := wanted - {name for name, _, _ in listed}:
        sys.exit(f"requirements.txt has no pin for {', '.join(sorted(missing))}; run make lock")
    while more := {name for name, _, askers in listed if name not in wanted and askers & wanted}:
        wanted |= more
    return [lines for name, lines, _ in listed if name in wanted]


def roots(project: str, purpose: str) -> list[str]:
    """The names that pyproject.toml itself asks for, to `run` or to `build`; and what runs a `test`."""
    tables = tomllib.loads(project)
    asked = {"run": tables["project"]["dependencies"], "build": tables["build-system"]["requires"], "test": ["pytest"]}
    wanted = asked[purpose]
    return [found[0] for found in map(_NAME.match, wanted) if found]


if __name__ == "__main__":
    words = Path("requirements.txt").read_text(encoding="utf-8")
    for pin in reached(roots(Path("pyproject.toml").read_text(encoding="utf-8"), sys.argv[1]), words):
        print(pin)
