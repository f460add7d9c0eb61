"""Attacks on payments by people who know each other: by a link, by what an invoice says, by asking again and again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from adapters.fetch.addresses import Reach
from adapters.fetch.fetcher import PageFetcher
from adapters.lightning.bolt11 import Unsigned, encode
from adapters.lightning.simulated import SimulatedNode
from config.settings import Serve
from core.approval import State
from core.chat import Inbound, Role
from core.wallet.lightning import NodeDown
from tests.fakes import FakeClock, FakeIds
from tests.scenario.bot import OWNER, balances, hub, prove, settings
from tests.scenario.strangers import OFFER
from tests.scenario.test_links import ANNS, BOBS, EVES, people
from tests.scenario.test_payments import seller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.chat import Reply
    from core.wallet.lightning import NodeInfo, Outcome
    from tests.scenario.test_links import People


@asynccontextmanager
async def payers(
    folder: Path, *, make: type[SimulatedNode] = SimulatedNode, **how: Any
) -> AsyncIterator[tuple[People, SimulatedNode]]:
    """People on a hub whose node the test moves."""
    clock = FakeClock()
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    node = make(folder / "data" / "node.db", clock, FakeIds(f"node {folder}"))
    try:
        async with people(folder, clock=clock, node=node, **how) as some:
            yield some, node
    finally:
        await node.close()


@pytest.mark.long
async def test_an_invoice_that_was_open_when_its_owner_was_linked_is_paid_to_the_account(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, node):
        await some.let_in(ANNS)
        await some.let_in(EVES)
        asked = await some.say(EVES, "/invoice 500 coffee")
        await some.link(EVES, ANNS)
        await node.outside_pays(asked["bolt11"])
        await some.bot.see(lambda: some.bot.rows("SELECT 1 FROM invoice WHERE state = 'settled'"), "the settlement")
        assert (await some.say(EVES, "/balance"))["balance_sats"] == 800
        prove(some.bot.app.settings)


@pytest.mark.long
async def test_an_identity_that_was_taken_off_is_told_nothing_of_the_accounts_money(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, node):
        await some.let_in(ANNS)
        await some.let_in(EVES)
        await some.link(EVES, ANNS)
        asked = await some.say(EVES, "/invoice 500 coffee")
        await some.say(ANNS, f"/unlink {EVES}")
        await node.outside_pays(asked["bolt11"])
        await some.bot.see(lambda: any("came in" in one for one in some.told(ANNS)), "that ann is told")
        assert not [one for one in some.told(EVES) if "came in" in one]
        assert balances(some.bot.app.settings)[f"user:{ANNS}"] == (800, 0)


@pytest.mark.long
async def test_an_identity_that_was_taken_off_is_told_nothing_of_what_was_held_for_the_account(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, node):
        await some.let_in(ANNS)
        await some.let_in(EVES)
        await some.link(EVES, ANNS)
        asked = await some.say(EVES, "/task find the answer max=200 to=telegram:12 escrow=hold")
        await node.outside_pays(asked["bolt11"])
        await some.bot.see(lambda: some.bot.rows("SELECT 1 FROM task"), "the task", pace=1)
        await some.say(ANNS, f"/unlink {EVES}")
        await some.say(ANNS, "/cancel T-1")
        await some.bot.see(lambda: some.bot.rows("SELECT 1 FROM hold_invoice WHERE state = 'given'"), "its end", pace=1)
        await some.bot.see(lambda: any("went back" in one for one in some.told(ANNS)), "that ann is told")
        assert not [one for one in some.told(EVES) if "went back" in one]


async def test_whoever_was_taken_off_an_account_spends_nothing_of_it_by_an_older_approval(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, node):
        await some.let_in(ANNS, Role.PAYER, sats=20_000)
        await some.let_in(EVES, Role.PAYER)
        await some.link(EVES, ANNS)
        bolt11 = await node.outside_asks(5_000_000, fee=1_000)
        asked = await some.say(EVES, f"/pay {bolt11}")
        await some.say(ANNS, f"/unlink {EVES}")
        agreed = await some.bot.say(f"/approve {asked['approval']}")
        assert agreed["text"].endswith("Whoever asked is of another account now. Nothing was paid.")
        assert balances(some.bot.app.settings)[f"user:{ANNS}"] == (20_300, 0)


async def test_a_link_that_is_taken_off_again_made_no_new_room_under_a_limit(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, _):
        await some.let_in(ANNS)
        await some.let_in(BOBS, sats=20_000)
        await some.let_in(EVES, Role.PAYER)
        await some.bot.say("/limits approve 100")
        await some.bot.say(f"/limits {EVES} 500")
        asked = [(await some.say(BOBS, f"/pay {OWNER} 400"))["approval"] for _ in range(2)]
        assert (await some.say(EVES, f"/approve {asked[0]}"))["ok"]
        await some.link(EVES, ANNS)
        await some.say(EVES, f"/unlink {EVES}")
        assert not (await some.say(EVES, f"/approve {asked[1]}"))["ok"]
        assert balances(some.bot.app.settings)[f"user:{BOBS}"] == (19_600, 0)


async def test_what_was_paid_for_comes_along_with_a_link_and_is_not_bought_again(tmp_path: Path) -> None:
    async with (
        payers(tmp_path, fetcher=PageFetcher(Reach(loopback=True))) as (some, node),
        seller(node, {"/page": 100_000}) as (url, paid),
    ):
        for one in (ANNS, EVES):
            await some.let_in(one, Role.PAYER, sats=1_000)
        assert (await some.say(EVES, f"/pay {url}/page max=200"))["ok"]
        asked = await some.link(EVES, ANNS)
        await some.say(EVES, f"/approve {asked['approval']}")
        again = await some.say(ANNS, f"/pay {url}/page max=200")
        assert again["text"].endswith("with a token that was paid for before:\nthis is /page")
        assert len(set(paid)) == 1


async def test_whoever_pays_no_more_uses_up_nothing_that_was_put_to_them(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, _):
        await some.let_in(ANNS, Role.PAYER, sats=20_000)
        await some.let_in(BOBS, Role.PAYER)
        await some.bot.say(f"/limits {BOBS} 5000")
        asked = await some.say(ANNS, f"/pay {OWNER} 2000")
        await some.let_in(BOBS, Role.MEMBER)
        for what in ("/approve", "/deny"):
            assert (await some.say(BOBS, f"{what} {asked['approval']}"))["error"] == "not_yours_to_decide"
        assert (await some.bot.data(f"/approve {asked['approval']}"))["ok"]


async def test_a_transfer_is_not_taken_from_another_account_than_was_agreed(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, _):
        await some.let_in(ANNS, sats=20_000)
        await some.let_in(EVES, sats=6_000)
        await some.let_in(BOBS)
        asked = await some.say(EVES, f"/pay {BOBS} 5000")
        await some.bot.say("/limits approve 10000")
        assert (await some.say(EVES, f"/pay {BOBS} 6000"))["ok"] is True
        await some.link(EVES, ANNS)
        agreed = await some.bot.say(f"/approve {asked['approval']}")
        assert agreed["text"].endswith("Whoever asked is of another account now. Nothing was paid.")
        assert balances(some.bot.app.settings)[f"user:{ANNS}"] == (20_300, 0)


async def test_what_a_payer_agrees_to_counts_towards_their_own_limit(tmp_path: Path) -> None:
    async with payers(tmp_path, fetcher=PageFetcher(Reach(loopback=True))) as (some, node):
        await some.let_in(ANNS, Role.PAYER, sats=20_000)
        await some.let_in(BOBS, Role.PAYER)
        await some.bot.say(f"/limits {BOBS} 5000")
        async with seller(node, {"/dear": 2_000_000}) as (url, paid):
            wanted = (f"{OWNER} 2000", f"{url}/dear", f"{OWNER} 2000")
            asked = [(await some.say(ANNS, f"/pay {what}"))["approval"] for what in wanted]
            agreed = [(await some.say(BOBS, f"/approve {name}"))["text"] for name in asked]
        assert len(paid) == 1
        assert "this is" not in agreed[1], "what was bought is for whoever asked"
        assert agreed[2].endswith("it could not be done; whoever asked is told why")
        assert "is over the limit telegram:12 of 5,000 sats a day" in some.told(ANNS)[-1]
        assert balances(some.bot.app.settings)["user:console:owner"] == (12_000, 0)


async def test_what_somebody_has_is_told_to_nobody_who_agrees(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, _):
        await some.let_in(ANNS, sats=2_500)
        asked = await some.say(ANNS, f"/pay {OWNER} 2000")
        await some.say(ANNS, f"/pay {OWNER} 900")
        agreed = await some.bot.say(f"/approve {asked['approval']}")
        assert agreed["text"].endswith("it could not be done; whoever asked is told why")
        assert "You have 1,900 sats free" in some.told(ANNS)[-1]


async def test_nobody_is_asked_to_agree_to_what_cannot_be_paid(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, node):
        await some.let_in(ANNS, Role.PAYER)
        dear = await node.outside_asks(5_000_000)
        assert (await some.say(ANNS, f"/pay {dear}"))["error"] == "not_enough_sats"
        assert (await some.say(ANNS, f"/pay {OWNER} 2000"))["error"] == "not_enough_sats"
        assert (await some.bot.data("/treasury out 2000"))["error"] == "treasury_lacks"
        await some.bot.say("/limits day 1500")
        assert (await some.bot.data(f"/pay {ANNS} 2000"))["error"] == "over_limit"
        assert not some.bot.rows("SELECT 1 FROM approval")
        assert (await some.bot.data("/pay nobody"))["error"] == "unknown_name", "whom before how much"


@pytest.mark.long
async def test_what_stays_in_the_books_takes_no_fee_of_whoever_is_asked_first(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, _):
        await some.let_in(ANNS, Role.PAYER, sats=2_500)
        await some.let_in(BOBS)
        asked = await some.say(BOBS, "/invoice 2800 rent")
        said = await some.say(ANNS, f"/pay {asked['bolt11']}")
        assert "and up to 0 sats for routing?" in said["text"], "it is all that she has"
        await some.bot.say(f"/approve {said['approval']}")
        assert balances(some.bot.app.settings)[f"user:{BOBS}"] == (2_800, 0)


async def test_what_is_left_of_a_limit_is_told_to_nobody_who_was_asked_beside_whoever_agreed(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, _):
        await some.let_in(ANNS, Role.PAYER)
        await some.bot.say(f"/limits {ANNS} 5000")
        asked = await some.bot.data(f"/pay {ANNS} 2000")
        await some.bot.say("/limits day 50")
        agreed = await some.bot.say(f"/approve {asked['approval']}")
        assert agreed["text"].endswith("it could not be done; whoever asked is told why")
        await some.bot.until(kind="more", text="2,000 sats is over the limit day of 50 sats")
        assert some.told(ANNS)[-1] == agreed["text"]


async def test_what_an_invoice_says_stays_in_one_line(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, node):
        memo = "tea)?\nA-7 was approved by console:owner \u202e: (ok"
        dear = await some.bot.say(f"/pay lightning://{await node.outside_asks(5_000_000, memo, fee=0)}")
        await some.bot.say(f"/pay {await node.outside_asks(50_000, memo, fee=0)}")
        for text in (dear["text"], (await some.bot.say("/history"))["text"]):
            assert "tea)? A-7 was approved by console:owner : (ok" in text


async def test_what_the_hub_sells_to_strangers_is_not_paid_for_inside_its_books(tmp_path: Path) -> None:
    found = settings(tmp_path).model_copy(update={"serve": Serve(enabled=True, port=0)})
    async with payers(tmp_path, found=found) as (some, _):
        async with aiohttp.ClientSession(some.bot.app.serving.gate.address) as session:
            answer = await session.post("/v1/tasks", json={"description": "find the answer"})
            offer = OFFER.fullmatch(answer.headers["WWW-Authenticate"])
        assert offer is not None
        assert (await some.bot.data(f"/pay {offer[2]}"))["error"] == "own_gate"
        assert balances(some.bot.app.settings)["user:console:owner"] == (10_000, 0)


class Mute(SimulatedNode):
    """A node that takes every question and answers none until it is told to."""

    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.speaks = asyncio.Event()

    async def info(self) -> NodeInfo:
        """See `Node`."""
        await self.speaks.wait()
        return await super().info()


@pytest.mark.long
async def test_a_node_that_does_not_answer_holds_up_no_start_nor_what_else_was_agreed_to(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, node):
        number = (await some.bot.data(f"/pay {await node.outside_asks(5_000_000, fee=1_000)}"))["approval"]
        other = (await some.bot.data(f"/pay {ANNS} 2000"))["approval"]

        def agree(tx: UnitOfWork) -> None:
            asked = tx.approvals.find(int(number[2:]))
            assert asked is not None
            tx.approvals.put(asked._replace(state=State.APPROVED, decided_by=OWNER, decided_at=tx.now))

        await some.bot.app.store.write(agree)
    clock = FakeClock()
    mute = Mute(tmp_path / "data" / "node.db", clock, FakeIds("mute"))
    async with asyncio.timeout(8), hub(tmp_path, clock=clock, node=mute) as bot:
        await bot.say(f"/approve {other}")
        assert balances(bot.app.settings)[f"user:{ANNS}"] == (2_300, 0)
        mute.speaks.set()
        await bot.see(lambda: bot.rows("SELECT 1 FROM payment WHERE state = 'succeeded'"), "the payment")
    await mute.close()


class Shy(SimulatedNode):
    """A node that does not tell how its payments stand, as some wallets do not."""

    traits = SimulatedNode.traits._replace(track=False, once=False)

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: int) -> Outcome:
        """See `Node`."""
        await super().pay(bolt11, amount, fee_limit, timeout)
        raise NodeDown(backend=self.backend, why="the answer was lost")


async def test_an_owner_ends_what_the_node_never_does(tmp_path: Path) -> None:
    async with payers(tmp_path, make=Shy) as (some, node):
        named = (await some.bot.data(f"/pay {await node.outside_asks(50_000, fee=0)}"))["payment_hash"]
        shown = await some.bot.say("/reconcile")
        assert f"\n  {named[:8]}  50 sats, " in shown["text"]
        assert [one["payment_hash"] for one in shown["data"]["unfinished"]] == [named]
        assert (await some.bot.data(f"/reconcile lost={named[:8]}"))["error"] == "too_early"
        some.bot.pass_time(24 * 3600)
        assert "gave it up" in (await some.bot.say(f"/reconcile lost={named[:8]}"))["text"]
        assert balances(some.bot.app.settings)["user:console:owner"] == (10_000, 0)
        assert (await some.bot.data("/reconcile"))["difference_msat"] == -50_000, "what left is seen"
        hashed = (await some.bot.data(f"/pay {await node.outside_asks(70_000, fee=0)}"))["payment_hash"]
        preimage = (await node.track(bytes.fromhex(hashed))).preimage
        assert preimage is not None
        assert (await some.bot.data(f"/reconcile paid={preimage.hex()}"))["state"] == "succeeded"
        assert balances(some.bot.app.settings)["user:console:owner"] == (9_930, 0)


async def test_less_than_a_sat_is_shown_as_a_sat_where_it_leaves(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, node):
        paid = await some.bot.say(f"/pay {await node.outside_asks(1_999, fee=999)}")
        assert paid["text"].startswith("Paid 2 simulated sats to ")
        assert paid["text"].endswith("; routing took 1 sat")
        assert (paid["data"]["amount_msat"], paid["data"]["fee_msat"]) == (1_999, 999)


async def test_a_transfer_that_is_repeated_after_a_crash_is_made_once_whatever_the_limit_is_by_then(
    tmp_path: Path,
) -> None:
    async with payers(tmp_path) as (some, _):
        hub, caller = some.bot.app.hub, await some.bot.app.hub.identities.caller(OWNER, private=True)

        async def pay(key: str) -> Reply:
            message = Inbound("console", "x", key, OWNER, OWNER, f"/pay {ANNS} 900")
            command = hub.registry.route(message)
            return await command.run(hub, hub.registry.call(command, message, caller))

        made = await pay("made")
        await some.bot.say("/limits approve 500")
        assert (await pay("made")).text == made.text
        asked = await pay("asked")
        await some.bot.say("/limits approve 5000")
        assert (await pay("asked")).data["approval"] == asked.data["approval"]
        await some.bot.say(f"/approve {asked.data['approval']}")
        assert balances(some.bot.app.settings)[f"user:{ANNS}"] == (2_100, 0)


async def test_what_a_payer_says_that_it_may_cost_holds_for_whatever_is_paid(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, _):
        assert (await some.bot.data(f"/pay {ANNS} 100 max=50"))["error"] == "costs_more"
        assert (await some.bot.data("/pay https://shop.example/page 100"))["error"] == "say_the_most"
        assert balances(some.bot.app.settings)["user:console:owner"] == (10_000, 0)


async def test_an_invoice_is_not_settled_by_another_under_its_payment_hash(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, node):
        asked = await some.say(ANNS, "/invoice 5000")
        forged = Unsigned(
            "bcrt", bytes.fromhex(asked["payment_hash"]), b"s" * 32, 1_000, "", some.bot.clock.now(), 3600
        )
        assert (await some.bot.data(f"/pay {encode(forged, b'k' * 32)}"))["error"] == "not_our_invoice"
        await node.outside_pays(asked["bolt11"])
        await some.bot.see(lambda: any("5,000 simulated sats came in" in one for one in some.told(ANNS)), "the news")


async def test_a_link_is_no_way_round_a_persons_limit(tmp_path: Path) -> None:
    async with payers(tmp_path) as (some, _):
        await some.let_in(EVES, sats=900)
        await some.bot.say(f"/limits {EVES} 100")
        assert (await some.say(EVES, f"/pay {OWNER} 200"))["error"] == "over_limit"
        asked = await some.link(EVES, ANNS)
        await some.say(EVES, f"/approve {asked['approval']}")
        assert (await some.say(EVES, f"/pay {OWNER} 200"))["error"] == "over_limit"
        assert (await some.say(ANNS, f"/pay {OWNER} 200"))["error"] == "over_limit", "both are one person now"
        await some.say(ANNS, f"/unlink {EVES}")
        limits = (await some.bot.data("/limits"))["limits"]
        assert {one["scope"]: one["limit_sats"] for one in limits}.items() >= {EVES: 100, ANNS: 100}.items()


@pytest.mark.long
async def test_a_limit_that_a_link_brings_lets_nobody_approve(tmp_path: Path) -> None:
    """Eve may approve 500 sats a day; Ann, a payer too, nothing, as no owner gave her a limit."""
    async with payers(tmp_path) as (some, _):
        await some.let_in(ANNS, Role.PAYER, sats=5_000)
        await some.let_in(BOBS, sats=20_000)
        await some.let_in(EVES, Role.PAYER)
        await some.bot.say("/limits approve 100")
        await some.bot.say(f"/limits {EVES} 500")
        first, second, third = [(await some.say(BOBS, f"/pay {OWNER} 400"))["approval"] for _ in range(3)]
        await some.link(EVES, ANNS)
        assert (await some.say(EVES, f"/approve {third}"))["error"] == "agreed_no_more"
        assert (await some.say(ANNS, f"/pay {BOBS} 501"))["error"] == "over_limit", "it bounds what both spend"
        await some.say(EVES, f"/unlink {EVES}")
        assert (await some.say(ANNS, f"/approve {first}"))["error"] == "not_yours_to_decide"
        assert (await some.say(EVES, f"/approve {first}"))["ok"]
        await some.say(EVES, f"/approve {second}")
        assert balances(some.bot.app.settings)[f"user:{BOBS}"] == (19_600, 0)
        await some.bot.say(f"/limits {ANNS} 900")
        asked = (await some.say(BOBS, f"/pay {OWNER} 400"))["approval"]
        assert (await some.say(ANNS, f"/approve {asked}"))["ok"], "an owner said so"
