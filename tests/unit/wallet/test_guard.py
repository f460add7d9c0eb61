"""Who may have sats set aside, as they are in the unit of work that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.chat import Role
from core.money import to_msat
from core.tokens import Identities, NotAsYouWere
from core.wallet.guard import AgreedNoMore, SpendGuard
from core.wallet.limits import OverLimit, Path
from tests.fakes import FakeIds
from tests.unit.wallet.payments_bench import ANN, OWNER, bench

if TYPE_CHECKING:
    import pathlib

    from tests.unit.wallet.payments_bench import Bench


def guarded(hub: Bench) -> None:
    """The real guard, of a hub that knows whoever was let in."""
    people = Identities(hub.store, FakeIds(), owners=(), reserved=lambda name: False)
    hub.payments.outgoing._guard = SpendGuard(people)


async def test_whoever_may_not_pay_any_more_pays_nothing(path: pathlib.Path) -> None:
    async with bench(path) as hub:
        guarded(hub)
        bolt11 = hub.twin.outside_asks(to_msat(1))
        with pytest.raises(NotAsYouWere):
            await hub.pay(bolt11, ANN)
        assert (hub.twin.calls["pay"], await hub.has("user:telegram:1")) == (0, (to_msat(300), 0))
        assert (await hub.pay(bolt11, OWNER)).over
        assert len(hub.twin.left) == 1


async def test_whoever_agreed_and_was_let_out_before_it_was_paid_has_agreed_to_nothing(path: pathlib.Path) -> None:
    async with bench(path) as hub:
        guarded(hub)
        await hub.store.write(lambda tx: tx.limits.put_rule("telegram:2", to_msat(50)))
        order = hub.order(hub.twin.outside_asks(to_msat(9)))._replace(by="telegram:2")
        with pytest.raises(AgreedNoMore):
            await hub.payments.pay(order)
        await hub.store.write(lambda tx: tx.tokens.give("telegram:2", Role.PAYER, "", tx.now))
        assert (await hub.payments.pay(order)).over


async def test_a_payer_agrees_to_all_of_their_limit_and_to_no_more(path: pathlib.Path) -> None:
    async with bench(path) as hub:
        guarded(hub)
        await hub.store.write(lambda tx: tx.tokens.give("telegram:2", Role.PAYER, "", tx.now))
        order = hub.order(hub.twin.outside_asks(to_msat(9)))._replace(by="telegram:2")
        most = (await hub.payments.quote(order)).most
        await hub.store.write(lambda tx: tx.limits.put_rule("telegram:2", most - 1))
        with pytest.raises(AgreedNoMore):
            await hub.payments.pay(order)
        await hub.store.write(lambda tx: tx.limits.put_rule("telegram:2", most))
        assert (await hub.payments.pay(order)).over


async def test_what_an_agent_is_paid_out_counts_towards_that_agents_limit(path: pathlib.Path) -> None:
    async with bench(path) as hub:
        guarded(hub)
        await hub.store.write(lambda tx: tx.limits.put_rule("agent:quill", to_msat(10)))
        order = hub.order(hub.twin.outside_asks(to_msat(9)))._replace(account="agent:quill", path=Path.PAYOUT)
        with pytest.raises(OverLimit, match="limit agent:quill of 10 sats"):
            await hub.payments.pay(order)
        assert (await hub.pay(hub.twin.outside_asks(to_msat(9)), OWNER)).over
