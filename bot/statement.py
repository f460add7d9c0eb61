"""An account's statement as a person reads it and as a program does: how its balance came to be, and what is set aside of it."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from core.ids import task_name
from core.money import MSAT, to_sats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from core.wallet.statement import Movement, OpenHold, Statement


def facts(found: Statement, *, simulated: bool) -> dict[str, Any]:
    """All of it; amounts are integers of msat, times Unix ms."""
    account = found.account
    return {
        "ok": True, "account": account.name, "simulated": simulated, "agrees": found.agrees,
        "balance_sats": to_sats(account.posted), "balance_msat": account.posted, "held_msat": account.held,
        "movements": found.count, "sum_msat": found.total,
        "parts": [{"kind": part.kind, "movements": part.count, "amount_msat": part.amount} for part in found.parts],
        "history": [_movement(movement, balance) for movement, balance in found.movements],
        "before_msat": found.before, "older": found.older,
        "holds": [
            {
                "id": hold.id, "at": hold.at, "amount_msat": hold.amount, "target": hold.target, "task": hold.task,
                "payment_hash": _hex(hold.payment), "payee": hold.payee, "state": hold.state,
            }
            for hold in found.holds
        ],
    }  # fmt: skip


def _movement(movement: Movement, balance: int) -> dict[str, Any]:
    return {
        "id": movement.id, "at": movement.at, "amount_msat": movement.amount, "balance_msat": balance,
        "kind": movement.kind, "task": movement.task, "payment_hash": _hex(movement.payment), "actor": movement.actor,
        "reason": movement.reason, "other": movement.others[0][0] if movement.others else None,
        "others": [{"account": name, "amount_msat": amount} for name, amount in movement.others],
        "key": movement.key, "hash": movement.hash.hex(),
    }  # fmt: skip


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()


def words(found: Statement, limit: int, zone: tzinfo | None, *, simulated: bool) -> Iterator[str]:
    """The lines that explain a balance, down to the sum that it is."""
    account = found.account
    unit = "sat" if account.posted == MSAT else "sats"
    held = f": {exact(account.available)} free, {exact(account.held)} held" if account.held else ""
    yield f"{account.name} has {exact(account.posted)} {'simulated ' if simulated else ''}{unit}{held}"
    if not found.parts:
        yield "No movements yet"
        return
    yield f"\n{_counted(len(found.movements))}, newest first, each with the balance after it"
    widths = [max(map(len, column)) for column in zip(*map(_amounts, found.movements), strict=True)] or [0, 0]
    for movement, balance in found.movements:
        yield from _lines(movement, balance, widths, zone)
    if found.older is not None:
        again = f"timmy ledger history {shlex.quote(account.name)} --limit {limit} --from {found.older}"
        yield f"Before that it had {exact(found.before)}; older movements: {again}"
    if found.holds:
        yield f"\nHeld: {exact(sum(hold.amount for hold in found.holds))}"
        yield from (f"  {_held(hold, zone)}" for hold in found.holds)
    yield f"\nAll of it, {_counted(found.count)}"
    yield from (f"  {exact(part.amount, sign='+'):>20}  {part.kind}, {_counted(part.count)}" for part in found.parts)
    yield f"  {exact(found.total):>20}  {_verdict(found)}"


def _verdict(found: Statement) -> str:
    return (
        "is the balance" if found.agrees else "is NOT what the account shows, or its holds are not: timmy ledger verify"
    )


def exact(msat: int, sign: str = "") -> str:
    """Sats, with their thousandths where there are any: `1,234`, `-0.500`. `sign="+"`: also before what came in."""
    whole, rest = divmod(abs(msat), MSAT)
    before = "-" if msat < 0 else sign
    return f"{before}{whole:,}.{rest:03}" if rest else f"{before}{whole:,}"


def _counted(count: int) -> str:
    return "1 movement" if count == 1 else f"{count:,} movements"


def _amounts(line: tuple[Movement, int]) -> tuple[str, str]:
    return exact(line[0].amount, sign="+"), exact(line[1])


def _lines(movement: Movement, balance: int, widths: list[int], zone: tzinfo | None) -> Iterator[str]:
    moved, after = (text.rjust(width) for text, width in zip(_amounts((movement, balance)), widths, strict=True))
    what = f"{movement.kind} {task_name(movement.task)}" if movement.task else movement.kind
    head = f"  #{movement.id:<7} {_time(movement.at, zone)}  {moved}  {after}  "
    reason = _line(movement.reason)
    yield f"{head}{what}{f': {reason}' if reason else ''} (by {_line(movement.actor)})"
    others = ", ".join(f"{name} {exact(amount, sign='+')}" for name, amount in movement.others)
    yield f"{' ' * len(head)}{others}"
    if movement.payment:
        yield f"{' ' * len(head)}payment {movement.payment.hex()}"


def _held(hold: OpenHold, zone: tzinfo | None) -> str:
    head = f"{exact(hold.amount)} since {_time(hold.at, zone)}, hold {hold.id}:"
    if hold.task is not None:
        return f"{head} {task_name(hold.task)}, {hold.state or 'unknown'}"
    if hold.payment is not None:
        return f"{head} payment {hold.payment.hex()} to {hold.payee}, {hold.state}"
    return f"{head} for {hold.target}"


def _time(at: int, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _line(text: str) -> str:
    """On one line: a reason is somebody's words."""
    return " ".join(text.split())
