"""For tools: a file of the workspace written, added to, changed in a place, deleted, or put back as it was.

What it held is kept first, in the folder that the hub gives. Made again after a crash, a change is made once: it goes out from
what was kept.
"""

from __future__ import annotations

import hashlib
import os
import stat
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.skills.closed import shown
from adapters.skills.errors import (
    FileChanged,
    FileMissing,
    FileThere,
    FileTooLarge,
    NothingChanges,
    NotUtf8,
    TextNotFound,
    TextSeveral,
)
from adapters.skills.job import counted
from adapters.skills.kinds import SOURCE_BYTES, spoken_size
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.skills.job import Job

BEFORE, NONE = "before", "none"
"""What a file held, and that there was none: names of what is kept."""

_WHOLE = frozenset({"replace", "remove", "back"})
"""After these nothing is left of what a file held."""

_PASSING = ".keeps"
_LIKE = 0.6
_MOST_LINES = 2_000
_MOST_NAMED = 5


def change(job: Job) -> Outcome:
    """Change `job.subject` by option `how`: new, replace, append (`content`), edit (`old`, `new`, `all`), remove, back (`kept`).

    `kept`: the folder with what is to come back. `begun`: that with what was kept when the same change was begun before. `dry`: see
    `Job`; the outcome is what was seen. `seen`: that, where all that the file holds is part of what was agreed to.
    """
    path, options = job.subject, job.options
    there = job.workspace.held(path, SOURCE_BYTES)
    begun = Path(options["begun"]) if "begun" in options else None
    was = there if begun is None else _kept(begun)
    becomes = _changed(path, was, options)
    if becomes is not None and len(becomes) > SOURCE_BYTES:
        raise FileTooLarge(path=shown(path), size=spoken_size(len(becomes)), limit=spoken_size(SOURCE_BYTES))
    if there == becomes:
        if begun is None:
            raise NothingChanges(path=shown(path))
        return Outcome(_told(path, was, becomes, options["how"]))
    if there != was or (begun is None and options.get("seen") not in {None, _mark(there)}):
        raise FileChanged(path=shown(path))
    if job.dry:
        job.workspace.may_put(path)
        return Outcome(_mark(there) if options["how"] in _WHOLE else "")
    kept = _keep(job.out, was, job.workspace.rights(path)) if begun is None else None
    if becomes is not None:
        rights = _rights(Path(options["kept"])) if options["how"] == "back" else None
        job.workspace.put(path, becomes, was=was, rights=rights)
    elif was is not None:
        job.workspace.remove(path, was=was)
    return Outcome(_told(path, was, becomes, options["how"]), () if kept is None else (kept,))


def _changed(path: str, was: bytes | None, options: Mapping[str, str]) -> bytes | None:
    """What the file is to hold; None: there is to be none."""
    how, content = options["how"], options.get("content", "").encode()
    if how == "back":
        return _kept(Path(options["kept"]))
    if how == "new" and was is not None:
        raise FileThere(path=shown(path))
    if how in {"edit", "remove"} and was is None:
        raise FileMissing(path=shown(path), hint="Write the name just as list_files shows it.")
    if how == "remove":
        return None
    if how == "edit":
        return _edited(path, was or b"", options)
    if how == "append" and was:
        return was + (b"" if was.endswith(b"\n") else b"\n") + content
    return content


def _edited(path: str, was: bytes, options: Mapping[str, str]) -> bytes:
    try:
        text = was.decode()
    except UnicodeDecodeError:
        raise NotUtf8(path=shown(path)) from None
    old, new = options["old"], options["new"]
    if "\r\n" in text and "\r\n" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\r\n", "\n").replace("\n", "\r\n")
    places = _places(text, old)
    if not places:
        raise TextNotFound(path=shown(path), hint=_nearest(text, old))
    if len(places) > 1 and options.get("all") != "1":
        raise TextSeveral(path=shown(path), count=len(places), lines=", ".join(map(str, places[:_MOST_NAMED])))
    return text.replace(old, new).encode()


def _places(text: str, old: str) -> list[int]:
    """The lines in which a text begins."""
    found, at = [], text.find(old)
    while at >= 0:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(old, at + len(old))
    return found


def _nearest(text: str, old: str) -> str:
    """Where the first line of what was looked for stands, or something like it."""
    wanted = next((line.strip() for line in old.splitlines() if line.strip()), "")
    lines = text.splitlines()[:_MOST_LINES]
    likeness = [SequenceMatcher(None, line.strip(), wanted).quick_ratio() for line in lines]
    best = max(range(len(lines)), key=likeness.__getitem__, default=None)
    if best is None or likeness[best] < _LIKE:
        return "Read it first, and give the text just as it stands there."
    return f"The nearest is line {best + 1}: {shown(lines[best].strip())}"


def _mark(held: bytes | None) -> str:
    """What a file holds, without saying it."""
    return NONE if held is None else hashlib.sha256(held).hexdigest()


def _keep(folder: Path, was: bytes | None, rights: int | None) -> Path:
    """Keep what the file held, whole and durable, before anything is changed; and, as the rights of that, who might read it."""
    kept, passing = folder / (NONE if was is None else BEFORE), folder / _PASSING
    with passing.open("wb") as file:
        file.write(was or b"")
        if rights is not None:
            os.fchmod(file.fileno(), rights)
        file.flush()
        os.fsync(file.fileno())
    passing.rename(kept)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return kept


def _kept(folder: Path) -> bytes | None:
    """What is kept there; None: that there was no file. Raises OSError where nothing is, which is not that."""
    return None if (folder / NONE).exists() else (folder / BEFORE).read_bytes()


def _rights(folder: Path) -> int:
    return stat.S_IMODE((folder / BEFORE).stat().st_mode)


def _told(path: str, was: bytes | None, becomes: bytes | None, how: str) -> str:
    if how == "remove":
        return f"{shown(path)} is deleted. restore_file brings it back."
    if becomes is None:
        return f"{shown(path)} was new, and is gone again. restore_file brings it back."
    lines = counted(len(becomes.splitlines()), "line")
    if was is None:
        return f"{shown(path)} is written: {lines}."
    return f"{shown(path)} is changed: it had {counted(len(was.splitlines()), 'line')}, and has {lines}. restore_file puts it back."
