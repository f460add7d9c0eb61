"""Offers, bundles and calls: what is made once, what counts, and what is left after a crash."""

from __future__ import annotations

import asyncio
import base64
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from adapters.clockwork import Nursery
from adapters.sqlite.writer import Database
from core.store import DiskFull
from core.wallet import l402, selling
from core.wallet.l402 import BadCredential
from core.wallet.lightning import NodeDown
from core.wallet.sales import (
    BadCount,
    Call,
    CallState,
    Goods,
    KeyOfAnother,
    NotPaid,
    OtherGoods,
    PaymentNeeded,
    Sold,
    StillWorking,
    TokenExpired,
    TokenSpent,
    TooManyOffers,
)
from core.wallet.selling import Seller, use
from tests.blank import blank
from tests.cashier import FakeCashier
from tests.fakes import FakeClock, FakeIds, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.wallet.l402 import Grant

CHAT = Goods("chat", "/v1/chat", 100_000, "an answer")
TASKS = Goods("tasks", "/v1/tasks", 100_000, "a task")
MASTER = b"secret"
DAY = 86_400_000


class Booth:
    """A seller, its cashier and its clock."""

    def __init__(self, store: Database, clock: FakeClock, cashier: FakeCashier, nursery: Nursery, start: int) -> None:
        self.store = store
        self.clock = clock
        self.cashier = cashier
        self.seller = Seller(store, cashier, MASTER, clock=clock, ids=FakeIds(f"start {start}"), spawner=nursery)

    async def offer(self, goods: Goods = CHAT, calls: int = 1, client: str = "ann") -> tuple[str, str]:
        found = re.fullmatch(
            r'L402 macaroon="(.+?)", invoice="(.+?)", .*', await self.seller.offer(goods, calls, client)
        )
        assert found is not None
        return found[1], found[2]

    async def bought(self, goods: Goods = CHAT, calls: int = 1) -> str:
        """The Authorization header of whoever pays."""
        token, invoice = await self.offer(goods, calls)
        return f"L402 {token}:{self.cashier.pay(invoice)}"

    async def grant(self, goods: Goods = CHAT, calls: int = 1) -> Grant:
        return await self.seller.admit(await self.bought(goods, calls), goods, goods.resource)

    async def calls(self) -> list[str]:
        def read(tx: UnitOfWork) -> list[Any]:
            return tx._connection.execute("SELECT key || ' ' || state FROM l402_call ORDER BY key").fetchall()

        return [row[0] for row in await self.store.read(read)]


@asynccontextmanager
async def booth(
    path: Path, clock: FakeClock | None = None, cashier: FakeCashier | None = None, *, start: int = 1
) -> AsyncIterator[Booth]:
    clock = clock or FakeClock()
    async with Database.open(blank(path), clock) as store, Nursery() as nursery:
        yield Booth(store, clock, cashier or FakeCashier(clock), nursery, start)


# Offers --------------------------------------------------------------------------------------------------------


async def test_an_offer_is_made_once_for_the_same_client_goods_and_calls(path: Path) -> None:
    async with booth(path) as one:
        first = await one.offer()
        assert await one.offer() == first
        one.clock.advance(598_000)
        assert await one.offer() == first
        others = [await one.offer(TASKS), await one.offer(calls=2), await one.offer(client="bob")]
        assert len({first, *others}) == 4
        assert len(one.cashier.made) == 4
        one.clock.advance(2_000)
        assert await one.offer() != first
        cheaper = Goods("chat", "/v1/chat", 50_000, "an answer")
        assert await one.offer(cheaper) != await one.offer()


async def test_those_who_ask_at_once_get_the_same_offer(path: Path) -> None:
    async with booth(path) as one:
        made = await asyncio.gather(*(one.offer() for _ in range(5)))
        assert len(set(made)) == len(one.cashier.made) == 1


async def test_an_offer_outlives_a_restart_and_stores_no_secret(path: Path) -> None:
    clock = FakeClock()
    cashier = FakeCashier(clock)
    async with booth(path, clock, cashier) as one:
        token, invoice = await one.offer()
    async with booth(path, clock, cashier, start=2) as again:
        assert await again.offer() == (token, invoice)
    kept = on_disk(path)
    assert invoice.encode() in kept
    assert [
        secret for secret in (MASTER, l402.parse(base64.b64decode(token)).signature, token.encode()) if secret in kept
    ] == []


