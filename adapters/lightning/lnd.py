"""`core.wallet.lightning.Lightning` on LND's REST (https://lightning.engineering/api-docs/api/lnd/), as of 0.21.

Three macaroons, each for its own task, so that what only asks could not spend. What LND does not say it did, it may have done:
then the caller hears `NodeDown`, and asks again with `track` or `lookup`.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from adapters.lightning import lnd_answers as answers
from adapters.lightning.bolt11 import decode
from adapters.lightning.lnd_wire import ALREADY_EXISTS, BACKEND, NOT_FOUND, Answered, Patience, Wire, down, silent
from core.wallet.lightning import HOLD_BLOCKS, BadInvoice, NodeInvoice, NodeRefused, Outcome, PayState, Traits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from adapters.lightning.lnd_macaroons import Macaroons
    from core.wallet.lightning import NodeInfo

_NO_PAYMENT = "payment isn't initiated"
_NO_INVOICE = ("unable to locate invoice", "there are no existing invoices")
"""LND's words for what it does not have (payments/db/errors.go, invoices/errors.go). The code alone says it of a wrong URL too."""

_PAGE = 500


class Lnd:
    """The node at `url`. `certificate`: the file of the one that is trusted; without it public authorities are."""

    backend = BACKEND
    traits = Traits(hold=True, msat=True, track=True, stream=True, once=True)

    def __init__(
        self, url: str, certificate: Path | None, macaroons: Macaroons, *, patience: Patience | None = None
    ) -> None:
        self._patience = patience or Patience()
        self._wire = Wire(url, certificate, self._patience)
        self._macaroons = macaroons

    async def close(self) -> None:
        """See `Node`."""
        await self._wire.close()

    async def info(self) -> NodeInfo:
        """See `Node`."""
        return answers.info(await self._told("/v1/getinfo"))

    async def balance(self) -> int:
        """See `Node`. Channels that are being closed are in it no more."""
        return answers.balance(await self._told("/v1/balance/channels"))

    async def create_invoice(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """See `Receiver`."""
        found = await self._ordered("/v1/invoices", _asked(amount, memo, expiry))
        return _made(answers.text(found, "payment_request"), amount)

    async def create_hold(self, payment_hash: bytes, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """See `Holds`."""
        order = _asked(amount, memo, expiry) | {"hash": answers.encoded(payment_hash), "cltv_expiry": str(HOLD_BLOCKS)}
        found = await self._ordered("/v2/invoices/hodl", order)
        made = _made(answers.text(found, "payment_request"), amount)
        if made.payment_hash != payment_hash:
            raise down("it made an invoice of another hash than it was given")
        return made

    async def settle_hold(self, preimage: bytes) -> None:
        """See `Holds`."""
        await self._ordered("/v2/invoices/settle", {"preimage": answers.encoded(preimage)})

    async def cancel_invoice(self, payment_hash: bytes) -> None:
        """See `Holds`."""
        await self._ordered("/v2/invoices/cancel", {"payment_hash": answers.encoded(payment_hash)})

    async def lookup(self, payment_hash: bytes) -> NodeInvoice | None:
        """See `Receiver`. LND counts looking one up by its hash as writing, hence the macaroon."""
        query = urlencode({"payment_hash": answers.in_url(payment_hash)})
        try:
            found = answers.invoice(await self._wire.get(f"/v2/invoices/lookup?{query}", self._macaroons.receive))
        except Answered as error:
            if any(words in error.message for words in _NO_INVOICE):
                return None
            raise down(error.message) from None
        if found.payment_hash != payment_hash:
            raise down("it tells of another invoice than it was asked for")
        return found

    async def settled(self, after: int) -> AsyncGenerator[NodeInvoice, None]:
        """See `Receiver`. A stream that was silent for long is opened anew where it was."""
        while True:
            if after == 0:
                async for invoice in self._since_the_beginning():
                    after = invoice.index
                    yield invoice
            async with aclosing(self._streamed(after)) as stream:
                async for invoice in stream:
                    if after == 0 and invoice.index > 1:
                        break  # the first was settled between the two calls
                    after = max(after, invoice.index)
                    yield invoice

    async def _streamed(self, after: int) -> AsyncGenerator[NodeInvoice, None]:
        """What is settled after `after`, until nothing was for long. The stream tells of new invoices too.

        Where nothing was ever settled it is given up soon: what came between the list and the stream is on neither.
        """
        path = f"/v1/invoices/subscribe?settle_index={after}"
        try:
            async with aclosing(self._wire.lines("GET", path, self._macaroons.read)) as lines:
                while True:
                    async with asyncio.timeout(self._patience.idle if after else self._patience.first):
                        found = await anext(lines)
                    if answers.is_settled(found):
                        yield answers.invoice(found)
        except TimeoutError:
            return
        except StopAsyncIteration:
            raise down("it ended the stream of settlements") from None
        except Answered as error:
            raise down(error.message) from None

    async def _since_the_beginning(self) -> AsyncGenerator[NodeInvoice, None]:
        """All that was ever settled, in order: LND takes the index 0 for "from now on" (InvoicesSettledSince)."""
        found: list[NodeInvoice] = []
        offset = 0
        while True:
            page = await self._told(f"/v1/invoices?index_offset={offset}&num_max_invoices={_PAGE}")
            rows = page.get("invoices")
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise down("its answer has no invoices")
            found += [answers.invoice(row) for row in rows if answers.is_settled(row)]
            following = answers.number(page, "last_index_offset")
            if len(rows) < _PAGE or following <= offset:
                break
            offset = following
        for invoice in sorted(found, key=lambda one: one.index):
            yield invoice

    def least_fee(self, amount: int) -> int:
        """See `Node`: it takes any limit."""
        del amount
        return 0

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: int) -> Outcome:
        """See `Payer`. LND pays a hash once: sent again it tells how the first one stands."""
        request = decode(bolt11)
        order: dict[str, object] = {
            "payment_request": request.bolt11,
            "timeout_seconds": max(1, timeout),
            "fee_limit_msat": str(fee_limit),  # "0": only a way that costs nothing
        }
        if amount is not None:
            order["amt_msat"] = str(amount)
        try:
            return await self._sent(order, request.payment_hash, max(1, timeout) + self._patience.grace)
        except Answered as error:
            return await self._refused(error, request.payment_hash)

    async def _sent(self, order: Mapping[str, object], payment_hash: bytes, seconds: float) -> Outcome:
        """Follow a payment to its end. What is in flight is asked for too: it tells a payment that takes long from a dead line."""
        outcome = None
        try:
            async with (
                asyncio.timeout(seconds),
                aclosing(self._wire.lines("POST", "/v2/router/send", self._macaroons.pay, order)) as lines,
            ):
                async for found in lines:
                    outcome = answers.outcome(found, payment_hash)
                    if outcome.state is not PayState.IN_FLIGHT:
                        return outcome
        except TimeoutError:
            if outcome is not None:
                return outcome
            raise silent(seconds) from None
        raise down("it ended the stream of a payment before the payment")

    async def _refused(self, error: Answered, payment_hash: bytes) -> Outcome:
        """What became of a payment that LND answered with an error: the error alone does not say that nothing was begun."""
        outcome = await self.track(payment_hash)
        if outcome.state is not PayState.UNKNOWN:
            return outcome
        if error.code == ALREADY_EXISTS:
            raise down(f"it says {error.message!r} of a payment that it does not know")
        raise NodeRefused(backend=BACKEND, why=error.message)

    async def track(self, payment_hash: bytes) -> Outcome:
        """See `Payer`. The first line of LND's stream is how it stands now."""
        path = f"/v2/router/track/{answers.in_url(payment_hash)}"
        try:
            async with (
                asyncio.timeout(self._patience.answer),
                aclosing(self._wire.lines("GET", path, self._macaroons.read)) as lines,
            ):
                async for found in lines:
                    return answers.outcome(found, payment_hash)
        except TimeoutError:
            raise silent(self._patience.answer) from None
        except Answered as error:
            if error.code == NOT_FOUND and _NO_PAYMENT in error.message:
                return Outcome(PayState.UNKNOWN)
            raise down(error.message) from None
        raise down("it ended the stream of a payment before it said anything")

    async def _told(self, path: str) -> dict[str, Any]:
        """An answer that LND has no reason to refuse: if it does, it is not to be had."""
        try:
            return await self._wire.get(path, self._macaroons.read)
        except Answered as error:
            raise down(error.message) from None

    async def _ordered(self, path: str, order: Mapping[str, object]) -> dict[str, Any]:
        try:
            return await self._wire.post(path, self._macaroons.receive, order)
        except Answered as error:
            raise NodeRefused(backend=BACKEND, why=error.message) from None


def _asked(amount: int, memo: str, expiry: int) -> dict[str, object]:
    """What both kinds of invoices are asked for. LND would make one of 0 msat: the payer's choice."""
    if amount < 1:
        raise NodeRefused(backend=BACKEND, why="an invoice asks for at least 1 msat")
    return {"memo": memo, "value_msat": str(amount), "expiry": str(expiry)}


def _made(bolt11: str, amount: int) -> NodeInvoice:
    """An invoice as it was made; the node tells no more than the invoice itself. Raises `NodeDown` if it is another."""
    try:
        read = decode(bolt11)
    except BadInvoice as error:
        raise down(f"it made an invoice that cannot be read: {error.facts['why']}") from None
    if read.amount != amount:
        raise down("it made an invoice of another amount than it was asked for")
    return NodeInvoice(read.payment_hash, read.bolt11, amount, read.expires_at)
