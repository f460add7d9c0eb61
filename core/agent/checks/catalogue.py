"""Every check by its name, as `config/personas.toml` names them. Imported for the first result of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.agent.checks import code, commands, drawing, findings, hollow, music, numbers, prose, sources, storyboard
from core.agent.checks.draft import Checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.agent.checks.draft import Draft

CHECKS: Mapping[str, Callable[[Draft], Checked]] = {
    "code": code.check,
    "commands": commands.check,
    "drawing": drawing.check,
    "findings": findings.check,
    "music": music.check,
    "numbers": numbers.check,
    "prose": prose.check,
    "sources": sources.check,
    "storyboard": storyboard.check,
}


def checked(names: Sequence[str], draft: Draft) -> Checked:
    """A result by all of these checks, one after the other; each is given what the one before it left.

    One that says nothing is none, and is not looked at further.
    """
    if why := hollow.fault(draft):
        return Checked(draft.text, (why,))
    faults: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    for name in names:
        found = CHECKS[name](draft)
        draft = draft._replace(text=found.text)
        faults, files = (*faults, *found.faults), (*files, *found.files)
    return Checked(draft.text, faults, files)
