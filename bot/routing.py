"""What a message asks for, before anything is looked up: a slash command, a question to the agent, a tap, a file.

Free text that means a command becomes that command. Those that only read act at once; all others come back as a
question with buttons, for a phrase can be misheard and a tap cannot. Of what was spoken even a slash command is asked back.
Nobody is paid for what the agent does by itself: such a request goes to it where it can.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from core.errors import Refused, Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.registry import Command, Registry
    from core.chat import Inbound
    from core.voice.intent import Meaning


class CannotRead(UserError):
    """I do not take {what}. I read text and files; /help says what I can do."""


class NotOpened(UserError):
    """I could not read what you wrote: {why}"""


class NotYetHere(UserError):
    """I understood that as {command}, which this version of the hub cannot do. /help lists what it can."""


class HalfSaid(UserError):
    """{question} For example: {example}"""


class ChangesNothing(Refused):
    """I change files only where I can ask you first. Say it in a chat with me, or have somebody do it as a task."""


class DeletesNothing(Unavailable):
    """Only the agent deletes files, once you have agreed, and it cannot now: {why} Or delete them in the workspace yourself."""


class NobodyCould(Unavailable):
    """No agent here can do this now, nor can I by myself: it {why}"""


NO_TOOLS = "The model here is not known to call tools."
"""Why the agent calls none, where a model answers."""

BY_ITSELF = "With a model that calls tools I do this myself, for nothing."
"""What is to be known before somebody is paid for what the agent could do."""


class Way(Enum):
    """How a message is dealt with."""

    RUN = auto()
    """Its command is carried out."""
    ASK = auto()
    """Its command is asked back first."""
    EITHER = auto()
    """It goes to the agent, as it was said, where the agent has one of its `tools` now; else its command is asked back."""
    TAP = auto()
    """The command behind a pressed button is carried out."""
    ANSWER = auto()
    """It answers the last open question, if there is one; else it goes to the agent."""
    WHEN = auto()
    """It is a time alone: of the reminder that was just asked for, if there is one; else it goes to the agent."""
    HEAR = auto()
    """It is spoken, and heard before anything else."""
    FILES = auto()
    """Its files are kept, then its text is taken."""


class Route(NamedTuple):
    """A message, as a command where free text meant one, and how it is dealt with."""

    way: Way
    message: Inbound
    command: Command | None = None
    yes: bool = False
    answers: bool = False
    """Whether its words are a yes or a no, though no question was open."""
    plain: str = ""
    """As it was said, where its command is another text."""
    tools: tuple[str, ...] = ()
    """Those of the agent of which one would do instead of its command."""
    instead: str = ""
    """The command that does it where the agent, whom it went to, cannot."""
    why: str = ""
    """Why it did not go to the agent, for the question that it comes to."""

    @property
    def changes(self) -> bool:
        """Whether the tools that would do it change something."""
        from core.voice.own import WRITES  # noqa: PLC0415 - loaded by who gave the meaning, not by a start

        return self.tools == WRITES

    @property
    def deletes(self) -> bool:
        """Whether files are to be deleted, which nobody else could do for sats."""
        from core.voice.own import DELETES  # noqa: PLC0415 - as above

        return self.tools == DELETES

    def by_agent(self, ask: Command) -> Route:
        """What went to either, as a question to the agent."""
        plain, command = self.message._replace(text=self.plain), self.message.text
        return Route(Way.RUN, plain, ask, instead="" if self.deletes else command)


def route(registry: Registry, understand: Callable[[str], Meaning], message: Inbound) -> Route:
    """Where a message goes. Raises `UserError` for what cannot be meant."""
    refuse_unread(message)
    if message.tap:
        return Route(Way.TAP, message)
    if not message.text and any(file.spoken for file in message.files):
        return Route(Way.HEAR, message)
    if message.files:
        return Route(Way.FILES, message)
    return words(registry, understand, message)


def refuse_unread(message: Inbound) -> None:
    """Raise `CannotRead` or `NotOpened` for what a surface got and cannot hand on."""
    if message.unread:
        raise CannotRead(what=message.unread)
    if message.sealed:
        raise NotOpened(why=message.sealed)


def words(registry: Registry, understand: Callable[[str], Meaning], message: Inbound) -> Route:
    """Where a message of words goes. Raises `UserError` for what cannot be meant."""
    command = registry.route(message)
    if message.text.startswith("/"):
        return Route(Way.ASK if message.spoken and not command.looks(message.text) else Way.RUN, message, command)
    meaning = understand(message.text)
    meaning = meaning._replace(command=meaning.command or meaning.reminder)
    if meaning.command is None and (yes := _answer(meaning, message.text)) is not None:
        return Route(Way.ANSWER, message, command, yes=yes)
    if meaning.moment:
        return Route(Way.WHEN, message, command)
    if meaning.unsaid is not None:
        raise HalfSaid(**meaning.unsaid._asdict())
    if meaning.command is None:
        return Route(Way.RUN, message, command)
    meant = message._replace(text=meaning.command)
    if (found := registry.find(meaning.command.split(maxsplit=1)[0])) is None:
        raise NotYetHere(command=meaning.command)
    way = Way.RUN if found.looks(meaning.command) else Way.EITHER if meaning.tools else Way.ASK
    return Route(way, meant, found, plain=message.text, tools=meaning.tools)


def _answer(meaning: Meaning, text: str) -> bool | None:
    """Yes or no to what was asked, if a sentence is an answer."""
    if meaning.intent != "approval":
        return None
    from core.voice.approval import answer  # noqa: PLC0415 - loaded by who gave the meaning, not by a start

    return answer(text)
