"""A crash at every unit of work between what comes in quiet hours and its being told: it is told in the end, once, together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.chat import Inbound, Role
from core.wallet.ledger import EXTERNAL, transfer, user_account
from tests.kill.story import Story, calmly, crashed
from tests.scenario.bot import settings

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from config.settings import Settings
    from tests.kill.crash import Fate

ANN, BOB = "telegram:1", "telegram:2"
NIGHT = round(datetime(2026, 6, 1, 23, 0, tzinfo=UTC).timestamp() * 1000)
LINES = (
    (BOB, "/notify quiet 22:00-07:00"), (ANN, f"/pay {BOB} 1"), (ANN, f"/pay {BOB} 2"), (ANN, f"/pay {BOB} 3"),
)  # fmt: skip
HEARD = """
SELECT EXISTS (SELECT 1 FROM inbound WHERE update_id = ? AND done = 1) AND NOT EXISTS (SELECT 1 FROM inbound WHERE done = 0)
"""
HELD = "SELECT (SELECT count(*) FROM held_notice) = 3 OR EXISTS (SELECT 1 FROM outgoing WHERE cause IS NULL)"
OVER = "SELECT NOT EXISTS (SELECT 1 FROM held_notice) AND EXISTS (SELECT 1 FROM outgoing WHERE cause IS NULL)"


def _begin(tx: UnitOfWork) -> None:
    """Ann and Bob are let in, and Ann has sats."""
    for actor in (ANN, BOB):
        tx.tokens.give(actor, Role.MEMBER, "", tx.now)
    tx.ledger.append(
        transfer("grant", "grant", EXTERNAL, user_account(ANN), 300_000, task=None, actor="hub", reason="")
    )


class NightStory(Story):
    """Bob sleeps, and Ann pays him."""

    starts = NIGHT
    facts: dict[str, str] = {  # noqa: RUF012 - a constant
        **Story.facts,
        "told": "SELECT conversation, body ->> '$.text' FROM outgoing WHERE cause IS NULL ORDER BY id",
        "held": "SELECT * FROM held_notice",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, LINES)
        self.said = [f"{number}" for number in range(len(LINES))]

    def settings(self) -> Settings:
        """See `Story`."""
        return settings(self.folder).model_copy(update={"timezone": "UTC"})

    async def _live(self, fate: Fate) -> None:
        async with self._hub() as (app, clock):
            if not await app.store.read(lambda tx: tx.tokens.people()):
                await app.store.write(_begin)
            await app.hub.identities.refresh()
            for name, (who, line) in zip(self.said, self.lines, strict=True):
                await app.dispatcher.receive(Inbound("telegram", "x", name, who, who, line, home=who))
                await self._until(app, fate, clock, HEARD, name)
            await self._until(app, fate, clock, HELD)
            clock.advance(8 * 3_600_000)
            await self._until(app, fate, clock, OVER)

    def amiss(self) -> str | None:
        """See `Story`."""
        ((where, text),) = self.ended["told"]
        lines = [f"23:00  {ANN} paid you {sats} simulated sat{'s' if sats > 1 else ''}" for sats in (1, 2, 3)]
        together = text.startswith("3 messages came while it was quiet\n") and all(line in text for line in lines)
        return None if where == BOB and together else f"{where} was told {text}"


@pytest.mark.kill
@pytest.mark.parametrize("when", ["after", pytest.param("before", marks=pytest.mark.long)])
async def test_a_crash_as_the_night_ends(tmp_path: Path, when: str) -> None:
    calm = NightStory(tmp_path / "calm")
    assert "Notices._look 1" in await calmly(calm, 8)
    story = NightStory(tmp_path / "crashed")
    assert await crashed(story, calm, f"{when} Notices._look 1") is None
    assert story.deaths == 1


@pytest.mark.long
@pytest.mark.kill
@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_every_unit_of_work_of_a_night(tmp_path: Path, when: str) -> None:
    calm = NightStory(tmp_path / "calm")
    points = [one for one in await calmly(calm, 8) if one.startswith(("Notices.", "Pump.", "Dispatcher._answer"))]
    assert {point.partition(" ")[0] for point in points} >= {"Notices._look", "Notices.set_hours", "Pump._some"}
    wrong, deaths = {}, 0
    for number, point in enumerate(points):
        story = NightStory(tmp_path / f"{number}")
        wrong[point] = await crashed(story, calm, f"{when} {point}")
        deaths += story.deaths
    assert {point: what for point, what in wrong.items() if what} == {}
    assert deaths > len(points) // 2, "some points do or do not come, as the loop has it"
