"""mace, scan: secrets (detect-secrets) and dangerous Python (bandit) in a file or folder of the workspace.

Python is a file of it, or stands fenced in Markdown.

Both read copies that were taken through the path helper, so neither opens a path of the workspace by itself, and
neither finds a configuration file there that would silence it. No value of a secret leaves this module unmasked.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from adapters.skills.alarm import FILE_SECONDS, at_most
from adapters.skills.assigned import assigned, whole
from adapters.skills.closed import shown, why_closed
from adapters.skills.errors import LineTooLong
from adapters.skills.fenced import fenced
from adapters.skills.job import counted, left_out_of, shortened, such_as, written
from adapters.skills.kinds import DOCUMENT_BYTES, SOURCE_BYTES, Kind, inspect, kind_of
from adapters.skills.texts import decode
from core.agent.skill import Outcome
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from adapters.skills.job import Job

MOST_BYTES = 50_000_000
"""How much is scanned at once; files beyond it are counted as left out."""

LONGEST_LINE = 50_000
"""The longest line in bytes that is scanned: longer ones are programs made small for machines, and take for ever."""

SCAN_SECONDS = 30.0
"""How long all files together may take; the rest of them is named as not analysed."""

_SHOWN_LETTERS = 2
_LONG_ENOUGH = 16
_MOST_NAMED = 10
_SLOW, _LONG, _UNREADABLE = "took too long", "very long lines", "no Python that can be read"
_GUESSES = frozenset({"Base64 High Entropy String", "Hex High Entropy String", "Secret Keyword"})
_NOISE = ("IPPublicDetector",)  # an address is no secret
_PASSWORD_TESTS = frozenset({"B105", "B106", "B107"})  # bandit's messages of these quote the password


class Severity(IntEnum):
    """How much a finding matters; bandit's own scale."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something found at a place; `what` is fit to be shown."""

    path: str
    line: int
    severity: Severity
    what: str
    secret: bool


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of the files to scan below `folder`, under their own relative paths, with their line counts.

    `gaps` collects which files could not be analysed whole, and why; `closed` were not read because of their names;
    `named` are the others that were left out and may be named.
    """

    folder: Path
    lines: dict[str, int]
    left_out: int
    is_whole: bool = True
    gaps: dict[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


def scan(job: Job) -> Outcome:
    """Scan the file or folder `job.subject`; the option `for` narrows it to `secrets` or `code`."""
    copies = _copy(job)
    until = time.monotonic() + SCAN_SECONDS
    wanted = job.options.get("for", "")
    findings: list[Finding] = []
    if wanted != "code":
        findings += _secrets(copies, until)
    sources = [] if wanted == "secrets" else list(_sources(copies, job.scratch / "fenced"))
    if sources:
        seen = {(finding.path, finding.line) for finding in findings}
        findings += [
            risk for risk in _risks(copies, sources, until) if not (risk.secret and (risk.path, risk.line) in seen)
        ]
    findings.sort(key=lambda finding: (-finding.severity, finding))
    rows = [*map(_row, findings), *_unread(copies.closed)]
    lines = [_headline(copies, findings), "", *rows, *([""] if rows else []), *_extent(copies)]
    if copies.lines and wanted != "secrets" and not sources:
        lines.append("There is no Python in it, and dangerous code is looked for in Python only.")
    text, is_cut = shortened(lines, "Every finding is in report.md.")
    if not is_cut:
        return Outcome(text)
    return Outcome(text, (written(job, "report.md", lines),))


def masked(value: str) -> str:
    """A secret as it may be shown: two letters and the length of a long one, nothing of a short one."""
    if len(value) < _LONG_ENOUGH:
        return f"… (fewer than {_LONG_ENOUGH} characters)"
    return f"{value[:_SHOWN_LETTERS]}… ({counted(len(value), 'character')})"


def _copy(job: Job) -> Copies:
    """Copy what is to be scanned. Raises for a single file what in a folder only counts as left out."""
    top = job.workspace.find(job.subject or ".")
    folder = job.scratch / "copies"
    if not job.workspace.is_folder(top):
        return Copies(folder, {top: _copy_file(job, top, folder / top, DOCUMENT_BYTES)}, 0)
    walk = job.workspace.walk(top)
    lines: dict[str, int] = {}
    gaps: dict[str, str] = {}
    unfit: list[str] = []
    room = MOST_BYTES
    for path in walk.files:
        try:
            lines[path] = _copy_file(job, path, folder / path, min(room, SOURCE_BYTES))
            room -= (folder / path).stat().st_size
        except LineTooLong:
            gaps[path] = _LONG
        except UserError:
            unfit.append(path)
    named = (*unfit, *walk.passed_over)
    return Copies(folder, lines, walk.left_out + len(unfit), walk.is_whole, gaps, named, walk.closed)


def _copy_file(job: Job, path: str, copy: Path, limit: int) -> int:
    """Copy one text file and count its lines."""
    with job.workspace.open(path) as file:
        inspect(file, path, Kind.TEXT, limit)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target)
    lines = copy.read_bytes().splitlines()
    if max(map(len, lines), default=0) > LONGEST_LINE:
        copy.unlink()
        raise LineTooLong(path=shown(path), limit=f"{LONGEST_LINE:,}")
    return len(lines)


def _secrets(copies: Copies, until: float) -> Iterator[Finding]:
    """What detect-secrets finds; its network checks of a secret are a filter that is not switched on here."""
    from detect_secrets.settings import default_settings  # noqa: PLC0415 - only if asked for

    found: dict[tuple[str, int, str], set[str]] = {}
    with default_settings() as settings:
        settings.disable_plugins(*_NOISE)
        for path in copies.lines:
            try:
                with at_most(until - time.monotonic()):
                    for line, value, kind in _values(copies.folder / path):
                        found.setdefault((path, line, value), set()).add(kind)
            except TimeoutError:
                copies.gaps[path] = _SLOW
    for (path, line, value), kinds in found.items():
        sure = sorted(kinds - _GUESSES)
        severity = Severity.HIGH if sure else Severity.MEDIUM
        yield Finding(path, line, severity, f"{(sure or sorted(kinds))[0]}: {masked(value)}", secret=True)


def _values(copy: Path) -> Iterator[tuple[int, str, str]]:
    """Each secret of a file: its line, its whole value, and what it is."""
    from detect_secrets.core.scan import scan_file  # noqa: PLC0415 - as above

    text = decode(copy.read_bytes())
    lines = text.split("\n")
    told: set[tuple[int, str]] = set()
    for secret in scan_file(str(copy)):
        line, value = secret.line_number, secret.secret_value or ""
        if 0 < line <= len(lines) and secret.type not in _GUESSES:
            value = whole(value, lines[line - 1])
        told.add((line, value))
        yield line, value, secret.type
    for line, value in assigned(text):
        if not any(line == other and (value in known or known in value) for other, known in told):
            yield line, value, "Secret Keyword"


def _sources(copies: Copies, folder: Path) -> Iterator[tuple[str, Path]]:
    """Where there is Python: each file of it, and each block of it in Markdown as a file of its own in `folder`."""
    numbers = count()
    for path in copies.lines:
        if PurePosixPath(path).suffix in {".py", ".pyw"}:
            yield path, copies.folder / path
        elif kind_of(path) is Kind.MARKDOWN:
            for block in fenced(decode((copies.folder / path).read_bytes())):
                folder.mkdir(exist_ok=True)
                copy = folder / f"{next(numbers)}.py"
                copy.write_text(block, encoding="utf-8")
                yield path, copy


def _risks(copies: Copies, sources: Sequence[tuple[str, Path]], until: float) -> Iterator[Finding]:
    """What bandit finds in Python; lines that their author marked `nosec` stay out, as bandit does it."""
    logging.getLogger("bandit").setLevel(logging.ERROR)
    from bandit.core.config import BanditConfig  # noqa: PLC0415 - only if there is Python
    from bandit.core.manager import BanditManager  # noqa: PLC0415

    manager = BanditManager(BanditConfig(), "file")
    for path, copy in sources:
        manager.files_list = [str(copy)]
        late = min(time.monotonic() + FILE_SECONDS, until)
        try:
            with at_most(until - time.monotonic()):
                manager.run_tests()
        except TimeoutError:
            copies.gaps[path] = _SLOW
        if manager.skipped:  # it swallows what it trips over, our alarm included
            copies.gaps.setdefault(path, _SLOW if time.monotonic() >= late else _UNREADABLE)
            manager.skipped.clear()
    paths = {str(copy): path for path, copy in sources}
    for issue in manager.get_issue_list():
        path = paths[issue.fname]
        is_password = issue.test_id in _PASSWORD_TESTS
        words = "Possible hardcoded password" if is_password else _unquoted(issue.text)
        yield Finding(path, issue.lineno, Severity[issue.severity], f"{words} ({issue.test_id})", secret=is_password)


def _unquoted(text: str) -> str:
    """The words of bandit without what they quote from the file; only their first sentence."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", text.split(". ", 1)[0]).strip().rstrip(".")


