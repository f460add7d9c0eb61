"""What servers write to be paid, in all the ways in which they do, and in ways in which nobody should."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import MAX_SATS
from core.wallet.challenge import Challenge, Unpayable, credential, price_of, read
from core.wallet.lightning import PaymentRequest
from tests.depth import depth

INVOICE = "lnbcrt1p" + "q" * 200
TOKEN = "AgEEbHNhdAJCAAD+/_-=="

SAID = [
    f'L402 macaroon="{TOKEN}", invoice="{INVOICE}"',
    f'L402 macaroon="{TOKEN}", invoice="{INVOICE}", version="0", token="{TOKEN}"',
    f'L402 version="0", token="{TOKEN}", invoice="{INVOICE}"',
    f'L402 invoice="{INVOICE}", macaroon="{TOKEN}"',
    f'l402 invoice="{INVOICE}",macaroon="{TOKEN}"',
    f"L402 macaroon={TOKEN}, invoice={INVOICE}",
    f"L402 macaroon='{TOKEN}' invoice='{INVOICE}'",
    f'L402   Macaroon = "{TOKEN}" ,\tINVOICE = "{INVOICE.upper()}"',
    f'L402 token="{TOKEN}", invoice="lightning:{INVOICE}"',
    f'L402 macaroon="{TOKEN}", invoice="{INVOICE}", realm="a \\"quoted\\" realm, with L402 in it"',
    f'Basic realm="x", L402 macaroon="{TOKEN}", invoice="{INVOICE}"',
    f'Negotiate YWJj==, L402 macaroon="{TOKEN}", invoice="{INVOICE}", Bearer realm="y"',
    f'LSAT macaroon="bad", invoice="{INVOICE}", L402 macaroon="{TOKEN}", invoice="{INVOICE}"',
    f'L402 macaroon="{TOKEN}", invoice="{INVOICE}", macaroon="second", LSAT macaroon="bad", invoice="{INVOICE}"',
    f'Payment id="1", method="lightning" ;; L402 macaroon="{TOKEN}"; invoice="{INVOICE}"',
    f'L402 macaroon="unusable here", invoice="", L402 macaroon="{TOKEN}", invoice="{INVOICE}"',
]  # fmt: skip


@pytest.mark.parametrize("header", SAID)
def test_it_is_read_however_it_is_written(header: str) -> None:
    assert read([header]) == Challenge("L402", TOKEN, INVOICE)
    assert read(['Basic realm="x"', header]) == read([header, 'Bearer realm="y"']) == Challenge("L402", TOKEN, INVOICE)


def test_the_older_name_is_answered_in_kind() -> None:
    found = read([f'LSAT macaroon="{TOKEN}", invoice="{INVOICE}"'])
    assert found == Challenge("LSAT", TOKEN, INVOICE)
    assert credential(found.scheme, found.token, b"\x01" * 32) == f"LSAT {TOKEN}:{'01' * 32}"
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    "header",
    [
        "", "L402", "L402 ", f'L402 macaroon="{TOKEN}"', f'L402 invoice="{INVOICE}"',
        f'Bearer macaroon="{TOKEN}", invoice="{INVOICE}"',
        f'macaroon="{TOKEN}", invoice="{INVOICE}"', f'L402 macaroon="a\r\nX: y", invoice="{INVOICE}"',
        f'L402 macaroon="a:b", invoice="{INVOICE}"', f'L402 macaroon="ä", invoice="{INVOICE}"',
        f'L402 macaroon="{TOKEN}", invoice="bc1qqqq"', f'L402 macaroon="{TOKEN}", invoice="{INVOICE} or else"',
        f'L402 macaroon="{"a" * 8193}", invoice="{INVOICE}"', f'L402 macaroon="{TOKEN}", invoice="ln{"q" * 5000}"',
        " " * 16384 + f'L402 macaroon="{TOKEN}", invoice="{INVOICE}"', f'L402 macaroon="{TOKEN}, invoice="{INVOICE}"',
        "=,;\\\"'", '"' * 999,
    ],
)  # fmt: skip
def test_what_is_not_whole_is_not_used(header: str) -> None:
    assert read([header]) is None
    assert read([header] * 9) is None


@settings(max_examples=depth(100, 5000))
@given(st.lists(st.text(alphabet="L402lsat macroninve=\"'\\,; \t\n:q" + TOKEN, max_size=60), max_size=5))
def test_anything_can_be_read_and_what_is_found_fits_a_header(headers: list[str]) -> None:
    found = read([*headers, f'L402 macaroon="{TOKEN}", invoice="{INVOICE}"'])
    assert found is None or found.token.isascii()
    assert found is None or not set(found.token) & set(": \r\n\t")


@pytest.mark.parametrize("piece", ["a", "a ", "a=", 'a="', "a='", '"\\', "\\", " ", "=", "a\t"])
def test_reading_takes_no_longer_than_it_is_long(piece: str) -> None:
    start = time.thread_time()
    read([piece * (2**20 // len(piece))])
    assert time.thread_time() - start < 0.1


@pytest.mark.parametrize(
    ("amount", "prefix", "now", "why"),
    [
        (None, "bcrt", 0, "names no amount"), (0, "bcrt", 0, "names no amount"), (1000, "bc", 0, "for another network"),
        (1000, "bcrt", 60_000, "has expired"), (MAX_SATS * 1000 + 1, "bcrt", 0, "more than all sats"),
    ],
)  # fmt: skip
def test_what_has_no_fair_price(amount: int | None, prefix: str, now: int, why: str) -> None:
    request = PaymentRequest(INVOICE, "bcrt", b"\0" * 32, "02", amount, "1 sat only", 60_000)
    with pytest.raises(Unpayable, match=f"shop cannot be paid: .*{why}.*Nothing was paid"):
        price_of(request, "shop", prefix, now)


def test_the_price_is_of_the_invoice_to_the_msat() -> None:
    request = PaymentRequest(INVOICE, "bcrt", b"\0" * 32, "02", 1, "1 sat only", 60_000)
    assert price_of(request, "shop", "bcrt", 59_999) == 1
