"""Linking: several identities of one person are one account, with one role, one wallet and the same tasks.

Whoever is let in gets a code in one chat and says it in another; the identity that says it joins the account. What it has to
do with others must be over first, its sats come along, and what would make somebody rich or mighty is asked before it is done
(`Wish.asked`). The rules only; `bot/links.py` reads the facts and writes what follows. Source: ADR 0014.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from core.chat import Role
from core.errors import Refused, UserError
from core.money import format_sats
from core.tokens import check_actor, home_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class WrongLinkCode(UserError):
    """There is no such link code, or its hour is over. Say /link in a chat where you are let in, and you get a new one."""

    status = 404


class OwnCode(UserError):
    """{actor} is of that account already. Say the code in the chat that is to join it."""

    status = 409


class LinkedAlready(UserError):
    """{actor} is linked to {account}. Take it off there first: /unlink {actor}"""

    status = 409


class HasLinked(UserError):
    """{linked} is linked to {actor}, which could then not be linked itself. First say: /unlink {linked}"""

    status = 409


class OwnerStays(Refused):
    """{actor} owns this hub and becomes nobody else's. Say /link here, and the code in the other chat."""


class NoPersonJoins(Refused):
    """{actor} is no person whom the hub can reach, and joins nobody. Say the code in a private chat."""


class UnderWay(UserError):
    """{actor} has to do with {tasks}, and that is not over. Bring it to its end, then link."""

    status = 409


class NotLetInYet(UserError):
    """{actor} is not let in and has {sats} here from before. Be let in first (/pair): then you are asked what becomes of them."""

    status = 409


class NotAsAgreed(UserError):
    """{actor} had {agreed} when you were asked and has {sats} now. Nothing was moved; begin again with /link."""

    status = 409


class AccountGone(UserError):
    """{account} is no account here any more. Nothing was linked."""

    status = 409


class WishGone(UserError):
    """Whoever said the code, or got it, was let out or taken off since. Nothing was linked; begin again with /link."""

    status = 409


class NotLinked(UserError):
    """{given} is linked to no account of yours. /whoami shows which are."""

    status = 404


@dataclass(frozen=True, slots=True)
class Side:
    """An identity as the hub knows it at the moment: `root` is the one that it is linked to, itself if it is to none.

    `linked` are linked to it; `tasks` are the names of those under way that it has to do with; `posted` and `held` its wallet's
    figures, msat.
    """

    actor: str
    root: str
    role: Role
    linked: Sequence[str] = ()
    tasks: Sequence[str] = ()
    posted: int = 0
    held: int = 0


class Asked(StrEnum):
    """Whose word a wish waits for."""

    NOBODY = ""
    THEM = "them"
    """Whoever is to be linked, where sats go with it."""
    OWNER = "owner"
    """An owner in another chat, where the account is the owners'."""


@dataclass(frozen=True, slots=True)
class Wish:
    """That `actor` (called `name`) joins the account of `root`, by a code that `maker` got. `agreed`: its sats come along, msat."""

    actor: str
    name: str
    root: str
    maker: str
    agreed: int = 0
    asked: Asked = Asked.NOBODY

    def dump(self) -> str:
        """The wish as text, for the approval that it waits for."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def load(text: str) -> Wish:
        """The wish that was written so."""
        facts = json.loads(text)
        return Wish(**facts | {"asked": Asked(facts["asked"])})


def check(joins: Side, maker: Side) -> None:
    """Raise why an identity cannot join the account of whoever made the code."""
    if home_of(check_actor(joins.actor)) is None:
        raise NoPersonJoins(actor=joins.actor)
    if joins.root == maker.root or (joins.role is Role.OWNER and maker.role is Role.OWNER):
        raise OwnCode(actor=joins.actor)
    if joins.role is Role.OWNER:
        raise OwnerStays(actor=joins.actor)
    if joins.root != joins.actor:
        raise LinkedAlready(actor=joins.actor, account=joins.root)
    if joins.linked:
        raise HasLinked(actor=joins.actor, linked=joins.linked[0])
    if joins.tasks or joins.held:
        raise UnderWay(actor=joins.actor, tasks=", ".join(joins.tasks[:5]) or "a payment")
    if joins.posted and joins.role is Role.GUEST:
        raise NotLetInYet(actor=joins.actor, sats=format_sats(joins.posted))


def onward(wish: Wish, joins: Side, maker: Side) -> Wish:
    """The wish with whose word it needs next (`NOBODY`: it is to be done now). Raises what `check` does, and what changed since.

    First whoever brings sats agrees to exactly that sum, then an owner to one more owner.
    """
    if maker.role is Role.GUEST or maker.root != wish.root:
        raise AccountGone(account=wish.root)
    check(joins, maker)
    if wish.asked is Asked.NOBODY and joins.posted:
        return replace(wish, agreed=joins.posted, asked=Asked.THEM)
    if joins.posted != wish.agreed:
        raise NotAsAgreed(actor=wish.actor, agreed=format_sats(wish.agreed), sats=format_sats(joins.posted))
    if wish.asked is not Asked.OWNER and maker.role is Role.OWNER:
        return replace(wish, asked=Asked.OWNER)
    return replace(wish, asked=Asked.NOBODY)


class LinkStore(Protocol):
    """Links, and the codes that make them, inside one unit of work."""

    def add(self, digest: str, actor: str, expires: int) -> None:
        """Keep an identity's code by its hash, in place of the one it had."""

    def maker(self, digest: str, now: int) -> str | None:
        """Whose code this is; None where it is not good."""

    def use(self, digest: str) -> None:
        """A code is used up."""

    def link(self, actor: str, account: str, name: str, now: int) -> None:
        """An identity is one with `account` from now on; codes that it was given before are nothing any more."""

    def unlink(self, actor: str) -> None:
        """It is itself again; what it was to be linked to, or others to it, is wished no more."""

    def wish(self, approval: int, actor: str, maker: str, expires: int) -> None:
        """Keep that an approval is of this identity's link by the code of `maker`, until one of them is let out or taken off."""

    def wished(self, approval: int) -> bool:
        """Whether it is still."""
