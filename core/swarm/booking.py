"""Taking an edge: the task's row, the event and the money, together in the unit of work that decided it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from core.events import Kind
from core.swarm.task import Move, is_person
from core.wallet import held, wallet
from core.wallet.ledger import TREASURY, agent_account, is_held, user_account

if TYPE_CHECKING:
    from core.swarm.ports import SwarmTx
    from core.swarm.task import Step, Task

_FAILURES = frozenset({Kind.ATTEMPT_FAILED, Kind.TASK_REJECTED})


def take(tx: SwarmTx, before: Task, step: Step, actor: str) -> Task:
    """Write a step and return the task as it now is. `actor` is who caused it, for the books; a person is named in the event."""
    after = _move(tx, before, step, actor)
    if after.over:
        after = after.but(ended_at=tx.now)
        if is_held(after.account):
            held.ended(tx, after.id, paid=step.move is Move.PAY)
    _remember(tx, before, after, step)
    tx.tasks.save(after, before)
    event = step.event
    tx.emit(event._replace(data={**event.data, "by": actor}) if is_person(actor) else event)
    return after


def _move(tx: SwarmTx, before: Task, step: Step, actor: str) -> Task:
    task, price = step.task, before.price or 0
    match step.move:
        case Move.NONE:
            return task
        case Move.RELEASE:
            wallet.release(tx, task=task.id, attempt=before.attempt, hold=before.hold or 0)
            return task.but(hold=None)
        case Move.ESCROW:
            spent = wallet.price_of(
                account=task.account, task=task.id, attempt=task.attempt, price=task.price or 0, agent=task.agent or "",
                kind=step.kind, path=task.path,
            )  # fmt: skip
            wallet.to_escrow(
                tx,
                account=task.account,
                hold=before.hold or 0,
                spent=spent,
                task=task.id,
                attempt=task.attempt,
                actor=actor,
            )
            return task.but(hold=None)
        case Move.PAY:
            wallet.pay_worker(
                tx, task=task.id, attempt=task.attempt, target=payee(tx, before.agent or ""), price=price, actor=actor,
                worker=before.agent or "",
            )  # fmt: skip
            return task
        case Move.REFUND | Move.BACK_TO_HOLD:
            wallet.refund(
                tx, account=task.account, task=task.id, attempt=before.attempt, price=price, actor=actor,
                why=task.why or "refunded",
            )  # fmt: skip
            if step.move is Move.REFUND:
                return task
            hold, budget = wallet.hold_again(
                tx,
                account=task.account,
                task=task.id,
                attempt=task.attempt,
                budget=task.budget,
                path=task.path,
            )
            return task.but(hold=hold, budget=budget)
        case _:
            assert_never(step.move)


def payee(tx: SwarmTx, agent: str) -> str:
    """The account that the pay for a task goes to: a person's wallet, a worker's own, the treasury for the hub's own personas."""
    if is_person(agent):
        return user_account(agent)
    return agent_account(agent) if tx.crew.has(agent) else TREASURY


def _remember(tx: SwarmTx, before: Task, after: Task, step: Step) -> None:
    if before.agent is None:
        return
    if step.move is Move.PAY:
        record = tx.tasks.record(before.agent, before.field)
        tx.tasks.put_record(before.agent, before.field, record.paid(tx.now, after.price or 0, before.took))
    elif step.blame and (step.event.kind in _FAILURES or step.event.kind is Kind.TASK_FAILED):
        record = tx.tasks.record(before.agent, before.field)
        tx.tasks.put_record(before.agent, before.field, record.failing(tx.now))
