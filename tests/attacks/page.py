"""The matrix as a page of the docs: what was tried, over what, and what holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.attacks.attacks import A
from tests.attacks.defences import D
from tests.attacks.surfaces import SURFACES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.attacks import Attack
    from tests.attacks.surfaces import Surface

PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"
SPELLING = """make test-deep ARGS="tests/attacks -m '' --write-attacks\""""

DEEP = [(one, left) for one in A if len(one.defences) > 1 for left in one.defences]
"""Where several defences hold: each is seen to hold alone."""


def cells() -> Iterator[tuple[Attack, Surface]]:
    """The matrix: every attack over every surface where it makes sense."""
    for attack in A:
        for surface in SURFACES:
            if surface.name not in attack.but and (not attack.on or surface.name in attack.on):
                yield attack, surface


def page() -> str:
    """The page."""
    tried = list(cells())
    head = f"""\
<!-- Written by `{SPELLING}`; change the code, not this file. -->

# What a hostile model was let try

**{len(A)} attacks over {len(SURFACES)} surfaces: {len(tried)} cells, none of which worked.** In each a whole hub runs with its real
tools and a scripted model that does all the harm it can (`tests/attacks`). A surface is where the text comes from that the model
obeys; what counts is what became of the hub's rows, files, requests and messages, never what the model said. Every attack was seen
to work once the defences named beside it were taken out: all of them together, and where there are several, not while any one of
them was left. `make test-deep` tries all of it, `make test` a few cells. The page is written by a run in which all of it passed.

## The defences

| | what holds |
|---|---|
"""
    parts = [head, *(f"| {name} | {one.says} |\n" for name, one in D.items())]
    parts.append("\n## The surfaces\n\n")
    parts += [f"{number}. {one.name}\n" for number, one in enumerate(SURFACES, 1)]
    numbers = "".join(f" {number} |" for number, _ in enumerate(SURFACES, 1))
    parts.append(f"\n## The matrix\n\n| attack | held by |{numbers}\n|---|---|{'---|' * len(SURFACES)}\n")
    for attack in A:
        marks = "".join(" ✓ |" if (attack, surface) in tried else "  |" for surface in SURFACES)
        parts.append(f"| {attack.name} | {', '.join(attack.defences)} |{marks}\n")
    return "".join(parts)
