"""What the agent's own tools are enough for, and what is work: nobody is paid for a look, and no work is talked away."""

from __future__ import annotations

import pytest

from adapters.tools.toolbox import AGENT
from core.voice.intent import understand
from core.voice.own import DELETES, LOOKS, SEARCHES, WRITES
from tests.voice.score import KNOWN


@pytest.mark.parametrize(
    ("said", "tools"),
    [
        ("read welcome.md and tell me what it says", LOOKS),
        ("hey timmy, could you please read welcome.md", LOOKS),
        ("what does welcome.md say about bitcoin", LOOKS),
        ("how big is sample.csv", LOOKS),
        ("what's in sample.csv?", LOOKS),
        ("does notes.md mention otto", LOOKS),
        ("show me notes.md", LOOKS),
        ("notes.md please", LOOKS),
        ("can you check what's in notes.md", LOOKS),
        ("I want to know what welcome.md says", LOOKS),
        ("search my files for invoice", SEARCHES),
        ('find "sealed auction"', SEARCHES),
        ("search notes.md for bitcoin", SEARCHES + LOOKS),
        ("find bitcoin in notes.md", SEARCHES + LOOKS),
        ("add eggs to shopping.txt", WRITES),
        ("add call mum and buy milk to todo.txt", WRITES),
        ("add call mum tomorrow to todo.txt", WRITES),
        ("put milk on my shopping list, shopping.txt", WRITES),
        ("write milk into shopping.txt", WRITES),
        ("delete the last line of notes.txt", WRITES),
        ("save this to notes.txt", WRITES),
        ("make a note in notes.md that the rent is due", WRITES),
        ("add to notes.md that the rent is due", WRITES),
        ("create a file called shopping.txt with eggs and milk", WRITES),
        ("create a file called hello.md with the words hello world", WRITES),
        ("create a file called rent.md that says the rent is due", WRITES),
        ("create shopping.txt", WRITES),
        ("save the words hello world to notes.txt", WRITES),
        ("set the title of notes.md to Rent", WRITES),
        ("change the date in letter.md to friday", WRITES),
        ("write down the rent is due in notes.md", WRITES),
        ("delete notes.txt", DELETES),
        ("please remove the file notes.txt from the workspace", DELETES),
        ("get rid of notes.txt and photo.png for good", DELETES),
    ],
)
def test_the_agent_can_do_it_itself(said: str, tools: tuple[str, ...]) -> None:
    meant = understand(said, KNOWN)
    assert (meant.intent, meant.tools) == ("task", tools)
    assert meant.command == f"/task {meant.entities['task_description']}", "for where it cannot"


@pytest.mark.parametrize(
    "said",
    [
        "summarise welcome.md", "read welcome.md and summarise it", "read welcome.md and fix it", "translate notes.md",
        "chart sample.csv revenue by region", "show me a chart of sample.csv", "compare a.csv and b.csv",
        "hire somebody to read notes.md", "find somebody to read notes.md", "quill, read welcome.md",
        "get somebody to tell me what's in welcome.md", "read welcome.md for 20 sats", "read welcome.md in ten minutes",
        "check essay.md for typos", "count the words in essay.txt", "how many words are in essay.md",
        "list the action items in meeting.md", "search the workspace for secrets", "search my files for invoices and email them",
        "report on this machine", "write a limerick into fun.md", "add a conclusion to essay.md", "update budget.csv",
        "write to notes.txt", "add eggs to shopping.txt and email it", "add a.txt to b.txt", "delete duplicates from data.csv",
        "delete notes.txt by tomorrow", "have somebody delete notes.txt", "delete everything bad about bob in song.mp3",
        "add a tune to song.mp3", "read song.mp3", "find the best one of a.txt", "explain notes.md",
        "create a file called books.md with the ten best books", "create a file called a.md with a list of towns",
        "save the weather in berlin to weather.txt", "add the weather in berlin to weather.txt", "write the news into news.md",
        "save all names of birds to birds.txt", "change the tone of letter.md to formal", "make letter.md formal",
        "read welcome.md and pay bob 500 sats", "add 500 sats to wallet.md", "read welcome.md and let quill know",
        "read welcome.md by tomorrow", "don't read welcome.md", "read welcome.md, no wait", "have somebody write a poem",
    ],
)  # fmt: skip
def test_work_stays_work(said: str) -> None:
    meant = understand(said, KNOWN)
    assert meant.intent in {"task", "schedule"}
    assert meant.tools == ()


@pytest.mark.parametrize(
    ("said", "command"),
    [
        ("read notes.md tomorrow at 9", "/at tomorrow at 9 /ask read notes.md"),
        ("every morning read notes.md", "/every morning /ask read notes.md"),
        ("schedule read notes.md every day at 9", "/every day at 9 /ask read notes.md"),
        ("search my files for invoice every friday", "/every friday /ask search my files for invoice"),
        ("add eggs to shopping.txt tomorrow at 9", "/at tomorrow at 9 /ask add eggs to shopping.txt"),
        ("delete notes.txt tomorrow at 9", "/at tomorrow at 9 /ask delete notes.txt"),
        ("every morning read notes.md and summarise it", "/every morning /task read notes.md and summarise it"),
        ("every morning have quill read notes.md", "/every morning /task read notes.md to=quill"),
        ("every morning have somebody read notes.md", "/every morning /task read notes.md"),
        ("read notes.md in ten minutes", "/task read notes.md by=10m"),
    ],
)
def test_what_the_agent_can_do_is_planned_as_a_question_to_it(said: str, command: str) -> None:
    assert understand(said, KNOWN).command == command


def test_the_agent_has_such_tools() -> None:
    assert {*LOOKS, *SEARCHES, *WRITES, *DELETES} <= set(AGENT)
