"""What a device asks for and may not do: put to its person as an approval, and done in their name once they tap.

The person's own rights decide when they do; what a device asked whose token was revoked since is not done.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from bot import approvals
from bot.approvals import Came
from core.access import authorize
from core.approval import State
from core.chat import Inbound, Reply, Role, one_line
from core.errors import Refused
from core.events import Kind
from core.ids import task_name
from core.store import patiently
from core.tokens import SHORTCUTS, NotAsYouWere, TokenKind, home_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from bot.approvals import ApprovalTx
    from bot.hub import Hub
    from core.access import NeedsTap
    from core.approval import Approval
    from core.chat import CommandCall, Outgoing, Proxy
    from core.events import Event
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


MAX_SHOWN = 1000
"""How long it may be: whoever taps has seen all of it, wherever in it a price or a name stands."""


class TooManyAsks(Refused):
    """{count} things that this device asked for wait for your tap already. Look in your chat first."""


class NotAllSeen(Refused):
    """That needs your tap, and has signs in it that nobody sees. Leave them out, or say it in your chat."""


class TooLongToTap(Refused):
    """That needs your tap, and is longer than the {limit} characters that I show with one. Say it in your chat."""


async def put(hub: Hub, store: Store[ApprovalTx], call: CommandCall, why: NeedsTap, credential: str) -> Reply:
    """Ask the person of the device that made this call, where they are at home; once for the same, as long as it is open.

    Raises `TooManyAsks`, `TooLongToTap` and `NotAllSeen`.
    """
    caller, proxy, key = call.caller, cast("Proxy", call.caller.proxy), f"{call.key}/tap"
    action = json.dumps({"command": call.text, "device": caller.actor, "credential": credential})
    shown = one_line(call.text)
    if len(shown) > MAX_SHOWN:
        raise TooLongToTap(limit=f"{MAX_SHOWN:,}")
    if shown != " ".join(call.text.split()):
        raise NotAllSeen

    def work(tx: ApprovalTx) -> tuple[Approval, Sequence[Outgoing]]:
        if (known := tx.applied(key)) is not None:  # this very message, before a restart
            return cast("Approval", tx.approvals.find(int(known))), ()
        waiting = [
            one for one in tx.approvals.pending() if one.kind == KIND and _waits(one, caller.actor, credential, tx.now)
        ]
        made = next((one for one in waiting if one.action == action), None)
        questions: Sequence[Outgoing] = ()
        if made is None and len(waiting) >= MAX_ASKS:
            raise TooManyAsks(count=len(waiting))
        if made is None:
            made, questions = approvals.put(
                tx, KIND, action, f"{_said_of(caller.actor)} asks for: {shown}",
                asked_by=caller.actor, where=proxy.home, approvers=(proxy.person,), seconds=ASK_SECONDS, needs=Role.MEMBER,
                exact=False, askers=(caller.actor,), about=_about(call),
            )  # fmt: skip
        tx.mark(key, str(made.id))
        return made, questions

    made, questions = await patiently(store, work, hub.clock)
    hub.approvals.asked(questions)
    words = f"I asked you in your chat, as {made.name}: {call.text}\nNothing is done until you tap Approve there. {why}"
    return Reply(words, {"ok": True, "approval": made.name, "state": made.state.value})


def _about(call: CommandCall) -> str:
    """The task that has to be under way for a command to be of any use."""
    number = call.args.get("t")
    return task_name(number) if isinstance(number, int) and call.name != "retry" else ""


def _said_of(device: str) -> str:
    """How a device is called to its person."""
    surface, _, name = device.partition(":")
    return f"Your {'Shortcut' if surface == 'shortcuts' else 'MCP client'} {name}"


def _waits(asked: Approval, device: str, credential: str, now: int) -> bool:
    """Whether this device asked for it, and nobody decided."""
    mine = asked.asked_by == device and json.loads(asked.action)["credential"] == credential
    return mine and asked.state is State.OPEN and asked.expires_at > now


async def carry(hub: Hub, approval: Approval) -> Came:
    """Do what a device asked for, as the person who agreed; returns the answer. The same approval twice acts once."""
    asked = json.loads(approval.action)
    device = await hub.identities.caller(asked["device"], private=True, credential=asked["credential"])
    person = approval.decided_by or ""
    if device.proxy is None or device.role is Role.GUEST:
        raise DeviceGone
    home = home_of(person) or ""
    message = Inbound(home.partition(":")[0], KIND, approval.name, home, person, asked["command"])
    caller = await hub.identities.caller(person, private=True)
    if caller.name != device.name:
        raise NotAsYouWere
    command = hub.registry.route(message)
    if command.action is not None:
        authorize(caller, command.action, own=command.own)
    reply = await command.run(hub, hub.registry.call(command, message, caller))
    return Came.of(reply)


def ending(hush: Callable[[Collection[str]], None]) -> Callable[[Sequence[Event]], None]:
    """What hears of events and, where a device's token ended, has the agent say no more to it: however it ended."""

    def heard(events: Sequence[Event]) -> None:
        ended = [event.data for event in events if event.kind is Kind.TOKEN_REVOKED]
        hush({f"{SHORTCUTS}{token['name']}" for token in ended if token["kind"] == TokenKind.SHORTCUT})

    return heard


def task_line(understand: Callable[[str], Meaning], description: str) -> str:
    """The command that posts a task of these words. A limit that was said with them is one: `for fifty sats`."""
    meant = understand(description).command or ""
    return meant if meant.startswith("/task ") else f"/task {description}"
