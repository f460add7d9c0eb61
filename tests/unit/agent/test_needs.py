"""What a task needs to have looked at, by its words."""

from __future__ import annotations

import pytest

from core.agent.needs import called_for, needs, unmet


@pytest.mark.parametrize(
    ("task", "what"),
    [
        ("find the bug in src/app.py", ["src/app.py"]),
        ("summarise notes.md to summary.md", ["notes.md"]),
        ("compare a.md with b/c.MD, and a.md again", ["a.md", "b/c.MD"]),
        ("write a function and save it as fib.py", []),
        ("read https://example.org/a.md please", ["example.org/a.md"]),
        ("how full is the disk of this machine", ["this machine"]),
        ("restart Our Server", ["our server"]),
        ("e.g. a.b.c, version 1.2.3, notes.md.bak or draw logo.svg", []),
        ("mail ann@example.md", []),
        ("design a logo for Node.js and vue.js, in app.js", ["app.js"]),
        ("write a poem about rain", []),
    ],
)
def test_what_is_to_be_looked_at(task: str, what: list[str]) -> None:
    assert [need.what for need in needs(task)] == what


def test_any_one_of_the_tools_is_enough() -> None:
    assert unmet("the average of sales.csv", ["query_table"]) is None
    assert unmet("the average of sales.csv", ["read_file"]) is None
    missing = unmet("the average of sales.csv, as in notes.md", ["query_table"])
    assert missing is not None
    assert missing.what == "notes.md"


@pytest.mark.parametrize(
    ("text", "tools"),
    [
        ("How much is 17.35 times 482?", {"calculate"}),
        ("What is 19% of my rent?", {"calculate"}),
        ("How many days until Easter?", {"date"}),
        ("Is 2031-03-14 a Friday?", {"date"}),
        ("What does todo.md say?", {"read_file"}),
        ("Tell me a story of 3 pigs", set()),
        ("Show T-12", set()),
    ],
)
def test_what_a_text_calls_for(text: str, tools: set[str]) -> None:
    assert called_for(text) == tools
