"""Workers that come by way of a gateway are served as at the hub itself; and what goes wrong on the way costs nothing."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from tests.scenario import gateway as far
from tests.scenario import test_workers as near

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_THE_HUB = frozenset({
    "test_what_strangers_bought_is_paid_for_at_once", "test_many_who_wait_are_woken_some_at_a_time_and_all_of_them",
    "test_a_token_that_is_revoked_ends_the_worker_and_what_it_waits_for",
})  # fmt: skip
"""Tests of workers that make their hub in another way, or look into it."""


def _cases() -> Iterator[Any]:
    for name, test in vars(near).items():
        if not name.startswith("test_") or name in IN_THE_HUB:
            continue
        marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
        rows: list[dict[str, Any]] = [{}]
        for mark in marks:
            names = (
                [one.strip() for one in mark.args[0].split(",")] if isinstance(mark.args[0], str) else [*mark.args[0]]
            )
            values = [
                row.values if hasattr(row, "values") and not isinstance(row, dict) else row for row in mark.args[1]
            ]
            rows = [
                {**row, **dict(zip(names, value if len(names) > 1 else (value,), strict=True))}
                for row in rows
                for value in values
            ]
        for number, row in enumerate(rows):
            yield pytest.param(test, row, id=f"{name}-{number}")


@pytest.mark.long
@pytest.mark.parametrize(("test", "row"), [*_cases()])
async def test_a_gateway_serves_workers_as_the_hub_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, test: Any, row: dict[str, Any]
) -> None:
    far.instead(monkeypatch, near)
    wanted = inspect.signature(test).parameters
    own = {"tmp_path": tmp_path, "monkeypatch": monkeypatch, "caplog": caplog}
    await test(**{name: own[name] for name in own if name in wanted}, **row)
