"""Commands for machines: nothing that destroys data, unless the task asks for just that, and then with a warning beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.agent.checks.draft import MOST_FAULTS, Checked, asks, blocks, outside, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.agent.checks.draft import Draft

_OPTIONS = r"(?:-{1,2}[\w-]+\s+){0,6}"
_SYSTEM = r"/(?:bin|boot|dev|etc|home|lib|opt|root|sbin|srv|usr|var)"
_END = r"(?:\s|\*|$|[\"'])"
_DESTROYS = re.compile(
    rf"\brm\s+{_OPTIONS}[\"']?(?:/{_END}|~(?:/?\s|/?\*|/?$)|\*|\.(?:\s|$)|\$\{{?\w+|{_SYSTEM}/?{_END})"
    rf"|\brm\s+{_OPTIONS}-\w{{0,6}}[rR]\w{{0,6}}\s+{_OPTIONS}[\"']?{_SYSTEM}/[\w.-]{{1,100}}/?{_END}"
    r"|--no-preserve-root|\bdd\b[^|;&]{0,200}\bof=/dev/|\bmkfs(?:\.\w+)?\s|\bwipefs\b|\bblkdiscard\b|\bshred\b|>\s{0,3}/dev/(?:sd|nvme|hd|vd|disk|mapper)"
    r"|:\(\)\s{0,3}\{|\bfind\s+/\S{0,100}\s[^|;&]{0,200}-delete\b|\bch(?:mod|own)\s+-\w*R\w*\s+\S{1,60}\s+/(?:\s|$)|\bdrop\s+(?:database|table|schema)\b"
    r"|\btruncate\s+table\b|\bdelete\s+from\s+\w+\s*(?:;|$)|\bsystem\s+prune\b[^|;&]{0,80}--volumes|\bvolume\s+(?:rm|prune)\b|\bcompose\s+down\b[^|;&]{0,80}\s(?:-v|--volumes)\b"
    r"|\b(?:lvremove|vgremove|pvremove|zpool\s+destroy|zfs\s+destroy|userdel\s+-r|cryptsetup\s+luksFormat|sgdisk\s+-Z)\b"
    r"|\bkill\s+-(?:9|KILL)\s+-1\b|\bgit\s+(?:clean\s+-\w*[fd]\w*|reset\s+--hard|push\s+(?:\S+\s+){0,4}(?:-f|--force)\b)|\bkubectl\s+delete\s+(?:ns|namespace|pvc?|--all)\b"
    r"|\b(?:curl|wget)\b[^|;&\n]{0,300}\|\s{0,3}(?:sudo\s+)?(?:ba|z|da)?sh\b",
    re.IGNORECASE,
)
_ASKED = (
    "delete", "remove", "wipe", "erase", "format", "destroy", "drop", "purge", "prune", "reset", "overwrite", "shred", "clean",
    "empty", "force", "lösche", "löschen", "entfernen", "formatieren",
)  # fmt: skip
_WARNS = re.compile(
    r"\b(?:warning|caution|careful|cannot be undone|can't be undone|no undo|irreversibl|destroys?|permanent|back ?up|data loss"
    r"|warnung|achtung|vorsicht)",
    re.IGNORECASE,
)
_FORBIDS = re.compile(
    r"\b(?:never|not|don't|avoid|instead of|rather than|nie|niemals|nicht)\b[^.`]{0,60}$", re.IGNORECASE
)
_INLINE = re.compile(r"`([^`\n]{1,400})`")
_DOES_NOTHING = re.compile(r"^\s*#")


def check(draft: Draft) -> Checked:
    """See the module."""
    bad = list(dict.fromkeys(_destructive(draft.text)))
    if not bad:
        return Checked(draft.text)
    if not asks(draft.task, *_ASKED):
        why = "destroys data, or runs what nobody looked at, and the task asks for no such thing"
        faults = [f"{quote(one)} {why}: find a way that can be undone." for one in bad]
    elif not _WARNS.search(draft.text):
        faults = [f"Write a warning before {quote(bad[0])}: what is lost by it, and that it cannot be undone."]
    else:
        faults = []
    return Checked(draft.text, tuple(faults[:MOST_FAULTS]))


def _destructive(text: str) -> Iterator[str]:
    for command in _commands(text):
        if (found := _DESTROYS.search(command)) is not None:
            yield command if len(command) < len(found[0]) + 40 else found[0]


def _commands(text: str) -> Iterator[str]:
    """What a reader would type: the lines of fenced blocks, prompts, and code in a sentence that does not warn of it."""
    fenced = blocks(text)
    for block in fenced:
        for line in block.body.replace("\\\n", " ").splitlines():
            if not _DOES_NOTHING.match(line):
                yield line.strip()
    for line in outside(text, fenced):
        if line.lstrip().startswith("$ "):
            yield line.lstrip()[2:]
        for found in _INLINE.finditer(line):
            if not _FORBIDS.search(line[max(0, found.start() - 100) : found.start()]):
                yield found[1]
