"""What a task needs besides words, as its words say: files that it names, addresses, the machine itself. Pure.

An agent that cannot look at them is not the one for the task, and says so before it bids.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from core.agent.tool import addresses

if TYPE_CHECKING:
    from collections.abc import Collection

_TABLES = frozenset({"csv", "tsv", "xlsx", "xls", "db", "sqlite", "parquet"})
_TEXTS = frozenset({
    "txt", "md", "pdf", "docx", "html", "htm", "log", "py", "js", "ts", "json", "toml", "yaml", "yml", "xml", "ini", "cfg", "conf",
    "sh", "sql", "rst", "srt", "rs", "cpp", "java", "css", "service",
})  # fmt: skip
_KINDS = "|".join(sorted(_TABLES | _TEXTS, key=len, reverse=True))
_FILE = re.compile(
    rf"(?<![\w./@:-])(?P<path>(?:[\w-]{{1,100}}/){{0,20}}[\w.-]{{0,100}}[\w-]\.(?P<kind>{_KINDS}))(?![\w/]|\.\w)",
    re.IGNORECASE,
)
_MADE = re.compile(
    r"\b(?:as|into|to|called|named|create|make|als|namens)\s+(?:an?\s+|the\s+|file\s+|new\s+){0,3}[\"'`]?$",
    re.IGNORECASE,
)
_MACHINE = re.compile(r"\b(?:this|the hub's|my|our) (?:machine|server|computer|host|disk|memory)\b", re.IGNORECASE)
_MADE_WITHIN = 40


class Need(NamedTuple):
    """Something to be looked at, in words, and the tools of which any one is enough."""

    what: str
    tools: tuple[str, ...]


def needs(description: str) -> list[Need]:
    """What a task needs to have looked at; what it only says how to name is made, not read."""
    found = []
    for one in _FILE.finditer(description):
        if not _MADE.search(description[max(0, one.start() - _MADE_WITHIN) : one.start()]):
            tools = ("query_table", "describe_table", "read_file") if one["kind"].lower() in _TABLES else ("read_file",)
            found.append(Need(one["path"], tools))
    found += [Need(address.partition("://")[2][:80], ("fetch_page",)) for address in sorted(addresses(description))]
    if machine := _MACHINE.search(description):
        found.append(Need(machine[0].lower(), ("system_report",)))
    return list(dict.fromkeys(found))


def unmet(description: str, can: Collection[str]) -> Need | None:
    """The first thing that a task needs to have looked at, and that none of these tools looks at."""
    return next((need for need in needs(description) if not any(tool in can for tool in need.tools)), None)
