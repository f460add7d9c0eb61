"""What a skill is given in its child process; what it gives back is the port's own `Outcome`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.skills.closed import shown
from core.chat import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from adapters.skills.workspace import Workspace

TEXT_LENGTH = 3_000
"""The longest answer in characters; what is longer goes into a file beside it."""

_MOST_LISTED = 20
_MOST_EXAMPLES = 4


@dataclass(frozen=True, slots=True)
class Job:
    """A task for one skill. It reads through `workspace` only; what it writes into `out` is delivered.

    `is_cut_off` says whether its process has no network: the system may not allow that.
    """

    workspace: Workspace
    subject: str
    out: Path
    scratch: Path
    options: Mapping[str, str] = field(default_factory=dict)
    is_cut_off: bool = True

    @property
    def dry(self) -> bool:
        """Whether only to see if it can be done: what would be raised is raised, and nothing is changed."""
        return "dry" in self.options


def written(job: Job, name: str, lines: Iterable[str]) -> Path:
    """A file of these lines, to be delivered; nothing in them steers the terminal of who reads it."""
    file = job.out / name
    file.write_text(readable("\n".join(lines)) + "\n", encoding="utf-8")
    return file


def shortened(lines: Iterable[str], rest: str) -> tuple[str, bool]:
    """Lines as one text of at most `TEXT_LENGTH` characters, and whether some were left out (then `rest` says so)."""
    kept: list[str] = []
    room = TEXT_LENGTH - len(rest) - 1
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return "\n".join([*kept, rest]), True
        kept.append(line)
    return "\n".join(kept), False


def left_out_of(number: int, *, is_whole: bool) -> str:
    """How many files were left out: `12`, `at least 12` of a walk that ended early, "" for none."""
    return "" if is_whole and not number else f"{number:,}" if is_whole else f"at least {number:,}"


def such_as(names: Sequence[str]) -> str:
    """The first of some names, as they go on after a comma; "" if there is none."""
    return f", such as {', '.join(map(shown, names[:_MOST_EXAMPLES]))}" if names else ""


def listed(names: Sequence[str]) -> str:
    """Names of a file in one line; of very many, the first."""
    more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(map(shown, names[:_MOST_LISTED])) + more


def counted(number: int, noun: str) -> str:
    """`1 file`, `1,203 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
