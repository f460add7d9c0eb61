"""Secrets that a line assigns: `password=hunter2secret`, `aws_secret_access_key = wJal...`, quoted or not.

detect-secrets finds these in a few kinds of file and in quotes only; people keep them in notes, logs and .ini files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ASSIGNED = re.compile(
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credentials?)[\w-]{0,40}[\"']?[ \t]{0,4}(?:=>|:=|=|:)[ \t]{0,4}[\"']?([^\s\"'`<>(){}\[\],;|]{6,400})",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"[/.~$%*=]|https?:|\w+://|(?:none|null|true|false|changeme|example|placeholder|your|xxx|\*\*\*|redacted|env\.|os\.)",
    re.IGNORECASE,
)
_CODE = frozenset("(){}[]<>")
_CHOSEN = re.compile(r"\d|[!@#%^&*+/=~]")
_NAME = re.compile(r"[A-Za-z_][\w.]*")


def assigned(text: str) -> Iterator[tuple[int, str]]:
    """The number of each line that assigns a secret, and the secret; only what looks chosen, not what looks like code."""
    for number, line in enumerate(text.split("\n"), 1):
        for found in _ASSIGNED.finditer(line):
            if line[found.end() : found.end() + 1] not in _CODE and _looks_chosen(found[1]):
                yield number, found[1]


def _looks_chosen(value: str) -> bool:
    """Whether a value has a digit or a sign in it, and is no path, address, placeholder or name of a program."""
    if _NO_SECRET.match(value) or not _CHOSEN.search(value):
        return False
    return not ("." in value and _NAME.fullmatch(value))


def whole(value: str, line: str) -> str:
    """A token as it stands in its line, where a detector names its beginning only: `ghp_...`, not `ghp`."""
    found = re.search(rf"(?<![\w-]){re.escape(value)}[\w-]*", line) if value else None
    return found[0] if found else value
