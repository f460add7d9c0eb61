"""seer, chart: a table as a picture that reads well on a phone. Agg only: no window, no pyplot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from adapters.skills.asked import STEPS, is_mean, named, step_of, unknown, words_of
from adapters.skills.closed import shown
from adapters.skills.describe import number
from adapters.skills.errors import NoNumbers, UnknownColumn
from adapters.skills.job import listed
from adapters.skills.table import read_table
from core.agent.skill import Outcome

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from adapters.skills.job import Job
    from adapters.skills.table import Table

_MOST_BARS = 12
_MOST_LINES = 5
_MANY_DAYS = 45
_FIRST_YEAR, _LAST_YEAR = 1000, 9000
"""Dates beyond are drawn as numbers of years: matplotlib breaks where a margin would leave the years 1 to 9999."""

_STYLE: dict[Any, Any] = {
    "font.size": 15,
    "axes.titlesize": 19,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.w_pad": 0.15,
    "figure.constrained_layout.h_pad": 0.15,
}
_WIDTH, _HEIGHT, _DPI = 7.2, 7.2, 150  # inches; 1080 points wide, what a phone shows without zoom


@dataclass(frozen=True, slots=True)
class Plan:
    """What to draw: `y` against `x` (a date or words column, or a number), one line for each value of `series`."""

    y: str
    x: str = ""
    series: str = ""
    step: str = ""
    mean: bool = False


def chart(job: Job) -> Outcome:
    """Draw the table `job.subject`; the option `words` names columns, a step of time, or an average."""
    table = read_table(job.workspace, job.workspace.find(job.subject))
    plan = planned(table, job.options.get("words", ""))
    sentence, figure = _drawn(table, plan)
    picture = job.out / "chart.png"
    figure.savefig(picture, metadata={"Description": sentence})
    return Outcome("\n".join([sentence, *(f"({remark})" for remark in table.remarks)]), (picture,))


def planned(table: Table, words: str) -> Plan:
    """What the words ask for, and for what they leave open: time if there is a date, else groups, else the numbers.

    Raises `UnknownColumn`, `NoNumbers`.
    """
    columns, asked = list(table.frame.columns), words_of(words)
    if phrase := unknown(columns, words):
        raise UnknownColumn(path=shown(table.path), named=shown(phrase), columns=listed(columns))
    numbers, dates, groups = table.of_kind("number"), table.of_kind("date"), _groups(table)
    if not numbers:
        raise NoNumbers(path=shown(table.path))
    said, step, mean = named(columns, asked), step_of(asked), is_mean(asked)
    if step and not dates and step not in words_of(" ".join(columns)):
        raise UnknownColumn(path=shown(table.path), named=f"of dates to draw by {step}", columns=listed(columns))
    ys = [column for column in said if column in numbers] or [numbers[-1]]
    by_group = [column for column in said if column in groups]
    over_time = [column for column in said if column in dates] or (dates if step or not by_group else [])
    if over_time and len(ys) == 1:
        return Plan(ys[0], over_time[0], next(iter(by_group), ""), step, mean)
    if by_group or (groups and len(ys) == 1):
        return Plan(ys[0], (by_group or groups)[0], mean=mean)
    return Plan(ys[1], ys[0]) if len(ys) > 1 else Plan(ys[0])


def _groups(table: Table) -> list[str]:
    """Columns of words that repeat: the others name every row and would be a bar each."""
    columns = table.of_kind("words")
    repeating = [name for name in columns if table.frame[name].nunique() <= max(2, len(table.frame) // 2)]
    return repeating or [name for name in columns if table.frame[name].nunique() <= _MOST_BARS]


def _drawn(table: Table, plan: Plan) -> tuple[str, Figure]:
    from matplotlib import rc_context  # noqa: PLC0415 - scopes the style to this one figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        if plan.x in table.of_kind("date"):
            sentence = _line(axes, table, plan)
        elif plan.x in table.of_kind("number"):
            sentence = _scatter(axes, table, plan)
        elif plan.x:
            sentence = _bars(axes, table, plan)
        else:
            sentence = _histogram(axes, table, plan)
        figure.draw_without_rendering()
    return sentence, figure


def _line(axes: Axes, table: Table, plan: Plan) -> str:
    """Totals (or means) over time, a line for each of the largest groups."""
    frame = table.frame.dropna(subset=[plan.x, plan.y])
    days = frame[plan.x].dt.normalize().nunique()
    step = plan.step or ("month" if days > _MANY_DAYS else "day")
    whole = _reduced(frame.groupby(frame[plan.x].dt.to_period(STEPS[step]))[plan.y], plan)
    lines: dict[str, pd.Series[Any]] = {}
    if plan.series:
        for group in frame.groupby(plan.series)[plan.y].sum().nlargest(_MOST_LINES).index:
            part = frame[frame[plan.series] == group]
            lines[str(group)] = _reduced(part.groupby(part[plan.x].dt.to_period(STEPS[step]))[plan.y], plan)
    dated = whole.index[0].year >= _FIRST_YEAR and whole.index[-1].year <= _LAST_YEAR
    for name, series in (lines or {plan.y: whole}).items():
        axes.plot(_starts(series, dated=dated), series.to_numpy(), marker="o", linewidth=2.5, label=_safe(name))
    if lines:
        axes.legend(title=_safe(plan.series), frameon=False)
    if not plan.mean and whole.min() >= 0:
        axes.set_ylim(bottom=0)  # totals are compared by their height
    title = f"{_total(plan)} by {step}" + (f" and {plan.series}" if plan.series else "")
    _labelled(axes, title, "", plan.y)
    if dated:
        axes.figure.autofmt_xdate(rotation=40)
    low, high = whole.index[int(whole.argmin())], whole.index[int(whole.argmax())]
    extremes = f"highest {high} ({number(float(whole.max()))}), lowest {low} ({number(float(whole.min()))})"
    return f"{title} from {table.path}: {extremes}."


def _starts(series: pd.Series[Any], *, dated: bool) -> list[Any]:
    """When each period of an index begins: as dates, or as years and parts of them."""
    if dated:
        return [period.to_timestamp() for period in series.index]
    return [period.year + (period.day_of_year - 1) / 366 for period in series.index]


def _bars(axes: Axes, table: Table, plan: Plan) -> str:
    frame = table.frame.dropna(subset=[plan.x, plan.y])
    every = _reduced(frame.groupby(plan.x)[plan.y], plan).sort_values()
    bars = every.tail(_MOST_BARS)
    names = [_safe(str(name)) for name in bars.index]
    drawn = axes.barh(range(len(names)), bars.to_numpy())
    axes.set_yticks(range(len(names)), names)
    axes.bar_label(drawn, [number(float(value)) for value in bars], padding=4)
    axes.margins(x=0.18)
    title = f"{_total(plan)} by {plan.x}"
    _labelled(axes, title, plan.y, "", grid="x")
    left_out = f" The {_MOST_BARS} largest of {len(every)} are drawn." if len(every) > len(bars) else ""
    largest, smallest = every.index[-1], every.index[0]
    return (
        f"{title} from {table.path}: highest {shown(str(largest))} ({number(float(every.iloc[-1]))}), "
        f"lowest {shown(str(smallest))} ({number(float(every.iloc[0]))}).{left_out}"
    )


def _scatter(axes: Axes, table: Table, plan: Plan) -> str:
    frame = table.frame[[plan.x, plan.y]].dropna()
    axes.scatter(frame[plan.x], frame[plan.y], s=40, alpha=0.6, edgecolors="none")
    title = f"{plan.y} against {plan.x}"
    _labelled(axes, title, plan.x, plan.y)
    return f"{title} from {table.path}: {len(frame):,} points, r = {frame[plan.x].corr(frame[plan.y]):.2f}."


def _histogram(axes: Axes, table: Table, plan: Plan) -> str:
    values = table.frame[plan.y].dropna()
    axes.hist(values, bins=min(30, max(5, round(len(values) ** 0.5))), edgecolor="white")
    title = f"How {plan.y} is spread"
    _labelled(axes, title, plan.y, "rows")
    return f"{title} in {table.path}: {len(values):,} values, half of them below {number(float(values.median()))}."


def _reduced(groups: Any, plan: Plan) -> pd.Series[Any]:
    reduced: pd.Series[Any] = groups.mean() if plan.mean else groups.sum()
    return reduced


def _total(plan: Plan) -> str:
    return f"Average {plan.y}" if plan.mean else f"Total {plan.y}"


def _labelled(axes: Axes, title: str, x: str, y: str, grid: Literal["both", "x"] = "both") -> None:
    axes.set_title(_safe(title), loc="left", pad=16)
    axes.set_xlabel(_safe(x))
    axes.set_ylabel(_safe(y))
    axes.grid(visible=True, axis=grid, alpha=0.25)
    axes.set_axisbelow(True)
    for axis, name in ((axes.xaxis, x), (axes.yaxis, y)):
        if name:
            axis.set_major_formatter(FuncFormatter(lambda value, _: number(float(value))))
            axis.set_major_locator(MaxNLocator(6))


def _safe(text: str) -> str:
    """Text of a file is a label, not matplotlib's mathematics."""
    return shown(text).replace("$", r"\$")
