"""Spark's service: it says what will become of a task in the unit of work that posts it, and learns once it is over.

A forecast is a row, written with its task. What is known of a field is a row too, held in memory; learning is a handler of events
with a cursor of its own, so that each task is learned from once, whatever crashes when.

Not foreseen, and not learned from, are tasks whose winner a person picks or is, as Spark judges no people; and those of strangers,
which are done apart and with less at hand, and which must not teach the hub what somebody paid it to learn. A task that was called
off says nothing. One that ran out of time did not come to a good end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.events import TERMINAL
from core.spark.advice import STALE, advise, at_it
from core.spark.forecast import Forecast, foresee
from core.spark.known import NOTHING
from core.spark.learning import learn
from core.spark.record import score, together
from core.swarm.ports import SwarmTx
from core.swarm.task import Status
from core.wallet.limits import Path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.chat import Outgoing
    from core.events import Event
    from core.spark.advice import Advice, Key
    from core.spark.forecast import Outcome
    from core.spark.known import Known
    from core.spark.record import Record
    from core.store import Store
    from core.swarm.task import Task

REMEMBERED = 256
"""Forecasts that are kept in memory for as long as nothing new is known of their field: most tasks are like the last one."""

AT_ONCE = 5
"""Words of advice that are told at once."""


_UNSAID = None, Forecast({}, 0.0)


class Ended(NamedTuple):
    """A task that is over, with what was said of it."""

    field: str
    said: Forecast
    status: Status
    outcome: Outcome


class Word(NamedTuple):
    """A word of advice as it was said: its number grows with every change; `at`: when, Unix ms."""

    number: int
    advice: Advice
    at: int


class ForecastStore(Protocol):
    """What was said of tasks, inside one unit of work."""

    def add(self, task: int, field: str, said: Forecast) -> None:
        """Say it, with the post of the task."""

    def find(self, task: int) -> Forecast | None:
        """What was said of a task."""

    def ended(self, tasks: Sequence[int]) -> list[Ended]:
        """Of these tasks, which are over, those that were foreseen, in this order."""


class FieldStore(Protocol):
    """What is known of fields, inside one unit of work."""

    def all(self) -> dict[str, Known]:
        """All of it. What cannot be read is left out: that field begins anew."""

    def keep(self, fields: Mapping[str, Known]) -> None:
        """Keep what is known of some."""


class AdviceStore(Protocol):
    """The advice that stands, inside one unit of work."""

    def all(self) -> list[Word]:
        """All of it, the oldest first."""

    def say(self, advice: Advice) -> Word:
        """Give advice, in place of what was said of the same."""

    def unsay(self, key: Key) -> None:
        """It does not stand any more."""

    def told(self, conversation: str) -> tuple[int, frozenset[int]]:
        """Up to which number the words were told in a conversation, and which of those were not."""

    def tell(self, conversation: str, number: int, untold: Sequence[int]) -> None:
        """They were, up to this number, but for these."""


class SparkTx(SwarmTx, Protocol):
    """A unit of work over tasks and what is said of them."""

    @property
    def forecasts(self) -> ForecastStore:
        """What was said."""

    @property
    def fields(self) -> FieldStore:
        """What was learned."""

    @property
    def advice(self) -> AdviceStore:
        """What follows from that."""


class Insight(NamedTuple):
    """What Spark shows: its record, over all fields and of each; the advice that stands, the newest first."""

    record: Record
    fields: Mapping[str, Record]
    words: Sequence[Word]


class Told(NamedTuple):
    """What it shows in a conversation: `new` words, the oldest first; how many `more` new ones there are, and `old` ones."""

    insight: Insight
    new: Sequence[Word]
    more: int
    old: int


class Spark:
    """Foresees, learns, advises. `load` before use. `field_of`: the field of a task by its words."""

    name = "spark"
    kinds = TERMINAL

    def __init__(self, store: Store[SparkTx], field_of: Callable[[str], str]) -> None:
        self._store = store
        self._field_of = field_of
        self._fields: dict[str, Known] = {}
        self._words: dict[Key, Word] = {}
        self._said: dict[tuple[str, int, tuple[str, ...]], tuple[Known, Forecast]] = {}
        self._learned: tuple[dict[str, Known], dict[Key, Word]] | None = None

    async def load(self) -> None:
        """Read what is known."""
        self._fields, words = await self._store.read(lambda tx: (tx.fields.all(), tx.advice.all()))
        self._words = {word.advice.key: word for word in words}
        self._said.clear()

    # Before ----------------------------------------------------------------------------------------------------

    def foresee(self, tx: SparkTx, task: Task, able: Sequence[str]) -> None:
        """Say what will become of a task, in the unit of work that posts it; `able`: who is in the running.

        Nothing of one that asks for a model: how long that takes, and whether it is any good, says nothing of its field.
        """
        if task.waits_for_people or task.path is Path.SOLD or task.model is not None:
            return
        field = self._field_of(task.description)
        known, asked = self._fields.get(field, NOTHING), (field, task.budget, tuple(able))
        of, said = self._said.get(asked, _UNSAID)
        if of is not known:  # on another thread more may have been learned since, or meanwhile
            said = foresee(known, task.budget, asked[2])
            if len(self._said) >= REMEMBERED:
                self._said.clear()
            self._said[asked] = known, said
        tx.forecasts.add(task.id, field, said)

    # After -----------------------------------------------------------------------------------------------------

    def wants(self, event: Event) -> bool:
        """Whether it says that a task is over."""
        return event.kind in TERMINAL

    def __call__(self, tx: SparkTx, events: Sequence[Event]) -> list[Outgoing]:
        """Tasks are over: score what was said of them, and learn. What was learned counts once it is durable (`durable`)."""
        fields: dict[str, Known] = {}
        for one in tx.forecasts.ended([event.task or 0 for event in events]):
            if one.status is not Status.CANCELLED:
                known = fields.get(one.field) or self._fields.get(one.field, NOTHING)
                fields[one.field] = learn(known, one.said, one.outcome, score(one.said, one.outcome))
        self._learned = None
        if fields:
            tx.fields.keep(fields)
            self._learned = fields, self._advised(tx, fields)
        return []

    def durable(self) -> None:
        """What the last call wrote is durable."""
        if self._learned is not None:
            fields, self._words = self._learned
            self._fields.update(fields)
            self._said.clear()
            self._learned = None

    def _advised(self, tx: SparkTx, fields: Mapping[str, Known]) -> dict[Key, Word]:
        """The advice that stands now. Rows are written where it changes."""
        words = dict(self._words)
        for field, known in fields.items():
            standing = {key: word.advice for key, word in words.items() if key[1] == field}
            advice = {one.key: one for one in advise(field, known, standing)}
            for key in standing.keys() - advice.keys():
                tx.advice.unsay(key)
                del words[key]
            for key, one in advice.items():
                if standing.get(key) is not one:
                    words[key] = tx.advice.say(one)
        return words

    # Looking ---------------------------------------------------------------------------------------------------

    async def foreseen(self, task: int) -> Forecast | None:
        """What was said of a task."""
        return await self._store.read(lambda tx: tx.forecasts.find(task))

    def insight(self, now: int, there: Callable[[str], bool]) -> Insight:
        """What it shows at `now`. Advice about agents that are not `there` or do nothing now, or of long ago, is left out."""
        words = [word for word in self._words.values() if self._matters(word.advice, now, there)]
        records = {field: known.record for field, known in self._fields.items()}
        return Insight(together(records.values()), records, sorted(words, key=lambda word: -word.number))

    def _matters(self, advice: Advice, now: int, there: Callable[[str], bool]) -> bool:
        known, agent = self._fields.get(advice.where, NOTHING), advice.agent
        return now - known.at < STALE and (not agent or (there(agent) and at_it(known, agent)))

    async def tell(self, conversation: str, now: int, there: Callable[[str], bool]) -> Told:
        """What it shows at `now` in a conversation, where no word is told twice, and none that is left out now is lost."""
        found, standing = self.insight(now, there), [word.number for word in self._words.values()]

        def work(tx: SparkTx) -> Told:
            before, missed = tx.advice.told(conversation)
            unread = [word for word in reversed(found.words) if word.number > before or word.number in missed]
            new = unread[:AT_ONCE]
            if new:
                upto, told = max(before, new[-1].number), {word.number for word in new}
                left = {number for number in standing if before < number <= upto or number in missed} - told
                tx.advice.tell(conversation, upto, sorted(left))
            return Told(found, new, len(unread) - len(new), len(found.words) - len(unread))

        return await self._store.write(work)
