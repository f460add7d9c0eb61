"""Reads the roster's declaration, `personas.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from core.swarm.persona import Persona

FILE = Path(__file__).parent / "personas.toml"


def load(file: Path = FILE) -> tuple[Persona, ...]:
    """All declared personas, in order."""
    declared = tomllib.loads(file.read_text(encoding="utf-8"))
    return tuple(
        Persona(
            name, facts["role"], tuple(facts["capabilities"]), facts["rate"], tuple(facts["keywords"]),
            tuple(facts.get("skills", ())), tuple(facts.get("tools", ())), facts.get("prompt", "").strip(),
        )
        for name, facts in declared.items()
    )  # fmt: skip
