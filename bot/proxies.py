"""What a device asks for and may not do: put to its person as an approval, and done in their name once they tap.

The person's own rights decide when they do; what a device asked whose token was revoked since is not done.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from core.access import authorize
from core.approval import State
from core.chat import Inbound, Reply, Role, one_line
from core.errors import Refused
from core.tokens import SHORTCUTS, TokenKind, home_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.approvals import ApprovalTx
    from bot.hub import Hub
    from core.access import NeedsTap
    from core.approval import Approval
    from core.chat import Caller, CommandCall, Proxy
    from core.store import Store
    from core.voice.intent import Meaning

KIND = "device"
"""The kind of these approvals."""

ASK_SECONDS = 3600.0
"""How long the person has to tap."""


class DeviceGone(Refused):
    """This device speaks for nobody here any more: its token was revoked, or whoever it spoke for is not let in."""


MAX_ASKS = 5
"""What of one device may wait for a tap: who is asked more than that reads none of it."""


MAX_SHOWN = 200
"""How much of it is shown to whoever taps."""


class TooManyAsks(Refused):
    """{count} things that this device asked for wait for your tap already. Look in your chat first."""


async def put(hub: Hub, store: Store[ApprovalTx], call: CommandCall, why: NeedsTap, credential: str) -> Reply:
    """Ask the person of the device that made this call, where they are at home; once for the same, as long as it is open.

    Raises `TooManyAsks`. What a device says has its turn one after the other, so nothing comes between looking and asking.
    """
    caller = call.caller
    action = json.dumps({"command": call.text, "device": caller.actor, "credential": credential})

    def still(tx: ApprovalTx) -> list[Approval]:
        return [
            one for one in tx.approvals.pending() if one.kind == KIND and _waits(one, caller.actor, credential, tx.now)
        ]

    waiting = await store.read(still)
    made = next((one for one in waiting if one.action == action), None) or await _ask(hub, call, action, len(waiting))
    words = f"I asked you in your chat, as {made.name}: {call.text}\nNothing is done until you tap Approve there. {why}"
    return Reply(words, {"ok": True, "approval": made.name, "state": made.state.value})


def _waits(asked: Approval, device: str, credential: str, now: int) -> bool:
    """Whether this device asked for it, and nobody decided."""
    mine = asked.asked_by == device and json.loads(asked.action)["credential"] == credential
    return mine and asked.state is State.OPEN and asked.expires_at > now


async def _ask(hub: Hub, call: CommandCall, action: str, waiting: int) -> Approval:
    caller, proxy = call.caller, cast("Proxy", call.caller.proxy)
    if waiting >= MAX_ASKS:
        raise TooManyAsks(count=waiting)
    words = f"Your Shortcut {caller.actor.partition(':')[2]} asks for: {one_line(call.text, MAX_SHOWN)}"
    return await hub.approvals.ask(
        KIND, action, words, asked_by=caller.actor, where=proxy.home, approvers=(proxy.person,), seconds=ASK_SECONDS,
        key=f"{call.key}/tap", needs=Role.MEMBER,
    )  # fmt: skip


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
        authorize(caller, command.action, own=command.own)
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
