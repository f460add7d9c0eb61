"""The walk of docs/telegram.md on the real hub, and what it looks like: the pictures of the guide are taken here.

`make test-real ARGS=--write-pictures` keeps them in docs/.
"""

from __future__ import annotations

import io
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from adapters.clockwork import running
from adapters.console.link import QueueLink
from bot.app import build
from tests.fakes import FakeClock, FakeIds
from tests.real.browser import NEEDS_CHROMIUM, chromium
from tests.real.chat import page_of
from tests.scenario.bot import Console
from tests.scenario.telegram import telegram_settings
from tests.telegram_server import TelegramServer
from tests.telegram_world import cut_entity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from playwright.async_api import BrowserContext, Page

    from config.settings import Settings
    from tests.telegram_objects import Chat, Message

DOCS = Path(__file__).parents[2] / "docs"
WIDTH, HEIGHT, SCALE = 400, 500, 2
COLOURS = 64
MOST_BYTES = 150_000
OLGA = 12_345
PATIENCE = 60
"""Seconds that real work may take."""
MORNING = 1_789_983_660_000
"""When the fake Telegram's clock begins: 9:41 UTC."""
HOSTILE = "<img src=x onerror=\"document.title='taken'\"></div><script>document.title='taken'</script>&lt;b&gt;"
NOTES = b"""# Harbour notes

The new crane lifts forty tonnes and was paid for by the port. It will be at work from the first of May.
Ships of up to two hundred metres can then be unloaded in a day. Until now the longest ones took three days.
The pilots ask for better lights at the northern pier. The council has agreed to pay for half of them.
"""

pytestmark = [pytest.mark.timeout(180), NEEDS_CHROMIUM]


@asynccontextmanager
async def real_hub(found: Settings, start: str) -> AsyncIterator[Console]:
    """A hub with its real agents and clock, and somebody at its console; names are the same at every run."""
    near, far = QueueLink.pair()
    async with build(found, ids=FakeIds(start)) as app, running(app.console.serve(far), "a console"):
        try:
            yield Console(near)
        finally:
            near.close()


def owned(folder: Path, server: TelegramServer) -> Settings:
    """Settings of a hub on this Telegram that is Olga's."""
    return telegram_settings(folder, server, chats="").model_copy(update={"owner": f"telegram:{OLGA}"})


class Phone:
    """Olga's phone: what she writes, and what she is told."""

    def __init__(self, server: TelegramServer, clock: FakeClock) -> None:
        self.server = server
        self.chat: Chat = server.private(OLGA, "Olga")
        self._clock = clock
        self._seen = 0

    @property
    def messages(self) -> list[Message]:
        """The whole chat."""
        return [one for _, one in sorted(self.chat.messages.items()) if not one.deleted]

    async def says(self, text: str, answer: str) -> Message:
        """Write, a little later than before, and wait for an answer that holds these words."""
        self.waits()
        self.server.say(self.chat, OLGA, text)
        return await self.told(answer)

    async def sends(self, name: str, content: bytes, answer: str) -> Message:
        """Send a file and wait for an answer."""
        self.waits()
        self.server.document(self.chat, OLGA, name, content)
        return await self.told(answer)

    def waits(self) -> None:
        """Time passes; what was said before is no answer to what comes."""
        self._clock.advance(25_000)
        self._seen = max(self.chat.messages, default=0)

    async def told(self, words: str = "", *, kind: str = "text", edited: bool = False) -> Message:
        """Wait for a message of the bot's, newer than what was last said, that holds these words and was edited or not."""

        def found() -> Message | None:
            new = [one for one in self.server.messages(self.chat) if one.id > self._seen]
            fits = (one for one in new if words in one.text and one.kind == kind and bool(one.edits) == edited)
            return next(fits, None)

        told = await self.server.until(found, PATIENCE)
        assert told is not None
        return told


