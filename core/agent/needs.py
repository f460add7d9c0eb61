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
_LIBRARIES = "(?:node|vue|next|nuxt|three|d3|react|express|angular|ember|chart|p5)"
_KINDS = "|".join(sorted(_TABLES | _TEXTS, key=len, reverse=True))
_FILE = re.compile(
    rf"(?<![\w./@:-])(?!{_LIBRARIES}\.js\b)(?P<path>(?:[\w-]{{1,100}}/){{0,20}}[\w.-]{{0,100}}[\w-]\.(?P<kind>{_KINDS}))(?![\w/]|\.\w)",
    re.IGNORECASE,
)
_MADE = re.compile(
    r"\b(?:as|into|to|called|named|create|make|als|namens)\s+(?:an?\s+|the\s+|file\s+|new\s+){0,3}[\"'`]?$",
    re.IGNORECASE,
)
_MACHINE = re.compile(r"\b(?:this|the hub's|my|our) (?:machine|server|computer|host|disk|memory)\b", re.IGNORECASE)
_MADE_WITHIN = 40
_AMOUNT = re.compile(r"(?<![\w.,-])\d[\d.,]{0,20}(?![\w-])")
_SUM = re.compile(r"\d\s{0,3}[*+/^]\s{0,3}\d|\d\s{0,3}%|\bpercent(?:age)?\b", re.IGNORECASE)
_DAY = re.compile(
    r"\b(?:today|tomorrow|yesterday|weekdays?|day of the week|how many days|what (?:day|date|time)|days? (?:from|until|between)"
    r"|heute|morgen|wochentag|wie viele tage)\b|\b\d{4}-\d{2}-\d{2}\b",
    re.IGNORECASE,
)


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


def called_for(text: str) -> frozenset[str]:
    """The tools that the words of a text call for, whatever else it is about: to look at what it names, to add, to count days."""
    found = {tool for need in needs(text) for tool in need.tools}
    if len(_AMOUNT.findall(text)) > 1 or _SUM.search(text):
        found.add("calculate")
    if _DAY.search(text):
        found.add("date")
    return frozenset(found)


def unmet(description: str, can: Collection[str]) -> Need | None:
    """The first thing that a task needs to have looked at, and that none of these tools looks at."""
    return next((need for need in needs(description) if not any(tool in can for tool in need.tools)), None)
