"""The briefing: what became of somebody's tasks and sats since they were briefed last, what is under way, and what waits for them.

In a group it tells of the tasks that were posted there, and of nothing that is a person's alone. It is read apart from the
writer, as what came since may be much; up to where it reaches is written with its answer. The same command again, after a crash,
tells the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.access import Action, authorize, judge
from core.approval import State
from core.automation.schedules import Outcome, ScheduleTx
from core.automation.topics import within
from core.chat import Role
from core.spark.spark import SparkTx
from core.swarm.bidding import collects
from core.swarm.task import AT_WORK, Status
from core.treasury.policy import turnover
from core.treasury.report import FOUNDING
from core.wallet.ledger import user_account

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from core.approval import Approval, ApprovalStore
    from core.automation.schedules import Run, Schedule
    from core.chat import Caller, CommandCall, Reply
    from core.spark.forecast import Forecast
    from core.store import Store
    from core.swarm.task import Task
    from core.tokens import Identities
    from core.treasury.policy import Flow

MOST = 10
"""Rows of each part."""

DAY = 86_400_000
"""Ms. What the first briefing looks back."""

_NOBODY = ""
_WRONG = frozenset({Outcome.FAILED, Outcome.REFUSED, Outcome.MISSED, Outcome.SKIPPED})


class Point(NamedTuple):
    """Up to where a briefing reaches: Unix ms, and the last event and entry of the books by then."""

    at: int
    event: int
    entry: int


class BriefingStore(Protocol):
    """Up to when who was briefed, and what came since, inside one unit of work."""

    def last(self, reader: str) -> Point | None:
        """Up to where somebody's last briefing reached."""

    def keep(self, reader: str, point: Point) -> None:
        """It reached up to here."""

    def here(self, now: int) -> Point:
        """Where things stand."""

    def before(self, at: int) -> Point:
        """Where they stood at a time."""

    def ended(
        self, since: Point, upto: Point, requesters: Collection[str], place: str, limit: int
    ) -> tuple[list[int], int]:
        """Of the tasks of these people, or posted in a place, those that ended: the newest, and how many."""

    def flows(self, account: str, since: Point, upto: Point) -> Mapping[str, Flow]:
        """What moved in and out of an account, by kind of entry."""

    def given_up(self, since: Point) -> int:
        """How many messages and events were given up."""


class BriefingTx(SparkTx, ScheduleTx, Protocol):
    """A unit of work over all that a briefing tells of."""

    @property
    def briefings(self) -> BriefingStore:
        """Briefings."""

    @property
    def approvals(self) -> ApprovalStore:
        """Approvals."""


class Money(NamedTuple):
    """Somebody's wallet, msat: what is free, and what came and went since."""

    free: int
    earned: int
    spent: int


class Ours(NamedTuple):
    """What owners are told of the hub: messages and events given up since; what is down or stuck; workers that are away."""

    given_up: int
    troubles: Sequence[str]
    away: Sequence[str]


class Briefing(NamedTuple):
    """A briefing. Each part of tasks has its first rows; `ended_in_all` and the like say how many there are.

    `under_way`: with what Spark foresaw. `yours`: tasks that wait for the reader, with what they can do. `schedules`: those whose
    last run did not go well, and was since. `money` and `ours`: None where they are not for the reader.
    """

    since: Point
    upto: Point
    ended: Sequence[Task]
    ended_in_all: int
    under_way: Sequence[tuple[Task, Forecast | None]]
    under_way_in_all: int
    yours: Sequence[tuple[Task, str]]
    yours_in_all: int
    approvals: Sequence[Approval]
    schedules: Sequence[tuple[Schedule, Run]]
    money: Money | None = None
    ours: Ours | None = None

    @property
    def worth_telling(self) -> bool:
        """Whether anything happened, is under way, or waits."""
        moved = self.money is not None and bool(self.money.earned or self.money.spent)
        ours = self.ours is not None and bool(self.ours.given_up or self.ours.troubles)
        tasks = self.ended_in_all or self.under_way_in_all or self.yours_in_all
        return bool(tasks or self.approvals or self.schedules or moved or ours)


