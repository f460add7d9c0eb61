"""What a child makes of a request, in this process: an answer in every case that has a name."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from adapters.skills.child import perform
from adapters.skills.errors import FileClosed, SkillMemory, SkillOutput
from adapters.skills.limits import Limits
from adapters.skills.wire import ERRORS, Answer, Request
from tests.depth import first
from tests.unit.skills.conftest import CLOSED

if TYPE_CHECKING:
    from pathlib import Path


def request(root: Path, skill: str, subject: str) -> Request:
    """As the hub would send it."""
    return Request(skill, subject, {}, str(root), [str(root / "data")], str(root.parent), os.getppid(), Limits())


@pytest.mark.parametrize("skill", ["summarise", "outline", "scan", "describe", "chart"])
@pytest.mark.parametrize("name", first(2, CLOSED))
def test_every_skill_refuses_every_canary(root: Path, skill: str, name: str) -> None:
    answer = perform(request(root, skill, name))
    assert answer.error in {"FileClosed", "OutsideWorkspace", "KindUnsupported"}
    assert answer.text == ""


def test_requests_and_answers_survive_the_wire(root: Path) -> None:
    asked = request(root, "outline", "welcome.md")
    assert Request.from_json(asked.to_json()) == asked
    answer = perform(asked)
    assert answer.text.startswith("welcome.md has 1 section")
    assert Answer.from_json(answer.to_json()) == answer


def test_an_error_arrives_as_it_was() -> None:
    error = FileClosed(path="x", why="it is closed")
    arrived = Answer.from_json(Answer.of_error(error).to_json()).error_or_none()
    assert isinstance(arrived, FileClosed)
    assert str(arrived) == str(error)


def test_every_named_error_can_arrive() -> None:
    assert {"FileMissing", "SkillTimeout", "QueryMissing"} <= ERRORS.keys()
    assert len(ERRORS) > 20


@pytest.mark.parametrize(
    ("failure", "error"),
    [(MemoryError(), SkillMemory), (OSError(errno.EFBIG, "too large"), SkillOutput)],
)
def test_a_limit_that_is_hit_has_a_name(
    root: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, error: type[Exception]
) -> None:
    def fails(_: object) -> None:
        raise failure

    monkeypatch.setattr("adapters.skills.outline.outline", fails)
    assert isinstance(perform(request(root, "outline", "welcome.md")).error_or_none(), error)
