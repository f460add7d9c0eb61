"""What a model may write, and what it is told where that is of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.tools.declared import LONGEST, tool
from adapters.tools.here import Here
from adapters.tools.toolbox import AGENT, MODULES
from core.agent.tool import BadCall, Effect, Output, Use
from core.chat import Caller, Proxy, Role
from tests.unit.tools.bench import ANN

if TYPE_CHECKING:
    from core.events import Json
    from tests.unit.tools.bench import Bench

ALL = tuple(MODULES)


@pytest.mark.parametrize("name", ALL)
def test_every_tool_has_a_small_schema_with_a_word_on_each_argument(bench: Bench, name: str) -> None:
    found = bench.tools.find(name)
    assert found is not None
    schema = found.spec.parameters
    assert found.spec.name == name
    assert 20 < len(found.spec.description) < 240
    assert "$defs" not in schema
    properties = schema["properties"]
    assert isinstance(properties, dict)
    for one in properties.values():
        assert isinstance(one, dict)
        assert one["description"]
        assert one["type"] in {"string", "integer", "number", "boolean", "array"}, "nothing nested, and no alternatives"
    assert not found.outward or found.outward in properties


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("read_file", {"path": "notes.md"}, {"path": "notes.md", "first": 1, "last": 0}),
        ("read_file", {"path": "notes.md", "first": "7", "last": 9.0}, {"path": "notes.md", "first": 7, "last": 9}),
        ("read_file", {"Path": "notes.md", "LAST": None}, {"path": "notes.md", "first": 1, "last": 0}),
        ("read_file", {"path": ["notes.md"], "first": ""}, {"path": "notes.md", "first": 1, "last": 0}),
        ("read_file", {"path": 2026, "last": "null"}, {"path": "2026", "first": 1, "last": 0}),
        ("read_file", {"file": "notes.md", "first": 2}, {"path": "notes.md", "first": 2, "last": 0}),
        ("read_file", {"path": "a.md", "encoding": "utf-8"}, {"path": "a.md", "first": 1, "last": 0}),
        ("read_file", {"parameters": {"path": "a.md"}}, {"path": "a.md", "first": 1, "last": 0}),
        ("list_files", {}, {"folder": "."}),
        ("calculate", {"expression": 42}, {"expression": "42"}),
    ],
)
def test_what_is_harmlessly_wrong_is_put_right(
    bench: Bench, name: str, given: dict[str, Json], read: dict[str, Json]
) -> None:
    found = bench.tools.find(name)
    assert found is not None
    assert found.read(given) == read


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("read_file", {}, "path is missing. It takes path, first (may be left out), last (may be left out)."),
        ("read_file", {"path": "a.md", "first": "the top"}, "first: input should be a valid integer"),
        ("read_file", {"path": "a.md", "first": 0}, "first: input should be greater than or equal to 1"),
        ("read_file", {"path": {"name": "a.md"}}, "path: input should be a valid string"),
        ("read_file", {"file": "a.md", "name": "b.md"}, "path is missing"),
        ("read_file", {"path": "a.md", "page": 3}, "it takes no page. It takes path, first"),
        ("write_file", {"path": "a.md", "text": "x"}, "it takes no text. It takes path, content"),
        ("write_file", {"path": "a.md", "content": "x", "reason": "y"}, "it takes no reason. It takes path, content"),
        ("search_files", {"query": "escrow", "how": "fuzzy"}, "how: input should be 'words', 'exact' or 'pattern'"),
    ],
)
def test_the_rest_is_refused_in_words_that_a_model_can_mend_it_by(
    bench: Bench, name: str, given: dict[str, Json], why: str
) -> None:
    found = bench.tools.find(name)
    assert found is not None
    with pytest.raises(BadCall) as refused:
        found.read(given)
    assert str(refused.value).startswith(f"The call of {name} cannot be used: {why}")


@tool(lambda _: "look around")
async def look(here: Here, use: Use) -> Output:
    """Look around."""
    return Output("\x1b[2J" + "x" * 20_000)


async def test_what_any_tool_answers_is_readable_and_has_an_end(bench: Bench) -> None:
    text = (await look.at(bench.here).run({}, Use(ANN, ANN.actor, "k"))).text
    assert len(text) <= LONGEST
    assert "\x1b" not in text
    assert "characters are left out" in text


def test_guests_are_offered_nothing_and_strangers_what_is_sold(bench: Bench) -> None:
    def names(caller: Caller) -> list[str]:
        return [one.spec.name for one in bench.tools.offered(ALL, caller)]

    assert names(Caller("telegram:9", Role.GUEST)) == []
    assert names(Caller("l402:9", Role.GUEST, bought=1000)) == ["calculate", "date"]
    device = names(ANN._replace(proxy=Proxy("telegram:5", "telegram:5", 200)))
    asking = {name for name in ALL if (one := bench.tools.find(name)) and one.effect is Effect.ASK}
    assert set(device) == set(names(ANN)) - asking
    assert [one.spec.name for one in bench.tools.offered((), ANN)] == [name for name in AGENT if name in names(ANN)]
    assert bench.tools.offered(["no_such_tool"], ANN) == []


def test_no_tool_of_the_toolbox_writes_by_itself_whatever_it_has_read(bench: Bench) -> None:
    effects = {name: one.effect for name in ALL if (one := bench.tools.find(name))}
    assert len(effects) > 20
    assert Effect.OWN not in effects.values(), "that is for what is made with a copy, and gone with it (ADR 0039)"


def test_what_lacks_its_libraries_is_not_offered_and_the_reason_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = [name for name, _ in bench.tools.closed()]
    assert closed == ["run_python", "git_clone"], "there is no Docker here, and no host is allowed"
    monkeypatch.setattr(
        type(bench.here.skills), "offered", lambda self, names: [name for name in names if name != "grep"]
    )
    assert ("search_files", "its libraries are not installed. Run make install") in bench.tools.closed()
    assert bench.tools.offered(["search_files", "list_files"], ANN) == [bench.tools.find("list_files")]
