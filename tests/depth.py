"""What `make test` tries a few of and `make test-deep`, which every landing runs too, many or all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _pytest.mark import ParameterSet

DEEP = os.environ.get("TEST_DEPTH") == "deep"


def depth(quick: int, deep: int) -> int:
    return deep if DEEP else quick


def first(quick: int, cases: Iterable[object]) -> list[ParameterSet]:
    """Cases of a test that differ little: `make test` tries the first `quick` of them, test-deep each."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.long] * (number >= quick))
        for number, case in enumerate(cases)
    ]
