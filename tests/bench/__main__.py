"""`make bench`: each figure against a limit measured in the same run, as the median of interleaved runs.

Exit 1 if a limit is missed. `--quick` makes fewer and shorter runs, `--only NAME` those lines whose name holds NAME.
"""

from __future__ import annotations

import argparse
import operator
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.bench import footprint, latency, lives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DURABLE = "synchronous=FULL"


class Line(NamedTuple):
    """A line of the table: our figure, what it is held against, their ratio, and the limit (`>= 0.15`, `<= 5`)."""

    name: str
    ours: str
    against: str
    figure: float
    limit: str

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        sign, _, bound = self.limit.partition(" ")
        return bool({">=": operator.ge, "<=": operator.le}[sign](self.figure, float(bound)))


def _interleaved(runs: int, *measures: Callable[[], float]) -> list[list[float]]:
    rounds = [[measure() for measure in measures] for _ in range(runs)]
    return [list(column) for column in zip(*rounds, strict=True)]


def _lives(runs: int, scale: int) -> Iterator[Line]:
    ours, grouped, stepped = _interleaved(
        runs,
        lambda: lives.ours(300 * scale),
        lambda: lives.plain(600 * scale, 32),
        lambda: lives.plain(200 * scale, None),
    )
    mine = statistics.median(ours)
    for name, theirs, limit in (("32 lives a commit", grouped, ">= 0.15"), ("five commits a life", stepped, ">= 1.5")):
        ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
        against = f"plain sqlite3, {name}: {statistics.median(theirs):,.0f}/s"
        yield Line(f"lives, 32 in flight [{DURABLE}]", f"{mine:,.0f}/s", against, ratio, limit)


def _hops(_runs: int, scale: int) -> Iterator[Line]:
    hops, commits, writes = lives.hops(100 * scale)
    yield Line(
        "thread hops a transaction", f"{hops:,} for {commits:,} commits of {writes:,}", "one", hops / commits, "<= 1"
    )


def _latency(_runs: int, scale: int) -> Iterator[Line]:
    for busy in (False, True):
        found = latency.latencies(0.8 * scale, busy=busy)
        for command, values in found.items():
            what = f"{command.split()[0]} by {latency.CALLERS} callers{', agent and skill busy' if busy else ''} [{DURABLE}]"
            for name, share, limit in (("p50", 0.5, "<= 5"), ("p99", 0.99, "<= 20")):
                ms = latency.at(values, share)
                yield Line(f"{what} {name}", f"{ms:.1f} ms", f"{len(values):,} commands", ms, limit)


def _footprint(runs: int, _scale: int) -> Iterator[Line]:
    with footprint.data_folder() as folder:
        path = Path(folder)
        for name, measure, unit, limit in (
            ("timmy --help", footprint.help_seconds, "s", "<= 1.5"),
            ("start to ready", lambda: footprint.start_seconds(path), "s", "<= 1.4"),
            ("resident, console alone", lambda: footprint.resident_mb(path), "MB", "<= 1.3"),
        ):
            rounds = [measure() for _ in range(2 * runs - 1)]
            ours, floor = (statistics.median(column) for column in zip(*rounds, strict=True))
            yield Line(name, f"{ours:.3g} {unit}", f"its libraries alone: {floor:.3g} {unit}", ours / floor, limit)


GROUPS = {"lives": _lives, "hops": _hops, "latency": _latency, "footprint": _footprint}


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", choices=["", *GROUPS])
    options = parser.parse_args()
    runs, scale = (3, 2) if options.quick else (5, 5)
    missed = 0
    for name, measure in GROUPS.items():
        if options.only in {"", name}:
            for line in measure(runs, scale):
                missed += not line.kept
                verdict = "kept" if line.kept else "MISSED"
                print(
                    f"{line.name:62} {line.ours:>26}  {line.against:46} {line.figure:8.2f}  {line.limit:8} {verdict}",
                    flush=True,
                )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
