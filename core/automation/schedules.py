"""Schedules: made by people, and carried out in their name when they come round.

A time that has come becomes, in one unit of work, a run under the key (schedule, due time) and the message that its person would
have sent; from there it goes the way of every message, which is taken up again after a crash and has its effect once. What
is told of it is a message to send like any other: a delivery that fails runs nothing again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import UTC
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, cast

from core.access import Action, authorize, judge
from core.automation.schedule import DAY_MS, LATE_MS, MINUTE_MS, YEARS, Once, UnknownZone, What, due_after, local, turn
from core.chat import SCHEDULE, Caller, Inbound, Reply, Role
from core.durations import about
from core.errors import HubError, UserError
from core.events import Event, Kind
from core.ids import schedule_name
from core.messages import MessageTx
from core.store import patiently
from core.swarm import stuck
from core.tokens import TokenTx, home_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import tzinfo

    from core.automation.schedule import Calendar, Line, Rule, Turn
    from core.chat import CommandCall, Outgoing
    from core.ports import Clock
    from core.store import Store
    from core.tokens import Identities

    Told = tuple[str, Reply, str | None]

T = TypeVar("T")

log = logging.getLogger(__name__)

MOST = 50
"""Schedules that one person may have."""
LOOK_MS = MINUTE_MS
"""How long the clock is trusted: it may be set, and the machine may sleep."""
STUCK_MS = 2 * MINUTE_MS
"""How long after its time a schedule that nothing became of looks stuck."""
SOME, A_FEW = 100, 10
"""What is looked at in one go, and where each of them takes longer."""
NOT_ALLOWED = "not_allowed"


class NoSuchSchedule(UserError):
    """There is no schedule {given} here that is yours to change and still runs. /schedules lists them."""

    status = 404


class NoneFrom(UserError):
    """There is no schedule from {given} on: the last that you see here is {last}. /schedules shows all of them."""

    status = 404


class TooManySchedules(UserError):
    """You have {count} schedules, which is as many as one person may have. /schedules lists them, /unschedule ends one."""

    status = 429


class NotForYears(UserError):
    """{when} does not come within {years} years, which is as far ahead as a schedule reaches."""


class UnreadRule(UserError):
    """{when} cannot be read as a time any more. End it, and plan it anew."""

    status = 409


class NotPaused(UserError):
    """{given} is not paused. /schedules shows when it comes round."""

    status = 409


class State(StrEnum):
    """What becomes of a schedule."""

    ACTIVE = "active"
    PAUSED = "paused"
    """Its person may not do that any more, or it cannot be read."""
    OVER = "over"
    """It came once, and that is past."""
    ENDED = "ended"
    """Somebody ended it."""


class Outcome(StrEnum):
    """What became of a time that has come."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    MISSED = "missed"
    """The hub was off for so long that it was only told."""
    SKIPPED = "skipped"
    """The run before it was still under way."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What somebody wants done at times. `said` is WHEN in their words; `due` when it comes round next, Unix ms."""

    id: int
    actor: str
    acting_for: str | None
    conversation: str
    private: bool
    called: str
    said: str
    what: What
    words: str
    rule: Rule
    zone: str
    state: State
    why: str
    made_at: int
    due: int | None

    @property
    def name(self) -> str:
        """Its public name."""
        return schedule_name(self.id)

    @property
    def command(self) -> str:
        """What is said for its person when it comes round; empty for a reminder, which is said to them."""
        return "" if self.what is What.REMINDER else self.words if self.what is What.COMMAND else f"/ask {self.words}"

    @property
    def doing(self) -> str:
        """What it does, in words."""
        kinds = {
            What.COMMAND: self.words,
            What.ASK: f"ask the agent: {self.words}",
            What.REMINDER: f"remind: {self.words}",
        }
        return kinds[self.what]

    @property
    def when(self) -> str:
        """When it comes round, in words."""
        return "once" if isinstance(self.rule, Once) else self.said


class Run(NamedTuple):
    """What became of the time `due` of a schedule; `at`: since when, `late` and `earlier` as in `Turn`."""

    schedule: int
    due: int
    outcome: Outcome
    at: int
    late: int = 0
    earlier: bool = False


