"""What a model may call, and the rule of what happens when it does. Pure.

A tool declares what it does: one that `read`s is called by itself; one that `write`s is too, as long as nothing that the
model was given came from outside; one that `ask`s is never called before a person has agreed to exactly that call; one that
changes its `own` copy of something, of which people see what it became before anything of theirs changes, is called by itself. A
tool that reaches `outward` sends what the model wrote to others: by itself only what a person, or a page itself, named.
Source: GUARANTEES, "The model is hostile".
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from core.agent.model import ToolSpec
    from core.chat import Caller
    from core.events import Json
    from core.swarm.ports import ResultFile


class Effect(StrEnum):
    """What a call does to the world; see the module."""

    READ = "read"
    WRITE = "write"
    ASK = "ask"
    OWN = "own"


class BadCall(UserError):
    """The call of {tool} cannot be used: {why}"""


class Use(NamedTuple):
    """On whose behalf a tool is called, where, and the name of the call: whatever it causes is keyed by that, once.

    `again`: when it was begun before, by a hub that was stopped in its midst (Unix ms); it may be done already. 0: it was not.
    `seen`: what `Tool.look` saw when its person was asked.
    """

    caller: Caller
    conversation: str
    key: str
    again: int = 0
    seen: str = ""


class Output(NamedTuple):
    """What a call came to, for the model to read; `files` are kept already (`Shelf`), and handed to people with the answer.

    `outside`: somebody else wrote it, or may have: a file, a page, an agent, another program.
    """

    text: str
    outside: bool = True
    files: tuple[ResultFile, ...] = ()


class Tool(Protocol):
    """Something a model may call. What it cannot do it says by a `HubError`, whose sentence the model is given."""

    @property
    def spec(self) -> ToolSpec:
        """How the model is told of it."""

    @property
    def effect(self) -> Effect:
        """What a call does."""

    @property
    def outward(self) -> str:
        """The argument that is sent to somebody outside this machine (an address); empty where nothing is."""

    def read(self, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        """The arguments as they will be used: defaults filled in, what is harmlessly wrong put right. Raises `BadCall`."""

    def words(self, arguments: Mapping[str, Json]) -> str:
        """What the call does, for people. Its first line names the thing (`write notes.md`); of what asks, all is shown."""

    async def look(self, arguments: Mapping[str, Json], use: Use) -> str | None:
        """Raise what keeps a call that asks from being done as things are, before its person is asked; nothing is changed by it.

        Returns what `run` must find as it was for the person's yes to be to that, which is kept with the question: `Use.seen`.
        Nothing of it goes outward. What cannot be told beforehand is told by `run`, which looks at all of it again.
        """

    async def run(self, arguments: Mapping[str, Json], use: Use) -> Output:
        """Do it; `arguments` are those that `read` returned."""


class Toolbox(Protocol):
    """All tools of this machine."""

    def offered(self, names: Sequence[str], caller: Caller) -> Sequence[Tool]:
        """Those of the named tools that can be called on this caller's behalf here and now; no names: those of the hub's agent."""

    def find(self, name: str) -> Tool | None:
        """One tool by its name, whoever may have it."""

    def closed(self) -> Sequence[tuple[str, str]]:
        """The names of tools that cannot be called on this machine now, and why."""


class NoTools:
    """The toolbox of a machine without any."""

    def offered(self, *_: object) -> Sequence[Tool]:
        """See `Toolbox`."""
        return ()

    def find(self, *_: object) -> Tool | None:
        """See `Toolbox`."""
        return None

    def closed(self) -> Sequence[tuple[str, str]]:
        """See `Toolbox`."""
        return ()


class Way(StrEnum):
    """What becomes of a call."""

    RUN = "run"
    ASK = "ask"


_ADDRESS = re.compile(r"https?://[^\s<>\"'`|\\^{}\[\]]+", re.IGNORECASE)
_AFTER = ".,;:!?)"
"""What ends a sentence and no address."""


def addresses(text: str) -> frozenset[str]:
    """The addresses that stand in a text, whole."""
    return frozenset(found.rstrip(_AFTER) for found in _ADDRESS.findall(text))


def judge(tool: Tool, arguments: Mapping[str, Json], *, tainted: bool, named: Collection[str]) -> Way:
    """Whether a call is made by itself or put to a person first.

    `tainted`: the model was given a text from outside. `named`: the addresses that its person wrote, or that a page held, in this
    turn: to ask for one of them tells nobody what was not there. One that the model put together may carry out what it has read.
    """
    if tool.effect is Effect.ASK or (tainted and tool.effect is Effect.WRITE):
        return Way.ASK
    if tool.outward and arguments.get(tool.outward) not in named:
        return Way.ASK
    return Way.RUN
