"""`python -m bot` is `timmy`."""

from __future__ import annotations

import runpy
import sys

import pytest


def test_the_package_runs_as_the_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bot", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("bot", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("timmy, version ")
