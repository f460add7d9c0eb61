"""The wallet: balance, history, limits; pay, invoice, freeze and unfreeze."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.words import Phrases, bag
from core.voice import fields
from core.voice.frames import QUESTION
from core.voice.grammar import GRAMMAR
from core.voice.meaning import Intent, mean
from core.voice.said import BEFORE_VERBS

if TYPE_CHECKING:
    from core.voice.facts import Fact
    from core.voice.meaning import Meaning
    from core.voice.said import Said

PAY = Phrases(
    "reward, bung, remunerate, settle my debt with, settle my debt to, settle ... with, clear my debt with",
    "clear my debt to, pay off, fork over, hand over, toss, sling, grant, gift, make sure ... gets",
    "make sure ... receives, see that ... gets, spot, ping, fling, deliver, get, sort ... out with, put through",
    "let ... get, forward on, pay, send, transfer, give, tip, wire, reimburse, shoot, settle up, settle up with",
    "forward, hand, zap, slip, make a payment, move, let ... have, drop, compensate, refund, pay back, send over",
    "pay out, make a transfer, do a transfer, do a payment, send a payment, lend, donate, beam, chuck, make payment",
    "pass, remit, square up with, repay, payment of, a payment of, transfer of, make ... payment, give back, credit",
    "get ... to",
)
BETWEEN = bag(
    "with tip payment gift sum total from please refund reward loan transfer bonus worth whole me his their her back",
    "to the a an of over my our wallet him them it out about like some around just exactly another amount those",
    "these",
)
OWED_FIRST = Phrases(
    "should receive, should get, should be paid, shall receive, shall get, is to get, is to receive, must receive",
    "ought to get, ought to receive, should have, shall have, has to get, needs to receive, has to receive",
    "is to be given, needs to be paid, has to be paid, must be paid, is to be paid, needs to get, must get",
)
OWED = bag("needs need wants i owe should get gets receive receives is owed due deserves so please")
NOBODY = bag("somebody someone anybody him her them some sats money bill")
BEHIND_BARE = bag(
    "for to from now please today tonight tomorrow as back because since thanks timmy and so via right then asap if",
    "over",
)
"""What may stand behind a bare number that is paid; anything else is what is counted: `give bob 3 apples`."""
STOPS = bag("stop freeze halt block suspend pause lock")
ALL = bag("all every any the my our")
INVOICE = Phrases(
    "invoice, bill, charge, request, ask for, invoice somebody, bill somebody, invoice someone, bill someone",
)
MAKE = Phrases(
    "make, create, write, issue, generate, i need, i want, i would like, id like, need, want, an, a, another, new",
    "send, prepare, draw up, set up, get, give, raise, write up, make up, produce, add, put together, open, have",
    "draft, print, write out, we need, do, could use, i could use, cut, put out, let there be",
)
BILLS = bag("invoice bill")
MEMO = Phrases(
    "with the memo, with a memo, with memo, memo, with the note, with note, note, for, with the description",
    "labelled, described as, saying, that says",
)
FREEZE = Phrases(
    "put ... on hold, put ... on pause, put ... on lockdown, bring ... to a halt, bring ... to a stop",
    "bring ... to a standstill, kill, end, cease, cut, shut off, clamp down on, quit, terminate, disallow, restrict",
    "immobilise, deactivate, set a freeze on, i want ... stopped, shut down, shut ... down, put ... on ice, freeze",
    "lock, block, halt, stop, suspend, put a freeze on, put a hold on, put a stop to, pause, no more, forbid",
    "disable, put a lock on, lock down, lock up, cut off, prevent, ban, deny all, turn off, switch off, freeze up",
    "hold, place a freeze on, stop all",
)
UNFREEZE = Phrases(
    "take ... off ice, take ... off hold, bring ... back, let ... flow, let ... flow again, let ... resume",
    "let ... continue, end ... freeze, remove ... freeze, cancel ... freeze, spend again, let me spend, let us spend",
    "we may spend again, open ... up, give ... back, make ... work again, put ... back on, bring back, continue",
    "reactivate, reinstate, restore, activate, un-freeze, free up, lift, make ... possible again, unfreeze, unlock",
    "lift the freeze, lift ... freeze, allow, resume, thaw, release, reenable, re-enable, enable, unblock",
    "remove the freeze, take the freeze off, end the freeze, restart, reopen, open up, turn on, switch on, permit",
    "undo the freeze, defrost, let ... again, let ... through, stop the freeze, turn ... back on, switch ... back on",
    "start, lift the block, lift the lock, take off the freeze, cancel the freeze, take ... freeze off",
)
NOT_ALLOWED = Phrases(
    "dont let, do not let, dont allow, do not allow, never let, never allow, dont permit, do not permit, nobody may",
    "no one may, nobody can, no one can, nobody is allowed to, no one is allowed to, nothing may, nothing can",
    "no more, no further, nobody should, no one should, nothing should, nobody gets to, no agent may, no payments",
    "no payment, no spending, no money may, no money should, no money leaves, nothing leaves, no sats may",
    "no sats leave, no sats should, no money can, nobody spends, no one spends, nobody must, dont spend",
    "do not spend",
)
LEAVES = bag(
    "spend spending spends payment payments pay leave leaves transfers transactions money sats funds payouts wallet",
    "outgoing",
)
FORBIDDEN = LEAVES | bag(
    "anybody anyone nobody nothing anything everybody everyone somebody someone agents agent further allow allowed",
    "permit never until notice order made happen happening spent sent send paid transactions transfer single moved",
    "touched touch",
)
SPENDING = bag(
    "wallet spending payments payment money funds sats transfers spend everything transactions payouts outgoing",
    "account purse pay",
)
SUBJECTS = bag("the my our all any every spending payments wallet funds transactions transfers")
MOVED = SPENDING - {"everything", "pay", "spend", "stop"} | bag("outgoing further")
TO_BE = Phrases(
    "can be, should be, must be, needs to be, need to be, has to be, have to be, may be, shall be, ought to be",
    "can now be, is to be, should now be, can all be, may now be, are to be, should all be, must all be, must now be",
    "should, must, can, may, needs to, need to",
)
FROZEN = bag("frozen locked blocked stopped suspended halted paused disabled stop cease freeze")
UNFROZEN = bag(
    "unfrozen unlocked resumed released thawed enabled reenabled re-enabled unblocked allowed resume restarted",
    "reopened",
)
ONLY_MONEY = SPENDING - {"everything"}
BALANCE = Phrases(
    "much i have, much we have, much ive got, much is left, much i own, much do i own, what do i have left",
    "much is there, much have i left, much i have left, much weve got, much i got, what have i got left",
    "what ive got left, money is left, much is mine, much could i spend, much do i still have, money is there",
    "sats is there, sats are there, much remains, balance, wallet status, how much money, how many sats",
    "how much sats, am i broke, wallet say, do i have sats, do we have sats, wallet empty, wallet full",
    "full is the wallet, full is my wallet, how rich, am i rich, are we rich, how poor, am i poor, sats left",
    "money left, how much is in, balances, funds, any money, any sats, still money, sats do i have, much have we got",
    "much have i got, much do i have, much do we have, money do i have, status of my wallet, status of the wallet",
    "hows the wallet, how is the wallet, hows my wallet, state of the wallet, state of my wallet, enough sats",
    "out of sats, out of money, out of funds, in the wallet, in my wallet, the wallet looking, my wallet looking",
    "check the wallet, check my wallet, show me the wallet, show me my wallet, are we broke, show my wallet",
    "show the wallet, wallet please, open the wallet, look in the wallet, look at my wallet, look at the wallet",
    "see my wallet, see the wallet, how well off, number of sats, my funds, in our wallet, what do i own",
    "wallet overview, amount of sats, wallet summary, the wallet hold, my wallet hold, have enough money",
    "worth of sats, how flush, sats have i, sats have we, sats are left, sats am i, money have i, money have we",
    "i own in sats",
)
MINE = bag("i me my we our wallet us left mine account purse there balance")
MONEY = bag(
    "wallet balance balances payments payment transactions transaction history limits limit spending spend funds",
    "money sats daily account log entries movements activity cap what left",
)
BARE = Phrases("wallet, my wallet, the wallet, our wallet, money, my money, my sats")
HISTORY = Phrases(
    "anyone pay me, anybody pay me, someone pay me, somebody pay me, anyone paid me, anybody paid me, anyone pay us",
    "anybody pay us, tx history, tx log, txs, txns, been paid, paid me, paid us, transactions, payments",
    "transaction log, payment log, payment history, transaction history, wallet history, last payment",
    "latest payment, most recent payment, previous payment, my money gone, my sats gone, came in",
    "came into the wallet, went out, money gone, been spent, got paid, spent lately, history, my sats go",
    "my money go, the sats go, transaction, payment list, transfers, ledger, account statement, have i paid",
    "did i pay, did we pay, wallet log, wallet activity, money movements, last movements, movements, statement",
    "i spent, we spent, have i spent, have we spent, did i spend, did we spend, paid so far, all payments",
    "spending history, have we paid, paid recently, sats went, money went, recent activity, paid out",
)
LIMITS = Phrases(
    "limits, limit, cap on, spending cap, allowed to spend, spending limit, allowance, may i spend, can i spend",
    "maximum i can, spending limits, permitted to spend, caps on, the cap, spending caps, can be spent, payment cap",
    "daily cap, most i can, ceiling, can we spend, may we spend, spend at most",
)
ABOUT_SPENDING = bag(
    "spend spending spent payment payments pay paying daily wallet sats limits my day money caps our transfer",
    "transfers send per",
)
WHOSE = bag("of on in for")
LONGEST = 18
"""A question about the wallet has no more words than this."""

REWARDS = bag("reward tip reimburse refund repay compensate")
ALONE = bag("it now again please everything all")
BALANCE_FIRST = bag("balance balances")
OURS = bag("wallet my our payments transactions sats money")


def read_act(said: Said) -> Meaning | None:
    """Pay, invoice, freeze, unfreeze."""
    if said.reported:
        return None
    return _invoice(said) or _pay(said) or _freeze(said)


def _pay(said: Said) -> Meaning | None:
    act = said.act(PAY) or _is_owed(said)
    if act is None or said.files:
        return None
    amounts = said.amounts or (said.numbers if said.people else [])
    if said.people and len(amounts) == 1 and len({one.value for one in said.people}) == 1:
        who = next((one for one in said.people if one.start >= act[0]), said.people[0])
        whole = _is_payment(said, who, amounts[0])
        amount = amounts[0].value
        command = f"/pay {said.people[0].value} {amount}" if whole else None
        return mean(said, Intent.MONEY, command, amount_sats=amount) if whole or said.amounts else None
    return mean(said, Intent.MONEY) if _pays_whom_or_what(said, act) else None


def _is_owed(said: Said) -> tuple[int, int] | None:
    """`carol needs to be paid 350 sats`: somebody who stands in front of what they are to get."""
    who = said.people[0] if said.people else None
    if who is None or who.start != said.start:
        return None
    end = OWED_FIRST.at(said.words, who.end)
    return (who.end, end) if end else None


def _is_payment(said: Said, who: Fact, amount: Fact) -> bool:
    """Whether nothing but a payment is said: between who, how much and the verb stand only small words."""
    verb = said.act(PAY) or _is_owed(said) or (0, 0)
    first, last = min(who.start, amount.start, verb[0]), max(who.end, amount.end, verb[1])
    used = {*range(who.start, who.end), *range(amount.start, amount.end), *range(*verb)}
    rest = {
        said.words[at] for at in range(first, last) if at not in used and not _purpose(said, at, who.end, amount.start)
    }
    counted = amount not in said.amounts and said.words[amount.end : amount.end + 1] and amount.end < said.end
    things = counted and amount.end != who.start and said.words[amount.end] not in BEHIND_BARE
    return not things and rest <= BETWEEN | OWED | {one.value for one in said.people}


def _pays_whom_or_what(said: Said, act: tuple[int, int]) -> bool:
    """`pay carol`, `make a payment`, `send some sats to bob`: a payment without who or how much."""
    rest = said.words[act[1] : said.end]
    if said.words[act[0]] == "pay" or "payment" in said.words[act[0] : act[1]]:
        return not rest or bool(said.people) or bool(said.amounts) or rest[0] in NOBODY
    if (
        said.words[act[0]] in REWARDS
        and said.people
        and said.people[0].start == act[1]
        and said.people[0].end == said.end
    ):
        return True
    if rest in (["sats"], ["money"], ["some", "sats"], ["some", "money"]):
        return True
    generic = bool(said.people) and not {"sats", "money", "anything", "something"}.isdisjoint(rest)
    return generic or bool(said.amounts and not said.agents and _sends(said, act))


def _purpose(said: Said, at: int, start: int, end: int) -> bool:
    """`reimburse carol for lunch, 120 sats`: words that say what for, between the person and the amount."""
    return start <= at < end and said.words[start] == "for" and said.written[end - 1][-1] in ",;:"


def _sends(said: Said, act: tuple[int, int]) -> bool:
    return said.words[act[0]] in {"send", "transfer", "wire", "tip"} and said.amounts[0].start - act[1] <= 1


def _invoice(said: Said) -> Meaning | None:
    act = said.act(INVOICE) or (said.act(MAKE) if said.has(BILLS) else None)
    if (
        act is None
        or said.first in QUESTION
        or (said.words[act[0]] in {"a", "an", "new", "another"} and not said.is_heading)
    ):
        return None
    amounts = said.amounts or [one for one in said.numbers if "invoice" in said.bag]
    if not amounts:
        return mean(said, Intent.MONEY) if said.is_heading and "invoice" in said.words[act[0] : act[1] + 3] else None
    amount = amounts[0]
    memo = _memo(said, act[1], amount)
    return mean(said, Intent.MONEY, f"/invoice {amount.value} {memo}".rstrip(), amount_sats=amount.value)


def _memo(said: Said, start: int, amount: Fact) -> str:
    """What an invoice is for: behind the amount, or between "invoice for" and the amount."""
    found = MEMO.find(said.words, amount.end)
    if found:
        return said.text(found[1], said.end)
    before = MEMO.find(said.words[: amount.start - 1], start)
    end = amount.start - (said.words[amount.start - 1] in {"of", "over", "for", "at"})
    return said.text(before[1], end) if before else ""


def read_stop(said: Said) -> Meaning | None:
    """`don't let anybody spend anything`: what is forbidden, and nothing but spending."""
    forbids = NOT_ALLOWED.at(said.words, said.start) and said.content <= FORBIDDEN and said.has(LEAVES)
    return mean(said, Intent.MONEY, "/freeze") if forbids else None


def _freeze(said: Said) -> Meaning | None:
    for verbs, command, objects in ((UNFREEZE, "/unfreeze", ONLY_MONEY), (FREEZE, "/freeze", SPENDING)):
        act = said.act(verbs)
        if act and _all_money(said, act, objects):
            return mean(said, Intent.MONEY, command)
    passive = _passive(said)
    if passive:
        return mean(said, Intent.MONEY, passive)
    if not said.asks_first and any(_stops_all(said, at) for at in range(said.start + 1, said.end - 2)):
        return mean(said, Intent.MONEY, "/freeze")
    return None


def _passive(said: Said) -> str:
    """`the wallet can be unfrozen now`: spending, and what is to be done to it."""
    if said.first not in SUBJECTS or not said.says(TO_BE):
        return ""
    done = said.content - MOVED
    if done and done <= FROZEN:
        return "/freeze"
    return "/unfreeze" if done and done <= UNFROZEN else ""


def _stops_all(said: Said, at: int) -> bool:
    """`I think I got hacked stop all spending right now`: a sentence that ends so, where speech has no comma."""
    verb, which, what = said.words[at : at + 3]
    return (
        verb in STOPS
        and which in ALL
        and what in ONLY_MONEY
        and said.words[at - 1] not in BEFORE_VERBS
        and GRAMMAR.issuperset(said.words[at + 3 : said.end])
    )


def _all_money(said: Said, act: tuple[int, int], objects: frozenset[str]) -> bool:
    """Whether a verb is about all spending: its object is money, and no person, task or amount is singled out."""
    if said.people or said.tasks or said.amounts or said.agents:
        return False
    near = said.words[act[0] : act[1] + 5]
    if "everything" in near and said.words[act[1] : act[1] + 1] != ["everything"]:
        near.remove("everything")
    named = any("freeze" in word for word in said.words[act[0] : act[1]])
    bare = named and all(word in ALONE for word in said.words[act[1] : said.end])
    return bare or not objects.isdisjoint(near) or (named and said.has(ONLY_MONEY))


def read_look(said: Said) -> Meaning | None:
    """Balance, history, limits."""
    if said.reported or said.end - said.start > LONGEST or not (said.asks or said.heads(MONEY) or _heading(said)):
        return None
    found = _look(said)
    return None if found is None or fields.is_foreign(said, Intent.MONEY) else found


def _look(said: Said) -> Meaning | None:
    if said.says(LIMITS) and said.has(ABOUT_SPENDING):
        return mean(said, Intent.MONEY, "/limits")
    return _balance(said) if said.has(BALANCE_FIRST) else _history(said) or _balance(said)


def _heading(said: Said) -> bool:
    """`history of the wallet, twenty entries`."""
    return HISTORY.at(said.words, said.start) > 0 and said.has(ONLY_MONEY)


def _balance(said: Said) -> Meaning | None:
    if BARE.at(said.words, said.start) == said.end:
        return mean(said, Intent.MONEY, "/balance")
    return (
        mean(said, Intent.MONEY, "/balance") if said.says(BALANCE) and (said.heads(MONEY) or said.has(MINE)) else None
    )


def _history(said: Said) -> Meaning | None:
    found = HISTORY.find(said.words)
    if found is None or _of_something_else(said, found[1]):
        return None
    count = said.numbers[0].value if said.numbers else ""
    return mean(said, Intent.MONEY, f"/history {count}".rstrip(), number=count)


def _of_something_else(said: Said, at: int) -> bool:
    """`the history of salt`: none of ours."""
    recent = said.words[at + 1 : at + 2] in (["this"], ["last"], ["today"])
    return at < len(said.words) and said.words[at] in WHOSE and not said.has(OURS) and not recent
