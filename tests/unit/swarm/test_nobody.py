"""Why nobody does a task: what is lacking, who might have it, and what to write."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.swarm.nobody import nobody
from core.swarm.roster import Roster
from core.swarm.task import Status, Task
from tests.scenario.bot import ECHO, QUILL

TASK = Task(
    id=7, requester="console:owner", account="user:console:owner", conversation="c", status=Status.BIDDING, description="book it",
    budget=1, hold=None, pick="auto", only=None, attempt=1, attempts=1, posted_at=0, deadline=9,
)  # fmt: skip
NOT_NOW = "no agent here can do this now: "
WITH = "no agent here can do this with small:1b now: "
KINDS = "Say what kind of work it is (research, writing)"
PEOPLE = "People may bid too where pick=ask is added"
NONE = "its words are in no agent's field"


@pytest.mark.parametrize(
    ("away", "changed", "why"),
    [
        ("", {}, f"{NONE}. {KINDS}, for example: /task research: book it. {PEOPLE}"),
        ("", {"description": "book it " * 20}, f"{NONE}. {KINDS}. {PEOPLE}"),
        (
            "",
            {"only": "quill"},
            f"quill does writing, and its words are not of that. {KINDS}, for example: /task writing: book it to=quill. {PEOPLE}",
        ),
        (
            "quill",
            {"description": "write a poem"},
            "it is work for quill, of whom none is here. Have one join with /spawn quill, then /retry T-7",
        ),
        ("quill echo", {}, NONE),
        ("", {"requester": "l402:ab"}, NONE),
        (
            "quill",
            {"requester": "l402:ab", "description": "write a poem"},
            "it is work for quill, of whom none is here",
        ),
    ],
)
async def test_it_is_told_what_is_lacking(away: str, changed: dict[str, Any], why: str) -> None:
    class Rows:
        async def write(self, work: Any) -> Any:
            rows = [(name, name, name not in away.split()) for name in ("echo", "quill")]
            return work(SimpleNamespace(agents=SimpleNamespace(all=lambda: rows)))

    roster = Roster(cast("Any", Rows()), [ECHO, QUILL])
    await roster.load()
    assert nobody(TASK._replace(**changed), (), roster) == NOT_NOW + why


async def test_of_a_task_for_one_model_it_is_told_too() -> None:
    roster = Roster(cast("Any", None), [ECHO])
    assert nobody(TASK._replace(model="small:1b"), (), roster) == f"{WITH}{NONE}"
