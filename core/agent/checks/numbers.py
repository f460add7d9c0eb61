"""Numbers: each in a report was read, or follows from the task's own by simple arithmetic.

A model that counts in its head is wrong too often to be paid for it.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING

from core.agent.checks.draft import MOST_FAULTS, Checked, blocks, outside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from core.agent.checks.draft import Draft

SMALL = 12
"""Whole numbers up to this are counts and places in a list; they are not looked at."""

MOST_READ = 50_000
"""Numbers of what was read that are known; a report on more than that is not judged by them."""

_MOST_COMBINED = 40
_TOLERANCE = 1e-9
_SHARE = 10.0
"""Up to this a number may be a share, which is also said in percent."""

_WRITTEN = r"\d{1,15}(?:[,_’\u00a0\u202f]\d{3})*(?:\.\d{1,15}|,\d{1,2}(?!\d))?(?:[eE][-+]?\d{1,3})?"  # noqa: RUF001
_SCALES = {
    "k": 1e3,
    "thousand": 1e3,
    "tsd": 1e3,
    "m": 1e6,
    "million": 1e6,
    "mio": 1e6,
    "bn": 1e9,
    "billion": 1e9,
    "mrd": 1e9,
}
_NUMBER = re.compile(
    rf"(?<![\w.,/:#-])(?P<number>[-−+]?{_WRITTEN})(?:[ \u00a0]?(?P<scale>thousand|tsd|million|mio|billion|bn|mrd|k|m)\b)?"  # noqa: RUF001
    r"(?![\w]|[.,:/-]\d)",
    re.IGNORECASE,
)
_LISTED = re.compile(r"^\s*(?:[-*+]|\d{1,3}[.)]|#{1,6})\s")
_CODE = re.compile(r"`[^`\n]*`")


def check(draft: Draft) -> Checked:
    """See the module."""
    # A limit in a query is no result, and no lie.
    asked = (str(call.arguments) for step in draft.steps for call in step.calls)
    known = set(islice(_all([*draft.read, *asked]), MOST_READ + 1))
    if len(known) > MOST_READ:
        return Checked(draft.text)
    given = list(islice(_numbers(draft.task), _MOST_COMBINED))
    known |= set(_follows(given))
    by_size = sorted(known | {abs(one) for one in known} | {one * 100 for one in known if abs(one) <= _SHARE})
    strange = [found[0] for found in _said(draft.text) if not _is_known(found, by_size)]
    if not strange:
        return Checked(draft.text)
    named = ", ".join(list(dict.fromkeys(strange))[:MOST_FAULTS])
    fault = f"These numbers are in no result of a tool and not in the task: {named}. Leave them out, or let a tool work them out."
    return Checked(draft.text, (fault,))


def _said(text: str) -> Iterator[re.Match[str]]:
    """The numbers of a report: not those in code, in its lists' counting, or too small to mean much."""
    for line in outside(text, blocks(text)):
        for found in _NUMBER.finditer(_CODE.sub(" ", _LISTED.sub("", line))):
            value = _value(found["number"]) * _scale(found)
            if not (value.is_integer() and abs(value) <= SMALL) and value != 100:  # noqa: PLR2004 - all, in percent
                yield found


def _is_known(found: re.Match[str], by_size: list[float]) -> bool:
    """Whether a number is one of these, to as many places as it is written with."""
    said, scale = found["number"], _scale(found)
    value = _value(said) * scale
    mantissa = _plain(said).lower().partition("e")[0]
    places = len(mantissa.partition(".")[2])
    half = 0.5 * 10.0**-places * scale + _TOLERANCE * max(1.0, abs(value))
    if "." not in mantissa and scale == 1:
        half = max(half, _rounded_to(mantissa) / 2)
    at = bisect_left(by_size, value - half)
    return at < len(by_size) and by_size[at] <= value + half


def _rounded_to(digits: str) -> float:
    """1000 for 12000: what a whole number with zeros at its end may have been rounded to; at most a thousandth of it counts."""
    plain = re.sub(r"\D", "", digits)
    zeros = len(plain) - len(plain.rstrip("0"))
    return min(10.0**zeros, float(plain) / 1000) if plain.strip("0") else 0


def _numbers(text: str) -> Iterator[float]:
    return (_value(found[0]) for found in re.finditer(_WRITTEN, text))


def _all(texts: Iterable[str]) -> Iterator[float]:
    return (number for text in texts for number in _spellings(text))


def _spellings(text: str) -> Iterator[float]:
    """Every number of a text; `1,234` may be one number, or two of a list."""
    yield from _numbers(text)
    yield from (_value(found[0]) for found in re.finditer(r"\d{1,15}(?:\.\d{1,15})?", text))


def _follows(given: list[float]) -> Iterator[float]:
    """What simple arithmetic makes of a few numbers."""
    if not given:
        return
    ordered, total = sorted(given), math.fsum(given)
    middle = len(given) // 2
    mean = total / len(given)
    squares = math.fsum((one - mean) ** 2 for one in given)
    yield from (total, mean, ordered[middle], (ordered[middle] + ordered[-middle - 1]) / 2, ordered[-1] - ordered[0])
    yield from (math.sqrt(squares / part) for part in (len(given), len(given) - 1) if part)
    for one in given:
        for other in given:
            yield from (one + other, one - other, one * other)
            if other:
                yield from (one / other, (one - other) / other)


def _scale(found: re.Match[str]) -> float:
    """What the word behind a number multiplies it by."""
    return _SCALES[found["scale"].lower()] if found["scale"] else 1.0


def _value(written: str) -> float:
    return float(_plain(written))


def _plain(written: str) -> str:
    """A number as programs write it; a comma before one or two digits is that of decimals."""
    decimal = re.fullmatch(r"[-−+]?\d+,\d{1,2}", written)  # noqa: RUF001
    plain = written.replace(",", ".") if decimal else re.sub(r"[,_’\u00a0\u202f]", "", written)  # noqa: RUF001
    return plain.replace("−", "-")  # noqa: RUF001
