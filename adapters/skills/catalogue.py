"""Every skill, once: what it works on, what it needs installed, and the words that mean it."""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_WORDS = "(?!)"


class Takes(Enum):
    """What a skill works on."""

    DOCUMENT = auto()
    TABLE = auto()
    ANYTHING = auto()
    QUERY = auto()
    NOTHING = auto()


class Skill(NamedTuple):
    """A skill; the function of its name in the module of its name runs it in the child.

    `verbs` mean it by themselves, once there is something to work on; `hints` only together with a verb or a file. Both are words
    and phrases, told apart by commas; each may be a small pattern.
    """

    name: str
    takes: Takes
    libraries: tuple[str, ...]
    said: str
    hinted: str = _NO_WORDS

    @property
    def verbs(self) -> re.Pattern[str]:
        """What means it."""
        return _words(self.said)

    @property
    def hints(self) -> re.Pattern[str]:
        """What may mean it."""
        return _words(self.hinted)


@cache
def _words(alternatives: str) -> re.Pattern[str]:
    """Whole words and phrases, in any case."""
    return re.compile(rf"(?<![\w-])(?:{'|'.join(alternatives.split(', '))})(?![\w-])", re.IGNORECASE)


_ALL = (
    Skill(
        "summarise",
        Takes.DOCUMENT,
        ("numpy", "sentencex", "snowballstemmer", "markdown_it", "pypdf", "docx"),
        "summari[sz]es?, summari[sz]ed, summari[sz]ing, summary, sum up, tl;?dr, gist, digest, abstract, brief, "
        "condense, shorten, key points, main points, boil down",
    ),
    Skill(
        "outline",
        Takes.DOCUMENT,
        ("markdown_it", "pypdf", "docx"),
        "outlines?, outlined, outlining, structure, table of contents, toc, headings?, sections?, chapters?",
    ),
    Skill(
        "scan",
        Takes.ANYTHING,
        ("detect_secrets", "bandit"),
        "scans?, scanning, audits?, auditing, (?:check|find|look) (?:for )?(?:any |all |the |hidden |leaked )*"
        "(?:secrets|passwords|credentials|api keys|vulnerabilities|leaks)",
        "secrets?, passwords?, credentials?, security, securely, vulnerability, vulnerabilities, leaks?, leaked, "
        "api keys?, tokens?, dangerous, insecure, unsafe, malicious, bandit",
    ),
    Skill(
        "search",
        Takes.QUERY,
        ("markdown_it", "pypdf", "docx", "openpyxl"),
        "search for, search through, search, searching, find out, find where, find what, find, finding, look for, "
        "looking for, look up, grep for, grep, locate, research, where is, where are, where does, where do, "
        "which files? (?:mentions?|says?|contains?|has|have)",
    ),
    Skill(
        "describe",
        Takes.TABLE,
        ("pandas", "openpyxl"),
        "describes?, described, describing, analy[sz]es?, analy[sz]ing, analysis, statistics, stats, profile, "
        "explore, columns, outliers, correlations?, what is in, summari[sz]e, overview",
    ),
    Skill(
        "chart",
        Takes.TABLE,
        ("pandas", "openpyxl", "matplotlib"),
        "charts?, plots?, plotting, graphs?, draw, diagram, visuali[sz]e, histogram, scatter",
    ),
    Skill(
        "machine",
        Takes.NOTHING,
        ("psutil",),
        "(?:machine|system|server|host|hardware|health) (?:report|state|status|health|check|load|info), uptime, "
        "(?:disk|memory|ram|cpu) (?:space|usage|use|load|left|free), free (?:disk|memory|ram|space), load average, "
        "(?:state|status|health) of (?:the|this|my|our) (?:machine|system|server|host|computer)",
        "machine, system, server, host, computer, disk, memory, ram, cpu, temperatures?",
    ),
)

SKILLS: dict[str, Skill] = {skill.name: skill for skill in _ALL}
"""The skills of personas, by name."""

_DOCUMENTS = ("markdown_it", "pypdf", "docx")
_CALLED = (
    Skill("listing", Takes.NOTHING, (), _NO_WORDS),
    Skill("reading", Takes.NOTHING, _DOCUMENTS, _NO_WORDS),
    Skill("grep", Takes.NOTHING, (), _NO_WORDS),
    Skill("copying", Takes.NOTHING, (), _NO_WORDS),
    Skill("change", Takes.NOTHING, (), _NO_WORDS),
    Skill("git", Takes.NOTHING, (), _NO_WORDS),
    Skill("fork", Takes.NOTHING, (), _NO_WORDS),
    Skill("page", Takes.NOTHING, ("bs4", "lxml", "markdownify", "pypdf"), _NO_WORDS),
    Skill("select", Takes.NOTHING, ("pandas", "openpyxl"), _NO_WORDS),
)

KNOWN: dict[str, Skill] = SKILLS | {skill.name: skill for skill in _CALLED}
"""All skills by name: those too that no words mean, which only a model's tools ask for. They say themselves what is wrong."""


def offered(skills: Iterable[str], without: frozenset[str]) -> tuple[str, ...]:
    """Those of the named skills whose libraries are installed, but for those of `without`."""
    return tuple(name for name in skills if name not in without and _installed(name))


@cache
def _installed(skill: str) -> bool:
    """Whether a skill's libraries are there; looked up once, since each look goes through the whole import path."""
    return skill in KNOWN and all(map(find_spec, KNOWN[skill].libraries))
