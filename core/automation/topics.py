"""What the hub tells people by itself, sorted into topics, and what of it is told where. Pure.

Each topic has places where it is told if nobody says anything: where a task was posted, or the homes of whoever it is for. A person
adds places and takes their own away. What is asked of a person, and the answers to their commands, are no topic: they always come.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from core.chat import Reply

CHANNEL = "apprise:"
"""How the conversation of a channel begins that the owner's settings name; its name follows."""


class UnknownTopic(UserError):
    """There is no topic {given}. Topics: {known}. Approvals asked of you, and answers to what you say, always come."""


class CannotBeOff(UserError):
    """{topic} cannot be turned off: {why}"""


class Topic(StrEnum):
    """What is told. The value is its name in `/notify`."""

    TASKS = "tasks"
    BIDS = "bids"
    MONEY = "money"
    SECURITY = "security"
    AGENTS = "agents"
    HEALTH = "health"
    TREASURY = "treasury"
    REPORT = "report"


ABOUT = {
    Topic.TASKS: "how your tasks end, and results that wait for you",
    Topic.BIDS: "tasks that people can bid on",
    Topic.MONEY: "sats that came to you, and payments of yours that ended",
    Topic.SECURITY: "identities linked to your account; limits and the freeze, for owners",
    Topic.AGENTS: "agents in containers that fail, or work again",
    Topic.HEALTH: "surfaces that are deaf, and what is stuck",
    Topic.TREASURY: "what becomes of the hub's own sats",
    Topic.REPORT: "the money of the day, at 08:00",
}

OWNERS = frozenset({Topic.AGENTS, Topic.HEALTH, Topic.TREASURY, Topic.REPORT})
"""What owners alone are told."""

IN_GROUPS = frozenset({Topic.BIDS, Topic.AGENTS, Topic.HEALTH})
"""What may be told where others read it."""

URGENT = frozenset({Topic.SECURITY})
"""What no quiet hours hold up, and nobody turns off."""

HEARD = frozenset({Topic.HEALTH, Topic.TREASURY})
"""What somebody has to hear: where everybody turned it off, everybody is told."""

ASKED_FOR = frozenset({Topic.TASKS, Topic.BIDS})
"""What is told at home only where somebody wants that."""


def parse_topic(given: str) -> Topic:
    """The topic of this name. Raises `UnknownTopic`."""
    try:
        return Topic(given.lower())
    except ValueError:
        raise UnknownTopic(given=repr(given[:40]), known=", ".join(Topic)) from None


def check_off(topic: Topic) -> None:
    """Raise `CannotBeOff` for what nobody must miss."""
    if topic in URGENT:
        raise CannotBeOff(topic=topic.value, why="whoever takes over an account, or lifts a limit, must not go unseen.")


class Wish(NamedTuple):
    """Somebody wants a topic told in a place (a conversation), or not there: `actor` is the identity that said so."""

    topic: Topic
    place: str
    actor: str
    on: bool


class Notice(NamedTuple):
    """Something to tell. `people`: the homes of those it is for; `at`: where it is told instead of there, where nobody wants else.

    `since`: when what it follows from was done, Unix ms: who does something in their quiet hours is told what comes of it. `but`: a
    surface on which it is not told.
    """

    topic: Topic
    reply: Reply
    people: Collection[str] = ()
    at: Sequence[str] = ()
    since: int = 0
    but: str = ""


def places(notice: Notice, wishes: Iterable[Wish]) -> list[tuple[str, str]]:
    """Where it is told, and by whose wish, empty where by nobody's: (conversation, actor)."""
    usual = [place for place in notice.at or sorted(notice.people) if not _on(place, notice.but)]
    found = [wish for wish in wishes if wish.topic is notice.topic]
    off = {wish.place for wish in found if not wish.on}
    told = [(place, "") for place in usual if place not in off]
    for wish in found:
        told_there = any(place == wish.place or place.startswith(f"{wish.place}/") for place, _ in told)
        if wish.on and wish.actor in notice.people and not told_there and not _on(wish.place, notice.but):
            told.append((wish.place, wish.actor))
    return told or ([(place, "") for place in usual] if notice.topic in HEARD else [])


def _on(place: str, surface: str) -> bool:
    return bool(surface) and place.startswith(f"{surface}:")


def within(conversation: str, place: str) -> bool:
    """Whether a conversation is a place, or a thread or topic of it."""
    return conversation == place or conversation.startswith(f"{place}/")
