"""The fake Telegram, seen through the real `telegram.Bot`: what Telegram refuses is refused, as the library's own error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, ReplyParameters
from telegram.error import (
    BadRequest,
)
from telegram.request import HTTPXRequest

from tests.telegram_server import TelegramServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.telegram_world import Chat

ANN = 11
GROUP = -100123
FORUM = -1001234567890
"""A supergroup."""
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (40).to_bytes(4) + (30).to_bytes(4) + b"\x08\x02\0\0\0rest"


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def bot(server: TelegramServer) -> AsyncIterator[Bot]:
    async with _bot(server) as bot:
        yield bot


def _bot(server: TelegramServer, token: str = "") -> Bot:
    return Bot(
        token or server.token,
        base_url=server.base_url,
        base_file_url=server.base_file_url,
        request=HTTPXRequest(connection_pool_size=8),
        get_updates_request=HTTPXRequest(connection_pool_size=4),
    )


@pytest.fixture
def ann(server: TelegramServer) -> Chat:
    return server.private(ANN, "Ann", "ann")


def _rows(*counts: int, data: str = "x") -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton("b", callback_data=data)] * count for count in counts])


async def test_a_message_is_heard_and_answered(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    said = server.say(ann, ANN, "/start now", forwarded=True)
    [update] = await bot.get_updates(timeout=1)
    assert update.update_id == said.update_id
    assert update.message is not None
    assert update.message.text == "/start now"
    assert update.message.entities[0].type == "bot_command"
    assert update.message.forward_origin is not None
    sent = await bot.send_message(
        ANN, "<b>A</b> &lt; 👍 <i>b</i>", parse_mode="HTML", reply_parameters=ReplyParameters(said.id)
    )
    assert (sent.text, [e.type for e in sent.entities]) == ("A < 👍 b", ["bold", "italic"])
    assert sent.parse_entity(sent.entities[1]) == "b"
    assert sent.reply_to_message is not None
    assert server.last(ann).html == "<b>A</b> &lt; 👍 <i>b</i>"


REFUSED = {
    "&lt;<p>": 'Unsupported start tag "p" at byte offset 4',
    "👍</b>": "Unexpected end tag at byte offset 4",
    "<b>x": 'Can\'t find end tag corresponding to start tag "b"',
    "<b><i>x</b></i>": 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"',
    "x <b": "Unclosed start tag at byte offset 2",
    "a < b": 'Unsupported start tag "" at byte offset 2',
    "<b>x</b": "Unclosed end tag at byte offset 4",
    "<span>x</span>": 'Tag "span" must have class "tg-spoiler" at byte offset 0',
    "<a href=x/>y</a>": "Unexpected end of name token at byte offset 9",
    '<a href="x>y</a>': "Unclosed start tag at byte offset 0",
    '<i   ="aba">x</i>': 'Empty attribute name in the tag "i" at byte offset 0',
}


@pytest.mark.parametrize(("html", "why"), REFUSED.items())
async def test_bad_html_is_refused_in_telegrams_words(
    server: TelegramServer, bot: Bot, ann: Chat, html: str, why: str
) -> None:
    with pytest.raises(BadRequest):
        await bot.send_message(ANN, html, parse_mode="HTML")
    assert server.calls[-1].answer["description"] == f"Bad Request: can't parse entities: {why}"
