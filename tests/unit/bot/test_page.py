"""Texts the hub makes, with their marks."""

from __future__ import annotations

from bot.page import Page
from core.chat import Mark, Style


def test_the_head_is_bold_and_columns_are_a_pre() -> None:
    reply = Page("2 bids").table([("echo", "45 sats"), ("quill", "7 sats")]).add("end").reply({"ok": True})
    assert reply.text == "2 bids\necho   45 sats\nquill  7 sats\nend"
    assert reply.marks == (Mark(0, 6, Style.BOLD), Mark(7, 35, Style.PRE))
    assert reply.text[7:35] == "echo   45 sats\nquill  7 sats"


def test_no_rows_no_table() -> None:
    assert Page("0 bids").table([]).reply({}).text == "0 bids"
