"""Approvals over a whole hub: asked where people are at home, settled once, carried out once, over restarts and the clock."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest

from adapters.clockwork import running
from adapters.sqlite.connection import connect
from bot.approvals import Came
from bot.parts.looks import DATABASE
from core.approval import State
from core.chat import Inbound, Role
from core.errors import Unavailable
from tests.depth import first
from tests.ollama_server import OllamaServer
from tests.scenario.bot import OWNER, hub, let_in
from tests.scenario.held_store import HeldDatabase, held

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.approval import Approval
    from tests.scenario.bot import Bot

ANN = "telegram:7"


class Hand:
    """Carries out what is approved, and remembers. `not_yet`: nothing can be begun."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.fault: Exception | None = None
        self.not_yet: Came | None = None

    async def __call__(self, approval: Approval) -> str | Came:
        if self.fault is not None:
            raise self.fault
        if self.not_yet is not None:
            return self.not_yet
        self.did.append(approval.action)
        return f"{approval.action} is done"


@asynccontextmanager
async def asked(
    folder: Path, hand: Hand, *, approvers: tuple[str, ...] = (OWNER, ANN), **how: Any
) -> AsyncIterator[Bot]:
    """A hub that has put something to the console's owner and to Ann."""
    async with hub(folder, **how) as bot:
        await let_in(bot, ANN, name="Ann")
        bot.app.hub.approvals.carries("try", hand)
        await bot.app.hub.approvals.ask(
            "try", "water the plants", "Shall I water the plants?", asked_by=ANN, where=ANN, approvers=approvers, seconds=600,
            key="first", needs=Role.MEMBER,
        )  # fmt: skip
        yield bot


async def test_what_is_approved_is_done_once_and_everybody_is_told_what_came_of_it(tmp_path: Path) -> None:
    hand = Hand()
    async with asked(tmp_path, hand) as bot:
        question = await bot.until(text="Shall I water the plants?")
        assert question["buttons"] == [
            {"label": "Approve", "command": "/approve A-1"}, {"label": "Deny", "command": "/deny A-1"},
        ]  # fmt: skip
        answer = await bot.say("/approve a1")
        assert answer["text"] == f"A-1 was approved by {OWNER}: water the plants is done"
        assert answer["data"] == {"ok": True, "approval": "A-1", "state": "done"}
        for line in ("/approve A-1", "/deny A-1"):
            assert (await bot.say(line))["text"] == (
                f"A-1 was approved already by {OWNER}. It is not done again. What came of it: water the plants is done"
            )
        assert hand.did == ["water the plants"]
        told = bot.rows("SELECT body ->> 'text' FROM outgoing WHERE conversation = ? ORDER BY id", ANN)
        assert [text.partition("\n")[0] for (text,) in told] == ["Shall I water the plants?", answer["text"]]
        assert bot.rows("SELECT state, decided_by, outcome FROM approval") == [
            ("done", OWNER, "water the plants is done")
        ]
        kinds = bot.rows("SELECT kind FROM event WHERE kind LIKE 'Approval%' ORDER BY id")
        assert kinds == [("ApprovalAsked",), ("ApprovalSettled",)]


@pytest.mark.parametrize("said", ["yes", "no"])
async def test_a_bare_yes_or_no_decides_no_approval_nor_a_question_that_was_asked_before_one(
    tmp_path: Path, said: str
) -> None:
    hand = Hand()
    async with asked(tmp_path, hand) as bot:
        await bot.until(text="Shall I water the plants?")
        assert (await bot.say(said))["data"]["error"] == "which"
        asking = await bot.say("have quill write a letter")
        assert "Yes or no" in asking["text"]
        await bot.app.hub.approvals.ask(
            "try", "feed the cat", "Shall I feed the cat?", asked_by=ANN, where=ANN, approvers=(OWNER,), seconds=600,
            key="second", needs=Role.MEMBER,
        )  # fmt: skip
        await bot.until(text="Shall I feed the cat?")
        answer = await bot.say(said)
        assert answer["data"]["error"] == "which"
        assert "say /approve A-2 or /deny A-2" in answer["text"]
        assert bot.rows("SELECT state FROM approval") == [("open",), ("open",)]
        assert bot.rows("SELECT count(*) FROM task") == [(0,)]
        await bot.say("/deny A-2")
        answer = await bot.say(said)
        assert answer["text"].startswith("A-1 waits"), "the task was asked about before the last thing that was said"
        assert bot.rows("SELECT count(*) FROM task") == [(0,)]
        await bot.say("have quill write a poem")
        answer = await bot.say(said)
        assert answer["data"].get("task") == ("T-1" if said == "yes" else None)
        assert (answer["text"] == "Nothing was done.") is (said == "no")
        assert hand.did == []


