"""A crash at every unit of work, and before and after every order to the node, of tasks that are paid from outside.

One task is done and its sats are taken, another is called off and its sats go back. The node and the payer outlive every hub.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from adapters.lightning.simulated import SimulatedNode
from adapters.lightning.simulated_file import START
from bot.subscriptions import NOTIFIED
from core.chat import Inbound, Role
from core.wallet.lightning import NodeDown, NodeRefused
from tests.depth import first as first_of
from tests.fakes import FakeIds
from tests.kill.story import Story, calmly, crashed, first
from tests.scenario.bot import rows, settings

if TYPE_CHECKING:
    from pathlib import Path

    from bot.app import App
    from config.settings import Settings
    from tests.kill.crash import Fate

ANN = "telegram:1"
LINES = (
    "/task find the answer max=200 escrow=hold",
    "/task write about it max=100 pick=ask escrow=hold",
    "/cancel T-2",
)
QUIET = """
SELECT (SELECT count(*) FROM hold_invoice) >= ? AND EXISTS (SELECT 1 FROM inbound WHERE update_id = ? AND done = 1)
   AND NOT EXISTS (SELECT 1 FROM inbound WHERE done = 0)
   AND NOT EXISTS (SELECT 1 FROM hold_invoice WHERE state IN ('asking', 'open', 'taking', 'giving'))
   AND NOT EXISTS (SELECT 1 FROM task WHERE status IN ('open', 'awarded', 'running'))
   AND NOT EXISTS (SELECT 1 FROM event, cursor WHERE handler = 'notify' AND id > event AND kind IN ({kinds}))
""".format(kinds=", ".join(f"'{kind}'" for kind in sorted(NOTIFIED)))  # noqa: S608 - constants
ORDERS = frozenset({"ask", "settle", "cancel"})
"""What changes something at the node."""


class MortalNode(SimulatedNode):
    """The node as a hub with a `fate` reaches it: a dead hub's orders do not arrive, and it hears no answer."""

    fate: Fate

    async def _do(self, work: Any, *args: Any, **more: Any) -> Any:
        fate, name = self.fate, getattr(work, "__name__", "")
        names = [fate.name(f"node {name}")] if name in ORDERS and not fate.dead else []
        if fate.dead or fate.strikes("before", names):
            raise NodeDown(backend="simulated", why="its hub is dead")
        found = await super()._do(work, *args, **more)
        if fate.strikes("after", names):
            raise NodeDown(backend="simulated", why="its hub is dead")
        return found


class HoldStory(Story):
    """Ann's messages come again in each life, under their names."""

    pace = 500
    facts: dict[str, str] = {  # noqa: RUF012 - a constant
        **{name: query for name, query in Story.facts.items() if name not in {"answers", "turns"}},
        "entries": "SELECT kind, task FROM txn ORDER BY kind, task",
        "orders": "SELECT state, task, received FROM hold_invoice ORDER BY id",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, LINES)
        self.said = [f"{number}" for number in range(len(LINES))]

    def settings(self) -> Settings:
        """See `Story`."""
        return settings(self.folder, grant=0)

    async def _live(self, fate: Fate) -> None:
        found = self.settings()
        found.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        node = MortalNode(found.data_dir / "node.db", self._clock, FakeIds(f"node {len(self.lives)}"))
        node.fate = fate
        try:
            async with self._hub(node=node) as (app, clock):
                node._clock = clock
                await app.store.write(lambda tx: tx.tokens.give(ANN, Role.MEMBER, "", tx.now))
                await app.hub.identities.refresh()
                for number, (name, line) in enumerate(zip(self.said, self.lines, strict=True), 1):
                    await app.dispatcher.receive(Inbound("telegram", "x", name, ANN, ANN, line, home=ANN))
                    await self._quiet(app, node, min(number, 2), name)
        finally:
            await node.close()

    async def _quiet(self, app: App, node: MortalNode, count: int, name: str) -> None:
        """Wait until all has come of it that can; whoever pays does so at once."""
        while not node.fate.dead:
            unpaid, (true,) = await app.store.read(
                lambda tx: (
                    [one.bolt11 for one in tx.holds.unfinished() if one.state == "open"],
                    tx._connection.execute(QUIET, (count, name)).fetchone(),
                )
            )
            if true:
                return
            for bolt11 in unpaid:
                with suppress(NodeRefused, NodeDown):
                    await node.outside_pays(bolt11)
            self.pass_time(app, self._clock)

    def amiss(self) -> str | None:
        """See `Story`: the node has what the books say, and has taken each payment once."""
        with closing(sqlite3.connect(self.settings().data_dir / "node.db")) as node:
            moved = [amount for (amount,) in node.execute("SELECT amount FROM movement ORDER BY id")]
            stands = sorted(state for (state,) in node.execute("SELECT state FROM invoice WHERE state <> 'open'"))
        (books,) = rows(self.settings(), "SELECT -posted FROM account WHERE name = 'node:simulated'")[0]
        if moved != [START, 200_000] or books != sum(moved):
            return f"the node moved {moved}, and the books say {books}"
        return None if stands == ["cancelled", "settled"] else f"at the node: {stands}"


OWN = ("HoldEscrow.", "Coordinator.", "node ", "Invoices.", "Attempts.")


@pytest.mark.kill
@pytest.mark.parametrize("when", first_of(1, ["after", "before"]))
async def test_a_hub_that_dies_at_each_kind_of_point_of_held_payments_one_after_another(
    tmp_path: Path, when: str
) -> None:
    calm = HoldStory(tmp_path / "calm")
    kinds = [point for point in first(await calmly(calm, 15)) if point.startswith(OWN)]
    assert {point.partition(" ")[0] for point in kinds} >= {"HoldEscrow._prepared", "HoldEscrow._book", "node"}
    story = HoldStory(tmp_path / when)
    assert await crashed(story, calm, *(f"{when} {point}" for point in kinds)) is None
    assert story.deaths >= 5, "it saw the points"


@pytest.mark.kill_sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_every_point_of_held_payments(tmp_path: Path, when: str) -> None:
    calm = HoldStory(tmp_path / "calm")
    wrong, died = {}, 0
    for number, point in enumerate(await calmly(calm, 15)):
        story = HoldStory(tmp_path / str(number))
        wrong[point] = await crashed(story, calm, f"{when} {point}")
        died += story.deaths
    assert died > len(wrong) * 0.7, "it saw the points"
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}
