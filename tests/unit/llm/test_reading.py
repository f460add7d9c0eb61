"""However a stream of OpenAI's protocol is cut into chunks, the same words and the same whole calls come out of it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.llm.openai_wire import LIBRARY_ERRORS, _Reading
from adapters.llm.refusals import NoTools, named
from core.agent.model import ModelFailed, ModelOverfull, ModelTooLarge, ToolCall
from tests.depth import depth

if TYPE_CHECKING:
    from core.errors import HubError

NAMES = st.sampled_from(["add", "read_file", "a"])
OBJECTS = st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=12), max_size=3)
PIECES = st.lists(st.text(min_size=1, max_size=12) | st.tuples(NAMES, OBJECTS), max_size=6)


def cut(text: str, data: st.DataObject) -> list[str]:
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


@given(PIECES, st.data())
@settings(max_examples=depth(30, 500))
def test_a_stream_means_the_same_however_it_is_cut(pieces: list[str | tuple[str, Any]], data: st.DataObject) -> None:
    chunks, number = [], 0
    for piece in pieces:
        if isinstance(piece, str):
            chunks += [chunk({"content": part}) for part in cut(piece, data)]
            continue
        name, arguments = piece
        first, *others = cut(json.dumps(arguments), data)
        call = {"index": number, "id": f"c{number}", "type": "function", "function": {"name": name, "arguments": first}}
        chunks.append(chunk({"tool_calls": [call]}))
        chunks += [chunk({"tool_calls": [{"index": number, "function": {"arguments": part}}]}) for part in others]
        number += 1
    chunks += [chunk({}, "stop"), {"choices": []}]
    reading = _Reading()
    heard = [piece for one in chunks for piece in reading.pieces(one) if piece]
    assert _joined(heard) == _joined([ToolCall(*one) if isinstance(one, tuple) else one for one in pieces])
    assert reading.reason == "stop"


def test_arguments_that_nest_too_deeply_are_passed_on_as_text() -> None:
    said = '{"a": ' + "[" * 20_000 + "]" * 20_000 + "}"
    reading = _Reading()
    part = {"index": 0, "id": "c", "function": {"name": "add", "arguments": said}}
    assert list(reading.pieces(chunk({"tool_calls": [part]}, "tool_calls"))) == ["", ToolCall("add", said, "c")]


def _joined(pieces: list[str | ToolCall]) -> list[str | tuple[str, Any]]:
    """Neighbouring words as one, calls without their ids."""
    found: list[str | tuple[str, Any]] = []
    for piece in pieces:
        if isinstance(piece, ToolCall):
            found.append((piece.name, piece.arguments))
        elif found and isinstance(last := found[-1], str):
            found[-1] = last + piece
        else:
            found.append(piece)
    return found


KEYS = ["choices", "delta", "content", "tool_calls", "function", "name", "arguments", "index", "id", "finish_reason"]
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=depth(50, 2000))
def test_what_is_of_no_known_shape_is_an_error_that_is_caught(answer: Any) -> None:
    with suppress(*LIBRARY_ERRORS):
        list(_Reading().pieces(answer))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("request (719 tokens) exceeds the available context size (512 tokens), try increasing it", ModelOverfull),
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens", ModelOverfull),
        ("The number of tokens to keep is greater than the context length", ModelOverfull),
        ("model requires more system memory (9.1 GiB) than is available (7.2 GiB)", ModelTooLarge),
        ("CUDA error: out of memory", ModelTooLarge),
        ("llama runner process has terminated: error loading model: unable to allocate CUDA0 buffer", ModelTooLarge),
        ("something else", ModelFailed),
    ],
)
def test_each_engine_has_its_words_for_the_same(words: str, error: type[HubError]) -> None:
    assert type(named(words, "m", offered=True)) is error


@pytest.mark.parametrize(
    "words",
    [
        "registry/library/tiny does not support tools",
        "tools param requires --jinja flag",
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    ],
)
def test_tools_are_left_out_only_where_they_were_offered(words: str) -> None:
    with pytest.raises(NoTools):
        named(words, "m", offered=True)
    assert isinstance(named(words, "m"), ModelFailed)
