"""L402 tokens against pymacaroons, which we did not write: it reads ours, we read its. Whatever is changed is refused."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import TYPE_CHECKING, Any

import pymacaroons
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.wallet import l402
from core.wallet.l402 import BadCredential, Credential, Terms
from tests.depth import depth

if TYPE_CHECKING:
    from collections.abc import Callable

MASTER = b"the hub's own secret"
PREIMAGE = bytes(range(32))
HASH = hashlib.sha256(PREIMAGE).digest()
TOKEN = bytes(reversed(range(32)))
TERMS = Terms("tasks", 100_000, 10, 1_800_000_000_000, "/v1/tasks")
MINTED = l402.mint(MASTER, HASH, TOKEN, TERMS)
WIRE = l402.encode(MINTED)
VERIFIER = pymacaroons.Verifier()
VERIFIER.satisfy_general(lambda _: True)


def theirs(data: bytes) -> Any:
    return pymacaroons.Macaroon.deserialize(base64.urlsafe_b64encode(data).decode())


def narrowed(*caveats: str, of: bytes = WIRE) -> bytes:
    """Caveats added by the other library."""
    macaroon = theirs(of)
    for caveat in caveats:
        macaroon.add_first_party_caveat(caveat)
    return raw(macaroon)


def raw(macaroon: Any) -> bytes:
    made: bytes = pymacaroons.serializers.BinarySerializer().serialize_raw(macaroon)
    return made


def examine(*tokens: bytes, preimage: bytes = PREIMAGE) -> l402.Grant:
    return l402.examine(MASTER, Credential(tokens, preimage))


def refused(*tokens: bytes) -> bool:
    try:
        examine(*tokens)
    except BadCredential:
        return True
    return False


def test_the_other_library_reads_ours_and_makes_the_same() -> None:
    read = theirs(WIRE)
    assert (read.location, read.identifier_bytes) == ("timmy", bytes(2) + HASH + TOKEN)
    assert [one.caveat_id_bytes for one in read.caveats] == list(TERMS.caveats())
    root = l402._hmac(MASTER, read.identifier_bytes)
    assert VERIFIER.verify(read, root)
    made = pymacaroons.Macaroon("timmy", read.identifier_bytes, root, version=pymacaroons.MACAROON_V2)
    for caveat in TERMS.caveats():
        made.add_first_party_caveat(caveat)
    assert raw(made) == WIRE
    assert l402.parse(raw(made)) == MINTED


SOLD = st.builds(
    Terms, st.sampled_from(["chat", "tasks", "a" * 20]), st.sampled_from([1, 1000, 100_000, 10**18 - 1]),
    st.sampled_from([1, 9, 10, 100]), st.integers(0, 10**12).map(lambda seconds: seconds * 1000),
    st.sampled_from(["/", "/v1/chat", "/v1/tasks", "/" + "a" * 100]),
)  # fmt: skip
"""Of every length that a term can have, caveats of a length in two bytes among them."""


@pytest.mark.deep
@settings(max_examples=depth(40, 2000))
@given(
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
    SOLD,
    st.lists(st.text(max_size=200), max_size=11),
)
def test_the_other_library_verifies_every_token_that_can_be_sold_or_narrowed(
    paid: bytes, token: bytes, terms: Terms, more: list[str]
) -> None:
    minted = l402.mint(MASTER, paid, token, terms)
    read = theirs(l402.encode(minted))
    root = l402._hmac(MASTER, read.identifier_bytes)
    assert VERIFIER.verify(read, root)
    assert raw(read) == l402.encode(minted)
    for caveat in more:
        read.add_first_party_caveat(caveat)
    if len(raw(read)) <= l402.MAX_TOKEN:
        ours = l402.parse(raw(read))
        assert l402.genuine(MASTER, ours)
        assert l402.encode(ours) == raw(read)
        assert VERIFIER.verify(theirs(l402.encode(ours)), root)
    other = l402._hmac(b"another secret", read.identifier_bytes)
    with pytest.raises(pymacaroons.exceptions.MacaroonInvalidSignatureException):
        VERIFIER.verify(read, other)


def test_what_was_bought_is_read_from_the_token() -> None:
    grant = examine(WIRE)
    assert (grant.payment_hash, grant.token, grant.sold, grant.terms) == (HASH, TOKEN, TERMS, TERMS)
    assert grant.name == TOKEN.hex()[:16]
    assert (MINTED.payment_hash, MINTED.token) == (HASH, TOKEN)
    assert TERMS.caveats() == (
        b"service=tasks", b"price_msat=100000", b"calls=10", b"expires=1800000000", b"resource=/v1/tasks",
    )  # fmt: skip


def test_a_long_caveat_is_spelled_as_the_other_library_does() -> None:
    wire = narrowed("resource=/v1/tasks/" + "a" * 80, "resource=/v1/tasks/" + "a" * 80 + "/" + "b" * 9)
    assert raw(theirs(wire)) == l402.encode(l402.parse(wire)) == wire
    assert examine(wire).terms.resource.endswith("b")
    longer = narrowed("x" * 200)
    assert l402.parse(longer).caveats[-1] == b"x" * 200
    assert l402.encode(l402.parse(longer)) == longer
    assert len(l402.encode(MINTED._replace(caveats=(b"x" * 200,)))) == len(raw(theirs(narrowed("x" * 200)))) - sum(
        len(caveat) + 3 for caveat in TERMS.caveats()
    )


@pytest.mark.parametrize(
    ("caveats", "left"),
    [
        (["calls=3"], TERMS._replace(calls=3)),
        (["calls=3", "calls=2", "calls=2"], TERMS._replace(calls=2)),
        (["price_msat=1000", "expires=1700000000"], TERMS._replace(price=1000, expires=1_700_000_000_000)),
        (["resource=/v1/tasks/T-1", "service=tasks"], TERMS._replace(resource="/v1/tasks/T-1")),
        (["calls=0"], TERMS._replace(calls=0)),
    ],
)
def test_a_holder_can_narrow_a_token(caveats: list[str], left: Terms) -> None:
    grant = examine(narrowed(*caveats))
    assert (grant.terms, grant.sold) == (left, TERMS)


@pytest.mark.parametrize(
    "caveats",
    [
        ["calls=11"], ["calls=3", "calls=4"], ["price_msat=100001"], ["expires=1800000001"], ["resource=/v1"],
        ["resource=/v1/tasksX"], ["resource=/v1/tasks/T-1", "resource=/v1/tasks"], ["service=chat"],
        ["ip=127.0.0.1"], [""], ["calls"], ["calls="], ["calls=-1"], ["calls=1.5"], ["calls= 1"], ["calls=01"],
        ["calls=9999999999999999999"], ["Calls=1"], ["resource=v1/tasks"], ["calls=1\n"],
        ["calls=\u0661"], ["calls=1"] * 12,
    ],
)  # fmt: skip
def test_a_caveat_that_is_unknown_or_widens_is_refused(caveats: list[str]) -> None:
    assert refused(narrowed(*caveats))


def test_caveats_of_a_third_party_are_refused() -> None:
    wire = WIRE[:-35] + b"\x02\x01x\x04\x01y\0" + WIRE[-35:]
    assert theirs(wire).caveats[-1].verification_key_id
    with pytest.raises(BadCredential):
        l402.parse(wire)


def test_a_token_that_does_not_say_what_was_sold_is_refused() -> None:
    caveats = TERMS.caveats()
    for odd in ((), caveats[:4], caveats[1:], (caveats[1], caveats[0], *caveats[2:])):
        macaroon = MINTED._replace(
            caveats=odd, signature=l402._signature(MASTER, MINTED.identifier, odd)
        )  # genuine, and never minted
        assert refused(l402.encode(macaroon))


def test_another_hubs_secret_another_preimage_and_another_purchase_open_nothing() -> None:
    other = l402.mint(b"another secret", HASH, TOKEN, TERMS)
    assert refused(l402.encode(other))
    with pytest.raises(BadCredential, match="preimage"):
        examine(WIRE, preimage=bytes(32))
    second = l402.mint(MASTER, HASH, bytes(32), TERMS)
    with pytest.raises(BadCredential, match="several purchases"):
        examine(WIRE, l402.encode(second))


def test_of_several_tokens_all_must_hold() -> None:
    both = examine(narrowed("calls=3", "resource=/v1/tasks/T-1"), narrowed("price_msat=5"))
    assert both.terms == TERMS._replace(calls=3, price=5, resource="/v1/tasks/T-1")
    assert examine(narrowed("price_msat=5"), narrowed("resource=/v1/tasks/T-1")).terms.resource == "/v1/tasks/T-1"
    assert refused(narrowed("resource=/v1/tasks/T-1"), narrowed("resource=/v1/tasks/T-2"))
    assert refused(WIRE, WIRE[:-1] + bytes([WIRE[-1] ^ 1]))


def test_what_it_covers() -> None:
    assert TERMS.cover("tasks", "/v1/tasks")
    assert TERMS.cover("tasks", "/v1/tasks/T-1")
    assert not TERMS.cover("chat", "/v1/tasks")
    assert not TERMS.cover("tasks", "/v1/tasksX")
    assert l402.within("/anything", "/")


# Whatever is changed --------------------------------------------------------------------------------------------


@pytest.mark.deep
@settings(max_examples=depth(60, 3000))
@given(st.integers(0, len(WIRE) * 8 - 1))
def test_any_flipped_bit_is_refused(bit: int) -> None:
    data = bytearray(WIRE)
    data[bit // 8] ^= 1 << bit % 8
    assert refused(bytes(data))


def test_any_truncation_or_addition_is_refused() -> None:
    for size in range(len(WIRE)):
        assert refused(WIRE[:size])
    for more in (b"\0", b"\x06", WIRE, bytes(l402.MAX_TOKEN)):
        assert refused(WIRE + more)


@pytest.mark.deep
@settings(max_examples=depth(40, 2000))
@given(st.permutations(range(7)))
def test_reordered_dropped_and_doubled_caveats_are_refused(order: list[int]) -> None:
    own = l402.parse(narrowed("calls=3", "resource=/v1/tasks/T-1"))
    shuffled = tuple(own.caveats[place] for place in order)
    assert refused(l402.encode(own._replace(caveats=shuffled))) is (shuffled != own.caveats)
    assert refused(l402.encode(own._replace(caveats=own.caveats[: order[0]])))
    assert refused(l402.encode(own._replace(caveats=(*own.caveats, own.caveats[order[0]]))))


CAVEATS = st.one_of(
    st.builds("price_msat={}".format, st.integers(-1, 100_001)),
    st.builds("calls={}".format, st.integers(-1, 11)),
    st.builds("expires={}".format, st.integers(1_799_999_990, 1_800_000_002)),
    st.builds(
        "resource={}".format, st.sampled_from(["/v1/tasks", "/v1/tasks/T-1", "/v1/tasks/T-1/files", "/v1/chat", "/"])
    ),
    st.sampled_from(["service=tasks", "service=chat", "other=1"]),
)


@pytest.mark.deep
@settings(max_examples=depth(60, 3000))
@given(st.lists(CAVEATS, max_size=6))
def test_whatever_a_holder_adds_narrows_a_token_or_is_refused(caveats: list[str]) -> None:
    wire = WIRE
    left = TERMS
    for caveat in caveats:
        wire = narrowed(caveat, of=wire)
        try:
            now = examine(wire).terms
        except BadCredential:
            return
        assert (now.service, now.price <= left.price, now.calls <= left.calls, now.expires <= left.expires) == (
            left.service, True, True, True,
        )  # fmt: skip
        assert l402.within(now.resource, left.resource)
        assert caveat.split("=")[1] in {
            now.service,
            f"{now.price}",
            f"{now.calls}",
            f"{now.expires // 1000}",
            now.resource,
        }
        left = now


@pytest.mark.deep
@settings(max_examples=depth(40, 2000))
@given(st.integers(1, len(WIRE) - 1), st.booleans())
def test_a_splice_of_two_genuine_tokens_is_refused(cut: int, narrow: bool) -> None:
    preimage = bytes(32)
    other = l402.encode(l402.mint(MASTER, hashlib.sha256(preimage).digest(), bytes(32), TERMS._replace(calls=99)))
    second = narrowed("calls=3") if narrow else other
    for spliced in (WIRE[:cut] + second[cut:], second[:cut] + WIRE[cut:], WIRE[:cut] + second[cut - len(WIRE) :]):
        if spliced not in {WIRE, second}:
            assert refused(spliced)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x01", b"\x02", b"\x02\x01", b"\x02\x01\x85\0timmy", b"\x02\x01\xff\xff\xff\x7f", b"\x02\x02\x01a\0\0",
        WIRE.replace(b"timmy", b"other"), WIRE.replace(b"\x01\x05timmy", b""), WIRE.replace(b"\x02\x42\0\0", b"\x02\x42\0\1"),
        b"0019location timmy",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_token_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(BadCredential):
        l402.parse(data)


@pytest.mark.deep
@settings(max_examples=depth(60, 3000))
@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(data: bytes) -> None:
    for text in (data, b"\x02" + data, b"\x02\x01\x05timmy\x02" + data):
        with pytest.raises(BadCredential):
            l402.parse(text)


# The headers ---------------------------------------------------------------------------------------------------

STANDARD = base64.b64encode(WIRE).decode()
HEX = PREIMAGE.hex()


def test_the_challenge_is_in_the_order_that_clients_read() -> None:
    token = base64.b64encode(WIRE).decode()
    assert l402.challenge(MINTED, "lnbcrt1") == (
        f'L402 macaroon="{token}", invoice="lnbcrt1", version="0", token="{token}"'
    )


def pymacaroons_text(data: bytes) -> str:
    text: str = theirs(data).serialize()
    return text


@pytest.mark.parametrize("scheme", ["L402", "LSAT", "l402", "  L402 "])
@pytest.mark.parametrize(
    "spell",
    [
        lambda data: base64.b64encode(data).decode(), lambda data: base64.urlsafe_b64encode(data).decode(),
        lambda data: base64.b64encode(data).decode().rstrip("="), pymacaroons_text,
    ],
)  # fmt: skip
def test_the_spellings_of_known_clients_are_read(scheme: str, spell: Callable[[bytes], str]) -> None:
    for more in ((), ("calls=3",), ("calls=2", "calls=2"), ("price_msat=10",)):  # of every length modulo 3
        data = narrowed(*more)
        assert l402.read_authorization(f"{scheme} {spell(data)}:{HEX.upper()}") == Credential((data,), PREIMAGE)


def test_several_tokens_stand_in_one_header() -> None:
    found = l402.read_authorization(f"L402 {STANDARD},{STANDARD}, {STANDARD}:{HEX} ")
    assert found == Credential((WIRE, WIRE, WIRE), PREIMAGE)


def test_a_credential_does_not_show_itself() -> None:
    found = l402.read_authorization(f"L402 {STANDARD}:{HEX}")
    assert repr(found) == "Credential()"


@pytest.mark.parametrize("end", ["", "!", ":"])
def test_a_header_of_nothing_is_refused_as_fast_as_any(end: str) -> None:
    begun = time.process_time()
    for _ in range(10):
        with pytest.raises(BadCredential):
            l402.read_authorization("L402 " + " " * (l402.MAX_HEADER - 10) + end)
    assert time.process_time() - begun < 0.5  # s; tried at every blank, these take 3


@pytest.mark.parametrize("header", [None, "", "Bearer x", "Basic L402", "L4023 x", "L402x"])
def test_what_is_another_scheme_is_no_credential(header: str | None) -> None:
    assert l402.read_authorization(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "L402", "L402 ", "L402 :", f"L402 {STANDARD}", f"L402 {STANDARD}:", f"L402 {STANDARD}:{HEX[:-1]}",
        f"L402 {STANDARD}:{HEX}0",
        f"L402 {STANDARD}:{'g' * 64}", f"L402 :{HEX}", f"L402 ,:{HEX}", f"L402 {STANDARD},:{HEX}", f"L402 a:{HEX}",
        f"L402 =:{HEX}", f"L402 {STANDARD}=:{HEX}", f"L402 {STANDARD[:4]}=={STANDARD[4:]}:{HEX}", f"L402 AB:{HEX}",
        f"L402 \u00e4\u00e4:{HEX}",
        f"L402 {STANDARD[:8]} {STANDARD[8:]}:{HEX}", f"L402 {','.join([STANDARD] * 5)}:{HEX}", f"L402 {'A' * 7000}:{HEX}",
        f"L402 {STANDARD}:{HEX}\n",
    ],
)  # fmt: skip
def test_a_header_that_is_not_whole_is_refused(header: str) -> None:
    with pytest.raises(BadCredential):
        opened(header)


def opened(header: str) -> l402.Grant:
    found = l402.read_authorization(header)
    assert found is not None
    return l402.examine(MASTER, found)
