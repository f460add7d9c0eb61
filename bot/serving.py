"""The selling to strangers as the hub's owner handles it: opened at the start or by `timmy-serve start`, asked how it goes."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import UserError
from core.money import MAX_SATS, format_sats, to_msat, to_sats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from bot.supervisor import Supervisor
    from core.swarm.persona import Persona

PART = "l402"
"""The name of the gate among the hub's parts."""

MEMO_CHARACTERS = 200

NOT_FOR_STRANGERS = frozenset({"machine"})
"""Skills that are about the owner's machine: nobody buys what runs on it."""


class OpenAlready(UserError):
    """The gate is open at {address} already, at {price} a call.

    Stop the hub to close it, and start it with other settings (TIMMY_SERVE_…).
    """

    status = 409


class OwnPort(UserError):
    """Port {port} is the hub's own, where its status page is. Set TIMMY_SERVE_PORT (or --port) to another."""

    status = 409


class WrongOrder(UserError):
    """{what} is wrong: {why}."""


class Gate(Protocol):
    """The gate."""

    @property
    def address(self) -> str:
        """Where it listens; empty while it does not."""

    @property
    def price(self) -> int:
        """Of a call, msat."""

    @property
    def price_words(self) -> str:
        """Of a call, for people, who are told where the sats are play money."""

    async def free(self) -> None:
        """Raise why it could not listen now."""

    async def run(self) -> None:
        """Sell until cancelled."""

    async def opened(self) -> None:
        """Wait until it listens."""

    async def invoice(self, amount: int, memo: str) -> Any:
        """An invoice over so many sats, as a dataclass."""

    async def status(self) -> Any:
        """How the selling goes, as a dataclass."""


class Serving:
    """The one gate of a hub. `make` builds it, on another port and for another price (sats) than the settings' if so said."""

    def __init__(
        self,
        make: Callable[[int | None, int | None], Gate],
        supervisor: Supervisor,
        *,
        enabled: bool,
        warn: Callable[[int], str],
        mute: Callable[[], Awaitable[str | None]],
    ) -> None:
        """`enabled`: it is opened at the start. `warn`: what is wrong with a price (sats), empty where nothing is.

        `mute`: why nobody can be talked with; None where somebody can.
        """
        self._enabled = enabled
        self._make = make
        self._warn = warn
        self._mute = mute
        self._supervisor = supervisor
        self._gate: Gate | None = None
        self._open = False
        self._lock = asyncio.Lock()

    async def begin(self) -> None:
        """The hub starts. Raises as `open`."""
        if self._enabled:
            await self.open()

    @property
    def listens(self) -> str:
        """Where the gate is open; empty while it is closed."""
        return self.gate.address if self._open else ""

    @property
    def gate(self) -> Gate:
        """The gate, open or not."""
        self._gate = self._gate or self._make(None, None)
        return self._gate

    async def open(self, port: int | None = None, price: int | None = None) -> Gate:
        """Open the gate, which then is a supervised part. Raises `OpenAlready`, and what keeps it from listening."""
        async with self._lock:
            if self._open:
                raise OpenAlready(address=self.gate.address or "its port", price=self.gate.price_words)
            gate = self._make(port, price)
            await gate.free()
            self._gate, self._open = gate, True
            self._supervisor.start(PART, gate.run)
            await gate.opened()
            return gate

    def calls(self) -> Mapping[str, Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]]:
        """What `timmy-serve` asks of a running hub, over the owner's socket."""
        return {"serve.start": self._start, "serve.invoice": self._invoice, "serve.status": self._status}

    @property
    def _until(self) -> str:
        """When an open gate closes."""
        if self._enabled:
            return "It is open as long as the hub runs."
        return "It closes when the hub stops; TIMMY_SERVE_ENABLED=true opens it at each start."

    async def _start(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        port, price = _number(frame, "port", 65535), _number(frame, "price", to_sats(MAX_SATS))
        gate = await self.open(port, price)
        words = f"Selling at {gate.address}, {gate.price_words} a call. {self._until}"
        if wrong := self._warn(to_sats(gate.price)):
            words += f"\nBut {wrong}. Set TIMMY_SERVE_PRICE (or --price) higher."
        words += no_talks(await self._mute())
        return {"text": words, "data": {"ok": True, "address": gate.address, "price_sats": to_sats(gate.price)}}

    async def _invoice(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        amount, memo = _number(frame, "amount", MAX_SATS), str(frame.get("memo") or "")
        if amount is None:
            raise WrongOrder(what="amount", why="it is missing")
        if len(memo) > MEMO_CHARACTERS:
            raise WrongOrder(what="memo", why=f"it has more than {MEMO_CHARACTERS} characters")
        facts = asdict(await self.gate.invoice(amount, memo))
        return {"text": facts["bolt11"], "data": {"ok": True, **facts}}

    async def _status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        facts = asdict(await self.gate.status())
        where = f"open at {facts['address']}" if facts["open"] else "closed (timmy-serve start opens it)"
        until = f" {self._until}" if facts["open"] else ""
        earned = format_sats(to_msat(facts["earned_sats"]), simulated=facts["simulated"])
        words = (
            f"The gate is {where}, {self.gate.price_words} a call.{until}\n"
            f"{facts['bundles']:,} of {facts['offers']:,} offers paid, {earned} earned,"
            f" {facts['calls_used']:,} calls used."
        ) + no_talks(await self._mute())
        return {"text": words, "data": {"ok": True, **facts}}


def no_talks(why: str | None) -> str:
    """A line for the owner where strangers are sold no chat."""
    return f"\nNo chat is sold until a model answers: {why}" if why else ""


def _number(frame: Mapping[str, Any], field: str, most: int) -> int | None:
    given = frame.get(field)
    if given is not None and (type(given) is not int or not 1 <= given <= most):
        raise WrongOrder(what=field, why=f"it must be a whole number from 1 to {most:,}")
    return given


def underpaid(price: int, personas: Iterable[Persona]) -> str:
    """What is wrong with a call that costs so many sats: none of the hub's own agents would work for it. Empty where one does."""
    selling = [one for one in personas if not one.skills or not NOT_FOR_STRANGERS.issuperset(one.skills)]
    least = min(selling, key=lambda one: one.rate, default=None)
    if least is None or least.rate <= price:
        return ""
    asks = format_sats(to_msat(least.rate))
    return f"none of the hub's own agents does a task for {format_sats(to_msat(price))}: {least.name} asks the least, {asks}"
