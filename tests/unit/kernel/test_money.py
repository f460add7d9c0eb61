"""Amounts as people write them, and as they are shown: whole sats, never a float, never more than there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import MAX_SATS, BadAmount, format_sats, moved_sats, parse_sats, to_cost, to_msat, to_sats

amounts = st.integers(1, MAX_SATS)


@pytest.mark.parametrize(
    ("text", "sats"),
    [
        ("500", 500), ("500 sats", 500), ("500sats", 500), ("1 sat", 1), ("500 SATS", 500), ("2k", 2000), ("2K", 2000),
        ("2 k", 2000), ("2k sats", 2000), ("  7\t", 7), ("007", 7), ("12_000", 12_000), ("500\u00a0sats", 500),
        ("2100000000000000", MAX_SATS), ("2100000000000k", MAX_SATS), ("1,000", 1000), ("1,000 sats", 1000),
        ("12,000k", 12_000_000), ("2,100,000,000,000,000", MAX_SATS),
    ],
)  # fmt: skip
def test_what_people_write(text: str, sats: int) -> None:
    assert parse_sats(text) == sats


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "0 sats", "0k", "-1", "+1", "1.5", "1,5", "1e3", "21e14", "21e14+1", "0x10", "2100000000000001",
        "2100000000001k", "9" * 17, "sats", "k", "5 k k", "5kk", "5 satss", "5 btc", "500 msat", "5 5", "5\n5", "five",
        "\u0665", "\uff15", "\u00b2", "5\u0660", "2\u212a", "5 \u017fats", "_5", "5_", "5_0", "5__000", "1_000_00",
        "1,00", "1,0000", ",000", "1000,000", "1,000_000", "1,000.5", "1,,000", "2,100,000,000,000,001",
        "5\x00", "nan", "inf", "None",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(
        BadAmount, match=r"Write whole sats from 1 to 2,100,000,000,000,000, such as 500, 1,000 sats or 2k"
    ):
        parse_sats(text)


@pytest.mark.parametrize("text", ["9" * 1_000_000, " " * 1_000_000 + "x", "5" + " " * 1_000_000 + "x", "5_" * 500_000])
def test_a_huge_text_is_refused_at_once_and_not_repeated(text: str) -> None:
    with pytest.raises(BadAmount) as caught:
        parse_sats(text)
    assert len(str(caught.value)) < 200


@given(st.text(max_size=30))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        sats = parse_sats(text)
    except BadAmount:
        return
    assert 1 <= sats <= MAX_SATS


@given(amounts)
def test_what_is_shown_can_be_typed_again(sats: int) -> None:
    assert parse_sats(str(sats)) == sats == to_sats(to_msat(sats))
    assert parse_sats(format_sats(to_msat(sats))) == sats


@given(st.integers(-to_msat(MAX_SATS), to_msat(MAX_SATS)))
def test_msat_are_rounded_towards_zero(msat: int) -> None:
    sats = to_sats(msat)
    assert abs(to_msat(sats)) <= abs(msat) < abs(to_msat(sats)) + 1000
    assert sats * msat >= 0


@pytest.mark.parametrize(
    ("msat", "text"),
    [
        (0, "0 sats"), (999, "0 sats"), (-999, "0 sats"), (1000, "1 sat"), (1999, "1 sat"), (2000, "2 sats"),
        (12_000_000, "12,000 sats"), (-1_500_000, "-1,500 sats"), (to_msat(MAX_SATS), "2,100,000,000,000,000 sats"),
    ],
)  # fmt: skip
def test_how_amounts_are_shown(msat: int, text: str) -> None:
    assert format_sats(msat) == text


@given(st.integers(0, to_msat(MAX_SATS)))
def test_what_leaves_is_rounded_up_and_what_came_down(msat: int) -> None:
    assert to_msat(to_cost(msat)) - 1000 < msat <= to_msat(to_cost(msat))
    assert (moved_sats(msat), moved_sats(-msat)) == (to_sats(msat), -to_cost(msat))


def test_all_the_sats_there_will_ever_be_fit_in_63_bits() -> None:
    assert to_msat(MAX_SATS) < 2**63
