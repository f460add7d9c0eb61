"""The status page in a real browser: Chromium, driven by Playwright, on a hub at work."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
import pytest

from adapters.clockwork import running
from adapters.console.link import QueueLink
from bot.app import build
from config.settings import Http
from tests.real.browser import NEEDS_CHROMIUM, chromium
from tests.scenario.bot import ECHO, QUILL, Console, Hands, settings
from tests.scenario.crew import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import ConsoleMessage, Dialog, Page, Request

    from bot.app import App

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script></script>"
FOUR_DIGITS = "Object.assign(state.money, {held_sats: 9999, escrow_sats: 9999, treasury_sats: 9999}); drawFigures()"
LINES = (
    "[...document.querySelectorAll('#figures .amount')].map((one) => new Set([...one.getClientRects()].map((box) =>"
    " box.top)).size)"
)
RUNS_OUT = (
    "[...document.querySelectorAll('.card, li *')].filter((one) => one.clientWidth && one.scrollWidth > one.clientWidth"
    " && !one.matches('.cut')).map((one) => one.textContent.slice(0, 80))"
)

pytestmark = [pytest.mark.timeout(120), NEEDS_CHROMIUM]


@dataclass
class Watched:
    """A page, and everything that must not happen on it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Note what the page logs, raises, asks and requests."""

        def said(message: ConsoleMessage) -> None:
            self.complaints.append(f"console: {message.text}")

        def raised(error: object) -> None:
            self.complaints.append(f"error: {error}")

        async def asked(dialog: Dialog) -> None:
            self.complaints.append(f"dialog: {dialog.message}")
            await dialog.dismiss()

        def requested(request: Request) -> None:
            self.asked.append(request.url)

        self.page.on("console", said)
        self.page.on("pageerror", raised)
        self.page.on("dialog", asked)
        self.page.on("request", requested)

    async def shows(self, selector: str, text: str) -> None:
        """Wait until an element with this text is there."""
        await self.page.locator(selector, has_text=text).first.wait_for(timeout=10_000)


@asynccontextmanager
async def working_hub(folder: Path, hands: Hands, port: int = 0) -> AsyncIterator[tuple[App, Console]]:
    found = settings(folder).model_copy(update={"http": Http(port=port)})
    near, far = QueueLink.pair()
    async with build(found, worker=hands, roster=(ECHO, QUILL)) as app, running(app.console.serve(far), "a console"):
        try:
            yield app, Console(near)
        finally:
            near.close()


async def test_the_page_lives_shows_texts_as_text_and_comes_back_by_itself(tmp_path: Path) -> None:
    gate = asyncio.Event()
    hands = Hands(does={"quill": gate, "echo": f"{HOSTILE} said echo"})
    async with chromium(tmp_path / "profile") as context:
        seen = Watched(await context.new_page())
        seen.listen()
        page = seen.page
        async with working_hub(tmp_path, hands) as (app, console):
            await page.route("**/live", lambda route: None)
            await page.goto(app.address)
            for empty in ("#events-none", "#tasks-none"):
                assert not await page.locator(empty).is_visible(), "nothing is known yet"
            await page.unroute("**/live")
            await page.goto(app.address)
            await seen.shows("#link[data-state=live]", "live")
            await seen.shows("#tasks-none", "No tasks yet")
            await seen.shows("#locked", "timmy status --page")

            await console.say(f"/task write {HOSTILE} to=quill")
            await seen.shows("#tasks .pill", "running")
            await seen.shows("#agents li:has-text('quill') .pill", "busy")
            await seen.shows("#figures > div:has-text('in escrow')", "40 sats")
            await seen.shows("#events", "quill starts T-1")
            await console.say(f"/task find {HOSTILE} to=echo")
            await seen.shows("#tasks li:has-text('T-2') .pill", "settled")
            assert "onerror" not in await page.content()

            await page.goto((await app.console.admin["page"]({}))["text"])
            assert page.url == f"{app.address}/"
            await seen.shows("#tasks li:has-text('T-1')", f"write {HOSTILE}")
            assert not await page.locator("#locked").is_visible()
            await page.keyboard.press("Tab")
            await page.keyboard.press("Enter")
            await seen.shows("#tasks details[open] .words-of", f"{HOSTILE} said echo")
            gate.set()
            await seen.shows("#tasks li:has-text('T-1') .pill", "settled")
            assert await page.locator("#tasks details[open]").count() == 1, "an update closed what was open"
            assert await page.locator("#tasks img, #tasks script").count() == 0
            assert await page.title() == "Timmy"

            for width, name in ((390, "phone"), (1280, "desktop")):
                await page.set_viewport_size({"width": width, "height": 900})
                await page.evaluate(FOUR_DIGITS)
                assert await page.evaluate(LINES) == [1] * 5, "a figure and its unit stand on one line"
                picture = await page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
                print(f"{tmp_path / name}.png: {len(picture)} bytes")
                assert await page.evaluate("document.documentElement.scrollWidth") <= width
            assert seen.complaints == []
            assert seen.asked
            assert [url for url in seen.asked if not url.startswith((f"{app.address}/", "data:image/svg+xml,"))] == []
            port = int(app.address.rpartition(":")[2])

        await seen.shows("#link[data-state=lost]", "connection lost, trying again")
        async with working_hub(tmp_path, hands, port):
            await seen.shows("#link[data-state=live]", "live")
            await seen.shows("#tasks li:has-text('T-1')", f"write {HOSTILE}")
            assert not await page.locator("#locked").is_visible(), "the login is lost with the hub that began it"


async def many(app: App, console: Console, session: aiohttp.ClientSession) -> None:
    """Ten more workers, one with the longest name there is, at work on nine tasks."""
    for name in ("x" * 64, *(f"aide{number}" for number in range(10))):
        token = (await app.console.admin["token.mint"]({"token_kind": "worker", "name": name}))["text"]
        worker = Worker(session, name, token, app.address)
        await worker.enrol("nothing", concurrency=9)
        for _ in range(9 if name.startswith("x") else 0):
            await console.data(f"/task find it max=9 to={name}")
            (task,) = await worker.tasks(wait=20)
            await worker.won(task, 1)


async def test_workers_come_work_and_go_on_the_page(tmp_path: Path) -> None:
    async with (
        chromium(tmp_path / "profile") as context,
        working_hub(tmp_path, Hands(asks={"echo": None, "quill": None})) as (app, console),
        aiohttp.ClientSession() as session,
    ):
        seen = Watched(await context.new_page())
        seen.listen()
        page = seen.page
        await page.goto(app.address)
        await seen.shows("#link[data-state=live]", "live")
        assert not await page.locator("#crew").is_visible()
        token = (await app.console.admin["token.mint"]({"token_kind": "worker", "name": "box"}))["text"]
        box = Worker(session, "box", token, app.address)
        await box.enrol("any", "its own words", concurrency=2)
        await seen.shows("#agents li:has-text('box') .pill", "free")
        await seen.shows("#crew", "1 worker is here, 0 away")
        task = (await console.data(f"/task find {HOSTILE} to=box"))["task"]
        assert await box.tasks(wait=20) == [task]
        lease = await box.won(task, 10)
        await seen.shows("#agents li:has-text('box')", f"worker · {task}")
        await seen.shows("#events", f"box starts {task}")
        await many(app, console, session)
        await seen.shows("#crew", "12 workers are here, 0 away")
        for width in (360, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            picture = await page.screenshot(path=tmp_path / f"workers-{width}.png", full_page=True)
            print(f"{tmp_path}/workers-{width}.png: {len(picture)} bytes")
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            assert await page.evaluate(RUNS_OUT) == [], "a name runs out of its card, or over what stands beside it"
        await box.deliver(task, lease, HOSTILE)
        await page.locator("#agents li:has-text('box')", has_text=task).wait_for(state="detached")
        await console.data("/dismiss box")
        await page.locator("#agents li:has-text('box')").wait_for(state="detached")
        await seen.shows("#crew", "11 workers are here, 0 away")
        assert "its own words" not in await page.content()
        assert "onerror" not in await page.content()
        assert seen.complaints == []


async def test_a_link_that_was_used_says_so_on_the_page(tmp_path: Path) -> None:
    async with chromium(tmp_path / "profile") as context, working_hub(tmp_path, Hands()) as (app, _):
        seen = Watched(await context.new_page())
        link = (await app.console.admin["page"]({}))["text"]
        await seen.page.goto(link)
        await seen.page.goto(link)
        await seen.shows("#notice", "Run timmy status --page again")
        assert seen.page.url == f"{app.address}/", "the code stays in the address"
