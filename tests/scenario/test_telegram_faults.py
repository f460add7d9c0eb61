"""Telegram at its worst, and people at theirs: what breaks alone, heals by itself, and never acts."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp.web
import pytest

import bot.app
import core.voice.intent
from adapters.telegram.parts import AGAIN
from core.chat import Button, File, Reply
from core.voice.intent import Intent, Meaning
from tests.depth import first
from tests.ollama_server import OllamaServer
from tests.scenario.bot import QUILL, Hands
from tests.scenario.telegram import ANN, BOB, GROUP, OLGA, on_telegram
from tests.telegram_objects import Message
from tests.telegram_rules import bad, units

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from adapters.console.link import Frame
    from tests.scenario.telegram import Telegrams
    from tests.telegram_objects import Chat
    from tests.telegram_rules import Args, Json
    from tests.telegram_server import TelegramServer


async def healthz(talk: Telegrams) -> tuple[int, str]:
    """The status and the words of /healthz."""
    async with aiohttp.ClientSession() as web, web.get(f"{talk.app.address}/healthz") as answer:
        return answer.status, await answer.text()


async def time_passes(talk: Telegrams, seconds: int, step: float = 5) -> None:
    """Let time pass in steps, with everything done that is due."""
    for _ in range(round(seconds / step)):
        talk.bot.pass_time(step)
        await talk.app.store.write(lambda tx: None)


async def send(talk: Telegrams, chat: Chat, reply: Reply) -> None:
    """Send what no command sends."""
    message = await talk.app.store.write(
        lambda tx: tx.messages.queue("telegram", f"telegram:{chat.id}", reply, None, tx.now)
    )
    talk.app.delivery.send(message)


def about_telegram(talk: Telegrams) -> list[Frame]:
    """What the console was told of the surface and has not read."""
    return [frame for frame in talk.bot.unread if frame.get("data", {}).get("surface") == "telegram"]


def texts(talk: Telegrams, chat: Chat) -> list[str]:
    """What the hub has said in a chat."""
    return [one.text for one in talk.server.messages(chat)]


# The token and the line ----------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("token", ["123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "1:no"])
async def test_a_wrong_token_is_named_and_the_rest_of_the_hub_goes_on(
    tmp_path: Path, server: TelegramServer, token: str
) -> None:
    async with on_telegram(tmp_path, server, token=token) as talk:
        await talk.until(lambda: not talk.app.health.parts["telegram"].up, "it fail")
        assert "@BotFather" in (await talk.bot.say("/status"))["text"]
        status, words = await healthz(talk)
        assert (status, "@BotFather" in words) == (503, True)
        await talk.bot.say("/task write a poem")
        await talk.bot.settled("T-1")
        await time_passes(talk, 300)
        await talk.bot.barrier()
        told = about_telegram(talk)
        assert len(told) == 1, "it is told once"
        assert token not in f"{words}{told}"


@asynccontextmanager
async def _another_poller(server: TelegramServer) -> AsyncIterator[None]:
    """Another program with the same token, which polls whenever it is thrown out."""

    async def poll() -> None:
        async with aiohttp.ClientSession() as web:
            while True:
                await (await web.post(f"{server.base_url}{server.token}/getUpdates", json={"timeout": 50})).read()

    other = asyncio.get_running_loop().create_task(poll())
    yield
    other.cancel()
    with suppress(asyncio.CancelledError):
        await other


@asynccontextmanager
async def _broken(begin: Callable[[], object], end: Callable[[], object]) -> AsyncIterator[None]:
    begin()
    yield
    end()


FAULTS: dict[str, Callable[[TelegramServer], AbstractAsyncContextManager[None]]] = {
    "it refuses the token": lambda server: _broken(server.revoke, server.restore),
    "it answers 502": lambda server: _broken(server.down, server.up),
    "it answers no poll": lambda server: _broken(server.stall, server.flow),
    "another polls": _another_poller,
}


@pytest.mark.parametrize("fault", first(1, FAULTS))
async def test_deaf_is_down_and_said_elsewhere_and_heals(tmp_path: Path, server: TelegramServer, fault: str) -> None:
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.ann, ANN, "/whoami")
        async with FAULTS[fault](server):
            await time_passes(talk, 40)
            await time_passes(talk, 120)
            down = await talk.bot.until(kind="more", surface="telegram")
            assert not down["data"]["ok"]
            status, words = await healthz(talk)
            assert (status, "telegram" in words) == (503, True)
            assert "telegram" in (await talk.bot.say("/status"))["text"].split("\n")[0]
            await talk.bot.say("/task write a poem")
            await talk.bot.settled("T-1")
        server.say(talk.ann, ANN, "/help task")
        await talk.told(talk.ann, "post a task")
        await time_passes(talk, 15)
        assert (await talk.bot.until(kind="more", surface="telegram"))["data"]["ok"]
        assert (await healthz(talk))[0] == 200
        await talk.bot.barrier()
        assert about_telegram(talk) == [], "once down, once up"
        assert len(texts(talk, talk.ann)) == 2


async def test_a_surface_that_only_tries_again_is_not_up(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.ann, ANN, "/whoami")
        server.revoke()
        await talk.until(lambda: not talk.app.health.parts["telegram"].up, "it fail")
        server.restore()
        server.hold("getMe", after=False)
        await time_passes(talk, 60)
        await talk.bot.barrier()
        assert [frame["data"]["ok"] for frame in about_telegram(talk)] == [False]
        assert (await healthz(talk))[0] == 503
        server.release("getMe")
        await talk.says(talk.ann, ANN, "/whoami")
        assert (await healthz(talk))[0] == 200


@pytest.mark.long
@pytest.mark.parametrize("status", [200, 511])
async def test_a_page_in_place_of_an_answer_is_one_line_of_the_log(
    tmp_path: Path,
    server: TelegramServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    caplog.set_level(logging.INFO)
    page = "<html>\n" + "<p>Log in to this network</p>\n" * 20
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.ann, ANN, "/whoami")
        with monkeypatch.context() as portal:
            portal.setattr(
                server, "_answer", lambda *_: aiohttp.web.Response(status=status, text=page, content_type="text/html")
            )
            server.say(talk.ann, ANN, "/help task")
            await talk.until(lambda: "a poll of Telegram failed" in caplog.text, "it fail")
            lines = [record for record in caplog.records if record.name.startswith(("telegram", "adapters.telegram"))]
            assert all(record.exc_info is None and "\n" not in record.getMessage() for record in lines)
            assert "Log in" not in caplog.text
        await talk.told(talk.ann, "post a task")


# Updates that mean nothing, or are no one's --------------------------------------------------------------------------


def _message(**more: Any) -> Json:
    chat = {"id": OLGA, "type": "private", "first_name": "Olga"}
    person = {"id": OLGA, "is_bot": False, "first_name": "Olga"}
    return {"message_id": 900, "date": 1_750_000_000, "chat": chat, "from": person, **more}


MALFORMED: list[Json] = [
    {}, {"message": None}, {"message": []}, {"message": "hello"}, {"message": {"text": "/task x"}},
    {"message": _message(text=7)}, {"message": _message(chat=None, text="/task x")}, {"message": _message()},
    {"message": _message(text="/task x", date="soon")}, {"message": _message(photo=[])},
    {"message": _message(document={"file_id": 1})}, {"message": _message(document=None, new_chat_title="x")},
    {"message": {**_message(text="/task x"), "from": None}}, {"callback_query": {}},
    {"callback_query": {"id": "1", "from": _message()["from"], "chat_instance": "1"}},
    {"callback_query": {"id": "1", "from": _message()["from"], "chat_instance": "1", "data": "1-0", "message": _message(date=0)}},
    {"inline_query": {"id": 5}}, {"edited_message": _message(text="/task x")}, {"channel_post": _message(text="/task x")},
    {"my_chat_member": _message()}, {"message_reaction": {}}, {"something_new": {"x": [1]}},
]  # fmt: skip


@pytest.mark.long
async def test_what_cannot_be_read_is_passed_over_and_what_follows_is_answered(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.olga, OLGA, "/whoami")
        for update in MALFORMED:
            server.malformed(update)
        await talk.says(talk.olga, OLGA, "/whoami")
        half = _message(text="/task write \ud83d it", message_id=901)
        half["from"]["first_name"] = "Ol\ud83dga"
        server.malformed({"message": half})
        await talk.told(talk.olga, "write \ufffd it")
        await talk.says(talk.olga, OLGA, "/whoami")
        assert talk.app.health.parts["telegram"].restarts == 0
        assert talk.rows("SELECT count(*) FROM task") == [(1,)]


async def test_what_nobody_here_said_never_acts(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        server.privacy = False
        server.user(21, "Other", "other_bot", is_bot=True)
        channel = server.channel(-1005, "News")
        first = await talk.says(talk.olga, OLGA, "/whoami")
        said = server.say(talk.olga, OLGA, "/whoami@other_bot")
        server.edit(said, "/task write a poem")
        server.channel_post(channel, "/task write a poem")
        server.say(talk.group, 21, "/task write a poem")
        for chat, who in ((talk.olga, server.bot), (talk.group, server.bot), (talk.group, server.users[21])):
            sent = Message(chat, 5, server.now(), {"from": who.wire()}, text="/task write a poem")
            server.malformed({"message": sent.wire()})
        server.service(talk.group, OLGA, new_chat_title="/task write a poem")
        asked = server.say(talk.olga, OLGA, "/help task", reply_to=first, quote="owner")
        await talk.told(talk.olga, "post a task")
        told = await talk.says(talk.group, OLGA, "/task write", forwarded=True, reply_to=first)
        assert "forwarded" in told.text
        server.anonymous_admin(talk.group, "/task@timmy_bot write a poem")
        await talk.told(talk.group, "post as yourself")
        assert talk.rows("SELECT count(*) FROM task") == [(0,)]
        assert asked.update_id
        assert talk.rows("SELECT count(*) FROM inbound") == [(4,)]


@pytest.mark.long
async def test_a_user_without_a_name_an_album_a_sticker_and_a_place(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        nobody = server.private(31, "")
        code = (await talk.says(nobody, 31, "hello")).text.split("\n")[1]
        assert (await talk.bot.say(f"/pair {code}"))["text"] == "31 is in, as member (telegram:31)"
        await talk.told(nobody, "You are in")
        for number in range(3):
            server.photo(
                talk.olga, OLGA, b"\xff\xd8\xff%d" % number, "/task write about" if not number else None, album="7"
            )
        await talk.told(talk.olga, "T-1")
        await talk.until(
            lambda: sum(text.startswith("Saved photo-") for text in texts(talk, talk.olga)) == 2, "both saved"
        )
        ((work,),) = talk.rows("SELECT description FROM task")
        assert work.startswith("write about photo-")
        server.sticker(talk.olga, OLGA)
        await talk.told(talk.olga, "I do not take stickers")
        server.location(talk.olga, OLGA)
        await talk.told(talk.olga, "I do not take locations")


# Floods, losses, refusals --------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_flood_wait_parks_one_chat_and_its_finals_arrive(tmp_path: Path, server: TelegramServer) -> None:
    gate = asyncio.Event()
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": gate})) as talk:
        await talk.says(talk.olga, OLGA, "/task write a poem")
        await talk.until(lambda: talk.bot.hands.began, "the work begin")
        server.flood(talk.olga, 1000)
        gate.set()
        await talk.until(lambda: talk.rows("SELECT count(*) FROM outgoing WHERE state = 'queued'") == [(1,)], "it wait")
        server.calm(talk.olga)
        for _ in range(3):
            await talk.says(talk.ann, ANN, "/whoami")
            await talk.bot.say("/whoami")
        assert "quill did write a poem" not in str(texts(talk, talk.olga))
        talk.bot.pass_time(1001)
        told = await talk.told(talk.olga, "quill did write a poem")
        assert not told.text.startswith(AGAIN)
        assert len([call for call in server.calls if call.status == 429]) <= 2, "nobody knocks meanwhile"


@pytest.mark.long
async def test_an_answer_takes_its_drafts_place_after_a_flood(tmp_path: Path, server: TelegramServer) -> None:
    rest = asyncio.Event()
    async with OllamaServer.running("slow:latest") as model, on_telegram(tmp_path, server, ollama=model.url) as talk:
        model.says("Once upon a time there was a frog", rest, ", and that is all.")
        server.say(talk.olga, OLGA, "tell me a story")
        await talk.told(talk.olga, "Once upon a time")
        server.flood(talk.olga, 30)
        rest.set()
        await talk.until(lambda: talk.rows("SELECT state FROM outgoing") == [("queued",)], "it wait")
        server.calm(talk.olga)
        talk.bot.pass_time(31)
        await talk.told(talk.olga, "that is all")
        assert texts(talk, talk.olga) == ["Once upon a time there was a frog, and that is all."]


@pytest.mark.long
async def test_a_draft_that_may_have_arrived_is_the_only_one(tmp_path: Path, server: TelegramServer) -> None:
    rest = asyncio.Event()
    async with OllamaServer.running("slow:latest") as model, on_telegram(tmp_path, server, ollama=model.url) as talk:
        model.says("Once upon a time there was a frog", rest, ", and that is all.")
        server.drop_reply("sendMessage")
        server.say(talk.olga, OLGA, "tell me a story")
        await talk.told(talk.olga, "Once upon a time")
        typing = len(server.actions(talk.olga))
        await talk.until(lambda: len(server.actions(talk.olga)) > typing + 1, "it go on")
        assert texts(talk, talk.olga) == ["Once upon a time there was a frog …"]
        rest.set()
        await talk.told(talk.olga, "that is all")


@pytest.mark.long
@pytest.mark.parametrize("lose", ["drop_reply", "drop_request"])
async def test_a_lost_reply_is_made_good_by_a_marked_copy(tmp_path: Path, server: TelegramServer, lose: str) -> None:
    chart = tmp_path / "chart.csv"
    chart.write_bytes(b"a,b\n")
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.olga, OLGA, "/whoami")
        getattr(server, lose)("sendDocument")
        await send(talk, talk.olga, Reply("A chart", files=(File("chart.csv", str(chart)),)))
        await talk.until(
            lambda: talk.rows("SELECT state FROM outgoing WHERE cause IS NULL") == [("sent",)], "it arrive"
        )
        files = [one.text for one in server.messages(talk.olga) if one.kind == "document"]
        assert files == ([""] if lose == "drop_reply" else []) + [AGAIN.strip()]
        assert texts(talk, talk.olga).count("A chart") == 1, "what had arrived is not sent again"


@pytest.mark.long
async def test_whoever_blocks_the_bot_stops_nobody_else(tmp_path: Path, server: TelegramServer) -> None:
    gate = asyncio.Event()
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": gate})) as talk:
        await talk.says(talk.ann, OLGA, "/whoami")
        server.say(talk.olga, OLGA, "/task write a poem")
        await talk.told(talk.olga, "T-1")
        server.block(talk.olga)
        gate.set()
        await talk.until(
            lambda: talk.rows("SELECT state FROM outgoing WHERE cause IS NULL") == [("dead",)], "it give up"
        )
        await talk.says(talk.ann, ANN, "/whoami")
        server.block(talk.olga, blocked=False)
        assert (await talk.says(talk.olga, OLGA, "/show 1")).text.startswith("T-1 is settled")


async def test_a_refused_rendering_goes_out_plain(
    tmp_path: Path, server: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_telegram(tmp_path, server) as talk:
        for name in ("sendmessage", "editmessagetext"):
            takes = server._api.table[name]

            def refuses(args: Args, takes: Callable[[Args], Any] = takes) -> Any:
                if args.text("parse_mode"):
                    raise bad("can't parse entities: Unsupported start tag")
                return takes(args)

            monkeypatch.setitem(server._api.table, name, refuses)
        told = await talk.says(talk.olga, OLGA, "/help")
        assert told.text.startswith("What I can do")
        assert all(entity["type"] != "bold" for entity in told.entities)
        await talk.says(talk.olga, OLGA, "/task write a poem <b>&lt;")
        await talk.told(talk.olga, "quill did write a poem <b>&lt;")
        await talk.told(talk.olga, "T-1 settled: quill was paid 40 sats\nwrite a poem")


@pytest.mark.long
async def test_4096_astral_characters_and_sixty_buttons(tmp_path: Path, server: TelegramServer) -> None:
    async with OllamaServer.running("echo:latest") as model, on_telegram(tmp_path, server, ollama=model.url) as talk:
        said = "".join(
            chr(0x20000 + number) for number in range(4096)
        )  # a model that says the same for ever is stopped
        server.say(talk.olga, OLGA, said)
        await talk.until(lambda: said in "".join(texts(talk, talk.olga)), "all of them")
        assert all(units(text) <= 4096 for text in texts(talk, talk.olga))
        before = server.last(talk.olga)
        buttons = tuple(
            Button(f"{number} " + "🐸" * 70, "/whoami" if number == 59 else "/help") for number in range(60)
        )
        await send(talk, talk.olga, Reply("Choose", buttons=buttons))
        many = await talk.told(talk.olga, "Choose", after=before.id)
        assert sum(map(len, many.labels)) == 60
        server.tap(many, 59, OLGA)
        await talk.told(talk.olga, f"telegram:{OLGA}, owner")


# Buttons -------------------------------------------------------------------------------------------------------------


async def test_buttons_act_for_whom_and_where_they_were_shown(tmp_path: Path, server: TelegramServer) -> None:
    hands = Hands(does={"quill": asyncio.Event(), "echo": asyncio.Event()})
    async with on_telegram(tmp_path, server, hands=hands) as talk:
        posted = []
        for number in (1, 2, 3, 4):
            server.say(talk.olga, OLGA, f"/task write poem {number}")
            posted.append(await talk.told(talk.olga, f"T-{number} "))
        status = "SELECT id, status FROM task WHERE status = 'cancelled' ORDER BY id"

        async def alert(query: str) -> str:
            answer: dict[str, Any] = await talk.until(lambda: server.answers.get(query), "the spinner end", pace=0)
            return str(answer["text"]) if answer["alert"] else ""

        data = posted[0].button("Cancel")["callback_data"]
        forged = {"id": "77", "from": server.users[ANN].wire(), "chat_instance": "1", "data": data}
        server.queries["77"] = posted[0]
        server.push("callback_query", {**forged, "message": {**posted[0].wire(), "chat": talk.ann.wire()}})
        assert "no longer know this button" in await alert("77")
        for number, made_up in enumerate(("", "1", "1-9", "-1-0", "9999-0", "x" * 64, "1-0-0", "１-0"), 80):
            server.queries[str(number)] = posted[0]
            server.push(
                "callback_query", {**forged, "id": str(number), "data": made_up or " ", "message": posted[0].wire()}
            )
            assert await alert(str(number)), made_up
        assert "know you" in await alert(server.tap(posted[0], "Cancel", BOB))
        assert "may not" in await alert(server.tap(posted[0], "Cancel", ANN))
        assert talk.rows(status) == []

        for number in (2, 1):
            server.tap(posted[number - 1], "Cancel", OLGA)
            await talk.told(talk.olga, f"T-{number} cancelled; its sats came back")
        late = server.tap(posted[2], "Cancel", OLGA)
        server.expire(late)
        await talk.told(talk.olga, "T-3 cancelled; its sats came back")
        button = posted[3].button("Cancel")
        server.tap(posted[3], "Cancel", OLGA)
        server.tap(posted[3], "Cancel", OLGA)
        await talk.told(talk.olga, "T-4 cancelled; its sats came back")
        posted[3].buttons = [[button]]
        server.tap(posted[3], "Cancel", OLGA)
        await talk.says(talk.ann, ANN, "/whoami")
        assert talk.rows(status) == [(number, "cancelled") for number in (1, 2, 3, 4)]
        assert talk.rows("SELECT count(*) FROM event WHERE kind = 'TaskCancelled'") == [(4,)]
        assert talk.rows("SELECT posted / 1000, held FROM account WHERE name = 'console:owner'") in ([], [(10_000, 0)])


async def test_a_button_too_old_to_say_its_topic_acts_in_it_and_from_no_other_chat(
    tmp_path: Path, server: TelegramServer
) -> None:
    forum = -1001234560000
    async with on_telegram(
        tmp_path, server, chats=f"{GROUP},{forum}", hands=Hands(does={"quill": asyncio.Event()})
    ) as talk:
        there = server.group(forum, "Forum", forum=True, members=(ANN, OLGA))
        topic = server.topic(there, "Poems")
        posted = await talk.says(there, OLGA, "/task write a poem", thread=topic)
        old = {
            "from": server.users[OLGA].wire(), "chat_instance": "1", "data": posted.button("Cancel")["callback_data"]
        }  # fmt: skip
        server.queries.update({"77": posted, "78": posted})
        elsewhere = {"chat": talk.group.wire(), "message_id": posted.id, "date": 0}
        server.push("callback_query", {**old, "id": "77", "message": elsewhere})
        refused = await talk.until(lambda: server.answers.get("77"), "a refusal", pace=0)
        assert "no longer know this button" in refused["text"]
        server.push("callback_query", {**old, "id": "78", "message": {**elsewhere, "chat": there.wire()}})
        assert (await talk.told(there, "T-1 cancelled; its sats came back", after=posted.id)).thread == topic


async def test_a_refusal_too_long_for_a_buttons_alert_is_a_message(tmp_path: Path, server: TelegramServer) -> None:
    personas = [QUILL._replace(name=f"writer-of-poems-{number}") for number in range(20)]
    async with on_telegram(tmp_path, server, personas=personas) as talk:
        await send(talk, talk.olga, Reply("Choose", buttons=(Button("Hire", "/spawn nobody"),)))
        query = server.tap(await talk.told(talk.olga, "Choose"), "Hire", OLGA)
        await talk.told(talk.olga, "writer-of-poems-19.")
        assert server.answers[query] == {"text": "", "alert": False}


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Free text that begins with "please" means a task; yes and no are answers."""

    def understand(text: str, _: object) -> Meaning:
        said = text.lower().strip(" .!")
        if said.startswith("please "):
            return Meaning(Intent.TASK, 0.9, {}, f"/task {said.removeprefix('please ')}")
        return Meaning(Intent.APPROVAL if said in {"yes", "no"} else Intent.CHAT, 0.9, {})

    monkeypatch.setattr(core.voice.intent, "understand", understand)


