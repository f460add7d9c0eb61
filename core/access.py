"""Who may do what, decided in one place: `authorize(caller, action)`; what no row allows is refused.

Roles and rights are CONTRACT's table "Who". An approver is a person, never a chat; the console's owner may try things
out as somebody else (`acting_for`), which can never pay, approve, pair, link or freeze.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from core.chat import Role
from core.errors import Refused

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
    ROSTER = "spawn and stop agents"
    MODEL = "choose the model"
    TOKENS = "mint and revoke tokens"
    PAIR = "let people in or out"
    APPROVE = "decide what was put to you"
    LINK = "link identities to your account"
    JOIN = "join an account with its code"


_MEMBER = frozenset(
    {
        Action.TALK,
        Action.LOOK,
        Action.POST,
        Action.BID,
        Action.DELIVER,
        Action.SEE_MONEY,
        Action.APPROVE,
        Action.LINK,
        Action.JOIN,
    }
)
_OWN = frozenset({Action.JUDGE, Action.AWARD, Action.CANCEL, Action.RETRY})
_OPERATOR = frozenset({Action.AWARD, Action.CANCEL, Action.RETRY, Action.ROSTER, Action.MODEL})
_MAY: dict[Role, frozenset[Action]] = {
    Role.GUEST: frozenset({Action.JOIN}),
    Role.MEMBER: _MEMBER,
    Role.OPERATOR: _MEMBER | _OPERATOR,
    Role.PAYER: _MEMBER,
    Role.OWNER: frozenset(Action),
}
_PAYS = frozenset(
    {Action.JUDGE, Action.AWARD, Action.TOKENS, Action.MODEL, Action.PAIR, Action.APPROVE, Action.LINK, Action.JOIN}
)
_BINDS = frozenset({Action.POST, Action.BID, Action.DELIVER, Action.CANCEL, Action.RETRY, Action.ROSTER})
"""What binds sats or people besides, and is not done on the word of somebody who may be another."""

_PRIVATELY = {Action.SEE_MONEY: "money is", Action.TOKENS: "tokens are"}
PRIVATE = frozenset(_PRIVATELY)
"""What nobody but the caller may read."""

_ALONE = frozenset({Action.LINK, Action.JOIN})
"""What is said where nobody else hears it: a code read by others is theirs too."""


class NotAllowed(Refused):
    """You may not {action}: {rule}"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and the rule that made it."""

    allowed: bool
    rule: str


def judge(caller: Caller, action: Action, *, own: bool = False) -> Verdict:
    """Decide without raising. `own`: the thing acted on belongs to the caller."""
    if why := _barred(caller, action):
        return Verdict(allowed=False, rule=why)
    if action in _MAY[caller.role]:
        return Verdict(allowed=True, rule=f"{caller.role}s may {action}")
    if own and action in _OWN and caller.role is not Role.GUEST:
        return Verdict(allowed=True, rule=f"{caller.name} may {action} of their own")
    if caller.role is Role.GUEST:
        return Verdict(allowed=False, rule="this hub does not know you. Ask its owner to let you in.")
    theirs = "it is not yours. Whoever posted it may, or the hub's owner."
    return Verdict(allowed=False, rule=theirs if action in _OWN else f"{caller.role}s may not. Ask the hub's owner.")


def _barred(caller: Caller, action: Action) -> str:
    """Why an action is refused whatever the caller's role; empty if it is not."""
    if caller.acting_for and action in _PAYS:
        return "--as is for trying things out and never pays or approves. Send it as yourself."
    if caller.doubt and action in _PAYS | _BINDS:
        return caller.doubt
    if not caller.private and action in PRIVATE:
        return f"{_PRIVATELY[action]} shown in a private chat only. Ask me there."
    if not caller.private and action in _ALONE:
        return "identities are linked in a private chat only. Say it to me there."
    return ""


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


def authorize(caller: Caller, action: Action, *, own: bool = False) -> None:
    """Raise `NotAllowed`, with the rule, unless the caller may."""
    verdict = judge(caller, action, own=own)
    if (noted := _noted.get()) is not None:
        noted.append((action, verdict))
    if not verdict.allowed:
        raise NotAllowed(action=action.value, rule=verdict.rule)
