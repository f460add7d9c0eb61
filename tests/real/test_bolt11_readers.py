"""Invoices of the simulated node, read by two libraries that did not make them: `pyln-proto` (Core Lightning's, which recovers the
payee from the signature) and, where node is installed, `light-bolt11-decoder` from npm.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adapters.lightning import bolt11
from adapters.lightning.bolt11 import LONGEST_DESCRIPTION, Unsigned
from adapters.lightning.simulated import SimulatedNode
from core.money import MAX_SATS, to_msat
from core.wallet.lightning import PREFIXES
from tests.fakes import FakeClock, FakeIds
from tests.real.npm import MODULES, needs
from tests.unit.lightning.bolt11_examples import KEY, SECRET

if TYPE_CHECKING:
    from core.wallet.lightning import PaymentRequest

READER = Path(__file__).with_name("bolt11_reader.js")
PICO = 10**11
"""msat of a bitcoin."""

AMOUNTS = (1, 10, 999, 1_000, 1_001, 21_000, 100_000, 123_456_789, 10**8, 10**11, 10**14, to_msat(MAX_SATS))
MEMOS = ("", "tea for two", "a task for the swarm, 10 calls", "ナンセンス 1杯 🍵", "x" * LONGEST_DESCRIPTION)
EXPIRIES = (1, 59, 600, 3_600, 86_400, 31 * 86_400)

Facts = dict[str, Any]


async def _asked(folder: Path) -> list[str]:
    """What a node asks for: every amount, with the memos and expiries in turn."""
    node = SimulatedNode(folder / "node.db", FakeClock(), FakeIds("readers"))
    try:
        asked = [
            await node.create_invoice(amount, MEMOS[place % len(MEMOS)], EXPIRIES[place % len(EXPIRIES)])
            for place, amount in enumerate(AMOUNTS)
        ]
        held = await node.create_hold(bytes(range(32)), 5_000, "escrow", 600)
        outside = await node.outside_asks(None, "what you like")
        return [*(one.bolt11 for one in asked), held.bolt11, outside]
    finally:
        await node.close()


def _signed() -> list[str]:
    """The same, for every network that there is."""
    return [
        bolt11.encode(Unsigned(prefix, bytes(range(32)), SECRET, 2_500_000, "1 cup coffee", 1_496_314_658_000, 60), KEY)
        for prefix in sorted(set(PREFIXES.values()))
    ]


def _by_us(read: PaymentRequest) -> Facts:
    return {
        "amount": read.amount, "payment_hash": read.payment_hash.hex(), "payee": read.payee,
        "description": read.description, "expires": read.expires_at // 1000, "prefix": read.prefix,
    }  # fmt: skip


def _by_pyln(invoice: str) -> Facts:
    pyln = pytest.importorskip("pyln.proto.invoice", reason="make test-real installs pyln-proto")
    read = pyln.Invoice.decode(invoice)
    tags = dict(read.tags)
    amount = None if read.amount is None else int(read.amount * PICO)
    assert amount is None or amount == read.amount * PICO
    return {
        "amount": amount, "payment_hash": read.hexpaymenthash, "payee": read.hexpubkey,
        "description": tags["d"], "expires": read.date + tags["x"], "prefix": read.currency,
    }  # fmt: skip


async def _by_light(invoices: list[str]) -> list[Facts]:
    reader = await asyncio.create_subprocess_exec(
        "node", str(READER), env={**os.environ, "NODE_PATH": str(MODULES)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await reader.communicate("\n".join(invoices).encode())
    found: list[Facts] = []
    for read in map(json.loads, said.splitlines()):
        amount = read.pop("amount", None)
        expires = read.pop("made_at") + read.pop("expiry")
        found.append({**read, "amount": None if amount is None else int(amount), "expires": expires})
    return found


@pytest.fixture
async def invoices(tmp_path: Path) -> list[str]:
    return [*await _asked(tmp_path), *_signed()]


async def test_core_lightning_s_library_reads_what_we_sign(invoices: list[str]) -> None:
    assert [_by_pyln(one) for one in invoices] == [_by_us(bolt11.decode(one)) for one in invoices]


@needs("light-bolt11-decoder")
async def test_a_library_of_browsers_reads_what_we_sign(invoices: list[str]) -> None:
    ours = [_by_us(bolt11.decode(one)) for one in invoices]
    for one in ours:
        del one["payee"]  # it looks at no signature
    assert await _by_light(invoices) == ours
