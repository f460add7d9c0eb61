"""Containers of agents: what is wanted of one, what is seen of it, and what follows. Pure: `keeper` does it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol
from unicodedata import category

from core.errors import Unavailable, UserError

CALM = 60_000
"""ms: a container that ran so long is no crash's any more."""

LOOP = 2
"""So many ends in a row, none of them after a calm time, are told to the owners."""

FIRST_PAUSE, LAST_PAUSE = 1_000, 300_000
"""ms until one that ended is started again, the first time and at most; each is drawn from half of it to all of it."""

MOST_CONTAINERS = 20
_LONGEST_LINE = 300
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control and format signs, halves of characters, and separators of lines."""

_NO_PROGRAM = 127
_SIGNALS = {128 + 6: "SIGABRT", 128 + 9: "SIGKILL", 128 + 11: "SIGSEGV", 128 + 15: "SIGTERM"}
"""Exit codes of what a signal ended, as shells have it."""

_MOST_DOUBLINGS = 16
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MOST_OF_A_NAME = 255
_WORDS = r"[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"  # the registry
    rf"{_WORDS}(?:/{_WORDS})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)
"""As Docker has it; what is no such name it would call an invalid reference."""


class BadContainerName(UserError):
    """{given} cannot name a container: small letters, digits and dashes, at most 63, as in the name of a host."""


class BadImageName(UserError):
    """{given} is no name of an image, such as timmy-agent or timmy-agent:2."""


class NoImage(UserError):
    """Docker has no image {image}, and none is fetched. make docker-build makes timmy-agent; docker image ls lists all."""

    status = 404


class BadImage(UserError):
    """{image} cannot be an agent's: {why}"""


class NotStarted(UserError):
    """The container of {agent} cannot be started: {why}"""


class DockerAway(Unavailable):
    """Docker does not answer at {url}: {why}. Start it, or see to TIMMY_DOCKER_URL (docs/containers.md)."""


class OtherHub(Unavailable):
    """Another hub, on a copy of this data folder, has begun {agent} on the same Docker, so this one leaves containers alone.

    Give the copy another Docker (TIMMY_DOCKER_URL), or stop one of the two; then start this hub again.
    """


class Trouble(StrEnum):
    """What its owners were told of a container; of none, or of its end, nothing. `COPIED` is no row's: it is told of all."""

    NONE = ""
    ENDS = "ends"
    REFUSED = "refused"
    REVOKED = "revoked"
    COPIED = "copied"


class State(StrEnum):
    """What Docker says of a container. One that was made and never begun may lack its token: it is made anew."""

    MADE = "made"
    RUNS = "runs"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Container:
    """An agent of this hub that lives in a container, as it is kept.

    `capabilities`: what it is told to do; none: whatever its image can. `ended`: the last end that was counted, as Docker dates
    it; `ends`: how many there were in a row. `why`: the reason for the last one.
    """

    name: str
    image: str
    capabilities: tuple[str, ...] = ()
    live: bool = True
    ended: str = ""
    ends: int = 0
    trouble: Trouble = Trouble.NONE
    why: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one container may use: bytes of memory (there is no swap), thousandths of a processor, processes and threads."""

    memory: int
    cpu: int
    processes: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A container as it should be. `hub`: where its agent finds the hub; `network`: `none`, `host`, or the name of one.

    `sockets`: the folder on this machine with the hub's own socket, which one without a network sees; empty for the others.
    """

    name: str
    image: str
    capabilities: tuple[str, ...]
    hub: str
    network: str
    limits: Limits
    sockets: str = ""

    @property
    def mark(self) -> str:
        """What tells a container that is as it should be from one of other settings."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Home:
    """What all containers of a hub have in common; as in `Wanted`."""

    hub: str
    network: str
    limits: Limits
    sockets: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A container of this hub as Docker has it. `ended` as Docker dates it, `starved`: its end was want of memory.

    `run`: which run of a hub made it.
    """

    name: str
    mark: str
    state: State
    ended: str = ""
    code: int = 0
    starved: bool = False
    run: str = ""