def _headline(copies: Copies, findings: Sequence[Finding]) -> str:
    extent = f"{counted(len(copies.lines), 'file')} ({counted(sum(copies.lines.values()), 'line')})"
    if not copies.lines:
        return "Nothing was scanned: " + ("there is no file here." if _is_bare(copies) else "every file was left out.")
    if not findings and (gaps := list(_gaps(copies))):
        return f"No finding in {extent}, but {' and '.join(gaps)}."
    if not findings:
        return f"Nothing suspicious was found in {extent}."
    secrets = sum(finding.secret for finding in findings)
    high = sum(finding.severity is Severity.HIGH for finding in findings)
    risks = len(findings) - secrets
    return f"Found {counted(secrets, 'possible secret')} and {counted(risks, 'risk')} in {extent}; {high} of them high."


def _gaps(copies: Copies) -> Iterator[str]:
    """Why no finding is no all-clear."""
    if copies.gaps:
        yield f"{counted(len(copies.gaps), 'file')} could not be analysed whole"
    if copies.closed:
        names = (
            "was not read because of its name" if len(copies.closed) == 1 else "were not read because of their names"
        )
        yield f"{counted(len(copies.closed), 'item')} {names}"


def _is_bare(copies: Copies) -> bool:
    return not copies.gaps and not copies.left_out and copies.is_whole


