"""The menu of commands that Telegram shows while somebody types "/", for each kind of chat, from the registry."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telegram import (
    BotCommand,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
)
from telegram.error import TelegramError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telegram import BotCommandScope
    from telegram.ext import ExtBot

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Menus:
    """(name, help) of the commands in a private chat, in a group, and in the private chats of the hub's owners."""

    private: Sequence[tuple[str, str]]
    group: Sequence[tuple[str, str]]
    owner: Sequence[tuple[str, str]]
    owners: Sequence[int]


async def show_menus(bot: ExtBot[None], menus: Menus) -> None:
    """Set them all. A menu is a convenience: one that Telegram does not take now is set at the next start."""
    scopes: list[tuple[Sequence[tuple[str, str]], BotCommandScope]] = [
        (menus.private, BotCommandScopeAllPrivateChats()),
        (menus.group, BotCommandScopeAllGroupChats()),
        *((menus.owner, BotCommandScopeChat(owner)) for owner in menus.owners),
    ]
    for commands, scope in scopes:
        try:
            await bot.set_my_commands([BotCommand(name, words[:256]) for name, words in commands], scope)
        except TelegramError as error:
            log.info("a menu was not set: %s", error.message)
