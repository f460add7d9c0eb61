"""The owner's calls to the world outside a simulated node, for `timmy simulate`: its wallets pay and ask, and what hangs lands."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Protocol

from bot.registry import parse_duration
from core.errors import UserError
from core.money import parse_sats, to_msat
from core.wallet.lightning import BadInvoice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Call = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]

EXPIRY_SECONDS = 3600


class NotSimulated(UserError):
    """This hub's sats are not simulated, so nobody outside can be played. Use another data folder with the simulated backend."""


class BadPaymentHash(UserError):
    """{given} is neither an invoice nor a payment hash (64 hexadecimal digits). Give the invoice that is being paid."""


class Outside(Protocol):
    """Everybody that a simulated node can pay or be paid by. All of it raises `NodeDown` and `NodeRefused`."""

    async def outside_pays(self, bolt11: str) -> tuple[bytes, bytes | None]:
        """Pay an invoice of ours: (payment hash, preimage), and no preimage while the payment is held."""

    async def outside_asks(self, amount: int | None, memo: str, expiry: int, fails: str) -> str:
        """A BOLT11 for `amount` msat, for `expiry` seconds, that fails in this way when we pay it."""

    def hash_of(self, bolt11: str) -> bytes:
        """The payment hash of an invoice. Raises `BadInvoice`."""

    async def land(self, payment_hash: bytes, *, well: bool) -> None:
        """Bring a payment that hangs to its end."""


def calls(outside: Outside | None) -> Mapping[str, Call]:
    """All calls. `outside` is None where the node is a real one: each call then raises `NotSimulated`."""

    def world() -> Outside:
        if outside is None:
            raise NotSimulated
        return outside

    async def pay(frame: Mapping[str, Any]) -> dict[str, Any]:
        payment_hash, preimage = await world().outside_pays(str(frame.get("bolt11")))
        proof = None if preimage is None else preimage.hex()
        text = f"payment_hash  {payment_hash.hex()}\npreimage      {proof or 'none yet: the payment is held'}"
        return {"text": text, "data": {"ok": True, "payment_hash": payment_hash.hex(), "preimage": proof}}

    async def invoice(frame: Mapping[str, Any]) -> dict[str, Any]:
        amount = parse_sats(str(frame.get("amount")))
        expires = frame.get("expires")
        expiry = EXPIRY_SECONDS if expires is None else parse_duration(str(expires)) // 1000
        fails = str(frame.get("fails") or "")
        bolt11 = await world().outside_asks(to_msat(amount), str(frame.get("memo") or ""), expiry, fails)
        return {"text": bolt11, "data": {"ok": True, "bolt11": bolt11, "amount_sats": amount}}

    async def land(frame: Mapping[str, Any]) -> dict[str, Any]:
        payment_hash, well = _hash(world(), str(frame.get("payment_hash"))), not frame.get("fail")
        await world().land(payment_hash, well=well)
        text = "The payment arrived." if well else "The payment failed, and its sats are back at the node."
        return {"text": text, "data": {"ok": True, "payment_hash": payment_hash.hex()}}

    return {"simulate.pay": pay, "simulate.invoice": invoice, "simulate.land": land}


def _hash(outside: Outside, text: str) -> bytes:
    with contextlib.suppress(BadInvoice):
        return outside.hash_of(text)
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise BadPaymentHash(given=repr(text[:70]))
    return bytes.fromhex(text)
