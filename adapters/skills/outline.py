"""quill, outline: the headings of a document as a tree, each with the words below it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adapters.skills.blocks import UNSPACED, Role, count_words
from adapters.skills.documents import read_document
from adapters.skills.job import counted, shortened, written
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.skills.blocks import Block, Document
    from adapters.skills.job import Job

_OPENING_WORDS = 10
_OPENING_LETTERS = 30
"""How much of a paragraph is shown that has no blanks between its words."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading: its depth in the tree (from 0), its own words and those of the sections below it."""

    title: str
    depth: int
    words: int
    place: int


@dataclass(frozen=True, slots=True)
class _Open:
    """A section that has not ended yet: its number, its level, and how many words of the document stand above it."""

    number: int
    level: int
    words: int


def outline(job: Job) -> Outcome:
    """Outline the document `job.subject`."""
    document = read_document(job.workspace, job.workspace.find(job.subject))
    sections = sections_of(document.blocks)
    lines = _tree(document, sections) if sections else _openings(document)
    text, is_cut = shortened(lines, "The whole outline is in outline.md.")
    if not is_cut:
        return Outcome(text)
    return Outcome(text, (written(job, "outline.md", lines),))


def sections_of(blocks: Sequence[Block]) -> list[Section]:
    """The sections of a document in order; a level that is skipped (1, then 3) makes no gap in depth."""
    sections: list[Section] = []
    above: list[_Open] = []
    words = 0
    for block in blocks:
        own = _words(block)
        if block.role is Role.HEADING:
            while above and above[-1].level >= block.level:
                _close(sections, above.pop(), words)
            above.append(_Open(len(sections), block.level, words + own))
            sections.append(Section(block.text, len(above) - 1, 0, block.place))
        words += own
    while above:
        _close(sections, above.pop(), words)
    return sections


def _close(sections: list[Section], section: _Open, words: int) -> None:
    """Note how many words stand below a heading, once it is known where its section ends."""
    sections[section.number] = replace(sections[section.number], words=words - section.words)


def _tree(document: Document, sections: Sequence[Section]) -> list[str]:
    depth = 1 + max(section.depth for section in sections)
    total = sum(map(_words, document.blocks))
    head = f"{document.path} has {counted(len(sections), 'section')} on {counted(depth, 'level')}, {total:,} words{document.extent}"
    title = f": {document.title}" if document.title not in {document.path, sections[0].title} else ""
    rows = (
        f"{'  ' * section.depth}- {section.title} ({counted(section.words, 'word')}, {document.unit} {section.place})"
        for section in sections
    )
    return [head + title, "", *rows]


def _openings(document: Document) -> list[str]:
    """Without headings, how each paragraph begins."""
    blocks = [block for block in document.blocks if block.role in {Role.PARAGRAPH, Role.ITEM}]
    total = sum(map(_words, document.blocks))
    extent = f"{counted(len(blocks), 'paragraph')}, {total:,} words{document.extent}"
    head = f"{document.path} has no headings: {extent}. They begin:"
    rows = (
        f"- {document.unit} {block.place}: {_opening(block.text)} ({counted(_words(block), 'word')})"
        for block in blocks
    )
    return [head, "", *rows]


def _opening(text: str) -> str:
    if UNSPACED.search(text):
        return text[:_OPENING_LETTERS] + ("…" if len(text) > _OPENING_LETTERS else "")
    words = text.split()
    return " ".join(words[:_OPENING_WORDS])[:100] + (" …" if len(words) > _OPENING_WORDS else "")


def _words(block: Block) -> int:
    return 0 if block.role is Role.TITLE else count_words(block.text)
