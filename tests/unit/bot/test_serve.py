"""`timmy-serve`: what it asks of a running hub, and what it starts where there is none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import bot.run
from bot import serve
from config.settings import Serve, Telegram
from tests.scenario.bot import settings

if TYPE_CHECKING:
    from pathlib import Path

    from config.settings import Settings


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the settings say; the data folder is not there yet."""
    own = settings(tmp_path).model_copy(update={"telegram": Telegram(token="1:x")})
    monkeypatch.setattr(serve, "settings_now", lambda **_: own)
    return own


def test_a_dry_run_says_what_would_be_sold_and_opens_nothing(found: Settings) -> None:
    said = CliRunner().invoke(serve.timmy_serve, ["start", "--port", "9000", "--price", "7", "--dry-run"])
    assert said.exit_code == 0
    assert "Would sell at http://127.0.0.1:9000, listening on 127.0.0.1, port 9000" in said.output
    assert "7 simulated sats a call" in said.output
    assert (
        "Nothing was opened.\nNo chat is sold until a model answers: No model answers at http://127.0.0.1"
        in said.output
    )
    assert not found.data_dir.exists()


def test_where_no_hub_runs_one_is_started_with_the_gate_alone(found: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Settings] = []

    async def run(own: Settings, *, console: bool) -> None:
        assert not console
        started.append(own)

    monkeypatch.setattr(bot.run, "run", run)
    for words in ([], ["--port", "9000", "--price", "7"]):
        said = CliRunner().invoke(serve.timmy_serve, ["start", *words])
        assert said.exit_code == 0
        assert said.stderr.startswith(
            "timmy-serve: No chat is sold until a model answers: No model answers at http://127.0.0.1"
        )
    assert [own.serve for own in started] == [Serve(enabled=True), Serve(enabled=True, port=9000, price=7)]
    assert all(own.telegram.token is None for own in started)
    assert {own.data_dir for own in started} == {found.data_dir}


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("start --port 9000", {"op": "serve.start", "port": 9000, "price": None}),
        ("invoice --amount 5 --memo coffee", {"op": "serve.invoice", "amount": 5, "memo": "coffee"}),
        ("status --json", {"op": "serve.status"}),
    ],
)
def test_a_running_hub_is_asked(
    found: Settings, monkeypatch: pytest.MonkeyPatch, words: str, asked: dict[str, Any]
) -> None:
    sent: list[tuple[dict[str, Any], bool]] = []

    def ask(frame: dict[str, Any], own: Settings, *, as_json: bool = False) -> None:
        assert own is found
        sent.append((frame, as_json))

    monkeypatch.setattr(serve, "from_hub", ask)
    assert CliRunner().invoke(serve.timmy_serve, words.split()).exit_code == 0
    assert sent == [(asked, "--json" in words)]


@pytest.mark.parametrize("words", ["start --port 0", "start --price 0", "invoice", "invoice --amount 0", "sell", ""])
def test_wrong_usage_is_said_in_one_line_with_the_programs_own_name(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["timmy-serve", *words.split()])
    with pytest.raises(SystemExit) as ended:
        serve.main()
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.err.startswith("timmy-serve: " if words else "Usage: timmy-serve")


def test_with_no_hub_there_is_nothing_to_ask(
    found: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["timmy-serve", "status"])
    with pytest.raises(SystemExit) as ended:
        serve.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("timmy-serve: There is no ")
