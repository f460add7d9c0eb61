"""Replies that no command makes: errors, questions back, and where an answer went. The error tree meets a chat here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.agent.model import ModelUnreachable, NoModelInstalled
from core.approval import decides
from core.chat import Button, Choice, Reply
from core.errors import Refused, Unavailable, UserError
from core.money import format_sats
from core.store import NotWritten

if TYPE_CHECKING:
    from core.chat import CommandCall
    from core.errors import HubError

_NO_MODEL = (ModelUnreachable, NoModelInstalled)
QUESTION_MS = 10 * 60 * 1000
"""How long a question back can be answered."""
_NAMED = 80
"""So many letters of a task are named in the answer to a yes."""


class TooBusy(UserError):
    """You sent more messages than I can take at once; this one was not looked at. Wait for the answers and send it again."""

    status = 429


class NotRecorded(NotWritten):
    """What you asked for may be done, but its answer cannot be written yet ({why}). It follows; do not send it again."""


class NotAdmitted(Refused):
    """This group is not on my list. Add {place} to {setting} and start the hub anew."""


class NothingAsked(Unavailable):
    """No question waits for your answer here, and no model is there to talk with. /help lists what works without one."""


NOT_UNDERSTOOD = (
    "I did not understand this as a command either; /help lists what works without one, and /task WHAT asks all agents."
)


def from_error(error: HubError, said: str = "/", *, answers: bool = False, instead: str = "") -> Reply:
    """What a person reads when something is refused or fails; `data` carries the error's code.

    Who `said` plain words where no model is there for them is told that they were not taken for a command; or, where
    they are a yes or a no that `answers`, that nothing was asked. `instead`: the command by which somebody else does it.
    """
    if answers and isinstance(error, _NO_MODEL):
        error = NothingAsked()
    words = str(error)
    if instead:
        words += f"\nOr have somebody paid for it: {instead}"
    elif isinstance(error, _NO_MODEL) and said and not said.startswith("/"):
        words += f"\n{NOT_UNDERSTOOD}"
    return Reply(words, {"ok": False, "error": error.code})


def question(call: CommandCall, budget: int, now: int, why: str = "") -> Reply:
    """Ask whether a phrase meant this command; only whoever said it may answer, once.

    `budget`: a task's by itself, msat. `why`: what else is to be known before.
    """
    command, caller = call.text, call.caller
    unsaid = call.name == "task" and "max" not in call.args
    limit = f"No max= was understood, so it may cost up to {format_sats(budget)}." if unsaid else ""
    return Reply(
        "\n".join(filter(None, (f"Shall I do this? {_how(command)}:", command, limit, why))),
        {"ok": True, "asks": command},
        buttons=(Button("Yes", command), Button("No", "")),
        choice=Choice(caller.recorded, now + QUESTION_MS),
    )


def _how(command: str) -> str:
    """By what a question is answered: what decides an approval takes no bare word."""
    return "Press a button, or write" if decides(command) else "Yes or no"


def naming(reply: Reply, command: str) -> Reply:
    """The answer to a yes in words; of a task that it posted it says which, for it stands in no question's place."""
    name, _, words = command.partition(" ")
    if reply.task is None or name != "/task":
        return reply
    return replace(reply, text=f"{reply.text}\nYou said yes to: {words[:_NAMED]}{'…' * (len(words) > _NAMED)}")


def transcript(text: str) -> Reply:
    """Show what was heard, before it is done."""
    return Reply(f'Heard: "{text}"', {"ok": True, "heard": text})


def did_you_say(text: str, meant: str, actor: str, now: int, asked: Reply | None = None) -> Reply:
    """Ask whether this was said; Yes does what it means: a command, or the words. `asked`: as typed, it is asked back so."""
    question = f'Did you say "{text}"? {_how(meant)}.'
    if asked is not None:
        question += "\n" + asked.text.partition("\n")[2]
    return Reply(
        question, {"ok": True, "asks": meant}, buttons=(Button("Yes", meant), Button("No", "")),
        choice=Choice(actor, now + QUESTION_MS),
    )  # fmt: skip


def aside() -> Reply:
    """Told in a group when the answer itself is for one person's eyes."""
    return Reply("I answered you in private. If nothing came, open a chat with me and press Start.")
