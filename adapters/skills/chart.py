"""seer, chart: a table as a picture that reads well on a phone. Agg only: no window, no pyplot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from adapters.skills.asked import (
    STEPS,
    form_of,
    hows,
    is_count,
    is_over_time,
    roles,
    step_of,
    unheeded,
    unknown,
    words_of,
)
from adapters.skills.closed import shown
from adapters.skills.describe import number
from adapters.skills.errors import ChartCrowded, ChartUnable, NoNumbers, NothingToDraw, NotNumbers, UnknownColumn
from adapters.skills.job import counted, listed
from adapters.skills.numerals import SURE
from adapters.skills.table import read_table
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from adapters.skills.asked import Roles
    from adapters.skills.job import Job
    from adapters.skills.table import Table

_MOST_BARS = 12
_MOST_LINES = 5
_MANY_DAYS = 45
_LONGEST_NAME = 60
_MEASURES = {"sum": "Total", "mean": "Average", "median": "Median", "min": "Minimum", "max": "Maximum"}
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
    """What to draw: `y` against `x` (a date or words column, or a number), split by the values of `series`.

    Without `y` the rows are counted. `how` the rows of a group become one number is what pandas calls it. Numbers `against`
    numbers are points; else a number stands for a group.
    """

    y: str
    x: str = ""
    series: str = ""
    step: str = ""
    how: str = "sum"
    against: bool = False

    @property
    def columns(self) -> list[str]:
        """All columns that it needs."""
        return [name for name in (self.y, self.x, self.series) if name]

    @property
    def measure(self) -> str:
        """What is measured, as a title begins: `Total units`, `Average units`, `Rows`."""
        if not self.y:
            return "Rows"
        what = _MEASURES[self.how]
        first = self.y.split()[0].casefold()
        is_said = what.casefold().startswith(first) and len(first) > 2  # noqa: PLR2004 - max, min, total
        return self.y[:1].upper() + self.y[1:] if is_said else f"{what} {self.y}"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What was drawn: its title, its form, and the sentence that says what it shows."""

    title: str
    form: str
    sentence: str

    @property
    def file_name(self) -> str:
        """A name after what it shows: `revenue-by-region.png`."""
        words = words_of(self.title.removeprefix("Total "))
        return ("-".join(words)[:_LONGEST_NAME].strip("-") or "chart") + ".png"


def chart(job: Job) -> Outcome:
    """Draw the table `job.subject`; the option `words` names columns, a step of time, an average or the like."""
    table, words = read_table(job.workspace, job.workspace.find(job.subject)), job.options.get("words", "")
    plan = planned(table, words)
    drawing, figure = _drawn(table, plan)
    picture = job.out / drawing.file_name
    figure.savefig(picture, metadata={"Description": drawing.sentence})
    remarks = (*_remarks(table, plan, drawing, words), *table.remarks)
    return Outcome("\n".join([drawing.sentence, *(f"({remark})" for remark in remarks)]), (picture,))


def _remarks(table: Table, plan: Plan, drawing: Drawing, words: str) -> Iterator[str]:
    """What the sentence of a chart does not say: another form than was asked for, and what was left out."""
    columns = list(table.frame.columns)
    asked = form_of(columns, words_of(words))
    if asked and asked != drawing.form:
        yield f"drawn as {drawing.form}, not as {asked}"
    if not plan.y and (others := [name for name in roles(columns, words).measured if name in plan.columns]):
        are = "is no column" if len(others) == 1 else "are no columns"
        yield f"{listed(others)} {are} of numbers, so rows are counted"
    for name in plan.columns:
        if (said := table.told(name)) and not _is_group(table, plan, name):
            yield f"{said}; {'it was' if len(table.odd(name)) == 1 else 'they were'} left out"
        if missing := table.missing(name):
            are = "is empty; it was" if missing == 1 else "are empty; they were"
            yield f"{name}: {missing:,} of {counted(len(table.frame), 'cell')} {are} left out"


