"""What a server hands over of an event is read as far as it is what it should be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.markup import Rich
from adapters.matrix.content import BUTTONS, labels, message, newest_edit, replacing, texts
from core.chat import Mark, Reply, Style


def test_the_buttons_of_an_edit_count() -> None:
    edit = {"content": {BUTTONS: {"Old": "1-0"}, "m.new_content": {BUTTONS: {"Cancel": "2-0"}}}}
    assert labels({"content": {BUTTONS: {"Old": "1-0"}}}) == {"Old": "1-0"}
    assert labels(edit) == {"Cancel": "2-0"}
    assert newest_edit({"unsigned": {"m.relations": {"m.replace": edit}}}) == edit


def test_no_client_is_to_fetch_the_addresses_in_a_message() -> None:
    said = message(Rich("See https://evil.example/?notes=nine"), notice=False, buttons={})
    edit = replacing("$1", said)
    for content in (said, edit, edit["m.new_content"]):
        assert content["m.url_previews"] == content["com.beeper.linkpreviews"] == []
        assert content["uk.half-shot.unstable.show_url_previews"] is False


@pytest.mark.parametrize("text", ["word ", "слово ", "你好", "😀", "\n", '"<&', "\u200b"])
def test_every_piece_fits_into_an_event_edited_and_encrypted_too(text: str) -> None:
    whole = text * 6_000 + "."
    for piece in texts(Reply(whole, marks=(Mark(0, len(whole), Style.QUOTE),))):
        said = replacing("$1", message(piece, notice=True, buttons={"Accept": "17-0"}))
        assert len(json.dumps(said)) * 4 / 3 < 62_000


@pytest.mark.parametrize("odd", [None, 5, "x", [], {"m.relations": 5}, {"m.relations": {"m.replace": 5}}])
def test_what_is_none_is_none(odd: Any) -> None:
    assert newest_edit({"unsigned": odd}) is None
    assert labels({"content": odd}) == {}
