"""Strangers at the gate of a whole hub, over real HTTP: offers, payments, talk and work, and everything that is refused."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from config.settings import Serve
from tests.cashier import FakeCashier
from tests.fakes import FakeClock
from tests.scenario.bot import NOBODY, balances, hub, prove, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot

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

    async def buy(self, said: Said) -> None:
        """Pay what was offered, and hold its token from now on."""
        token, invoice = said.offer
        self.token = f"L402 {token}:{await self.cashier.pay(invoice)}"


@asynccontextmanager
async def selling(
    folder: Path,
    *,
    cashier: FakeCashier | None = None,
    ollama: str = NOBODY,
    clock: FakeClock | None = None,
    **parts: Any,
) -> AsyncIterator[tuple[Bot, Stranger]]:
    """A hub with its gate open, and a stranger before it."""
    clock = clock or FakeClock()
    cashier = cashier or FakeCashier(clock)
    found = settings(folder, ollama=ollama).model_copy(update={"serve": Serve(enabled=True, port=0)})
    async with hub(folder, found=found, clock=clock, cashier=cashier, **parts) as bot:
        cashier.store = bot.app.store
        stranger = Stranger(cashier)
        stranger.base = bot.app.serving.gate.address
        yield bot, stranger


async def done(bot: Bot, stranger: Stranger, task: str) -> Any:
    """A task's facts once it is over."""
    said = await stranger.ask("GET", f"/v1/tasks/{task}")
    while said.body["status"] not in {"settled", "failed"}:
        bot.pass_time(0.2)
        await bot.app.store.write(lambda tx: None)
        said = await stranger.ask("GET", f"/v1/tasks/{task}")
    return said.body


async def test_a_stranger_buys_a_task_end_to_end_over_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    cashier = FakeCashier(clock)
    async with selling(tmp_path, cashier=cashier, clock=clock) as (bot, stranger):
        offered = await stranger.task("find the answer")
        assert offered.error == (402, "payment_needed")
        assert "100 simulated sats" in offered.body["error"]["message"]
        assert cashier.memos == ["Timmy: a task for the swarm, 1 call"]
        assert (cashier.made[0].amount, cashier.made[0].expires_at - clock.now()) == (100_000, 600_000)
        assert (await stranger.task("find the answer")).offer == offered.offer  # made once
        await stranger.buy(offered)
    async with selling(tmp_path, cashier=cashier, clock=clock) as (bot, again):
        again.token = stranger.token
        posted = await again.task("find the answer")
        assert (posted.status, set(posted.body)) == (202, {"task_id", "status"})
        task = posted.body["task_id"]
        assert posted.headers["Location"] == f"/v1/tasks/{task}"
        facts = await done(bot, again, task)
        assert facts == {"task_id": task, "status": "settled", "result": "quill did find the answer", "files": []}
        assert balances(bot.app.settings)["treasury"] == (100, 0)  # its own persona did it: the price came back
        spent = await again.task("find more")
        assert spent.error == (402, "token_spent")
        assert spent.offer != offered.offer
        other = Stranger(cashier)
        other.base = again.base
        await other.buy(spent)
        assert (await other.ask("GET", f"/v1/tasks/{task}")).error == (404, "unknown_task")
        unheard = bot.rows("SELECT requester, account, conversation FROM task")
        assert unheard[0][0].startswith("l402:")
        assert unheard[0][1:] == ("treasury", unheard[0][0])
        assert bot.rows("SELECT count(*) FROM outgoing WHERE surface = 'l402'") == [(0,)]
    prove(settings(tmp_path))
