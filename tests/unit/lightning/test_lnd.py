"""LND's REST as it goes over the wire, and every odd thing that may come back."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import re
import ssl
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adapters.lightning.bolt11 import decode
from adapters.lightning.lnd import Lnd
from adapters.lightning.lnd_macaroons import PAYS, READS, RECEIVES, BadMacaroon, Macaroons, permissions
from adapters.lightning.lnd_wire import BadCertificate, Patience
from core.wallet.lightning import NodeDown, NodeInfo, NodeRefused, Outcome, PayState
from tests.fakes import EPOCH, outwait
from tests.lnd_node import Node
from tests.lnd_server import Fate, LndServer, Says

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HOUR = 3600
PATIENCE = Patience(connect=5, answer=10, grace=10, idle=0.2, first=0.05)

HASH = hashlib.sha256(bytes(32)).digest()
ODD = base64.urlsafe_b64encode(bytes([0xFB, 0xFF] * 16)).decode()


class Bench:
    """A node, its server, and the backend that talks to it."""

    def __init__(
        self, server: LndServer, *, macaroons: Macaroons | None = None, certificate: Path | None = None
    ) -> None:
        self.server = server
        server.silence = outwait
        self.node = server.node
        self.macaroons = macaroons or Macaroons(*server.three())
        self.lnd = Lnd(server.url, certificate, self.macaroons, patience=PATIENCE)

    @property
    def last(self) -> Any:
        return self.server.seen[-1]

    def answers(self, path: str, told: object, **how: Any) -> None:
        """What LND says next at a path: an object, or raw bytes."""
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.server.says.setdefault(path, []).append(Says(body, **how))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with LndServer.running(Node(lambda: EPOCH // 1000)) as server:
        bench = Bench(server)
        yield bench
        await bench.lnd.close()


async def pay(bench: Bench, bolt11: str, amount: int | None = None, fee_limit: int = 5_000) -> Outcome:
    return await bench.lnd.pay(bolt11, amount, fee_limit, 1)


# What is sent ------------------------------------------------------------------------------------------------------


async def test_a_payment_is_sent_with_its_limits_and_no_amount_of_its_own(bench: Bench) -> None:
    bolt11 = bench.node.ask(7_000, "", 0)
    await pay(bench, bolt11, fee_limit=0)
    sent = bench.last
    assert (sent.method, sent.path) == ("POST", "/v2/router/send")
    assert sent.body == {"payment_request": bolt11, "timeout_seconds": 1, "fee_limit_msat": "0"}
    assert sent.headers["Grpc-Metadata-macaroon"] == bench.macaroons.pay


async def test_the_amount_is_sent_where_the_invoice_leaves_it_open(bench: Bench) -> None:
    outcome = await pay(bench, bench.node.ask(None, "", 300), amount=2**53 + 1 - 2**53 + 7_001)
    assert bench.last.body["amt_msat"] == "7002"
    assert (outcome.amount, outcome.fee) == (7_002, 300)


async def test_a_node_is_never_left_to_its_own_time(bench: Bench) -> None:
    await bench.lnd.pay(bench.node.ask(7_000, "", 0), None, 0, 0)
    assert bench.last.body["timeout_seconds"] == 1


async def test_hashes_are_base64_of_urls_in_urls_and_plain_in_bodies(bench: Bench) -> None:
    payment_hash = base64.urlsafe_b64decode(ODD)
    assert (await bench.lnd.track(payment_hash)).state is PayState.UNKNOWN
    assert (bench.last.method, bench.last.path) == ("GET", f"/v2/router/track/{ODD}")
    assert bench.last.headers["Grpc-Metadata-macaroon"] == bench.macaroons.read
    assert await bench.lnd.lookup(payment_hash) is None
    assert bench.last.path == f"/v2/invoices/lookup?payment_hash={ODD.replace('=', '%3D')}"
    assert bench.last.headers["Grpc-Metadata-macaroon"] == bench.macaroons.receive
    await bench.lnd.create_hold(payment_hash, 5_000, "held", HOUR)
    assert bench.last.path == "/v2/invoices/hodl"
    assert bench.last.body == {
        "memo": "held",
        "value_msat": "5000",
        "expiry": "3600",
        "hash": base64.b64encode(payment_hash).decode(),
        "cltv_expiry": "144",
    }
    await bench.lnd.cancel_invoice(payment_hash)
    assert (bench.last.path, bench.last.body) == (
        "/v2/invoices/cancel",
        {"payment_hash": base64.b64encode(payment_hash).decode()},
    )
    with pytest.raises(NodeRefused, match="unable to locate invoice"):
        await bench.lnd.settle_hold(bytes(32))
    assert (bench.last.path, bench.last.body) == (
        "/v2/invoices/settle",
        {"preimage": base64.b64encode(bytes(32)).decode()},
    )


async def test_an_invoice_is_asked_for_in_msat(bench: Bench) -> None:
    made = await bench.lnd.create_invoice(21_001, "tea & cakes ☕", HOUR)
    assert (bench.last.method, bench.last.path) == ("POST", "/v1/invoices")
    assert bench.last.body == {"memo": "tea & cakes ☕", "value_msat": "21001", "expiry": "3600"}
    assert made.expires_at == EPOCH + HOUR * 1000


async def test_who_it_is_and_what_it_has(bench: Bench) -> None:
    assert await bench.lnd.info() == NodeInfo("regtest", bench.node.identity, 840_000, synced=True)
    assert await bench.lnd.balance() == bench.node.local
    bench.node.network = "mainnet"
    assert (await bench.lnd.info()).network == "bitcoin"


async def test_settlements_go_on_behind_the_index_that_is_given(bench: Bench) -> None:
    for amount in (5_000, 6_000, 7_000):
        bench.node.pay_in((await bench.lnd.create_invoice(amount, "", HOUR)).bolt11, None)
    stream = bench.lnd.settled(1)
    found = [await anext(stream), await anext(stream)]
    assert [(one.index, one.received) for one in found] == [(2, 6_000), (3, 7_000)]
    assert bench.last.path == "/v1/invoices/subscribe?settle_index=1"
    await stream.aclose()


# Settlements -------------------------------------------------------------------------------------------------------


async def test_a_stream_tells_no_news_that_is_no_settlement(bench: Bench) -> None:
    """LND tells of new invoices on the same stream, and of AMP and keysend, which were never asked for."""
    settled = bench.node.add_invoice({"value_msat": "5000"})
    bench.node.pay_in(settled.bolt11, None)
    lines = [
        {"result": {**settled.told(), "state": "OPEN"}},
        {"result": {**settled.told(), "is_amp": True}},
        {"result": {**settled.told(), "r_hash": ""}},
        {"result": {**settled.told(), "settle_index": "9"}},
    ]
    raw = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
    bench.answers("/v1/invoices/subscribe", raw, open=True)
    stream = bench.lnd.settled(4)
    assert (await anext(stream)).index == 9
    await stream.aclose()


async def test_what_was_settled_between_the_list_and_the_stream_is_found(bench: Bench) -> None:
    for _ in range(2):
        bench.node.pay_in(bench.node.add_invoice({"value_msat": "5000"}).bolt11, None)
    first, second = bench.node.settlements
    bench.answers("/v1/invoices", {"invoices": [], "first_index_offset": "0", "last_index_offset": "0"})
    bench.answers("/v1/invoices/subscribe", json.dumps({"result": second.told()}).encode() + b"\n", open=True)
    stream = bench.lnd.settled(0)
    assert [(await anext(stream)).payment_hash for _ in range(2)] == [first.payment_hash, second.payment_hash]
    await stream.aclose()


async def test_a_silent_stream_is_opened_anew_where_it_was(bench: Bench) -> None:
    first = await bench.lnd.create_invoice(5_000, "", HOUR)
    bench.node.pay_in(first.bolt11, None)
    stream = bench.lnd.settled(0)
    assert (await anext(stream)).payment_hash == first.payment_hash
    bench.answers("/v1/invoices/subscribe", b"", open=True)
    second = bench.node.add_invoice({"value_msat": "5000"})
    bench.node.pay_in(second.bolt11, None)  # the dead line does not tell
    assert (await anext(stream)).payment_hash == second.payment_hash
    assert bench.last.path == "/v1/invoices/subscribe?settle_index=1"
    await stream.aclose()


async def test_more_invoices_than_a_page_holds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.lightning.lnd._PAGE", 2)
    for amount in range(1, 6):
        bench.node.add_invoice({"value_msat": str(amount)})
    for one in reversed(list(bench.node.invoices.values())):
        bench.node.pay_in(one.bolt11, None)
    stream = bench.lnd.settled(0)
    assert [(await anext(stream)).received for _ in range(5)] == [5, 4, 3, 2, 1]
    await stream.aclose()


async def test_a_list_that_does_not_go_on_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.lightning.lnd._PAGE", 1)
    made = bench.node.add_invoice({"value_msat": "5000"})
    bench.node.pay_in(made.bolt11, None)
    bench.answers("/v1/invoices", {"invoices": [made.told()], "last_index_offset": "0"})
    stream = bench.lnd.settled(0)
    assert (await anext(stream)).payment_hash == made.payment_hash
    assert len(bench.server.seen) == 1
    await stream.aclose()


@pytest.mark.parametrize(
    ("body", "how", "why"),
    [
        (b"", {}, "it ended the stream"),
        (b'{"result": {"state": "SETTLED", "r_hash": "AAAA"}}\n', {}, "r_hash has not 32 bytes"),
        (b'{"result": []}\n', {}, "has no result"),
        (b'{"error": {"code": 2, "message": "permission denied", "details": []}}\n', {}, "permission denied"),
        (b'{"result": ', {"breaks": True}, "."),
        (b"x" * 100, {}, "what answers there is not LND"),
    ],
)
async def test_a_broken_stream_of_settlements_is_a_node_that_is_down(
    bench: Bench, body: bytes, how: Any, why: str
) -> None:
    bench.answers("/v1/invoices/subscribe", body, **how)
    with pytest.raises(NodeDown) as found:
        await anext(bench.lnd.settled(1))
    assert why in str(found.value)


# Payments ----------------------------------------------------------------------------------------------------------


def payment(of: bytes, **changed: Any) -> dict[str, Any]:
    return {
        "payment_hash": of.hex(), "status": "SUCCEEDED", "payment_preimage": bytes(32).hex(),
        "value_msat": "7000", "fee_msat": "1", "failure_reason": "FAILURE_REASON_NONE", **changed,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fails", "why"),
    [
        ("no_route", "no way to the payee within the fee limit"),
        ("timeout", "no way to the payee was found in time"),
        ("details", "does not know this invoice"),
        ("error", "an error that it cannot mend"),
        ("canceled", "cancelled at the node"),
    ],
)
async def test_each_reason_of_a_failure_is_a_sentence(bench: Bench, fails: str, why: str) -> None:
    outcome = await pay(bench, bench.node.ask(7_000, fails, 0))
    assert outcome.state is PayState.FAILED
    assert why in outcome.why


async def test_a_node_with_too_little_says_so(bench: Bench) -> None:
    assert "too little" in (await pay(bench, bench.node.ask(2 * bench.node.local, "", 0))).why


async def test_paid_already_and_in_transition_are_asked_after(bench: Bench) -> None:
    done, hangs = bench.node.ask(7_000, "", 0), bench.node.ask(7_000, "hangs", 0)
    assert (await pay(bench, done)) == (await pay(bench, done))
    assert [seen.path for seen in bench.server.seen[-2:]] == ["/v2/router/send", f"/v2/router/track/{in_url(done)}"]
    for _ in range(2):
        assert (await pay(bench, hangs)).state is PayState.IN_FLIGHT
    assert bench.node.left.count(decode(done).payment_hash) == 1


def in_url(bolt11: str) -> str:
    return base64.urlsafe_b64encode(decode(bolt11).payment_hash).decode()


async def test_an_error_that_comes_after_the_payment_began_is_no_refusal(bench: Bench) -> None:
    """LND gives a server that stops the same code as a refusal: what became of the payment is asked of the payment."""
    bolt11 = bench.node.ask(7_000, "", 0)
    await pay(bench, bolt11)
    bench.answers("/v2/router/send", {"error": {"code": 2, "message": "some trouble", "details": []}}, status=500)
    assert (await pay(bench, bolt11)).state is PayState.SUCCEEDED


async def test_known_to_one_call_and_unknown_to_the_other_is_no_answer(bench: Bench) -> None:
    bench.answers(
        "/v2/router/send", {"error": {"code": 6, "message": "payment is in transition", "details": []}}, status=409
    )
    with pytest.raises(NodeDown, match="of a payment that it does not know"):
        await pay(bench, bench.node.ask(7_000, "", 0))


async def test_what_is_refused_before_it_began_is_refused_in_the_nodes_words(bench: Bench) -> None:
    made = await bench.lnd.create_invoice(5_000, "", HOUR)
    with pytest.raises(NodeRefused, match="self-payments not allowed"):
        await pay(bench, made.bolt11)


@pytest.mark.parametrize("code", [1, 4, 8, 10, 13, 14])
async def test_what_passes_is_no_refusal(bench: Bench, code: int) -> None:
    bench.answers("/v2/router/send", {"error": {"code": code, "message": "later", "details": []}})
    bench.answers("/v1/invoices", {"code": code, "message": "later", "details": []}, status=500)
    with pytest.raises(NodeDown, match="later"):
        await pay(bench, bench.node.ask(7_000, "", 0))
    with pytest.raises(NodeDown, match="later"):
        await bench.lnd.create_invoice(5_000, "", HOUR)


async def test_a_refusal_that_cannot_be_checked_is_none(bench: Bench) -> None:
    made = await bench.lnd.create_invoice(5_000, "", HOUR)
    bench.answers(f"/v2/router/track/{base64.urlsafe_b64encode(made.payment_hash).decode()}", b"<html>", status=502)
    with pytest.raises(NodeDown):
        await pay(bench, made.bolt11)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"payment_preimage": bytes(31).hex() + "01"}, "no preimage that proves it"),
        ({"payment_preimage": ""}, "has not 32 bytes"),
        ({"payment_preimage": "zz"}, "has not 32 bytes"),
        ({"payment_hash": "00" * 32}, "another payment"),
        ({"payment_hash": 7}, "has no payment_hash"),
        ({"status": "DONE"}, "a payment's state is 'DONE'"),
        ({"status": None}, "has no status"),
        ({"fee_msat": "-1"}, "has no fee_msat"),
        ({"fee_msat": 1.5}, "has no fee_msat"),
        ({"fee_msat": True}, "has no fee_msat"),
        ({"value_msat": "9" * 19}, "has no value_msat"),
        ({"status": "FAILED", "failure_reason": "FAILURE_REASON_MOON"}, "none that is known"),
    ],
)
async def test_a_payments_answer_that_cannot_be_books_nothing(bench: Bench, changed: dict[str, Any], why: str) -> None:
    bolt11 = bench.node.ask(7_000, "", 0)
    payment_hash = decode(bolt11).payment_hash
    right = bench.node.asked[payment_hash].preimage.hex()
    bench.answers("/v2/router/send", {"result": payment(payment_hash, **{"payment_preimage": right, **changed})})
    with pytest.raises(NodeDown) as found:
        await pay(bench, bolt11)
    assert why in str(found.value)


async def test_a_right_preimage_is_a_receipt(bench: Bench) -> None:
    bench.answers(f"/v2/router/track/{base64.urlsafe_b64encode(HASH).decode()}", {"result": payment(HASH)})
    assert await bench.lnd.track(HASH) == Outcome(PayState.SUCCEEDED, bytes(32), 7_000, 1)


async def test_a_payment_whose_stream_ends_or_breaks_is_not_known(bench: Bench) -> None:
    bolt11 = bench.node.ask(7_000, "", 0)
    flying = json.dumps({"result": payment(decode(bolt11).payment_hash, status="IN_FLIGHT")}).encode() + b"\n"
    bench.answers("/v2/router/send", flying)
    with pytest.raises(NodeDown, match="before the payment"):
        await pay(bench, bolt11)
    bench.answers("/v2/router/send", flying, breaks=True)
    with pytest.raises(NodeDown):
        await pay(bench, bolt11)


async def test_lines_come_in_pieces_and_long(bench: Bench) -> None:
    """A payment in many parts lists every attempt, in more bytes than a library's line has."""
    bolt11 = bench.node.ask(7_000, "", 0)
    payment_hash = decode(bolt11).payment_hash
    asked = bench.node.asked[payment_hash]
    lines = [
        payment(payment_hash, status="IN_FLIGHT", htlcs=["x" * 1_000_000]),
        payment(payment_hash, payment_preimage=asked.preimage.hex()),
    ]
    bench.answers("/v2/router/send", b"\n".join(json.dumps({"result": line}).encode() for line in lines))
    assert (await pay(bench, bolt11)).state is PayState.SUCCEEDED


