"""A stranger before the gate of a whole hub: real HTTP on loopback, and a wallet that pays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from tests.cashier import FakeCashier

OFFER = re.compile(r'L402 macaroon="([^"]+)", invoice="([^"]+)", version="0", token="([^"]+)"')


class Said:
    """An answer."""

    def __init__(self, status: int, headers: Any, body: Any) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.body["error"]["code"]

    @property
    def offer(self) -> tuple[str, str]:
        found = OFFER.fullmatch(self.headers["WWW-Authenticate"])
        assert found is not None
        assert found[1] == found[3]
        assert self.status == 402
        return found[1], found[2]


class Stranger:
    """Somebody with a wallet before the gate."""

    def __init__(self, cashier: FakeCashier) -> None:
        self.cashier = cashier
        self.base = ""
        self.token = ""

    async def ask(self, method: str, path: str, *, token: str | None = None, key: str = "", **how: Any) -> Said:
        headers = {"Authorization": self.token if token is None else token, "Idempotency-Key": key} | how.pop(
            "headers", {}
        )
        sent = {name: value for name, value in headers.items() if value}
        async with (
            aiohttp.ClientSession(self.base) as session,
            session.request(method, path, headers=sent, **how) as answer,
        ):
            is_json = answer.content_type == "application/json" and method != "HEAD"
            return Said(answer.status, answer.headers, await answer.json() if is_json else await answer.read())

    async def chat(self, message: str, **how: Any) -> Said:
        return await self.ask("POST", "/v1/chat", json={"message": message}, **how)

    async def task(self, description: str, **how: Any) -> Said:
        body = {"description": description, **({"max_sats": how.pop("max_sats")} if "max_sats" in how else {})}
        return await self.ask("POST", "/v1/tasks", json=body, **how)

    def buy(self, said: Said) -> str:
        """Pay what was offered, and hold its token from now on."""
        token, invoice = said.offer
        self.token = f"L402 {token}:{self.cashier.pay(invoice)}"
        return self.token
