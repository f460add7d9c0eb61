"""`make bench`: each figure against a limit measured in the same run, as the median of interleaved runs.

Exit 1 if a limit is missed. `--quick` makes fewer and shorter runs, `--only NAME` one group of lines, `--long` (`make bench-long`)
those that take minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import operator
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from core.spark.forecast import COVERED
from tests.bench import (
    book,
    footprint,
    gate,
    gateways,
    hearing,
    latency,
    lives,
    matrix,
    memory,
    nlu,
    past,
    pollers,
    queues,
    spark,
    stream,
    telegram,
    workers,
)
from tests.voice.score import KEPT, WORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DURABLE = "synchronous=FULL"


class Line(NamedTuple):
    """A line of the table: our figure, what it is held against, their ratio, and the limit (`>= 0.15`; none: told only)."""

    name: str
    ours: str
    against: str
    figure: float
    limit: str = ""
    durable: str = ""

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        sign, _, bound = self.limit.partition(" ")
        return not sign or bool({">=": operator.ge, "<=": operator.le}[sign](self.figure, float(bound)))

    def __str__(self) -> str:
        verdict = "MISSED" if not self.kept else "kept" if self.limit else "-"
        return _row(self.name, self.ours, self.against, f"{self.figure:.2f}", self.limit, verdict, self.durable)


class Effort(NamedTuple):
    """How much is measured: rounds of each line, lives in a round, seconds of commands in a round, postings in a long book."""

    rounds: int
    lives: int
    seconds: float
    postings: int


QUICK = Effort(rounds=3, lives=500, seconds=0.7, postings=100_000)
WHOLE = Effort(rounds=5, lives=1500, seconds=3.0, postings=1_000_000)


def _row(*cells: str) -> str:
    name, ours, against, figure, limit, verdict, durable = cells
    return f"{name:46} {ours:>20}  {against:44} {figure:>7}  {limit:8} {verdict:7} {durable}".rstrip()


def _interleaved(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    found = [[measure() for measure in measures] for _ in range(rounds)]
    return [list(column) for column in zip(*found, strict=True)]


def _lives(effort: Effort) -> Iterator[Line]:
    rows = lives.same_rows()
    ours, grouped, stepped = _interleaved(
        effort.rounds,
        lambda: lives.ours(effort.lives),
        lambda: lives.plain(2 * effort.lives, lives.IN_FLIGHT),
        lambda: lives.plain(effort.lives // 2, None),
    )
    mine = statistics.median(ours)
    for what, theirs, limit in (
        ("32 lives a commit", grouped, ">= 0.15"),
        ("five commits a life", stepped, ">= 1.5"),
    ):
        ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
        against = f"plain sqlite3: {statistics.median(theirs):,.0f}/s"
        yield Line(f"lives, 32 in flight; {what}", f"{mine:,.0f}/s", against, ratio, limit, DURABLE)
    yield Line("lives: rows alike in both databases", f"{rows:,}", f"{rows:,}", 1.0)


def _hops(effort: Effort) -> Iterator[Line]:
    for in_flight in (lives.IN_FLIGHT, 1):
        found = lives.hops(effort.lives // 3, in_flight)
        yield Line(
            f"thread hops a transaction, {in_flight} in flight", f"{found.hops:,}",
            f"{found.commits:,} commits of {found.writes:,} functions", found.hops / found.commits, "<= 1", DURABLE,
        )  # fmt: skip


def _transfers(effort: Effort) -> Iterator[Line]:
    rows = book.same_rows()
    pairs = []
    for _ in range(effort.rounds):
        ours = book.ours(6 * effort.lives)
        pairs.append((ours, book.plain(6 * effort.lives, round(ours.together))))
    mine, theirs = (
        statistics.median(column) for column in zip(*((one.rate, other) for one, other in pairs), strict=True)
    )
    ratio = statistics.median(one.rate / other for one, other in pairs)
    together = statistics.median(one.together for one, _ in pairs)
    yield Line(
        f"transfers, {book.CALLERS} callers; {together:.0f} a commit", f"{mine:,.0f}/s", f"plain sqlite3: {theirs:,.0f}/s", ratio,
        ">= 0.25", DURABLE,
    )  # fmt: skip
    yield Line("transfers: rows alike in both databases", f"{rows:,}", f"{rows:,}", 1.0)


def _verify(effort: Effort) -> Iterator[Line]:
    with book.long_book(effort.postings) as path:
        ours, theirs = _interleaved(
            3, lambda: book.verify_seconds(path, effort.postings), lambda: book.scan_seconds(path)
        )
        ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
        against = f"its rows read and hashed as text: {statistics.median(theirs):.2f} s"
        mine = f"{statistics.median(ours):.2f} s"
        yield Line(f"ledger verify, {effort.postings:,} postings", mine, against, ratio, "<= 3")


def _latency(effort: Effort) -> Iterator[Line]:
    for busy in (False, True):
        for command, found in latency.latencies(effort.rounds, effort.seconds, busy=busy).items():
            what = f"{command.split()[0]} by {latency.CALLERS}{', agent and skill at work' if busy else ''}"
            for share, limit in ((50, "<= 5"), (99, "<= 20")):
                ours, disk = found.milliseconds(share)
                against = f"one fdatasync, p{share}: {disk:.1f} ms"
                yield Line(f"{what}, p{share} ms", f"{ours:.1f} ms", against, ours, limit, DURABLE)


def _footprint(effort: Effort) -> Iterator[Line]:
    with footprint.data_folder() as folder:
        path = Path(folder)
        for name, measure, unit, limit in (
            ("timmy --help", footprint.help_seconds, "s", "<= 1.5"),
            ("start to ready", lambda: footprint.start_seconds(path), "s", "<= 1.4"),
            ("resident, console alone", lambda: footprint.resident_mb(path), "MB", "<= 1.3"),
        ):
            pairs = [measure() for _ in range(effort.rounds + 2)]
            ours, floor = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(one / other for one, other in pairs)
            yield Line(name, f"{ours:.3g} {unit}", f"its libraries alone: {floor:.3g} {unit}", ratio, limit)
        if footprint.is_set_up():
            prompt = statistics.median(footprint.prompt_seconds(path) for _ in range(3))
            yield Line(
                "make run, the second time, to the prompt", f"{prompt:.2f} s", "meant to stay under 2 s", prompt / 2
            )


def _telegram(effort: Effort) -> Iterator[Line]:
    each = 25 * effort.rounds
    pairs = [(telegram.rate(telegram.hub, each), telegram.rate(telegram.echo, each)) for _ in range(effort.rounds)]
    ours, theirs = (statistics.median(one[side][0] for one in pairs) for side in (0, 1))
    ratio = statistics.median(one[0] / other[0] for one, other in pairs)
    ordered = all(one[1] for one, _ in pairs)
    name = f"Telegram, {telegram.CHATS} chats at once, {'in order' if ordered else 'OUT OF ORDER'}"
    yield Line(
        name, f"{ours:,.0f}/s", f"default PTB echo: {theirs:,.0f}/s", ratio if ordered else 0.0, ">= 1.5", DURABLE
    )
    runs = [
        (
            telegram.paced(telegram.hub, 2 * effort.seconds, flood=True),
            telegram.paced(telegram.echo, 2 * effort.seconds, flood=False),
        )
        for _ in range(effort.rounds)
    ]
    mine, peer = (statistics.median(latency.at(one[side], 0.5) for one in runs) for side in (0, 1))
    half = statistics.median(latency.at(one, 0.5) / latency.at(other, 0.5) for one, other in runs)
    yield Line(
        "Telegram, 100 a second, one chat in a flood, p50", f"{mine:.1f} ms", f"default PTB echo, no flood: {peer:.1f} ms",
        half, "<= 1.5", DURABLE,
    )  # fmt: skip
    worst, theirs = (statistics.median(latency.at(one[side], 0.99) for one in runs) for side in (0, 1))
    yield Line(
        "Telegram, 100 a second, one chat in a flood, p99 ms", f"{worst:.1f} ms", f"default PTB echo, no flood: {theirs:.1f} ms",
        worst, "<= 50", DURABLE,
    )  # fmt: skip
    idle = telegram.idle_kilobytes(1000)
    yield Line(
        "Telegram, one of 1,000 idle conversations, kB", f"{idle:.1f} kB", "meant to stay under 20 kB", idle, "<= 20"
    )


def _streams(effort: Effort) -> Iterator[Line]:
    through, direct = stream.answers(8 * effort.rounds)
    ours, bare = (statistics.median(one.first for one in side) for side in (through, direct))
    yield Line(
        "an answer's first word, ms more", f"{ours:.1f} ms", f"the model server asked directly: {bare:.1f} ms", ours - bare,
        "<= 10", DURABLE,
    )  # fmt: skip
    ours, bare = (statistics.median(one.whole for one in side) for side in (through, direct))
    yield Line(
        f"the whole answer, {stream.WORDS} words", f"{ours:.0f} ms", f"the model server asked directly: {bare:.0f} ms",
        ours / bare, "<= 1.05", DURABLE,
    )  # fmt: skip
    taken, disk = telegram.control(12 * effort.seconds), latency.syncs()
    for command, found in taken.items():
        slow, middle = latency.at(found, 0.99), latency.at(found, 0.5)
        name = f"{command}, {telegram.BUSY} conversations streaming, p99 ms"
        against = f"its p50: {middle:.1f} ms; one fdatasync, p99: {latency.at(disk, 0.99):.1f} ms"
        yield Line(name, f"{slow:.1f} ms", against, slow, "<= 50", DURABLE)


def _matrix(effort: Effort) -> Iterator[Line]:
    if not matrix.is_installed():
        yield Line("Matrix: NOT MEASURED", "-", matrix.SKIPPED, 0.0)
        return
    for room, limit in (("a plain room", "<= 1.3"), ("an encrypted room", "<= 1.5")):
        found = matrix.latencies(effort.rounds, 12 * effort.rounds, encrypted="encrypted" in room)
        halves = {side: [latency.at(one, 0.5) for one in runs] for side, runs in found.items()}
        mine, peer = (statistics.median(column) for column in halves.values())
        ratio = statistics.median(one / other for one, other in zip(*halves.values(), strict=True))
        against = f"bare nio echo: {peer:.1f} ms"
        yield Line(f"Matrix, command to reply in {room}", f"{mine:.1f} ms", against, ratio, limit, DURABLE)
    ours, theirs = matrix.rates(effort.rounds).values()
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    count = matrix.PEOPLE * matrix.EACH
    yield Line(
        f"Matrix, {count} at once from {matrix.PEOPLE} rooms", f"{statistics.median(ours):,.1f}/s",
        f"bare nio echo: {statistics.median(theirs):,.1f}/s", ratio, ">= 0.7", DURABLE,
    )  # fmt: skip


def _nlu(effort: Effort) -> Iterator[Line]:
    texts = nlu.distinct()
    speed = statistics.median(nlu.phrases_a_second(texts) for _ in range(effort.rounds))
    yield Line(f"{len(texts):,} distinct phrases", f"{speed:,.0f}/s", "of one core: 10,000/s", speed / 10_000, ">= 1")
    load = nlu.load_milliseconds(2 * effort.rounds)
    yield Line("the grammar loaded, first answer", f"{load:.1f} ms", "meant to stay under 20 ms", load / 20, "<= 1")
    for file in (KEPT, WORK):
        if file.exists():
            ours, theirs, count = nlu.intents_right(file)
            against = "adapt-parser: not installed" if theirs is None else f"adapt-parser: {theirs:.1%}"
            figure, limit = (1.0, "") if theirs is None else (ours / theirs, ">= 1")
            yield Line(f"intents right of {count} ({file.stem})", f"{ours:.1%}", against, figure, limit)


def _hearing(effort: Effort) -> Iterator[Line]:
    runs = hearing.seconds(effort.rounds + 2)
    took, pause = (statistics.median(column) for column in zip(*runs, strict=True))
    yield Line(
        "a voice note of 3 s heard, on one processor", f"{took:.2f} s", "meant to stay under 0.5 s", took / 0.5, "<= 1"
    )
    worst = max(one for _, one in runs) * 1000
    yield Line(
        "the loop's worst pause meanwhile", f"{worst:.0f} ms", f"meant to stay under 50 ms; usually {pause * 1000:.0f} ms",
        worst / 50, "<= 1",
    )  # fmt: skip


def _gate(effort: Effort) -> Iterator[Line]:
    found = gate.rates(effort.rounds, effort.lives)
    gated, bare, offers = (statistics.median(column) for column in found)
    ratio = statistics.median(one / other for one, other in zip(found.gated, found.bare, strict=True))
    yield Line(
        "L402: tasks posted with a settled token", f"{gated:,.0f}/s", f"the same handler and commit, no gate: {bare:,.0f}/s",
        ratio, ">= 0.5", DURABLE,
    )  # fmt: skip
    yield Line(
        f"L402: 402s with an offer made before, {gate.CALLERS} ask", f"{offers:,.0f}/s", gate.LOAD, offers, ">= 500",
        "nothing is written",
    )  # fmt: skip


def _workers(effort: Effort) -> Iterator[Line]:
    found = workers.rates(effort.rounds, 90 // effort.rounds)
    for name, what, limit, durable in (
        ("reads", "auctions looked for", ">= 0.6", "nothing is written"),
        ("bids", "bids", ">= 0.4", DURABLE),
        ("cycles", "a heartbeat and a result", ">= 0.12", f"{DURABLE}, two commits"),
    ):
        ours, bare = found[name]
        ratio = statistics.median(one.a_second / other.a_second for one, other in zip(ours, bare, strict=True))
        mine, theirs = (statistics.median(one.a_second for one in side) for side in (ours, bare))
        yield Line(
            f"workers: {what}", f"{mine:,.0f}/s", f"bare aiohttp, {workers.LOAD}: {theirs:,.0f}/s", ratio, limit, durable,
        )  # fmt: skip
        ratio = statistics.median(other.cpu / one.cpu for one, other in zip(ours, bare, strict=True))
        cpu, their_cpu = (statistics.median(one.cpu for one in side) for side in (ours, bare))
        yield Line(
            "the same, processor time of the server", f"{cpu:.2f} ms", f"bare aiohttp: {their_cpu:.2f} ms", ratio, "", durable,
        )  # fmt: skip
        if name == "cycles":
            yield Line("workers: the same, a second", f"{mine:,.0f}/s", "", mine, ">= 1000", durable)


def _pollers(effort: Effort) -> Iterator[Line]:
    few = pollers.waking(pollers.FEW, 0, 20 * effort.rounds, bare=False)
    worst = latency.at(sorted(few.one), 0.99)
    middle = latency.at(sorted(few.one), 0.5)
    name = f"{pollers.FEW} workers wait: a task reaches its one, p99 ms"
    yield Line(name, f"{worst:.1f} ms", f"its p50: {middle:.1f} ms", worst, "<= 20", DURABLE)
    bare, many = (pollers.waking(pollers.MANY, effort.rounds, 0, bare=one) for one in (True, False))
    ours, theirs = statistics.median(many.last), statistics.median(bare.last)
    yield Line(
        f"{pollers.MANY:,} workers wait: all woken", f"{ours:.0f} ms", f"bare aiohttp: {theirs:.0f} ms", ours / theirs, "<= 1.5",
        DURABLE,
    )  # fmt: skip
    first, theirs = statistics.median(many.first), statistics.median(bare.first)
    yield Line(
        "the first of them, after two commits, ms", f"{first:.0f} ms", f"bare aiohttp, after none: {theirs:.0f} ms", first,
        "<= 115", DURABLE,
    )  # fmt: skip
    yield Line(
        "one of them, idle, kB",
        f"{many.kilobytes:.1f} kB",
        f"bare aiohttp: {bare.kilobytes:.1f} kB",
        many.kilobytes,
        "<= 15",
    )


def _queues(effort: Effort) -> Iterator[Line]:
    if not queues.is_installed():
        yield Line("jobs against other queues: NOT MEASURED", "-", queues.NO_QUEUES, 0.0)
        return
    each = effort.lives // 3
    with contextlib.ExitStack() as stack:
        programs = queues.postgres_programs()
        peers: dict[str, Callable[[], float]] = {
            "huey, fsync": lambda: queues.huey(each, apart=False),
            "huey, fsync, its consumer apart": lambda: queues.huey(each, apart=True),
        }
        if programs is not None:
            server = stack.enter_context(queues.postgres(programs))
            peers["Procrastinate, synchronous_commit"] = lambda: queues.procrastinate(server, each)
        here, there, *theirs = _interleaved(
            effort.rounds, lambda: queues.in_process(each), lambda: queues.over_http(each), *peers.values()
        )
    for what, ours in (("in process", here), ("over the worker API", there)):
        for peer, other in zip(peers, theirs, strict=True):
            ratio = statistics.median(one / two for one, two in zip(ours, other, strict=True))
            held = ours is here or peer.startswith("Procrastinate")  # huey has no network between, nor money
            yield Line(
                f"jobs, {queues.IN_FLIGHT} under way, {what}", f"{statistics.median(ours):,.0f}/s",
                f"{peer}: {statistics.median(other):,.0f}/s", ratio, ">= 1" if held else "", DURABLE,
            )  # fmt: skip
    if programs is None:
        yield Line("jobs against Procrastinate: NOT MEASURED", "-", queues.NO_POSTGRES, 0.0)


def _past(effort: Effort) -> Iterator[Line]:
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        counts = (past.SHORT, past.LONG if effort is WHOLE else past.LONG // 50)
        folders = tuple(Path(folder, str(count)) for count in counts)
        for count, one in zip(counts, folders, strict=True):
            past.load(one, count)
        after = f"after {counts[1]:,} tasks"
        short, long = past.costs(folders, effort.rounds, effort.lives // 3)
        for what, place, limit in (("a task", 0, "<= 1.5"), ("a task, processor time", 1, "<= 1.5")):
            ratio = statistics.median(one[place] / two[place] for one, two in zip(long, short, strict=True))
            mine, theirs = (statistics.median(one[place] for one in side) for side in (long, short))
            yield Line(
                f"{what}, {after}", f"{mine:.2f} ms", f"after {counts[0]:,}: {theirs:.2f} ms", ratio, limit, DURABLE
            )
        for what, (before, now) in past.looks(folders, effort.rounds).items():
            mine, theirs = statistics.median(now), statistics.median(before)
            limit = "" if what in past.READ_APART else "<= 100"
            yield Line(f"{what}, {after}, ms", f"{mine:.1f} ms", f"after {counts[0]:,}: {theirs:.1f} ms", mine, limit)


LONG: dict[str, Callable[[Effort], Iterator[Line]]] = {"past": _past}
"""What takes minutes."""


def _spark(_: Effort) -> Iterator[Line]:
    ours, lines = spark.beside(spark.KEPT_BACK)
    for name, what, limit in (
        ("winner", "who wins, Brier", "<= 0.75"),
        ("end", "a good end, Brier", "<= 0.93"),
        ("price", "the range of the price", "<= 0.80"),
        ("time", "the range of the time", "<= 0.88"),
    ):
        one = lines[name]
        against = f"base rate {one.ever:.3f}, last {spark.LAST} {one.lately:.3f}; worst {one.worst:.2f}"
        yield Line(f"Spark: {what}", f"{one.ours:.3f}", against, one.ratio, limit)
    for what, inside in (("prices", ours.price_in), ("times", ours.time_in)):
        off = abs(inside - COVERED)
        yield Line(f"Spark: {what} in their range", f"{inside:.1%}", f"meant: {COVERED:.0%}", off, "<= 0.02")


def _redis(effort: Effort) -> Iterator[Line]:
    if gateways.lacking():
        yield Line("redis: NOT MEASURED", "skipped", "redis-server is not installed (apt install redis-server)", 0.0)
        return
    found = gateways.rates(effort.rounds, 150 // effort.rounds)
    for turn, what, durable in (
        ("reads", "auctions looked for", "nothing is written"),
        ("bids", "bids", DURABLE),
        ("cycles", "a heartbeat and a result", f"{DURABLE}, two commits"),
    ):
        here = found[turn]["in process"].each
        for way, rates in found[turn].items():
            ratio = statistics.median(one / other for one, other in zip(rates.each, here, strict=True))
            against = f"in process: {statistics.median(here):,.0f}/s"
            mine = f"{statistics.median(rates.each):,.0f}/s"
            yield Line(f"redis: {what}, {way}", mine, against, ratio, "", f"{durable}; limit: {rates.limit}")
    waits = {
        way: pollers.waking(pollers.FEW, effort.rounds, 4 * effort.rounds, bare=False, gateways=number)
        for number, way in enumerate(gateways.WAYS)
    }
    near = waits["in process"]
    for way, far in waits.items():
        for what, ours, theirs in (("one is woken", far.one, near.one), ("all are woken", far.last, near.last)):
            ms, other = statistics.median(ours), statistics.median(theirs)
            name, against = f"redis: {pollers.FEW} wait, {what}, {way}", f"in process: {other:.1f} ms"
            yield Line(name, f"{ms:.1f} ms", against, ms / other, "", DURABLE)
        name, against = f"redis: each holds in the hub, {way}", f"in process: {near.kilobytes:.1f} kB"
        yield Line(name, f"{far.kilobytes:.1f} kB", against, far.kilobytes / near.kilobytes)


def _memory(effort: Effort) -> Iterator[Line]:
    found = list(memory.searches(memory.FACTS, effort.rounds))
    took = sorted(one for each in found for one in each.took)
    middle, slow = statistics.median(took), latency.at(took, 0.99)
    what = f"memory: facts for a question, of {memory.FACTS:,}, p50 ms"
    yield Line(what, f"{middle:.1f} ms", f"its p99: {slow:.1f} ms", middle, "<= 10", f"{DURABLE}; nothing is written")
    worst = statistics.median(one.worst for one in found)
    yield Line("the same, of common words alone, ms", f"{worst:.1f} ms", f"{memory.MOST} words", worst, "<= 30")
    for kind, limit in (("a rare word", ">= 0.99"), ("common words", ">= 0.95"), ("another form", ">= 0.85")):
        share = statistics.median(one.given[kind] for one in found)
        yield Line(
            f"memory: the fact is given, by {kind}", f"{share:.0%}", f"of {memory.PROBES // 3} questions", share, limit
        )
    near = memory.nearest(memory.FACTS, 20 * effort.rounds)
    middle, slow = (latency.at(sorted(near.took), share) for share in (0.5, 0.99))
    what = f"memory: the nearest of {memory.FACTS:,} vectors, p50 ms"
    yield Line(what, f"{middle:.1f} ms", f"its p99: {slow:.1f} ms", middle, "<= 10")
    yield Line(
        "memory: of the ten nearest it finds", f"{near.found:.0%}", "comparing all of them", near.found, ">= 0.8"
    )


GROUPS: dict[str, Callable[[Effort], Iterator[Line]]] = {
    "lives": _lives, "hops": _hops, "transfers": _transfers, "verify": _verify, "latency": _latency, "footprint": _footprint,
    "nlu": _nlu, "gate": _gate, "hearing": _hearing, "telegram": _telegram, "streams": _streams, "matrix": _matrix,
    "workers": _workers, "pollers": _pollers, "queues": _queues, "spark": _spark,
    "redis": _redis, "memory": _memory,
}  # fmt: skip


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true", help="what takes minutes, and nothing else")
    parser.add_argument("--only", choices={**GROUPS, **LONG}, metavar="NAME", help=", ".join({**GROUPS, **LONG}))
    options = parser.parse_args()
    groups = {**GROUPS, **LONG} if options.only else LONG if options.long else GROUPS
    missed = 0
    print(_row("what", "ours", "held against", "ratio", "limit", "", "durability"), flush=True)
    for name, measure in groups.items():
        if options.only in {None, name}:
            for line in measure(QUICK if options.quick else WHOLE):
                missed += not line.kept
                print(line, flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
