"""No result breaks a check or holds it up: whatever the text, each answers in time that grows with its length alone."""

from __future__ import annotations

import random  # noqa: TID251 - seeded: the same texts for ever
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.agent.checks.catalogue import CHECKS, checked
from core.agent.checks.draft import MOST_FAULTS, Draft
from core.agent.needs import called_for, needs
from core.agent.session import Called, Step
from tests.depth import depth

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 32 * 1024
"""Characters of a result (`Bounds`)."""

SECONDS = 1.0
"""Of the processor, for one check of the longest result; the slowest takes a thirtieth of it."""

TASK = "draw a logo, a melody in G major, chords, a storyboard of 30 seconds, with tests, at most 5 words, in German, subtitles"
TASKS = [TASK, "write a function", "how full is the disk", "average of 3 and 4.5", ""]
PIECES = [
    *("<svg", "</svg>", "<svg viewBox='0 0 1 1'>", "<a b='c'>", "&amp;", "&", "<!DOCTYPE a [", "<?a ?>", "<![CDATA[", "]]>"),
    *("`", "```", "```abc\nX:1\nT:t\nM:4/4\nK:C\n", "```python\n", "```json\n", "\n```\n", "~~~", "def f(", "(", ")", "[", "]"),
    *("|", "\n| a | b | seconds |\n|---|---|---|\n", "| 1 | 2 | 3 |\n", "- HIGH | a.py:1 | b | c\n", "- ", "* ", "1. ", "\n"),
    *("1,234 ", "12.5 ", "1e9", "-", "−", "0", "9" * 40, "1/0", "a.b/", "a/", "notes.md ", "https://a.b/c ", "://", "no source"),
    *("rm -rf -x ", "rm -r /usr/", "dd if of=/dev/", "curl a ", "find / a ", "git push x ", "compose down ", "> /dev/", "never "),
    *("[CEG]", "^^A,,", "(3", "(9", "z4/", "C///", "|:", ":|2", "[K:", '"', "!", "M:0/0\n", "L:1/0\n", "K:\n", "V:1\n", "Z9"),
    *("the and of to is ", "der die das und ", "in german ", "at most 5 words ", "genau 3 ", "a. ", "…", "# ", "$ ", "{", "}"),
    *("1:00-2:00", "30 s", "\x00", "\ud83d", "\U0010fffd", "é", "中", "\r", "#1a2b3c ", "key of ", "half a minute ", "\n\n", " "),
    *("00:00:01,000 --> 00:00:02,000\n", "Not known:", "url(#a)", "\\"),
]  # fmt: skip


def judge(text: str, task: str) -> None:
    """Every check of a text; what is delivered is so only where nothing is wrong."""
    for name in CHECKS:
        found = checked([name], Draft(task, text, [Step("", (Called("read_file", {"path": text[:50]}, text[:5000]),))]))
        assert len(found.faults) <= MOST_FAULTS
        assert all(len(fault) < 600 and "\n" not in fault for fault in found.faults), found.faults
        assert not (found.files and found.faults)
        assert len(found.text) <= len(text) + 100
    needs(text)
    called_for(text)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=30).map("".join), st.sampled_from(TASKS))
@settings(max_examples=depth(25, 5_000), deadline=None)
def test_no_text_breaks_a_check(text: str, task: str) -> None:
    judge(text, task)
    judge(task, text)


def long_texts(number: int) -> Iterator[str]:
    """Texts of the greatest length: one piece for ever, a few in any order, or one run behind another."""
    draw = random.Random(20_261_126)  # noqa: S311 - no secret
    for _ in range(number):
        few = draw.sample(PIECES, draw.randint(1, 4))
        runs = [few[0] * draw.randint(1, 3000), few[-1] * LONGEST]
        yield "".join(draw.choice([runs, draw.choices(few, k=LONGEST)]))[:LONGEST]


@pytest.mark.long
def test_no_text_holds_one_up() -> None:
    slow = []
    for text in [*(piece * LONGEST for piece in PIECES), *long_texts(depth(20, 400))]:
        draft = Draft(TASK, text[:LONGEST])
        for name in CHECKS:
            before = time.process_time()
            checked([name], draft)
            checked([name], Draft(text[:LONGEST], text[:LONGEST]))
            if (took := time.process_time() - before) > 2 * SECONDS:
                slow.append((name, round(took, 2), text[:60]))
        before = time.process_time()
        needs(text[:LONGEST])
        called_for(text[:LONGEST])
        if (took := time.process_time() - before) > SECONDS:
            slow.append(("needs", round(took, 2), text[:60]))
    assert slow == []
