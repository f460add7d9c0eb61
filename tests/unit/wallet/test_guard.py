"""Who may have sats set aside, as they are in the unit of work that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.money import to_msat
from core.tokens import Identities, NotAsYouWere
from core.wallet.guard import SpendGuard
from tests.fakes import FakeIds
from tests.unit.wallet.payments_bench import ANN, OWNER, bench

if TYPE_CHECKING:
    from pathlib import Path


async def test_whoever_may_not_pay_any_more_pays_nothing(path: Path) -> None:
    async with bench(path) as hub:
        hub.payments._guard = SpendGuard(Identities(hub.store, FakeIds(), owners=(), reserved=lambda name: False))
        bolt11 = hub.twin.outside_asks(to_msat(1))
        with pytest.raises(NotAsYouWere):
            await hub.pay(bolt11, ANN)
        assert (hub.twin.calls["pay"], await hub.has("user:telegram:1")) == (0, (to_msat(300), 0))
        assert (await hub.pay(bolt11, OWNER)).over
        assert len(hub.twin.left) == 1
