"""Posted tasks: bid, award, accept, reject, cancel and retry by id; show one, list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.words import Phrases, bag
from core.voice import fields
from core.voice.fields import LIST_WORDS, STATUSES, TASK_LIST
from core.voice.frames import QUESTION, SHOW
from core.voice.grammar import GRAMMAR
from core.voice.meaning import WEAK, Intent, mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.voice.meaning import Meaning
    from core.voice.said import Said

BID = Phrases(
    "put in, put down, throw in, make it, my bid for, my bid on, my offer for, my offer on, my bid is, my offer is",
    "my price for, put my bid, i go, i say, bid me in, have a bid, throw in a bid, log a bid, file a bid",
    "give it a bid, i bid, we bid, bidding, bid, make a bid, place a bid, put in a bid, put a bid, enter a bid",
    "enter that bid, submit a bid, offer, put me down, put me in, raise my bid, lower my bid, change my bid",
    "set my bid, update my bid, up my bid, increase my bid, drop my bid, place my bid, sign me up, count me in",
    "propose, quote, submit my bid, enter my bid, register a bid, make an offer, put in an offer, make my bid",
)
TAKE_ON = Phrases(
    "do, take, take on, handle, i would do, i can do, i could do, i can take, i could take, can do, could do",
    "would do",
)
AWARD = Phrases(
    "awarding, giving, assigning, award, assign, give, hand, hand over, pick, choose, select, put, let, allocate",
    "delegate, appoint, go with, take, have, ask, get, accept ... bid, accept ... offer, take ... bid",
    "take ... offer, approve ... bid, accept the bid, accept the offer, entrust, pass",
)
FALLS_TO = Phrases(
    "have, goes to, go to, should go to, is for, belongs to, gets, get, wins, takes, should get, should have",
    "should take, can have, can take, may have, is the winner, won, can do, shall have, should do, is awarded to",
    "winner of, can ... have, could ... have, may ... have, can ... take, could ... take, can ... do, could ... do",
    "to take, to do, to have, to get, to handle, to work on, to be given, to pick up, picks up, is assigned to",
    "will go to, should be given to, will do",
)
ACCEPT = Phrases(
    "accepting, accept, approve, mark ... as accepted, mark ... accepted, mark ... as done, sign off, sign off on",
    "take delivery of, take the result, mark ... as settled, settle, mark ... done, pay out, take the delivery",
    "give ... the thumbs up, give ... my okay, mark ... as approved",
)
REJECT = Phrases(
    "rejecting, reject, turn down, turn ... down, send back, send ... back, refuse, decline, mark ... as rejected",
    "mark ... rejected, hand back, hand ... back, return, throw out, do not accept, give back, knock back",
    "disapprove, disapprove of",
)
CANCEL = Phrases(
    "take ... off the board, take ... off the list, take ... off the market, put an end to, pull the plug on",
    "put a stop to, dump, chuck, do away with, shut down, dispose of, void, annul, wipe, clear, call it off, dont do",
    "forget it, undo, kill off, lose, trash, cancelling, canceling, cancel, call off, call ... off, abort, withdraw",
    "scrap, drop, kill, stop, delete, remove, end, forget, forget about, bin, pull, ditch, take down, take ... down",
    "discard, terminate, abandon, get rid of, scratch, halt, revoke, axe, retract, cancel out, throw away, nix",
    "close",
)
RETRY = Phrases(
    "try ... one more time, run ... one more time, do ... one more time, attempt ... one more time",
    "give ... one more shot, give ... one more chance, have ... done again, have ... done over, go at ... again",
    "start ... afresh, start ... from scratch, start ... anew, run ... anew, do ... anew, run ... afresh",
    "let ... run again, retrying, retry, restart, redo, rerun, re-run, run ... again, try ... again, do ... again",
    "start ... again, repeat, give ... another go, repost, give ... another try, give ... another shot",
    "give ... another chance, another go at, another try at, another attempt at, try again, have another go at",
    "have ... another go, have a second attempt at, a second attempt at, start ... over, do ... over",
    "have another try at, relaunch, take another shot at, have another shot at, have another attempt at",
    "run ... once more, try ... once more, do ... once more, attempt ... again, give ... a second try",
    "give ... a second chance, give ... one more go, give ... one more try, have ... redone, post ... again",
    "another crack at, have another crack at, another stab at, another run at, another whirl, a second stab at",
    "a fresh start to, give ... another whirl, give ... another crack, give ... a retry, take another crack at",
    "another round of, give ... a fresh start, give ... a fresh try, another attempt with, give ... a second go",
    "resubmit, re-do, reopen, re-open, reattempt, put ... out again, put ... up again, try it again, try that again",
    "have a second go at",
)
WANTED = Phrases("id like, i would like, i want, i need, have, get, we want, we need, i wish, id want")
DONE_TO = Phrases(
    "gets, will be, shall be, is to be, deserves to be, is, can be, should be, must be, has to be, needs to be",
    "may be, could be, to be, ought to be, can now be, is hereby",
)
DONE = {
    "accept": bag("accepted approved fine"),
    "reject": bag("rejected refused declined"),
    "cancel": bag("cancelled canceled aborted dropped scrapped withdrawn stopped"),
    "retry": bag("retried restarted redone repeated rerun"),
}
REASON = Phrases(
    "because, since, the reason is, reason is, the reason being, reason being, reason, cause, on the grounds that",
    "as, for being, due to",
)
UNNEEDED = Phrases(
    "i dont need, we dont need, i do not need, we do not need, i no longer need, we no longer need, no longer need",
    "dont need, i dont want, we dont want, i no longer want, we no longer want, no more need for",
    "no longer interested in",
)
ANY_MORE = Phrases("any more, anymore, any longer, no longer, no more")
BIDS = bag("offered bidded undercut bids bidding bidders offers offer bid bidder")
AUCTIONED = bag("task tasks job jobs delivery result bid bids offer")
OFFERS = bag("bid offer")
A_TASK = bag("task tasks job it that")
THIS = bag("the that this my it a")
ONE_TASK = bag("task job bids bid bidding offers t progress result number lowest highest best")
LISTED = bag("tasks jobs")
LISTING = Phrases(
    "task list, task board, task queue, job list, job board, job queue, task overview, on the board, list of tasks",
)

LAST_ONE = bag(
    "task tasks job jobs delivery result results one last previous latest first second before earlier old newest",
    "oldest failed cancelled finished delivered open running posted mentioned same",
)
VERBS_OF_TASKS = bag("update change edit move finish pause resume extend work start do")
WENT_WRONG = Phrases("went wrong, gone wrong")


def read_one(said: Said) -> Meaning | None:
    """What is wanted of the task that is named."""
    if not said.tasks or said.reported:
        return None
    task = said.tasks[0].value
    for verbs, command in ACTS:
        act = said.act(verbs, mine=True)
        found = command(said, task) if act and SHOW.at(said.words, act[0]) <= act[1] else None
        if found:
            return found
    done = _done_to(said)
    if done:
        return REPLIES[done](said, task)
    if said.amounts and "bid" in said.bag and not said.agents and not said.asks:
        return _bid(said, task)
    return _award(said, task) if _falls_to(said) else _look(said, task)


def _look(said: Said, task: str) -> Meaning | None:
    if said.asks or said.heads(ONE_TASK, said.tasks[0]):
        return mean(said, Intent.TASK, f"/{'bids' if said.has(BIDS) else 'show'} {task}")
    if said.start == said.tasks[0].start or said.first not in VERBS_OF_TASKS:
        return None
    return mean(said, Intent.TASK, sure=WEAK)


def _done_to(said: Said) -> str | None:
    """`task 28 is rejected`, `T-13 can be cancelled`: what is to be done to a task that stands in front."""
    task = said.tasks[0]
    wanted = 0 < WANTED.at(said.words, said.start) == task.start
    end = task.end if wanted else DONE_TO.at(said.words, task.end) if task.start == said.start else 0
    word = said.words[end] if 0 < end < len(said.words) else ""
    return next((act for act, words in DONE.items() if word in words), None)


def _falls_to(said: Said) -> bool:
    if not said.agents or said.first in QUESTION:
        return False
    end = said.tasks[0].end
    given = said.words[end : end + 1] in (["to"], ["for"]) and said.agents[0].start == end + 1
    return given or said.says(FALLS_TO)


def _bid(said: Said, task: str) -> Meaning | None:
    amounts = said.amounts or said.numbers
    if not amounts:
        return mean(said, Intent.TASK)
    return mean(said, Intent.TASK, f"/bid {task} {amounts[0].value}", amount_sats=amounts[0].value)


def _take_on(said: Said, task: str) -> Meaning | None:
    priced = said.amounts or [one for one in said.numbers if said.words[one.start - 1] in {"for", "at"}]
    return _bid(said, task) if priced and not said.agents else None


def _award(said: Said, task: str) -> Meaning | None:
    return mean(said, Intent.TASK, f"/award {task} {said.agents[0].value}") if said.agents else None


def _award_without_winner(said: Said, _task: str) -> Meaning | None:
    return None if SHOW.at(said.words, said.start) else mean(said, Intent.TASK)


def _accept(said: Said, task: str) -> Meaning | None:
    if said.agents and not said.bag.isdisjoint(OFFERS):
        return _award(said, task)
    return mean(said, Intent.TASK, f"/accept {task}")


def _cancel(said: Said, task: str) -> Meaning | None:
    return mean(said, Intent.TASK, f"/cancel {task}")


def _retry(said: Said, task: str) -> Meaning | None:
    return mean(said, Intent.TASK, f"/retry {task}")


def _reject(said: Said, task: str) -> Meaning | None:
    reason = _reason(said)
    return mean(said, Intent.TASK, f"/reject {task} {reason}" if reason else None)


def _reason(said: Said) -> str:
    """Why a result is rejected: what follows "because", or a comma behind the task."""
    marker = REASON.find(said.words, said.tasks[0].end)
    if marker:
        return said.text(marker[1], said.end)
    end = said.tasks[0].end
    pause = said.written[end - 1][-1] in ",:;" and not REJECT.find(said.words, end)
    if pause:
        return said.text(end, said.end)
    act = said.act(REJECT, mine=True)
    return said.text(act[1], said.end) if act and act[1] > end and said.written[act[1] - 1][-1] in ",:;" else ""


# In this order: what is more particular comes first ("give task 9 another go" before "give").
ACTS: tuple[tuple[Phrases, Callable[[Said, str], Meaning | None]], ...] = (
    (RETRY, _retry), (REJECT, _reject), (BID, _bid), (AWARD, _award), (ACCEPT, _accept), (CANCEL, _cancel),
    (TAKE_ON, _take_on), (Phrases("award, assign, give"), _award_without_winner),
)  # fmt: skip
REPLIES = {"accept": _accept, "reject": _reject, "cancel": _cancel, "retry": _retry}


def read_unneeded(said: Said) -> Meaning | None:
    """`we don't need task 6 any more`: it is cancelled."""
    unneeded = said.tasks and not said.asks_first and not said.reported and UNNEEDED.at(said.words, said.start)
    rest = unneeded and GRAMMAR.issuperset(said.words[said.tasks[0].end : said.end])
    return mean(said, Intent.TASK, f"/cancel {said.tasks[0].value}") if rest and said.says(ANY_MORE) else None


def read_list(said: Said) -> Meaning | None:
    """The tasks, or those in one state."""
    if said.reported:
        return None
    if said.first in LISTED and said.content <= LIST_WORDS:
        return mean(said, Intent.TASK, _list(said))
    if (said.has(LISTED) or said.says(LISTING)) and (said.asks or said.heads(TASK_LIST)):
        return None if fields.is_foreign(said, Intent.TASK) else mean(said, Intent.TASK, _list(said))
    return None


def _list(said: Said) -> str:
    status = next((STATUSES[word] for word in said.words if word in STATUSES), "")
    if not status and said.says(WENT_WRONG):
        status = "failed"
    return f"/tasks {status}".rstrip()


def read_vague(said: Said) -> Meaning | None:
    """A task verb without saying which task: "cancel the task"."""
    if said.reported or said.says(LISTING):
        return None
    if any(_names_no_task(said, verbs) for verbs, _ in ACTS):
        return mean(said, Intent.TASK)
    shown = said.asks and SHOW.at(said.words, said.start)
    this = bool(shown) and said.words[shown : shown + 2] in (["that", "task"], ["this", "task"], ["the", "task"])
    return mean(said, Intent.TASK) if this else None


def _names_no_task(said: Said, verbs: Phrases) -> bool:
    found = said.act(verbs, mine=True)
    if not found:
        return False
    start, end = found
    if verbs in (CANCEL, RETRY, REJECT, ACCEPT) and said.has(LISTED | A_TASK) and end < said.end:
        rest_content = frozenset(said.words[end : said.end]) - GRAMMAR
        if rest_content and rest_content <= LAST_ONE:
            return True
    rest = said.words[end : end + 3]
    if verbs is BID:
        return bool(said.amounts) or (said.words[start] == "bid" and (end == said.end or not A_TASK.isdisjoint(rest)))
    if verbs is AWARD and said.agents and "it" in rest:
        return said.words[start] in {"award", "assign", "give", "hand"}
    return bool(rest) and rest[0] in THIS and not AUCTIONED.isdisjoint(rest)
