"""Personas: the hub's own agents, declared in `config/personas.toml`, each with a field, a rate and what it can do.

A persona bids only on work it can really do now: a skill that understands the task, or a model and a task whose words
are in its field. Words match whole words only.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[a-z0-9]+(?:[-'][a-z0-9]+)*")


class Persona(NamedTuple):
    """A declared agent. `rate` is its asking price in whole sats; `skills` need no model.

    `tools` are what its model may call; `checks` are those that a model's result must pass to be delivered. `model` is the one that
    it works with, empty for the hub's own. `change_prompt` is its prompt where it changes files of a project; empty: it does not.
    """

    name: str
    role: str
    capabilities: tuple[str, ...]
    rate: int
    keywords: tuple[str, ...]
    skills: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    prompt: str = ""
    model: str = ""
    checks: tuple[str, ...] = ()
    change_prompt: str = ""


def field_fit(persona: Persona, description: str) -> float:
    """How much a task's words are in a persona's field: 0.0 (not at all) to 1.0 (two or more of its words)."""
    said = _words(description)
    single, several = _terms(persona)
    return min(1.0, (len(single & said) + sum(term <= said for term in several)) / 2)


@cache
def _terms(persona: Persona) -> tuple[frozenset[str], tuple[frozenset[str], ...]]:
    """A persona's terms of one word, and the words of the others; the roster is asked about every task, and stays as it is."""
    terms = {_words(term) for term in (*persona.keywords, *persona.capabilities, persona.role)}
    single = frozenset[str]().union(*(term for term in terms if len(term) == 1))
    return single, tuple(term for term in terms if len(term) > 1)


@lru_cache(maxsize=1)  # all agents are asked about a task, one after the other
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def called_for(personas: Iterable[Persona], description: str) -> frozenset[str]:
    """The capabilities of all personas in whose field a task's words are: what it calls for, of whoever declares one of them."""
    return frozenset(one for persona in personas if field_fit(persona, description) for one in persona.capabilities)


def says(term: str, description: str) -> bool:
    """Whether a task's words have all words of a term, and the term has one."""
    return bool(words := _words(term)) and words <= _words(description)


def field_of(personas: Sequence[Persona], description: str) -> str:
    """The first capability of the persona in whose field a task's words are most; empty if in none's."""
    best = max(personas, key=lambda persona: field_fit(persona, description), default=None)
    return best.capabilities[0] if best is not None and best.capabilities and field_fit(best, description) else ""
