"""Clients that nobody here wrote buy tasks from the gate of a real hub process; their payments are made by an outside wallet.

The wallet is `timmy simulate pay`, the world beyond the hub's simulated node. One of these purchases is a page of the docs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adapters.console.link import SOCKET, dial
from tests.kill.hub_process import hub_process
from tests.real.npm import MODULES, needs
from tests.real.transcript import DOCS, WIDTH, WRITTEN
from tests.scenario.bot import NOBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.kill.hub_process import HubProcess

pytestmark = pytest.mark.timeout(120)

BUYER = Path(__file__).with_name("l402_buyer.js")
PAGE = DOCS / "l402-transcript.md"
PRICES = "item,sats\ntea,21\ncake,210\ncoffee,42\n"
WANTED = "describe prices.csv"
RESULT = "prices.csv has 3 rows and 2 columns"
PATIENCE = 30.0

HEAD = f"""{WRITTEN}\
# A stranger buys a task by L402

A real hub process, and `l402-requests` {{version}}, a client that nobody of this
project wrote; `make test-real` holds this page true. The owner has put `prices.csv` into `data/strangers` and sells at 100 sats
a call. The client sends what it is told to, pays what it is offered out of a wallet that is not the hub's (here: `timmy simulate
pay`), and sends it again with what the payment gave it. Tokens, invoices, preimages and hashes are cut short; headers that say
nothing about the sale are left out.
"""


class Outside:
    """A wallet outside the hub, as l402-requests asks for one; it can pay once its owner said so."""

    supports_preimage = True

    def __init__(self, hub: HubProcess) -> None:
        self._hub = hub
        self.paid: list[str] = []

    async def pay_invoice(self, bolt11: str) -> str:
        """Pay; returns the preimage, hex."""
        self.paid.append(bolt11)
        found: dict[str, str] = json.loads(await self._hub.timmy("simulate", "pay", bolt11, "--json"))
        return found["preimage"]


@contextlib.asynccontextmanager
async def selling(folder: Path, *, executed: bool = False) -> AsyncIterator[tuple[HubProcess, str]]:
    """A hub that sells, with a file for strangers; and where it does."""
    settings = {"TIMMY_SERVE_ENABLED": "true", "TIMMY_SERVE_PORT": "0", "TIMMY_AUCTION_WINDOW": "1s"}
    async with hub_process(folder, NOBODY, executed=executed, **settings) as hub:
        (hub.data / "strangers" / "prices.csv").write_text(PRICES)
        yield hub, (await _status(hub))["address"]


async def _status(hub: HubProcess) -> dict[str, Any]:
    """What `timmy-serve status --json` shows."""
    async with dial(hub.data, SOCKET) as link:
        await link.send({"op": "serve.status"})
        frame = await link.receive()
    assert frame is not None
    facts: dict[str, Any] = frame["data"]
    return facts


# l402-requests ---------------------------------------------------------------------------------------------------


class Exchange:
    """Requests and answers of a client, as they go over its connection, for the page."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def asked(self, request: httpx.Request) -> None:
        self.lines.append(f"> {request.method} {request.url.raw_path.decode()}")
        if given := request.headers.get("Authorization"):
            self.lines.append(f"> Authorization: {given}")
        if body := (await request.aread()).decode():
            self.lines.append(f"> {body}")

    async def answered(self, response: httpx.Response) -> None:
        self.lines.append(f"< {response.status_code} {response.reason_phrase}")
        if given := response.headers.get("WWW-Authenticate"):
            self.lines.append(f"< WWW-Authenticate: {given}")
        self.lines.append(f"< {(await response.aread()).decode()}")

    def page(self) -> str:
        """What was said since the last time, without what is another each time."""
        text = "\n".join(line for said in self.lines for line in _wrapped(_short(said)))
        self.lines.clear()
        return f"\n```text\n{text}\n```\n"


def _short(text: str) -> str:
    for pattern, short in (
        (r"AgEFdGltbXk[A-Za-z0-9+/=]+", "AgEFdGltbXk…"),
        (r"(lnbcrt[0-9a-z]{6})[a-z0-9]{100,}", r"\1…"),
        (r"\b([0-9a-f]{4})[0-9a-f]{60}\b", "…"),
    ):
        text = re.sub(pattern, short, text)
    return re.sub(r"(lnbcrt[0-9]+[munp]?1)[0-9a-z]{1,5}…", r"\1…", text)


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


async def test_l402_requests_buys_the_task_of_the_docs(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    theirs = pytest.importorskip("l402_requests", reason="make test-real installs l402-requests")
    seen = Exchange()
    parts = [HEAD.format(version=theirs.__version__)]
    async with selling(tmp_path, executed=True) as (hub, base):
        wallet = Outside(hub)
        hooks = {"request": [seen.asked], "response": [seen.answered]}
        async with theirs.AsyncL402Client(
            wallet=wallet, base_url=base, event_hooks=hooks, trust_env=False, timeout=PATIENCE
        ) as client:
            posted = await client.post(f"{base}/v1/tasks?calls=2", json={"description": WANTED})
            assert posted.status_code == 202
            parts += ["\n## A task, offered, paid and posted\n", seen.page()]
            task = f"{base}{posted.headers['Location']}"
            facts = await _until_over(client, task, seen)
            assert facts["status"] == "settled"
            assert RESULT in facts["result"]
            parts += ["\n## Its result, shown to whoever holds the token\n", seen.page()]

            again = await client.post(f"{base}/v1/tasks?calls=2", json={"description": "find cake"})
            assert again.status_code == 202
            assert len(wallet.paid) == 1
            parts += ["\n## The second of the two calls: the same token, and nothing to pay\n", seen.page()]

            third = await client.post(f"{base}/v1/tasks?calls=2", json={"description": WANTED})
            assert third.status_code == 202
            assert len(wallet.paid) == 2
            parts += ["\n## A third: the token is spent, so the client is offered another, and buys it\n", seen.page()]
            for number in (2, 3):
                await hub.reaches(f"T-{number}", "settled")
        parts += ["\n## What the owner sees\n", await _owners(hub)]
    page = "".join(parts)
    if request.config.getoption("--write-transcript"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "write it anew with: make test-real ARGS=--write-transcript"


async def _until_over(client: Any, task: str, seen: Exchange) -> dict[str, Any]:
    """Ask with the client's own credential until a task is over; the last exchange alone stays."""
    async with asyncio.timeout(PATIENCE):
        while True:
            before = len(seen.lines)
            facts: dict[str, Any] = (await client.get(task)).json()
            if facts["status"] in {"settled", "failed", "expired"}:
                return facts
            del seen.lines[before:]
            await asyncio.sleep(0.2)  # noqa: TID251 - it is another process, and its gate slows down who asks too often


async def _owners(hub: HubProcess) -> str:
    """The sale in the owner's books, and their proof."""
    facts = await _status(hub)
    assert (facts["offers"], facts["bundles"], facts["earned_sats"]) == (2, 2, 400)
    shown = []
    for words in ("ledger balance", "ledger verify"):
        printed = await hub.timmy(*words.split())
        shown += [f"$ timmy {words}", *_short(printed).splitlines()]
    text = "\n".join(shown)
    assert "The books balance" in text
    return f"\n```text\n{text}\n```\n"


async def test_l402_requests_reads_our_price_and_keeps_to_its_own_budget(tmp_path: Path) -> None:
    theirs = pytest.importorskip("l402_requests", reason="make test-real installs l402-requests")
    async with selling(tmp_path) as (hub, base):
        wallet = Outside(hub)
        budget = theirs.BudgetController(max_sats_per_request=99)
        async with theirs.AsyncL402Client(wallet=wallet, budget=budget, trust_env=False) as client:
            with pytest.raises(theirs.BudgetExceededError):
                await client.post(f"{base}/v1/tasks", json={"description": WANTED})
        assert wallet.paid == []
        assert (await _status(hub))["bundles"] == 0


# What npm has ----------------------------------------------------------------------------------------------------


class Buyer:
    """A node process with one of the clients."""

    def __init__(self, process: asyncio.subprocess.Process, wallet: Outside) -> None:
        self._process = process
        self._wallet = wallet

    async def got(self) -> dict[str, Any]:
        """What it gets next; what it is to pay before is paid."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await stdout.readline():
                said = json.loads(line)
                if "got" in said:
                    found: dict[str, Any] = said["got"]
                    return found
                assert "pay" in said, said
                stdin.write(f"{await self._wallet.pay_invoice(said['pay'])}\n".encode())
        raise AssertionError("it went away")

    async def look(self, path: str) -> dict[str, Any]:
        """What it is shown there, with what it bought."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{path}\n".encode())
        return await self.got()


@contextlib.asynccontextmanager
async def buyer(kind: str, base: str, wallet: Outside) -> AsyncIterator[Buyer]:
    process = await asyncio.create_subprocess_exec(
        "node", str(BUYER), kind, base, WANTED, env={**os.environ, "NODE_PATH": str(MODULES)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Buyer(process, wallet)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@pytest.mark.parametrize(
    "kind",
    [pytest.param("fetch402", marks=needs("@getalby/lightning-tools")), pytest.param("l402", marks=needs("l402"))],
)
async def test_a_client_from_npm_buys_a_task(tmp_path: Path, kind: str) -> None:
    async with selling(tmp_path) as (hub, base):
        wallet = Outside(hub)
        async with buyer(kind, base, wallet) as client:
            posted = await client.got()
            assert posted["status"] == 202
            assert posted.get("sats", 100) == 100
            path = f"/v1/tasks/{posted['body']['task_id']}"
            async with asyncio.timeout(PATIENCE):
                while (facts := await client.look(path))["status"] != "settled":
                    assert facts["status"] in {"open", "awarded", "running", "delivered"}, facts
                    await asyncio.sleep(0.2)  # noqa: TID251 - it is another process
            assert RESULT in facts["result"]
        assert len(wallet.paid) == 1
        sold = await _status(hub)
        assert (sold["bundles"], sold["earned_sats"], sold["calls_used"]) == (1, 100, 1)
        assert "The books balance" in await hub.timmy("ledger", "verify")
