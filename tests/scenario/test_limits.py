"""Every path by which sats are spent, under every attack; and the freeze over a whole hub.

A path that comes later is one more entry of `PATHS`; an attack is one more of `ATTACKS`. Each path has a hub of its own, and the
attacks on it follow each other a day apart, when every window is empty again.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from adapters.clockwork import Nursery
from adapters.fetch.addresses import Reach
from adapters.fetch.fetcher import PageFetcher
from config.settings import Serve
from core.approval import State, parse_approval
from core.chat import Role
from core.errors import HubError
from core.money import MAX_SATS, to_msat, to_sats
from core.swarm.orders import Order
from core.swarm.ports import Offer
from core.treasury.treasury import Way as Direction
from core.wallet import limits, outgoing, purchase
from core.wallet.ledger import EXTERNAL, TREASURY, transfer, user_account
from core.wallet.limits import DAY, HOUR, Frozen, OverLimit
from core.wallet.limits import Path as Route
from tests.cashier import FakeCashier
from tests.fakes import FakeClock
from tests.scenario.bot import OWNER, Hands, balances, hub, let_in, prove, settings
from tests.scenario.held_store import HeldDatabase, held
from tests.scenario.shortcuts import Phone, listening, mint, phone_and_hub
from tests.scenario.strangers import Stranger
from tests.scenario.test_payments import paying, seller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from adapters.lightning.simulated import SimulatedNode
    from core.swarm.ports import Agent
    from tests.scenario.bot import Bot

ANN = "telegram:7"
MONTH = 30 * DAY
WHOLE = 10_000
"""Sats in each account that spends, at first."""

FEE = 2_000
"""What routing takes of every payment here, msat: all that it may of a small one."""


class AskedPrice(Hands):
    """Agents that ask the number that a task's description ends with, and are paid all of its budget."""

    async def appraise(self, agent: Agent, description: str) -> Offer | None:
        last = description.rpartition(" ")[2]
        return Offer(to_msat(int(last))) if last.isdecimal() else None


@dataclass
class World:
    """What is round a hub: a node and its network, a server that sells, a phone, a stranger."""

    node: SimulatedNode
    phone: Phone
    stranger: Stranger
    shop: str


@dataclass
class Way:
    """A path, before one hub: `spend` takes whole sats (or msat that no amount has) and a key, and raises what it is refused with.

    `ready` does what must be there before the limits are set, for a spend of so many sats under that key; `line` is how an owner
    says it in chat. `account` pays, and `lead` begins the names of its limits; `boss`: an owner must agree, and no payer.
    """

    bot: Bot
    world: World
    made: dict[str, Any] = field(default_factory=dict)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    account = user_account(OWNER)
    lead = ""
    boss = False
    windows: ClassVar[tuple[str, ...]] = ("hour", "day")
    """The limits on what it spends in a time; the last is on a day."""
    no_amounts: tuple[int, ...] = (-1, -5000, 0, to_msat(MAX_SATS) + 1 + FEE, 2**70)

    async def ready(self, sats: int, key: str) -> None:
        """Nothing."""

    async def spend(self, msat: int, key: str) -> object:
        raise NotImplementedError

    async def line(self, sats: int, key: str) -> str:
        """Nothing: nobody says it in chat."""
        return ""

    async def owner(self) -> Any:
        return await self.bot.app.hub.identities.caller(OWNER, private=True)

    async def spent(self) -> int:
        """What has left the account, or is set aside, msat."""
        found = await self.bot.app.hub.wallet.balance(self.account)
        return to_msat(WHOLE) - found.posted + found.held


class Task(Way):
    """A task is posted; nobody is asked to do it before its requester picks."""

    async def spend(self, msat: int, key: str) -> object:
        order = Order(await self.owner(), OWNER, "dig", key, budget=msat, time=MONTH, pick="ask")
        return await self.bot.app.hub.coordinator.post(order)

    async def line(self, sats: int, key: str) -> str:
        return f"/task dig max={sats} pick=ask"