@pytest.mark.parametrize("said", first(1, ["approve it", "yes", "no", "yes, do it"]))
async def test_a_bare_yes_or_no_goes_to_no_model_while_an_approval_waits(tmp_path: Path, said: str) -> None:
    async with OllamaServer.running("tiny:latest") as model, asked(tmp_path, Hand(), ollama=model.url) as bot:
        await bot.until(text="Shall I water the plants?")
        answer = await bot.say(said)
        assert (answer["data"]["error"], model.asked) == ("which", [])
        assert "say /approve A-1 or /deny A-1" in answer["text"]
        await bot.say("/deny A-1")
        model.says("All right")
        assert (await bot.say(said))["text"] == "All right", "nothing waits any more"


@pytest.mark.long
async def test_a_bare_yes_elsewhere_has_nothing_to_do_with_what_was_put_to_them_at_home(tmp_path: Path) -> None:
    async with asked(tmp_path, Hand()) as bot:
        await bot.app.store.write(  # as its surface would
            lambda tx: tx.messages.mark(tx.approvals.questions(1), "sent", ("5",))
        )

        async def answer(where: str) -> str:
            message = Inbound("telegram", "x", where, where, ANN, "yes", private=where == ANN)
            await bot.app.dispatcher.receive(message)
            query = "SELECT body ->> '$.data.error' FROM outgoing WHERE cause = ?"
            ((error,),) = await bot.see(lambda: bot.rows(query, message.key), "an answer")
            return str(error)

        assert [await answer(where) for where in ("telegram:-5", ANN)] == ["nothing_asked", "which"]


async def test_a_phrase_that_decides_an_approval_is_asked_back_and_pressed(tmp_path: Path) -> None:
    hand = Hand()
    async with asked(tmp_path, hand) as bot:
        await bot.until(text="Shall I water the plants?")
        asking = await bot.say("approve a12")
        assert asking["text"] == "Shall I do this? Press a button, or write:\n/approve a12"
        assert (await bot.say("yes"))["data"]["error"] == "which"
        assert "A-1 was denied by console:owner, so nothing was done" in (await bot.say("/deny A-1"))["text"]
        assert "A-1 was denied already" in (await bot.say("/approve A-1"))["text"]
        assert hand.did == []


@pytest.mark.parametrize("line", ["/approve A-1", "/deny A-1"])
async def test_who_was_not_asked_or_is_tried_out_decides_nothing(tmp_path: Path, line: str) -> None:
    hand = Hand()
    async with asked(tmp_path, hand, approvers=(ANN,)) as bot:
        assert (await bot.say(line))["data"]["error"] == "not_yours_to_decide"
        assert (await bot.say(line, acting_for=ANN))["data"]["error"] == "not_allowed"
        assert (await bot.say("/approve A-2"))["data"]["error"] == "unknown_approval"
        assert bot.rows("SELECT state FROM approval") == [("open",)]
        assert hand.did == []


async def test_who_was_let_out_since_decides_nothing(tmp_path: Path) -> None:
    async with asked(tmp_path, Hand(), approvers=(ANN,)) as bot:
        caller = await bot.app.hub.identities.caller(ANN, private=True)
        await bot.say(f"/unpair {ANN}")
        with pytest.raises(Exception, match="not yours to decide"):
            await bot.app.hub.approvals.settle(caller, 1, yes=True, key="late")


async def test_what_nobody_decides_runs_out_and_is_announced_once(tmp_path: Path) -> None:
    hand = Hand()
    async with asked(tmp_path, hand) as bot:
        await bot.until(text="Shall I water the plants?")
        bot.pass_time(599)
        await bot.barrier()
        assert bot.rows("SELECT state FROM approval") == [("open",)]
        bot.pass_time(1)
        told = await bot.until(text="A-1 ran out: nobody decided in time")
        assert told["data"]["state"] == "expired"
        assert "A-1 was expired already" in (await bot.say("/approve A-1"))["text"]
        assert hand.did == []
    async with hub(tmp_path) as bot:
        await bot.barrier()
        assert "ran out" not in str(bot.unread)


