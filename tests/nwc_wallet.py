"""A wallet service of Nostr Wallet Connect (NIP-47) behind a relay, with a `LightningNode` behind it.

It answers one client only, checks who wrote and until when a request holds, and refuses what it was not made for. Paying an invoice
again is refused in the way of Alby Hub: as INTERNAL.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nostr_sdk import EventBuilder, Keys, Kind, Tag, Timestamp

from tests.fakes import no_wait
from tests.lightning_node import OUR_KEY, LightningNode, read
from tests.nostr_relay import NostrRelay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from nostr_sdk import PublicKey

    from tests.lightning_node import Invoice, Payment

CLIENT_SECRET = "5ec2e7" + "77" * 29
WALLET_SECRET = "33" * 32
METHODS = "pay_invoice make_invoice lookup_invoice list_transactions get_balance get_info"
ORDERS = ("pay_invoice", "make_invoice")
MOST = 50
"""Transactions in one answer."""


class Refused(Exception):
    """An error of the wallet's: its code, and what it says."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass
class NwcWallet:
    """The wallet service."""

    relay: NostrRelay
    node: LightningNode = field(default_factory=lambda: LightningNode("bcrt"))
    keys: Keys = field(default_factory=lambda: Keys.parse(WALLET_SECRET))
    client: PublicKey = field(default_factory=lambda: Keys.parse(CLIENT_SECRET).public_key())
    encryption: str = "nip44_v2 nip04"
    notifications: str = "payment_received payment_sent"
    info: dict[str, Any] = field(default_factory=lambda: {"network": "regtest", "pubkey": OUR_KEY, "block_height": 800})
    tells_fee: bool = True
    keeps_to_from: bool = True
    lost: bool = False
    """The answer to the next order is lost with its connection."""

    silent: bool = False
    """The answer to the next order never comes."""

    mute: bool = False
    """Nor does that to the question after it: its connection breaks."""

    next_error: tuple[str, str] | None = None
    """The error that answers the next order."""

    next_result: str | None = None
    """The text that answers the next request, before it is sealed."""

    silence: Callable[[], Awaitable[None]] = no_wait
    """Called where an answer is not to come."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    to_repeat: list[Invoice] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[NwcWallet]:
        """A relay and the wallet behind it."""
        async with NostrRelay.running() as relay:
            wallet = cls(relay)
            relay.on_event.append(wallet._hear)
            wallet.node.on_received.append(wallet.tell)
            await wallet.announce()
            yield wallet
            for task in wallet._tasks:
                task.cancel()

    @property
    def uri(self) -> str:
        """The connection, as a person copies it."""
        relay = quote(self.relay.url, safe="")
        return f"nostr+walletconnect://{self.keys.public_key().to_hex()}?relay={relay}&secret={CLIENT_SECRET}"

    async def announce(self) -> None:
        """Publish what it can do."""
        tags = [["encryption", self.encryption]] if self.encryption else []
        await self.relay.publish(self.signed(13194, METHODS, [*tags, ["notifications", self.notifications]]))

    def signed(self, kind: int, content: str, tags: list[list[str]]) -> dict[str, Any]:
        """An event by the wallet."""
        builder = EventBuilder(Kind(kind), content).tags([Tag.parse(tag) for tag in tags])
        event = builder.custom_created_at(Timestamp.from_secs(self.node.now // 1000)).finalize(self.keys)
        found: dict[str, Any] = json.loads(event.as_json())
        return found

    def tell(self, invoice: Invoice) -> None:
        """Notify of what came in."""
        if "payment_received" in self.notifications:
            told = {"notification_type": "payment_received", "notification": self._received(invoice)}
            content = self.keys.nip44_encrypt(self.client, json.dumps(told))
            self._spawn(self.relay.publish(self.signed(23197, content, [["p", self.client.to_hex()]])))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hear(self, event: dict[str, Any]) -> None:
        tags = {tag[0]: tag[1] for tag in event["tags"]}
        if event["kind"] != 23194 or tags.get("p") != self.keys.public_key().to_hex() or event["id"] in self._seen:
            return
        if event["pubkey"] != self.client.to_hex():
            return
        if self.node.now // 1000 > int(tags.get("expiration", 2**62)):
            self._spawn(self.silence())
            return
        self._seen.add(event["id"])
        self._spawn(self._handle(event, tags.get("encryption", "nip04")))

    async def _handle(self, event: dict[str, Any], encryption: str) -> None:
        for one in self.to_repeat:
            self.tell(one)
        self.to_repeat.clear()
        if encryption not in self.encryption.split():
            await self._answer(
                event, {"error": {"code": "UNSUPPORTED_ENCRYPTION", "message": ""}, "result_type": ""}, "nip44_v2"
            )
            return
        unseal = self.keys.nip44_decrypt if encryption == "nip44_v2" else self.keys.nip04_decrypt
        request = json.loads(unseal(self.client, event["content"]))
        method, params = request["method"], request["params"]
        self.asked.append((method, params))
        answer: dict[str, Any] = {"result_type": method, "error": None, "result": None}
        try:
            answer["result"] = await self._do(method, params)
        except Refused as refused:
            answer["error"] = {"code": refused.code, "message": refused.message}
        if not await self._spoilt(method in ORDERS):
            await self._answer(event, answer, encryption)

    async def _spoilt(self, ordered: bool) -> bool:
        if ordered and self.lost:
            self.lost = False
            self.relay.cut_all()
        elif ordered and self.silent:
            self.silent = False
            await self.silence()
        elif not ordered and self.mute and not self.silent:
            self.mute = False
            self.relay.cut_all()
        else:
            return False
        return True

    async def _answer(self, event: dict[str, Any], answer: dict[str, Any], encryption: str) -> None:
        text, self.next_result = self.next_result or json.dumps(answer), None
        seal = self.keys.nip44_encrypt if encryption == "nip44_v2" else self.keys.nip04_encrypt
        tags = [["p", self.client.to_hex()], ["e", event["id"]]]
        await self.relay.publish(self.signed(23195, seal(self.client, text), tags))

    async def _do(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method in ORDERS and self.next_error:
            (code, message), self.next_error = self.next_error, None
            raise Refused(code, message)
        match method:
            case "get_info":
                return {"alias": "", "methods": METHODS.split(), **self.info}
            case "get_balance":
                return {"balance": self.node.balance}
            case "make_invoice":
                made = self.node.invoice(params["amount"], params.get("description", ""), params.get("expiry", 3600))
                return self._received(made)
            case "lookup_invoice":
                return self._lookup(bytes.fromhex(params["payment_hash"]))
            case "list_transactions":
                return {"transactions": self._list(params)}
            case "pay_invoice":
                return await self._pay(params)
            case _:
                raise Refused("NOT_IMPLEMENTED", f"unknown method {method}")

    def _lookup(self, payment_hash: bytes) -> dict[str, Any]:
        if found := self.node.invoices.get(payment_hash):
            return self._received(found)
        if sent := self.node.outgoing(payment_hash):
            return _sent(sent)
        raise Refused("NOT_FOUND", "transaction not found")

    def _list(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        start = params.get("from", 0) if self.keeps_to_from else 0
        found = [
            one for one in self.node.invoices.values()
            if one.created // 1000 >= start and (one.settled or params.get("unpaid", False))
        ]  # fmt: skip
        offset = params.get("offset", 0)
        shown = [self._received(one) for one in sorted(found, key=lambda one: one.created, reverse=True)]
        return shown[offset : offset + min(params.get("limit", MOST), MOST)]

    async def _pay(self, params: dict[str, Any]) -> dict[str, Any]:
        asked = read(params["invoice"])
        payment_hash = bytes.fromhex(asked.payment_hash)
        amount = asked.amount_msat or params.get("amount")
        before = self.node.outgoing(payment_hash)
        if before is not None and before.state != "failed":
            raise Refused("INTERNAL", "this invoice has already been paid")
        if amount is None:
            raise Refused("OTHER", "the invoice has no amount")
        if amount + max(10_000, amount // 100) > self.node.balance:
            raise Refused("INSUFFICIENT_BALANCE", "insufficient balance remaining to make the requested payment")
        payment = self.node.begin(params["invoice"], payment_hash, amount)
        if not payment.over.is_set():
            await self.silence()
        await payment.over.wait()
        if payment.preimage is None:
            raise Refused("PAYMENT_FAILED", payment.reason)
        fee = {"fees_paid": payment.fee} if self.tells_fee else {}
        return {"preimage": payment.preimage.hex(), **fee}

    def _received(self, one: Invoice) -> dict[str, Any]:
        state = "settled" if one.settled else "expired" if self.node.now > one.expires else "pending"
        return {
            "type": "incoming", "state": state, "invoice": one.bolt11, "description": one.memo, "description_hash": "",
            "preimage": one.preimage.hex() if one.settled else "", "payment_hash": one.payment_hash.hex(),
            "amount": one.received or one.amount, "fees_paid": 0, "created_at": one.created // 1000,
            "expires_at": one.expires // 1000, "settled_at": one.settled // 1000 or None, "metadata": {},
        }  # fmt: skip


def _sent(one: Payment) -> dict[str, Any]:
    state = {"succeeded": "settled"}.get(one.state, one.state)
    return {
        "type": "outgoing", "state": state, "invoice": one.bolt11, "description": "", "description_hash": "",
        "preimage": one.preimage.hex() if one.preimage else "", "payment_hash": one.payment_hash.hex(),
        "amount": one.amount, "fees_paid": one.fee, "created_at": one.created // 1000, "expires_at": None,
        "settled_at": one.completed // 1000 if one.preimage else None, "metadata": None,
    }  # fmt: skip
