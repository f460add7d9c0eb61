"""seer: what is in a table, and a picture of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from adapters.skills.chart import Plan, chart, planned
from adapters.skills.describe import describe, number
from adapters.skills.errors import (
    ChartCrowded,
    ChartUnable,
    FileBomb,
    FileBroken,
    FileEmpty,
    FileEncrypted,
    KindUnsupported,
    NoNumbers,
    NothingToDraw,
    NotNumbers,
    UnknownColumn,
)
from adapters.skills.table import read_table
from tests.depth import first
from tests.unit.skills import office

if TYPE_CHECKING:
    from adapters.skills.workspace import Workspace
    from core.errors import HubError
    from tests.unit.skills.conftest import Jobs

SAMPLE = Path(__file__).resolve().parents[3] / "config/workspace/sample.csv"
ROWS: list[tuple[object, ...]] = [("day", "region", "units")]
ROWS += [(f"2025-01-{day:02}", "North" if day % 2 else "South", day) for day in range(1, 21)]

LONG = pytest.mark.long  # one more picture of a kind that is drawn already


@pytest.fixture(autouse=True)
def sketch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """To set the pixels takes most of the time: only a test whose name says `drawn` looks at a picture."""
    if "drawn" not in request.node.name.partition("[")[0]:
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda _, picture, **__: picture.touch())


@pytest.fixture
def sample(root: Path) -> Path:
    (root / "sample.csv").write_text(SAMPLE.read_text())
    return root / "sample.csv"


def test_the_sample_is_described(sample: Path, job: Jobs) -> None:
    lines = describe(job("sample.csv")).text.splitlines()
    assert lines[0] == "sample.csv has 60 rows and 5 columns, nothing missing."
    assert "- date: dates, 2025-01-04 to 2025-12-22, 60 different days" in lines
    assert "- units: numbers, 4 to 76, median 16, mean 20.87" in lines


def test_what_stands_out_is_said(root: Path, job: Jobs) -> None:
    rows = [f"{n},{2 * n},{'' if n == 3 else 'x'}" for n in range(1, 21)]
    (root / "odd.csv").write_text("a,b,c\n" + "\n".join([*rows, "21,9999,x", "1,2,x"]) + "\n")
    text = describe(job("odd.csv")).text
    assert "1 value missing" in text
    assert "- b: 1 value far from the rest, such as 9,999 in row 22" in text
    assert "- 1 row repeated exactly" in text


def test_words_among_numbers_are_noticed_and_are_not_missing(root: Path, job: Jobs) -> None:
    rows = [f"{'tbd' if n % 8 == 0 else n},{'' if n == 1 else 'x'}" for n in range(1, 41)]
    (root / "mix.csv").write_text("revenue,note\n" + "\n".join(rows) + "\n")
    lines = describe(job("mix.csv")).text.splitlines()
    assert lines[0] == "mix.csv has 40 rows and 2 columns, 1 value missing."
    assert "- revenue: numbers, 1 to 39, median 20, mean 20" in lines
    assert lines[lines.index("Worth noticing:") + 1] == "- revenue: 5 of 40 cells are no numbers, such as tbd"


def test_a_column_that_is_all_the_same_says_so(root: Path, job: Jobs) -> None:
    (root / "same.csv").write_text("n,day,place\n" + "9,2025-01-02,Ulm\n" * 3)
    assert describe(job("same.csv")).text.splitlines()[2:5] == [
        "- n: numbers, all 9",
        "- day: dates, all 2025-01-02",
        "- place: words, all Ulm",
    ]


@pytest.mark.long
def test_a_wide_table_is_reported_in_a_file(root: Path, job: Jobs) -> None:
    (root / "wide.csv").write_text(",".join(f"c{n}" for n in range(200)) + "\n" + ",".join(["1"] * 200))
    outcome = describe(job("wide.csv"))
    assert outcome.text.endswith("Every column is in report.md.")
    assert "- c199: " in outcome.files[0].read_text()


def test_columns_that_move_together_are_named(root: Path, job: Jobs) -> None:
    (root / "pair.csv").write_text("up,down\n" + "\n".join(f"{n},{-n}" for n in range(20)))
    assert "up and down move in opposite directions (r = -1.00)" in describe(job("pair.csv")).text


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        ("a;b\n1;x\n2;y\n", ["number", "words"]),
        ("a\tb\n1\tx\n2\ty\n", ["number", "words"]),
        ("when,sum\n31.12.2024,$1 200\n01.02.2025,$99\n", ["date", "number"]),
        ("when,ok\nJan 2025,True\nFeb 2025,False\n", ["date", "words"]),
        ('a,b\n=1+1,"=HYPERLINK(""http://x"")"\n=2,@x\n', ["words", "words"]),
        ("a,a\n1,2\n3,4\n", ["number", "number"]),
    ],
)
def test_types_and_delimiters_are_recognised(workspace: Workspace, content: str, kinds: list[str]) -> None:
    (workspace.root / "t.csv").write_text(content)
    table = read_table(workspace, "t.csv")
    found = {name: kind for kind in ("number", "date", "words") for name in table.of_kind(kind)}
    assert [found[name] for name in table.frame.columns] == kinds


@pytest.mark.long
@pytest.mark.parametrize(
    ("content", "numbers", "remark"),
    [
        ("name;sum\na;1,50\nb;2,25\nc;10,75\n", [1.5, 2.25, 10.75], ""),
        ('name,sum\na,"1,5"\nb,"2,25"\n', [1.5, 2.25], ""),
        ("name;sum\na;1.234,50\nb;-0,125\nc;7\n", [1234.5, -0.125, 7], ""),
        ("name;sum\na;1 234,50 €\nb;12 %\n", [1234.5, 12], ""),
        ('name,sum\na,"1,234.50"\nb,"$1,075"\n', [1234.5, 1075], ""),
        ('name,sum\na,"1,00,000"\nb,5\n', [100_000, 5], ""),
        ('name,sum\na,"1,075"\nb,"2,000"\n', [1075, 2000], "sum: 1,075 was read with the comma as a mark of thousands"),
        ("name;sum\na;1,075\nb;2,000\n", [1.075, 2], "sum: 1,075 was read with the comma as the decimal mark"),
        ("part;sum\n0,5;1.234\n1,5;12\n", [1234, 12], "sum: 1.234 was read with the point as a mark of thousands"),
        ("name;sum\na;1.234\nb;12\n", [1.234, 12], "sum: 1.234 was read with the point as the decimal mark"),
        ("name;sum\na;1.5\nb;1.234\n", [1.5, 1.234], ""),
        ("part;sum\n0,5;1.5\n1,5;1.234\n", [1.5, 1.234], ""),
    ],
)
def test_numbers_are_read_as_they_were_meant_or_the_answer_says_how(
    workspace: Workspace, content: str, numbers: list[float], remark: str
) -> None:
    (workspace.root / "n.csv").write_text(content)
    table = read_table(workspace, "n.csv")
    assert table.frame["sum"].tolist() == numbers
    assert table.remarks == ((remark,) if remark else ())


@pytest.mark.parametrize("second", ["1,234.5", "2.25"])
def test_numbers_written_in_two_ways_are_not_guessed(root: Path, job: Jobs, second: str) -> None:
    (root / "two.csv").write_text(f"name;sum\na;1,50\nb;{second}\n")
    text = describe(job("two.csv")).text
    assert "- sum: words" in text
    assert "- sum: its numbers are written with decimal commas and with decimal points" in text


def test_dates_with_points_stay_dates_beside_decimal_commas(workspace: Workspace) -> None:
    (workspace.root / "d.csv").write_text("day;sum\n31.12.2024;1,5\n01.02.2025;2,5\n")
    assert read_table(workspace, "d.csv").of_kind("date") == ["day"]


def test_rows_that_do_not_fit_are_counted(root: Path, job: Jobs) -> None:
    (root / "odd.csv").write_text("a,b\n1,2\n1,2,3,4\n5,6\n")
    assert "- 1 line did not fit and was left out" in describe(job("odd.csv")).text


def test_an_excel_file_is_read_from_its_first_sheet_with_rows(root: Path, job: Jobs) -> None:
    office.excel(root / "book.xlsx", ROWS)
    text = describe(job("book.xlsx")).text
    assert text.startswith("book.xlsx has 20 rows and 3 columns")
    assert "- day: dates, 2025-01-01 to 2025-01-20" in text
    assert "read the sheet Numbers, not Sheet" in text


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("endless.csv", b"a,b\n" + b"x" * 1_000_001, FileBroken),
        ("header.csv", b"a,b,c\n", FileEmpty),
        ("blank.csv", b"\n\n", FileEmpty),
        ("broken.xlsx", b"PK\x03\x04" + bytes(100), FileBroken),
        ("welcome.md", b"# not a table", KindUnsupported),
    ],
)
def test_hostile_tables_are_refused_by_name(
    workspace: Workspace, name: str, content: bytes, error: type[HubError]
) -> None:
    (workspace.root / name).write_bytes(content)
    with pytest.raises(error):
        read_table(workspace, name)


@pytest.mark.long
def test_bombs_and_passwords_of_excel_are_refused(workspace: Workspace) -> None:
    office.bomb(workspace.root / "bomb.xlsx", "xl/worksheets/sheet1.xml")
    office.encrypted_office(workspace.root / "locked.xlsx")
    with pytest.raises(FileBomb):
        read_table(workspace, "bomb.xlsx")
    with pytest.raises(FileEncrypted):
        read_table(workspace, "locked.xlsx")


@pytest.mark.long
def test_a_table_of_very_many_columns_is_cut_and_says_so(workspace: Workspace) -> None:
    (workspace.root / "wide.csv").write_text(",".join("abc" for _ in range(2000)) + "\n" + ",".join(["1"] * 2000))
    assert "only the first 300 of 2,000 columns" in read_table(workspace, "wide.csv").remarks[0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "plan"),
    first(
        8,
        [
            ("", Plan("revenue", "date")),
            ("chart sales by month", Plan("revenue", "date", step="month")),
            ("revenue by region", Plan("revenue", "region")),
            ("average units by product", Plan("units", "product", how="mean")),
            ("revenue by month and region", Plan("revenue", "date", "region", "month")),
            ("weekly units", Plan("units", "date", step="week")),
            ("units against revenue", Plan("units", "revenue", against=True)),
            ("draw a nice bar chart of revenue by region for my boss", Plan("revenue", "region")),
            ("please plot the total sales figures over time", Plan("revenue", "date")),
            ("daily units, as a line", Plan("units", "date", step="day")),
            ("minimum revenue by region", Plan("revenue", "region", how="min")),
            ("median units by month", Plan("units", "date", step="month", how="median")),
            ("which region has the highest revenue", Plan("revenue", "region", how="max")),
            ("max revenue by region and product", Plan("revenue", "region", "product", how="max")),
            ("number of units by region", Plan("units", "region")),
            ("count revenue by region", Plan("", "region")),
        ],
    ),
)
def test_the_words_choose_what_is_drawn(sample: Path, workspace: Workspace, words: str, plan: Plan) -> None:
    assert planned(read_table(workspace, "sample.csv"), words) == plan


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("chart profit by region", "profit"),
        ("revenue by nope", "nope"),
        ("revenue by month and nope", "nope"),
        ("revenue and profit by month", "profit"),
        ("profit", "profit"),
        ("a picture of my cat", "cat"),
    ],
)
def test_a_column_that_is_not_there_is_refused_and_never_replaced(
    sample: Path, workspace: Workspace, words: str, named: str
) -> None:
    with pytest.raises(UnknownColumn) as refused:
        planned(read_table(workspace, "sample.csv"), words)
    assert str(refused.value) == (
        f"sample.csv has no column {named}. Its columns are date, region, product, units, revenue: name one of these."
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "asked"),
    first(
        8,
        [
            ("top 2 revenue by region", "top 2"),
            ("revenue by region, top 2", "top 2"),
            ("revenue by region for Lamp only", "for lamp only"),
            ("revenue by region for my Lamp", "for my lamp"),
            ("revenue by region for product Lamp", "for product lamp"),
            ("revenue by region in 2024", "in 2024"),
            ("revenue by region where product = Lamp", "where product lamp"),
            ("revenue over 100 by region", "100"),
            ("revenue by region this year", "this year"),
            ("revenue by month from January to March", "from january"),
            ("revenue by region in descending order", "in descending order"),
            ("stacked revenue by region", "stacked"),
            ("minimum and maximum revenue by region", "min and max"),
            ("revenue by revenue", "revenue by revenue"),
            ("maximum revenue against units", "maximum revenue against units"),
            ("histogram of median revenue", "median revenue"),
        ],
    ),
)
def test_what_no_chart_can_show_is_refused_and_not_left_out(
    sample: Path, workspace: Workspace, words: str, asked: str
) -> None:
    with pytest.raises(ChartUnable) as refused:
        planned(read_table(workspace, "sample.csv"), words)
    assert str(refused.value).startswith(f'No chart can show "{asked}". Ask for a total, average, median,')


@pytest.mark.parametrize(
    ("words", "plan"),
    [
        ("max temp by city", Plan("max temp", "city", how="max")),
        ("max by city", Plan("max temp", "city", how="max")),
        ("average max temp by city", Plan("max temp", "city", how="mean")),
        ("total count by city", Plan("count", "city")),
    ],
)
def test_a_word_for_a_measure_may_be_the_name_of_a_column(workspace: Workspace, words: str, plan: Plan) -> None:
    (workspace.root / "n.csv").write_text("city,max temp,count\nUlm,1,2\nBonn,3,4\nUlm,5,6\n")
    assert planned(read_table(workspace, "n.csv"), words) == plan


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "highest revenue by region",
            "Maximum revenue by region from sample.csv: highest East (2,940), lowest West (1,890).",
        ),
        pytest.param("median units by product", "Median units by product from sample.csv: highest Lamp (", marks=LONG),
        pytest.param(
            "sales by month",
            "Total revenue by month from sample.csv: highest 2025-11 (12,582), lowest 2025-08 (5,348).",
            marks=LONG,
        ),
        pytest.param(
            "revenue by region",
            "Total revenue by region from sample.csv: highest North (26,698), lowest West (16,281).",
            marks=LONG,
        ),
        pytest.param(
            "revenue by month and region",
            "Total revenue by month and region from sample.csv: highest 2025-11",
            marks=LONG,
        ),
        ("units against revenue", "units against revenue from sample.csv: 60 points"),
    ],
)
def test_a_chart_is_drawn_and_says_what_it_shows(sample: Path, job: Jobs, words: str, sentence: str) -> None:
    outcome = chart(job("sample.csv", words=words))
    assert outcome.text.startswith(sentence)
    with Image.open(outcome.files[0]) as picture:
        assert picture.size == (1080, 1080)
        assert len(picture.convert("L").getcolors() or []) > 20  # something is drawn


SALES = "Datum;Ort;Umsatz (€);Stück\n" + "".join(
    f"0{day}.02.2025;{place};{sum_};{day}\n"
    for day, place, sum_ in ((1, "Ulm", "1.234,50"), (2, "Bonn", "999,00"), (3, "Ulm", "12,75"), (4, "Ulm", "abc"))
)


@pytest.mark.long
def test_a_column_with_some_words_is_charted_from_its_numbers_and_says_what_was_left_out(root: Path, job: Jobs) -> None:
    rows = [f"{'North' if n % 2 else 'South'},{'tbd' if n % 8 == 0 else n},{n}" for n in range(1, 41)]
    (root / "mix2.csv").write_text("region,revenue,units\n" + "\n".join(rows) + "\n")
    (root / "sales.csv").write_text(SALES)
    text = chart(job("mix2.csv", words="chart revenue by region")).text
    assert text.splitlines() == [
        "Total revenue by region from mix2.csv: highest North (400), lowest South (300).",
        "(revenue: 5 of 40 cells are no numbers, such as tbd; they were left out)",
    ]
    for words in ("chart Umsatz by Ort", "chart umsatz (€) by ORT"):
        text = chart(job("sales.csv", words=words)).text
        assert text.startswith("Total Umsatz (€) by Ort from sales.csv: highest Ulm (1,247.25), lowest Bonn (999).")
        assert "(Umsatz (€): 1 of 4 cells is no number, such as abc; it was left out)" in text


def test_words_among_numbers_are_groups_where_the_column_is_grouped_by(root: Path, job: Jobs) -> None:
    (root / "h.csv").write_text("house,rent\n" + "12,1\n12a,9\n14,3\n,5\n" * 2)
    assert chart(job("h.csv", words="rent by house")).text.splitlines() == [
        "Total rent by house from h.csv: highest 12a (18), lowest 12 (2).",
        "(house: 2 of 8 cells are empty; they were left out)",
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "plan", "first"),
    [
        (
            "chart product by region",
            Plan("", "region", "product"),
            "Rows by region and product from sample.csv: highest",
        ),
        pytest.param(
            "chart date by region",
            Plan("", "date", "region"),
            "Rows by month and region from sample.csv: highest",
            marks=LONG,
        ),
        pytest.param(
            "number of rows by region",
            Plan("", "region"),
            "Rows by region from sample.csv: highest",
            marks=LONG,
        ),
        pytest.param(
            "how many by product",
            Plan("", "product"),
            "Rows by product from sample.csv: highest",
            marks=LONG,
        ),
        pytest.param(
            "revenue by region and product",
            Plan("revenue", "region", "product"),
            "Total revenue by region and product",
            marks=LONG,
        ),
        ("revenue by region over time", Plan("revenue", "date", "region"), "Total revenue by month and region"),
        pytest.param(
            "the products by revenue",
            Plan("revenue", "product"),
            "Total revenue by product from sample.csv: highest",
            marks=LONG,
        ),
        ("histogram of revenue", Plan("revenue"), "How revenue is spread in sample.csv: 60 values"),
    ],
)
def test_every_column_that_is_named_is_in_the_chart(
    sample: Path, workspace: Workspace, job: Jobs, words: str, plan: Plan, first: str
) -> None:
    assert planned(read_table(workspace, "sample.csv"), words) == plan
    text = chart(job("sample.csv", words=words)).text
    assert text.startswith(first)
    assert ("is no column of numbers, so rows are counted)" in text) is (words.startswith("chart"))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("revenue and units by region", ChartCrowded),
        ("revenue by date and region and product", ChartCrowded),
        ("revenue by month and units", ChartCrowded),
        ("average product by region", NotNumbers),
    ],
)
def test_what_one_chart_cannot_hold_is_refused_and_not_dropped(
    sample: Path, workspace: Workspace, words: str, error: type[HubError]
) -> None:
    with pytest.raises(error):
        planned(read_table(workspace, "sample.csv"), words)


@pytest.mark.parametrize(
    ("header", "words", "plan"),
    [
        ("city code,city name,total sales", "total sales by city name", Plan("total sales", "city name")),
        ("total,place,revenue", "total revenue by place", Plan("revenue", "place")),
        ("year,place,revenue", "revenue by year", Plan("revenue", "year")),
        ("year,name,revenue", "revenue by name", Plan("revenue", "name")),
    ],
)
def test_a_column_is_named_by_its_whole_name_before_a_word_of_it(
    workspace: Workspace, header: str, words: str, plan: Plan
) -> None:
    (workspace.root / "n.csv").write_text(f"{header}\n" + "".join(f"{n},n{n},{n * n}\n" for n in range(1, 6)))
    assert planned(read_table(workspace, "n.csv"), words) == plan


@pytest.mark.long
def test_a_pie_is_drawn_as_bars_and_the_answer_says_so(sample: Path, job: Jobs) -> None:
    outcome = chart(job("sample.csv", words="pie chart of revenue by region"))
    assert outcome.text.endswith("\n(drawn as bars, not as a pie)")
    assert "drawn as" not in chart(job("sample.csv", words="bar chart of revenue by region")).text
    assert "(drawn as lines, not as bars)" in chart(job("sample.csv", words="bar chart of revenue by month")).text


@pytest.mark.parametrize(
    ("words", "name"),
    first(
        1,
        [
            ("product by region", "rows-by-region-and-product.png"),
            ("average units by product", "average-units-by-product.png"),
            ("revenue by region", "revenue-by-region.png"),
        ],
    ),
)
def test_a_chart_is_named_after_what_it_shows(sample: Path, job: Jobs, words: str, name: str) -> None:
    assert [file.name for file in chart(job("sample.csv", words=words)).files] == [name]


def test_a_column_of_totals_is_no_total_of_totals(root: Path, job: Jobs) -> None:
    (root / "n.csv").write_text("city name,total sales\nUlm,1\nBonn,2\nUlm,3\n")
    text = chart(job("n.csv", words="total sales by city name")).text
    assert text.startswith("Total sales by city name from n.csv: highest Ulm (4)")


def test_columns_that_are_never_filled_in_together_are_refused(root: Path, job: Jobs) -> None:
    (root / "n.csv").write_text("place,sum\nx,\nx,\n,1\n,2\n")
    with pytest.raises(NothingToDraw):
        chart(job("n.csv", words="sum by place"))


def test_an_empty_column_is_told_and_not_drawn(root: Path, job: Jobs) -> None:
    (root / "n.csv").write_text("place,void,sum,\nx,,1,\ny,,2,\n")
    assert "- nothing but a name is in void\n" in describe(job("n.csv")).text + "\n"
    with pytest.raises(NothingToDraw, match="no row with a value for void"):
        chart(job("n.csv", words="void by place"))


def test_a_step_of_time_without_dates_is_refused(root: Path, job: Jobs) -> None:
    (root / "n.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(UnknownColumn, match=r"n\.csv has no column of dates to draw by month\. Its columns are a, b:"):
        chart(job("n.csv", words="b by month"))


@pytest.mark.long
def test_numbers_alone_become_a_histogram_and_odd_labels_stay_text(root: Path, job: Jobs) -> None:
    (root / "n.csv").write_text("$x^{$\n" + "\n".join(str(n * n % 17) for n in range(40)))
    assert "40 values, median 8." in chart(job("n.csv")).text
    (root / "n.csv").write_text("n\n2\n")
    assert chart(job("n.csv")).text == "How n is spread in n.csv: 1 value, median 2."


@pytest.mark.long
@pytest.mark.parametrize(
    "days",
    [
        ("0001-01-01", "0700-05-01", "9999-12-31"),
        *(pytest.param((day,), marks=LONG) for day in ("0001-01-01", "9999-12-31")),
    ],
)
def test_dates_at_the_ends_of_the_calendar_are_drawn(root: Path, job: Jobs, days: tuple[str, ...]) -> None:
    (root / "far.csv").write_text("day,sum\n" + "".join(f"{day},{n}\n" for n, day in enumerate(days, 1)))
    assert f"highest {days[-1][:4]}" in chart(job("far.csv", words="sum by year")).text


def test_a_table_of_words_cannot_be_drawn(root: Path, job: Jobs) -> None:
    (root / "w.csv").write_text("a,b\nx,y\nz,w\n")
    with pytest.raises(NoNumbers):
        chart(job("w.csv"))


@pytest.mark.parametrize(
    ("value", "words"),
    [(12345.0, "12,345"), (3.14159, "3.14"), (0.000123, "0.000123"), (1e20, "1e+20"), (-2.5, "-2.50")],
)
def test_numbers_read_well(value: float, words: str) -> None:
    assert number(value) == words