async def test_a_line_without_end_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.lightning.lnd_wire._LARGEST", 100_000)
    bench.answers("/v2/router/send", b'{"result": "' + b"x" * 300_000)
    with pytest.raises(NodeDown, match="has no end"):
        await pay(bench, bench.node.ask(7_000, "", 0))


async def test_an_answer_without_end_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.lightning.lnd_wire._LARGEST", 100_000)
    bench.answers("/v1/getinfo", b"[\n" * 200_000)
    with pytest.raises(NodeDown, match="has no end"):
        await bench.lnd.info()


async def test_a_nodes_words_are_shown_as_one_line_without_keys_and_addresses(bench: Bench) -> None:
    said = f"bad\x1b[2J\nmacaroon {bench.macaroons.receive} at https://user:pw@10.0.0.7/x."
    bench.answers("/v1/invoices", {"code": 2, "message": said, "details": []}, status=500)
    with pytest.raises(NodeRefused) as found:
        await bench.lnd.create_invoice(5_000, "", HOUR)
    assert str(found.value) == "The Lightning node (lnd) refused: bad [2J macaroon …"


async def test_what_was_let_go_is_not_opened_again(bench: Bench) -> None:
    await bench.lnd.close()
    with pytest.raises(NodeDown, match="let go"):
        await bench.lnd.balance()
    assert not bench.server.seen


