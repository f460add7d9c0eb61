"""Who may do what, decided in one place: `authorize(caller, action)`; what no row allows is refused.

Roles and rights are CONTRACT's table "Who". An approver is a person, never a chat; the console's owner may try things
out as somebody else (`acting_for`), which can never pay, approve, pair, link or freeze. A device (`proxy`) has its person's rights
and less: it posts tasks within its limit, and for what else binds the person taps. A stranger who paid for a call (`bought`)
talks, and posts tasks for at most what that call was sold for; nothing else. A schedule (`schedule`) has the rights of whoever made
it, as they are now, and only those to look, to talk and to post.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from core.chat import Role
from core.errors import Refused
from core.money import format_sats, to_msat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.chat import Caller


class Action(StrEnum):
    """Everything that needs a right."""

    TALK = "talk to the agent"
    LOOK = "look at tasks and agents"
    POST = "post tasks"
    BID = "bid"
    JUDGE = "accept or reject a result"
    AWARD = "award a task"
    CANCEL = "cancel a task"
    RETRY = "retry a task"
    DELIVER = "deliver a result"
    SEE_MONEY = "see a balance"
    RECONCILE = "compare the node with the books"
    ROSTER = "spawn and stop agents"
    IMAGE = "choose what an agent's container runs"
    MODEL = "choose the model"
    TASK_MODEL = "choose a task's model"
    PULL = "get models"
    RECALL = "see what is remembered"
    REMEMBER = "have something remembered or forgotten"
    FORGET = "have something forgotten that others had kept here"
    ALOUD = "have a group answered aloud"
    NOTIFY = "change what you are told"
    TELL = "have a group told of things"
    OVERSEE = "be told of the hub's own affairs"
    TOKENS = "see and revoke tokens"
    MINT = "mint tokens"
    PAIR = "let people in or out"
    APPROVE = "decide what was put to you"
    LINK = "link identities to your account"
    JOIN = "join an account with its code"
    PAY = "pay people"
    SEND = "pay Lightning invoices"
    RECEIVE = "ask for sats by invoice"
    PAYOUT = "pay out what agents earned"
    TREASURY = "move sats of the treasury"
    LIMITS = "change limits on spending"
    FREEZE = "freeze spending, or let it go on"
    PLAN = "have something done at times"
    PLAN_HERE = "have something done at times where others read it"


_MEMBER = frozenset(
    {
        Action.TALK,
        Action.RECALL,
        Action.REMEMBER,
        Action.LOOK,
        Action.POST,
        Action.BID,
        Action.DELIVER,
        Action.SEE_MONEY,
        Action.APPROVE,
        Action.LINK,
        Action.JOIN,
        Action.PAY,
        Action.RECEIVE,
        Action.NOTIFY,
        Action.PLAN,
    }
)
_OWN_TASKS = frozenset({Action.JUDGE, Action.AWARD, Action.CANCEL, Action.RETRY})
_OWN = _OWN_TASKS | {Action.TOKENS, Action.FORGET}
_OPERATOR = frozenset({
    Action.FORGET, Action.AWARD, Action.CANCEL, Action.RETRY, Action.ROSTER, Action.MODEL, Action.TASK_MODEL, Action.ALOUD,
    Action.TELL, Action.PLAN_HERE,
})  # fmt: skip
_MAY: dict[Role, frozenset[Action]] = {
    Role.GUEST: frozenset({Action.JOIN}),
    Role.MEMBER: _MEMBER,
    Role.OPERATOR: _MEMBER | _OPERATOR,
    Role.PAYER: _MEMBER | {Action.SEND},
    Role.OWNER: frozenset(Action),
}
_PAYS = frozenset(
    {
        Action.RECONCILE,
        Action.JUDGE,
        Action.AWARD,
        Action.TOKENS,
        Action.MINT,
        Action.IMAGE,
        Action.MODEL,
        Action.PULL,
        Action.PAIR,
        Action.APPROVE,
        Action.LINK,
        Action.JOIN,
        Action.PAY,
        Action.SEND,
        Action.PAYOUT,
        Action.TREASURY,
        Action.LIMITS,
        Action.FREEZE,
        Action.RECALL,
        Action.REMEMBER,
        Action.FORGET,
        Action.NOTIFY,
    }
)
"""What nobody does as somebody else, nor on the word of who may be another; what is remembered is private."""

_BINDS = frozenset(
    {
        Action.POST,
        Action.BID,
        Action.DELIVER,
        Action.CANCEL,
        Action.RETRY,
        Action.ROSTER,
        Action.TASK_MODEL,
        Action.PLAN,
        Action.PLAN_HERE,
    }
)
"""What binds sats, people or a model besides, and is not done on the word of somebody who may be another."""

_LINKED_IN_CHAT = "identities are linked in your chat, not by a device. Say it to me there."
_TOKENS_IN_CHAT = "tokens are seen and ended in your chat, not by a device. Say it to me there."
_SPENDING_IN_CHAT = "spending is limited, stopped and let go on in your chat, not by a device. Say it to me there."
_UNSPOKEN = {
    Action.APPROVE: "what is put to you is tapped in your chat, not spoken. Look there.",
    Action.LINK: _LINKED_IN_CHAT,
    Action.JOIN: _LINKED_IN_CHAT,
    Action.TOKENS: _TOKENS_IN_CHAT,
    Action.MINT: _TOKENS_IN_CHAT,
    Action.PULL: "models are got in your chat, not by a device. Say it to me there.",
    Action.LIMITS: _SPENDING_IN_CHAT,
    Action.FREEZE: _SPENDING_IN_CHAT,
}
"""What no device does, nor asks for: an approval that was spoken would be none."""

_TAPPED = (_PAYS | _BINDS) - {Action.POST, Action.RECALL, *_UNSPOKEN}
"""What a device only asks for: its person taps. A task has its limit."""

_SOLD = frozenset({Action.TALK, Action.POST})
"""What strangers can buy."""

_TIMED = frozenset({Action.TALK, Action.LOOK, Action.POST, Action.TASK_MODEL, Action.SEE_MONEY})
"""What is done without its person: nothing that pays, approves, lets in or links, and no further schedule."""

_PRIVATELY = {
    Action.SEE_MONEY: "money is",
    Action.TREASURY: "money is",
    Action.RECONCILE: "money is",
    Action.TOKENS: "tokens are",
    Action.MINT: "tokens are",
}
PRIVATE = frozenset(_PRIVATELY)
"""What nobody but the caller may read."""

_ALONE = frozenset({Action.LINK, Action.JOIN})
"""What is said where nobody else hears it: a code read by others is theirs too."""


UNTIMED = "a schedule looks, asks the agent and posts tasks. Anything else you do yourself."


class NotAllowed(Refused):
    """You may not {action}: {rule}"""


class NeedsTap(Refused):
    """This device may not {action} by itself: {rule}"""


class Verdict(NamedTuple):
    """A decision and the rule that made it. `asks`: the caller's person may, and is asked."""

    allowed: bool
    rule: str
    asks: bool = False


