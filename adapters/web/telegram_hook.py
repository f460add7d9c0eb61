"""`POST /telegram/webhook`: updates that Telegram sends by itself, where it is set to. The secret in the header is the route's own.

An answer of 200 means that the update is durable; anything else has Telegram send it again.
Source: https://core.telegram.org/bots/api#setwebhook.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from adapters.web.routes import Access, Parameter, Route
from core.errors import Refused, Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PATH = "/telegram/webhook"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


class NotTelegram(Refused):
    """This address is for Telegram alone, which knows its secret."""


class NotJson(UserError):
    """The body is not JSON."""

    status = 400


class NoUpdate(UserError):
    """The body is no update of Telegram: it has no update_id."""

    status = 422


class NotUp(Unavailable):
    """Telegram is not up here yet. Send it again."""


def route(secret: str, take: Callable[[dict[str, Any]], Awaitable[bool]]) -> Route:
    """The route. `take` makes an update durable; false: the surface is not up."""

    async def hear(request: web.Request) -> web.Response:
        given = request.headers.get(HEADER, "")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            raise NotTelegram
        try:
            update = json.loads(await request.read())
        except ValueError:
            raise NotJson from None
        number = update.get("update_id") if isinstance(update, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise NoUpdate
        if not await take(update):
            raise NotUp
        return web.Response(text="{}", content_type="application/json")

    secret_header = Parameter(HEADER, "header", "the secret that the hub gave to Telegram", required=True)
    return Route(
        "POST", PATH, "telegramWebhook", "An update of Telegram, in webhook mode", hear, Access.OWN_SECRET, gives=dict,
        takes=(secret_header,), refuses=(400, 403, 413, 422, 503),
    )  # fmt: skip