async def test_no_payment_is_known_at_a_wrong_address(bench: Bench) -> None:
    """Any server answers 404: only LND's own words say that it was never sent."""
    bench.answers(
        f"/v2/router/track/{base64.urlsafe_b64encode(HASH).decode()}",
        {"code": 5, "message": "Not Found", "details": []},
        status=404,
    )
    with pytest.raises(NodeDown, match="Not Found"):
        await bench.lnd.track(HASH)
    bench.answers("/v2/invoices/lookup", {"code": 5, "message": "Not Found", "details": []}, status=404)
    with pytest.raises(NodeDown, match="Not Found"):
        await bench.lnd.lookup(HASH)


# Answers that are none ---------------------------------------------------------------------------------------------

CALLS: dict[str, tuple[str, Callable[[Lnd], Awaitable[object]]]] = {
    "info": ("/v1/getinfo", lambda lnd: lnd.info()),
    "balance": ("/v1/balance/channels", lambda lnd: lnd.balance()),
    "create": ("/v1/invoices", lambda lnd: lnd.create_invoice(5_000, "", HOUR)),
    "hold": ("/v2/invoices/hodl", lambda lnd: lnd.create_hold(HASH, 5_000, "", HOUR)),
    "lookup": ("/v2/invoices/lookup", lambda lnd: lnd.lookup(HASH)),
    "track": (f"/v2/router/track/{base64.urlsafe_b64encode(HASH).decode()}", lambda lnd: lnd.track(HASH)),
    "settled": ("/v1/invoices/subscribe", lambda lnd: anext(lnd.settled(3))),
    "listed": ("/v1/invoices", lambda lnd: anext(lnd.settled(0))),
}
WRONG: dict[str, tuple[bytes, dict[str, Any]]] = {
    "empty": (b"", {}),
    "page": (b"<html>Sign in to the hotel's wifi</html>", {}),
    "bare object": (b"{}", {}),
    "list": (b"[1]", {}),
    "null": (b"null", {}),
    "nested": (b'{"result":' + b"[" * 100_000, {}),
    "result of another shape": (
        b'{"result": {"chains": [7], "invoices": 3, "local_balance": "x", "payment_request": 9}}',
        {},
    ),
    "shapes": (b'{"chains": [7], "invoices": [3], "local_balance": {"msat": "x"}, "payment_request": "lnbcrt1x"}', {}),
    "proxy": (b"Bad Gateway", {"status": 502}),
    "proxy in JSON": (b'{"message": "upstream"}', {"status": 503}),
    "locked": (b'{"code": 2, "message": "wallet locked, unlock it to enable full RPC access"}', {"status": 500}),
    "unavailable": (b'{"code": 14, "message": "connection refused", "details": []}', {"status": 503}),
    "half": (b'{"chains"', {"breaks": True}),
    "silence": (b'{"chains"', {"open": True}),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_an_answer_that_is_none_is_a_node_that_is_down(bench: Bench, wrong: str) -> None:
    body, how = WRONG[wrong]
    for path, _ in CALLS.values():
        bench.answers(path, body, **how)

    async def asked(name: str, lnd: Lnd) -> str:
        with pytest.raises(NodeDown) as found:
            await CALLS[name][1](lnd)
        return str(found.value)

    names = [name for name in CALLS if (wrong, name) != ("silence", "settled")]  # a stream may be silent
    said = await asyncio.gather(*(asked(name, bench.lnd) for name in names if CALLS[name][0] != "/v1/invoices"))
    said += [await asked(name, bench.lnd) for name in ("create", "listed")]
    assert all(bench.macaroons.read not in words and "://" not in words for words in said)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"payment_request": ""}, "cannot be read"),
        ({"payment_request": "other amount"}, "another amount"),
        ({}, "has no payment_request"),
    ],
)
async def test_an_invoice_that_was_not_asked_for_is_not_shown_to_a_payer(
    bench: Bench, told: dict[str, str], why: str
) -> None:
    if told.get("payment_request") == "other amount":
        told = {"payment_request": bench.node.ask(6_000, "", 0)}
    for path, call in (CALLS["create"], CALLS["hold"]):
        bench.answers(path, told)
        with pytest.raises(NodeDown, match=why):
            await call(bench.lnd)


