"""phoenixd: what goes over the wire to the letter, what its fees allow, and what is made of answers that no phoenixd gives."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from adapters.lightning.bolt11 import decode
from adapters.lightning.phoenixd import Patience, Phoenixd, fee
from core.wallet.lightning import InvoiceState, NodeDown, NodeRefused, PayState, proves
from tests.fakes import outwait, turn
from tests.phoenixd_server import NODE_ID, PhoenixdServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from core.wallet.lightning import NodeInvoice

SATS = 1000
ENOUGH = 100 * SATS
DAY = 86_400_000
HASH = bytes(range(32))


@pytest.fixture
async def server() -> AsyncIterator[PhoenixdServer]:
    async with PhoenixdServer.running() as server:
        server.silence = outwait
        yield server


@pytest.fixture
async def node(server: PhoenixdServer) -> AsyncIterator[Phoenixd]:
    node = Phoenixd(server.url + "/", server.password, patience=Patience(answer=5, look=60), page=2)
    yield node
    await node.close()


async def test_an_invoice_is_asked_for_in_sats_by_a_form(server: PhoenixdServer, node: Phoenixd) -> None:
    made = await node.create_invoice(21 * SATS, "tea & cake", 600)
    assert server.asked == ["POST /createinvoice"]
    assert server.forms == [{"amountSat": "21", "description": "tea & cake", "expirySeconds": "600"}]
    assert made.expires_at == server.node.now + 600_000


@pytest.mark.long
@pytest.mark.parametrize(
    ("memo", "cut"),
    [
        ("t" * 129, "t" * 128),
        ("\N{TEACUP WITHOUT HANDLE}" * 65, "\N{TEACUP WITHOUT HANDLE}" * 64),
        ("t" + "\N{TEACUP WITHOUT HANDLE}" * 64, "t" + "\N{TEACUP WITHOUT HANDLE}" * 63),
    ],
)
async def test_a_memo_is_cut_where_phoenixd_would_refuse_it(
    server: PhoenixdServer, node: Phoenixd, memo: str, cut: str
) -> None:
    await node.create_invoice(1 * SATS, memo, 600)
    assert server.forms[-1]["description"] == cut


async def test_parts_of_a_sat_cannot_be_asked_or_sent(server: PhoenixdServer, node: Phoenixd) -> None:
    with pytest.raises(NodeRefused, match="whole sats"):
        await node.create_invoice(1_001, "", 600)
    with pytest.raises(NodeRefused, match="whole sats"):
        await node.pay(server.node.ask(None, "", 0), 1_001, ENOUGH, 1)
    assert server.asked == []


async def test_a_payment_says_the_amount_only_where_the_invoice_leaves_it_open(
    server: PhoenixdServer, node: Phoenixd
) -> None:
    free, fixed = server.node.ask(None, "", 0), server.node.ask(5 * SATS, "", 0)
    await node.pay(free, 7 * SATS, ENOUGH, 1)
    await node.pay(fixed, None, ENOUGH, 1)
    assert server.forms == [{"invoice": free, "amountSat": "7"}, {"invoice": fixed}]


@pytest.mark.long
@pytest.mark.parametrize(
    ("amount", "price"), [(1 * SATS, 4_004), (100 * SATS, 4_400), (1_000_000 * SATS, 4_004_000), (1, 4_000)]
)
async def test_it_does_not_begin_what_may_cost_more_than_the_limit(
    server: PhoenixdServer, node: Phoenixd, amount: int, price: int
) -> None:
    assert fee(amount) == price
    bolt11 = server.node.ask(amount, "", fee(amount))
    with pytest.raises(NodeRefused) as refused:
        await node.pay(bolt11, None, price - 1, 1)
    assert "the fee limit is" in str(refused.value)
    assert server.asked == []
    server.node.balance = amount + price
    assert (await node.pay(bolt11, None, price, 1)).fee == price


async def test_what_arrived_and_the_fee_are_exact_though_phoenixd_shows_sats(
    server: PhoenixdServer, node: Phoenixd
) -> None:
    fixed, free = server.node.ask(100_500, "", fee(100_500)), server.node.ask(None, "", fee(33 * SATS))
    for bolt11, amount, asked in ((fixed, None, 100_500), (free, 33 * SATS, 33 * SATS)):
        outcome = await node.pay(bolt11, amount, ENOUGH, 1)
        assert (outcome.amount, outcome.fee) == (asked, fee(asked))
        assert proves(outcome.preimage, decode(bolt11).payment_hash)


async def test_an_order_that_comes_second_says_nothing_of_the_first(server: PhoenixdServer, node: Phoenixd) -> None:
    bolt11 = server.node.ask(5 * SATS, "hangs", 0)
    for _ in range(2):
        assert (await node.pay(bolt11, None, ENOUGH, 0.3)).state is PayState.IN_FLIGHT
    server.node.land(decode(bolt11).payment_hash, well=True)
    assert (await node.pay(bolt11, None, ENOUGH, 0.3)).state is PayState.SUCCEEDED


@pytest.mark.long
async def test_a_silence_that_phoenixd_explains_when_asked_is_no_riddle(server: PhoenixdServer, node: Phoenixd) -> None:
    server.faults.silent = True
    outcome = await node.pay(server.node.ask(5 * SATS, "", 0), None, ENOUGH, 0.3)
    assert outcome.state is PayState.SUCCEEDED


async def test_a_silence_after_an_attempt_that_failed_is_no_failure_of_this_one(
    server: PhoenixdServer, node: Phoenixd
) -> None:
    bolt11 = server.node.ask(5 * SATS, "no_route", 0)
    assert (await node.pay(bolt11, None, ENOUGH, 0.3)).state is PayState.FAILED
    server.faults.silent = True
    with pytest.raises(NodeDown, match="does not say whether it pays"):
        await node.pay(bolt11, None, ENOUGH, 0.3)


async def test_another_password_and_the_limited_one_are_named(server: PhoenixdServer) -> None:
    for password in ("wr\xf6ng", server.limited):
        node = Phoenixd(server.url, password)
        with pytest.raises(NodeRefused, match="TIMMY_PHOENIXD_PASSWORD") as refused:
            await node.pay(server.node.ask(5 * SATS, "", 0), None, ENOUGH, 1) if password == server.limited else (
                await node.create_invoice(5 * SATS, "", 600)
            )
        assert password not in str(refused.value)
        await node.close()
    node = Phoenixd(server.url, "wrong")
    with pytest.raises(NodeDown, match="TIMMY_PHOENIXD_PASSWORD"):
        await node.balance()
    await node.close()


async def test_its_refusals_are_told_in_its_words(server: PhoenixdServer, node: Phoenixd) -> None:
    server.faults.instead = (400, "Request parameter amountSat couldn't be parsed")
    with pytest.raises(NodeRefused, match="Request parameter amountSat"):
        await node.create_invoice(5 * SATS, "", 600)


@pytest.mark.long
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "NullPointerException"), (503, ""), (404, "Unknown endpoint (check api doc)"), (404, "<html>nginx</html>"), (302, ""),
        (200, ""), (200, "<html>"), (200, "[]"), (200, "{}"), (200, "null"), (200, "1"), (200, "[" * 100_000),
        (200, '{"isPaid": 1}'), (200, '{"isPaid": true, "fees": 0, "preimage": "zz"}'),
        (200, '{"isPaid": true, "fees": 0, "preimage": "00"}'), (200, '{"isPaid": true, "fees": "0"}'),
        (200, '{"isPaid": false, "completedAt": "soon"}'),
    ],
)  # fmt: skip
async def test_what_no_phoenixd_answers_is_a_node_that_is_down(
    server: PhoenixdServer, node: Phoenixd, status: int, body: str
) -> None:
    server.faults.instead = (status, body)
    with pytest.raises(NodeDown):
        await node.track(HASH)


@pytest.mark.parametrize("status", [400, 500])
async def test_its_words_are_one_line_that_no_terminal_obeys(
    server: PhoenixdServer, node: Phoenixd, status: int
) -> None:
    server.faults.instead = (status, "no\x1b[2J\n\u202e room." + " x" * 1000)
    with pytest.raises((NodeRefused, NodeDown)) as said:
        await node.create_invoice(5 * SATS, "", 60)
    assert "no[2J room. x x" in str(said.value)
    assert len(str(said.value)) < 400


async def test_an_answer_that_is_too_long_is_not_read(server: PhoenixdServer, node: Phoenixd) -> None:
    server.faults.instead = (200, json.dumps({"isPaid": False, "invoice": "x" * 5_000_000}))
    with pytest.raises(NodeDown):
        await node.track(HASH)


async def test_a_node_that_was_let_go_opens_no_connection_any_more(node: Phoenixd) -> None:
    await node.close()
    with pytest.raises(NodeDown, match="let go"):
        await node.track(HASH)
    with pytest.raises(NodeDown, match="let go"):
        await anext(node.settled(0))
    assert node._wire._session is None


async def test_a_stream_of_events_that_does_not_even_begin_has_a_deadline() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    node = Phoenixd(url, "secret", patience=Patience(answer=0.05))
    async with server, asyncio.timeout(5):
        with pytest.raises(NodeDown, match="no answer in time"):
            await anext(node.settled(0))
        for writer in writers:
            writer.close()
    await node.close()


async def test_what_is_told_of_another_payment_is_no_answer(server: PhoenixdServer, node: Phoenixd) -> None:
    for ask, told in (
        (node.lookup, {"isPaid": True, "receivedSat": 5}),
        (node.track, {"isPaid": False, "completedAt": 5}),
    ):
        server.faults.instead = (200, json.dumps({"paymentHash": bytes(32).hex(), **told}))
        with pytest.raises(NodeDown, match="another payment"):
            await ask(HASH)


async def test_an_invoice_that_is_not_what_was_asked_is_none(server: PhoenixdServer, node: Phoenixd) -> None:
    other = server.node.invoice(6 * SATS, "", 600)
    for payment_hash in (other.payment_hash.hex(), HASH.hex()):
        server.faults.instead = (
            200,
            json.dumps({"amountSat": 5, "paymentHash": payment_hash, "serialized": other.bolt11}),
        )
        with pytest.raises(NodeDown):
            await node.create_invoice((5 if payment_hash != HASH.hex() else 6) * SATS, "", 600)
    server.faults.instead = (200, json.dumps({"amountSat": 5, "paymentHash": HASH.hex(), "serialized": "lntb1"}))
    with pytest.raises(NodeDown):
        await node.create_invoice(5 * SATS, "", 600)


@pytest.mark.long
@pytest.mark.parametrize(
    ("changed", "network", "height", "synced"),
    [
        ({}, "testnet", 900_000, True), ({"chain": "mainnet"}, "bitcoin", 900_000, True),
        ({"blockHeight": None}, "testnet", 0, False), ({"channels": [{"state": "Offline"}]}, "testnet", 900_000, False),
        ({"channels": []}, "testnet", 900_000, True),
    ],
)  # fmt: skip
async def test_who_it_is(
    server: PhoenixdServer, node: Phoenixd, changed: dict[str, Any], network: str, height: int, synced: bool
) -> None:
    told = {
        "nodeId": NODE_ID,
        "chain": "testnet3",
        "blockHeight": 900_000,
        "channels": [{"state": "Normal"}],
        **changed,
    }
    server.faults.instead = (200, json.dumps(told))
    found = await node.info()
    assert (found.network, found.node, found.height, found.synced) == (network, NODE_ID, height, synced)


async def test_a_network_that_phoenixd_has_not_is_not_believed(server: PhoenixdServer, node: Phoenixd) -> None:
    server.chain = "signet"
    with pytest.raises(NodeDown, match="signet"):
        await node.info()


async def test_what_an_offer_or_a_dear_channel_left_is_told_as_it_is(server: PhoenixdServer, node: Phoenixd) -> None:
    row = {"paymentHash": HASH.hex(), "isPaid": True, "receivedSat": 90, "completedAt": 5}
    server.faults.instead = (200, json.dumps(row))
    found = await node.lookup(HASH)
    assert found is not None
    assert (found.bolt11, found.amount, found.expires_at, found.received) == ("", 0, 0, 90 * SATS)
    server.faults.instead = (200, json.dumps({**row, "receivedSat": -10}))
    found = await node.lookup(HASH)
    assert found is not None
    assert (found.state, found.received) == (InvoiceState.SETTLED, 0)


async def told(stream: AsyncGenerator[NodeInvoice, None], count: int) -> list[int]:
    """What came in by the next `count` that are told, sats."""
    async with asyncio.timeout(5):
        return [(await anext(stream)).received // SATS for _ in range(count)]


async def pay_when(server: PhoenixdServer, looks: Callable[[], list[str]], count: int, bolt11: str) -> None:
    """Pay once the hub has looked `count` times, and has nothing left to do but to listen."""
    while len(looks()) < count:
        await turn()
    server.node.receive(bolt11, None)


@pytest.mark.long
async def test_a_second_look_begins_where_the_first_ended(server: PhoenixdServer, node: Phoenixd) -> None:
    def looks() -> list[str]:
        return [asked for asked in server.asked if "?from=" in asked]

    for amount in (5, 6, 7):
        server.node.receive((await node.create_invoice(amount * SATS, "", 600)).bolt11, None)
    newest = server.node.now
    stream = node.settled(0)
    assert await told(stream, 3) == [7, 6, 5]
    paid = (await node.create_invoice(8 * SATS, "", 600)).bolt11
    found, _ = await asyncio.gather(told(stream, 1), pay_when(server, looks, 2, paid))
    assert found == [8]
    await stream.aclose()
    assert looks()[:2] == [f"GET /payments/incoming?from=0&limit=2&offset={offset}" for offset in (0, 2)]
    server.node.now += 2 * DAY
    server.node.receive((await node.create_invoice(9 * SATS, "", 600)).bolt11, None)
    stream = node.settled(0)
    assert await told(stream, 1) == [9]
    await stream.aclose()
    assert looks()[-1] == f"GET /payments/incoming?from={newest - DAY}&limit=2&offset=0"


async def test_what_came_in_before_the_book_began_is_not_told(server: PhoenixdServer, node: Phoenixd) -> None:
    server.node.receive((await node.create_invoice(5 * SATS, "", 600)).bolt11, None)
    server.node.now += DAY
    younger = Phoenixd(server.url, server.password, since=server.node.now)
    server.node.receive((await node.create_invoice(6 * SATS, "", 600)).bolt11, None)
    stream = younger.settled(0)
    assert await told(stream, 1) == [6]
    await stream.aclose()
    await younger.close()


async def test_an_order_that_would_wait_unseen_is_not_given(server: PhoenixdServer, node: Phoenixd) -> None:
    server.height = 0
    with pytest.raises(NodeRefused, match="newest block"):
        await node.pay(server.node.ask(5 * SATS, "", 0), None, ENOUGH, 1)
    assert server.forms == []


async def test_a_stream_that_breaks_is_a_node_that_is_down(server: PhoenixdServer, node: Phoenixd) -> None:
    stream = node.settled(0)

    async def cut() -> None:
        await server.listening.wait()
        await server.sockets[0].close()

    with pytest.raises(NodeDown):
        await asyncio.gather(anext(stream), cut())
    await stream.aclose()


async def test_nobody_else_gets_the_password_or_is_listened_to(server: PhoenixdServer) -> None:
    async def away(request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(server.url + request.path_qs)

    async with AsyncExitStack() as stack:
        runner = web.ServerRunner(web.Server(away))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        node = Phoenixd(f"http://127.0.0.1:{runner.addresses[0][1]}", server.password)
        stack.push_async_callback(node.close)
        calls: list[Callable[[], Awaitable[object]]] = [
            node.balance, lambda: node.create_invoice(5 * SATS, "", 60), lambda: anext(node.settled(0)),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(NodeDown, match="status 307"):
                await call()
    assert server.asked == []
    assert not server.sockets


async def test_events_that_no_phoenixd_sends_end_the_stream(server: PhoenixdServer, node: Phoenixd) -> None:
    for sent in ("no json", "[]", '{"paymentHash": "00"}'):
        server.listening.clear()
        stream = node.settled(0)

        async def say(text: str) -> None:
            await server.listening.wait()
            await server.sockets[-1].send_str(text)

        with pytest.raises(NodeDown):
            await asyncio.gather(anext(stream), say(sent))
        await stream.aclose()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid:9740"])
async def test_why_nothing_answers_is_said_without_password_or_address(url: str) -> None:
    node = Phoenixd(url, "open sesame", patience=Patience(connect=1, answer=1))
    calls: list[Callable[[], Awaitable[object]]] = [node.info, lambda: node.track(HASH), lambda: anext(node.settled(0))]
    for call in calls:
        with pytest.raises(NodeDown) as down:
            await call()
        assert "sesame" not in str(down.value)
        assert "://" not in str(down.value)
    await node.close()
