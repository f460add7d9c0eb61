"""Facts as a person reads them and as a program does: each view gives the text and the `data` of CONTRACT."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

from bot.page import Page
from core.chat import Button, File, Mark, Reply, Style, one_line
from core.durations import about, exactly
from core.events import Kind
from core.ids import task_name
from core.money import format_cost, format_sats, moved_sats, to_cost, to_sats
from core.swarm.auction import ranking
from core.swarm.bidding import collects, sealed
from core.swarm.reputation import together, trust
from core.swarm.task import Status
from core.wallet.ledger import is_held, user_account

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import tzinfo

    from core.chat import Caller
    from core.events import Event, Json
    from core.swarm.auction import Bid
    from core.swarm.ports import Answer, ResultFile, Seat
    from core.swarm.reputation import Record
    from core.swarm.task import Task
    from core.wallet.wallet import Balance, HistoryLine

PAGE = 10


def task_data(task: Task) -> dict[str, Json]:
    """A task's public facts (CONTRACT, "`data` in `--json`")."""
    data: dict[str, Json] = {
        "ok": True, "task": task.name, "status": task.status.value, "budget_sats": to_sats(task.budget),
        "attempt": task.attempt,
    }  # fmt: skip
    if task.model is not None:
        data["model"] = task.model
    if task.agent is not None:
        data["winner"] = task.agent
    if task.price is not None:
        data["price_sats"] = to_sats(task.price)
    if task.result is not None:
        data["result"] = task.result
    if task.why is not None and task.over and task.status is not Status.SETTLED:
        data["why"] = task.why
    return data


def counted(count: int, what: str) -> str:
    """`1 task`, `2,000 tasks`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _first_line(text: str, width: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def buttons_for(task: Task) -> tuple[Button, ...]:
    """What its requester can do with a task now."""
    match task.status:
        case Status.DELIVERED:
            return (Button("Accept", f"/accept {task.name}"), Button("Reject", f"/reject {task.name} not what I need"))
        case Status.OPEN | Status.BIDDING | Status.AWARDED | Status.RUNNING:
            return (Button("Cancel", f"/cancel {task.name}"),)
        case _:
            return (Button("Retry", f"/retry {task.name}"),) if task.status is not Status.SETTLED else ()


def still_means(task: Task, button: Button) -> bool:
    """Whether a button on one of a task's messages can still do something."""
    if collects(task) and button.command.startswith(f"/award {task.name} "):
        return True
    return button.command in {one.command for one in buttons_for(task)}


def posted(task: Task, *, simulated: bool, known: bool) -> Reply:
    """The answer to /task and /retry. `known`: whoever alone may bid was let in."""
    what = "simulated " if simulated else ""
    words = f"{task.name} posted with a budget of {format_sats(task.budget).replace(' sat', f' {what}sat')}."
    if task.only:
        words += f"\nOnly {task.only} may bid."
    if not known:
        words += f"\n{task.only} was never let in (/pair), and can neither read of it nor bid."
    if task.model:
        words += f"\nWith the model {task.model}."
    if task.pick == "ask":
        words += "\nYou pick the winner among the bids."
    if not is_held(task.account) and task.account != user_account(task.requester):
        words += f"\n{task.account.removeprefix('user:')} pays: --as spends nobody else's sats."
    return Reply(words, task_data(task), task.id, buttons_for(task))


def shown(
    task: Task,
    files: Sequence[ResultFile],
    place: Callable[[ResultFile], str],
    zone: tzinfo | None,
    progress: str | None,
    foreseen: tuple[str, Json] | None = None,
) -> Reply:
    """One task, whole. `progress`: what its worker said last of how it goes, or whom it waits for.

    `foreseen`: what Spark said, as words and facts.
    """
    page = Page(f"{task.name} is {task.status.value}: {_first_line(task.description)}")
    page.add(f"budget {format_sats(task.budget)}, attempt {task.attempt} of {task.attempts}")
    times = f"posted {moment(task.posted_at, zone)}, "
    ended = task.ended_at is not None
    page.add(times + (f"over {moment(task.ended_at or 0, zone)}" if ended else f"until {moment(task.deadline, zone)}"))
    if is_held(task.account):
        held = "the node held its sats until then" if ended else "the node holds its sats until it has ended"
        page.add(f"paid from outside: {held}")
    if foreseen:
        page.add(f"foreseen: {foreseen[0]}")
    if task.model:
        page.add(f"with the model {task.model}")
    if task.retry_of:
        page.add(f"tries {task_name(task.retry_of)} again")
    if task.agent:
        page.add(f"{task.agent} for {format_sats(task.price or 0)}{f': {progress}' if progress else ''}")
    elif progress and not task.over:
        page.add(progress)
    if task.why and task.status is not Status.SETTLED:
        page.add(f"reason: {one_line(task.why)}")
    if task.result:
        page.add(f"what {task.agent} delivered:").quote(f"\n{task.result}")
    more = {"forecast": foreseen[1]} if foreseen else {}
    return page.reply(task_data(task) | more, None, buttons_for(task), _files(files, place))


