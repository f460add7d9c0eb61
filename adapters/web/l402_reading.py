"""Reading what strangers send to the L402 gate: nothing of it is taken for more than it is."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from adapters.web.shortcuts import Blank, BodyNotJson, TextTooLong
from core.chat import MAX_TEXT
from core.errors import Unavailable, UserError
from core.ids import parse_task
from core.wallet.l402 import BadCredential
from core.wallet.sales import BadCount
from core.wallet.selling import MOST_CALLS

if TYPE_CHECKING:
    from aiohttp import web

BODY_SECONDS = 10.0
"""How long a body may take to come in."""

_COUNT = re.compile("[1-9][0-9]{0,2}")


class TooFast(UserError):
    """You ask too often. Try again in {seconds} s."""

    status = 429


class TillClosed(Unavailable):
    """The hub cannot take sats now. Nothing was taken; try again later."""


class BodyTooSlow(UserError):
    """The body did not come within {seconds} s. Send the request again."""

    status = 400


class WrongBody(UserError):
    """The body must be an object with {fields}, and nothing else."""


class NeedsItsToken(UserError):
    """This task is shown to whoever bought it: send the token that it was posted with, L402 TOKEN:PREIMAGE."""

    status = 401


class NoSuchFile(UserError):
    """This task has no file {name}. GET /v1/tasks/{task} lists its files."""

    status = 404


def read_task(request: web.Request) -> int:
    """The number of the task in a path. Raises `BadTaskId`, in words for somebody who has no chat."""
    return parse_task(request.match_info["task"], "POST /v1/tasks answers with one")


def read_authorization(request: web.Request) -> str | None:
    """The one Authorization header. Raises `BadCredential` where there are several."""
    given = request.headers.getall("Authorization", ())
    if len(given) > 1:
        raise BadCredential(why="there are several Authorization headers")
    return given[0] if given else None


def read_calls(request: web.Request) -> int:
    """How many calls are asked for together. Raises `BadCount`."""
    given = request.query.getall("calls", ["1"])
    if len(given) != 1 or not _COUNT.fullmatch(given[0]) or int(given[0]) > MOST_CALLS:
        raise BadCount(most=MOST_CALLS)
    return int(given[0])


async def read_whole(request: web.Request) -> bytes:
    """A body as it came. Raises `BodyTooSlow`."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise BodyTooSlow(seconds=round(BODY_SECONDS)) from None


async def read_body(request: web.Request, fields: set[str], shape: str) -> dict[str, Any]:
    """A body that is an object with no other fields than these. Raises what is wrong with it."""
    try:
        found = json.loads(await read_whole(request))
    except (ValueError, RecursionError):
        raise BodyNotJson from None
    if not isinstance(found, dict) or set(found) - fields:
        raise WrongBody(fields=shape)
    return found


def read_text(body: dict[str, Any], field: str) -> str:
    """A text of a body. Raises what is wrong with it."""
    given = body.get(field)
    if not isinstance(given, str):
        raise WrongBody(fields=f"the text {field}")
    text = given.encode(errors="replace").decode()
    if not text.strip():
        raise Blank(field=field)
    if len(text.encode()) > MAX_TEXT:
        raise TextTooLong(field=field, limit=f"{MAX_TEXT:,}")
    return text
