"""Whether the hub answers at its own public address, asked from this machine."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus

import aiohttp

from core.errors import cause

SECONDS = 5
LONGEST = 64 * 1024
"""Bytes that are read of an answer: the hub's own is a line."""

_OURS = frozenset({HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE})
"""What `/healthz` answers with: all is well, or a part does not work."""


async def unreached(url: str, path: str = "/healthz") -> str:
    """Why nobody reaches a running hub by this address; empty if it answers there. `path`: where it says how it is."""
    timeout, facts = aiohttp.ClientTimeout(total=SECONDS), None
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{url.rstrip('/')}{path}") as answer,
        ):
            with suppress(ValueError, RecursionError):
                facts = json.loads(await answer.content.read(LONGEST))
    except TimeoutError:
        return f"nothing answers at {url} within {SECONDS} s"
    except (aiohttp.ClientError, ValueError) as error:
        return f"nothing answers at {url}: {cause(error)}"
    if answer.status not in _OURS or not isinstance(facts, dict) or "ok" not in facts:
        return f"what answers at {url} is not this hub (status {answer.status})"
    return ""
