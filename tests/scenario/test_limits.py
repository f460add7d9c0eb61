"""Every path by which sats are spent, under every attack; and the freeze over a whole hub.

A path that comes later is one more entry of `PATHS`; an attack is one more of `ATTACKS`. Each pair has a hub's own book.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from core.chat import Role
from core.errors import HubError
from core.money import MAX_SATS, to_msat
from core.swarm.orders import Order
from core.wallet import limits
from core.wallet.ledger import TREASURY, user_account
from core.wallet.limits import DAY, HOUR, Frozen, OverLimit
from tests.scenario.bot import OWNER, Hands, balances, hub, prove, settings
from tests.scenario.shortcuts import phone_and_hub

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.scenario.bot import Bot

ANN = "telegram:7"
MONTH = 30 * DAY


@dataclass
class Way:
    """A path, before one hub: `spend` takes whole sats (or msat that no amount has) and a key, and raises what it is refused with.

    `ready` does what must be there before the limits are set, for a spend of so many sats under that key.
    """

    bot: Bot
    made: dict[str, int] = field(default_factory=dict)

    async def ready(self, sats: int, key: str) -> None:
        """Nothing."""

    async def spend(self, msat: int, key: str) -> object:
        raise NotImplementedError

    async def owner(self) -> Any:
        return await self.bot.app.hub.identities.caller(OWNER, private=True)


class Task(Way):
    """A task is posted; nobody is asked to do it before its requester picks."""

    async def spend(self, msat: int, key: str) -> object:
        order = Order(await self.owner(), OWNER, "dig", key, budget=msat, time=MONTH, pick="ask")
        return await self.bot.app.hub.coordinator.post(order)


class Retry(Way):
    """A task that was called off is posted once more."""

    async def ready(self, sats: int, key: str) -> None:
        posted = await Task(self.bot).spend(to_msat(sats), f"{key}/first")
        self.made[key] = posted.id  # type: ignore[attr-defined]
        await self.bot.app.hub.coordinator.cancel(await self.owner(), self.made[key], key=f"{key}/cancel")

    async def spend(self, msat: int, key: str) -> object:
        return await self.bot.app.hub.coordinator.retry(await self.owner(), self.made[key], conversation=OWNER, key=key)


class Transfer(Way):
    """A person is paid."""

    async def spend(self, msat: int, key: str) -> object:
        return await self.bot.app.hub.wallet.transfer(await self.owner(), ANN, msat, key)


PATHS: list[type[Way]] = [Task, Retry, Transfer]


async def limit(way: Way, scope: str, sats: int | None) -> None:
    line = f"/limits {scope} {'off' if sats is None else sats}"
    assert (await way.bot.data(line))["limit_sats"] == sats


async def over_single(way: Way) -> None:
    await way.ready(101, "a")
    await way.ready(100, "b")
    await limit(way, "payment", 100)
    with pytest.raises(OverLimit, match="limit payment of 100 sats for one spend"):
        await way.spend(101_000, "a")
    await way.spend(100_000, "b")


async def _over_window(way: Way, scope: str, window: int) -> None:
    for key, sats in (("a", 60), ("b", 41), ("c", 40)):
        await way.ready(sats, key)
    await limit(way, scope, 100)
    await way.spend(60_000, "a")
    way.bot.pass_time(window / 2000)
    with pytest.raises(OverLimit, match=f"limit {scope} of 100 sats an? {scope}: 40 sats left"):
        await way.spend(41_000, "b")
    await way.spend(40_000, "c")
    way.bot.pass_time(window / 2000 + 60)
    await way.spend(41_000, "b")  # the same key, later: it was refused before, and had no effect


async def over_hour(way: Way) -> None:
    await _over_window(way, "hour", HOUR)


async def over_day(way: Way) -> None:
    await _over_window(way, "day", DAY)


async def frozen(way: Way) -> None:
    await way.ready(10, "a")
    await way.bot.say("/freeze")
    before = balances(way.bot.app.settings)
    with pytest.raises(Frozen):
        await way.spend(10_000, "a")
    assert balances(way.bot.app.settings) == before
    await way.bot.say("/unfreeze")
    await way.spend(10_000, "a")


async def parallel(way: Way) -> None:
    """Two that each fit, and do not together."""
    for key in "ab":
        await way.ready(60, key)
    await limit(way, "hour", 100)
    outcomes = await asyncio.gather(*(way.spend(60_000, key) for key in "ab"), return_exceptions=True)
    assert sorted(isinstance(one, OverLimit) for one in outcomes) == [False, True]


async def replay(way: Way) -> None:
    """The same key counts once, also at once, and with another amount it spends nothing more."""
    await way.ready(60, "a")
    await limit(way, "hour", 100)
    await asyncio.gather(*(way.spend(60_000, "a") for _ in range(3)))
    before = balances(way.bot.app.settings)
    await asyncio.gather(way.spend(60_000, "a"), way.spend(40_000, "a"), return_exceptions=True)
    assert balances(way.bot.app.settings) == before
    await way.bot.say("/freeze")
    await way.spend(60_000, "a")
    assert balances(way.bot.app.settings) == before


async def splitting(way: Way) -> None:
    for number in range(8):
        await way.ready(30, f"k{number}")
    await limit(way, "day", 100)
    outcomes = [await _outcome(way.spend(30_000, f"k{number}")) for number in range(8)]
    assert [isinstance(one, OverLimit) for one in outcomes] == [False] * 3 + [True] * 5


async def no_amounts(way: Way) -> None:
    """Negative and huge: no rule is needed to refuse them."""
    if isinstance(way, Retry):
        return  # its amount was checked when it was first posted
    before = balances(way.bot.app.settings)
    for msat in (-1, -5000, to_msat(MAX_SATS) + 1, 2**70):
        assert isinstance(await _outcome(way.spend(msat, f"k{msat}")), HubError)
    assert balances(way.bot.app.settings) == before


async def _outcome(spend: Awaitable[object]) -> object:
    try:
        return await spend
    except HubError as error:
        return error


ATTACKS: list[Callable[[Way], Awaitable[None]]] = [
    over_single, over_hour, over_day, frozen, parallel, replay, splitting, no_amounts,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__.lower())
async def test_no_path_gets_round_a_limit(tmp_path: Path, path: type[Way]) -> None:
    for attack in ATTACKS:
        async with hub(tmp_path / attack.__name__) as bot:
            await bot.app.store.write(lambda tx: tx.tokens.give(ANN, Role.MEMBER, "Ann", tx.now))
            way = path(bot)
            await attack(way)
            assert await _counted(bot) == await _spent(bot), attack.__name__
            prove(bot.app.settings)


async def _counted(bot: Bot) -> int:
    """What is counted of the owner's wallet, however long ago."""
    return sum(
        amount for (amount,) in bot.rows("SELECT amount FROM spend WHERE scope = '' AND account = ?", f"user:{OWNER}")
    )