def judge(caller: Caller, action: Action, *, own: bool = False, cost: int = 0) -> Verdict:
    """Decide without raising. `own`: the thing acted on belongs to the caller; `cost`: what it may cost, msat."""
    if caller.bought is not None:
        return _sold(caller.bought, action, cost)
    if caller.schedule and action not in _TIMED:
        return Verdict(allowed=False, rule=UNTIMED)
    verdict = _judged(caller, action, own=own)
    if verdict.allowed and (why := _tapped(caller, action, cost)):
        return Verdict(allowed=False, rule=why, asks=True)
    return verdict


def _sold(bought: int, action: Action, cost: int) -> Verdict:
    if action not in _SOLD:
        return Verdict(allowed=False, rule="it is not for sale here.")
    if cost > bought:
        return Verdict(allowed=False, rule=f"a call of this token was sold for {format_sats(bought)}.")
    return Verdict(allowed=True, rule="it was paid for")


def _judged(caller: Caller, action: Action, *, own: bool) -> Verdict:
    """What role and place say."""
    if why := _barred(caller, action):
        return Verdict(allowed=False, rule=why)
    if action in _MAY[caller.role]:
        return Verdict(allowed=True, rule=f"{caller.role}s may {action}")
    if own and action in _OWN and caller.role is not Role.GUEST:
        return Verdict(allowed=True, rule=f"{caller.name} may {action} of their own")
    if caller.role is Role.GUEST:
        return Verdict(allowed=False, rule="this hub does not know you. Ask its owner to let you in.")
    theirs = "it is not yours. Whoever posted it may, or the hub's owner."
    return Verdict(
        allowed=False, rule=theirs if action in _OWN_TASKS else f"{caller.role}s may not. Ask the hub's owner."
    )


def _barred(caller: Caller, action: Action) -> str:
    """Why an action is refused whatever the caller's role; empty if it is not."""
    if caller.acting_for and action in _PAYS:
        return "--as is for trying things out, and never pays, approves or remembers. Send it as yourself."
    if caller.doubt and action in _PAYS | _BINDS:
        return caller.doubt
    if caller.proxy and action in _UNSPOKEN:
        return _UNSPOKEN[action]
    if not caller.private and action in PRIVATE:
        return f"{_PRIVATELY[action]} shown in a private chat only. Ask me there."
    if not caller.private and action in _ALONE:
        return "identities are linked in a private chat only. Say it to me there."
    return ""


def _tapped(caller: Caller, action: Action, cost: int) -> str:
    """Why a device's person must tap first; empty if they need not."""
    if caller.proxy is None:
        return ""
    if action is Action.POST and cost > to_msat(caller.proxy.limit):
        return f"its tasks cost at most {format_sats(to_msat(caller.proxy.limit))}."
    return "that needs a tap." if action in _TAPPED else ""


_noted: ContextVar[list[tuple[Action, Verdict]] | None] = ContextVar("noted", default=None)


@contextmanager
def noting() -> Iterator[list[tuple[Action, Verdict]]]:
    """The decisions of `authorize` while the block runs, in their order, for whoever asks why."""
    noted: list[tuple[Action, Verdict]] = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def authorize(caller: Caller, action: Action, *, own: bool = False, cost: int = 0) -> None:
    """Raise `NotAllowed`, or `NeedsTap` where the caller's person is to be asked, with the rule, unless the caller may."""
    verdict = judge(caller, action, own=own, cost=cost)
    if (noted := _noted.get()) is not None:
        noted.append((action, verdict))
    if verdict.asks:
        raise NeedsTap(action=action.value, rule=verdict.rule)
    if not verdict.allowed:
        raise NotAllowed(action=action.value, rule=verdict.rule)


@contextmanager
def looking(caller: Caller, action: Action, *, own: bool = False) -> Iterator[None]:
    """`authorize`; the person of a device is asked only once the block was done without being refused.

    The block is the end of a unit of work: where this raises, what it did is taken back.
    """
    try:
        authorize(caller, action, own=own)
    except NeedsTap as tap:
        yield
        raise tap from None
    yield