@pytest.mark.long
@pytest.mark.usefixtures("questions")
async def test_a_question_is_answered_by_its_asker_once_and_in_time(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": asyncio.Event()})) as talk:
        asked = await talk.says(talk.group, OLGA, "@timmy_bot please write a poem")
        assert asked.labels == [["Yes", "No"]]
        shown = {asked.id: asked.buttons}

        async def refused(user: int, label: str) -> str:
            asked.buttons = shown.setdefault(asked.id, asked.buttons)
            query = server.tap(asked, label, user)
            answer = await talk.until(lambda: server.answers.get(query), "the spinner end", pace=0)
            return str(answer["text"])

        assert "not for you" in await refused(ANN, "Yes")
        assert "know you" in await refused(BOB, "No")
        assert talk.rows("SELECT count(*) FROM task") == [(0,)]
        server.drop_reply("editMessageText")
        server.tap(asked, "Yes", OLGA)
        await talk.until(lambda: asked.text.startswith("T-1"), "the outcome in the question's place")
        await talk.until(lambda: talk.rows("SELECT count(*) FROM outgoing WHERE state <> 'sent'") == [(0,)], "all sent")
        assert "answered" in await refused(OLGA, "No")
        assert talk.rows("SELECT requester, status <> 'cancelled' FROM task") == [("console:owner", 1)]
        assert [text for text in texts(talk, talk.group) if text.startswith(AGAIN)] == []

        asked = await talk.says(talk.group, OLGA, "@timmy_bot please write another")
        other = next(one for one in server.messages(talk.group) if one.id in shown)
        shown[asked.id] = asked.buttons
        asked.buttons = shown[other.id]
        server.tap(asked, "Yes", OLGA)  # a client that says any button's id
        await talk.says(talk.ann, ANN, "/whoami")
        assert asked.text.startswith("Shall I")
        asked.buttons = shown[asked.id]
        server.tap(asked, "No", OLGA)
        await talk.until(lambda: asked.text == "Nothing was done.", "the refusal")
        assert "answered" in await refused(OLGA, "Yes")

        poor = await talk.says(talk.ann, ANN, "please write a fourth")
        query = server.tap(poor, "Yes", ANN)
        await talk.until(lambda: "sats free" in poor.text, "what became of it")
        assert (poor.buttons, server.answers[query]["alert"]) == ([], True)

        asked = await talk.says(talk.group, OLGA, "@timmy_bot please write a third")
        talk.bot.pass_time(601)
        assert "its time is over" in await refused(OLGA, "Yes")
        assert talk.rows("SELECT count(*) FROM task") == [(1,)]


@pytest.mark.long
@pytest.mark.usefixtures("questions")
async def test_yes_and_no_as_words_answer_the_newest_question_alone(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": asyncio.Event()})) as talk:
        for number in (1, 2, 3):
            await talk.says(talk.olga, OLGA, f"please write poem {number}")
        assert "No question waits" in (await talk.says(talk.ann, ANN, "yes")).text, "it is nobody else's question"
        second = await talk.told(talk.olga, "write poem 2")
        for word, told in (("no", "Nothing was done."), ("Yes!", "No question waits")):
            server.say(talk.olga, OLGA, word)
            await talk.told(talk.olga, told)
        await talk.says(talk.olga, OLGA, "please write poem 4")
        server.tap(second, "Yes", OLGA)
        await talk.told(talk.olga, "T-1 posted")
        server.say(talk.olga, OLGA, "yes")
        assert "You said yes to: write poem 4" in (await talk.told(talk.olga, "T-2 posted")).text, "a button is no word"
        assert talk.rows("SELECT description FROM task ORDER BY id") == [("write poem 2",), ("write poem 4",)]


# Files ---------------------------------------------------------------------------------------------------------------

NAMES = {
    ".env": "env", "../x.md": "x.md", "..": "file", "/etc/passwd": "passwd", "C:\\boot.ini": "boot.ini",
    "a\u202emd.exe": "a-md.exe", "my notes (1).md": "my-notes-1.md", "-rf": "rf", "\n.csv": "csv",
    "日" * 200 + ".日本語日本語日本語日": None, "𝒜" * 100 + ".md": None, ".git/config": "config", "x" * 300: "x" * 80,
}  # fmt: skip


@pytest.mark.long
async def test_no_name_of_a_file_means_more_than_a_name(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        workspace = talk.app.settings.workspace
        known = {path.name for path in workspace.iterdir()}
        for number, (name, kept) in enumerate(NAMES.items()):
            content = f"{number}".encode()
            server.document(talk.olga, OLGA, name, content)
            await talk.until(lambda count=number + 1: len(texts(talk, talk.olga)) == count, name)  # type: ignore[misc]
            [new] = {path.name for path in workspace.iterdir()} - known
            known.add(new)
            assert (workspace / new).read_bytes() == content
            assert kept is None or new == kept
        server.document(talk.olga, OLGA, "x.md", b"another")
        await talk.told(talk.olga, "Saved x-2.md")
        server.document(talk.olga, OLGA, "huge.bin", 21 * 2**20)
        await talk.told(talk.olga, "huge.bin is larger than the 20 MB")
        file = server.store("vast.bin", "application/octet-stream", 21 * 2**20)
        unsaid = {"file_id": file.id, "file_unique_id": "u", "file_name": file.name}
        server.send(talk.olga, OLGA, {"document": unsaid}, files=[file])
        await talk.told(talk.olga, "vast.bin is larger than the 20 MB")
        assert sorted(os.listdir(tmp_path)) == ["data", "workspace"]  # noqa: PTH208 - a look at a small folder


@pytest.mark.long
async def test_a_file_that_was_under_way_at_a_stop_is_fetched_after_it_once_telegram_gives_it(
    tmp_path: Path, server: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.app, "DRAIN_SECONDS", 0)
    async with on_telegram(tmp_path, server) as talk:
        await talk.says(talk.olga, OLGA, "/whoami")
        server.hold("getFile", after=False)
        server.document(talk.olga, OLGA, "notes.md", b"milk")
        await talk.until(lambda: talk.rows("SELECT count(*) FROM inbound WHERE done = 0") == [(1,)], "it begin", pace=0)
    server.release("getFile")
    server.drop_request("getFile", 2)
    async with on_telegram(tmp_path, server) as talk:
        await talk.told(talk.olga, "Saved notes.md")
        assert len(texts(talk, talk.olga)) == 2
        assert (talk.app.settings.workspace / "notes.md").read_bytes() == b"milk"


# Who ------------------------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_codes_are_few_short_lived_and_guessed_in_vain(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as talk:
        codes = [(await talk.says(talk.bob, BOB, "let me in")).text.split("\n")[1] for _ in range(3)]
        assert len(set(codes)) == 3
        assert "asked for 3 codes already" in (await talk.says(talk.bob, BOB, "let me in")).text
        other = server.private(41, "Carl")
        assert len((await talk.says(other, 41, "me too")).text.split("\n")[1]) == 8, "the limit is each one's own"
        assert "may not" in (await talk.says(talk.ann, ANN, f"/pair {codes[0]}")).text
        talk.bot.pass_time(3601)
        assert (await talk.bot.data(f"/pair {codes[0]}"))["error"] == "wrong_code"
        code = (await talk.says(talk.bob, BOB, "let me in")).text.split("\n")[1]
        for wrong in ("AAAAAAAA", code[:-1], code + "A", codes[1]):
            assert (await talk.bot.data(f"/pair {wrong}"))["error"] == "wrong_code"
        assert (await talk.bot.data(f"/pair {code}"))["error"] == "locked_out"
        assert (
            "is in" in (await talk.says(talk.olga, OLGA, f"/pair {code.lower()[:4]}-{code[4:]} role=operator")).text
        ), "another owner is not locked out"
        await talk.told(talk.bob, "You are in, as operator")
        assert not (await talk.bot.data(f"/pair {code}"))["ok"]


async def test_a_role_is_taken_away_at_once_and_everywhere(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server, hands=Hands(does={"quill": asyncio.Event()})) as talk:
        for role, may in (("member", False), ("operator", True), ("payer", False), ("owner", True)):
            before = len(texts(talk, talk.bob))
            server.say(talk.bob, BOB, "let me in")
            await talk.until(lambda: "pairing code" in str(texts(talk, talk.bob)[before:]), "a code")  # noqa: B023
            code = next(text for text in texts(talk, talk.bob)[before:] if "pairing code" in text).split("\n")[1]
            assert (await talk.bot.data(f"/pair {code} role={role}"))["role"] == role
            await talk.told(talk.bob, f"You are in, as {role}")
            assert (await talk.says(talk.group, BOB, "/whoami")).text == f"telegram:{BOB}, {role}"
            spawned = (await talk.says(talk.group, BOB, "/dismiss echo")).text
            assert ("may not" not in spawned) == may, role
            await send(talk, talk.bob, Reply(f"Choose, {role}", buttons=(Button("Who", "/whoami"),)))
            choose = await talk.told(talk.bob, f"Choose, {role}")
            assert (await talk.bot.data(f"/unpair telegram:{BOB}"))["ok"]
            assert "know you" in (await talk.says(talk.group, BOB, "/whoami@timmy_bot")).text
            query = server.tap(choose, "Who", BOB)
            answer = await talk.until(lambda query=query: server.answers.get(query), "a refusal", pace=0)  # type: ignore[misc]
            assert "know you" in answer["text"]
        assert (await talk.bot.data(f"/unpair telegram:{OLGA}"))["error"] == "owner_by_setting"
        assert (await talk.bot.data("/unpair telegram:99"))["error"] == "not_paired"


# Groups --------------------------------------------------------------------------------------------------------------


async def test_private_answers_leave_the_group_and_the_general_topic_is_the_group(
    tmp_path: Path, server: TelegramServer
) -> None:
    forum = -1001234560000
    async with on_telegram(tmp_path, server, chats=f"{GROUP},{forum}") as talk:
        talk_there = server.group(forum, "Forum", forum=True, members=(ANN, OLGA, BOB))
        topic = server.topic(talk_there, "Money")
        for thread in (None, topic):
            aside = await talk.says(talk_there, ANN, "/balance", thread=thread)
            assert (aside.thread, "sats" in aside.text) == (thread, False)
        await talk.until(lambda: sum("sats free" in text for text in texts(talk, talk.ann)) == 2, "both balances")
        talk.ann.started = False
        assert "press Start" in (await talk.says(talk_there, ANN, "/balance")).text
        await talk.until(lambda: ("dead",) in talk.rows("SELECT state FROM outgoing"), "it give up")


@pytest.mark.long
async def test_a_group_that_moved_is_followed_over_a_restart(tmp_path: Path, server: TelegramServer) -> None:
    old, new, gate = -4567, -1004567, asyncio.Event()
    async with on_telegram(tmp_path, server, chats=str(old), hands=Hands(does={"quill": gate})) as talk:
        group = server.group(old, "Group", members=(ANN, OLGA))
        await talk.says(group, OLGA, "/task write a poem")
        await talk.until(lambda: talk.bot.hands.began, "the work begin")
        server.stall()
        moved = server.migrate(group, new)
        gate.set()
        await talk.told(moved, "quill did write a poem")
    server.flow()
    async with on_telegram(tmp_path, server, chats=str(old)) as talk:
        moved = server.chats[new]
        assert (await talk.says(moved, ANN, "/whoami")).text == f"telegram:{ANN}, member"
        assert talk.rows("SELECT conversation FROM task") == [(f"telegram:{new}",)]
        assert server.messages(group)[-1].text.startswith("T-1")


@pytest.mark.long
async def test_strangers_in_a_group_that_is_not_listed_leave_one_row_an_hour(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with on_telegram(tmp_path, server) as talk:
        strange = server.group(-1009999, "Not listed", members=(BOB,))
        server.say(strange, BOB, "/whoami")
        await talk.until(lambda: talk.rows("SELECT done FROM inbound") == [(1,)], "the first taken")
        for number in range(50):
            server.say(strange, BOB, f"/whoami {number}")
        await talk.until(lambda: not server.queue, "all taken")
        await talk.bot.barrier()
        assert talk.rows("SELECT count(*) FROM inbound WHERE actor = ?", f"telegram:{BOB}") == [(1,)]


@pytest.mark.long
async def test_what_is_said_right_after_a_move_is_answered(tmp_path: Path, server: TelegramServer) -> None:
    old, new = -4567, -1004567
    async with on_telegram(tmp_path, server, chats=str(old)) as talk:
        group = server.group(old, "Group", members=(ANN, OLGA))
        await talk.says(group, OLGA, "/whoami")
    moved = server.migrate(group, new)
    server.say(moved, ANN, "/whoami")
    async with on_telegram(tmp_path, server, chats=str(old)) as talk:
        await talk.told(moved, f"telegram:{ANN}, member")
        assert talk.rows("SELECT text FROM inbound ORDER BY id DESC LIMIT 1") == [("/whoami",)]


@pytest.mark.long
@pytest.mark.usefixtures("questions")
async def test_no_message_of_before_a_move_is_taken_for_one_of_after_it(tmp_path: Path, server: TelegramServer) -> None:
    old, new, gate = -4567, GROUP - 1, asyncio.Event()
    async with on_telegram(tmp_path, server, chats=str(old), hands=Hands(does={"quill": gate})) as talk:
        group = server.group(old, "Group", members=(ANN, OLGA))
        await talk.says(group, OLGA, "/task write a poem")
        asked = await talk.says(group, OLGA, "@timmy_bot please write a letter")
        moved = server.migrate(group, new)
        for number in range(asked.id + 1):
            await send(talk, moved, Reply(f"Message {number}"))
        await talk.told(moved, f"Message {asked.id}")
        before = texts(talk, moved)
        server.tap(asked, "Yes", OLGA)
        await talk.told(moved, "T-2")
        gate.set()
        await talk.told(moved, "did write a letter")
        await talk.told(moved, "did write a poem")
        await talk.says(moved, OLGA, "/task write a song")
        await talk.told(moved, "sats\nwrite a song")
        await time_passes(talk, 20)
        assert texts(talk, moved)[: len(before)] == before
    async with on_telegram(tmp_path, server, chats=str(old)) as talk:
        await talk.says(moved, ANN, "/whoami")
        await time_passes(talk, 20)
        assert texts(talk, moved)[: len(before)] == before
