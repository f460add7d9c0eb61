"""A crash at every unit of work of a link that brings sats: both are there in the end, once, or there is nothing to be seen yet."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bot.app import build
from core.chat import Inbound, Role
from core.pairing import HOUR_MS, code_digest
from core.store import StoreClosed
from core.wallet.ledger import EXTERNAL, transfer, user_account
from tests.fakes import EPOCH, FakeClock, FakeIds
from tests.kill.crash import Fate, mortal
from tests.scenario.bot import ECHO, PATIENCE, Hands, asking, prove, rows, settings

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork

ANN, BOB, CODE = "telegram:1", "telegram:2", "ABCD2345"
LINES = (f"/link {CODE}", "/approve A-1", "/whoami", f"/unlink {BOB}")
LINKING = ("Links.", "Approvals.", "Dispatcher._answer")
QUIET = """
SELECT EXISTS (SELECT 1 FROM inbound WHERE update_id = ? AND done = 1)
   AND NOT EXISTS (SELECT 1 FROM inbound WHERE done = 0) AND NOT EXISTS (SELECT 1 FROM approval WHERE state = 'approved')
"""


def _begin(tx: UnitOfWork) -> None:
    """Ann and Bob are let in, each has sats, and Ann has got a code."""
    for actor, sats in ((ANN, 300), (BOB, 70)):
        tx.tokens.give(actor, Role.MEMBER, "", tx.now)
        entry = transfer(
            f"to {actor}", "grant", EXTERNAL, user_account(actor), sats * 1000, task=None, actor="hub", reason=""
        )
        tx.ledger.append(entry)
    tx.links.add(code_digest(CODE), ANN, EPOCH + HOUR_MS)


async def _live(folder: Path, fate: Fate) -> None:
    """One life: Bob's messages come again, under their names, until all is quiet or the hub is dead."""
    store = mortal(fate)

    async def live() -> None:
        made = build(settings(folder), clock=FakeClock(), ids=FakeIds(), worker=Hands(), roster=(ECHO,), database=store)
        async with made as app:
            if not await app.store.read(lambda tx: tx.tokens.people()):
                await app.store.write(_begin)
            await app.hub.identities.refresh()
            for number, line in enumerate(LINES):
                await app.dispatcher.receive(Inbound("telegram", "x", f"{number}", BOB, BOB, line, home=BOB))
                while not fate.dead:
                    (quiet,) = await app.store.read(
                        lambda tx, n=number: tx._connection.execute(QUIET, (f"{n}",)).fetchone()  # type: ignore[misc]
                    )
                    if quiet:
                        break

    life, dying = (asyncio.get_running_loop().create_task(work) for work in (live(), _set(fate)))
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait({life, dying}, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if fate.dead:
            store.living.bury()
        with suppress(StoreClosed):
            await life


async def _set(fate: Fate) -> None:
    await fate.crashed.wait()


def _ended(folder: Path) -> dict[str, Any]:
    """What is left in the end, apart from numbers and times."""
    prove(settings(folder))
    with asking(settings(folder)) as ask:
        return {
            "accounts": ask("SELECT name, posted, held FROM account ORDER BY name"),
            "entries": ask("SELECT key FROM txn ORDER BY key"),
            "links": ask("SELECT actor, account FROM link"),
            "codes": ask("SELECT * FROM link_code"),
            "wrong": ask("SELECT * FROM pairing_failure"),
            "approvals": ask("SELECT kind, state, decided_by, outcome FROM approval"),
            "events": sorted(ask("SELECT kind, data FROM event"), key=str),
            "answers": ask("SELECT cause, body ->> '$.text' FROM outgoing WHERE cause IS NOT NULL ORDER BY cause"),
            "told": ask("SELECT conversation, body ->> '$.text' FROM outgoing WHERE cause IS NULL ORDER BY id"),
        }


@pytest.mark.kill
@pytest.mark.timeout(120)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_every_unit_of_work_of_a_link(tmp_path: Path, when: str) -> None:
    calm = Fate()
    await _live(tmp_path / "calm", calm)
    wanted = _ended(tmp_path / "calm")
    assert (f"user:{ANN}", 370_000, 0) in wanted["accounts"]
    assert {kind for kind, _ in wanted["events"]} >= {"ActorLinked", "ActorUnlinked"}
    points = [point for point in calm.met if point.startswith(LINKING)]
    assert {point.partition(" ")[0] for point in points} >= {
        "Links.join",
        "Links.carry",
        "Links.unlink",
        "Approvals.settle",
    }
    wrong = {}
    for number, point in enumerate(points):
        folder, fate = tmp_path / f"{number}", Fate(frozenset({f"{when} {point}"}))
        await _live(folder, fate)
        assert fate.dead, f"{point} never came"
        moved, linked = rows(
            settings(folder),
            "SELECT (SELECT count(*) FROM txn WHERE kind = 'link'), (SELECT count(*) FROM event WHERE kind = 'ActorLinked')",
        )[0]
        assert moved == linked, f"{when} {point}: one without the other"
        await _live(folder, Fate())
        found = _ended(folder)
        wrong[point] = {what: found[what] for what in wanted if found[what] != wanted[what]}
    assert {point: what for point, what in wrong.items() if what} == {}
