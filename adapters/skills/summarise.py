"""quill, summarise: a document in its own most telling sentences, in their order."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

from adapters.skills.documents import read_document
from adapters.skills.errors import NoSentence
from adapters.skills.job import counted, shortened, written
from adapters.skills.sentences import MOST_SENTENCES, best, sentences_of
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from adapters.skills.job import Job

_FEWEST, _USUAL, _MOST = 3, 7, 30
_LONGEST = 420


def summarise(job: Job) -> Outcome:
    """Summarise the document `job.subject`; the option `sentences` says in how many sentences (1 to 30)."""
    document = read_document(job.workspace, job.workspace.find(job.subject))
    sentences = sentences_of(document)
    if not sentences:
        raise NoSentence(path=document.path)
    ranked = sentences[:MOST_SENTENCES]
    chosen = [ranked[place] for place in best(ranked, _wanted(job, len(sentences)), document.title)]
    words = sum(len(block.text.split()) for block in document.blocks)
    cut = "" if len(ranked) == len(sentences) else f", chosen from the first {MOST_SENTENCES:,}"
    head = f"{document.path} in {len(chosen)} of {counted(len(sentences), 'sentence')} ({words:,} words){cut}"
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
