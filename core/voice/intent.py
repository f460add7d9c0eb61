"""Placeholder until the NLU is merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Known:
    agents: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    tasks: object = None


@dataclass(frozen=True)
class Meaning:
    intent: str = "chat"
    confidence: float = 0.5
    entities: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None


def understand(text: str, known: Known) -> Meaning:
    return Meaning("approval" if text.lower().strip(" .!") in {"yes", "no"} else "chat")


def declines(text: str) -> bool:
    return text.lower().startswith("no")
