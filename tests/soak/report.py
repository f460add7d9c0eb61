"""The figures of a soak, what is wrong with them, and the page of `docs/` that tells them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak import proof
from tests.soak.phones import Caller
from tests.soak.tally import counted, misheard
from tests.soak.troubles import AFTERMATH_MS, FLOOD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.soak.gauge import Life
    from tests.soak.soak import Soak
    from tests.soak.tally import Said, Shown

PAGE = Path(__file__).parents[2] / "docs" / "soak.md"
MEGABYTES = 1.0
"""Growth of resident memory for 1,000 messages that is still none: a message as the hub holds it has 2 kB, so one that was kept
for ever would show twice that."""

FILES = 12
"""Open files between the halves of a life: each is a connection, and how many are open depends on how many people talk at once."""

THREADS = 2
STOPS = 2
STOP_SECONDS = 5.0
"""CONTRACT: SIGTERM drains and exits 0 within that."""


@dataclass
class Report:
    """What came of a soak: rows of a table (what, figure), and everything that should not be."""

    rows: list[tuple[str, str]]
    wrong: list[str]

    def table(self) -> str:
        """For a terminal."""
        width = max(len(name) for name, _ in self.rows)
        return "\n".join(f"{name:{width}}  {figure}" for name, figure in self.rows)

    def page(self) -> str:
        """For a reader."""
        return HEAD + "".join(f"| {name} | {figure} |\n" for name, figure in self.rows) + TAIL


def judged(soak: Soak) -> Report:
    """Look at everything; the hub has stopped."""
    shown, said = soak.shown(), soak.tally.said
    database = soak.hub.data / "hub.db"
    lost, doubled, copies = counted(said, shown)
    drafts, unknown, strays = proof.strays(database, shown)
    ends, tasks = proof.tasks(database, shown)
    report = Report([], [])
    report.wrong += [f"lost: {one}" for one in lost] + [f"twice: {one}" for one in doubled] + strays + tasks
    report.wrong += soak.tally.misplaced + proof.turns(database, said) + proof.money(database, soak.grant)
    report.wrong += [word for person in soak.people for word in person.gave_up] + misheard(said, shown)
    report.wrong += [f"the log: {line}" for line in soak.hub.complaints]
    report.rows += _messages(said, shown)
    report.rows += [
        ("copies marked as such", f"{max(copies, unknown)} (Telegram and terminals; none on Matrix)"),
        ("drafts that a stop left", str(drafts)),
        (
            "tasks",
            f"{sum(ends.values()):,}: {', '.join(f'{count:,} {status}' for status, count in ends.most_common())}",
        ),
    ]
    report.rows += _phones(soak, shown, report.wrong)
    report.rows += _troubles(soak, report.wrong)
    report.rows += _times(soak, report.wrong)
    for number, life in enumerate(soak.gauge.lives, 1):
        report.rows += _life(number, life, report.wrong)
    if (left := soak.gauge.lives[-1].samples[-1]).children:
        report.wrong.append(f"{left.children} children are left, {left.zombies} of them dead")
    if max(life.most("ears") for life in soak.gauge.lives) != 1:
        report.wrong.append("not one child heard voice notes")
    _stops(soak, report.wrong)
    return report


def _messages(said: Sequence[Said], shown: Sequence[Shown]) -> Iterator[tuple[str, str]]:
    into, out = (Counter(one.surface for one in some) for some in (said, shown))
    for name, counts in (("messages in", into), ("messages out", out)):
        yield name, f"{counts.total():,}: {', '.join(f'{where} {count:,}' for where, count in sorted(counts.items()))}"


def _troubles(soak: Soak, wrong: list[str]) -> Iterator[tuple[str, str]]:
    made = Counter(trouble.name for trouble in soak.troubles.made)
    for surface, wire in (("Telegram", soak.telegram), ("Matrix", soak.matrix)):
        failed = sum(count for status, count in wire.refused.items() if status >= 500)
        cut = wire.refused[0]
        figure = f"{wire.refused[429]} calls for a flood wait, {failed} for an error of its own, {cut} connections cut"
        yield f"{surface} refused", figure
    yield "troubles", ", ".join(f"{name} {count}" for name, count in sorted(made.items()))
    stop = f"1 SIGTERM, which took {soak.stops[0]:.1f} s" if soak.stops else "no SIGTERM"
    yield "restarts", f"{stop}, {len(soak.down) - 1} kill -9; consoles came back {soak.desk.breaks:,} times"
    if len(soak.down) != STOPS:
        wrong.append(f"the hub was stopped {len(soak.down)} times")


def _phones(soak: Soak, shown: Sequence[Shown], wrong: list[str]) -> Iterator[tuple[str, str]]:
    """Where phones were answered; each thing that they can do was done."""
    asked = [one for one in soak.tally.said if one.home]
    home = [one for one in shown if one.by_siri]
    callers = [person for person in soak.people if isinstance(person, Caller)]
    hung_up, tapped = sum(one.hung_up for one in callers), sum(one.tapped for one in callers)
    again, told = sum(phone.again for phone in soak.phones), sum(len(phone.shown) for phone in soak.phones)
    heard = sum(one.heard for one in home)
    figure = f"{len(asked):,} requests, {again} sent again, {hung_up} hung up; {told:,} answers told there"
    figure += f", {len(home)} at home ({heard} maybe heard); {tapped} dear tasks tapped at home"
    yield f"{len(soak.phones)} phones with Shortcuts", figure
    wrong += [word for phone in soak.phones for word in phone.wrong]
    if not (again and hung_up and tapped and home):
        wrong.append("phones did not do all that they can")


def _times(soak: Soak, wrong: list[str]) -> Iterator[tuple[str, str]]:
    answered = [one for one in soak.tally.said if one.answered_at and not (one.away or one.spoken)]
    calm = [one for one in answered if not any(_meets(one, *trouble) for trouble in soak.spans())]
    beside = [one for one in answered if _beside_a_flood(one, soak)]
    for name, some in (
        ("answers, all", answered),
        ("answers, while nothing was wrong", calm),
        ("answers, while one chat was parked, elsewhere", beside),
        ("answers to voice notes", [one for one in soak.tally.said if one.answered_at and one.spoken]),
    ):
        if some:
            times = sorted(one.took for one in some)
            yield (
                name,
                f"{len(times):,}: p50 {_at(times, 0.5):,.0f} ms, p99 {_at(times, 0.99):,.0f} ms, at most {times[-1]:,.0f} ms",
            )
    if not beside:
        wrong.append("nobody was answered while a chat was parked")
    elif (slow := _at(sorted(one.took for one in beside), 0.99)) > FLOOD * 500:
        wrong.append(f"while one chat was parked others waited {slow:.0f} ms (p99)")


def _meets(said: Said, begun: int, ended: int) -> bool:
    return said.at <= ended and said.answered_at >= begun


def _beside_a_flood(said: Said, soak: Soak) -> bool:
    """Whether it was said elsewhere while one chat was parked, and nothing else was wrong until its answer."""
    around = [trouble for trouble in soak.troubles.made if _meets(said, *trouble.felt)]
    stopped = any(_meets(said, begun, ended + AFTERMATH_MS) for begun, ended in soak.down)
    return bool(around) and not stopped and all(one.parked and one.parked != said.place for one in around)


def _life(number: int, life: Life, wrong: list[str]) -> Iterator[tuple[str, str]]:
    first, last = life.ends("rss")
    half, other = life.halves("rss")
    slope = f"{life.slope('rss'):+.2f} MB for 1,000 messages" if life.judged else "too short to judge its slope"
    name = f"life {number} ({len(life.samples)} s, to {life.end})"
    yield f"{name}: memory", f"{first:.0f} MB at first, {last:.0f} MB at last; {slope}"
    files, children, threads = (life.halves(what) for what in ("fds", "children", "threads"))
    rest = f"open files {files[0]:.0f} then {files[1]:.0f}, threads {threads[0]:.0f} then {threads[1]:.0f}, children"
    yield f"{name}: the rest", f"{rest} {children[0]:.0f} then {children[1]:.0f}, at most {life.most('children'):.0f}"
    if not life.judged:
        return
    if life.slope("rss") > MEGABYTES:
        wrong.append(
            f"{name}: memory grows by {life.slope('rss'):.2f} MB for 1,000 messages ({half:.1f} to {other:.1f} MB)"
        )
    if files[1] - files[0] > FILES:
        wrong.append(f"{name}: open files grow from {files[0]} to {files[1]}")
    if threads[1] - threads[0] > THREADS:
        wrong.append(f"{name}: threads grow from {threads[0]} to {threads[1]}")


def _stops(soak: Soak, wrong: list[str]) -> None:
    if any(soak.exits) or len(soak.exits) != 2:
        wrong.append(f"SIGTERM ended with {soak.exits}")
    if max(soak.stops, default=0) > STOP_SECONDS:
        wrong.append(f"SIGTERM took {max(soak.stops):.1f} s")
    if soak.hub.orphans:
        wrong.append(f"children outlived their hub: {soak.hub.orphans}")


def _at(sorted_values: Sequence[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


HEAD = """\
<!-- Written by `make soak ARGS=--write-soak`; change the code, not this file. -->

