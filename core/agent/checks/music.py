"""Music on paper: ABC notation whose bars are as long as its meter says, in the key that was asked for; chords that are chords.

Source: the ABC standard 2.1, as far as melodies of one voice need it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from core.agent.checks.draft import MOST_FAULTS, Checked, asks, blocks, named_file, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.agent.checks.draft import Block, Draft

_FIELD = re.compile(r"^([A-Za-z]):\s*(.*)$")
_LENGTH = r"(?P<length>\d{0,3}(?:/{1,3}\d{0,3})?)"
_TOKEN = re.compile(
    rf"(?P<skip>\s+|%.*|\"[^\"]*\"|![^!]*!|\{{[^}}]*\}}|[-()~.HLMOPSTuv&\\](?!\d)|\[[A-Za-z]:[^\]]*\]|y\d*)"
    rf"|(?P<bar>\|?:+\|?\d?|\|\]|\[\||\|+:?\d?|\[\d)"
    rf"|\((?P<tuplet>\d)(?::\d?){{0,2}}"
    rf"|(?P<note>(?:\^{{1,2}}|_{{1,2}}|=)?[A-Ga-g][,']{{0,5}}|[zx]|\[(?:(?:\^{{1,2}}|_{{1,2}}|=)?[A-Ga-g][,']{{0,5}}\d{{0,3}}(?:/\d{{0,3}})?){{1,12}}\]){_LENGTH}"
    rf"|(?P<rest>Z\d{{0,3}})|(?P<broken>>{{1,3}}|<{{1,3}})"
)
_CHORD = re.compile(
    r"[A-H](?:#|b|♯|♭)?(?:m|min|maj|M|dim|aug|sus|add|°|\+|ø)?\d{0,2}(?:(?:maj|sus|add|b|#|no)\d{1,2}){0,3}(?:/[A-H](?:#|b)?)?"
)
_KEY = re.compile(r"\b(?:in|key)(?:\s+of|:)?\s+([A-G](?:#|b|[ -]?sharp|[ -]?flat)?)[ -]?(major|minor|m|dur|moll)?\b")
_NAMED_KEY = re.compile(r"\bkey\b[^\n]{0,20}?\b[A-G]|\btonart\b", re.IGNORECASE)
_NAMED_TEMPO = re.compile(r"\b(?:tempo|bpm)\b", re.IGNORECASE)
_MELODY = frozenset({"abc", "melody", "tune", "score", "notation", "notes", "melodie", "noten"})
_CHORDS = frozenset({"chord", "chords", "progression", "akkorde"})
_MIN_NOTES = 4
_MOST_WRONG_BARS = 2


class _Tune(NamedTuple):
    fields: dict[str, str]
    bars: list[Fraction]
    notes: int
    unread: str


def check(draft: Draft) -> Checked:
    """See the module."""
    scores = [block for block in blocks(draft.text) if block.language == "abc" or _is_abc(block)]
    if scores:
        tune = _read(scores[0].body)
        faults = [*_wrong(tune, draft.task)]
        source = scores[0].body.strip()
        files = (
            () if faults else ((named_file(draft.task, ".abc", "tune.abc"), f"{source}\n".encode("utf-8", "replace")),)
        )
        return Checked(draft.text, tuple(faults[:MOST_FAULTS]), files)
    if asks(draft.task, *_MELODY):
        return Checked(
            draft.text,
            ("Write the melody in ABC notation, in a block fenced with ```abc, with X: T: M: L: K: lines first.",),
        )
    return Checked(draft.text, tuple(_without(draft)))


def _without(draft: Draft) -> Iterator[str]:
    """What is wrong with lyrics and chords."""
    if not asks(draft.task, "song", "lyrics", "lied", "liedtext", *_CHORDS):
        return
    if not asks(draft.task, "lyrics", "liedtext") or asks(draft.task, *_CHORDS):
        rows = [line for line in draft.text.splitlines() if _chords(line)]
        if not rows:
            yield "There are no chords: write them in lines such as | G | Em | C | D |."
        if not _NAMED_KEY.search(draft.text) or not _NAMED_TEMPO.search(draft.text):
            yield "Say key and tempo in the first line, such as: Key: G major, tempo: 96 bpm."


def _chords(line: str) -> list[str]:
    """The chords of a line that has nothing else, bars aside."""
    parts = line.replace("|", " ").replace("-", " ").replace("–", " ").split()  # noqa: RUF001
    plain = [part.strip("*`()[],") for part in parts]
    return (
        plain
        if len(plain) > 1 and all(part in {"%", "/", ":", "x2"} or _CHORD.fullmatch(part) for part in plain)
        else []
    )


def _is_abc(block: Block) -> bool:
    return block.language in {"", "text"} and re.search(r"^K:", block.body, re.MULTILINE) is not None


def _read(source: str) -> _Tune:
    score = _Score()
    for line in source.splitlines():
        if said := _FIELD.match(line):
            score.fields.setdefault(said[1], said[2].partition("%")[0].strip())
        elif line.strip() and not line.startswith("%"):
            score.take(line)
    score.close()
    return _Tune(score.fields, score.bars, score.notes, score.unread)


@dataclass(slots=True)
class _Score:
    """A tune as far as it was read."""

    fields: dict[str, str] = field(default_factory=dict)
    bars: list[Fraction] = field(default_factory=list)
    notes: int = 0
    unread: str = ""
    _filled: Fraction = Fraction(0)
    _times: Fraction = Fraction(1)
    _grouped: int = 0

    def take(self, line: str) -> None:
        """Read a line of notes."""
        at, unit = 0, _unit(self.fields)
        while at < len(line):
            token = _TOKEN.match(line, at)
            if token is None:
                self.unread = self.unread or line[at:]
                return
            at = token.end()
            if token["bar"]:
                self.close()
            elif token["tuplet"]:
                self._grouped = int(token["tuplet"])
                self._times = _TUPLETS.get(self._grouped, Fraction(1))
            elif token["note"]:
                self._note(token["note"], unit * _length(token["length"]))
            elif token["rest"]:
                self._filled += _meter(self.fields) or 0

    def close(self) -> None:
        """A bar ends."""
        if self._filled:
            self.bars.append(self._filled)
        self._filled = Fraction(0)

    def _note(self, note: str, length: Fraction) -> None:
        self.notes += note not in {"z", "x"}
        self._filled += length * self._times if self._grouped else length
        self._grouped = max(0, self._grouped - 1)


_TUPLETS = {
    2: Fraction(3, 2),
    3: Fraction(2, 3),
    4: Fraction(3, 4),
    5: Fraction(2, 5),
    6: Fraction(1, 3),
    7: Fraction(2, 7),
    8: Fraction(3, 8),
}
"""How much shorter the notes of a group are; of 5, 7 and 9 in a simple meter."""


def _wrong(tune: _Tune, task: str) -> Iterator[str]:
    missing = [name for name in ("X", "T", "M", "K") if not tune.fields.get(name)]
    if missing:
        yield f"The ABC has no {', '.join(f'{name}:' for name in missing)} line."
        return
    if tune.unread:
        yield f"This is no ABC notation: {quote(tune.unread)}."
        return
    if tune.notes < _MIN_NOTES:
        yield "The ABC has no melody."
    meter = _meter(tune.fields)
    if meter is not None and "V" not in tune.fields:
        wrong = [n for n, bar in enumerate(tune.bars, 1) if bar != meter and 1 < n < len(tune.bars)]
        wrong += [len(tune.bars)] if tune.bars and tune.bars[-1] > meter else []
        if wrong[:1]:
            named = ", ".join(f"bar {n} is {tune.bars[n - 1]}" for n in wrong[:_MOST_WRONG_BARS])
            unit = f"in whole notes, with L:{tune.fields.get('L') or _unit(tune.fields)}"
            yield f"The bars do not fit the meter {tune.fields['M']}: {named}, counted {unit}."
    asked = _KEY.search(task)
    if asked and not _same_key(asked, tune.fields["K"]):
        yield f"The task asks for {asked[1]} {asked[2] or ''}".rstrip() + f", and the key is {quote(tune.fields['K'])}."


def _same_key(asked: re.Match[str], key: str) -> bool:
    wanted = asked[1].replace("sharp", "#").replace("flat", "b").replace(" ", "").replace("-", "")
    found = re.match(r"([A-G][#b]?)\s*(m(?!aj)|min)?", key)
    minor = (asked[2] or "") in {"minor", "m", "moll"}
    return found is not None and found[1] == wanted and (asked[2] is None or bool(found[2]) is minor)


def _meter(fields: dict[str, str]) -> Fraction | None:
    given = {"C": "4/4", "C|": "2/2"}.get(fields.get("M", ""), fields.get("M", ""))
    found = re.fullmatch(r"(\d{1,2})/(\d{1,2})", given)
    return Fraction(int(found[1]), int(found[2])) if found and int(found[2]) else None


def _unit(fields: dict[str, str]) -> Fraction:
    found = re.fullmatch(r"(\d)/(\d{1,2})", fields.get("L", ""))
    if found and int(found[2]):
        return Fraction(int(found[1]), int(found[2]))
    meter = _meter(fields)
    return Fraction(1, 16) if meter is not None and meter < Fraction(3, 4) else Fraction(1, 8)


def _length(written: str) -> Fraction:
    over, slash, under = written.partition("/")
    halves = 1 + under.count("/")
    below = under.replace("/", "")
    divided = int(below) if below else (2**halves if slash else 1)
    return Fraction(int(over or 1), max(1, divided))
