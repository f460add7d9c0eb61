"""`GET /shortcuts/setup`: how to build the Shortcut by hand, for anybody who reaches the hub. There is no secret on it.

A QR code brings the page onto the phone, where the hub has an address that a phone can reach; else the page says how to get one.
"""

from __future__ import annotations

import asyncio
import html
from functools import lru_cache
from pathlib import Path
from string import Template

from aiohttp import web

from adapters.web.routes import Route

PATH = "/shortcuts/setup"
STYLE = f"{PATH}.css"
_STATIC = Path(__file__).parent / "static"
_UNREACHED = """<div class="warn"><p>A phone cannot reach this hub yet: it answers on this machine only ($base). Two ways out:</p>
<ul><li>Give it an https address by a proxy or a private network such as Tailscale (<code>tailscale serve 8080</code>), and set
<code>TIMMY_HTTP_PUBLIC_URL=https://…</code> to that address.</li>
<li>At home only: <code>TIMMY_HTTP_HOST=0.0.0.0</code> and
<code>TIMMY_HTTP_PUBLIC_URL=http://NAME.local:8080</code>. Then everybody in your network can read what you say, and the
token.</li></ul><p>Then start the hub anew and open this page again.</p></div>"""
_REACHED = """<figure class="code">$code
<figcaption>This page, for the phone's camera:<br><span class="value">$page</span></figcaption></figure>"""


class SetupPage:
    """The page and its style. `public` is where others reach the hub."""

    def __init__(self, public: str | None) -> None:
        self._public = public.rstrip("/") if public else None

    def routes(self) -> tuple[Route, ...]:
        """Both."""
        return (
            Route("GET", PATH, "shortcutsSetup", "How to build the Shortcut", self._page, media="text/html"),
            Route("GET", STYLE, "shortcutsStyle", "The page's style", self._style, media="text/css"),
        )

    async def _page(self, request: web.Request) -> web.Response:
        here = f"{request.scheme}://{request.host}"  # a Host that the guard let through
        body = await asyncio.to_thread(_written, self._public, "" if self._public else here)
        return web.Response(text=body, content_type="text/html")

    async def _style(self, _: web.Request) -> web.Response:
        text = await asyncio.to_thread((_STATIC / "shortcuts.css").read_text, encoding="utf-8")
        return web.Response(text=text, content_type="text/css")


@lru_cache(maxsize=8)
def _written(public: str | None, here: str) -> str:
    """The whole page, for those who reach the hub at its public address, or `here`."""
    base = html.escape(public or here)
    if public is None:
        reach = Template(_UNREACHED).substitute(base=base)
    else:
        reach = Template(_REACHED).substitute(code=_code(f"{public}{PATH}"), page=f"{base}{PATH}")
    page = (_STATIC / "shortcuts.html").read_text(encoding="utf-8")
    return Template(page).substitute(base=base, reach=reach)


def _code(url: str) -> str:
    """A QR code, as SVG to stand in a page: no style and no script, which the page's rules would not let through."""
    import segno  # noqa: PLC0415 - for the few who open the page

    return segno.make(url, error="m", micro=False).svg_inline(omitsize=True, border=3, light="#fff", title="QR code")
