"""Several identities, one person: linked over two surfaces, noticed, undone; their sats, tasks and approvals are one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from adapters.sqlite.connection import connect
from bot import proxies
from bot.parts.looks import DATABASE
from config.settings import Matrix
from core.approval import State
from core.automation.topics import Notice, Topic
from core.chat import Attachment, Caller, Inbound, Reply, Role
from core.linking import NoPersonJoins
from core.money import to_msat
from core.swarm.orders import Order
from core.tokens import NotAsYouWere
from core.wallet.ledger import EXTERNAL, transfer, user_account
from tests.depth import first
from tests.matrix_server import BOT as MATRIX_BOT
from tests.matrix_server import PASSWORD as MATRIX_PASSWORD
from tests.matrix_server import MatrixServer
from tests.ollama_server import OllamaServer, Wire
from tests.scenario.bot import OWNER, balances, hub, prove, settings
from tests.scenario.held_store import HeldDatabase, held
from tests.scenario.telegram import ANN, BOB, OLGA, on_telegram

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot
    from tests.telegram_server import TelegramServer

ANNS, BOBS, EVES = f"telegram:{ANN}", f"telegram:{BOB}", "matrix:@eve:localhost"


class People:
    """A hub without surfaces, to which people speak all the same: what each is told is read from the outbox."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self._said = 0

    async def let_in(self, actor: str, role: Role = Role.MEMBER, *, sats: int = 0) -> None:
        """Somebody with a role, and perhaps with sats."""
        await self.bot.app.store.write(lambda tx: tx.tokens.give(actor, role, actor.partition(":")[2], tx.now))
        if sats:
            await _earn(self.bot.app.store, actor, sats)
        await self.bot.app.hub.identities.refresh()

    async def say(self, actor: str, text: str, **how: Any) -> dict[str, Any]:
        """The facts that somebody is answered with, and its `text`."""
        self._said += 1
        surface, key = actor.partition(":")[0], f"{actor} {self._said}"
        message = Inbound(surface, "x", key, actor, actor, text, home=actor, **how)
        await self.bot.app.dispatcher.receive(message)
        query = "SELECT body ->> '$.text', body -> '$.data' FROM outgoing WHERE cause = ? ORDER BY id DESC LIMIT 1"
        ((words, data),) = await self.bot.see(lambda: self.bot.rows(query, message.key), f"an answer to {text}")
        return {**json.loads(data), "text": words}

    async def link(self, actor: str, to: str, **how: Any) -> dict[str, Any]:
        """One gets a code, another says it."""
        answer = await self.say(to, "/link")
        return await self.say(actor, f"/link {answer['text'].splitlines()[1]}", **how)

    def told(self, actor: str) -> list[str]:
        """What somebody was told that was no answer."""
        query = "SELECT body ->> '$.text' FROM outgoing WHERE conversation = ? AND cause IS NULL ORDER BY id"
        return [text for (text,) in self.bot.rows(query, actor)]

    def links(self) -> list[tuple[Any, ...]]:
        """Who is linked to whom."""
        return self.bot.rows("SELECT actor, account FROM link ORDER BY actor")


@asynccontextmanager
async def people(folder: Path, **how: Any) -> AsyncIterator[People]:
    """Ann is a member with 300 sats."""
    async with hub(folder, **how) as bot:
        found = People(bot)
        await found.let_in(ANNS, sats=300)
        yield found