class Listed(NamedTuple):
    """A schedule, and its last run, if there was one. `mine`: it is the caller's own."""

    schedule: Schedule
    last: Run | None
    mine: bool


class ScheduleStore(Protocol):
    """Schedules and their runs, inside one unit of work."""

    def add(self, one: Schedule) -> Schedule:
        """Keep a new one; returns it with its number."""

    def find(self, number: int) -> Schedule | None:
        """One by its number."""

    def put(self, one: Schedule, ended_at: int | None = None) -> None:
        """Change its state, why, and when it comes round."""

    def live(self, actors: Collection[str] | None = None) -> list[Schedule]:
        """Those that are not over, of these people or of everybody, in the order in which they were made."""

    def due(self, now: int, limit: int) -> list[Schedule]:
        """Active ones whose time has come, the longest due first."""

    def next_due(self) -> int | None:
        """When the next active one comes round."""

    def note(self, run: Run) -> bool:
        """Keep what became of a time; False if that is known already."""

    def run(self, schedule: int, due: int) -> Run | None:
        """What became of a time."""

    def settle(self, run: Run) -> None:
        """What was under way came to this."""

    def unmiss(self, now: int) -> list[int]:
        """Forget that times were missed which are still to come; returns the schedules."""

    def under_way(self, schedule: int) -> Run | None:
        """The run that is under way."""

    def last(self, schedules: Sequence[int]) -> Mapping[int, Run]:
        """The newest run of each."""


class ScheduleTx(TokenTx, MessageTx, Protocol):
    """A unit of work over schedules."""

    @property
    def schedules(self) -> ScheduleStore:
        """Schedules and their runs."""


class _Came(NamedTuple):
    """What came of a time: what is to be told, and what is to be run."""

    told: Sequence[Outgoing] = ()
    run: Inbound | None = None