class Retry(Way):
    """A task that was called off is posted once more."""

    async def ready(self, sats: int, key: str) -> None:
        posted = await Task(self.bot, self.world).spend(to_msat(sats), f"{key}/first")
        self.made[key] = posted.id  # type: ignore[attr-defined]
        await self.bot.app.hub.coordinator.cancel(await self.owner(), self.made[key], key=f"{key}/cancel")

    async def spend(self, msat: int, key: str) -> object:
        return await self.bot.app.hub.coordinator.retry(await self.owner(), self.made[key], conversation=OWNER, key=key)

    async def line(self, sats: int, key: str) -> str:
        await self.ready(sats, key)
        return f"/retry T-{self.made[key]}"


class Transfer(Way):
    """A person is paid."""

    async def spend(self, msat: int, key: str) -> object:
        return await self.bot.app.hub.wallet.transfer(await self.owner(), ANN, msat, key)

    async def line(self, sats: int, key: str) -> str:
        return f"/pay {ANN} {sats}"


class Payment(Way):
    """A Lightning invoice is paid, with its routing."""

    no_amounts = (*Way.no_amounts, FEE - 1, FEE)
    path = Route.PAYMENT

    async def spend(self, msat: int, key: str) -> object:
        asked = await self.invoice(None, key)
        who = await self.owner()
        order = outgoing.Order(asked, self.account, who, OWNER, key, msat - FEE, path=self.path)
        return await self.bot.app.hub.paying()._payments.pay(order)

    async def invoice(self, amount: int | None, key: str) -> str:
        """The same for a key, as long as it can be paid."""
        name = f"{key}/{self.bot.clock.now()}"
        async with self.asking:
            if name not in self.made:
                self.made[name] = await self.world.node.outside_asks(amount, fee=FEE)
        return str(self.made[name])

    async def line(self, sats: int, key: str) -> str:
        return f"/pay {await self.invoice(to_msat(sats), key)}"


class FromTreasury(Payment):
    """The treasury pays a Lightning invoice."""

    account, lead, path = TREASURY, "treasury.", Route.TREASURY

    async def line(self, sats: int, key: str) -> str:
        return f"{await super().line(sats, key)} from=treasury"


class Payout(Payment):
    """An agent is paid what it earned."""

    account, path = "agent:worker", Route.PAYOUT

    async def line(self, sats: int, key: str) -> str:
        return f"/payout worker {await self.invoice(to_msat(sats), key)}"


class Service(Way):
    """What an address sells is bought."""

    async def spend(self, msat: int, key: str) -> object:
        order = purchase.Order(self.account, f"{self.world.shop}/{key}/{msat - FEE}", None, key)
        return await self.bot.app.hub.paying()._buying.buy(order)

    async def line(self, sats: int, key: str) -> str:
        return f"/pay {self.world.shop}/{key}/{to_msat(sats)}"


class TreasuryIn(Way):
    """An owner moves sats into the treasury."""

    boss, direction = True, Direction.IN

    async def spend(self, msat: int, key: str) -> object:
        return await self.bot.app.hub.treasury.move(await self.owner(), self.direction, msat, key)

    async def line(self, sats: int, key: str) -> str:
        return f"/treasury {self.direction} {sats}"


class TreasuryOut(TreasuryIn):
    """And out of it."""

    account, lead, direction = TREASURY, "treasury.", Direction.OUT


class TurnedAway(HubError):
    """The gate said {code}."""


class AtTheGate(Way):
    """A stranger posts a task that they paid for; the treasury funds it."""

    account, lead, windows = TREASURY, "treasury.", ("sold",)

    async def ready(self, sats: int, key: str) -> None:
        """They buy a bundle for each attack: none is good for longer than a week."""
        stranger, attack = self.world.stranger, key.partition("/")[0]
        if attack not in self.made:
            self.made[attack] = stranger.buy(
                await stranger.ask("POST", "/v1/tasks?calls=20", token="", json={"description": "dig"})
            )
            assert (await stranger.ask("GET", "/v1/tasks/T-1")).status in {200, 404}, "it is paid"

    async def spend(self, msat: int, key: str) -> object:
        stranger = self.world.stranger
        said = await stranger.task(f"dig for {to_sats(msat)}", max_sats=to_sats(msat), key=key.replace("/", "-"))
        if said.status == 202:
            number = parse_task_id(said.body["task_id"])
            await self.bot.see(
                lambda: self.bot.rows("SELECT 1 FROM task WHERE id = ? AND status = 'settled'", number),
                "its end",
                pace=0,
            )
            return number
        if said.error == (503, "no_funds"):  # what strangers are not told
            one = limits.Spend(TREASURY, msat, Route.SOLD, "another")
            why = await self.bot.app.store.read(lambda tx: limits.refusal(tx, one))
            assert why is not None
            raise why
        raise TurnedAway(code=said.error[1])

    async def spent(self) -> int:
        """Its own agents earn for it, so what went into escrow is what was spent."""
        whole = (await self.bot.app.hub.treasury.holdings(await self.owner())).whole
        return whole.spent.get("tasks", 0)


