"""A flood wait parks one chat. PTB's own limiter stops every chat until the longest wait is over.

Nothing is held back before Telegram says so: its limits are not published and bursts are allowed, while the rows of
the outbox wait well. Once a chat is told to wait, no request for it leaves until then, not even an edit or "typing".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from telegram.error import RetryAfter
from telegram.ext import BaseRateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from core.ports import Clock

_MANY = 1000


class ChatLimiter(BaseRateLimiter[Any]):
    """Remembers which chats wait, and for how long. Requests that name no chat are never held."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._parked: dict[str, int] = {}

    async def initialize(self) -> None:
        """See `BaseRateLimiter`."""

    async def shutdown(self) -> None:
        """See `BaseRateLimiter`."""

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, Any]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,  # noqa: ARG002 - see `BaseRateLimiter`
        data: dict[str, Any],
        rate_limit_args: Any,  # noqa: ARG002
    ) -> Any:
        """Make the request, or raise `RetryAfter` at once while its chat waits."""
        chat = str(data.get("chat_id", ""))
        now = self._clock.now()
        if self._parked and (left := self._parked.get(chat, 0) - now) > 0:
            raise RetryAfter(-(-left // 1000))
        try:
            return await callback(*args, **kwargs)
        except RetryAfter as error:
            if chat:
                self._park(chat, now + seconds(error) * 1000)
            raise

    def _park(self, chat: str, until: int) -> None:
        if len(self._parked) > _MANY:
            now = self._clock.now()
            self._parked = {one: when for one, when in self._parked.items() if when > now}
        self._parked[chat] = until


def seconds(error: RetryAfter) -> int:
    """How long Telegram wants to be left alone."""
    wait = error.retry_after
    return wait if isinstance(wait, int) else math.ceil(wait.total_seconds())
