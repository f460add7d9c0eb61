"""Which words mean which skill, and on what."""

from __future__ import annotations

import pytest

from adapters.skills.catalogue import SKILLS
from adapters.skills.words import MOST_LETTERS, best_match

ALL = tuple(SKILLS)


@pytest.mark.parametrize(
    ("words", "skill", "subject"),
    [
        ("summarise welcome.md", "summarise", "welcome.md"),
        ("Please summarize the welcome.md, briefly", "summarise", "welcome.md"),
        ("can you sum up 'my notes 2.docx'?", "summarise", "my notes 2.docx"),
        ("tl;dr of report.pdf", "summarise", "report.pdf"),
        ("give me a summary of docs/plan.txt.", "summarise", "docs/plan.txt"),
        ("summarise the welcome file", "summarise", "welcome"),
        ("summarise README", "summarise", "readme"),
        ("summarise ../../etc/passwd", "summarise", "../../etc/passwd"),
        ("summarise .env", "summarise", ".env"),
        ("outline “big plan.md”", "outline", "big plan.md"),
        ("table of contents of book.pdf", "outline", "book.pdf"),
        ('find "sealed auction"', "search", '"sealed auction"'),
        ('find "a/b"', "search", '"a/b"'),
        ('find "welcome.md"', "search", '"welcome.md"'),
        ("find sample.csv", "search", "sample.csv"),
        ('find "."', "search", '"."'),
        ("Find C++.", "search", "C++"),
        ("find TCP/IP stack", "search", "TCP/IP stack"),
        ('search for "My Files" in the workspace', "search", '"My Files"'),
        ("search for escrow in the workspace", "search", "escrow"),
        ("where is the lease explained?", "search", "the lease explained"),
        ("look for lightning in welcome.md", "search", "lightning"),
        ("scan the workspace for secrets", "scan", "."),
        ("audit app.py", "scan", "app.py"),
        ("check app.py for passwords", "scan", "app.py"),
        ("find secrets in app.py", "scan", "app.py"),
        ("scan the src folder", "scan", "src"),
        ("describe sample.csv", "describe", "sample.csv"),
        ("analyse Q3.XLSX", "describe", "Q3.XLSX"),
        ("summarise sample.csv", "describe", "sample.csv"),
        ("chart sample.csv sales by month", "chart", "sample.csv"),
        ("draw a bar chart of revenue by region from sample.csv", "chart", "sample.csv"),
        ("machine report", "machine", ""),
        ("how much disk space is left?", "machine", ""),
        ("is the server ok", "machine", ""),
        ("uptime", "machine", ""),
    ],
)
def test_a_task_is_understood(words: str, skill: str, subject: str) -> None:
    match = best_match(ALL, words)
    assert match is not None
    assert (match.skill, match.subject) == (skill, subject)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "write a poem about memory",
        "summarise the news of the world for me and my friends",
        "draw a picture of a cat",
        "describe the sunset over the harbour",
        "translate welcome.md and give an overview",
        "check that https://example.org/report.pdf is up",
        "translate welcome.md into French",
        "the disk of the sun was red as we walked home along the long beach that night",
    ],
)
def test_what_no_skill_can_do_is_no_match(words: str) -> None:
    assert best_match(ALL, words) is None


@pytest.mark.parametrize(
    ("words", "skill", "subject"),
    [
        ("describe welcome.md", "describe", "welcome.md"),
        ("describe .env", "describe", ".env"),
        ("describe welcome.md as a chart", "describe", "welcome.md"),
        ("outline sample.csv", "outline", "sample.csv"),
        ("summarise", "summarise", ""),
        ("give me a summary, please", "summarise", ""),
        ("chart", "chart", ""),
        ("summarise https://example.com/x.md for me please", "summarise", "https://example.com/x.md"),
        ("scan https://example.com/x.py", "scan", "https://example.com/x.py"),
    ],
)
def test_what_is_meant_but_cannot_be_done_is_still_a_match_so_that_it_is_refused_by_name(
    words: str, skill: str, subject: str
) -> None:
    match = best_match(ALL, words)
    assert match is not None
    assert (match.skill, match.subject) == (skill, subject)


@pytest.mark.parametrize("words", ["summarise welcome.md", "summarise sample.csv", "summarise"])
def test_what_one_agent_does_no_other_refuses(words: str) -> None:
    takers = [name for name in ALL if best_match([name], words)]
    assert len(takers) == 1


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("summarise welcome.md in three sentences", ("sentences", "3")),
        ("summarise welcome.md in 12 sentences", ("sentences", "12")),
        ("search for escrow in welcome.md", ("in", "welcome.md")),
        ('search for escrow in "my notes.md"', ("in", "my notes.md")),
        ('search "my notes.md" for escrow', ("in", "my notes.md")),
        ('find "a/b" welcome.md', ("in", "welcome.md")),
        ("scan the workspace for secrets", ("for", "secrets")),
        ("chart sample.csv sales by month", ("words", "chart sales by month")),
        ("chart the sample file by month", ("words", "chart   by month")),
        ("summarise welcome.md and deep/notes.txt", ("also", "deep/notes.txt")),
        ("summarise sub dir/my file.md", ("also", "file.md")),
        ("audit a.py b.py a.py c.py", ("also", "b.py\nc.py")),
    ],
)
def test_options_are_read(words: str, option: tuple[str, str]) -> None:
    match = best_match(ALL, words)
    assert match is not None
    assert match.options == (option,)


def test_a_skill_that_is_not_asked_is_not_offered_as_a_match() -> None:
    assert best_match(["machine"], "summarise welcome.md") is None
    assert best_match(["no such skill"], "summarise welcome.md") is None


def test_verb_and_file_are_surer_than_a_hint() -> None:
    matches = [best_match(ALL, f"summarise {what}") for what in ("welcome.md", "the welcome file", "README")]
    assert [match.fit for match in matches if match] == [1.0, 0.8, 0.6]


@pytest.mark.parametrize(
    "piece", ["a/", "'", "please ", "x://", "this, ", '"x', "the ", "summarise ", ".", "./", "in the ", "- "]
)
def test_long_hostile_words_are_read_up_to_a_bound(piece: str) -> None:
    match = best_match(ALL, "summarise welcome.md " + piece * 200_000)
    assert match is None or len(match.subject) <= MOST_LETTERS
