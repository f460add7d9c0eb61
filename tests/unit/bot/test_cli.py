"""The edge of the program: usage, streams, and what nobody foresaw, each in one line."""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import bot.run
import config.log
from bot import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "words",
    [
        "list extra", "list --for x", "list --task-limit 5", "revoke read", "revoke read one --for x", "read", "revoke list",
        "",
    ],
)  # fmt: skip
def test_a_token_command_of_another_form_is_wrong_usage(words: str) -> None:
    assert CliRunner().invoke(cli.timmy, ["token", *words.split()]).exit_code == 2


@pytest.mark.parametrize(("actor", "said"), [("telegram:7", "/unpair telegram:7"), ("Ann Lee", '/unpair "Ann Lee"')])
def test_a_name_with_blanks_is_one_name(monkeypatch: pytest.MonkeyPatch, actor: str, said: str) -> None:
    sent: list[str] = []
    monkeypatch.setattr(cli, "_say", sent.append)
    assert CliRunner().invoke(cli.timmy, ["unpair", actor]).exit_code == 0
    assert sent == [said]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(13, "Permission denied", "/home/ann/data/hub.db"), "/home/ann/data/hub.db: Permission denied"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "UTF-8"),
    ],
)
def test_what_nobody_foresaw_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, says: str
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "timmy", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert said.err.startswith("timmy: ")
    assert says in said.err


class _Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("given", "level"), [(None, "WARNING"), ("DEBUG", "DEBUG"), ("INFO", "INFO")])
def test_a_console_is_quiet_unless_a_level_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str | None, level: str
) -> None:
    found: list[str] = []

    async def serve(*_: object, **__: object) -> None:
        found.append(logging.getLevelName(logging.getLogger().level))

    def set_up(level: str, **_: Any) -> None:
        logging.getLogger().setLevel(level)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIMMY_LOG_LEVEL", raising=False)
    if given is not None:
        monkeypatch.setenv("TIMMY_LOG_LEVEL", given)
    monkeypatch.setattr(bot.run, "run", serve)
    monkeypatch.setattr(config.log, "set_up", set_up)
    monkeypatch.setattr(sys, "stdin", _Terminal())
    before = logging.getLogger().level
    try:
        cli.timmy(["run", "--console"], standalone_mode=False)
    finally:
        logging.getLogger().setLevel(before)
    assert found == [level]


def test_streams_that_are_closed_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    cli._mend_streams()
    with sys.stdin, sys.stdout, sys.stderr:
        assert sys.stdin.read() == ""
        assert [sys.stdout.write("x"), sys.stderr.write("x")] == [1, 1]


def test_a_text_that_the_terminal_cannot_show_is_shown_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    with io.TextIOWrapper(shown, "latin-1", write_through=True) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        cli._mend_streams()
        cli.print_plain("ä \N{RIGHTWARDS ARROW} b\x1b[2J")
        assert shown.getvalue() == b"\xe4 ? b[2J\n"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("frobnicate", 2, "timmy: No such command 'frobnicate'."), ("say", 2, "timmy: Missing argument 'TEXT'."),
        ("say x --wait soon", 2, "timmy: Invalid value for '--wait'"), ("token list extra", 2, "timmy: Say what to do"),
        ("pair X --role king", 2, "timmy: Invalid value for '--role'"), ("run --consol", 2, "timmy: No such option"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, code: int, says: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["timmy", *words.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert said.err.startswith(says)
    assert "Usage: timmy" in said.err
    assert said.err.endswith(" --help tells more)\n")


@pytest.mark.parametrize(
    ("words", "code"), [("--help", 0), ("--version", 0), ("say --help", 0), ("", 2), ("ledger", 2)]
)
def test_help_is_as_long_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, code: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["timmy", *words.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code or 0) == code
    assert ("imm" in said.out + said.err, "Traceback" in said.err) == (True, False)


@pytest.mark.parametrize(
    ("words", "frame"),
    [
        ("pay lnbcrt1", {"op": "simulate.pay", "bolt11": "lnbcrt1"}),
        (
            "invoice 500 --memo tea --expires 2h --fails hangs",
            {"op": "simulate.invoice", "amount": "500", "memo": "tea", "expires": "2h", "fails": "hangs"},
        ),
        ("invoice 5", {"op": "simulate.invoice", "amount": "5", "memo": "", "expires": None, "fails": None}),
        ("land 00ff", {"op": "simulate.land", "payment_hash": "00ff", "fail": False}),
        ("land 00ff --fail", {"op": "simulate.land", "payment_hash": "00ff", "fail": True}),
    ],
)
def test_the_world_outside_a_simulated_node_is_asked_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, words: str, frame: dict[str, object]
) -> None:
    sent: list[tuple[object, bool]] = []
    monkeypatch.setattr(cli, "_request", lambda asked, *, as_json: sent.append((asked, as_json)))
    for more in ([], ["--json"]):
        assert CliRunner().invoke(cli.timmy, ["simulate", *words.split(), *more]).exit_code == 0
    assert sent == [(frame, False), (frame, True)]
