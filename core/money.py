"""Amounts: integers of millisatoshi inside, whole sats at the edges, never a float.

At the edges what somebody has, gets or may spend is rounded down, and what leaves, has left or is set aside is rounded up: nobody
is shown more than they have, or less than they pay. `timmy ledger` and whatever is called `..._msat` are exact.

One bitcoin is 1e8 sats, one sat is 1000 msat; there are at most 21e14 sats, so every amount fits in 63 bits.
"""

from __future__ import annotations

import re

from core.errors import UserError

MSAT = 1000
MAX_SATS = 21 * 10**14

_GROUPED = r"[0-9]{1,3}(?:_[0-9]{3}){1,5}|[0-9]{1,3}(?:,[0-9]{3}){1,5}"
_AMOUNT = re.compile(rf"(?P<number>[0-9]{{1,16}}|{_GROUPED})\s?(?P<kilo>[kK]?)\s*(?:[sS][aA][tT][sS]?)?")


class BadAmount(UserError):
    """{given} is not an amount. Write whole sats from 1 to 2,100,000,000,000,000, such as 500, 1,000 sats or 2k."""


def parse_sats(text: str) -> int:
    """Whole sats of `500`, `1,000 sats` or `2k`. Raises `BadAmount` for anything else, zero and fractions included."""
    found = _AMOUNT.fullmatch(text.strip())
    sats = 0 if found is None else int(found["number"].replace(",", "")) * (1000 if found["kilo"] else 1)
    if not 1 <= sats <= MAX_SATS:
        raise BadAmount(given=repr(text[:40]))
    return sats


def to_msat(sats: int) -> int:
    """Sats to millisatoshi."""
    return sats * MSAT


def to_sats(msat: int) -> int:
    """Millisatoshi to whole sats, rounded towards zero so that nobody is shown more than they have."""
    return msat // MSAT if msat >= 0 else -(-msat // MSAT)


def to_cost(msat: int) -> int:
    """Millisatoshi that leave, have left, or are set aside to, as whole sats: rounded up."""
    return -(-msat // MSAT)


def moved_sats(msat: int) -> int:
    """A movement of an account as whole sats: what came is rounded down, what left (negative) up."""
    return msat // MSAT


def format_sats(msat: int, *, simulated: bool = False) -> str:
    """An amount for people: `1 sat`, `12,000 sats`, `500 simulated sats`."""
    sats = to_sats(msat)
    return f"{sats:,}{' simulated' if simulated else ''} sat{'' if sats == 1 else 's'}"


def format_cost(msat: int, *, simulated: bool = False) -> str:
    """What something costs, for people: rounded up, so that nobody is shown less than they pay."""
    return format_sats(to_cost(msat) * MSAT, simulated=simulated)
