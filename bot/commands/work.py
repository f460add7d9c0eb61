"""Work: posting tasks, bidding, delivering, judging."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from bot import views
from bot.registry import MissingArgument, command, registry
from core.access import Action
from core.chat import Reply
from core.money import to_msat
from core.swarm.orders import Order
from core.swarm.task import Status, is_person
from core.tokens import CONSOLE_OWNER
from core.wallet.ledger import is_held

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import CommandCall
    from core.swarm.task import Task


def _task(call: CommandCall) -> int:
    return cast("int", call.args["t"])


def _said(task: Task, words: str, *, follow: bool = False) -> Reply:
    return Reply(f"{task.name} {words}", views.task_data(task), task.id if follow else None, views.buttons_for(task))


def _said_to_worker(task: Task, call: CommandCall, words: str) -> Reply:
    """What can be done with a task is its requester's to do: whoever works at it for somebody else has no buttons."""
    reply = _said(task, words)
    return reply if call.caller.means(task.requester) else replace(reply, buttons=())


def _posted(hub: Hub, task: Task) -> Reply:
    known = task.only is None or not is_person(task.only) or hub.identities.known(task.only)
    return views.posted(task, simulated=hub.wallet.simulated, known=known)


@command(
    "/task WHAT [max=SATS] [by=DURATION] [to=AGENT] [pick=auto|ask] [model=MODEL] [escrow=wallet|hold]",
    "post a task; agents bid for it in sats",
    group="work",
    action=Action.POST,
    notes=(
        "max=SATS: the most that it may cost (500, 1,000 or 2k); TIMMY_AUCTION_BUDGET, 200 at first, if you say nothing",
        "by=DURATION: the time that it may take (90s, 10m, 2h, 1d; 30d at most); TIMMY_AUCTION_DEADLINE, a day at first",
        "to=AGENT: only this agent may bid, or this person (to=quill, to=telegram:12345)",
        "pick=ask: you choose among the bids with /award; pick=auto, as without it: the best bid wins",
        "model=MODEL: the agents here do it with this model (/model lists them), or not at all; operators and owners may say so",
        "escrow=hold: it is paid from outside, by an invoice; the node holds the sats until it has ended (6h at most)",
        "A line that ends with a limit in words (for 10 sats, max 10, within 2h) is refused: write max=10, or quote it as text",
        'Options go anywhere in the line. A file name with blanks goes in quotes: /task summarise "press release.txt"',
    ),
)
async def task(hub: Hub, call: CommandCall) -> Reply:
    """Post a task."""
    from bot import views_lightning

    sats, only = cast("int | None", call.args.get("max")), cast("str | None", call.args.get("to"))
    order = Order(
        call.caller, call.follows, cast("str", call.args["what"]), call.key,
        budget=to_msat(sats) if sats else None, time=cast("int | None", call.args.get("by")),
        only=only and hub.identities.account(only), pick=cast("str", call.args.get("pick", "auto")),
        model=cast("str | None", call.args.get("model")),
    )  # fmt: skip
    if call.args.get("escrow") == "hold":
        held = await hub.escrow.order(order)
        qr = await hub.qr(held.bolt11) if held.bolt11 else None
        return views_lightning.hold_order(held, qr, hub.zone, simulated=hub.wallet.simulated)
    posted = await hub.coordinator.post(order, lambda tx, task: call.tell(tx, _posted(hub, task)))
    return _posted(hub, posted)


@command(
    "/tasks [STATUS] [from=T]",
    "the tasks, newest first",
    group="work",
    action=Action.LOOK,
    reads=True,
    notes=(
        f"STATUS: only those that are {', '.join(list(Status)[:-1])} or {list(Status)[-1]}",
        "from=T: from this task on, back in time (T-12, t12 or 12)",
    ),
)
async def tasks(hub: Hub, call: CommandCall) -> Reply:
    """List tasks."""
    from bot import views_escrow

    status, start = cast("Status | None", call.args.get("status")), cast("int | None", call.args.get("from"))
    whole = call.conversation == CONSOLE_OWNER  # programs are there, and want all; a chat is shown a page
    found, count = await hub.coordinator.tasks(status, start, -1 if whole else views.PAGE + 1)
    listed = await asyncio.to_thread(views.listed, found, count, status, start)
    return listed if status or start else views_escrow.with_orders(listed, await hub.escrow.waiting(call.caller))