# Five minutes of everything at once

`make soak` starts one hub with Telegram, Matrix (plain and encrypted rooms), Siri Shortcuts and the console on, lets forty
people talk with it for five minutes, and makes trouble all the while: flood waits in single chats, servers that fail, hang up,
go away or fall silent, a model that breaks off, a `SIGTERM`, a `kill -9`. The other ends are servers of our own on loopback
that speak the platforms' protocols; skills run in real child processes. A message is answered once if what repeats its own
sign stands once in its own chat; a copy that says that it may be one, on Telegram or a terminal, is no second answer.

Three phones speak for people of the crowd over real HTTP. They send a request again under its key when the connection breaks or
the hub is not there, hang up while the model is at it, and ask for tasks over their limit, which are tapped at home. Each answer
is told once, to the phone or in the home chat; what a voice leaves out is in the chat too, once, and what the phone may have
heard says so there. In private chats people send voice notes, spoken by espeak-ng beforehand: the hub's own engine hears each,
and shows once what it heard and once what it answers, where the note was sent.

The figures of the last run, on two cores that the servers and the people share with the hub:

| what | figure |
|---|---|
"""

TAIL = """
Nothing was lost, nothing came twice, every task is over and paid once, the books prove, no message was given up, and no
conversation waited for another's flood wait: else the run fails, and this page is not written.

Memory is judged after a warm-up, in which caches fill up to their limits, as the slope of medians over ten windows: how, and
why so, is in `tests/soak/gauge.py`. Try a mix of your own: `make soak ARGS="--seconds 60 --seed 7"`.
"""