async def test_an_invoice_of_another_hash_is_none(bench: Bench) -> None:
    other = bench.node.add_invoice({"value_msat": "5000"})
    bench.answers("/v2/invoices/hodl", {"payment_request": other.bolt11})
    with pytest.raises(NodeDown, match="another hash"):
        await CALLS["hold"][1](bench.lnd)
    bench.answers("/v2/invoices/lookup", other.told())
    with pytest.raises(NodeDown, match="another invoice"):
        await bench.lnd.lookup(HASH)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"r_hash": "AAAA"}, "r_hash has not 32 bytes"),
        ({"r_hash": "?"}, "r_hash has not 32 bytes"),
        ({"state": "PAID"}, "its state is none that is known"),
        ({"amt_paid_msat": "many", "state": "SETTLED"}, "has no amt_paid_msat"),
        ({"expiry": None}, "has no expiry"),
        ({"state": "ACCEPTED", "htlcs": None}, "has no htlcs"),
        ({"state": "ACCEPTED", "htlcs": [{"state": "ACCEPTED"}]}, "has no expiry_height"),
    ],
)
async def test_an_invoice_of_another_shape_says_nothing(bench: Bench, changed: dict[str, Any], why: str) -> None:
    made = bench.node.add_invoice({"value_msat": "5000"})
    bench.answers("/v2/invoices/lookup", {**made.told(), **changed})
    with pytest.raises(NodeDown, match=why):
        await bench.lnd.lookup(made.payment_hash)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"identity_pubkey": "02" * 5}, "no public key"),
        ({"chains": []}, "no chains"),
        ({"chains": [{"network": "simnet"}]}, "its network is none that is known"),
        ({"synced_to_chain": "yes"}, "no synced_to_chain"),
        ({"block_height": -1}, "no block_height"),
    ],
)
async def test_a_node_that_does_not_say_who_it_is_is_down(bench: Bench, changed: dict[str, Any], why: str) -> None:
    told = {
        "identity_pubkey": bench.node.identity,
        "chains": [{"network": "regtest"}],
        "synced_to_chain": True,
        "block_height": 1,
    }
    bench.answers("/v1/getinfo", {**told, **changed})
    with pytest.raises(NodeDown, match=why):
        await bench.lnd.info()