def on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.glob("hub.db*"))


async def test_what_was_paid_is_not_offered_again(path: Path) -> None:
    async with booth(path) as one:
        first = await one.offer()
        one.cashier.pay(first[1])
        one.clock.advance(1_000)
        second = await one.offer()
        assert second != first
        assert one.cashier.asked == 1
        token = f"L402 {second[0]}:{one.cashier.pay(second[1])}"
        await one.seller.admit(token, CHAT, "/v1/chat")
        assert await one.offer() != second  # it is known by now that it was paid


async def test_offers_are_made_at_a_pace_for_each_and_for_all(path: Path) -> None:
    async with booth(path) as one:
        for calls in range(1, 11):
            await one.offer(calls=calls)
        with pytest.raises(TooManyOffers, match="try again in 6 s"):
            await one.offer(calls=11)
        await one.offer(calls=10)  # the same again costs nothing
        for number in range(90):
            await one.offer(client=f"client {number}")
        with pytest.raises(TooManyOffers):
            await one.offer(client="another")
        assert len(one.cashier.made) == 100
        one.clock.advance(60_000)
        await one.offer(client="another")


async def test_whoever_paid_before_is_made_an_offer_when_others_have_taken_all(path: Path) -> None:
    async with booth(path) as one:
        paid, (unpaid, _) = await one.bought(), await one.offer(client="bob")
        await one.seller.admit(paid, CHAT, "/v1/chat")
        with suppress(TooManyOffers):
            for number in range(200):
                await one.offer(client=f"client {number}")
        mine = FakeCashier.preimage(1).hex()
        for header in (None, f"L402 {unpaid}:{mine}"):
            with pytest.raises(TooManyOffers):
                await one.seller.offer(CHAT, 5, "ann", "", header)
        assert (await one.seller.offer(CHAT, 5, "ann", "", paid)).startswith("L402 ")


async def test_offers_and_payments_that_are_remembered_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selling, "REMEMBERED", 2)
    async with booth(path) as one:
        for calls in range(1, 5):
            await one.grant(calls=calls)
        assert len(one.seller._offers) == len(one.seller._paid) == len(one.seller._known) == 2


async def test_a_node_that_is_down_makes_no_offer(path: Path) -> None:
    async with booth(path) as one:
        one.cashier.down = "no route"
        with pytest.raises(NodeDown):
            await one.offer()
        with pytest.raises(NodeDown):
            await one.seller.invoice(1000, "x")
        one.cashier.down = ""
        assert (await one.seller.invoice(1000, "x")).amount == 1000


# Tokens --------------------------------------------------------------------------------------------------------


async def test_a_token_opens_once_its_payment_is_at_the_node_which_is_asked_once(path: Path) -> None:
    async with booth(path) as one:
        token, invoice = await one.offer(calls=3)
        header = f"L402 {token}:{one.cashier.preimage(0).hex()}"
        with pytest.raises(NotPaid):
            await one.seller.admit(header, CHAT, "/v1/chat")
        one.cashier.pay(invoice)
        grants = [await one.seller.admit(header, CHAT, "/v1/chat") for _ in range(3)]
        assert [grant.terms.calls for grant in grants] == [3, 3, 3]
        assert one.cashier.asked == 2
        assert await one.seller.sold() == Sold(1, 1, 300_000, 0)


async def test_two_that_come_at_once_with_a_token_that_was_just_paid_are_both_let_in(path: Path) -> None:
    both = asyncio.Barrier(2)

    class Slow(FakeCashier):
        async def settled(self, payment_hash: bytes) -> bool:
            await both.wait()
            return await super().settled(payment_hash)

    clock = FakeClock()
    async with booth(path, clock, Slow(clock)) as one:
        header = await one.bought()
        await asyncio.gather(*(one.seller.admit(header, CHAT, "/v1/chat") for _ in range(2)))
        assert await one.seller.sold() == Sold(1, 1, 100_000, 0)
        assert one.cashier.asked == 2


async def test_that_it_was_paid_is_known_after_a_restart_with_the_node_down(path: Path) -> None:
    clock = FakeClock()
    cashier = FakeCashier(clock)
    async with booth(path, clock, cashier) as one:
        header = await one.bought()
        await one.seller.admit(header, CHAT, "/v1/chat")
    cashier.down = "it is away"
    async with booth(path, clock, cashier) as again:
        assert (await again.seller.admit(header, CHAT, "/v1/chat")).sold.calls == 1