def listed(tasks: Sequence[Task], count: int, status: Status | None, start: int | None) -> Reply:
    """Tasks from number `start` on, of so many: a page for people, all that are given for programs; results are for /show."""
    data: dict[str, Json] = {"ok": True, "tasks": [task_data(task) for task in tasks]}
    if not tasks and (status or start):
        return Reply("No such tasks. /tasks lists all.", data)
    if not tasks:
        return Reply("No tasks here yet. Post one: /task summarise welcome.md", data)
    page = Page(f"{counted(count, 'task')}, newest first{f', from {task_name(start)} on' if start else ''}")
    for task in tasks[:PAGE]:
        who = f" · {task.agent}" if task.agent else ""
        page.add(f"{task.name}  {task.status.value}{who}  {_first_line(task.description, 44)}")
    more: tuple[Button, ...] = ()
    if len(tasks) > PAGE:
        command = f"/tasks {f'{status} ' if status else ''}from={tasks[PAGE].name}"
        page.add(f"… and {count - PAGE:,} older: {command}")
        more = (Button("More", command),)
    return page.reply(data, None, more)


def bids(task: Task, answers: Sequence[Answer], caller: Caller) -> Reply:
    """The bids of a task's present auction: sealed until the close, but for one's own and for `pick=ask`."""
    placed = ranking(answer.bid for answer in answers if not answer.refused)
    mine = caller.means(task.requester) or caller.role in {"owner", "operator"}
    secret = sealed(task) or (task.pick == "ask" and task.status is Status.BIDDING and not mine)
    seen = [bid for bid in placed if not secret or caller.means(bid.agent)]
    rows: list[Json] = [
        {"agent": bid.agent, "price_sats": to_sats(bid.price), "score": bid.score / 1000} for bid in seen
    ]
    data: dict[str, Json] = {**task_data(task), "bids": rows}
    page = Page(
        f"{task.name} has {len(placed)} bid{'s' if len(placed) != 1 else ''}{', sealed until the close' if secret else ''}"
    )
    page.table([_bid_row(bid, won=bid.agent == task.agent) for bid in seen[:PAGE]])
    for answer in answers:
        if answer.refused and not secret:
            page.add(f"{answer.bid.agent} declined: {answer.bid.note}")
    picks: tuple[Button, ...] = ()
    if mine and task.status is Status.BIDDING and task.pick == "ask":
        picks = tuple(
            Button(f"{bid.agent} {to_sats(bid.price)}", f"/award {task.name} {bid.agent}") for bid in seen[:8]
        )
    return page.reply(data, None, picks)


def _bid_row(bid: Bid, *, won: bool) -> tuple[str, str, str]:
    eta = f" (eta {exactly(bid.eta)})" if bid.eta is not None else ""
    note = f"  {bid.note}" if bid.note else ""
    return bid.agent, format_sats(bid.price), f"score {bid.score / 1000:g}{eta}{note}{'  ← won' if won else ''}"


def balance(found: Balance) -> Reply:
    """What somebody has."""
    tasks = found.held - found.payments
    parts = [f"{format_sats(tasks)} held for open tasks"] if tasks or not found.payments else []
    parts += [f"{format_cost(found.payments)} held for payments"] if found.payments else []
    text = f"{format_sats(found.posted - found.held, simulated=found.simulated)} free, {', '.join(parts)}"
    if found.escrow:
        text += f", {format_sats(found.escrow)} in escrow for tasks under way"
    data: dict[str, Json] = {
        "ok": True, "balance_sats": to_sats(found.posted), "held_sats": to_cost(found.held), "simulated": found.simulated,
    }  # fmt: skip
    return Reply(text, data)