def planned(table: Table, words: str) -> Plan:
    """What the words ask for, and for what they leave open: time if there is a date, else groups, else the numbers.

    A column that is named is used as it is named, or refused. Raises `UnknownColumn`, `NoNumbers`, `NotNumbers`,
    `ChartCrowded`, `ChartUnable`.
    """
    columns, asked = list(table.frame.columns), words_of(words)
    said = roles([*columns, *table.empty], words)
    if empty := [name for name in (*said.measured, *said.by, *said.aside) if name in table.empty]:
        raise NothingToDraw(path=shown(table.path), columns=listed(empty))
    if phrase := unheeded(columns, words, _cells(table)):
        raise ChartUnable(asked=shown(phrase))
    if phrase := unknown(columns, words):
        raise UnknownColumn(path=shown(table.path), named=shown(phrase), columns=listed(columns))
    how = next(iter(hows(columns, words)), "")
    ys = _measured(table, said, how, count=is_count(asked))
    by = _by(table, said, ys)
    step, by = _in_time(table, asked, by)
    dates = [name for name in by if name in table.of_kind("date")]
    groups = [name for name in by if name not in dates]
    _refuse_crowded(table, ys, dates, groups)
    plan = _laid_out(table, ys, dates, groups, said) if by else _open(table, ys, form_of(columns, asked))
    if how in _MEASURES and (plan.against or not plan.x):  # each row is drawn for itself
        raise ChartUnable(asked=f"{_MEASURES[how].casefold()} {plan.y}{f' against {plan.x}' if plan.x else ''}")
    return replace(plan, step=step, how=how if how in _MEASURES and plan.y else "sum")


def _cells(table: Table) -> Iterator[str]:
    """What the words of a task may name of the rows, each once."""
    for name in table.of_kind("words"):
        yield from map(str, table.frame[name].dropna().unique())


def _laid_out(table: Table, ys: Sequence[str], dates: Sequence[str], groups: Sequence[str], said: Roles) -> Plan:
    """What to draw where columns are named to group by."""
    if dates:
        return Plan(ys[0], dates[0], next(iter(groups), ""))
    if len(groups) == 1 and ys[0] and groups[0] in table.of_kind("number"):
        return Plan(ys[0], groups[0], against=said.is_against or _is_fine(table, groups[0]))
    return Plan(ys[0], groups[0], next(iter(groups[1:]), ""))


def _measured(table: Table, said: Roles, how: str, *, count: bool) -> list[str]:
    """The columns to measure; "" stands for the rows, which are counted where what is named is no number.

    `products by revenue` measures the revenue, as `revenue by product` does.
    """
    numbers = table.of_kind("number")
    if how == "count":
        return [""]
    named = [name for name in (*said.measured, *said.aside) if name in numbers]
    named = named or ([name for name in said.by if _is_fine(table, name)] if said.measured else [])
    if named:
        return list(dict.fromkeys(named))
    if said.measured and how:
        what = f"{'an' if how == 'mean' else 'a'} {_MEASURES[how].casefold()} needs one"
        raise NotNumbers(column=said.measured[0], path=shown(table.path), what=what, columns=listed(numbers) or "none")
    if said.measured or count or (said.by and not numbers):
        return [""]
    if not numbers:
        raise NoNumbers(path=shown(table.path))
    clean = [name for name in numbers if len(table.odd(name)) <= (1 - SURE) * len(table.frame)]
    rest = [name for name in clean or numbers if name not in said.by]
    return [rest[-1] if rest else numbers[-1]]


def _by(table: Table, said: Roles, ys: Sequence[str]) -> list[str]:
    """The columns to group by: those named so, and what else is named and is no number."""
    numbers = table.of_kind("number")
    others = [name for name in (*said.measured, *said.aside) if name not in numbers]
    return [name for name in dict.fromkeys((*said.by, *others)) if name not in ys]


def _in_time(table: Table, asked: Sequence[str], by: list[str]) -> tuple[str, list[str]]:
    """The step of time, if any, and the columns with the date that a step needs; a column of months is no step."""
    dates, step = table.of_kind("date"), step_of(asked)
    if step and any(step in words_of(name) for name in by if name not in dates):
        step = ""
    if not (step or is_over_time(asked)) or any(name in dates for name in by):
        return step, by
    if dates:
        return step, [dates[0], *by]
    columns = list(table.frame.columns)
    if own := [name for name in columns if step and step in words_of(name)]:
        return "", [own[0], *by]
    named = f"of dates to draw {f'by {step}' if step else 'over time'}"
    raise UnknownColumn(path=shown(table.path), named=named, columns=listed(columns))


