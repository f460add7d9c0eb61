"""Sats over Lightning in chat: asked for, paid, told; above the limit somebody taps."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from adapters.fetch.addresses import Reach
from adapters.fetch.fetcher import PageFetcher
from adapters.lightning.bolt11 import decode
from adapters.lightning.simulated import SimulatedNode
from adapters.lightning.simulated_file import Fails
from config.settings import Serve
from core.wallet.ledger import EXTERNAL, transfer
from core.wallet.lightning import NodeDown, NodeRefused
from tests.fakes import FakeClock, FakeIds
from tests.scenario.bot import balances, hub, let_in, prove, settings
from tests.scenario.held_store import HeldDatabase, held
from tests.scenario.strangers import OFFER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path

    from core.errors import HubError
    from core.wallet.lightning import NodeInfo, Outcome
    from tests.scenario.bot import Bot


@asynccontextmanager
async def paying(
    folder: Path, clock: FakeClock | None = None, kind: type[SimulatedNode] = SimulatedNode, **parts: Any
) -> AsyncIterator[tuple[Bot, Any]]:
    """A hub and its node, whose world outside the test moves."""
    clock = clock or FakeClock()
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    node = kind(folder / "data" / "node.db", clock, FakeIds(f"node {folder}"))
    try:
        async with hub(folder, clock=clock, node=node, **parts) as bot:
            yield bot, node
    finally:
        await node.close()


async def test_an_invoice_is_paid_and_told(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node):
        asked = await bot.say("/invoice 500 two coffees")
        assert asked["text"].startswith("Invoice for 500 simulated sats, until ")
        assert [file["name"] for file in asked["files"]] == ["invoice.png"]
        data = asked["data"]
        assert (data["state"], data["amount_sats"], data["simulated"]) == ("open", 500, True)
        await node.outside_pays(data["bolt11"])
        told = await bot.until(kind="more", payment_hash=data["payment_hash"])
        assert told["text"] == "500 simulated sats came in: two coffees"
        assert (await bot.data("/balance"))["balance_sats"] == 10_500
        assert (await bot.say("/reconcile"))["text"].startswith("The node has what the books say")
        prove(bot.app.settings)


async def test_an_invoice_of_the_world_is_paid(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node):
        bolt11 = await node.outside_asks(300_000, "a book", fee=1_000)
        paid = await bot.data(f"/pay {bolt11}")
        assert (paid["ok"], paid["state"], paid["amount_sats"], paid["fee_sats"]) == (True, "succeeded", 300, 1)
        assert len(bytes.fromhex(paid["preimage"])) == 32
        assert (await bot.data("/balance")) == {"ok": True, "balance_sats": 9_699, "held_sats": 0, "simulated": True}
        history = await bot.say("/history")
        assert f"payment {paid['payment_hash'][:8]} to {decode(bolt11).payee[:8]}…: a book" in history["text"]
        line = history["data"]["history"][0]
        assert (line["payment_hash"], line["payee"]) == (paid["payment_hash"], decode(bolt11).payee)
        again = await bot.data(f"/pay {bolt11}")
        assert (again["ok"], again["error"]) == (False, "paid_already")
        assert (await bot.data("/reconcile"))["difference_msat"] == 0
        prove(bot.app.settings)


async def test_a_node_that_is_behind_the_chain_is_shown(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node), aiohttp.ClientSession(bot.app.address) as session:
        assert await (await session.get("/healthz")).json() == {"ok": True}
        info: NodeInfo = await node.info()

        async def behind() -> NodeInfo:
            return info._replace(synced=False)

        node.info = behind
        bot.pass_time(60)
        await bot.see(bot.app.health.behind, "that it is behind")
        why = f"not in step with the chain: its newest block is {info.height:,}"
        shown = await bot.say("/status")
        assert f"lightning  up; its node is {why}" in shown["text"]
        assert (shown["data"]["node"], shown["data"]["ok"]) == ({"synced": False, "why": why}, False)
        answer = await session.get("/healthz")
        assert (answer.status, await answer.json()) == (200, {"ok": True, "notes": [f"the Lightning node is {why}"]})
        assert (await bot.data("/reconcile"))["error"] == "node_behind"


async def test_what_nobody_asked_for_is_told_and_given_by_an_owner_to_whom_it_belongs(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node):
        await let_in(bot, "telegram:7", name="Ann")
        foreign = await node.create_invoice(70_000, "of another user of the node", 600)
        await node.outside_pays(foreign.bolt11)
        told = await bot.until(kind="more", sats=70)
        assert "70 sats came to the node that nobody here asked for" in told["text"]
        shown, entry = await bot.say("/reconcile"), told["data"]["entry"]
        assert f"in suspense, entry {entry}  70 sats" in shown["text"]
        assert shown["data"]["suspense"][0]["entry"] == entry
        assert (await bot.data(f"/reconcile give={entry}"))["error"] == "missing_argument"
        given = await bot.say(f"/reconcile give={entry} to=Ann", id="once")
        await bot.post(f"/reconcile give={entry} to=Ann", id="once")  # the very same message again
        assert given["text"] == f"70 simulated sats of entry {entry} are telegram:7's now"
        assert (await bot.data(f"/reconcile give={entry} to=treasury"))["error"] == "not_in_suspense"
        ((text,),) = bot.rows("SELECT body ->> 'text' FROM outgoing WHERE conversation = 'telegram:7'")
        assert (
            text == "70 simulated sats that came to the node earlier are in your wallet. /balance shows what you have"
        )
        assert balances(bot.app.settings)["user:telegram:7"] == (70, 0)
        assert (await bot.data("/reconcile"))["suspense"] == []
        prove(bot.app.settings)


async def test_what_fails_costs_nothing(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node):
        bolt11 = await node.outside_asks(300_000, fails=Fails.NO_ROUTE)
        failed = await bot.say(f"/pay {bolt11}")
        assert failed["data"]["error"] == "payment_failed"
        assert failed["text"].endswith("Nothing left your wallet.")
        exact = await bot.say(f"/pay {await node.outside_asks(50_000, fee=1_000)} max=50")
        why = "max=50 left nothing for routing, so allow some more (there is no route within the fee limit)"
        assert why in exact["text"]
        assert (await bot.data("/balance"))["balance_sats"] == 10_000
        prove(bot.app.settings)


@pytest.mark.parametrize(("well", "left"), [(True, 9_699), (False, 10_000)])
async def test_what_hangs_keeps_its_sats_aside_until_the_node_says_how_it_ended(
    tmp_path: Path, *, well: bool, left: int
) -> None:
    clock = FakeClock()
    async with paying(tmp_path, clock) as (bot, node):
        bolt11 = await node.outside_asks(300_000, fails=Fails.HANGS, fee=1_000)
        await bot.post(f"/pay {bolt11}")
        await bot.see(lambda: bot.rows("SELECT 1 FROM payment WHERE state = 'sending'"), "the payment")
        bot.pass_time(11)
        waits = await bot.until(kind="reply")
        assert "is on its way" in waits["text"]
        assert (await bot.data("/balance"))["held_sats"] == 303
    async with paying(tmp_path, clock) as (bot, node):
        await node.land(bytes.fromhex(waits["data"]["payment_hash"]), well=well)
        await bot.see(
            lambda: bot.rows("SELECT 1 FROM payment WHERE state IN ('succeeded', 'failed')"), "its end", pace=1
        )
        told = await bot.until(kind="more", payment_hash=waits["data"]["payment_hash"])
        assert told["data"]["state"] == ("succeeded" if well else "failed")
        assert (await bot.data("/balance"))["balance_sats"] == left
        assert (await bot.data("/reconcile"))["difference_msat"] == 0
        prove(bot.app.settings)


async def test_an_invoice_of_the_hub_itself_is_paid_in_its_books(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, _node):
        mine = await bot.data("/invoice 50")
        assert (await bot.data(f"/pay {mine['bolt11']}"))["error"] == "pays_yourself"
        dear = await bot.data("/invoice 5000")
        assert (await bot.data(f"/pay {dear['bolt11']}"))["error"] == "pays_yourself", "nobody is asked first"
        order = await bot.data("/task find it max=200 escrow=hold")
        assert (await bot.data(f"/pay {order['bolt11']}"))["error"] == "own_order"
        nobody = await bot.say("/invoice 50", acting_for="telegram:5")
        assert nobody["text"] == "telegram:5 was never let in here, and has no wallet. /pair lets people in."
        await let_in(bot, "telegram:5", "member")
        theirs = await bot.data("/invoice 50", acting_for="telegram:5")
        paid = await bot.data(f"/pay {theirs['bolt11']}")
        assert (paid["state"], paid["fee_sats"]) == ("succeeded", 0)
        assert balances(bot.app.settings)["user:telegram:5"] == (50, 0)
        assert (await bot.data("/reconcile"))["difference_msat"] == 0
        prove(bot.app.settings)


async def test_only_a_worker_that_exists_is_paid_out_and_only_what_it_has(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node):
        bolt11 = await node.outside_asks(5_000)
        none = await bot.say(f"/payout foo {bolt11}")
        assert none["text"].startswith("There is no worker 'foo' of somebody else's here. There are none yet.")
        await bot.app.store.write(
            lambda tx: tx.ledger.append(
                transfer("first", "grant", EXTERNAL, "agent:far", 4_000, task=None, actor="hub", reason="")
            )
        )
        other = await bot.say(f"/payout telegram:12345 {bolt11}")
        assert (other["data"]["error"], "There are far." in other["text"]) == ("unknown_worker", True)
        short = await bot.say(f"/payout far {bolt11}")
        assert short["text"] == (
            "The agent far has 4 sats free, and this needs 7 sats (2 sats of it for routing). Spend less."
        )
        assert (await bot.say(f"/payout far {bolt11}"))["data"]["error"] == "not_enough_sats"
        dear = await bot.say(f"/pay {await node.outside_asks(20_000_000)}")
        assert "and this needs 20,200 sats (200 sats of it for routing). Spend less." in dear["text"]


async def test_above_the_limit_somebody_taps(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node):
        bolt11 = await node.outside_asks(5_000_000, "a bicycle", fee=1_000)
        asked = await bot.say(f"/pay {bolt11}")
        assert "Pay 5,000 simulated sats to " in asked["text"]
        assert "(a bicycle), and up to 50 sats for routing?" in asked["text"]
        assert (await bot.data("/balance"))["balance_sats"] == 10_000
        await bot.say(f"/approve {asked['data']['approval']}")
        assert (await bot.data("/balance"))["balance_sats"] == 4_999
        prove(bot.app.settings)


class Moody(SimulatedNode):
    """Is down, or refuses, as long as it has a fault."""

    fault: HubError | None = None

    async def info(self) -> NodeInfo:
        if isinstance(self.fault, NodeDown):
            raise self.fault
        return await super().info()

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: int) -> Outcome:
        if self.fault is not None:
            raise self.fault
        return await super().pay(bolt11, amount, fee_limit, timeout)


async def test_what_was_agreed_to_while_the_node_is_down_or_refuses_is_agreed_to_again_and_paid_once(
    tmp_path: Path,
) -> None:
    async with paying(tmp_path, kind=Moody) as (bot, node):
        asked = await bot.data(f"/pay {await node.outside_asks(5_000_000, 'a bicycle', fee=1_000)}")
        node.fault = NodeDown(backend="simulated", why="it sleeps")
        bot.pass_time(60)
        down = await bot.say(f"/approve {asked['approval']}")
        assert "it sleeps" in down["text"]
        assert (down["data"]["ok"], down["data"]["error"], down["data"]["state"]) == (False, "node_down", "open")
        assert bot.rows("SELECT 1 FROM payment") == []
        node.fault = NodeRefused(backend="simulated", why="it is in a mood")
        for _ in range(2):
            refused = await bot.say(f"/approve {asked['approval']}")
            assert "it is in a mood. Nothing left your wallet." in refused["text"]
            assert (refused["data"]["error"], refused["data"]["state"]) == ("payment_failed", "open")
        node.fault = None
        paid = await bot.data(f"/approve {asked['approval']}")
        assert (paid["ok"], paid["state"]) == (True, "done")
        assert (await bot.data("/balance"))["balance_sats"] == 4_999
        assert bot.rows("SELECT attempt, state FROM payment") == [(3, "succeeded")]
        assert (await bot.data("/reconcile"))["difference_msat"] == 0
        prove(bot.app.settings)


@pytest.mark.long
async def test_an_invoice_that_is_asked_about_many_times_at_once_is_one_question(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node):
        line = f"/pay {await node.outside_asks(2_000_000, 'a bicycle', fee=0)}"
        async with bot.another() as other:
            said = await asyncio.gather(*(one.data(line) for one in (bot, other)))
        said += [await bot.data(line)]
        assert said == [{"ok": True, "approval": "A-1", "state": "open"}] * 3
        assert bot.rows("SELECT count(*) FROM approval") == [(1,)]
        await bot.data("/deny A-1")
        assert (await bot.data(line))["approval"] == "A-2", "what was denied may be asked again"
        bot.pass_time(3601)
        await bot.see(lambda: bot.rows("SELECT state FROM approval WHERE id = 2") == [("expired",)], "its end", pace=0)
        assert (await bot.data(f"/pay {await node.outside_asks(2_000_000, 'another', fee=0)}"))["approval"] == "A-3"
        await bot.data("/approve A-3")
        assert (await bot.data("/balance"))["balance_sats"] == 8_000
        two = [(await bot.data("/treasury in 2000"))["approval"] for _ in range(2)]
        assert two == ["A-4", "A-5"], "so much may be wanted twice"


@pytest.mark.long
async def test_nobody_is_asked_about_an_invoice_any_more_once_it_has_run_out(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node):
        asked = await bot.data(f"/pay {await node.outside_asks(2_000_000, 'a bicycle', expiry=600)}")
        assert asked["state"] == "open"
        bot.pass_time(601)
        await bot.until(text="A-1 ran out")
        assert (await bot.data("/approve A-1"))["error"] == "settled"
        assert bot.rows("SELECT 1 FROM payment") == []


@pytest.mark.parametrize(("later", "state"), [(60, "open"), (3500, "done")])
async def test_what_the_node_refused_before_a_crash_is_not_paid_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: int, state: str
) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0)
    clock = FakeClock()
    async with paying(tmp_path, clock, Moody, database=HeldDatabase) as (bot, node):
        asked = await bot.data(f"/pay {await node.outside_asks(5_000_000, 'a bicycle')}")
        clock.advance(120_000)
        node.fault = NodeRefused(backend="simulated", why="it is in a mood")
        held(bot.app.store).hold("Approvals._carried")
        await bot.post(f"/approve {asked['approval']}")
        await held(bot.app.store).holding("Approvals._carried")
    clock.advance(later * 1000)
    async with paying(tmp_path, clock, Moody) as (bot, node):
        await bot.see(lambda: bot.rows("SELECT 1 FROM approval WHERE state <> 'approved'"), "what came of it")
        assert bot.rows("SELECT state FROM approval") == [(state,)]
        assert bot.rows("SELECT attempt, state FROM payment") == [(1, "failed")]


async def test_what_was_agreed_to_and_found_no_way_is_over_and_says_so(tmp_path: Path) -> None:
    async with paying(tmp_path) as (bot, node):
        asked = await bot.data(f"/pay {await node.outside_asks(5_000_000, fails=Fails.NO_ROUTE)}")
        failed = await bot.data(f"/approve {asked['approval']}")
        assert (failed["ok"], failed["error"], failed["state"]) == (False, "payment_failed", "done")
        assert (await bot.data("/balance"))["balance_sats"] == 10_000


async def test_a_stranger_pays_the_hubs_own_node_and_the_treasury_earns(tmp_path: Path) -> None:
    clock = FakeClock()
    found = settings(tmp_path).model_copy(update={"serve": Serve(enabled=True, port=0)})
    async with paying(tmp_path, clock, found=found) as (bot, node):
        async with aiohttp.ClientSession(bot.app.serving.gate.address) as session:

            async def post(token: str = "") -> aiohttp.ClientResponse:
                headers = {"Authorization": token} if token else {}
                return await session.post("/v1/tasks", json={"description": "find the answer"}, headers=headers)

            offer = OFFER.fullmatch((await post()).headers["WWW-Authenticate"])
            assert offer is not None
            _, preimage = await node.outside_pays(offer[2])
            assert preimage is not None
            posted = await post(f"L402 {offer[1]}:{preimage.hex()}")
            assert posted.status == 202
            assert (await post(f"L402 {offer[1]}:{preimage.hex()}")).status == 402
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE status = 'settled'"), "the task's end")
        assert balances(bot.app.settings)["treasury"] == (100, 0)
        assert (await bot.data("/reconcile"))["difference_msat"] == 0
        prove(bot.app.settings)


@asynccontextmanager
async def seller(
    node: SimulatedNode,
    prices: dict[str, int] | None = None,
    fee: int | None = None,
    *,
    greedy: Collection[str] = (),
    expiry: int = 3600,
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that sells its paths for sats, through an outside node that is `fee` msat away; its address, what it was paid with.

    `prices`: msat a path; a path that is not there costs the number that it ends with. `greedy` are paths that no token opens.
    """
    paid: list[bytes] = []
    tokens: dict[str, bytes] = {}

    async def serve(request: web.BaseRequest) -> web.Response:
        token, _, preimage = request.headers.get("Authorization", "").removeprefix("L402 ").partition(":")
        proof = hashlib.sha256(bytes.fromhex(preimage)).digest()
        if token in tokens and proof == tokens[token] and request.path not in greedy:
            paid.append(proof)
            return web.Response(text=f"this is {request.path}")
        price = (prices or {}).get(request.path) or int(request.path.rpartition("/")[2])
        bolt11 = await node.outside_asks(price, fee=fee, expiry=expiry)
        token = base64.b64encode(f"token {len(tokens)}".encode()).decode()
        tokens[token] = decode(bolt11).payment_hash
        challenge = f'L402 macaroon="{token}", invoice="{bolt11}"'
        return web.Response(status=402, headers={"WWW-Authenticate": challenge})

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", paid
    finally:
        await runner.cleanup()


