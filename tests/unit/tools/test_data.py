"""Tables described, asked and drawn; a question only reads, whatever it says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from adapters.skills.errors import FileBroken, FileClosed, SqlBad, SqlSlow
from tests.unit.skills.conftest import CANARY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.tools.bench import Bench

SALES = "region,month,sales\nnorth,2025-01-31,10\nsouth,2025-01-31,7.5\nnorth,2025-02-28,12\n"


@pytest.fixture
def sales(root: Path) -> None:
    (root / "sales.csv").write_text(SALES)


@pytest.fixture
def shop(root: Path) -> None:
    with closing(sqlite3.connect(root / "shop.db")) as made:
        made.execute("CREATE TABLE sale (id INTEGER PRIMARY KEY, what TEXT)")
        made.executemany("INSERT INTO sale (what) VALUES (?)", [("bread",), ("butter",)])
        made.execute("CREATE VIEW sneaky AS SELECT load_extension('x')")
        made.commit()


@pytest.mark.long
@pytest.mark.usefixtures("sales")
async def test_a_question_over_files(bench: Bench, root: Path) -> None:
    (root / "regions.csv").write_text("region,boss\nnorth,Ada\nsouth,Ben\n")
    sql = "SELECT boss, sum(sales) AS total FROM data JOIN data2 USING (region) GROUP BY 1 ORDER BY 2 DESC"
    answer = await bench.call("query_table", paths=["sales.csv", "regions.csv"], sql=sql)
    assert answer.text == "2 rows:\n| boss | total |\n|---|---|\n| Ada | 22 |\n| Ben | 7.5 |"
    assert answer.outside
    answer = await bench.call("query_table", paths="sales.csv", sql="SELECT max(month) FROM data")
    assert "| 2025-02-28 |" in answer.text
    assert (await bench.call("describe_table", path="sales.csv")).text.startswith("sales.csv has 3 rows and 3 columns")


@pytest.mark.long
@pytest.mark.usefixtures("sales")
async def test_a_long_answer_goes_into_a_file_without_formulas(bench: Bench) -> None:
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i, '=cmd()' AS f FROM n"
    answer = await bench.call("query_table", paths="sales.csv", sql=sql)
    assert answer.text.startswith("5,000 rows, of which these are the first 100; the others are in result.csv:")
    (file,) = answer.files
    assert file.name == "result.csv"
    lines = bench.shelf.path(file.sha256, file.name).read_text().splitlines()
    assert len(lines) == 5001
    assert lines[1] == "1,'=cmd()"


@pytest.mark.long
@pytest.mark.usefixtures("sales")
async def test_a_chart_is_a_file(bench: Bench) -> None:
    answer = await bench.call("draw_chart", path="sales.csv", what="total sales by region")
    assert [file.name for file in answer.files] == ["sales-by-region.png"]


@pytest.mark.usefixtures("shop")
async def test_a_database_is_described_and_asked(bench: Bench, root: Path) -> None:
    before = (root / "shop.db").read_bytes()
    assert "sale: id INTEGER, what TEXT" in (await bench.call("describe_table", path="shop.db")).text
    answer = await bench.call("query_table", paths="shop.db", sql="SELECT what FROM sale WHERE id = 2")
    assert answer.text == "1 row:\n| what |\n|---|\n| butter |"
    assert (root / "shop.db").read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM sale",
        pytest.param("ATTACH '/tmp/other.db' AS other", marks=pytest.mark.long),
        pytest.param("PRAGMA writable_schema = 1", marks=pytest.mark.long),
        pytest.param("SELECT * FROM sneaky", marks=pytest.mark.long),
        pytest.param("SELECT 1; DROP TABLE sale", marks=pytest.mark.long),
        pytest.param("SELECT zeroblob(2000000000)", marks=pytest.mark.long),
        pytest.param("VACUUM INTO '/tmp/copy.db'", marks=pytest.mark.long),
        pytest.param("SELEC what", marks=pytest.mark.long),
        pytest.param("-- nothing", marks=pytest.mark.long),
    ],
)
@pytest.mark.usefixtures("shop")
async def test_a_question_only_reads(bench: Bench, sql: str) -> None:
    with pytest.raises(SqlBad):
        await bench.call("query_table", paths="shop.db", sql=sql)


@pytest.mark.long
@pytest.mark.usefixtures("shop")
async def test_a_question_that_would_take_for_ever_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(SqlSlow):
        await bench.call("query_table", paths="shop.db", sql=sql)


@pytest.mark.long
async def test_what_is_no_database_or_closed_is_refused(bench: Bench, root: Path) -> None:
    (root / "fake.db").write_text("no database")
    with pytest.raises(FileBroken):
        await bench.call("query_table", paths="fake.db", sql="SELECT 1")
    with pytest.raises(FileClosed) as refused:
        await bench.call("query_table", paths="wallet.dat", sql="SELECT 1")
    assert CANARY not in str(refused.value)