def parse_task_id(name: str) -> int:
    return int(name.removeprefix("T-"))


PATHS: list[type[Way]] = [
    Task, Retry, Transfer, Payment, FromTreasury, Payout, Service, TreasuryIn, TreasuryOut, AtTheGate,
]  # fmt: skip


async def limit(way: Way, scope: str, sats: int | None) -> None:
    line = f"/limits {way.lead}{scope} {'off' if sats is None else sats}"
    assert (await way.bot.data(line))["limit_sats"] == sats


async def over_single(way: Way, key: str) -> None:
    await way.ready(101, f"{key}/a")
    await way.ready(100, f"{key}/b")
    await limit(way, "payment", 100)
    with pytest.raises(OverLimit, match=f"limit {way.lead}payment of 100 sats for one spend"):
        await way.spend(101_000, f"{key}/a")
    await way.spend(100_000, f"{key}/b")


async def _over_window(way: Way, key: str, scope: str, window: int) -> None:
    for name, sats in (("a", 60), ("b", 41), ("c", 40)):
        await way.ready(sats, f"{key}/{name}")
    await limit(way, scope, 100)
    await way.spend(60_000, f"{key}/a")
    way.bot.pass_time(window / 2000)
    with pytest.raises(OverLimit, match=f"limit {way.lead}{scope} of 100 sats an? (hour|day): 40 sats left"):
        await way.spend(41_000, f"{key}/b")
    await way.spend(40_000, f"{key}/c")
    way.bot.pass_time(window / 2000 + 60)
    await way.spend(41_000, f"{key}/b")  # the same key, later: it was refused before, and had no effect


async def over_hour(way: Way, key: str) -> None:
    if "hour" in way.windows:
        await _over_window(way, key, "hour", HOUR)


async def over_day(way: Way, key: str) -> None:
    await _over_window(way, key, way.windows[-1], DAY)


async def frozen(way: Way, key: str) -> None:
    await way.ready(10, f"{key}/a")
    await way.bot.say("/freeze")
    before = balances(way.bot.app.settings)
    with pytest.raises(Frozen):
        await way.spend(10_000, f"{key}/a")
    assert balances(way.bot.app.settings) == before
    await way.bot.say("/unfreeze")
    await way.spend(10_000, f"{key}/a")


async def parallel(way: Way, key: str) -> None:
    """Two that each fit, and do not together."""
    for name in "ab":
        await way.ready(60, f"{key}/{name}")
    await limit(way, way.windows[0], 100)
    outcomes = await asyncio.gather(*(way.spend(60_000, f"{key}/{name}") for name in "ab"), return_exceptions=True)
    assert sorted(isinstance(one, OverLimit) for one in outcomes) == [False, True]


async def replay(way: Way, key: str) -> None:
    """The same key counts once, also at once, and with another amount it spends nothing more."""
    await way.ready(60, f"{key}/a")
    await limit(way, way.windows[0], 100)
    await asyncio.gather(*(way.spend(60_000, f"{key}/a") for _ in range(3)))
    before = balances(way.bot.app.settings)
    await asyncio.gather(way.spend(60_000, f"{key}/a"), way.spend(40_000, f"{key}/a"), return_exceptions=True)
    assert balances(way.bot.app.settings) == before
    await way.bot.say("/freeze")
    await way.spend(60_000, f"{key}/a")
    assert balances(way.bot.app.settings) == before


async def splitting(way: Way, key: str) -> None:
    for number in range(8):
        await way.ready(30, f"{key}/k{number}")
    await limit(way, way.windows[-1], 100)
    outcomes = [await _outcome(way.spend(30_000, f"{key}/k{number}")) for number in range(8)]
    assert [isinstance(one, OverLimit) for one in outcomes] == [False] * 3 + [True] * 5


