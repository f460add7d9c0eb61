"""What a device asks for and may not do: put to its person as an approval, and done in their name once they tap.

The person's own rights decide when they do; what a device asked whose token was revoked since is not done.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.access import authorize
from core.chat import Inbound, Reply, Role
from core.errors import Refused
from core.tokens import SHORTCUTS, TokenKind, home_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.hub import Hub
    from core.access import NeedsTap
    from core.approval import Approval
    from core.chat import Caller, CommandCall
    from core.voice.intent import Meaning

KIND = "device"
"""The kind of these approvals."""

ASK_SECONDS = 3600.0
"""How long the person has to tap."""


class DeviceGone(Refused):
    """This device speaks for nobody here any more: its token was revoked, or whoever it spoke for is not let in."""


async def put(hub: Hub, call: CommandCall, why: NeedsTap, credential: str) -> Reply:
    """Ask the person of the device that made this call, where they are at home; once for each message."""
    caller, proxy = call.caller, call.caller.proxy
    assert proxy is not None  # noqa: S101 - nobody else needs a tap
    made = await hub.approvals.ask(
        KIND, json.dumps({"command": call.text, "device": caller.actor, "credential": credential}),
        f"Your Shortcut {caller.actor.partition(':')[2]} asks for: {call.text}", asked_by=caller.actor, where=proxy.home,
        approvers=(proxy.person,), seconds=ASK_SECONDS, key=f"{call.key}/tap", needs=Role.MEMBER,
    )  # fmt: skip
    words = f"I asked you in your chat, as {made.name}: {call.text}\nNothing is done until you tap Approve there. {why}"
    return Reply(words, {"ok": True, "approval": made.name, "state": made.state.value})


async def carry(hub: Hub, approval: Approval) -> str:
    """Do what a device asked for, as the person who agreed; returns the answer. The same approval twice acts once."""
    asked = json.loads(approval.action)
    device = await hub.identities.caller(asked["device"], private=True, credential=asked["credential"])
    person = approval.decided_by or ""
    if device.proxy is None or device.role is Role.GUEST:
        raise DeviceGone
    home = home_of(person) or ""
    message = Inbound(home.partition(":")[0], KIND, approval.name, home, person, asked["command"])
    caller = await hub.identities.caller(person, private=True)
    command = hub.registry.route(message)
    if command.action is not None:
        authorize(caller, command.action)
    reply = await command.run(hub, hub.registry.call(command, message, caller))
    return reply.text


async def revoke(hub: Hub, caller: Caller, kind: str, name: str, *, key: str | None = None) -> None:
    """End a token, and what the agent is saying to its device. Raises what `Identities.revoke` does."""
    await hub.identities.revoke(caller, kind, name, key=key)
    if kind == TokenKind.SHORTCUT:
        hub.assistant.hush({f"{SHORTCUTS}{name}"})


def task_line(understand: Callable[[str], Meaning], description: str) -> str:
    """The command that posts a task of these words. A limit that was said with them is one: `for fifty sats`."""
    meant = understand(description).command or ""
    return meant if meant.startswith("/task ") else f"/task {description}"
