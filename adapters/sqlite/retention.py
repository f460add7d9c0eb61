"""How long rows live. Books, tasks and bids stay; messages, events and keys of finished commands have a stated life.

What people set up for themselves lives as long as they have a role, and a while longer: who is let in again has it back.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database
    from core.ports import Clock

log = logging.getLogger(__name__)

DAY = 86_400_000
_NOT_NEWEST = "id < (SELECT max(id) FROM {})"
"""The newest row stays, so that no number is given twice: old buttons and old words still name what they named."""

_ABSENT = "(SELECT actor FROM absent WHERE since < ?)"
_SETTLED = f"state NOT IN ('open', 'approved') AND decided_at < ? AND {_NOT_NEWEST.format('approval')}"
LIVES: tuple[tuple[str, str, int], ...] = (
    ("inbound", "done = 1 AND at < ?", 30 * DAY),
    ("outgoing", f"state IN ('sent', 'dead') AND at < ? AND {_NOT_NEWEST.format('outgoing')}", 30 * DAY),
    ("outgoing", f"at < ? AND {_NOT_NEWEST.format('outgoing')}", 90 * DAY),
    ("applied", "key <> 'book:grant' AND at < ?", 30 * DAY),
    ("event", "at < ? AND id < (SELECT coalesce(min(event), 0) FROM cursor)", 90 * DAY),
    ("dead_letter", "at < ?", 90 * DAY),
    ("thread", "task IN (SELECT id FROM task WHERE id = thread.task AND ended_at < ?)", 90 * DAY),
    ("turn", "at < ?", 365 * DAY),
    ("step", "at < ?", 365 * DAY),
    ("approval_question", f"approval IN (SELECT id FROM approval WHERE {_SETTLED})", 365 * DAY),  # noqa: S608 - constants
    ("approval", _SETTLED, 365 * DAY),
    ("pairing", "expires < ?", DAY),
    ("link_code", "expires < ?", DAY),
    ("link_wish", "expires < ?", DAY),
    ("pairing_failure", "at < ?", DAY),
    ("spend", "at < ?", 2 * DAY),  # the longest window is a day
    ("spent", "minute < ? / 60000", 2 * DAY),
    ("shortcut_job", "at < ?", 30 * DAY),
    ("purchase", "state NOT IN ('paying', 'paid', 'used') AND at < ?", 365 * DAY),
    ("l402_bundle", "settled_at IS NULL AND payable < ?", DAY),
    ("l402_call", "token IN (SELECT token FROM l402_bundle WHERE expires < ?)", 365 * DAY),
    ("l402_bundle", "expires < ?", 365 * DAY),
    ("page_session", "expires < ?", DAY),
    ("hold_invoice", "task IS NULL AND ended_at < ?", 30 * DAY),
    ("recon", f"at < ? AND {_NOT_NEWEST.format('recon')}", 365 * DAY),
    ("token", "revoked_at < ?", 365 * DAY),
    ("summary", "at < ?", 365 * DAY),
    ("schedule_run", "state <> 'running' AND at < ?", 90 * DAY),
    ("schedule", "state IN ('over', 'ended') AND ended_at < ?", 90 * DAY),
    ("schedule", f"state IN ('active', 'paused') AND actor IN {_ABSENT}", 90 * DAY),
    ("notice_wish", f"actor IN {_ABSENT}", 90 * DAY),
    ("quiet_hours", f"person IN {_ABSENT}", 90 * DAY),
    ("briefing", "at < ?", 365 * DAY),
    ("spark_read", "at < ?", 365 * DAY),
)
"""(table, which rows, life in ms)."""

IN_MEMORY = frozenset({"notice_wish", "quiet_hours"})
"""Of these a hub holds all rows in memory."""

UNPAID: tuple[tuple[str, str, int], ...] = (
    ("invoice", "state = 'open' AND account = 'income:l402' AND expires_at < ?", DAY),  # any stranger makes them
    ("invoice", "state = 'open' AND expires_at < ?", 30 * DAY),
)
"""Those that go only while the node has told of all that was paid: whose a late payment is, the row says and nothing else does."""

OPENED_LIFE = 30 * DAY
"""How long an encrypted message is known by its event, which may come again after a crash: as long as messages received are."""

CONDENSED = 2_000
"""Encrypted messages that are condensed in one write at most."""

PART = 500
"""Rows of a table that are forgotten in one write at most."""

EVERY_SECONDS = 3600.0


class Retention:
    """Forgets once an hour."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        caught_up: Callable[[], bool] = lambda: True,
        knows: Callable[[UnitOfWork, str], bool] = lambda _, __: True,
        forgot: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`caught_up`: whether the node has told of all that was paid long ago. `knows`: whether somebody has a role here.

        `forgot`: reads again what is held in memory.
        """
        self._store = store
        self._clock = clock
        self._caught_up = caught_up
        self._knows = knows
        self._forgot = forgot

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            await self._clock.sleep(EVERY_SECONDS)
            await self.sweep()

    async def sweep(self) -> int:
        """Forget what has outlived its time; returns how many rows.

        An encrypted message counts as read before the message received from it is forgotten: one of both refuses it at any time.
        """
        now = self._clock.now()
        gone = await self._condensed(now - OPENED_LIFE)
        await self._seen()
        stale = False
        for table, where, life in (*LIVES, *(UNPAID if self._caught_up() else ())):
            rows = await self._forgotten(table, where, now - life)
            stale |= rows > 0 and table in IN_MEMORY
            gone += rows
        if stale and self._forgot is not None:
            await self._forgot()
        if await self._store.read(lambda tx: tx.keeps_facts()):
            from core.agent.memory import UNDO_MS  # noqa: PLC0415 - where anything is remembered

            if facts := await self._forgotten("fact", "forgotten_at < ?", now - UNDO_MS):
                await self._tidied()
            gone += facts
        return gone

    async def _seen(self) -> None:
        """Note who set something up and has no role any more, and who came back."""

        def look(tx: UnitOfWork) -> tuple[set[str], set[str]]:
            whose, noted = tx.absent()
            return {one for one in whose if not self._knows(tx, one)}, noted

        away, noted = await self._store.read(look)
        if away != noted:
            await self._store.write(lambda tx: tx.note_absent(away - noted, noted - away))

    async def _tidied(self) -> None:
        """Words of forgotten facts leave the index as its parts are merged; step by step: other writes go between."""
        begun = False
        while await self._store.write(lambda tx, begun=begun: tx.memory.merge(begun=begun)):  # type: ignore[misc]
            begun = True

    async def _forgotten(self, table: str, where: str, before: int) -> int:
        """Part by part, and looked for apart: no write waits until a table is read through."""
        gone, found = 0, PART
        while found == PART:
            keys = await self._store.read_apart(lambda tx: tx.outlived(table, where, before, PART))
            gone += await self._store.write(lambda tx, keys=keys: tx.forget(table, where, before, keys)) if keys else 0  # type: ignore[misc]
            found = len(keys)
        return gone

    async def _condensed(self, before: int) -> int:
        """Part by part: other writes go between."""
        gone = 0
        while found := await self._store.write(lambda tx: tx.surfaces.condense(before, CONDENSED)):
            gone += found
        return gone