def moment(at: int, zone: tzinfo | None) -> str:
    """A time (Unix ms UTC) for people, in their zone or the system's: `11-23 09:58`."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).strftime("%m-%d %H:%M")


def history(
    lines: Sequence[HistoryLine], limit: int, zone: tzinfo | None, *, simulated: bool, start: int | None = None
) -> Reply:
    """An account's movements: `limit` of them for programs, fewer for people. `lines` is one longer where there are older ones."""
    shown, older = lines[: min(limit, 2 * PAGE)], lines[min(limit, 2 * PAGE) :]
    rows: list[Json] = [
        {
            "id": line.id, "at": line.at, "amount_sats": moved_sats(line.amount), "kind": line.kind,
            "task": task_name(line.task) if line.task else None, "reason": line.reason, "other": line.other,
            **({"payment_hash": line.payment.hex()} if line.payment else {}), **({"payee": line.payee} if line.payee else {}),
        }
        for line in lines[:limit]
    ]  # fmt: skip
    data: dict[str, Json] = {"ok": True, "history": rows, "simulated": simulated}
    if not lines:
        none = f"No movements at or before entry {start}. /history shows the newest" if start else "No movements yet."
        return Reply(none, data)
    head = f"The last {counted(len(shown), 'movement')}{' (simulated sats)' if simulated else ''}, newest first"
    page = Page(head).table(
        [
            (
                moment(line.at, zone),
                f"{moved_sats(line.amount):+,}",
                f"{line.kind}{_of(line)}{_paid(line)}{f': {line.reason}' if line.reason else ''}",
            )
            for line in shown
        ]
    )
    more: tuple[Button, ...] = ()
    if older:
        command = f"/history {limit} from={older[0].id}"
        page.add(f"… and older ones: {command}")
        more = (Button("More", command),)
    return page.reply(data, None, more)


def _paid(line: HistoryLine) -> str:
    """Of a Lightning payment the beginning of its hash, as `/reconcile` has it, and whom it paid, where it left."""
    to = f" to {line.payee[:8]}…" if line.payee else ""
    return f" {line.payment.hex()[:8]}{to}" if line.payment else ""


def _of(line: HistoryLine) -> str:
    return f" {task_name(line.task)}" if line.task else ""


def agents(seats: Sequence[Seat]) -> Reply:
    """The roster: who can work, who is busy, and why somebody cannot."""
    data: dict[str, Json] = {"ok": True, "agents": [agent_data(seat) for seat in seats]}
    able = sum(1 for seat in seats if seat.why is None)
    page = Page(f"{able} of {len(seats)} agents can take work now")
    page.table([(seat.name, seat.does, _state(seat)) for seat in seats])
    return page.reply(data)


def agent(seat: Seat, records: Mapping[str, Record], now: int, ended: str = "", last: Sequence[str] = ()) -> Reply:
    """One of them, and what it did in each field; `ended`: why its container did lately, and what it said `last`."""
    asks = "bids as it likes" if seat.rate is None else f"asks {seat.rate} sats"
    whole, seen = together(records.values(), now), [one.weight(field) for field, one in records.items()]
    page = Page(f"{seat.name} does {seat.does}: {_state(seat)}")
    page.add(f"{asks}; can {', '.join(seat.capabilities) or 'be asked by name'}{_at_a_time(seat)}")
    page.add(f"{whole.settled} settled, {whole.failed} failed, {format_sats(whole.earned)} earned")
    page.table(
        [(field or "anything", *_did(one, trust(seen, field, now))) for field, one in sorted(records.items())[:PAGE]]
    )
    rows: list[Json] = [
        {"field": field, **_record_data(one, trust(seen, field, now))} for field, one in sorted(records.items())
    ]
    data: dict[str, Json] = {"ok": True, "agent": agent_data(seat), "records": rows}
    if ended:
        page.add(f"its container ended lately: {ended}{', and said last:' if last else ''}")
        page.add("\n".join(last), Style.PRE)
        data |= {"ended": ended, "log": [*last]}
    return page.reply(data)


