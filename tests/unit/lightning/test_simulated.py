"""The simulated node, beyond what every backend does: its file, its fees, its time, and failures on request."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.lightning import simulated_file
from adapters.lightning.bolt11 import Unsigned, decode, encode
from adapters.lightning.simulated import SimulatedNode
from adapters.lightning.simulated_file import (
    BLOCK_MS,
    LATE_MS,
    START,
    Asked,
    NodeDamaged,
    NodeFile,
    Randomness,
    fee_of,
)
from core.money import MAX_SATS, to_msat
from core.wallet.lightning import HOLD_BLOCKS, InvoiceState, NodeDown, NodeRefused, PayState, proves
from tests.depth import depth
from tests.fakes import EPOCH, FakeClock, FakeIds, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SATS = 1000
HOUR = 3600
LIMIT = 100 * SATS
KEY = bytes(range(1, 33))
SECRET = bytes(range(32))
HASH = hashlib.sha256(SECRET).digest()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def noop() -> None:
    """Nothing."""


class Watched(SimulatedNode):
    """Counts what it is asked, and says when it begins with it."""

    asked = 0
    begins: Callable[[], None] = staticmethod(noop)

    def _transact(self, work: Callable[..., Any], loop: asyncio.AbstractEventLoop) -> Any:
        self.asked += 1
        loop.call_soon_threadsafe(self.begins)
        return super()._transact(work, loop)


@pytest.fixture
async def node(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Watched]:
    async with contextlib.AsyncExitStack() as stack:
        node = Watched(tmp_path / "node.db", clock, FakeIds("node"), patience=0)
        stack.push_async_callback(node.close)
        yield node


# Its file ----------------------------------------------------------------------------------------------------------


async def test_its_file_is_made_when_it_is_first_asked_and_is_its_owners_alone(
    node: SimulatedNode, tmp_path: Path
) -> None:
    assert modes(tmp_path) == set()
    assert await node.balance() == START
    assert modes(tmp_path) == {0o600}


def modes(folder: Path) -> set[int]:
    """What its files may be used for, and by whom."""
    return {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@pytest.mark.parametrize(
    ("content", "why"), [(b"not a database at all, but " * 9, "not a database"), (None, "newer Timmy")]
)
async def test_a_file_that_is_not_its_own_is_named_and_left_as_it_is(
    node: SimulatedNode, tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "node.db"
    if content is None:
        await node.balance()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        path.write_bytes(content)
    fresh = SimulatedNode(path, FakeClock(), FakeIds(), patience=0)
    with pytest.raises(NodeDown, match=why) as refused:
        await fresh.balance()
    await fresh.close()
    assert isinstance(refused.value, NodeDamaged) == (content is not None)
    assert content in {None, path.read_bytes()}


async def test_a_folder_that_is_gone_is_a_node_that_is_down(tmp_path: Path) -> None:
    lost = SimulatedNode(tmp_path / "gone" / "node.db", FakeClock(), FakeIds())
    with pytest.raises(NodeDown):
        await lost.info()
    (tmp_path / "gone").mkdir()
    assert (await lost.info()).network == "simulated"
    await lost.close()


async def test_a_node_that_is_closed_is_down_for_whoever_waits(node: SimulatedNode) -> None:
    waits = node.settled(0)

    async def first() -> None:
        await anext(waits)

    async def close() -> None:
        await node.balance()
        await node.close()
        await node.close()

    with pytest.raises(NodeDown, match="closed"):
        await asyncio.gather(first(), close())


async def test_what_a_caller_no_longer_waits_for_is_done_all_the_same(node: Watched) -> None:
    bolt11 = await node.outside_asks(5 * SATS)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None) as scope:
            node.begins = lambda: scope.reschedule(0)
            await node.pay(bolt11, None, LIMIT, 60)
    node.begins = noop
    assert (await node.track(decode(bolt11).payment_hash)).state is PayState.SUCCEEDED


async def test_what_breaks_off_in_the_middle_leaves_nothing(node: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    bolt11 = await node.outside_asks(5 * SATS)

    def full(*_: object) -> None:
        message = "database or disk is full"
        raise sqlite3.OperationalError(message)

    with monkeypatch.context() as broken:
        broken.setattr(NodeFile, "_record", full)
        with pytest.raises(NodeDown, match="disk is full"):
            await node.pay(bolt11, None, LIMIT, 60)
    assert await node.balance() == START
    assert (await node.track(decode(bolt11).payment_hash)).state is PayState.UNKNOWN
    assert (await node.pay(bolt11, None, LIMIT, 60)).state is PayState.SUCCEEDED


async def test_all_who_wait_for_settlements_are_told_even_of_more_than_are_read_at_once(
    node: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_file, "_AT_ONCE", 2)

    async def places(most: int) -> list[int]:
        found: list[int] = []
        async for one in node.settled(0):
            found.append(one.index)
            if len(found) == most:
                break
        return found

    async def pay_all() -> list[int]:
        for _ in range(5):
            made = await node.create_invoice(1, "", HOUR)
            await node.outside_pays(made.bolt11)
        return await places(5)

    told = await asyncio.gather(places(5), places(3), pay_all())
    assert list(told) == [[1, 2, 3, 4, 5], [1, 2, 3], [1, 2, 3, 4, 5]]


async def test_a_stream_that_waits_does_not_look_again_and_again(node: Watched) -> None:
    first, second = [await node.create_invoice(1, "", HOUR) for _ in range(2)]
    await node.outside_pays(first.bolt11)
    stream = node.settled(0)
    assert (await anext(stream)).payment_hash == first.payment_hash

    async def rest() -> None:
        await node.balance()
        before = node.asked
        for _ in range(5):
            await asyncio.to_thread(noop)
        assert node.asked == before
        await node.outside_pays(second.bolt11)

    told, _ = await asyncio.gather(anext(stream), rest())
    assert told.payment_hash == second.payment_hash


# Its fees and its time ---------------------------------------------------------------------------------------------


async def test_a_way_costs_a_sat_and_a_thousandth(node: SimulatedNode) -> None:
    assert [fee_of(1), fee_of(100 * SATS), fee_of(100_000 * SATS)] == [1000, 1100, 101_000]
    outcome = await node.pay(await node.outside_asks(10_000 * SATS), None, 11 * SATS, 60)
    assert (outcome.state, outcome.fee) == (PayState.SUCCEEDED, 11 * SATS)
    assert await node.balance() == START - 10_011 * SATS


async def test_a_block_is_found_every_ten_minutes_and_none_is_lost_when_the_clock_goes_back(
    node: SimulatedNode, tmp_path: Path, clock: FakeClock
) -> None:
    first = (await node.info()).height
    clock.advance(3 * BLOCK_MS)
    assert (await node.info()).height == first + 3
    earlier = SimulatedNode(tmp_path / "node.db", FakeClock(EPOCH - 10**9), FakeIds())
    assert (await earlier.info()).height == first > 0
    await earlier.close()


async def test_what_is_held_for_a_day_goes_back(node: SimulatedNode, clock: FakeClock) -> None:
    made = await node.create_hold(HASH, 5 * SATS, "escrow", HOUR)
    assert await node.outside_pays(made.bolt11) == (HASH, None)
    clock.advance(HOLD_BLOCKS * BLOCK_MS - 1)
    waiting = await node.lookup(HASH)
    assert waiting is not None
    assert waiting.state is InvoiceState.HELD
    clock.advance(1)
    with pytest.raises(NodeRefused, match="nothing is held"):
        await node.settle_hold(SECRET)
    assert await node.balance() == START


# What is asked of it in vain ---------------------------------------------------------------------------------------


async def test_invoices_that_only_look_like_known_ones_are_not_taken_for_them(node: SimulatedNode) -> None:
    made = await node.create_invoice(5 * SATS, "", HOUR)
    asked = decode(await node.outside_asks(5 * SATS))
    forged = [
        encode(Unsigned("bcrt", payment_hash, SECRET, 1 * SATS, "", EPOCH, HOUR), KEY)
        for payment_hash in (made.payment_hash, asked.payment_hash)
    ]
    with pytest.raises(NodeRefused, match="no such invoice"):
        await node.outside_pays(forged[0])
    assert (await node.pay(forged[1], None, LIMIT, 60)).state is PayState.FAILED
    assert (await node.pay(asked.bolt11, None, LIMIT, 60)).state is PayState.SUCCEEDED
    assert await node.balance() == START - 5 * SATS - fee_of(5 * SATS)


async def test_sats_of_another_network_are_not_simulated_ones(node: SimulatedNode) -> None:
    real = encode(Unsigned("bc", HASH, SECRET, 5 * SATS, "", EPOCH, HOUR), KEY)
    with pytest.raises(NodeRefused, match="another network"):
        await node.pay(real, None, LIMIT, 60)


@pytest.mark.parametrize(
    ("amount", "memo", "expiry", "fails", "why"),
    [
        (0, "", HOUR, "", "1 msat at least"), (5, "", 0, "", "for a second"), (5, "", 10**9, "", "for a year"),
        (5, "\N{HOT BEVERAGE}" * 214, HOUR, "", "639 bytes"), (5, "", HOUR, "loudly", "'loudly'"),
    ],
)  # fmt: skip
async def test_what_no_outside_node_asks(
    node: SimulatedNode, amount: int, memo: str, expiry: int, fails: str, why: str
) -> None:
    with pytest.raises(NodeRefused, match=why):
        await node.outside_asks(amount, memo, expiry, fails)
    if not fails:
        with pytest.raises(NodeRefused, match=why):
            await node.create_invoice(amount, memo, expiry)


async def test_a_memo_of_half_a_character_is_still_a_memo(node: SimulatedNode) -> None:
    assert decode(await node.outside_asks(5, "a\ud800b")).description == "a?b"


async def test_an_invoice_takes_twice_its_amount_at_most(node: SimulatedNode) -> None:
    made = await node.create_invoice(5 * SATS, "", HOUR)
    with pytest.raises(NodeRefused, match="twice"):
        await node.outside_pays(made.bolt11, 10 * SATS + 1)
    payment_hash, preimage = await node.outside_pays(made.bolt11, 10 * SATS)
    assert proves(preimage, payment_hash)


async def test_no_more_comes_in_than_can_be_counted(node: SimulatedNode) -> None:
    first, second = [await node.create_invoice(to_msat(MAX_SATS), "", HOUR) for _ in range(2)]
    await node.outside_pays(first.bolt11)
    with pytest.raises(NodeRefused, match="full"):
        await node.outside_pays(second.bolt11)
    assert await node.balance() == START + to_msat(MAX_SATS)


async def test_what_comes_back_has_room_however_full_the_node_is(node: SimulatedNode, clock: FakeClock) -> None:
    bolt11 = await node.outside_asks(START // 2, fails="later")
    await asyncio.gather(node.pay(bolt11, None, START, 1), pass_time(clock, 1_000))
    left = await node.balance()
    made = await node.create_invoice(to_msat(MAX_SATS), "", HOUR)
    await node.outside_pays(made.bolt11, 2 * to_msat(MAX_SATS) - left)
    clock.advance(LATE_MS)
    assert await node.balance() == 2 * to_msat(MAX_SATS) - left + START


# Failures on request -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fails", "why"), [("no_route", "no route"), ("paid", "paid for this already")])
async def test_a_failure_at_once(node: SimulatedNode, fails: str, why: str) -> None:
    outcome = await node.pay(await node.outside_asks(5 * SATS, fails=fails), None, LIMIT, 60)
    assert outcome.state is PayState.FAILED
    assert why in outcome.why


async def test_an_invoice_that_is_expired_when_it_comes(node: SimulatedNode) -> None:
    with pytest.raises(NodeRefused, match="expired"):
        await node.pay(await node.outside_asks(5 * SATS, fails="expired"), None, LIMIT, 60)


async def test_a_payment_that_fails_later_is_in_flight_until_then(node: SimulatedNode, clock: FakeClock) -> None:
    bolt11 = await node.outside_asks(5 * SATS, fails="later")
    waits, _ = await asyncio.gather(node.pay(bolt11, None, LIMIT, 60), pass_time(clock, LATE_MS))
    assert waits.state is PayState.FAILED
    assert await node.balance() == START
    with pytest.raises(NodeRefused, match="in flight"):
        await node.land(decode(bolt11).payment_hash, well=True)


async def test_a_payment_that_hangs_is_waited_for_no_longer_than_was_said(
    node: SimulatedNode, clock: FakeClock
) -> None:
    bolt11 = await node.outside_asks(5 * SATS, fails="hangs")
    waits, _ = await asyncio.gather(node.pay(bolt11, None, LIMIT, 60), pass_time(clock, 60_000))
    assert waits.state is PayState.IN_FLIGHT


async def test_whoever_waits_for_a_payment_hears_of_its_end_at_once(node: SimulatedNode, clock: FakeClock) -> None:
    bolt11 = await node.outside_asks(5 * SATS, fails="hangs")

    async def land() -> None:
        await clock.slept.wait()
        await node.land(decode(bolt11).payment_hash, well=True)

    outcome, _ = await asyncio.gather(node.pay(bolt11, None, LIMIT, 60), land())
    assert outcome.state is PayState.SUCCEEDED
    assert clock.now() == EPOCH


async def pass_time(clock: FakeClock, ms: int) -> None:
    """Once somebody waits for it."""
    await clock.slept.wait()
    clock.advance(ms - 1)
    await turn()
    clock.advance(1)


# Its own books -----------------------------------------------------------------------------------------------------

_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "hold", "outside"]), st.integers(1, 700_000 * SATS),
        st.sampled_from(["", "hangs", "no_route", "later"]),
        st.sampled_from(["take", "give", "leave"]), st.integers(0, 2 * HOUR),
    ),
    max_size=8,
)  # fmt: skip


@pytest.mark.deep
@settings(max_examples=depth(8, 300), deadline=None)
@given(_STEPS)
def test_its_balance_is_what_came_and_what_left(steps: list[tuple[str, int, str, str, int]]) -> None:
    now = EPOCH
    ours: list[bytes] = []
    theirs: list[bytes] = []
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        NodeFile(connection, now).found(KEY)
        for number, (what, amount, fails, end, seconds) in enumerate(steps, 1):
            now += 1000 * seconds
            file = NodeFile(connection, now)
            file.catch_up()
            preimage = number.to_bytes(32, "big")
            payment_hash = hashlib.sha256(preimage).digest()
            with contextlib.suppress(NodeRefused):
                if what == "outside":
                    theirs.append(payment_hash)
                    random = Randomness(KEY, SECRET, preimage)
                    file.send(file.outside_asks(Asked(amount, "", HOUR, fails, None), random), None, amount)
                    if end != "leave":
                        file.land(payment_hash, well=end == "take")
                else:
                    ours.append(payment_hash)
                    random = Randomness(KEY, SECRET, b"" if what == "hold" else preimage)
                    file.receive(file.ask(amount, "", HOUR, random, payment_hash).bolt11, amount + amount // 2)
                    if end != "leave":
                        file.settle(preimage) if end == "take" else file.cancel(payment_hash)
            _balanced(file, ours, theirs)


def _balanced(file: NodeFile, ours: list[bytes], theirs: list[bytes]) -> None:
    invoices = [found for one in ours if (found := file.invoice(one))]
    settled = [one for one in invoices if one.state is InvoiceState.SETTLED]
    came = sum(one.received for one in settled)
    outcomes = [(one, file.outcome(one)) for one in theirs]
    left = sum(end.amount + end.fee for _, end in outcomes if end.state is not PayState.FAILED)
    assert file.balance() == START + came - left >= 0
    assert sorted(one.index for one in settled) == list(range(1, len(settled) + 1))
    assert all(proves(end.preimage, one) is (end.state is PayState.SUCCEEDED) for one, end in outcomes)


async def test_a_row_that_is_no_text_is_damage_and_nothing_is_asked_for_any_more(
    node: SimulatedNode, tmp_path: Path
) -> None:
    made = await node.create_invoice(1_000, "tea", 60)
    with contextlib.closing(sqlite3.connect(tmp_path / "node.db")) as connection, connection:
        connection.execute("UPDATE invoice SET bolt11 = CAST(x'ff31' AS TEXT)")
    with pytest.raises(NodeDamaged, match="Could not decode to UTF-8"):
        await node.lookup(made.payment_hash)
    with pytest.raises(NodeDamaged, match="restore a backup"):
        await node.create_invoice(1_000, "more tea", 60)
