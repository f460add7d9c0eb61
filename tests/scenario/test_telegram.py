"""Telegram, from a person's side: chats, groups, topics, buttons, files, and what must never act."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from adapters.sqlite.task_store import TaskRows
from config.settings import Telegram
from core.chat import Inbound
from tests.scenario.bot import QUILL, Hands, hub, settings
from tests.scenario.telegram import ANN, BOB, GROUP, OLGA, on_telegram, telegram_settings

if TYPE_CHECKING:
    from pathlib import Path

    from core.swarm.task import Task
    from tests.telegram_server import TelegramServer


async def test_a_task_is_posted_worked_at_and_paid_in_one_chat(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        talk.server.say(talk.olga, OLGA, "/task write a poem")
        await talk.told(talk.olga, "T-1 settled: quill was paid 40 sats\n\nquill did write a poem")
        board = await talk.told(talk.olga, "T-1 settled: quill was paid 40 sats\nwrite a poem")
        assert board.edits
        assert board.buttons == []
        assert len(talk.server.messages(talk.olga)) == 2


async def test_a_stranger_is_given_a_code_and_let_in_with_it(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        told = await talk.says(talk.bob, BOB, "/task steal everything")
        code = told.text.split("\n")[1]
        assert len(code) == 8
        assert (await talk.bot.data(f"/pair {code}"))["actor"] == f"telegram:{BOB}"
        assert "You are in" in (await talk.told(talk.bob, "You are in")).text
        assert (await talk.says(talk.bob, BOB, "/whoami")).text.startswith(f"telegram:{BOB}, member")
        assert talk.rows("SELECT count(*) FROM inbound WHERE text LIKE '%steal%'") == [(0,)]


async def test_a_button_acts_once_and_its_spinner_ends(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": asyncio.Event()})) as talk:
        posted = await talk.says(talk.olga, OLGA, "/task write a poem")
        query = talk.server.tap(posted, "Cancel", OLGA)
        await talk.told(talk.olga, "T-1 cancelled; its sats came back")
        await talk.until(lambda: query in talk.server.answers, "the spinner end")
        await talk.until(lambda: not posted.buttons, "the board lose its button")


async def test_a_stranger_presses_in_vain(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": asyncio.Event()})) as talk:
        posted = await talk.says(talk.group, OLGA, "/task write a poem")
        query = talk.server.tap(posted, "Cancel", BOB)
        await server.until(lambda: query in server.answers)
        assert talk.server.answers[query]["alert"]
        assert talk.rows("SELECT status FROM task") != [("cancelled",)]


async def test_a_group_is_spoken_to_by_name_and_money_stays_private(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        talk.server.privacy = False
        talk.server.say(talk.group, OLGA, "what do you all think?")
        talk.server.say(talk.group, OLGA, "/whoami@other_bot")
        heard = await talk.says(talk.group, OLGA, "/whoami@timmy_bot")
        assert heard.text.startswith(f"telegram:{OLGA}, owner")
        aside = await talk.says(talk.group, OLGA, "/balance")
        assert "in private" in aside.text
        assert "10,000 simulated sats free" in (await talk.told(talk.olga, "free")).text
        assert talk.rows("SELECT count(*) FROM inbound") == [(2,)]


async def test_a_group_that_is_not_listed_hears_nothing_but_its_owner_a_hint(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with on_telegram(tmp_path, server) as talk:
        other = server.group(-1009, "Elsewhere", members=(ANN, OLGA))
        talk.server.say(other, ANN, "/tasks")
        hint = await talk.says(other, OLGA, "/tasks")
        assert "-1009" in hint.text
        assert "TIMMY_TELEGRAM_CHATS" in hint.text
        assert len(talk.server.messages(other)) == 1


@pytest.mark.long
async def test_a_task_that_waits_says_for_whom(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": asyncio.Event()}), personas=[QUILL]) as talk:
        await talk.says(talk.olga, OLGA, "/task write a poem")
        await talk.told(talk.olga, "T-1: quill is at work")
        await talk.says(talk.olga, OLGA, "/task write another")
        await talk.told(talk.olga, "T-2 waits for quill to be free")
        assert "\nwaits for quill to be free" in (await talk.says(talk.olga, OLGA, "/show 2")).text
        await talk.says(talk.olga, OLGA, "/cancel 1")
        await talk.told(talk.olga, "T-2: quill is at work")


async def test_a_topic_is_a_conversation_of_its_own(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        forum = server.group(GROUP - 7, "Forum", forum=True, members=(OLGA,))
        topic = server.topic(forum, "Poems")
        hint = await talk.says(forum, OLGA, "/whoami", thread=topic)
        assert hint.thread == topic


@pytest.mark.parametrize("how", [{"forwarded": True}, {"via_bot": True}])
async def test_what_others_wrote_never_acts(tmp_path: Path, server: TelegramServer, how: dict[str, bool]) -> None:
    async with on_telegram(tmp_path, server) as talk:
        told = await talk.says(talk.olga, OLGA, "/task write a poem", **how)
        assert "I do not take" in told.text
        assert talk.rows("SELECT count(*) FROM task") == [(0,)]


async def test_what_is_no_text_is_said_to_be_none(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        for send, what in ((server.sticker, "stickers"), (server.location, "locations"), (server.dice, "dice")):
            send(talk.olga, OLGA)
            await talk.told(talk.olga, f"I do not take {what}")


@pytest.mark.long
async def test_a_file_is_kept_and_worth_a_task(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        server.document(talk.olga, OLGA, "my notes.md", b"# Notes\n\nBuy milk.")
        saved = await talk.told(talk.olga, "Saved my-notes.md in the workspace.")
        assert (tmp_path / "workspace" / "my-notes.md").read_bytes() == b"# Notes\n\nBuy milk."
        server.tap(saved, "Summarise", OLGA)
        await talk.told(talk.olga, "quill did summarise my-notes.md")
        server.document(talk.olga, OLGA, "huge.bin", 25 * 2**20)
        await talk.told(talk.olga, "huge.bin is larger than the 20 MB")
        server.document(talk.olga, OLGA, "b.md", b"B", caption="/task shorten this")
        await talk.told(talk.olga, "quill did shorten this b.md")


async def test_a_migrated_group_goes_on(tmp_path: Path, server: TelegramServer) -> None:
    gate = asyncio.Event()
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": gate})) as talk:
        await talk.says(talk.group, OLGA, "/task write a poem")
        moved = server.migrate(talk.group, GROUP - 1)
        gate.set()
        await talk.told(moved, "quill did write a poem")
        assert (await talk.says(moved, OLGA, "/whoami")).text.startswith(f"telegram:{OLGA}")
        assert talk.rows("SELECT conversation FROM task") == [(f"telegram:{GROUP - 1}",)]


async def test_the_menu_is_the_registry(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.olga, OLGA, "/start")
        private, group = dict(server.menu("all_private_chats")), dict(server.menu("all_group_chats"))
        owner = dict(server.menu(("chat", str(OLGA))))
        assert "balance" in private.keys() - group.keys()
        assert "pair" in owner.keys() - private.keys()
        assert "task" in group.keys() & private.keys() & owner.keys()


async def test_buttons_that_mean_nothing_any_more_go_away(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": asyncio.Event()})) as talk:
        await talk.says(talk.olga, OLGA, "/task write a poem pick=ask")
        offers = await talk.told(talk.olga, "T-1 bids: ")
        assert offers.labels == [["quill 40", "echo 45"]]
        server.tap(offers, "quill 40", OLGA)
        await talk.until(lambda: not offers.buttons, "the other bids go")
        assert offers.text.startswith("T-1 bids: "), "its words stay"
        board = await talk.told(talk.olga, "quill is at work for 40 sats")
        assert board.labels == [["Cancel"]]


async def test_who_is_let_in_as_an_owner_shares_the_owners_wallet(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        code = (await talk.says(talk.bob, BOB, "hello")).text.split("\n")[1]
        await talk.bot.say(f"/pair {code} role=owner")
        await talk.told(talk.bob, "You are in, as owner. Try: /task")
        assert "10,000 simulated sats free" in (await talk.says(talk.bob, BOB, "/balance")).text


async def test_a_token_that_is_empty_is_none(tmp_path: Path) -> None:
    found = settings(tmp_path).model_copy(update={"telegram": Telegram(token=SecretStr(""))})
    async with hub(tmp_path, found=found) as bot:
        assert "telegram" not in (await bot.data("/status"))["parts"]


async def test_a_wrong_token_is_said_in_whole_sentences(tmp_path: Path, server: TelegramServer) -> None:
    async with hub(tmp_path, found=telegram_settings(tmp_path, server, token="1:no")) as bot:
        faults = await bot.see(bot.app.health.faults, "a fault")
        assert faults[0].startswith("telegram is down: Telegram refuses the bot's token.")
        assert faults[0].endswith("TIMMY_TELEGRAM_TOKEN")


@pytest.mark.long
async def test_who_works_for_somebody_else_gets_no_buttons_of_theirs(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, hands=Hands(asks={"quill": None, "echo": None})) as talk:
        await talk.says(talk.olga, OLGA, "/task proofread this pick=ask")
        bid = await talk.says(talk.ann, ANN, "/bid T-1 30")
        await talk.told(talk.olga, "T-1 bids: ")
        await talk.says(talk.olga, OLGA, f"/award T-1 telegram:{ANN}")
        await talk.told(talk.ann, "T-1 is yours")
        talk.server.say(talk.ann, ANN, "/deliver T-1 done")
        delivered = await talk.told(talk.ann, "T-1 delivered")
        assert (bid.buttons, delivered.buttons) == ([], [])
        buttons = [["Accept", "Reject"]]  # the board says the same, without any

        def asked() -> bool:
            return any("T-1 delivered by" in one.text and one.labels == buttons for one in server.messages(talk.olga))

        await talk.until(asked, "the buttons of whoever posted it")


async def test_a_question_that_was_answered_in_words_loses_its_buttons(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        asked = await talk.says(talk.olga, OLGA, "have quill summarise welcome.md")
        assert asked.labels == [["Yes", "No"]]
        await talk.says(talk.olga, OLGA, "no thanks")
        await talk.told(talk.olga, "Nothing was done.")
        await talk.until(lambda: not asked.buttons, "its buttons go")


@pytest.mark.long
async def test_a_list_reads_no_more_for_a_chat_than_it_shows(
    tmp_path: Path, server: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    newest = TaskRows.newest

    def noted(rows: TaskRows, *how: Any, **more: Any) -> list[Task]:
        found = newest(rows, *how, **more)
        read.append(len(found))
        return found

    async with on_telegram(tmp_path, server) as talk:
        for number in range(1, 26):
            await talk.bot.say(f"/task write poem {number} max=1 pick=ask")
        monkeypatch.setattr(TaskRows, "newest", noted)
        listed = await talk.says(talk.olga, OLGA, "/tasks")
        assert listed.text.startswith("25 tasks, newest first")
        assert "15 older: /tasks from=T-15" in listed.text
        assert max(read) <= 11
        read.clear()
        assert len((await talk.bot.data("/tasks"))["tasks"]) == 25
        assert max(read) == 25, "a program on the console gets all"


@pytest.mark.long
async def test_a_button_spelt_otherwise_is_no_other_button(tmp_path: Path, server: TelegramServer) -> None:
    """What a client sends as a button's data is the client's to choose."""
    async with on_telegram(tmp_path, server) as talk:
        asked = await talk.says(talk.olga, OLGA, "have quill summarise welcome.md")
        own = asked.buttons[0][0]["callback_data"]
        number, _, place = own.partition("-")
        for data in (own, f"0{own}", f"{number}-0{place}", f"{number}-{place} ", f"{number}-\u0660"):
            message = Inbound("telegram", "bot", data, f"telegram:{OLGA}", f"telegram:{OLGA}", "", tap=data)
            await talk.app.dispatcher.receive(message)
        await talk.told(talk.olga, "I no longer know this button")
        await talk.until(lambda: talk.rows("SELECT count(*) FROM inbound WHERE done = 0") == [(0,)], "all answered")
        assert talk.rows("SELECT count(*) FROM task") == [(1,)]


async def test_a_board_that_a_stop_left_behind_is_shown_as_it_is(tmp_path: Path, server: TelegramServer) -> None:
    gate = asyncio.Event()
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": gate})) as talk:
        board = await talk.says(talk.olga, OLGA, "/task write a poem")
        await talk.told(talk.olga, "quill is at work")
        server.hold("editMessageText", after=False)
        gate.set()
        await talk.told(talk.olga, "quill did write a poem")
        assert board.buttons, "the last edit did not come through"
    server.release("editMessageText")
    async with on_telegram(tmp_path, server) as talk:
        await talk.told(talk.olga, "T-1 settled: quill was paid 40 sats\nwrite a poem")
        assert board.buttons == []


@pytest.mark.long
async def test_a_long_result_keeps_its_end_when_its_buttons_go(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.olga, OLGA, f"/task paint the shed to=telegram:{ANN}")
        await talk.says(talk.ann, ANN, "/bid T-1 20")
        long = " ".join(f"line {number}" for number in range(900))
        server.say(talk.ann, ANN, f"/deliver T-1 {long}")
        last = await talk.until(
            lambda: next((one for one in server.messages(talk.olga) if one.labels == [["Accept", "Reject"]]), None)
        )
        before = last.text
        server.tap(last, "Accept", OLGA)
        await talk.until(lambda: not last.buttons, "its buttons go")
        assert last.text == before


@pytest.mark.long
async def test_a_typed_yes_that_was_cut_off_answers_the_same_question(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.olga, OLGA, "/task write a poem pick=ask")
        await talk.says(talk.olga, OLGA, "please cancel task 1")
        await talk.says(talk.olga, OLGA, "have quill write a letter")
        said = server.say(talk.olga, OLGA, "yes")
        await talk.told(talk.olga, "T-2 posted")
        await talk.app.store.write(
            lambda tx: tx._connection.execute("UPDATE inbound SET done = 0 WHERE update_id = ?", (str(said.update_id),))
        )
    async with on_telegram(tmp_path, server) as talk:
        await talk.until(lambda: talk.rows("SELECT count(*) FROM inbound WHERE done = 0") == [(0,)], "the turn again")
        assert talk.rows("SELECT status FROM task WHERE id = 1") == [("bidding",)]
        assert talk.rows("SELECT count(*) FROM task") == [(2,)]


async def test_nobody_reads_a_balance_in_a_group(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        told = await talk.says(talk.group, OLGA, "/task write a poem max=99999")
        assert "in private" in told.text
        await talk.told(talk.olga, "You have 10,000 sats free")
