"""Pressed buttons: each acts under its own name, so that it acts once, whoever presses it how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.replies import QUESTION_MS
from core.approval import DECIDES, State, parse_approval
from core.errors import Refused, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.approvals import ApprovalTx
    from core.chat import Caller, Inbound, Reply
    from core.messages import MessageTx, Tapped
    from core.store import Store


MOST_EARLIER = 100
"""So many messages of a person are looked back through."""


class UnknownButton(UserError):
    """I no longer know this button. /tasks shows what there is to do."""

    status = 404


class NotYourQuestion(Refused):
    """This question is not for you to answer."""


class Answered(UserError):
    """This question has been answered, or its time is over. Nothing was done."""

    status = 409


class Which(UserError):
    """{newest} waits, and takes no bare word: say /approve {newest} or /deny {newest}, or press a button."""

    status = 409


class Between(UserError):
    """I answered you something else since I asked that. Press a button of the question, or say again what is to be done."""

    status = 409


class Tap(NamedTuple):
    """A button: its command (empty: nothing is to be done), the key it acts under, its place, the message its outcome replaces."""

    command: str
    key: str
    conversation: str
    replaces: str | None


class Taps:
    """Finds what a button means. `closed` is told of a question that was answered in words: its buttons go."""

    def __init__(self, store: Store[ApprovalTx], closed: Callable[[str, tuple[str, ...], Reply], None]) -> None:
        self._store = store
        self._closed = closed

    async def take(self, message: Inbound, caller: Caller) -> Tap:
        """What the pressed button means; a question is answered by it. Raises this module's errors."""

        def work(tx: MessageTx) -> tuple[Tapped, Tap]:
            found = tx.messages.tap(message.tap, message.conversation)
            if found is None:
                raise UnknownButton
            choice = found.reply.choice
            if choice is None:
                return found, Tap(found.command, f"tap/{message.tap}", found.conversation, None)
            if choice.actor not in caller.selves:
                raise NotYourQuestion
            if not tx.messages.choose(message.tap, tx.now):
                raise Answered
            stands = message.tapped and (found.sent or (message.tapped,))[-1]  # a client may say any message's id
            return found, Tap(found.command, f"tap/{message.tap}", found.conversation, stands or None)

        found, tap = await self._store.write(work)
        if not message.tapped and found.sent:
            self._closed(message.conversation, found.sent, found.reply)
        return tap

    async def answer(self, message: Inbound, caller: Caller, *, yes: bool) -> str | None:
        """The button that a yes or no in words means: of the newest question to this person here, if one is open.

        It is open to words until they say something else here. An approval takes no bare word, for whoever says it may not have
        seen that one was asked for meanwhile; nor is a question before it taken for what they mean. Raises `Which`, and `Between`
        where what they had said before came to an answer only since: the word may be for that.
        The message is that button's tap from now on, whatever comes between: it never answers another question.
        """

        def work(tx: ApprovalTx) -> str | None:
            taps = tx.messages.question(message.conversation, caller.selves, tx.now, but=DECIDES)
            if not taps:
                _refuse_bare(tx, message, caller)
                return None
            newest = tx.messages.question(message.conversation, caller.selves, tx.now)
            since = None if newest == taps else tx.messages.tap(newest[0], message.conversation)
            if since is not None and (name := _open(tx, since)):
                raise Which(newest=name)
            asked = tx.messages.tap(taps[0], message.conversation)
            if asked is None or not _is_last(tx, message, caller, asked.cause, taps[0]):
                _refuse_bare(tx, message, caller)
                return None
            tap = taps[0] if yes else taps[-1]
            tx.messages.choose(tap, tx.now)
            tx.messages.bind(message.id, tap)
            return tap

        return await self._store.write(work)


def _refuse_bare(tx: ApprovalTx, message: Inbound, caller: Caller) -> None:
    """Raise `Which` where an approval was put to them here and is open: no model is to answer as though it were decided."""
    for one in reversed(tx.approvals.pending()):
        mine = one.state is State.OPEN and tx.now < one.expires_at and not caller.selves.isdisjoint(one.approvers)
        if mine and any(
            put is not None and put.conversation == message.conversation
            for put in map(tx.messages.delivered, tx.approvals.questions(one.id))
        ):
            raise Which(newest=one.name)


def earlier(tx: MessageTx, message: Inbound, caller: Caller) -> list[Inbound]:
    """What they sent here before a message, the latest first, as long as a question can be answered; `is_said`: or not."""
    return tx.messages.before(message, {*caller.selves, message.actor}, tx.now - QUESTION_MS, MOST_EARLIER)


def is_said(message: Inbound) -> bool:
    """Whether somebody said it just then: neither a button that they pressed, nor what a schedule says for them."""
    return not (message.tap or message.schedule)


def _is_last(tx: MessageTx, message: Inbound, caller: Caller, cause: str, question: str) -> bool:
    """Whether they said nothing here since the message that was asked back, but a yes or a no. Raises `Between`."""
    from core.voice.approval import answer  # noqa: PLC0415 - loaded by who gave the meaning, not by a start

    before = iter(earlier(tx, message, caller))
    for one in before:
        if one.key == cause:
            if tx.messages.answered_since(question, {other.key for other in before if is_said(other)}):
                raise Between
            return True
        if is_said(one) and answer(one.text) is None:
            return False
    return False


def _open(tx: ApprovalTx, question: Tapped) -> str:
    """The name of the approval that a button decides, while it is open."""
    found = tx.approvals.find(parse_approval(question.command.split()[-1]))
    return found.name if found is not None and found.state is State.OPEN else ""
