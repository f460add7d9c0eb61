"""`timmy run` says before all else what its settings may not mean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from bot import run
from config.settings import Lnd
from core.errors import UserError
from tests.scenario.bot import settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("url", [None, "https://127.0.0.1:8080"])
async def test_a_node_that_is_set_up_and_not_chosen_is_named_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str | None
) -> None:
    def build(_: object) -> NoReturn:
        raise UserError(why="enough")

    monkeypatch.setattr(run, "build", build)
    monkeypatch.setattr(os, "umask", int)  # it would stay for every test that follows
    with pytest.raises(UserError):
        await run.run(settings(tmp_path).model_copy(update={"lnd": Lnd(url=url)}), console=False)
    said = capsys.readouterr().err
    assert ("TIMMY_LND_... is set, and the sats are simulated all the same" in said) == (url is not None)
    assert ("TIMMY_LIGHTNING_BACKEND=lnd" in said) == (url is not None)
