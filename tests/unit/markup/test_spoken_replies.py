"""Everything that the hub can answer, as a voice says it: the rule of `tests/spoken.py` over all its words."""

from __future__ import annotations

import itertools
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

import bot.commands  # noqa: F401 - declares the commands
from adapters.markup import of, speech
from adapters.shortcuts.answers import at_home, in_chat, not_yet
from bot import views
from bot.approvals import outcome_of
from bot.intake import Kept
from bot.registry import registry
from bot.replies import aside, from_error, question
from core.approval import Approval, State
from core.chat import Caller, CommandCall, Reply, Role
from core.errors import WentWrong
from core.events import Event, Kind
from core.messages import Job
from core.swarm.auction import Bid
from core.swarm.persona import Persona
from core.swarm.ports import Agent, Answer, Seat, seated
from core.swarm.reputation import Record
from core.swarm.task import Status, Task
from core.wallet.wallet import Balance, HistoryLine
from tests.spoken import wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = 1_750_000_000_000
HOSTILE = "**see** https://a.b/c?d=e `rm -rf /` @ann:example.org 3f9a0c1d2e4b5a69 <b>1,234</b> T-3 | a · b … #4 \\ ~x~ {y} [z](w)"
TASK = Task(
    7, "telegram:12345", "user:telegram:12345", "telegram:12345", HOSTILE, Status.OPEN, 1_234_000, 1, "auto", "telegram:6", 2, 3,
    AT, AT, AT, "quill", 1_111_000, result=f"# A title\n\n- {HOSTILE}\n" * 9, why=HOSTILE, retry_of=3, ended_at=AT,
)  # fmt: skip
OWNER = Caller("console:owner", Role.OWNER)


def tasks() -> Iterator[Reply]:
    declined = Answer(Bid("echo", 1000, None, HOSTILE, 1, AT), refused=True)
    answers = [Answer(Bid("quill", 1_040_000, 90_000, HOSTILE, 900, AT, 1_040)), declined]
    for status, pick in itertools.product(Status, ("auto", "ask")):
        task = TASK.but(status=status, pick=pick)
        yield views.posted(task, simulated=True, known=False)
        yield views.shown(task, (), lambda file: file.name, UTC, HOSTILE)
        yield views.bids(task, answers, OWNER)
        yield views.offers(task, answers)
        yield views.board(task, answers, HOSTILE)
        for kind in Kind:
            event = Event(kind, 7, "quill", {"by": "telegram:12345"})
            yield views.told(event, task, (), lambda file: file.name, {})
            yield from views.told_to_worker(event, task)
    yield views.listed([TASK] * 11, 2000, None, 7)
    yield views.listed([], 0, None, None)


def money() -> Iterator[Reply]:
    yield views.balance(Balance(9_960_000, 1_200_000, 40_000, simulated=True))
    line = HistoryLine(12, AT, -1_040_000, "escrow", 7, HOSTILE, "escrow:7")
    yield views.history([line] * 11, 10, UTC, simulated=True)
    yield views.history([], 10, UTC, simulated=False)


def swarm() -> Iterator[Reply]:
    agent = Agent("quill", Persona("quill", "writing", ("writing",), 40, ("write",)), AT)
    seats = [
        seated(agent, 0, None),
        seated(agent, 3, None),
        seated(agent, 0, HOSTILE),
        Seat("box", "worker", HOSTILE, (), 0, 2),
    ]
    yield views.agents(seats)
    record = Record(settled=2, failed=1, earned=80_000, took=9_000, good=2_000, bad=1_000, at=AT)
    for seat in seats:
        yield views.agent(seat, {}, AT)
        yield views.agent(seat, {HOSTILE: record}, AT)
    yield views.market([("quill", HOSTILE, record), ("box", "", record)] * 8, AT)
    yield views.market([], AT)


def hub() -> Iterator[Reply]:
    call = CommandCall("task", {}, OWNER, "console:owner", "k", f"/task {HOSTILE}")
    yield question(call, 200_000, AT)
    yield aside()
    yield Kept(("notes-2.csv",)).reply
    yield Kept(("a b.md",)).but(WentWrong())
    yield from_error(WentWrong(), "hello")
    put = Approval(
        12, "device", "{}", "d", HOSTILE, "shortcuts:phone", "telegram:5", ("telegram:5",), Role.MEMBER, AT, AT,
        decided_by="telegram:5", outcome=HOSTILE,
    )  # fmt: skip
    for state in State:
        yield Reply(outcome_of(put._replace(state=state)))
    job = Job("j", "t", "k", "r", "console:owner", HOSTILE)
    yield Reply(in_chat().speech)
    yield Reply(not_yet(job).speech)
    yield at_home(Reply(HOSTILE, markdown=True), job, heard=True)


def helps() -> Iterator[Reply]:
    for one in registry:
        yield Reply("\n".join([one.usage, one.help, *(f"  {note}" for note in one.notes)]))
        yield Reply(one.usage)
        yield Reply(one.help)


@pytest.mark.parametrize("replies", [tasks, money, swarm, hub, helps])
def test_whatever_is_answered_can_be_said(replies: object) -> None:
    assert callable(replies)
    found = list(replies())
    assert len(found) > (0 if replies is swarm else 2)
    spoken = {reply.text: speech(of(reply)) for reply in found}
    assert {text[:80]: broken for text, said in spoken.items() if (broken := wrong(said))} == {}


@pytest.mark.parametrize(
    "said",
    [
        "", "see https://a.b", "task T-3", "ask A-1", "by telegram:5", "@ann", "hash 3f9a0c1d2e", "/task it", "a * b", "1,234 sats",
        "two  gaps", "word " * 61, "x" * 601, "timmy_shortcut_abc",
    ],
)  # fmt: skip
def test_the_rule_finds_what_is_against_it(said: str) -> None:
    assert wrong(said)
    assert not wrong("task 3 settled: quill was paid 1234 sats. It's in the chat, 50 percent done.")
