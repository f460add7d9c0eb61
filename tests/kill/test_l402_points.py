"""A crash at every named point of what a stranger buys: each unit of work, and each request.

A stranger whose request had no answer sends it again with the same Idempotency-Key and the same token. What they paid for is done
once, and counted once; what they paid is paid once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from adapters.web import l402_gate
from config.settings import Serve
from tests.cashier import FakeCashier
from tests.fakes import FakeClock
from tests.kill.story import Story, calmly, crashed, first
from tests.scenario.bot import rows, settings
from tests.scenario.strangers import Stranger

if TYPE_CHECKING:
    from pathlib import Path

    from bot.app import App
    from config.settings import Settings
    from tests.kill.crash import Fate
    from tests.scenario.strangers import Said

LINES = [("chat", "message", "how are you"), ("tasks", "description", "find the answer")]
QUIET = """
SELECT NOT EXISTS (SELECT 1 FROM task WHERE status IN ('open', 'bidding', 'awarded', 'running', 'delivered'))
   AND NOT EXISTS (SELECT 1 FROM l402_call WHERE state = 'reserved')
"""


class Sale(Story):
    """A stranger before several lives of the hub; the node and the wallet outlive them all."""

    pace = 50
    facts: dict[str, str] = {  # noqa: RUF012 - a constant
        **{name: query for name, query in Story.facts.items() if name not in {"holds", "events"}},
        "entries": "SELECT kind, task FROM txn ORDER BY kind, task",
        "calls": "SELECT key, state, task FROM l402_call ORDER BY key",
        "sold": "SELECT count(*) FROM l402_bundle WHERE settled_at IS NOT NULL",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, LINES)
        self.cashier = FakeCashier(FakeClock())
        self.stranger = Stranger(self.cashier)
        self.tokens: dict[str, str] = {}
        self.answers: dict[str, Any] = {}

    def settings(self) -> Settings:
        """See `Story`."""
        return settings(self.folder).model_copy(update={"serve": Serve(enabled=True, port=0)})

    async def _live(self, fate: Fate) -> None:
        async with self._hub(cashier=self.cashier) as (app, clock):
            self.cashier.store = app.store
            self.stranger.base = app.serving.gate.address
            for service, field, words in LINES:
                if service not in self.answers and not fate.dead:
                    await self._buys(app, fate, service, {field: words})
                await self._until(app, fate, clock, QUIET)

    async def _buys(self, app: App, fate: Fate, service: str, body: dict[str, str]) -> None:
        """Ask, pay, and ask again, until there is an answer."""
        while not fate.dead:
            said = await self._asked(app, fate, service, body)
            if said is None:
                return
            if said.status == 402:
                assert service not in self.tokens, "it was paid for"
                self.tokens[service] = self.stranger.buy(said)
            elif said.status in {200, 202}:
                self.answers[service] = said.body
                fate.strikes("after", [fate.name("wire answer")])
                return
            else:
                assert said.status in {409, 503}, said.body

    async def _asked(self, app: App, fate: Fate, service: str, body: dict[str, str]) -> Said | None:
        """What came back; None if the hub died before."""
        if fate.strikes("before", [fate.name("wire ask")]):
            return None
        request = self.stranger.ask(
            "POST", f"/v1/{service}", json=body, key=service, token=self.tokens.get(service, "")
        )
        asking = asyncio.get_running_loop().create_task(request)
        while not (asking.done() or fate.dead):
            await app.store.read(lambda tx: None)
            self.pass_time(app, self._clock)
        if fate.dead:
            asking.cancel()
        with suppress(asyncio.CancelledError, aiohttp.ClientError):
            return await asking
        return None

    def amiss(self) -> str | None:
        """See `Story`."""
        if set(self.answers) != {"chat", "tasks"} or len(self.cashier.paid) != 2:
            return f"answered {self.answers}, paid {len(self.cashier.paid)} times"
        used = rows(self.settings(), "SELECT count(*) FROM l402_call WHERE state <> 'used'")
        return None if used == [(0,)] else f"calls that were not used: {used}"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(l402_gate, "SHUTDOWN_SECONDS", 0.01)


OWN = ("Seller.", "Shop.", "FakeCashier.", "Coordinator.post", "_keep", "Assistant.")


@pytest.mark.kill
async def test_a_hub_that_dies_at_each_kind_of_point_of_a_sale_one_after_another(tmp_path: Path) -> None:
    calm = Sale(tmp_path / "calm")
    kinds = [point for point in first(await calmly(calm, 15)) if point.startswith(OWN)]
    story = Sale(tmp_path / "killed")
    deaths = [f"{'before' if number % 2 else 'after'} {point}" for number, point in enumerate(kinds)]
    assert await crashed(story, calm, *deaths) is None
    assert story.deaths >= 5, "it saw the points"


@pytest.mark.kill_sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_every_point_of_a_sale(tmp_path: Path, when: str) -> None:
    calm = Sale(tmp_path / "calm")
    wrong, died = {}, 0
    for number, point in enumerate(await calmly(calm, 15)):
        story = Sale(tmp_path / str(number))
        wrong[point] = await crashed(story, calm, f"{when} {point}")
        died += story.deaths
    assert died > len(wrong) * 0.7, "it saw the points"
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}
