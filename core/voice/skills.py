"""What agents do with the workspace and the machine by themselves, asked for with nobody named: search, scan, report, describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.words import Phrases, bag
from core.voice import clauses
from core.voice.grammar import GRAMMAR
from core.voice.meaning import Intent, mean
from core.voice.posting import Frame, post

if TYPE_CHECKING:
    from core.voice.meaning import Meaning
    from core.voice.said import Said

FIND = Phrases("find, search for, search, look for, look up, grep for, locate")
SEARCH_FOR = Phrases("search for, grep for")
FIND_ONE = Phrases("find, search for, grep for")
NOT_KEPT = bag(
    "meaning truth love happiness peace purpose wisdom joy hope luck courage comfort god faith friends help work",
    "attached enclosed",
)
"""What people look for in life, or find in a letter, and no file has."""
OPENING, CLOSING = '"\u201c\u201e\u00ab', '"\u201d\u201c\u00bb'
PLACES = bag("workspace repo repository files documents folder codebase")
OURS = bag("the my our this all whole entire")
SEARCH = Phrases("search, search through, look through, go through, grep")
SCAN = Phrases("scan, check, search, search through, audit, comb, look through, go through")
SECRETS = bag("secrets secret passwords password credentials tokens api-keys leaks leaked")
LYING = bag("left lying exposed committed hidden contain contains hold holds stored hard-coded hardcoded plain")
ASKED = bag("are is any do does has have")
REPORT = Phrases("report on, give me a report on, a report on, write a report on, make a report on, get me a report on")
MACHINE = bag("machine computer box host")
WHATS_IN = Phrases("whats in, what is in, whats inside, what is inside, what have we got in, what do we have in")
CONTAINS = bag("contain hold have")
TABLES = (".csv", ".tsv", ".xlsx")


def read(said: Said) -> Meaning | None:
    """A search, a scan for secrets or a report on this machine, or a question that one of them answers."""
    if said.reported:
        return None
    until = clauses.deadline(said, said.start) if said.first else None
    plain = said.without(until[0], until[1].end) if until else said
    if _searches(plain) or _scans(plain) or _reports(plain):
        return post(said, Frame(said.start))
    return _secrets(said) or _table(said)


def _searches(said: Said) -> bool:
    """`find "sealed auction"`, `search for sealed auction`, `look for invoices in the workspace`, `search my files for tax`."""
    end = FIND.at(said.words, said.start)
    if not end or end >= said.end:
        return _looks_through(said, SEARCH)
    last = _in_place(said, end)
    quoted = said.written[end][0] in OPENING and said.written[(last or said.end) - 1].rstrip(".,!?")[-1:] in CLOSING
    if quoted or last > end:
        return True
    wanted = said.words[end : said.end]
    one = (
        len(wanted) == 1
        and FIND_ONE.at(said.words, said.start) == end
        and not said.names
        and NOT_KEPT.isdisjoint(wanted)
    )
    more = len(wanted) > 1 and SEARCH_FOR.at(said.words, said.start) > 0
    return ((one or more) and GRAMMAR.isdisjoint(wanted)) or _looks_through(said, SEARCH)


def _in_place(said: Said, start: int) -> int:
    """Where `in the workspace` begins, at the end; 0: nowhere."""
    at = said.end - 1
    if said.words[at] not in PLACES:
        return 0
    while at > start and said.words[at - 1] in OURS:
        at -= 1
    return at - 1 if at > start and said.words[at - 1] == "in" else 0


def _scans(said: Said) -> bool:
    """`scan the workspace for secrets`, `scan for passwords`, `check config.json for secrets`."""
    end = SCAN.at(said.words, said.start)
    wanted = next((at for at in range(end, said.end - 1) if said.words[at] == "for"), 0) if end else 0
    direct = wanted == end and said.first == "scan"
    for_secrets = wanted > 0 and said.words[wanted + 1] in SECRETS
    return for_secrets and (direct or bool(said.files) or _looks_through(said, SCAN))


def _looks_through(said: Said, verbs: Phrases) -> bool:
    """`search my files for ...`: a verb, a place of ours, and what for."""
    at = verbs.at(said.words, said.start)
    while at and at < said.end and said.words[at] in OURS:
        at += 1
    return bool(at) and said.words[at : at + 1] != [] and said.words[at] in PLACES and _for_more(said, at + 1)


def _for_more(said: Said, at: int) -> bool:
    return said.words[at : at + 1] == ["for"] and at + 1 < said.end


def _reports(said: Said) -> bool:
    """`report on this machine`."""
    end = REPORT.at(said.words, said.start)
    return end > 0 and end + 2 == said.end and said.words[end] == "this" and said.words[end + 1] in MACHINE


def _secrets(said: Said) -> Meaning | None:
    """`are there any secrets in the repo`."""
    if said.first not in ASKED or not said.has(SECRETS):
        return None
    places = [word for word in said.words if word in PLACES]
    where = said.files[0].value if said.files else f"the {places[0]}" if places else ""
    files = {said.words[one.start] for one in said.files[:1]}
    if not where or not said.content <= SECRETS | PLACES | LYING | files:
        return None
    what = f"scan {where} for secrets"
    return mean(said, Intent.TASK, f"/task {what}", task_description=what)


def _table(said: Said) -> Meaning | None:
    """`what's in sample.csv?`: a table is described."""
    file = said.files[0] if said.files else None
    if file is None or not file.value.lower().endswith(TABLES):
        return None
    at = WHATS_IN.at(said.words, said.start)
    at += at > 0 and said.words[at] == "the"
    asked = at == file.start and file.end == said.end
    before, after = said.words[said.start : file.start], said.words[file.end : said.end]
    holds = before == ["what", "does"] and len(after) == 1 and after[0] in CONTAINS
    what = f"describe {file.value}"
    return mean(said, Intent.TASK, f"/task {what}", task_description=what) if asked or holds else None