async def _spent(bot: Bot) -> int:
    """What has left it, or is set aside."""
    found = await bot.app.hub.wallet.balance(user_account(OWNER))
    return to_msat(10_000) - found.posted + found.held


# The freeze ------------------------------------------------------------------------------------------------------------


async def _refused(bot: Bot, line: str) -> None:
    answer = await bot.say(line)
    assert answer["data"] == {"ok": False, "error": "frozen"}, line
    assert "until an owner says /unfreeze" in answer["text"]


async def test_a_freeze_stops_what_begins_and_nothing_that_was_awarded(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with hub(
        tmp_path, hands=Hands(does={"quill": gate}, asks={"echo": None}), auction={"deadline": 86400 * 9}
    ) as bot:
        await bot.say("/task write a poem")
        await bot.hands.at_work("T-1", "quill")
        await bot.say("/task write a letter")  # quill is busy: it waits
        await bot.say("/task write a song pick=ask")
        await bot.until(kind="more", task="T-3", status="bidding")
        await bot.say("/bid T-3 5")
        await bot.say("/task write a play pick=ask")
        await bot.say("/cancel T-4")
        await bot.say(f"/task paint the shed to={OWNER}")
        await bot.until(kind="more", task="T-5", status="bidding")
        assert (await bot.data("/status"))["money"]["frozen"] is False
        stopped = await bot.say("/freeze")
        assert stopped["data"] == {"ok": True, "frozen": True, "since": bot.clock.now(), "by": OWNER}
        assert "frozen already" in (await bot.say("/freeze"))["text"]
        for line in ("/task write more", "/retry T-4", f"/award T-3 {OWNER}", "/bid T-5 5"):
            await _refused(bot, line)
        status = await bot.say("/status")
        assert status["data"]["money"]["frozen"] is True
        assert "spending  frozen" in status["text"]
        assert (await bot.say("/limits"))["text"].startswith("Spending is frozen, ")
        gate.set()
        await bot.settled("T-1")  # it was awarded before
        assert (await bot.data("/show T-2"))["status"] == "open", "quill is free, and nothing is awarded"
        bot.pass_time(2 * 86400)
        assert (await bot.data("/show T-2"))["status"] == "open"
        assert (await bot.data("/cancel T-3"))["status"] == "cancelled"
        await bot.say("/cancel T-5")
        assert balances(bot.app.settings)[f"user:{OWNER}"] == (9_960, 200)
    async with hub(tmp_path, hands=Hands(asks={"echo": None})) as bot:
        await _refused(bot, "/task write more")
        assert (await bot.data("/show T-2"))["status"] == "open"
        assert await bot.data("/unfreeze") == {"ok": True, "frozen": False}
        await bot.settled("T-2")
        assert "was not frozen" in (await bot.say("/unfreeze"))["text"]
        assert (await bot.data("/task write more"))["status"] == "open"
        prove(bot.app.settings)


async def test_a_freeze_overtakes_a_busy_conversation_and_every_owner_is_told(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.app.store.write(lambda tx: tx.tokens.give(ANN, Role.OWNER, "Ann", tx.now))
        await bot.app.hub.identities.refresh()
        await bot.post("what is up?")
        await bot.post("/freeze", id="the freeze")
        await bot.until(kind="reply", frozen=True)
        await bot.say("/unfreeze")
        await bot.say("/limits hour 500")
        told = "SELECT body ->> 'text' FROM outgoing WHERE conversation = ? ORDER BY id"
        await bot.see(lambda: len(bot.rows(told, ANN)) == 3)
        assert [text.partition("\n")[0] for (text,) in bot.rows(told, ANN)] == [
            f"{OWNER} froze all spending.", f"{OWNER} let spending go on.",
            f"{OWNER} changed the limit hour: it is 500 sats now.",
        ]  # fmt: skip
        await bot.say("/freeze", id="the freeze")  # the very same message again
        assert (await bot.data("/limits"))["frozen"] is False


async def test_what_a_device_was_granted_before_the_freeze_is_not_done_in_it(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        assert "tap Approve" in (await phone.chat("post a task to write a poem for 500 sats"))["speech"]
        await bot.say("/freeze")
        assert "Spending is frozen" in (await phone.task("write a poem"))["text"]
        settled = await bot.say("/approve A-1")
        assert "A-1 was approved by console:owner: Spending is frozen" in settled["text"]
        await bot.say("/unfreeze")
        assert "approved already" in (await bot.say("/approve A-1"))["text"]
        assert bot.rows("SELECT count(*) FROM task") == [(0,)]


async def test_a_phrase_that_freezes_is_asked_back_and_one_that_looks_is_answered(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        asked = await bot.say("freeze all spending")
        assert "/freeze" in str(asked["buttons"])
        assert (await bot.data("/limits"))["frozen"] is False
        assert (await bot.data("show my limits"))["limits"]


# Limits in chat ----------------------------------------------------------------------------------------------------------


async def test_limits_are_set_seen_and_taken_off(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        assert (await bot.say("/limits"))["text"].split("\n") == [
            "Limits on spending (simulated sats)",
            "payment  none",
            "hour     none; 0 sats spent in the last hour",
            "day      none; 0 sats spent in the last 24 hours",
            "approve           above 1,000 sats a person taps",
            "treasury.payment  none",
            "treasury.hour     none; 0 sats spent in the last hour",
            "treasury.day      none; 0 sats spent in the last 24 hours",
        ]
        assert await bot.data("/limits DAY 2k sats") == {"ok": True, "scope": "day", "limit_sats": 2000}
        await bot.say("/limits agent:quill 100")
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        await bot.app.store.write(lambda tx: tx.tokens.give(ANN, Role.MEMBER, "Ann", tx.now))
        await bot.app.hub.wallet.transfer(await bot.app.hub.identities.caller(OWNER, private=True), ANN, 60_000, "k")
        shown = await bot.say("/limits")
        assert "day          100 of 2,000 sats spent in the last 24 hours (task 40, transfer 60)" in shown["text"]
        facts = {one["scope"]: one for one in shown["data"]["limits"]}
        assert facts["day"] == {
            "scope": "day",
            "limit_sats": 2000,
            "window_s": 86400,
            "spent_sats": 100,
            "left_sats": 1900,
        }
        assert facts["agent:quill"]["spent_sats"] == 40
        assert facts["approve"] == {"scope": "approve", "limit_sats": 1000}
        await bot.say(f"/limits {ANN} 5")
        assert {key: (await bot.data("/limits"))["limits"][-5][key] for key in ("scope", "limit_sats")} == {
            "scope": ANN,
            "limit_sats": 5,
        }
        for line, says in (
            ("/limits week 5", "Limits are payment, hour, day"), ("/limits day", "/limits needs AMOUNT"),
            ("/limits day -5", "is not an amount"), ("/limits day 0", "is not an amount"), ("/limits day 1.5", "is not an amount"),
            ("/limits day 2100000000000001", "is not an amount"), ("/limits day 5 6", "does not know what to do with '6'"),
        ):  # fmt: skip
            assert says in (await bot.say(line))["text"], line
        assert (await bot.data("/limits approve off"))["limit_sats"] == 1000, "what the settings say holds again"
        assert (await bot.data("/limits day off"))["limit_sats"] is None


async def test_the_payee_is_told_at_home(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.app.store.write(lambda tx: tx.tokens.give(ANN, Role.MEMBER, "Ann", tx.now))
        await bot.app.hub.identities.refresh()
        await bot.app.hub.wallet.transfer(await bot.app.hub.identities.caller(OWNER, private=True), ANN, 1000, "k")
        told = "SELECT body ->> 'text' FROM outgoing WHERE conversation = ?"
        assert (await bot.see(lambda: bot.rows(told, ANN))) == [
            (f"{OWNER} paid you 1 simulated sat. /balance shows what you have",)
        ]


async def test_an_agent_over_its_limit_does_not_win_and_the_next_best_does(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/limits agent:quill 39")
        await bot.say("/task write a poem")
        assert (await bot.settled("T-1"))["data"]["winner"] == "echo"
        await bot.say("/limits class:research 45")
        await bot.say("/task write a poem")
        ended = (await bot.ends("T-2"))["text"]
        assert "over the limit agent:quill of 39 sats a day: 39 sats left" in ended
        assert "over the limit class:research of 45 sats a day: 0 sats left" in ended
        assert balances(bot.app.settings)[f"user:{OWNER}"] == (9_955, 0)
        prove(bot.app.settings)


async def test_the_settings_limit_a_new_hub(tmp_path: Path) -> None:
    found = settings(tmp_path)
    found = found.model_copy(update={"wallet": found.wallet.model_copy(update={"day_limit": 50, "approve_over": 7})})
    async with hub(tmp_path, found=found) as bot:
        assert (await bot.data("/task write a poem max=51"))["error"] == "over_limit"
        spend = limits.Spend(TREASURY, 8000, limits.Path.PAYMENT, "k")
        assert await bot.app.store.read(lambda tx: limits.needs_tap(tx, spend))
