"""Orders: what a task may ask for, the house rules that fill in the rest, and the posting of what is in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core.durations import SECOND, exactly
from core.errors import UserError
from core.events import Event, Kind
from core.money import to_msat, to_sats
from core.swarm.docket import find
from core.swarm.task import Status, Task, is_person, path_of
from core.tokens import check_actor
from core.wallet import wallet
from core.wallet.ledger import user_account

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.chat import Caller
    from core.swarm.ports import SwarmTx

MAX_DESCRIPTION = 8000
MAX_DEADLINE = 30 * 24 * 3600 * SECOND


class NoWork(UserError):
    """A task needs words: what is to be done? For example: /task summarise welcome.md"""


class TooManyWords(UserError):
    """A task is described in at most {limit} characters; this has {given}. {instead}."""


class NoModelOfTheirs(UserError):
    """{person} is a person, and works without a model. Leave out model={model}, or to={person}."""


class BadDeadline(UserError):
    """{what} is from 1s to 30d; you wrote {given}."""


class Rules(NamedTuple):
    """The house rules of auctions: times in ms, amounts in msat (CONTRACT, settings "auction")."""

    window: int = 5 * SECOND
    budget: int = to_msat(200)
    deadline: int = 24 * 3600 * SECOND
    review: int = 24 * 3600 * SECOND
    attempts: int = 3
    lease: int = 60 * SECOND


class Order(NamedTuple):
    """A task as somebody asks for it. `budget` in msat and `time` in ms, None for the house rule; `key` makes it once.

    `model`: what it is to be done with, None for whatever whoever does it works with.
    `account` is the account that pays, where that is not the caller's own: what strangers bought, the treasury pays.
    """

    caller: Caller
    conversation: str
    description: str
    key: str
    budget: int | None = None
    time: int | None = None
    only: str | None = None
    pick: str = "auto"
    retry_of: int | None = None
    account: str | None = None
    model: str | None = None


def words_of(description: str, instead: str = "Put the rest into a file of the workspace") -> str:
    """The words of a task, trimmed. Raises `NoWork`, and `TooManyWords`, which says what to do `instead`."""
    words = description.strip()
    if not any(map(str.isalnum, words)):
        raise NoWork
    if len(words) > MAX_DESCRIPTION:
        raise TooManyWords(limit=MAX_DESCRIPTION, given=len(words), instead=instead)
    return words


def checked(order: Order, known: Callable[[str], str]) -> Order:
    """The order with its words trimmed and its one agent by its full name (`known`). Raises where it asks for what cannot be."""
    words = words_of(order.description)
    if order.time is not None and not SECOND <= order.time <= MAX_DEADLINE:
        raise BadDeadline(what="A task's time", given=exactly(order.time))
    only = order.only
    if only is not None:
        only = check_actor(only) if is_person(only) else known(only)
        if order.model is not None and is_person(only):
            raise NoModelOfTheirs(person=only, model=order.model)
    return order._replace(description=words, only=only)


def check_eta(eta: int | None) -> None:
    """Refuse a bid that promises a time (ms) longer than any task has, or none."""
    if eta is not None and not 0 <= eta <= MAX_DEADLINE:
        raise BadDeadline(what="The time that a bid promises", given=exactly(eta))


def budget_of(order: Order, rules: Rules) -> int:
    """What a task may cost, msat: as ordered, else by the house rule, which stays within what a device may spend."""
    if order.budget is not None:
        return order.budget
    proxy = order.caller.proxy
    return min(rules.budget, to_msat(proxy.limit)) if proxy else rules.budget


def post(tx: SwarmTx, order: Order, rules: Rules) -> tuple[Task, bool]:
    """Hold the budget and write the task; an order that was posted before does nothing. Returns the task, and whether it is new."""
    if (done := tx.applied(order.key)) is not None:
        return find(tx, int(done)), False
    number = tx.tasks.next_id()
    budget = budget_of(order, rules)
    # Under `--as` too it is the caller's: trying things out spends nobody else's sats.
    account = order.account or user_account(order.caller.payer)
    hold = wallet.hold_budget(
        tx, account=account, task=number, amount=budget, agent=order.only, path=path_of(order.caller.name)
    )
    task = Task(
        id=number, requester=order.caller.name, account=account, conversation=order.conversation,
        description=order.description, status=Status.OPEN, budget=budget, hold=hold, pick=order.pick, only=order.only,
        attempt=1, attempts=rules.attempts, posted_at=tx.now, deadline=tx.now + (order.time or rules.deadline),
        retry_of=order.retry_of, model=order.model,
    )  # fmt: skip
    tx.tasks.add(task)
    tx.emit(Event(Kind.TASK_POSTED, number, data={"budget_sats": to_sats(budget), "by": order.caller.recorded}))
    tx.mark(order.key, str(number))
    return task, True