async def no_amounts(way: Way, key: str) -> None:
    """Negative, none and huge: no rule is needed to refuse them."""
    if isinstance(way, Retry | Service):
        return  # its amount was checked when it was first posted; it is what a signed invoice says
    await way.ready(10, key)
    before = balances(way.bot.app.settings)
    for msat in way.no_amounts:
        assert isinstance(await _outcome(way.spend(msat, f"{key}/k{msat}")), HubError)
    assert balances(way.bot.app.settings) == before


async def _outcome(spend: Awaitable[object]) -> object:
    try:
        return await spend
    except HubError as error:
        return error


async def carried_late(way: Way, key: str) -> None:
    """Somebody agreed, and before it was carried out spending was frozen, a limit lowered, or they may not agree any more."""
    if isinstance(way, Task | Retry) or not await way.line(60, f"{key}/try"):
        return  # a task needs nobody's word
    for name, says in (
        ("freeze", "Spending is frozen"), ("lower", "it could not be done; whoever asked is told why"),
        ("demote", "Whoever agreed may not agree to so much any more"),
    ):  # fmt: skip
        await way.bot.say("/limits approve 10")
        await let_in(way.bot, ANN, Role.OWNER if way.boss else Role.PAYER)
        asked = await way.bot.data(await way.line(60, f"{key}/{name}"))
        before = balances(way.bot.app.settings)
        await agree(way.bot, parse_approval(asked["approval"]))
        await hinder(way, name)
        async with Nursery() as nursery:
            await way.bot.app.hub.approvals.recover(nursery)
            number = parse_approval(asked["approval"])
            done = "SELECT 1 FROM approval WHERE id = ? AND state = 'done'"
            await way.bot.see(lambda: way.bot.rows(done, number), f"the end of {name}", pace=0)  # noqa: B023
        ((state, outcome),) = way.bot.rows(
            "SELECT state, outcome FROM approval WHERE id = ?", parse_approval(asked["approval"])
        )
        assert (state, says in outcome) == ("done", True), (name, outcome)
        assert balances(way.bot.app.settings) == before
        await undo(way)


async def hinder(way: Way, how: str) -> None:
    match how:
        case "freeze":
            await way.bot.say("/freeze")
        case "lower":
            await limit(way, "payment", 5)
        case _:
            await let_in(way.bot, ANN, Role.MEMBER)


async def agree(bot: Bot, number: int) -> None:
    """Ann said yes, and the hub died before it did what she agreed to."""

    def work(tx: Any) -> None:
        found = tx.approvals.find(number)
        tx.approvals.put(found._replace(state=State.APPROVED, decided_by=ANN, decided_at=tx.now))

    await bot.app.store.write(work)


async def by_a_device(way: Way, key: str) -> None:
    """A phone asks, its person taps when spending is frozen, or when it does not fit any more."""
    for name, says in (("freeze", "Spending is frozen"), ("lower", f"is over the limit {way.lead}payment of 5 sats")):
        line = await way.line(500, f"{key}/{name}")
        if not line:
            return
        asked = await way.world.phone.chat(line)
        number = way.bot.rows("SELECT max(id), max(kind) FROM approval WHERE state = 'open'")[0]
        assert number[1] == "device", (line, asked)
        before = balances(way.bot.app.settings)
        await hinder(way, name)
        settled = await way.bot.say(f"/approve A-{number[0]}")
        assert says in settled["text"]
        assert balances(way.bot.app.settings) == before
        await undo(way)


async def tried_as_another(way: Way, key: str) -> None:
    """`--as` spends nothing of the account that would pay, but for a task of one's own."""
    if isinstance(way, Task | Retry) or not (line := await way.line(60, key)):
        return
    before = balances(way.bot.app.settings)
    assert (await way.bot.data(line, acting_for=ANN))["error"] == "not_allowed"
    assert balances(way.bot.app.settings) == before


ATTACKS: list[Callable[[Way, str], Awaitable[None]]] = [
    over_single, over_hour, over_day, frozen, parallel, replay, splitting, no_amounts, carried_late, by_a_device, tried_as_another,
]  # fmt: skip


