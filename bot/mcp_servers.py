"""What an MCP server says of its tools is agreed to by an owner: as it was when it was first seen, and whenever it changes.

A server could show harmless tools, and others once it is trusted. What the model is told of each is kept as a digest; a tool
that is new, or told of otherwise, is off until an owner has seen the change and agreed to exactly that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.agent.prompt import plain
from core.approval import State
from core.chat import one_line
from core.store import Tx, patiently
from core.tokens import CONSOLE_OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from bot.approvals import Approvals
    from core.approval import Approval, ApprovalStore
    from core.ports import Clock
    from core.store import Store

KIND = "mcp-tools"
"""The kind of these approvals."""

ASK_SECONDS = 7 * 86_400.0
MOST = 8
"""Changes that are put to an owner at once: what they agree to they have seen."""

SHOWN = 300
"""Characters of a description, which are all that the model is told."""


class Said(NamedTuple):
    """What a server says of a tool: a digest of all of it, and the words."""

    digest: str
    words: str


class PinStore(Protocol):
    """The tools of servers as they were agreed to, inside one unit of work."""

    def pins(self, server: str) -> Mapping[str, str]:
        """The digest of each; empty for a server that was never seen."""

    def pin(self, server: str, tools: Mapping[str, str], now: int) -> None:
        """They are agreed to as this, and no others."""


class PinTx(Tx, Protocol):
    """A unit of work over them, and over what owners were asked."""

    @property
    def approvals(self) -> ApprovalStore:
        """Approvals."""

    @property
    def mcp(self) -> PinStore:
        """What was agreed to."""


class Agreeing:
    """See the module. `again`: a server's tools are to be looked at anew."""

    def __init__(
        self, store: Store[PinTx], clock: Clock, approvals: Approvals, owners: Callable[[], Collection[str]],
        again: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._approvals = approvals
        self._owners = owners
        self._again = again

    async def agreed(self, server: str, tools: Mapping[str, Said]) -> frozenset[str]:
        """Those of a server's tools that are as they were agreed to; the owners are asked about the others."""

        def work(tx: PinTx) -> Mapping[str, str]:
            known = tx.mcp.pins(server)
            if not known:
                known = {name: said.digest for name, said in tools.items()}
                tx.mcp.pin(server, known, tx.now)
            return known

        pins = await patiently(self._store, work, self._clock)
        changed = {name: said for name, said in tools.items() if pins.get(name) != said.digest}
        if changed:
            await self._ask(server, dict(list(changed.items())[:MOST]), pins)
        return frozenset(tools) - frozenset(changed)

    async def _ask(self, server: str, changed: Mapping[str, Said], pins: Mapping[str, str]) -> None:
        if await self._store.read(lambda tx: any(_waits(one, server) for one in tx.approvals.pending())):
            return  # what else has changed is looked at when that is decided
        action = json.dumps({"server": server, "tools": {name: said.digest for name, said in sorted(changed.items())}})
        lines = [
            f"- {name} ({'changed' if name in pins else 'new'}): {one_line(plain(said.words))[:SHOWN] or 'no description'}"
            for name, said in changed.items()
        ]
        words = f"The MCP server {server} changed what it says of its tools. Until you agree, these are off; its words:"
        week = self._clock.now() // round(ASK_SECONDS * 1000)  # a question that ran out is put again
        await self._approvals.ask(
            KIND, action, "\n".join([words, *lines]), asked_by=CONSOLE_OWNER, where=CONSOLE_OWNER,
            approvers=sorted(self._owners()), seconds=ASK_SECONDS, key=f"{KIND}/{week}/{action}", once=True,
        )  # fmt: skip

    async def carry(self, approval: Approval) -> str:
        """Keep what was agreed to."""
        asked = json.loads(approval.action)
        server, tools = asked["server"], asked["tools"]
        await patiently(
            self._store, lambda tx: tx.mcp.pin(server, {**tx.mcp.pins(server), **tools}, tx.now), self._clock
        )
        self._again(server)
        return f"the agent may have {', '.join(tools)} of {server} as told"


def _waits(asked: Approval, server: str) -> bool:
    """Whether owners are asked about this server now."""
    return (asked.kind, asked.state) == (KIND, State.OPEN) and json.loads(asked.action)["server"] == server
