"""How the hub asks a homeserver: what is dropped if it fails, what is asked again, and what a refusal means for a message."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import ClientError
from nio import ErrorResponse

from adapters.matrix.events import SURFACE
from core.chat import NotSent, Undeliverable
from core.errors import cause

if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Callable, Coroutine

    from nio import Response

    from core.ports import Clock

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

RETRY_SECONDS = 3.0
TRIES = 5
"""Of one thing that the server refuses in a way that may pass, while others wait for it."""

_RECENT = 1000
_NEVER = frozenset({"M_FORBIDDEN", "M_TOO_LARGE", "M_BAD_JSON", "M_INVALID_PARAM", "M_NOT_FOUND", "M_NOT_JSON"})
_REFUSED = range(400, 500)


async def quietly(asked: Coroutine[Any, Any, Response]) -> Response | None:
    """What may be dropped: receipts, typing, edits, buttons."""
    try:
        answer = await asked
    except (ClientError, TimeoutError) as error:
        log.debug("dropped: %s", cause(error))
        return None
    if isinstance(answer, ErrorResponse):
        log.debug("dropped: %s", why(answer))
        return None
    return answer


async def beside(ask: Callable[[], Coroutine[Any, Any, Response]]) -> None:
    """Ask for what may be dropped, once this has its turn: a stop before that leaves no call half begun."""
    await quietly(ask())


async def surely(clock: Clock, ask: Callable[[], Coroutine[Any, Any, Response]]) -> Response:
    """An answer of the server, which may be away or ask to wait; what it refuses, or goes on failing, is returned."""
    tries = 0
    while True:
        tries += 1
        try:
            answer = await ask()
        except (ClientError, TimeoutError) as error:
            log.info("Matrix is asked again: %s", cause(error))
            tries -= 1  # it is the whole server that is away: nothing else goes on either
        else:
            if not isinstance(answer, ErrorResponse) or not may_pass(answer) or tries >= TRIES:
                return answer
            if answer.status_code == "M_LIMIT_EXCEEDED":
                await clock.sleep((answer.retry_after_ms or 1000) / 1000)
                continue
        await clock.sleep(RETRY_SECONDS)


def raise_for(answer: object, sent: tuple[str, ...]) -> None:
    """Raise what a refusal means for a message: `NotSent` if it may be taken later, `Undeliverable` if it never is."""
    if not isinstance(answer, ErrorResponse):
        return
    if answer.status_code == "M_LIMIT_EXCEEDED":
        wait = (answer.retry_after_ms or 1000) / 1000
        raise NotSent(surface=SURFACE, why="it asks to wait", wait=wait, sent=sent)
    if answer.status_code in _NEVER:
        raise Undeliverable(surface=SURFACE, why=why(answer))
    raise NotSent(surface=SURFACE, why=why(answer), sent=sent)


def is_misplaced(answer: object) -> bool:
    """Whether the server refuses an event for what it says of a thread: that was taken away, or is in another room."""
    return isinstance(answer, ErrorResponse) and _status(answer) in {400, 404}


def may_pass(answer: ErrorResponse) -> bool:
    """Whether a refusal may be none later: the server's own faults and limits, but nothing that it says of the request."""
    return answer.status_code == "M_LIMIT_EXCEEDED" or _status(answer) not in _REFUSED


def _status(answer: ErrorResponse) -> int:
    response = getattr(answer, "transport_response", None)
    return int(response.status) if response is not None else 0


def bounded(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """Keep something under a name, and of all names the newest."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _RECENT:
        kept.popitem(last=False)


def why(answer: ErrorResponse) -> str:
    """What the server says."""
    return f"{answer.status_code or ''} {answer.message or ''}".strip()
