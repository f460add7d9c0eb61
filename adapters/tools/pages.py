"""Pages of the web, by the one guarded way of the hub, as text."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from adapters.tools.declared import said, tool, whole
from adapters.tools.here import Here
from core.agent.tool import Output, Use
from core.errors import UserError


class PageRefused(UserError):
    """{host} does not show that page: it answered {status}."""


async def _look(here: Here, _: Use, *, url: str, **_rest: object) -> None:
    here.fetcher.check(url.strip())


@tool(lambda a: f"fetch {whole(a['url'])}", outward="url", needs=lambda here: here.knows("page"), look=_look)
async def fetch_page(
    here: Here,
    use: Use,
    *,
    url: Annotated[str, Field(description="the whole address, such as https://example.org/page")],
    start: Annotated[int, Field(ge=0, description="from which letter of its text on; 0 is the beginning")] = 0,
) -> Output:
    """Fetch a page of the web and read its text, with its links. It shows what is public, and signs in nowhere."""
    page = await here.fetcher.get(url.strip())
    if page.status != HTTPStatus.OK:
        raise PageRefused(host=said(urlsplit(page.url).hostname or "It"), status=_words(page.status))
    body = base64.b64encode(page.body).decode()
    return await here.ask("page", page.url, body=body, kind=page.kind, charset=page.charset, start=str(start))


def _words(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)
