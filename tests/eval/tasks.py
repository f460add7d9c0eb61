"""The task set: for each task what is asked and of whom, what is expected, and two reference answers, a good and a bad one."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import personas
from core.agent.changing import Work, delivered, named, untested
from core.agent.checks.catalogue import checked
from core.agent.checks.draft import Draft
from core.agent.prompt import CANNOT
from core.agent.session import Called, Step
from tests.eval.expect import Outcome, expect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.eval.expect import Expect

FOLDER = Path(__file__).parent / "tasks"
ROSTER = {one.name: one._replace(skills=()) for one in personas.load()}
"""The hub's personas as they work with a model: what a skill does for them is no matter of the model's."""

AGENT = "agent"
"""Who is asked where it is no persona: the hub's own agent."""


@dataclass(frozen=True)
class Reference:
    """An answer, and what is called on the way: by name and arguments, each with what it comes to where no file says so."""

    text: str
    calls: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Case:
    """One task. `files` are in the workspace, `pages` on the web, by address; `group` is the set that it is of."""

    group: str
    name: str
    of: str
    task: str
    files: Mapping[str, str]
    pages: Mapping[str, str]
    expects: Expect
    good: Reference
    bad: Reference

    @property
    def id(self) -> str:
        """How it is chosen: `group/name`."""
        return f"{self.group}/{self.name}"


def load() -> list[Case]:
    """All tasks, in order."""
    return [
        _case(file.stem, one)
        for file in sorted(FOLDER.glob("*.toml"))
        for one in tomllib.loads(file.read_text())["task"]
    ]


def offline(case: Case, reference: Reference) -> Outcome:
    """What would come of a reference answer: through the persona's own checks, as if it had been given twice."""
    calls = tuple(Called(call["name"], call.get("arguments", {}), _result(case, call)) for call in reference.calls)
    called = [call.name for call in calls]
    if case.of == AGENT:
        return Outcome("delivered", reference.text, {}, called, tried=called)
    if reference.text.startswith(CANNOT):
        return Outcome("declined", called=called, why=reference.text)
    if ROSTER[case.of].change_prompt and named(case.task):
        found = delivered(case.task, reference.text.strip(), _work(case, reference))
    else:
        draft = Draft(case.task, reference.text.strip(), [Step("", calls)] if calls else [])
        found = checked(ROSTER[case.of].checks, draft)
    if found.faults:
        return Outcome("failed", called=called, why=" ".join(found.faults))
    return Outcome("delivered", found.text, dict(found.files), called, tried=called)


def _work(case: Case, reference: Reference) -> Work:
    """What its calls change in the files of a task, without tests."""
    now = dict(case.files)
    for given in (call["arguments"] for call in reference.calls if call["name"] == "edit_file"):
        now[given["path"]] = now[given["path"]].replace(given["old"], given["new"])
    changed = [name for name, text in now.items() if text != case.files[name]]
    lines = (
        unified_diff(case.files[name].splitlines(), now[name].splitlines(), name, name, lineterm="") for name in changed
    )
    diff = "\n".join(line for one in lines for line in one).encode()
    sources = tuple((name, now[name]) for name in changed)
    return Work(".", ", ".join(changed), tuple(changed), diff, untested("there is no Docker"), sources=sources)


def _result(case: Case, call: Mapping[str, Any]) -> str:
    known = {**case.files, **case.pages}
    named = [str(value) for value in call.get("arguments", {}).values()]
    return call.get("result") or "\n".join(text for name, text in known.items() if any(name in one for one in named))


def _case(group: str, given: Mapping[str, Any]) -> Case:
    calls = _calls(given.get("calls", ()))
    return Case(
        group, given["name"], given.get("of", group), given["task"], given.get("files", {}), given.get("pages", {}),
        expect(given.get("expect", {})), Reference(given["good"], calls),
        Reference(given["bad"], _calls(given["bad_calls"]) if "bad_calls" in given else calls),
    )  # fmt: skip


def _calls(given: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    return tuple(given)
