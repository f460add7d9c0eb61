"""The rules of linking: who joins whose account, and whose word it needs first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.chat import Caller, Role
from core.linking import (
    AccountGone,
    Asked,
    HasLinked,
    LinkedAlready,
    NotAsAgreed,
    NotLetInYet,
    OwnCode,
    OwnerStays,
    Side,
    UnderWay,
    Wish,
    check,
    onward,
)

if TYPE_CHECKING:
    from core.errors import HubError

ANN = Side("telegram:1", "telegram:1", Role.MEMBER, ("matrix:@ann:b",), ("T-1",), 5_000, 1_000)
BOB = Side("telegram:2", "telegram:2", Role.MEMBER)
STRANGER = Side("matrix:@eve:b", "matrix:@eve:b", Role.GUEST)
OLGA = Side("telegram:3", "telegram:3", Role.OWNER)
WISH = Wish(BOB.actor, "Bob", ANN.actor, ANN.actor)


@pytest.mark.parametrize(
    ("joins", "maker", "error", "words"),
    [
        (BOB, ANN, None, ""),
        (STRANGER, ANN, None, ""),
        (STRANGER, OLGA, None, ""),
        (ANN, ANN, OwnCode, "telegram:1 is of that account already"),
        (replace(BOB, root=ANN.actor), replace(BOB, actor="x:1", root=ANN.actor), OwnCode, "telegram:2 is of"),
        (OLGA, replace(OLGA, actor="console:owner", root="console:owner"), OwnCode, "telegram:3 is of"),
        (OLGA, ANN, OwnerStays, "telegram:3 owns this hub"),
        (replace(BOB, root="x:1"), ANN, LinkedAlready, "telegram:2 is linked to x:1. .*/unlink telegram:2"),
        (replace(BOB, linked=("x:1", "x:2")), ANN, HasLinked, "x:1 is linked to telegram:2.*/unlink x:1"),
        (replace(BOB, tasks=("T-1", "T-2")), ANN, UnderWay, "has to do with T-1, T-2, and"),
        (replace(BOB, posted=1, held=1), ANN, UnderWay, "has to do with a payment"),
        (replace(STRANGER, posted=70_000), ANN, NotLetInYet, "is not let in and has 70 sats"),
    ],
)
def test_who_may_join(joins: Side, maker: Side, error: type[HubError] | None, words: str) -> None:
    if error is None:
        check(joins, maker)
    else:
        with pytest.raises(error, match=words):
            check(joins, maker)


@pytest.mark.parametrize(
    ("wish", "joins", "maker", "asked", "agreed"),
    [
        (WISH, BOB, ANN, Asked.NOBODY, 0),
        (WISH, replace(BOB, posted=70), ANN, Asked.THEM, 70),
        (replace(WISH, agreed=70, asked=Asked.THEM), replace(BOB, posted=70), ANN, Asked.NOBODY, 70),
        (replace(WISH, root=OLGA.actor), BOB, OLGA, Asked.OWNER, 0),
        (replace(WISH, root=OLGA.actor), replace(BOB, posted=70), OLGA, Asked.THEM, 70),
        (replace(WISH, root=OLGA.actor, agreed=70, asked=Asked.THEM), replace(BOB, posted=70), OLGA, Asked.OWNER, 70),
        (replace(WISH, root=OLGA.actor, agreed=70, asked=Asked.OWNER), replace(BOB, posted=70), OLGA, Asked.NOBODY, 70),
    ],
)
def test_whose_word_comes_next(wish: Wish, joins: Side, maker: Side, asked: Asked, agreed: int) -> None:
    found = onward(wish, joins, maker)
    assert (found.asked, found.agreed) == (asked, agreed)
    assert Wish.load(found.dump()) == found, "it waits as text"


@pytest.mark.parametrize(
    ("wish", "joins", "maker", "error"),
    [
        (WISH, BOB, replace(ANN, role=Role.GUEST), AccountGone),
        (WISH, BOB, replace(ANN, root="x:1"), AccountGone),
        (replace(WISH, agreed=70, asked=Asked.THEM), replace(BOB, posted=71), ANN, NotAsAgreed),
        (replace(WISH, agreed=70, asked=Asked.THEM), BOB, ANN, NotAsAgreed),
        (replace(WISH, root=OLGA.actor, asked=Asked.OWNER), replace(BOB, posted=1), OLGA, NotAsAgreed),
        (replace(WISH, agreed=70, asked=Asked.THEM), replace(BOB, posted=70, tasks=("T-1",)), ANN, UnderWay),
    ],
)
def test_what_changed_since_it_was_asked_ends_it(wish: Wish, joins: Side, maker: Side, error: type[HubError]) -> None:
    with pytest.raises(error):
        onward(wish, joins, maker)


def test_a_caller_is_each_of_their_identities_and_under_as_only_the_one_at_the_console() -> None:
    both = frozenset({ANN.actor, "matrix:@ann:b"})
    ann = Caller("matrix:@ann:b", Role.MEMBER, account=ANN.actor, linked=both)
    assert (ann.name, ann.payer, ann.recorded, ann.selves) == (ANN.actor, ANN.actor, "matrix:@ann:b", both)
    assert [ann.means(one) for one in (ANN.actor, "matrix:@ann:b", "x:1", None)] == [True, True, False, False]
    tried = ann._replace(actor="console:owner", acting_for="matrix:@ann:b")
    assert (tried.name, tried.payer, tried.selves) == (ANN.actor, "console:owner", frozenset({tried.recorded}))
    assert tried.means("matrix:@ann:b")