async def test_a_page_is_bought_once_within_the_limit_and_above_it_somebody_taps(tmp_path: Path) -> None:
    fetcher = PageFetcher(Reach(loopback=True))
    async with (
        paying(tmp_path, fetcher=fetcher) as (bot, node),
        seller(node, {"/page": 150_000, "/near": 995_000, "/dear": 3_000_000}) as (url, paid),
    ):
        bought = await bot.say(f"/pay {url}/page")
        assert bought["text"].endswith(", for 150 sats (simulated):\nthis is /page")
        assert (await bot.data("/balance"))["balance_sats"] == 9_848, "and a sat for the way, and parts of one"
        assert "with a token that was paid for before" in (await bot.say(f"/pay {url}/page"))["text"]
        assert len(set(paid)) == 1
        assert (await bot.data(f"/pay {url}/dear max=10"))["error"] == "too_dear"
        near = await bot.data(f"/pay {url}/near")
        assert near["state"] == "open", "its way may cost 10 sats: above the limit"
        asked = await bot.say(f"/pay {url}/dear")
        assert "This costs 3,000 sats from 127.0.0.1" in asked["text"]
        assert len(set(paid)) == 1
        agreed = await bot.say(f"/approve {asked['data']['approval']}")
        assert agreed["text"].endswith(", for 3,000 sats (simulated)")
        assert (await bot.until(kind="more", text=", for 3,000 sats (simulated):\nthis is /dear"))["data"]["ok"]
        assert len(set(paid)) == 2
        assert (await bot.data("/reconcile"))["difference_msat"] == 0
        prove(bot.app.settings)


