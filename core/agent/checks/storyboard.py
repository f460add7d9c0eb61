"""Storyboards: a table with scenes whose seconds add up to what was asked for; and subtitles whose times are in order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.agent.checks.draft import MOST_FAULTS, Checked, asks, named_file, quote, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.agent.checks.draft import Draft

_PLANS = frozenset(
    {"storyboard", "video", "film", "clip", "trailer", "shots", "scenes", "spot", "reel", "ad", "teaser"}
)
_SUBTITLES = frozenset({"subtitle", "subtitles", "srt", "captions", "untertitel"})
_TIME_COLUMN = re.compile(r"\b(?:seconds?|secs?|s|duration|time|length|dauer|sekunden)\b", re.IGNORECASE)
_SECONDS = re.compile(
    r"(\d{1,4}(?:\.\d{1,2})?)\s*(?:(?P<minutes>min|mins|minutes?|minuten?)|s|sec|secs|seconds?|sekunden)?\.?",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_OF_EACH = ("each", "per", "every", "clips", "videos", "je", "jeweils")
_SPAN = re.compile(r"(?:(\d{1,2}):)?(\d{1,4})\s*(?:s\s*)?[-–—]\s*(?:(\d{1,2}):)?(\d{1,4})\s*s?")  # noqa: RUF001
_ASKED = re.compile(
    r"\b(\d{1,4}|one|two|three|half a)[ -]?(s|sec|seconds?|min|minutes?|sekunden|minuten?)\b", re.IGNORECASE
)
_COUNTS = {"one": 1.0, "two": 2.0, "three": 3.0, "half a": 0.5}
_TOTAL = frozenset({"total", "sum", "gesamt", "summe"})
_SRT_TIME = re.compile(r"(\d{2}):(\d{2}):(\d{2}),(\d{3}) --> (\d{2}):(\d{2}):(\d{2}),(\d{3})")
_SLACK = 0.1
_MIN_COLUMNS = 3


def check(draft: Draft) -> Checked:
    """See the module."""
    if asks(draft.task, *_SUBTITLES):
        return _subtitles(draft)
    rows = table(draft.text)
    if not rows:
        faults = (
            ["Write the storyboard as a Markdown table: | scene | seconds | shot | sound |."]
            if asks(draft.task, *_PLANS)
            else []
        )
        return Checked(draft.text, tuple(faults))
    return Checked(draft.text, tuple([*_wrong(rows, draft.task)][:MOST_FAULTS]))


def _wrong(rows: list[list[str]], task: str) -> Iterator[str]:
    head, *scenes = rows
    column = next((n for n, cell in enumerate(head) if _TIME_COLUMN.search(cell)), None)
    if column is None or len(head) < _MIN_COLUMNS:
        yield "The table needs a column seconds, one for what is seen, and one for what is heard."
        return
    scenes = [row for row in scenes if not any(cell.lower().strip("*: ") in _TOTAL for cell in row)]
    if not scenes:
        yield "The storyboard has no scene."
        return
    lengths = [_seconds(row[column]) if column < len(row) else None for row in scenes]
    for row, length in zip(scenes, lengths, strict=True):
        if length is None or length <= 0:
            yield f"The scene {quote(' | '.join(row))} has no seconds."
        elif sum(not cell for cell in row) > len(row) - _MIN_COLUMNS:
            yield f"The scene {quote(' | '.join(row))} does not say what is seen."
    whole = sum(filter(None, lengths))
    asked = _asked(task)
    if asked and None not in lengths and abs(whole - asked) > asked * _SLACK:
        yield f"The scenes are {whole:g} seconds long together, and {asked:g} are asked for."


def _asked(task: str) -> float | None:
    """The seconds that a task asks for; of several, which may be of scenes, the longest. None if they may be of something else."""
    if asks(task, *_OF_EACH):
        return None
    found = [_COUNTS.get(count.lower()) or float(count) for count, _ in _ASKED.findall(task)]
    units = [60 if unit.lower().startswith("m") else 1 for _, unit in _ASKED.findall(task)]
    return max((count * unit for count, unit in zip(found, units, strict=True)), default=0) or None


def _seconds(cell: str) -> float | None:
    """The length of a scene: `5`, `5 s`, `1 min`, `0:05`, or from one time to another."""
    plain = cell.strip("*` ")
    if span := _SPAN.fullmatch(plain):
        begin, end = int(span[1] or 0) * 60 + int(span[2]), int(span[3] or 0) * 60 + int(span[4])
        return float(end - begin)
    if clock := _CLOCK.fullmatch(plain):
        return float(int(clock[1]) * 60 + int(clock[2]))
    found = _SECONDS.fullmatch(plain)
    return float(found[1]) * (60 if found["minutes"] else 1) if found else None


def _subtitles(draft: Draft) -> Checked:
    body = draft.text.replace("\r", "")
    times = [_SRT_TIME.search(line) for line in body.splitlines() if "-->" in line]
    if not times or None in times:
        return Checked(
            draft.text,
            ("Write the subtitles as SRT: a number, 00:00:01,000 --> 00:00:03,500, the text, an empty line.",),
        )
    spans = [_span(found) for found in times if found]
    faults = [f"Subtitle {n} ends before it begins." for n, (begin, end) in enumerate(spans, 1) if end <= begin]
    faults += [
        f"Subtitle {n} begins before the one above it ends."
        for n in range(2, len(spans) + 1)
        if spans[n - 1][0] < spans[n - 2][1]
    ]
    lines = [line for line in body.splitlines() if not line.startswith(("```", "~~~"))]
    source = "\n".join(lines).strip()
    files = (
        () if faults else ((named_file(draft.task, ".srt", "subtitles.srt"), f"{source}\n".encode("utf-8", "replace")),)
    )
    return Checked(draft.text, tuple(faults[:MOST_FAULTS]), files)


def _span(found: re.Match[str]) -> tuple[int, int]:
    parts = [int(part) for part in found.groups()]
    begin, end = parts[:4], parts[4:]
    return _milliseconds(begin), _milliseconds(end)


def _milliseconds(parts: list[int]) -> int:
    hours, minutes, seconds, rest = parts
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest
