"""Payments and invoices under any order of commands, time, lies and kills: no sat moves that should not (MONEY, "Invariants").

A Hypothesis machine drives the real `Payments`, `Invoices`, `OwnNode` and `Reconciler` over a real SQLite file, and a node of its
own that misbehaves at any call (`tests/twin_node.py`). After every step everything that can run has run, and the books are held
against what the node really did, with SQL of its own. Every example ends with a node that is well again: then all is booked.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adapters.clockwork import Nursery
from adapters.sqlite.connection import connect_reader
from adapters.sqlite.unit_of_work import UnitOfWork
from bot.supervisor import Supervisor
from core.chat import Caller, Role
from core.errors import HubError
from core.money import MAX_SATS, to_msat
from core.store import NotWritten
from core.wallet.invoices import Invoices
from core.wallet.ledger import BooksBroken, user_account
from core.wallet.lightning import InvoiceState, NodeInfo, PayState, proves
from core.wallet.node import OwnNode
from core.wallet.outgoing import Order
from core.wallet.payment import Payment
from core.wallet.payments import Payments
from core.wallet.reconcile import Comparison, Reconciler
from tests.depth import depth
from tests.fakes import FakeClock, FakeIds, IdleSelector
from tests.property.checks import balanced
from tests.property.mortal import Blow, Hub, Killed, MortalDatabase, new_book
from tests.twin_node import WHOLE, Fault, Line, Twin, decode, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.health import Health
    from core.wallet.outgoing import PaymentTx

OWNER, ANN, WHALE = (
    Caller("console:owner", Role.OWNER),
    Caller("telegram:1", Role.PAYER),
    Caller("matrix:@whale:example.org", Role.PAYER),
)
PEOPLE = (OWNER, ANN, WHALE)
GRANTS = {OWNER.name: 10_000, ANN.name: 300, WHALE.name: MAX_SATS}
NODE = "node:simulated"
SECOND, HOUR = 1000, 3_600_000
UNFINISHED = {"prepared", "sending", "unknown"}
KINDS = (WHOLE, WHOLE, WHOLE._replace(once=False), WHOLE._replace(once=False, hold=False))
CALM_SECONDS = (0, 1, 2, 4, 8, 16, 32, *[61] * 6)

SENDS = (
    Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.DELAYED, Fault.HANGS, Fault.IN_FLIGHT, Fault.REFUSED, Fault.NO_ROUTE,
    Fault.NO_RECEIPT, Fault.WRONG_RECEIPT, Fault.FEE_ABOVE, Fault.ABSURD, Fault.LIES, Fault.KILL_BEFORE, Fault.KILL_AFTER,
)  # fmt: skip
LOOKS = (Fault.LOST_BEFORE, Fault.UNKNOWN, Fault.NO_RECEIPT, Fault.WRONG_RECEIPT, Fault.ABSURD, Fault.KILL_BEFORE)
OTHERS = (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.KILL_BEFORE, Fault.KILL_AFTER)
FAULTS = {
    "pay": SENDS, "track": LOOKS, "create": OTHERS, "cancel": OTHERS, "balance": OTHERS, "info": OTHERS, "settlement": OTHERS,
}  # fmt: skip

NEW_BOOK: list[bytes] = []
"""A database whose people have been granted sats, made once."""

EXAMPLES: Counter[str] = Counter()
"""What was tried, for whoever wants to know."""

any_number = st.integers(0, 999)
people = st.sampled_from(PEOPLE)
amounts = st.one_of(st.integers(1, 400), st.sampled_from([9_000, MAX_SATS // 2, MAX_SATS])).map(to_msat)


class Freeze:
    """`core.wallet.outgoing.Guard`, with nothing but a switch."""

    on = False

    def spend(self, tx: PaymentTx, order: Order, payment: Payment) -> None:
        """Anybody may."""

    def spent(self, tx: PaymentTx, payment: Payment, amount: int) -> None:
        """Nothing is counted."""

    def halts(self, tx: PaymentTx) -> str:
        return "all is frozen" if self.on else ""


class PayingHub(Hub):
    """One life of what pays and is paid."""

    def __init__(self, twin: Twin, guard: Freeze, *parts: Any) -> None:
        super().__init__(*parts)
        self.twin = twin
        self.guard = guard
        self.payments: Payments
        self.invoices: Invoices
        self.reconciler: Reconciler

    async def _live(self, blow: Blow | None) -> None:
        async with MortalDatabase.open(self.path, self._clock) as store, Nursery() as nursery:
            assert isinstance(store, MortalDatabase)
            await self._opened(store, blow)
            own = OwnNode(store, Line(self.twin, store.die, lambda: self.dead), self._clock)
            self.payments = Payments(store, own, self._clock, nursery, reading, self.guard)
            self.invoices = Invoices(store, own, self._clock)
            self.reconciler = Reconciler(store, own)
            supervisor = Supervisor(nursery, self._clock, cast("Health", SimpleNamespace(parts={})))
            supervisor.start("lightning", self.invoices.run)
            supervisor.start("payments", self.payments.run)
            self._ready = True
            await self._stop.wait()

    async def begin(
        self, *calls: Coroutine[Any, Any, object], meanwhile: Callable[[], object] = bool
    ) -> list[asyncio.Task[object]]:
        """Start calls side by side, and let everything run that can."""
        meanwhile()
        tasks = [asyncio.get_running_loop().create_task(call) for call in calls]
        await self._selector.idle()
        return tasks


@dataclass(frozen=True)
class Command:
    """Something asked of the hub under a key; asked again it is the same. `digest`: of the payment, where it is one."""

    words: str
    run: Callable[[PayingHub], Coroutine[Any, Any, object]]
    digest: bytes = b""


class Lightning(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="payments-"))
        self.selector = IdleSelector()
        self.runner = asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(self.selector))
        self.clock = FakeClock()
        self.twin = Twin(self.clock)
        self.guard = Freeze()
        self.count = 0
        self.running: list[tuple[Command, asyncio.Task[object]]] = []
        self.answered: list[Command] = []
        self.unanswered: list[Command] = []
        self.told: set[bytes] = set()
        self.closed: dict[int, tuple[str, int]] = {}
        self.next_blow: Blow | None = None
        EXAMPLES["examples"] += 1

    # Lives -----------------------------------------------------------------------------------------------------

    @initialize(pace=st.lists(st.integers(0, 2), min_size=1, max_size=7), traits=st.sampled_from(KINDS))
    def begin(self, pace: list[int], traits: Any) -> None:
        self.pace = itertools.cycle(pace)
        self.twin.traits = traits
        path = self.folder / "000" / "hub.db"
        path.parent.mkdir()
        if not NEW_BOOK:
            self.runner.run(new_book(path, self.clock, GRANTS))
            NEW_BOOK.append(path.read_bytes())
        path.write_bytes(NEW_BOOK[0])
        self._start(path)

    def _start(self, path: Path, blow: Blow | None = None) -> None:
        self.hub = PayingHub(
            self.twin, self.guard, path, self.clock, FakeIds(f"life {path.parent.name}"), self.selector, self.pace
        )
        self.runner.run(self.hub.start(blow))
        self.view = connect_reader(path)

    def _bury(self) -> Path:
        """End this life; whoever waited is not answered."""
        self.view.close()
        for command, task in self.running:
            task.cancel()
            self.unanswered.append(command)
        self.runner.run(self._gone([task for _, task in self.running]))
        self.running = []
        self.runner.run(self.hub.end())
        return self.hub.store.image if self.hub.dead else self.hub.path

    async def _gone(self, tasks: list[asyncio.Task[object]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self, *commands: Command, meanwhile: Callable[[], object] = bool) -> None:
        """Ask side by side, and look at what came back."""
        calls = (command.run(self.hub) for command in commands)
        tasks = self.runner.run(self.hub.begin(*calls, meanwhile=meanwhile))
        self.running += zip(commands, tasks, strict=True)
        self._hear()

    def _hear(self) -> None:
        """Take the answers that came; after a kill, start again from the image."""
        still = []
        for command, task in self.running:
            if not task.done():
                still.append((command, task))
                continue
            error = task.exception()
            if error is None:
                self.answered.append(command)
                EXAMPLES["answers"] += 1
                if isinstance(task.result(), Payment) and cast("Payment", task.result()).over:
                    self.told.add(command.digest)
            elif isinstance(error, Killed | NotWritten):
                self.unanswered.append(command)
            else:
                assert isinstance(error, HubError), f"{command.words}: {error!r}"
        self.running = still
        while self.hub.dead:
            EXAMPLES["kills"] += 1
            blow, self.next_blow = self.next_blow, None
            self._start(self._bury(), blow)

    def teardown(self) -> None:
        with ExitStack() as leaving:  # whatever is red: what stays open is blamed on the next test
            leaving.callback(shutil.rmtree, self.folder)
            leaving.callback(self.runner.close)
            if not hasattr(self, "view"):
                return
            try:
                self._all_ends_well()
            finally:
                path = self._bury()
            self._flip(path)

    def _all_ends_well(self) -> None:
        """The node is well again, and time passes: everything comes to its end, is booked, and compares exactly."""
        self.hub.store.blow = self.next_blow = None
        self.twin.faults.clear()
        self.twin.down, self.twin.lie, self.guard.on = False, 0, False
        self.twin.who = self.twin.who._replace(node="02aa")
        for seconds in CALM_SECONDS:
            self._ask(meanwhile=lambda s=seconds: self._well(s))  # type: ignore[misc]
        self.all_holds()
        for digest, state in self.view.execute("SELECT payment_hash, state FROM payment"):
            lost = digest not in self.twin.payments and not self.twin.traits.once
            assert state not in UNFINISHED or lost, f"{digest.hex()[:8]} never ended"
        booked = {digest for (digest,) in self.view.execute("SELECT payment_hash FROM txn WHERE kind = 'invoice'")}
        assert booked == {one.payment_hash for one in self.twin.settlements}
        unbooked = sum(self.twin.sent(digest) for digest in self._unbooked())
        moved = self._recon_moved()
        self._ask(self._compare())
        books, node, flight = self.view.execute("SELECT books, node, in_flight FROM recon ORDER BY id DESC").fetchone()
        assert books - moved == node + unbooked
        assert self.twin.lied or flight or moved or books == node

    def _well(self, seconds: int) -> None:
        self.twin.arrive()
        self.twin.release()
        for digest, outcome in list(self.twin.payments.items()):
            if outcome.state is PayState.IN_FLIGHT:
                self.twin.land(digest, well=bool(digest[0] % 2))
        self.twin.news += self.twin.settlements
        self.twin.push()
        self.clock.advance(seconds * SECOND)

    def _flip(self, path: Path) -> None:
        """10: the chain verifies, and one flipped byte is found."""
        with closing(connect_reader(path)) as last:
            UnitOfWork(last).books.prove()
        copy = path.with_name("flipped.db")
        with closing(_writable(path)) as source, closing(_writable(copy)) as flipped:
            source.backup(flipped)
            flipped.execute("DROP TRIGGER txn_is_final")
            flipped.execute("UPDATE txn SET reason = char(unicode(reason) + 1) || substr(reason, 2) WHERE id = 1")
            with pytest.raises(BooksBroken):
                UnitOfWork(flipped).books.prove()

    # Commands --------------------------------------------------------------------------------------------------

    def _key(self) -> str:
        self.count += 1
        return f"k{self.count}"

    def _pay(self, caller: Caller, bolt11: str, amount: int | None = None, most: int | None = None) -> Command:
        order = Order(bolt11, user_account(caller.name), caller, "console:1", self._key(), amount, most)
        return Command(
            f"{caller.name} pays {bolt11}", lambda hub: hub.payments.pay(order), decode(bolt11).payment_hash
        )  # fmt: skip

    def _invoice(self, caller: Caller, amount: int) -> Command:
        key, account = self._key(), user_account(caller.name)
        return Command(
            f"{caller.name} asks for {amount}",
            lambda hub: hub.invoices.create(account, amount, "", actor=caller.name, conversation="", key=key),
        )

    def _compare(self) -> Command:
        async def run(hub: PayingHub) -> object:
            made = await hub.reconciler.compare()
            assert isinstance(made, Comparison)
            return made

        return Command("compare", run)

    def _any_ask(self, number: int) -> str:
        """Mostly one of the newest."""
        some = list(self.twin.asks)[-3 if number % 4 else 0 :]
        return some[number // 4 % len(some)]

    # Rules -----------------------------------------------------------------------------------------------------

    @rule(
        caller=people,
        amount=amounts,
        fee=st.sampled_from([0, 1_000, 2_000, 9_000]),
        fault=st.sampled_from([None, *SENDS]),
    )
    def pay(self, caller: Caller, amount: int, fee: int, fault: Fault | None) -> None:
        """A new invoice of the world is paid; now and then its amount is the payer's choice."""
        if fault:
            self.twin.fail("pay", fault)
        chosen = amount % 7_000 == 0
        bolt11 = self.twin.outside_asks(None if chosen else amount, fee)
        self._ask(self._pay(caller, bolt11, amount if chosen else None))

    @precondition(lambda self: self.twin.asks)
    @rule(caller=people, number=any_number, other=people, both=st.booleans(), fault=st.sampled_from([None, *SENDS]))
    def pay_it_again(self, caller: Caller, number: int, other: Caller, both: bool, fault: Fault | None) -> None:
        """An invoice that was paid, failed or is on its way is paid once more, or by two at once."""
        if fault:
            self.twin.fail("pay", fault)
        bolt11 = self._any_ask(number)
        amount = None if self.twin.asks[bolt11].amount else to_msat(7)
        commands = [self._pay(caller, bolt11, amount), *([self._pay(other, bolt11, amount)] if both else [])]
        self._ask(*commands)

    @precondition(lambda self: self.twin.asks)
    @rule(caller=people, number=any_number, amount=st.one_of(st.none(), amounts))
    def pay_another_of_the_same_hash(self, caller: Caller, number: int, amount: int | None) -> None:
        """Whoever asked once asks again under the same payment hash, for another amount."""
        bolt11 = self.twin.outside_asks(amount, 0, like=self._any_ask(number))
        self._ask(self._pay(caller, bolt11, None if amount else to_msat(3)))

    @rule(caller=people, amount=amounts, times=st.integers(1, 2))
    def ask_for_sats(self, caller: Caller, amount: int, times: int) -> None:
        self._ask(*[self._invoice(caller, amount)] * times)

    @precondition(lambda self: self.twin.invoices)
    @rule(caller=people, number=any_number, races=st.booleans())
    def pay_one_of_ours(self, caller: Caller, number: int, races: bool) -> None:
        """Somebody here pays what somebody here asked for; perhaps while somebody outside does."""
        found = list(self.twin.invoices.values())[number % len(self.twin.invoices)]
        self._ask(
            self._pay(caller, found.bolt11),
            meanwhile=lambda: races and self.twin.outside_pays(found.payment_hash),
        )

    @precondition(lambda self: self.twin.invoices)
    @rule(number=any_number, more=st.booleans(), told=st.integers(0, 2), order=st.booleans())
    def somebody_pays_us(self, number: int, more: bool, told: int, order: bool) -> None:
        """The stream tells of it twice, or later, or in another order."""
        found = list(self.twin.invoices.values())[number % len(self.twin.invoices)]
        self.twin.outside_pays(found.payment_hash, min(found.amount + 1_500, to_msat(MAX_SATS)) if more else None, told)
        if order:
            self.twin.news.reverse()
        self._ask(meanwhile=self.twin.push if told else bool)

    @precondition(lambda self: any(one.state is PayState.IN_FLIGHT for one in self.twin.payments.values()))
    @rule(well=st.booleans())
    def land(self, well: bool) -> None:
        """What is in flight arrives, or comes back."""
        flying = [digest for digest, one in self.twin.payments.items() if one.state is PayState.IN_FLIGHT]
        self._ask(meanwhile=lambda: self.twin.land(flying[0], well=well))

    @precondition(lambda self: self.twin.on_the_way or self.twin.hung)
    @rule()
    def late(self) -> None:
        """What was delayed arrives, and late answers come."""
        self.twin.arrive()
        self._ask(meanwhile=self.twin.release)

    @rule(ms=st.sampled_from([SECOND, 11 * SECOND, 61 * SECOND, 71 * SECOND, HOUR + 1]))
    def time_passes(self, ms: int) -> None:
        self._ask(meanwhile=lambda: self.clock.advance(ms))

    @rule(ms=st.sampled_from([5 * SECOND, HOUR]))
    def clock_is_set_back(self, ms: int) -> None:
        self.clock.set_back(ms)
        self._ask()

    @rule(call=st.sampled_from(sorted(FAULTS)), choice=any_number)
    def node_misbehaves(self, call: str, choice: int) -> None:
        """The next call of a kind meets something."""
        self.twin.fail(call, FAULTS[call][choice % len(FAULTS[call])])

    @rule(what=st.sampled_from(["down", "who", "lie", "frozen"]), stays=any_number)
    def switch(self, what: str, stays: int) -> None:
        """The node is down, another one, or lies about what it has, or nothing may leave; mostly for half a minute."""
        self._toggle(what)
        self._ask(meanwhile=lambda: self.clock.advance(31 * SECOND))
        if stays % 5:
            self._toggle(what)
            self._ask(meanwhile=lambda: self.clock.advance(31 * SECOND))

    def _toggle(self, what: str) -> None:
        match what:
            case "down":
                self.twin.down = not self.twin.down
            case "who":
                who = self.twin.who
                self.twin.who = NodeInfo(who.network, "03cc" if who.node == "02aa" else "02aa", 1, synced=True)
            case "lie":
                self.twin.lie = 0 if self.twin.lie else 5_000 * SECOND
            case _:
                self.guard.on = not self.guard.on

    @precondition(lambda self: self.view.execute("SELECT 1 FROM book").fetchone())
    @rule(books=st.booleans())
    def reconcile(self, books: bool) -> None:
        """The node is compared with the books; a difference is booked."""
        self._ask(self._compare())
        found = self.view.execute("SELECT id FROM recon ORDER BY id DESC").fetchone()
        if books and found:
            number = found[0]
            self._ask(*[Command("book it", lambda hub: hub.reconciler.book(OWNER, number))] * 2)

    @precondition(lambda self: self.answered and not (self.hub.store.blow or self.hub.store.struck))
    @rule()
    def replay(self) -> None:
        """6: what had its effect changes nothing when it all comes again, key for key, whatever happened since."""
        unfinished = self._rows("payment", UNFINISHED)
        for command in self.answered:
            if command.words == "compare" or command.digest in unfinished:
                continue
            before = self.view.execute("PRAGMA data_version").fetchone()
            (task,) = self.runner.run(self.hub.begin(command.run(self.hub)))
            assert task.done(), f"{command.words} again never came back"
            with suppress(HubError):
                task.result()
            assert self.view.execute("PRAGMA data_version").fetchone() == before, (
                f"{command.words} again moved something"
            )
            EXAMPLES["replays"] += 1

    @precondition(lambda self: self.unanswered)
    @rule(number=any_number)
    def repeat(self, number: int) -> None:
        """A command that nobody answered, because of a kill or a full disk, comes once more, with its key."""
        self._ask(self.unanswered.pop(number % len(self.unanswered)))

    @precondition(lambda self: not self.hub.store.blow)
    @rule(
        blow=st.sampled_from(Blow), countdown=st.integers(0, 3), then=st.sampled_from([None, Blow.BEFORE, Blow.AFTER])
    )
    def fault(self, blow: Blow, countdown: int, then: Blow | None) -> None:
        """One of the next commits is struck; and the life after a kill may be struck as it recovers."""
        self.hub.store.blow, self.hub.store.countdown, self.next_blow = blow, countdown, then

    @rule()
    def restart(self) -> None:
        """An orderly stop and start."""
        self._start(self._bury())

    # Invariants ------------------------------------------------------------------------------------------------

    @invariant()
    def all_holds(self) -> None:
        EXAMPLES["steps"] += 1
        assert balanced(self.view) <= {"external", NODE, "fees:routing", "suspense"}
        self.entries = self._entries()
        self.invoices_are_the_nodes()
        self.payments_are_the_nodes()
        self.the_node_has_what_the_books_say()
        self.holds_close_once()
        self.nobody_waits_for_a_word()
        UnitOfWork(self.view).books.prove()

    def _entries(self) -> dict[str, dict[str, int]]:
        entries: dict[str, dict[str, int]] = {}
        for key, account, amount in self.view.execute("SELECT key, account, amount FROM txn JOIN posting ON txn = id"):
            entries.setdefault(key, {})[account] = amount
        return entries

    def _rows(self, table: str, states: set[str]) -> set[bytes]:
        rows = self.view.execute(f"SELECT payment_hash, state FROM {table}")  # noqa: S608 - a name of a table
        return {digest for digest, state in rows if state in states}

    def payments_are_the_nodes(self) -> None:
        """4, 7: what is booked left once, as much as that; what failed never did; what is not over is set aside."""
        holds = {number: row for number, *row in self.view.execute("SELECT id, account, amount, state FROM hold")}
        ours = dict(self.view.execute("SELECT payment_hash, account FROM invoice").fetchall())
        query = "SELECT payment_hash, account, amount, fee_limit, state, hold, preimage, fee FROM payment"
        for digest, account, amount, limit, state, hold, preimage, fee in self.view.execute(query):
            left = self.twin.left.get(digest, [])
            assert len(left) <= 1, f"{digest.hex()[:8]} was paid twice"
            entry = self.entries.pop(f"payment:{digest.hex()}", None)
            kept = {"succeeded": "posted", "failed": "void"}.get(state, "open")
            payer, most, stands = holds.pop(hold)
            assert (payer, stands) == (account, kept)
            # An attempt that was said to have failed may be what was paid: then the row says what that one was for.
            assert most == amount + limit or (digest in self.twin.lied and state == "succeeded")
            if state != "succeeded":
                assert entry is None
                assert state != "failed" or not left or digest in self.twin.lied, "it failed, and left"
            elif digest in ours:
                assert entry == {account: -amount, ours[digest]: amount}
                assert left == []
            else:
                assert proves(preimage, digest)
                assert amount + fee == left[0]
                expected = {account: -min(left[0], most), NODE: left[0], "fees:routing": min(0, most - left[0])}
                assert entry == {name: moved for name, moved in expected.items() if moved}
        assert all(row[2] == "void" for row in holds.values()), "a hold of nothing"
        assert [key for key in self.entries if key.split(":")[0] not in {"book", "recon"}] == []

    def invoices_are_the_nodes(self) -> None:
        """What was settled at the node is booked once, with what came, for whoever asked."""
        events = Counter(
            json.loads(data)["invoice"]
            for (data,) in self.view.execute("SELECT data FROM event WHERE kind = 'InvoiceSettled'")
        )
        rows = dict(self.view.execute("SELECT payment_hash, account FROM invoice").fetchall())
        inside = {digest for digest in rows if f"payment:{digest.hex()}" in self.entries}
        came = {digest for digest in self.twin.invoices if f"invoice:{digest.hex()}" in self.entries}
        for digest in came:
            found = self.twin.invoices[digest]
            assert found.state is InvoiceState.SETTLED
            account = rows.get(digest, "suspense")
            assert self.entries.pop(f"invoice:{digest.hex()}") == {NODE: -found.received, account: found.received}
        assert not inside & came, "paid inside and outside"
        settled = self._rows("invoice", {"settled"})
        assert settled == inside | (came & set(rows))
        assert events == Counter(digest.hex() for digest in settled)

    def _recon_moved(self) -> int:
        (moved,) = self.view.execute(
            "SELECT coalesce(sum(amount), 0) FROM posting JOIN txn ON id = txn WHERE kind = 'reconcile' AND account = ?",
            (NODE,),
        ).fetchone()
        return -int(moved)

    def _unbooked(self) -> list[bytes]:
        booked = {digest for (digest,) in self.view.execute("SELECT payment_hash FROM txn WHERE kind = 'payment'")}
        return [digest for digest in self.twin.left if digest not in booked]

    def the_node_has_what_the_books_say(self) -> None:
        """9: node balance + what left and is not booked = the node's account + what came and is not booked."""
        row = self.view.execute("SELECT posted FROM account WHERE name = ?", (NODE,)).fetchone()
        if row is None:
            return
        left = sum(self.twin.sent(digest) for digest in self._unbooked())
        booked = {digest for (digest,) in self.view.execute("SELECT payment_hash FROM txn WHERE kind = 'invoice'")}
        came = sum(one.received for one in self.twin.settlements if one.payment_hash not in booked)
        assert -row[0] - self._recon_moved() + came == self.twin.balance + left

    def holds_close_once(self) -> None:
        """4."""
        for number, state, amount in self.view.execute("SELECT id, state, amount FROM hold"):
            assert self.closed.get(number, (state, amount)) == (state, amount)
            if state != "open":
                self.closed[number] = (state, amount)

    def nobody_waits_for_a_word(self) -> None:
        """An end that counts as told was an answer, or is the answer of a command that will come again."""
        query = "SELECT data FROM event WHERE kind IN ('PaymentSucceeded', 'PaymentFailed')"
        ends = [json.loads(data) for (data,) in self.view.execute(query)]
        again = {command.digest for command in (*self.unanswered, *(command for command, _ in self.running))}
        for end in ends:
            digest = bytes.fromhex(end["payment"])
            assert not end["answered"] or digest in self.told | again, f"nobody was told of {end}"
        over = Counter(end["payment"] for end in ends)
        query = "SELECT payment_hash, attempt, state FROM payment"
        for digest, attempt, state in self.view.execute(query):
            assert over[digest.hex()] == attempt - (state in UNFINISHED), "each attempt ends with one word"


def _writable(path: Path) -> Any:
    import sqlite3  # noqa: PLC0415 - for this alone

    return sqlite3.connect(path)


PROFILE = settings(
    max_examples=depth(2, 300),
    stateful_step_count=25,
    deadline=None,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@pytest.mark.deep
@pytest.mark.timeout(600)  # a red run shrinks its example
def test_no_sat_moves_that_should_not() -> None:
    run_state_machine_as_test(Lightning, settings=PROFILE)
    print(dict(EXAMPLES))  # noqa: T201 - for `-s`


@pytest.mark.kill_sweep
@pytest.mark.timeout(7200)
def test_no_sat_moves_that_should_not_over_a_long_sweep() -> None:
    run_state_machine_as_test(Lightning, settings=settings(PROFILE, max_examples=4000, stateful_step_count=50))
    print(dict(EXAMPLES))  # noqa: T201