def contained(event: Event) -> Reply:
    """How an agent's container does, told to the owners once it is otherwise."""
    from core.swarm.container import Trouble  # noqa: PLC0415 - where there is one

    name, why = event.agent or "", str(event.data["why"]).rstrip(".")
    text = {
        Trouble.NONE: f"{name} works again.",
        Trouble.ENDS: f"{name} keeps ending: {why}. It is started again, later and later. /agent {name} shows what it said last.",
        Trouble.REFUSED: f"{name} does not run: {why}. It is tried again, later and later; /dismiss {name} ends that.",
        Trouble.COPIED: f"{why}.",
        Trouble.REVOKED: f"{name} has ended: {why}. /spawn {name} gives it another.",
    }[Trouble(str(event.data["trouble"]))]
    return Reply(text, {"ok": event.kind is Kind.AGENT_UP, "agent": name, "why": why})


def market(rows: Sequence[tuple[str, str, Record]], now: int) -> Reply:
    """Who did what, for how much, how fast and how well: (agent, field, record)."""
    seen = {name: [one.weight(field) for agent, field, one in rows if agent == name] for name, *_ in rows}
    best = sorted(rows, key=lambda row: -row[2].earned)
    facts: list[Json] = [
        {"agent": agent, "field": field, **_record_data(one, trust(seen[agent], field, now))}
        for agent, field, one in best
    ]
    data: dict[str, Json] = {"ok": True, "market": facts}
    if not rows:
        return Reply("Nothing was paid for yet. Post a task: /task summarise welcome.md", data)
    paid = together([one for *_, one in rows], now)
    page = Page(f"{counted(paid.settled, 'task')} paid for, {format_sats(paid.earned)} in all")
    page.table(
        [(agent, field or "anything", *_did(one, trust(seen[agent], field, now))) for agent, field, one in best[:PAGE]]
    )
    if len(best) > PAGE:
        page.add(f"… and {len(best) - PAGE:,} more: /agent NAME shows one agent's")
    return page.reply(data)


