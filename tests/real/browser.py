"""Chromium of this machine, driven by Playwright, for the tests that look at what a person would see."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import BrowserContext

CHROMIUM = shutil.which("chromium")
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (on Debian: apt install chromium)"
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


@asynccontextmanager
async def chromium(
    profile: Path, *, width: int = 1200, height: int = 900, scale: float = 1
) -> AsyncIterator[BrowserContext]:
    """A browser with a profile of its own; `scale` is device pixels for each of the page's."""
    playwright: Any = pytest.importorskip("playwright.async_api", reason="make test-real installs playwright")
    async with playwright.async_playwright() as driver:
        context = await driver.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=list(FLAGS), headless=True,
            viewport={"width": width, "height": height}, device_scale_factor=scale,
        )  # fmt: skip
        try:
            yield context
        finally:
            await context.close()