async def test_a_question_stands_over_a_restart_and_is_asked_once(tmp_path: Path) -> None:
    hand = Hand()
    async with asked(tmp_path, hand) as bot:
        await bot.until(text="Shall I water the plants?")
    async with asked(tmp_path, hand) as bot:
        assert bot.rows("SELECT count(*) FROM approval") == [(1,)]
        assert "water the plants is done" in (await bot.say("/approve 1"))["text"]
    assert hand.did == ["water the plants"]


async def test_what_was_approved_and_not_carried_out_is_so_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0)
    async with asked(tmp_path, Hand(), database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("_settled", "Approvals._carried")
        await bot.post("/approve A-1")
        await store.holding("Approvals._carried")
        assert bot.rows("SELECT state FROM approval") == [("approved",)]
    async with hub(tmp_path, attach=False) as bot:  # nobody is there who could carry it out any more
        ((outcome,),) = await bot.see(lambda: bot.rows("SELECT outcome FROM approval WHERE state = 'done'"), "its end")
        assert outcome == "nothing was done: this hub cannot do it any more"


@pytest.mark.parametrize(
    ("fault", "words"),
    [(Unavailable(why="no can"), "no can"), (RuntimeError("a bug"), "it could not be carried out (the log says more)")],
    ids=["declared", "bug"],
)
async def test_what_cannot_be_carried_out_says_so_and_is_settled(tmp_path: Path, fault: Exception, words: str) -> None:
    hand = Hand()
    hand.fault = fault
    async with asked(tmp_path, hand) as bot:
        answer = await bot.say("/approve A-1")
        assert "A-1 was approved by console:owner: " in answer["text"]
        assert words in answer["text"]
        code = "unavailable" if isinstance(fault, Unavailable) else "went_wrong"
        assert answer["data"] == {"ok": False, "approval": "A-1", "state": "done", "error": code}
        assert bot.rows("SELECT state FROM approval") == [("done",)]
        told = bot.rows("SELECT body -> 'data' ->> 'ok' FROM outgoing WHERE conversation = ? ORDER BY id", ANN)
        assert told == [(1,), (0,)]


async def test_what_could_not_be_begun_is_open_again_until_its_time_is_over_and_both_are_told(tmp_path: Path) -> None:
    hand = Hand()
    hand.not_yet = Came("the tap is frozen", "frozen_tap", again=True)
    async with asked(tmp_path, hand) as bot:
        answers = [await bot.say("/approve A-1") for _ in range(2)]
        for answer in answers:
            assert answer["text"] == "A-1 could not be carried out: the tap is frozen\nIt is open again: /approve A-1"
            assert answer["data"] == {"ok": False, "approval": "A-1", "state": "open", "error": "frozen_tap"}
            assert [one["command"] for one in answer["buttons"]] == ["/approve A-1", "/deny A-1"]
        told = bot.rows("SELECT body ->> 'text' FROM outgoing WHERE conversation = ? ORDER BY id", ANN)
        assert [text for (text,) in told[1:]] == [answer["text"] for answer in answers]
        assert bot.rows("SELECT state, decided_by FROM approval") == [("open", None)]
        hand.not_yet = None
        assert (await bot.say("/approve A-1"))["data"] == {"ok": True, "approval": "A-1", "state": "done"}
        assert hand.did == ["water the plants"]


@pytest.mark.parametrize("late", [True, False])
async def test_what_was_open_again_ends_like_any_other(tmp_path: Path, late: bool) -> None:
    hand = Hand()
    hand.not_yet = Came("the tap is frozen", "frozen_tap", again=True)
    async with asked(tmp_path, hand) as bot:
        await bot.say("/approve A-1")
        if late:
            bot.pass_time(600)
            ended = await bot.until(text="A-1 ran out: nobody decided in time")
        else:
            ended = await bot.say("/deny A-1")
        assert ended["data"] == {"ok": True, "approval": "A-1", "state": "expired" if late else "denied"}
        assert hand.did == []


async def test_what_was_decided_while_nobody_was_there_is_not_asked_when_somebody_comes(tmp_path: Path) -> None:
    async with asked(tmp_path, Hand(), approvers=(OWNER,), attach=False) as bot:
        for words, seconds in (("Feed the cat?", 5.0), ("Mow the lawn?", 6000.0)):
            await bot.app.hub.approvals.ask(
                "try", words, words, asked_by=ANN, where=ANN, approvers=(OWNER,), seconds=seconds, key=words, needs=Role.MEMBER
            )  # fmt: skip
        await bot.say("/deny A-1")
        await bot.see(lambda: bot.rows("SELECT 1 FROM approval WHERE state = 'expired'"), "an end of time", pace=1)
    async with hub(tmp_path) as bot:
        last = await bot.until(text="A-2 ran out")
        assert [frame["text"].partition("\n")[0] for frame in bot.unread] == ["Mow the lawn?"]
        assert "Feed the cat?" in last["text"]


async def test_what_is_being_tried_is_asked_of_whoever_comes_meanwhile_as_it_may_be_open_again(tmp_path: Path) -> None:
    trying, hand = asyncio.Event(), Hand()
    hand.not_yet = Came("the tap is frozen", "frozen_tap", again=True)

    async def slowly(approval: Approval) -> str | Came:
        await trying.wait()
        return await hand(approval)

    async def agrees() -> None:
        ann = await bot.app.hub.identities.caller(ANN, private=True)
        assert (await bot.app.hub.approvals.settle(ann, 1, yes=True, key="ann")).state is State.OPEN

    async with asked(tmp_path, hand, attach=False) as bot:
        bot.app.hub.approvals.carries("try", slowly)
        async with running(agrees(), "ann agrees"):
            await bot.see(lambda: bot.rows("SELECT 1 FROM approval WHERE state = 'approved'"), "that she agreed")
            await bot.app.delivery.again("console")
            trying.set()
        assert bot.rows("SELECT body ->> 'text' FROM outgoing WHERE surface = 'console'")


async def test_whoever_decides_what_is_being_done_is_told_what_came_of_it(tmp_path: Path) -> None:
    begun, going, hand = asyncio.Event(), asyncio.Event(), Hand()

    async def slowly(approval: Approval) -> str | Came:
        begun.set()
        await going.wait()
        return await hand(approval)

    async with asked(tmp_path, hand) as bot, bot.another() as phone:
        bot.app.hub.approvals.carries("try", slowly)
        await bot.post("/approve A-1")
        await begun.wait()
        await phone.post("/approve A-1")
        await phone.post("/deny A-1")
        going.set()
        for _ in range(2):
            again = await phone.until(kind="reply")
            assert again["data"] == {"ok": False, "error": "settled"}
            assert again["text"].endswith("It is not done again. What came of it: water the plants is done")
    assert hand.did == ["water the plants"]


async def test_rows_of_what_was_settled_never_change(tmp_path: Path) -> None:
    async with asked(tmp_path, Hand()) as bot:
        await bot.say("/approve A-1")
    with closing(connect(tmp_path / "data" / DATABASE)) as connection:
        for change in ("state = 'open'", "action = 'pay'", "decided_by = 'x'", "askers = '[]'", "asked_by = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="never changes"):
                connection.execute(f"UPDATE approval SET {change}")  # noqa: S608


async def test_rows_of_what_is_not_settled_are_kept(tmp_path: Path) -> None:
    async with asked(tmp_path, Hand()):
        pass
    with (
        closing(connect(tmp_path / "data" / DATABASE)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="not settled is kept"),
    ):
        connection.execute("DELETE FROM approval")


@pytest.mark.parametrize("line", ["/deny A-1", "/approve A-1"])
async def test_a_crash_leaves_nobody_with_a_question_that_is_none_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0)
    async with asked(tmp_path, Hand(), database=HeldDatabase) as bot:
        store = held(bot.app.store)
        store.hold("Dispatcher._answer")
        await bot.post(line)
        await store.holding("Dispatcher._answer")
    async with asked(tmp_path, Hand()) as bot:
        await bot.until(text="was denied by" if "deny" in line else "was approved by")
        told = bot.rows("SELECT body ->> 'text' FROM outgoing WHERE conversation = ? ORDER BY id", ANN)
        assert [("denied" in text or "approved" in text) for (text,) in told] == [False, True]


async def test_a_question_is_answered_as_whoever_asked_it_and_is_not_burnt_under_as(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("have quill write a letter")
        for other in ("don't approve A-12", "approve A-12 or A-13"):
            assert "task" not in (await bot.say(other))["data"], "that is said of another question"
        await bot.say("have quill write a letter")
        for said in ("no", "yes"):
            assert (await bot.say(said, acting_for=ANN))["data"]["error"] == "nothing_asked"
        assert (await bot.say("yes"))["data"]["task"] == "T-1"
        await bot.say("have quill write a poem", acting_for=ANN)
        assert (await bot.say("yes"))["data"]["error"] == "nothing_asked"
        assert (await bot.say("yes", acting_for=ANN))["data"]["task"] == "T-2"
        assert bot.rows("SELECT requester FROM task ORDER BY id") == [(OWNER,), (ANN,)]
