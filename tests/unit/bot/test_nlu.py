"""`timmy nlu`, as a program."""

from __future__ import annotations

import json
import subprocess
import sys

NLU = [sys.executable, "-m", "bot.cli", "nlu"]


def run(*arguments: str, given: bytes = b"") -> list[str]:
    done = subprocess.run([*NLU, *arguments], input=given, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().splitlines()


def test_a_text_is_answered_in_a_line_for_people() -> None:
    assert run("pay dave 500 sats") == ["money 0.95  /pay dave 500  (actor dave, amount_sats 500)"]
    assert run("hello there") == ["chat 0.50  -"]


def test_each_line_of_standard_input_is_answered_whatever_it_holds() -> None:
    given = b"/balance\n\xff\xfe\n\n" + b"x " * 40_000 + b"\r\nshow task seven"
    found = [json.loads(line) for line in run("--json", given=given)]
    assert [one["intent"] for one in found] == ["money", "chat", "unknown", "chat", "task"]
    assert found[4] == {
        "intent": "task", "confidence": 0.95, "entities": {"task_id": "T-7"}, "command": "/show T-7",
    }  # fmt: skip


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    with subprocess.Popen(NLU, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdin.write(b"ping\n")
        program.stdin.flush()
        assert program.stdout.readline() == b"status 0.95  /status\n"
        program.stdout.close()
        program.stdin.write(b"ping\nping\n")
        program.stdin.close()
        assert program.wait(10) == 1
        assert program.stderr.read() == b""


def test_it_loads_no_hub() -> None:
    code = "import sys; from bot.nlu import lines; list(lines('ping', as_json=True)); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "core" in loaded
    assert loaded.isdisjoint({"aiohttp", "pydantic", "aiosqlite", "adapters", "telegram"})
