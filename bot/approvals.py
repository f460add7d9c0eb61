"""Asking people before something is done, and doing exactly that, once, when they agree.

The question goes to each person who may decide, where they are at home; the first to decide settles it everywhere. What was
approved and not yet carried out when the hub died is carried out at the next start.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol
from weakref import WeakValueDictionary

from bot.replies import from_error
from core.access import Action, authorize
from core.approval import Approval, Settled, State, UnknownApproval, approval_name, decide, digest_of
from core.chat import Button, Choice, Reply, Role
from core.errors import HubError, WentWrong
from core.events import Event, Kind
from core.messages import MessageTx
from core.store import patiently
from core.tokens import TokenTx, home_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from core.approval import ApprovalStore
    from core.chat import Caller, Outgoing
    from core.events import Json
    from core.messages import Delivered
    from core.ports import Clock, Spawner
    from core.store import Store
    from core.tokens import Identities

log = logging.getLogger(__name__)

PAYMENT, TOOL = "payment", "tool"
"""Kinds: of what pays (`paying.py`), and of what the agent asks for (`tooling.py`)."""


class ApprovalTx(TokenTx, MessageTx, Protocol):
    """A unit of work over approvals, the messages that ask, and who the persons are."""

    @property
    def approvals(self) -> ApprovalStore:
        """Approvals."""


class Came(NamedTuple):
    """What came of something that was approved, in words for everybody who was asked.

    `error`: the code of what failed. `again`: nothing was begun, so that it may be approved once more. `reply` is for one
    conversation alone.
    """

    words: str
    error: str = ""
    again: bool = False
    place: str = ""
    reply: Reply | None = None

    @classmethod
    def of(cls, reply: Reply, *, again: bool = False) -> Came:
        """What a reply says."""
        return cls(reply.text, str(reply.data.get("error", "")), again)


class Approvals:
    """Asks, settles, carries out and tells. `close` takes the buttons off a message that asked."""

    def __init__(
        self,
        store: Store[ApprovalTx],
        clock: Clock,
        identities: Identities,
        *,
        send: Callable[[Outgoing], None],
        close: Callable[[str, tuple[str, ...], Reply], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._identities = identities
        self._send = send
        self._close = close
        self._carriers: dict[str, Callable[[Approval], Awaitable[str | Came]]] = {}
        self._wake = asyncio.Event()
        self._turns = WeakValueDictionary[int, asyncio.Lock]()

    def carries(self, kind: str, carry: Callable[[Approval], Awaitable[str | Came]]) -> None:
        """Say who carries out what is approved of a kind: returns what came of it (words: it is done), and may be asked twice."""
        self._carriers[kind] = carry

    async def ask(  # noqa: PLR0913 - what a question is
        self, kind: str, action: str, words: str, *, asked_by: str, where: str, approvers: Sequence[str], seconds: float, key: str,
        needs: Role = Role.OWNER, exact: bool = False, once: bool = False, until: int | None = None,
    ) -> Approval:  # fmt: skip
        """Put something to persons, once for each `key`. What comes of it is told in the conversation `where`.

        `once`: it can be done but once, so that a question about the same which is open yet is not put again. `until`: it can be
        done no longer than that (Unix ms).
        """

        def work(tx: ApprovalTx) -> tuple[Approval, list[Outgoing]]:
            if (known := tx.applied(key)) is not None:
                found = tx.approvals.find(int(known))
                assert found is not None  # noqa: S101 - it was written with the key
                return found, []
            if once and (same := _open_about(tx, digest_of(kind, action))) is not None:
                tx.mark(key, str(same.id))
                return same, []
            made, questions = put(
                tx, kind, action, words, asked_by=asked_by, where=where, approvers=approvers, seconds=seconds, needs=needs,
                exact=exact, askers=self._identities.selves_in(tx, asked_by.partition(" as ")[0]), until=until,
            )  # fmt: skip
            tx.mark(key, str(made.id))
            return made, questions

        made, questions = await patiently(self._store, work, self._clock)
        self.asked(questions)
        return made

    async def tell(self, person: str, reply: Reply, key: str) -> None:
        """Tell a person something where they are at home, once for each `key`."""
        home = home_of(person) or ""

        def work(tx: ApprovalTx) -> Outgoing | None:
            if tx.applied(key) is not None:
                return None
            tx.mark(key, "")
            return tx.messages.queue(home.partition(":")[0], home, reply, None, tx.now)

        if (told := await patiently(self._store, work, self._clock)) is not None:
            self._send(told)

    async def known(self, key: str) -> bool:
        """Whether something was put to persons under this key."""
        return await self._store.read(lambda tx: tx.applied(key)) is not None

    def asked(self, questions: Sequence[Outgoing]) -> None:
        """What `put` wrote is committed: send the questions, and watch their time."""
        for question in questions:
            self._send(question)
        self._wake.set()

    async def settle(self, caller: Caller, number: int, *, yes: bool, key: str) -> Approval:
        """Decide as a person. Raises what `authorize` and `decide` do; the same `key` again returns what came of it.

        What is being done just now, after a crash too, is waited for: whoever decides about it once more is told what came of it.
        """
        authorize(caller, Action.APPROVE)
        late = False

        def work(tx: ApprovalTx) -> tuple[Approval, _Told | None]:
            found = tx.approvals.find(number)
            if found is None:
                raise UnknownApproval(name=approval_name(number))
            if tx.applied(key) is not None:
                return found, None
            role = self._identities.role_in(tx, caller.actor)
            selves = self._identities.selves_in(tx, caller.actor)
            try:
                settled = decide(found, caller.actor, role, yes=yes, now=tx.now, selves=selves)
            except Settled:
                if found.state is not State.APPROVED:
                    raise
                nonlocal late
                late = True
                return found, None
            tx.mark(key, settled.state.value)
            return settled, _settled(tx, settled)

        settled, told = await self._store.write(work)
        if told is not None:
            self._show(told)
        after = await self._carried(settled) if settled.state is State.APPROVED else settled
        if late and after.state is not State.OPEN:
            raise Settled.of(after)
        return after

    async def recover(self, spawner: Spawner) -> None:
        """Carry out what was approved and not done when the hub stopped: no part of it waits for another, and no start for any."""
        for approval in await self._store.read(lambda tx: tx.approvals.pending()):
            if approval.state is State.APPROVED:
                spawner.spawn(self._again(approval), f"approval {approval.name}")

    async def _again(self, approval: Approval) -> None:
        await self._carried(approval)

    async def run(self) -> None:
        """Let what nobody decided run out, and say so."""
        while True:
            self._wake.clear()
            pending = await self._store.read(lambda tx: tx.approvals.pending())
            still = [one for one in pending if one.state is State.OPEN]
            now = self._clock.now()
            for late in [one for one in still if one.expires_at <= now]:
                await self._expire(late)
            ends = [one.expires_at for one in still if one.expires_at > now]
            await self._clock.until(min(ends) if ends else None, self._wake)

    async def _expire(self, late: Approval) -> None:
        def work(tx: ApprovalTx) -> _Told | None:
            now = tx.approvals.find(late.id)
            if now is None or now.state is not State.OPEN:
                return None
            after = now._replace(state=State.EXPIRED, decided_at=tx.now, outcome="nobody decided in time", error="")
            return _settled(tx, after)

        told = await patiently(self._store, work, self._clock)
        if told is not None:
            self._show(told)

    async def _carried(self, approval: Approval) -> Approval:
        """Carry out what was approved, and write what came of it with those who are told."""
        turn = self._turns.setdefault(approval.id, asyncio.Lock())
        async with turn:  # a restart, and a command that is repeated after it, would both do it
            found = await self._store.read(lambda tx: tx.approvals.find(approval.id))
            if found is None or found.state is not State.APPROVED:
                return found or approval
            came = await self._outcome(found)

            def work(tx: ApprovalTx) -> tuple[Approval, _Told]:
                after = found.carried(came.words, came.error, again=came.again, now=tx.now)
                told = _settled(tx, after, came) if after.state is State.DONE else _open_again(tx, after, found)
                return after, told

            after, told = await patiently(self._store, work, self._clock)
            self._show(told)
            self._wake.set()
            return after

    def _show(self, told: _Told) -> None:
        for message in told.messages:
            self._send(message)
        for one in told.closed:
            self._close(one.conversation, one.sent, one.reply)

    async def _outcome(self, approval: Approval) -> Came:
        carry = self._carriers.get(approval.kind)
        if carry is None or not approval.intact:
            return Came("nothing was done: this hub cannot do it any more", "not_done")
        try:
            came = await carry(approval)
        except HubError as error:
            asker = home_of(approval.asked_by) or home_of(approval.decided_by or "")
            if error.private and asker and _places(approval) - {asker}:
                words = "it could not be done; whoever asked is told why"
                return Came(words, "not_done", place=asker, reply=from_error(error))
            return Came(str(error), error.code)
        except Exception:
            log.exception("%s was approved and could not be carried out", approval.name)
            return Came("it could not be carried out (the log says more)", WentWrong().code)
        return Came(came) if isinstance(came, str) else came


def put(  # noqa: PLR0913 - what a question is
    tx: ApprovalTx, kind: str, action: str, words: str, *, asked_by: str, where: str, approvers: Sequence[str], seconds: float,
    needs: Role, exact: bool, askers: Collection[str], about: str = "", until: int | None = None,
) -> tuple[Approval, list[Outgoing]]:  # fmt: skip
    """Put something to persons in a unit of work of somebody else's, who tells `Approvals.asked` of the questions after it.

    `about`: the task with whose end it is no question any more, which whoever was not asked yet is not asked then.
    """
    ends = tx.now + round(seconds * 1000)
    made = tx.approvals.add(
        Approval(
            0, kind, action, digest_of(kind, action), words, asked_by, where, tuple(approvers), needs, tx.now,
            ends if until is None else min(ends, until), exact=exact, askers=tuple(sorted(askers)),
        )
    )  # fmt: skip
    tx.emit(Event(Kind.APPROVAL_ASKED, data={"approval": made.name, "kind": kind}))
    return made, [_question(tx, made, person, about) for person in made.approvers if home_of(person)]


def _open_about(tx: ApprovalTx, digest: str) -> Approval | None:
    """The question about an action that persons may still decide."""
    return next(
        (
            one
            for one in tx.approvals.pending()
            if (one.digest, one.state) == (digest, State.OPEN) and tx.now < one.expires_at
        ),
        None,
    )


class _Told(NamedTuple):
    """What was written for those who should know, and the questions whose buttons go."""

    messages: list[Outgoing]
    closed: list[Delivered]


def _settled(tx: ApprovalTx, approval: Approval, came: Came | None = None) -> _Told:
    """Write a state, and, where it is an end, what came of it in the place of each question; what is for one place, there.

    Whoever decided is answered by their command. It is one unit of work: nobody is left with a question that is none any more.
    """
    tx.approvals.put(approval)
    if approval.state is not State.DONE:
        data: dict[str, Json] = {"approval": approval.name, "state": approval.state.value}
        tx.emit(Event(Kind.APPROVAL_SETTLED, data=data | ({"by": approval.decided_by} if approval.decided_by else {})))
    if approval.state is State.APPROVED:
        return _Told([], [])
    reply = Reply(outcome_of(approval), facts_of(approval))
    decider, places = home_of(approval.decided_by or ""), _places(approval)
    asked = [one for one in map(tx.messages.delivered, tx.approvals.questions(approval.id)) if one is not None]
    stands = {one.conversation: one.sent[-1] for one in asked}
    told = [
        tx.messages.queue(place.partition(":")[0], place, reply, None, tx.now, replaces=stands.get(place))
        for place in sorted(places)
        if place != decider
    ]
    if came is not None and came.reply is not None:
        told.append(tx.messages.queue(came.place.partition(":")[0], came.place, came.reply, None, tx.now))
    return _Told(told, [one for one in asked if one.conversation == decider])


def _open_again(tx: ApprovalTx, approval: Approval, before: Approval) -> _Told:
    """Write that what was agreed to could not be begun: every question stands again.

    Whoever asked is told; whoever agreed is asked anew by the answer to their command.
    """
    tx.approvals.put(approval)
    tx.emit(Event(Kind.APPROVAL_ASKED, data={"approval": approval.name, "kind": approval.kind}))
    place = approval.conversation
    if not place or place == home_of(before.decided_by or ""):
        return _Told([], [])
    reply = Reply(outcome_of(approval), facts_of(approval))
    return _Told([tx.messages.queue(place.partition(":")[0], place, reply, None, tx.now)], [])


def _places(approval: Approval) -> set[str]:
    """Where it is read what came of it."""
    homes = map(home_of, (*approval.approvers, approval.decided_by or ""))
    return set(filter(None, (*homes, approval.conversation)))


def settled(approval: Approval, person: str) -> Reply:
    """What became of an approval, for the person who decided; where it is open all the same, they are asked anew."""
    if approval.state is State.OPEN:
        return _asks(approval, person, outcome_of(approval))
    return Reply(outcome_of(approval), facts_of(approval))


def facts_of(approval: Approval) -> dict[str, Json]:
    """How an approval stands, for programs."""
    facts: dict[str, Json] = {"ok": not approval.error, "approval": approval.name, "state": approval.state.value}
    return facts | ({"error": approval.error} if approval.error else {})


def outcome_of(approval: Approval) -> str:
    """What became of an approval, in words."""
    match approval.state:
        case State.OPEN if approval.error:
            return f"{approval.name} could not be carried out: {approval.outcome}\nIt is open again: /approve {approval.name}"
        case State.OPEN:
            return f"{approval.name} is open: {approval.words}"
        case State.EXPIRED:
            return f"{approval.name} ran out: nobody decided in time, so nothing was done. It was: {approval.words}"
        case State.DENIED:
            return f"{approval.name} was denied by {approval.decided_by}, so nothing was done. It was: {approval.words}"
        case _:
            return f"{approval.name} was approved by {approval.decided_by}: {approval.outcome or 'it is being done'}"


def _question(tx: ApprovalTx, approval: Approval, person: str, about: str) -> Outgoing:
    home = home_of(person) or ""
    words = f"{approval.words}\n{approval.name}: /approve {approval.name} or /deny {approval.name}"
    reply = _asks(approval, person, words)
    if about:
        reply = replace(reply, data={**reply.data, "about": about})
    question = tx.messages.queue(home.partition(":")[0], home, reply, None, tx.now)
    tx.approvals.shown(approval.id, question.id)
    return question


def _asks(approval: Approval, person: str, words: str) -> Reply:
    buttons = (Button("Approve", f"/approve {approval.name}"), Button("Deny", f"/deny {approval.name}"))
    return Reply(words, facts_of(approval), buttons=buttons, choice=Choice(person, approval.expires_at))
