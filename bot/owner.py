"""The owner's calls that are no chat, for `timmy status`, `timmy token` and the like: name -> what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot import simulate
from core.tokens import CONSOLE_OWNER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.hub import Hub
    from bot.simulate import Outside
    from core.chat import Caller


def calls(
    hub: Hub, login: Callable[[], str], settings: str, outside: Outside | None = None, gate: Callable[[], str] = str
) -> Mapping[str, Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]]:
    """All calls. Whoever reaches the socket owns the data folder, so the caller is always the owner.

    `settings` is the fingerprint of those that the hub was started with, `outside` the world beyond a simulated node, `gate` says
    where strangers can buy (empty: nowhere).
    """

    async def owner() -> Caller:
        return await hub.identities.caller(CONSOLE_OWNER, private=True)

    async def status(_: Mapping[str, Any]) -> dict[str, Any]:
        reply = await hub.health.reply()
        return {"text": reply.text, "data": {**reply.data, "settings": settings, "gate": gate()}}

    async def page(_: Mapping[str, Any]) -> dict[str, Any]:
        link = login()
        return {"text": link, "data": {"ok": True, "url": link}}

    async def commands(_: Mapping[str, Any]) -> dict[str, Any]:
        return {"text": "", "data": {"commands": hub.registry.described()}}

    async def mint(frame: Mapping[str, Any]) -> dict[str, Any]:
        token = await hub.identities.mint(
            await owner(), str(frame.get("token_kind")), str(frame.get("name")),
            for_actor=frame.get("for"), task_limit=frame.get("task_limit"),
        )  # fmt: skip
        return {"text": token}

    async def tokens(_: Mapping[str, Any]) -> dict[str, Any]:
        rows = await hub.identities.live(await owner())
        lines = [f"{row.kind}  {row.name}  {row.reach}".rstrip() for row in rows]
        return {"text": "\n".join(lines) or "No tokens. timmy token KIND NAME mints one."}

    async def revoke(frame: Mapping[str, Any]) -> dict[str, Any]:
        await hub.identities.revoke(await owner(), str(frame.get("token_kind")), str(frame.get("name")))
        return {"text": f"The {frame['token_kind']} token {frame['name']} opens nothing any more."}

    async def logs(frame: Mapping[str, Any]) -> dict[str, Any]:
        lines = await hub.contained.log(str(frame.get("name")), int(frame.get("lines", 100)))
        return {"text": "\n".join(lines) or "It said nothing.", "data": {"ok": True, "log": lines}}

    return {
        "status": status,
        "page": page,
        "commands": commands,
        "agents.logs": logs,
        "token.mint": mint,
        "token.list": tokens,
        "token.revoke": revoke,
        **simulate.calls(outside),
    }
