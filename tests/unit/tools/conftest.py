"""A toolbox over the workspace of the skills' own tests, which has a canary in every closed place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.skills.conftest import root  # noqa: F401 - a fixture
from tests.unit.tools.bench import Bench

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path, root: Path) -> Bench:  # noqa: F811 - the fixture
    return Bench(tmp_path, root)
