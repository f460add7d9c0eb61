"""The auction's published rule: the lowest score wins, ties to the earliest bid.

    score = price + reputation penalty + lateness penalty + fit penalty          (all in msat)

- reputation: up to half the price, falling to nothing as the trust in the agent in this field goes to 1 (`reputation.py`);
- lateness: a tenth of the price for an `eta` past half the time left, the whole price for one past the deadline;
- fit: up to a fifth of the price for work at the edge of the agent's field.

Integers only, so that everyone who reads the bids computes the same winner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_PERMILLE = 1000


class Bid(NamedTuple):
    """A sealed bid. `price` in msat; `eta` in ms from the award, None if not said; `fit` in permille; `at` Unix ms UTC."""

    agent: str
    price: int
    eta: int | None
    note: str
    fit: int
    at: int
    score: int = 0


def score(bid: Bid, trust: int, *, time_left: int) -> int:
    """The score of a bid in msat, by the rule above; `trust` in permille, `time_left` in ms to the task's deadline."""
    late = 0
    if bid.eta is not None and bid.eta > time_left:
        late = bid.price
    elif bid.eta is not None and bid.eta * 2 > time_left:
        late = bid.price // 10
    distrust = bid.price * (_PERMILLE - trust) // (2 * _PERMILLE)
    unfit = bid.price * (_PERMILLE - bid.fit) // (5 * _PERMILLE)
    return bid.price + distrust + late + unfit


def ranking(bids: Iterable[Bid]) -> list[Bid]:
    """Bids in the order in which they win: by score, then by time, then by name."""
    return sorted(bids, key=lambda bid: (bid.score, bid.at, bid.agent))
