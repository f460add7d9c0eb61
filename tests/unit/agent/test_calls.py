"""Which texts of a model are calls, and what is read of one that is written wrong."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agent.calls import LONGEST, MAX_DEPTH, MENDED, arguments_of, calls_in, name_of, seems_call
from core.agent.model import ToolCall
from core.agent.tool import BadCall, addresses

KNOWN = ("read_file", "search_files", "date")
CALL = {"name": "read_file", "arguments": {"path": "a.md"}}
READ = [ToolCall("read_file", {"path": "a.md"})]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CALL),
        f"  \n{json.dumps(CALL)}\n",
        f"```json\n{json.dumps(CALL)}\n```",
        f"```tool_call\n{json.dumps(CALL)}```",
        f"<tool_call>\n{json.dumps(CALL)}\n</tool_call>",
        f"<function_call>{json.dumps([CALL])}</function_call>",
        json.dumps({"function": {"name": "read_file", "arguments": {"path": "a.md"}}}),
        json.dumps({"tool": "readFile", "parameters": {"path": "a.md"}}),
        json.dumps({"tool_name": "functions.read-file", "input": {"path": "a.md"}}),
        '{"name": "read_file", "arguments": {"path": "a.md",}}',
        '{"name": "read_file", "arguments": {"path": "a.md"}',
        "{'name': 'read_file', 'arguments': {'path': 'a.md'}}",
    ],
)
def test_an_answer_that_is_nothing_but_a_call_is_one(text: str) -> None:
    assert calls_in(text, KNOWN) == READ
    assert seems_call(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "At nine.",
        f"I will call {json.dumps(CALL)}",
        f"{json.dumps(CALL)} is how one calls it.\nDo you see?",
        json.dumps({"name": "pay", "arguments": {}}),
        json.dumps({"name": "read_file"}),
        json.dumps({"name": "read_file", "arguments": 5}),
        json.dumps({"arguments": {"path": "a.md"}}),
        json.dumps([CALL, {"name": "pay", "arguments": {}}]),
        json.dumps([CALL, "and more"]),
        "[]",
        "{}",
        "[1, 2, 3]",
        "```json\nno json\n```",
        "{" * (LONGEST + 1),
        '{"name": "date", "arguments": {"a": "' + "x" * LONGEST + '"}}',
        "[" * 30_000 + "]" * 30_000,
        "[" + "(" * 999 + "]",
        "<tool>" + " \n" * 20_000 + "x",
        "```" + "`" * 20_000 + " \n" * 10_000 + "x",
        "```json\n" + "<tool>" * 5_000 + "x",
    ],
)
def test_everything_else_is_an_answer(text: str) -> None:
    assert calls_in(text, KNOWN) == []


def test_a_name_is_read_as_it_is_meant_or_not_at_all() -> None:
    assert name_of("read_file", KNOWN) == "read_file"
    assert name_of("ReadFile", KNOWN) == "read_file"
    assert name_of("tools.readfile", KNOWN) == "read_file"
    assert name_of("read", KNOWN) is None
    assert name_of("readfile", ("read_file", "readFile")) is None


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1', {"a": 1}),
        ('{"a": "' + "one\n" * MENDED + '"}', {"a": "one\n" * MENDED}),
        ("", {}),
        ("  ", {}),
    ],
)
def test_arguments_come_as_an_object(given: Any, read: Any) -> None:
    assert arguments_of(ToolCall("date", given)) == read


@pytest.mark.parametrize("given", ["[1]", "nine", {"a": "x" * LONGEST}, "x" * (LONGEST + 1)])
def test_other_arguments_are_refused(given: Any) -> None:
    with pytest.raises(BadCall, match="The call of date cannot be used"):
        arguments_of(ToolCall("date", given))


@pytest.mark.parametrize(
    "given", ['{"a": NaN}', '{"a": 1e400}', '{"a": ["\\ud83d"]}', {"a": float("-inf")}, {"\ud83d": 1}], ids=range(5)
)
def test_what_no_json_holds_is_refused(given: Any) -> None:
    with pytest.raises(BadCall, match="a number without end, or half of a character"):
        arguments_of(ToolCall("date", given))


@pytest.mark.parametrize(
    "given", ['{"a": ' + "[" * 30_000 + "]" * 30_000 + "}", "{" * 999, '{"a": "\\x' + "1" * MENDED]
)
def test_what_is_too_deep_or_too_long_to_mend_is_refused(given: str) -> None:
    with pytest.raises(BadCall, match=r"its arguments are (no JSON object|nested too deep)"):
        arguments_of(ToolCall("date", given))


@given(st.text() | st.text(alphabet='{}[]":,`<>/tool_call read_file'))
def test_no_text_breaks_the_reader(text: str) -> None:
    for call in calls_in(text, KNOWN):
        assert call.name in KNOWN


def test_addresses_are_found_whole() -> None:
    text = "See https://a.example/x?y=1, (http://b.example/z) or <https://c.example>. ftp://d.example"
    assert addresses(text) == {"https://a.example/x?y=1", "http://b.example/z", "https://c.example"}


def nested(depth: int) -> Any:
    found: Any = "a.md"
    for _ in range(depth):
        found = {"a": [found]}
    return found


def test_what_is_nested_too_deep_is_no_call_and_costs_nothing() -> None:
    fine, deep = nested(MAX_DEPTH // 2 - 2), nested(MAX_DEPTH)
    assert calls_in(json.dumps({"name": "date", "arguments": fine}), KNOWN) == [ToolCall("date", fine)]
    assert calls_in(json.dumps({"name": "date", "arguments": deep}), KNOWN) == []
    assert calls_in("{" * 60_000 + "}", KNOWN) == []
    for wrong in (deep, json.dumps(deep), '{"a":' * 10_000):
        with pytest.raises(BadCall, match="nested too deep"):
            arguments_of(ToolCall("date", wrong))


def test_what_is_nested_as_deep_as_may_be_is_read_and_what_is_only_long_too() -> None:
    for depth, fine in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        text = '{"a":' * depth + "1" + "}" * depth
        for said in (text, json.loads(text)):
            with nullcontext() if fine else pytest.raises(BadCall, match="nested too deep"):
                assert json.dumps(arguments_of(ToolCall("date", said)), separators=(",", ":")) == text
    many = [{"name": "date", "arguments": {}}] * (MAX_DEPTH + 1)
    assert len(calls_in(json.dumps(many), KNOWN)) == len(many)


def test_a_long_text_is_not_mended() -> None:
    with pytest.raises(BadCall, match="no JSON"):
        arguments_of(ToolCall("date", "{'a': '" + "x" * MENDED))
