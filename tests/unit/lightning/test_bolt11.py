"""BOLT 11: the specification's examples, what other libraries make and read, and whatever else people paste."""

from __future__ import annotations

import contextlib
import re

import bolt11 as oracle
import pytest
from bech32 import bech32_decode, bech32_encode
from bolt11.models.tags import Tag
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.lightning.bolt11 import Unsigned, decode, encode, public_key
from core.money import MAX_SATS, to_msat
from core.wallet.lightning import BadInvoice, PaymentRequest
from tests.depth import depth
from tests.unit.lightning.bolt11_examples import BAD, GOOD, KEY, SECRET

HASH = bytes(range(32))
DRAFT = Unsigned("bcrt", HASH, SECRET, 21_000, "tea", 1_750_000_000_999, 3600)
BITCOIN = to_msat(10**8)


@pytest.mark.parametrize(("text", "prefix", "amount", "description", "expires", "payee"), GOOD.values(), ids=list(GOOD))
def test_the_examples_of_the_specification(
    text: str, prefix: str, amount: int | None, description: str, expires: int, payee: str
) -> None:
    found = decode(text)
    assert (found.prefix, found.amount, found.description) == (prefix, amount, description)
    assert (found.expires_at, found.payee) == (1000 * expires, payee)
    assert found.bolt11 == text.lower()


@pytest.mark.parametrize(("text", "why"), BAD.values(), ids=list(BAD))
def test_the_examples_that_must_be_refused(text: str, why: str) -> None:
    with pytest.raises(BadInvoice, match=re.escape(why)):
        decode(text)


def test_how_people_paste_it() -> None:
    bolt11 = encode(DRAFT, KEY)
    for text in (
        f" {bolt11}\n",
        bolt11.upper(),
        f"lightning:{bolt11}",
        f"LIGHTNING:{bolt11.upper()}",
        f"lightning://{bolt11}",
    ):
        assert decode(text) == decode(bolt11)


@pytest.mark.parametrize(
    "amount",
    [
        None,
        1,
        999,
        1_000,
        21_000,
        123_456_789,
        BITCOIN,
        10 * BITCOIN,
        1_000 * BITCOIN,
        21_000 * BITCOIN,
        to_msat(MAX_SATS),
    ],
)
def test_what_we_sign_says_the_same_to_a_library_that_did_not_make_it(amount: int | None) -> None:
    found = oracle.decode(encode(DRAFT._replace(amount=amount), KEY), strict=True)
    assert (found.amount_msat, found.payment_hash, found.payment_secret) == (amount, HASH.hex(), SECRET.hex())
    assert (found.date, found.expiry, found.description) == (1_750_000_000, 3600, "tea")
    assert found.payee == public_key(KEY)
    assert found.features
    assert found.features.readable == {"var_onion_optin": "required", "payment_secret": "required"}


@pytest.mark.deep
@settings(max_examples=depth(30, 500), deadline=None)
@given(
    st.sampled_from(["bc", "tb", "tbs", "bcrt"]),
    st.none() | st.integers(1, to_msat(MAX_SATS)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=150),
    st.integers(0, 2**35 - 1),
    st.integers(1, 10**9),
)
def test_what_we_sign_we_read(prefix: str, amount: int | None, description: str, made: int, expiry: int) -> None:
    draft = Unsigned(prefix, HASH, SECRET, amount, description, 1000 * made, expiry)
    bolt11 = encode(draft, KEY)
    wanted = PaymentRequest(bolt11, prefix, HASH, public_key(KEY), amount, description, draft.expires_at)
    assert decode(bolt11) == wanted


_EXAMPLES = [text.lower() for text, *_ in GOOD.values()] + [encode(DRAFT, KEY)]


@pytest.mark.deep
@settings(max_examples=depth(60, 1000), deadline=None)
@given(st.sampled_from(_EXAMPLES), st.data())
def test_whatever_is_changed_in_an_invoice_is_read_or_refused_with_a_reason(text: str, data: st.DataObject) -> None:
    """The checksum is made again, so that what lies behind it meets the change."""
    human, groups = bech32_decode(text)
    assert human is not None
    assert groups is not None
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(groups)))
        groups[place : place + data.draw(st.integers(0, 3))] = data.draw(st.lists(st.integers(0, 31), max_size=3))
    read_or_refused(bech32_encode(data.draw(st.sampled_from([human, "lnbc", "lnbcrt1p", "lnbc5u"])), groups))


