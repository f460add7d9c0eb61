"""Channels: what an owner has told by Apprise, to a server on the wire that takes it, refuses it, hangs, or breaks off."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from adapters.apprise.child import failure
from adapters.apprise.surface import Channels, ask
from bot.parts.looks import DATABASE, look_at_channels
from config.settings import Notify
from core.automation.topics import Notice, Topic
from core.chat import Attachment, NotFetched, NotSent, Outgoing, Reply
from tests.scenario.bot import hub, let_in, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from config.settings import Settings
    from tests.scenario.bot import Bot

SECRET = "very-secret-path"
CUT = "it broke off, or did not take it"


class Phone:
    """A server that is posted to. Each post is answered with the next of `script`: a status, or how it fails; then with 200."""

    def __init__(self) -> None:
        self.script: list[int | str] = []
        self.posts: list[dict[str, Any]] = []
        self.port = 0
        self._over = asyncio.Event()

    async def taken(self, request: web.Request) -> web.StreamResponse:
        self.posts.append(await request.json())
        how = self.script.pop(0) if self.script else 200
        if how == "hang":
            await self._over.wait()
        if isinstance(how, str):
            if request.transport is not None:
                request.transport.close()
            return web.Response()
        return web.Response(status=how)

    @property
    def texts(self) -> list[str]:
        return [post["message"] for post in self.posts]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Phone]:
        app = web.Application()
        app.router.add_post(f"/{SECRET}", self.taken)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self._over.set()
            await runner.cleanup()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/{SECRET}?rto=0.2"


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    async with Phone().listening() as phone:
        yield phone


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What is logged, of our own at every level."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Kept()
    before = {name: logging.getLogger(name).level for name in ("bot", "adapters", "core")}
    logging.getLogger().addHandler(handler)
    for name in before:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield lines
    logging.getLogger().removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def named(folder: Path, **urls: str) -> Settings:
    words = " ".join(f"{name}={url}" for name, url in urls.items())
    return settings(folder).model_copy(update={"notify": Notify(channels=SecretStr(words))})


async def failed(bot: Bot, why: str) -> None:
    """Wait until the channel phone did not take a message; the hub's clock stands still, as a real child is at work."""
    says = f"the channel phone takes no messages: {why}"
    await bot.see(lambda: says in bot.app.health.surfaces[-1].advice, says, pace=0)


async def told(bot: Bot, words: str, topic: Topic = Topic.AGENTS) -> None:
    def work(tx: UnitOfWork) -> list[Outgoing]:
        return bot.app.hub.notices.tell(tx, Notice(topic, Reply(words), {"console:owner"}))

    for message in await bot.app.store.write(work):
        bot.app.delivery.send(message)


@pytest.mark.long
@pytest.mark.parametrize("script", [[], [500]], ids=str)
async def test_an_owner_is_told_by_a_channel_whose_url_nobody_sees(
    tmp_path: Path, phone: Phone, script: list[int | str], capfd: pytest.CaptureFixture[str], logged: list[str]
) -> None:
    posts, phone.script = len(script) + 1, list(script)
    async with hub(tmp_path, found=named(tmp_path, phone=phone.url)) as bot:
        assert "off to=phone ends that" in (await bot.say("/notify agents on to=phone"))["text"]
        await bot.say("/notify agents off")
        await told(bot, "quill keeps ending")
        shown = [str(await bot.say("/notify"))]
        if script:
            await failed(bot, "it answered 500")
            shown += [str(await bot.app.health.data()), str(bot.app.health.surfaces[-1].advice)]
            bot.pass_time(2)
        await bot.see(lambda: len(phone.posts) == posts, pace=0)
        assert phone.texts == ["quill keeps ending"] * posts, "an answer of 500 says that it was not taken"
        assert phone.posts[0]["title"] == "Timmy"
        await bot.see(lambda: bot.rows("SELECT state FROM outgoing WHERE surface = 'apprise'") == [("sent",)], pace=0)
        assert bot.app.health.surfaces[-1].advice == ()
        shown += [str(rows) for rows in bot.tables().values()]
    shown += [*capfd.readouterr(), *logged]
    assert any("message" in line and "waits" in line for line in logged) is bool(script)
    assert SECRET not in " ".join(shown)


