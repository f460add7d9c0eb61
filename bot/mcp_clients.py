"""`timmy mcp` at the hub's side, made when the first client asks: most hubs never have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.delivery import Delivery
    from bot.hub import Hub
    from bot.mcp_desk import Desk, DeskTx
    from core.chat import Inbound
    from core.ports import IdSource, Spawner
    from core.store import Store


class Clients:
    """MCP clients of this hub."""

    def __init__(
        self, hub: Hub, store: Store[DeskTx], receive: Callable[[Inbound], Awaitable[None]], ids: IdSource,
        delivery: Delivery, spawner: Spawner,
    ) -> None:  # fmt: skip
        self._needs = hub, store, receive, ids
        self._delivery = delivery
        self._spawner = spawner
        self._made: Desk | None = None

    def calls(self) -> Mapping[str, Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]]:
        """What `timmy mcp` asks over the owner's socket."""
        return {
            "mcp.hello": lambda frame: self._desk().hello(frame),
            "mcp.call": lambda frame: self._desk().call(frame),
        }

    def _desk(self) -> Desk:
        if self._made is None:
            from bot.mcp_desk import Desk  # noqa: PLC0415 - see the module

            self._made = Desk(*self._needs)
            self._delivery.attach(self._made)
            self._spawner.spawn(self._delivery.again(self._made.name), "what MCP clients were not told")
        return self._made
