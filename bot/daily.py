"""Sends the daily report to the hub's owners, where they are at home: once a day, late where the hub was off, and never twice."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

from core.automation.notify import NoticeTx
from core.automation.topics import Notice, Topic
from core.errors import HubError
from core.store import patiently
from core.tokens import home_of
from core.treasury.policy import next_day
from core.treasury.report import AT_HOUR, ReportTx, due, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import tzinfo

    from core.automation.notify import Notices
    from core.chat import Outgoing
    from core.ports import Clock
    from core.store import Store
    from core.treasury.report import Report, Span
    from core.wallet.reconcile import Comparison, Reconciler

NODE_SECONDS = 30.0
"""How long the node is waited for."""

LOOK_MS = 900_000
"""How long the clock is trusted: it may be set, and the machine may sleep."""


class DailyTx(ReportTx, NoticeTx, Protocol):
    """A unit of work over reports and messages."""


class Daily:
    """Reports. `owners` are actor ids now; one is reached in the conversation of that name."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it works with
        self, store: Store[DailyTx], clock: Clock, zone: tzinfo | None, reconciler: Reconciler,
        owners: Callable[[], Collection[str]], notices: Notices, send: Callable[[Outgoing], None], *, simulated: bool,
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._zone = zone
        self._reconciler = reconciler
        self._owners = owners
        self._notices = notices
        self._send = send
        self._simulated = simulated

    async def run(self) -> None:
        """Report, for ever."""
        never = asyncio.Event()
        while True:
            now = self._clock.now()  # before the look: what strikes meanwhile is looked at again
            span = await self._store.read(lambda tx: due(tx, self._zone))
            if span is not None:
                await self._report(span)
            await self._clock.until(min(next_day(now, self._zone, AT_HOUR), now + LOOK_MS), never)

    async def _report(self, span: Span) -> None:
        node = await self._compared()
        found = await self._store.read_apart(lambda tx: gather(tx, span, node))
        for message in await patiently(self._store, partial(self._tell, found), self._clock):
            self._send(message)

    async def _compared(self) -> Comparison | str:
        """How node and books compare, or why they do not."""
        try:
            async with asyncio.timeout(NODE_SECONDS):
                return await self._reconciler.compare()
        except TimeoutError:
            return "the node did not answer in time"
        except HubError as error:
            return str(error)

    def _tell(self, found: Report, tx: DailyTx) -> list[Outgoing]:
        """Write the report with the fact that there is one."""
        if due(tx, self._zone) != found.span:
            return []
        tx.reports.done(found.span)
        if not found.worth_telling:
            return []
        from bot import views_report  # noqa: PLC0415 - for the first report

        reply = views_report.report(found, self._zone, simulated=self._simulated)
        homes = {home for one in self._owners() if (home := home_of(one)) is not None}
        return self._notices.tell(tx, Notice(Topic.REPORT, reply, homes))
