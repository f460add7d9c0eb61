"""What can be said to the hub, by the command that it means: the part of the grammar that is written by hand.

Each phrase is an expansion of JSGF (JSpeech Grammar Format, W3C note of 2000): `[my]` may be left out, `(a | b)` is one of
two, `<agent>` is a name that the hub knows now. A phrase is heard only where its command is declared, and the same reader
of sentences that reads typed text gives it its meaning: tests hold that it is the command that the phrase stands under.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PHRASES: Mapping[str, tuple[str, ...]] = {
    "status": (
        "[show me the] status", "what is your status", "are you (there | online)", "how are you", "hub status",
    ),
    "help": (
        "help [me]", "what can you do", "show me the commands", "what can i say",
        "how do i (create | cancel | accept | retry) a task",
    ),
    "voice": (
        "voice (on | off)", "stop talking", "speak to me", "mute", "turn (on | off) your voice",
        "answer aloud", "be quiet",
    ),
    "balance": (
        "[show [me]] my balance", "what is my balance", "balance", "how many (sats | satoshis) do i have",
        "how much money do i have",
    ),
    "history": (
        "show [me] (my | the) history", "show [me] the last <count> payments", "what did i spend",
    ),
    "limits": ("show [me] (my | the) limits",),
    "agents": (
        "(show | list) [me] the agents", "who is (available | free)", "how is the swarm", "swarm status", "agents",
    ),
    "agent": (
        "what is <agent> doing", "tell me about <agent>", "how is <agent> doing", "show [me] agent <agent>",
    ),
    "tasks": (
        "(show | list) [me] (my | the) tasks", "what tasks are there", "show [me] the (open | finished | failed) tasks",
        "tasks",
    ),
    "show": (
        "show [me] task <task>", "what is the status of task <task>", "how is task <task> going",
    ),
    "briefing": ("brief me", "[give me] my [morning] briefing", "briefing"),
    "bids": ("show [me] the bids (for | on) task <task>", "who bid on task <task>"),
    "task": (
        "[(post | create) a task to] (summarise | summarize | describe) <file> [for at most <sats> (sats | satoshis)]",
        "scan <file> for secrets", "draw a chart of <file>", "count the words in <file>",
    ),
    "bid": ("bid <sats> (sats | satoshis) on task <task>",),
    "award": ("(give | award) task <task> to <agent>",),
    "accept": ("accept task <task>", "accept the result of task <task>"),
    "cancel": ("cancel task <task>",),
    "retry": ("retry task <task>",),
    "spawn": ("(spawn | hire | start) <persona>",),
    "dismiss": ("(dismiss | fire) <agent>",),
    "pay": ("pay <person> <sats> (sats | satoshis)", "send <sats> (sats | satoshis) to <person>"),
    "invoice": ("make an invoice for <sats> (sats | satoshis)",),
    "freeze": ("freeze the wallet",),
    "unfreeze": ("unfreeze the wallet",),
}  # fmt: skip

ANSWERS = ("yes [please]", "yeah", "confirm", "okay", "no [thanks]", "no thank you", "nope")
"""A yes or a no to what was asked back. A no answers; a yes is only understood, for other words are surely heard as it."""

NOT_SAID = frozenset({
    "payout", "reconcile", "treasury", "market", "spark",
    "ask", "new", "model", "stop", "start", "whoami", "pair", "unpair", "deliver", "reject", "approve", "deny", "why", "link",
    "unlink", "tokens", "revoke", "continue", "tools", "remember", "memory", "forget", "notify", "pull", "think",
    "every", "at", "schedules", "unschedule",
})  # fmt: skip
"""Commands that no phrase means: they need words of the sender's own, letters and codes, or a sentence that is read as chat."""
