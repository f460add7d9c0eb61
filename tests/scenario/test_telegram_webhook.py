"""Telegram sends by itself: the whole hub behind its sidecar, with updates posted as Telegram posts them."""

from __future__ import annotations

import io
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from pydantic import SecretStr

from config.settings import BadSetting, Http, Telegram, load
from tests.depth import first
from tests.scenario.bot import hub, settings
from tests.scenario.telegram import OLGA
from tests.telegram_server import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot
    from tests.telegram_objects import Chat
    from tests.telegram_server import TelegramServer

PUBLIC = "https://hub.example.org"
PATH = "/telegram/webhook"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


class Hooked:
    """A hub that is sent to."""

    def __init__(self, server: TelegramServer, bot: Bot, olga: Chat) -> None:
        self.server = server
        self.bot = bot
        self.olga = olga

    async def post(self, body: Any, *, secret: str | None = None, **how: Any) -> tuple[int, Any]:
        """Post to the hub as Telegram does."""
        headers = {HEADER: self.server._api.secret if secret is None else secret}
        async with aiohttp.ClientSession() as session:
            how = how or {"json": body}
            async with session.post(self.bot.app.address + PATH, headers=headers, **how) as answer:
                return answer.status, await answer.json()

    async def deliver(self) -> list[int]:
        """Telegram sends what it has; it goes on with the next once it is told 200."""
        statuses = []
        while self.server.queue:
            status, _ = await self.post(self.server.queue[0])
            statuses.append(status)
            if status != 200:
                break
            self.server.queue.popleft()
        return statuses

    async def told(self, words: str) -> None:
        await self.bot.see(lambda: any(words in one.text for one in self.server.messages(self.olga)), words)


@asynccontextmanager
async def hooked(folder: Path, server: TelegramServer, **more: Any) -> AsyncIterator[Hooked]:
    telegram = Telegram(token=SecretStr(TOKEN), base_url=server.base_url.removesuffix("/bot"), mode="webhook", **more)
    found = settings(folder).model_copy(
        update={"telegram": telegram, "http": Http(port=0, public_url=PUBLIC), "owner": f"telegram:{OLGA}"}
    )
    async with hub(folder, found=found) as bot:
        talk = Hooked(server, bot, server.private(OLGA, "Olga"))
        await bot.see(lambda: server._api.webhook["url"] == PUBLIC + PATH, "the webhook set")
        surface: Any = next(one for one in bot.app.health.surfaces if one.name == "telegram")
        await bot.see(lambda: surface._hooked, "Telegram up")
        yield talk


async def test_what_telegram_sends_is_answered_and_the_same_again_does_nothing(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with hooked(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "/whoami")
        update = server.queue[0]
        assert await talk.deliver() == [200]
        await talk.told(f"telegram:{OLGA}, owner")
        assert await talk.post(update) == (200, {})
        server.say(talk.olga, OLGA, "/help task")
        await talk.deliver()
        await talk.told("post a task")
        assert sum(one.text == f"telegram:{OLGA}, owner" for one in server.messages(talk.olga)) == 1
        assert server.polls == 0


async def test_what_was_sent_while_the_hub_was_down_comes_when_it_is_back(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with hooked(tmp_path, server) as talk:
        secret = server._api.secret
        olga = talk.olga
    server.say(olga, OLGA, "/whoami")
    async with hooked(tmp_path, server) as talk:
        assert server._api.secret == secret, "it is kept"
        assert await talk.deliver() == [200]
        await talk.told("owner")
    kept = tmp_path / "data" / "telegram-webhook.secret"
    assert kept.read_text() == secret
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize("secret", first(2, ["", "wrong", "ä"]))
async def test_who_does_not_know_the_secret_is_not_heard(tmp_path: Path, server: TelegramServer, secret: str) -> None:
    async with hooked(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "/spawn quill")
        status, answer = await talk.post(server.queue[0], secret=secret.encode().decode("latin-1"))
        assert (status, answer["error"]["code"]) == (403, "not_telegram")
        assert talk.bot.rows("SELECT count(*) FROM inbound") == [(0,)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"data": b"{"}, 400), ({"data": b"\xff"}, 400), ({"json": []}, 422), ({"json": {"update_id": "1"}}, 422),
        ({"json": {"update_id": True}}, 422), ({"json": {}}, 422), ({"data": io.BytesIO(b"x" * (2 << 20))}, 413),
        ({"json": {"update_id": 5, "message": {"nonsense": 1}}}, 200),
    ],
)  # fmt: skip
async def test_what_is_no_update_is_refused_and_what_cannot_be_read_is_passed_over(
    tmp_path: Path, server: TelegramServer, how: dict[str, Any], status: int
) -> None:
    async with hooked(tmp_path, server) as talk:
        assert (await talk.post(None, **how))[0] == status
        assert talk.bot.rows("SELECT count(*) FROM inbound") == [(0,)]
        server.say(talk.olga, OLGA, "/whoami")
        assert await talk.deliver() == [200]
        await talk.told("owner")


async def test_a_hook_that_was_taken_away_is_set_again_and_an_end_of_polling_takes_it_away(
    tmp_path: Path, server: TelegramServer
) -> None:
    async with hooked(tmp_path, server) as talk:
        server._api.webhook["url"] = ""
        await talk.bot.see(lambda: server._api.webhook["url"] == PUBLIC + PATH, "the webhook again", pace=1)
    polling = Telegram(token=SecretStr(TOKEN), base_url=server.base_url.removesuffix("/bot"))
    found = settings(tmp_path).model_copy(update={"telegram": polling, "owner": f"telegram:{OLGA}"})
    async with hub(tmp_path, found=found) as bot:
        await bot.see(lambda: server._api.webhook["url"] == "", "the webhook gone")
        async with aiohttp.ClientSession() as session, session.post(bot.app.address + PATH) as answer:
            assert answer.status == 404


@pytest.mark.parametrize("public", [None, "http://hub.local"])
def test_without_an_address_that_telegram_reaches_the_settings_are_refused(
    monkeypatch: pytest.MonkeyPatch, public: str | None
) -> None:
    monkeypatch.setenv("TIMMY_TELEGRAM_TOKEN", TOKEN)
    monkeypatch.setenv("TIMMY_TELEGRAM_MODE", "webhook")
    if public:
        monkeypatch.setenv("TIMMY_HTTP_PUBLIC_URL", public)
    with pytest.raises(BadSetting, match="TIMMY_TELEGRAM_MODE is wrong: webhook needs TIMMY_HTTP_PUBLIC_URL"):
        load()


@pytest.mark.parametrize("secret", ["short", "x" * 257, "with blanks in it !"])
def test_a_secret_that_telegram_does_not_take_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("TIMMY_TELEGRAM_WEBHOOK_SECRET", secret)
    with pytest.raises(BadSetting, match="TIMMY_TELEGRAM_WEBHOOK_SECRET is wrong") as refused:
        load()
    assert secret not in str(refused.value)
