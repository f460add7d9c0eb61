"""What may only be done once a person has agreed: the rows, and the rule of who settles them, once, until when.

An approval names exactly what will be done (`action`, by its digest), who asked, and the persons who may decide. Whoever is late,
second or somebody else changes nothing. Source: GUARANTEES, "Approvals are rows".
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.chat import Role
from core.errors import Refused, UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

DECIDES = ("/approve", "/deny")
"""The commands that decide. They are written, or their button is pressed: a bare "yes" may be meant for something else."""

_ID = re.compile(r"(?:[aA]-?|#)?0*([1-9][0-9]{0,17})")


class State(StrEnum):
    """Where an approval stands. `approved` is on its way to `done`; the others are ends."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    DONE = "done"


class BadApprovalId(UserError):
    """{given} is not an approval's id. Ids look like A-12; the question says it."""


class UnknownApproval(UserError):
    """There is no approval {name}."""

    status = 404


class NotYoursToDecide(Refused):
    """{name} is not yours to decide. It was put to {count} others."""


class Settled(UserError):
    """{name} was {state} already{whom}. {became}"""

    status = 409

    @classmethod
    def of(cls, approval: Approval) -> Settled:
        """What became of one that is open no more."""
        done = approval.state is State.DONE
        whom = f" by {approval.decided_by}" if approval.decided_by else ""
        became = "It is being done." if approval.state is State.APPROVED else "Nothing was done."
        return cls(
            name=approval.name, state=State.APPROVED if done else approval.state, whom=whom,
            became=f"It is not done again. What came of it: {approval.outcome}" if done else became,
        )  # fmt: skip


def approval_name(number: int) -> str:
    """The public name of an approval: 12 -> `A-12`."""
    return f"A-{number}"


def parse_approval(text: str) -> int:
    """The number of what a person typed. Raises `BadApprovalId`."""
    found = _ID.fullmatch(text.strip())
    if found is None:
        raise BadApprovalId(given=repr(text[:40]))
    return int(found.group(1))


def decides(command: str) -> bool:
    """Whether a command decides an approval."""
    return command.partition(" ")[0].lower() in DECIDES


def digest_of(kind: str, action: str) -> str:
    """What stands for exactly this action."""
    return hashlib.sha256(f"{kind}\n{action}".encode()).hexdigest()


class Approval(NamedTuple):
    """One question to persons. `action` is for the part that carries it out (`kind`), `words` for people; times in Unix ms.

    `needs` is the role that an approver must still have when they decide: the owner's, a payer's, or any. It is put to persons, who
    may decide from any identity of theirs; `exact`: only from those that were asked, for the place is part of the proof.
    `askers` are all identities that whoever asked had when they did. `outcome` is what came of it, in words; `error` the code of
    what failed, empty where nothing did. `tries`: the number of the try that a yes stands for, from 1.
    """

    id: int
    kind: str
    action: str
    digest: str
    words: str
    asked_by: str
    conversation: str
    approvers: tuple[str, ...]
    needs: Role
    created_at: int
    expires_at: int
    state: State = State.OPEN
    decided_by: str | None = None
    decided_at: int | None = None
    outcome: str = ""
    exact: bool = False
    askers: tuple[str, ...] = ()
    error: str = ""
    tries: int = 1

    @property
    def name(self) -> str:
        """`A-12`."""
        return approval_name(self.id)

    @property
    def intact(self) -> bool:
        """Whether the action is the one that was put to people."""
        return self.digest == digest_of(self.kind, self.action)

    def carried(self, words: str, error: str, *, again: bool, now: int) -> Approval:
        """The approval once it was tried; `again`: nothing was begun, so that it may be approved once more while its time lasts."""
        if again and now < self.expires_at:
            opened = self._replace(state=State.OPEN, decided_by=None, decided_at=None, tries=self.tries + 1)
            return opened._replace(outcome=words, error=error)
        return self._replace(state=State.DONE, outcome=words, error=error)


def decide(
    approval: Approval, actor: str, role: Role, *, yes: bool, now: int, selves: Collection[str] = ()
) -> Approval:
    """The approval once `actor` has decided, one of the `selves` of a person; it is kept which one.

    Another person's approval is never one's own: who asked decides only what was put to that very identity too, and an
    identity that was taken off since is still theirs for it.
    Raises `NotYoursToDecide` and `Settled`; who may not learns nothing of its state.
    """
    enough = role in {Role.OWNER, approval.needs} or (approval.needs is Role.MEMBER and role is not Role.GUEST)
    person = {actor} if approval.exact else {actor, *selves}
    asker = approval.asked_by.partition(" as ")[0]
    askers = {asker} if approval.exact else {asker, *approval.askers}
    asked_others = not person.isdisjoint(askers) and asker not in approval.approvers
    if person.isdisjoint(approval.approvers) or asked_others or not enough:
        raise NotYoursToDecide(name=approval.name, count=len(approval.approvers))
    if approval.state is not State.OPEN:
        raise Settled.of(approval)
    if now >= approval.expires_at:
        raise Settled.of(approval._replace(state=State.EXPIRED))
    state = State.APPROVED if yes else State.DENIED
    return approval._replace(state=state, decided_by=actor, decided_at=now, outcome="", error="")


class ApprovalStore(Protocol):
    """Approvals, inside one unit of work."""

    def add(self, approval: Approval) -> Approval:
        """Keep a new one; returned with its number."""

    def find(self, number: int) -> Approval | None:
        """One by its number."""

    def put(self, approval: Approval) -> None:
        """It stands so now."""

    def pending(self) -> Sequence[Approval]:
        """Those that are open or approved and not carried out, oldest first."""

    def shown(self, number: int, question: int) -> None:
        """The outgoing message with the number `question` puts it to somebody."""

    def questions(self, number: int) -> Sequence[int]:
        """The numbers of the messages that put it to people."""
