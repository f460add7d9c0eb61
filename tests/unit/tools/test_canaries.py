"""No tool shows, nor changes, what is closed, whichever of its arguments names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.tools.toolbox import MODULES
from core.errors import HubError
from tests.depth import first
from tests.project import everything
from tests.unit.skills.conftest import CANARY, CLOSED

if TYPE_CHECKING:
    from pathlib import Path

    from core.events import Json
    from tests.unit.tools.bench import Bench

FILLED: dict[str, Json] = {
    "query": "canary", "how": "exact", "sql": "SELECT * FROM data", "what": "all of it", "content": "x",
    "old": "canary", "new": "x", "code": "print(1)", "branch": "b", "message": "m", "files": ["."],
    "changes": [{"path": "a", "new": "x"}],
}  # fmt: skip
"""What a call needs besides."""

NAMING = {
    "list_files": "folder", "read_file": "path", "search_files": "folder", "describe_table": "path", "query_table": "paths",
    "draw_chart": "path", "scan_security": "path", "write_file": "path",
    "edit_file": "path", "remove_file": "path", "restore_file": "path", "run_python": "files",
    "git_status": "folder", "git_log": "folder", "git_diff": "folder", "git_branch": "folder", "git_commit": "folder",
    "change_code": "folder",
}  # fmt: skip
"""The tools that take a name of the workspace, and as what."""


def test_every_tool_that_takes_a_name_is_tried(bench: Bench) -> None:
    for name in MODULES:
        tool = bench.tools.find(name)
        assert tool is not None
        properties = tool.spec.parameters["properties"]
        assert isinstance(properties, dict)
        assert properties.keys().isdisjoint({"path", "paths", "folder", "files"}) or name in NAMING


@pytest.mark.parametrize(("tool", "closed"), first(1, [(tool, closed) for closed in CLOSED for tool in NAMING]))
async def test_no_tool_reaches_what_is_closed(bench: Bench, root: Path, tool: str, closed: str) -> None:
    before = everything(root)
    found = bench.tools.find(tool)
    assert found is not None
    properties = found.spec.parameters["properties"]
    assert isinstance(properties, dict)
    given = {name: value for name, value in FILLED.items() if name in properties}
    with pytest.raises(HubError) as refused:
        await bench.given(tool, {**given, NAMING[tool]: closed})
    assert CANARY not in str(refused.value)
    assert everything(root) == before
