"""Linking people's identities: codes, who joins whose account, what is asked before, and taking them off again.

A link, the sats that come along and the words to whoever should know are one unit of work. Every identity of the account is
told of a new one, with the way to undo it, so that a stolen code is noticed; the rules are in `core/linking.py`.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bot.approvals import ApprovalTx, put
from core.access import Action, authorize
from core.automation.notify import NoticeTx
from core.automation.topics import Notice, Topic
from core.chat import Button, Mark, Reply, Role, Style, one_line
from core.events import Event, Kind
from core.linking import Asked, NotLinked, Side, Wish, WishGone, WrongLinkCode, onward
from core.money import format_sats, to_sats
from core.pairing import HOUR_MS, MAX_FAILURES, LockedOut, PairingTx, code_digest, new_code
from core.swarm.docket import under_way
from core.swarm.ports import SwarmTx
from core.tokens import CONSOLE_OWNER, account_of, home_of
from core.wallet import limits
from core.wallet.ledger import user_account
from core.wallet.wallet import move_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bot.approvals import Approvals
    from core.approval import Approval
    from core.automation.notify import Notices
    from core.chat import Caller, Outgoing
    from core.events import Json
    from core.linking import LinkStore
    from core.pairing import Pairing
    from core.ports import IdSource
    from core.store import Store
    from core.tokens import Identities
    from core.wallet.invoices import InvoiceStore
    from core.wallet.purchase import PurchaseStore

log = logging.getLogger(__name__)

CARRIES = "link"
"""The kind of approval that this carries out, and of wrong codes that it counts."""


class LinkTx(ApprovalTx, PairingTx, SwarmTx, NoticeTx, Protocol):
    """A unit of work over links, and all that a link changes."""

    @property
    def links(self) -> LinkStore:
        """Links."""

    @property
    def invoices(self) -> InvoiceStore:
        """What was asked for over Lightning."""

    @property
    def purchases(self) -> PurchaseStore:
        """What was bought from addresses."""


class _Outcome(NamedTuple):
    """What came of it, in words and facts, and what was written for others; `questions` are an approval's."""

    reply: Reply
    told: Sequence[Outgoing] = ()
    questions: Sequence[Outgoing] = ()


