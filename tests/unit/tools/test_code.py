"""Code is changed in a copy, its tests run in a box or not at all, and the change is handed over as a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from adapters.skills.errors import FileClosed, FileThere, OutsideWorkspace, TextNotFound
from adapters.tools.toolbox import Tools
from core.agent.box import Ran
from core.agent.tool import BadCall, Effect, Use
from tests.project import git
from tests.unit.tools.bench import ANN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from core.agent.tool import Output
    from core.events import Json
    from tests.unit.tools.bench import Bench


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Box:
    """A box that says what the test says; it keeps what it was given to run, and saw there."""

    why: str = ""
    ends: Ran = field(default_factory=lambda: Ran(0, "1 passed"))
    ran: list[tuple[list[str], dict[str, str]]] = field(default_factory=list)

    def lacks(self) -> str:
        return self.why

    async def run(self, command: Sequence[str], files: Sequence[tuple[str, bytes]], *, seconds: float = 60) -> Ran:
        raise NotImplementedError

    async def run_in(self, folder: Path, command: Sequence[str], *, seconds: float = 600) -> Ran:
        self.ran.append((list(command), contents(folder)))
        return self.ends


@dataclass
class Yard:
    """A project in the workspace, and the tool over it."""

    bench: Bench
    shop: Path
    box: Box | None = field(default_factory=Box)

    async def call(self, *changes: dict[str, str], **more: Json) -> Output:
        here = replace(self.bench.here, box=self.box)
        tool = Tools(here).find("change_code")
        assert tool is not None
        assert tool.effect is Effect.READ, "it touches nothing of anybody's"
        given: dict[str, Json] = {"folder": "shop", "changes": [dict(one) for one in changes], **more}
        return await tool.run(tool.read(given), Use(ANN, "telegram:5", "task/12/1"))

    def left(self) -> list[Path]:
        return list(self.bench.shelf.scratch.glob("*"))


@pytest.fixture
def yard(bench: Bench, root: Path) -> Yard:
    shop = root / "shop"
    shop.mkdir()
    (shop / "cart.py").write_text("total = 1\n")
    return Yard(bench, shop)


def kept(yard: Yard, output: Output) -> Path:
    (file,) = output.files
    assert file.name == "change.diff"
    return yard.bench.shelf.path(file.sha256, file.name)


@pytest.mark.long
async def test_a_change_is_tested_in_a_box_and_handed_over(yard: Yard) -> None:
    output = await yard.call(
        {"path": "cart.py", "old": "total = 1", "new": "total = 2"},
        {"path": "tests/test_cart.py", "new": "def test(): pass\n"},
        tests="python3 -m pytest -q 'tests/a b'",
    )
    assert output.text == (
        "2 files changed, 2 insertions(+), 1 deletion(-): cart.py, tests/test_cart.py. The person gets it as change.diff,"
        " and applies it with git apply.\nThe tests: It ended well, and said:\n1 passed"
    )
    assert output.outside
    assert yard.box is not None
    assert yard.box.ran == [
        (
            ["python3", "-m", "pytest", "-q", "tests/a b"],
            {"cart.py": "total = 2\n", "tests/test_cart.py": "def test(): pass\n"},
        )
    ]
    assert (yard.shop / "cart.py").read_text() == "total = 1\n", "people's own is not touched"
    git(yard.shop, "apply", str(kept(yard, output)))
    assert (yard.shop / "cart.py").read_text() == "total = 2\n"
    assert yard.left() == []


@pytest.mark.parametrize("box", [None, Box("there is no image")])
@pytest.mark.long
async def test_without_a_box_its_tests_are_not_run_and_that_is_said(yard: Yard, box: Box | None) -> None:
    yard.box = box
    output = await yard.call({"path": "new.py", "new": "x = 1\n"}, tests="make test")
    why = "there is no image" if box else "there is no Docker here"
    assert output.text.endswith(f"\nThe tests were not run: they run in a container or not at all, and {why}.")
    assert box is None or not box.ran
    assert (await yard.call({"path": "new.py", "new": "x = 1\n"})).text.endswith("\nNo tests were run.")


@pytest.mark.long
async def test_tests_that_fail_are_told_with_the_change(yard: Yard) -> None:
    yard.box = Box(ends=Ran(1, "E  assert 1 == 2"))
    output = await yard.call({"path": "cart.py", "old": "1", "new": "2"}, tests="make test")
    assert output.text.endswith("The tests: It ended with exit status 1, and said:\nE  assert 1 == 2")
    assert len(output.files) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"path": "cart.py", "old": "nowhere", "new": "x"}, TextNotFound),
        ({"path": "cart.py", "new": "x"}, FileThere),
        ({"path": "../cart.py", "new": "x"}, OutsideWorkspace),
        ({"path": ".git/hooks/pre-commit", "new": "x"}, FileClosed),
        ({"path": "", "new": "x"}, BadCall),
        ({"path": "a.py", "old": "", "text": "x"}, BadCall),
    ],
)
@pytest.mark.long
async def test_what_cannot_be_changed_is_said_and_leaves_nothing(
    yard: Yard, change: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await yard.call({"path": "b.py", "new": "b = 1\n"}, change)
    assert yard.left() == []
    assert [path.name for path in yard.shop.iterdir()] == ["cart.py"]


@pytest.mark.long
async def test_what_changes_nothing_and_what_is_no_command(yard: Yard) -> None:
    same = await yard.call({"path": "a.py", "new": "x"}, {"path": "a.py", "old": "x", "new": "y"})
    assert same.files
    with pytest.raises(BadCall, match="No closing quotation"):
        await yard.call({"path": "a.py", "new": "x"}, tests="make 'test")
