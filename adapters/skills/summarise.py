"""quill, summarise: a document in its own most telling sentences, in their order."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

from adapters.skills import sentences
from adapters.skills.blocks import count_words
from adapters.skills.closed import shown
from adapters.skills.documents import read_document
from adapters.skills.errors import NoSentences
from adapters.skills.job import counted, shortened, written
from adapters.skills.sentences import best, sentences_of
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from adapters.skills.job import Job

_FEWEST, _USUAL, _MOST = 3, 7, 30
_LONGEST = 420
_SHORT = 1_000
"""How many characters a text may have to be given back as it is, where a summary would be all of it."""


def summarise(job: Job) -> Outcome:
    """Summarise the document `job.subject`; the option `sentences` says in how many sentences (1 to 30)."""
    document = read_document(job.workspace, job.workspace.find(job.subject))
    found, is_any_short = sentences_of(document)
    words = sum(count_words(block.text) for block in document.blocks)
    if len(found) <= _wanted(job, len(found)) and len(document.plain) <= _SHORT:
        return Outcome(f"{document.path} is short already ({counted(words, 'word')}):\n\n{document.plain}")
    if not found:
        raise NoSentences(path=shown(document.path))
    ranked = found[: sentences.MOST_SENTENCES]
    chosen = [ranked[place] for place in best(ranked, _wanted(job, len(ranked)), document.title)]
    first = "its first " if len(ranked) < len(found) else ""
    length = f" of {sentences.FEWEST_WORDS} words or more" if is_any_short else ""
    extent = f"{first}{counted(len(ranked), 'sentence')}{length} ({words:,} words){document.extent}"
    head = f"{document.path} in {len(chosen)} of {extent}"
    title = f": {document.title}" if document.title != document.path else ""
    lines = [f"{head}{title}", ""]
    lines += [f"- {_bounded(sentence.text)}" for sentence in chosen]
    text, is_cut = shortened(lines, "The whole summary is in summary.md.")
    if not is_cut:
        return Outcome(text)
    return Outcome(text, (written(job, "summary.md", lines),))


def _wanted(job: Job, total: int) -> int:
    asked = job.options.get("sentences", "")
    if asked.isdecimal():
        return max(1, min(_MOST, int(asked)))
    return max(_FEWEST, min(_USUAL, isqrt(total)))


def _bounded(sentence: str) -> str:
    return sentence if len(sentence) <= _LONGEST else sentence[:_LONGEST].rsplit(" ", 1)[0] + " …"