async def test_what_was_paid_and_given_back_was_not_received(bench: Bench) -> None:
    made = bench.node.add_invoice({"value_msat": "5000"})
    for state, received in (("ACCEPTED", 5_000), ("CANCELED", 0), ("OPEN", 0), ("SETTLED", 5_000)):
        bench.answers("/v2/invoices/lookup", {**made.told(), "state": state, "amt_paid_msat": "5000"})
        found = await bench.lnd.lookup(made.payment_hash)
        assert found is not None
        assert found.received == received


@pytest.mark.parametrize(
    ("parts", "height"),
    [
        ([("ACCEPTED", 150), ("ACCEPTED", 144), ("ACCEPTED", 160)], 144),
        ([("CANCELED", 100), ("ACCEPTED", 150), ("SETTLED", 120)], 150),
        ([("CANCELED", 100)], 0),
        ([], 0),
    ],
)
async def test_what_is_held_is_good_until_its_first_part_runs_out(
    bench: Bench, parts: list[tuple[str, int]], height: int
) -> None:
    made = bench.node.add_invoice({"value_msat": "5000"})
    told = {**made.told(), "htlcs": [{"state": state, "expiry_height": at} for state, at in parts]}
    bench.answers("/v2/invoices/lookup", {**told, "state": "ACCEPTED", "amt_paid_msat": "5000"})
    found = await bench.lnd.lookup(made.payment_hash)
    assert found is not None
    assert found.held_until == height


