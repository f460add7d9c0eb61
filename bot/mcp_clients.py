"""`timmy mcp` at the hub's side, made when the first client asks: most hubs never have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.later import Later

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.delivery import Delivery
    from bot.hub import Hub
    from bot.mcp_desk import Desk, DeskTx
    from core.chat import Inbound
    from core.ports import IdSource, Spawner
    from core.store import Store


def calls(
    hub: Hub, store: Store[DeskTx], receive: Callable[[Inbound], Awaitable[None]], ids: IdSource, delivery: Delivery,
    spawner: Spawner,
) -> Mapping[str, Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]]:  # fmt: skip
    """What `timmy mcp` asks over the owner's socket."""

    def made() -> Desk:
        from bot.mcp_desk import Desk  # noqa: PLC0415 - see the module

        desk = Desk(hub, store, receive, ids)
        delivery.attach(desk)
        spawner.spawn(delivery.again(desk.name), "what MCP clients were not told")
        return desk

    desk = Later(made)
    return {"mcp.hello": lambda frame: desk().hello(frame), "mcp.call": lambda frame: desk().call(frame)}
