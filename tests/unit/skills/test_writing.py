"""quill: summaries and outlines that a reader would accept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.skills.blocks import Block, Document, Role
from adapters.skills.errors import NoSentences
from adapters.skills.job import TEXT_LENGTH
from adapters.skills.outline import outline, sections_of
from adapters.skills.sentences import sentences_of
from adapters.skills.summarise import summarise
from adapters.skills.texts import plain
from tests.depth import first
from tests.unit.skills import office

if TYPE_CHECKING:
    from tests.unit.skills.conftest import Jobs

SAMPLE = Path(__file__).resolve().parents[3] / "config/workspace/welcome.md"


def bullets(text: str) -> list[str]:
    return [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]


def test_the_welcome_page_is_summarised_in_its_own_sentences_in_order(root: Path, job: Jobs) -> None:
    (root / "welcome.md").write_text(SAMPLE.read_text())
    outcome = summarise(job("welcome.md"))
    assert re.match(r"welcome\.md in 5 of \d\d sentences \(\d{3} words\): Welcome to Timmy\n", outcome.text)
    places = [SAMPLE.read_text().find(sentence[:20]) for sentence in bullets(outcome.text)]
    assert len(places) == 5
    assert places == sorted(places)
    assert -1 not in places
    assert any("auction" in sentence for sentence in bullets(outcome.text))


def test_the_length_that_is_asked_for_is_kept(root: Path, job: Jobs) -> None:
    (root / "welcome.md").write_text(SAMPLE.read_text())
    assert len(bullets(summarise(job("welcome.md", sentences="2")).text)) == 2
    assert len(bullets(summarise(job("welcome.md", sentences="999")).text)) == 30


def test_a_sentence_that_says_the_same_again_is_not_taken_twice(root: Path, job: Jobs) -> None:
    same = "The auction awards the task to the lowest bid of all."
    other = "Rain is likely over the harbour in the late afternoon."
    (root / "same.txt").write_text("\n\n".join((*[same] * 3, other, same)))
    assert bullets(summarise(job("same.txt", sentences="2")).text) == [same, other]


def test_abbreviations_do_not_end_a_sentence(root: Path, job: Jobs) -> None:
    (root / "dr.txt").write_text(
        "Dr. Reed paid approx. 3.5 sats to the U.S. hub. It was fair to all of them. So they say."
    )
    assert bullets(summarise(job("dr.txt", sentences="2")).text) == [
        "Dr. Reed paid approx. 3.5 sats to the U.S. hub.",
        "It was fair to all of them.",
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("short.md", "Buy milk today.", "3 words"),
        ("one.txt", "Milk", "1 word"),
        ("list.md", "# Buy\n\n- milk\n- bread\n", "3 words"),
        ("code.md", "# Code\n\n```\nprint(1)\n```\n", "2 words"),
        ("three.txt", "Ships come in today. They carry grain. Nobody waits.", "9 words"),
    ],
)
def test_a_text_as_short_as_a_summary_is_given_back_as_it_is(
    root: Path, job: Jobs, name: str, text: str, words: str
) -> None:
    (root / name).write_text(text)
    assert summarise(job(name)).text == f"{name} is short already ({words}):\n\n{text.strip()}"


def test_a_short_pdf_is_given_back_by_its_text(root: Path, job: Jobs) -> None:
    office.pdf(root / "short.pdf", [["Buy milk today."]])
    assert summarise(job("short.pdf")).text == "short.pdf is short already (3 words):\n\nBuy milk today."


JAPANESE = (
    "港には毎朝たくさんの船が着きます。船は穀物と塩を運んできます。「今日も多いですね。」と係の人は言いました。"
    "船長は荷物の数を数えます。雨の日には船は来ません。港の仕事は朝五時に始まりますか\uff1fはい。"
)
CHINESE = "每天早上有很多船到港口。这些船运来粮食和盐。船长数货物的数量\uff01下雨天没有船来。港口的工作五点开始吗\uff1f"


@pytest.mark.parametrize(
    ("text", "sentences", "words", "one"),
    [
        (JAPANESE, 6, 87, "「今日も多いですね。」と係の人は言いました。"),
        (CHINESE, 5, 45, "下雨天没有船来。"),
        (f"We saw 港 today. It was full of ships. Nobody sang a song. {CHINESE}", 8, 58, "It was full of ships."),
    ],
)
def test_texts_without_blanks_are_cut_at_their_own_full_stops_and_counted_by_letters(
    root: Path, job: Jobs, text: str, sentences: int, words: int, one: str
) -> None:
    (root / "harbour.txt").write_text(text)
    outcome = summarise(job("harbour.txt", sentences="2")).text
    assert outcome.startswith(f"harbour.txt in 2 of {sentences} sentences")
    assert f"({words} words)" in outcome
    assert all(bullet in text for bullet in bullets(outcome))
    found, _ = sentences_of(Document("harbour.txt", tuple(plain(text))))
    assert one in [sentence.text for sentence in found]
    assert f"1 paragraph, {words} words" in outline(job("harbour.txt")).text


def test_a_sentence_of_three_words_counts(root: Path, job: Jobs) -> None:
    (root / "plain.txt").write_text("Ships bring grain. " * 3 + "Dr. Reed counts every ship at noon. Yes. No.")
    assert " in 2 of 4 sentences of 3 words or more (18 words)" in summarise(job("plain.txt", sentences="2")).text
    (root / "plain.txt").write_text("Ships bring grain. " * 3 + "Dr. Reed counts every ship at noon.")
    assert " in 2 of 4 sentences (16 words)" in summarise(job("plain.txt", sentences="2")).text


def test_a_long_document_of_code_alone_cannot_be_summarised(root: Path, job: Jobs) -> None:
    (root / "code.md").write_text("# Code\n\n```\n" + "print(1)\n" * 500 + "```\n")
    with pytest.raises(NoSentences, match="only code, headings or single words"):
        summarise(job("code.md"))


@pytest.mark.parametrize("name", ["long.txt", "long.md"])
def test_a_very_long_text_is_summarised_from_its_beginning_and_says_so(
    root: Path, job: Jobs, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.skills.documents.MOST_LETTERS", 10_000)
    text = "\n\n".join(f"Ship number {n} carries grain and salt home." for n in range(2_000))
    (root / name).write_text(text)
    head = summarise(job(name)).text.splitlines()[0]
    assert head.startswith(f"{name} in 7 of 21")
    assert "from its first 10,000 characters only" in head
    (root / name).write_text("# One\n\n" + text)
    assert "from its first 10,000 characters only" in outline(job(name)).text.splitlines()[0]


def test_sentences_beyond_those_that_are_ranked_are_not_looked_at(
    root: Path, job: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.skills.sentences.MOST_SENTENCES", 20)
    (root / "long.txt").write_text("\n\n".join(f"Ship number {n} carries grain home." for n in range(2_000)))
    assert "in 4 of its first 20 sentences" in summarise(job("long.txt")).text.splitlines()[0]


@pytest.mark.long
@pytest.mark.timeout(10)
@pytest.mark.parametrize("level", first(1, [2, 1]))
def test_an_outline_takes_no_longer_for_each_of_very_many_headings(level: int) -> None:
    blocks = [Block(Role.HEADING, "Chapter", n, 1 + n % level) for n in range(30_000)]
    assert len(sections_of(blocks)) == 30_000


def test_a_long_summary_goes_into_a_file(root: Path, job: Jobs) -> None:
    (root / "long.txt").write_text("\n\n".join(f"Ship {n} {'carries grain and salt ' * 15}home." for n in range(60)))
    outcome = summarise(job("long.txt", sentences="30"))
    assert len(outcome.text) <= TEXT_LENGTH
    assert outcome.text.endswith("The whole summary is in summary.md.")
    assert len(bullets(outcome.files[0].read_text())) == 30


def test_a_docx_and_a_pdf_are_summarised_too(root: Path, job: Jobs) -> None:
    office.word(root / "harbour.docx")
    office.pdf(root / "harbour.pdf", [["Ships arrive every morning with grain."]])
    assert "Dr. Reed counts them at noon." in summarise(job("harbour.docx")).text
    assert "Ships arrive every morning with grain." in summarise(job("harbour.pdf")).text


def test_the_outline_is_a_tree_with_word_counts(root: Path, job: Jobs) -> None:
    (root / "tree.md").write_text("# One\n\nfour words are here\n\n### Deep\n\ntwo words\n\n# Two\n\nlast\n")
    assert outline(job("tree.md")).text.splitlines() == [
        "tree.md has 3 sections on 2 levels, 10 words",
        "",
        "- One (7 words, line 1)",
        "  - Deep (2 words, line 5)",
        "- Two (1 word, line 9)",
    ]


def test_a_document_without_headings_is_outlined_by_how_it_goes_on(root: Path, job: Jobs) -> None:
    (root / "flat.txt").write_text(
        "the first paragraph\n\nthe second one, longer than ten words so that it is cut off\n"
    )
    text = outline(job("flat.txt")).text
    assert "no headings: 2 paragraphs" in text
    assert "- line 3: the second one, longer than ten words so that it … (13 words)" in text


def test_levels_that_go_up_and_down_make_a_sound_tree() -> None:
    levels = (2, 3, 1, 3, 2)
    depths = [section.depth for section in sections_of([Block(Role.HEADING, "x", 1, level) for level in levels])]
    assert depths == [0, 1, 0, 1, 1]


def test_a_long_outline_goes_into_a_file(root: Path, job: Jobs) -> None:
    (root / "long.md").write_text("\n\n".join(f"# Chapter {n}" for n in range(500)))
    outcome = outline(job("long.md"))
    assert len(outcome.text) <= TEXT_LENGTH
    assert len(bullets(outcome.files[0].read_text())) == 500