async def test_a_payment_counts_though_its_offer_was_forgotten(path: Path) -> None:
    async with booth(path) as one:
        header = await one.bought(calls=2)
        await one.store.write(lambda tx: tx._connection.execute("DELETE FROM l402_bundle"))
        grant = await one.seller.admit(header, CHAT, "/v1/chat")
        assert (await one.seller.reserve(grant, "a", "r")).state is CallState.RESERVED
        assert (await one.seller.sold()).earned == 200_000


async def test_no_token_one_for_something_else_and_one_that_is_too_old_need_payment(path: Path) -> None:
    async with booth(path) as one:
        for nothing in (None, "", "Bearer x"):
            with pytest.raises(PaymentNeeded, match="100 sats"):
                await one.seller.admit(nothing, CHAT, "/v1/chat")
        header = await one.bought()
        with pytest.raises(OtherGoods):
            await one.seller.admit(header, TASKS, "/v1/tasks")
        one.clock.advance(7 * DAY + 599_000)
        await one.seller.admit(header, CHAT, "/v1/chat")
        one.clock.advance(1_000)
        with pytest.raises(TokenExpired):
            await one.seller.admit(header, CHAT, "/v1/chat")


async def test_a_forged_token_makes_no_offer_and_asks_no_node(path: Path) -> None:
    async with booth(path) as one:
        forged = l402.mint(b"not the secret", bytes(32), bytes(32), l402.Terms("chat", 1, 9, 10**15, "/v1/chat"))
        token = base64.b64encode(l402.encode(forged)).decode()
        for header in (f"L402 {token}:{'0' * 64}", "L402 x", f"L402 {(await one.offer())[0]}:{'0' * 64}"):
            with pytest.raises(BadCredential):
                await one.seller.admit(header, CHAT, "/v1/chat")
        assert (one.cashier.asked, len(one.cashier.made)) == (0, 1)


# Calls ---------------------------------------------------------------------------------------------------------


async def test_a_call_is_reserved_used_or_given_back(path: Path) -> None:
    async with booth(path) as one:
        grant = await one.grant(calls=2)
        first = await one.seller.reserve(grant, "a", "r")
        second = await one.seller.reserve(grant, "b", "r")
        with pytest.raises(TokenSpent):
            await one.seller.reserve(grant, "c", "r")
        await one.seller.give_back(second)
        third = await one.seller.reserve(grant, "c", "r")
        await one.seller.used(first)
        await one.seller.used(third)
        with pytest.raises(TokenSpent):
            await one.seller.look(grant, "d", "r")
        assert await one.calls() == ["a used", "b returned", "c used"]
        assert (await one.seller.sold()).calls == 2


async def test_the_same_key_is_one_call(path: Path) -> None:
    async with booth(path) as one:
        grant = await one.grant(calls=9)
        call = await one.seller.reserve(grant, "a", "r")
        with pytest.raises(StillWorking):
            await one.seller.reserve(grant, "a", "r")
        with pytest.raises(KeyOfAnother):
            await one.seller.reserve(grant, "a", "another request")
        await one.seller.give_back(call)
        again = await one.seller.reserve(grant, "a", "r")
        assert (again.attempt, again.cause) == (2, call.cause.removesuffix("/1") + "/2")
        await one.seller.used(again)
        assert (await one.seller.reserve(grant, "a", "r")).state is CallState.USED
        assert await one.calls() == ["a used"]


async def test_without_a_key_each_call_is_like_no_other(path: Path) -> None:
    async with booth(path) as one:
        grant = await one.grant(calls=2)
        first, second = [await one.seller.reserve(grant, None, "r") for _ in range(2)]
        assert first.key != second.key
        with pytest.raises(TokenSpent):
            await one.seller.reserve(grant, None, "r")
        looked = await one.seller.look(grant, None, "r")  # nothing is asked of the books yet
        with pytest.raises(TokenSpent):
            await one.store.write(lambda tx: use(tx, grant, looked, 1))
        assert len(await one.calls()) == 2


async def test_of_many_at_once_only_those_that_were_paid_for_are_reserved(path: Path) -> None:
    async with booth(path) as one:
        grant = await one.grant(calls=3)
        made = await asyncio.gather(
            *(one.seller.reserve(grant, f"{number}", "r") for number in range(20)), return_exceptions=True
        )
        assert sum(isinstance(one, TokenSpent) for one in made) == 17


