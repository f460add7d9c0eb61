"""A real hub process on an emulator of Telegram that nobody here wrote, over HTTP: pairing, a paid task, buttons, restarts."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kill.hub_process import hub_process
from tests.real.telegram_test_api import NAME, TOKEN, Person, emulator, missing
from tests.scenario.bot import NOBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.kill.hub_process import HubProcess
    from tests.real.telegram_test_api import Emulator

ANN, BOB = 1001, 1002
GROUP = -1001234567890

pytestmark = [pytest.mark.timeout(120), missing]


@asynccontextmanager
async def hub_on(folder: Path, telegram: Emulator, **more: str) -> AsyncIterator[HubProcess]:
    environment = {"TIMMY_TELEGRAM_TOKEN": TOKEN, "TIMMY_TELEGRAM_BASE_URL": telegram.url, **more}
    async with hub_process(folder, NOBODY, executed=True, **environment) as hub:
        yield hub


async def test_a_stranger_is_let_in_made_owner_and_has_a_task_done_and_paid(tmp_path: Path) -> None:
    async with emulator() as telegram:
        ann = Person(telegram, ANN, "Ann")
        async with hub_on(tmp_path, telegram) as hub:
            await ann.says("/task steal everything")
            told = await ann.hears("pairing code")
            code = re.findall(r"^[A-Z2-9]{8}$", told.text, re.MULTILINE)[0]
            assert f"timmy pair {code}" in told.text
            assert f"telegram:{ANN}" in await hub.timmy("pair", code, "--role", "operator")
            await ann.hears("You are in, as operator")
            assert await hub.stop() == 0

        async with hub_on(tmp_path, telegram, TIMMY_OWNER=f"telegram:{ANN}") as hub:
            await ann.says("/task summarise welcome.md")
            result = await ann.hears("T-1 settled: quill was paid 40 sats\n\n")
            assert "every slash command works at once" in result.text
            await ann.hears("T-1 settled: quill was paid 40 sats\nsummarise welcome.md")
            await ann.says("/balance")
            await ann.hears("9,960 simulated sats free, 0 sats held")
            assert "balance" in await hub.timmy("ledger", "verify")
        assert set(telegram.calls) >= {"getMe", "deleteWebhook", "getUpdates", "sendMessage", "editMessageText"}


async def test_buttons_act_once_and_outlive_a_killed_hub(tmp_path: Path) -> None:
    async with emulator() as telegram, hub_on(tmp_path, telegram, TIMMY_OWNER=f"telegram:{ANN}") as hub:
        ann = Person(telegram, ANN, "Ann")
        await ann.says("/task summarise welcome.md pick=ask")
        bids = await ann.hears("T-1 bids: quill 40, echo 45")
        await hub.again()
        await ann.presses(bids, "quill 40")
        await ann.presses(bids, "quill 40")
        await ann.hears("T-1 settled: quill was paid 40 sats\n\n")
        await ann.presses(await ann.hears("\nsummarise welcome.md"), "Cancel")
        await telegram.until(lambda: telegram.calls.count("answerCallbackQuery") == 3, "three spinners end")
        await ann.says("/balance")
        await ann.hears("9,960 simulated sats free, 0 sats held")
        assert len(await ann.heard("T-1 settled: quill was paid 40 sats\n\n")) == 1


async def test_a_hub_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with emulator() as telegram, hub_on(tmp_path, telegram, TIMMY_OWNER=f"telegram:{ANN}") as hub:
        ann = Person(telegram, ANN, "Ann")
        for number, command in enumerate(("whoami", "balance", "task outline welcome.md")):
            await ann.says(f"/help {command.split()[0]}")
            await ann.says(f"/{command}")
            await telegram.taken()
            await hub.kill()
            await telegram.silence()
            await ann.says(f"/agent quill{number}")
            await hub.start()
            await ann.hears(f"quill{number}")
        await ann.hears("T-1 settled: quill was paid")
        seen = [one.text for one in await ann.heard("")]
        answers = (
            "/whoami\n", f"telegram:{ANN}, owner", "/balance\n", "sats free", "/task WHAT",
            "T-1 settled: quill was paid 40 sats\n\n",
        )  # fmt: skip
        for words in answers:
            said = [text for text in seen if words in text]
            assert said, words
            assert len([text for text in said if "(this may be a duplicate)" not in text]) <= 1, said


async def test_in_a_group_it_answers_to_its_name_and_keeps_money_private(tmp_path: Path) -> None:
    chats = {"TIMMY_OWNER": f"telegram:{ANN}", "TIMMY_TELEGRAM_CHATS": str(GROUP)}
    async with emulator() as telegram, hub_on(tmp_path, telegram, **chats):
        ann, here = Person(telegram, ANN, "Ann"), Person(telegram, ANN, "Ann", group=GROUP)
        bob = Person(telegram, BOB, "Bob", group=GROUP)
        await here.says("what do you all think?")
        await here.says("/whoami@other_bot")
        await bob.says("/tasks")
        await here.hears("Write to me in private")
        await here.says(f"/balance@{NAME}")
        await ann.hears("10,000 simulated sats free")
        await here.hears("I answered you in private")
        assert len(await here.heard("")) == 2


async def test_a_webhook_that_somebody_left_behind_is_removed(tmp_path: Path) -> None:
    async with emulator() as telegram:
        await telegram.call("setWebhook", url="http://127.0.0.1:9/nobody")
        async with hub_on(tmp_path, telegram, TIMMY_OWNER=f"telegram:{ANN}"):
            ann = Person(telegram, ANN, "Ann")
            await telegram.until(lambda: telegram.polls > 0, "a poll")
            await ann.says("/start")
            await ann.hears("Timmy is here")