def _refuse_crowded(table: Table, ys: Sequence[str], dates: Sequence[str], groups: Sequence[str]) -> None:
    """Refuse what one picture cannot hold, before a column that was named is dropped."""
    most = ""
    if len(ys) > 1 and (dates or groups):
        most = "it measures one column at a time"
    elif len(ys) > 2:  # noqa: PLR2004 - two make points
        most = "it sets two columns of numbers against each other at most"
    elif len(dates) > 1 or len(dates) + len(groups) > 2:  # noqa: PLR2004 - what is drawn along, and its parts
        most = "it is drawn by one column of dates and one of groups, or by two of groups, at most"
    elif len(dates) + len(groups) > 1 and (fine := [name for name in groups if _is_fine(table, name)]):
        most = f"{fine[0]} has too many different numbers to make groups"
    if most:
        raise ChartCrowded(
            path=shown(table.path), named=listed([name or "rows" for name in (*ys, *dates, *groups)]), most=most
        )


def _open(table: Table, ys: Sequence[str], form: str) -> Plan:
    """What to draw where no column is named to group by."""
    dates, groups = table.of_kind("date"), _groups(table)
    if len(ys) > 1:
        return Plan(ys[1], ys[0], against=True)
    if form == "a histogram" and ys[0]:
        return Plan(ys[0])
    if dates and not (groups and form == "a pie"):
        return Plan(ys[0], dates[0])
    if groups:
        return Plan(ys[0], groups[0])
    if not ys[0]:
        raise NoNumbers(path=shown(table.path))
    return Plan(ys[0])


def _is_fine(table: Table, name: str) -> bool:
    """Whether a column has too many different numbers for each of them to be a group."""
    return name in table.of_kind("number") and table.frame[name].nunique() > _MOST_BARS


def _is_group(table: Table, plan: Plan, name: str) -> bool:
    """Whether the values of a column stand for groups, so that words among numbers are values too."""
    return name in (plan.x, plan.series) and not plan.against and name not in table.of_kind("date")


