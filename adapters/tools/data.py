"""Tables: described, asked in SQL, and drawn, by the skills in their children."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adapters.tools.declared import said, tool
from adapters.tools.here import Here
from core.agent.tool import Output, Use

_TABLE = Field(description="a CSV, TSV or Excel file of the workspace, such as sales.csv")
_DATABASES = (".sqlite", ".sqlite3", ".db", ".db3")


@tool(lambda a: f"describe {said(a['path'])}", needs=lambda here: here.knows("describe", "select"))
async def describe_table(
    here: Here,
    use: Use,
    *,
    path: Annotated[str, Field(description="a CSV, TSV, Excel or SQLite file of the workspace, such as sales.csv")],
) -> Output:
    """Tell what is in a table: its columns with their kinds, ranges and gaps, and what stands out."""
    if path.lower().endswith(_DATABASES):
        return await here.ask("select", path)
    return await here.ask("describe", path)


@tool(
    lambda a: f"ask {said(', '.join(a['paths']))} for {said(a['sql'])}",
    needs=lambda here: here.knows("describe", "select"),
)
async def query_table(
    here: Here,
    use: Use,
    *,
    paths: Annotated[
        list[str],
        Field(
            min_length=1,
            max_length=5,
            description="the files: the first is the table data, the next data2; or one SQLite file",
        ),
    ],
    sql: Annotated[
        str,
        Field(
            max_length=5_000, description="one SELECT of SQLite, such as SELECT region, sum(sales) FROM data GROUP BY 1"
        ),
    ],
) -> Output:
    """Answer a question about tables by SQL: filter, group, join, count. It only reads. Names with blanks go in double quotes."""
    return await here.ask("select", "\n".join(paths), sql=sql)


@tool(lambda a: f"draw {said(a['what']) or 'a chart'} of {said(a['path'])}", needs=lambda here: here.knows("chart"))
async def draw_chart(
    here: Here,
    use: Use,
    *,
    path: Annotated[str, _TABLE],
    what: Annotated[
        str, Field(description="what to draw, in words with the columns' names, such as total sales by month")
    ] = "",
) -> Output:
    """Draw a chart of a table as a picture, which is handed to the person: bars, lines or points."""
    return await here.ask("chart", path, words=what)
