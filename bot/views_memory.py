"""What is remembered, as a person reads it and as a program does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.page import Page
from bot.views import PAGE, counted
from core.agent.memory import UNDO_MS, How, Scope, fact_name
from core.chat import Button, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from core.agent.memory import Fact
    from core.agent.notebook import Found, Kept
    from core.events import Json

LISTED = 1000
"""Facts that a program is given at once."""

BUTTONS = 5
"""Facts of which one is to be chosen that have a button each."""


def fact_data(fact: Fact) -> dict[str, Json]:
    """A fact's own facts, for programs."""
    source = fact.source
    return {
        "id": fact.name, "text": fact.text, "scope": fact.owner.scope.value, "said_by": source.said_by, "at": source.at,
        "conversation": source.conversation, "how": source.how.value,
    }  # fmt: skip


def kept(made: Kept) -> Reply:
    """The answer to /remember."""
    fact = made.fact
    if not fact.id:
        return Reply("That was remembered, and forgotten since.", {"ok": True})
    whose = "" if fact.owner.scope is Scope.PERSON else " for everybody in this group"
    known = "I know that already" if made.known else "I remember that"
    button = Button("Forget", f"/forget {fact.name}")
    return Reply(f"{known}{whose}, as {fact.name}: {fact.text}", {"ok": True, **fact_data(fact)}, buttons=(button,))


def listed(found: Found, words: str, zone: tzinfo | None, start: int | None = None) -> Reply:
    """The answer to /memory: a page for people, all that are given for programs; of a search, the best.

    `start`: the number of the fact from which it goes downwards.
    """
    shown, more = found.facts[:PAGE], found.facts[PAGE:]
    data: dict[str, Json] = {"ok": True, "facts": [fact_data(fact) for fact in found.facts], "count": found.total}
    if not shown:
        return Reply(_nothing(found, words, start), data)
    whose = "about you" if found.scope is Scope.PERSON else "for this group"
    if words:
        page = Page(f"What I remember {whose} that fits, the best first")
    else:
        page = Page(f"{counted(found.total, 'fact')} that I remember {whose}, newest first")
    for fact in shown:
        page.add(f"{fact.name}  {fact.text}")
        page.add(f"    {_source(fact, zone)}")
    if not more or words:
        return page.add("/forget ID has one forgotten.").reply(data)
    command = f"/memory from={more[0].name}"
    return page.add(f"… and older ones: {command}").reply(data, None, (Button("More", command),))


def _nothing(found: Found, words: str, start: int | None) -> str:
    if words:
        return "I remember nothing that has any of these words. /memory lists all."
    if found.total and start is not None:
        return f"All that I remember here is newer than {fact_name(start)}. /memory lists all."
    if found.scope is Scope.PLACE:
        return "I remember nothing for this group. /remember TEXT said here is for everybody in it."
    return "I remember nothing about you. Try: /remember I am allergic to nuts"


def _source(fact: Fact, zone: tzinfo | None) -> str:
    source = fact.source
    how = "written by" if source.how is How.WRITTEN else "proposed by the model, agreed to by"
    day = datetime.fromtimestamp(source.at / 1000, UTC).astimezone(zone).date()
    return f"{day}, {how} {source.said_by}"


def forgotten(facts: Sequence[Fact], count: int | None = None) -> Reply:
    """The answer to /forget."""
    gone = len(facts) if count is None else count
    if not gone:
        return Reply("There was nothing to forget here.", {"ok": True, "forgotten": []})
    what = f"{facts[0].name}: {facts[0].text}" if len(facts) == 1 else counted(gone, "fact")
    hours = UNDO_MS // 3_600_000
    command = f"/forget undo {facts[0].name}" if facts else "/forget undo"
    words = f"Forgotten: {what}\nFor {hours} hours {command} brings it back; then it is deleted."
    data: dict[str, Json] = {"ok": True, "forgotten": [fact.name for fact in facts], "count": gone}
    return Reply(words, data, buttons=(Button("Undo", command),))


def recovered(facts: Sequence[Fact]) -> Reply:
    """The answer to /forget undo."""
    what = f"{facts[0].name}: {facts[0].text}" if len(facts) == 1 else counted(len(facts), "fact")
    return Reply(f"I remember again: {what}", {"ok": True, "recovered": [fact.name for fact in facts[:PAGE]]})


def which(facts: Sequence[Fact]) -> Reply:
    """Several facts fit what was to be forgotten."""
    page = Page("Which of these? Nothing was forgotten yet.")
    for fact in facts[:PAGE]:
        page.add(f"{fact.name}  {fact.text}")
    buttons = tuple(Button(f"Forget {fact.name}", f"/forget {fact.name}") for fact in facts[:BUTTONS])
    data: dict[str, Json] = {"ok": False, "error": "which_fact", "facts": [fact_data(fact) for fact in facts[:PAGE]]}
    return page.reply(data, None, buttons)
