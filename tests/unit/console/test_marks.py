"""How a reply is set on a terminal, and that a program that reads JSON sees none of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from adapters.console.client import show
from adapters.console.surface import frame_of
from adapters.console.terminal import _pieces
from core.chat import Button, File, Mark, Reply, Style

if TYPE_CHECKING:
    import pytest

ROWS = Reply("2 bids\necho  45\nend", marks=(Mark(0, 6, Style.BOLD), Mark(7, 15, Style.PRE)))
ANSWER = Reply("Run `ls`:\n\n- **all** \x1b[2J", markdown=True)


def test_the_first_line_stands_out_and_columns_are_set() -> None:
    assert [piece for piece in _pieces(frame_of(ROWS, "reply")) if piece[1]] == [
        ("class:first class:bold", "2 bids"),
        ("", "\n"),
        ("class:pre", "echo  45"),
        ("", "\nend"),
    ]


def test_a_models_answer_is_set_as_markdown_and_cannot_move_the_cursor() -> None:
    assert [piece for piece in _pieces(frame_of(ANSWER, "reply")) if piece[1]] == [
        ("", "Run "),
        ("class:code", "ls"),
        ("", ":\n\n• "),
        ("class:bold", "all"),
        ("", " \ufffd[2J"),
    ]


async def test_json_has_the_keys_of_the_contract_only(capfd: pytest.CaptureFixture[str]) -> None:
    reply = Reply(
        "x",
        task=3,
        buttons=(Button("a", "/b"),),
        files=(File("f", "/p"),),
        marks=(Mark(0, 1, Style.BOLD),),
        markdown=True,
    )
    await show(frame_of(reply, "reply"), as_json=True)
    assert set(json.loads(capfd.readouterr().out)) == {"text", "data", "task", "buttons", "files"}


async def test_a_pipe_gets_plain_text(capfd: pytest.CaptureFixture[str]) -> None:
    await show(frame_of(ANSWER, "reply"), as_json=False)
    assert capfd.readouterr().out == ANSWER.text.replace("\x1b", "") + "\n"
