"""Who sets limits and stops spending; the same command again changes nothing, whatever happened since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access import NotAllowed
from core.chat import Caller, Role
from core.swarm.persona import Persona
from core.swarm.roster import Roster
from core.tokens import Identities, TokenKind, TokenRow
from core.wallet.limits import Freeze
from core.wallet.spending import NobodyToLimit, Spending
from tests.fakes import EPOCH, FakeIds

if TYPE_CHECKING:
    from adapters.sqlite.writer import Database

OWNER = "console:owner"
ME = Caller(OWNER, Role.OWNER)
ANN = "telegram:1"
QUILL = Persona("quill", "writing", ("writing", "texts"), 40, ())
WORKER = TokenRow("0" * 64, TokenKind.WORKER, "Box", None, None, EPOCH)


@pytest.fixture
async def spending(store: Database) -> Spending:
    await store.write(lambda tx: tx.tokens.give(ANN, Role.MEMBER, "", tx.now))
    await store.write(lambda tx: tx.links.link("telegram:2", ANN, "", tx.now))
    await store.write(lambda tx: tx.tokens.add(WORKER))
    roster = Roster(store, [QUILL])
    return Spending(store, Identities(store, FakeIds(), owners=(), reserved=bool), roster)


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


@pytest.mark.parametrize(
    "scope",
    ["agent:quill", "agent:Quill-2", "agent:box", "agent:telegram:1", "treasury.agent:quill", "class:writing", "class:workers",
     "treasury.class:writing", "telegram:1", OWNER, "peer:hub.example.org"],
)  # fmt: skip
async def test_who_is_here_can_be_limited(spending: Spending, scope: str) -> None:
    assert (await spending.limit(ME, scope, 5000, key="1"))[1] == 5000


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        ("agent:ghost", f"no agent ghost here.*Known: box, {OWNER}, quill, {ANN}"),
        ("treasury.agent:telegram:9", f"no agent telegram:9 here.*Known: box, {OWNER}, quill, {ANN}"),
        ("class:texts", "no kind of work texts here.*Known: workers, writing"),
        ("treasury.class:cooking", "no kind of work cooking here.*Known: workers, writing"),
        ("telegram:9", f"no person telegram:9 here.*Known: {OWNER}, {ANN}"),
    ],
)
async def test_a_limit_that_would_hold_nobody_back_names_whom_it_could(
    spending: Spending, scope: str, says: str
) -> None:
    with pytest.raises(NobodyToLimit, match=says):
        await spending.limit(ME, scope, 5000, key="1")
    with pytest.raises(NobodyToLimit, match=says):
        await spending.limit(ME, scope, None, key="2")


async def test_what_holds_is_changed_and_taken_off_though_nobody_is_there_any_more(
    spending: Spending, store: Database
) -> None:
    await spending.limit(ME, ANN, 5000, key="1")
    await store.write(lambda tx: tx.tokens.take_away(ANN, tx.now))
    assert await spending.limit(ME, ANN, 4000, key="2") == (ANN, 4000)
    assert await spending.limit(ME, ANN, None, key="3") == (ANN, None)
    with pytest.raises(NobodyToLimit):
        await spending.limit(ME, ANN, 4000, key="4")


async def test_of_many_names_a_few_are_named(store: Database) -> None:
    none = Spending(store, Identities(store, FakeIds(), owners=(), reserved=bool), Roster(store, ()))
    with pytest.raises(NobodyToLimit, match="Known: workers"):
        await none.limit(ME, "class:writing", 5000, key="1")
    for number in range(10, 24):
        await store.write(lambda tx, n=number: tx.tokens.give(f"telegram:{n}", Role.MEMBER, "", tx.now))  # type: ignore[misc]
    with pytest.raises(NobodyToLimit, match=r"telegram:20 and 3 more"):
        await none.limit(ME, "telegram:9", 5000, key="1")


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