async def test_a_page_that_cannot_be_paid_for_with_its_way_is_put_to_nobody(tmp_path: Path) -> None:
    async with (
        paying(tmp_path, fetcher=PageFetcher(Reach(loopback=True))) as (bot, node),
        seller(node, {"/all": 10_000_000, "/most": 9_900_000}) as (url, paid),
    ):
        refused = await bot.say(f"/pay {url}/all")
        assert refused["data"]["error"] == "not_enough_sats"
        assert "(100 sats of it for routing)" in refused["text"]
        assert bot.rows("SELECT 1 FROM approval") == []
        asked = await bot.data(f"/pay {url}/most")
        assert (await bot.data(f"/approve {asked['approval']}"))["ok"]
        assert len(paid) == 1


async def test_what_is_agreed_to_is_a_price_and_what_its_way_may_cost_buys_nothing_dearer(tmp_path: Path) -> None:
    clock, prices = FakeClock(), {"/dear": 3_000_000}
    async with (
        paying(tmp_path, clock, fetcher=PageFetcher(Reach(loopback=True))) as (bot, node),
        seller(node, prices, expiry=600) as (url, paid),
    ):
        asked = await bot.data(f"/pay {url}/dear")
        bot.pass_time(700)
        prices["/dear"] += 10_000
        refused = await bot.say(f"/approve {asked['approval']}")
        assert "asks 3,010 sats, more than the 3,000 sats that you agreed to" in refused["text"]
        assert (await bot.data("/balance"))["balance_sats"] == 10_000
        asked = await bot.data(f"/pay {url}/dear")
        bot.pass_time(700)
        assert (await bot.data(f"/approve {asked['approval']}"))["ok"], "the same price anew"
        assert len(paid) == 1


