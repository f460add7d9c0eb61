"""What a sentence comes to: an intent, how sure that is, the facts, and the slash command (CONTRACT, "Intents")."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.events import Json
    from core.voice.said import Said

TYPED = 1.0
"""A slash command: nothing was guessed."""
SURE = 0.95
"""A rule read the whole command."""
PARTLY = 0.8
"""A rule read the intent; what the command needs was not said, or there is none."""
WEAK = 0.6
"""A word of the field was said, in no form that a rule knows."""
TALK = 0.5
"""Nothing was understood: it is chat."""


class Intent(StrEnum):
    """What a sentence is about."""

    STATUS = "status"
    SWARM = "swarm"
    TASK = "task"
    MONEY = "money"
    SCHEDULE = "schedule"
    APPROVAL = "approval"
    HELP = "help"
    VOICE = "voice"
    CODE = "code"
    CHAT = "chat"
    UNKNOWN = "unknown"


class Unsaid(NamedTuple):
    """What is asked back where half of it was not said, and how all of it could be said."""

    question: str
    example: str


class Meaning(NamedTuple):
    """A sentence, understood. `command` is the slash command with its arguments, or None where nothing acts.

    `reminder`: the command that a reminder comes to, which says when and what, and names no command of its own. `tools`:
    those of the agent of which one is enough for what the command would have somebody paid for. `unsaid`: what a reminder lacks.
    `moment`: the time that is all it says, as it is said behind other words.
    """

    intent: Intent
    confidence: float
    entities: Mapping[str, str]
    command: str | None = None
    reminder: str | None = None
    tools: tuple[str, ...] = ()
    unsaid: Unsaid | None = None
    moment: str = ""

    def idle(self) -> Meaning:
        """What was understood, where nothing is to come of it."""
        return self._replace(command=None, reminder=None, unsaid=None, confidence=PARTLY)

    def data(self) -> dict[str, Json]:
        """The contract's JSON object."""
        return {
            "intent": self.intent.value,
            "confidence": self.confidence,
            "entities": dict(self.entities),
            "command": self.command,
        }


def mean(said: Said, intent: Intent, command: str | None = None, *, sure: float = 0.0, **facts: str) -> Meaning:
    """A meaning with the facts that the sentence names; those given by name take their place, empty ones leave it out."""
    entities = named(said) | facts
    confidence = sure or (SURE if command else PARTLY)
    return Meaning(intent, confidence, {name: value for name, value in entities.items() if value}, command)


def named(said: Said) -> dict[str, str]:
    """The first agent, person, task, amount and file of a sentence."""
    found = {
        "agent_name": said.agents, "actor": said.people, "task_id": said.tasks, "amount_sats": said.amounts,
        "target_file": said.files,
    }  # fmt: skip
    return {name: facts[0].value for name, facts in found.items() if facts}