@pytest.mark.long
async def test_a_channel_that_breaks_off_parks_alone_and_a_doubtful_message_says_so(
    tmp_path: Path, phone: Phone
) -> None:
    phone.script = ["cut", 429, "hang"]
    found = named(tmp_path, phone=phone.url, other=f"{phone.url}&:which=other", gone="json://127.0.0.1:9/x")
    async with hub(tmp_path, found=found) as bot:
        for name in ("phone", "gone"):
            await bot.say(f"/notify agents on to={name}")
        await told(bot, "first")
        for why, wait in ((CUT, 2), ("it answered 429", 4), (CUT, 8)):
            await failed(bot, why)
            bot.pass_time(wait)
        await bot.see(lambda: len(phone.posts) == 4, pace=0)
        assert phone.texts == ["first"] + ["(this may be a duplicate) first"] * 3
        await bot.see(
            lambda: bot.rows("SELECT conversation, state FROM outgoing WHERE surface = 'apprise' ORDER BY 1")
            == [("apprise:gone", "queued"), ("apprise:phone", "sent")], pace=0,
        )  # fmt: skip
        assert bot.app.health.surfaces[-1].advice == ("the channel gone takes no messages: it cannot be reached",)


@pytest.mark.long
async def test_what_was_sent_and_not_noted_before_a_crash_is_sent_again_and_marked(
    tmp_path: Path, phone: Phone
) -> None:
    found = named(tmp_path, phone=phone.url)
    async with hub(tmp_path, found=found) as bot:
        await bot.say("/notify agents on to=phone")
        await told(bot, "once")
        await bot.see(lambda: phone.posts, pace=0)
    with contextlib.closing(sqlite3.connect(found.data_dir / DATABASE)) as connection, connection:
        connection.execute("UPDATE outgoing SET state = 'sending', platform_id = NULL WHERE surface = 'apprise'")
    async with hub(tmp_path, found=found) as bot:
        await bot.see(lambda: len(phone.posts) == 2, pace=0)
        assert phone.texts == ["once", "(this may be a duplicate) once"]
        await bot.see(lambda: bot.rows("SELECT state FROM outgoing WHERE surface = 'apprise'") == [("sent",)], pace=0)


async def test_channels_are_the_owners_and_those_that_there_are(tmp_path: Path) -> None:
    async with hub(tmp_path, found=named(tmp_path, phone="json://127.0.0.1:9/x")) as bot:
        assert (await bot.data("/notify"))["channels"] == ["phone"]
        assert "no channel 'fax'. Channels: phone" in (await bot.say("/notify money on to=fax"))["text"]
        await bot.say("/notify money on to=phone")
        assert (await bot.data("/notify"))["told"]["money"] == ["console:owner", "apprise:phone"]
        await let_in(bot, "telegram:5", "member")
        refused = await bot.say("/notify tasks on to=phone", acting_for="telegram:5")
        assert refused["data"]["error"] == "not_allowed"
    async with hub(tmp_path, found=settings(tmp_path)) as bot:
        assert (await bot.data("/notify"))["told"]["money"] == ["console:owner"], "the settings name it no more"
        await told(bot, "a payment", Topic.MONEY)
        await bot.until(text="a payment")
        assert bot.rows("SELECT * FROM outgoing WHERE surface = 'apprise'") == []


@pytest.mark.long
async def test_the_doctor_says_which_urls_mean_nothing(tmp_path: Path) -> None:
    found = named(tmp_path, phone="json://127.0.0.1:9/x", fax="nonsense://token")
    assert await look_at_channels(found) == {"phone": "", "fax": "Apprise does not know what its URL means"}


