"""The owner plays the world outside the hub's simulated node, over the owner's socket."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from adapters.lightning.bolt11 import decode
from adapters.lightning.simulated import SimulatedNode
from bot.parts.nodes import NODE
from bot.simulate import NotSimulated, calls
from core.wallet.lightning import PayState
from tests.fakes import FakeIds
from tests.scenario.bot import hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot


async def _simulate(bot: Bot, call: str, **facts: object) -> dict[str, Any]:
    """What the owner's call is answered."""
    await bot.link.send({"op": f"simulate.{call}", **facts})
    frame = await bot.link.receive()
    assert frame is not None
    return frame


@contextlib.asynccontextmanager
async def _node(bot: Bot) -> AsyncIterator[SimulatedNode]:
    """The hub's node, over another connection to its file."""
    node = SimulatedNode(bot.app.settings.data_dir / NODE, bot.clock, FakeIds("another"))
    try:
        yield node
    finally:
        await node.close()


async def test_sats_come_in_and_go_out_and_what_hangs_is_landed(tmp_path: Path) -> None:
    async with hub(tmp_path, attach=False) as bot, _node(bot) as node:
        ours = await node.create_invoice(21_000, "tea", 60)
        paid = await _simulate(bot, "pay", bolt11=f"lightning:{ours.bolt11.upper()}")
        assert paid["data"] == {
            "ok": True, "payment_hash": ours.payment_hash.hex(), "preimage": paid["data"]["preimage"],
        }  # fmt: skip
        assert paid["data"]["preimage"] in paid["text"]
        assert (await _simulate(bot, "pay", bolt11=ours.bolt11))["error"] == "node_refused"

        asked = await _simulate(bot, "invoice", amount="2k", memo="beans", expires="10m", fails="hangs")
        read = decode(asked["text"])
        assert (read.amount, read.description, read.expires_at) == (2_000_000, "beans", bot.clock.now() + 600_000)
        assert asked["data"] == {"ok": True, "bolt11": asked["text"], "amount_sats": 2_000}
        assert (await node.pay(read.bolt11, None, 10_000, 0)).state is PayState.IN_FLIGHT
        landed = await _simulate(bot, "land", payment_hash=read.bolt11, fail=True)
        assert landed["data"] == {"ok": True, "payment_hash": read.payment_hash.hex()}
        assert (await node.track(read.payment_hash)).state is PayState.FAILED

        for call, facts, error in (
            ("pay", {}, "node_refused"), ("pay", {"bolt11": asked["text"]}, "node_refused"),
            ("invoice", {"amount": "0"}, "bad_amount"), ("invoice", {"amount": "5", "expires": "soon"}, "bad_duration"),
            ("invoice", {"amount": "5", "fails": "loudly"}, "node_refused"), ("invoice", {}, "bad_amount"),
            ("land", {"payment_hash": "xyz"}, "bad_payment_hash"), ("land", {"payment_hash": "00" * 32}, "node_refused"),
        ):  # fmt: skip
            refused = await _simulate(bot, call, **facts)
            assert (refused["kind"], refused.get("error")) == ("error", error), (call, facts, refused)


async def test_where_the_node_is_a_real_one_nobody_outside_is_played() -> None:
    for call in calls(None).values():
        with pytest.raises(NotSimulated):
            await call({"amount": "5", "payment_hash": "00" * 32, "bolt11": "lnbc1"})
