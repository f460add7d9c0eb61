"""Which command a question is about: the words that mean it, one of the verbs and, where there are any, one of the nouns."""

from __future__ import annotations

from typing import NamedTuple

from core.language.words import bag

TASKS = "task tasks job jobs delivery deliveries result results bounty"
AGENTS = "agent agents worker workers swarm persona bot bots team"
PEOPLE = "somebody someone anyone anybody person people sats friend user member him her them else"
WALLET = "wallet spending payments payment money funds sats"
SEE = "listing showing seeing checking viewing see show view look list check find read display get inspect know tell which all"


class Topic(NamedTuple):
    """A command and its words."""

    command: str
    verbs: frozenset[str]
    nouns: frozenset[str]


def _topic(command: str, verbs: str, nouns: str = "") -> Topic:
    return Topic(command, bag(verbs), bag(nouns))


# The first that fits is meant, so the particular stands before the general.
TOPICS = (
    _topic(
        "voice",
        "mute unmute aloud loud silence quiet louder",
        "you your yourself voice aloud loud speak talk answers hub timmy read",
    ),
    _topic("voice", "talk talking speak speaking voice reading", "aloud voice loud off on mute stop quiet make"),
    _topic(
        "every",
        (
            "every daily weekly hourly regularly repeatedly automatically repeat recurring nightly repeated "
            "monthly repeating"
        ),
        (
            "command commands run task balance schedule scheduled something day morning hour week reminder task "
            "night monday"
        ),
    ),
    _topic("unschedule", "cancel delete remove stop unschedule", "schedule schedules scheduled reminder reminders"),
    _topic("schedules", f"{SEE}", "schedules scheduled reminders"),
    _topic(
        "at",
        "schedule later tomorrow plan tonight remind reminder reminders",
        "command commands task run something later reminder payment reminders tomorrow hub work",
    ),
    _topic("unfreeze", "unfreeze unlock thaw resume allow", f"{WALLET}"),
    _topic("freeze", "freeze lock block stop", f"{WALLET}"),
    _topic(
        "invoice",
        "invoice invoices bill",
        "make create issue write send get invoice generate request somebody someone sats",
    ),
    _topic("invoice", "receive earn charge collect", "sats money payment payments"),
    _topic("limits", "limit limits cap allowance"),
    _topic("history", "transactions history movements payments", f"{SEE} history transactions"),
    _topic("balance", "balance"),
    _topic("balance", f"{SEE} much", "wallet sats"),
    _topic("bids", f"{SEE} compare", "bids offers bidders"),
    _topic("bid", "bid bidding bids auction auctions"),
    _topic("retry", "retry rerun restart redo repeat again retrying", f"{TASKS}"),
    _topic("accept", "accept accepting", f"{TASKS} work"),
    _topic("reject", "reject refuse rejecting decline send back", f"{TASKS} work"),
    _topic("cancel", "cancel abort withdraw stop drop cancelling delete remove scrap kill", f"{TASKS}"),
    _topic(
        "award",
        "award assign awarding assigning hand choose pick allocate winner",
        f"{TASKS} {AGENTS} winner bid",
    ),
    _topic("award", "give", "task job tasks"),
    _topic("tasks", f"{SEE}", "tasks jobs"),
    _topic(
        "task",
        (
            "create post make add put open submit posting creating budget write new start order publish max "
            "deadline set up"
        ),
        f"{TASKS} work budget",
    ),
    _topic("task", "get have let ask hire", "somebody someone anyone done anybody"),
    _topic("show", f"{SEE} details detail status", "task job result"),
    _topic("dismiss", "dismiss remove fire kick rid sack stop dismissing delete shut let go", f"{AGENTS}"),
    _topic("spawn", "spawn add hire new another spawning start recruit launch more create extra", f"{AGENTS}"),
    _topic("agent", f"{SEE} details detail one single doing about", "agent worker"),
    _topic("agents", f"{SEE} who", f"{AGENTS}"),
    _topic("deny", "deny decline refuse disapprove"),
    _topic("approve", "approve approval confirm approving"),
    _topic("pay", "make send do", "payment payments"),
    _topic("pay", "pay send transfer tip paying give", f"{PEOPLE} invoice"),
    _topic("pair", "pair pairing"),
    _topic("status", "status health healthy", "hub your you system status timmy server"),
    _topic("model", "change switch use choose pick", "model models"),
)