class Engine(Protocol):
    """What runs containers: those of this hub alone. Everything raises `DockerAway`."""

    async def found(self) -> list[Found]:
        """All of them."""

    async def make(self, wanted: Wanted, token: str, run: str) -> None:
        """Make one in this run of the hub, the token within it, and do not begin it. Raises `NoImage`, `BadImage`."""

    async def start(self, name: str) -> None:
        """Begin one that does not run. Raises `NotStarted`."""

    async def remove(self, name: str) -> None:
        """End one, and remove it with all that it kept; one that is gone already is no error."""

    async def log(self, name: str, lines: int) -> list[str]:
        """What it said last, as it said it; nothing of one that is gone."""


def wanted(one: Container, home: Home) -> Wanted:
    """A container of this hub as it should be."""
    return Wanted(one.name, one.image, one.capabilities, home.hub, home.network, home.limits, home.sockets)


def check_name(given: str) -> str:
    """The name of a container, as it is kept. Raises `BadContainerName`."""
    if not _NAME.fullmatch(name := given.lower()):
        raise BadContainerName(given=repr(given[:80]))
    return name


def check_image(given: str) -> str:
    """Raises `BadImageName`."""
    if len(given) > _MOST_OF_A_NAME or not _IMAGE.fullmatch(given):
        raise BadImageName(given=repr(given[:80]))
    return given


def pause(ends: int, chance: float) -> int:
    """How many ms until one that ended so often in a row is started again; `chance`: drawn anew each time, 0 to 1."""
    longest = min(FIRST_PAUSE << min(max(0, ends - 1), _MOST_DOUBLINGS), LAST_PAUSE)
    return round(longest * (1 + chance) / 2)


def reason(found: Found, limits: Limits) -> str:
    """Why a container ended."""
    if found.starved:
        return f"it ran out of memory: it may use {limits.memory >> 20} MB"
    if (name := _SIGNALS.get(found.code)) is not None:
        return f"it was killed by {name}"
    if found.code == _NO_PROGRAM:
        return "its image has no program of the name that it begins (exit code 127)"
    return f"it ended with exit code {found.code}" if found.code else "it ended by itself, with exit code 0"


def ended(one: Container, found: Found, why: str) -> Container:
    """A container as it is kept after an end. Where it is one of several in a row, its owners are told, once."""
    ends = one.ends + 1
    trouble = Trouble.ENDS if ends >= LOOP else one.trouble
    return replace(one, ended=found.ended, ends=ends, trouble=trouble, why=why)


def refused(one: Container, why: str) -> Container:
    """A container that Docker would not make or begin."""
    return replace(one, ends=one.ends + 1, trouble=Trouble.REFUSED, why=why)


def revoked(one: Container, found: Found) -> Container:
    """A container whose token somebody has revoked."""
    return replace(one, ended=found.ended, trouble=Trouble.REVOKED, why="its token was revoked")


def calm(one: Container) -> Container:
    """A container that has run for long enough."""
    return replace(one, ends=0, trouble=Trouble.NONE, why="")


def dismissed(one: Container) -> Container:
    """A container that is wanted no more; its name and image are kept, for whoever wants it back."""
    return replace(one, live=False, ends=0, trouble=Trouble.NONE, why="")


def names(persona: str) -> list[str]:
    """What the agents of a persona in containers are called: not like those in the hub itself, which have numbers alone."""
    return [f"{persona}-box", *(f"{persona}-box-{number}" for number in range(2, MOST_CONTAINERS + 2))]


def standing(one: Container, wait: int | None) -> str:
    """How one that does not run stands; `wait`: ms until it is started again."""
    if one.trouble is Trouble.REVOKED:
        return f"{one.why}; /spawn {one.name} gives it another"
    again = f"; started again in {-(-wait // 1000)} s" if wait else ""
    often = f", {one.ends} times in a row" if one.ends > 1 and one.trouble is not Trouble.REFUSED else ""
    return f"{one.why}{often}{again}" if one.why else "its container starts"


def shown(line: str) -> str:
    """A line that a container said, as it is shown: what is not seen, or obeyed by a terminal, is spelled out."""
    seen = "".join(sign if sign == "\t" or category(sign) not in _UNSEEN else _spelled(sign) for sign in line)
    return seen if len(seen) <= _LONGEST_LINE else f"{seen[:_LONGEST_LINE]}…"


def _spelled(sign: str) -> str:
    return f"\\x{ord(sign):02x}" if ord(sign) <= 0xFF else f"\\u{ord(sign):04x}"  # noqa: PLR2004 - as Python spells them
