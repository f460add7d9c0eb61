"""Questions and headings told by their words alone, in any order: "is every one of my workers still awake".

What is left of a clause without the words of `grammar.py` must be words of one field and nothing else, a head of the
field among them; one foreign word ("the balance between work and life") and it is about the world. Nothing here acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core.language.words import bag
from core.voice.meaning import Intent, mean

if TYPE_CHECKING:
    from core.voice.meaning import Meaning
    from core.voice.said import Said


class Field(NamedTuple):
    """What is meant when a clause has one of the heads, one of `needs` too where there are any, and no foreign word."""

    intent: Intent
    command: str
    heads: frozenset[str]
    words: frozenset[str]
    needs: frozenset[str]


def _field(intent: Intent, command: str, heads: str, words: str, needs: str = "") -> Field:
    return Field(intent, command, bag(heads), bag(heads, words, "everything anything something"), bag(needs))


HUB = (
    "hub hubs you your yours yourself youre youve system systems server servers service services machine box end side part "
    "parts everything process processes daemon instance engine connection brain brains backend software"
)
STATES = (
    "up down online offline alive awake ok okay alright healthy working running operational ready fine responding "
    "reachable functioning functional broken asleep crashed crash dead listening problems problem trouble wrong "
    "issues issue errors error crashing stable good kicking breathing normal normally responsive order stuck failing "
    "unhealthy overloaded faulty outage outages degraded green well properly correctly smoothly "
    "hiccups hiccup glitches glitch hitches hitch behaving misbehaving together "
    "wobbly laggy lagging "
    "overheating overloaded struggling sluggish bugs awaken restarted rebooted receiving connected operating hanging hung frozen"
)
MONEY = (
    "dosh moolah coin coins dough stocked wealth wallet purse sats satoshis sat money funds cash account kitty treasury"
)
MINE = "i my we our us me left mine have wallet purse ive weve remaining available account much"
SPENT = "spending spend spent payment payments pay paid paying transfers transfer transactions transaction"
SWARM = "swarm agents workers roster bots crew fleet lineup personas"
ABOUT_AGENTS = (
    "agent worker team idle busy free available online offline active inactive healthy working running doing around "
    "alive awake alright good asleep registered present capabilities status state health names listing members faring "
    "coping holding shape condition ready fine bot persona skills unoccupied occupied connected sleeping well work "
    "number count going staff problems happening disposal hired looking joined duty live doing capable down ok working everyone"
)
SCHEDULED = (
    "schedules scheduled schedule reminders recurring upcoming timers timer automations automation automated cron "
    "scheduler"
)
COMMANDS = "help commands command manual instructions capabilities functions features guide tutorial abilities faq docs"

FIELDS = (
    _field(
        Intent.SCHEDULE,
        "/schedules",
        SCHEDULED,
        "command commands job jobs task tasks set coming running automatically tomorrow week later planned pending active "
        "entries items things reminder next set timed repeating",
        "my our the any all schedules scheduled reminders recurring whats what me which list",
    ),
    _field(
        Intent.MONEY,
        "/limits",
        "limit limits cap caps ceiling allowance allowed maximum permitted",
        f"{MONEY} {SPENT} day daily weekly per most max payout payouts set single approval",
        f"{MONEY} {SPENT} daily limits my our day",
    ),
    _field(
        Intent.MONEY,
        "/balance",
        "balance balances",
        f"{MONEY} left remaining available looking stand standing spare worth total status state amount doing",
        f"{MINE} balance current the",
    ),
    _field(
        Intent.MONEY,
        "/history",
        "history tx txs txn txns transactions transaction payments transfers movements ledger spent paid "
        "received earned statement incoming outgoing",
        f"{MONEY} {SPENT} last past previous entries came went gone activity log statement made received sent "
        "happened going out gone lately items older days yesterday",
        f"{MINE} {MONEY} history transactions payments movements last recent list transfers the",
    ),
    _field(
        Intent.MONEY,
        "/balance",
        f"{MONEY} afford broke rich poor skint solvent wealthy bankrupt",
        f"{MONEY} left remaining available own hold holds holding contain contains looking full empty spare worth amount "
        "afford broke rich poor skint loaded solvent wealthy bankrupt low running short enough status state "
        "doing much stand stands standing still count "
        "inside health healthy flush level number possess disposal",
        MINE,
    ),
    _field(
        Intent.SWARM,
        "/agents",
        SWARM,
        ABOUT_AGENTS,
    ),
    _field(
        Intent.SWARM,
        "/agents",
        "working work idle busy available online occupied unoccupied unemployed",
        "anybody anyone everybody everyone hire moment",
        "who whos anybody anyone everybody everyone",
    ),
    _field(Intent.SWARM, "/agents", "team worker agent", ABOUT_AGENTS, "my our team any which every each anyone there"),
    _field(
        Intent.HELP,
        "/help",
        COMMANDS,
        "slash use available understand possible support menu user list page type offer options know accept kinds kind sorts "
        "supported exist options text things",
        "help manual your you the a all which what list available i how guide show are my commands instructions",
    ),
    _field(
        Intent.HELP,
        "/help",
        "work works operate function",
        "hub thing system bot app everything chat program assistant stuff",
        "how hows",
    ),
    _field(
        Intent.STATUS,
        "/status",
        "status sitrep health healthy diagnostics diagnostic uptime heartbeat ping vitals selftest self-test self-check",
        f"{HUB} checkup checks self test state systems good quick running",
    ),
    _field(
        Intent.STATUS,
        "/status",
        "state shape condition",
        f"{HUB} play affairs things health",
        f"{HUB} things",
    ),
    _field(Intent.STATUS, "/status", "live", f"{HUB} still", "hub we server everything system systems"),
    _field(
        Intent.STATUS,
        "/status",
        "things stuff",
        f"{HUB} going doing looking running feel",
        "hub server system systems end side",
    ),
    _field(
        Intent.STATUS,
        "/status",
        STATES,
        f"{HUB} {STATES} anything nothing something things",
        f"{HUB} anything something",
    ),
    _field(
        Intent.STATUS,
        "/status",
        "errors problems issues trouble outages hiccups glitches",
        "report hub system server",
        "any no",
    ),
    _field(
        Intent.STATUS,
        "/status",
        "hub server servers system systems services service machine box daemon side end everything "
        "backend engine brain connection process bot software",
        f"doing holding feel going feeling coping faring getting behaving performing keeping day {STATES}",
        "how hows up down back ok on over",
    ),
)
STATUSES = {
    word: status
    for status, words in {
        "open": "open",
        "bidding": "bidding auction bids",
        "awarded": "awarded assigned",
        "running": "running progress ongoing worked",
        "delivered": "delivered deliver",
        "settled": "settled done finished completed complete accepted finish",
        "failed": "failed flopped fail failing failures unsuccessful",
        "cancelled": "cancelled canceled",
        "expired": "expired expire expiring",
    }.items()
    for word in words.split()
}
TASK_LIST = bag("tasks jobs task job board queue", " ".join(STATUSES))
LIST_WORDS = TASK_LIST | bag(
    "work list cancel posted monday tuesday wednesday thursday friday saturday sunday mean unfinished unassigned",
    "awarded available post biggest cheapest agents workers swarm agent working jobs created submitted waiting",
    "awaiting pending stage state status phase left outstanding active went wrong mine still up need started",
    "underway going completed ones put over finishing done",
)
ANYBODY = bag(
    "anybody anyone everybody everyone anything everything nothing nobody somebody someone something big high low",
    "make made before needs long sitting attention around altogether exact actual own guys lot new second extra",
    "additional fresh",
)
VOCABULARY = {
    intent: frozenset().union(ANYBODY, *(field.words for field in FIELDS if field.intent is intent))
    for intent in (Intent.MONEY, Intent.SWARM, Intent.SCHEDULE)
} | {Intent.TASK: ANYBODY | LIST_WORDS}
HEADS = bag(
    "tasks jobs board swarm wallet agents roster balance workers crew balances limits limit funds history",
    "transactions payments",
)
OURS = bag("my our your")
THE = bag("swarm wallet agents roster tasks")


def read(said: Said) -> Meaning | None:
    """A question, or a heading, of whose words all belong to one field."""
    if (
        said.reported
        or said.names
        or said.people
        or "thanks" in said.words[said.start : said.end]
        or not (said.asks or said.is_heading)
    ):
        return None
    content = said.content
    for field in FIELDS:
        if content <= field.words and not content.isdisjoint(field.heads) and _needed(said, field):
            number = said.numbers[0].value if said.numbers and field.command == "/history" else ""
            return mean(said, field.intent, f"{field.command} {number}".rstrip(), number=number)
    return None


def is_foreign(said: Said, intent: Intent) -> bool:
    """Whether words of elsewhere are said too: "hospital workers". Beside what is plainly ours, "my wallet", one may be."""
    foreign = said.content - VOCABULARY[intent]
    return len(foreign) > 1 or (len(foreign) == 1 and not _is_ours(said))


def _is_ours(said: Said) -> bool:
    return any(
        (word in HEADS and at and said.words[at - 1] in OURS) or (word in THE and at and said.words[at - 1] == "the")
        for at, word in enumerate(said.words[: said.end])
    )


def _needed(said: Said, field: Field) -> bool:
    return not field.needs or not said.bag.isdisjoint(field.needs)
