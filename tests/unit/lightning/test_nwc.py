"""Nostr Wallet Connect: what is signed and sealed for the wallet, what is believed of a relay, and what each error means."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from nostr_sdk import (
    EventBuilder,
    Keys,
    Kind,
    LookupInvoiceRequest,
    NostrSdkError,
    NostrWalletConnect,
    NostrWalletConnectUri,
    PayInvoiceRequest,
    Tag,
)

from adapters.clockwork import SystemClock
from adapters.lightning.bolt11 import decode
from adapters.lightning.nwc import Books, Nwc, reserve
from adapters.lightning.nwc_keys import BadConnection
from adapters.lightning.nwc_wire import SAID, Patience
from core.wallet.lightning import NodeDown, NodeRefused, PayState
from tests.depth import first
from tests.fakes import FakeClock, outwait, turn
from tests.nwc_wallet import CLIENT_SECRET, NwcWallet

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from core.wallet.lightning import NodeInvoice, Outcome

SATS = 1000
HOUR = 3_600_000
DAY = 24 * HOUR
ENOUGH = 100 * SATS
HASH = bytes(range(32))


@pytest.fixture
async def wallet() -> AsyncIterator[NwcWallet]:
    async with NwcWallet.running() as wallet:
        wallet.silence = outwait
        yield wallet


@pytest.fixture
def clock(wallet: NwcWallet) -> FakeClock:
    return FakeClock(wallet.node.now)


@pytest.fixture
async def node(wallet: NwcWallet, clock: FakeClock) -> AsyncIterator[Nwc]:
    node = Nwc(wallet.uri, clock=clock, patience=Patience(answer=5, look=60, told=60))
    yield node
    await node.close()


async def pay(
    node: Nwc, bolt11: str, amount: int | None = None, *, fee_limit: int = ENOUGH, timeout: float = 0.5
) -> Outcome:
    return await node.pay(bolt11, amount, fee_limit, timeout)


def requests(wallet: NwcWallet) -> list[dict[str, Any]]:
    return [message[1] for message in wallet.relay.heard if message[0] == "EVENT"]


async def test_a_client_that_was_not_written_here_understands_this_wallet(wallet: NwcWallet) -> None:
    wallet.node.now = SystemClock().now()
    client = NostrWalletConnect(NostrWalletConnectUri.parse(wallet.uri))
    bolt11 = wallet.node.ask(100 * SATS, "", 2 * SATS)
    async with asyncio.timeout(10):
        assert (await client.get_balance()).balance == wallet.node.balance
        paid = await client.pay_invoice(PayInvoiceRequest(id=None, invoice=bolt11, amount=None))
        assert paid.fees_paid == 2 * SATS
        with pytest.raises(NostrSdkError, match="already been paid"):
            await client.pay_invoice(PayInvoiceRequest(id=None, invoice=bolt11, amount=None))
        wanted = LookupInvoiceRequest(payment_hash=decode(bolt11).payment_hash.hex(), invoice=None)
        assert (await client.lookup_invoice(wanted)).preimage == paid.preimage


async def test_a_request_is_sealed_for_the_wallet_and_says_how(wallet: NwcWallet, node: Nwc) -> None:
    assert await node.balance() == wallet.node.balance
    (event,) = requests(wallet)
    assert event["kind"] == 23194
    assert event["pubkey"] == wallet.client.to_hex()
    assert event["created_at"] == wallet.node.now // 1000
    assert event["tags"] == [["p", wallet.keys.public_key().to_hex()], ["encryption", "nip44_v2"]]
    assert "get_balance" not in event["content"]
    (asked,) = [message for message in wallet.relay.heard if message[:2] == ["REQ", "answer"]]
    assert asked[2] == {"kinds": [23195], "authors": [wallet.keys.public_key().to_hex()], "#e": [event["id"]]}


async def test_an_order_to_pay_is_not_carried_out_when_nobody_waits_any_more(wallet: NwcWallet, node: Nwc) -> None:
    await pay(node, wallet.node.ask(100 * SATS, "", 0))
    order = requests(wallet)[-1]
    assert order["tags"][-1] == ["expiration", str(wallet.node.now // 1000 + 60)]
    wallet.node.now += 120_000  # the wallet's clock is ahead of the hub's
    late = wallet.node.ask(100 * SATS, "", 0)
    with pytest.raises(NodeDown):
        await pay(node, late)
    assert wallet.node.outgoing(decode(late).payment_hash) is None


@pytest.mark.parametrize(("known", "used"), [("nip04", "nip04"), ("", "nip04"), ("nip04 nip44_v2", "nip44_v2")])
async def test_the_better_encryption_that_both_know_is_used(
    wallet: NwcWallet, node: Nwc, known: str, used: str
) -> None:
    wallet.encryption = known
    await wallet.announce()
    wallet.encryption = known or "nip04"
    await node.balance()
    assert ["encryption", used] in requests(wallet)[0]["tags"]


async def test_a_wallet_that_has_learnt_better_encryption_is_asked_again(wallet: NwcWallet, node: Nwc) -> None:
    wallet.encryption = "nip04"
    await wallet.announce()
    await node.balance()
    wallet.encryption = "nip44_v2"
    await wallet.announce()
    with pytest.raises(NodeDown, match="UNSUPPORTED_ENCRYPTION"):  # its refusal is sealed in the new way
        await node.balance()
    assert await node.balance() == wallet.node.balance


async def test_encryption_that_nobody_knows_and_a_wallet_that_was_never_there(wallet: NwcWallet, node: Nwc) -> None:
    wallet.encryption = "nip99"
    await wallet.announce()
    with pytest.raises(NodeDown, match="has never been at its relay"):
        await node.balance()
    wallet.relay.stored.clear()
    with pytest.raises(NodeDown, match="has never been at its relay"):
        await node.balance()


async def test_only_what_the_wallet_signed_for_this_request_is_its_answer(wallet: NwcWallet, node: Nwc) -> None:
    thief = Keys.parse("44" * 32)
    rich = json.dumps({"result_type": "get_balance", "error": None, "result": {"balance": 2**50}})

    async def forge(event: dict[str, Any]) -> None:
        if event["kind"] == 23194:
            tags = [["p", event["pubkey"]], ["e", event["id"]]]
            sealed = wallet.keys.nip44_encrypt(wallet.client, rich)
            foreign = EventBuilder(Kind(23195), sealed).tags([Tag.parse(tag) for tag in tags]).finalize(thief)
            pretended = {**json.loads(foreign.as_json()), "pubkey": wallet.keys.public_key().to_hex()}
            other = wallet.signed(23195, sealed, [tags[0], ["e", "00" * 32]])
            garbled = wallet.signed(23195, "nothing sealed", tags)
            for client in wallet.relay.clients:
                for one in (json.loads(foreign.as_json()), pretended, other, garbled, "junk", None):
                    await client.socket.send_str(json.dumps(["EVENT", "answer", one]))

    wallet.relay.on_event.insert(0, forge)
    assert await node.balance() == wallet.node.balance


@pytest.mark.long
@pytest.mark.parametrize(
    "said",
    [
        '["NOTICE", "slow down"]', '["EOSE", "other"]', '["OK", "00", false, "invalid: not yours"]', '["CLOSED", "other", ""]',
        "[]", "{}", "1", '["EVENT"]', '["EVENT", "answer"]', '["AUTH", "challenge"]', '["EVENT", "news", null]',
    ],
)  # fmt: skip
async def test_what_a_relay_says_besides_is_passed_over(wallet: NwcWallet, node: Nwc, said: str) -> None:
    wallet.relay.says = said
    assert await node.balance() == wallet.node.balance


async def test_a_relay_that_does_not_take_or_give_is_named(wallet: NwcWallet, node: Nwc) -> None:
    wallet.relay.refuses = "rate-limited: slow down"
    with pytest.raises(NodeDown, match="did not take the request: rate-limited: slow down"):
        await node.balance()
    wallet.relay.closes = "auth-required: we know nobody"
    with pytest.raises(NodeDown, match="does not let the hub listen: auth-required"):
        await node.balance()
    wallet.relay.says = "<html>"
    with pytest.raises(NodeDown, match="is no relay"):
        await node.balance()


async def test_words_of_others_are_one_line_that_no_terminal_obeys(wallet: NwcWallet, node: Nwc) -> None:
    wallet.relay.refuses = "no\x1b[2J\n\u202e\ud800 room"
    with pytest.raises(NodeDown, match=r"did not take the request: no\[2J room\. Nothing is lost"):
        await node.balance()
    assert str(SAID.refused("no\x1b[2J\n\u202e\ud800 room")).endswith("refused: no[2J room")


async def test_a_relay_that_is_down_has_others_beside_it(wallet: NwcWallet, clock: FakeClock) -> None:
    uri = wallet.uri.replace("?relay=", "?relay=ws%3A%2F%2F127.0.0.1%3A1&relay=")
    node = Nwc(uri, clock=clock)
    assert await node.balance() == wallet.node.balance
    await node.close()


async def test_why_nothing_answers_is_said_without_the_secret_or_an_address(
    wallet: NwcWallet, clock: FakeClock
) -> None:
    for relay in ("ws://127.0.0.1:1", "ws://no-such-host.invalid", "nonsense"):
        node = Nwc(wallet.uri.replace("?relay=", "?r=") + f"&relay={relay}", clock=clock, patience=Patience(connect=1))
        with pytest.raises(NodeDown) as down:
            await node.info()
        assert CLIENT_SECRET not in str(down.value)
        assert "://" not in str(down.value)
        await node.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [(CLIENT_SECRET, "00" * 32), (CLIENT_SECRET, "ff" * 32), (CLIENT_SECRET, ""), ("relay=", "at="),
     ("nostr+walletconnect", "https"),
     ("connect://", "connect://ff")],
)  # fmt: skip
async def test_what_is_no_connection_is_refused_and_not_shown(wallet: NwcWallet, old: str, new: str) -> None:
    with pytest.raises(BadConnection) as refused:
        Nwc(wallet.uri.replace(old, new), clock=FakeClock())
    assert CLIENT_SECRET not in str(refused.value)


@pytest.mark.long
@pytest.mark.parametrize(
    "code",
    [
        "RATE_LIMITED", "NOT_IMPLEMENTED", "INSUFFICIENT_BALANCE", "QUOTA_EXCEEDED", "RESTRICTED", "UNAUTHORIZED",
        "UNSUPPORTED_ENCRYPTION",
    ],
)  # fmt: skip
async def test_errors_of_a_wallet_that_did_nothing_are_refusals(wallet: NwcWallet, node: Nwc, code: str) -> None:
    wallet.next_error = (code, "not today")
    with pytest.raises(NodeRefused, match="not today"):
        await pay(node, wallet.node.ask(100 * SATS, "", 0))
    wallet.next_error = (code, "")
    with pytest.raises(NodeRefused):
        await node.create_invoice(5 * SATS, "", 600)


@pytest.mark.long
@pytest.mark.parametrize("code", first(2, ["PAYMENT_FAILED", "MADE_UP", "INTERNAL", "OTHER", "NOT_FOUND"]))
async def test_errors_that_leave_it_open_are_settled_by_asking(wallet: NwcWallet, node: Nwc, code: str) -> None:
    paid, hangs, failed = (wallet.node.ask(100 * SATS, fails, 0) for fails in ("", "hangs", "no_route"))
    for bolt11, state in ((paid, PayState.SUCCEEDED), (hangs, PayState.IN_FLIGHT), (failed, PayState.FAILED)):
        wallet.node.begin(bolt11, decode(bolt11).payment_hash, 100 * SATS)
        wallet.next_error = (code, "something went wrong")
        assert (await pay(node, bolt11)).state is state
    wallet.next_error = (code, "something went wrong")
    unseen = wallet.node.ask(100 * SATS, "", 0)
    if code == "PAYMENT_FAILED":
        assert (await pay(node, unseen)).why == "something went wrong (PAYMENT_FAILED)"
    else:
        with pytest.raises(NodeDown, match=r"does not say whether it paid \(something went wrong"):
            await pay(node, unseen)


@pytest.mark.parametrize("code", ["INTERNAL", "RESTRICTED", "RATE_LIMITED"])
async def test_an_error_to_a_question_is_a_node_that_is_down(wallet: NwcWallet, node: Nwc, code: str) -> None:
    wallet.next_result = json.dumps({"result_type": "lookup_invoice", "error": {"code": code, "message": ""}})
    with pytest.raises(NodeDown, match=code):
        await node.track(HASH)


async def test_a_silence_is_explained_by_asking_and_a_failure_is_not_believed(wallet: NwcWallet, node: Nwc) -> None:
    wallet.silent = True
    assert (await pay(node, wallet.node.ask(100 * SATS, "", 0))).state is PayState.SUCCEEDED
    wallet.silent = True
    with pytest.raises(NodeDown, match="does not say whether it pays"):
        await pay(node, wallet.node.ask(100 * SATS, "no_route", 0))


async def test_a_fee_that_the_answer_leaves_out_is_asked_for(wallet: NwcWallet, node: Nwc) -> None:
    wallet.tells_fee = False
    outcome = await pay(node, wallet.node.ask(100 * SATS, "", 3 * SATS))
    assert (outcome.state, outcome.fee) == (PayState.SUCCEEDED, 3 * SATS)


@pytest.mark.long
@pytest.mark.parametrize(
    ("amount", "kept"), [(1, 10_000), (1_000 * SATS, 10_000), (1_000_001, 10_001), (10_000 * SATS, 100_000)]
)
async def test_it_does_not_begin_what_may_cost_more_than_the_limit(
    wallet: NwcWallet, node: Nwc, amount: int, kept: int
) -> None:
    assert reserve(amount) == kept
    bolt11 = wallet.node.ask(amount, "", 0)
    with pytest.raises(NodeRefused, match="the fee limit is"):
        await pay(node, bolt11, fee_limit=kept - 1)
    assert wallet.asked == []
    assert (await pay(node, bolt11, fee_limit=kept)).state is PayState.SUCCEEDED


async def test_an_expired_invoice_is_refused_here_where_a_wallet_would_answer_anything(
    wallet: NwcWallet, node: Nwc, clock: FakeClock
) -> None:
    bolt11 = wallet.node.ask(100 * SATS, "", 0)
    clock.advance(3_600_000)
    with pytest.raises(NodeRefused, match="has expired"):
        await pay(node, bolt11)
    assert wallet.asked == []


@pytest.mark.parametrize(
    ("changed", "network", "node_id"),
    [({}, "regtest", True), ({"network": "mainnet", "pubkey": "", "block_height": None}, "bitcoin", False),
     ({"network": "signet"}, "signet", True)],
)  # fmt: skip
async def test_who_it_is(wallet: NwcWallet, node: Nwc, changed: dict[str, Any], network: str, node_id: bool) -> None:
    wallet.info |= changed
    found = await node.info()
    assert found.network == network
    assert found.node == (wallet.info["pubkey"] if node_id else wallet.keys.public_key().to_hex())
    assert found.height == (800 if node_id else 0)


@pytest.mark.parametrize("network", ["", "liquid"])
async def test_a_network_that_nobody_knows_is_not_believed(wallet: NwcWallet, node: Nwc, network: str) -> None:
    wallet.info["network"] = network
    with pytest.raises(NodeDown, match="which is not known here"):
        await node.info()


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    first(8, [
        "", "nothing", "[]", "{}", "null", "[" * 60_000, '{"result_type": "lookup_invoice"}',
        '{"result_type": "get_info", "result": {}}',
        '{"result_type": "lookup_invoice", "result": []}', '{"result_type": "lookup_invoice", "result": {}}',
        '{"result_type": "lookup_invoice", "result": {"type": "sideways"}}',
        '{"result_type": "lookup_invoice", "result": {"type": "outgoing", "state": "settled", "amount": 1.5}}',
        '{"result_type": "lookup_invoice", "result": {"type": "outgoing", "state": "settled", "amount": 1, "preimage": ""}}',
        '{"result_type": "lookup_invoice", "error": {"code": 5, "message": "x"}}', '{"error": "no"}',
    ]),
)  # fmt: skip
async def test_what_no_wallet_answers_is_a_node_that_is_down(wallet: NwcWallet, node: Nwc, text: str) -> None:
    wallet.next_result = text or " "
    with pytest.raises(NodeDown):
        await node.track(HASH)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"settled_at": 5}, PayState.SUCCEEDED), ({}, PayState.IN_FLIGHT), ({"state": "pending"}, PayState.IN_FLIGHT),
        ({"state": "expired"}, PayState.IN_FLIGHT), ({"state": "FAILED"}, PayState.FAILED),
        ({"state": "settled", "fees_paid": None}, PayState.SUCCEEDED), ({"type": "incoming"}, PayState.UNKNOWN),
    ],
)  # fmt: skip
async def test_how_a_payment_stands(wallet: NwcWallet, node: Nwc, told: dict[str, Any], state: PayState) -> None:
    found = {"type": "outgoing", "payment_hash": HASH.hex(), "amount": 5, "preimage": HASH.hex(), **told}
    wallet.next_result = json.dumps({"result_type": "lookup_invoice", "result": found})
    assert (await node.track(HASH)).state is state


async def test_a_node_that_was_let_go_opens_no_connection_any_more(node: Nwc) -> None:
    await node.close()
    with pytest.raises(NodeDown, match="let go"):
        await node.track(HASH)
    with pytest.raises(NodeDown, match="let go"):
        await anext(node.settled(0))
    assert node._wire._session is None


@pytest.mark.parametrize("kind", ["incoming", "outgoing"])
@pytest.mark.parametrize("named", [{"payment_hash": bytes(32).hex()}, {}])
async def test_what_is_told_of_another_payment_is_no_answer(
    wallet: NwcWallet, node: Nwc, kind: str, named: dict[str, str]
) -> None:
    found = {"type": kind, "state": "failed" if kind == "outgoing" else "settled", "amount": 5, **named}
    for ask in (node.lookup, node.track):
        wallet.next_result = json.dumps({"result_type": "lookup_invoice", "result": found})
        with pytest.raises(NodeDown):
            await ask(HASH)


async def test_an_invoice_that_is_not_what_was_asked_is_none(wallet: NwcWallet, node: Nwc) -> None:
    other = wallet.node.invoice(6 * SATS, "", 600)
    for amount, payment_hash in ((5, other.payment_hash), (6, HASH)):
        made = {"invoice": other.bolt11, "payment_hash": payment_hash.hex()}
        wallet.next_result = json.dumps({"result_type": "make_invoice", "result": made})
        with pytest.raises(NodeDown):
            await node.create_invoice(amount * SATS, "", 600)


async def told(stream: AsyncGenerator[NodeInvoice, None], count: int) -> list[int]:
    """What came in by the next `count` that are told, sats."""
    async with asyncio.timeout(5):
        return [(await anext(stream)).received // SATS for _ in range(count)]


def looks(wallet: NwcWallet) -> list[dict[str, Any]]:
    return [params for method, params in wallet.asked if method == "list_transactions"]


async def settled_and_open(wallet: NwcWallet, count: int) -> None:
    """So many invoices that were paid, and as many that nobody paid."""
    for amount in range(1, count + 1):
        wallet.node.receive(wallet.node.invoice(amount * SATS, "", 600).bolt11, None)
        wallet.node.invoice(amount * SATS, "nobody pays it", 600)


@pytest.mark.long
async def test_what_was_paid_is_told_once_and_what_nobody_pays_is_not_listed(wallet: NwcWallet, node: Nwc) -> None:
    await settled_and_open(wallet, 25)
    older = wallet.node.invoice(50 * SATS, "by an earlier run of the hub", 600)
    stream = node.settled(0)
    assert sorted(await told(stream, 25)) == list(range(1, 26))

    async def pay_when_all_is_seen() -> None:
        while len(looks(wallet)) < 3:
            await turn()
        wallet.node.receive(older.bolt11, None)

    found, _ = await asyncio.gather(told(stream, 1), pay_when_all_is_seen())
    assert found == [50], "no other is told again"
    await stream.aclose()
    assert [(look["offset"], look["unpaid"]) for look in looks(wallet)[:3]] == [(0, False), (20, False), (25, False)]


async def test_a_look_goes_back_to_the_oldest_invoice_that_can_still_be_paid_and_now_and_then_a_day(
    wallet: NwcWallet, clock: FakeClock
) -> None:
    waiting: dict[str, int | None] = {"oldest": None}
    asked: list[int] = []

    async def oldest(after: int) -> int | None:
        asked.append(after)
        return waiting["oldest"]

    began = clock.now() - 90 * DAY
    node = Nwc(
        wallet.uri, clock=clock, since=began, patience=Patience(answer=5, look=0.01, told=0.01),
        books=Books(oldest, began + 40 * DAY),
    )  # fmt: skip
    stream = node.settled(0)
    later = asyncio.ensure_future(anext(stream))  # noqa: TID251 - the test's own

    async def next_look() -> int:
        """From when on the next look is, in seconds before now."""
        count = len(looks(wallet))
        while len(looks(wallet)) <= count:
            await turn()
        return clock.now() // 1000 - int(looks(wallet)[-1]["from"])

    first = await next_look()
    assert first == (50 * DAY + 25 * HOUR) // 1000 + 600, "a day before the last entry in the books"
    assert asked == [0], "what the books wait for, over or not"
    for _ in range(50):
        await turn()
    assert len(looks(wallet)) == 1, "nothing can be paid now"
    waiting["oldest"] = clock.now() - HOUR // 2
    assert await next_look() == HOUR // 2000 + 600
    assert asked[-1] == clock.now() - HOUR, "what is over for an hour was not paid"
    clock.advance(HOUR)
    assert await next_look() == 25 * HOUR // 1000 + 600, "those of other users of the wallet"
    later.cancel()
    await asyncio.gather(later, return_exceptions=True)
    await node.close()


@pytest.mark.long
async def test_a_wallet_that_lists_older_ones_all_the_same_is_not_read_to_its_end(
    wallet: NwcWallet, clock: FakeClock
) -> None:
    await settled_and_open(wallet, 70)
    wallet.keeps_to_from = False
    wallet.node.now = clock.now() + 30 * DAY
    clock.advance(30 * DAY)
    wallet.node.receive(wallet.node.invoice(99 * SATS, "", 600).bolt11, None)
    node = Nwc(wallet.uri, clock=clock, patience=Patience(answer=5, look=60, told=60))
    node._wide_at = 0  # it is not the first look
    stream = node.settled(0)
    assert (await told(stream, 1)) == [99]
    later = asyncio.ensure_future(anext(stream))  # noqa: TID251 - the test's own
    for _ in range(300):
        await turn()
    assert (len(looks(wallet)), later.done()) == (2, False), "the second page has none of the time that was asked for"
    later.cancel()
    await asyncio.gather(later, return_exceptions=True)
    await node.close()


async def test_what_came_in_before_the_book_began_is_not_told(wallet: NwcWallet, clock: FakeClock) -> None:
    wallet.node.receive(wallet.node.invoice(5 * SATS, "", 600).bolt11, None)
    wallet.node.now += 10_000
    node = Nwc(wallet.uri, clock=clock, since=wallet.node.now)
    wallet.node.receive(wallet.node.invoice(6 * SATS, "", 600).bolt11, None)
    stream = node.settled(0)
    assert await told(stream, 1) == [6]
    await stream.aclose()
    await node.close()


async def test_a_wallet_that_does_not_tell_is_asked_often(wallet: NwcWallet, clock: FakeClock) -> None:
    wallet.notifications = ""
    await wallet.announce()
    node = Nwc(wallet.uri, clock=clock, patience=Patience(look=0.01, told=60))
    made = await node.create_invoice(5 * SATS, "", 600)
    stream = node.settled(0)

    async def pay_later() -> None:
        while len(looks(wallet)) < 4:
            await turn()
        wallet.node.receive(made.bolt11, None)

    found, _ = await asyncio.gather(told(stream, 1), pay_later())
    assert found == [5]
    await stream.aclose()
    await node.close()


async def test_a_page_that_repeats_itself_is_the_last(wallet: NwcWallet, node: Nwc) -> None:
    made = wallet.node.invoice(5 * SATS, "", 600)
    wallet.node.receive(made.bolt11, None)
    stream = node.settled(0)
    page = {"result_type": "list_transactions", "result": {"transactions": [wallet._received(made)]}}
    wallet.next_result = json.dumps(page)
    assert await told(stream, 1) == [5]

    async def repeat(event: dict[str, Any]) -> None:
        wallet.next_result = json.dumps(page)

    wallet.relay.on_event.insert(0, repeat)
    later = asyncio.ensure_future(anext(stream))  # noqa: TID251 - the test's own
    while len(looks(wallet)) < 2:
        await turn()
    assert not later.done()
    later.cancel()
    await asyncio.gather(later, return_exceptions=True)
    assert len(looks(wallet)) == 2


async def test_a_connection_that_breaks_ends_the_stream(wallet: NwcWallet, node: Nwc) -> None:
    stream = node.settled(0)

    async def cut() -> None:
        while len(looks(wallet)) < 1:
            await turn()
        wallet.relay.cut_all()

    with pytest.raises(NodeDown):
        await asyncio.gather(anext(stream), cut())
