"""Tasks that are paid from outside, whatever people, the node and crashes do, in any order: books and node agree at each step.

The coordinator, the books and the simulated node are the real ones. A node that is down does what it was told, or does not, and its
answer is lost; a person bids, delivers and is judged; the chain runs on; what is held is given back behind the hub's back.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.clockwork import Nursery
from adapters.lightning.simulated import SimulatedNode
from adapters.sqlite.writer import Database
from core.chat import Caller, Role
from core.errors import HubError
from core.money import to_msat
from core.swarm.coordinator import Coordinator
from core.swarm.escrow import HoldEscrow
from core.swarm.orders import Order
from core.swarm.roster import Roster
from core.tokens import Identities
from core.wallet import held
from core.wallet.hold import UNPOSTED, State
from core.wallet.invoices import Invoices
from core.wallet.lightning import NodeDown
from core.wallet.node import OwnNode
from core.wallet.reconcile import Reconciler
from tests.blank import blank
from tests.depth import depth
from tests.fakes import FakeClock, FakeIds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.swarm.ports import Delivery
    from core.wallet.lightning import NodeInfo

OWNER, ANN = Caller("console:owner", Role.OWNER), Caller("telegram:5", Role.MEMBER)


class Node(SimulatedNode):
    """`down`: nothing reaches it; `deaf`: what it is told it does, and its answer is lost."""

    blocks = 0
    down = deaf = False

    async def info(self) -> NodeInfo:
        found = await super().info()
        return found._replace(height=found.height + self.blocks)

    async def _do(self, *work: Any, **more: Any) -> Any:
        if self.down:
            raise NodeDown(backend=self.backend, why="it is out of reach")
        found = await super()._do(*work, **more)
        if self.deaf:
            raise NodeDown(backend=self.backend, why="its answer was lost")
        return found


class Nobody:
    """No agent works here: people do."""

    async def ready(self, agent: object) -> str | None:
        return None

    async def appraise(self, agent: object, description: str) -> None:
        return None

    async def work(self, agent: object, task: object) -> Delivery:
        raise AssertionError


class World:
    """One data folder, its node, and whoever is there."""

    def __init__(self, store: Database, node: Node, clock: FakeClock, nursery: Nursery) -> None:
        self.store, self.node, self.clock, self.nursery = store, node, clock, nursery
        self.keys = itertools.count()
        self.ids = FakeIds()

    async def begin(self) -> None:
        """A hub's life."""
        own, roster = OwnNode(self.store, self.node, self.clock), Roster(self.store, ())
        self.people = people = Identities(self.store, self.ids, owners=(), reserved=roster.claims)
        await people.refresh()
        self.coordinator = Coordinator(
            self.store, roster, Nobody(), clock=self.clock, ids=self.ids, spawner=self.nursery, as_now=people.as_now
        )
        self.escrow = HoldEscrow(self.store, own, self.coordinator, people, clock=self.clock, ids=self.ids)
        self.invoices = Invoices(self.store, own, self.clock, lambda tx, one: held.settled(tx, one, people))
        self.reconciler = Reconciler(self.store, own)

    async def do(self, what: str, number: int) -> None:
        """One thing that happens; what is refused changes nothing."""
        orders = await self.store.read(lambda tx: [tx.holds.numbered(one) for one in (1, 2)])
        one = orders[number - 1] or orders[0]
        key, task = f"k{next(self.keys)}", number
        acts: dict[str, Callable[[], Awaitable[object]]] = {
            "order": lambda: self.escrow.order(
                Order(OWNER, "console:owner", "do it", key, budget=to_msat(200), time=3_600_000, only=ANN.actor)
            ),
            "bid": lambda: self.coordinator.bid(ANN, task, 150, eta=None, note="", key=key),
            "deliver": lambda: self.coordinator.deliver(ANN, task, "done", key=key),
            "accept": lambda: self.coordinator.accept(OWNER, task, key=key),
            "reject": lambda: self.coordinator.reject(OWNER, task, "no", key=key),
            "cancel": lambda: self.coordinator.cancel(OWNER, task, key=key),
            "call off": lambda: self.escrow.cancel(OWNER, number, key=key),
            "look": self.escrow.look,
            "restart": self.begin,
        }
        if one is not None and one.bolt11:
            acts |= {
                "pay": lambda: self.node.outside_pays(one.bolt11, one.amount + 5_000 * (number - 1)),
                "let go": lambda: self.node.cancel_invoice(one.payment_hash),
                "told": lambda: self.invoices.look(one.payment_hash),
            }
        with suppress(HubError):
            if what in acts:
                await acts[what]()
        if what in {"up", "down", "deaf"}:
            self.node.down, self.node.deaf = what == "down", what == "deaf"
        if what == "blocks":
            self.node.blocks += 70
            self.clock.advance(31_000)  # who the node is, is asked anew

    async def check(self) -> None:
        """What is held is what the node holds; nothing of it is in a wallet; the node has what the books say."""
        down, deaf, self.node.down, self.node.deaf = self.node.down, self.node.deaf, False, False
        assert (await self.reconciler.compare()).difference == 0
        self.node.down, self.node.deaf = down, deaf

        def look(tx: Any) -> None:
            tx.books.prove()
            accounts = {row.name: row.posted for row in tx.books.accounts()}
            bound = [one for one in tx.holds.unfinished() if one.state in {State.HELD, State.TAKING}]
            assert -accounts.get("node:held:simulated", 0) == sum(one.received for one in bound)
            names = {name for name in accounts if name.startswith("held:") and accounts[name]}
            assert names <= {f"held:{one.task}:{one.payer}" for one in bound}
            outside = sum(posted for name, posted in accounts.items() if name.startswith(("node:", "external")))
            assert outside == -sum(
                posted for name, posted in accounts.items() if not name.startswith(("node:", "external"))
            )

        await self.store.read(look)

    async def ends(self) -> None:
        """Once the node is there again and every task is over, nothing is left in between."""
        self.node.down = self.node.deaf = False
        await self.begin()
        await self.escrow.look()
        for task in await self.store.read(lambda tx: tx.tasks.live()):
            await (self.do("accept", task.id) if task.status == "delivered" else self.do("cancel", task.id))
        for _ in range(3):
            await self.escrow.look()
        left = await self.store.read(lambda tx: [one for one in tx.holds.unfinished() if one.state not in UNPOSTED])
        assert left == []
        await self.check()


