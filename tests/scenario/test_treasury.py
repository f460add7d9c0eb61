"""The treasury of a whole hub: sats in and out, its earnings, its budgets, and what its owners are told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from adapters.fetch.addresses import Reach
from adapters.fetch.fetcher import PageFetcher
from core.access import NotAllowed
from core.chat import CommandCall, Role
from core.money import to_msat
from core.treasury.treasury import Way
from core.wallet.invoices import SALES, Invoice
from core.wallet.ledger import TREASURY, KeyConflict, not_enough
from tests.kill.story import Parrot
from tests.scenario.bot import OWNER, balances, hub, let_in, prove
from tests.scenario.test_l402_gate import done, selling
from tests.scenario.test_payments import paying, seller

if TYPE_CHECKING:
    from pathlib import Path


ANN = "telegram:7"
TOLD = "SELECT body ->> 'text' FROM outgoing WHERE conversation = ? ORDER BY id"


async def test_sats_are_moved_in_and_out_and_shown_with_what_was_earned(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, ANN, Role.OWNER)
        assert (await bot.say("/treasury in 500", id="once"))["text"] == "Moved 500 simulated sats into the treasury"
        await bot.post("/treasury in 500", id="once")  # the very same message again
        owner = await bot.app.hub.identities.caller(OWNER, private=True)
        (key,) = (row[0] for row in bot.rows("SELECT key FROM applied WHERE key GLOB '*/treasury'"))
        with pytest.raises(KeyConflict):
            await bot.app.hub.treasury.move(owner, Way.IN, to_msat(400), key.removesuffix("/treasury"))
        assert (await bot.data("/treasury out 120"))["ok"] is True
        assert balances(bot.app.settings)["treasury"] == (380, 0)
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        shown = await bot.say("/treasury")
        assert shown["text"].split("\n")[:6] == [
            "The treasury has 420 simulated sats free",
            "               earned   spent",
            "today          40 sats  0 sats",
            "last 24 hours  40 sats  0 sats",
            "in all         40 sats  0 sats",
            "earned in all: the hub's own agents 40",
        ]
        assert "owners moved 500 sats in and 120 sats out" in shown["text"]
        assert shown["data"]["today"] == {
            "earned_sats": 40, "spent_sats": 0, "moved_in_sats": 500, "moved_out_sats": 120,
        }  # fmt: skip
        bot.pass_time(2 * 86400)
        later = await bot.data("/treasury")
        assert (later["day"]["earned_sats"], later["whole"]["earned_sats"]) == (0, 40)
        told = [text for (text,) in bot.rows(TOLD, ANN)]
        assert told == [
            f"{OWNER} moved 500 sats into the treasury.", f"{OWNER} moved 120 sats out of the treasury.",
        ]  # fmt: skip
        await bot.say("/limits approve 50k")
        for line, error in (
            ("/treasury out 421", "treasury_lacks"), ("/treasury sideways 5", "bad_choice"), ("/treasury in", "missing_argument"),
            ("/treasury in 0", "bad_amount"), ("/treasury in 1.5", "bad_amount"), ("/treasury in 5 6", "too_many"),
            ("/treasury in 20000", "not_enough_sats"),
        ):  # fmt: skip
            assert (await bot.data(line)).get("error") == error, line
        await bot.say("/treasury out 5", acting_for=ANN)
        assert balances(bot.app.settings)["treasury"] == (420, 0), "--as moves nothing"
        prove(bot.app.settings)


async def test_above_the_limit_an_owner_taps_and_no_payer_does(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, ANN, Role.PAYER)
        await bot.say(f"/limits {ANN} 50k")
        asked = await bot.say("/treasury in 2000")
        assert "Move 2,000 simulated sats into the treasury?" in asked["text"]
        assert bot.rows(TOLD, ANN) == [], "a payer is not asked"
        assert "treasury" not in balances(bot.app.settings)
        agreed = await bot.say(f"/approve {asked['data']['approval']}")
        assert "Moved 2,000 simulated sats into the treasury" in agreed["text"]
        assert balances(bot.app.settings)["treasury"] == (2000, 0)
        prove(bot.app.settings)


async def test_what_comes_again_after_a_crash_does_what_it_did_whatever_the_limit_is_by_then(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        paying, owner = bot.app.hub.paying(), await bot.app.hub.identities.caller(OWNER, private=True)
        moved, asked = (CommandCall("treasury", {}, owner, OWNER, key) for key in ("moved", "asked"))
        first = await paying.treasury(moved, Way.IN, 500_000)
        await bot.say("/limits approve 100")
        assert (await paying.treasury(moved, Way.IN, 500_000)) == first
        question = await paying.treasury(asked, Way.IN, 300_000)
        await bot.say("/limits approve 1000")
        assert (await paying.treasury(asked, Way.IN, 300_000)) == question
        assert balances(bot.app.settings)["treasury"] == (500, 0)


async def test_whoever_agrees_reads_that_the_treasury_pays(tmp_path: Path) -> None:
    fetcher = PageFetcher(Reach(loopback=True))
    async with paying(tmp_path, fetcher=fetcher) as (bot, node), seller(node, fee=1_000) as (url, _):
        await bot.say("/treasury in 900")
        await bot.say("/limits approve 50")
        asked = await bot.say(f"/pay {url}/99000 from=treasury")
        assert "Pay it? From the account treasury." in asked["text"]
        invoice = await bot.say(f"/pay {await node.outside_asks(300_000)} from=treasury")
        assert "for routing? From the account treasury." in invoice["text"]
        assert "From the account" not in (await bot.say(f"/pay {url}/98000"))["text"]


async def test_a_budget_that_is_used_up_turns_strangers_away_and_its_owners_raise_it(tmp_path: Path) -> None:
    async with selling(tmp_path, model=Parrot()) as (bot, stranger):
        stranger.buy(await stranger.ask("POST", "/v1/tasks?calls=3", json={"description": "find it"}))
        assert (await done(bot, stranger, (await stranger.task("find it", key="a")).body["task_id"]))[
            "status"
        ] == "settled"
        await bot.say("/limits treasury.day 41")
        await bot.say("/limits treasury.sold 90")
        assert (await stranger.task("find it", token="")).error == (503, "no_funds"), "a call costs 100"
        assert "treasury.sold of 90 sats is used up" in (await bot.until(kind="more", scope="treasury.sold"))["text"]
        await bot.say("/limits treasury.sold 120")
        for key in "bb":  # the second time nobody is told again
            said = await stranger.task("find it", key=key)
            assert said.error == (503, "no_funds")
            assert "120" not in said.body["error"]["message"]
        assert bot.rows("SELECT count(*) FROM l402_call") == [(1,)]
        told = await bot.until(kind="more", scope="treasury.sold")
        assert "the treasury's budget treasury.sold of 120 sats is used up" in told["text"]
        assert told["data"]["proposed_sats"] == 240
        assert "scope" not in str(bot.unread), "once"
        assert [button["command"] for button in told["buttons"]] == ["/limits treasury.sold 240"]
        await bot.say("/limits treasury.sold 240")
        assert (await done(bot, stranger, (await stranger.task("find it", key="b")).body["task_id"]))[
            "status"
        ] == "settled"
        await bot.say("/freeze")
        assert (await stranger.task("find it", key="c")).error == (503, "no_funds")
        assert (await stranger.task("find it", token="")).error == (503, "no_funds"), (
            "nobody pays for what they do not get"
        )
        assert (await stranger.ask("POST", "/v1/chat", token="", json={"message": "hi"})).status == 402
        await bot.say("/unfreeze")
        found = await bot.data("/treasury")
        assert (found["whole"]["earned_sats"], found["whole"]["spent_sats"]) == (380, 80)
        budgets = {one["scope"]: one["spent_sats"] for one in found["budgets"] if "spent_sats" in one}
        assert budgets == {"treasury.hour": 0, "treasury.day": 0, "treasury.sold": 80}, (
            "what they paid for is not the owners'"
        )
        assert (await bot.data("/treasury out 41"))["ok"] is True
        prove(bot.app.settings)


async def test_a_strangers_task_that_no_agents_budget_leaves_room_for_fails_without_saying_what_they_are(
    tmp_path: Path,
) -> None:
    async with selling(tmp_path) as (bot, stranger):
        stranger.buy(await stranger.task("find it"))
        for agent in ("quill", "echo"):
            await bot.say(f"/limits treasury.agent:{agent} 5")
        facts = await done(bot, stranger, (await stranger.task("find it")).body["task_id"])
        assert (facts["status"], facts["why"]) == ("failed", "nobody here could do it")
        assert balances(bot.app.settings)["treasury"] == (100, 0)
        assert (await stranger.task("find it", key="again")).status == 202, "the call was given back"
        prove(bot.app.settings)


async def test_a_treasury_without_sats_is_told_once(tmp_path: Path) -> None:
    async with selling(tmp_path) as (bot, stranger):
        stranger.buy(await stranger.task("find it"))
        assert (await stranger.task("find it", key="a", max_sats=90)).status == 202
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE status = 'settled'"), "its end")
        await bot.say("/treasury out 100")
        stranger.cashier.store = None  # what was paid went elsewhere
        stranger.buy(await stranger.task("find it"))
        for _ in range(2):
            assert (await stranger.task("find it")).error == (503, "no_funds")
        told = await bot.until(kind="more", text="A stranger's task of 100 sats was turned away")
        assert "/treasury in SATS" in told["text"]
        await bot.barrier()
        assert "turned away" not in str(bot.unread)


async def test_where_the_node_kept_a_part_of_the_payment_the_task_costs_no_more_than_came(tmp_path: Path) -> None:
    async with selling(tmp_path) as (bot, stranger):
        stranger.buy(await stranger.ask("POST", "/v1/tasks?calls=2", json={"description": "find it"}))
        (made,) = stranger.cashier.made
        asked = Invoice(
            made.payment_hash, made.bolt11, SALES, made.amount, "", "l402", "", made.expires_at, made.expires_at
        )
        await bot.app.store.write(lambda tx: tx.invoices.add(asked))
        await bot.app.store.write(lambda tx: tx.invoices.settle(made.payment_hash, 120_999, tx.now))
        assert (await stranger.task("find it", key="a")).status == 202
        assert (await stranger.task("find it", key="b", max_sats=50)).status == 202
        assert bot.rows("SELECT budget FROM task ORDER BY id") == [(60_499,), (50_000,)]


async def test_two_that_are_turned_away_at_once_are_told_as_one(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        why = not_enough(TREASURY, 0, 5_000, tasks=False)
        await asyncio.gather(*(bot.app.hub.treasury.short(why, 5_000) for _ in range(2)))
        assert bot.rows("SELECT count(*) FROM event WHERE kind = 'TreasuryShort'") == [(1,)]
        bot.pass_time(86400)
        await bot.app.hub.treasury.short(why, 5_000)
        assert bot.rows("SELECT count(*) FROM event WHERE kind = 'TreasuryShort'") == [(2,)]


async def test_the_treasury_pays_an_invoice_and_an_address_and_no_person(tmp_path: Path) -> None:
    fetcher = PageFetcher(Reach(loopback=True))
    async with paying(tmp_path, fetcher=fetcher) as (bot, node), seller(node, fee=1_000) as (url, _):
        await let_in(bot, ANN, Role.PAYER)
        await bot.say("/treasury in 900")
        paid = await bot.data(f"/pay {await node.outside_asks(300_000, fee=1_000)} from=treasury")
        assert (paid["state"], paid["fee_sats"]) == ("succeeded", 1)
        assert (await bot.say(f"/pay {url}/99000 from=treasury"))["text"].endswith("this is /99000")
        assert balances(bot.app.settings)["treasury"] == (499, 0)
        assert balances(bot.app.settings)[f"user:{OWNER}"] == (9_100, 0)
        assert (await bot.data(f"/pay {ANN} 5 from=treasury"))["error"] == "treasury_pays_nobody"
        assert (await bot.data("/treasury"))["today"]["spent_sats"] == 401
        await bot.say("/limits treasury.day 410")
        assert (await bot.data(f"/pay {await node.outside_asks(20_000)} from=treasury"))["error"] == "over_limit"
        payer = await bot.app.hub.identities.caller(ANN, private=True)
        call = CommandCall("pay", {"whom": await node.outside_asks(20_000), "from": "treasury"}, payer, ANN, "k")
        with pytest.raises(NotAllowed):
            await bot.app.hub.paying().pay(call)
        prove(bot.app.settings)
