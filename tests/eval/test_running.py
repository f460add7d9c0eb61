"""`make eval` itself: tasks go through a whole hub, what is wrong is seen there too, and nothing waits for ever."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.eval import __main__ as program
from tests.eval.running import run, script
from tests.eval.tasks import load
from tests.ollama_server import OllamaServer, Wire
from tests.scenario import bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CASES = {case.id: case for case in load()}
PATIENCE = 30.0


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer.running("scripted") as running:
        yield running


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["echo/page", "seer/total", "pixel/logo", "forge/sql", "choice/sum", "injection/file-fetches"]
)
async def test_the_good_answer_passes_and_the_bad_one_does_not(name: str, tmp_path: Path, server: OllamaServer) -> None:
    case, settings = CASES[name], bot.settings(tmp_path, ollama=server.url)
    script(server, case, case.good)
    good = await run(case, settings, tmp_path / "good", PATIENCE)
    assert (good.wrong, good.verdict) == ([], "passed")
    assert good.calls["read"] == len(case.good.calls)
    script(server, case, case.bad)
    bad = await run(case, settings, tmp_path / "bad", PATIENCE)
    assert bad.wrong
    assert bad.verdict == "failed"


@pytest.mark.long
async def test_what_is_handed_back_was_declined(tmp_path: Path, server: OllamaServer) -> None:
    case, settings = CASES["quill/haiku"], bot.settings(tmp_path, ollama=server.url)
    server.says("CANNOT: I know no lighthouse.")
    assert (await run(case, settings, tmp_path / "back", PATIENCE)).verdict == "declined"
    case = CASES["pixel/no-photo"]
    script(server, case, case.good)
    assert (await run(case, settings, tmp_path / "photo", PATIENCE)).verdict == "passed"


@pytest.mark.long
@pytest.mark.parametrize("name", ["quill/haiku", "choice/read"])
async def test_a_model_that_is_silent_fails_in_time(name: str, tmp_path: Path, server: OllamaServer) -> None:
    server.says(Wire.SILENCE)
    ran = await run(CASES[name], bot.settings(tmp_path, ollama=server.url), tmp_path / "hub", 0.5)
    assert ran.verdict == "failed"
    assert "after 0.5 s" in ran.outcome.why
    await server.hung_up.wait()


@pytest.mark.long
async def test_calls_that_are_written_wrong_are_counted(tmp_path: Path, server: OllamaServer) -> None:
    case = CASES["choice/read"]
    server.says('{"name": "readFile", "arguments": {"path": "todo.md",}}')
    server.says('{"name": "read_file", "arguments": {}}')
    server.says("Flour, yeast, salt.")
    ran = await run(case, bot.settings(tmp_path, ollama=server.url), tmp_path / "hub", PATIENCE)
    assert ran.wrong == []
    assert (ran.repaired, ran.calls["broken"]) == (2, 1)


def _told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["eval", *words])
    with pytest.raises(SystemExit) as ended:
        program.main()
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


@pytest.mark.long
def test_the_table_and_the_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _told(monkeypatch, capsys, "--model", "scripted", "--only", "quill/haiku", "lyra/chords")
    assert code == 0
    assert out.startswith(
        "This is the scripted model: it plays the good reference answers of the set. It shows mechanics only"
    )
    assert [line.split()[:5] for line in out.splitlines()[-3:]] == [
        ["lyra", "1", "1", "0", "0"], ["quill", "1", "1", "0", "0"], ["all", "2", "2", "0", "0"],
    ]  # fmt: skip
    code, out, _ = _told(monkeypatch, capsys, "--model", "scripted", "--bad", "--json", "--only", "lyra/chords")
    (facts,) = [json.loads(line) for line in out.splitlines()]
    told: dict[str, Any] = facts
    assert (code, told["task"], told["verdict"]) == (0, "lyra/chords", "failed")


@pytest.mark.long
def test_what_cannot_be_run_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TIMMY_OLLAMA_URL", bot.NOBODY)
    assert _told(monkeypatch, capsys, "--model", "x", "--only", "lyra")[0::2] == (
        1, f"eval: No model answers at {bot.NOBODY}. Start Ollama (ollama serve) or set TIMMY_OLLAMA_URL.\n",
    )  # fmt: skip
    code, _, err = _told(monkeypatch, capsys, "--model", "scripted", "--only", "nope")
    assert (code, "there is no task nope" in err) == (2, True)
    code, _, err = _told(monkeypatch, capsys, "--model", "x", "--bad")
    assert (code, "only the scripted model" in err) == (2, True)


@pytest.mark.long
async def test_a_model_that_is_not_there_is_named(server: OllamaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_OLLAMA_URL", server.url)
    given = program._arguments().parse_args(["--model", "other:1b"])
    with pytest.raises(program._CannotBeAsked, match="other:1b"):
        async with program._model(given):
            pass