WHAT = ("order", "pay", "look", "bid", "deliver", "accept", "reject", "cancel", "call off", "let go", "blocks", "restart",
        "up", "down", "deaf", "told")  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(WHAT), st.integers(1, 2)), max_size=14)
TASK = [("order", 1), ("pay", 1), ("look", 1), ("bid", 1)]
BEGUN = st.sampled_from(
    [
        [],
        [("order", 1), ("pay", 2), ("look", 1)],
        TASK,
        [*TASK, ("deliver", 1)],
        [*TASK, ("deliver", 1), ("accept", 1)],
        [*TASK, ("deliver", 1), ("accept", 1), ("let go", 1)],
    ]
)


async def _lives(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        clock, folder = FakeClock(), Path(name)
        node = Node(folder / "node.db", clock, FakeIds("node"))
        async with Database.open(blank(folder / "hub.db"), clock) as store, Nursery() as nursery:
            await store.write(lambda tx: tx.tokens.give(ANN.actor, Role.MEMBER, "", tx.now))
            world = World(store, node, clock, nursery)
            await world.begin()
            await OwnNode(store, node, clock).verified()
            for step in steps:
                await world.do(*step)
                await world.check()
            await world.ends()
        await node.close()


@pytest.mark.deep
@settings(max_examples=depth(5, 600), deadline=None)
@given(begun=BEGUN, steps=STEPS)
def test_the_books_and_the_node_agree_whatever_happens(
    begun: list[tuple[str, int]], steps: list[tuple[str, int]]
) -> None:
    asyncio.run(_lives([*begun, *steps]))
