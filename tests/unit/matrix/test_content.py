"""What a server hands over of an event is read as far as it is what it should be."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.matrix.content import BUTTONS, labels, newest_edit


def test_the_buttons_of_an_edit_count() -> None:
    edit = {"content": {BUTTONS: {"Old": "1-0"}, "m.new_content": {BUTTONS: {"Cancel": "2-0"}}}}
    assert labels({"content": {BUTTONS: {"Old": "1-0"}}}) == {"Old": "1-0"}
    assert labels(edit) == {"Cancel": "2-0"}
    assert newest_edit({"unsigned": {"m.relations": {"m.replace": edit}}}) == edit


@pytest.mark.parametrize("odd", [None, 5, "x", [], {"m.relations": 5}, {"m.relations": {"m.replace": 5}}])
def test_what_is_none_is_none(odd: Any) -> None:
    assert newest_edit({"unsigned": odd}) is None
    assert labels({"content": odd}) == {}