async def undo(way: Way) -> None:
    """No limit holds any more, and nothing is frozen."""
    await way.bot.say("/unfreeze")
    for scope in ("payment", *way.windows):
        await limit(way, scope, None)
    await way.bot.say("/limits approve off")


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[tuple[Bot, World]]:
    """A hub with everything by which sats are spent, and as many of them in each account that does."""
    clock = FakeClock()
    found = listening(folder).model_copy(update={"serve": Serve(enabled=True, port=0, price=500)})
    cashier, fetcher = FakeCashier(clock), PageFetcher(Reach(loopback=True))
    async with AsyncExitStack() as stack:
        bot, node = await stack.enter_async_context(
            paying(folder, clock, found=found, cashier=cashier, fetcher=fetcher, hands=AskedPrice())
        )
        shop, _ = await stack.enter_async_context(seller(node, fee=FEE))
        phone = Phone(await mint(bot.app)).at(bot.app.address)
        stranger = Stranger(cashier)
        stranger.base = bot.app.serving.gate.address
        await bot.see(lambda: bot.app.health.parts["shortcuts"].up, "Shortcuts up", pace=0)
        for account in (TREASURY, "agent:worker"):
            entry = transfer(
                f"first {account}",
                "grant",
                EXTERNAL,
                account,
                to_msat(WHOLE),
                task=None,
                actor="hub",
                reason="to begin with",
            )
            await bot.app.store.write(lambda tx, one=entry: tx.ledger.append(one))  # type: ignore[misc]
        await let_in(bot, ANN, Role.MEMBER)
        await bot.say(f"/limits {ANN} 50k")
        yield bot, World(node, phone, stranger, shop)


QUICKLY = {Payment}
"""To the world: this in `make test`, all in `make test-deep`."""


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.__name__.lower(), marks=[pytest.mark.long] * (path not in QUICKLY)) for path in PATHS],
)
async def test_no_path_gets_round_a_limit(tmp_path: Path, path: type[Way]) -> None:
    async with world(tmp_path) as (bot, around):
        way = path(bot, around)
        for attack in ATTACKS:
            name = attack.__name__
            began, before = bot.clock.now(), await way.spent()
            await attack(way, name)
            counted = await _counted(bot, way.account, began)
            assert counted == await way.spent() - before, name
            await undo(way)
            bot.pass_time(25 * 3600)
        prove(bot.app.settings)


async def _counted(bot: Bot, account: str, since: int) -> int:
    """What is counted of an account, msat."""
    query = "SELECT coalesce(sum(amount), 0) FROM spend WHERE scope IN ('', 'sold') AND account = ? AND at >= ?"
    return int(bot.rows(query, account, since)[0][0])


async def test_a_freeze_overtakes_a_payment_that_is_not_sent_yet(tmp_path: Path) -> None:
    async with paying(tmp_path, database=HeldDatabase) as (bot, node):
        store = held(bot.app.store)
        store.hold("Payments._send")
        await bot.post(f"/pay {await node.outside_asks(300_000)}")
        await store.holding("Payments._send")
        await bot.post("/freeze")
        assert (await bot.until(kind="reply"))["data"]["frozen"] is True
        store.release()
        assert "failed: spending is frozen. Nothing left your wallet" in (await bot.until(kind="reply"))["text"]
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 10_000, "held_sats": 0, "simulated": True}
        prove(bot.app.settings)


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
        await let_in(bot, ANN, Role.OWNER, "Ann")
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
            "treasury.sold     none; 0 sats spent in the last 24 hours",
        ]
        assert await bot.data("/limits DAY 2k sats") == {"ok": True, "scope": "day", "limit_sats": 2000}
        await bot.say("/limits agent:quill 100")
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        await let_in(bot, ANN, name="Ann")
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
        assert {key: (await bot.data("/limits"))["limits"][-6][key] for key in ("scope", "limit_sats")} == {
            "scope": ANN,
            "limit_sats": 5,
        }
        for line, says in (
            ("/limits week 5", "Limits are payment, hour, day"), ("/limits day", "/limits needs AMOUNT"),
            ("/limits day -5", "is not an amount"), ("/limits day 0", "say /freeze"), ("/limits day 1.5", "is not an amount"),
            ("/limits day 2100000000000001", "is not an amount"), ("/limits day 5 6", "does not know what to do with '6'"),
        ):  # fmt: skip
            assert says in (await bot.say(line))["text"], line
        assert (await bot.data("/limits approve off"))["limit_sats"] == 1000, "what the settings say holds again"
        assert (await bot.data("/limits day off"))["limit_sats"] is None


async def test_the_payee_is_told_at_home(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, ANN, name="Ann")
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