async def test_nobody_else_gets_the_macaroon(bench: Bench) -> None:
    async with LndServer.running(bench.node) as other:
        bench.answers("/v1/balance/channels", b"", status=307, headers=(("Location", f"{other.url}/v1/getinfo"),))
        with pytest.raises(NodeDown):
            await bench.lnd.balance()
        assert not other.seen


async def test_nothing_packed_is_opened(bench: Bench) -> None:
    """What is small on the wire may be large in memory, and LND packs nothing."""
    told = gzip.compress(b'{"local_balance": {"msat": "1"}}')
    bench.answers("/v1/balance/channels", told, headers=(("Content-Encoding", "gzip"),))
    with pytest.raises(NodeDown):
        await bench.lnd.balance()
    assert bench.last.headers["Accept-Encoding"] == "identity"


async def test_a_deadline_is_named_and_passes(bench: Bench) -> None:
    bench.server.fates.append(Fate.SILENT)
    with pytest.raises(NodeDown, match="no answer within 10 s"):
        await bench.lnd.balance()
    assert await bench.lnd.balance() == bench.node.local


# Macaroons and the certificate -------------------------------------------------------------------------------------


async def test_a_macaroon_that_may_not_is_said_in_the_nodes_words(bench: Bench) -> None:
    few = Bench(bench.server, macaroons=Macaroons(*(bench.server.bake("info:read") for _ in range(3))))
    assert (await few.lnd.info()).node
    with pytest.raises(NodeDown, match="permission denied"):
        await few.lnd.balance()
    with pytest.raises(NodeRefused, match="permission denied"):
        await few.lnd.create_invoice(5_000, "", HOUR)
    with pytest.raises(NodeDown, match="permission denied"):
        await pay(few, bench.node.ask(7_000, "", 0))
    await few.lnd.close()


