"""How many examples a property test tries: few in `make test`, many in `make test-deep`, which every landing runs too."""

from __future__ import annotations

import os

DEEP = os.environ.get("TEST_DEPTH") == "deep"


def depth(quick: int, deep: int) -> int:
    return deep if DEEP else quick
