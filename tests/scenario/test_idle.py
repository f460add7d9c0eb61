"""What a hub holds that nobody has asked anything yet: not the code of what may never be used."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IDLE = """
import asyncio, sys
from bot.app import build
from config.settings import Settings

async def main():
    async with build(Settings()) as app:
        for _ in range(20):  # whatever begins with a look has had it
            await app.store.read(lambda tx: tx.now)

asyncio.run(main())
print(*sys.modules)
"""
UNUSED = {
    "adapters.markup", "adapters.skills.closed", "adapters.skills.errors", "adapters.skills.runner",
    "adapters.sqlite.memory_store", "adapters.sqlite.schedule_store", "adapters.sqlite.summary_store",
    "adapters.sqlite.vector_store", "bot.scheduling", "bot.tooling", "bot.views_agent", "bot.views_briefing", "bot.views_memory",
    "bot.views_notices", "bot.views_reconcile", "bot.views_report", "bot.views_schedules", "bot.views_spark", "core.agent.agent",
    "core.agent.loop", "core.agent.memory", "core.agent.notebook", "core.agent.persona_worker", "core.agent.prompt",
    "core.agent.pulling", "core.agent.summaries", "core.agent.vectors", "core.automation.briefing", "core.automation.schedule",
    "core.automation.schedules", "adapters.sqlite.purchase_store", "bot.agreed", "bot.paying", "core.wallet.buying",
    "core.wallet.challenge", "core.wallet.endings", "core.wallet.purchase", "core.wallet.purse", "difflib", "encodings.idna",
    "stringprep",
}  # fmt: skip
"""Loaded for the first who needs it."""


@pytest.mark.long
def test_an_idle_hub_holds_nothing_of_what_nobody_uses(tmp_path: Path) -> None:
    for name in UNUSED:
        assert find_spec(name) is not None, name
    environment = {
        "PATH": os.environ["PATH"], "TIMMY_DATA_DIR": str(tmp_path / "data"), "TIMMY_WORKSPACE": str(tmp_path / "workspace"),
        "TIMMY_HTTP_PORT": "0", "TIMMY_OLLAMA_URL": "http://127.0.0.1:9",
    }  # fmt: skip
    idle = subprocess.run(
        [sys.executable, "-c", IDLE], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    loaded = set(idle.stdout.split())
    assert "bot.app" in loaded
    assert loaded & UNUSED == set()
