"""All tools of this machine, and who may have which."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from core.agent.tool import Effect
from core.chat import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.tools.declared import Bound, Declared
    from adapters.tools.here import Here
    from core.agent.tool import Tool
    from core.chat import Caller

MODULES = {
    name: module
    for module, names in {
        "files": "list_files read_file search_files",
        "changes": "write_file edit_file remove_file restore_file",
        "pages": "fetch_page",
        "python": "run_python",
        "code": "change_code",
        "git": "git_status git_log git_diff git_branch git_commit git_clone",
        "data": "describe_table query_table draw_chart",
        "machine": "scan_security system_report",
        "hub": "tasks balance agents",
        "sums": "calculate",
        "days": "date",
        "memory": "remember recall",
    }.items()
    for name in names.split()
}
"""Every tool by name, and the module that declares it."""

AGENT = (
    *("read_file", "list_files", "search_files", "fetch_page", "calculate", "date", "write_file", "query_table"),
    *("edit_file", "describe_table", "draw_chart", "run_python", "tasks", "balance", "agents", "remember", "recall"),
    *("remove_file", "restore_file", "git_status", "git_diff", "git_log", "git_commit", "git_branch", "git_clone"),
    *("change_code",),
)
"""What the hub's own agent may have, the most useful first: a turn is offered a few of them."""


def declared(name: str) -> Declared:
    """A tool as its module declares it, which is loaded."""
    found: Declared = getattr(import_module(f"adapters.tools.{MODULES[name]}"), name)
    return found


class Tools:
    """`core.agent.tool.Toolbox`."""

    def __init__(self, here: Here) -> None:
        self.here = here
        self._loaded: dict[str, Bound] = {}

    def offered(self, names: Sequence[str], caller: Caller) -> Sequence[Tool]:
        """See `Toolbox`."""
        found = (tool for name in names or AGENT if (tool := self._find(name)))
        return [tool for tool in found if self._may(tool, caller) and not tool.lacks()]

    def find(self, name: str) -> Tool | None:
        """See `Toolbox`."""
        return self._find(name)

    def closed(self) -> Sequence[tuple[str, str]]:
        """See `Toolbox`."""
        found = ((name, tool.lacks()) for name in MODULES if (tool := self._find(name)))
        return [(name, why) for name, why in found if why]

    def _find(self, name: str) -> Bound | None:
        if name not in MODULES:
            return None
        if name not in self._loaded:
            self._loaded[name] = declared(name).at(self.here)
        return self._loaded[name]

    @staticmethod
    def _may(tool: Bound, caller: Caller) -> bool:
        if caller.bought is not None:
            return tool.sold
        if caller.role is Role.GUEST or (tool.privately and not caller.private):
            return False
        return caller.proxy is None or tool.effect is not Effect.ASK