_PARTS = [
    "lightning:",
    "LIGHTNING:",
    "ln",
    "LN",
    "bc",
    "bcrt",
    "tb",
    "tbs",
    "0",
    "1",
    "25",
    "m",
    "p",
    "q" * 200,
    "-",
    " ",
]


@pytest.mark.deep
@settings(max_examples=depth(60, 1000), deadline=None)
@given(st.text(max_size=50) | st.lists(st.sampled_from(_PARTS)).map("".join))
@example("\N{KELVIN SIGN}")
@example("lnbc" + "9" * 5000 + "1qqqqqq")
@example("lnbc\u0662m1qqqqqq")
def test_whatever_else_is_pasted_is_refused_with_a_reason(text: str) -> None:
    read_or_refused(text)


def read_or_refused(text: str) -> None:
    with contextlib.suppress(BadInvoice):
        found = decode(text)
        assert found.amount is None or 0 < found.amount <= to_msat(MAX_SATS)
        assert len(found.payment_hash) == len(bytes.fromhex(found.payee)) - 1 == 32
        assert 0 < found.expires_at < 2**63


@pytest.mark.parametrize("text", ["a" * 10**6, "lnbc1" + "q" * 10**6, "lightning:" * 10**5, " " * 10**6])
def test_a_megabyte_is_refused_at_once(text: str) -> None:
    with pytest.raises(BadInvoice):
        decode(text)


@pytest.mark.parametrize(
    ("human", "why"),
    [
        ("lnbcrt0", "is 0"), ("lnbcrt0u", "is 0"), ("lnbcrt-5u", "characters"), ("lnbcrt1.5m", "characters"),
        ("lnbcrt21000001", "more than there are"), ("lnbcrt99999999999999999999", "more than there are"),
        ("lnbcrt15p", "whole number"), ("lnbcrt5ux", "amount cannot be read"), ("lnbcrt5k", "amount cannot be read"),
        ("lnxy5u", "beginning"), ("lnurl", "beginning"), ("bc", "beginning"),
    ],
)  # fmt: skip
def test_amounts_and_beginnings_that_cannot_be(human: str, why: str) -> None:
    _, groups = bech32_decode(encode(DRAFT, KEY))
    assert groups is not None
    with pytest.raises(BadInvoice, match=why):
        decode(bech32_encode(human, groups))


def made_elsewhere(**tags: object) -> str:
    """An invoice with these fields beside the usual ones, as the oracle signs it; a field of None is left out."""
    usual = {"payment_hash": HASH.hex(), "payment_secret": SECRET.hex(), "description": "tea", **tags}
    fields = oracle.Tags([Tag(oracle.TagChar[name], value) for name, value in usual.items() if value is not None])
    invoice = oracle.Bolt11("bcrt", 1_750_000_000, fields, oracle.MilliSatoshi(5_000))
    return oracle.encode(invoice, KEY.hex(), ignore_exceptions=True, keep_payee=True)


def test_the_payee_that_an_invoice_names_must_have_signed_it() -> None:
    assert decode(made_elsewhere(payee=public_key(KEY))).payee == public_key(KEY)
    for other in (public_key(SECRET), "02" + "ff" * 32):
        with pytest.raises(BadInvoice, match="signature is not its payee's"):
            decode(made_elsewhere(payee=other))


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({"payment_hash": None}, "no payment hash"), ({"payment_hash": "00" * 31}, "no payment hash"),
        ({"payment_secret": None}, "no payment secret"), ({"description": None}, "what it is for"),
        ({"expire_time": 2**59}, "year 9999"),
        ({"features": oracle.Features.from_feature_list({oracle.FeatureExtra(60): oracle.FeatureState.required})}, "feature 120"),
    ],
)  # fmt: skip
def test_fields_that_are_missing_or_ask_for_too_much(tags: dict[str, object], why: str) -> None:
    with pytest.raises(BadInvoice, match=why):
        decode(made_elsewhere(**tags))
