"""The page's login: a link that works once and soon, and the session it begins. Both are kept as hashes only.

Sessions are rows too, so that a restart of the hub ends none; a link that was not opened by then is void.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from core.store import NotWritten
from core.tokens import digest_of

if TYPE_CHECKING:
    from adapters.web.ports import WebTx
    from core.ports import Clock, IdSource
    from core.store import Store

log = logging.getLogger(__name__)

LINK_MS = 5 * 60 * 1000
SESSION_MS = 12 * 3600 * 1000
MOST = 32
"""Links, and sessions, that live at a time; one more ends the oldest."""


class Logins:
    """Hands out links, and knows the sessions they began. `load` before use."""

    def __init__(self, clock: Clock, ids: IdSource, store: Store[WebTx]) -> None:
        self._clock = clock
        self._ids = ids
        self._store = store
        self._codes: dict[str, int] = {}
        self._sessions: dict[str, int] = {}

    async def load(self) -> None:
        """Read the sessions that earlier starts began."""
        self._sessions = dict(await self._store.read(lambda tx: tx.sessions.live(self._clock.now())))

    def code(self) -> str:
        """A new code for a link."""
        secret = self._ids.token(32)
        self._keep(self._codes, secret, LINK_MS)
        return secret

    async def redeem(self, code: str) -> str | None:
        """A new session for a code, which is used up; None if it is wrong, used or too old."""
        if self._clock.now() >= self._codes.pop(digest_of(code), 0):
            return None
        secret = self._ids.token(32)
        gone = self._keep(self._sessions, secret, SESSION_MS)
        digest = digest_of(secret)
        expires = self._sessions[digest]

        def work(tx: WebTx) -> None:
            for one in gone:
                tx.sessions.end(one)
            tx.sessions.begin(digest, expires)

        try:
            await self._store.write(work)
        except NotWritten as error:
            log.warning("a login of the page ends with this hub: %s", error)
        return secret

    def knows(self, session: str) -> bool:
        """Whether a session goes on."""
        return self._clock.now() < self._sessions.get(digest_of(session), 0)

    def _keep(self, kept: dict[str, int], secret: str, life: int) -> list[str]:
        """Keep a secret's hash; returns those that made room for it."""
        gone = list(kept)[: max(0, len(kept) - MOST + 1)]
        for one in gone:
            del kept[one]
        kept[digest_of(secret)] = self._clock.now() + life
        return gone
