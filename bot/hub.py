"""What a command can reach: the hub's services, in one place, made by `app.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from datetime import tzinfo

    from bot.approvals import Approvals
    from bot.contained import Contained
    from bot.health import Health
    from bot.hearing import Hearing
    from bot.intake import Intake
    from bot.later import Later
    from bot.links import Links
    from bot.paying import Paying
    from bot.registry import Registry
    from bot.speaking import Speaking
    from bot.tooling import Tooling
    from bot.why import Decisions
    from core.agent.agent import Assistant
    from core.agent.cascade import Cascade
    from core.agent.notebook import Notebook
    from core.agent.pulling import Pulls
    from core.agent.summaries import Summaries
    from core.automation.briefing import Briefings
    from core.automation.notify import Notices
    from core.automation.schedules import Schedules
    from core.chat import CommandCall, File
    from core.pairing import Pairing
    from core.ports import Clock
    from core.spark.spark import Spark
    from core.swarm.coordinator import Coordinator
    from core.swarm.escrow import HoldEscrow
    from core.swarm.ports import ResultFile
    from core.swarm.roster import Roster
    from core.tokens import Identities
    from core.treasury.treasury import Treasury
    from core.wallet.reconcile import Reconciler
    from core.wallet.spending import Spending
    from core.wallet.suspense import Suspense
    from core.wallet.wallet import Wallet


@dataclass(frozen=True, slots=True)
class Hub:
    """The services behind every command, button and route."""

    clock: Clock
    approvals: Approvals
    decisions: Decisions
    coordinator: Coordinator
    roster: Roster
    wallet: Wallet
    spending: Spending
    identities: Identities
    pairing: Pairing
    links: Links
    files: Intake
    assistant: Later[Assistant]
    registry: Registry
    health: Health
    file_path: Callable[[ResultFile], str]
    zone: tzinfo | None
    hearing: Hearing
    speaking: Speaking
    draft: Callable[[CommandCall, str], None]
    paying: Later[Paying]
    reconciler: Reconciler
    treasury: Treasury
    qr: Callable[[str], Awaitable[File]]
    escrow: HoldEscrow
    suspense: Suspense
    contained: Contained
    spark: Spark
    tooling: Later[Tooling]
    notebook: Later[Notebook]
    summaries: Later[Summaries]
    notices: Notices
    schedules: Later[Schedules]
    brains: Cascade
    pulls: Later[Pulls]
    briefings: Later[Briefings]

    def hush(self, speakers: Collection[str]) -> None:
        """Have the agent say no more to any of these."""
        if self.assistant.made is not None:
            self.assistant.made.hush(speakers)
