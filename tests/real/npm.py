"""What `make test-real` has from npm."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.mark.structures import MarkDecorator

MODULES = Path(__file__).parents[2] / ".venv" / "npm" / "node_modules"


def needs(package: str) -> MarkDecorator:
    """Skip where node or one of its packages is not there."""
    return pytest.mark.skipif(
        shutil.which("node") is None or not (MODULES / package).is_dir(),
        reason=f"{package.rpartition('/')[2]} is not installed (on Debian: apt install nodejs npm, then make test-real)",
    )
