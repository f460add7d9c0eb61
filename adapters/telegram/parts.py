"""The parts of a message on Telegram: each is one message there, a text with its buttons, or a file.

A rendering that Telegram refuses goes out as plain text, a picture that it refuses as a file, an answer to a topic that is
gone into the chat itself. Errors are python-telegram-bot's.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputFile
from telegram.constants import ParseMode
from telegram.error import BadRequest

from adapters import markup

if TYPE_CHECKING:
    from telegram import ReplyParameters
    from telegram.ext import ExtBot

    from adapters.markup import Rich
    from core.chat import Button, File

log = logging.getLogger(__name__)

AGAIN = "(this may be a duplicate) "
TEXT_UNITS = 4096 - len(AGAIN)
"""UTF-16 units of one message's text, with room for the mark of a copy."""

PHOTO_BYTES = 10 * 2**20
FILE_BYTES = 50 * 2**20
"""What Telegram lets a bot send as a picture, and as a file."""

_PICTURES = frozenset({".png", ".jpg", ".jpeg"})


@dataclass(frozen=True, slots=True)
class Part:
    """One message on Telegram: a text with its buttons, or a file."""

    rich: Rich | None = None
    keyboard: InlineKeyboardMarkup | None = None
    file: File | None = None
    again: bool = False

    @property
    def html(self) -> str:
        """As Telegram's HTML."""
        return (AGAIN if self.again else "") + (markup.html(self.rich) if self.rich else "")

    @property
    def plain(self) -> str:
        """As it stands."""
        return (AGAIN if self.again else "") + (self.rich.text if self.rich else "")


async def edit(bot: ExtBot[None], chat: int, message: int, part: Part) -> bool:
    """Put a part in the place of a message; False if that cannot be changed (any more)."""
    try:
        try:
            await bot.edit_message_text(part.html, chat, message, parse_mode=ParseMode.HTML, reply_markup=part.keyboard)
        except BadRequest as error:
            if not _unparsable(error):
                raise
            await bot.edit_message_text(part.plain, chat, message, reply_markup=part.keyboard)
    except BadRequest as error:
        return "not modified" in error.message
    return True


async def new(bot: ExtBot[None], chat: int, thread: int | None, part: Part, replied: ReplyParameters | None) -> int:
    """Send a part; returns the message's number."""
    try:
        return await _send(bot, chat, thread, part, replied)
    except BadRequest as error:
        if thread is None or "thread" not in error.message:
            raise
        return await _send(bot, chat, None, part, replied)  # the topic is gone: the chat itself is still there


async def _send(bot: ExtBot[None], chat: int, thread: int | None, part: Part, replied: ReplyParameters | None) -> int:
    if part.file is not None:
        return await _send_file(bot, chat, thread, part.file, AGAIN if part.again else "")
    try:
        sent = await bot.send_message(
            chat,
            part.html,
            ParseMode.HTML,
            message_thread_id=thread,
            reply_markup=part.keyboard,
            reply_parameters=replied,
        )
    except BadRequest as error:
        if not _unparsable(error):
            raise
        sent = await bot.send_message(
            chat, part.plain, message_thread_id=thread, reply_markup=part.keyboard, reply_parameters=replied
        )
    return sent.message_id


async def _send_file(bot: ExtBot[None], chat: int, thread: int | None, file: File, caption: str) -> int:
    path = Path(file.path)
    try:
        content = await asyncio.to_thread(path.read_bytes)
    except OSError:
        content = b""
    if not content or len(content) > FILE_BYTES:
        why = "is no longer here" if not content else f"is larger than the {FILE_BYTES // 2**20} MB that Telegram takes"
        return (await bot.send_message(chat, f"{file.name} {why}.", message_thread_id=thread)).message_id
    upload = InputFile(content, filename=file.name)
    words = caption.strip() or None
    if Path(file.name).suffix.lower() in _PICTURES and len(content) <= PHOTO_BYTES:
        try:
            return (await bot.send_photo(chat, upload, words, message_thread_id=thread)).message_id
        except BadRequest as error:  # too wide, too flat: as a file it still goes
            log.info("a picture goes as a file: %s", error.message)
    return (await bot.send_document(chat, upload, words, message_thread_id=thread)).message_id


def _unparsable(error: BadRequest) -> bool:
    return "parse entities" in error.message or "too long" in error.message


def keyboard(buttons: tuple[Button, ...], taps: tuple[str, ...]) -> InlineKeyboardMarkup | None:
    """Two buttons a row, 100 at most, each by its opaque id; None for none."""
    keys = [
        InlineKeyboardButton(button.label[:64], callback_data=tap) for button, tap in zip(buttons, taps, strict=True)
    ]
    if not keys:
        return None
    return InlineKeyboardMarkup([keys[at : at + 2] for at in range(0, min(len(keys), 100), 2)])