class Links:
    """Gives codes out, takes them, and takes links off. `send` hands on what was written for others."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        store: Store[LinkTx],
        ids: IdSource,
        identities: Identities,
        pairing: Pairing,
        approvals: Approvals,
        notices: Notices,
        *,
        send: Callable[[Outgoing], None],
    ) -> None:
        self._store = store
        self._ids = ids
        self._identities = identities
        self._pairing = pairing
        self._approvals = approvals
        self._notices = notices
        self._send = send

    async def tidy(self) -> None:
        """End the links to whoever has no standing any more, and warn of owners' own sats and work.

        The settings may name other owners since the last start.
        """

        def work(tx: LinkTx) -> None:
            for one in tx.tokens.links():
                if self._identities.role_in(tx, one.account) is Role.GUEST:
                    log.warning("%s is no longer linked to %s, who has no role here any more", one.actor, one.account)
                    tx.links.unlink(one.actor)
                    data: dict[str, Json] = {"actor": one.actor, "account": one.account, "by": "hub"}
                    tx.emit(Event(Kind.ACTOR_UNLINKED, data=data))

            for actor in sorted(self._identities.owners):
                if actor != CONSOLE_OWNER and (left := left_behind(tx, actor)):
                    log.warning(
                        "%s is an owner, whose wallet is the owners', and has left %s in one of their own", actor, left
                    )

        await self._store.write(work)

    async def code(self, caller: Caller) -> Reply:
        """A new code for the caller's account, in place of the one that this identity had; and who is linked."""
        authorize(caller, Action.LINK)
        code = new_code(self._ids)

        def work(tx: LinkTx) -> Caller:
            now = self._identities.as_now(tx, caller)
            tx.links.add(code_digest(code), caller.actor, tx.now + HOUR_MS)
            return now

        return _told_code(await self._store.write(work), code)

    async def join(self, caller: Caller, code: str, name: str, *, key: str) -> Reply:
        """Make the caller one of the account that this code is of, or ask who must agree first.

        Raises `WrongLinkCode`, `LockedOut`, and what `onward` does.
        """
        authorize(caller, Action.JOIN)

        def work(tx: LinkTx) -> _Outcome | None:
            if (done := tx.applied(key)) is not None:  # this very message, before a restart
                return _Outcome(_load(done)) if done else None
            if (count := tx.pairing.failures(caller.actor, CARRIES, tx.now - HOUR_MS)) >= MAX_FAILURES:
                raise LockedOut(count=count)
            digest = code_digest(code)
            maker = tx.links.maker(digest, tx.now)
            root, role = ("", Role.GUEST) if maker is None else self._identities.standing_in(tx, maker)
            if maker is None or role is Role.GUEST:
                tx.pairing.fail(caller.actor, CARRIES, tx.now)
                tx.mark(key, "")
                return None
            outcome = self._onward(tx, Wish(caller.actor, _plain(name), root, maker), key)
            tx.links.use(digest)
            tx.mark(key, _dump(outcome.reply))
            return outcome

        outcome = await self._store.write(work)
        if outcome is None:
            raise WrongLinkCode
        return await self._after(outcome)

    async def carry(self, approval: Approval) -> str:
        """Do what was agreed to, or ask who must agree next; what came of it, in words. Raises what `onward` does."""
        key = f"link/{approval.name}"

        def work(tx: LinkTx) -> _Outcome:
            if (done := tx.applied(key)) is not None:
                return _Outcome(_load(done))
            if not tx.links.wished(approval.id):
                raise WishGone
            outcome = self._onward(tx, Wish.load(approval.action), key)
            tx.mark(key, _dump(outcome.reply))
            return outcome

        return (await self._after(await self._store.write(work))).text

    async def unlink(self, caller: Caller, given: str, *, key: str) -> tuple[str, str]:
        """Take an identity off its account: one's own account, or as an owner any. Returns both.

        Raises `NotLinked`, or that it is nobody's name.
        """
        from bot.views_notices import parted  # noqa: PLC0415 - for the first who is taken off

        authorize(caller, Action.LINK)

        def work(tx: LinkTx) -> tuple[str, str, list[Outgoing]]:
            if (done := tx.applied(key)) is not None:
                actor, root = done.split()
                return actor, root, []
            now = self._identities.as_now(tx, caller)
            actor = self._pairing.find(given)
            root, _ = tx.tokens.standing(actor)
            if root == actor or not (now.means(root) or now.role is Role.OWNER):
                raise NotLinked(given=repr(given[:60]))
            tx.links.unlink(actor)
            tx.mark(key, f"{actor} {root}")
            tx.emit(Event(Kind.ACTOR_UNLINKED, data={"actor": actor, "account": root, "by": caller.recorded}))
            back = self._identities.role_in(tx, actor)
            kept = None if back is Role.GUEST else self._notices.part(tx, actor, root)
            told = self._tell(tx, {actor}, _sent_off(actor, root, back, caller, parted(kept)), but=caller.actor)
            return actor, root, told + self._tell(tx, self._of(root) - {actor}, _gone(actor, caller), but=caller.actor)

        actor, root, told = await self._store.write(work)
        await self._after(_Outcome(Reply(""), told))
        return actor, root

    # Inside a unit of work -----------------------------------------------------------------------------------------

    def _onward(self, tx: LinkTx, wish: Wish, key: str) -> _Outcome:
        """Take a wish as far as it goes: to the next question, or to the link itself."""
        maker = Side(wish.maker, *self._identities.standing_in(tx, wish.maker))
        joins = self._joins(tx, wish.actor)
        wish = onward(wish, joins, maker)
        if wish.asked is Asked.NOBODY:
            return self._link(tx, wish, account_of(wish.root, maker.role), key)
        return self._ask(tx, wish, account_of(wish.root, maker.role))

    def _joins(self, tx: LinkTx, actor: str) -> Side:
        root, role = self._identities.standing_in(tx, actor)
        linked = [one.actor for one in tx.tokens.links() if one.account == actor]
        wallet = tx.ledger.account(user_account(actor))
        tasks = [task.name for task in under_way(tx, actor)]
        return Side(actor, root, role, linked, tasks, wallet.posted, wallet.held)

    def _ask(self, tx: LinkTx, wish: Wish, account: str) -> _Outcome:
        home = home_of(wish.actor) or ""
        if wish.asked is Asked.THEM:
            approvers, needs = [wish.actor], Role.MEMBER
            sats = format_sats(wish.agreed)
            words = f"Link {wish.actor} to the account {account}? Your {sats} go to its wallet for good, and you have its role."
            said = f"You have {sats} here, so this is asked first:"
        else:
            approvers, needs = self._owners_but(wish.maker), Role.OWNER
            words = (
                f"Make {_called(wish)} an owner of this hub, with the owners' wallet? It said"
                f" the code that {wish.maker} got with /link. If that was not you, deny it."
            )
            said = "That is the account of this hub's owners, one of whom has to agree first:"
        made, questions = put(
            tx, CARRIES, wish.dump(), words, asked_by=wish.actor, where=home, approvers=approvers, seconds=HOUR_MS / 1000,
            needs=needs, exact=True, askers=self._identities.selves_in(tx, wish.actor),
        )  # fmt: skip
        tx.links.wish(made.id, wish.actor, wish.maker, made.expires_at)
        data: dict[str, Json] = {"ok": True, "approval": made.name, "state": made.state.value}
        return _Outcome(Reply(f"{said} {made.name}", data), (), questions)

    def _owners_but(self, maker: str) -> list[str]:
        """Owners who may agree to one more: not where the code was made, for that may be stolen; the console always."""
        return sorted(self._of(CONSOLE_OWNER) - {maker} | {CONSOLE_OWNER})

    def _link(self, tx: LinkTx, wish: Wish, account: str, key: str) -> _Outcome:
        from bot.views_notices import brought, joined  # noqa: PLC0415 - for the first who links

        hours = self._notices.join(tx, wish.actor, wish.root)
        told = self._tell(tx, self._of(account), _warning(wish, account, brought(wish.root, *hours)), but=wish.actor)
        tx.links.link(wish.actor, wish.root, wish.name, tx.now)
        tx.invoices.hand_over(user_account(wish.actor), user_account(account))
        tx.purchases.hand_over(user_account(wish.actor), user_account(account))
        _limit(tx, wish.actor, account)
        limits.bring_along(tx, wish.actor, account)
        moved = move_all(
            tx, key=f"link:{key}", source=user_account(wish.actor), target=user_account(account), actor=wish.actor,
            reason=f"{wish.actor} was linked to {account}",
        )  # fmt: skip
        data: dict[str, Json] = {"actor": wish.actor, "account": account, "by": wish.maker, "msat": moved}
        tx.emit(Event(Kind.ACTOR_LINKED, data=data))
        came = f", and {format_sats(moved)} came along" if moved else ""
        return _Outcome(
            Reply(
                f"{wish.actor} is linked to the account {account} now{came}.\nThe same role, wallet, tasks and memory from here"
                f" and there. /unlink {wish.actor} takes it off again.{joined(wish.root, *hours)}",
                {"ok": True, "actor": wish.actor, "account": account},
            ),
            told,
        )

    def _of(self, account: str) -> frozenset[str]:
        return self._identities.everybody(self._identities.account(account))

    def _tell(self, tx: LinkTx, actors: Iterable[str], reply: Reply, *, but: str) -> list[Outgoing]:
        homes = [home for one in actors if one != but and (home := home_of(one)) is not None]
        return self._notices.tell(tx, Notice(Topic.SECURITY, reply, homes))

    async def _after(self, outcome: _Outcome) -> Reply:
        """It is committed: whoever reads the roles sees them, and whoever should know is told."""
        await self._identities.refresh()
        await self._notices.changed()
        self._approvals.asked(outcome.questions)
        for message in outcome.told:
            self._send(message)
        return outcome.reply


