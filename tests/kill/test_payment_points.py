"""A crash at every named point of a payment, an invoice and an approval to pay: no sat moves twice, or wrongly, or without a word.

The table of these points, with what is found after each, is docs/payments.md.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adapters.lightning.simulated import SimulatedNode
from adapters.lightning.simulated_file import Fails
from adapters.sqlite.connection import connect
from bot.parts.looks import DATABASE
from core.errors import HubError
from core.money import to_msat
from core.wallet.lightning import PayState
from tests.blank import blank
from tests.depth import first
from tests.fakes import FakeClock, FakeIds
from tests.kill.crash import Fate, Wire
from tests.kill.story import QUIET, Story, crashed
from tests.scenario.bot import prove, rows, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from adapters.console.link import Frame
    from bot.app import App
    from config.settings import Settings
    from core.wallet.lightning import NodeInfo, NodeInvoice, Outcome, Traits

DOCS = Path(__file__).parents[2] / "docs" / "payments.md"
EXPIRED_MS = 2 * 3_600_000
"""After this an invoice is over."""


@dataclass(frozen=True)
class Say:
    """A line at the console, perhaps as somebody else; all is quiet once `until` holds too."""

    text: str
    as_whom: str = ""
    until: str = "1"


@dataclass(frozen=True)
class World:
    """What happens outside the hub: `pays` its invoice, or `lands` what is in flight."""

    what: str
    until: str


ENDED = "NOT EXISTS (SELECT 1 FROM payment WHERE state IN ('prepared', 'sending', 'unknown'))"
SETTLED = "NOT EXISTS (SELECT 1 FROM invoice WHERE state = 'open')"
WALKS: dict[str, list[Say | World]] = {
    "out": [Say("/pay {outside}", until=ENDED)],
    "hangs": [Say("/pay {hangs}"), World("lands", ENDED)],
    "in": [Say("/invoice 500 two coffees"), World("pays", SETTLED)],
    "own": [Say("/invoice 50", as_whom="telegram:5"), Say("/pay {ours}", until=ENDED)],
    "tap": [Say("/pay {dear}"), Say("/approve A-1", until=ENDED)],
}
"""What is said and happens, in braces the invoices that the world or the hub has."""


@dataclass(frozen=True)
class Crash:
    """The hub dies at `point` of a walk, `when` in words.

    `row`: how the payment or invoice then stands; `left`: sats that have left the node.
    """

    walk: str
    point: str
    when: str
    row: str = ""
    left: int = 0
    later: int = 0
    """Milliseconds after which it is started again."""


CRASHES = (
    Crash("out", "before Payments.pay 1", "before the sats are set aside"),
    Crash("out", "after Payments.pay 1", "once they are set aside", "prepared"),
    Crash("out", "before Payments._send 1", "before it is written that the node is about to be asked", "prepared"),
    Crash("out", "after Payments._send 1", "once that is written", "sending"),
    Crash("out", "before node pay 1", "as the node is asked", "sending"),
    Crash("out", "after node pay 1", "once the node has paid, and before its answer", "sending", 301),
    Crash("out", "before Payments._book 1", "before the answer is booked", "sending", 301),
    Crash("out", "after Payments._book 1", "once it is booked, and before anybody is told", "succeeded", 301),
    Crash("out", "after Payments._book 1", "the same, started again when the invoice is over", "succeeded", 301, EXPIRED_MS),
    Crash("out", "after show reply 1", "once they were told", "succeeded", 301),
    Crash("hangs", "after node pay 1", "while it is in flight, and somebody waits", "sending", 301),
    Crash("hangs", "before Payments._ended 1", "while it is in flight, and nobody waits any more", "sending", 301),
    Crash("hangs", "after Payments._book 1", "once a payment that was in flight is booked", "succeeded", 301),
    Crash("in", "before node create_invoice 1", "as the node is asked for an invoice"),
    Crash("in", "after node create_invoice 1", "once the node has made it, and the row is not written"),
    Crash("in", "before Invoices.create 1", "before the row is written"),
    Crash("in", "after Invoices.create 1", "once the row is written, and before it is shown", "open"),
    Crash("in", "before Invoices.run 1", "once it is paid at the node, and not booked", "open", -500),
    Crash("in", "after Invoices.run 1", "once it is booked, with its place in the node's order, and not told", "settled", -500),
    Crash("own", "after Payments.pay 1", "once the payer's sats are set aside", "prepared"),
    Crash("own", "before node cancel_invoice 1", "as the node is asked to take one of our own back", "sending"),
    Crash("own", "after node cancel_invoice 1", "once the node took it back, and it is not booked", "sending"),
    Crash("own", "before Payments._pay_inside 1", "before it is booked", "sending"),
    Crash("own", "after Payments._pay_inside 1", "once it is booked, and before anybody is told", "succeeded"),
    Crash("tap", "before Approvals.settle 1", "before the yes is written"),
    Crash("tap", "after Approvals.settle 1", "once somebody agreed, and nothing is carried out"),
    Crash("tap", "after Payments.pay 1", "once what was agreed to is prepared", "prepared"),
    Crash("tap", "after node pay 1", "once the node has paid it", "sending", 5_006),
    Crash("tap", "before Approvals._carried 1", "once it is carried out, and that is not written", "succeeded", 5_006),
    Crash("tap", "before Approvals._carried 1", "the same, when the invoice is over", "succeeded", 5_006, EXPIRED_MS),
    Crash("tap", "after Approvals._carried 1", "once it is written, and before anybody is told", "succeeded", 5_006),
)  # fmt: skip
QUICKLY = frozenset(
    {"after Payments._send 1", "after node pay 1", "before Invoices.run 1", "after node cancel_invoice 1"}
)
"""Where it dies in `make test`; `make test-kill` goes through the whole table."""


class MortalNode:
    """The way to the node in one life of a hub: it may die as it asks or is answered, and has no effect any more then."""

    backend = "simulated"

    def __init__(self, node: SimulatedNode, fate: Fate) -> None:
        self._node = node
        self._fate = fate
        self.traits: Traits = node.traits

    async def _do(self, call: str, *args: Any) -> Any:
        names = [] if self._fate.dead else [self._fate.name(f"node {call}")]
        if self._fate.strikes("before", names):
            raise Gone
        answer = await getattr(self._node, call)(*args)
        if self._fate.strikes("after", names):
            raise Gone
        return answer

    def least_fee(self, amount: int) -> int:
        return self._node.least_fee(amount)

    async def info(self) -> NodeInfo:
        return await self._node.info()

    async def balance(self) -> int:
        return await self._node.balance()

    async def close(self) -> None:
        """It lives on."""

    async def create_invoice(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        made: NodeInvoice = await self._do("create_invoice", amount, memo, expiry)
        return made

    async def lookup(self, payment_hash: bytes) -> NodeInvoice | None:
        return await self._node.lookup(payment_hash)

    async def settled(self, after: int) -> AsyncIterator[NodeInvoice]:
        async for one in self._node.settled(after):
            yield one

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: int) -> Outcome:
        outcome: Outcome = await self._do("pay", bolt11, amount, fee_limit, timeout)
        return outcome

    async def track(self, payment_hash: bytes) -> Outcome:
        outcome: Outcome = await self._do("track", payment_hash)
        return outcome

    async def create_hold(self, payment_hash: bytes, amount: int, memo: str, expiry: int) -> NodeInvoice:
        return await self._node.create_hold(payment_hash, amount, memo, expiry)

    async def settle_hold(self, preimage: bytes) -> None:
        await self._node.settle_hold(preimage)

    async def cancel_invoice(self, payment_hash: bytes) -> None:
        await self._do("cancel_invoice", payment_hash)


class Gone(HubError):
    """The hub that asked is dead."""


class PaymentStory(Story):
    """A person at the console, a node and the world outside it, over several lives of the hub."""

    pace = 50
    facts = {  # noqa: RUF012 - a constant
        "accounts": Story.facts["accounts"],
        "holds": "SELECT account, amount, state FROM hold ORDER BY id",
        "entries": "SELECT kind, actor, reason FROM txn ORDER BY kind",
        "payments": "SELECT account, amount, fee, state, attempt FROM payment",
        "invoices": "SELECT account, amount, state, received FROM invoice",
        "approvals": "SELECT kind, state, decided_by FROM approval ORDER BY id",
        "answers": "SELECT cause, body ->> '$.data.ok', body ->> '$.data.error' FROM outgoing"
        " WHERE cause IS NOT NULL ORDER BY cause",
        "events": "SELECT kind FROM event ORDER BY kind",
    }

    def __init__(self, folder: Path, walk: str) -> None:
        super().__init__(folder, WALKS[walk])
        self.said = [f"line-{number}" for number in range(len(self.lines))]
        self.seen: list[Frame] = []
        self.happened: set[str] = set()
        self.node: SimulatedNode
        self.invoices: dict[str, str] = {}
        self._fate = Fate()

    def settings(self) -> Settings:
        """See `Story`."""
        return settings(self.folder)

    async def begin(self) -> None:
        """The world before the hub, and somebody whom it knows."""
        with closing(connect(blank(self.folder / "data" / DATABASE))) as connection:
            connection.execute("INSERT INTO actor (id, role, since) VALUES ('telegram:5', 'member', 0)")
        self.node = SimulatedNode(self.folder / "data" / "node.db", FakeClock(), FakeIds("the world"))
        self.invoices = {
            "outside": await self.node.outside_asks(300_000, "a book", fee=1_000),
            "hangs": await self.node.outside_asks(300_000, fails=Fails.HANGS, fee=1_000),
            "dear": await self.node.outside_asks(5_000_000, "a bicycle", fee=6_000),
        }

    async def live(self, fate: Fate) -> None:
        """See `Story`."""
        self._fate = fate
        await super().live(fate)

    def _hub(self, **parts: Any) -> Any:
        return super()._hub(node=MortalNode(self.node, self._fate), **parts)

    async def _live(self, fate: Fate) -> None:
        async with self._hub() as (app, clock), Wire.attached(app.console, fate, self.seen) as wire:
            heard = ""
            for name, line in zip(self.said, self.lines, strict=True):
                if fate.dead:
                    break
                if isinstance(line, World):
                    await self._happens(name, line, app, fate, clock)
                else:
                    heard = name
                    wire.say(self._words(line), name, **({"as": line.as_whom} if line.as_whom else {}))
                query = f"SELECT ({QUIET}) AND {line.until}"
                await self._until(app, fate, clock, query, heard)

    def _words(self, line: Say) -> str:
        if "{ours}" in line.text:
            ((self.invoices["ours"],),) = rows(self.settings(), "SELECT bolt11 FROM invoice")
        return line.text.format(**self.invoices)

    async def _happens(self, name: str, line: World, app: App, fate: Fate, clock: FakeClock) -> None:
        """Once, whatever becomes of the hub; what lands was sent before."""
        if name in self.happened:
            return
        if line.what == "pays":
            ((bolt11,),) = rows(self.settings(), "SELECT bolt11 FROM invoice")
            await self.node.outside_pays(bolt11)
        else:
            ((payment_hash,),) = rows(self.settings(), "SELECT payment_hash FROM payment")
            while (await self.node.track(payment_hash)).state is not PayState.IN_FLIGHT:
                if fate.dead:
                    return
                await self._until(app, fate, clock, "SELECT 1")
                self.pass_time(app, clock)
            await self.node.land(payment_hash, well=True)
        self.happened.add(name)

    # What is left ------------------------------------------------------------------------------------------------

    async def left(self) -> int:
        """Sats that left the node, less those that came."""
        return (to_msat(1_000_000) - await self.node.balance()) // 1000

    def row(self) -> str:
        """How the payment stands, or else the invoice that is asked for; empty where there is no row."""
        asked = "invoice" if isinstance(self.lines[-1], World) and self.lines[-1].what == "pays" else "payment"
        found = rows(self.settings(), f"SELECT state FROM {asked}")  # noqa: S608 - a name of a table
        return "".join(state for (state,) in found)

    def amiss(self) -> str | None:
        """See `Story`: whoever pays or is paid is told, and nothing is shown as new that was shown before."""
        texts = [frame["text"] for frame in self.seen]
        words = "simulated sats came in" if self.row() == "settled" else "Paid "
        if not any(words in text for text in texts):
            return f"nobody was told: {texts}"
        fresh = Counter(frame["text"] for frame in self.seen if not frame.get("again"))
        due = Counter(reply.text for reply in self.sent())
        return f"shown once more and not marked: {fresh - due}" if fresh - due else None


async def _story(folder: Path, walk: str) -> PaymentStory:
    story = PaymentStory(folder, walk)
    await story.begin()
    return story


async def _exact(story: PaymentStory) -> int:
    """What the node has beyond what the books say, msat; nothing is on its way any more."""
    ((books,),) = rows(story.settings(), "SELECT posted FROM account WHERE name = 'node:simulated'")
    return await story.node.balance() + int(books)


async def _dies(folder: Path, crash: Crash, calm: PaymentStory) -> str | None:
    """Die there, look, live on; returns what is wrong."""
    story = await _story(folder, crash.walk)
    try:
        fate = Fate(frozenset({crash.point}))
        await story.live(fate)
        if not fate.dead:
            return f"it never came: {fate.met}"
        found = (story.row(), await story.left())
        if found != (crash.row, crash.left):
            return f"then it stands {found}"
        prove(story.settings())
        story.starts += crash.later
        await story.live(Fate())
        if (left := await story.left()) != await calm.left():
            return f"{left} sats left"
        if more := await _exact(story):
            return f"the node has {more} msat more than the books say"
        return story.trouble(calm)
    except AssertionError as error:
        return str(error)
    finally:
        await story.node.close()


async def _calm(folder: Path, walk: str) -> tuple[PaymentStory, list[str]]:
    story = await _story(folder, walk)
    fate = Fate()
    await story.live(fate)
    assert story.trouble(story) is None
    assert await _exact(story) == 0
    return story, fate.met


async def _all_wrong(folder: Path, crashes: Sequence[Crash]) -> dict[str, str]:
    calm = {walk: await _calm(folder / walk, walk) for walk in dict.fromkeys(crash.walk for crash in crashes)}
    wrong = {
        f"{crash.walk}: {crash.point}, {crash.when}": await _dies(folder / str(number), crash, calm[crash.walk][0])
        for number, crash in enumerate(crashes)
    }
    for story, _ in calm.values():
        await story.node.close()
    return {name: trouble for name, trouble in wrong.items() if trouble}


@pytest.mark.kill
@pytest.mark.parametrize("point", first(2, sorted(QUICKLY)))
async def test_a_crash_at_one_point_of_each_kind(tmp_path: Path, point: str) -> None:
    crash = next(crash for crash in CRASHES if crash.point == point)
    assert await _all_wrong(tmp_path, [crash]) == {}


@pytest.mark.kill_sweep
@pytest.mark.timeout(600)
async def test_a_crash_at_every_point_of_the_table(tmp_path: Path) -> None:
    assert await _all_wrong(tmp_path, CRASHES) == {}


@pytest.mark.kill_sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("walk", WALKS)
async def test_a_crash_at_every_point_there_is(tmp_path: Path, walk: str, when: str) -> None:
    """Those that the table does not name too: of the commands around, and of what is shown."""
    calm, points = await _calm(tmp_path / "calm", walk)
    assert len(points) >= 12, "it saw the points"
    wrong = {}
    for number, point in enumerate(points):
        story = await _story(tmp_path / str(number), walk)
        wrong[point] = await crashed(story, calm, f"{when} {point}") or await _exact(story) or None
        await story.node.close()
    await calm.node.close()
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}


def test_the_table_in_the_docs_is_this_one() -> None:
    page = DOCS.read_text()
    assert [row(crash) for crash in CRASHES] == [line for line in page.splitlines() if line.startswith("| `")]


def row(crash: Crash) -> str:
    """One crash as the page has it."""
    way = "left" if crash.left > 0 else "came"
    left = f"{abs(crash.left):,} sats {way}" if crash.left else "nothing moved"
    return f"| `{crash.walk}` | {crash.when} | {crash.row or 'no row'} | {left} |"