def _groups(table: Table) -> list[str]:
    """Columns of words that repeat: the others name every row and would be a bar each."""
    columns = table.of_kind("words")
    repeating = [name for name in columns if table.frame[name].nunique() <= max(2, len(table.frame) // 2)]
    return repeating or [name for name in columns if table.frame[name].nunique() <= _MOST_BARS]


def _drawn(table: Table, plan: Plan) -> tuple[Drawing, Figure]:
    from matplotlib import rc_context  # noqa: PLC0415 - scopes the style to this one figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        frame = _rows(table, plan)
        if plan.x in table.of_kind("date"):
            drawing = _line(axes, table.path, frame, plan)
        elif plan.against:
            drawing = _scatter(axes, table.path, frame, plan)
        elif plan.x:
            drawing = _bars(axes, table.path, frame, plan)
        else:
            drawing = _histogram(axes, table.path, frame, plan)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # everything has its place by now; to find it again takes as long again
    return drawing, figure


def _rows(table: Table, plan: Plan) -> pd.DataFrame:
    """The rows that can be drawn: all columns of the plan are filled in, groups as the file has them."""
    groups = {
        name: table.written[name] for name in plan.columns if name in table.written and _is_group(table, plan, name)
    }
    frame = table.frame[plan.columns].assign(**groups).dropna()
    if frame.empty:
        raise NothingToDraw(path=shown(table.path), columns=listed(plan.columns))
    return frame


def _reduced(frame: pd.DataFrame, keys: Any, plan: Plan) -> pd.Series[Any]:
    """One number for each group of rows: their count, or the total, mean or the like of what is measured."""
    groups = frame.groupby(keys)
    if not plan.y:
        return groups.size()
    reduced: pd.Series[Any] = groups[plan.y].agg(plan.how)
    return reduced


def _line(axes: Axes, path: str, frame: pd.DataFrame, plan: Plan) -> Drawing:
    """Totals (or means, or counts) over time, a line for each of the largest groups."""
    days = frame[plan.x].dt.normalize().nunique()
    step = plan.step or ("month" if days > _MANY_DAYS else "day")
    periods = frame[plan.x].dt.to_period(STEPS[step])
    whole = _reduced(frame, periods, plan)
    lines: dict[str, pd.Series[Any]] = {}
    groups = _reduced(frame, plan.series, plan) if plan.series else None
    if groups is not None:
        for group in groups.nlargest(_MOST_LINES).index:
            part = frame[frame[plan.series] == group]
            lines[_value(group)] = _reduced(part, periods[part.index], plan)
    dated = whole.index[0].year >= _FIRST_YEAR and whole.index[-1].year <= _LAST_YEAR
    for name, series in (lines or {plan.y: whole}).items():
        axes.plot(_starts(series, dated=dated), series.to_numpy(), marker="o", linewidth=2.5, label=_safe(name))
    if lines:
        axes.legend(title=_safe(plan.series), frameon=False)
    if plan.how == "sum" and whole.min() >= 0:
        axes.set_ylim(bottom=0)  # totals are compared by their height
    title = f"{plan.measure} by {step}" + (f" and {plan.series}" if plan.series else "")
    _labelled(axes, title, "", plan.y or "rows")
    if dated:
        axes.figure.autofmt_xdate(rotation=40)
    low, high = whole.index[int(whole.argmin())], whole.index[int(whole.argmax())]
    extremes = f"highest {high} ({number(float(whole.max()))}), lowest {low} ({number(float(whole.min()))})"
    many = 0 if groups is None else len(groups)
    left_out = f" The {_MOST_LINES} largest of {many} are drawn." if many > len(lines) else ""
    return Drawing(title, "lines", f"{title} from {path}: {extremes}.{left_out}")


def _starts(series: pd.Series[Any], *, dated: bool) -> list[Any]:
    """When each period of an index begins: as dates, or as years and parts of them."""
    if dated:
        return [period.to_timestamp() for period in series.index]
    return [period.year + (period.day_of_year - 1) / 366 for period in series.index]


def _bars(axes: Axes, path: str, frame: pd.DataFrame, plan: Plan) -> Drawing:
    """A bar for each group, or for each pair of groups."""
    keys = [plan.x, *([plan.series] if plan.series else [])]
    every = _reduced(frame, keys, plan).sort_values()
    bars = every.tail(_MOST_BARS)
    names = [_safe(_value(name)) for name in bars.index]
    drawn = axes.barh(range(len(names)), bars.to_numpy())
    axes.set_yticks(range(len(names)), names)
    axes.bar_label(drawn, [number(float(value)) for value in bars], padding=4)
    axes.margins(x=0.18)
    title = f"{plan.measure} by {' and '.join(keys)}"
    _labelled(axes, title, plan.y or "rows", "", grid="x")
    left_out = f" The {_MOST_BARS} largest of {len(every)} are drawn." if len(every) > len(bars) else ""
    largest, smallest = (shown(_value(every.index[place])) for place in (-1, 0))
    return Drawing(
        title,
        "bars",
        f"{title} from {path}: highest {largest} ({number(float(every.iloc[-1]))}), "
        f"lowest {smallest} ({number(float(every.iloc[0]))}).{left_out}",
    )


def _value(group: object) -> str:
    """The value that a group has in common, as people write it; `North, Lamp` for a pair."""
    if isinstance(group, tuple):
        return ", ".join(map(_value, group))
    return str(int(group)) if isinstance(group, float) and group.is_integer() else str(group)


def _scatter(axes: Axes, path: str, frame: pd.DataFrame, plan: Plan) -> Drawing:
    axes.scatter(frame[plan.x], frame[plan.y], s=40, alpha=0.6, edgecolors="none")
    title = f"{plan.y} against {plan.x}"
    _labelled(axes, title, plan.x, plan.y)
    r = f", r = {frame[plan.x].corr(frame[plan.y]):.2f}" if min(frame.nunique()) > 1 else ""
    return Drawing(title, "points", f"{title} from {path}: {counted(len(frame), 'point')}{r}.")


def _histogram(axes: Axes, path: str, frame: pd.DataFrame, plan: Plan) -> Drawing:
    values = frame[plan.y]
    axes.hist(values, bins=min(30, max(5, round(len(values) ** 0.5))), edgecolor="white")
    title = f"How {plan.y} is spread"
    _labelled(axes, title, plan.y, "rows")
    middle = number(float(values.median()))
    return Drawing(title, "a histogram", f"{title} in {path}: {counted(len(values), 'value')}, median {middle}.")


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
