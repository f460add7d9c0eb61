"""The rule of what a voice may say, written out once more: plain words, at most 60, nothing that only an eye can read."""

from __future__ import annotations

import re

NOT_SAID = {
    "an address": r"\w://|\bwww\.|\b[\w.]+@[\w.]+",
    "an id": r"\b[AT]-\d|\b(?:telegram|matrix|console|shortcuts|worker|peer):\S|(?<!\S)@|\b(?=\w*\d)(?=\w*[a-f])[0-9a-f]{8,}\b",
    "a secret": r"timmy_\w+",
    "a command as it is typed": r"(?<!\S)/[a-z]",
    "a sign": r"[<>*`_\[\](){}|│•·…←#\\/~^=\"\n─┼]",
    "a number in groups": r"\d,\d{3}(?!\d)",
    "a gap": r"\s{2}|\s[.,!?;:]",
}


def wrong(said: str) -> list[str]:
    """What of a speech is against the rule."""
    found = [f"{name}: {match[0]!r}" for name, sign in NOT_SAID.items() if (match := re.search(sign, said))]
    if not said.strip():
        found.append("nothing is said")
    if len(said.split()) > 60 or len(said) > 600:
        found.append(f"{len(said.split())} words, {len(said)} letters")
    return found