class Schedules:
    """Keeps them, and carries them out. `calendar` is made when the first one needs it."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        store: Store[ScheduleTx],
        clock: Clock,
        identities: Identities,
        calendar: Callable[[], Calendar],
        *,
        zone: str,
        send: Callable[[Outgoing], None],
        take: Callable[[Inbound], None],
        listed: Callable[[str], bool],
    ) -> None:
        """`zone`: the name of the hub's zone, empty for the machine's own. `listed`: whether the hub works in this group.

        `take` takes the message that a run is, once it is kept.
        """
        self._store = store
        self._clock = clock
        self._identities = identities
        self._calendar = calendar
        self._zone = zone
        self._send = send
        self._listed = listed
        self._wake = asyncio.Event()
        self._kept = True
        self._struck: int | None = None
        self._take = take

    # For people ----------------------------------------------------------------------------------------------------

    @property
    def calendar(self) -> Calendar:
        """What walks the calendar."""
        return self._calendar()

    @property
    def zone(self) -> str:
        """The zone of new schedules."""
        return self._zone or self.calendar.here()

    async def make(self, call: CommandCall, line: Line, rule: Rule) -> Schedule:
        """Keep a schedule of the caller's, for the place where they say it. The same message again makes one.

        Raises `TooManySchedules` and `NotForYears`.
        """
        caller, zone = call.caller, self.zone
        authorize(caller, _planning(private=caller.private))
        due = due_after(rule, self._clock.now(), self.calendar.zone(zone), self.calendar)
        if due is None:
            raise NotForYears(when=line.when, years=YEARS)
        made = Schedule(
            0, caller.actor, caller.acting_for, call.conversation, caller.private, call.called, line.when, line.what,
            line.text, rule, zone, State.ACTIVE, "", self._clock.now(), due,
        )  # fmt: skip

        def work(tx: ScheduleTx) -> Schedule:
            if (done := tx.applied(call.key)) is not None:
                return cast("Schedule", tx.schedules.find(int(done)))
            self._identities.as_now(tx, caller)
            count = len(tx.schedules.live(self._selves(tx, caller)))
            if count >= MOST:
                raise TooManySchedules(count=count)
            kept = tx.schedules.add(made)
            tx.mark(call.key, str(kept.id))
            tx.emit(Event(Kind.SCHEDULE_MADE, data={"schedule": kept.name, "by": caller.recorded}))
            return kept

        kept = await self._store.write(work)
        self._kept = True
        self._wake.set()
        return kept

    async def listed(self, caller: Caller, conversation: str) -> list[Listed]:
        """What the caller may see: their own; those of this place, for an operator; all, for an owner in private."""

        def read(tx: ScheduleTx) -> list[Listed]:
            selves = self._selves(tx, caller)
            alone = caller.private and caller.role is not Role.OWNER
            found = [(one, _mine(caller, selves, one)) for one in tx.schedules.live(selves if alone else None)]
            shown = [(one, mine) for one, mine in found if _shown(caller, conversation, one, mine=mine)]
            last = tx.schedules.last([one.id for one, _ in shown])
            return [Listed(one, last.get(one.id), mine) for one, mine in shown]

        return await self._store.read(read)

    async def end(self, call: CommandCall, number: int) -> Schedule:
        """End a schedule. Raises `NoSuchSchedule`."""
        authorize(call.caller, Action.PLAN)

        def work(tx: ScheduleTx) -> Schedule:
            one = self._found(tx, call, number)
            if tx.applied(call.key) is None:
                if one.state not in {State.ACTIVE, State.PAUSED}:
                    raise NoSuchSchedule(given=schedule_name(number))
                tx.mark(call.key, "")
                tx.schedules.put(replace(one, state=State.ENDED), tx.now)
                tx.emit(Event(Kind.SCHEDULE_ENDED, data={"schedule": one.name, "by": call.caller.recorded}))
            return one

        return await self._store.write(work)

    async def resume(self, call: CommandCall, number: int) -> Schedule:
        """Let a paused one go on, from its next time on. Raises `NotPaused` and `NoSuchSchedule`."""
        authorize(call.caller, Action.PLAN)

        def work(tx: ScheduleTx) -> Schedule:
            one = self._found(tx, call, number)
            if tx.applied(call.key) is not None:
                return one
            if one.state is not State.PAUSED:
                raise NotPaused(given=one.name)
            tx.mark(call.key, "")
            due = self._after(one, tx.now)
            on = replace(one, state=State.ACTIVE if due else State.OVER, why="", due=due)
            tx.schedules.put(on, None if due else tx.now)
            return on

        found = await self._store.write(work)
        self._kept = True
        self._wake.set()
        return found

    def _found(self, tx: ScheduleTx, call: CommandCall, number: int) -> Schedule:
        caller, one = self._identities.as_now(tx, call.caller), tx.schedules.find(number)
        if one is None or not _may(caller, self._selves(tx, caller), call.conversation, one):
            raise NoSuchSchedule(given=schedule_name(number))
        return one

    def _selves(self, tx: ScheduleTx, caller: Caller) -> frozenset[str]:
        """The identities whose schedules are the caller's own: owners share an account, and plan for themselves."""
        return self._identities.person_in(tx, caller.actor) | {caller.actor}

    # The clock -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry out what comes round, for ever. Without a schedule it waits for the first, and does nothing.

        Once there was one it looks at the clock: what was missed by it may be still to come.
        """
        ahead: int | None = None
        seen = False
        while True:
            ahead = await self._straightened(ahead)
            self._wake.clear()
            due = await self._store.read(lambda tx: tx.schedules.next_due())
            self._kept = due is not None
            seen = seen or self._kept
            now = self._clock.now()
            if due is not None and due <= now:
                await self._strike(now)
                continue
            look = now + LOOK_MS
            await self._clock.until(min(due or look, look) if seen else None, self._wake)

    async def _straightened(self, before: int | None) -> int:
        """How far the clock is ahead of time as it passes. Where it was set back it had run ahead; before a start, maybe."""
        ahead = self._clock.now() - self._clock.steady()
        if before is None or ahead < before - MINUTE_MS:
            await self._straighten()
        return ahead

    async def _straighten(self) -> None:
        """What comes round again waits for its first time from now on that it did not have.

        What was missed by a clock that had run ahead is still to come, and was not.
        """

        def unmiss(tx: ScheduleTx) -> None:
            for number in tx.schedules.unmiss(tx.now):
                one = tx.schedules.find(number)
                if one is not None and one.state is State.OVER and isinstance(one.rule, Once):
                    tx.schedules.put(replace(one, state=State.ACTIVE, due=one.rule.at))

        def work(tx: ScheduleTx, some: Sequence[Schedule]) -> None:
            for seen in some:
                one = tx.schedules.find(seen.id)
                if one == seen and one.due is not None and (due := self._next(tx, one, tx.now, one.due)) is not None:
                    tx.schedules.put(replace(one, due=due))

        await patiently(self._store, unmiss, self._clock)
        live = await self._store.read(lambda tx: tx.schedules.live())
        again = [one for one in live if one.state is State.ACTIVE and not isinstance(one.rule, Once)]
        for start in range(0, len(again), A_FEW):  # other writes go between
            await patiently(self._store, partial(work, some=again[start : start + A_FEW]), self._clock)

    def _next(self, tx: ScheduleTx, one: Schedule, after: int, before: int) -> int | None:
        """The first time between two moments that nothing became of yet. Where very much did, all did."""
        try:
            for _ in range(SOME):
                found = self._after(one, after)
                if found is None or found >= before:
                    return None
                if tx.schedules.run(one.id, found) is None:
                    return found
                after = found
        except HubError:
            pass  # it is paused, with the reason, when it comes round
        return None

    def _after(self, one: Schedule, after: int) -> int | None:
        """The first time behind a moment. Raises `UnknownZone` and `UnreadRule`."""
        return self._read(one, lambda zone: due_after(one.rule, after, zone, self.calendar))

    def _read(self, one: Schedule, work: Callable[[tzinfo], T]) -> T:
        """What its rule comes to in its zone. Raises `UnknownZone` and `UnreadRule`."""
        zone = self.calendar.zone(one.zone)
        try:
            return work(zone)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise UnreadRule(when=repr(one.said[:60])) from error

    async def _strike(self, now: int) -> None:
        """Everything that is due, each in a unit of work of its own."""
        for one in await self._store.read(lambda tx: tx.schedules.due(now, SOME)):
            came = await patiently(self._store, self._work(one, now), self._clock)
            self._struck = self._clock.steady()
            for message in came.told:
                self._send(message)
            if came.run is not None:
                self._take(came.run)

    def _work(self, one: Schedule, now: int) -> Callable[[ScheduleTx], _Came]:
        due = one.due or now
        try:
            found = self._read(one, lambda zone: turn(one.rule, due, now, zone, self.calendar))
        except HubError as error:
            why = str(error)
            log.exception("%s is paused", one.name)
            return lambda tx: self._unless_changed(tx, one, lambda _: self._pause(tx, one, why))
        return lambda tx: self._unless_changed(tx, one, lambda now_: self._came(tx, now_, found))

    @staticmethod
    def _unless_changed(tx: ScheduleTx, seen: Schedule, then: Callable[[Schedule], _Came]) -> _Came:
        found = tx.schedules.find(seen.id)
        return then(found) if found is not None and found.state is State.ACTIVE and found.due == seen.due else _Came()

    def _came(self, tx: ScheduleTx, one: Schedule, found: Turn) -> _Came:
        """A time has come: it is run, or told as missed or left out; and when the next one does is written."""
        after = replace(one, due=found.then, state=State.ACTIVE if found.then else State.OVER)
        tx.schedules.put(after, None if found.then else tx.now)
        before = tx.schedules.under_way(one.id)
        run = Run(one.id, found.due, Outcome.RUNNING, tx.now, found.late, found.earlier)
        if tx.schedules.run(one.id, found.due) is not None:
            return _Came()
        if before is not None:
            tx.schedules.note(run._replace(outcome=Outcome.SKIPPED))
            return self._overdue(tx, one, before, found)
        if why := self._barred(tx, one):
            tx.schedules.note(run._replace(outcome=Outcome.REFUSED))
            return self._pause(tx, after, why)
        if not found.runs:
            tx.schedules.note(run._replace(outcome=Outcome.MISSED))
            return self._tell(tx, one, missed(one, found, self.calendar), ok=False)
        if one.what is What.REMINDER:
            tx.schedules.note(run._replace(outcome=Outcome.DONE))
            return self._tell(tx, one, f"Reminder: {one.words}{self.signature(one, run)}")
        tx.schedules.note(run)
        message = Inbound(
            one.conversation.partition(":")[0], f"{SCHEDULE}{one.id}", str(found.due), one.conversation, one.actor, one.command,
            private=one.private, acting_for=one.acting_for, home=home_of(one.actor) or "", name=one.called,
        )  # fmt: skip
        number = tx.messages.receive(message, tx.now)
        return _Came((), message._replace(id=number) if number else None)

    def _barred(self, tx: ScheduleTx, one: Schedule) -> str:
        """Why nothing may be done for its person or in its place any more; empty if it may."""
        role = self._identities.role_in(tx, one.actor)
        if role is Role.GUEST:
            return f"{one.called or one.actor} has no role here any more"
        verdict = judge(Caller(one.actor, role, one.private), _planning(private=one.private))
        if not verdict.allowed:
            return verdict.rule
        listed = one.private or self._listed(tx.messages.former(one.conversation))
        return "" if listed else "its group is not on my list any more"

    def _overdue(self, tx: ScheduleTx, one: Schedule, before: Run, found: Turn) -> _Came:
        """Told once for the run that does not end."""
        key = f"overdue/{one.name}/{before.due}"
        if tx.applied(key) is not None:
            return _Came()
        tx.mark(key, "")
        tx.emit(Event(Kind.SCHEDULE_OVERDUE, data={"schedule": one.name}))
        was, now = (self.shown(one, at) for at in (before.due, found.due))
        return self._tell(
            tx, one,
            f"{one.name} is overdue: its run of {was} is still under way, so the one of {now} is left out, and so is each"
            f" until it ends.\n/stop ends what the agent is doing here; /unschedule {one.name} ends the schedule.",
            ok=False,
        )  # fmt: skip

    def _pause(self, tx: ScheduleTx, one: Schedule, why: str) -> _Came:
        tx.schedules.put(replace(one, state=State.PAUSED, why=why))
        tx.emit(Event(Kind.SCHEDULE_PAUSED, data={"schedule": one.name}))
        return self._tell(tx, one, paused(one, why), ok=False, home=True)

    @staticmethod
    def _tell(tx: ScheduleTx, one: Schedule, text: str, *, ok: bool = True, home: bool = False) -> _Came:
        """Tell it where the schedule is for, or its person alone."""
        reply = Reply(text, {"ok": ok, "schedule": one.name})
        where = (home and home_of(one.actor)) or one.conversation
        return _Came((tx.messages.queue(where.partition(":")[0], where, reply, None, tx.now),))

    # What a run comes to -------------------------------------------------------------------------------------------

    def answered(self, tx: ScheduleTx, message: Inbound, replies: Sequence[Told]) -> Sequence[Told]:
        """A run has its answer, in the unit of work that writes it; what is told of it.

        That is neither an answer without words nor a failure that was told that day.
        A schedule whose person may not do that any more is paused.
        """
        number, due = int(message.schedule.removeprefix(SCHEDULE)), int(message.update)
        one, run = tx.schedules.find(number), tx.schedules.run(number, due)
        if one is None or run is None:
            return replies
        if not replies:
            tx.schedules.settle(run._replace(outcome=Outcome.REFUSED, at=tx.now))
            return ()
        (where, reply, replaced), *others = replies
        refused = reply.data.get("error") == NOT_ALLOWED
        done = Outcome.REFUSED if refused else Outcome.DONE if reply.data.get("ok", True) else Outcome.FAILED
        tx.schedules.settle(run._replace(outcome=done, at=tx.now))
        if not reply.text or (done is Outcome.FAILED and not self._news(tx, run, reply)):
            return ()
        more = self.signature(one, run)
        if refused and one.state is State.ACTIVE:
            tx.schedules.put(replace(one, state=State.PAUSED, why=reply.text))
            tx.emit(Event(Kind.SCHEDULE_PAUSED, data={"schedule": one.name}))
            more = f"\n{paused(one, '')}"
        elif done is Outcome.FAILED and one.due is not None and _day(one.due) == _day(run.due):
            more += ". The same once more today is not told; /schedules shows it"
        return [(where, replace(reply, text=f"{reply.text}{more}"), replaced), *others]

    @staticmethod
    def _news(tx: ScheduleTx, run: Run, reply: Reply) -> bool:
        """Whether a failure was not told today: what fails each minute says so once."""
        key = f"failed/{schedule_name(run.schedule)}/{reply.data.get('error')}/{_day(run.due)}"
        if tx.applied(key) is not None:
            return False
        tx.mark(key, "")
        return True

    def signature(self, one: Schedule, run: Run) -> str:
        """The last line of what a schedule says: which it is, and how late."""
        when = "" if isinstance(one.rule, Once) else f", {one.when}"
        late = f", {about(run.late)} late: it was due {self.shown(one, run.due)}" if run.late > LATE_MS else ""
        return f"\n\n{one.name}{when}{late}{'. What was due before that was left out' if run.earlier else ''}"

    def shown(self, one: Schedule, at: int) -> str:
        """A moment as the clock of a schedule's zone shows it; in UTC where this machine has no such zone any more."""
        try:
            zone = self.calendar.zone(one.zone)
        except UnknownZone:
            zone = UTC
        return f"{local(at, zone):%a %d %b %Y %H:%M}"

    # Watched -------------------------------------------------------------------------------------------------------

    async def look(self) -> list[stuck.Stuck]:
        """Schedules whose time is long past, and nothing became of it: the clock's part hangs."""
        if not self._kept:
            return []
        if self._struck is not None and self._clock.steady() - self._struck < STUCK_MS:
            return []  # it works through very many
        before = self._clock.now() - STUCK_MS
        late = await self._store.read(lambda tx: tx.schedules.due(before, SOME))
        return [
            stuck.Stuck(
                stuck.SCHEDULE, one.name, "its time is over, and it was not run",
                f"look into the log, then start the hub anew; /unschedule {one.name} ends it",
                f"stuck/{one.name}/{one.due}", self._wake.set,
            )
            for one in late
        ]  # fmt: skip


