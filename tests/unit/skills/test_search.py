"""echo: passages by file and line, and nothing from where it may not look."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.skills.blocks import Block, Document, Role
from adapters.skills.errors import FileMissing, QueryMissing
from adapters.skills.query import Query
from adapters.skills.search import search
from core.errors import UserError
from tests.unit.skills import office
from tests.unit.skills.conftest import CANARY

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.skills.workspace import Workspace
    from tests.unit.skills.conftest import Jobs


def test_a_passage_is_found_by_file_and_line(root: Path, job: Jobs) -> None:
    (root / "plan.md").write_text("# Plan\n\nfirst line\nsecond line names a lighthouse\nthird line\n")
    text = search(job("lighthouses")).text
    assert text.splitlines()[0].startswith('"lighthouses" is in 1 passage of 1 file (3 files searched')
    assert "- plan.md:4: " in text
    assert "**lighthouse**" in text


def test_words_together_outrank_a_word_alone(root: Path, job: Jobs) -> None:
    (root / "a.txt").write_text("salt " * 30)
    (root / "b.txt").write_text("grain and salt lie in the harbour\n")
    assert "- b.txt:1" in search(job("grain salt")).text.splitlines()[2]


def test_a_phrase_must_stand_as_it_is_written(root: Path, job: Jobs) -> None:
    (root / "a.txt").write_text("an auction that is sealed\n")
    (root / "b.txt").write_text("a sealed auction\n")
    text = search(job('"sealed auction"')).text
    assert "b.txt:1" in text
    assert "a.txt" not in text


SIGNS = "# Signs\n\nIt is either/or, see welcome.md. It costs 5 €\n\nWritten in C++ and <b>x</b> by\nAnn.\n\nc, d and 日本語の文\n"


@pytest.mark.parametrize(
    ("query", "place", "marked"),
    [
        ('"either/or"', "signs.md:3", "**either/or**"),
        ('"welcome.md"', "signs.md:3", "**welcome.md**"),
        ("welcome.md", "signs.md:3", "**welcome.md**"),
        ('"€"', "signs.md:3", "**€**"),
        ("c++", "signs.md:5", "**C++**"),
        ("C++ Ann", "signs.md:5", "**C++**"),
        ('"<B>X</B>"', "signs.md:5", "**<b>x</b>**"),
        ('"</b> by Ann."', "signs.md:5", "**</b> by Ann.**"),
        ("本語", "signs.md:8", "日**本語**の文"),
    ],
)
def test_what_has_signs_in_it_is_looked_for_as_it_stands(
    root: Path, job: Jobs, query: str, place: str, marked: str
) -> None:
    (root / "signs.md").write_text(SIGNS)
    head, _, *hits = search(job(query)).text.splitlines()
    named = query if '"' in query else f'"{query}"'
    assert head.startswith(f"{named} is in 1 passage of 1 file")
    assert len(hits) == 1
    assert hits[0].startswith(f"- {place}: ")
    assert marked in hits[0]


def test_a_term_with_signs_must_occur_and_the_words_beside_it_need_not(root: Path, job: Jobs) -> None:
    (root / "signs.md").write_text(SIGNS)
    text = search(job("C++ templates")).text
    assert text.startswith('No passage holds all of "C++ templates"; 1 passage of 1 file holds some of its words')
    assert search(job("F# Ann")).text.startswith('Nothing was found for "F# Ann"')


def test_a_letter_that_folds_to_two_is_found_and_shown(root: Path, job: Jobs) -> None:
    (root / "signs.md").write_text("Hauptstraße 5/7\n")
    assert "- signs.md:1: Hauptstraße 5/7" in search(job('"STRASSE 5/7"')).text


def test_words_that_stand_apart_are_not_told_as_the_phrase(root: Path, job: Jobs) -> None:
    (root / "a.txt").write_text("an auction that is sealed\n\na sealed bid here\n")

    def head(query: str) -> str:
        return search(job(query, **{"in": "a.txt"})).text.splitlines()[0].split(" (")[0]

    assert head("sealed bid") == '"sealed bid" is in 1 passage of 1 file'
    assert head("sealed auction") == (
        'No passage holds the phrase "sealed auction"; 1 passage of 1 file holds all of its words'
    )
    assert head("nothing sealed at all") == (
        'No passage holds the phrase "nothing sealed at all"; 2 passages of 1 file hold some of its words'
    )
    assert head('"sealed bid" here zeppelin') == (
        'No passage holds all of "sealed bid" here zeppelin; 1 passage of 1 file holds some of its words'
    )
    assert head("the auction") == '"auction" is in 1 passage of 1 file'
    (root / "a.txt").write_text("an auction that is sealed\n\na sealed auction\n")
    text = search(job("sealed auction", **{"in": "a.txt"})).text
    assert text.startswith('"sealed auction" is in 1 passage as it stands; 2 passages of 1 file hold all of its words')
    assert text.splitlines()[2].startswith("- a.txt:3: ")


def test_what_was_left_out_is_named_but_for_closed_names(root: Path, job: Jobs) -> None:
    (root / "logo.png").write_bytes(b"\0\1\2")
    text = search(job("auction")).text.splitlines()[0]
    assert "left out, such as logo.png, folder-outside, outside.md)" in text


def test_pdf_and_docx_are_searched_by_page_and_paragraph(root: Path, job: Jobs) -> None:
    office.word(root / "harbour.docx")
    office.pdf(root / "harbour.pdf", [["nothing"], ["cranes of the harbour"]])
    text = search(job("cranes")).text
    assert "harbour.pdf, page 2: " in text
    assert "harbour.docx, paragraph 5: " in text


def test_excel_files_are_searched_by_row_and_not_as_the_zip_they_are(root: Path, job: Jobs) -> None:
    office.excel(root / "book.xlsx", [("ship", "tons"), ("the zeppelin", 12), ("a raft", 1)])
    text = search(job("zeppelin")).text
    assert "- book.xlsx, Numbers, row 3: the **zeppelin** | 12" in text
    assert "3 files searched" in text
    assert search(job("worksheets")).text.startswith("Nothing was found")


def test_a_search_in_one_file_stays_there(root: Path, job: Jobs) -> None:
    (root / "other.md").write_text("auction\n")
    text = search(job("auction", **{"in": "welcome.md"})).text
    assert "(1 file searched)" in text
    assert "other.md" not in text
    with pytest.raises(FileMissing):
        search(job("auction", **{"in": "no such file"}))


def test_nothing_found_says_how_much_was_looked_at(job: Jobs) -> None:
    assert search(job("zeppelin")).text.startswith('Nothing was found for "zeppelin" (2 files searched, ')


def test_a_walk_that_was_cut_short_is_no_whole_search(job: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.skills.workspace.MOST_FILES", 1)
    assert "1 file searched, at least " in search(job("zeppelin")).text


def test_canaries_are_not_found(job: Jobs) -> None:
    text = search(job(CANARY)).text
    assert "Nothing was found" in text


def test_large_and_binary_files_are_left_out_and_counted(root: Path, job: Jobs) -> None:
    before = search(job("zeppelin")).text
    (root / "big.txt").write_bytes(b"zeppelin " * 300_000)
    (root / "noise.txt").write_bytes(b"zeppelin\0")
    after = search(job("zeppelin")).text
    count = int(before.split(", ")[1].split(" ")[0])
    assert f"2 files searched, {count + 2} left out" in after


IN_A_HURRY = """
import sys
from pathlib import Path
from adapters.skills import search
from adapters.skills.job import Job
from adapters.skills.workspace import Workspace
search.SLOW_SECONDS = 0.01
print(search.search(Job(Workspace(Path(sys.argv[1])), "zeppelin", Path(), Path())).text)
"""


@pytest.mark.long
def test_a_document_that_takes_too_long_to_read_is_left_out(root: Path) -> None:
    """In a process of its own, as always: the alarm would go off in the middle of whatever pytest is doing."""
    office.pdf(root / "slow.pdf", [[f"The zeppelin number {n} rises."] for n in range(300)])
    (root / "quick.md").write_text("A zeppelin lands.")
    run = subprocess.run([sys.executable, "-c", IN_A_HURRY, root], capture_output=True, text=True, check=True)
    assert run.stdout.startswith('"zeppelin" is in 1 passage of 1 file')


def test_half_a_character_in_a_document_ends_no_search(
    workspace: Workspace, job: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged PDF or DOCX can yield a surrogate, which no database and no file takes."""
    broken = Document("harbour.pdf", (Block(Role.PARAGRAPH, "zeppelin \ud800 lands", 1),), "page")
    monkeypatch.setattr("adapters.skills.search.read_document", lambda *_: broken)
    (workspace.root / "harbour.pdf").write_bytes(b"%PDF-")
    assert "**zeppelin** lands" in search(job("zeppelin")).text


@pytest.mark.parametrize("query", ["", "   ", '""', "...", "___"])
def test_an_empty_query_asks_for_words(query: str) -> None:
    with pytest.raises(QueryMissing):
        Query.parse(query)


@given(st.text(max_size=60))
def test_no_query_is_a_syntax_error(text: str) -> None:
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute("CREATE VIRTUAL TABLE passage USING fts5(words, tokenize='porter unicode61 remove_diacritics 2')")
        try:
            query = Query.parse(text)
        except UserError:
            return
        for match in filter(None, (query.exact(), query.strict(), query.loose())):
            index.execute("SELECT * FROM passage WHERE passage MATCH ?", (match,)).fetchall()
