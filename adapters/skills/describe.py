"""seer, describe: what is in a table, column by column, and what stands out."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from adapters.skills.closed import shown
from adapters.skills.job import counted, shortened, written
from adapters.skills.table import kind_of_column, read_table
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from adapters.skills.job import Job
    from adapters.skills.table import Table

_TOP = 3
_FEWEST_ROWS = 10
_STRONG = 0.6
_FAR = 3.0  # times the interquartile range: Tukey's outer fence
_MOST_CORRELATED = 20
_KINDS = {"number": "numbers", "date": "dates", "words": "words"}


def describe(job: Job) -> Outcome:
    """Describe the table `job.subject`."""
    table = read_table(job.workspace, job.workspace.find(job.subject))
    frame = table.frame
    missing = sum(map(table.missing, frame.columns))
    gaps = f", {counted(missing, 'value')} missing" if missing else ", nothing missing"
    head = f"{table.path} has {table.extent} and {counted(len(frame.columns), 'column')}{gaps}."
    mixed = filter(None, map(table.told, frame.columns))
    noticed = [
        *mixed,
        *_correlations(table),
        *_outliers(table),
        *_repeats(frame.assign(**table.written)),
        *table.remarks,
    ]
    lines = [head, "", *(f"- {name}: {_column(frame[name], table.missing(name))}" for name in frame.columns)]
    if noticed:
        lines += ["", "Worth noticing:", *(f"- {remark}" for remark in noticed)]
    text, is_cut = shortened(lines, "Every column is in report.md.")
    if not is_cut:
        return Outcome(text)
    return Outcome(text, (written(job, "report.md", lines),))


def number(value: float) -> str:
    """A number at the precision people read: 12,345 and 3.14 and 0.00012."""
    if value == int(value) if abs(value) < 1e15 else False:  # noqa: PLR2004 - beyond it floats have no units
        return f"{int(value):,}"
    return f"{value:,.2f}" if 1 <= abs(value) < 1e15 else f"{value:.3g}"  # noqa: PLR2004


def _column(column: pd.Series[Any], gaps: int) -> str:
    kind = kind_of_column(column)
    known = column.dropna()
    words = {"number": _numbers, "date": _dates, "words": _words}[kind](known)
    return f"{_KINDS[kind]}, {words}" + (f"; {gaps:,} missing" if gaps else "")


def _numbers(known: pd.Series[Any]) -> str:
    low, middle, high = (number(float(value)) for value in (known.min(), known.median(), known.max()))
    if known.min() == known.max():
        return _all(low, known)
    return f"{low} to {high}, median {middle}, mean {number(float(known.mean()))}"


def _dates(known: pd.Series[Any]) -> str:
    if known.min() == known.max():
        return _all(f"{known.min():%Y-%m-%d}", known)
    return f"{known.min():%Y-%m-%d} to {known.max():%Y-%m-%d}, {counted(known.nunique(), 'different day')}"


def _words(known: pd.Series[Any]) -> str:
    counts = known.astype(str).value_counts()
    if len(counts) == 1:
        return _all(shown(counts.index[0]), known)
    if len(counts) == len(known):
        return "every value different"
    top = ", ".join(f"{shown(str(value))} {count:,}" for value, count in counts.head(_TOP).items())
    return f"{counted(len(counts), 'different value')}; most often {top}"


def _all(value: str, known: pd.Series[Any]) -> str:
    return f"all {value}" if len(known) > 1 else value


def _correlations(table: Table) -> Iterator[str]:
    names = table.of_kind("number")[:_MOST_CORRELATED]
    if len(table.frame) < _FEWEST_ROWS:
        return
    strengths = table.frame[names].corr()
    for one, other in combinations(names, 2):
        strength = float(strengths.loc[one, other])  # type: ignore[arg-type] # one cell is a scalar
        if abs(strength) >= _STRONG:
            how = "rise together" if strength > 0 else "move in opposite directions"
            yield f"{one} and {other} {how} (r = {strength:.2f})"


def _outliers(table: Table) -> Iterator[str]:
    for name in table.of_kind("number"):
        known = table.frame[name].dropna()
        low, high = known.quantile(0.25), known.quantile(0.75)
        reach = _FAR * (high - low)
        far = known[(known < low - reach) | (known > high + reach)]
        if len(known) >= _FEWEST_ROWS and reach > 0 and len(far):
            first = f"{number(float(far.iloc[0]))} in row {int(far.index[0]) + 2}"
            yield f"{name}: {counted(len(far), 'value')} far from the rest, such as {first}"


def _repeats(frame: pd.DataFrame) -> Iterator[str]:
    if repeated := int(frame.duplicated().sum()):
        yield f"{counted(repeated, 'row')} repeated exactly"
