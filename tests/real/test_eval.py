"""`make eval` against a real inference engine: llama.cpp's server, on a model made here that has learned nothing and fails."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING

from tests.program import ROOT
from tests.real.engine import Engine, missing

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 120.0


@missing
async def test_a_real_engine_is_judged(tmp_path: Path) -> None:
    engine = await Engine(tmp_path, 8192, "").start()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.eval", "--model", "tiny", "--json", "--only", "pixel/dot", "choice/sum", "pixel/no-photo",
            cwd=ROOT, env={**os.environ, "TIMMY_OPENAI_URL": f"{engine.url}/v1"}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            out, _ = await process.communicate()
    finally:
        await engine.stop()
    told = {facts["task"]: facts for facts in map(json.loads, out.splitlines())}
    assert process.returncode == 1
    assert {name: facts["verdict"] for name, facts in told.items()} == dict.fromkeys(
        ("choice/sum", "pixel/dot", "pixel/no-photo"), "failed"
    )
    assert told["choice/sum"]["calls"] > 0
    assert "There is no SVG in it" in told["pixel/dot"]["wrong"][0]