def left_behind(tx: LinkTx, actor: str) -> str:
    """What an identity has under its own name, in words: sats, or work that is not over; empty if nothing."""
    wallet = tx.ledger.account(user_account(actor))
    tasks = ", ".join(task.name for task in under_way(tx, actor)[:5])
    return format_sats(wallet.posted) if wallet.posted else tasks


def _limit(tx: LinkTx, actor: str, account: str) -> None:
    """Who is limited brings their limit along, where it is the lower one; owners are told, and have none of others'.

    Where an owner gave the account none, it bounds what is spent, and lets nobody approve.
    """
    rules = tx.limits.rules()
    brought, own = rules.amounts.get(actor), rules.amounts.get(account)
    if account == CONSOLE_OWNER or brought is None or (own is not None and own <= brought):
        return
    tx.limits.put_rule(account, brought, grants=own is not None and account not in rules.bounds)
    data: dict[str, Json] = {"scope": account, "limit_sats": to_sats(brought), "by": actor}
    tx.emit(Event(Kind.LIMIT_CHANGED, data=data))


def _told_code(caller: Caller, code: str) -> Reply:
    others = sorted(caller.selves - {caller.actor})
    words = "Your link code, good for an hour and for one use:\n"
    rest = (
        f"\nIn a private chat with me, as who you are elsewhere, say: /link {code}\nThat makes it one of the account {caller.name}:"
        " the same role, wallet, tasks and memory. Give the code to nobody else."
    )
    if caller.role is Role.OWNER:
        rest += "\nAs it is the owners' account, one of you is asked before it counts, and told who said the code."
    if others:
        rest += f"\nOf this account already: {', '.join(others)}. /unlink IDENTITY takes one off."
    identities: list[Json] = [*sorted(caller.selves)]
    data: dict[str, Json] = {"ok": True, "code": code, "account": caller.name, "identities": identities}
    return Reply(words + code + rest, data, marks=(Mark(len(words), len(words) + len(code), Style.CODE),))


