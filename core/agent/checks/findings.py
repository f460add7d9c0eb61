"""Security findings: each with its severity and where it is, in what was really looked at; or plainly none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.agent.checks.draft import MOST_FAULTS, Checked, quote, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.agent.checks.draft import Draft

SEVERITIES = ("critical", "high", "medium", "low", "info")
_SEVERE = re.compile(rf"\b({'|'.join(SEVERITIES)})\b", re.IGNORECASE)
_NONE = re.compile(
    r"\bno (?:security )?(?:findings?|issues?|problems?|vulnerabilit|secrets?)|\bnothing (?:was )?found\b",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^(?:[-*+]|\d{1,3}[.)])\s+(.*)$")
_NOWHERE = frozenset({"", "-", "n/a", "unknown", "various", "everywhere", "none", "where", "?", "general"})
_FILE = re.compile(r"(?<![\w/.-])((?:[\w.-]{1,100}/){0,20}[\w-]{1,100}\.[a-z]{1,5}):(\d{1,7})")
_CELLS = 3


def check(draft: Draft) -> Checked:
    """See the module."""
    found = list(_found(draft.text))
    faults = [fault for one in found for fault in _wrong(one, draft)]
    if not found and not _NONE.search(draft.text):
        faults = [
            "Write each finding as one line: - SEVERITY | where | what is wrong | how to mend it. If there is none: No findings."
        ]
    ranks = [SEVERITIES.index(severity[1].lower()) for one in found if (severity := _SEVERE.search(one[0]))]
    if not faults and ranks != sorted(ranks):
        faults = ["Put the worst findings first."]
    return Checked(draft.text, tuple(faults[:MOST_FAULTS]))


def _found(text: str) -> Iterator[list[str]]:
    """The findings of a report, each by its parts: lines of a list, or rows of a table."""
    rows = table(text)
    if rows and any("sever" in cell.lower() for cell in rows[0]):
        order = sorted(range(len(rows[0])), key=lambda n: "sever" not in rows[0][n].lower())
        yield from ([row[n] for n in order if n < len(row)] for row in rows[1:])
        return
    for line in text.splitlines():
        item = _ITEM.match(line)
        if item and ("|" in item[1] or _SEVERE.match(item[1].lstrip("*_[` "))):
            yield [part.strip(" *_`") for part in item[1].split("|")]


def _wrong(parts: list[str], draft: Draft) -> Iterator[str]:
    line = quote(" | ".join(parts))
    if len(parts) < _CELLS:
        yield f"{line} is not whole: SEVERITY | where | what is wrong | how to mend it."
        return
    if not _SEVERE.search(parts[0]):
        yield f"{line} has no severity: {', '.join(SEVERITIES)}."
    if parts[1].lower().strip(" .*`") in _NOWHERE:
        yield f"{line} does not say where: a file and line, a setting, an address."
    for file, _ in _FILE.findall(parts[1]):
        if not any(file.rpartition("/")[2] in text for text in draft.read):
            yield f"{quote(file)} was not looked at: name only what is in the task or in a result."
