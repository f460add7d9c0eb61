"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.skills.catalogue import SKILLS
from bot import docs
from bot.parts.tools import check_names
from config import personas

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/adr/*.md")]


@pytest.mark.parametrize("page", docs.pages(), ids=lambda page: page.name)
def test_generated_tables_are_fresh(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == docs.pages()[page], "run python -m bot.docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"(?:\]\(|<img src=\")([^)#:\"]+)[#)\"]", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_decisions_are_short() -> None:
    decisions = sorted(ROOT.glob("docs/adr/[0-9]*.md"))
    assert len(decisions) >= 6
    assert [one.name for one in decisions if len(one.read_text(encoding="utf-8").splitlines()) > 40] == []


def test_every_direct_dependency_has_its_line() -> None:
    listed = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    declared = re.findall(
        r'^    "([A-Za-z0-9-]+)', (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[tool.")[0], re.MULTILINE
    )
    assert len(declared) > 20
    assert [name for name in declared if name not in listed] == []


def test_there_are_nine_personas_and_their_skills_exist() -> None:
    declared = personas.load()
    assert [one.name for one in declared] == ["echo", "mace", "helm", "seer", "forge", "quill", "pixel", "lyra", "reel"]
    assert {skill for one in declared for skill in one.skills} == set(SKILLS)


def test_personas_name_tools_that_there_are() -> None:
    check_names(personas.load())
    with pytest.raises(ValueError, match="echo names tools that there are not: telepathy"):
        check_names([personas.load()[0]._replace(tools=("telepathy", "read_file"))])