def _row(finding: Finding) -> str:
    return f"- {finding.severity.name} {finding.path}:{finding.line} {finding.what}"


def _unread(closed: Sequence[str]) -> Iterator[str]:
    """What was not read because of its name, which may be where the secrets are; names that say so come first."""
    named = sorted(closed, key=lambda path: PurePosixPath(path).name.startswith("."))[:_MOST_NAMED]
    for path in named:
        yield f"- {shown(path)} was not read: {why_closed(PurePosixPath(path).name)}"
    if more := len(closed) - len(named):
        yield f"- {more:,} more were not read because of their names"


def _extent(copies: Copies) -> Iterator[str]:
    """Lines by type of file, and what was not looked at."""
    lines: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for path, number in copies.lines.items():
        suffix = PurePosixPath(path).suffix or "no suffix"
        lines[suffix] += number
        files[suffix] += 1
    types = (f"{suffix} {counted(number, 'line')} in {files[suffix]}" for suffix, number in lines.most_common(6))
    yield f"Looked at: {', '.join(types) or 'nothing'}."
    if copies.gaps:
        named = [f"{path} ({why})" for path, why in sorted(copies.gaps.items())[:_MOST_NAMED]]
        more = len(copies.gaps) - len(named)
        yield f"Not analysed: {', '.join(named)}{f' and {more:,} more' if more else ''}."
    if left_out := left_out_of(copies.left_out, is_whole=copies.is_whole):
        yield f"Left out: {left_out} (private, secret, binary or very large){such_as(copies.named)}."