class Briefings:
    """Briefs people. `person`: the identity that another is linked to; `troubles` and `away` say how the hub is now."""

    def __init__(
        self,
        store: Store[BriefingTx],
        identities: Identities,
        person: Callable[[Caller], str],
        troubles: Callable[[], Sequence[str]],
        away: Callable[[], Sequence[str]],
    ) -> None:
        self._store = store
        self._identities = identities
        self._person = person
        self._troubles = troubles
        self._away = away

    async def brief(self, call: CommandCall, words: Callable[[Briefing], Reply]) -> Reply:
        """Tell what is new, in `words`. What is tried out under `--as` is told again to whom it is for."""
        authorize(call.caller, Action.LOOK)
        reader = self._person(call.caller) if call.caller.private else call.conversation
        key = f"briefing/{call.key}"
        found = await self._store.read_apart(lambda tx: self._gathered(tx, call, reader, key))
        reply = words(found)

        def work(tx: BriefingTx) -> None:
            if call.caller.acting_for is None and tx.applied(key) is None:
                tx.mark(key, json.dumps(found.since))
                tx.briefings.keep(reader, found.upto)
            call.tell(tx, reply)

        await self._store.write(work)
        return reply

    def _gathered(self, tx: BriefingTx, call: CommandCall, reader: str, key: str) -> Briefing:
        caller, now = call.caller, tx.briefings.here(tx.now)
        told = tx.applied(key)
        since = Point(*json.loads(told)) if told else tx.briefings.last(reader) or tx.briefings.before(tx.now - DAY)
        selves = caller.linked | {caller.name} if caller.private else frozenset[str]()
        place = _NOBODY if caller.private else call.conversation
        numbers, count = tx.briefings.ended(since, now, selves, place, MOST)
        live = [one for one in tx.tasks.live() if _concerns(one, selves, place)]
        waits = [(one, what) for one in live if (what := _waits(tx, one, selves))]
        waiting = {one.id for one, _ in waits}
        going = [one for one in live if one.id not in waiting]
        private = caller.private
        return Briefing(
            since, now,
            [one for number in numbers if (one := tx.tasks.find(number)) is not None], count,
            [(one, tx.forecasts.find(one.id)) for one in going[:MOST]], len(going),
            waits[:MOST], len(waits),
            _asked(tx, caller) if private else (),
            _failed(tx, caller, self._identities.person_in(tx, caller.actor), since) if private else (),
            _money(tx, caller, since, now) if judge(caller, Action.SEE_MONEY).allowed else None,
            self._of_hub(tx, since) if private and caller.role is Role.OWNER else None,
        )  # fmt: skip

    def _of_hub(self, tx: BriefingTx, since: Point) -> Ours:
        return Ours(tx.briefings.given_up(since), self._troubles(), self._away())


def _concerns(task: Task, selves: Collection[str], place: str) -> bool:
    """Whether a task is somebody's, as who posted it or does it, or was posted in a place."""
    theirs = task.requester in selves or task.agent in selves or task.only in selves
    return within(task.conversation, place) if place else theirs


def _waits(tx: BriefingTx, task: Task, selves: Collection[str]) -> str:
    """What somebody can do to have a task go on; empty where it goes on by itself."""
    if task.requester in selves and task.status is Status.DELIVERED:
        return f"/accept {task.name}"
    if task.requester in selves and collects(task):
        bids = any(not one.refused for one in tx.tasks.answers(task.id, task.attempt))
        return f"/award {task.name} AGENT" if bids else ""
    if task.agent in selves and task.status in AT_WORK:
        return f"/deliver {task.name} RESULT"
    if task.only in selves and task.status is Status.BIDDING:
        return f"/bid {task.name} SATS"
    return ""


def _asked(tx: BriefingTx, caller: Caller) -> list[Approval]:
    """What was put to somebody and is open."""
    return [
        one
        for one in tx.approvals.pending()
        if one.state is State.OPEN and tx.now < one.expires_at and not caller.selves.isdisjoint(one.approvers)
    ]


def _failed(tx: BriefingTx, caller: Caller, selves: Collection[str], since: Point) -> list[tuple[Schedule, Run]]:
    """Somebody's schedules that did not come to what they are for, the last time: those of owners who share an account are not."""
    theirs = {one.id: one for one in tx.schedules.live(selves) if one.acting_for == caller.acting_for}
    runs = tx.schedules.last([*theirs]) if theirs else {}
    return [(theirs[number], run) for number, run in runs.items() if run.outcome in _WRONG and run.at > since.at]


def _money(tx: BriefingTx, caller: Caller, since: Point, upto: Point) -> Money:
    account = user_account(caller.name)
    flows = tx.briefings.flows(account, since, upto)
    moved = turnover({kind: flow for kind, flow in flows.items() if kind not in FOUNDING})
    # What an owner moves into the treasury leaves their wallet, and the other way round.
    earned, spent = moved.earnings + moved.moved_in, moved.spendings + moved.moved_out
    return Money(tx.ledger.account(account).available, earned, spent)