async def test_calls_that_were_given_back_are_not_kept_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selling, "MOST_RETURNED", 2)
    async with booth(path) as one:
        grant = await one.grant(calls=2)
        await one.seller.used(await one.seller.reserve(grant, "0", "r"))
        for key in "1234":
            one.clock.advance(1)
            await one.seller.give_back(await one.seller.reserve(grant, key, "r"))
        assert await one.calls() == ["0 used", "3 returned", "4 returned"]


async def test_after_a_crash_a_call_counts_if_its_effect_is_there(path: Path) -> None:
    clock = FakeClock()
    async with booth(path, clock) as one:
        grant = await one.grant(calls=3)
        done = await one.seller.reserve(grant, "done", "r")
        await one.store.write(lambda tx: tx.mark(done.cause, "the answer"))
        await one.seller.reserve(grant, "left", "r")
    async with booth(path, clock) as again:
        assert await again.seller.recover() == 2
        assert await again.calls() == ["done used", "left returned"]
        assert await again.seller.recover() == 0


async def test_a_task_that_came_to_nothing_does_not_count_but_not_for_ever(path: Path) -> None:
    def post(number: int, status: str) -> Callable[[UnitOfWork], None]:
        def work(tx: UnitOfWork) -> None:
            tx._connection.execute(
                "INSERT INTO task VALUES (?, 'l402:x', 'treasury', 'l402:x', 'd', ?, 1, NULL, 'auto', NULL, 1, 1, 0, 0, NULL,"
                " NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, 0, NULL, '', NULL, 0, NULL)",
                (number, status),
            )
            use(tx, grant, Call(grant.token, f"k{number}", "r"), number)

        return work

    async with booth(path) as one:
        grant = await one.grant(TASKS)
        for number, status in ((1, "failed"), (2, "cancelled"), (3, "running")):
            await one.store.write(post(number, status))
        with pytest.raises(TokenSpent):
            await one.store.write(post(4, "open"))
        assert await one.store.read(lambda tx: tx.tasks.find(4)) is None  # nothing was posted
        assert await one.seller.bought(grant, 3)
        assert not await one.seller.bought(grant, 4)
        assert (await one.seller.look(grant, "k3", "r")).task == 3
        await one.store.write(lambda tx: use(tx, grant, Call(grant.token, "k3", "r"), 3))  # again changes nothing
        await one.store.write(lambda tx: tx._connection.execute("UPDATE task SET status = 'expired' WHERE id = 3"))
        with pytest.raises(TokenSpent):  # three failures for one call
            await one.seller.look(grant, "k5", "r")


async def test_an_answer_that_breaks_off_is_given_back_but_not_for_ever(path: Path) -> None:
    async def talk(key: str, *, kept: bool) -> None:
        call = await one.seller.reserve(grant, key, "r")
        if kept:
            await one.store.write(lambda tx: tx.mark(call.cause, "The begin…"))
        await one.seller.give_back(call)

    async with booth(path) as one:
        grant = await one.grant()
        await one.grant()  # another's
        for _ in range(5):
            await talk("down", kept=False)  # not a word was said
        for key in ("a/b", "a/b", "c"):
            await talk(key, kept=True)
        with pytest.raises(TokenSpent):
            await one.seller.reserve(grant, "d", "r")


async def test_what_cannot_be_written_now_is_written_later(path: Path) -> None:
    class Full(Database):
        fails = 0

        async def write(self, work: Any, /) -> Any:
            if self.fails:
                self.fails -= 1
                raise DiskFull(why="test")
            return await super().write(work)

    clock = FakeClock()
    async with Full.open(blank(path), clock) as store, Nursery() as nursery:
        one = Booth(store, clock, FakeCashier(clock), nursery, 1)
        call = await one.seller.reserve(await one.grant(), "a", "r")
        store.fails = 2  # type: ignore[attr-defined]
        await one.seller.used(call)
        await clock.slept.wait()
        assert await one.calls() == ["a reserved"]
        clock.advance(1_000)
        while await one.calls() != ["a used"]:
            await turn()


def test_the_memo_and_the_count_are_said_in_words() -> None:
    assert selling._memo(CHAT, 1) == "an answer, 1 call"
    assert selling._memo(CHAT, 2) == "an answer, 2 calls"
    assert "1 to 100" in str(BadCount(most=100))
