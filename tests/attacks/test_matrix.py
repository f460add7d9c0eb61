"""Every attack over every surface, through a whole hub: none works. And each works once what holds it is taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.attacks import A
from tests.attacks.defences import D
from tests.attacks.page import DEEP, cells
from tests.attacks.surfaces import NAMED
from tests.attacks.world import MARK, world

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.attacks.attacks import Attack
    from tests.attacks.surfaces import Surface


OFTEN = [cell for cell in cells() if (cell[0].name, cell[1].name) in {
    ("pay a person", "a file"), ("agree in its person's place", "the model itself"),
    ("write after it has read", "a group's memory"),
    ("send what it read in an address", "a web page"), ("read through a link", "an MCP server's result"),
}]  # fmt: skip
"""Cells that `make test` tries too."""


async def attacked(
    folder: Path, patch: pytest.MonkeyPatch, attack: Attack, surface: Surface, without: Sequence[str]
) -> bool:
    """Whether an attack works over a surface, in a hub without some defences."""
    for name in without:
        D[name].off(patch)
    async with world(folder, patch, agents=surface.agents) as w:
        for name in without:
            D[name].inside(w)
        await attack.before(w)
        way = await surface.plant(w, attack.planted)
        w.plays([*way.lead, *attack.moves(w)], attack.end)
        await way.go()
        await w.rest()
        if attack.agrees and w.questions:
            await w.agrees()
            await w.rest()
        await attack.after(w)
        if surface.reaches and not without:
            assert MARK in w.given
        if not surface.reaches:
            assert MARK not in w.given
        return attack.worked(w)


@pytest.mark.parametrize(("attack", "surface"), [
    pytest.param(*cell, id=f"{cell[0].name}-{cell[1].name}", marks=() if cell in OFTEN else pytest.mark.long) for cell in cells()
])  # fmt: skip
async def test_none_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Attack, surface: Surface) -> None:
    assert not await attacked(tmp_path, monkeypatch, attack, surface, ())


def shown_on(attack: Attack) -> Surface:
    return NAMED[attack.on[0] if attack.on else "a file"]


@pytest.mark.long
@pytest.mark.parametrize("attack", [pytest.param(one, id=one.name) for one in A])
async def test_it_works_once_its_defences_are_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Attack
) -> None:
    assert await attacked(tmp_path, monkeypatch, attack, shown_on(attack), attack.defences)


@pytest.mark.long
@pytest.mark.parametrize(("attack", "left"), [pytest.param(one, left, id=f"{one.name}-{left}") for one, left in DEEP])
async def test_each_of_several_defences_holds_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Attack, left: str
) -> None:
    out = [name for name in attack.defences if name != left]
    assert not await attacked(tmp_path, monkeypatch, attack, shown_on(attack), out)