def baker() -> LndServer:
    return LndServer(Node(lambda: EPOCH // 1000))


ADMIN = ("address:read", "address:write", "info:read", "info:write", "invoices:read", "invoices:write",
    "macaroon:generate", "macaroon:read", "macaroon:write", "offchain:read", "offchain:write", "onchain:read",
    "onchain:write", "peers:read", "peers:write", "signer:generate", "signer:read")  # fmt: skip


def test_the_permissions_of_a_macaroon_are_read_from_it() -> None:
    assert sorted(permissions(bytes.fromhex(baker().bake(*ADMIN)))) == sorted(ADMIN)


@pytest.mark.parametrize(
    ("task", "rights"),
    [
        ("read", ADMIN), ("receive", ADMIN), ("pay", ADMIN), ("read", ("offchain:read", "offchain:write")),
        ("receive", ("invoices:write", "offchain:write")), ("pay", ("offchain:write", "onchain:write")),
        ("pay", ("uri:/lnrpc.Lightning/SendCoins",)), ("read", [f"uri:{PAYS[0]}"]), ("pay", [f"uri:{RECEIVES[0]}"]),
    ],
)  # fmt: skip
def test_a_macaroon_that_may_too_much_is_refused(task: str, rights: tuple[str, ...]) -> None:
    server = baker()
    given = dict(zip(("read", "receive", "pay"), server.three(), strict=True))
    with pytest.raises(BadMacaroon, match=f"TIMMY_LND_MACAROON_{task.upper()} is wrong: it may do more than {task}"):
        Macaroons(**{**given, task: server.bake(*rights)})


def test_lnds_own_macaroons_for_reading_and_invoices_will_do() -> None:
    server = baker()
    read = server.bake(*(one for one in ADMIN if one.endswith(":read")))
    receive = server.bake("address:read", "address:write", "invoices:read", "invoices:write", "onchain:read")
    pays = server.bake("offchain:read", "offchain:write")
    given = Macaroons(read, receive, pays)
    assert given.pay == pays
    assert pays not in repr(given)


def test_the_commands_of_the_docs_bake_exactly_what_is_needed() -> None:
    page = (Path(__file__).parents[3] / "docs/lightning.md").read_text(encoding="utf-8")
    commands = page.split("lncli bakemacaroon --save_to timmy-")[1:]
    assert [one.partition(".")[0] for one in commands] == ["read", "receive", "pay"]
    baked = [set(re.findall(r"uri:(\S+)", one)) for one in commands]
    assert baked == [set(READS), set(RECEIVES), set(PAYS)]


@pytest.mark.parametrize("wrong", ["", "00", "02", "0201", "020203ff", "02ff", "0200", "0202020308", "02020304ff"])
def test_what_is_no_macaroon_is_refused_and_not_shown(wrong: str) -> None:
    read, receive, _ = baker().three()
    with pytest.raises(BadMacaroon, match="MACAROON_PAY is wrong: it is no macaroon of LND's"):
        Macaroons(read, receive, wrong)


def certified(
    folder: Path, *, names: tuple[str, ...] = ("127.0.0.1",), called: str = "tls"
) -> tuple[Path, ssl.SSLContext]:
    """A certificate as LND makes its own (cert/selfsigned.go), and the server's side of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "lnd autogenerated cert")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(one)) for one in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / f"{called}.cert", folder / f"{called}.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, secret)
    return certificate, server


async def test_only_the_nodes_own_certificate_is_believed(tmp_path: Path) -> None:
    own, context = certified(tmp_path)
    other, _ = certified(tmp_path, called="other")
    async with LndServer.running(Node(lambda: EPOCH // 1000), ssl=context) as server:
        for certificate in (other, None):
            bench = Bench(server, certificate=certificate)
            with pytest.raises(NodeDown, match="its certificate is not the one of TIMMY_LND_TLS_CERT_PATH"):
                await bench.lnd.info()
            await bench.lnd.close()
        assert not server.seen
        bench = Bench(server, certificate=own)
        assert (await bench.lnd.info()).node == server.node.identity
        await bench.lnd.close()


async def test_a_certificate_for_another_host_is_not_believed(tmp_path: Path) -> None:
    own, context = certified(tmp_path, names=("10.0.0.7",))
    async with LndServer.running(Node(lambda: EPOCH // 1000), ssl=context) as server:
        bench = Bench(server, certificate=own)
        with pytest.raises(NodeDown, match="or not for this host"):
            await bench.lnd.info()
        await bench.lnd.close()


def test_a_certificate_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "tls.cert").write_text("nothing")
    three = Macaroons(*baker().three())
    with pytest.raises(BadCertificate, match="is no certificate"):
        Lnd("https://127.0.0.1:8080", tmp_path / "tls.cert", three)
    with pytest.raises(BadCertificate, match="cannot be read"):
        Lnd("https://127.0.0.1:8080", tmp_path / "gone", three)