@command("/show T", "one task, with its result", group="work", action=Action.LOOK, reads=True)
async def show(hub: Hub, call: CommandCall) -> Reply:
    """Show a task."""
    from bot import views_spark

    number = _task(call)
    found, files = await hub.coordinator.show(number), await hub.coordinator.files(number)
    said = await hub.spark.foreseen(number)
    foreseen = None if said is None else views_spark.foreseen(said)
    return views.shown(found, files, hub.file_path, hub.zone, hub.coordinator.progress(number), foreseen)


@command(
    "/bids T", "the bids on a task (sealed until the auction closes)", group="work", action=Action.LOOK, reads=True
)
async def bids(hub: Hub, call: CommandCall) -> Reply:
    """Show bids."""
    found, answers = await hub.coordinator.answers(_task(call))
    return views.bids(found, answers, call.caller)


@command(
    "/bid T SATS [eta=DURATION] [NOTE]",
    "bid on a task yourself",
    group="work",
    action=Action.LOOK,
    notes=(
        "eta=DURATION: how long you think that you need (90s, 10m, 2h, 1d)",
        "NOTE: what the requester should know; the rest of the line",
    ),
)
async def bid(hub: Hub, call: CommandCall) -> Reply:
    """Bid."""
    sats = cast("int", call.args["sats"])
    found = await hub.coordinator.bid(
        call.caller, _task(call), sats, eta=cast("int | None", call.args.get("eta")),
        note=cast("str", call.args.get("note", "")), key=call.key,
    )  # fmt: skip
    if call.caller.means(found.agent):
        return _said_to_worker(found, call, f"is yours for {sats:,} sats. When done: /deliver {found.name} RESULT")
    return _said_to_worker(found, call, f"has your bid of {sats:,} sats. A later bid replaces it.")


@command("/award T AGENT", "give a task to a bidder", group="work", action=Action.LOOK)
async def award(hub: Hub, call: CommandCall) -> Reply:
    """Award."""
    found = await hub.coordinator.award(call.caller, _task(call), cast("str", call.args["agent"]), key=call.key)
    hint = f"; with /deliver {found.name} RESULT they hand it in" if is_person(found.agent) else ""
    return _said(found, f"awarded to {found.agent}{hint}", follow=True)


@command("/deliver T RESULT", "hand in the result of a task you won", group="work", action=Action.LOOK)
async def deliver(hub: Hub, call: CommandCall) -> Reply:
    """Deliver."""
    found = await hub.coordinator.deliver(call.caller, _task(call), cast("str", call.args["result"]), key=call.key)
    words = f"delivered; {found.requester} can /accept {found.name} or /reject {found.name} WHY"
    return _said_to_worker(found, call, words)


@command("/accept T", "accept a result; its worker is paid", group="work", action=Action.LOOK)
async def accept(hub: Hub, call: CommandCall) -> Reply:
    """Accept."""
    found = await hub.coordinator.accept(call.caller, _task(call), key=call.key)
    return _said(found, f"accepted; {found.agent} was paid")


@command("/reject T WHY", "reject a result; somebody else gets the task", group="work", action=Action.LOOK)
async def reject(hub: Hub, call: CommandCall) -> Reply:
    """Reject."""
    found = await hub.coordinator.reject(call.caller, _task(call), cast("str", call.args["why"]), key=call.key)
    return _said(found, f"rejected; it is {found.status.value} now", follow=not found.over)


@command(
    "/cancel [T] [order=N]",
    "call a task off; its sats come back",
    group="work",
    action=Action.LOOK,
    control=True,
    notes=("order=N: call off an order with escrow=hold that was not paid yet; it has no task",),
)
async def cancel(hub: Hub, call: CommandCall) -> Reply:
    """Cancel."""
    from bot import views_lightning

    if (number := cast("int | None", call.args.get("order"))) is not None:
        return views_lightning.called_off(await hub.escrow.cancel(call.caller, number, key=call.key))
    if "t" not in call.args:
        raise MissingArgument(command="cancel", what="T", usage=registry.get("cancel").usage)
    found = await hub.coordinator.cancel(call.caller, _task(call), key=call.key)
    back = "what is held for it goes back to whoever paid" if is_held(found.account) else "its sats came back"
    return _said(found, f"cancelled; {back}")


@command("/retry T", "post a task that is over once more", group="work", action=Action.LOOK)
async def retry(hub: Hub, call: CommandCall) -> Reply:
    """Retry."""
    found = await hub.coordinator.retry(call.caller, _task(call), conversation=call.follows, key=call.key)
    return _posted(hub, found)
