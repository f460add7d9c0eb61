"""A result of whatever field is something else than its task: one that is its very words was not worked on. Pure, linear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.agent.checks.draft import Checked

if TYPE_CHECKING:
    from core.agent.checks.draft import Draft

WRONG = "It is the task itself, word for word. Do what the task asks for, and answer with what came of it."


def check(draft: Draft) -> Checked:
    """Whether the text is more than the task said back; case, blanks and punctuation are nothing."""
    return Checked(draft.text, (WRONG,) if _signs(draft.text) == _signs(draft.task) else ())


def _signs(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()
