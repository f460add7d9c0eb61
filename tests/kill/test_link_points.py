"""A crash at every unit of work of a link that brings sats: both are there in the end, once, or there is nothing to be seen yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.chat import Inbound, Role
from core.pairing import HOUR_MS, code_digest
from core.wallet.ledger import EXTERNAL, transfer, user_account
from tests.depth import depth
from tests.fakes import EPOCH
from tests.kill.crash import Fate
from tests.kill.story import Story, calmly, crashed
from tests.scenario.bot import rows, settings

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from config.settings import Settings

ANN, BOB, CODE = "telegram:1", "telegram:2", "ABCD2345"
LINES = (f"/link {CODE}", "/approve A-1", "/whoami", f"/unlink {BOB}")
HEARD = """
SELECT EXISTS (SELECT 1 FROM inbound WHERE update_id = ? AND done = 1)
   AND NOT EXISTS (SELECT 1 FROM inbound WHERE done = 0) AND NOT EXISTS (SELECT 1 FROM approval WHERE state = 'approved')
"""
LINKING = ("Links.", "Approvals.", "Dispatcher._answer")


def _begin(tx: UnitOfWork) -> None:
    """Ann and Bob are let in, each has sats, and Ann has got a code."""
    for actor, sats in ((ANN, 300), (BOB, 70)):
        tx.tokens.give(actor, Role.MEMBER, "", tx.now)
        entry = transfer(
            f"to {actor}", "grant", EXTERNAL, user_account(actor), sats * 1000, task=None, actor="hub", reason=""
        )
        tx.ledger.append(entry)
    tx.links.add(code_digest(CODE), ANN, EPOCH + HOUR_MS)


class LinkStory(Story):
    """Bob's messages come again in each life, under their names."""

    facts: dict[str, str] = {  # noqa: RUF012 - a constant
        **Story.facts,
        "links": "SELECT actor, account FROM link",
        "codes": "SELECT * FROM link_code",
        "wrong": "SELECT * FROM pairing_failure",
        "events": "SELECT kind, data FROM event ORDER BY kind, data",
        "told": "SELECT conversation, body ->> '$.text' FROM outgoing WHERE cause IS NULL ORDER BY id",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, LINES)
        self.said = [f"{number}" for number in range(len(LINES))]

    def settings(self) -> Settings:
        """See `Story`."""
        return settings(self.folder)

    async def _live(self, fate: Fate) -> None:
        async with self._hub() as (app, clock):
            if not await app.store.read(lambda tx: tx.tokens.people()):
                await app.store.write(_begin)
            await app.hub.identities.refresh()
            for name, line in zip(self.said, self.lines, strict=True):
                await app.dispatcher.receive(Inbound("telegram", "x", name, BOB, BOB, line, home=BOB))
                await self._until(app, fate, clock, HEARD, name)

    def amiss(self) -> None:
        """See `Story`: nobody is shown anything here."""


@pytest.mark.deep
@pytest.mark.kill
@pytest.mark.timeout(120)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_every_unit_of_work_of_a_link(tmp_path: Path, when: str) -> None:
    calm = LinkStory(tmp_path / "calm")
    met = await calmly(calm, 20)
    assert (f"user:{ANN}", 370_000, 0) in calm.ended["accounts"]
    assert {kind for kind, _ in calm.ended["events"]} >= {"ActorLinked", "ActorUnlinked"}
    points = [point for point in met if point.startswith(LINKING)]
    assert {point.partition(" ")[0] for point in points} >= {
        "Links.join",
        "Links.carry",
        "Links.unlink",
        "Approvals.settle",
    }
    wrong = {}
    for number, point in enumerate(points[:: depth(6, 1)]):
        story, fate = LinkStory(tmp_path / f"{number}"), Fate(frozenset({f"{when} {point}"}))
        await story.live(fate)
        assert fate.dead, f"{point} never came"
        moved, linked = rows(
            story.settings(),
            "SELECT (SELECT count(*) FROM txn WHERE kind = 'link'), (SELECT count(*) FROM event WHERE kind = 'ActorLinked')",
        )[0]
        assert moved == linked, f"{when} {point}: one without the other"
        wrong[point] = await crashed(story, calm)
    assert {point: what for point, what in wrong.items() if what} == {}