def _planning(*, private: bool) -> Action:
    """What it takes to plan for oneself, or for a place that others read."""
    return Action.PLAN if private else Action.PLAN_HERE


def _mine(caller: Caller, selves: Collection[str], one: Schedule) -> bool:
    return one.acting_for == caller.acting_for and one.actor in selves


def _shown(caller: Caller, conversation: str, one: Schedule, *, mine: bool) -> bool:
    if caller.private:
        return mine or caller.role is Role.OWNER
    return one.conversation == conversation and (mine or judge(caller, Action.PLAN_HERE).allowed)


def _may(caller: Caller, selves: Collection[str], conversation: str, one: Schedule) -> bool:
    of_place = one.conversation == conversation and not one.private and judge(caller, Action.PLAN_HERE).allowed
    return _mine(caller, selves, one) or of_place or caller.role is Role.OWNER


def _day(at: int) -> int:
    return at // DAY_MS


def missed(one: Schedule, found: Turn, calendar: Calendar) -> str:
    """What is told of a time that the hub was off for."""
    zone = calendar.zone(one.zone)
    was = f"{local(found.due, zone):%a %d %b %Y %H:%M}"
    then = f"Next: {local(found.then, zone):%a %d %b %Y %H:%M}." if found.then else "It does not come round again."
    return f"{one.name} was missed: it was due {was}, and the hub was off for more than a day after that.\n{one.doing}\n{then}"


def paused(one: Schedule, why: str) -> str:
    """What is told of one that may not go on."""
    because = f": {why.rstrip('.')}" if why else ""
    return (
        f"{one.name} is paused{because}.\n/schedules resume={one.name} lets it go on, /unschedule {one.name} ends it."
    )
