"""What is held for tasks in the books, from its arrival to each of its ends, also those that nobody expects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.chat import Role
from core.wallet import held
from core.wallet.hold import HoldInvoice, State
from core.wallet.ledger import held_account, is_held, transfer, wallet_of
from core.wallet.lightning import InvoiceState, NodeInvoice
from core.wallet.reconcile import Comparison

if TYPE_CHECKING:
    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database
    from core.chat import Caller
    from core.tokens import TokenTx

PAYER = "telegram:5"
HASH = b"h" * 32


class People:
    """Ann has two identities: the first is linked to the second."""

    def as_now(self, tx: TokenTx, caller: Caller) -> Caller:
        return caller

    def standing_in(self, tx: TokenTx, actor: str) -> tuple[str, Role]:
        return ("telegram:6" if actor == PAYER else actor), Role.MEMBER


@pytest.mark.parametrize(("node", "difference"), [(61, -9), (70, 0), (100, 0), (105, 0), (106, 1)])
def test_what_is_being_taken_and_what_is_on_its_way_out_explain_a_difference(node: int, difference: int) -> None:
    assert Comparison(1, node, in_flight=30, books=100, coming=5).difference == difference


def order(tx: UnitOfWork) -> HoldInvoice:
    one = HoldInvoice(0, HASH, b"p" * 32, "lnd", PAYER, PAYER, "c", "{}", 200_000, 9_000, tx.now)
    return tx.holds.add(replace(one, state=State.OPEN))


def arrive(tx: UnitOfWork) -> HoldInvoice:
    return held.arrived(tx, order(tx), 1, 200_000, 1_000)


def pay(tx: UnitOfWork, price: int = 40_000) -> HoldInvoice:
    """The worker of the task was paid."""
    arrive(tx)
    tx.ledger.append(
        transfer("pay", "settle", held_account(PAYER, 1), "treasury", price, task=1, actor="hub", reason="done")
    )
    held.ended(tx, 1, paid=True)
    return found(tx)


def found(tx: UnitOfWork) -> HoldInvoice:
    one = tx.holds.find(HASH)
    assert one is not None
    assert one == tx.holds.numbered(one.id)
    return one


def say(received: int) -> NodeInvoice:
    return NodeInvoice(HASH, "ln", 200_000, 9_000, InvoiceState.SETTLED, received)


def balances(tx: UnitOfWork) -> dict[str, int]:
    return {row.name: row.posted // 1000 for row in tx.books.accounts() if row.posted}


def test_what_is_held_is_nobodys_and_counts_for_its_persons_limits() -> None:
    account = held_account("matrix:@ann:example.org", 12)
    assert is_held(account)
    assert wallet_of(account) == "user:matrix:@ann:example.org"
    assert not is_held("user:held:5")
    assert wallet_of("user:telegram:5") == "user:telegram:5"


async def test_what_is_taken_pays_the_worker_and_the_rest_is_the_payers(store: Database) -> None:
    def work(tx: UnitOfWork) -> None:
        one = pay(tx)
        assert (one.state, tx.holds.taking()) == (State.TAKING, 200_000)
        assert balances(tx) == {"node:held:lnd": -200, "held:1:telegram:5": 160, "treasury": 40}
        assert held.settled(tx, say(200_000), People())
        assert held.settled(tx, say(200_000), People()), "twice is once"
        assert balances(tx) == {"node:lnd": -200, "treasury": 40, "user:telegram:6": 160}, "linked since"
        assert (found(tx).state, tx.holds.taking(), list(tx.holds.unfinished())) == (State.TAKEN, 0, [])

    await store.write(work)


async def test_what_the_task_cost_wholly_leaves_nothing(store: Database) -> None:
    def work(tx: UnitOfWork) -> None:
        held.taken(tx, pay(tx, 200_000), 200_000, People())
        assert balances(tx) == {"node:lnd": -200, "treasury": 200}

    await store.write(work)


async def test_what_is_given_back_is_gone_in_the_same_commit(store: Database) -> None:
    def work(tx: UnitOfWork) -> None:
        arrive(tx)
        held.ended(tx, 1, paid=False)
        assert balances(tx) == {}
        held.given(tx, found(tx), "")
        assert (found(tx).state, found(tx).why) == (State.GIVEN, "its task was not paid for")
        assert not held.settled(tx, say(200_000), People()), (
            "a node that contradicts itself: the rest of the hub books it"
        )

    await store.write(work)


async def test_a_node_that_took_another_sum_is_in_suspense(store: Database) -> None:
    def work(tx: UnitOfWork) -> None:
        held.taken(tx, pay(tx), 199_000, People())
        assert balances(tx) == {"node:lnd": -199, "suspense": -1, "treasury": 40, "user:telegram:6": 160}

    await store.write(work)


async def test_what_was_settled_though_it_was_to_go_back_is_the_payers(store: Database) -> None:
    def work(tx: UnitOfWork) -> None:
        arrive(tx)
        held.ended(tx, 1, paid=False)
        assert held.settled(tx, say(200_000), People())
        assert balances(tx) == {"node:lnd": -200, "user:telegram:6": 200}

    await store.write(work)


async def test_what_is_settled_while_its_task_goes_on_is_booked_when_that_ends(store: Database) -> None:
    def work(tx: UnitOfWork) -> None:
        arrive(tx)
        assert held.settled(tx, say(200_000), People())
        assert found(tx).state is State.HELD
        assert not held.settled(tx, replace(say(1), payment_hash=bytes(32)), People()), "none of ours"

    await store.write(work)


@pytest.mark.parametrize("price", [40_000, 200_000])
async def test_what_the_node_let_go_of_the_hub_has_lost_and_no_worker(store: Database, price: int) -> None:
    def work(tx: UnitOfWork) -> None:
        held.lost(tx, pay(tx, price))
        assert balances(tx) == {"suspense": -price // 1000, "treasury": price // 1000}
        assert not held.settled(tx, say(200_000), People())

    await store.write(work)
