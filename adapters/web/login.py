"""The page's login: a link that works once and soon, and the session it begins. Both live in memory, as hashes only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.tokens import digest_of

if TYPE_CHECKING:
    from core.ports import Clock, IdSource

LINK_MS = 5 * 60 * 1000
SESSION_MS = 12 * 3600 * 1000
MOST = 32
"""Links, and sessions, that live at a time; one more ends the oldest."""


class Logins:
    """Hands out links, and knows the sessions they began."""

    def __init__(self, clock: Clock, ids: IdSource) -> None:
        self._clock = clock
        self._ids = ids
        self._codes: dict[str, int] = {}
        self._sessions: dict[str, int] = {}

    def code(self) -> str:
        """A new code for a link."""
        return self._keep(self._codes, LINK_MS)

    def redeem(self, code: str) -> str | None:
        """A new session for a code, which is used up; None if it is wrong, used or too old."""
        ends = self._codes.pop(digest_of(code), 0)
        return self._keep(self._sessions, SESSION_MS) if self._clock.now() < ends else None

    def knows(self, session: str) -> bool:
        """Whether a session goes on."""
        return self._clock.now() < self._sessions.get(digest_of(session), 0)

    def _keep(self, kept: dict[str, int], life: int) -> str:
        while len(kept) >= MOST:
            del kept[next(iter(kept))]
        secret = self._ids.token(32)
        kept[digest_of(secret)] = self._clock.now() + life
        return secret
