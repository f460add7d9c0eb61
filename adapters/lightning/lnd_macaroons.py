"""What a macaroon of LND may do, read from the macaroon itself, so that none with too many rights is ever kept.

A macaroon is binary in its version 2: `02`, then fields of a type, a length and bytes up to a `00`; the second type is its
identifier. LND's begins with `03`, and the rest is the protobuf message `MacaroonId` of lnrpc/lightning.proto, whose third field
lists the permissions. Who wrote them is proven to nobody but the node; here they only warn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

READS = ("/lnrpc.Lightning/GetInfo", "/lnrpc.Lightning/ChannelBalance", "/lnrpc.Lightning/SubscribeInvoices",
    "/lnrpc.Lightning/ListInvoices", "/routerrpc.Router/TrackPaymentV2")  # fmt: skip
RECEIVES = ("/lnrpc.Lightning/AddInvoice", "/invoicesrpc.Invoices/LookupInvoiceV2", "/invoicesrpc.Invoices/AddHoldInvoice",
    "/invoicesrpc.Invoices/SettleInvoice", "/invoicesrpc.Invoices/CancelInvoice")  # fmt: skip
PAYS = ("/routerrpc.Router/SendPaymentV2",)
"""The calls that each of the three is for; `docs/lightning.md` prints the commands that bake them."""

_IN_GENERAL = {
    "GetInfo": "info:read", "ChannelBalance": "offchain:read", "SubscribeInvoices": "invoices:read",
    "ListInvoices": "invoices:read", "TrackPaymentV2": "offchain:read", "SendPaymentV2": "offchain:write",
}  # fmt: skip
"""The right that a call needs where it is not named itself; all calls of RECEIVES need `invoices:write`."""

_NEEDS = {"read": READS, "receive": RECEIVES, "pay": PAYS}
_MAY: dict[str, frozenset[str]] = {
    "read": frozenset(f"uri:{call}" for call in READS),
    "receive": frozenset(("invoices:write", "address:write", *(f"uri:{call}" for call in (*READS, *RECEIVES)))),
    "pay": frozenset(("offchain:write", *(f"uri:{call}" for call in (*READS, *PAYS)))),
}
"""What each may at most, beside reading all. LND's own invoice.macaroon makes addresses too, which moves nothing."""

_VERSION, _IDENTIFIER, _END = 2, 2, 0
_BAKERY = 3
_OPERATIONS, _ENTITY, _ACTIONS = 3, 1, 2
_LOW = 0x7F
_BYTES = 2
"""Protobuf's wire type of a length and so many bytes: the only one in `MacaroonId`."""


class BadMacaroon(UserError):
    """TIMMY_LND_MACAROON_{task} is wrong: {why}. docs/lightning.md has the command that bakes the right one."""


@dataclass(frozen=True, slots=True)
class Macaroons:
    """The three keys to a node, hex: nothing that this hub does needs one that can do it all."""

    read: str = field(repr=False)
    receive: str = field(repr=False)
    pay: str = field(repr=False)

    def __post_init__(self) -> None:
        """Raises `BadMacaroon` for what is none, and for rights beyond its task. No error shows the macaroon."""
        for task, may in _MAY.items():
            _check(task, getattr(self, task), may)

    def lacking(self) -> str:
        """What is missing for what this hub does, for people; empty if nothing is."""
        few = []
        for task, calls in _NEEDS.items():
            given = set(permissions(bytes.fromhex(getattr(self, task))))
            names = [call.rpartition("/")[2] for call in calls if given.isdisjoint(_opens(call))]
            few += [f"TIMMY_LND_MACAROON_{task.upper()} may not {', '.join(names)}"] if names else []
        return "; ".join(few)


def _opens(call: str) -> tuple[str, str]:
    """The rights each of which opens a call."""
    return f"uri:{call}", _IN_GENERAL.get(call.rpartition("/")[2], "invoices:write")


def _check(task: str, macaroon: str, may: frozenset[str]) -> None:
    try:
        given = set(permissions(bytes.fromhex(macaroon)))
    except (ValueError, IndexError):
        raise BadMacaroon(task=task.upper(), why="it is no macaroon of LND's") from None
    if over := sorted(one for one in given - may if not one.endswith(":read")):
        raise BadMacaroon(task=task.upper(), why=f"it may do more than {task}: {', '.join(over[:3])}")


def permissions(macaroon: bytes) -> Iterator[str]:
    """What it allows, as `lncli bakemacaroon` writes it: `offchain:read`, `uri:/lnrpc.Lightning/GetInfo`.

    Raises `ValueError` or `IndexError` for what is no macaroon of LND's.
    """
    identifier = _identifier(macaroon)
    if identifier[0] != _BAKERY:
        raise ValueError("not of this version")
    for number, operation in _fields(identifier[1:]):
        if number == _OPERATIONS:
            parts = list(_fields(operation))
            entity = b"".join(value for one, value in parts if one == _ENTITY).decode()
            yield from (f"{entity}:{value.decode()}" for one, value in parts if one == _ACTIONS)


def _identifier(macaroon: bytes) -> bytes:
    if macaroon[0] != _VERSION:
        raise ValueError("not of this version")
    at = 1
    while (kind := macaroon[at]) != _END:
        value, at = _chunk(macaroon, at + 1)
        if kind == _IDENTIFIER:
            return value
    raise ValueError("no identifier")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 != _BYTES:
            raise ValueError("not of this message")
        value, at = _chunk(message, at)
        yield key >> 3, value


def _chunk(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _varint(data, at)
    if at + size > len(data):
        raise ValueError("cut off")
    return data[at : at + size], at + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & _LOW) << shift
        at, shift = at + 1, shift + 7
        if byte <= _LOW:
            return value, at