def _plain(name: str) -> str:
    """A name that people give themselves, as one short line."""
    return one_line(name)[:64]


def _called(wish: Wish) -> str:
    return f"{wish.actor} ({wish.name})" if wish.name and wish.name not in wish.actor else wish.actor


def _warning(wish: Wish, account: str, more: str) -> Reply:
    return Reply(
        f"{_called(wish)} was linked to your account {account}, by the code that {wish.maker} got with /link: it has your"
        f" role, wallet, tasks and memory now.{more}\nIf that was not you, take it off: /unlink {wish.actor}",
        {"ok": True, "actor": wish.actor, "account": account},
        buttons=(Button("Take it off", f"/unlink {wish.actor}"),),
    )


def _sent_off(actor: str, root: str, role: Role, caller: Caller, more: str) -> Reply:
    rest = "a stranger to this hub" if role is Role.GUEST else f"{role} for yourself, with your own wallet"
    return Reply(
        f"{caller.actor} took {actor} off the account of {root}: you are {rest} now.{more}",
        {"ok": True, "actor": actor},
    )


def _gone(actor: str, caller: Caller) -> Reply:
    return Reply(f"{caller.actor} took {actor} off your account.", {"ok": True, "actor": actor})


def _dump(reply: Reply) -> str:
    return json.dumps([reply.text, dict(reply.data)])


def _load(text: str) -> Reply:
    return Reply(*json.loads(text))
