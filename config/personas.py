"""Reads the roster's declaration, `personas.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from core.swarm.persona import Persona

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).parent / "personas.toml"


def load(file: Path = FILE, models: Mapping[str, str] | None = None) -> tuple[Persona, ...]:
    """All declared personas, in order; `models` are those of some, by name."""
    declared = tomllib.loads(file.read_text(encoding="utf-8"))
    return tuple(
        Persona(
            name, facts["role"], tuple(facts["capabilities"]), facts["rate"], tuple(facts["keywords"]),
            tuple(facts.get("skills", ())), tuple(facts.get("tools", ())), facts.get("prompt", "").strip(),
            (models or {}).get(name, facts.get("model", "")), tuple(facts.get("checks", ())),
            facts.get("change_prompt", "").strip(),
        )
        for name, facts in declared.items()
    )  # fmt: skip
