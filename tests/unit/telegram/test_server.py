"""The fake Telegram, seen through the real `telegram.Bot`: what Telegram refuses is refused, as the library's own error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from telegram import (
    BotCommand,
    BotCommandScopeChat,
    ChatMemberLeft,
    ChatMemberMember,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    ReplyParameters,
)
from telegram.error import BadRequest, ChatMigrated, EndPointNotFound, Forbidden, InvalidToken, NetworkError

from tests.depth import first
from tests.telegram_rules import Refused
from tests.telegram_text import parse_html

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from telegram import Bot

    from tests.telegram_objects import Chat
    from tests.telegram_server import TelegramServer
    from tests.unit.telegram.conftest import MakeBot

ANN = 11
GROUP = -100123
FORUM = -1001234567890
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (40).to_bytes(4) + (30).to_bytes(4) + b"\x08\x02\0\0\0rest"


@pytest.fixture
def ann(server: TelegramServer) -> Chat:
    return server.private(ANN, "Ann", "ann")


def rows(*counts: int, data: str = "x") -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton("b", callback_data=data)] * count for count in counts])


async def test_a_message_is_heard_and_answered(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    said = server.say(ann, ANN, "/start now", forwarded=True)
    [update] = await bot.get_updates(timeout=1)
    assert update.update_id == said.update_id
    assert update.message is not None
    assert update.message.text == "/start now"
    assert update.message.entities[0].type == "bot_command"
    assert update.message.forward_origin is not None
    html = "<b>A</b> &lt; 👍 <i>b</i>"
    sent = await bot.send_message(ANN, html, parse_mode="HTML", reply_parameters=ReplyParameters(said.id))
    assert sent.text == "A < 👍 b"
    assert [entity.type for entity in sent.entities] == ["bold", "italic"]
    assert sent.parse_entity(sent.entities[1]) == "b"
    assert sent.reply_to_message is not None
    assert server.last(ann).html == html


BAD_HTML = {
    "&lt;<p>": 'Unsupported start tag "p" at byte offset 4',
    "👍</b>": "Unexpected end tag at byte offset 4",
    "<b>x": 'Can\'t find end tag corresponding to start tag "b"',
    "<b><i>x</b></i>": 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"',
    "x <b": "Unclosed start tag at byte offset 2",
    "a < b>": 'Unsupported start tag "" at byte offset 2',
    "<b>x</b": "Unclosed end tag at byte offset 4",
    "<span>x</span>": 'Tag "span" must have class "tg-spoiler" at byte offset 0',
    "<a href=x/>y</a>": "Unexpected end of name token at byte offset 9",
    '<a href="x>y</a>': "Unclosed start tag at byte offset 0",
    "<a href": 'Unclosed start tag "a" at byte offset 0',
    '<i   ="aba">x</i>': 'Empty attribute name in the tag "i" at byte offset 0',
}


@pytest.mark.parametrize(("html", "why"), first(5, BAD_HTML.items()))
async def test_bad_html_is_refused(server: TelegramServer, bot: Bot, ann: Chat, html: str, why: str) -> None:
    with pytest.raises(BadRequest):
        await bot.send_message(ANN, html, parse_mode="HTML")
    assert server.calls[-1].answer["description"] == f"Bad Request: can't parse entities: {why}"
    assert server.messages(ann) == []


GOOD_HTML: dict[str, tuple[str, list[str]]] = {
    "&lt;&gt;&amp;&quot;&#65;&#x42;": ('<>&"AB', []),
    "&nbsp; & &laquo &#0;": ("&nbsp; & &laquo &#0;", []),
    '<pre><code class="language-py">x = 1</code></pre>': ("x = 1", ["pre"]),
    "<code>a <b>b</b></code>": ("a b", ["code"]),
    "<B>a<i >b</I></B>": ("ab", ["bold", "italic"]),
    '<a href="https://x.org/?a=1&amp;b=2">x</a>': ("x", ["text_link"]),
    '<a href="nonsense">x</a>': ("x", []),
    '<a href="tg://user?id=5">x</a>': ("x", ["text_mention"]),
    '<span class="tg-spoiler">a</span><tg-spoiler>b</tg-spoiler>': ("ab", ["spoiler", "spoiler"]),
    "<blockquote expandable>a</blockquote>": ("a", ["expandable_blockquote"]),
    "<b></b>a": ("a", []),
}


@pytest.mark.parametrize(("html", "made"), GOOD_HTML.items())
def test_html_is_read_as_telegram_does(html: str, made: tuple[str, list[str]]) -> None:
    text, entities = parse_html(html)
    assert (text, [entity["type"] for entity in entities]) == made


def test_offsets_are_utf16() -> None:
    text, entities = parse_html("👍<b>👍</b><pre><code class='language-py'>x</code></pre>")
    assert text == "👍👍x"
    assert entities == [
        {"type": "bold", "offset": 2, "length": 2},
        {"type": "pre", "offset": 4, "length": 1, "language": "py"},
    ]
    with pytest.raises(Refused):
        parse_html("<i></b>")


async def test_white_space_at_the_ends_goes(bot: Bot, ann: Chat) -> None:
    sent = await bot.send_message(ANN, "\n a <b>b </b>\n", parse_mode="HTML")
    assert sent.text == "a b"
    assert [(entity.offset, entity.length) for entity in sent.entities] == [(2, 1)]


Refusal = tuple["Callable[[Bot], Awaitable[Any]]", type[Exception], str]

REFUSALS: dict[str, Refusal] = {
    "empty": (lambda bot: bot.send_message(ANN, ""), BadRequest, "message text is empty"),
    "blank": (lambda bot: bot.send_message(ANN, " \n"), BadRequest, "text must be non-empty"),
    "only tags": (lambda bot: bot.send_message(ANN, "<b></b>", "HTML"), BadRequest, "text must be non-empty"),
    "long": (lambda bot: bot.send_message(ANN, "x" * 4097), BadRequest, "message is too long"),
    "astral": (lambda bot: bot.send_message(ANN, "👍" * 2049), BadRequest, "message is too long"),
    "raw": (lambda bot: bot.send_message(ANN, "<b>é</b>" * 3641, "HTML"), BadRequest, "text is too long"),
    "unknown chat": (lambda bot: bot.send_message(99, "x"), BadRequest, "chat not found"),
    "a stranger": (lambda bot: bot.send_message(12, "x"), Forbidden, "bot can't initiate conversation with a user"),
    "never started": (lambda bot: bot.send_message(13, "x"), Forbidden, "bot can't initiate conversation with a user"),
    "blocked": (lambda bot: bot.send_message(14, "x"), Forbidden, "bot was blocked by the user"),
    "kicked": (lambda bot: bot.send_message(-1001, "x"), Forbidden, "bot was kicked from the group chat"),
    "general": (lambda bot: bot.send_message(FORUM, "x", message_thread_id=1), BadRequest, "message thread not found"),
    "no topic": (
        lambda bot: bot.send_message(FORUM, "x", message_thread_id=77),
        BadRequest,
        "message thread not found",
    ),
    "private topic": (
        lambda bot: bot.send_message(ANN, "x", message_thread_id=77),
        BadRequest,
        "message thread not found",
    ),
    "reply": (
        lambda bot: bot.send_message(ANN, "x", reply_parameters=ReplyParameters(99)),
        BadRequest,
        "message to be replied not found",
    ),
    "parse mode": (lambda bot: bot.send_message(ANN, "x", "XML"), BadRequest, "unsupported parse_mode"),
    "data": (
        lambda bot: bot.send_message(ANN, "x", reply_markup=rows(1, data="é" * 33)),
        BadRequest,
        "BUTTON_DATA_INVALID",
    ),
    "buttons": (
        lambda bot: bot.send_message(ANN, "x", reply_markup=rows(*[8] * 13)),
        BadRequest,
        "reply markup is too long",
    ),
    "row": (lambda bot: bot.send_message(ANN, "x", reply_markup=rows(9)), BadRequest, "reply markup is too long"),
    "edit nothing": (lambda bot: bot.edit_message_text("x", ANN, 99), BadRequest, "message to edit not found"),
    "delete nothing": (lambda bot: bot.delete_message(ANN, 99), BadRequest, "message to delete not found"),
    "action": (lambda bot: bot.send_chat_action(ANN, "dancing"), BadRequest, "wrong parameter action in request"),
    "no query": (
        lambda bot: bot.answer_callback_query("1"),
        BadRequest,
        "query is too old and response timeout expired or query ID is invalid",
    ),
    "file": (lambda bot: bot.get_file("x"), BadRequest, "invalid file_id"),
    "caption": (lambda bot: bot.send_photo(ANN, PNG, "x" * 1025), BadRequest, "message caption is too long"),
    "no picture": (lambda bot: bot.send_photo(ANN, b"text"), BadRequest, "IMAGE_PROCESS_FAILED"),
    "thin": (
        lambda bot: bot.send_photo(ANN, PNG[:16] + b"\0\0\0\1" * 1 + b"\0\0\1\0rest"),
        BadRequest,
        "PHOTO_INVALID_DIMENSIONS",
    ),
    "nothing in it": (lambda bot: bot.send_document(ANN, b""), BadRequest, "file must be non-empty"),
    "no file": (lambda bot: bot.send_document(ANN, "BQAD"), BadRequest, "wrong file identifier/HTTP URL specified"),
    "command": (lambda bot: bot.set_my_commands([("Help", "x")]), BadRequest, "BOT_COMMAND_INVALID"),
    "name": (lambda bot: bot.set_my_commands([("x" * 33, "x")]), BadRequest, "command name length must not exceed 32"),
    "description": (
        lambda bot: bot.set_my_commands([("x", "x" * 257)]),
        BadRequest,
        "command description length must not exceed 256",
    ),
    "commands": (
        lambda bot: bot.set_my_commands([(f"c{n}", "x") for n in range(101)]),
        BadRequest,
        "BOT_COMMANDS_TOO_MUCH",
    ),
    "leave a person": (
        lambda bot: bot.leave_chat(ANN),
        BadRequest,
        "chat member status can't be changed in private chats",
    ),
    "unknown user": (lambda bot: bot.get_chat_member(GROUP, 99), BadRequest, "user not found"),
    "webhook": (
        lambda bot: bot.set_webhook("http://x.org"),
        BadRequest,
        "bad webhook: An HTTPS URL must be provided for webhook",
    ),
}


@pytest.mark.parametrize("case", first(12, REFUSALS))
async def test_what_telegram_refuses_is_refused(server: TelegramServer, bot: Bot, ann: Chat, case: str) -> None:
    server.user(12, "Bob")
    server.private(13, "Cid", started=False)
    server.block(server.private(14, "Dot"))
    server.kick(server.group(-1001, "Away", members=[ANN]))
    server.group(FORUM, "Forum", forum=True)
    server.group(GROUP, "Group", members=[ANN])
    call, error, why = REFUSALS[case]
    with pytest.raises(error) as refused:
        await call(bot)
    assert type(refused.value) is error
    code, name = (403, "Forbidden") if error is Forbidden else (400, "Bad Request")
    assert server.calls[-1].answer == {"ok": False, "error_code": code, "description": f"{name}: {why}"}
    assert server.messages(ann) == []


async def test_what_just_fits_is_taken(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    await bot.send_message(ANN, "👍" * 2048)
    await bot.send_message(ANN, "<b>" + "x" * 4096 + "</b>", "HTML", reply_markup=rows(*[8] * 12, 4, data="x" * 64))
    await bot.send_message(ANN, "x", reply_parameters=ReplyParameters(99, allow_sending_without_reply=True))
    await bot.send_photo(ANN, PNG, "x" * 1024)
    assert len(server.messages(ann)) == 4


async def test_a_migrated_group_names_its_new_id(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    old = server.group(GROUP, "Group", members=[ANN])
    new = server.migrate(old, FORUM)
    with pytest.raises(ChatMigrated) as moved:
        await bot.send_message(GROUP, "x")
    assert moved.value.new_chat_id == FORUM
    first, second = await bot.get_updates()
    assert first.message is not None
    assert first.message.migrate_to_chat_id == FORUM
    assert second.message is not None
    assert second.message.migrate_from_chat_id == GROUP
    await bot.send_message(FORUM, "x")
    assert len(server.messages(new)) == 1


async def test_edits(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    theirs = server.say(ann, ANN, "mine")
    sent = await bot.send_message(ANN, "<b>one</b>", "HTML", reply_markup=rows(2))
    for same in ("<b>one</b>", "<strong>one</strong> "):
        with pytest.raises(
            BadRequest, match="is not modified: specified new message content and reply markup are exactly"
        ):
            await sent.edit_text(same, "HTML", reply_markup=rows(2))
    await sent.edit_text("one")
    await sent.edit_text("two", reply_markup=rows(1))
    with pytest.raises(BadRequest, match="is not modified"):
        await sent.edit_reply_markup(rows(1))
    await sent.edit_reply_markup(None)
    [now] = server.messages(ann)
    assert (now.text, now.edits, now.buttons) == ("two", ["one", "one"], [])
    with pytest.raises(BadRequest, match=r"(?i)message can't be edited"):
        await bot.edit_message_text("x", ANN, theirs.id)
    assert await sent.delete()
    with pytest.raises(BadRequest, match=r"(?i)message to edit not found"):
        await sent.edit_text("three")
    photo = await bot.send_photo(ANN, PNG)
    with pytest.raises(BadRequest, match=r"(?i)there is no text in the message to edit"):
        await photo.edit_text("x")


async def test_buttons(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    sent = await bot.send_message(ANN, "x", reply_markup=rows(1, 1, data="award:1"))
    query = server.tap(sent.message_id, 1, ANN)
    [update] = await bot.get_updates()
    assert update.callback_query is not None
    assert (update.callback_query.data, update.callback_query.id) == ("award:1", query)
    await update.callback_query.answer("Done", show_alert=True)
    assert server.answers[query] == {"text": "Done", "alert": True}
    late = server.tap(server.last(ann), "b", ANN)
    server.expire(late)
    with pytest.raises(BadRequest, match=r"(?i)query is too old"):
        await bot.answer_callback_query(late)


async def test_menus_have_scopes(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    await bot.set_my_commands([BotCommand("help", "Help")])
    await bot.set_my_commands([("task", "A task"), ("pay", "Pay")], BotCommandScopeChat(ANN), language_code="de")
    assert server.menu() == [("help", "Help")]
    assert server.menu(("chat", "11"), "de") == [("task", "A task"), ("pay", "Pay")]
    assert await bot.get_my_commands() == (BotCommand("help", "Help"),)
    await bot.delete_my_commands()
    assert server.menu() == []
    with pytest.raises(BadRequest, match=r"(?i)chat not found"):
        await bot.set_my_commands([("help", "x")], BotCommandScopeChat(5))


async def test_files_both_ways(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    sent = await bot.send_document(ANN, b"hello", "a <b>file</b>", parse_mode="HTML", filename="a.txt")
    assert sent.document is not None
    assert (sent.document.file_name, sent.document.file_size, sent.caption) == ("a.txt", 5, "a file")
    assert bytes(await (await bot.get_file(sent.document)).download_as_bytearray()) == b"hello"
    assert server.last(ann).files[0].data == b"hello"
    again = await bot.send_document(ANN, sent.document.file_id)
    assert again.document == sent.document
    album = await bot.send_media_group(ANN, [InputMediaPhoto(PNG, caption="two"), InputMediaPhoto(PNG)])
    assert len({one.media_group_id for one in album}) == 1
    assert album[0].photo[-1].width == 40
    await bot.send_media_group(ANN, [InputMediaDocument(b"a"), InputMediaDocument(b"b")])
    given = server.document(ann, ANN, "in.csv", b"a,b", caption="/sum", mime="text/csv")
    big = server.document(ann, ANN, "big.bin", (20 << 20) + 1)
    first, second = await bot.get_updates()
    assert first.message is not None
    assert first.message.document is not None
    assert first.message.caption_entities[0].type == "bot_command"
    assert bytes(await (await first.message.document.get_file()).download_as_bytearray()) == given.files[0].data
    assert second.message is not None
    with pytest.raises(BadRequest, match=r"(?i)file is too big"):
        await bot.get_file(big.files[0].id)


async def test_uploads_have_limits(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    server.limits.photo, server.limits.upload = 2000, 5000
    with pytest.raises(
        BadRequest, match=r"(?i)file of size 2049 bytes is too big for a photo; the maximum size is 2000 bytes"
    ):
        await bot.send_photo(ANN, PNG + bytes(2049 - len(PNG)))
    with pytest.raises(NetworkError, match="Request Entity Too Large") as refused:
        await bot.send_document(ANN, bytes(5001))
    assert type(refused.value) is NetworkError
    assert server.calls[-1].status == 413
    await bot.send_document(ANN, bytes(5000))


async def test_who_is_there(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    me = await bot.get_me()
    assert (me.username, me.can_read_all_group_messages) == ("timmy_bot", False)
    group = server.group(FORUM, "Group", members=[ANN])
    server.user(12, "Bob")
    assert (await bot.get_chat(FORUM)).title == "Group"
    assert isinstance(await bot.get_chat_member(FORUM, ANN), ChatMemberMember)
    assert isinstance(await bot.get_chat_member(FORUM, 12), ChatMemberLeft)
    server.promote(group)
    assert (await bot.get_chat_member(FORUM, me.id)).status == "administrator"
    assert await bot.leave_chat(FORUM)
    with pytest.raises(Forbidden, match="bot is not a member of the supergroup chat"):
        await bot.send_message(FORUM, "x")


async def test_tokens(server: TelegramServer, bot: Bot, another: MakeBot, ann: Chat) -> None:
    with pytest.raises(InvalidToken):
        async with another("123456:wrong"):
            pass
    assert server.calls[-1].answer == {"ok": False, "error_code": 401, "description": "Unauthorized"}
    with pytest.raises(EndPointNotFound):
        await bot.do_api_request("dance")
    assert server.calls[-1].answer["description"] == "Not Found: method not found"
    server.revoke()
    with pytest.raises(InvalidToken):
        await bot.send_message(ANN, "x")
    server.restore()
    await bot.send_message(ANN, "x")
