"""What can be said: every phrase of the grammar is what the reader of sentences takes for the command it stands under."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

import bot.commands  # noqa: F401 - declares the commands
from bot.registry import registry
from core.language.numbers import read_number
from core.voice.expected import MOST_NAMES, Names, grammar, say_number
from core.voice.intent import Known, understand
from core.voice.jsgf import Rules, parse
from core.voice.phrases import ANSWERS, NOT_SAID, PHRASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.voice.jsgf import Node

NAMES = Names(
    ("echo", "quill", "quill-2"), ("echo", "quill"), ("bob",), ("welcome.md", "report-2026.csv"), (12, 7, 200)
)
KNOWN = Known(frozenset({"echo", "quill", "quill-2"}), None, None)
SAMPLE = {
    "agent": "quill-2", "persona": "quill", "person": "bob", "file": "welcome.md", "sats": "two hundred", "count": "ten",
    "task": "twelve",
}  # fmt: skip


def _all(part: str | Node) -> Iterator[str]:
    """Every sentence of an expansion."""
    if isinstance(part, str):
        yield SAMPLE[part[1:-1]] if part[0] == "<" else part
        return
    for way in part.ways:
        for row in product(*map(list, map(_all, way))):
            yield " ".join(filter(None, row))


@pytest.mark.parametrize("command", PHRASES)
def test_every_phrase_means_its_command(command: str) -> None:
    rules = grammar(frozenset(PHRASES), NAMES).rules
    for said in (said for phrase in PHRASES[command] for said in _all(parse(phrase))):
        for sentence in (said, f"timmy please {said}", f"{said} please"):
            assert (understand(sentence, KNOWN).command or "").split()[0:1] == [f"/{command}"], sentence
            assert rules.accepts(sentence.split())


def test_every_answer_is_one() -> None:
    meant = [understand(said, KNOWN) for answer in ANSWERS for said in _all(parse(answer))]
    assert {(one.intent, one.command) for one in meant} == {("approval", None)}


def test_every_command_can_be_said_or_is_known_not_to_be() -> None:
    names = {command.name for command in registry}
    assert "balance" in names
    assert names <= PHRASES.keys() | NOT_SAID
    assert not PHRASES.keys() & NOT_SAID


def test_only_what_this_hub_has_can_be_said() -> None:
    small = grammar(frozenset({"cancel", "agent"}), Names(tasks=(1,))).rules
    assert small.accepts(["cancel", "task", "one"])
    for not_said in ("cancel task two", "tell me about quill", "pay bob one sats", "cancel task", "cancel", ""):
        assert not small.accepts(not_said.split())


def test_names_are_heard_as_they_are_written() -> None:
    names = Names(files=("welcome.md", "Report-2026.csv", "über.md", "a b.txt", f"{'x' * 50}.md", "q.conf"))
    found = grammar(frozenset({"task"}), names)
    assert found.sounds == {
        "welcome.md": "welcome dot m d", "Report-2026.csv": "report two zero two six dot c s v", "q.conf": "q dot conf",
    }  # fmt: skip
    many = grammar(frozenset({"agent"}), Names(agents=tuple(f"quill-{n}" for n in range(2, 200))))
    assert len(many.sounds) == MOST_NAMES


@pytest.mark.parametrize("number", [1, 10, 19, 20, 21, 90, 99, 100, 110, 101, 342, 999])
def test_a_number_is_said_as_it_is_read(number: int) -> None:
    found = read_number(say_number(number).split(), 0)
    assert found is not None
    assert found.value == number


def test_the_grammar_is_jsgf() -> None:
    rules = Rules({"said": "[please] (stop | go <where>)", "where": "home"})
    assert rules.text == (
        "#JSGF V1.0;\ngrammar timmy;\npublic <said> = [please] (stop | go <where>);\n<where> = home;\n"
    )
    assert rules.words == {"please", "stop", "go", "home"}
    with pytest.raises(ValueError, match="no \\)"):
        parse("(stop")
