"""The slash commands by group (CONTRACT, "Slash commands"), each with the intent that it belongs to."""

from __future__ import annotations

from core.language.words import bag
from core.voice.meaning import TALK, TYPED, Intent, Meaning

GROUPS = {
    Intent.TASK: bag("task tasks show bids bid award deliver accept reject cancel retry"),
    Intent.MONEY: bag("balance history invoice pay limits treasury payout freeze unfreeze reconcile"),
    Intent.SWARM: bag("agents agent spawn dismiss market spark"),
    Intent.CHAT: bag("ask new model stop remember memory forget tools create"),
    Intent.SCHEDULE: bag("every at schedules unschedule notify briefing"),
    Intent.STATUS: bag("status whoami"),
    Intent.HELP: bag("start help pair why link"),
    Intent.VOICE: bag("voice"),
    Intent.APPROVAL: bag("approve deny"),
}
COMMANDS = {name: intent for intent, names in GROUPS.items() for name in names}

READS = bag("memory tasks show bids balance history limits agents agent schedules status help whoami")
"""Commands that only read; every other one acts."""


def typed(text: str) -> Meaning:
    """What was typed as a command: `/Balance@timmy_bot ` is `/balance`. One that does not exist is chat."""
    typed_name, *rest = text.split(maxsplit=1)
    name = typed_name[1:].partition("@")[0].lower()
    if name not in COMMANDS:
        return Meaning(Intent.CHAT, TALK, {})
    return Meaning(COMMANDS[name], TYPED, {}, " ".join([f"/{name}", *rest]).rstrip())
