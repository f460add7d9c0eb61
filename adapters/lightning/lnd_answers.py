"""What LND's JSON says, as the port's own values: int64 are strings, hashes base64 or hex, states names (lnrpc/lightning.proto).

What is missing or of another type raises `NodeDown`: an answer that cannot be read says nothing of what the node did.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, TypeVar

from adapters.lightning.lnd_wire import down
from core.wallet.lightning import InvoiceState, NodeInfo, NodeInvoice, Outcome, PayState, proves

if TYPE_CHECKING:
    from collections.abc import Mapping

Named = TypeVar("Named")
_HASH = 32
_INT64 = 2**63
_NETWORKS = {
    "mainnet": "bitcoin",
    "testnet": "testnet",
    "testnet4": "testnet",
    "signet": "signet",
    "regtest": "regtest",
}
_STATES = {
    "OPEN": InvoiceState.OPEN,
    "SETTLED": InvoiceState.SETTLED,
    "CANCELED": InvoiceState.CANCELLED,
    "ACCEPTED": InvoiceState.HELD,
}
_WHY = {
    "FAILURE_REASON_TIMEOUT": "no way to the payee was found in time",
    "FAILURE_REASON_NO_ROUTE": "there is no way to the payee within the fee limit",
    "FAILURE_REASON_ERROR": "the node met an error that it cannot mend",
    "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS": "the payee does not know this invoice, or refuses its amount or time",
    "FAILURE_REASON_INSUFFICIENT_BALANCE": "the node has too little on its own side of its channels",
    "FAILURE_REASON_CANCELED": "it was cancelled at the node",
    "FAILURE_REASON_NONE": "the node does not say why",
}
"""Each `PaymentFailureReason`, for people."""


def is_settled(found: Mapping[str, Any]) -> bool:
    """Whether `lnrpc.Invoice` is paid, and of the kind that we make: not one of AMP or keysend, which may have no hash."""
    return found.get("state") == "SETTLED" and not found.get("is_amp") and bool(found.get("r_hash"))


def invoice(found: Mapping[str, Any]) -> NodeInvoice:
    """`lnrpc.Invoice`. Raises `NodeDown`."""
    state = _named(found, "state", _STATES)
    return NodeInvoice(
        payment_hash=_bytes(found, "r_hash"),
        bolt11=text(found, "payment_request"),
        amount=number(found, "value_msat"),
        expires_at=(number(found, "creation_date") + number(found, "expiry")) * 1000,
        state=state,
        received=number(found, "amt_paid_msat") if state in {InvoiceState.HELD, InvoiceState.SETTLED} else 0,
        index=number(found, "settle_index"),
        settled_at=number(found, "settle_date") * 1000,
        held_until=_held_until(found) if state is InvoiceState.HELD else 0,
    )


def _held_until(found: Mapping[str, Any]) -> int:
    """The height at which the first of the HTLCs that are held runs out (`lnrpc.InvoiceHTLC`); 0 where it does not say."""
    parts = found.get("htlcs")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise down("its answer has no htlcs")
    return min((number(part, "expiry_height") for part in parts if part.get("state") == "ACCEPTED"), default=0)


def outcome(found: Mapping[str, Any], payment_hash: bytes) -> Outcome:
    """`lnrpc.Payment` of this hash. Raises `NodeDown`, for a success that has no receipt too: it is none that can be booked."""
    if text(found, "payment_hash") != payment_hash.hex():
        raise down("it tells of another payment than it was asked for")
    match text(found, "status"):
        case "SUCCEEDED":
            preimage = _hex(found, "payment_preimage")
            if not proves(preimage, payment_hash):
                raise down("it calls a payment succeeded and has no preimage that proves it")
            return Outcome(PayState.SUCCEEDED, preimage, number(found, "value_msat"), number(found, "fee_msat"))
        case "FAILED":
            return Outcome(PayState.FAILED, why=_named(found, "failure_reason", _WHY))
        case "IN_FLIGHT" | "INITIATED":
            return Outcome(PayState.IN_FLIGHT)
        case other:
            raise down(f"a payment's state is {other[:40]!r}")


def info(found: Mapping[str, Any]) -> NodeInfo:
    """`lnrpc.GetInfoResponse`. Raises `NodeDown`, for a network that nobody has too."""
    chains = found.get("chains")
    if not isinstance(chains, list) or len(chains) != 1 or not isinstance(chains[0], dict):
        raise down("its answer has no chains")
    node = text(found, "identity_pubkey")
    if not re.fullmatch(r"0[23][0-9a-f]{64}", node):
        raise down("its identity_pubkey is no public key")
    synced = found.get("synced_to_chain")
    if not isinstance(synced, bool):
        raise down("its answer has no synced_to_chain")
    return NodeInfo(_named(chains[0], "network", _NETWORKS), node, number(found, "block_height"), synced)


def balance(found: Mapping[str, Any]) -> int:
    """The local side of the open channels, msat, of `lnrpc.ChannelBalanceResponse`: what is in flight has left it.

    Raises `NodeDown`.
    """
    local = found.get("local_balance")
    if not isinstance(local, dict):
        raise down("its answer has no local_balance")
    return number(local, "msat")


def text(found: Mapping[str, Any], name: str) -> str:
    """A field that is text. Raises `NodeDown`."""
    if not isinstance(value := found.get(name), str):
        raise down(f"its answer has no {name}")
    return value


def number(found: Mapping[str, Any], name: str) -> int:
    """A field that counts: int64 as text, int32 as a number, never below 0. Raises `NodeDown`."""
    value = found.get(name)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    if type(value) is not int or not 0 <= value < _INT64:
        raise down(f"its answer has no {name}")
    return value


def encoded(data: bytes) -> str:
    """Bytes in a body."""
    return base64.b64encode(data).decode()


def in_url(data: bytes) -> str:
    """Bytes in a path or a query."""
    return base64.urlsafe_b64encode(data).decode()


def _bytes(found: Mapping[str, Any], name: str) -> bytes:
    try:
        value = base64.b64decode(text(found, name), validate=True)
    except ValueError:
        value = b""
    return _whole(value, name)


def _hex(found: Mapping[str, Any], name: str) -> bytes:
    try:
        value = bytes.fromhex(text(found, name))
    except ValueError:
        value = b""
    return _whole(value, name)


def _whole(value: bytes, name: str) -> bytes:
    if len(value) != _HASH:
        raise down(f"its {name} has not 32 bytes")
    return value


def _named(found: Mapping[str, Any], name: str, known: Mapping[str, Named]) -> Named:
    if (value := known.get(text(found, name))) is None:
        raise down(f"its {name} is none that is known")
    return value
