"""Errors as replies: the one place where the error tree meets a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.chat import Reply

if TYPE_CHECKING:
    from core.errors import HubError


def from_error(error: HubError) -> Reply:
    """What a person reads when something is refused or fails; `data` carries the error's code."""
    return Reply(str(error), {"ok": False, "error": error.code})
