"""What a check of `timmy doctor` found."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from core.errors import HubError


class Severity(StrEnum):
    """How bad a failed check is. Only errors end with exit code 1."""

    ERROR = "error"
    WARNING = "warning"


class Finding(NamedTuple):
    """A check that was made. `id` never changes its meaning; `says` is what was seen, `fix` what to do (empty: nothing)."""

    id: str
    ok: bool
    severity: Severity
    says: str
    fix: str = ""


def check(name: str, says: str, wrong: str = "", fix: str = "", severity: Severity = Severity.ERROR) -> Finding:
    """A check that holds unless something is `wrong`."""
    return Finding(name, not wrong, severity, wrong or says, fix if wrong else "")


def refused(name: str, error: HubError) -> Finding:
    """A check that failed as a start would: the last sentence of an error is what to do."""
    says, _, fix = str(error).rpartition(". ")
    return check(name, "", says or fix, fix if says else "")
