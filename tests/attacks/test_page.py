"""The page of the matrix says what the matrix is."""

from __future__ import annotations

from tests.attacks.attacks import A
from tests.attacks.defences import D
from tests.attacks.page import PAGE, SPELLING, cells, page


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"write it anew: {SPELLING}"


def test_every_defence_holds_something_and_every_attack_is_held() -> None:
    assert {name for attack in A for name in attack.defences} == set(D)
    assert {attack for attack, _ in cells()} == set(A)
    assert all(attack.defences for attack in A)