async def test_a_yes_to_a_server_that_has_not_delivered_since_counts_where_again_was_said(tmp_path: Path) -> None:
    greedy = {"/150000"}
    async with (
        paying(tmp_path, fetcher=PageFetcher(Reach(loopback=True))) as (bot, node),
        seller(node, {"/dear": 3_000_000}, greedy=greedy) as (url, paid),
    ):
        asked = await bot.data(f"/pay {url}/dear")
        assert (await bot.data(f"/pay {url}/150000"))["error"] == "unserved"
        before = (await bot.data("/balance"))["balance_sats"]
        assert "It gets no second payment" in (await bot.say(f"/approve {asked['approval']}"))["text"]
        assert (await bot.data("/balance"))["balance_sats"] == before
        forced = await bot.data(f"/pay {url}/dear again=yes")
        assert (await bot.data(f"/approve {forced['approval']}"))["ok"]
        assert len(paid) == 1


class Hangs(SimulatedNode):
    """Says nothing of itself, until it is closed."""

    hangs = False

    async def info(self) -> NodeInfo:
        while self.hangs and not self._closed:
            await self._changed.wait()
        return await super().info()


async def test_what_waits_for_the_node_at_a_stop_is_done_after_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.SimulatedNode", Hangs)
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0.1)
    clock = FakeClock()
    async with hub(tmp_path, clock=clock) as bot:
        node = SimulatedNode(tmp_path / "data" / "node.db", clock, FakeIds("outside"))
        bolt11 = await node.outside_asks(5_000_000, fee=1_000)
        await node.close()
        asked = await bot.data(f"/pay {bolt11}")
        Hangs.hangs = True
        bot.pass_time(60)
        await bot.post(f"/approve {asked['approval']}")
        await bot.see(lambda: bot.rows("SELECT 1 FROM approval WHERE state = 'approved'"), "the yes")
    Hangs.hangs = False
    async with hub(tmp_path, clock=clock) as bot:
        await bot.see(lambda: bot.rows("SELECT 1 FROM approval WHERE state = 'done'"), "its end")
        assert bot.rows("SELECT state FROM payment") == [("succeeded",)]
        prove(bot.app.settings)