@pytest.mark.long
async def test_a_stranger_with_a_members_code_is_that_member_and_the_member_is_told(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with on_telegram(tmp_path, server) as talk:
        given = await talk.says(talk.ann, ANN, "/link")
        code = given.text.split("\n")[1]
        assert code not in str(talk.rows("SELECT * FROM link_code")), "it is kept as a hash"
        wrong = await talk.says(talk.bob, BOB, "/link AAAAAAAA")
        assert wrong.text.startswith("There is no such link code")
        done = await talk.says(talk.bob, BOB, f"/link {code[:4].lower()}-{code[4:]}")
        assert done.text.startswith(f"{BOBS} is linked to the account {ANNS} now.")
        notice = await talk.told(talk.ann, f"{BOBS} (Bob) was linked to your account")
        assert f"/unlink {BOBS}" in notice.text
        me = await talk.says(talk.bob, BOB, "/whoami")
        assert me.text.split("\n") == [
            f"{BOBS}, member", f"of the account {ANNS}, which has one wallet and is each of:", f"  {ANNS}", f"  {BOBS}",
        ]  # fmt: skip
        assert (await talk.says(talk.group, BOB, "/whoami@timmy_bot")).text == f"{BOBS}, member", (
            "others read along there"
        )
        server.tap(notice, "Take it off", ANN)
        await talk.told(talk.ann, f"{BOBS} is no longer one with {ANNS}")
        await talk.told(talk.bob, f"{ANNS} took {BOBS} off the account of {ANNS}: you are a stranger to this hub now.")
        assert "I do not know you" in (await talk.says(talk.bob, BOB, "/whoami")).text
        assert f"{BOBS} is linked" not in (await talk.says(talk.bob, BOB, f"/link {code}")).text, "a code works once"


async def test_over_two_surfaces_they_are_one_person(tmp_path: Path, server: TelegramServer) -> None:
    async with MatrixServer() as homeserver:
        room = homeserver.room("Eve", ["@eve:localhost"])
        matrix = Matrix(homeserver=homeserver.url, user=MATRIX_BOT, password=SecretStr(MATRIX_PASSWORD))
        async with on_telegram(tmp_path, server, matrix=matrix) as talk:

            async def hears(line: str, words: str) -> None:
                homeserver.say(room, "@eve:localhost", line)
                await talk.until(
                    lambda: any(words in one.text for one in homeserver.messages(room)),
                    f"{words!r} in {[one.text for one in homeserver.messages(room)]}",
                )

            await talk.until(lambda: talk.rows("SELECT token FROM sync WHERE token <> ''"), "the first sync")
            code = (await talk.says(talk.ann, ANN, "/link")).text.split("\n")[1]
            await hears(f"!link {code}", f"{EVES} is linked to the account {ANNS} now")
            notice = await talk.told(talk.ann, f"{EVES} (Eve) was linked to your account")
            await hears("!task paint the shed pick=ask", "You have 0 sats free")
            await _earn(talk.app.store, ANNS, 300)
            await hears("!task paint the shed pick=ask", "T-1 posted")
            assert "100 simulated sats free, 200 sats held" in (await talk.says(talk.ann, ANN, "/balance")).text
            assert (await talk.says(talk.ann, ANN, "/cancel T-1")).text.startswith("T-1 cancelled")

            async def carry(_: object) -> str:
                return "watered"

            approvals = talk.app.hub.approvals
            approvals.carries("try", carry)
            await approvals.ask(
                "try", "water", "Shall I water?", asked_by=OWNER, where=OWNER, approvers=(ANNS,), seconds=600, key="w",
                needs=Role.MEMBER,
            )  # fmt: skip
            question = await talk.told(talk.ann, "Shall I water?")
            await hears("!approve A-1", f"A-1 was approved by {EVES}: watered")
            await talk.until(
                lambda: "A-1 was approved by" in question.text and not question.buttons, "it settled there"
            )
            server.tap(notice, "Take it off", ANN)
            await talk.told(talk.ann, f"{EVES} is no longer one with {ANNS}")
            await hears("!balance", "I do not know you yet")


async def _earn(store: Any, actor: str, sats: int) -> None:
    """Somebody has so many sats more."""
    key = f"{actor} {sats}"
    entry = transfer(key, "grant", EXTERNAL, user_account(actor), to_msat(sats), task=None, actor="hub", reason="")
    await store.write(lambda tx: tx.ledger.append(entry))


async def test_where_the_books_refuse_the_sats_nobody_is_linked_either(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS, sats=70)
        await talk.link(BOBS, ANNS)
        entry = transfer("link:link/A-1", "x", EXTERNAL, user_account(OWNER), 1, task=None, actor="hub", reason="")
        await talk.bot.app.store.write(lambda tx: tx.ledger.append(entry))
        before = balances(talk.bot.app.settings)
        assert "Nothing was booked" in (await talk.say(BOBS, "/approve A-1"))["text"]
        assert (talk.links(), balances(talk.bot.app.settings)) == ([], before)
        assert talk.told(ANNS) == []
        assert talk.bot.rows("SELECT 1 FROM event WHERE kind = 'ActorLinked'") == []


async def test_who_is_let_out_in_the_midst_of_an_answer_hears_no_more_of_it(tmp_path: Path) -> None:
    async with OllamaServer.running("tiny:latest") as model:
        model.says("Once upon", Wire.SILENCE)
        async with people(tmp_path, ollama=model.url) as talk:
            message = Inbound("matrix", "x", "asks", ANNS, ANNS, "tell me a story", home=ANNS)
            await talk.bot.app.dispatcher.receive(message)
            await model.begun.wait()
            await talk.bot.say(f"/unpair {ANNS}")
            await model.hung_up.wait()
            query = "SELECT body ->> '$.text' FROM outgoing WHERE cause = ?"
            ((text,),) = await talk.bot.see(lambda: talk.bot.rows(query, message.key), "its end")
            assert text.endswith("(stopped)")


async def test_who_is_let_out_while_a_file_of_theirs_comes_in_leaves_none_and_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with people(tmp_path) as talk:
        begun, whole = asyncio.Event(), asyncio.Event()

        async def fetch(*_: object) -> bytes:
            begun.set()
            await whole.wait()
            return b"x"

        monkeypatch.setattr(talk.bot.app.hub.files, "_fetch", fetch)
        files = (Attachment("secret.txt", 1, "x"),)
        said = Inbound("telegram", "x", "file", ANNS, ANNS, "/tasks", home=ANNS, files=files)
        await talk.bot.app.dispatcher.receive(said)
        await begun.wait()
        await talk.bot.say(f"/unpair {ANNS}")
        whole.set()
        query = "SELECT body ->> '$.data.error' FROM outgoing WHERE cause = ?"
        assert await talk.bot.see(lambda: talk.bot.rows(query, said.key)) == [("not_as_you_were",)]
        assert not list((tmp_path / "workspace").rglob("secret*"))


@pytest.mark.long
async def test_what_each_of_them_does_is_the_accounts(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        assert (await talk.link(EVES, ANNS))["ok"]
        posted = await talk.say(EVES, "/task paint the shed pick=ask max=50")
        assert posted["ok"]
        assert (await talk.say(ANNS, "/balance"))["held_sats"] == (await talk.say(EVES, "/balance"))["held_sats"] == 50
        await talk.bot.see(lambda: talk.bot.rows("SELECT 1 FROM task WHERE status = 'bidding'"))
        for who, sats in ((ANNS, 20), (EVES, 10)):
            await talk.say(who, f"/bid T-1 {sats}")
        bids = talk.bot.rows("SELECT agent, price FROM bid WHERE agent LIKE '%:%'")
        assert bids == [(ANNS, 10_000)], "one person has one bid"
        assert (await talk.say(ANNS, f"/award T-1 {ANNS}"))["winner"] == ANNS
        assert (await talk.say(EVES, "/deliver T-1 it is green"))["status"] == "delivered"
        assert (await talk.say(ANNS, "/reject T-1 not my green"))["status"] == "open"
        assert (await talk.say(EVES, "/bid T-1 5"))["error"] in {"had_its_turn", "wrong_state"}
        await talk.bot.see(lambda: talk.bot.rows("SELECT 1 FROM task WHERE status = 'bidding' AND attempt = 2"))
        assert (await talk.say(EVES, "/bid T-1 5"))["error"] == "had_its_turn", "nor has one a second turn"
        assert (await talk.say(ANNS, "/cancel T-1"))["ok"]
        assert (await talk.say(EVES, "/retry T-1"))["ok"]
        doers = talk.bot.rows("SELECT kind, data ->> 'by' FROM event WHERE data ->> 'by' = ?", EVES)
        assert [kind for kind, _ in doers] == ["TaskPosted", "BidPlaced", "TaskStarted", "TaskDelivered", "TaskPosted"]
        assert talk.bot.rows("SELECT DISTINCT requester, account, conversation FROM task ORDER BY id") == [
            (ANNS, f"user:{ANNS}", EVES)
        ], "answers go where it was asked"
        await talk.bot.say(f"/task sing to={EVES}")
        await talk.bot.until(kind="more", task="T-3", status="bidding")
        assert talk.bot.rows("SELECT only FROM task WHERE id = 3") == [(ANNS,)]
        assert (await talk.say(EVES, "/bid T-3 7"))["winner"] == ANNS
        assert sum("T-3 is yours" in text for who in (ANNS, EVES) for text in talk.told(who)) == 1, "not who did it"
        await talk.say(ANNS, "/deliver T-3 la la")
        await talk.bot.say("/accept T-3")
        assert balances(talk.bot.app.settings)[f"user:{ANNS}"][0] == 307
        prove(talk.bot.app.settings)


@pytest.mark.long
async def test_sats_come_along_once_their_owner_agrees_to_the_sum(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS, Role.OPERATOR, sats=70)
        asked = await talk.link(BOBS, ANNS)
        assert asked["approval"] == "A-1"
        assert talk.links() == []
        assert f"Link {BOBS} to the account {ANNS}? Your 70 sats go to its wallet for good" in talk.told(BOBS)[0]
        for other in (ANNS, OWNER):
            assert (await talk.say(other, "/approve A-1"))["error"] == "not_yours_to_decide"
        done = await talk.say(BOBS, "/approve A-1")
        assert "70 sats came along" in done["text"]
        assert balances(talk.bot.app.settings) == {
            "external": (-10_370, 0), f"user:{OWNER}": (10_000, 0), f"user:{ANNS}": (370, 0),
        }  # fmt: skip
        assert (await talk.say(BOBS, "/whoami"))["role"] == "member", "the account's role and no other"
        assert talk.bot.rows("SELECT kind, reason FROM txn WHERE kind = 'link'") == [
            ("link", f"{BOBS} was linked to {ANNS}")
        ]
        assert len((await talk.say(BOBS, "/history"))["text"].split("\n")) == 3
        assert (await talk.say(BOBS, f"/unlink {BOBS}"))["ok"]
        assert (await talk.say(BOBS, "/whoami"))["role"] == "operator", "it is itself again"
        assert (await talk.say(BOBS, "/balance"))["balance_sats"] == 0
        prove(talk.bot.app.settings)


@pytest.mark.long
async def test_what_somebody_has_spent_comes_along_too_and_makes_no_new_room(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(ANNS, Role.PAYER)
        await talk.let_in(BOBS, Role.PAYER, sats=200)
        await talk.let_in("telegram:99")
        await talk.say(OWNER, "/limits day 100")
        await talk.say(OWNER, f"/limits {BOBS} 100")
        assert (await talk.say(BOBS, "/pay telegram:99 90"))["ok"]
        await talk.link(BOBS, ANNS)
        assert "110 sats came along" in (await talk.say(BOBS, "/approve A-1"))["text"]
        for who in (BOBS, ANNS):
            assert (
                "\nday          90 of 100 sats spent in the last 24 hours\n" in (await talk.say(who, "/limits"))["text"]
            )
            assert (await talk.say(who, "/pay telegram:99 11"))["error"] == "over_limit"
        assert (await talk.say(ANNS, "/pay telegram:99 10"))["ok"]
        prove(talk.bot.app.settings)


@pytest.mark.long
async def test_a_sum_that_is_another_by_then_is_not_moved(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS, sats=70)
        await talk.link(BOBS, ANNS)

        await _earn(talk.bot.app.store, BOBS, 5)
        assert "had 70 sats when you were asked and has 75 sats now" in (await talk.say(BOBS, "/approve A-1"))["text"]
        assert talk.links() == []


@pytest.mark.long
async def test_who_has_work_under_way_waits_with_it(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS, sats=70)
        await talk.say(BOBS, "/task paint it pick=ask max=50")
        await talk.say(ANNS, "/task sing pick=ask max=50")
        await talk.bot.see(lambda: talk.bot.rows("SELECT count(*) FROM task WHERE status = 'bidding'") == [(2,)])
        await talk.say(BOBS, "/bid T-2 5")
        refused = await talk.link(BOBS, ANNS)
        assert refused["error"] == "under_way"
        assert "T-1, T-2" in refused["text"]
        await talk.say(BOBS, "/cancel T-1")
        await talk.say(ANNS, "/cancel T-2")
        assert (await talk.link(BOBS, ANNS))["approval"] == "A-1"


async def test_one_becomes_an_owner_only_with_an_owners_word_from_another_chat(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        asked = await talk.link(EVES, OWNER)
        assert asked["approval"] == "A-1"
        question = await talk.bot.until(text=f"Make {EVES} an owner of this hub")
        assert f"It said the code that {OWNER} got with /link" in question["text"]
        assert "A-1 was denied" in (await talk.bot.say("/deny A-1"))["text"]
        assert talk.links() == []
        await talk.link(EVES, OWNER, name="\u202eEve\n\u2066 Smith")
        await talk.bot.until(text=f"Make {EVES} (Eve Smith) an owner of this hub")
        assert "is linked to the account console:owner" in (await talk.bot.say("/approve A-2"))["text"]
        assert (await talk.say(EVES, "/whoami"))["role"] == "owner"
        assert (await talk.say(EVES, "/balance"))["balance_sats"] == 10_000
        await talk.link(BOBS, EVES)
        assert (await talk.say(EVES, "/approve A-3"))["error"] == "not_yours_to_decide", "its own chat made the code"
        assert (await talk.bot.data("/approve A-3"))["state"] == "done"
        assert (await talk.bot.say(f"/unpair {EVES}"))["text"] == f"{EVES} has no role here any more"
        assert talk.links() == [(BOBS, OWNER)]


@pytest.mark.long
async def test_an_approval_is_settled_by_any_identity_of_an_approver_and_recorded_as_its(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.link(EVES, ANNS)

        async def carry(_: object) -> str:
            return "watered"

        approvals = talk.bot.app.hub.approvals
        approvals.carries("try", carry)
        for number, (asker, exact) in enumerate(((OWNER, False), (EVES, False), (OWNER, True)), 1):
            await approvals.ask(
                "try", "water", "Shall I water?", asked_by=asker, where=asker, approvers=(ANNS,), seconds=60,
                key=f"{number}", needs=Role.MEMBER, exact=exact,
            )  # fmt: skip
        done = await talk.say(EVES, "/approve A-1")
        assert done["text"] == f"A-1 was approved by {EVES}: watered"
        assert done["text"] in talk.told(ANNS), "it is settled everywhere"
        assert talk.bot.rows("SELECT decided_by FROM approval WHERE id = 1") == [(EVES,)]
        assert "already" in (await talk.say(ANNS, "/deny A-1"))["text"]
        for who in (EVES, ANNS):
            own = await talk.say(who, "/approve A-2")
            assert own["error"] == "not_yours_to_decide", "another's word is not one's own from elsewhere"
        assert (await talk.say(EVES, "/approve A-3"))["error"] == "not_yours_to_decide", "it was asked in that place"
        assert (await talk.say(ANNS, "/approve A-3"))["state"] == "done"
        await talk.say(ANNS, f"/unlink {EVES}")
        assert (await talk.say(ANNS, "/approve A-2"))["error"] == "not_yours_to_decide", "they were one when one asked"


async def test_a_question_may_be_answered_from_either(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.link(EVES, ANNS)
        asked = await talk.say(ANNS, "have quill write a letter")
        assert "Shall I do this?" in asked["text"]
        number = talk.bot.rows("SELECT max(id) FROM outgoing")[0][0]
        stranger = await talk.say(BOBS, "", tap=f"{number}-0")
        assert stranger["error"] == "not_paired"
        message = Inbound("matrix", "x", "tap", ANNS, EVES, "", home=EVES, tap=f"{number}-0", private=False)
        await talk.bot.app.dispatcher.receive(message)
        await talk.bot.see(lambda: talk.bot.rows("SELECT 1 FROM task WHERE requester = ?", ANNS), "the task")


BAD = {
    "used": "wrong_link_code", "in a group": "not_allowed", "own": "own_code", "elsewhere": "linked_already",
    "root": "has_linked", "owner": "owner_stays", "expired": "wrong_link_code", "doubted": "not_allowed", "linked": "own_code",
}  # fmt: skip


@pytest.mark.parametrize("case", first(6, BAD))
async def test_what_cannot_be_linked_is_said_in_one_sentence_and_changes_nothing(tmp_path: Path, case: str) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS)
        code = (await talk.say(ANNS, "/link"))["text"].split("\n")[1]
        how: dict[str, Any] = {}
        who = BOBS
        if case == "used":
            await talk.say(EVES, f"/link {code}")
        elif case == "expired":
            talk.bot.pass_time(3601)
        elif case == "in a group":
            how["private"] = False
        elif case == "doubted":
            how["doubt"] = "who are you?"
        elif case == "own":
            who = ANNS
        elif case == "linked":
            who = EVES
            await talk.link(EVES, ANNS)
            code = (await talk.say(EVES, "/link"))["text"].split("\n")[1]
        elif case == "elsewhere":
            who = EVES
            await talk.link(EVES, BOBS)
        elif case == "root":
            await talk.link(EVES, BOBS)
        else:
            who = OWNER
        before = {name: rows for name, rows in talk.bot.tables().items() if name != "pairing_failure"}
        refused = await talk.say(who, f"/link {code}", **how)
        assert refused["error"] == BAD[case]
        assert "\n" not in refused["text"]
        assert {name: rows for name, rows in talk.bot.tables().items() if name != "pairing_failure"} == before


@pytest.mark.long
async def test_nothing_is_linked_under_as(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        code = (await talk.say(ANNS, "/link"))["text"].split("\n")[1]
        await talk.link(EVES, ANNS)
        before = talk.bot.tables()
        for line in ("/link", f"/link {code}", f"/unlink {EVES}"):
            for person in (BOBS, ANNS, EVES, OWNER):
                assert await talk.bot.data(line, acting_for=person) == {"ok": False, "error": "not_allowed"}
        assert talk.bot.tables() == before
        assert (await talk.bot.data("/whoami", acting_for=EVES))["actor"] == ANNS, "it shows what that person sees"


async def test_wrong_codes_of_strangers_are_counted_and_then_not_heard_at_all(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        code = (await talk.say(ANNS, "/link"))["text"].split("\n")[1]
        answers = [(await talk.say(EVES, "/link AAAAAAAA"))["error"] for _ in range(5)]
        answers.append((await talk.say(EVES, f"/link {code}"))["error"])
        assert answers == ["wrong_link_code"] * 5 + ["locked_out"]
        heard = talk.bot.rows("SELECT count(*) FROM inbound")
        for text in (f"/link {code}", "/link  aaaa-aaaa"):
            message = Inbound("matrix", "x", f"more {text}", EVES, EVES, text, home=EVES)
            await talk.bot.app.dispatcher.receive(message)
        assert talk.bot.rows("SELECT count(*) FROM inbound") == heard
        assert (await talk.say(BOBS, f"/link {code} and steal"))["error"] == "not_paired"
        assert talk.bot.rows("SELECT text FROM inbound WHERE actor = ?", BOBS) == [("",)], "nothing else is kept"
        talk.bot.pass_time(3601)
        code = (await talk.say(ANNS, "/link"))["text"].split("\n")[1]
        assert (await talk.say(EVES, f"/link {code}"))["ok"]


async def test_who_has_had_the_last_word_may_still_say_a_code(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        for _ in range(3):
            assert (await talk.say(EVES, "hello"))["error"] == "not_paired"
        assert (await talk.say(EVES, "hello?"))["error"] == "too_many_codes"
        assert (await talk.link(EVES, ANNS))["account"] == ANNS
        assert (await talk.say(EVES, "/whoami"))["role"] == "member"
        assert talk.bot.rows("SELECT count(*) FROM pairing") == [(0,)], "what would have let it in by itself is gone"


async def test_a_stranger_with_sats_from_before_is_let_in_first(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS, sats=70)
        await talk.bot.say(f"/unpair {BOBS}")
        assert (await talk.link(BOBS, ANNS))["error"] == "not_let_in_yet"


@pytest.mark.long
async def test_links_are_taken_off_by_the_account_and_the_owner_and_nobody_else(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS)
        await talk.link(EVES, ANNS)
        for who, what in ((BOBS, EVES), (ANNS, ANNS), (ANNS, BOBS), (OWNER, BOBS)):
            assert (await talk.say(who, f"/unlink {what}"))["error"] == "not_linked"
        assert (await talk.bot.say(f"/unlink {EVES}"))["data"]["account"] == ANNS
        assert f"{OWNER} took {EVES} off your account." in talk.told(ANNS)
        code = (await talk.say(ANNS, "/link"))["code"]
        assert (await talk.say(EVES, f"/link {code}", name="Eve"))["ok"]
        assert (await talk.say(ANNS, "/unlink eve"))["account"] == ANNS
        await talk.link(EVES, ANNS)
        gone = await talk.bot.say(f"/unpair {ANNS}")
        assert gone["text"] == f"{ANNS} has no role here any more, nor {EVES} linked to it"
        for who in (ANNS, EVES):
            assert (await talk.say(who, "/balance"))["error"] == "not_paired"
        assert talk.links() == []


async def test_rows_of_links_lead_to_an_account_and_never_change(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.link(EVES, ANNS)
        await talk.link("matrix:@olga:localhost", OWNER)
    with closing(connect(tmp_path / "data" / DATABASE)) as connection:
        for wrong in (f"('x:1', '{EVES}', '', 0)", f"('{ANNS}', 'x:1', '', 0)", "('x:1', 'x:1', '', 0)"):
            with pytest.raises(sqlite3.IntegrityError, match=r"leads to an account|account <> actor"):
                connection.execute(f"INSERT INTO link VALUES {wrong}")  # noqa: S608
        for change in ("link SET account = 'x:1'", "approval SET exact = 0"):
            with pytest.raises(sqlite3.IntegrityError, match="never change"):
                connection.execute(f"UPDATE {change}")


async def test_who_is_let_in_anew_since_the_code_was_made_is_nobodys_account(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        code = (await talk.say(ANNS, "/link"))["text"].split("\n")[1]
        await talk.bot.say(f"/unpair {ANNS}")
        await talk.let_in(ANNS)
        assert (await talk.say(EVES, f"/link {code}"))["error"] == "wrong_link_code"


@pytest.mark.long
async def test_a_link_told_again_after_a_crash_is_one_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0)
    async with people(tmp_path, database=HeldDatabase) as talk:
        code = (await talk.say(ANNS, "/link"))["text"].split("\n")[1]
        store = held(talk.bot.app.store)
        store.hold("Dispatcher._answer")
        message = Inbound("matrix", "x", "once", EVES, EVES, f"/link {code}", home=EVES)
        await talk.bot.app.dispatcher.receive(message)
        await store.holding("Dispatcher._answer")
    async with hub(tmp_path) as bot:
        query = "SELECT body ->> '$.text' FROM outgoing WHERE cause = ?"
        ((text,),) = await bot.see(lambda: bot.rows(query, message.key), "the answer")
        assert text.startswith(f"{EVES} is linked to the account {ANNS} now.")
        assert bot.rows("SELECT count(*) FROM event WHERE kind = 'ActorLinked'") == [(1,)]
        assert bot.rows("SELECT count(*) FROM pairing_failure") == [(0,)]


async def test_a_revoked_token_is_ended_from_any_chat_of_an_owner_and_shown_to_nobody_else(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with on_telegram(tmp_path, server) as talk:
        identities = talk.app.hub.identities
        token = await identities.mint(await identities.caller(OWNER, private=True), "read", "phone")
        listed = await talk.says(talk.olga, OLGA, "/tokens")
        assert "read  phone" in listed.text
        assert token not in listed.text
        assert "No device speaks for you" in (await talk.says(talk.ann, ANN, "/tokens")).text
        assert "no 'read' token" in (await talk.says(talk.ann, ANN, "/revoke read phone")).text
        aside = await talk.says(talk.group, OLGA, "/tokens")
        assert "in private" in aside.text
        assert (await talk.says(talk.olga, OLGA, "/revoke Read phone")).text.startswith("The read token phone opens")
        assert await identities.check(token) is None
        assert "no 'read' token" in (await talk.says(talk.olga, OLGA, "/revoke read phone")).text
        ((key,),) = talk.rows("SELECT key FROM applied WHERE key LIKE 'telegram/%' ORDER BY at DESC LIMIT 1")
        await identities.revoke(await identities.caller(OWNER, private=True), "read", "phone", key=key)
        assert talk.rows("SELECT count(*) FROM event WHERE kind = 'TokenRevoked'") == [(1,)], (
            "once, however often it is told"
        )


async def test_a_bid_that_meets_its_own_link_is_said_again_and_is_no_second_bidder(tmp_path: Path) -> None:
    async with people(tmp_path, database=HeldDatabase) as talk:
        await talk.let_in(BOBS)
        await talk.bot.say("/task sing pick=ask max=50")
        await talk.bot.see(lambda: talk.bot.rows("SELECT count(*) FROM task WHERE status = 'bidding'") == [(1,)])
        code = (await talk.say(ANNS, "/link"))["code"]
        store = held(talk.bot.app.store)
        store.hold("Coordinator.bid")
        bid = Inbound("telegram", "x", "bid", BOBS, BOBS, "/bid T-1 5", home=BOBS)
        await talk.bot.app.dispatcher.receive(bid)
        await store.holding("Coordinator.bid")
        elsewhere = Inbound("telegram", "x", "link", "telegram:elsewhere", BOBS, f"/link {code}", home=BOBS)
        await talk.bot.app.dispatcher.receive(elsewhere)
        await talk.bot.see(talk.links)
        store.release()
        query = "SELECT body ->> '$.data.error' FROM outgoing WHERE cause = ?"
        assert await talk.bot.see(lambda: talk.bot.rows(query, bid.key)) == [("not_as_you_were",)]
        assert (await talk.say(BOBS, "/bid T-1 6"))["ok"]
        assert talk.bot.rows("SELECT agent FROM bid WHERE agent LIKE '%:%'") == [(ANNS,)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("line", "writes", "gone"),
    first(3, [
        ("/task paint it pick=ask max=50", "Coordinator.post", "/unlink"), ("/cancel T-1", "Coordinator.cancel", "/unlink"),
        ("/spawn quill", "Roster.spawn", "/unpair"), ("/revoke shortcut phone", "Identities.revoke", "/unpair"),
        ("/dismiss quill", "Roster.dismiss", "/unpair"), (f"/unlink {BOBS}", "Links.unlink", "/unpair"),
        ("/award T-1 quill", "Coordinator.award", "/unlink"), ("/link", "Links.code", "/unlink"),
    ]),
)  # fmt: skip
async def test_what_is_said_by_somebody_who_is_taken_off_before_it_is_written_is_not_done(
    tmp_path: Path, line: str, writes: str, gone: str
) -> None:
    async with people(tmp_path, database=HeldDatabase) as talk:
        await talk.let_in(ANNS, Role.OWNER if gone == "/unpair" else Role.OPERATOR, sats=60)
        await talk.let_in(EVES, Role.OWNER) if gone == "/unpair" else await talk.link(EVES, ANNS)
        await talk.bot.app.store.write(lambda tx: tx.links.link(BOBS, ANNS, "", tx.now))
        assert (await talk.say(ANNS, "/task sing pick=ask max=50"))["task"] == "T-1"
        store = held(talk.bot.app.store)
        store.hold(writes)
        await talk.bot.app.dispatcher.receive(said := Inbound("matrix", "x", "said", EVES, EVES, line, home=EVES))
        await store.holding(writes)
        assert (await talk.bot.data(f"{gone} {EVES}"))["ok"]
        tables = ("task", "agent", "txn", "link", "link_code")
        before = {name: talk.bot.rows(f"SELECT * FROM {name}") for name in tables}  # noqa: S608
        store.release()
        query = "SELECT body ->> '$.data.error' FROM outgoing WHERE cause = ?"
        assert await talk.bot.see(lambda: talk.bot.rows(query, said.key)) == [("not_as_you_were",)]
        assert {name: talk.bot.rows(f"SELECT * FROM {name}") for name in before} == before  # noqa: S608


async def test_who_was_taken_off_before_it_is_written_delivers_and_judges_nothing(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.link(EVES, ANNS)
        assert (await talk.say(EVES, "/task sing pick=ask max=50"))["task"] == "T-1"
        eve, work = await talk.bot.app.hub.identities.caller(EVES, private=True), talk.bot.app.hub.coordinator
        await talk.say(ANNS, f"/unlink {EVES}")
        for decides in (
            work.deliver(eve, 1, "la", key="d"), work.accept(eve, 1, key="a"), work.reject(eve, 1, "no", key="r"),
        ):  # fmt: skip
            with pytest.raises(NotAsYouWere):
                await decides


async def test_who_owns_the_hub_no_more_when_it_is_written_lets_nobody_in_or_out_and_mints_nothing(
    tmp_path: Path,
) -> None:
    async with people(tmp_path, database=HeldDatabase) as talk:
        store, identities = held(talk.bot.app.store), talk.bot.app.hub.identities
        query = "SELECT body ->> '$.data.error' FROM outgoing WHERE cause = ?"
        code = (await talk.say(BOBS, "hello"))["text"].split("\n")[1]
        for line, writes in ((f"/pair {code}", "Pairing.pair"), (f"/unpair {ANNS}", "Pairing.unpair")):
            await talk.let_in(EVES, Role.OWNER)
            store.hold(writes)
            await talk.bot.app.dispatcher.receive(said := Inbound("matrix", "x", line, EVES, EVES, line, home=EVES))
            await store.holding(writes)
            await store.write(lambda tx: tx.tokens.take_away(EVES, tx.now))
            store.release()
            answer = await talk.bot.see(lambda said=said: talk.bot.rows(query, said.key))  # type: ignore[misc]
            assert answer == [("not_as_you_were",)]
        await talk.let_in(EVES, Role.OWNER)
        eve = await identities.caller(EVES, private=True)
        await store.write(lambda tx: tx.tokens.take_away(EVES, tx.now))
        with pytest.raises(NotAsYouWere):
            await identities.mint(eve, "read", "page")
        assert talk.bot.rows("SELECT id FROM actor") == [(ANNS,)]
        assert talk.bot.rows("SELECT name FROM token") == []


async def test_what_a_device_asked_is_not_done_once_its_token_is_another(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        hub = talk.bot.app.hub
        owner = await hub.identities.caller(OWNER, private=True)
        for _ in range(2):
            await hub.identities.mint(owner, "shortcut", "phone", for_actor=ANNS)
            device = await hub.identities.caller("shortcuts:phone", private=True)
            task = await hub.coordinator.post(Order(device, ANNS, "sing", "sing"))
            assert (task.id, task.requester) == (1, ANNS), "what was posted before is the same task"
            await hub.identities.revoke(owner, "shortcut", "phone")
            with pytest.raises(NotAsYouWere):
                await hub.coordinator.post(Order(device, ANNS, "paint", "paint"))
        assert len(talk.bot.rows("SELECT id FROM task")) == 1


async def test_what_a_device_asked_is_not_done_for_who_agreed_and_is_another_by_then(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        hub = talk.bot.app.hub
        await hub.identities.mint(await hub.identities.caller(OWNER, private=True), "shortcut", "phone", for_actor=ANNS)
        device = await hub.identities.caller("shortcuts:phone", private=True)
        assert device.proxy is not None
        await talk.let_in(EVES)
        await talk.link(EVES, ANNS)
        action = json.dumps({"command": "/task sing", "device": device.actor, "credential": device.proxy.credential})
        asked = await hub.approvals.ask(
            proxies.KIND, action, "Sing?", asked_by=device.actor, where=ANNS, approvers=(ANNS,), seconds=600, key="s",
            needs=Role.MEMBER,
        )  # fmt: skip
        agreed = asked._replace(state=State.APPROVED, decided_by=EVES)
        await talk.say(EVES, f"/unlink {EVES}")
        await _earn(talk.bot.app.store, EVES, 300)
        with pytest.raises(NotAsYouWere):
            await proxies.carry(hub, agreed)
        assert talk.bot.rows("SELECT requester FROM task") == []


ODD = [
    "matrix:@o'brien:evil.org", "matrix:@'x:evil.org", "matrix:@max=5:evil.org", 'matrix:@x"y:evil.org', "matrix:@\u201cx:evil",
    "matrix:@x\u2014y:evil.org", "matrix:@a--b:evil.org", f"matrix:@{'a' * 240}:evil.org",
]  # fmt: skip


@pytest.mark.long
async def test_whoever_can_be_linked_can_be_taken_off_by_the_id_that_is_told(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        for who in ODD:
            assert (await talk.link(who, ANNS))["ok"], who
            assert (await talk.say(ANNS, f"/unlink {who}"))["actor"] == who
            await talk.link(who, ANNS)
            assert (await talk.bot.data(f"/unpair {who}"))["actor"] == who
        for who in (f"matrix:@{'a' * 300}:evil.org", "matrix:@\u202eeve:evil.org", "matrix:@eve\x1b[2J:evil.org"):
            assert (await talk.link(who, ANNS))["error"] == "bad_actor"
            assert (await talk.say(who, "hello"))["error"] == "bad_actor", "nor let in by a code"
        assert talk.links() == []


async def test_what_is_no_person_joins_nobody(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        code = (await talk.say(ANNS, "/link"))["code"]
        for surface in ("shortcuts", "worker", "peer"):
            gone = await talk.say(f"{surface}:phone", f"/link {code}")
            assert gone["error"] == "device_gone"
        nobody = Caller("shortcuts:phone", Role.GUEST)
        with pytest.raises(NoPersonJoins):
            await talk.bot.app.hub.links.join(nobody, code, "", key="join")
        assert talk.links() == []
    with (
        closing(connect(tmp_path / "data" / DATABASE)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="person"),
    ):
        connection.execute("INSERT INTO link VALUES ('shortcuts:phone', ?, '', 0)", (ANNS,))


@pytest.mark.long
async def test_links_to_who_owns_the_hub_no_more_end_at_the_next_start(tmp_path: Path) -> None:
    before = settings(tmp_path)
    async with hub(tmp_path, found=before.model_copy(update={"owner": BOBS})) as bot:
        await People(bot).link(EVES, BOBS)
        assert (await bot.data("/approve A-1"))["state"] == "done"
    async with hub(tmp_path, found=before) as bot:
        talk = People(bot)
        assert talk.links() == []
        gone = bot.rows("SELECT data FROM event WHERE kind = 'ActorUnlinked'")
        assert [json.loads(data) for (data,) in gone] == [{"actor": EVES, "account": BOBS, "by": "hub"}]


async def test_who_is_let_in_is_themselves_whatever_link_they_had(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.bot.app.store.write(lambda tx: tx.links.link(EVES, BOBS, "", tx.now))
        code = (await talk.say(EVES, "hello"))["text"].split("\n")[1]
        assert (await talk.bot.data(f"/pair {code}"))["ok"]
        assert (await talk.say(EVES, "/whoami"))["role"] == "member"
        assert talk.links() == []


@pytest.mark.long
async def test_a_rejected_result_is_every_identitys_turn_also_of_one_that_is_taken_off(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(EVES)
        await talk.link(EVES, ANNS)
        await talk.bot.say("/task sing pick=ask max=50")
        await talk.bot.see(lambda: talk.bot.rows("SELECT 1 FROM task WHERE status = 'bidding'"))
        await talk.say(ANNS, "/bid T-1 5")
        await talk.bot.say(f"/award T-1 {ANNS}")
        await talk.say(EVES, "/deliver T-1 x")
        await talk.say(ANNS, f"/unlink {EVES}")
        await talk.bot.say("/reject T-1 bad")
        await talk.bot.see(lambda: talk.bot.rows("SELECT 1 FROM task WHERE status = 'bidding' AND attempt = 2"))
        for who in (EVES, ANNS):
            assert (await talk.say(who, "/bid T-1 5"))["error"] == "had_its_turn"


async def test_a_task_for_one_person_waits_for_nobody_once_they_had_it_under_another_name(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS)
        await talk.bot.say(f"/task sing to={BOBS}")
        await talk.bot.until(kind="more", task="T-1", status="bidding")
        await talk.link(BOBS, ANNS)
        await talk.say(BOBS, "/bid T-1 7")
        await talk.say(BOBS, "/deliver T-1 la la")
        await talk.bot.say("/reject T-1 bad")
        await talk.bot.see(lambda: talk.bot.rows("SELECT 1 FROM task WHERE status = 'failed'"))


@pytest.mark.long
async def test_what_follows_of_a_task_is_not_told_to_an_identity_that_was_taken_off(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.link(EVES, ANNS)
        await talk.say(EVES, "/task sing pick=ask max=50")
        await talk.bot.see(lambda: talk.bot.rows("SELECT 1 FROM task WHERE status = 'bidding'"))
        await talk.say(ANNS, f"/unlink {EVES}")
        told = len(talk.told(EVES))
        await talk.let_in(BOBS)
        await talk.say(BOBS, "/bid T-1 5")
        await talk.bot.see(lambda: BOBS in str(talk.told(ANNS)))
        assert (await talk.say(ANNS, "/cancel T-1"))["ok"]
        await talk.bot.barrier()
        assert len(talk.told(EVES)) == told
        assert "cancelled" not in str(talk.told(ANNS)), "she was answered"


@pytest.mark.long
async def test_who_is_a_stranger_by_now_sees_no_more_of_a_task_that_they_posted(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with on_telegram(tmp_path, server) as talk:
        code = (await talk.says(talk.ann, ANN, "/link")).text.split("\n")[1]
        await talk.says(talk.bob, BOB, f"/link {code}")
        await _earn(talk.app.store, ANNS, 300)
        await talk.says(talk.bob, BOB, "/task sing max=50 pick=ask")
        board = await talk.told(talk.bob, "T-1 is up for bids")
        offers = await talk.told(talk.bob, "T-1 bids: ")
        assert (await talk.says(talk.ann, ANN, f"/unlink {BOBS}")).text.startswith(BOBS)
        await talk.says(talk.ann, ANN, "/cancel T-1")
        await talk.until(lambda: not offers.buttons, "what means nothing any more goes away there too")
        await talk.until(lambda: not board.buttons)
        assert board.text.startswith("T-1 posted with a budget"), "as it was answered, and no news"


async def test_who_has_sats_or_work_of_their_own_leaves_none_behind_by_becoming_an_owner(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS)
        await talk.bot.say("/task sing pick=ask max=50")
        await talk.bot.see(lambda: talk.bot.rows("SELECT 1 FROM task WHERE status = 'bidding'"))
        await talk.say(BOBS, "/bid T-1 5")
        for who, what in ((ANNS, "300 sats"), (BOBS, "T-1")):
            await talk.bot.say(f"/unpair {who}")
            code = (await talk.say(who, "hello"))["text"].split("\n")[1]
            refused = await talk.bot.say(f"/pair {code} role=owner")
            assert f"{who} has {what} here from before" in refused["text"]
            assert (await talk.bot.data(f"/pair {code}"))["ok"], "the code is still good"
        assert "300 sats" in (await talk.say(ANNS, "/balance"))["text"].replace("simulated ", "")


@pytest.mark.long
@pytest.mark.parametrize("leaves", [ANNS, BOBS])
async def test_a_wish_ends_when_either_side_is_let_out_even_if_it_comes_back(tmp_path: Path, leaves: str) -> None:
    async with people(tmp_path) as talk:
        await talk.let_in(BOBS, sats=70)
        assert (await talk.link(BOBS, ANNS))["approval"] == "A-1"
        await talk.bot.say(f"/unpair {leaves}")
        await talk.let_in(leaves)
        assert "Nothing was linked" in (await talk.say(BOBS, "/approve A-1"))["text"]
        assert talk.links() == []


async def test_wrong_link_codes_lock_nobody_out_of_letting_in(tmp_path: Path) -> None:
    async with people(tmp_path) as talk:
        answers = [await talk.bot.data("/link AAAAAAAA") for _ in range(6)]
        assert [one["error"] for one in answers] == ["wrong_link_code"] * 5 + ["locked_out"]
        code = (await talk.say(BOBS, "hello"))["text"].split("\n")[1]
        assert (await talk.bot.data(f"/pair {code}"))["ok"]
        answers = [await talk.bot.data("/pair AAAAAAAA") for _ in range(6)]
        assert [one["error"] for one in answers] == ["wrong_code"] * 5 + ["locked_out"]


async def test_whoever_joins_brings_their_quiet_hours_along_and_whoever_leaves_keeps_them(tmp_path: Path) -> None:
    hours = 'SELECT person, "first" / 60, "last" / 60 FROM quiet_hours ORDER BY person'
    async with people(tmp_path) as found:
        await found.let_in(BOBS)
        await found.say(BOBS, "/notify quiet 15:00-17:00 zone=UTC")
        notices = found.bot.app.hub.notices
        await found.bot.app.store.write(lambda tx: notices.tell(tx, _money(BOBS)))
        answer = await found.link(BOBS, ANNS)
        assert answer["text"].endswith(f"Your quiet hours, 15:00-17:00 UTC, are those of {ANNS}, too, from now on.")
        assert "Its quiet hours, 15:00-17:00 UTC, are those of" in found.told(ANNS)[0]
        for who in (ANNS, BOBS):
            standing = await found.say(who, "/notify")
            assert (standing["quiet"], standing["waiting"]) == ("15:00-17:00", 1)
        await found.bot.app.store.write(lambda tx: notices.tell(tx, _money(ANNS)))
        assert len(found.told(ANNS)) == 1, "it is quiet for her, too"
        found.bot.pass_time(2 * 3600)
        await found.bot.see(lambda: "money" in found.told(BOBS) and "money" in found.told(ANNS), pace=0)
        await found.say(ANNS, "/notify quiet 15:00-18:00 zone=UTC")
        await found.say(ANNS, f"/unlink {BOBS}")
        assert found.told(BOBS)[-1].endswith("You keep the quiet hours 15:00-18:00 UTC; /notify quiet off ends them.")
        assert (await found.say(BOBS, "/notify"))["quiet"] == "15:00-18:00"
        await found.say(BOBS, "/notify quiet 10:00-11:00")
        answer = await found.link(BOBS, ANNS)
        assert answer["text"].endswith(
            f"are those of {ANNS} from now on, 15:00-18:00 UTC, in place of your 10:00-11:00; /notify shows them."
        )
        assert "quiet hours" not in found.told(ANNS)[-1]
        await found.link(EVES, ANNS)
        await found.say(ANNS, f"/unlink {EVES}")
        assert found.bot.rows(hours) == [(ANNS, 15, 18)], "who is nobody here any more has none"


@pytest.mark.long
async def test_what_waited_comes_to_whoever_was_linked_and_taken_off_meanwhile(tmp_path: Path) -> None:
    async with people(tmp_path) as found:
        await found.let_in(BOBS)
        await found.say(BOBS, "/notify quiet 15:00-17:00 zone=UTC")
        notices = found.bot.app.hub.notices
        await found.bot.app.store.write(lambda tx: notices.tell(tx, _money(BOBS)))
        await found.link(BOBS, ANNS)
        await found.bot.app.store.write(lambda tx: notices.tell(tx, _money(ANNS, BOBS, words="the account's")))
        for who in (ANNS, BOBS):
            assert (await found.say(who, "/notify"))["waiting"] == 3
        await found.say(ANNS, f"/unlink {BOBS}")
        assert (await found.say(BOBS, "/notify"))["waiting"] == 1
        found.bot.pass_time(2 * 3600)
        await found.bot.see(lambda: "the account's" in found.told(ANNS), pace=0)
        await found.bot.see(lambda: not found.bot.rows("SELECT 1 FROM held_notice"), pace=0)
        assert "money" in found.told(BOBS), "it was his before"
        assert "the account's" not in found.told(BOBS)


def _money(*who: str, words: str = "money") -> Notice:
    return Notice(Topic.MONEY, Reply(words), set(who))
