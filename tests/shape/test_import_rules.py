"""Each import contract of pyproject.toml bites: a copy of the code is kept, and one offending import breaks it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    ("only bot.app imports adapters and config", "bot/registry.py", "adapters.markup"),
    ("only bot.app imports adapters and config", "bot/cli.py", "adapters.markup"),
    ("core is in order", "core/ids.py", "core.money"),
    ("core is in order", "core/errors.py", "core.ids"),
    ("core is in order", "core/store.py", "core.wallet"),
    ("core is in order", "core/wallet/wallet.py", "core.swarm.task"),
    ("core is in order", "core/swarm/coordinator.py", "core.agent.prompt"),
    ("core is in order", "core/spark/spark.py", "core.treasury.policy"),
    ("core is in order", "core/wallet/wallet.py", "core.voice.intent"),
    ("core is in order", "core/somewhere_new.py", "core.ids"),
    ("voice stands alone", "core/voice/intent.py", "core.wallet.ledger"),
    ("a pure module imports no service", "core/wallet/ledger.py", "core.wallet.wallet"),
    ("a pure module imports no service", "core/swarm/task.py", "core.swarm.coordinator"),
    ("a pure module imports no service", "core/swarm/parking.py", "core.swarm.walk"),
    ("a pure module imports no service", "core/agent/prompt.py", "core.wallet.wallet"),
    ("adapters do not know each other", "adapters/telegram/adapter.py", "adapters.matrix"),
    ("adapters do not know each other", "adapters/markup/__init__.py", "adapters.telegram"),
    ("core does no I/O", "core/ids.py", "sqlite3"),
    ("core does no I/O", "core/swarm/coordinator.py", "aiohttp"),
]
ALLOWED = [
    ("bot/app.py", "adapters.telegram"),
    ("bot/cli.py", "config.settings"),
    ("bot/cli.py", "adapters.console.client"),
    ("adapters/matrix/adapter.py", "adapters.markup"),
    ("core/agent/agent.py", "core.swarm.task"),
]
# Rooms of the design that the seeds need, made in the copy where the code has none yet.
ROOMS = [
    *("bot/app.py", "bot/cli.py", "bot/registry.py", "config/settings.py", "adapters/markup/__init__.py"),
    *("adapters/telegram/adapter.py", "adapters/matrix/adapter.py", "adapters/console/client.py"),
    *("core/wallet/ledger.py", "core/wallet/wallet.py", "core/swarm/task.py", "core/swarm/coordinator.py"),
    *("core/agent/prompt.py", "core/agent/agent.py", "core/spark/spark.py", "core/treasury/policy.py"),
    *("core/voice/intent.py", "core/store.py"),
]


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def verdicts(root: Path) -> dict[str, bool]:
    """What import-linter says of the code under `root`: contract -> kept."""
    command = "from importlinter.cli import lint_imports_command as lint; lint(['--no-logo'])"
    done = subprocess.run([sys.executable, "-c", command], cwd=root, capture_output=True, text=True, check=False)
    # The terminal's width wraps nothing here, but colours and padding may stand between a name and its verdict.
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    found = re.findall(r"^(\S.*?)\s+(KEPT|BROKEN)\b", plain, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {name: verdict == "KEPT" for name, verdict in found}


@pytest.fixture
def lines(copy: Path) -> Iterator[dict[Path, str | None]]:
    """The files a test has changed, put back afterwards."""
    before: dict[Path, str | None] = {}
    yield before
    for file, text in before.items():
        if text is None:
            file.unlink()
        else:
            file.write_text(text)


def add_import(copy: Path, before: dict[Path, str | None], sinner: str, target: str) -> None:
    file = copy / sinner
    text = file.read_text() if file.exists() else None
    before.setdefault(file, text)
    file.write_text(f"{text or ''}\nimport {target}\n")


def test_the_code_keeps_every_contract_and_each_one_has_a_seed(copy: Path) -> None:
    assert verdicts(copy) == dict.fromkeys(CONTRACTS, True)
    assert len(CONTRACTS) == 7
    assert {contract for contract, _, _ in SEEDS} == set(CONTRACTS)


@pytest.mark.parametrize(("contract", "sinner", "target"), SEEDS)
def test_an_offending_import_breaks_its_contract(
    copy: Path, lines: dict[Path, str | None], contract: str, sinner: str, target: str
) -> None:
    add_import(copy, lines, sinner, target)

    assert verdicts(copy)[contract] is False


def test_what_the_design_allows_is_kept(copy: Path, lines: dict[Path, str | None]) -> None:
    for importer, target in ALLOWED:
        add_import(copy, lines, importer, target)

    assert verdicts(copy) == dict.fromkeys(CONTRACTS, True)
