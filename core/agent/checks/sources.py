"""Research: what is claimed names a source among what was read, no source is made up, and what is not known is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.agent.checks.draft import MOST_FAULTS, Checked, blocks, outside, quote, words
from core.agent.tool import addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.agent.checks.draft import Draft

NOT_KNOWN = "Not known:"
_OWN_WORDS = "no source"
_NOT_KNOWN = re.compile(
    r"^[-*_# ]{0,6}(?:not known|unknown|open|unbekannt|nicht bekannt)\b[*_ ]{0,3}:", re.IGNORECASE | re.MULTILINE
)
_NAMED = re.compile(r"(?<![\w/.-])(?:[\w.-]{1,100}/){0,20}[\w-]{1,100}\.[a-z][a-z0-9]{0,4}(?![\w])", re.IGNORECASE)
_CLAIM_WORDS = 8
"""Words of a paragraph that claims something; a shorter one is a heading or leads over to the next."""


def check(draft: Draft) -> Checked:
    """See the module."""
    read = _read(draft)
    faults = [
        f"{quote(one.partition('://')[2])} was not read: name only sources that you read, or that the task names."
        for one in sorted(addresses(draft.text))
        if not any(_same(one, known) for known in read)
    ]
    if not _NOT_KNOWN.search(draft.text):
        faults.append(f"End with a line that begins with {NOT_KNOWN} and says what the sources do not tell.")
    if any(step.calls for step in draft.steps):
        faults += _unsourced(draft.text, read)
    elif _OWN_WORDS not in draft.text.lower() and not any(_cites(draft.text, one) for one in read):
        faults.append(f"Nothing was read: mark what you only believe with ({_OWN_WORDS}).")
    return Checked(draft.text, tuple(faults[:MOST_FAULTS]))


def _unsourced(text: str, read: frozenset[str]) -> Iterator[str]:
    for claim in _claims(text):
        if _OWN_WORDS not in claim.lower() and not any(_cites(claim, source) for source in read):
            yield f"{quote(claim)} names no source: put the file or address that says so behind it, in brackets, or ({_OWN_WORDS})."


def _claims(text: str) -> Iterator[str]:
    """The paragraphs and list items that say something. A list may have its source in the line above it."""
    above = ""
    for part in "\n".join(outside(text, blocks(text))).split("\n\n"):
        for claim in re.split(r"\n(?=\s*(?:[-*+]|\d{1,3}[.)])\s)", part):
            if _NOT_KNOWN.search(claim) or claim.lstrip().startswith(("#", "|")):
                continue
            if len(words(claim)) >= _CLAIM_WORDS:
                yield f"{claim} {above}" if claim.lstrip()[:1] in {"-", "*", "+"} else claim
            above = claim if claim.rstrip().endswith(":") else above


def _read(draft: Draft) -> frozenset[str]:
    """The names of what was read: files and addresses in the calls, in what they came to, and in the task."""
    asked = [str(call.arguments) for step in draft.steps for call in step.calls]
    texts = [*draft.read, *asked]
    files = (one for text in texts for one in _NAMED.findall(text[:200_000]))
    return frozenset().union(*map(addresses, texts), files)


def _cites(claim: str, source: str) -> bool:
    return source in claim or ("://" in source and source.partition("://")[2].partition("/")[0] in claim)


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")