def _did(one: Record, known: int) -> tuple[str, ...]:
    """How well, how often, for how much and how fast, in columns."""
    each = format_sats(one.earned // one.settled) if one.settled else "-"
    fast = f"{_seconds(one)} s" if one.settled else "-"
    return (
        f"{one.settled} of {one.settled + one.failed}", f"trust {known / 10:.0f} %", f"{each} each", fast,
        f"{format_sats(one.earned)} earned",
    )  # fmt: skip


def _record_data(one: Record, known: int) -> dict[str, Json]:
    data: dict[str, Json] = {
        "settled": one.settled, "failed": one.failed, "trust": known / 1000, "earned_sats": to_sats(one.earned),
    }  # fmt: skip
    if one.settled:
        data |= {"price_sats": to_sats(one.earned // one.settled), "seconds": _seconds(one)}
    return data


def _seconds(one: Record) -> int:
    return round(one.took / one.settled / 1000)


def _at_a_time(seat: Seat) -> str:
    return f"; {seat.capacity} tasks at a time" if seat.capacity > 1 else ""


def _state(seat: Seat) -> str:
    return seat.why or (f"busy with {seat.load}" if seat.load else "free")


def agent_data(seat: Seat) -> dict[str, Json]:
    """An agent's public facts."""
    data: dict[str, Json] = {
        "name": seat.name, "kind": seat.kind, "state": seat.state, "capabilities": list(seat.capabilities),
    }  # fmt: skip
    if seat.why:
        data["why"] = seat.why
    return data


def told(
    event: Event, task: Task, files: Sequence[ResultFile], place: Callable[[ResultFile], str], extra: Mapping[str, Json]
) -> Reply:
    """What happened to a task, told to whoever asked for it."""
    data = {**task_data(task), **extra}
    price, agent, by = format_sats(task.price or 0), task.agent, event.data.get("by")
    match event.kind:
        case Kind.TASK_SETTLED:
            text = f"{task.name} settled: {agent} was paid {price}\n\n{task.result or ''}"
        case Kind.TASK_DELIVERED:
            judge = f"/accept {task.name} pays, /reject {task.name} WHY does not"
            text = f"{task.name} delivered by {by or agent}: {judge}\n\n{task.result or ''}"
        case Kind.TASK_FAILED:
            text = f"{task.name} failed and cost nothing: {task.why}"
        case Kind.TASK_EXPIRED:
            text = f"{task.name} expired and cost nothing: {task.why}"
        case Kind.TASK_CANCELLED:
            text = f"{task.name} was cancelled by {by} and cost nothing"
        case Kind.TASK_REJECTED:
            text = f"{task.name} was rejected by {by} and is up for bids again: {task.why}"
        case Kind.TASK_AWARDED:
            done = f". When done: /deliver {task.name} RESULT" if agent == task.requester else ""
            text = f"{task.name} is {agent}'s for {price}{done}"
        case Kind.AUCTION_OPENED:
            text = f"{task.name} waits for a bid from {task.only}: /bid {task.name} SATS"
        case _:
            text = f"{task.name} is up for bids again: {task.why}"
    head, _, said = text.rstrip().partition("\n")
    page = Page(head).quote(said)
    return page.reply(data, task.id, buttons_for(task), _files(files, place))


def told_to_worker(event: Event, task: Task) -> list[Reply]:
    """What a person who has won a task must know of it: one message or none."""
    price = format_sats(task.price or 0)
    match event.kind:
        case Kind.TASK_AWARDED if task.status is Status.AWARDED:
            what = f"is yours for {price}: {_first_line(task.description)}\nWhen done: /deliver {task.name} RESULT"
        case Kind.TASK_SETTLED:
            what = f"is accepted: you were paid {price}"
        case Kind.TASK_REJECTED | Kind.TASK_FAILED:
            what = f"was not accepted: {task.why}"
        case Kind.TASK_CANCELLED:
            what = f"was cancelled by {event.data.get('by')}; there is nothing more to do"
        case Kind.TASK_EXPIRED:
            what = "has expired; there is nothing more to do"
        case _:
            return []
    return [Reply(f"{task.name} {what}", task_data(task), task.id)]


def offers(task: Task, answers: Sequence[Answer]) -> Reply:
    """What the agents bid on a task whose requester picks."""
    placed = ranking(answer.bid for answer in answers if not answer.refused)
    said = ", ".join(f"{bid.agent} {to_sats(bid.price)}" for bid in placed[:PAGE])
    if placed:
        text = f"{task.name} bids: {said}\nPick one: /award {task.name} AGENT"
    else:
        text = f"{task.name} bids: none yet{'' if task.only else f'; people may bid too: /bid {task.name} SATS'}"
    picks = tuple(Button(f"{bid.agent} {to_sats(bid.price)}", f"/award {task.name} {bid.agent}") for bid in placed[:8])
    return Reply(text, {**task_data(task), "waits": "people"}, task.id, picks)


def asked(task: Task, now: int) -> Reply:
    """A task is put to people to bid on."""
    left = (task.closes_at or task.deadline) - now
    page = Page(f"{task.name} is up for bids{f' by {task.only}' if task.only else ''}, for {about(left)}")
    page.add(_first_line(task.description))
    if task.model:
        page.add(f"with the model {task.model}, as its requester wishes")
    page.add(f"at most {format_sats(task.budget)}: /bid {task.name} SATS")
    return page.reply(task_data(task))


def _files(files: Sequence[ResultFile], place: Callable[[ResultFile], str]) -> tuple[File, ...]:
    return tuple(File(file.name, place(file)) for file in files)


def board(task: Task, answers: Sequence[Answer], progress: str | None) -> Reply:
    """A task as its auction goes on, in the place of the message that announced it.

    `progress`: its worker's words, or whom it waits for.
    """
    price, agent = format_sats(task.price or 0), task.agent
    bidders = [answer.bid.agent for answer in answers if not answer.refused]
    match task.status:
        case Status.OPEN:
            head = f"{task.name} {progress or 'waits'}{f': {task.why}' if task.why else ''}"
        case Status.BIDDING:
            head = f"{task.name} is up for bids"
        case Status.AWARDED:
            head = f"{task.name} awarded to {agent} for {price}; its price is in escrow"
        case Status.RUNNING:
            head = f"{task.name}: {agent} is at work for {price}"
        case Status.DELIVERED:
            head = f"{task.name} delivered by {agent} for {price}"
        case Status.SETTLED:
            head = f"{task.name} settled: {agent} was paid {price}"
        case Status.FAILED | Status.CANCELLED | Status.EXPIRED:
            head = f"{task.name} {task.status.value}; it cost nothing"
        case _:
            assert_never(task.status)
    lines = [head, _first_line(task.description), f"budget {format_sats(task.budget)}, attempt {task.attempt}"]
    if bidders:
        lines.append(f"bids from {', '.join(bidders[:PAGE])}")
    if progress and agent:
        lines.append(f"{agent}: {progress}")
    return Reply("\n".join(lines), task_data(task), task.id, buttons_for(task), marks=(Mark(0, len(head), Style.BOLD),))