async def walk(folder: Path, phone: Phone, look: Callable[[str, Sequence[Message]], Awaitable[None]]) -> None:
    """The guide, from the first word to the answered question; `look` is shown what its pictures show."""
    found = owned(folder, phone.server)
    async with real_hub(found.model_copy(update={"owner": ""}), "first") as console:
        code = (await phone.says("Hello!", "Your pairing code")).text.split("\n")[1]
        assert (await console.say(f"/pair {code}"))["text"] == f"Olga is in, as member (telegram:{OLGA})"
        await phone.told("You are in, as member.")
    async with real_hub(found, "second"):
        await phone.says("/whoami", f"telegram:{OLGA}, owner")
        result = await phone.says("/task summarise welcome.md", "T-1 settled: quill was paid 40 sats")
        board = await phone.told("T-1 settled: quill was paid 40 sats", edited=True)
        assert board.id < result.id
        assert board.edits[0] == "T-1 posted with a budget of 200 simulated sats."
        assert board.buttons == []
        await look("first-task", phone.messages)

        before = len(phone.messages)
        await phone.says("/task chart sample.csv revenue by region", "T-2 settled: seer was paid 50 sats")
        await phone.told("T-2 settled", edited=True)
        await phone.told(kind="photo")
        await phone.says("what's my balance?", "9,910 simulated sats free")
        assert (await phone.sends("notes.md", NOTES, "Saved notes.md")).labels == [["Summarise"]]
        question = await phone.says(
            "have quill summarise notes.md", "Shall I do this? Yes or no:\n/task summarise notes.md to=quill"
        )
        assert question.labels == [["Yes", "No"]]
        await look("question", phone.messages[before:])

        phone.waits()
        query = phone.server.tap(question, "Yes", OLGA)
        await phone.told("T-3 settled: quill was paid 40 sats")
        await phone.server.until(lambda: question.text.startswith("T-3 settled"), PATIENCE)
        assert query in phone.server.answers


async def compare(page: Page, messages: Sequence[Message]) -> None:
    """What the page shows is what was sent, and nothing of it did anything."""
    assert await page.locator(".message").count() == len(messages) > 0
    for message in messages:
        shown = page.locator(f"#m{message.id}")
        assert await shown.is_visible()
        assert "".join(await shown.locator(".text").all_text_contents()) == message.text
        assert [await row.locator("button").all_text_contents() for row in await shown.locator(".row").all()] == (
            message.labels
        )
        bold = "".join(cut_entity(message.text, one) for one in message.entities if one["type"] == "bold")
        assert "".join(await shown.locator(".text b").all_text_contents()) == bold
        pictures = await shown.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")
        assert [width > 0 for width in pictures] == [True] * (message.kind == "photo")
    assert await page.title() == "Timmy"
    assert await page.locator("script").count() == 0
    assert await page.evaluate("document.documentElement.scrollWidth") <= WIDTH


def small(picture: bytes) -> bytes:
    """A screenshot in fewer colours, which for a chat are plenty."""
    kept = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        kept, "PNG", optimize=True
    )
    return kept.getvalue()


async def opened(context: BrowserContext, messages: Sequence[Message]) -> Page:
    page = await context.new_page()
    await page.set_content(page_of("Timmy", messages))
    return page


async def test_the_guides_walk_shows_what_was_sent(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    keep = bool(request.config.getoption("--write-pictures", default=False))
    clock = FakeClock(MORNING)
    async with (
        TelegramServer(clock=clock) as server,
        chromium(tmp_path / "profile", width=WIDTH, height=HEIGHT, scale=SCALE) as context,
    ):

        async def look(name: str, messages: Sequence[Message]) -> None:
            page = await opened(context, messages)
            await compare(page, messages)
            picture = small(await page.screenshot(full_page=True))
            path = (DOCS if keep else tmp_path) / f"telegram-{name}.png"
            path.write_bytes(picture)
            print(f"{path}: {len(picture)} bytes")
            assert len(picture) < MOST_BYTES

        await walk(tmp_path, Phone(server, clock), look)


async def test_nothing_that_is_said_becomes_a_part_of_the_page(tmp_path: Path) -> None:
    async with TelegramServer() as server, chromium(tmp_path / "profile", width=WIDTH, height=HEIGHT) as context:
        phone = Phone(server, FakeClock(MORNING))
        async with real_hub(owned(tmp_path, server), "hostile"):
            await phone.says(f"/ask {HOSTILE}", "No model answers")
            await phone.says(f"/task {HOSTILE}", "failed and cost nothing")
            await phone.told(HOSTILE[:20], edited=True)
            await phone.sends(HOSTILE, b"x", "Saved ")
        page = await opened(context, phone.messages)
        await compare(page, phone.messages)
        assert await page.locator(".file b").text_content() == HOSTILE
        assert await page.locator("img").count() == 0
