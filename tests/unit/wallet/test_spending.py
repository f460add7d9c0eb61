"""Who sets limits and stops spending; the same command again changes nothing, whatever happened since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access import NotAllowed
from core.chat import Caller, Role
from core.tokens import Identities
from core.wallet.limits import Freeze
from core.wallet.spending import Spending
from tests.fakes import EPOCH, FakeIds

if TYPE_CHECKING:
    from adapters.sqlite.writer import Database

OWNER = "console:owner"
ME = Caller(OWNER, Role.OWNER)
ANN = "telegram:1"


@pytest.fixture
async def spending(store: Database) -> Spending:
    await store.write(lambda tx: tx.tokens.give(ANN, Role.MEMBER, "", tx.now))
    await store.write(lambda tx: tx.links.link("telegram:2", ANN, "", tx.now))
    return Spending(store, Identities(store, FakeIds(), owners=(), reserved=bool))


async def test_a_command_that_comes_again_changes_nothing(spending: Spending) -> None:
    since = Freeze(EPOCH, OWNER)
    assert await spending.freeze(ME, key="stop") == (since, True)
    assert await spending.freeze(ME, key="stop") == (since, False)
    assert await spending.unfreeze(ME, key="go")
    assert await spending.freeze(ME, key="stop") == (since, False), "it is told as it was, and stops nothing"
    assert (await spending.outlook(ME)).freeze is None
    await spending.freeze(ME, key="stop again")
    assert await spending.unfreeze(ME, key="go")
    assert (await spending.outlook(ME)).freeze == since
    await spending.limit(ME, "day", 5000, key="day")
    await spending.limit(ME, "day", None, key="off")
    assert await spending.limit(ME, "day", 5000, key="day") == ("day", None)


async def test_the_settings_hold_where_no_owner_says_otherwise(spending: Spending) -> None:
    await spending.preset({"day": 7000, "approve": 1000})
    assert await spending.limit(ME, "day", 5000, key="1") == ("day", 5000)
    await spending.preset({"day": 9000, "approve": 1000})
    assert await spending.limit(ME, "hour", 2000, key="2") == ("hour", 2000)
    assert await spending.limit(ME, "day", None, key="3") == ("day", 9000)
    await spending.preset({"day": None, "approve": 1000})
    assert (await spending.limit(ME, "day", None, key="4"))[1] is None


async def test_a_persons_limit_holds_for_all_their_identities(spending: Spending) -> None:
    assert await spending.limit(ME, "telegram:2", 5000, key="1") == (ANN, 5000)


@pytest.mark.parametrize("role", [Role.GUEST, Role.MEMBER, Role.OPERATOR, Role.PAYER])
async def test_nobody_but_an_owner_changes_any_of_it(spending: Spending, role: Role) -> None:
    caller = Caller(ANN, role)
    for attempt in (
        spending.freeze(caller, key="k"), spending.unfreeze(caller, key="k"), spending.limit(caller, "day", 1, key="k"),
    ):  # fmt: skip
        with pytest.raises(NotAllowed):
            await attempt
    assert (await spending.outlook(ME)).own[2].limit is None


async def test_a_member_sees_their_own_wallet_alone(spending: Spending) -> None:
    found = await spending.outlook(Caller(ANN, Role.MEMBER))
    assert ([one.scope for one in found.own], found.treasury, found.people) == (["payment", "hour", "day"], [], [])
