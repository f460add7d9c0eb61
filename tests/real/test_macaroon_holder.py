"""Our L402 tokens in the hands of `macaroon` from npm: it reads and verifies them, and what it adds narrows them here."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from core.wallet import l402
from core.wallet.l402 import BadCredential, Credential, Macaroon, Terms
from tests.real.npm import MODULES, needs
from tests.unit.wallet.test_l402 import HASH, MASTER, PREIMAGE, TERMS, TOKEN

HOLDER = Path(__file__).with_name("macaroon_holder.js")
CHAT = Terms("chat", 1, 100, 9_999_999_999_000, "/v1/chat")
LONG = TERMS._replace(resource="/v1/tasks/" + "a" * 88)

CASES: list[tuple[Terms, list[str], Terms | None]] = [
    (TERMS, [], TERMS),
    (CHAT, ["calls=2"], CHAT._replace(calls=2)),
    (TERMS, ["resource=/v1/tasks/T-7", "price_msat=5000"], TERMS._replace(resource="/v1/tasks/T-7", price=5000)),
    (LONG, ["resource=/v1/tasks/" + "a" * 88 + "/b"], LONG._replace(resource=LONG.resource + "/b")),
    (TERMS, ["calls=11"], None),
    (TERMS, ["ip=127.0.0.1"], None),
]
"""What was sold, what a holder adds, and what is left then; None: refused."""


async def _held(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    holder = await asyncio.create_subprocess_exec(
        "node", str(HOLDER), env={**os.environ, "NODE_PATH": str(MODULES)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await holder.communicate("\n".join(map(json.dumps, lines)).encode())
    return [json.loads(line) for line in said.splitlines()]


def _macaroon(parts: dict[str, Any]) -> Macaroon:
    return Macaroon(
        parts["location"].encode(), base64.b64decode(parts["identifier"]),
        tuple(map(base64.b64decode, parts["caveats"])), base64.b64decode(parts["signature"]),
    )  # fmt: skip


@needs("macaroon")
async def test_a_holder_verifies_what_we_mint_and_narrows_it() -> None:
    minted = [l402.encode(l402.mint(MASTER, HASH, TOKEN, sold)) for sold, _, _ in CASES]
    root = base64.b64encode(l402._hmac(MASTER, l402.identifier(HASH, TOKEN))).decode()
    asked = [
        {"token": base64.b64encode(wire).decode(), "root": root, "add": add}
        for wire, (_, add, _) in zip(minted, CASES, strict=True)
    ]
    for wire, (sold, _, left), held in zip(minted, CASES, await _held(asked), strict=True):
        assert held["seen"] == [caveat.decode() for caveat in sold.caveats()]
        assert l402.encode(_macaroon(held["read"])) == wire
        back = Credential((l402.encode(_macaroon(held["narrowed"])),), PREIMAGE)
        if left is None:
            with pytest.raises(BadCredential):
                l402.examine(MASTER, back)
        else:
            assert l402.examine(MASTER, back).terms == left
