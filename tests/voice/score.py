"""How well phrases are understood: rates, misses and the confusion table over a corpus of labelled phrases.

`python -m tests.voice.score [FILE]` prints them; the page docs/nlu.md quotes the table of the kept third.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from core.voice.commands import READS
from core.voice.intent import Intent, Known, understand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.voice.intent import Meaning

FOLDER = Path(__file__).parent
WORK, KEPT = FOLDER / "phrases.jsonl", FOLDER / "kept.jsonl"
MORE = FOLDER / "more.jsonl"
"""Phrases of our own making, by intent and command: what was once put right stays right. No rate is taken from them."""

KNOWN = Known(
    frozenset({"echo", "mace", "helm", "seer", "forge", "quill", "pixel", "lyra", "reel", "quill-2"}),
    frozenset({"ann", "bob", "carol"}),
    range(1, 41),
)
"""What the corpus takes for granted."""


class Phrase(NamedTuple):
    """A labelled phrase."""

    text: str
    intent: str
    command: str | None
    entities: Mapping[str, str]


class Scored(NamedTuple):
    """A phrase and what became of it."""

    phrase: Phrase
    meaning: Meaning

    @property
    def intent(self) -> bool:
        """Whether the intent is right."""
        return self.meaning.intent.value == self.phrase.intent

    @property
    def command(self) -> bool:
        """Whether the command is, apart from spacing and case."""
        return same(self.meaning.command) == same(self.phrase.command)

    @property
    def both(self) -> bool:
        """Whether both are."""
        return self.intent and self.command

    @property
    def entities(self) -> bool:
        """Whether every entity is there, with its value, and no other."""
        return dict(self.meaning.entities) == dict(self.phrase.entities)

    @property
    def dangerous(self) -> bool:
        """Whether chat became a command that does more than read."""
        return self.phrase.intent == Intent.CHAT and acts(self.meaning.command)

    def __str__(self) -> str:
        wanted, got = self.phrase, self.meaning
        return (
            f"{wanted.text!r}: wanted {wanted.intent} {wanted.command!r} {dict(wanted.entities)}, "
            f"got {got.intent.value} {got.command!r} {dict(got.entities)}"
        )


def acts(command: str | None) -> bool:
    """Whether a command does more than read."""
    return command is not None and command[1:].partition(" ")[0] not in READS


def same(command: str | None) -> str | None:
    """A command as it is compared: spaces collapsed, case folded."""
    return None if command is None else " ".join(command.split()).casefold()


def corpus(file: Path) -> list[Phrase]:
    """The labelled phrases of a file, one JSON object a line."""
    rows = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    return [Phrase(row["text"], row["intent"], row["command"], row.get("entities") or {}) for row in rows]


def score(phrases: Iterable[Phrase], known: Known = KNOWN) -> list[Scored]:
    """Every phrase with what it is understood to mean."""
    return [Scored(phrase, understand(phrase.text, known)) for phrase in phrases]


def rate(hits: Iterable[bool]) -> float:
    """The share of hits."""
    counted = Counter(hits)
    return counted[True] / max(counted.total(), 1)


def confusion(pairs: Iterable[tuple[str, str]]) -> str:
    """A Markdown table: a row for each labelled intent, a column for each that was understood."""
    counted = Counter(pairs)
    names = [intent.value for intent in Intent if any(intent.value in pair for pair in counted)]
    lines = [f"| labelled \\ understood | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for row in names:
        cells = (str(counted[row, column] or "") for column in names)
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(scored: Sequence[Scored]) -> str:
    """Rates, the confusion table and the misses, as Markdown."""
    figures = {
        "intent": rate(one.intent for one in scored),
        "command": rate(one.command for one in scored),
        "intent and command": rate(one.both for one in scored),
        "entities": rate(one.entities for one in scored),
    }
    lines = [f"{len(scored)} phrases; " + ", ".join(f"{name} {share:.1%}" for name, share in figures.items()) + "."]
    lines += [f"Chat that became an acting command: {sum(one.dangerous for one in scored)}.", ""]
    lines += [confusion((one.phrase.intent, one.meaning.intent.value) for one in scored)]
    misses = [str(one) for one in scored if not (one.both and one.entities)]
    return "\n".join([*lines, *(["", *misses] if misses else [])])


def main() -> None:
    """Print the report of a corpus: the kept third, or the working set where there is none."""
    file = Path(sys.argv[1]) if sys.argv[1:] else KEPT if KEPT.exists() else WORK
    print(report(score(corpus(file))))  # noqa: T201


if __name__ == "__main__":
    main()
