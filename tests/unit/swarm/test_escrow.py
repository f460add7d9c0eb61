"""Orders that are paid from outside, when things come late, twice, at once, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from adapters.lightning.simulated import SimulatedNode
from adapters.sqlite.writer import Database
from bot import views_escrow
from core.chat import Caller, Proxy, Role
from core.errors import Unavailable
from core.events import Kind
from core.money import MAX_SATS, to_msat
from core.swarm.escrow import MOST_WAITING, CannotBe, HoldEscrow, NotFromDevice, TooManyWaiting
from core.swarm.orders import Order, Rules
from core.tokens import Identities, NotAsYouWere
from core.wallet import held
from core.wallet.hold import EXPIRY_SECONDS, GRACE_MS, State
from core.wallet.lightning import NodeBehind, NodeDown, NodeRefused
from core.wallet.node import OwnNode
from tests.blank import blank
from tests.fakes import FakeClock, FakeIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from core.wallet.hold import HoldInvoice
    from core.wallet.lightning import NodeInfo, NodeInvoice

OWNER = Caller("console:owner", Role.OWNER)


@dataclass
class Desk:
    """Takes what the coordinator would: `meanwhile` happens in the moment before a task is posted."""

    rules: Rules = field(default_factory=Rules)
    meanwhile: Callable[[], Awaitable[object]] | None = None
    posted: list[Order] = field(default_factory=list)
    store: Any = None

    async def examine(self, order: Order) -> Order:
        return order

    async def post(self, order: Order, *, fund: Any) -> None:
        if self.meanwhile is not None:
            await self.meanwhile()
        self.posted.append(await self.store.write(lambda tx: fund(tx, order)))

    async def run_out(self, number: int, why: str, *, gone: bool) -> None:
        raise AssertionError


@dataclass
class Bench:
    """The service on real books and a simulated node."""

    store: Database
    node: SimulatedNode
    clock: FakeClock
    desk: Desk
    escrow: HoldEscrow

    async def order(self, key: str = "k", caller: Caller = OWNER) -> HoldInvoice:
        return await self.escrow.order(Order(caller, "console:owner", "find it", key, budget=to_msat(200)))

    async def now(self, one: HoldInvoice) -> HoldInvoice:
        found = await self.store.read(lambda tx: tx.holds.find(one.payment_hash))
        assert found is not None
        return found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Bench]:
    clock = FakeClock()
    node = SimulatedNode(folder / "node.db", clock, FakeIds("node"))
    async with Database.open(blank(folder / "hub.db"), clock) as store:
        own, ids = OwnNode(store, node, clock), FakeIds()
        desk = Desk(store=store)
        identities = Identities(store, ids, owners=(), reserved=lambda _: False)
        await identities.refresh()
        escrow = HoldEscrow(store, own, desk, identities, clock=clock, ids=ids)  # type: ignore[arg-type]
        yield Bench(store, node, clock, desk, escrow)
    await node.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with running(tmp_path) as bench:
        yield bench


async def test_an_order_said_twice_at_once_is_one(bench: Bench) -> None:
    first, second = await asyncio.gather(bench.order(), bench.order())
    assert first == second
    assert await bench.order() == first
    assert first.state is State.OPEN


async def test_a_device_orders_nothing_that_is_paid_from_outside(bench: Bench) -> None:
    with pytest.raises(NotFromDevice):
        await bench.order(caller=OWNER._replace(proxy=Proxy("console:owner", "console:owner", 200)))


async def test_few_orders_wait_at_a_time(bench: Bench) -> None:
    for number in range(MOST_WAITING):
        await bench.order(f"k{number}")
    with pytest.raises(
        TooManyWaiting,
        match=r"10 orders that wait to be paid: 1, 2, .*, 10\. Pay one, or call one off: /cancel order=1\. ",
    ):
        await bench.order("one more")


async def test_a_node_that_makes_no_invoice_leaves_no_order(bench: Bench) -> None:
    async def refuse(*_: Any) -> None:
        raise NodeRefused(backend="simulated", why="not today")

    bench.node.create_hold = refuse  # type: ignore[assignment]
    with pytest.raises(NodeRefused, match="not today"):
        await bench.order()
    one = await bench.order()
    assert (one.state, one.bolt11) == (State.GIVING, "")
    await bench.escrow.look()
    assert (await bench.now(one)).state is State.GIVEN


async def test_an_order_that_the_node_does_not_answer_for_holds_up_no_other(bench: Bench) -> None:
    odd, other = await bench.order("odd"), await bench.order("other")
    await bench.node.outside_pays(other.bolt11)
    real = bench.node.lookup
    asked: list[bytes] = []
    silent = {odd.payment_hash}

    async def lookup(payment_hash: bytes) -> NodeInvoice | None:
        asked.append(payment_hash)
        if payment_hash in silent:
            raise NodeDown(backend="simulated", why="its answer cannot be read")
        return await real(payment_hash)

    bench.node.lookup = lookup  # type: ignore[method-assign]
    await bench.escrow.look()
    assert ((await bench.now(odd)).state, (await bench.now(other)).state) == (State.OPEN, State.HELD)
    asked.clear()
    for _ in range(60):
        bench.clock.advance(2_000)
        await bench.escrow.look()
    assert (asked.count(other.payment_hash), 4 <= asked.count(odd.payment_hash) <= 8) == (60, True), (
        "it is asked less and less"
    )
    silent.clear()
    bench.clock.advance(60_000)
    await bench.escrow.look()
    asked.clear()
    bench.clock.advance(2_000)
    await bench.escrow.look()
    assert asked == [odd.payment_hash, other.payment_hash], "it answers again"


async def test_after_no_answer_what_counts_is_where_the_node_is_now(bench: Bench) -> None:
    odd, other = await bench.order("odd"), await bench.order("other")
    await bench.node.outside_pays(other.bolt11)
    real = bench.node.lookup
    info = await bench.node.info()

    async def lookup(payment_hash: bytes) -> NodeInvoice | None:
        if payment_hash != odd.payment_hash:
            return await real(payment_hash)
        bench.node.info = behind  # type: ignore[method-assign]
        raise NodeDown(backend="simulated", why="it starts anew")

    async def behind() -> NodeInfo:
        return info._replace(synced=False)

    bench.node.lookup = lookup  # type: ignore[method-assign]
    await bench.escrow.look()
    assert (await bench.now(other)).state is State.OPEN


async def test_a_node_that_answers_for_nothing_is_asked_once(bench: Bench) -> None:
    asked = []

    async def down(*what: Any) -> Any:
        asked.append(what)
        raise NodeDown(backend="simulated", why="it sleeps")

    for key in ("one", "two"):
        await bench.order(key)
    bench.node.lookup = bench.node.info = down  # type: ignore[assignment]
    with pytest.raises(NodeDown):
        await bench.escrow.look()
    assert [len(what) for what in asked] == [1, 0], "an order, and then who it is"


async def test_what_a_crash_left_without_an_invoice_is_called_off_in_time(bench: Bench) -> None:
    class Crash(Exception):
        pass

    async def crash(*_: Any) -> None:
        raise Crash

    bench.node.create_hold = crash  # type: ignore[assignment]
    with pytest.raises(Crash):
        await bench.order()
    (one,) = await bench.escrow.look()
    assert (await bench.now(one)).state is State.ASKING, "whoever said it may say it again"
    bench.clock.advance(EXPIRY_SECONDS * 1000 + GRACE_MS + 1)
    for state in (State.GIVING, State.GIVEN):
        await bench.escrow.look()
        assert (await bench.now(one)).state is state


async def test_a_node_that_is_behind_the_chain_holds_nothing_anew(bench: Bench) -> None:
    one, info = await bench.order(), bench.node.info

    async def behind() -> NodeInfo:
        return (await info())._replace(synced=False)

    bench.node.info = behind  # type: ignore[method-assign]
    bench.clock.advance(60_000)
    with pytest.raises(NodeBehind):
        await bench.order("another")
    await bench.node.outside_pays(one.bolt11)
    await bench.escrow.look()
    assert ((await bench.now(one)).state, bench.desk.posted) == (State.OPEN, []), (
        "for how long it can be held is not known"
    )
    bench.node.info = info  # type: ignore[method-assign]
    bench.clock.advance(60_000)
    await bench.escrow.look()
    assert (await bench.now(one)).state is State.HELD


async def test_an_order_called_off_in_the_moment_it_is_posted_is_not(bench: Bench) -> None:
    one = await bench.order()
    await bench.node.outside_pays(one.bolt11)
    bench.desk.meanwhile = lambda: bench.escrow.cancel(OWNER, one.id, key="c")
    await bench.escrow.look()
    assert bench.desk.posted == []
    await bench.escrow.look()
    assert (await bench.now(one)).state is State.GIVEN
    assert (await bench.escrow.cancel(OWNER, one.id, key="c")).state is State.GIVEN, "said twice"
    booked = await bench.store.read(lambda tx: [row.name for row in tx.books.accounts()])
    assert not any("held" in name for name in booked), "no sat was booked"


@pytest.mark.parametrize("trouble", [NotAsYouWere(), Unavailable(why="the disk is full")])
async def test_what_cannot_be_posted_for_a_moment_is_posted_later(bench: Bench, trouble: Exception) -> None:
    one = await bench.order()
    await bench.node.outside_pays(one.bolt11)

    async def fail() -> None:
        raise trouble

    bench.desk.meanwhile = fail
    with suppress(Unavailable):
        await bench.escrow.look()
    assert (await bench.now(one)).state is State.OPEN
    bench.desk.meanwhile = None
    await bench.escrow.look()
    assert (await bench.now(one)).state is State.HELD
    (order,) = bench.desk.posted
    assert (order.account, order.budget, order.key) == (
        "held:1:console:owner", to_msat(200), f"held/{one.payment_hash.hex()}",
    )  # fmt: skip


async def test_an_order_that_cannot_be_followed_holds_up_no_other(bench: Bench) -> None:
    first, second = await bench.order("a"), await bench.order("b")
    await bench.node.outside_pays(second.bolt11)
    look = bench.node.lookup

    async def lookup(payment_hash: bytes) -> Any:
        if payment_hash == first.payment_hash:
            message = "a bug"
            raise RuntimeError(message)
        return await look(payment_hash)

    bench.node.lookup = lookup  # type: ignore[method-assign]
    await bench.escrow.look()
    assert [(await bench.now(one)).state for one in (first, second)] == [State.OPEN, State.HELD]


async def test_what_a_node_refuses_is_told_once_and_once_more_when_it_should_have_run_out(bench: Bench) -> None:
    async def refuse(*_: Any) -> None:
        raise NodeRefused(backend="simulated", why="no")

    one, unpaid = await bench.order("a"), await bench.order("b")
    await bench.node.outside_pays(one.bolt11)
    await bench.escrow.look()
    bench.node.settle_hold = bench.node.cancel_invoice = refuse  # type: ignore[assignment]
    await bench.store.write(lambda tx: held.ended(tx, 1, paid=True))
    await bench.escrow.cancel(OWNER, unpaid.id, key="c")
    for _ in range(2):
        await bench.escrow.look()
    found = await bench.escrow.refusals()
    assert [(row.one.id, row.one.state, row.why, row.paid) for row in found] == [
        (one.id, State.TAKING, "The Lightning node (simulated) refused: no", 0),
        (unpaid.id, State.GIVING, "The Lightning node (simulated) refused: no", 0),
    ]
    until, info = (await bench.now(one)).held_until, await bench.node.info()

    async def later() -> NodeInfo:
        return info._replace(height=until)

    bench.node.info = later  # type: ignore[method-assign]
    bench.clock.advance(60_000)
    for _ in range(2):
        await bench.escrow.look()
    events = [
        one for one in await bench.store.read(lambda tx: tx.events_after(0, 99)) if one.kind is Kind.ESCROW_REFUSED
    ]
    assert [(one.data["sats"], one.data["overdue"]) for one in events] == [(200, False), (0, False), (200, True)]
    assert (await bench.now(one)).state is State.TAKING, "nothing is booked before the node says what became of it"
    told = [
        views_escrow.refused(found[number], event, simulated=False)
        for number, event in zip((0, 1, 0), events, strict=True)
    ]
    words = (
        "It is told again and again. If it has not taken",
        "It is told again and again; what is paid",
        f"Block {until} is past",
    )
    assert all(reply and part in reply.text for reply, part in zip(told, words, strict=True)), told


@pytest.mark.parametrize("received", [0, to_msat(MAX_SATS) + 1])
async def test_what_cannot_be_held_posts_no_task(bench: Bench, received: int) -> None:
    one = await bench.order()
    await bench.node.outside_pays(one.bolt11)
    look = bench.node.lookup

    async def lookup(payment_hash: bytes) -> Any:
        found = await look(payment_hash)
        return None if found is None else replace(found, received=received)

    bench.node.lookup = lookup  # type: ignore[method-assign]
    await bench.escrow.look()
    now = await bench.now(one)
    assert (now.state, now.why, bench.desk.posted) == (State.GIVING, str(CannotBe()), [])


async def test_what_was_decided_meanwhile_stays_decided(bench: Bench) -> None:
    one = await bench.order()
    await bench.node.cancel_invoice(one.payment_hash)
    look = bench.node.lookup

    async def lookup(payment_hash: bytes) -> Any:
        found = await look(payment_hash)
        await bench.escrow.cancel(OWNER, one.id, key="c")
        return found

    bench.node.lookup = lookup  # type: ignore[method-assign]
    await bench.escrow.look()
    now = await bench.now(one)
    assert (now.state, now.why) == (State.GIVING, "called off by console:owner")


async def test_the_secret_is_in_no_answer_and_no_log(bench: Bench) -> None:
    one = await bench.order()
    for shown in (one.preimage.hex(), repr(one.preimage)):
        assert shown not in repr(one)
