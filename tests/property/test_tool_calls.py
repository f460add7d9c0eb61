"""Whatever a model writes as a call's arguments is used as what it says, or refused; nothing else comes of reading it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unicodedata import category

from hypothesis import given, settings
from hypothesis import strategies as some

from adapters.tools.here import Here
from adapters.tools.toolbox import MODULES, Tools
from core.agent.tool import BadCall
from tests.depth import depth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.agent.tool import Tool
    from core.events import Json

NOTHING = cast("Any", None)
TOOLS = Tools(Here(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, Path(), NOTHING))
LEAVES = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20)
VALUES = LEAVES | some.recursive(
    LEAVES,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = some.sampled_from(
    ["path", "Path", "paths", "folder", "query", "how", "sql", "content", "old", "new", "url", "arguments"]
)


def is_plain(text: str) -> bool:
    """Whether nothing in a line steers a terminal or hides from who reads it."""
    return {category(sign) for sign in text}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


def check_read(tool: Tool, read: Mapping[str, Json]) -> str:
    """The words of a call whose arguments are all that it takes, and read as themselves."""
    properties = tool.spec.parameters["properties"]
    assert isinstance(properties, dict)
    assert read.keys() == properties.keys()
    assert tool.read(read) == read
    return tool.words(read).replace("\n", " ").replace("\t", " ")


@settings(max_examples=depth(20, 3000), deadline=None)
@given(some.sampled_from(sorted(MODULES)), some.dictionaries(KEYS | some.text(max_size=8), VALUES, max_size=5))
def test_reading_a_call(name: str, arguments: dict[str, Json]) -> None:
    tool = TOOLS.find(name)
    assert tool is not None
    try:
        read = tool.read(arguments)
    except BadCall as error:
        said = str(error)
    else:
        said = check_read(tool, read)
    assert is_plain(said)
    assert len(said) < 1500
