"""A hub whose gate is open, in a process of its own, and the same handler beside it with no gate before it.

What is sold is the posting of a task and nothing after it: the shop is the product's, its coordinator only writes the task. So the
gate's cost (guard, pace, token, the look for an earlier call, the row of the call in the same commit) stands beside one commit.
Usage: python -m tests.bench.gate_server FOLDER; it says where the two listen. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from adapters.web.l402_reading import read_body, read_text
from adapters.web.l402_shapes import Posted
from bot.app import build
from bot.shop import Shop
from config.settings import Http, Serve
from core.access import Action, authorize
from core.chat import Caller, Role
from core.money import to_msat
from core.swarm import orders
from core.swarm.orders import Order, Rules
from core.tokens import STRANGER
from core.wallet.ledger import EXTERNAL, TREASURY, transfer
from tests.bench.gate import PRICE
from tests.scenario.bot import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.sqlite.writer import Database
    from adapters.web.l402_gate import Gate
    from core.swarm.coordinator import Coordinator
    from core.swarm.ports import SwarmTx
    from core.swarm.task import Task

PLENTY = to_msat(10**8)
BARE = Caller(f"{STRANGER}bare", Role.GUEST, bought=to_msat(PRICE))


def done(tx: Any, task: Task) -> None:
    """Nobody works on the bench's tasks: they count as done, or strangers would have too many under way."""
    tx._connection.execute("UPDATE task SET due = NULL WHERE id = ?", (task.id,))


class Posting:
    """Of the coordinator, what writes a task."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self._rules = Rules()

    async def post(
        self,
        order: Order,
        tell: Callable[[SwarmTx, Task], None] | None = None,
        fund: Callable[[SwarmTx, Order], Order] | None = None,
    ) -> Task:
        """See `Coordinator`."""
        authorize(order.caller, Action.POST, cost=orders.budget_of(order, self._rules))

        def work(tx: SwarmTx) -> Task:
            task, _ = orders.post(tx, order if fund is None else fund(tx, order), self._rules)
            if tell is not None:
                tell(tx, task)
            done(tx, task)
            return task

        return await self._store.write(work)


async def _bare(posting: Posting, request: web.Request) -> web.Response:
    """The gate's handler without the gate."""
    body = await read_body(request, {"description", "max_sats"}, "the text description")
    order = Order(
        BARE, BARE.name, read_text(body, "description"), f"bare/{os.urandom(9).hex()}", budget=BARE.bought, account=TREASURY,
    )  # fmt: skip
    task = await posting.post(order)
    text = json.dumps(asdict(Posted(task.name, task.status.value)))
    headers = {"Location": f"/v1/tasks/{task.name}"}
    return web.Response(status=202, text=text, content_type="application/json", headers=headers)


async def _serve(folder: Path) -> None:
    found = settings(folder).model_copy(
        update={
            "http": Http(port=0, trusted_proxy="127.0.0.1"),
            "serve": Serve(enabled=True, port=0, price=PRICE),
        }
    )
    async with build(found) as app:
        filled = transfer("bench", "bench", EXTERNAL, TREASURY, PLENTY, task=None, actor="bench", reason="plenty")
        await app.store.write(lambda tx: tx.ledger.append(filled))
        posting = Posting(app.store)
        gate = cast("Gate", app.serving.gate)
        shop = Shop(
            cast("Any", gate.front.till),
            app.hub.assistant(),
            cast("Coordinator", posting),
            app.hub.treasury,
            app.health.model,
        )
        gate.front = replace(gate.front, counter=shop)
        bare = web.Application()
        bare.router.add_post("/v1/tasks", partial(_bare, posting))
        runner = web.AppRunner(bare, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        (address,) = runner.addresses
        print(json.dumps({"gate": gate.address, "bare": f"http://127.0.0.1:{address[1]}"}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