@pytest.mark.parametrize(
    ("script", "why", "doubtful"),
    [
        ("sleep 60", "Apprise was not ready to send within 0.05 s", False), ("false", "Apprise broke off", False),
        ("echo sending; sleep 60", "it took longer than 0.05 s", True), ("echo sending", "Apprise broke off", True),
        ("echo sending; echo {", "Apprise broke off", True),
    ],
)  # fmt: skip
async def test_a_child_that_hangs_or_dies_is_no_message_taken_and_may_be_one_once_it_began_to_send(
    script: str, why: str, doubtful: bool
) -> None:
    tight = {"sleep 60": {"ready": 0.05}, "echo sending; sleep 60": {"seconds": 0.05}}
    async with asyncio.timeout(10):
        found = await ask("json://127.0.0.1:9/x", "text", program=("sh", "-c", script), **tight.get(script, {}))
    assert found == {"sent": False, "why": why, "doubtful": doubtful, "known": True}


async def test_the_url_is_in_no_argument_and_no_secret_of_the_hubs_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMMY_TELEGRAM_TOKEN", SECRET)
    seen = tmp_path / "seen"
    script = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(f'{sys.argv} {dict(os.environ)}');"
    says = f"{script} asked = sys.stdin.read().strip(); print('{{\"sent\": true, \"asked\": ' + asked + '}}')"
    found = await ask(f"json://h/{SECRET}", "text", program=(sys.executable, "-I", "-c", says, str(seen)))
    assert found["asked"] == {"url": f"json://h/{SECRET}", "title": "Timmy", "body": "text"}
    assert "PYTHONPATH" in seen.read_text()
    assert SECRET not in seen.read_text()


async def test_a_channel_that_fails_is_tried_later_and_later_and_forgiven() -> None:
    async def back() -> None:
        pass

    channels = Channels({"phone": "json://127.0.0.1:9/x"}, back, program=("false",))
    waits = []
    for _ in range(12):
        with pytest.raises(NotSent) as failed:
            await channels.send(Outgoing(1, "apprise", "apprise:phone", Reply("x")))
        waits.append(failed.value.wait)
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == 900
    assert channels.advice == ("the channel phone takes no messages: Apprise broke off",)
    channels._program = ("echo", '{"sent": true}')
    assert await channels.send(Outgoing(2, "apprise", "apprise:phone", Reply("x"))) == ("phone/2",)
    assert list(channels.advice) == []
    assert await channels.send(Outgoing(1, "apprise", "apprise:fax", Reply("x"))) is None
    channels.draft("apprise:phone", "", "")
    with pytest.raises(NotFetched):
        await channels.fetch(Attachment("x", 1, "x"))


def test_why_a_message_was_not_taken_is_said_in_words_of_ours() -> None:
    url = f"HTTPConnectionPool(host='h', port=9): Max retries exceeded with url: /{SECRET}"
    assert failure(["Failed to send JSON notification: Bad Gateway, error=502."]) == {
        "why": "it answered 502", "doubtful": False,
    }  # fmt: skip
    assert failure([f"{url} (Caused by NewConnectionError(...))"]) == {"why": "it cannot be reached", "doubtful": False}
    assert failure([f"{url} (Caused by ReadTimeout)"]) == {"why": "it broke off, or did not take it", "doubtful": True}


def test_channels_that_are_none_are_refused_without_a_word_of_them() -> None:
    for given in ("phone", f"phone={SECRET}", f"Phone=json://{SECRET}", f"a=json://{SECRET} a=json://{SECRET}"):
        with pytest.raises(ValueError, match=r"NAME=URL|twice") as refused:
            Notify(channels=SecretStr(given))
        assert SECRET not in str(refused.value)
    assert Notify(channels=SecretStr("a=json://x\nb=mailto://u:p@h?to=c")).named == {
        "a": "json://x", "b": "mailto://u:p@h?to=c",
    }  # fmt: skip
