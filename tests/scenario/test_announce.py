"""`notify` over the owner's socket: a durable message into a chat that the hub knows, and into no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapters.console.client import request
from core.chat import MAX_TEXT
from tests.scenario.bot import hub
from tests.scenario.telegram import ANN, BOB, GROUP, OLGA, on_telegram, telegram_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenario.bot import Bot
    from tests.telegram_server import TelegramServer


async def notify(bot: Bot, chat: str, text: object = None, key: str = "k") -> dict[str, Any]:
    frame = {"op": "notify", "chat": chat, "key": key} | ({} if text is None else {"text": text})
    return await request(bot.app.settings.data_dir, frame)


async def test_a_notice_reaches_whom_the_hub_knows_and_nobody_else(tmp_path: Path, server: TelegramServer) -> None:
    async with on_telegram(tmp_path, server) as people:
        for number, (chat, where) in enumerate(
            ((f"telegram:{ANN}", people.ann), (f"telegram:{GROUP}", people.group), ("owner", people.olga))
        ):
            assert (await notify(people.bot, chat, f"shop: red {number}", f"k{number}"))["kind"] == "result"
            await people.told(where, f"shop: red {number}")
        assert (await people.bot.until(kind="more"))["text"] == "shop: red 2", "an owner is told at the console too"
        for chat in (
            f"telegram:{BOB}", "telegram:-5", f"telegram:{GROUP}/x", "telegram:", "matrix:!room:example.org",
            "schedule:1", "", "nobody", "worker:box", f"telegram:{ANN} ", "owner\n",
        ):  # fmt: skip
            answer = await notify(people.bot, chat, "canary")
            assert (answer["kind"], answer["error"]) == ("error", "unknown_chat"), chat
        await people.bot.barrier()
        assert people.bot.kinds() == []
        assert not server.messages(people.bob)


async def test_the_same_notice_again_is_told_once(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for _ in range(2):
            assert (await notify(bot, "console:owner", "red"))["kind"] == "result"
        assert (await notify(bot, "console:owner", "green", "another"))["kind"] == "result"
        assert [(await bot.until(kind="more"))["text"] for _ in range(2)] == ["red", "green"]


@pytest.mark.long
async def test_whether_it_would_be_told_can_be_asked(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        assert (await notify(bot, "owner"))["kind"] == "result"
        assert (await notify(bot, "telegram:5"))["error"] == "unknown_chat"
        await bot.barrier()
        assert "more" not in bot.kinds()


@pytest.mark.long
async def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for text in ("", 5, ["red"], "x" * (MAX_TEXT + 1)):
            assert (await notify(bot, "owner", text))["error"] == "nothing_to_say"


@pytest.mark.long
async def test_a_surface_that_is_off_is_named(tmp_path: Path, server: TelegramServer) -> None:
    found = telegram_settings(tmp_path, server)
    off = found.model_copy(update={"telegram": found.telegram.model_copy(update={"token": None})})
    async with hub(tmp_path, found=off) as bot:
        assert (await notify(bot, f"telegram:{OLGA}", "red"))["error"] == "chat_is_off"
        assert (await notify(bot, "owner", "red"))["kind"] == "result"
        assert (await bot.until(kind="more"))["text"] == "red"


async def test_a_notice_waits_for_whoever_was_away(tmp_path: Path) -> None:
    async with hub(tmp_path, attach=False) as bot:
        await notify(bot, "owner", "shop: \x1b[31mred\x07")
    async with hub(tmp_path) as bot:
        assert (await bot.until(kind="more"))["text"] == "shop: [31mred"


@pytest.mark.long
async def test_who_is_quiet_is_told_when_that_is_over(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/notify quiet 00:00-23:59")
        assert (await notify(bot, "owner", "shop: red"))["kind"] == "result"
        await bot.barrier()
        assert "more" not in bot.kinds()
        await bot.say("/notify quiet off")
        assert "shop: red" in (await bot.until(kind="more"))["text"]
