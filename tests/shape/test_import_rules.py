"""Each import contract of pyproject.toml bites: a copy of the code is kept, and one offending import breaks it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS: list[str] = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]

# contract, the file that sins, the module that it must not import
SEEDS = [
    ("bot is above adapters and config, which are above core", "core/errors.py", "config"),
    ("bot is above adapters and config, which are above core", "adapters/markup/__init__.py", "config"),
    ("bot is above adapters and config, which are above core", "config/settings.py", "bot.app"),
    ("only bot.app and its parts import adapters and config", "bot/registry.py", "adapters.markup"),
    ("only bot.app and its parts import adapters and config", "bot/cli.py", "adapters.markup"),
    ("core is in order", "core/ids.py", "core.money"),
    ("core is in order", "core/errors.py", "core.ids"),
    ("core is in order", "core/networks.py", "core.ids"),
    ("core is in order", "core/durations.py", "core.ids"),
    ("core is in order", "core/store.py", "core.wallet"),
    ("core is in order", "core/wallet/wallet.py", "core.swarm.task"),
    ("core is in order", "core/swarm/coordinator.py", "core.agent.prompt"),
    ("core is in order", "core/spark/spark.py", "core.treasury.policy"),
    ("core is in order", "core/wallet/wallet.py", "core.voice.intent"),
    ("core is in order", "core/somewhere_new.py", "core.ids"),
    ("voice stands alone", "core/voice/intent.py", "core.wallet.ledger"),
    ("a pure module imports no service", "core/wallet/ledger.py", "core.wallet.wallet"),
    ("a pure module imports no service", "core/wallet/purchase.py", "core.wallet.buying"),
    ("a pure module imports no service", "core/wallet/hold.py", "core.swarm.escrow"),
    ("a pure module imports no service", "core/wallet/challenge.py", "core.wallet.buying"),
    ("a pure module imports no service", "core/wallet/l402.py", "core.wallet.selling"),
    ("a pure module imports no service", "core/wallet/statement.py", "core.wallet.wallet"),
    ("a pure module imports no service", "core/treasury/policy.py", "core.treasury.treasury"),
    ("core is in order", "core/wallet/limits.py", "core.treasury.policy"),
    ("core is in order", "core/agent/prompt.py", "core.treasury.policy"),
    ("a pure module imports no service", "core/swarm/task.py", "core.swarm.coordinator"),
    ("a pure module imports no service", "core/swarm/parking.py", "core.swarm.walk"),
    ("a pure module imports no service", "core/agent/prompt.py", "core.wallet.wallet"),
    ("a pure module imports no service", "core/agent/breaker.py", "core.agent.cascade"),
    ("a pure module imports no service", "core/agent/repeating.py", "core.agent.pulling"),
    ("a pure module imports no service", "core/automation/watchdog.py", "core.automation.tdd"),
    ("core is in order", "core/language/words.py", "core.money"),
    ("a pure module imports no service", "core/automation/schedule.py", "core.automation.schedules"),
    ("a pure module imports no service", "core/agent/checks/draft.py", "core.agent.persona_worker"),
    ("a pure module imports no service", "core/agent/memory.py", "core.agent.notebook"),
    ("a pure module imports no service", "core/agent/summary.py", "core.agent.summaries"),
    ("adapters do not know each other", "adapters/telegram/adapter.py", "adapters.matrix"),
    ("adapters do not know each other", "adapters/markup/__init__.py", "adapters.telegram"),
    ("core does no I/O", "core/ids.py", "sqlite3"),
    ("core does no I/O", "core/swarm/coordinator.py", "aiohttp"),
]
ALLOWED = [
    ("bot/app.py", "adapters.telegram"),
    ("bot/parts/chats.py", "adapters.telegram"),
    ("bot/cli.py", "config.settings"),
    ("bot/cli.py", "adapters.console.client"),
    ("adapters/matrix/adapter.py", "adapters.markup"),
    ("core/agent/agent.py", "core.swarm.task"),
]
# Rooms of the design that the seeds need, made in the copy where the code has none yet.
ROOMS = [
    *("bot/app.py", "bot/parts/chats.py", "bot/cli.py", "bot/registry.py", "config/settings.py"),
    *(
        "adapters/markup/__init__.py",
        "adapters/telegram/adapter.py",
        "adapters/matrix/adapter.py",
        "adapters/console/client.py",
    ),
    *("core/wallet/ledger.py", "core/wallet/wallet.py", "core/swarm/task.py", "core/swarm/coordinator.py"),
    *("core/agent/prompt.py", "core/agent/agent.py", "core/spark/spark.py", "core/treasury/policy.py"),
    *("core/voice/intent.py", "core/store.py"),
]


# Judges the code as it is, then once more for each set of offences, which it takes back: prints contract -> kept of each.
JUDGE = """
import contextlib, io, json, pathlib, re, sys
from importlinter.cli import lint_imports

def verdicts(offences):
    before = {}
    for sinner, target in offences:
        file = pathlib.Path(sinner)
        text = before.setdefault(file, file.read_text() if file.exists() else None)
        file.write_text(f"{text or ''}\\nimport {target}\\n")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        lint_imports()
    for file, text in before.items():
        file.unlink() if text is None else file.write_text(text)
    plain = re.sub(r"\\x1b\\[[0-9;]*m", "", said.getvalue())
    found = re.findall(r"^(\\S.*?)\\s+(KEPT|BROKEN)\\b", plain, re.MULTILINE)
    return {name: verdict == "KEPT" for name, verdict in found} or plain

print(json.dumps([verdicts(offences) for offences in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, with every room of the design."""
    root = tmp_path_factory.mktemp("import_rules")
    shutil.copy(ROOT / "pyproject.toml", root)
    for package in ("bot", "core", "adapters", "config"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for room in ROOMS:
        file = root / room
        file.parent.mkdir(exist_ok=True)
        for made in (file.parent / "__init__.py", file):
            made.touch()
    return root


def judged(root: Path, *cases: list[tuple[str, str]]) -> list[dict[str, bool]]:
    """What import-linter says of the code under `root` with each set of (file, module it imports): contract -> kept."""
    done = subprocess.run(
        [sys.executable, "-c", JUDGE], input=json.dumps(cases), cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, bool]] = json.loads(done.stdout)
    return found


@pytest.mark.long
def test_each_contract_is_kept_and_each_bites(copy: Path) -> None:
    clean, allowed, *seeded = judged(copy, [], ALLOWED, *([(sinner, target)] for _, sinner, target in SEEDS))
    assert clean == allowed == dict.fromkeys(CONTRACTS, True)
    assert len(CONTRACTS) == 7
    assert {contract for contract, _, _ in SEEDS} == set(CONTRACTS)
    missed = [seed for seed, verdicts in zip(SEEDS, seeded, strict=True) if verdicts[seed[0]] is not False]
    assert missed == []
