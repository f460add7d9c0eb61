"""A result that comes after its attempt was ended from outside."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.swarm.attempt import _finish
from core.swarm.ports import Delivery
from tests.property.test_task_edges import a_task


@pytest.mark.parametrize(("status", "lease"), [("running", "another"), ("open", None), ("cancelled", None)])
def test_a_result_whose_lease_is_not_the_tasks_any_more_does_nothing(status: str, lease: str | None) -> None:
    worked_at = a_task("running").but(lease="mine")
    now = a_task(status).but(lease=lease)
    tx = SimpleNamespace(tasks=SimpleNamespace(find=lambda number: now))  # it has nothing to write with
    assert _finish(cast("Any", tx), worked_at, Delivery("late")) is now
