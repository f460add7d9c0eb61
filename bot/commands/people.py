"""Who is who: identities of one person, and what opens the hub to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bot.page import Page
from bot.registry import command
from core.access import Action
from core.chat import Reply, Role

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import CommandCall
    from core.events import Json


@command(
    "/link [CODE]",
    "make another chat identity of yours one with this account",
    group="hub",
    action=Action.JOIN,
    notes=(
        "without CODE: get one, good for an hour and one use, and see which identities are linked",
        "CODE: said in a private chat by the identity that is to join; it then has the account's role, wallet, tasks and memory",
        "/unlink IDENTITY takes one off again, from any identity of the account",
    ),
)
async def link(hub: Hub, call: CommandCall) -> Reply:
    """Give a code, or take one."""
    code = cast("str | None", call.args.get("code"))
    if code is None:
        return await hub.links.code(call.caller)
    return await hub.links.join(call.caller, code, call.called, key=call.key)


@command(
    "/unlink IDENTITY",
    "take an identity off your account",
    group="hub",
    action=Action.LINK,
    notes=(
        "IDENTITY: an id such as telegram:12345, or a name; /whoami lists them",
        "An owner takes any identity off any account; /unpair lets somebody out altogether",
    ),
)
async def unlink(hub: Hub, call: CommandCall) -> Reply:
    """Take an identity off."""
    actor, account = await hub.links.unlink(call.caller, cast("str", call.args["identity"]), key=call.key)
    hub.hush({actor})
    return Reply(f"{actor} is no longer one with {account}", {"ok": True, "actor": actor, "account": account})


@command(
    "/tokens",
    "the live tokens, by kind and name",
    group="hub",
    action=Action.TOKENS,
    reads=True,
    own=True,
    notes=("An owner sees all, anybody else those of their own devices",),
)
async def tokens(hub: Hub, call: CommandCall) -> Reply:
    """List tokens."""
    rows = await hub.identities.live(call.caller)
    found: list[Json] = [{"kind": row.kind, "name": row.name, "for": row.for_actor} for row in rows]
    data: dict[str, Json] = {"ok": True, "tokens": found}
    if not rows and call.caller.role is not Role.OWNER:
        return Reply("No device speaks for you. The hub's owner mints the tokens.", data)
    if not rows:
        return Reply("No tokens. timmy token KIND NAME mints one, on this machine.", data)
    page = Page(f"{len(rows)} live token{'' if len(rows) == 1 else 's'}; /revoke KIND NAME ends one")
    return page.table([(row.kind, row.name, row.reach) for row in rows]).reply(data)


@command(
    "/revoke KIND NAME",
    "end a token, at once",
    group="hub",
    action=Action.TOKENS,
    own=True,
    notes=(
        "KIND, NAME: as /tokens shows them; what it holds open ends too, and an answer on its way to a device is not told",
    ),
)
async def revoke(hub: Hub, call: CommandCall) -> Reply:
    """End a token."""
    kind, name = (cast("str", call.args[one]) for one in ("kind", "name"))
    await hub.identities.revoke(call.caller, kind.lower(), name, key=call.key)
    return Reply(
        f"The {kind.lower()} token {name} opens nothing any more.", {"ok": True, "kind": kind.lower(), "name": name}
    )
